//! The command line: one command, one file.

pub mod backup;
pub mod compact;
pub mod demo;
pub mod doctor;
pub mod eval;
pub mod import;
pub mod keys;
mod offline;
mod open_files;
pub mod quality_table;
pub mod reindex;
pub mod serve;
mod signals;
pub mod sweep;
pub mod threads;
pub mod token;

use std::error::Error as StdError;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

/// A customer data platform: collect, unify, segment, serve
#[derive(Debug, Parser)]
#[command(name = "cdp", version, about, propagate_version = true)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve REST, GraphQL and the web playground
    Serve(serve::ServeArgs),
    /// Send files of records to a running server
    Import(import::ImportArgs),
    /// Log in to a running server and print a token
    Token(token::TokenArgs),
    /// What a running server signs tokens with
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Invent visitors, and write their visits and the truth about them
    Demo(demo::DemoArgs),
    /// Check whether a store contradicts itself, and mend it; no server may have it open
    Doctor(doctor::DoctorArgs),
    /// Measure how right the classifier is
    Eval(eval::EvalArgs),
    /// Copy all that a running server has stored into a file
    Backup(backup::BackupArgs),
    /// Make a store of a backup
    Restore(backup::RestoreArgs),
    /// Write the store's files anew, without what was deleted; no server may have it open
    Compact(compact::CompactArgs),
    /// Let a running server sweep what is older than its settings allow
    Sweep(sweep::SweepArgs),
    /// Build the search index anew; no server may have its store open
    Reindex(reindex::ReindexArgs),
}

/// Any failure of a command, with its causes.
pub type CommandError = Box<dyn StdError + Send + Sync>;

/// Runs the command that the process was started with.
#[must_use]
pub fn run() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<ExitCode, CommandError> {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Import(args) => import::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Keys(command) => keys::run(&command),
        Command::Doctor(args) => doctor::run(args),
        Command::Backup(args) => backup::back_up(&args),
        Command::Restore(args) => backup::restore_file(args),
        Command::Eval(args) => eval::run(&args),
        Command::Compact(args) => compact::run(args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Reindex(args) => reindex::run(args),
        Command::Demo(args) => {
            let summary = demo::run(&args)?;
            crate::app::say(&format!(
                "{} records ({} malformed) of {} people, who are {} profiles, in {}",
                summary.records,
                summary.malformed,
                args.people,
                summary.components,
                args.out.display()
            ));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A bar of so much to do, drawn as a template says.
fn progress_bar(of: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template);
    ProgressBar::new(of).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One line for what failed, and one for each cause.
#[expect(clippy::print_stderr, reason = "this is the command line's own last word")]
fn complain(error: &(dyn StdError + 'static)) {
    eprintln!("error: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        eprintln!("  because: {next}");
        cause = next.source();
    }
}
