//! What one commit did, told to whoever follows the store: cohort bitmaps today,
//! the search index and webhooks later.

use super::cohort::CohortSlug;
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
