//! A payload in one of the formats, cut into rows as it streams by.
//!
//! What can't be read as the format at all ends the payload with a [`DecodeError`] that
//! names the place; what is wrong with one row only is a [`Row`] whose content is a
//! finding, and the next row goes on. So is a row longer than [`ROW_BYTES_MAX`].
//!
//! What is packed is unpacked on the way, by [`Unpacked`], which whoever reads puts below
//! what bounds the bytes; what begins with the mark of UTF-16 is read as that.

mod csv;
mod json;
mod kept;
mod ndjson;
mod position;
mod unpack;
mod utf16;

use std::io::{BufRead, Cursor, Read};
use std::ops::ControlFlow;

use super::fields::{Fields, Names};
use crate::domain::record::{Finding, ROW_BYTES_MAX, RawRow};

pub use unpack::{PACKED_ENDINGS, PACKED_MEDIA_TYPES, Unpacked};

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One object, an array of objects, or either inside `{"data": …}`.
    Json,
    /// One object a line.
    Ndjson,
    /// Values with a header, split by commas, semicolons, tabs or bars.
    Csv,
}

impl Format {
    /// The format of a media type, parameters aside; none if it is not read.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let essence = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/json" => Some(Self::Json),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Some(Self::Ndjson),
            "text/csv" | "application/csv" | "text/tab-separated-values" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The format of a file's name, by its ending, that of a packed file aside:
    /// `visits.csv.gz` is CSV.
    #[must_use]
    pub fn of_file_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = PACKED_ENDINGS
            .into_iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(&name);
        let (_, ending) = name.rsplit_once('.')?;
        match ending {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" | "tsv" | "tab" => Some(Self::Csv),
            _ => None,
        }
    }

    /// The media type that names the format.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
        }
    }
}

/// One row of a payload.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The row as it arrived.
    pub raw: RawRow,
    /// Its fields by canonical name, or why it has none.
    pub content: Result<Fields, Finding>,
}

impl Row {
    /// A row whose text is cut, between two characters, where it becomes too long.
    fn new(number: u64, line: u64, mut verbatim: String, content: Result<Fields, Finding>) -> Self {
        verbatim.truncate(verbatim.floor_char_boundary(ROW_BYTES_MAX));
        let raw = RawRow {
            number,
            line,
            verbatim,
        };
        Self { raw, content }
    }
}

/// Whether a row's text is short enough to be read.
fn check_length(text: &[u8]) -> Result<(), Finding> {
    if text.len() > ROW_BYTES_MAX {
        Err(too_long())
    } else {
        Ok(())
    }
}

fn too_long() -> Finding {
    Finding {
        field: String::new(),
        code: "too_long",
        message: format!("the row is longer than {ROW_BYTES_MAX} bytes"),
    }
}

/// Why a payload can't be read any further. Lines and columns count from 1.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the format that it says it is.
    #[error("{message} at line {line} column {column}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// Where.
        line: u64,
        /// Where in the line, in bytes.
        column: u64,
    },
    /// Nothing in it.
    #[error("the payload is empty")]
    Empty,
    /// A header without a column that every row needs.
    #[error("the header has no `{column}` column; it has: {found}")]
    MissingColumn {
        /// The column that is missing.
        column: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// A header that names one field twice.
    #[error("the header names `{column}` twice")]
    DuplicateColumn {
        /// The field.
        column: String,
    },
    /// The bytes stopped coming.
    #[error("the payload could not be read to its end")]
    Read(#[source] std::io::Error),
    /// What the bytes come from can't be read as what it is.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Why a reader below a decoder gives up, for people: such as packed data that is damaged.
/// An I/O error that carries one becomes a [`DecodeError`] that says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Takes each row as it is read; may stop the reading.
pub type Sink<'a> = dyn FnMut(Row) -> ControlFlow<()> + 'a;

/// Reads `input` to its end, handing each row to `sink`.
///
/// # Errors
/// When the payload is empty, is not of the format, or stops coming. Rows handed out
/// before that stay handed out.
pub fn decode(format: Format, input: impl BufRead, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    decode_named(format, &Names::default(), input, sink)
}

/// The same, with names that are read in the payload's own way.
///
/// # Errors
/// As [`decode`].
pub fn decode_named(
    format: Format,
    names: &Names,
    mut input: impl BufRead,
    sink: &mut Sink<'_>,
) -> Result<(), DecodeError> {
    let mut read = || {
        let mark = read_mark(&mut input).map_err(DecodeError::Read)?;
        match utf16::encoding(&mark) {
            Some(encoding) => decode_as(format, names, utf16::reader(&mut input, encoding), sink),
            None => decode_as(format, names, Cursor::new(mark).chain(&mut input), sink),
        }
    };
    read().map_err(DecodeError::telling)
}

/// The text of a CSV payload's header, without the line break behind it: what each part of
/// the payload begins with that is sent by itself.
///
/// # Errors
/// As [`decode`].
pub fn csv_header(mut input: impl BufRead) -> Result<String, DecodeError> {
    let mut read = || {
        let mark = read_mark(&mut input).map_err(DecodeError::Read)?;
        match utf16::encoding(&mark) {
            Some(encoding) => csv::header(utf16::reader(&mut input, encoding)),
            None => csv::header(Cursor::new(mark).chain(&mut input)),
        }
    };
    read().map_err(DecodeError::telling)
}

impl DecodeError {
    /// The same, but what a reader below says for itself is said.
    fn telling(self) -> Self {
        match self {
            Self::Read(cause) => match cause.downcast::<Unreadable>() {
                Ok(unreadable) => unreadable.into(),
                Err(cause) => Self::Read(cause),
            },
            error => error,
        }
    }
}

/// The first bytes, by which UTF-16 tells itself.
fn read_mark(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut mark = Vec::with_capacity(utf16::MARK_BYTES);
    input.take(utf16::MARK_BYTES as u64).read_to_end(&mut mark)?;
    Ok(mark)
}

fn decode_as(
    format: Format,
    names: &Names,
    input: impl BufRead,
    sink: &mut Sink<'_>,
) -> Result<(), DecodeError> {
    match format {
        Format::Json => json::decode(input, names, sink),
        Format::Ndjson => ndjson::decode(input, names, sink),
        Format::Csv => csv::decode(input, names, sink),
    }
}

#[cfg(test)]
mod streaming;
#[cfg(test)]
mod tests;
