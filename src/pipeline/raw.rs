//! The first stage: rows as they came get their address and are packed.

use ulid::Ulid;

use crate::domain::record::{Finding, Origin, RawId, RawRow};
use crate::ingest::decode::Row;
use crate::ingest::fields::Fields;
use crate::store::StoreError;
use crate::store::raw::PackedBlock;

/// Rows with an address, whose verbatim text is packed for the store.
pub struct Received {
    /// What the rows share.
    pub origin: Origin,
    /// The rows' own texts.
    pub block: PackedBlock,
    /// Each row with its address, and what could be read in it.
    pub rows: Vec<(RawId, RawRow, Result<Fields, Finding>)>,
}

impl Received {
    /// Gives each row its address in a new block.
    ///
    /// # Errors
    /// When the rows can't be packed.
    pub fn new(origin: Origin, rows: Vec<Row>) -> Result<Self, StoreError> {
        let id = Ulid::new();
        let (texts, contents): (Vec<RawRow>, Vec<_>) =
            rows.into_iter().map(|row| (row.raw, row.content)).unzip();
        let block = PackedBlock::pack(id, &origin, &texts)?;
        let rows = (0_u16..)
            .zip(texts)
            .zip(contents)
            .map(|((row, text), content)| (RawId { block: id, row }, text, content))
            .collect();
        Ok(Self { origin, block, rows })
    }
}
