//! A change as it is shown: ids and the names of cohorts, and nothing about the person.

use crate::domain::Timestamp;
use crate::domain::feed::{Event, Happening};
use crate::services::cohorts::Names;

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeView {
    /// Its place in the feed: give it to get what follows.
    pub cursor: String,
    /// `profile.changed`, `profile.merged`, `profile.deleted`, `cohort.entered` or `cohort.left`.
    pub kind: &'static str,
    /// When, by the clock of arrival.
    pub at: Timestamp,
    /// To whom it happened.
    pub profile_id: String,
    /// The revision of somebody who changed.
    pub rev: Option<u32>,
    /// Whether somebody who changed came to be.
    pub created: Option<bool>,
    /// To whom the id of somebody leads who was merged.
    pub merged_into: Option<String>,
    /// The cohort that was entered or left.
    pub cohort: Option<CohortName>,
    /// What says so, or of somebody who left, what had said so.
    pub reason: Vec<String>,
}

/// What a cohort is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortName {
    /// The key.
    pub slug: String,
    /// The name to show.
    pub name: String,
}

impl ChangeView {
    pub(in crate::services) fn of(event: &Event, names: &Names) -> Self {
        let happening = &event.happening;
        let mut view = Self {
            cursor: event.cursor.to_string(),
            kind: happening.kind().name(),
            at: event.at,
            profile_id: happening.profile().to_string(),
            rev: None,
            created: None,
            merged_into: None,
            cohort: happening.cohort().map(|slug| CohortName {
                slug: slug.to_string(),
                name: names.name(slug).to_owned(),
            }),
            reason: Vec::new(),
        };
        match happening {
            Happening::Changed { rev, is_new, .. } => {
                view.rev = Some(*rev);
                view.created = Some(*is_new);
            }
            Happening::Deleted { .. } => {}
            Happening::Merged { survivor, .. } => view.merged_into = Some(survivor.to_string()),
            Happening::Moved { cohort, why, .. } => {
                view.reason = why
                    .as_ref()
                    .map(|why| names.reason_of(cohort, why))
                    .unwrap_or_default();
            }
        }
        view
    }
}
