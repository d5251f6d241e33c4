//! What one commit did, told to whoever follows the store: the rosters of cohorts, and by the
//! feed ([`super::feed`]) everybody outside.

use super::cohort::{CohortSlug, Reason};
use super::profile::ProfileId;

/// Someone entered or left a cohort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The cohort.
    pub cohort: CohortSlug,
    /// Who.
    pub profile: ProfileId,
    /// Whether they entered, else left.
    pub entered: bool,
    /// What says so; of somebody who left, what had said so.
    pub why: Option<Reason>,
}

/// What one commit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Profiles that came to be.
    pub created: Vec<ProfileId>,
    /// Profiles that were absorbed by others.
    pub absorbed: Vec<ProfileId>,
    /// Who entered or left which cohort.
    pub transitions: Vec<Transition>,
}
