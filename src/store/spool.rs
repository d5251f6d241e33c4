//! Payloads that wait to be worked off: the queue, and the blocks that each is cut into. They
//! lie in the store and not beside it, since of several servers on one store any may work them
//! off.

use surrealdb::types::{Array, Bytes, RecordId, SurrealValue};
use ulid::Ulid;

use super::batches::BatchRow;
use super::commit::BatchProgress;
use super::journal::KeyRow;
use super::leases::{Proof, holding, lease_id, shown};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::lease::Job;
use crate::domain::record::Origin;

/// A payload in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its batch.
    pub batch: Ulid,
    /// Whether all of it is here.
    pub is_whole: bool,
    /// How many blocks it has so far.
    pub blocks: u64,
    /// Their bytes, as they are stored.
    pub bytes: u64,
}

#[derive(SurrealValue)]
struct QueueRow {
    id: RecordId,
    is_whole: bool,
    blocks: u64,
    bytes: u64,
}

#[derive(SurrealValue)]
struct BlockRow {
    id: RecordId,
    data: Bytes,
}

impl From<&Queued> for QueueRow {
    fn from(queued: &Queued) -> Self {
        Self {
            id: queue_id(queued.batch),
            is_whole: queued.is_whole,
            blocks: queued.blocks,
            bytes: queued.bytes,
        }
    }
}

impl QueueRow {
    fn into_domain(self) -> Result<Queued, StoreError> {
        Ok(Queued {
            batch: rows::ulid_key(&self.id)?,
            is_whole: self.is_whole,
            blocks: self.blocks,
            bytes: self.bytes,
        })
    }
}

const SPOOL: &str = concat!(
    "BEGIN;",
    holding!(),
    "INSERT INTO spool $block RETURN NONE; UPDATE $queued.id CONTENT $queued RETURN NONE; COMMIT;"
);

const ENQUEUE: &str = concat!(
    "BEGIN;",
    holding!(),
    "UPDATE $queued.id CONTENT $queued RETURN NONE; INSERT INTO batch $new RETURN NONE;
     FOR $row IN $known { UPDATE $row.id CONTENT $row RETURN NONE };
     INSERT INTO batch_key $keys RETURN NONE; COMMIT;"
);

const CANCEL: &str = "BEGIN; UPDATE $batch.id CONTENT $batch RETURN NONE; \
     DELETE $spooled RETURN NONE; COMMIT;";

impl Store {
    /// Everything in the queue, in order of arrival.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn queue(&self) -> Result<Vec<Queued>, StoreError> {
        let text = "SELECT * FROM batch_queue ORDER BY id";
        let found: Vec<QueueRow> = self.select("read the queue", text, bind([])).await?;
        found.into_iter().map(QueueRow::into_domain).collect()
    }

    /// A payload in the queue; none if it is not there any more.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn queued(&self, batch: Ulid) -> Result<Option<Queued>, StoreError> {
        let parameters = bind([("id", queue_id(batch).into_value())]);
        let found: Vec<QueueRow> = self
            .select("read a queued batch", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(QueueRow::into_domain).transpose()
    }

    /// Begins to receive a payload.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_queued(&self, queued: &Queued) -> Result<(), StoreError> {
        let parameters = bind([("row", QueueRow::from(queued).into_value())]);
        let text = "INSERT INTO batch_queue $row RETURN NONE";
        self.run_again("began to queue a batch", text, parameters).await
    }

    /// Stores the next block of a payload; `queued` counts it already.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when another server has given the payload up; then, and when the store
    /// fails, the block is not stored.
    pub async fn spool_block(
        &self,
        queued: &Queued,
        data: Vec<u8>,
        proof: Option<&Proof>,
    ) -> Result<(), StoreError> {
        let row = BlockRow {
            id: block_id(queued.batch, queued.blocks.saturating_sub(1)),
            data: data.into(),
        };
        let parameters = bind([
            ("block", row.into_value()),
            ("queued", QueueRow::from(queued).into_value()),
            ("lease", shown(proof)),
        ]);
        self.run_again("spooled a payload", SPOOL, parameters).await
    }

    /// A block of a payload, counted from 0; none if it is not there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn spooled_block(&self, batch: Ulid, block: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let parameters = bind([("id", block_id(batch, block).into_value())]);
        let found: Vec<BlockRow> = self
            .select("read a spooled payload", "SELECT * FROM $id", parameters)
            .await?;
        Ok(found.into_iter().next().map(|row| row.data.to_vec()))
    }

    /// Lets a payload that was received as a whole wait for its turn: from here on it is not
    /// lost.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another request with its key came first, and
    /// [`StoreError::Lost`] when another server has given the payload up.
    pub async fn enqueue(
        &self,
        queued: &Queued,
        origin: Origin,
        progress: BatchProgress,
        at: Timestamp,
        proof: Option<&Proof>,
    ) -> Result<(), StoreError> {
        let keys: Vec<KeyRow> = KeyRow::of_first(&progress, at).into_iter().collect();
        let is_new = progress.journal.rev == 0;
        let row = BatchRow::new(origin, progress, at);
        let (new, known) = if is_new {
            (vec![row], Vec::new())
        } else {
            (Vec::new(), vec![row])
        };
        let parameters = bind([
            ("queued", QueueRow::from(queued).into_value()),
            ("new", new.into_value()),
            ("known", known.into_value()),
            ("keys", keys.into_value()),
            ("lease", shown(proof)),
        ]);
        self.run_to_end_again("queued a batch", ENQUEUE, parameters).await
    }

    /// Forgets a payload that was worked off, or will not be.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dequeue(&self, queued: &Queued) -> Result<(), StoreError> {
        let parameters = bind([("spooled", spooled_ids(queued).into_value())]);
        self.run_again("forgot a queued batch", "DELETE $spooled RETURN NONE", parameters)
            .await
    }

    /// Ends a batch that is queued or half worked off, and forgets its payload.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the batch got on meanwhile.
    pub async fn cancel_queued(
        &self,
        queued: Option<&Queued>,
        origin: Origin,
        progress: BatchProgress,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let spooled = queued.map(spooled_ids).unwrap_or_default();
        let parameters = bind([
            ("batch", BatchRow::new(origin, progress, at).into_value()),
            ("spooled", spooled.into_value()),
        ]);
        self.run_to_end("cancelled a batch", CANCEL.to_owned(), parameters)
            .await
    }
}

/// All records of a queued payload.
fn spooled_ids(queued: &Queued) -> Vec<RecordId> {
    (0..queued.blocks)
        .map(|block| block_id(queued.batch, block))
        .chain([queue_id(queued.batch), lease_id(&Job::Batch(queued.batch))])
        .collect()
}

fn queue_id(batch: Ulid) -> RecordId {
    RecordId::new("batch_queue", batch.to_string())
}

fn block_id(batch: Ulid, block: u64) -> RecordId {
    let key: Array = vec![batch.to_string().into_value(), block.into_value()].into();
    RecordId::new("spool", key)
}
