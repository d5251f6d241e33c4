//! What became of a batch: how far it is, what was refused, and what can be done about it.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use poem::http::header;
use poem::web::Data;
use poem::{Body, Request, RequestBody};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Binary, Json};
use poem_openapi::registry::{MetaRequest, MetaSchema, Registry};
use poem_openapi::types::Any;
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ApiResponse, Enum, ExtractParamOptions, Object, OpenApi, ResponseContent,
};
use serde_json::{Map, Value};

use super::Tag;
use super::ingest::RowErrorBody;
use super::payload::media;
use crate::api::error::ApiError;
use crate::api::guard::MayIngest;
use crate::api::limits::Limits;
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::services::Services;
use crate::services::ingest::report::stored_errors;
use crate::services::ingest::{Format, ReplayReport, Standing, StoredReject, fields_of_reject};

/// What became of batches.
pub struct BatchesApi;

/// Where a batch stands.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct BatchBody {
    /// The batch.
    batch_id: String,
    /// `queued`, `running`, `finished`, `failed`, `cancelled`; or `interrupted` when its request
    /// broke off, and goes on when it is sent again with its `Idempotency-Key`.
    status: String,
    /// Who sent it.
    source: String,
    /// The media type as decoded.
    content_type: String,
    /// When it arrived.
    received_at: Timestamp,
    /// When it was written last, where that is known.
    updated_at: Option<Timestamp>,
    /// Rows that were accepted so far, duplicates included.
    records_processed: u64,
    /// Rows that were refused.
    records_rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
    /// Whether no more will come.
    finished: bool,
    /// Why it ended before its end, if it did.
    failure: Option<String>,
    /// The batch whose rejects it replays, if it does.
    replay_of: Option<String>,
}

/// A refused row.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct RejectBody {
    /// The row's number.
    row: u64,
    /// The line where the row begins.
    line: u64,
    /// The row as it arrived.
    verbatim: String,
    /// Its fields by canonical name; none if it could not be decoded.
    fields: Option<Any<Map<String, Value>>>,
    /// What is wrong with it, as of when it was judged last.
    errors: Vec<RowErrorBody>,
    /// The batch as which it was replayed, if it was.
    replayed_by: Option<String>,
    /// When it was.
    replayed_at: Option<Timestamp>,
}

/// The refused rows of a batch.
#[derive(Object)]
pub struct RejectsBody {
    /// The rejects, by row number.
    rejects: Vec<RejectBody>,
}

/// How rejects are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum RejectsFormat {
    /// A page of JSON.
    Json,
    /// All that wait to be replayed, as CSV.
    Csv,
}

/// Rejects, written one way or the other.
#[derive(ResponseContent)]
pub enum RejectsContent {
    /// A page.
    Page(Json<RejectsBody>),
    /// All that wait to be replayed.
    #[oai(content_type = "text/csv")]
    Table(Binary<Body>),
}

/// The rejects of a batch.
#[derive(ApiResponse)]
pub enum RejectsResponse {
    /// The rejects.
    #[oai(status = 200)]
    Rejects(
        RejectsContent,
        /// A name for the file that the table is.
        #[oai(header = "content-disposition")]
        Option<String>,
    ),
}

/// What became of rejects that were judged again.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ReplayBody {
    /// `success`, `partial` when some rows were refused again, `error` when all were.
    status: String,
    /// The batch as which they were replayed; none when there was nothing to replay.
    batch_id: Option<String>,
    /// The batch that they are of.
    replay_of: String,
    /// Rows that were accepted, duplicates included.
    records_processed: u64,
    /// Rows that were refused again, and stay where they were.
    records_rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
    /// Rows that an earlier replay had accepted; nothing was done about them.
    replayed_before: u64,
    /// Rows that could not be decoded, and can only be replayed mended.
    undecodable: u64,
    /// What is wrong; the first thousand findings.
    errors: Vec<RowErrorBody>,
}

#[OpenApi]
impl BatchesApi {
    /// Where a batch stands
    #[oai(
        path = "/ingest/:batch",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "batch"
    )]
    async fn batch(
        &self,
        _caller: MayIngest,
        services: Data<&Arc<Services>>,
        batch: Path<String>,
    ) -> Result<Json<BatchBody>, ApiError> {
        Ok(Json(services.ingest.standing(&batch.0).await?.into()))
    }

    /// Cancel a batch that is queued
    ///
    /// Rows that are stored already stay. Cancelling once more changes nothing; a batch that has
    /// ended, or was not sent with `Prefer: respond-async`, can't be cancelled.
    #[oai(
        path = "/ingest/:batch/cancel",
        method = "post",
        tag = "Tag::Ingest",
        operation_id = "cancel_batch"
    )]
    async fn cancel(
        &self,
        _caller: MayIngest,
        services: Data<&Arc<Services>>,
        batch: Path<String>,
    ) -> Result<Json<BatchBody>, ApiError> {
        Ok(Json(services.ingest.cancel(&batch.0).await?.into()))
    }

    /// The refused rows of a batch
    ///
    /// A page of JSON; or, with `format=csv` or `Accept: text/csv`, all that wait to be replayed
    /// as one table, which `POST /ingest/{batch}/replay` takes back once it is mended.
    #[oai(
        path = "/ingest/:batch/rejects",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "rejects"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn rejects(
        &self,
        caller: MayIngest,
        services: Data<&Arc<Services>>,
        request: &Request,
        batch: Path<String>,
        /// Only rows behind this number; of JSON only.
        #[oai(default)]
        after: Query<u64>,
        /// How many at most; of JSON only.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u64>,
        /// `json` or `csv`; without it, what the header `Accept` says.
        format: Query<Option<RejectsFormat>>,
    ) -> Result<RejectsResponse, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let is_csv = (format.0).map_or_else(|| accepts_csv(request), |format| format == RejectsFormat::Csv);
        if is_csv {
            let table = Arc::clone(&services.ingest).rejects_csv(&batch.0, sight).await?;
            let body = Body::from_bytes_stream(table.map_err(std::io::Error::other));
            let name = format!("attachment; filename=\"rejects-{}.csv\"", batch.0);
            return Ok(RejectsResponse::Rejects(
                RejectsContent::Table(Binary(body)),
                Some(name),
            ));
        }
        let rejects = services.ingest.rejects(&batch.0, after.0, limit.0, sight).await?;
        let page = RejectsBody {
            rejects: rejects.into_iter().map(RejectBody::from).collect(),
        };
        Ok(RejectsResponse::Rejects(RejectsContent::Page(Json(page)), None))
    }

    /// Judge refused rows again
    ///
    /// Without a body, all of the batch's rejects as they are, after a change of settings. With
    /// one, the rows in it, each in the place of the reject whose number is its field `row`: the
    /// mended table of `GET /ingest/{batch}/rejects?format=csv`, or JSON. What is accepted is
    /// stored as if it had come with its batch, marked, and never replayed again.
    #[oai(
        path = "/ingest/:batch/replay",
        method = "post",
        tag = "Tag::Ingest",
        operation_id = "replay_rejects"
    )]
    async fn replay(
        &self,
        _caller: MayIngest,
        services: Data<&Arc<Services>>,
        limits: Data<&Limits>,
        batch: Path<String>,
        mended: Mended,
    ) -> Result<Json<ReplayBody>, ApiError> {
        let ingest = &services.ingest;
        let report = match mended.0 {
            None => ingest.replay(&batch.0).await?,
            Some((format, body)) => {
                let (bytes_max, body) = (limits.ingest_bytes_max, body.into_async_read());
                ingest.replay_mended(&batch.0, format, bytes_max, body).await?
            }
        };
        Ok(Json(report.into()))
    }
}

/// Whether a request prefers CSV: it names it, and before JSON.
fn accepts_csv(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let Some(accept) = accept.and_then(|accept| accept.to_str().ok()) else {
        return false;
    };
    let named = accept
        .split(',')
        .map(|part| part.split(';').next().unwrap_or_default().trim());
    let mut known = named.filter(|media| matches!(*media, "text/csv" | "application/json" | "*/*"));
    known.next() == Some("text/csv")
}

const fn default_limit() -> u64 {
    100
}

/// Mended rows, if there are any: a body is optional here.
struct Mended(Option<(Format, Body)>);

impl<'a> ApiExtractor<'a> for Mended {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(_registry: &mut Registry) {}

    fn request_meta() -> Option<MetaRequest> {
        Some(MetaRequest {
            description: Some("Mended rows, each with the number of its reject as `row`."),
            content: vec![
                media("application/json", MetaSchema::ANY),
                media("application/x-ndjson", MetaSchema::new("string")),
                media("text/csv", MetaSchema::new("string")),
            ],
            required: false,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let body = body.take()?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        let media_type = request.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|media_type| media_type.to_str().ok());
        let format = media_type.and_then(Format::of_media_type);
        let format = format.ok_or_else(unknown_media_type)?;
        Ok(Self(Some((format, body))))
    }
}

fn unknown_media_type() -> poem::Error {
    let message = "send application/json, application/x-ndjson or text/csv";
    let error = Error::new(ErrorCode::UnsupportedMediaType, message).with_field("content-type");
    ApiError::from(error).into()
}

impl From<Standing> for BatchBody {
    fn from(standing: Standing) -> Self {
        let Standing { origin, progress, .. } = standing;
        Self {
            batch_id: origin.batch.to_string(),
            status: standing.stage.as_str().to_owned(),
            source: origin.source,
            content_type: origin.content_type,
            received_at: origin.received_at,
            updated_at: standing.updated_at,
            records_processed: progress.accepted(),
            records_rejected: progress.rejected,
            duplicates: progress.duplicates,
            finished: progress.finished,
            failure: progress.failure,
            replay_of: progress.journal.replay.map(|replay| replay.of.to_string()),
        }
    }
}

impl From<StoredReject> for RejectBody {
    fn from(reject: StoredReject) -> Self {
        let errors = stored_errors(&reject);
        let fields = fields_of_reject(&reject).map(Any);
        let (replayed_by, replayed_at) = reject.replayed.unzip();
        Self {
            row: reject.row.number,
            line: reject.row.line,
            verbatim: reject.row.verbatim,
            fields,
            errors: errors.into_iter().map(RowErrorBody::from).collect(),
            replayed_by,
            replayed_at,
        }
    }
}

impl From<ReplayReport> for ReplayBody {
    fn from(report: ReplayReport) -> Self {
        Self {
            status: report.status().as_str().to_owned(),
            batch_id: report.batch.map(|batch| batch.to_string()),
            replay_of: report.replay_of.to_string(),
            records_processed: report.accepted(),
            records_rejected: report.rejected,
            duplicates: report.duplicates,
            replayed_before: report.replayed_before,
            undecodable: report.undecodable,
            errors: report.errors.into_iter().map(RowErrorBody::from).collect(),
        }
    }
}
