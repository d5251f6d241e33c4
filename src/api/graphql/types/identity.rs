//! Why somebody is one person, down to the rows that say so.

use async_graphql::{ID, SimpleObject};

use crate::domain::Timestamp;
use crate::services::explain::IdentityGraph as View;

/// One person's part of the identity graph.
#[derive(SimpleObject)]
pub struct IdentityGraph {
    /// The profile's id.
    id: ID,
    /// The cookies.
    cookies: Vec<String>,
    /// The addresses.
    emails: Vec<String>,
    /// Which cookie was seen with which address.
    edges: Vec<IdentityEdge>,
    /// The merges that made this profile, oldest first.
    merges: Vec<Merge>,
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
    /// The address of the row that tied the two, for `rawRow`.
    raw: String,
    /// By which policy.
    policy: String,
    /// When, by the clock of arrival.
    at: Timestamp,
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
        let edges = view.edges.into_iter().map(|edge| IdentityEdge {
            cookie: edge.cookie.to_string(),
            email: edge.email.to_string(),
            raw: edge.raw.to_string(),
            at: edge.at,
        });
        let merges = view.merges.into_iter().map(|merge| Merge {
            id: merge.id.into(),
            survivor: ID(merge.survivor.to_string()),
            absorbed: ID(merge.absorbed.to_string()),
            raw: merge.raw,
            policy: merge.policy,
            at: merge.at,
        });
        Self {
            id: view.id.into(),
            cookies: view.cookies,
            emails: view.emails,
            edges: edges.collect(),
            merges: merges.collect(),
        }
    }
}
