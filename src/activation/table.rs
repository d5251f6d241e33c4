//! What a file of people holds: rows of cells under named columns, in one of three formats. Rows
//! go in as they are read, and bytes come out as soon as there are any, so a file of any length
//! takes the same memory.

use super::csv::CsvWriter;
use super::ndjson::NdjsonWriter;
use super::parquet::ParquetWriter;
use crate::domain::Timestamp;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text, or nothing.
    Text,
    /// A whole number, or nothing.
    Integer,
    /// A moment, or nothing.
    Moment,
    /// Any number of texts.
    Texts,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
}

/// What stands in a row under a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Nothing,
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A moment.
    Moment(Timestamp),
    /// Texts.
    Texts(Vec<String>),
}

/// A row: a cell for each column, in their order.
pub type Row = Vec<Cell>;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header, for spreadsheets.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// Columns, compressed, for programs that compute.
    Parquet,
}

impl Format {
    /// The format of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Its name, which is also the ending of files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }
}

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("rows can't be written as {format}")]
pub struct WriteError {
    /// As what.
    pub format: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Writes a file.
pub enum TableWriter {
    /// Comma-separated values.
    Csv(CsvWriter),
    /// A JSON object a line.
    Ndjson(NdjsonWriter),
    /// Columns.
    Parquet(ParquetWriter),
}

impl TableWriter {
    /// A file with these columns.
    #[must_use]
    pub fn new(format: Format, columns: Vec<Column>) -> Self {
        match format {
            Format::Csv => Self::Csv(CsvWriter::new(columns)),
            Format::Ndjson => Self::Ndjson(NdjsonWriter::new(columns)),
            Format::Parquet => Self::Parquet(ParquetWriter::new(columns)),
        }
    }

    /// Takes rows; returns the next bytes of the file, if there are any by now.
    ///
    /// # Errors
    /// When they can't be written, which no row is known to cause.
    pub fn write(&mut self, rows: Vec<Row>) -> Result<Vec<u8>, WriteError> {
        match self {
            Self::Csv(writer) => writer.write(&rows),
            Self::Ndjson(writer) => writer.write(&rows),
            Self::Parquet(writer) => writer.write(rows),
        }
    }

    /// The last bytes of the file.
    ///
    /// # Errors
    /// As [`TableWriter::write`].
    pub fn finish(&mut self) -> Result<Vec<u8>, WriteError> {
        match self {
            Self::Csv(writer) => writer.write(&[]),
            Self::Ndjson(_) => Ok(Vec::new()),
            Self::Parquet(writer) => writer.finish(),
        }
    }
}
