//! What the classifier says of a text.

use async_graphql::SimpleObject;

use super::rounded;
use crate::services::classification::{Answer, NearestView, ScoreView};

/// What the classifier says of a text.
#[derive(SimpleObject)]
pub struct Classification {
    /// The text as asked.
    text: String,
    /// Its canonical form.
    normalised: String,
    /// The spelling that was classified in its place, if it looked misspelt.
    repaired: Option<String>,
    /// The names of the cohorts that it belongs to, surest first; none is an answer.
    cohorts: Vec<String>,
    /// Every cohort's score, best first; all 0 for a text without letters.
    scores: Vec<CohortScore>,
    /// The example terms nearest to it, nearest first.
    nearest: Vec<Nearest>,
}

/// A cohort, and how surely a text belongs to it.
#[derive(SimpleObject)]
pub struct CohortScore {
    /// The cohort's name.
    cohort: String,
    /// The cohort's slug.
    slug: String,
    /// A calibrated probability, 0 to 1.
    score: f64,
}

/// A known term near a text.
#[derive(SimpleObject)]
pub struct Nearest {
    /// The term.
    term: String,
    /// The name of the cohort whose example it is.
    cohort: String,
    /// Cosine, -1 to 1.
    similarity: f64,
}

impl From<Answer> for Classification {
    fn from(answer: Answer) -> Self {
        Self {
            text: answer.text,
            normalised: answer.normalised,
            repaired: answer.repaired,
            cohorts: answer.cohorts,
            scores: answer.scores.into_iter().map(CohortScore::from).collect(),
            nearest: answer.nearest.into_iter().map(Nearest::from).collect(),
        }
    }
}

impl From<ScoreView> for CohortScore {
    fn from(ScoreView { cohort, slug, score }: ScoreView) -> Self {
        Self {
            cohort,
            slug,
            score: rounded(score),
        }
    }
}

impl From<NearestView> for Nearest {
    fn from(
        NearestView {
            term,
            cohort,
            similarity,
        }: NearestView,
    ) -> Self {
        Self {
            term,
            cohort,
            similarity: rounded(similarity),
        }
    }
}
