//! A [`Correction`] is what somebody said of one interest; a [`Backfill`] gives people the
//! memberships that follow from such a change.

use std::collections::BTreeSet;

use ulid::Ulid;

use super::Timestamp;
use super::cohort::CohortSlug;
use super::interest::InterestKey;
use super::profile::ProfileId;

/// An interest and where it belongs, whatever the model says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// The interest.
    pub interest: InterestKey,
    /// Its cohorts; none when it belongs nowhere.
    pub cohorts: BTreeSet<CohortSlug>,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Why memberships are made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// An interest was corrected, or is no more.
    Correction(InterestKey),
    /// Another model embeds, named by its identity.
    Model(String),
    /// A cohort was defined, changed or dropped.
    Cohort(CohortSlug),
}

impl Cause {
    /// A stable word for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Correction(_) => "correction",
            Self::Model(_) => "model",
            Self::Cohort(_) => "cohort",
        }
    }

    /// The interest, the model or the cohort.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Correction(interest) => interest.as_str(),
            Self::Model(identity) => identity,
            Self::Cohort(slug) => slug.as_str(),
        }
    }
}

/// A walk over all profiles, in the order of their ids, that can be broken off and carried on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backfill {
    /// Its own id.
    pub id: Ulid,
    /// Why.
    pub cause: Cause,
    /// Who brought it about.
    pub by: String,
    /// The first profile that it has not looked at.
    pub position: ProfileId,
    /// The first profile that it need not look at.
    pub until: ProfileId,
    /// How many people's memberships it changed.
    pub changed: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last got on.
    pub updated_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Backfill {
    /// One that has not begun, over the profiles before `until`.
    #[must_use]
    pub fn new(cause: Cause, by: &str, until: ProfileId, at: Timestamp) -> Self {
        Self {
            id: Ulid::new(),
            cause,
            by: by.to_owned(),
            position: ProfileId(0),
            until,
            changed: 0,
            started_at: at,
            updated_at: at,
            finished_at: None,
        }
    }

    /// How much of it is done, 0 to 1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        if self.finished_at.is_some() || self.until.0 == 0 {
            return 1.0;
        }
        f64::from(self.position.0.min(self.until.0)) / f64::from(self.until.0)
    }
}
