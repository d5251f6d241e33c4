//! Takes payloads: decodes them as they stream in, and sends them down the road chunk by
//! chunk.

use std::io::{BufReader, ErrorKind, Read};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use ulid::Ulid;

use crate::domain::error::{Error, ErrorCode};
use crate::domain::record::{Finding, Origin, RawRow, Reject};
use crate::ingest::decode::{DecodeError, Row, Unpacked, decode_named};
use crate::ingest::fields::Names;
use crate::ingest::normalise::stored;
use crate::pipeline::{Chunk, Outcome, Pipeline};
use crate::store::commit::{BatchProgress, Commit};
use crate::store::{Store, StoreError};

pub use crate::ingest::decode::{Format, PACKED_MEDIA_TYPES, Unreadable};
pub use crate::ingest::fields::Renames;
pub use crate::store::batches::StoredReject;

/// Rows per chunk, and so per transaction: enough for the engine's cost per transaction
/// to vanish.
const CHUNK_ROWS: usize = 1_000;

/// Bytes of rows after which a chunk is closed before it has all its rows, so that a
/// transaction stays far below the engine's bound.
const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// Chunks that may be decoded ahead of the pipeline; beyond that, the sender waits.
const CHUNKS_AHEAD: usize = 2;

/// The most row errors that one answer lists; all of them are kept as rejects.
pub const ERRORS_LISTED_MAX: usize = 1_000;

/// How much of a payload that can't be read is kept with its reject, in bytes.
const UNREADABLE_KEPT_BYTES: usize = 64 * 1024;

/// The longest name of a source, in characters.
const SOURCE_CHARS_MAX: usize = 64;

/// Pauses between the tries to write how a batch ended, in milliseconds: other writers may
/// come first.
const END_PAUSES_MS: [u64; 4] = [5, 20, 80, 320];

/// What is known of a payload before it is read.
#[derive(Debug, Clone)]
pub struct Payload {
    /// Its format, packed or not.
    pub format: Format,
    /// What its sender says of its columns.
    pub renames: Renames,
    /// Who sends it.
    pub source: String,
    /// The batch's id, when the sender chose it.
    pub batch: Option<Ulid>,
    /// The most bytes that are read, packed or unpacked.
    pub bytes_max: u64,
}

/// One thing that is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row's number, from 1; a CSV header is not counted.
    pub row: u64,
    /// The payload's line where the row begins, from 1.
    pub line: u64,
    /// What is wrong.
    pub finding: Finding,
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
        match (self.accepted(), self.rejected) {
            (_, 0) => Status::Success,
            (0, _) => Status::Error,
            _ => Status::Partial,
        }
    }
}

/// Takes payloads.
pub struct Ingest {
    store: Store,
    pipeline: Pipeline,
}

impl Ingest {
    pub(super) const fn new(store: Store, pipeline: Pipeline) -> Self {
        Self { store, pipeline }
    }

    /// Reads a payload to its end and stores it; returns when all of it is durable.
    ///
    /// # Errors
    /// Bad request when the source has no proper name. Unparseable, with the place, when it
    /// can't be read as its format: a payload of one chunk is then not stored at all, of a
    /// longer one the chunks before that place are. Payload too large, likewise. What can't
    /// be read is kept as a reject. When a chunk can't be stored, those before it are, and
    /// the message says so.
    pub async fn ingest(
        &self,
        payload: Payload,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Report, Error> {
        check_source(&payload.source)?;
        let received_at = stored(Utc::now());
        let origin = Origin {
            batch: payload
                .batch
                .unwrap_or_else(|| Ulid::from_datetime(received_at.into())),
            source: payload.source.clone(),
            content_type: payload.format.media_type().to_owned(),
            received_at,
        };
        let (sender, mut chunks) = mpsc::channel(CHUNKS_AHEAD);
        let bridge = Bridge {
            runtime: Handle::current(),
            body,
        };
        let names = self.names(&payload);
        let decoding = tokio::task::spawn_blocking(move || decode_chunks(&payload, &names, bridge, &sender));
        let mut batch = Batch::new(self, origin);
        let mut waiting: Option<Vec<Row>> = None;
        while let Some(rows) = chunks.recv().await {
            if let Some(before) = waiting.replace(rows) {
                batch.send(before, false).await?;
            }
        }
        let decoded = match decoding.await {
            Ok(decoded) => decoded,
            Err(panic) => return Err(batch.break_off(Error::internal(panic)).await),
        };
        match decoded.failure {
            None => {
                batch.send(waiting.unwrap_or_default(), true).await?;
                Ok(batch.report())
            }
            Some(failure) => {
                // A payload that fits one chunk is all or nothing.
                if batch.progress.processed > 0 {
                    batch.send(waiting.unwrap_or_default(), false).await?;
                }
                batch.fail(&failure, decoded.head).await
            }
        }
    }

    /// How the names of a payload's fields are read: a transform wants them as they were sent.
    fn names(&self, payload: &Payload) -> Names {
        let names = match self.pipeline.transforms().of(&payload.source) {
            Some(_) => Names::as_sent(),
            None => Names::default(),
        };
        names.renamed(payload.renames.clone())
    }

    /// Where a batch stands.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch.
    pub async fn batch(&self, id: &str) -> Result<(Origin, BatchProgress), Error> {
        let id = parse_batch(id)?;
        self.store
            .batch(id)
            .await?
            .ok_or_else(|| Error::not_found("there is no such batch"))
    }

    /// The rejects of a batch behind row number `after`, in order.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch.
    pub async fn rejects(&self, id: &str, after: u64, limit: u64) -> Result<Vec<StoredReject>, Error> {
        let (origin, _) = self.batch(id).await?;
        Ok(self.store.rejects(origin.batch, after, limit).await?)
    }
}

fn check_source(source: &str) -> Result<(), Error> {
    let length = source.chars().count();
    if (1..=SOURCE_CHARS_MAX).contains(&length) && !source.chars().any(char::is_control) {
        return Ok(());
    }
    let message = format!("is 1 to {SOURCE_CHARS_MAX} characters, none of them a control character");
    Err(Error::bad_request("source", message))
}

/// What a sender says of their columns, as `column:field` pairs.
///
/// # Errors
/// Bad request when a pair is none, or leads to no field; the message names the fields.
pub fn renames(pairs: &[String]) -> Result<Renames, Error> {
    Renames::parse(pairs.iter().map(String::as_str), ':')
        .map_err(|error| Error::bad_request("map", error.to_string()))
}

fn parse_batch(id: &str) -> Result<Ulid, Error> {
    Ulid::from_string(id).map_err(|_| Error::bad_request("batch", "is not a batch id"))
}

/// A batch on its way.
struct Batch<'a> {
    ingest: &'a Ingest,
    origin: Origin,
    progress: BatchProgress,
    errors: Vec<RowError>,
}

impl<'a> Batch<'a> {
    fn new(ingest: &'a Ingest, origin: Origin) -> Self {
        let progress = BatchProgress {
            id: origin.batch,
            processed: 0,
            rejected: 0,
            duplicates: 0,
            finished: false,
            failure: None,
            quality: Box::default(),
        };
        Self {
            ingest,
            origin,
            progress,
            errors: Vec::new(),
        }
    }

    async fn send(&mut self, rows: Vec<Row>, is_last: bool) -> Result<(), Error> {
        let chunk = Chunk {
            origin: self.origin.clone(),
            rows,
            before: self.progress.clone(),
            is_last,
        };
        let Outcome { progress, rejects } = match self.ingest.pipeline.ingest_chunk(chunk).await {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.break_off(error.into()).await),
        };
        self.progress = progress;
        let errors = rejects.into_iter().flat_map(row_errors);
        let room = ERRORS_LISTED_MAX.saturating_sub(self.errors.len());
        self.errors.extend(errors.take(room));
        Ok(())
    }

    /// Ends the batch where a chunk could not be stored. That it ended is written if it can
    /// be: what kept the chunk from being stored may well keep this from it.
    async fn break_off(&mut self, error: Error) -> Error {
        let stored = self.progress.processed;
        if stored > 0
            && let Err(cause) = self.end(&error.message, Vec::new()).await
        {
            tracing::warn!(
                batch.id = %self.origin.batch,
                error = %cause,
                "a batch that broke off could not be marked as such"
            );
        }
        self.telling(error, stored)
    }

    /// The same error, which tells how many rows are stored all the same.
    fn telling(&self, error: Error, stored: u64) -> Error {
        if stored == 0 {
            return error;
        }
        let message = format!(
            "{}; the {stored} rows before it are stored in batch {}",
            error.message, self.origin.batch
        );
        Error { message, ..error }
    }

    /// Ends the batch where the payload can't be read any further, and keeps what could not
    /// be read.
    async fn fail(mut self, failure: &DecodeFailure, head: Vec<u8>) -> Result<Report, Error> {
        let stored = self.progress.processed;
        self.progress.processed += 1;
        self.progress.rejected += 1;
        let finding = Finding {
            field: String::new(),
            code: failure.code.as_str(),
            message: failure.message.clone(),
        };
        let row = RawRow {
            number: self.progress.processed,
            line: failure.line,
            verbatim: String::from_utf8_lossy(&head).into_owned(),
        };
        let reject = Reject {
            row,
            reasons: vec![finding],
        };
        if let Err(error) = self
            .end(&failure.message, vec![(self.origin.batch, reject)])
            .await
        {
            return Err(self.telling(error.into(), stored));
        }
        let before = if stored > 0 {
            format!("; the {stored} rows before it are stored")
        } else {
            String::new()
        };
        let message = format!(
            "{}{before}; what could not be read is kept in batch {}",
            failure.message, self.origin.batch
        );
        Err(Error::new(failure.code, message))
    }

    /// Writes that no more will come, and why.
    async fn end(&mut self, failure: &str, rejects: Vec<(Ulid, Reject)>) -> Result<(), StoreError> {
        self.progress.finished = true;
        self.progress.failure = Some(failure.to_owned());
        let commit = Commit {
            rejects,
            batches: vec![(self.origin.clone(), self.progress.clone())],
            at: stored(Utc::now()),
            ..Commit::default()
        };
        for pause_ms in END_PAUSES_MS {
            match self.ingest.store.commit(commit.clone()).await {
                Err(StoreError::Conflict) => {}
                done => return done,
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        self.ingest.store.commit(commit).await
    }

    fn report(self) -> Report {
        Report {
            batch: self.origin.batch,
            processed: self.progress.processed,
            rejected: self.progress.rejected,
            duplicates: self.progress.duplicates,
            warnings: self.progress.quality.warnings,
            errors: self.errors,
        }
    }
}

fn row_errors(reject: Reject) -> impl Iterator<Item = RowError> {
    let (row, line) = (reject.row.number, reject.row.line);
    reject
        .reasons
        .into_iter()
        .map(move |finding| RowError { row, line, finding })
}

/// What the decoding thread found.
struct Decoded {
    failure: Option<DecodeFailure>,
    /// The payload's first bytes.
    head: Vec<u8>,
}

struct DecodeFailure {
    code: ErrorCode,
    message: String,
    line: u64,
}

fn decode_chunks(
    payload: &Payload,
    names: &Names,
    body: impl Read,
    chunks: &mpsc::Sender<Vec<Row>>,
) -> Decoded {
    // Both sides of the unpacking are bounded: much may come of little, and nothing of much.
    let packed = Bounded {
        body,
        left: payload.bytes_max,
    };
    let unpacked = Bounded {
        body: Unpacked::new(packed),
        left: payload.bytes_max,
    };
    let mut body = Remembering {
        body: unpacked,
        head: Vec::new(),
    };
    let mut rows = Vec::with_capacity(CHUNK_ROWS);
    let mut bytes = 0;
    let mut decoding = Duration::ZERO;
    let mut started = Instant::now();
    let decoded = decode_named(
        payload.format,
        names,
        BufReader::with_capacity(64 * 1024, &mut body),
        &mut |row| {
            bytes += row.raw.verbatim.len();
            rows.push(row);
            if rows.len() < CHUNK_ROWS && bytes < CHUNK_BYTES {
                return ControlFlow::Continue(());
            }
            bytes = 0;
            decoding += started.elapsed();
            let full = std::mem::replace(&mut rows, Vec::with_capacity(CHUNK_ROWS));
            let sent = chunks.blocking_send(full);
            started = Instant::now();
            // Nobody takes them any more: the batch failed further down.
            if sent.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    decoding += started.elapsed();
    metrics::histogram!("cdp_stage_seconds", "stage" => "decode").record(decoding.as_secs_f64());
    if !rows.is_empty() {
        let _ = chunks.blocking_send(rows);
    }
    Decoded {
        failure: decoded.err().map(|error| failure(&error, payload.bytes_max)),
        head: body.head,
    }
}

fn failure(error: &DecodeError, bytes_max: u64) -> DecodeFailure {
    if matches!(error, DecodeError::Read(cause) if cause.kind() == ErrorKind::FileTooLarge) {
        let message = format!("the payload is larger than {bytes_max} bytes; send it in parts");
        return DecodeFailure {
            code: ErrorCode::PayloadTooLarge,
            message,
            line: 1,
        };
    }
    let line = if let DecodeError::Syntax { line, .. } = error {
        *line
    } else {
        1
    };
    DecodeFailure {
        code: ErrorCode::Unparseable,
        message: error.to_string(),
        line,
    }
}

/// A body that arrives on the runtime, for a thread that may block.
struct Bridge<B> {
    runtime: Handle,
    body: B,
}

impl<B: AsyncRead + Unpin> Read for Bridge<B> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.runtime.block_on(self.body.read(buffer))
    }
}

/// Reads no more than allowed.
struct Bounded<R> {
    body: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or(ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// Remembers how the payload began.
struct Remembering<R> {
    body: R,
    head: Vec<u8>,
}

impl<R: Read> Read for Remembering<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        let room = UNREADABLE_KEPT_BYTES.saturating_sub(self.head.len()).min(read);
        self.head.extend_from_slice(&buffer[..room]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_a_proper_name() {
        for source in ["x", "shop.example-1", &"é".repeat(SOURCE_CHARS_MAX)] {
            assert!(check_source(source).is_ok(), "{source}");
        }
        for source in ["", "a\nb", "\u{7f}", &"x".repeat(SOURCE_CHARS_MAX + 1)] {
            let error = check_source(source).expect_err("no proper name");
            assert_eq!(
                (error.code, error.field.as_deref()),
                (ErrorCode::BadRequest, Some("source"))
            );
        }
    }

    /// How many rows each chunk has.
    fn chunk_sizes(body: &str) -> Vec<usize> {
        let payload = Payload {
            format: Format::Ndjson,
            renames: Renames::default(),
            source: "test".to_owned(),
            batch: None,
            bytes_max: u64::MAX,
        };
        let (sender, mut chunks) = mpsc::channel(100);
        assert!(
            decode_chunks(&payload, &Names::default(), body.as_bytes(), &sender)
                .failure
                .is_none()
        );
        drop(sender);
        std::iter::from_fn(|| chunks.blocking_recv())
            .map(|rows| rows.len())
            .collect()
    }

    #[test]
    fn a_chunk_is_closed_by_its_rows_or_by_its_bytes() {
        assert_eq!(chunk_sizes(&"{}\n".repeat(2_500)), [1_000, 1_000, 500]);
        let large = format!("{{\"x\":\"{}\"}}\n", "x".repeat(128 * 1024));
        assert_eq!(chunk_sizes(&large.repeat(70)), [32, 32, 6]);
    }
}
