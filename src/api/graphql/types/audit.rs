//! Who did what.

use async_graphql::SimpleObject;

use crate::domain::Timestamp;
use crate::domain::audit::{Entry, Subject};
use crate::services::audit::Page;

/// What a call was about.
#[derive(SimpleObject)]
pub struct AuditSubject {
    /// `cookie`, `email`, `user`, `path`, or the argument's name.
    kind: String,
    /// The pseudonym of a cookie, an address, or a name by which somebody tried to log in;
    /// anything else as it was given.
    value: String,
}

/// A call.
#[derive(SimpleObject)]
pub struct AuditEntry {
    /// When it was answered.
    at: Timestamp,
    /// Who called; empty for an attempt to log in that failed.
    caller: String,
    /// Their role.
    role: String,
    /// `rest` or `graphql`.
    door: &'static str,
    /// The operation of the REST description, or the root and field of this schema.
    action: String,
    /// About whom or what.
    subjects: Vec<AuditSubject>,
    /// The status of the answer; 499 when whoever asked went away before it, 101 for a
    /// subscription that began.
    status: u16,
    /// The request's id.
    request_id: String,
    /// The address from which it came.
    address: String,
}

/// A page of calls, the newest first.
#[derive(SimpleObject)]
pub struct AuditLog {
    /// The calls.
    entries: Vec<AuditEntry>,
    /// Give it as `until` to get what is older.
    next_until: Option<Timestamp>,
}

impl From<Page> for AuditLog {
    fn from(page: Page) -> Self {
        Self {
            entries: page.entries.into_iter().map(AuditEntry::from).collect(),
            next_until: page.next,
        }
    }
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        let subject = |Subject { kind, value }| AuditSubject { kind, value };
        Self {
            at: entry.at,
            caller: entry.caller,
            role: entry.role,
            door: entry.door.name(),
            action: entry.action,
            subjects: entry.subjects.into_iter().map(subject).collect(),
            status: entry.status,
            request_id: entry.request_id,
            address: entry.address,
        }
    }
}
