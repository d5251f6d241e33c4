//! What became of records.

use async_graphql::{Enum, ID, SimpleObject};

use super::quality::BatchQuality;
use crate::domain::Timestamp;
use crate::services::ingest::{Report, RowError, Status};

/// What became of the records of one ingest.
#[derive(SimpleObject)]
pub struct IngestReport {
    /// All in a word.
    status: IngestStatus,
    /// How many records were stored.
    records_processed: u64,
    /// How many were refused; they are kept, with the reasons.
    records_rejected: u64,
    /// How many had come before, by their `message_id`.
    duplicates: u64,
    /// What is wrong and refused no record: how many findings. The batch's `quality` tells which.
    warnings: u64,
    /// The batch, for `batch`.
    batch_id: ID,
    /// What is wrong with the refused records: the first 1000 findings.
    errors: Vec<RecordError>,
}

/// All in a word; the words are those of the REST route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum IngestStatus {
    /// Every record is stored.
    #[graphql(name = "success")]
    Success,
    /// Some records were refused, and the others are stored.
    #[graphql(name = "partial")]
    Partial,
    /// Every record was refused.
    #[graphql(name = "error")]
    Error,
}

/// One thing that is wrong with one record.
#[derive(SimpleObject)]
pub struct RecordError {
    /// The record's number, from 1.
    row: u64,
    /// The same, for readers of files: each record has a line of its own.
    line: u64,
    /// The field, for example `demographics.age`.
    field: String,
    /// A word to match on, for example `out_of_range`.
    code: &'static str,
    /// A sentence for people.
    message: String,
}

/// Where a batch stands.
#[derive(SimpleObject)]
pub struct Batch {
    /// The batch's id.
    pub id: ID,
    /// Who sent it.
    pub source: String,
    /// The media type as decoded, for example `text/csv`.
    pub content_type: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How many records were stored so far.
    pub records_processed: u64,
    /// How many were refused.
    pub records_rejected: u64,
    /// How many had come before, by their `message_id`.
    pub duplicates: u64,
    /// Whether no more will come.
    pub finished: bool,
    /// Why it ended before its end, if it did.
    pub failure: Option<String>,
    /// How good its records are.
    pub quality: BatchQuality,
}

impl From<Report> for IngestReport {
    fn from(report: Report) -> Self {
        Self {
            status: report.status().into(),
            records_processed: report.accepted(),
            records_rejected: report.rejected,
            duplicates: report.duplicates,
            warnings: report.warnings,
            batch_id: ID(report.batch.to_string()),
            errors: report.errors.into_iter().map(RecordError::from).collect(),
        }
    }
}

impl From<Status> for IngestStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Success => Self::Success,
            Status::Partial => Self::Partial,
            Status::Error => Self::Error,
        }
    }
}

impl From<RowError> for RecordError {
    fn from(RowError { row, line, finding }: RowError) -> Self {
        Self {
            row,
            line,
            field: finding.field,
            code: finding.code,
            message: finding.message,
        }
    }
}
