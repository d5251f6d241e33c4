//! `cdp compact`: writes the store's files anew, without what was deleted.

use std::process::ExitCode;
use std::time::Instant;

use super::CommandError;
use super::offline::StoreArgs;
use super::threads::runtime;
use crate::app::say;
use crate::services::privacy::compact;

/// Which store
#[derive(Debug, clap::Args)]
pub struct CompactArgs {
    /// The store
    #[command(flatten)]
    place: StoreArgs,
}

/// Writes a copy of the store, compares the two, and puts it in the old one's place; needs as much
/// room again meanwhile. Whoever interrupts it can start it again, or the server.
///
/// # Errors
/// When there is no store on this disk, a server has it open, or the copy can't be written.
pub fn run(args: CompactArgs) -> Result<ExitCode, CommandError> {
    let config = args.place.load()?;
    let start = Instant::now();
    let written = runtime(config.threads)?.block_on(compact(&config.store))?;
    say(&format!(
        "wrote {} keys anew in {:.1} s: {} bytes were {}",
        written.keys,
        start.elapsed().as_secs_f64(),
        written.after,
        written.before,
    ));
    Ok(ExitCode::SUCCESS)
}
