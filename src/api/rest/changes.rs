//! `GET /api/changes`: what happens to people, as a stream that goes on, or in pages.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use poem::Request;
use poem::http::header;
use poem::web::Data;
use poem::web::sse::Event;
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::{EventStream, Json};
use poem_openapi::types::ToJSON as _;
use poem_openapi::{ApiResponse, Object, OpenApi, ResponseContent};

use super::Tag;
use crate::api::error::ApiError;
use crate::api::guard::MayRead;
use crate::domain::Timestamp;
use crate::services::Services;
use crate::services::activation::changes::{Followed, PAGE_DEFAULT};
use crate::services::activation::view::ChangeView;

/// How long a client waits before it connects again, in milliseconds.
const RETRY_MS: u64 = 2_000;

/// The feed of changes.
pub struct ChangesApi;

/// A cohort's names.
#[derive(Object)]
pub struct CohortNameBody {
    /// The key, for example `food-drink`.
    slug: String,
    /// The name, for example `Food & Drink`.
    name: String,
}

/// What happened to somebody; ids only.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ChangeBody {
    /// Its place in the feed: give it to get what follows.
    cursor: String,
    /// `profile.changed`, `profile.merged`, `profile.deleted`, `cohort.entered` or `cohort.left`.
    kind: String,
    /// When.
    at: Timestamp,
    /// To whom.
    profile_id: String,
    /// The revision of somebody who changed.
    rev: Option<u32>,
    /// Whether somebody who changed came to be.
    created: Option<bool>,
    /// To whom the id of somebody leads who was merged.
    merged_into: Option<String>,
    /// The cohort that was entered or left.
    cohort: Option<CohortNameBody>,
    /// What says so, or of somebody who left, what had said so: for a cohort by interests, the
    /// interests.
    reason: Option<Vec<String>>,
}

/// A page of changes.
#[derive(Object)]
pub struct ChangesBody {
    /// The changes, in the order in which they happened.
    changes: Vec<ChangeBody>,
    /// The `cursor` of the next page, now or later.
    next_cursor: String,
    /// Whether there is more by now.
    has_more: bool,
}

/// A page, or a stream.
#[derive(ResponseContent)]
pub enum Changes {
    /// For `Accept: application/json`, or anything else.
    Page(Json<ChangesBody>),
    /// For `Accept: text/event-stream`.
    Stream(EventStream<BoxStream<'static, ChangeBody>>),
}

/// What happened.
#[derive(ApiResponse)]
pub enum ChangesResponse {
    /// A page, or a stream.
    #[oai(status = 200)]
    Ok(Changes),
}

impl From<ChangeView> for ChangeBody {
    fn from(view: ChangeView) -> Self {
        let is_move = view.cohort.is_some();
        let cohort = view.cohort.map(|cohort| CohortNameBody {
            slug: cohort.slug,
            name: cohort.name,
        });
        Self {
            cursor: view.cursor,
            kind: view.kind.to_owned(),
            at: view.at,
            profile_id: view.profile_id,
            rev: view.rev,
            created: view.created,
            merged_into: view.merged_into,
            cohort,
            reason: is_move.then_some(view.reason),
        }
    }
}

#[OpenApi]
impl ChangesApi {
    /// What happens to people
    ///
    /// With `Accept: text/event-stream` a stream of server-sent events that goes on as changes
    /// happen: the `id` of an event is its cursor, the `event` its kind, the `data` the change.
    /// It ends when the token expires, or its session is ended. Otherwise a page, and `next_cursor` is where the next one
    /// begins. Every change is told once for each cursor, in order; whoever repeats a cursor gets
    /// the same again.
    #[oai(
        path = "/changes",
        method = "get",
        tag = "Tag::Activation",
        operation_id = "changes"
    )]
    #[expect(clippy::too_many_arguments, reason = "one for each argument of the route")]
    async fn changes(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        request: &Request,
        /// Behind which change to begin: the cursor of one, or `0` for the first ever. Without,
        /// from now on.
        cursor: Query<Option<String>>,
        /// The same for a stream that goes on, as browsers and their like send it; it goes before
        /// `cursor`.
        #[oai(name = "Last-Event-ID")]
        last_event_id: Header<Option<String>>,
        /// Kinds of changes, separated by commas; without, all.
        kinds: Query<Option<String>>,
        /// The name or slug of a cohort: only who enters and leaves it, unless `kinds` says
        /// otherwise.
        cohort: Query<Option<String>>,
        /// How many changes a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<ChangesResponse, ApiError> {
        let changes = &services.activation.changes;
        let filter = changes.filter(kinds.0.as_deref(), cohort.0.as_deref())?;
        // Also where it counts for nothing: who sends what is none has a mistake to find.
        changes.check(cursor.0.as_deref())?;
        let after = last_event_id.0.filter(|id| !id.is_empty()).or(cursor.0);
        if !wants_stream(request) {
            let page = changes.page(after.as_deref(), &filter, limit.0).await?;
            return Ok(ChangesResponse::Ok(Changes::Page(Json(ChangesBody {
                changes: page.changes.into_iter().map(ChangeBody::from).collect(),
                next_cursor: page.next_cursor,
                has_more: page.has_more,
            }))));
        }
        let followed = changes.follow(after.as_deref(), filter).await?;
        let accounts = Arc::clone(&services.accounts);
        let over = async move { accounts.over(&caller.0).await };
        Ok(ChangesResponse::Ok(Changes::Stream(events(followed, over))))
    }
}

/// The stream, which begins with how soon to come again, and ends when its caller is one no more.
fn events(
    followed: impl futures_util::Stream<Item = Followed> + Send + 'static,
    over: impl Future<Output = ()> + Send + 'static,
) -> EventStream<BoxStream<'static, ChangeBody>> {
    let told = followed
        .map(|followed| match followed {
            Followed::Change(change) => ChangeBody::from(*change),
            Followed::Mark(cursor) => ChangeBody::mark(cursor),
        })
        .take_until(over);
    let opening = stream::iter([ChangeBody::mark(String::new())]);
    EventStream::new(opening.chain(told).boxed()).to_event(|change| match change.kind.as_str() {
        "" if change.cursor.is_empty() => Event::retry(RETRY_MS),
        // Without data nothing is dispatched, and the last id is known all the same.
        "" => Event::message(String::new()).id(change.cursor),
        _ => Event::message(change.to_json_string())
            .id(change.cursor)
            .event_type(change.kind),
    })
}

impl ChangeBody {
    /// No change, but how far the stream is.
    const fn mark(cursor: String) -> Self {
        Self {
            cursor,
            kind: String::new(),
            at: Timestamp::UNIX_EPOCH,
            profile_id: String::new(),
            rev: None,
            created: None,
            merged_into: None,
            cohort: None,
            reason: None,
        }
    }
}

/// Whether the request asks for server-sent events.
pub fn wants_stream(request: &Request) -> bool {
    let accepts = request.headers().get_all(header::ACCEPT).iter();
    accepts
        .filter_map(|accept| accept.to_str().ok())
        .any(|accept| accept.contains("text/event-stream"))
}

const fn default_limit() -> u32 {
    PAGE_DEFAULT
}
