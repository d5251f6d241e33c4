//! `GET /api/audit`: who did what.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use crate::api::error::ApiError;
use crate::api::guard::MayAudit;
use crate::domain::Timestamp;
use crate::domain::audit::Entry;
use crate::services::Services;
use crate::services::audit::{Asked, PAGE_DEFAULT, Page};

/// Who did what.
pub struct AuditApi;

/// What a call was about.
#[derive(Object)]
pub struct SubjectBody {
    /// `cookie`, `email`, `user`, `path`, or the argument's name.
    kind: String,
    /// The pseudonym of a cookie, an address, or a name by which somebody tried to log in; anything
    /// else as it was given.
    value: String,
}

/// A call.
#[derive(Object)]
pub struct AuditEntryBody {
    /// When it was answered.
    at: Timestamp,
    /// Who called; empty for an attempt to log in that failed.
    caller: String,
    /// Their role.
    role: String,
    /// `rest` or `graphql`.
    door: String,
    /// The operation of this description, or the root and field of the GraphQL schema.
    action: String,
    /// About whom or what.
    subjects: Vec<SubjectBody>,
    /// The status of the answer; 499 when whoever asked went away before it, 101 for a
    /// subscription that began.
    status: u16,
    /// The request's id.
    request_id: String,
    /// The address from which it came.
    address: String,
}

/// A page of calls, the newest first.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct AuditBody {
    /// The calls.
    entries: Vec<AuditEntryBody>,
    /// Give it as `until` to get what is older.
    next_until: Option<Timestamp>,
}

impl From<Entry> for AuditEntryBody {
    fn from(entry: Entry) -> Self {
        let subjects = entry.subjects.into_iter();
        Self {
            at: entry.at,
            caller: entry.caller,
            role: entry.role,
            door: entry.door.name().to_owned(),
            action: entry.action,
            subjects: subjects
                .map(|subject| SubjectBody {
                    kind: subject.kind,
                    value: subject.value,
                })
                .collect(),
            status: entry.status,
            request_id: entry.request_id,
            address: entry.address,
        }
    }
}

impl From<Page> for AuditBody {
    fn from(page: Page) -> Self {
        Self {
            entries: page.entries.into_iter().map(AuditEntryBody::from).collect(),
            next_until: page.next,
        }
    }
}

#[OpenApi]
impl AuditApi {
    /// Who read, changed, exported or erased what
    ///
    /// The newest first. Nobody's cookie or address stands in it: ask with one, and it is looked
    /// for by its pseudonym.
    #[oai(path = "/audit", method = "get", tag = "Tag::Auth", operation_id = "auditLog")]
    #[expect(clippy::too_many_arguments, reason = "one for each argument of the route")]
    async fn audit_log(
        &self,
        _caller: MayAudit,
        services: Data<&Arc<Services>>,
        /// The name of who called, or by which somebody tried to log in.
        user: Query<Option<String>>,
        /// What was asked for, for example `getUser` or `Query.profile`.
        action: Query<Option<String>>,
        /// A cookie about which was asked.
        cookie: Query<Option<String>>,
        /// An address about which was asked.
        email: Query<Option<String>>,
        /// From when on.
        from: Query<Option<Timestamp>>,
        /// Before when.
        until: Query<Option<Timestamp>>,
        /// How many entries a page holds; a few more where calls were answered at one moment.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<AuditBody>, ApiError> {
        let asked = Asked {
            user: user.0,
            action: action.0,
            cookie: cookie.0,
            email: email.0,
            from: from.0,
            until: until.0,
        };
        let page = services.audit.find(&asked, limit.0).await?;
        Ok(Json(page.into()))
    }
}

const fn default_limit() -> u32 {
    PAGE_DEFAULT
}
