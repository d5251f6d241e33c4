//! `cdp reindex`: builds the search index anew.

use std::process::ExitCode;
use std::time::Instant;

use super::offline::StoreArgs;
use super::threads::runtime;
use super::{CommandError, progress_bar};
use crate::app::say;
use crate::services::search::reindex::reindex;

/// How the progress is drawn.
const BAR: &str = "indexing {wide_bar} {pos}/{len} ({per_sec}, {eta} left)";

/// The index of which store
#[derive(Debug, clap::Args)]
pub struct ReindexArgs {
    /// The store
    #[command(flatten)]
    place: StoreArgs,
}

/// Builds the index in a folder of its own and then puts it in the old one's place; whoever
/// interrupts it can start it again.
///
/// # Errors
/// When there is no store, a server has it open, or the index can't be written.
pub fn run(args: ReindexArgs) -> Result<ExitCode, CommandError> {
    let config = args.place.load()?;
    let bar = progress_bar(1, BAR);
    let listener = |met, of| {
        bar.set_length(u64::from(of));
        bar.set_position(u64::from(met));
    };
    let start = Instant::now();
    let rebuilt = runtime(config.threads)?.block_on(reindex(&config.search, &config.store, &listener))?;
    bar.finish_and_clear();
    say(&format!(
        "indexed {} profiles and {} interests in {:.1} s",
        rebuilt.profiles,
        rebuilt.documents.saturating_sub(rebuilt.profiles),
        start.elapsed().as_secs_f64()
    ));
    Ok(ExitCode::SUCCESS)
}
