//! `cdp eval classify`: how right the classifier is on labelled phrases.

mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::CommandError;
use crate::app::{COHORT_SEEDS, say};
use crate::classify::bert::BertEncoder;
use crate::classify::lexicon::Lexicon;
use crate::classify::{self, Classifier, Corrections};
use crate::config::Config;
use crate::domain::cohort::{Cohort, CohortSlug};
use crate::services::evaluation::{self, Labelled};
use crate::services::interests::start_classifier;
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
    let labelled = evaluation::parse_labels(&std::fs::read(&args.labels)?, &cohorts)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let bench = Bench {
            encoder: Arc::new(classify::load(&settings).await?),
            settings,
        };
        let (cohorts, lexicon) = if args.bare {
            (evaluation::without_examples(&cohorts), Lexicon::nowhere())
        } else {
            (cohorts, Lexicon::built_in())
        };
        let classifier = bench.classifier(cohorts.clone(), &lexicon)?;
        let evaluation = evaluation::evaluate(&classifier, &labelled).await?;
        say(table::figures(&evaluation).trim_end());
        if args.leave_one_out {
            bench.leave_one_out(&cohorts, &lexicon, &labelled).await?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

struct Bench {
    encoder: Arc<BertEncoder>,
    settings: classify::Settings,
}

impl Bench {
    fn classifier(&self, cohorts: Vec<Cohort>, lexicon: &Lexicon) -> Result<Classifier, CommandError> {
        let encoder = Arc::clone(&self.encoder);
        Ok(start_classifier(
            encoder,
            cohorts,
            lexicon.clone(),
            Corrections::new(),
            &self.settings,
        )?)
    }

    async fn leave_one_out(
        &self,
        cohorts: &[Cohort],
        lexicon: &Lexicon,
        labelled: &[Labelled],
    ) -> Result<(), CommandError> {
        let slugs: Vec<CohortSlug> = cohorts.iter().map(|cohort| cohort.slug.clone()).collect();
        let mut rows = Vec::new();
        for slug in slugs {
            let stranger = |cohort: &Cohort| {
                let mut cohort = cohort.clone();
                if cohort.slug == slug {
                    cohort.examples.clear();
                }
                cohort
            };
            let with_stranger = cohorts.iter().map(stranger).collect();
            let classifier = self.classifier(with_stranger, &lexicon.without(&slug))?;
            let figures = evaluation::evaluate_one(&classifier, labelled, &slug).await?;
            rows.push((slug, figures));
        }
        say(table::strangers(&rows).trim_end());
        Ok(())
    }
}
