//! What became of a payload.

use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::record::{Finding, Origin, Reject};
use crate::store::commit::BatchProgress;
use crate::store::rejects::StoredReject;

/// The most row errors that one answer lists; all of them are kept as rejects.
pub const ERRORS_LISTED_MAX: usize = 1_000;

/// One thing that is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row's number, from 1; a CSV header is not counted.
    pub row: u64,
    /// The payload's line where the row begins, from 1.
    pub line: u64,
    /// The field at fault; empty when it is the row as a whole.
    pub field: String,
    /// A stable word for programs, for example `out_of_range`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl RowError {
    /// A finding of a row.
    #[must_use]
    pub fn of(row: u64, line: u64, finding: Finding) -> Self {
        Self {
            row,
            line,
            field: finding.field,
            code: finding.code.to_owned(),
            message: finding.message,
        }
    }
}

/// What became of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The batch.
    pub batch: Ulid,
    /// Rows that were read, good or bad.
    pub processed: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows whose message id had come before.
    pub duplicates: u64,
    /// What is wrong and refused no row: how many findings.
    pub warnings: u64,
    /// What is wrong with the refused rows: the first [`ERRORS_LISTED_MAX`].
    pub errors: Vec<RowError>,
    /// Whether this is the answer to an earlier request with the same key.
    pub is_replayed: bool,
}

/// How a payload fared, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// No row was refused.
    Success,
    /// Some rows were refused.
    Partial,
    /// All were.
    Error,
}

impl Status {
    /// How rows fared of which `rejected` were refused.
    #[must_use]
    pub const fn of(processed: u64, rejected: u64) -> Self {
        match (processed - rejected, rejected) {
            (_, 0) => Self::Success,
            (0, _) => Self::Error,
            _ => Self::Partial,
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Partial => "partial",
            Self::Error => "error",
        }
    }
}

impl Report {
    /// Rows that were accepted, those whose message id had come before among them.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.processed - self.rejected
    }

    /// How the payload fared.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status::of(self.processed, self.rejected)
    }
}

/// Where a batch is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It waits in the queue.
    Queued,
    /// Its rows are being stored.
    Running,
    /// Its request broke off; what was stored before stays, and the same request with the same
    /// key goes on from there.
    Interrupted,
    /// All of it was read.
    Finished,
    /// It ended before its end; what was stored before stays.
    Failed,
    /// Somebody cancelled it; what was stored before stays.
    Cancelled,
}

impl Stage {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a batch stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What its rows share.
    pub origin: Origin,
    /// How far it came.
    pub progress: BatchProgress,
    /// Where it is on its way.
    pub stage: Stage,
    /// When it was written last, where that is known.
    pub updated_at: Option<Timestamp>,
    /// Whether it was there before this request, which has the same key.
    pub is_replayed: bool,
}

/// The errors of rows that were refused just now.
pub(super) fn row_errors(reject: Reject) -> impl Iterator<Item = RowError> {
    let (row, line) = (reject.row.number, reject.row.line);
    reject
        .reasons
        .into_iter()
        .map(move |finding| RowError::of(row, line, finding))
}

/// The errors of a row that was refused at some time.
#[must_use]
pub fn stored_errors(reject: &StoredReject) -> Vec<RowError> {
    let error = |(field, code, message): &(String, String, String)| RowError {
        row: reject.row.number,
        line: reject.row.line,
        field: field.clone(),
        code: code.clone(),
        message: message.clone(),
    };
    reject.reasons.iter().map(error).collect()
}
