//! `POST /api/ingest`, and what became of it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::Tag;
use super::payload::IngestPayload;
use crate::api::error::ApiError;
use crate::api::guard::MayIngest;
use crate::api::limits::Limits;
use crate::domain::Timestamp;
use crate::services::Services;
use crate::services::ingest::{self, Payload, Report, RowError, Status, StoredReject};

/// Sending records.
pub struct IngestApi;

/// One thing that is wrong with one row.
#[derive(Object)]
pub struct RowErrorBody {
    /// The row's number, from 1; a CSV header is not counted.
    row: u64,
    /// The line where the row begins, from 1.
    line: u64,
    /// The field at fault; empty when it is the row as a whole.
    field: String,
    /// A stable word for programs, for example `out_of_range`.
    code: String,
    /// A sentence for people.
    message: String,
}

/// What became of a payload.
#[derive(Object)]
pub struct IngestReport {
    /// `success`, `partial` when some rows were refused, `error` when all were.
    status: String,
    /// Rows that were accepted, duplicates included.
    records_processed: u64,
    /// What is wrong with the refused rows; the first thousand findings.
    errors: Vec<RowErrorBody>,
    /// The batch, to ask about later.
    batch_id: String,
    /// Rows that were refused, and kept as rejects.
    records_rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
    /// What is wrong and refused no row: how many findings. The batch's quality tells which.
    warnings: u64,
}

/// How an ingest call ends.
#[derive(ApiResponse)]
pub enum IngestResponse {
    /// The good rows are stored.
    #[oai(status = 200)]
    Stored(Json<IngestReport>),
    /// Every row was refused.
    #[oai(status = 422)]
    AllRejected(Json<IngestReport>),
}

/// Where a batch stands.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct BatchBody {
    /// The batch.
    batch_id: String,
    /// Who sent it.
    source: String,
    /// The media type as decoded.
    content_type: String,
    /// When it arrived.
    received_at: Timestamp,
    /// Rows that were accepted, duplicates included.
    records_processed: u64,
    /// Rows that were refused.
    records_rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
    /// Whether no more will come.
    finished: bool,
    /// Why it ended before its end, if it did.
    failure: Option<String>,
}

/// A refused row.
#[derive(Object)]
pub struct RejectBody {
    /// The row's number.
    row: u64,
    /// The line where the row begins.
    line: u64,
    /// The row as it arrived.
    verbatim: String,
    /// What is wrong with it.
    errors: Vec<RowErrorBody>,
}

/// The refused rows of a batch.
#[derive(Object)]
pub struct RejectsBody {
    /// The rejects, by row number.
    rejects: Vec<RejectBody>,
}

#[OpenApi]
impl IngestApi {
    /// Send records
    ///
    /// One payload, or a form with one file. What is packed by gzip or Zstandard is unpacked, with
    /// or without a `Content-Encoding`. Answers when every good row is durable. A bad row is named in `errors` and kept as
    /// a reject; it does not keep the others from being stored.
    #[oai(
        path = "/ingest",
        method = "post",
        tag = "Tag::Ingest",
        operation_id = "ingest"
    )]
    async fn ingest(
        &self,
        _caller: MayIngest,
        services: Data<&Arc<Services>>,
        limits: Data<&Limits>,
        /// Who sends, to tell shop from app later.
        #[oai(validator(max_length = 64), default = "default_source")]
        source: Query<String>,
        /// What a column or field of the payload is, as `name:field`, for example
        /// `Kundennummer:cookie`; again for each.
        #[oai(default)]
        map: Query<Vec<String>>,
        payload: IngestPayload,
    ) -> Result<IngestResponse, ApiError> {
        let described = Payload {
            format: payload.format,
            renames: ingest::renames(&map.0)?,
            source: source.0,
            batch: None,
            bytes_max: limits.ingest_bytes_max,
        };
        let report = services.ingest.ingest(described, payload.body).await?;
        let all_rejected = report.status() == Status::Error;
        let body = Json(IngestReport::from(report));
        Ok(if all_rejected {
            IngestResponse::AllRejected(body)
        } else {
            IngestResponse::Stored(body)
        })
    }

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
        let (origin, progress) = services.ingest.batch(&batch.0).await?;
        Ok(Json(BatchBody {
            batch_id: origin.batch.to_string(),
            source: origin.source,
            content_type: origin.content_type,
            received_at: origin.received_at,
            records_processed: progress.accepted(),
            records_rejected: progress.rejected,
            duplicates: progress.duplicates,
            finished: progress.finished,
            failure: progress.failure,
        }))
    }

    /// The refused rows of a batch
    #[oai(
        path = "/ingest/:batch/rejects",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "rejects"
    )]
    async fn rejects(
        &self,
        _caller: MayIngest,
        services: Data<&Arc<Services>>,
        batch: Path<String>,
        /// Only rows behind this number.
        #[oai(default)]
        after: Query<u64>,
        /// How many at most.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u64>,
    ) -> Result<Json<RejectsBody>, ApiError> {
        let rejects = services.ingest.rejects(&batch.0, after.0, limit.0).await?;
        Ok(Json(RejectsBody {
            rejects: rejects.into_iter().map(RejectBody::from).collect(),
        }))
    }
}

fn default_source() -> String {
    "api".to_owned()
}

const fn default_limit() -> u64 {
    100
}

impl From<Report> for IngestReport {
    fn from(report: Report) -> Self {
        Self {
            status: report.status().as_str().to_owned(),
            records_processed: report.accepted(),
            records_rejected: report.rejected,
            duplicates: report.duplicates,
            warnings: report.warnings,
            batch_id: report.batch.to_string(),
            errors: report.errors.into_iter().map(RowErrorBody::from).collect(),
        }
    }
}

impl From<RowError> for RowErrorBody {
    fn from(error: RowError) -> Self {
        Self {
            row: error.row,
            line: error.line,
            field: error.finding.field,
            code: error.finding.code.to_owned(),
            message: error.finding.message,
        }
    }
}

impl From<StoredReject> for RejectBody {
    fn from(reject: StoredReject) -> Self {
        let (row, line) = (reject.row.number, reject.row.line);
        let error = |(field, code, message)| RowErrorBody {
            row,
            line,
            field,
            code,
            message,
        };
        Self {
            row,
            line,
            verbatim: reject.row.verbatim,
            errors: reject.reasons.into_iter().map(error).collect(),
        }
    }
}
