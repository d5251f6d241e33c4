//! A batch on its way down the road, chunk by chunk.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tokio::sync::mpsc;
use tracing::Instrument as _;
use ulid::Ulid;

use super::Ingest;
use super::chunks::{DecodeFailure, Piece, Reading, Skip, decode_chunks};
use super::claims::Claim;
use super::report::{ERRORS_LISTED_MAX, Report, RowError, row_errors};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::record::{Finding, Origin, RawRow, Reject};
use crate::ingest::decode::Row;
use crate::ingest::normalise::stored;
use crate::pipeline::{Chunk, Outcome, stage_span};
use crate::store::StoreError;
use crate::store::commit::{BatchProgress, Commit};

/// Chunks that may be decoded ahead of the pipeline; beyond that, the sender waits.
const CHUNKS_AHEAD: usize = 2;

/// Pauses between the tries to write how a batch ended, in milliseconds: other writers may
/// come first.
const END_PAUSES_MS: [u64; 4] = [5, 20, 80, 320];

/// A batch on its way.
pub(super) struct Batch<'a> {
    ingest: &'a Ingest,
    pub origin: Origin,
    pub progress: BatchProgress,
    errors: Vec<RowError>,
    /// Held until the last chunk that was sent is stored or is not, even if nobody waits for it
    /// any more: whoever carries the batch on must see what became of it.
    claims: Vec<Arc<Claim>>,
    /// Whether rows of an earlier request are stored.
    is_carried_on: bool,
    /// Whether a chunk that can't be stored ends the batch; otherwise it is tried again later.
    ends_where_it_breaks_off: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(ingest: &'a Ingest, origin: Origin, progress: BatchProgress) -> Self {
        Self {
            ingest,
            origin,
            progress,
            errors: Vec::new(),
            claims: Vec::new(),
            is_carried_on: false,
            ends_where_it_breaks_off: true,
        }
    }

    pub(super) fn holding(mut self, claims: Vec<Arc<Claim>>) -> Self {
        self.claims = claims;
        self
    }

    /// Leaves the batch open where a chunk can't be stored.
    pub(super) fn patient(mut self) -> Self {
        self.ends_where_it_breaks_off = false;
        self
    }

    /// Goes back to behind the last chunk that is stored, whatever came behind it.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn carry_on(mut self) -> Result<Self, StoreError> {
        let rows = self.progress.journal.rows;
        if self.progress.processed > rows {
            // What could not be read the last time.
            self.ingest
                .store
                .forget_reject(self.origin.batch, rows + 1)
                .await?;
            self.progress.rejected -= self.progress.processed - rows;
            self.progress.processed = rows;
        }
        self.progress.finished = false;
        self.progress.failure = None;
        self.progress.journal.is_queued = false;
        self.is_carried_on = rows > 0;
        Ok(self)
    }

    /// Reads a payload to its end and stores it; returns when all of it is durable. Stops
    /// between two chunks when `stop` says so, and then returns nothing.
    ///
    /// # Errors
    /// As [`Ingest::ingest`].
    pub(super) async fn run(
        mut self,
        mut reading: Reading,
        body: impl Read + Send + 'static,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Report>, Error> {
        reading.skip = Skip {
            rows: self.progress.journal.rows,
            digest: self.progress.journal.rows_digest.clone(),
        };
        let (sender, mut pieces) = mpsc::channel(CHUNKS_AHEAD);
        let span = stage_span("decode");
        let decoding =
            tokio::task::spawn_blocking(move || span.in_scope(|| decode_chunks(&reading, body, &sender)));
        let mut waiting: Option<Piece> = None;
        while let Some(piece) = pieces.recv().await {
            if stop() {
                return Ok(None);
            }
            if let Some(before) = waiting.replace(piece) {
                self.send_piece(before, false).await?;
            }
        }
        let decoded = match decoding.await {
            Ok(decoded) => decoded,
            Err(ended) => return Err(self.break_off(ended.into()).await),
        };
        match decoded.failure {
            None => {
                self.finish(waiting, decoded.digest).await?;
                self.report().await.map(Some)
            }
            Some(failure) if failure.code == ErrorCode::KeyReused && self.ends_where_it_breaks_off => {
                Err(Error::new(failure.code, failure.message).with_field("idempotency-key"))
            }
            Some(failure) if failure.is_cut_off && !self.ends_where_it_breaks_off => Err(Error::unavailable(
                "a queued payload can't be read",
                failure.message,
            )),
            Some(failure) => {
                // A payload that fits one chunk is all or nothing.
                if self.progress.processed > 0
                    && let Some(piece) = waiting
                {
                    self.send_piece(piece, false).await?;
                }
                self.fail(&failure, decoded.head).await.map(Some)
            }
        }
    }

    async fn finish(&mut self, last: Option<Piece>, digest: Option<String>) -> Result<(), Error> {
        // One that waited in the queue knows it already.
        let digest = digest.or_else(|| self.progress.journal.payload_digest.clone());
        let last = last.unwrap_or_else(|| Piece {
            rows: Vec::new(),
            digest: self.progress.journal.rows_digest.clone(),
        });
        self.progress.journal.payload_digest = digest;
        self.send_piece(last, true).await
    }

    async fn send_piece(&mut self, piece: Piece, is_last: bool) -> Result<(), Error> {
        let mut before = self.progress.clone();
        before.journal.rows += piece.rows.len() as u64;
        before.journal.rows_digest = piece.digest;
        self.send(piece.rows, before, is_last).await
    }

    /// Sends rows, behind which the batch stands as `before` and what becomes of them say.
    pub(super) async fn send(
        &mut self,
        rows: Vec<Row>,
        before: BatchProgress,
        is_last: bool,
    ) -> Result<(), Error> {
        let chunk = Chunk {
            origin: self.origin.clone(),
            rows,
            before,
            is_last,
        };
        let (pipeline, claims) = (self.ingest.pipeline.clone(), self.claims.clone());
        let sending = async move {
            let outcome = pipeline.ingest_chunk(chunk).await;
            drop(claims);
            outcome
        };
        let sent = tokio::spawn(sending.in_current_span());
        let Outcome { progress, rejects } = match sent.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => return Err(self.break_off(error.into()).await),
            Err(ended) => return Err(self.break_off(ended.into()).await),
        };
        self.progress = progress;
        self.progress.journal.rev += 1;
        let errors = rejects.into_iter().flat_map(row_errors);
        let room = ERRORS_LISTED_MAX.saturating_sub(self.errors.len());
        self.errors.extend(errors.take(room));
        Ok(())
    }

    /// Ends the batch where a chunk could not be stored. That it ended is written if it can
    /// be: what kept the chunk from being stored may well keep this from it.
    async fn break_off(&mut self, error: Error) -> Error {
        if !self.ends_where_it_breaks_off {
            return error;
        }
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
            fields: None,
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
    pub(super) async fn end(
        &mut self,
        failure: &str,
        rejects: Vec<(Ulid, Reject)>,
    ) -> Result<(), StoreError> {
        self.progress.finished = true;
        self.progress.failure = Some(failure.to_owned());
        if let Some(replay) = &mut self.progress.journal.replay {
            replay.rows.clear();
        }
        let commit = Commit {
            rejects,
            batches: vec![(self.origin.clone(), self.progress.clone())],
            at: stored(Utc::now()),
            ..Commit::default()
        };
        for pause_ms in END_PAUSES_MS {
            match self.ingest.store.commit(commit.clone()).await {
                Err(StoreError::Conflict) => {}
                done => return done.map(drop),
            }
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
        self.ingest.store.commit(commit).await.map(drop)
    }

    /// What became of the whole batch.
    ///
    /// # Errors
    /// When the store fails, which is asked for the errors of earlier requests.
    pub(super) async fn report(self) -> Result<Report, Error> {
        if self.is_carried_on {
            return self.ingest.report_of(&self.progress).await;
        }
        Ok(Report {
            batch: self.origin.batch,
            processed: self.progress.processed,
            rejected: self.progress.rejected,
            duplicates: self.progress.duplicates,
            warnings: self.progress.quality.warnings,
            errors: self.errors,
            is_replayed: false,
        })
    }
}
