//! `/api/merges` and `/api/conflicts`: what tied people, what was refused to, and judging both.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::body::Body;
use crate::api::error::ApiError;
use crate::api::guard::{MayJudge, MayRead};
use crate::domain::Timestamp;
use crate::services::Services;
use crate::services::history::{DecisionView, LinkView, MergeView};
use crate::services::judgement::{ConflictPage, ConflictView, JudgedView, MergePage};

/// Judging who is who.
pub struct JudgementApi;

/// A cookie and an address.
#[derive(Object)]
pub struct LinkBody {
    /// The cookie.
    cookie: String,
    /// The address.
    email: String,
}

/// Two profiles that turned out to be one person.
#[derive(Object)]
pub struct MergeBody {
    /// The merge's own id.
    id: String,
    /// The profile whose id stayed.
    survivor: String,
    /// The profile whose id leads to the survivor since.
    absorbed: String,
    /// The cookies that came with the absorbed profile.
    cookies: Vec<String>,
    /// The addresses that came with it.
    emails: Vec<String>,
    /// The address of the row that tied the two.
    raw: String,
    /// Who sent that row.
    source: Option<String>,
    /// By which policy it was read: `union` or `email_is_person`.
    policy: String,
    /// When, by the clock of arrival.
    at: Timestamp,
    /// Who undid it; null while it stands.
    undone_by: Option<String>,
    /// When.
    undone_at: Option<Timestamp>,
}

/// Merges, latest first.
#[derive(Object)]
pub struct MergesBody {
    /// The page.
    merges: Vec<MergeBody>,
    /// Give it as `before` to get the next page; null behind the last.
    next_cursor: Option<String>,
}

/// What somebody decided about who is who.
#[derive(Object)]
pub struct DecisionBody {
    /// Its own id.
    id: String,
    /// `undo`, `cut`, `allow` or `keep_apart`.
    kind: String,
    /// The merge or conflict that was judged, if one was.
    subject: Option<String>,
    /// The profiles that it touched.
    profiles: Vec<String>,
    /// The links that it cut or made.
    links: Vec<LinkBody>,
    /// Who decided.
    by: String,
    /// When.
    at: Timestamp,
}

/// Something that a guard refused.
#[derive(Object)]
pub struct ConflictBody {
    /// Its id.
    id: String,
    /// `placeholder_cookie`, `placeholder_email`, `too_many_cookies` or `too_many_emails`.
    kind: String,
    /// The cookie, if one was refused or is an end of the link.
    cookie: Option<String>,
    /// The address, likewise.
    email: Option<String>,
    /// The address of the first row that brought it.
    raw: String,
    /// The event time of that row.
    at: Timestamp,
    /// Who sent it.
    source: String,
    /// By which policy it was read.
    policy: String,
    /// `open`, `allowed` or `kept_apart`.
    verdict: String,
    /// Who judged it; null while it is open.
    judged_by: Option<String>,
    /// When.
    judged_at: Option<Timestamp>,
}

/// Conflicts, in the order of their times.
#[derive(Object)]
pub struct ConflictsBody {
    /// The page.
    conflicts: Vec<ConflictBody>,
    /// Give it as `after` to get the next page; null behind the last.
    next_cursor: Option<String>,
}

/// What is to become of a conflict.
#[derive(Object)]
pub struct ReviewRequest {
    /// `allow`: the two are one person, beyond any bound. `keep_apart`: they never are,
    /// whatever comes.
    action: String,
}

/// What became of a judgement.
#[derive(Object)]
pub struct JudgedBody {
    /// The profiles that it wrote: the parts, or the person that came to be.
    profiles: Vec<String>,
    /// The links that it cut or made.
    links: Vec<LinkBody>,
}

#[OpenApi]
impl JudgementApi {
    /// Merges, latest first
    ///
    /// Any page costs what the first does.
    #[oai(
        path = "/merges",
        method = "get",
        tag = "Tag::Identity",
        operation_id = "merges"
    )]
    async fn merges(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// Only merges before the one with this id; the `next_cursor` of the page before.
        before: Query<Option<String>>,
        /// How many merges a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<MergesBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let merges = services.judgement.merges(before.0.as_deref(), limit.0, sight);
        let page = merges.await?;
        Ok(Json(page.into()))
    }

    /// Take a merge apart
    ///
    /// The absorbed profile is itself again, with what is its own. The evidence that tied the
    /// two counts no more; later evidence does.
    #[oai(
        path = "/merges/:id/undo",
        method = "post",
        tag = "Tag::Identity",
        operation_id = "undoMerge"
    )]
    async fn undo(
        &self,
        caller: MayJudge,
        services: Data<&Arc<Services>>,
        /// The merge's id.
        id: Path<String>,
    ) -> Result<Json<JudgedBody>, ApiError> {
        Ok(Json(services.judgement.undo(&id.0, &caller.0.name).await?.into()))
    }

    /// What guards refused, in the order of its times
    #[oai(
        path = "/conflicts",
        method = "get",
        tag = "Tag::Identity",
        operation_id = "conflicts"
    )]
    async fn conflicts(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// Only those that are `open`, `allowed` or `kept_apart`, or `all`.
        #[oai(default = "default_verdict")]
        verdict: Query<String>,
        /// Only conflicts behind this one; the `next_cursor` of the page before.
        after: Query<Option<String>>,
        /// How many conflicts a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<ConflictsBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let page = services
            .judgement
            .conflicts(&verdict.0, after.0.as_deref(), limit.0, sight)
            .await?;
        Ok(Json(page.into()))
    }

    /// Allow what was refused, or keep it apart for good
    #[oai(
        path = "/conflicts/:id/review",
        method = "post",
        tag = "Tag::Identity",
        operation_id = "reviewConflict"
    )]
    async fn review(
        &self,
        caller: MayJudge,
        services: Data<&Arc<Services>>,
        /// The conflict's id.
        id: Path<String>,
        request: Body<ReviewRequest>,
    ) -> Result<Json<JudgedBody>, ApiError> {
        let judged = services
            .judgement
            .review(&id.0, &request.0.action, &caller.0.name)
            .await?;
        Ok(Json(judged.into()))
    }
}

const fn default_limit() -> u32 {
    50
}

fn default_verdict() -> String {
    "open".to_owned()
}

impl From<LinkView> for LinkBody {
    fn from(LinkView { cookie, email }: LinkView) -> Self {
        Self { cookie, email }
    }
}

impl From<MergeView> for MergeBody {
    fn from(view: MergeView) -> Self {
        Self {
            id: view.id,
            survivor: view.survivor,
            absorbed: view.absorbed,
            cookies: view.cookies,
            emails: view.emails,
            raw: view.raw,
            source: view.source,
            policy: view.policy.to_owned(),
            at: view.at,
            undone_by: view.undone_by,
            undone_at: view.undone_at,
        }
    }
}

impl From<DecisionView> for DecisionBody {
    fn from(view: DecisionView) -> Self {
        Self {
            id: view.id,
            kind: view.kind.to_owned(),
            subject: view.subject,
            profiles: view.profiles,
            links: view.links.into_iter().map(LinkBody::from).collect(),
            by: view.by,
            at: view.at,
        }
    }
}

impl From<MergePage> for MergesBody {
    fn from(page: MergePage) -> Self {
        Self {
            merges: page.merges.into_iter().map(MergeBody::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

impl From<ConflictView> for ConflictBody {
    fn from(view: ConflictView) -> Self {
        Self {
            id: view.id,
            kind: view.kind.to_owned(),
            cookie: view.cookie,
            email: view.email,
            raw: view.raw,
            at: view.at,
            source: view.source,
            policy: view.policy.to_owned(),
            verdict: view.verdict.to_owned(),
            judged_by: view.judged_by,
            judged_at: view.judged_at,
        }
    }
}

impl From<ConflictPage> for ConflictsBody {
    fn from(page: ConflictPage) -> Self {
        Self {
            conflicts: page.conflicts.into_iter().map(ConflictBody::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

impl From<JudgedView> for JudgedBody {
    fn from(view: JudgedView) -> Self {
        Self {
            profiles: view.profiles,
            links: view.links.into_iter().map(LinkBody::from).collect(),
        }
    }
}
