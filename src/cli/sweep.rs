//! `cdp sweep`: lets a running server sweep what is older than its settings allow, now.

use std::process::ExitCode;

use serde::Deserialize;

use super::CommandError;
use super::token::{Server, block_on};
use crate::app::say;

/// Which server
#[derive(Debug, clap::Args)]
pub struct SweepArgs {
    /// The server
    #[command(flatten)]
    server: Server,
}

#[derive(Deserialize)]
struct Swept {
    raw_rows: u64,
    rejects: u64,
    profiles: u64,
}

/// Waits until it is done, and says what went.
///
/// # Errors
/// When the server can't be reached or refuses.
pub fn run(args: &SweepArgs) -> Result<ExitCode, CommandError> {
    let swept: Swept = block_on(args.server.post("/api/retention/sweep"))??;
    say(&format!(
        "emptied {} raw rows, dropped {} rejects and {} people",
        swept.raw_rows, swept.rejects, swept.profiles
    ));
    Ok(ExitCode::SUCCESS)
}
