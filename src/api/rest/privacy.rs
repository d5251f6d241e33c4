//! What people may ask of whoever keeps their data: see also `DELETE /api/user`, in
//! [`super::users`].

use std::io;
use std::sync::Arc;

use futures_util::StreamExt as _;
use poem::Body;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::{ApiResponse, Object, OpenApi, ResponseContent};

use super::{Tag, body};
use crate::api::error::ApiError;
use crate::api::guard::{MayErase, MayExport};
use crate::domain::Timestamp;
use crate::domain::erasure::Erased;
use crate::services::Services;
use crate::services::privacy::erasure::ErasureView;
use crate::services::privacy::suppression::{SuppressionPage, SuppressionView};

/// What people may ask of whoever keeps their data.
pub struct PrivacyApi;

/// How many records are gone.
#[derive(Object)]
pub struct ErasedBody {
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
#[derive(Object)]
pub struct ErasureBody {
    /// Its id, to ask again by.
    id: String,
    /// The id that they had; null where nobody was known by the identifier.
    profile_id: Option<String>,
    /// Why.
    reason: String,
    /// Who ordered it.
    by: String,
    /// What is gone so far.
    erased: ErasedBody,
    /// What is looked for now: `rows`, `raw`, `rejects`, `feed`, `deliveries`, `queue` or `index`;
    /// null once nothing is left.
    looking_for: Option<String>,
    /// When they were erased: from then on nobody is shown them, and nothing brings them back.
    at: Timestamp,
    /// When nothing was left; null while it is looked for.
    finished_at: Option<Timestamp>,
}

/// Nothing more is taken in of whoever has an identifier.
#[derive(Object)]
pub struct SuppressionBody {
    /// What stands for the identifier: a keyed hash.
    pseudonym: String,
    /// `cookie` or `email`.
    kind: String,
    /// Why.
    reason: String,
    /// Who said so.
    by: String,
    /// When.
    at: Timestamp,
    /// The erasure that it came with; null where nobody was erased.
    erasure: Option<String>,
}

/// Suppressions, in the order of their pseudonyms.
#[derive(Object)]
pub struct SuppressionsBody {
    /// How many there are in all.
    total: u64,
    /// The page.
    suppressions: Vec<SuppressionBody>,
    /// Give it as `cursor` to get the next page; null behind the last.
    next_cursor: Option<String>,
}

/// What was suppressed, or is no more.
#[derive(Object)]
pub struct SuppressedBody {
    suppressions: Vec<SuppressionBody>,
}

/// Whom to suppress: by a cookie, an address, or both.
#[derive(Object)]
pub struct SuppressBody {
    /// A cookie.
    cookie: Option<String>,
    /// An address.
    email: Option<String>,
    /// Why, without naming them.
    reason: String,
}

/// Of whom to take records in again: by a cookie, an address, or both.
#[derive(Object)]
pub struct LiftBody {
    /// A cookie.
    cookie: Option<String>,
    /// An address.
    email: Option<String>,
}

/// What was older than the settings allow, and is gone.
#[derive(Object)]
pub struct SweptBody {
    /// Verbatim rows that were emptied.
    raw_rows: u64,
    /// Refused rows.
    rejects: u64,
    /// People.
    profiles: u64,
}

/// A document.
#[derive(ResponseContent)]
pub enum Document {
    /// One JSON object.
    #[oai(content_type = "application/json; charset=utf-8")]
    Json(Binary<Body>),
}

/// All that is kept of a person.
#[derive(ApiResponse)]
pub enum DocumentResponse {
    /// The document, as it is written. One that broke off ends without the end of the transfer,
    /// and is no JSON.
    #[oai(status = 200)]
    Ok(
        Document,
        /// What the file may be called.
        #[oai(header = "content-disposition")]
        String,
    ),
}

#[OpenApi]
impl PrivacyApi {
    /// Everything that is kept of a person
    ///
    /// Profile, identifiers, cohorts, consents, histories, every record as it came, refused rows that
    /// name them, the changes and deliveries that told of them. Written while it is read: all that
    /// ever arrived is looked through.
    #[oai(
        path = "/user/export",
        method = "get",
        tag = "Tag::Privacy",
        operation_id = "exportUser"
    )]
    async fn export(
        &self,
        caller: MayExport,
        services: Data<&Arc<Services>>,
        /// A cookie.
        cookie: Query<Option<String>>,
        /// An address.
        email: Query<Option<String>>,
    ) -> Result<DocumentResponse, ApiError> {
        let (cookie, email) = (cookie.0.as_deref(), email.0.as_deref());
        let sight = services.sights.of(caller.0.role);
        let document = services.privacy.export(services.0, cookie, email, sight).await?;
        let pieces = document
            .into_pieces()
            .map(|piece| piece.map_err(|error| io::Error::other(error.to_string())));
        let body = Document::Json(Binary(Body::from_bytes_stream(pieces)));
        let name = "attachment; filename=\"person.json\"".to_owned();
        Ok(DocumentResponse::Ok(body, name))
    }

    /// Sweep what is older than the settings allow
    ///
    /// As the server does by itself every hour. Returns when it is done.
    #[oai(
        path = "/retention/sweep",
        method = "post",
        tag = "Tag::Privacy",
        operation_id = "sweep"
    )]
    async fn sweep(
        &self,
        _caller: MayErase,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<SweptBody>, ApiError> {
        let swept = services.privacy.retention.sweep().await?;
        Ok(Json(SweptBody {
            raw_rows: swept.raw_rows,
            rejects: swept.rejects,
            profiles: swept.profiles,
        }))
    }

    /// How far an erasure is
    #[oai(
        path = "/erasures/:id",
        method = "get",
        tag = "Tag::Privacy",
        operation_id = "erasure"
    )]
    async fn erasure(
        &self,
        _caller: MayErase,
        services: Data<&Arc<Services>>,
        /// Its id.
        id: Path<String>,
    ) -> Result<Json<ErasureBody>, ApiError> {
        Ok(Json(services.privacy.erasure(&id.0).await?.into()))
    }

    /// Of whom nothing more is taken in
    #[oai(
        path = "/suppressions",
        method = "get",
        tag = "Tag::Privacy",
        operation_id = "suppressions"
    )]
    async fn suppressions(
        &self,
        _caller: MayErase,
        services: Data<&Arc<Services>>,
        /// Where the page begins: the `next_cursor` of the one before.
        cursor: Query<Option<String>>,
        /// How many, 1 to 1000.
        #[oai(default = "default_limit")]
        limit: Query<u32>,
    ) -> Result<Json<SuppressionsBody>, ApiError> {
        let page = services
            .privacy
            .suppressions(cursor.0.as_deref(), limit.0)
            .await?;
        Ok(Json(page.into()))
    }

    /// Take nothing more in of somebody
    ///
    /// All identifiers that are known of them are suppressed. What is stored stays, and leaves the
    /// platform no more.
    #[oai(
        path = "/suppressions",
        method = "post",
        tag = "Tag::Privacy",
        operation_id = "suppress"
    )]
    async fn suppress(
        &self,
        caller: MayErase,
        services: Data<&Arc<Services>>,
        body: body::Body<SuppressBody>,
    ) -> Result<Json<SuppressedBody>, ApiError> {
        let SuppressBody {
            cookie,
            email,
            reason,
        } = body.0;
        let (cookie, email) = (cookie.as_deref(), email.as_deref());
        let suppressed = services
            .privacy
            .suppress(cookie, email, &reason, &caller.0.name)
            .await?;
        Ok(Json(suppressed.into()))
    }

    /// Take records in again of somebody
    #[oai(
        path = "/suppressions",
        method = "delete",
        tag = "Tag::Privacy",
        operation_id = "liftSuppression"
    )]
    async fn lift(
        &self,
        _caller: MayErase,
        services: Data<&Arc<Services>>,
        body: body::Body<LiftBody>,
    ) -> Result<Json<SuppressedBody>, ApiError> {
        let (cookie, email) = (body.0.cookie.as_deref(), body.0.email.as_deref());
        Ok(Json(services.privacy.lift(cookie, email).await?.into()))
    }
}

const fn default_limit() -> u32 {
    100
}

impl From<Erased> for ErasedBody {
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

impl From<ErasureView> for ErasureBody {
    fn from(view: ErasureView) -> Self {
        Self {
            id: view.id,
            profile_id: view.profile_id,
            reason: view.reason,
            by: view.by,
            erased: view.erased.into(),
            looking_for: view.looking_for.map(str::to_owned),
            at: view.at,
            finished_at: view.finished_at,
        }
    }
}

impl From<SuppressionView> for SuppressionBody {
    fn from(view: SuppressionView) -> Self {
        Self {
            pseudonym: view.pseudonym,
            kind: view.kind.to_owned(),
            reason: view.reason,
            by: view.by,
            at: view.at,
            erasure: view.erasure,
        }
    }
}

impl From<Vec<SuppressionView>> for SuppressedBody {
    fn from(views: Vec<SuppressionView>) -> Self {
        Self {
            suppressions: views.into_iter().map(SuppressionBody::from).collect(),
        }
    }
}

impl From<SuppressionPage> for SuppressionsBody {
    fn from(page: SuppressionPage) -> Self {
        Self {
            total: page.total as u64,
            suppressions: page.suppressions.into_iter().map(SuppressionBody::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}
