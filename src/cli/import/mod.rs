//! `cdp import`: sends files to a running server, in parts that it can acknowledge one by
//! one, several at a time. [`read`] cuts a file into parts, [`stored`] asks which the server
//! has already, [`send`] hands it the others, [`rejects`] keeps what was refused.

mod read;
mod rejects;
mod send;
mod stored;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use tokio::sync::mpsc;

use super::token::{Server, ServerError};
use super::{CommandError, progress_bar};
use crate::app::say;
use crate::ingest::decode::{DecodeError, Format};
use crate::ingest::fields::{RenameError, Renames};
use read::read_parts;
use rejects::RejectsFile;
use send::{Answer, Sender};
use stored::{FileId, FileReport, Stored};

/// How the progress is drawn.
const BAR: &str = "{prefix} {wide_bar} {percent}% {msg} ({elapsed}, {eta} left)";

/// Files to send, and where to
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    /// Files of records: .csv, .tsv, .json, .ndjson or .jsonl; packed, with .gz or .zst behind it, or not
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// What the records come from, to tell shop from app later
    #[arg(long, default_value = "import")]
    source: String,
    /// What a column is, such as `Kundennummer=cookie`; may be given again
    #[arg(long = "map", value_name = "COLUMN=FIELD")]
    maps: Vec<String>,
    /// How many requests are under way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    parallel: u8,
    /// The server
    #[command(flatten)]
    server: Server,
}

/// Why a file was not imported to its end.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(
        "`{}` has an unknown ending; .csv, .tsv, .json, .ndjson and .jsonl are read, with .gz or .zst behind it or not",
        .0.display()
    )]
    Format(PathBuf),
    #[error("a --map can't be used")]
    Map(#[from] RenameError),
    #[error("`{}` can't be opened, read or written", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("`{}` can't be read any further", path.display())]
    Decode { path: PathBuf, source: DecodeError },
    #[error(transparent)]
    Server(#[from] ServerError),
}

#[derive(Default)]
struct Totals {
    accepted: u64,
    rejected: u64,
    duplicates: u64,
    /// Of these, rows in parts that were stored before.
    stored_before: u64,
    /// Whether any part was sent.
    has_sent: bool,
}

impl Totals {
    fn add(&mut self, answer: &Answer, unreadable: usize, was_stored: bool) {
        self.accepted += answer.records_processed;
        self.rejected += answer.records_rejected + unreadable as u64;
        self.duplicates += answer.duplicates;
        if was_stored {
            self.stored_before += answer.records_processed + answer.records_rejected;
        } else {
            self.has_sent = true;
        }
    }

    /// Whether the file was imported to its end before, and nothing was to be done.
    const fn changed_nothing(&self) -> bool {
        !self.has_sent && self.stored_before > 0
    }
}

/// Imports each file, and prints what became of it.
///
/// # Errors
/// When a file can't be read, or the server refuses for good; what was acknowledged before
/// that is stored.
pub fn run(args: &ImportArgs) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let maps = args.maps.iter().map(String::as_str);
        let renames = Renames::parse(maps, '=').map_err(ImportError::from)?;
        let sender = Sender::log_in(args, &renames).await?;
        let imported = import_all(&sender, args, &renames).await;
        sender.log_out().await;
        imported.map(|()| ExitCode::SUCCESS)
    })
}

async fn import_all(sender: &Sender<'_>, args: &ImportArgs, renames: &Renames) -> Result<(), CommandError> {
    for file in &args.files {
        import(sender, args, renames, file).await?;
    }
    Ok(())
}

async fn import(
    sender: &Sender<'_>,
    args: &ImportArgs,
    renames: &Renames,
    path: &Path,
) -> Result<(), CommandError> {
    let name = path.to_string_lossy();
    let format = Format::of_file_name(&name).ok_or_else(|| ImportError::Format(path.to_owned()))?;
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    let options: Vec<String> = std::iter::once(args.source.clone())
        .chain(renames.pairs())
        .collect();
    let file = tokio::task::spawn_blocking({
        let path = path.to_owned();
        move || FileId::of(&path, &options)
    });
    let stored = Stored::new(sender, file.await??);
    let bar = progress_bar(size, BAR).with_prefix(name.to_string());
    let mut rejects = RejectsFile::beside(path);
    let (started, mut totals) = (Instant::now(), Totals::default());
    let (parts, received) = mpsc::channel(usize::from(args.parallel));
    let reading = tokio::task::spawn_blocking({
        let (path, renames) = (path.to_owned(), renames.clone());
        move || read_parts(&path, format, renames, &parts)
    });
    let parts = stream::unfold(received, async |mut received| {
        received.recv().await.map(|part| (part, received))
    });
    let mut answers = std::pin::pin!(
        parts
            .map(|part| async { (stored.deliver(&part).await, part) })
            .buffered(usize::from(args.parallel))
    );
    while let Some((answer, part)) = answers.next().await {
        let (answer, was_stored) = answer?;
        totals.add(&answer, part.unreadable.len(), was_stored);
        rejects.write(&part.rows, answer.errors, &part.unreadable)?;
        bar.set_position(part.bytes_read);
        bar.set_message(format!(
            "{} accepted, {} rejected",
            totals.accepted, totals.rejected
        ));
    }
    bar.finish_and_clear();
    // What was read before the file broke off is stored, and said so, before the error is.
    let rejects = rejects.finish()?;
    let report = stored.report().await?;
    if totals.changed_nothing() {
        say_imported_before(&name, &totals, report.as_ref());
    } else {
        summarise(&name, &totals, started.elapsed(), rejects.as_deref());
    }
    if let Some(report) = report {
        say(&report.quality.table());
    }
    Ok(reading.await??)
}

fn summarise(name: &str, totals: &Totals, took: Duration, rejects: Option<&Path>) {
    let records = totals.accepted + totals.rejected;
    let rate = records as f64 / took.as_secs_f64().max(0.001);
    say(&format!(
        "{name}: {} accepted ({} of them seen before), {} rejected, in {:.1} s, {rate:.0} records/s",
        totals.accepted,
        totals.duplicates,
        totals.rejected,
        took.as_secs_f64()
    ));
    if totals.stored_before > 0 {
        say(&format!(
            "  {} of them were stored by an import before this one",
            totals.stored_before
        ));
    }
    if let Some(path) = rejects {
        say(&format!(
            "  the rejected rows and their reasons are in {}",
            path.display()
        ));
    }
}

fn say_imported_before(name: &str, totals: &Totals, report: Option<&FileReport>) {
    let when = report.and_then(|report| report.last_received_at);
    let on = when.map_or_else(String::new, |at| {
        format!(" on {}", at.format("%Y-%m-%d %H:%M UTC"))
    });
    say(&format!(
        "{name}: imported before{on}; nothing changed ({} accepted, {} rejected then)",
        totals.accepted, totals.rejected
    ));
}
