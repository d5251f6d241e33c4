//! `cdp keys`: what a running server signs tokens with.

use std::process::ExitCode;

use serde::Deserialize;

use super::CommandError;
use super::token::{Server, block_on};
use crate::app::say;

/// What to do with the keys
#[derive(Debug, clap::Subcommand)]
pub enum KeysCommand {
    /// Let a new key sign; those before it verify until their last token has expired
    Rotate(KeysArgs),
}

/// Of which server
#[derive(Debug, clap::Args)]
pub struct KeysArgs {
    /// The server, and an administrator
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Rotated {
    kid: String,
    signs_from: String,
}

/// Lets a new key sign, and prints its id.
///
/// # Errors
/// When the server can't be reached or refuses.
pub fn run(command: &KeysCommand) -> Result<ExitCode, CommandError> {
    let KeysCommand::Rotate(args) = command;
    let rotated: Rotated = block_on(args.server.post("/api/auth/keys/rotate"))??;
    say(&format!("{} signs from {} on", rotated.kid, rotated.signs_from));
    Ok(ExitCode::SUCCESS)
}
