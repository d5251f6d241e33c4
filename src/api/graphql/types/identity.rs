//! Why somebody is one person, down to the rows that say so.

use async_graphql::{ID, SimpleObject};

use super::judgement::{Decision, Merge};
use crate::domain::Timestamp;
use crate::services::explain::{
    CutView, EdgeView, FieldView, IdentityGraph as View, Kind, NodeView, SourcedView,
};

/// One person's part of the identity graph.
#[derive(SimpleObject)]
pub struct IdentityGraph {
    /// The profile's id.
    id: ID,
    /// The cookies.
    cookies: Vec<String>,
    /// The addresses.
    emails: Vec<String>,
    /// The cookies, first seen first, and then the addresses, primary first, each with its detail.
    identifiers: Vec<IdentityNode>,
    /// Which cookie was seen with which address.
    edges: Vec<IdentityEdge>,
    /// Who is kept apart from whom.
    cuts: Vec<IdentityCut>,
    /// The merges that made this profile, and those that were undone, oldest first.
    merges: Vec<Merge>,
    /// What people decided about it, oldest first.
    decisions: Vec<Decision>,
}

/// An identifier of a person.
#[derive(SimpleObject)]
pub struct IdentityNode {
    /// `cookie` or `email`.
    kind: &'static str,
    /// The identifier itself.
    value: String,
    /// When its first event happened.
    first_seen: Timestamp,
    /// When its last event happened.
    last_seen: Timestamp,
    /// Whether it is the cookie or the address that stands for the person.
    primary: bool,
}

/// A cookie that was seen with an address.
#[derive(SimpleObject)]
pub struct IdentityEdge {
    /// The cookie.
    cookie: String,
    /// The address.
    email: String,
    /// The address of the first row that has both, for `rawRow`.
    raw: String,
    /// The event time of that row.
    at: Timestamp,
    /// Who sent that row.
    source: Option<String>,
    /// By which policy it was read: `union` or `email_is_person`.
    policy: &'static str,
    /// Whether it makes the two one person today.
    ties: bool,
}

/// A cookie that is kept apart from an address.
#[derive(SimpleObject)]
pub struct IdentityCut {
    /// The cookie.
    cookie: String,
    /// The address.
    email: String,
    /// Evidence up to this moment does not tie the two; null when none counts, ever.
    until: Option<Timestamp>,
}

/// Where the values of one field come from.
#[derive(SimpleObject)]
pub struct FieldProvenance {
    /// The field, for example `location.city`.
    field: &'static str,
    /// The value that survived.
    survivor: SourcedStatement,
    /// The values that lost to it, latest first: the latest few.
    lost: Vec<SourcedStatement>,
}

/// A value, and the row that states it.
#[derive(SimpleObject)]
pub struct SourcedStatement {
    /// The value.
    value: String,
    /// The latest event time at which it was stated.
    at: Timestamp,
    /// The address of the row that states it, for `rawRow`.
    raw: String,
    /// Who sent that row.
    source: Option<String>,
    /// When that row arrived.
    received_at: Option<Timestamp>,
    /// The cookie of that row; null where it is of an address alone.
    cookie: Option<String>,
}

/// A row exactly as it arrived.
#[derive(SimpleObject)]
pub struct RawRow {
    /// The row's address.
    pub id: String,
    /// Who sent it.
    pub source: String,
    /// The batch that brought it.
    pub batch: ID,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its number within the batch, from 1; a CSV header is not counted.
    pub number: u64,
    /// The line of the payload where it begins, from 1.
    pub line: u64,
    /// Its own bytes as text.
    pub verbatim: String,
}

impl From<View> for IdentityGraph {
    fn from(view: View) -> Self {
        let values = |kind: Kind| {
            let nodes = view.identifiers.iter().filter(move |node| node.kind == kind);
            nodes.map(|node| node.value.clone()).collect()
        };
        Self {
            id: view.id.into(),
            cookies: values(Kind::Cookie),
            emails: values(Kind::Email),
            identifiers: view.identifiers.into_iter().map(IdentityNode::from).collect(),
            edges: view.edges.into_iter().map(IdentityEdge::from).collect(),
            cuts: view.cuts.into_iter().map(IdentityCut::from).collect(),
            merges: view.merges.into_iter().map(Merge::from).collect(),
            decisions: view.decisions.into_iter().map(Decision::from).collect(),
        }
    }
}

impl From<NodeView> for IdentityNode {
    fn from(view: NodeView) -> Self {
        Self {
            kind: view.kind.name(),
            value: view.value,
            first_seen: view.first_seen,
            last_seen: view.last_seen,
            primary: view.primary,
        }
    }
}

impl From<EdgeView> for IdentityEdge {
    fn from(view: EdgeView) -> Self {
        Self {
            cookie: view.cookie,
            email: view.email,
            raw: view.raw,
            at: view.at,
            source: view.source,
            policy: view.policy,
            ties: view.ties,
        }
    }
}

impl From<CutView> for IdentityCut {
    fn from(view: CutView) -> Self {
        Self {
            cookie: view.cookie,
            email: view.email,
            until: view.until,
        }
    }
}

impl From<FieldView> for FieldProvenance {
    fn from(view: FieldView) -> Self {
        Self {
            field: view.field,
            survivor: view.survivor.into(),
            lost: view.lost.into_iter().map(SourcedStatement::from).collect(),
        }
    }
}

impl From<SourcedView> for SourcedStatement {
    fn from(view: SourcedView) -> Self {
        Self {
            value: view.value,
            at: view.at,
            raw: view.raw,
            source: view.source,
            received_at: view.received_at,
            cookie: view.cookie,
        }
    }
}
