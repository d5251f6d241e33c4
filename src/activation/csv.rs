//! Comma-separated values, as RFC 4180 has them, with a header.
//!
//! Spreadsheets take a text that begins like a formula for one, and run it. Anybody can send such
//! a text here as their name, so it gets an apostrophe before it, by which spreadsheets know a
//! text.

use csv::{Terminator, Writer, WriterBuilder};

use super::table::{Cell, Column, Row, WriteError};

/// With what a formula may begin.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes them.
pub struct CsvWriter {
    columns: Vec<Column>,
    has_header: bool,
}

impl CsvWriter {
    pub(super) const fn new(columns: Vec<Column>) -> Self {
        Self {
            columns,
            has_header: false,
        }
    }

    /// The first call begins with the header, whether or not there are rows.
    pub(super) fn write(&mut self, rows: &[Row]) -> Result<Vec<u8>, WriteError> {
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer(Vec::new());
        if !self.has_header {
            let names = self.columns.iter().map(|column| column.name);
            writer.write_record(names).map_err(failed)?;
            self.has_header = true;
        }
        for row in rows {
            write_row(&mut writer, row)?;
        }
        writer.into_inner().map_err(failed)
    }
}

fn write_row(writer: &mut Writer<Vec<u8>>, row: &Row) -> Result<(), WriteError> {
    for cell in row {
        let text = match cell {
            Cell::Nothing => String::new(),
            Cell::Text(text) => guarded(text),
            Cell::Integer(number) => number.to_string(),
            Cell::Moment(moment) => moment.to_rfc3339(),
            // JSON, whose bracket begins no formula.
            Cell::Texts(texts) => serde_json::to_string(texts).map_err(failed)?,
        };
        writer.write_field(text).map_err(failed)?;
    }
    writer.write_record(None::<&[u8]>).map_err(failed)
}

/// The text, as a spreadsheet takes it for one.
#[must_use]
pub fn guarded(text: &str) -> String {
    if may_be_formula(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

/// The text that was [`guarded`], or as it is if it was not.
#[must_use]
pub fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'')
        .filter(|rest| may_be_formula(rest))
        .unwrap_or(text)
}

/// With apostrophes before it as well, so that each text is read back as it was.
fn may_be_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA_STARTS)
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> WriteError {
    WriteError {
        format: "CSV",
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::table::{Format, Shape, TableWriter};

    fn written(rows: Vec<Row>) -> String {
        let column = |name, shape| Column { name, shape };
        let columns = vec![column("name", Shape::Text), column("interests", Shape::Texts)];
        let mut writer = TableWriter::new(Format::Csv, columns);
        let mut bytes = writer.write(rows).unwrap();
        bytes.extend(writer.finish().unwrap());
        String::from_utf8(bytes).unwrap()
    }

    fn row(name: &str) -> Row {
        vec![
            Cell::Text(name.to_owned()),
            Cell::Texts(vec!["a \"b\"".to_owned(), "c".to_owned()]),
        ]
    }

    #[test]
    fn what_begins_like_a_formula_gets_an_apostrophe() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(guarded(name), format!("'{name}"));
        }
        for name in ["", "Ada", "a=1", "'a", " =1"] {
            assert_eq!(guarded(name), name);
        }
    }

    #[test]
    fn rows_follow_one_header_and_are_quoted_where_they_must() {
        assert_eq!(
            written(vec![row("O'Hara, \"Bo\""), row("=A1")]),
            "name,interests\r\n\"O'Hara, \"\"Bo\"\"\",\"[\"\"a \\\"\"b\\\"\"\"\",\"\"c\"\"]\"\r\n\
             '=A1,\"[\"\"a \\\"\"b\\\"\"\"\",\"\"c\"\"]\"\r\n"
        );
        assert_eq!(written(Vec::new()), "name,interests\r\n");
    }

    #[test]
    fn what_is_guarded_is_read_back_as_it_was() {
        for text in [
            "", "Ann", "=1+1", "'=1+1", "''=1+1", "'quoted'", "-5", "'", "@ann",
        ] {
            let guarded = guarded(text);
            assert!(!guarded.starts_with(FORMULA_STARTS), "{guarded}");
            assert_eq!(unguarded(&guarded), text);
        }
        assert_eq!(guarded("+1555"), "'+1555");
        assert_eq!(unguarded("'quoted'"), "'quoted'");
    }
}
