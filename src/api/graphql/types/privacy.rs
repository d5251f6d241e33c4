//! Somebody who was erased.

use async_graphql::{ID, SimpleObject};

use crate::domain::Timestamp;
use crate::domain::erasure::Erased;
use crate::services::privacy::erasure::ErasureView;

/// How many records are gone.
#[derive(SimpleObject)]
pub struct ErasedRecords {
    /// Verbatim rows that were emptied.
    raw_rows: u64,
    /// Refused rows.
    rejects: u64,
    /// Cookies, with all that was observed under them.
    cookies: u64,
    /// Addresses.
    emails: u64,
    /// Edges between the two.
    links: u64,
    /// Profiles: theirs, and those that it had absorbed.
    profiles: u64,
    /// Merges, and decisions about who they are.
    judgements: u64,
    /// Links that a guard refused.
    conflicts: u64,
    /// Cohorts that they were in.
    cohorts: u64,
    /// Events of the feed that told of them.
    events: u64,
    /// Deliveries of webhooks that did.
    deliveries: u64,
}

/// Somebody who was erased.
#[derive(SimpleObject)]
pub struct Erasure {
    /// Its id.
    id: ID,
    /// The id that they had; null where nobody was known by the identifier.
    profile_id: Option<ID>,
    /// Why.
    reason: String,
    /// Who ordered it.
    by: String,
    /// What is gone so far.
    erased: ErasedRecords,
    /// What is looked for now; null once nothing is left.
    looking_for: Option<&'static str>,
    /// When they were erased.
    at: Timestamp,
    /// When nothing was left; null while it is looked for.
    finished_at: Option<Timestamp>,
}

impl From<Erased> for ErasedRecords {
    fn from(erased: Erased) -> Self {
        Self {
            raw_rows: erased.raw_rows,
            rejects: erased.rejects,
            cookies: erased.cookies,
            emails: erased.emails,
            links: erased.links,
            profiles: erased.profiles,
            judgements: erased.judgements,
            conflicts: erased.conflicts,
            cohorts: erased.cohorts,
            events: erased.events,
            deliveries: erased.deliveries,
        }
    }
}

impl From<ErasureView> for Erasure {
    fn from(view: ErasureView) -> Self {
        Self {
            id: view.id.into(),
            profile_id: view.profile_id.map(ID),
            reason: view.reason,
            by: view.by,
            erased: view.erased.into(),
            looking_for: view.looking_for,
            at: view.at,
            finished_at: view.finished_at,
        }
    }
}
