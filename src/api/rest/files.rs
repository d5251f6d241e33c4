//! What is stored of a file that was sent in parts, as `cdp import` does.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::quality::QualityBody;
use crate::api::error::ApiError;
use crate::api::guard::MayIngest;
use crate::domain::Timestamp;
use crate::services::Services;
use crate::services::ingest::files::{FileReport, Part};
use crate::services::quality::QualityReport;

/// Files that were sent in parts.
pub struct FilesApi;

/// What is stored of a file, all parts together.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct FileBody {
    /// The file's sha256.
    file: String,
    /// How many parts are stored.
    parts: u64,
    /// Rows that were accepted, duplicates included.
    records_processed: u64,
    /// Rows that were refused.
    records_rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
    /// When the first part came.
    first_received_at: Option<Timestamp>,
    /// When the last part came.
    last_received_at: Option<Timestamp>,
    /// How good its rows are.
    quality: QualityBody,
}

/// A part that is stored as a whole.
#[derive(Object)]
pub struct PartBody {
    /// The number of its first row in the file, from 1.
    first_row: u64,
    /// Its batch.
    batch_id: String,
    /// Rows that were accepted, duplicates included.
    records_processed: u64,
    /// Rows that were refused.
    records_rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
}

/// Parts of a file.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct PartsBody {
    /// The parts, in their order.
    parts: Vec<PartBody>,
    /// The `after` of the next question; none when there are no more parts.
    next_after: Option<u64>,
}

#[OpenApi]
impl FilesApi {
    /// What is stored of a file
    ///
    /// Of a file that the caller sent in parts, each with an `Idempotency-Key` of the form
    /// `file:⟨sha256⟩:⟨number of the part's first row, in 12 digits⟩`.
    #[oai(
        path = "/ingest/files/:file",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "file"
    )]
    async fn file(
        &self,
        caller: MayIngest,
        services: Data<&Arc<Services>>,
        /// The file's sha256, in hex.
        file: Path<String>,
    ) -> Result<Json<FileBody>, ApiError> {
        let report = services.ingest.file(&caller.0.name, &file.0).await?;
        Ok(Json(FileBody::new(file.0, &report)))
    }

    /// Which parts of a file are stored
    #[oai(
        path = "/ingest/files/:file/parts",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "file_parts"
    )]
    async fn parts(
        &self,
        caller: MayIngest,
        services: Data<&Arc<Services>>,
        /// The file's sha256, in hex.
        file: Path<String>,
        /// Only parts with first rows behind this number.
        #[oai(default)]
        after: Query<u64>,
    ) -> Result<Json<PartsBody>, ApiError> {
        let found = services.ingest.file_parts(&caller.0.name, &file.0, after.0).await;
        let (parts, next_after) = found?;
        Ok(Json(PartsBody {
            parts: parts.into_iter().map(PartBody::from).collect(),
            next_after,
        }))
    }
}

impl FileBody {
    fn new(file: String, report: &FileReport) -> Self {
        Self {
            file,
            parts: report.parts,
            records_processed: report.processed - report.rejected,
            records_rejected: report.rejected,
            duplicates: report.duplicates,
            first_received_at: report.first_received_at,
            last_received_at: report.last_received_at,
            quality: QualityReport::of_file(report).into(),
        }
    }
}

impl From<Part> for PartBody {
    fn from(part: Part) -> Self {
        Self {
            first_row: part.first_row,
            batch_id: part.progress.id.to_string(),
            records_processed: part.progress.accepted(),
            records_rejected: part.progress.rejected,
            duplicates: part.progress.duplicates,
        }
    }
}
