//! What each request brought and how far it came: batches, and the messages seen.

use std::collections::{BTreeSet, HashMap};

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::commit::BatchProgress;
use super::journal::{Journal, Replay};
use super::quality::{quality_of, quality_text};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::fact::Fact;
use crate::domain::identifier::Cookie;
use crate::domain::quality::Quality;
use crate::domain::record::{Origin, RawId};
use crate::domain::trail::MessageMark;

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
    /// JSON; none of a batch that is older than the field.
    quality: Option<String>,
    rev: Option<u32>,
    rows: Option<u64>,
    rows_digest: Option<String>,
    payload_digest: Option<String>,
    updated_at: Option<Timestamp>,
    is_queued: Option<bool>,
    is_cancelled: Option<bool>,
    replay_of: Option<String>,
    renames: Option<Vec<String>>,
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
            quality: quality_text(&progress.quality),
            rev: Some(journal.rev + 1),
            rows: Some(journal.rows),
            rows_digest: journal.rows_digest,
            payload_digest: journal.payload_digest,
            updated_at: Some(at),
            is_queued: Some(journal.is_queued),
            is_cancelled: Some(journal.is_cancelled),
            replay_of: journal.replay.map(|replay| replay.of.to_string()),
            renames: (!journal.renames.is_empty()).then_some(journal.renames),
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
            renames: self.renames.unwrap_or_default(),
            updated_at: self.updated_at,
        };
        let progress = BatchProgress {
            id,
            processed: self.processed,
            rejected: self.rejected,
            duplicates: self.duplicates,
            finished: self.finished,
            failure: self.failure,
            quality: Box::new((self.quality.as_deref()).map_or_else(|| Ok(Quality::default()), quality_of)?),
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
    pub(super) fn new(cookie: &Cookie, message: MessageMark, raw: RawId) -> Self {
        Self {
            id: message_id(cookie.as_str(), &hex_of(message)),
            raw: raw.to_string(),
        }
    }
}

fn hex_of(MessageMark(mark): MessageMark) -> String {
    format!("{mark:016x}")
}

fn message_id(first: &str, second: &str) -> RecordId {
    let key: Array = vec![first.to_owned().into_value(), second.to_owned().into_value()].into();
    RecordId::new("message", key)
}

/// Both parts of a message's key.
fn message_key(id: &RecordId) -> Result<(String, String), StoreError> {
    let RecordIdKey::Array(parts) = &id.key else {
        return Err(StoreError::Corrupt("a message's key is not a pair".to_owned()));
    };
    match &parts[..] {
        [Value::String(first), Value::String(second)] => Ok((first.clone(), second.clone())),
        _ => Err(StoreError::Corrupt(
            "a message's key is not a pair of texts".to_owned(),
        )),
    }
}

impl Store {
    /// Which of these facts are messages that came before under the same cookie, and are not on
    /// its trail any more. Facts that are no messages are none of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn known_messages(&self, facts: &[&Fact]) -> Result<BTreeSet<RawId>, StoreError> {
        let mut asked: HashMap<(String, String), Vec<RawId>> = HashMap::new();
        for fact in facts {
            let (Some(mark), Some(id)) = (fact.message(), &fact.message_id) else {
                continue;
            };
            let key = (fact.cookie.to_string(), hex_of(mark));
            asked.entry(key).or_default().push(fact.raw);
            // As earlier versions remembered it.
            let key = (fact.source.clone(), id.clone());
            asked.entry(key).or_default().push(fact.raw);
        }
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids: Vec<RecordId> = (asked.keys())
            .map(|(first, second)| message_id(first, second))
            .collect();
        let parameters = bind([("messages", ids.into_value())]);
        let found: Vec<RecordId> = self
            .select("read messages", "SELECT VALUE id FROM $messages", parameters)
            .await?;
        let mut known = BTreeSet::new();
        for id in &found {
            known.extend(asked.get(&message_key(id)?).into_iter().flatten());
        }
        Ok(known)
    }

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
