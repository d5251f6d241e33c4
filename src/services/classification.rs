//! Asks the classifier about texts that nobody needs to have.

use super::cohorts::NameBook;
use crate::classify::{Classifier, ClassifyError};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::interest::{ClassifiedInterest, InterestKey};
use crate::pipeline::{Pipeline, PipelineError};

/// The most texts that one request may ask about.
pub const TEXTS_MAX: usize = 1_000;

/// The longest text, in characters.
pub const TEXT_CHARS_MAX: usize = 1_000;

/// After how many seconds a request that the model had no place for may find one.
const BUSY_RETRY_AFTER_S: u64 = 1;

/// A cohort and how surely a text belongs to it.
#[derive(Debug, Clone)]
pub struct ScoreView {
    /// The cohort's name.
    pub cohort: String,
    /// The cohort's slug.
    pub slug: String,
    /// A calibrated probability, 0 to 1.
    pub score: f32,
}

/// A known term near a text.
#[derive(Debug, Clone)]
pub struct NearestView {
    /// The term.
    pub term: String,
    /// Whose example it is.
    pub cohort: String,
    /// Cosine, -1 to 1.
    pub similarity: f32,
}

/// What the classifier says of a text.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The text as asked.
    pub text: String,
    /// Its canonical form.
    pub normalised: String,
    /// The spelling that was classified in its place, if it looked misspelt.
    pub repaired: Option<String>,
    /// The cohorts that it belongs to, surest first; none is an answer.
    pub cohorts: Vec<String>,
    /// Every cohort's score, best first; all 0 for a text without letters.
    pub scores: Vec<ScoreView>,
    /// The example terms nearest to it, nearest first.
    pub nearest: Vec<NearestView>,
}

/// Asks the classifier.
pub struct Classification {
    pipeline: Pipeline,
    names: NameBook,
}

impl Classification {
    pub(super) const fn new(pipeline: Pipeline, names: NameBook) -> Self {
        Self { pipeline, names }
    }

    /// An answer for each text, in their order.
    ///
    /// # Errors
    /// Bad request for no texts, too many, or one that is too long; rate limited while too many
    /// wait for the model.
    pub async fn classify(&self, texts: &[String]) -> Result<Vec<Answer>, Error> {
        if texts.is_empty() || texts.len() > TEXTS_MAX {
            return Err(Error::bad_request(
                "texts",
                format!("give 1 to {TEXTS_MAX} texts"),
            ));
        }
        if texts.iter().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
            let message = format!("a text is longer than {TEXT_CHARS_MAX} characters");
            return Err(Error::bad_request("texts", message));
        }
        let keys: Vec<Option<InterestKey>> = texts.iter().map(|text| InterestKey::parse(text)).collect();
        let asked: Vec<InterestKey> = keys.iter().flatten().cloned().collect();
        let classifier = self.pipeline.scores().classifier();
        let mut judged = classifier
            .classify_soon(&asked)
            .await
            .map_err(refusal)?
            .into_iter();
        let answer = |(text, key): (&String, Option<InterestKey>)| match key.and_then(|_| judged.next()) {
            Some(one) => self.answer(text, &one, classifier),
            None => self.nothing(text, classifier),
        };
        Ok(texts.iter().zip(keys).map(answer).collect())
    }

    /// The answer for a text without letters: it belongs nowhere, for certain.
    fn nothing(&self, text: &str, classifier: &Classifier) -> Answer {
        let (names, cohorts) = (self.names.now(), classifier.cohorts());
        let scores = cohorts.iter().map(|cohort| ScoreView {
            cohort: names.name(&cohort.slug).to_owned(),
            slug: cohort.slug.to_string(),
            score: 0.0,
        });
        Answer {
            text: text.to_owned(),
            normalised: String::new(),
            repaired: None,
            cohorts: Vec::new(),
            scores: scores.collect(),
            nearest: Vec::new(),
        }
    }

    fn answer(&self, text: &str, interest: &ClassifiedInterest, classifier: &Classifier) -> Answer {
        let names = self.names.now();
        let assigned = classifier.assigned(&interest.scores);
        let scores = interest.scores.iter().map(|score| ScoreView {
            cohort: names.name(&score.cohort).to_owned(),
            slug: score.cohort.to_string(),
            score: score.score,
        });
        let explained = classifier.explain(interest);
        let nearest = explained.iter().map(|nearest| NearestView {
            term: nearest.term.clone(),
            cohort: names.name(&nearest.cohort).to_owned(),
            similarity: nearest.similarity,
        });
        Answer {
            text: text.to_owned(),
            normalised: interest.key.to_string(),
            repaired: interest.repaired.clone(),
            cohorts: assigned
                .iter()
                .map(|score| names.name(&score.cohort).to_owned())
                .collect(),
            scores: scores.collect(),
            nearest: nearest.collect(),
        }
    }
}

fn refusal(error: ClassifyError) -> Error {
    match error {
        ClassifyError::Busy => {
            let message = "too many requests wait for the model; try again in a moment";
            Error::new(ErrorCode::RateLimited, message).with_retry_after(BUSY_RETRY_AFTER_S)
        }
        error => PipelineError::from(error).into(),
    }
}
