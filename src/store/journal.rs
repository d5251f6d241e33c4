//! How a batch is carried on where it broke off: what stands in its record beside the counts,
//! and the keys that senders gave.

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::commit::BatchProgress;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;

/// What is written beside a batch's counts, in the transaction that writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journal {
    /// The revision of the batch's record that the next write follows; 0 before there is one.
    /// Of two that carry one batch on, the store tells one of them so.
    pub rev: u32,
    /// Rows that whole chunks brought, counted from the payload's beginning.
    pub rows: u64,
    /// The sha256 of these rows, where they may be sent again.
    pub rows_digest: Option<String>,
    /// The sha256 of the whole payload, once it was read to its end.
    pub payload_digest: Option<String>,
    /// The key that the sender gave; stored with the batch's first write.
    pub key: Option<BatchKey>,
    /// Whether it is worked off from the queue.
    pub is_queued: bool,
    /// Whether somebody cancelled it.
    pub is_cancelled: bool,
    /// Which rejects of which batch it replays.
    pub replay: Option<Replay>,
    /// What its sender says of its columns, as `column:field`.
    pub renames: Vec<String>,
    /// When it was written last; none before.
    pub updated_at: Option<Timestamp>,
}

/// A name that a sender gave to a request: whoever repeats it means the same request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchKey {
    /// Whose name it is; two users may give the same.
    pub caller: String,
    /// The name.
    pub key: String,
}

/// Rejects that are judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The batch that they are of.
    pub of: Ulid,
    /// The number and the revision of each that this chunk holds.
    pub rows: Vec<(u64, u32)>,
}

#[derive(SurrealValue)]
pub(super) struct KeyRow {
    id: RecordId,
    batch: String,
    at: Timestamp,
}

impl KeyRow {
    /// The key of a batch, where this is its first write.
    pub(super) fn of_first(progress: &BatchProgress, at: Timestamp) -> Option<Self> {
        let journal = &progress.journal;
        let key = journal.key.as_ref().filter(|_| journal.rev == 0)?;
        Some(Self {
            id: key_id(key),
            batch: progress.id.to_string(),
            at,
        })
    }

    fn batch(&self) -> Result<Ulid, StoreError> {
        Ulid::from_string(&self.batch)
            .map_err(|_| StoreError::Corrupt(format!("`{}` is no batch", self.batch)))
    }
}

pub(super) fn key_id(key: &BatchKey) -> RecordId {
    let parts: Array = vec![key.caller.clone().into_value(), key.key.clone().into_value()].into();
    RecordId::new("batch_key", parts)
}

impl Store {
    /// The batch that a key stands for; none if nothing of it is stored.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn batch_of_key(&self, key: &BatchKey) -> Result<Option<Ulid>, StoreError> {
        let parameters = bind([("id", key_id(key).into_value())]);
        let found: Vec<KeyRow> = self
            .select("read a batch's key", "SELECT * FROM $id", parameters)
            .await?;
        found.first().map(KeyRow::batch).transpose()
    }

    /// The keys of a caller from one text to another, the end left out, in their order, each
    /// with its batch.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn batch_keys(
        &self,
        caller: &str,
        from: &str,
        to: &str,
    ) -> Result<Vec<(String, Ulid)>, StoreError> {
        let parameters = bind([
            ("caller", caller.to_owned().into_value()),
            ("from", from.to_owned().into_value()),
            ("to", to.to_owned().into_value()),
        ]);
        let found: Vec<KeyRow> = self
            .select(
                "read keys of batches",
                "SELECT * FROM batch_key:[$caller, $from]..[$caller, $to]",
                parameters,
            )
            .await?;
        found
            .iter()
            .map(|row| Ok((key_text(&row.id)?, row.batch()?)))
            .collect()
    }
}

fn key_text(id: &RecordId) -> Result<String, StoreError> {
    if let RecordIdKey::Array(parts) = &id.key
        && let [_, Value::String(key)] = &parts[..]
    {
        return Ok(key.clone());
    }
    Err(StoreError::Corrupt(
        "a batch's key is not a pair of texts".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_with_the_first_write_only() {
        let mut progress = BatchProgress::new(Ulid::from_parts(1, 2));
        let at = Timestamp::default();
        assert!(KeyRow::of_first(&progress, at).is_none());
        progress.journal.key = Some(BatchKey {
            caller: "ann".to_owned(),
            key: "k".to_owned(),
        });
        assert!(KeyRow::of_first(&progress, at).is_some());
        progress.journal.rev = 1;
        assert!(KeyRow::of_first(&progress, at).is_none());
    }
}
