//! An [`Interest`] is a text that a person was seen to care about; its [`InterestKey`]
//! is the form under which it is classified once, whoever has it.

use std::fmt;
use std::sync::Arc;

use super::cohort::CohortSlug;

/// The canonical form of an interest: what is compared, stored and classified.
/// Made by `ingest::normalise::interest`, the only door.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterestKey(Arc<str>);

impl InterestKey {
    /// Wraps a text that is already canonical.
    #[must_use]
    pub fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An interest as one record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The text as given, trimmed, for people to read.
    pub display: String,
}

/// A sentence embedding: unit length, as many numbers as the model is wide.
pub type Embedding = Arc<[f32]>;

/// How strongly one interest belongs to one cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The cohort.
    pub cohort: CohortSlug,
    /// A calibrated probability, 0 to 1.
    pub score: f32,
}

/// What the classifier found for one interest; stored, and reused for whoever has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifiedInterest {
    /// What was classified.
    pub key: InterestKey,
    /// The spelling that was classified in its place, where it looked misspelt.
    pub repaired: Option<String>,
    /// The embedding, from which a new cohort is scored without the model.
    pub embedding: Embedding,
    /// Every interest cohort's score, best first.
    pub scores: Arc<[Score]>,
    /// Which model and cohorts made these scores; others' scores are made anew.
    pub version: String,
}
