//! What happens to people, as subscriptions tell it and pages list it.

use async_graphql::{Enum, ID, SimpleObject};

use crate::domain::Timestamp;
use crate::services::activation::changes;
use crate::services::activation::view::{ChangeView, CohortName};

/// A cohort's names.
#[derive(SimpleObject)]
pub struct CohortRef {
    /// The key, for example `food-drink`.
    slug: String,
    /// The name to show, for example `Food & Drink`.
    name: String,
}

/// Somebody entered or left a cohort.
#[derive(SimpleObject)]
pub struct CohortChange {
    /// Its place in the feed: give it as `after` to get what follows.
    cursor: String,
    /// When.
    at: Timestamp,
    /// The cohort.
    cohort: CohortRef,
    /// Who.
    profile_id: ID,
    /// Whether they entered, else left.
    entered: bool,
    /// What says so, or of somebody who left, what had said so: for a cohort by interests, the
    /// interests.
    reason: Vec<String>,
}

/// Somebody was found to be somebody else.
#[derive(SimpleObject)]
pub struct ProfileMerge {
    /// Its place in the feed: give it as `after` to get what follows.
    cursor: String,
    /// When.
    at: Timestamp,
    /// Whose id leads elsewhere from then on.
    absorbed: ID,
    /// Where it leads.
    survivor: ID,
}

/// Somebody was erased.
#[derive(SimpleObject)]
pub struct ProfileDeletion {
    /// Its place in the feed: give it as `after` to get what follows.
    cursor: String,
    /// When.
    at: Timestamp,
    /// Who.
    profile_id: ID,
}

/// Somebody came to be, or changed.
#[derive(SimpleObject)]
pub struct ProfileChange {
    /// Its place in the feed: give it as `after` to get what follows.
    cursor: String,
    /// When.
    at: Timestamp,
    /// Who.
    profile_id: ID,
    /// Their revision from then on.
    rev: u32,
    /// Whether they came to be.
    created: bool,
}

/// What happened to somebody; ids only.
#[derive(SimpleObject)]
pub struct Change {
    /// Its place in the feed: give it as `after` to get what follows.
    cursor: String,
    /// What happened.
    kind: Option<ChangeKind>,
    /// When.
    at: Timestamp,
    /// To whom.
    profile_id: ID,
    /// The revision of somebody who changed.
    rev: Option<u32>,
    /// Whether somebody who changed came to be.
    created: Option<bool>,
    /// To whom the id of somebody leads who was merged.
    merged_into: Option<ID>,
    /// The cohort that was entered or left.
    cohort: Option<CohortRef>,
    /// What says so, or of somebody who left, what had said so: for a cohort by interests, the
    /// interests.
    reason: Vec<String>,
}

/// A page of changes, in the order in which they happened.
#[derive(SimpleObject)]
pub struct ChangePage {
    /// The changes.
    #[graphql(complexity = "child_complexity")]
    changes: Vec<Change>,
    /// The `after` of the next page, now or later.
    #[graphql(complexity = 0)]
    next_cursor: String,
    /// Whether there is more by now.
    #[graphql(complexity = 0)]
    has_more: bool,
}

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ChangeKind {
    /// Somebody came to be, or changed.
    ProfileChanged,
    /// Somebody was found to be somebody else.
    ProfileMerged,
    /// Somebody entered a cohort.
    CohortEntered,
    /// Somebody left a cohort.
    CohortLeft,
    /// Somebody was erased: whoever was told of them forgets them.
    ProfileDeleted,
}

impl ChangeKind {
    /// Its name, as the other skins have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProfileChanged => "profile.changed",
            Self::ProfileMerged => "profile.merged",
            Self::CohortEntered => "cohort.entered",
            Self::CohortLeft => "cohort.left",
            Self::ProfileDeleted => "profile.deleted",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            Self::ProfileChanged,
            Self::ProfileMerged,
            Self::CohortEntered,
            Self::CohortLeft,
            Self::ProfileDeleted,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }
}

impl From<CohortName> for CohortRef {
    fn from(cohort: CohortName) -> Self {
        Self {
            slug: cohort.slug,
            name: cohort.name,
        }
    }
}

impl From<ChangeView> for Change {
    fn from(view: ChangeView) -> Self {
        Self {
            cursor: view.cursor,
            kind: ChangeKind::named(view.kind),
            at: view.at,
            profile_id: view.profile_id.into(),
            rev: view.rev,
            created: view.created,
            merged_into: view.merged_into.map(ID::from),
            cohort: view.cohort.map(CohortRef::from),
            reason: view.reason,
        }
    }
}

impl From<changes::ChangePage> for ChangePage {
    fn from(page: changes::ChangePage) -> Self {
        Self {
            changes: page.changes.into_iter().map(Change::from).collect(),
            next_cursor: page.next_cursor,
            has_more: page.has_more,
        }
    }
}

impl CohortChange {
    /// A change, if it is one of this kind.
    #[must_use]
    pub fn of(view: ChangeView) -> Option<Self> {
        Some(Self {
            cohort: view.cohort?.into(),
            cursor: view.cursor,
            at: view.at,
            profile_id: view.profile_id.into(),
            entered: view.kind == ChangeKind::CohortEntered.name(),
            reason: view.reason,
        })
    }
}

impl ProfileMerge {
    /// A change, if it is one of this kind.
    #[must_use]
    pub fn of(view: ChangeView) -> Option<Self> {
        Some(Self {
            survivor: view.merged_into?.into(),
            cursor: view.cursor,
            at: view.at,
            absorbed: view.profile_id.into(),
        })
    }
}

impl ProfileDeletion {
    /// A change, if it is one of this kind.
    #[must_use]
    pub fn of(view: ChangeView) -> Option<Self> {
        (view.kind == ChangeKind::ProfileDeleted.name()).then(|| Self {
            cursor: view.cursor,
            at: view.at,
            profile_id: view.profile_id.into(),
        })
    }
}

impl ProfileChange {
    /// A change, if it is one of this kind.
    #[must_use]
    pub fn of(view: ChangeView) -> Option<Self> {
        Some(Self {
            rev: view.rev?,
            created: view.created?,
            cursor: view.cursor,
            at: view.at,
            profile_id: view.profile_id.into(),
        })
    }
}
