//! What became of who is who, as the APIs show it: merges, and what people decided.

use std::collections::BTreeSet;

use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;
use crate::domain::record::RawId;
use crate::store::decisions::{StoredDecision, StoredMerge};
use crate::store::{Store, StoreError};

/// Two profiles that turned out to be one person.
#[derive(Debug, Clone, PartialEq)]
pub struct MergeView {
    /// The merge's own id.
    pub id: String,
    /// The profile whose id stayed.
    pub survivor: String,
    /// The profile whose id leads to the survivor since.
    pub absorbed: String,
    /// The cookies that came with the absorbed profile.
    pub cookies: Vec<String>,
    /// The addresses that came with it.
    pub emails: Vec<String>,
    /// The address of the row that tied the two.
    pub raw: String,
    /// Who sent that row.
    pub source: Option<String>,
    /// By which policy.
    pub policy: &'static str,
    /// When, by the clock of arrival.
    pub at: Timestamp,
    /// Who undid it, if somebody did.
    pub undone_by: Option<String>,
    /// When.
    pub undone_at: Option<Timestamp>,
}

/// A cookie and an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkView {
    /// The cookie.
    pub cookie: String,
    /// The address.
    pub email: String,
}

/// What somebody decided about who is who.
#[derive(Debug, Clone, PartialEq)]
pub struct DecisionView {
    /// Its own id.
    pub id: String,
    /// `undo`, `cut`, `allow` or `keep_apart`.
    pub kind: &'static str,
    /// The merge or conflict that was judged, if one was.
    pub subject: Option<String>,
    /// The profiles that it touched.
    pub profiles: Vec<String>,
    /// The links that it cut or made.
    pub links: Vec<LinkView>,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl From<(Cookie, Email)> for LinkView {
    fn from((cookie, email): (Cookie, Email)) -> Self {
        Self {
            cookie: cookie.to_string(),
            email: email.to_string(),
        }
    }
}

impl From<StoredDecision> for DecisionView {
    fn from(stored: StoredDecision) -> Self {
        let decision = stored.decision;
        Self {
            id: stored.id,
            kind: decision.kind.name(),
            subject: decision.kind.subject().map(str::to_owned),
            profiles: decision.profiles.iter().map(ProfileId::to_string).collect(),
            links: decision.links.into_iter().map(LinkView::from).collect(),
            by: decision.by,
            at: stored.at,
        }
    }
}

impl MergeView {
    fn of(merge: StoredMerge, source: Option<String>) -> Self {
        let (undone_by, undone_at) = merge.undone.unzip();
        Self {
            id: merge.id,
            survivor: merge.survivor.to_string(),
            absorbed: merge.absorbed.to_string(),
            cookies: merge.cookies.iter().map(Cookie::to_string).collect(),
            emails: merge.emails.iter().map(Email::to_string).collect(),
            raw: merge.raw.to_string(),
            source,
            policy: merge.policy.name(),
            at: merge.at,
            undone_by,
            undone_at,
        }
    }
}

/// Shows merges, with who sent the row that is to blame for each.
pub(super) async fn merges(store: &Store, merges: Vec<StoredMerge>) -> Result<Vec<MergeView>, StoreError> {
    let origins = store
        .raw_origins(&blocks(merges.iter().map(|merge| merge.raw)))
        .await?;
    let show = |merge: StoredMerge| {
        let source = origins
            .get(&merge.raw.block)
            .map(|arrival| arrival.source.clone());
        MergeView::of(merge, source)
    };
    Ok(merges.into_iter().map(show).collect())
}

/// The blocks that rows lie in.
pub(super) fn blocks(rows: impl Iterator<Item = RawId>) -> BTreeSet<Ulid> {
    rows.map(|row| row.block).collect()
}
