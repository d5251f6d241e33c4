//! What is stored of a file that came in parts. Each part is a request with a key of this form:
//! `file:⟨sha256⟩:⟨number of its first row, in 12 digits⟩`, where the sha256 is of all that makes
//! another import: the file's content, and how it was read and cut.

use std::collections::BTreeMap;

use ulid::Ulid;

use super::Ingest;
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::domain::quality::Quality;
use crate::store::commit::BatchProgress;

/// Row numbers that one question about parts covers. A part has a thousand rows, or fewer where
/// they are long.
pub const PARTS_ROWS: u64 = 250_000;

/// A part that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The number of its first row in the file, from 1.
    pub first_row: u64,
    /// Its batch.
    pub progress: BatchProgress,
}

/// What is stored of a file, all parts together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileReport {
    /// How many parts there are.
    pub parts: u64,
    /// Rows that were read, good or bad.
    pub processed: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows whose message id had come before.
    pub duplicates: u64,
    /// When the first part came.
    pub first_received_at: Option<Timestamp>,
    /// When the last part came.
    pub last_received_at: Option<Timestamp>,
    /// How good its rows are.
    pub quality: Quality,
}

impl FileReport {
    /// Takes one part more into account.
    fn add(&mut self, received_at: Timestamp, progress: &BatchProgress) {
        self.parts += 1;
        self.processed += progress.processed;
        self.rejected += progress.rejected;
        self.duplicates += progress.duplicates;
        self.quality = std::mem::take(&mut self.quality).merge((*progress.quality).clone());
        let first = self.first_received_at.unwrap_or(received_at);
        let last = self.last_received_at.unwrap_or(received_at);
        self.first_received_at = Some(first.min(received_at));
        self.last_received_at = Some(last.max(received_at));
    }
}

impl Ingest {
    /// The parts of a file of a caller's that are stored as a whole, with first rows behind
    /// `after` and up to [`PARTS_ROWS`] behind it, in order; and where to ask on. None to ask
    /// for is left where there is no part in that range.
    ///
    /// # Errors
    /// Bad request when it is no sha256.
    pub async fn file_parts(
        &self,
        caller: &str,
        file: &str,
        after: u64,
    ) -> Result<(Vec<Part>, Option<u64>), Error> {
        check_sha256(file)?;
        let found = self.parts_of(caller, file, after).await?;
        let next = (!found.is_empty()).then(|| after.saturating_add(PARTS_ROWS));
        let whole = (found.into_iter())
            .filter(|(_, _, progress)| progress.finished && progress.failure.is_none())
            .map(|(first_row, _, progress)| Part { first_row, progress });
        Ok((whole.collect(), next))
    }

    /// What is stored of a file of a caller's, all parts together.
    ///
    /// # Errors
    /// Bad request when it is no sha256, not found when nothing of it is stored.
    pub async fn file(&self, caller: &str, file: &str) -> Result<FileReport, Error> {
        check_sha256(file)?;
        let mut report = FileReport::default();
        let mut after = 0;
        loop {
            let found = self.parts_of(caller, file, after).await?;
            if found.is_empty() {
                break;
            }
            for (_, received_at, progress) in &found {
                report.add(*received_at, progress);
            }
            after = after.saturating_add(PARTS_ROWS);
        }
        if report.parts == 0 {
            return Err(Error::not_found("nothing of this file is stored"));
        }
        Ok(report)
    }

    async fn parts_of(
        &self,
        caller: &str,
        file: &str,
        after: u64,
    ) -> Result<Vec<(u64, Timestamp, BatchProgress)>, Error> {
        let (from, to) = (after.saturating_add(1), after.saturating_add(PARTS_ROWS + 1));
        let keys = self
            .store
            .batch_keys(caller, &part_key(file, from), &part_key(file, to))
            .await?;
        let ids: Vec<Ulid> = keys.iter().map(|(_, batch)| *batch).collect();
        let batches = self.store.batches(&ids).await?;
        let mut batches: BTreeMap<Ulid, (Timestamp, BatchProgress)> = (batches.into_iter())
            .map(|(origin, progress)| (progress.id, (origin.received_at, progress)))
            .collect();
        let found = keys.iter().filter_map(|(key, id)| {
            let first_row = key.rsplit(':').next()?.parse().ok()?;
            let (received_at, progress) = batches.remove(id)?;
            Some((first_row, received_at, progress))
        });
        Ok(found.collect())
    }
}

/// The key of a file's part.
#[must_use]
pub fn part_key(file: &str, first_row: u64) -> String {
    format!("file:{file}:{first_row:012}")
}

fn check_sha256(text: &str) -> Result<(), Error> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 64 && text.bytes().all(is_digit) {
        return Ok(());
    }
    Err(Error::bad_request(
        "file",
        "is the sha256 of a file, as 64 lower-case hex digits",
    ))
}
