//! `/api/profiles/{id}`: why somebody is one person, where their values come from, what happened
//! to them, and cutting links that are wrong.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::body::Body;
use super::judgement::{DecisionBody, JudgedBody, MergeBody};
use crate::api::error::ApiError;
use crate::api::guard::{MayJudge, MayRead};
use crate::domain::Timestamp;
use crate::services::Services;
use crate::services::explain::{CutView, EdgeView, FieldView, IdentityGraph, NodeView, SourcedView};
use crate::services::timeline::{Entry, Event, Page, RecordView};

/// Explaining people.
pub struct ProfilesApi;

/// An identifier.
#[derive(Object)]
pub struct NodeBody {
    /// `cookie` or `email`.
    kind: String,
    /// The identifier itself.
    value: String,
    /// Its first event.
    first_seen: Timestamp,
    /// Its last event.
    last_seen: Timestamp,
    /// Whether it is the cookie or the address that stands for the person.
    primary: bool,
}

/// A cookie that was seen with an address.
#[derive(Object)]
pub struct EdgeBody {
    /// The cookie.
    cookie: String,
    /// The address.
    email: String,
    /// The address of the row that proves it.
    raw: String,
    /// The event time of that row.
    at: Timestamp,
    /// Who sent that row.
    source: Option<String>,
    /// By which policy it was read: `union` or `email_is_person`.
    policy: String,
    /// Whether it makes the two one person today.
    ties: bool,
}

/// A cookie that is kept apart from an address.
#[derive(Object)]
pub struct CutBody {
    /// The cookie.
    cookie: String,
    /// The address.
    email: String,
    /// Evidence up to this moment does not tie the two; null when none counts, ever.
    until: Option<Timestamp>,
}

/// One person's part of the identity graph.
#[derive(Object)]
pub struct GraphBody {
    /// The profile's id.
    id: String,
    /// The cookies, first seen first, and then the addresses, primary first.
    identifiers: Vec<NodeBody>,
    /// Which cookie was seen with which address.
    edges: Vec<EdgeBody>,
    /// Who is kept apart from whom.
    cuts: Vec<CutBody>,
    /// The merges that made this profile, and those that were undone, oldest first.
    merges: Vec<MergeBody>,
    /// What people decided about it, oldest first.
    decisions: Vec<DecisionBody>,
}

/// A value, and the row that states it.
#[derive(Object)]
pub struct SourcedBody {
    /// The value.
    value: String,
    /// The latest event time at which it was stated.
    at: Timestamp,
    /// The address of the verbatim row that states it.
    raw: String,
    /// Who sent that row.
    source: Option<String>,
    /// When that row arrived.
    received_at: Option<Timestamp>,
    /// The cookie of that row; null where it is of an address alone.
    cookie: Option<String>,
}

/// Where the values of one field come from.
#[derive(Object)]
pub struct FieldBody {
    /// The field, for example `location.city`.
    field: String,
    /// The value that survived.
    survivor: SourcedBody,
    /// The values that lost to it, latest first: the latest few.
    lost: Vec<SourcedBody>,
}

/// Where a person's values come from.
#[derive(Object)]
pub struct ProvenanceBody {
    /// The fields that have a value.
    fields: Vec<FieldBody>,
}

/// A record as it arrived.
#[derive(Object)]
pub struct RecordBody {
    /// The row's address.
    raw: String,
    /// The cookie that it is of.
    cookie: String,
    /// Who sent it.
    source: String,
    /// The batch that brought it.
    batch_id: String,
    /// When the batch arrived.
    received_at: Timestamp,
    /// The row's number within the batch, from 1; a CSV header is not counted.
    row: u64,
    /// The line of the payload where it begins, from 1.
    line: u64,
    /// Its own bytes as text.
    verbatim: String,
}

/// Something that happened: one of `record`, `merge` and `decision` says what.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct EntryBody {
    /// `record`, `merge`, or what was decided: `undo`, `cut`, `allow` or `keep_apart`.
    kind: String,
    /// Give it as `before` to get what was earlier.
    cursor: String,
    /// When, by the clock of arrival.
    at: Timestamp,
    /// The record that arrived.
    record: Option<RecordBody>,
    /// The profiles that became one.
    merge: Option<MergeBody>,
    /// What somebody decided.
    decision: Option<DecisionBody>,
}

/// A page of a timeline.
#[derive(Object)]
pub struct TimelineBody {
    /// The entries, latest first.
    entries: Vec<EntryBody>,
    /// Give it as `before` to get the next page; null behind the last.
    next_cursor: Option<String>,
}

/// Which links to cut: with both, the one between the two; with one, all of its links.
#[derive(Object)]
pub struct CutRequest {
    /// A cookie of the person.
    cookie: Option<String>,
    /// An address of the person.
    email: Option<String>,
}

#[OpenApi]
impl ProfilesApi {
    /// Why somebody is one person
    ///
    /// Which row tied each cookie to each address, which profiles merged, what was cut and by
    /// whom. An id from before a merge leads to the profile of today.
    #[oai(
        path = "/profiles/:id/graph",
        method = "get",
        tag = "Tag::Identity",
        operation_id = "identityGraph"
    )]
    async fn graph(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The profile's id.
        id: Path<String>,
    ) -> Result<Json<GraphBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let graph = services.explain.identity_graph(&services, &id.0, sight).await?;
        Ok(Json(graph.into()))
    }

    /// All that arrived of somebody and was decided about them, latest first
    ///
    /// Records are those of the cookies and addresses that are the person's today.
    #[oai(
        path = "/profiles/:id/timeline",
        method = "get",
        tag = "Tag::Identity",
        operation_id = "timeline"
    )]
    async fn timeline(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The profile's id.
        id: Path<String>,
        /// Only what was before this; the `next_cursor` of the page before.
        before: Query<Option<String>>,
        /// How many entries a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "200")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<TimelineBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let page = services
            .timeline
            .page(&services, &id.0, before.0.as_deref(), limit.0, sight)
            .await?;
        Ok(Json(page.into()))
    }

    /// Where each value of somebody comes from
    #[oai(
        path = "/profiles/:id/provenance",
        method = "get",
        tag = "Tag::Identity",
        operation_id = "provenance"
    )]
    async fn provenance(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The profile's id.
        id: Path<String>,
    ) -> Result<Json<ProvenanceBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let fields = services.explain.provenance(&services, &id.0, sight).await?;
        Ok(Json(ProvenanceBody {
            fields: fields.into_iter().map(FieldBody::from).collect(),
        }))
    }

    /// Cut links that are wrong
    ///
    /// The evidence that tied the two counts no more; later evidence does. Each part is folded
    /// from what is its own.
    #[oai(
        path = "/profiles/:id/cut",
        method = "post",
        tag = "Tag::Identity",
        operation_id = "cut"
    )]
    async fn cut(
        &self,
        caller: MayJudge,
        services: Data<&Arc<Services>>,
        /// The profile's id.
        id: Path<String>,
        request: Body<CutRequest>,
    ) -> Result<Json<JudgedBody>, ApiError> {
        let CutRequest { cookie, email } = request.0;
        let judged = services
            .judgement
            .cut(&id.0, cookie.as_deref(), email.as_deref(), &caller.0.name)
            .await?;
        Ok(Json(judged.into()))
    }
}

const fn default_limit() -> u32 {
    50
}

impl From<NodeView> for NodeBody {
    fn from(view: NodeView) -> Self {
        Self {
            kind: view.kind.name().to_owned(),
            value: view.value,
            first_seen: view.first_seen,
            last_seen: view.last_seen,
            primary: view.primary,
        }
    }
}

impl From<EdgeView> for EdgeBody {
    fn from(view: EdgeView) -> Self {
        Self {
            cookie: view.cookie,
            email: view.email,
            raw: view.raw,
            at: view.at,
            source: view.source,
            policy: view.policy.to_owned(),
            ties: view.ties,
        }
    }
}

impl From<CutView> for CutBody {
    fn from(view: CutView) -> Self {
        Self {
            cookie: view.cookie,
            email: view.email,
            until: view.until,
        }
    }
}

impl From<IdentityGraph> for GraphBody {
    fn from(graph: IdentityGraph) -> Self {
        Self {
            id: graph.id,
            identifiers: graph.identifiers.into_iter().map(NodeBody::from).collect(),
            edges: graph.edges.into_iter().map(EdgeBody::from).collect(),
            cuts: graph.cuts.into_iter().map(CutBody::from).collect(),
            merges: graph.merges.into_iter().map(MergeBody::from).collect(),
            decisions: graph.decisions.into_iter().map(DecisionBody::from).collect(),
        }
    }
}

impl From<SourcedView> for SourcedBody {
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

impl From<FieldView> for FieldBody {
    fn from(view: FieldView) -> Self {
        Self {
            field: view.field.to_owned(),
            survivor: view.survivor.into(),
            lost: view.lost.into_iter().map(SourcedBody::from).collect(),
        }
    }
}

impl From<RecordView> for RecordBody {
    fn from(view: RecordView) -> Self {
        Self {
            raw: view.raw,
            cookie: view.cookie,
            source: view.source,
            batch_id: view.batch,
            received_at: view.received_at,
            row: view.number,
            line: view.line,
            verbatim: view.verbatim,
        }
    }
}

impl From<Entry> for EntryBody {
    fn from(entry: Entry) -> Self {
        let mut body = Self {
            kind: entry.event.kind().to_owned(),
            cursor: entry.cursor,
            at: entry.at,
            record: None,
            merge: None,
            decision: None,
        };
        match entry.event {
            Event::Record(record) => body.record = Some(record.into()),
            Event::Merge(merge) => body.merge = Some(merge.into()),
            Event::Decision(decision) => body.decision = Some(decision.into()),
        }
        body
    }
}

impl From<Page> for TimelineBody {
    fn from(page: Page) -> Self {
        Self {
            entries: page.entries.into_iter().map(EntryBody::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}
