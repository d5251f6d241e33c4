//! The raw stage: verbatim rows, many to a record, compressed. A block is one write
//! instead of a thousand, and texts that resemble each other compress well together.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::{Bytes, RecordId, SurrealValue};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::record::{Origin, RawId, RawRow};

/// How many blocks are held in memory where all are read.
const BLOCKS_AT_ONCE: usize = 16;

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

/// How a row came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
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
        Ok(Self {
            id: block_id(id),
            batch: origin.batch.to_string(),
            source: origin.source.clone(),
            content_type: origin.content_type.clone(),
            received_at: origin.received_at,
            count: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            rows: pack(rows)?,
        })
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.len()
    }

    /// The same block with some of its rows emptied: their places stay, so that the addresses of
    /// the others do.
    ///
    /// # Errors
    /// When it can't be unpacked, or packed again.
    pub fn without(&self, emptied: &BTreeSet<u16>) -> Result<Self, StoreError> {
        let mut rows = self.unpack()?;
        for (row, place) in rows.iter_mut().zip(0_u16..) {
            if emptied.contains(&place) {
                row.verbatim = String::new();
            }
        }
        Ok(Self {
            rows: pack(&rows)?,
            ..self.clone()
        })
    }

    /// The number and line of each row, in order.
    ///
    /// # Errors
    /// When it can't be unpacked.
    pub fn places(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        let rows = self.unpack()?;
        Ok(rows.into_iter().map(|row| (row.number, row.line)).collect())
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

fn pack(rows: &[RawRow]) -> Result<Bytes, StoreError> {
    let texts: Vec<(u64, u64, &str)> = rows
        .iter()
        .map(|row| (row.number, row.line, row.verbatim.as_str()))
        .collect();
    let corrupt =
        |error: &dyn std::error::Error| StoreError::Corrupt(format!("rows can't be packed: {error}"));
    let text = serde_json::to_vec(&texts).map_err(|error| corrupt(&error))?;
    let packed = zstd::encode_all(text.as_slice(), COMPRESSION_LEVEL).map_err(|error| corrupt(&error))?;
    Ok(packed.into())
}

impl Store {
    /// The verbatim row at an address; none if there is no such row.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_row(&self, id: RawId) -> Result<Option<StoredRow>, StoreError> {
        Ok(self.raw_rows(&[id]).await?.remove(&id))
    }

    /// The verbatim rows at these addresses; those that are not there are left out. A block is
    /// read and unpacked once, however many of its rows are asked for.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_rows(&self, ids: &[RawId]) -> Result<BTreeMap<RawId, StoredRow>, StoreError> {
        let blocks: BTreeSet<Ulid> = ids.iter().map(|id| id.block).collect();
        let blocks: Vec<RecordId> = blocks.into_iter().map(block_id).collect();
        let wanted: BTreeSet<RawId> = ids.iter().copied().collect();
        self.rows_of_blocks(blocks, |id, _| wanted.contains(&id)).await
    }

    /// The first rows that hold a text, found by reading all that was ever received. For repairs:
    /// nothing else should have to.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_rows_naming(
        &self,
        text: &str,
        most: usize,
    ) -> Result<BTreeMap<RawId, StoredRow>, StoreError> {
        let all = "SELECT VALUE id FROM raw";
        let blocks: Vec<RecordId> = self.select("read the ids of raw blocks", all, bind([])).await?;
        let mut found = BTreeMap::new();
        for some in blocks.chunks(BLOCKS_AT_ONCE) {
            let naming = |_, row: &RawRow| row.verbatim.contains(text);
            found.extend(self.rows_of_blocks(some.to_vec(), naming).await?);
            if found.len() >= most {
                break;
            }
        }
        Ok(found)
    }

    async fn rows_of_blocks(
        &self,
        blocks: Vec<RecordId>,
        is_wanted: impl Fn(RawId, &RawRow) -> bool,
    ) -> Result<BTreeMap<RawId, StoredRow>, StoreError> {
        let parameters = bind([("blocks", blocks.into_value())]);
        let blocks: Vec<PackedBlock> = self
            .select("read raw blocks", "SELECT * FROM $blocks", parameters)
            .await?;
        let mut found = BTreeMap::new();
        for packed in blocks {
            let block = rows::ulid_key(&packed.id)?;
            let batch = batch_of(&packed.batch)?;
            let rows = (0_u16..).map(|row| RawId { block, row }).zip(packed.unpack()?);
            let stored = |row| StoredRow {
                row,
                batch,
                source: packed.source.clone(),
                received_at: packed.received_at,
            };
            found.extend(
                rows.filter(|(id, row)| is_wanted(*id, row))
                    .map(|(id, row)| (id, stored(row))),
            );
        }
        Ok(found)
    }

    /// The blocks that arrived in a stretch of time, from one millisecond up to before another;
    /// none if there are more than `most`.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_blocks_between(
        &self,
        from_ms: u64,
        to_ms: u64,
        most: usize,
    ) -> Result<Option<Vec<Ulid>>, StoreError> {
        let parameters = bind([
            ("from", Ulid::from_parts(from_ms, 0).to_string().into_value()),
            ("to", Ulid::from_parts(to_ms, 0).to_string().into_value()),
            ("most", most.saturating_add(1).into_value()),
        ]);
        let text = "SELECT VALUE id FROM type::record('raw', $from..$to) LIMIT $most";
        let found: Vec<RecordId> = self
            .select("read the ids of raw blocks", text, parameters)
            .await?;
        if found.len() > most {
            return Ok(None);
        }
        found
            .iter()
            .map(rows::ulid_key)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Empties rows of a block; how many of them were not empty before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another search changed the block meanwhile.
    pub async fn empty_raw_rows(
        &self,
        block: Ulid,
        is_to_go: impl Fn(RawId, &RawRow) -> bool,
    ) -> Result<u64, StoreError> {
        let parameters = bind([("id", block_id(block).into_value())]);
        let found: Vec<PackedBlock> = self
            .select("read a raw block", "SELECT * FROM $id", parameters)
            .await?;
        let Some(packed) = found.into_iter().next() else {
            return Ok(0);
        };
        let rows = packed.unpack()?;
        let emptied: BTreeSet<u16> = (0_u16..)
            .zip(&rows)
            .filter(|(place, row)| !row.verbatim.is_empty() && is_to_go(RawId { block, row: *place }, row))
            .map(|(place, _)| place)
            .collect();
        if !emptied.is_empty() {
            let new = packed.without(&emptied)?.rows;
            self.replace_bytes((packed.id, "rows"), packed.rows, new).await?;
        }
        Ok(emptied.len() as u64)
    }

    /// The rows of a block that are wanted.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_rows_of(
        &self,
        block: Ulid,
        is_wanted: impl Fn(RawId, &RawRow) -> bool,
    ) -> Result<BTreeMap<RawId, StoredRow>, StoreError> {
        self.rows_of_blocks(vec![block_id(block)], is_wanted).await
    }

    /// Where the rows of these blocks come from; blocks that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn raw_origins(&self, blocks: &BTreeSet<Ulid>) -> Result<BTreeMap<Ulid, Arrival>, StoreError> {
        let blocks: Vec<RecordId> = blocks.iter().map(|id| block_id(*id)).collect();
        let parameters = bind([("blocks", blocks.into_value())]);
        let found: Vec<ArrivalRow> = self.select("read raw origins", ORIGINS, parameters).await?;
        let arrival = |row: ArrivalRow| {
            let arrival = Arrival {
                source: row.source,
                received_at: row.received_at,
            };
            Ok((rows::ulid_key(&row.id)?, arrival))
        };
        found.into_iter().map(arrival).collect()
    }
}

/// Without the rows, which are most of a block.
const ORIGINS: &str = "SELECT id, source, received_at FROM $blocks";

#[derive(SurrealValue)]
struct ArrivalRow {
    id: RecordId,
    source: String,
    received_at: Timestamp,
}

fn batch_of(text: &str) -> Result<Ulid, StoreError> {
    Ulid::from_string(text).map_err(|_| StoreError::Corrupt("a raw block has no batch".to_owned()))
}

pub(super) fn block_id(id: Ulid) -> RecordId {
    RecordId::new("raw", id.to_string())
}
