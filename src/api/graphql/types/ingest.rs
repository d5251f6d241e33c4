//! What became of records.

use async_graphql::{Enum, ID, Json, SimpleObject};

use super::quality::BatchQuality;
use crate::domain::Timestamp;
use crate::services::ingest::files::{FileReport, Part};
use crate::services::ingest::report::stored_errors;
use crate::services::ingest::{
    ReplayReport, Report, RowError, Stage, Standing, Status, StoredReject, fields_of_reject,
};
use crate::services::quality::QualityReport;

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
    /// Whether this is the answer to an earlier ingest with the same `idempotencyKey`.
    replayed: bool,
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
    code: String,
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
    /// Where it is on its way.
    pub status: BatchStatus,
    /// When it was written last, where that is known.
    pub updated_at: Option<Timestamp>,
    /// The batch whose rejects it replays, if it does.
    pub replay_of: Option<ID>,
}

/// Where a batch is on its way; the words are those of the REST route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum BatchStatus {
    /// It waits to be worked off.
    #[graphql(name = "queued")]
    Queued,
    /// Its records are being stored.
    #[graphql(name = "running")]
    Running,
    /// Its request broke off; sent again with its key, it goes on from there.
    #[graphql(name = "interrupted")]
    Interrupted,
    /// All of it was read.
    #[graphql(name = "finished")]
    Finished,
    /// It ended before its end; what was stored before stays.
    #[graphql(name = "failed")]
    Failed,
    /// Somebody cancelled it; what was stored before stays.
    #[graphql(name = "cancelled")]
    Cancelled,
}

/// What became of rejects that were judged again.
#[derive(SimpleObject)]
pub struct RejectsReplay {
    /// All in a word.
    status: IngestStatus,
    /// The batch as which they were replayed; null when there was nothing to replay.
    batch_id: Option<ID>,
    /// The batch that they are of.
    replay_of: ID,
    /// How many were stored.
    records_processed: u64,
    /// How many were refused again; they stay where they were.
    records_rejected: u64,
    /// How many had come before, by their `message_id`.
    duplicates: u64,
    /// How many an earlier replay had accepted; nothing was done about them.
    replayed_before: u64,
    /// How many could not be decoded, and can only be replayed mended.
    undecodable: u64,
    /// What is wrong: the first 1000 findings.
    errors: Vec<RecordError>,
}

/// A record that was refused.
#[derive(SimpleObject)]
pub struct Reject {
    /// The record's number, from 1.
    row: u64,
    /// The line where it begins.
    line: u64,
    /// The record as it arrived.
    verbatim: String,
    /// Its fields by canonical name; null if it could not be decoded.
    fields: Option<Json<serde_json::Value>>,
    /// What is wrong with it, as of when it was judged last.
    errors: Vec<RecordError>,
    /// The batch as which it was replayed, if it was.
    replayed_by: Option<ID>,
    /// When it was.
    replayed_at: Option<Timestamp>,
}

/// What is stored of a file that was sent in parts, all parts together.
#[derive(SimpleObject)]
pub struct File {
    /// The file's sha256.
    sha256: ID,
    /// How many parts are stored.
    parts: u64,
    /// Records that were accepted, duplicates included.
    records_processed: u64,
    /// Records that were refused.
    records_rejected: u64,
    /// Records that had come before, by their `message_id`.
    duplicates: u64,
    /// When the first part came.
    first_received_at: Option<Timestamp>,
    /// When the last part came.
    last_received_at: Option<Timestamp>,
    /// How good its records are.
    quality: BatchQuality,
}

/// A part of a file that is stored as a whole.
#[derive(SimpleObject)]
pub struct FilePart {
    /// The number of its first record in the file, from 1.
    first_row: u64,
    /// Its batch.
    batch_id: ID,
    /// Records that were accepted, duplicates included.
    records_processed: u64,
    /// Records that were refused.
    records_rejected: u64,
    /// Records that had come before, by their `message_id`.
    duplicates: u64,
}

/// Parts of a file.
#[derive(SimpleObject)]
pub struct FileParts {
    /// The parts, in their order.
    #[graphql(complexity = "child_complexity")]
    parts: Vec<FilePart>,
    /// The `after` of the next question; null when there are no more parts.
    #[graphql(complexity = 0)]
    next_after: Option<u64>,
}

impl From<StoredReject> for Reject {
    fn from(reject: StoredReject) -> Self {
        let errors = stored_errors(&reject);
        let fields = fields_of_reject(&reject).map(|fields| Json(fields.into()));
        let (replayed_by, replayed_at) = reject.replayed.unzip();
        Self {
            row: reject.row.number,
            line: reject.row.line,
            verbatim: reject.row.verbatim,
            fields,
            errors: errors.into_iter().map(RecordError::from).collect(),
            replayed_by: replayed_by.map(ID),
            replayed_at,
        }
    }
}

impl File {
    /// What is stored of the file of this sha256.
    #[must_use]
    pub fn new(sha256: ID, report: &FileReport) -> Self {
        Self {
            sha256,
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

impl From<(Vec<Part>, Option<u64>)> for FileParts {
    fn from((parts, next_after): (Vec<Part>, Option<u64>)) -> Self {
        Self {
            parts: parts.into_iter().map(FilePart::from).collect(),
            next_after,
        }
    }
}

impl From<Part> for FilePart {
    fn from(part: Part) -> Self {
        Self {
            first_row: part.first_row,
            batch_id: ID(part.progress.id.to_string()),
            records_processed: part.progress.accepted(),
            records_rejected: part.progress.rejected,
            duplicates: part.progress.duplicates,
        }
    }
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
            replayed: report.is_replayed,
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

impl From<Stage> for BatchStatus {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Queued => Self::Queued,
            Stage::Running => Self::Running,
            Stage::Interrupted => Self::Interrupted,
            Stage::Finished => Self::Finished,
            Stage::Failed => Self::Failed,
            Stage::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Standing> for Batch {
    fn from(standing: Standing) -> Self {
        let Standing { origin, progress, .. } = standing;
        Self {
            quality: QualityReport::of(&progress).into(),
            id: ID(progress.id.to_string()),
            source: origin.source,
            content_type: origin.content_type,
            received_at: origin.received_at,
            records_processed: progress.accepted(),
            records_rejected: progress.rejected,
            duplicates: progress.duplicates,
            finished: progress.finished,
            failure: progress.failure,
            status: standing.stage.into(),
            updated_at: standing.updated_at,
            replay_of: progress.journal.replay.map(|replay| ID(replay.of.to_string())),
        }
    }
}

impl From<ReplayReport> for RejectsReplay {
    fn from(report: ReplayReport) -> Self {
        Self {
            status: report.status().into(),
            batch_id: report.batch.map(|batch| ID(batch.to_string())),
            replay_of: ID(report.replay_of.to_string()),
            records_processed: report.accepted(),
            records_rejected: report.rejected,
            duplicates: report.duplicates,
            replayed_before: report.replayed_before,
            undecodable: report.undecodable,
            errors: report.errors.into_iter().map(RecordError::from).collect(),
        }
    }
}
