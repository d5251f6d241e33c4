//! What each request brought and how far it came: batches, and the messages seen.

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::commit::BatchProgress;
use super::journal::{Journal, Replay};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::record::{Origin, RawId};

#[derive(SurrealValue)]
pub(super) struct BatchRow {
    id: RecordId,
    source: String,
    content_type: String,
    received_at: Timestamp,
    processed: u64,
    rejected: u64,
    duplicates: u64,
    finished: bool,
    failure: Option<String>,
    rev: Option<u32>,
    rows: Option<u64>,
    rows_digest: Option<String>,
    payload_digest: Option<String>,
    updated_at: Option<Timestamp>,
    is_queued: Option<bool>,
    is_cancelled: Option<bool>,
    replay_of: Option<String>,
}

impl BatchRow {
    pub(super) fn new(origin: Origin, progress: BatchProgress, at: Timestamp) -> Self {
        let journal = *progress.journal;
        Self {
            id: batch_id(progress.id),
            source: origin.source,
            content_type: origin.content_type,
            received_at: origin.received_at,
            processed: progress.processed,
            rejected: progress.rejected,
            duplicates: progress.duplicates,
            finished: progress.finished,
            failure: progress.failure,
            rev: Some(journal.rev + 1),
            rows: Some(journal.rows),
            rows_digest: journal.rows_digest,
            payload_digest: journal.payload_digest,
            updated_at: Some(at),
            is_queued: Some(journal.is_queued),
            is_cancelled: Some(journal.is_cancelled),
            replay_of: journal.replay.map(|replay| replay.of.to_string()),
        }
    }

    fn into_domain(self) -> Result<(Origin, BatchProgress), StoreError> {
        let id = rows::ulid_key(&self.id)?;
        let origin = Origin {
            batch: id,
            source: self.source,
            content_type: self.content_type,
            received_at: self.received_at,
        };
        let replay = self.replay_of.map(|of| {
            let corrupt = |_| StoreError::Corrupt(format!("`{of}` is no batch"));
            let of = Ulid::from_string(&of).map_err(corrupt)?;
            Ok::<_, StoreError>(Replay { of, rows: Vec::new() })
        });
        // A batch from before there were journals has none of this.
        let journal = Journal {
            rev: self.rev.unwrap_or_default(),
            rows: self.rows.unwrap_or(self.processed),
            rows_digest: self.rows_digest,
            payload_digest: self.payload_digest,
            key: None,
            is_queued: self.is_queued.unwrap_or_default(),
            is_cancelled: self.is_cancelled.unwrap_or_default(),
            replay: replay.transpose()?,
            updated_at: self.updated_at,
        };
        let progress = BatchProgress {
            id,
            processed: self.processed,
            rejected: self.rejected,
            duplicates: self.duplicates,
            finished: self.finished,
            failure: self.failure,
            journal: Box::new(journal),
        };
        Ok((origin, progress))
    }
}

#[derive(SurrealValue)]
pub(super) struct MessageRow {
    id: RecordId,
    raw: String,
}

impl MessageRow {
    pub(super) fn new(source: &str, id: &str, raw: RawId) -> Self {
        Self {
            id: message_id(source, id),
            raw: raw.to_string(),
        }
    }
}

pub(super) fn message_id(source: &str, id: &str) -> RecordId {
    let key: Array = vec![source.to_owned().into_value(), id.to_owned().into_value()].into();
    RecordId::new("message", key)
}

/// The source and message id of a message's record.
pub(super) fn message_key(id: &RecordId) -> Result<(String, String), StoreError> {
    let RecordIdKey::Array(parts) = &id.key else {
        return Err(StoreError::Corrupt("a message's key is not a pair".to_owned()));
    };
    match &parts[..] {
        [Value::String(source), Value::String(id)] => Ok((source.clone(), id.clone())),
        _ => Err(StoreError::Corrupt(
            "a message's key is not a pair of texts".to_owned(),
        )),
    }
}

impl Store {
    /// Where a batch stands; none if there is no such batch.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn batch(&self, id: Ulid) -> Result<Option<(Origin, BatchProgress)>, StoreError> {
        Ok(self.batches(&[id]).await?.into_iter().next())
    }

    /// Where batches stand; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn batches(&self, ids: &[Ulid]) -> Result<Vec<(Origin, BatchProgress)>, StoreError> {
        let ids: Vec<RecordId> = ids.iter().map(|id| batch_id(*id)).collect();
        let found: Vec<BatchRow> = self
            .select(
                "read batches",
                "SELECT * FROM $ids",
                bind([("ids", ids.into_value())]),
            )
            .await?;
        found.into_iter().map(BatchRow::into_domain).collect()
    }
}

pub(super) fn batch_id(id: Ulid) -> RecordId {
    RecordId::new("batch", id.to_string())
}
