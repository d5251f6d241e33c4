//! Merges, conflicts, and what people decided about them.

use async_graphql::{ID, SimpleObject};

use crate::domain::Timestamp;
use crate::services::history::{DecisionView, LinkView, MergeView};
use crate::services::judgement::{
    ConflictPage as ConflictsView, ConflictView, JudgedView, MergePage as MergesView,
};

/// A cookie and an address.
#[derive(SimpleObject)]
pub struct IdentityLink {
    /// The cookie.
    cookie: String,
    /// The address.
    email: String,
}

/// Two profiles that turned out to be one person.
#[derive(SimpleObject)]
pub struct Merge {
    /// The merge's own id.
    id: ID,
    /// The profile whose id stayed.
    survivor: ID,
    /// The profile whose id leads to the survivor since.
    absorbed: ID,
    /// The cookies that came with the absorbed profile.
    cookies: Vec<String>,
    /// The addresses that came with it.
    emails: Vec<String>,
    /// The address of the row that tied the two, for `rawRow`.
    raw: String,
    /// Who sent that row.
    source: Option<String>,
    /// By which policy it was read: `union` or `email_is_person`.
    policy: &'static str,
    /// When, by the clock of arrival.
    at: Timestamp,
    /// Who undid it; null while it stands.
    undone_by: Option<String>,
    /// When.
    undone_at: Option<Timestamp>,
}

/// A page of merges, latest first.
#[derive(SimpleObject)]
pub struct MergePage {
    /// The merges of this page.
    #[graphql(complexity = "child_complexity")]
    merges: Vec<Merge>,
    /// Give it as `before` to get the next page; null behind the last.
    #[graphql(complexity = 0)]
    next_cursor: Option<String>,
}

/// What somebody decided about who is who.
#[derive(SimpleObject)]
pub struct Decision {
    /// Its own id.
    id: ID,
    /// `undo`, `cut`, `allow` or `keep_apart`.
    kind: &'static str,
    /// The merge or conflict that was judged, if one was.
    subject: Option<ID>,
    /// The profiles that it touched.
    profiles: Vec<ID>,
    /// The links that it cut or made.
    links: Vec<IdentityLink>,
    /// Who decided.
    by: String,
    /// When.
    at: Timestamp,
}

/// Something that a guard refused.
#[derive(SimpleObject)]
pub struct Conflict {
    /// Its id.
    id: ID,
    /// `placeholder_cookie`, `placeholder_email`, `too_many_cookies` or `too_many_emails`.
    kind: &'static str,
    /// The cookie, if one was refused or is an end of the link.
    cookie: Option<String>,
    /// The address, likewise.
    email: Option<String>,
    /// The address of the first row that brought it, for `rawRow`.
    raw: String,
    /// The event time of that row.
    at: Timestamp,
    /// Who sent it.
    source: String,
    /// By which policy it was read.
    policy: &'static str,
    /// `open`, `allowed` or `kept_apart`.
    verdict: &'static str,
    /// Who judged it; null while it is open.
    judged_by: Option<String>,
    /// When.
    judged_at: Option<Timestamp>,
}

/// A page of conflicts, in the order of their times.
#[derive(SimpleObject)]
pub struct ConflictPage {
    /// The conflicts of this page.
    #[graphql(complexity = "child_complexity")]
    conflicts: Vec<Conflict>,
    /// Give it as `after` to get the next page; null behind the last.
    #[graphql(complexity = 0)]
    next_cursor: Option<String>,
}

/// What became of a judgement.
#[derive(SimpleObject)]
pub struct Judged {
    /// The profiles that it wrote: the parts, or the person that came to be.
    profiles: Vec<ID>,
    /// The links that it cut or made.
    links: Vec<IdentityLink>,
}

impl From<LinkView> for IdentityLink {
    fn from(LinkView { cookie, email }: LinkView) -> Self {
        Self { cookie, email }
    }
}

impl From<MergeView> for Merge {
    fn from(view: MergeView) -> Self {
        Self {
            id: view.id.into(),
            survivor: view.survivor.into(),
            absorbed: view.absorbed.into(),
            cookies: view.cookies,
            emails: view.emails,
            raw: view.raw,
            source: view.source,
            policy: view.policy,
            at: view.at,
            undone_by: view.undone_by,
            undone_at: view.undone_at,
        }
    }
}

impl From<MergesView> for MergePage {
    fn from(page: MergesView) -> Self {
        Self {
            merges: page.merges.into_iter().map(Merge::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

impl From<DecisionView> for Decision {
    fn from(view: DecisionView) -> Self {
        Self {
            id: view.id.into(),
            kind: view.kind,
            subject: view.subject.map(ID),
            profiles: view.profiles.into_iter().map(ID).collect(),
            links: view.links.into_iter().map(IdentityLink::from).collect(),
            by: view.by,
            at: view.at,
        }
    }
}

impl From<ConflictView> for Conflict {
    fn from(view: ConflictView) -> Self {
        Self {
            id: view.id.into(),
            kind: view.kind,
            cookie: view.cookie,
            email: view.email,
            raw: view.raw,
            at: view.at,
            source: view.source,
            policy: view.policy,
            verdict: view.verdict,
            judged_by: view.judged_by,
            judged_at: view.judged_at,
        }
    }
}

impl From<ConflictsView> for ConflictPage {
    fn from(page: ConflictsView) -> Self {
        Self {
            conflicts: page.conflicts.into_iter().map(Conflict::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

impl From<JudgedView> for Judged {
    fn from(view: JudgedView) -> Self {
        Self {
            profiles: view.profiles.into_iter().map(ID).collect(),
            links: view.links.into_iter().map(IdentityLink::from).collect(),
        }
    }
}
