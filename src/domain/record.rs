//! What arrived, before and beside validation: a verbatim row, where it stands in
//! the raw stage, and the reject that it becomes when it is refused.

use std::fmt;
use std::str::FromStr;

use ulid::Ulid;

use super::Timestamp;

/// The most rows one raw block may hold, so that a row number always fits [`RawId`].
pub const BLOCK_ROWS_MAX: usize = u16::MAX as usize;

/// The longest row that is read, in bytes. The largest records known, with two hundred
/// interests of two hundred characters, stay below 64 KiB; a row beyond this is a mistake,
/// and only its beginning is kept.
pub const ROW_BYTES_MAX: usize = 256 * 1024;

/// The address of one verbatim row: the block it was stored in, and its place there.
/// Ordered by time of arrival, since blocks are ULIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawId {
    /// The raw block.
    pub block: Ulid,
    /// The row within the block, from 0.
    pub row: u16,
}

impl fmt::Display for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.block, self.row)
    }
}

/// A text that is not a raw row's address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the address of a raw row")]
pub struct RawIdError(String);

impl FromStr for RawId {
    type Err = RawIdError;

    fn from_str(text: &str) -> Result<Self, RawIdError> {
        let parse = || {
            let (block, row) = text.split_once('-')?;
            Some(Self {
                block: Ulid::from_string(block).ok()?,
                row: row.parse().ok()?,
            })
        };
        parse().ok_or_else(|| RawIdError(text.to_owned()))
    }
}

/// What a batch's rows share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The batch that brought the rows.
    pub batch: Ulid,
    /// Who sent them: `api`, `import`, `demo`, or a name that the sender gave.
    pub source: String,
    /// The media type as decoded, for example `text/csv`.
    pub content_type: String,
    /// When the request arrived. The event time of rows that carry none.
    pub received_at: Timestamp,
}

/// One row as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRow {
    /// The row's number within the batch, from 1; a CSV header is not counted.
    pub number: u64,
    /// The line of the payload where the row begins, from 1.
    pub line: u64,
    /// The row's own bytes as text; at most the first [`ROW_BYTES_MAX`].
    pub verbatim: String,
}

/// What is wrong with one field of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The field, by its canonical name, for example `demographics.age`.
    pub field: String,
    /// A stable word for programs, for example `out_of_range`.
    pub code: &'static str,
    /// A sentence for people, naming the value where that is safe.
    pub message: String,
}

/// A row that was refused: kept with its reasons, so that it can be mended and replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The row as it arrived.
    pub row: RawRow,
    /// At least one reason.
    pub reasons: Vec<Finding>,
    /// Its fields by canonical name, as `ingest::keep` writes them; none if it could not be
    /// decoded.
    pub fields: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_address_reads_back() {
        let id = RawId {
            block: Ulid::from_parts(7, 9),
            row: 12,
        };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("nonsense".parse::<RawId>().is_err());
        assert!("01ARZ3NDEKTSV4RRFFQ69G5FAV-70000".parse::<RawId>().is_err());
    }
}
