//! What is counted as it happens, by the hour: people, cohorts, sources and findings. A
//! [`Tally`] is a sum, so those of commits are added up in any order.

use std::collections::BTreeMap;

use super::cohort::CohortSlug;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// All people.
    People,
    /// The members of a cohort.
    Cohort(CohortSlug),
    /// What one source has sent.
    Source(String),
    /// What was wrong with records: `field.code`.
    Finding(String),
}

impl Subject {
    /// A stable word for its kind.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Cohort(_) => "cohort",
            Self::Source(_) => "source",
            Self::Finding(_) => "finding",
        }
    }

    /// Which one of its kind; empty where there is only one.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::People => "",
            Self::Cohort(slug) => slug.as_str(),
            Self::Source(name) | Self::Finding(name) => name,
        }
    }
}

/// What was counted of one subject. What does not fit a subject stays 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// By how much the number of people grew, or shrank: of all, or of those that a source has
    /// sent something of.
    pub people: i64,
    /// Profiles that came to be.
    pub created: i64,
    /// Profiles that were written, and were there.
    pub changed: i64,
    /// Profiles that were absorbed.
    pub merged: i64,
    /// People who entered a cohort.
    pub entered: i64,
    /// People who left it.
    pub left: i64,
    /// Records that were accepted.
    pub accepted: i64,
    /// Records that were refused.
    pub rejected: i64,
    /// Records that had come before.
    pub duplicates: i64,
    /// Records with a finding.
    pub found: i64,
}

impl Counts {
    /// Both counts as one.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            people: self.people + other.people,
            created: self.created + other.created,
            changed: self.changed + other.changed,
            merged: self.merged + other.merged,
            entered: self.entered + other.entered,
            left: self.left + other.left,
            accepted: self.accepted + other.accepted,
            rejected: self.rejected + other.rejected,
            duplicates: self.duplicates + other.duplicates,
            found: self.found + other.found,
        }
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

/// What was counted of each subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Subject, Counts>);

impl Tally {
    /// Counts more of a subject.
    pub fn add(&mut self, subject: Subject, counts: Counts) {
        if !counts.is_zero() {
            let known = self.0.entry(subject).or_default();
            *known = known.plus(counts);
        }
    }

    /// Each subject of which something was counted.
    pub fn iter(&self) -> impl Iterator<Item = (&Subject, Counts)> {
        let counted = self.0.iter().filter(|(_, counts)| !counts.is_zero());
        counted.map(|(subject, counts)| (subject, *counts))
    }

    /// What was counted of one.
    #[must_use]
    pub fn of(&self, subject: &Subject) -> Counts {
        self.0.get(subject).copied().unwrap_or_default()
    }
}
