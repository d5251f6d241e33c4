//! Figures as tables for a terminal and for a page of Markdown.

use std::fmt::Write as _;

use crate::domain::cohort::CohortSlug;
use crate::services::evaluation::{Evaluation, OfCohort, Share};

/// How many confusions are listed, and phrases of each.
const CONFUSIONS: usize = 12;
const PHRASES: usize = 5;

/// All figures of one classifier.
pub fn figures(found: &Evaluation) -> String {
    let mut text = String::from("| what | figure | of |\n|---|---|---|\n");
    let mut line = |what: &str, figure: f64, of: String| {
        let _ = writeln!(text, "| {what} | {figure:.3} | {of} |");
    };
    let counts = |share: Share| format!("{} of {}", share.good, share.of);
    line("accuracy", found.accuracy.ratio(), counts(found.accuracy));
    for (kind, share) in &found.by_kind {
        line(&format!("accuracy, {kind}"), share.ratio(), counts(*share));
    }
    line("macro F1, with thresholds", found.macro_f1, String::new());
    line("none: AUROC of the best score", found.auroc, String::new());
    line("none: told so", found.rejected.ratio(), counts(found.rejected));
    line("somebody's: told none", found.lost.ratio(), counts(found.lost));
    line("calibration error", found.calibration_error, String::new());
    text.push('\n');
    text.push_str(&cohorts(found.by_cohort.iter()));
    text.push_str("\n| belongs to | taken for | phrases |\n|---|---|---|\n");
    for confusion in found.confusions.iter().take(CONFUSIONS) {
        let phrases = confusion.phrases.iter().take(PHRASES).map(String::as_str);
        let _ = writeln!(
            text,
            "| {} | {} | {}: {} |",
            confusion.label,
            confusion.best,
            confusion.phrases.len(),
            phrases.collect::<Vec<_>>().join(", ")
        );
    }
    text
}

/// Each cohort's figures where it is a name and a sentence beside the others.
pub fn strangers(rows: &[(CohortSlug, OfCohort)]) -> String {
    let title = "\nEach cohort by its name and sentence alone, beside the others:\n\n";
    title.to_owned() + &cohorts(rows.iter().map(|(slug, figures)| (slug, figures)))
}

fn cohorts<'a>(rows: impl Iterator<Item = (&'a CohortSlug, &'a OfCohort)>) -> String {
    let mut text = String::from("| cohort | precision | recall | F1 | phrases |\n|---|---|---|---|---|\n");
    for (slug, figures) in rows {
        let _ = writeln!(
            text,
            "| {slug} | {:.2} | {:.2} | {:.2} | {} |",
            figures.precision.ratio(),
            figures.recall.ratio(),
            figures.f1(),
            figures.recall.of
        );
    }
    text
}
