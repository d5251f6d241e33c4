//! `POST /api/ingest`.

use std::sync::Arc;

use poem::Request;
use poem::web::Data;
use poem_openapi::param::{Header, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi, Union};

use super::Tag;
use super::batches::BatchBody;
use super::payload::IngestPayload;
use crate::api::error::{ApiError, ErrorBody};
use crate::api::guard::MayIngest;
use crate::api::limits::Limits;
use crate::domain::error::{Error, ErrorCode};
use crate::services::Services;
use crate::services::ingest::{self, Payload, Report, RowError, Standing, Status};

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

/// Why a payload as a whole is refused that could be read.
#[derive(Union)]
pub enum Unprocessable {
    /// Every row was refused.
    AllRejected(IngestReport),
    /// The key was used for another payload.
    KeyReused(ErrorBody),
}

/// How an ingest call ends.
#[derive(ApiResponse)]
pub enum IngestResponse {
    /// The good rows are stored.
    #[oai(status = 200)]
    Stored(
        Json<IngestReport>,
        /// `true` when this is the answer to an earlier request with the same key.
        #[oai(header = "idempotency-replayed")]
        Option<bool>,
    ),
    /// The payload is durable and waits to be worked off.
    #[oai(status = 202)]
    Queued(
        Json<BatchBody>,
        /// Where the batch can be asked about.
        #[oai(header = "location")]
        String,
        /// `respond-async`.
        #[oai(header = "preference-applied")]
        String,
        /// `true` when the batch is that of an earlier request with the same key.
        #[oai(header = "idempotency-replayed")]
        Option<bool>,
    ),
    /// Every row was refused, or the key was used for another payload.
    #[oai(status = 422)]
    Unprocessable(
        Json<Unprocessable>,
        /// `true` when this is the answer to an earlier request with the same key.
        #[oai(header = "idempotency-replayed")]
        Option<bool>,
    ),
}

#[OpenApi]
impl IngestApi {
    /// Send records
    ///
    /// One payload, or a form with one file. What is packed by gzip or Zstandard is unpacked, with
    /// or without a `Content-Encoding`. Answers when every good row is durable. A bad row is named in `errors` and kept as
    /// a reject; it does not keep the others from being stored.
    ///
    /// With `Idempotency-Key`, a repetition of the same request gets the first one's answer, or
    /// carries on where that broke off: no row is stored twice. A key is its user's own, and is
    /// kept as long as its batch. While the first request is under way, a second one gets a 409.
    ///
    /// With `Prefer: respond-async`, the payload is made durable and answered with 202 before
    /// its rows are read; `GET /ingest/{batch}` tells how far it is. A full queue is a 429.
    #[oai(
        path = "/ingest",
        method = "post",
        tag = "Tag::Ingest",
        operation_id = "ingest"
    )]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn ingest(
        &self,
        caller: MayIngest,
        services: Data<&Arc<Services>>,
        limits: Data<&Limits>,
        request: &Request,
        /// Who sends, to tell shop from app later.
        #[oai(validator(max_length = 64), default = "default_source")]
        source: Query<String>,
        /// What a column or field of the payload is, as `name:field`, for example
        /// `Kundennummer:cookie`; again for each.
        #[oai(default)]
        map: Query<Vec<String>>,
        /// A name for this request: 1 to 255 visible ASCII characters, such as a UUID.
        #[oai(name = "idempotency-key", validator(max_length = 257))]
        key: Header<Option<String>>,
        /// `respond-async`, to have it worked off later.
        #[oai(name = "prefer")]
        prefer: Header<Option<String>>,
        payload: IngestPayload,
    ) -> Result<IngestResponse, ApiError> {
        let ingest = &services.ingest;
        let key = sent_key(request).or(key.0);
        let key = key.map(|key| ingest.key(&caller.0.name, &key)).transpose()?;
        let described = Payload {
            format: payload.format,
            renames: ingest::renames(&map.0)?,
            source: source.0,
            batch: None,
            bytes_max: limits.ingest_bytes_max,
            key,
        };
        let body = payload.body;
        let answer = if prefer.0.as_deref().is_some_and(prefers_async) {
            ingest.enqueue(described, body).await.map(queued)
        } else {
            ingest.ingest(described, body).await.map(stored)
        };
        answer.or_else(|error| key_reused(error).map_err(ApiError::from))
    }
}

/// The key as it was sent. One that is no text would be none to the framework, and a retry be stored
/// twice; so it is read here, and refused as any other that is not visible ASCII.
fn sent_key(request: &Request) -> Option<String> {
    let key = request.headers().get("idempotency-key")?;
    Some(String::from_utf8_lossy(key.as_bytes()).into_owned())
}

/// Whether a `Prefer` header (RFC 7240) asks for an answer before the work is done.
fn prefers_async(header: &str) -> bool {
    let mut preferences = header.split([',', ';']).map(str::trim);
    preferences.any(|preference| preference.eq_ignore_ascii_case("respond-async"))
}

fn stored(report: Report) -> IngestResponse {
    let all_rejected = report.status() == Status::Error;
    let is_replayed = report.is_replayed.then_some(true);
    let body = IngestReport::from(report);
    if all_rejected {
        IngestResponse::Unprocessable(Json(Unprocessable::AllRejected(body)), is_replayed)
    } else {
        IngestResponse::Stored(Json(body), is_replayed)
    }
}

fn queued(standing: Standing) -> IngestResponse {
    let location = format!("/api/ingest/{}", standing.origin.batch);
    let is_replayed = standing.is_replayed.then_some(true);
    let applied = "respond-async".to_owned();
    IngestResponse::Queued(Json(standing.into()), location, applied, is_replayed)
}

/// A key that was used for another payload makes this one unprocessable; every other error stays
/// what it is.
fn key_reused(error: Error) -> Result<IngestResponse, Error> {
    if error.code != ErrorCode::KeyReused {
        return Err(error);
    }
    let body = Unprocessable::KeyReused(error.into());
    Ok(IngestResponse::Unprocessable(Json(body), None))
}

fn default_source() -> String {
    "api".to_owned()
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
        let RowError {
            row,
            line,
            field,
            code,
            message,
        } = error;
        Self {
            row,
            line,
            field,
            code,
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        for header in [
            "respond-async",
            "Respond-Async",
            "wait=10, respond-async",
            "respond-async; wait=10",
        ] {
            assert!(prefers_async(header), "{header}");
        }
        for header in ["", "return=minimal", "respond-async=no", "no-respond-async"] {
            assert!(!prefers_async(header), "{header}");
        }
    }
}
