//! Profile, scores → memberships. Pure: no clock, no model, no store.
//!
//! [`interests`] weighs what a person cares about into a score per cohort, [`rules`] asks what
//! people have written about them; [`membership`] compares before and after.

pub mod interests;
pub mod membership;
pub mod rules;

use crate::domain::Timestamp;
use crate::domain::cohort::{Cohort, Membership};
use crate::domain::profile::Profile;
use interests::ScoresOf;
use rules::RuleSet;

/// What segmentation goes by.
pub struct Segments<'a> {
    /// The cohorts by interest.
    pub cohorts: &'a [Cohort],
    /// The cohorts by rule.
    pub rules: &'a RuleSet,
    /// What interests mean.
    pub scores: ScoresOf<'a>,
}

/// Where a person belongs, and until when at least.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmented {
    /// The cohorts: those by interest best first, then those by rule.
    pub memberships: Vec<Membership>,
    /// When time alone may change that.
    pub due: Option<Timestamp>,
}

/// Where a person belongs now. Who was in a cohort `before` keeps the time of entry.
pub fn segment(
    profile: &Profile,
    email: Option<&str>,
    before: &[Membership],
    segments: &Segments<'_>,
    now: Timestamp,
) -> Segmented {
    let mut memberships =
        interests::memberships(&profile.facet, segments.scores, segments.cohorts, before, now);
    let due = segments
        .rules
        .add_memberships(profile, email, &mut memberships, before, now);
    Segmented { memberships, due }
}
