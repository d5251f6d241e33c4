//! `cdp eval classify`: how right the classifier is on labelled phrases.

mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use super::CommandError;
use crate::app::{COHORT_SEEDS, say};
use crate::config::Config;
use crate::services::evaluation::{Bench, parse_labels};
use crate::services::seeds::parse_seeds;

/// What to measure
#[derive(Debug, clap::Args)]
pub struct EvalArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Accuracy, rejection and calibration of the classifier on labelled phrases
    Classify(ClassifyArgs),
}

/// Phrases, and what to classify them with
#[derive(Debug, clap::Args)]
struct ClassifyArgs {
    /// A table of phrase, labels (between `|`; or none) and kind, with tabs between
    labels: PathBuf,
    /// A file of settings
    #[arg(long, env = "CDP_CONFIG")]
    config: Option<PathBuf>,
    /// The model, in place of the settings' own
    #[arg(long)]
    model: Option<String>,
    /// A list of cohorts, in place of the built-in ones
    #[arg(long)]
    cohorts: Option<PathBuf>,
    /// Leave the lexicon and the examples away: cohorts are a name and a sentence
    #[arg(long)]
    bare: bool,
    /// Besides, measure each cohort as a name and a sentence beside the others
    #[arg(long)]
    leave_one_out: bool,
}

/// Measures, and prints tables.
///
/// # Errors
/// When the phrases, the cohorts or the model can't be read.
pub fn run(args: &EvalArgs) -> Result<ExitCode, CommandError> {
    let What::Classify(args) = &args.what;
    let mut settings = Config::load(args.config.as_deref())?.classify;
    if let Some(model) = &args.model {
        settings.model.clone_from(model);
    }
    let seeds = match &args.cohorts {
        Some(file) => std::fs::read_to_string(file)?,
        None => COHORT_SEEDS.to_owned(),
    };
    let cohorts = parse_seeds(&seeds)?;
    let labelled = parse_labels(&std::fs::read(&args.labels)?, &cohorts)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut bench = Bench::load(settings, cohorts).await?;
        if args.bare {
            bench = bench.bare();
        }
        say(table::figures(&bench.evaluate(&labelled).await?).trim_end());
        if args.leave_one_out {
            say(table::strangers(&bench.leave_one_out(&labelled).await?).trim_end());
        }
        Ok(ExitCode::SUCCESS)
    })
}
