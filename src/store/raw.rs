//! The raw stage: verbatim rows, many to a record, compressed. A block is one write
//! instead of a thousand, and texts that resemble each other compress well together.

use surrealdb::types::{Bytes, RecordId, SurrealValue};
use ulid::Ulid;

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::record::{Origin, RawId, RawRow};

/// zstd's level: 1 is its fastest, and already gives a factor of about 8 on JSON rows.
const COMPRESSION_LEVEL: i32 = 1;

/// A verbatim row as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// The row.
    pub row: RawRow,
    /// The batch that brought it.
    pub batch: Ulid,
    /// Who sent it.
    pub source: String,
    /// When it arrived.
    pub received_at: Timestamp,
}

/// Verbatim rows of one origin, packed as they are stored. Packing takes time, so it is
/// done where the rows are read, and not where transactions queue.
#[derive(Debug, Clone, SurrealValue)]
pub struct PackedBlock {
    id: RecordId,
    batch: String,
    source: String,
    content_type: String,
    received_at: Timestamp,
    count: u32,
    rows: Bytes,
}

impl PackedBlock {
    /// Packs rows, in order; a fact's [`RawId`] counts them from 0.
    ///
    /// # Errors
    /// When they can't be compressed, which no input is known to cause.
    pub fn pack(id: Ulid, origin: &Origin, rows: &[RawRow]) -> Result<Self, StoreError> {
        let texts: Vec<(u64, u64, &str)> = rows
            .iter()
            .map(|row| (row.number, row.line, row.verbatim.as_str()))
            .collect();
        let corrupt =
            |error: &dyn std::error::Error| StoreError::Corrupt(format!("rows can't be packed: {error}"));
        let text = serde_json::to_vec(&texts).map_err(|error| corrupt(&error))?;
        let packed = zstd::encode_all(text.as_slice(), COMPRESSION_LEVEL).map_err(|error| corrupt(&error))?;
        Ok(Self {
            id: block_id(id),
            batch: origin.batch.to_string(),
            source: origin.source.clone(),
            content_type: origin.content_type.clone(),
            received_at: origin.received_at,
            count: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            rows: packed.into(),
        })
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    fn unpack(&self) -> Result<Vec<RawRow>, StoreError> {
        let corrupt =
            |error: &dyn std::error::Error| StoreError::Corrupt(format!("a raw block is torn: {error}"));
        let text = zstd::decode_all(self.rows.as_ref()).map_err(|error| corrupt(&error))?;
        let rows: Vec<(u64, u64, String)> = serde_json::from_slice(&text).map_err(|error| corrupt(&error))?;
        let row = |(number, line, verbatim)| RawRow {
            number,
            line,
            verbatim,
        };
        Ok(rows.into_iter().map(row).collect())
    }
}

impl Store {
    /// The verbatim row at an address; none if there is no such row.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_row(&self, id: RawId) -> Result<Option<StoredRow>, StoreError> {
        let parameters = bind([("id", block_id(id.block).into_value())]);
        let blocks: Vec<PackedBlock> = self
            .select("read a raw block", "SELECT * FROM $id", parameters)
            .await?;
        let Some(block) = blocks.into_iter().next() else {
            return Ok(None);
        };
        let row = block.unpack()?.into_iter().nth(usize::from(id.row));
        let batch = Ulid::from_string(&block.batch)
            .map_err(|_| StoreError::Corrupt("a raw block has no batch".to_owned()))?;
        Ok(row.map(|row| StoredRow {
            row,
            batch,
            source: block.source,
            received_at: block.received_at,
        }))
    }
}

pub(super) fn block_id(id: Ulid) -> RecordId {
    RecordId::new("raw", id.to_string())
}
