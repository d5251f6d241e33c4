//! A JSON object a line, its fields in the order of the columns; what is not known is null.

use std::io::Write as _;

use serde_json::Value;

use super::table::{Cell, Column, Row, WriteError};

/// Writes them.
pub struct NdjsonWriter {
    columns: Vec<Column>,
}

impl NdjsonWriter {
    pub(super) const fn new(columns: Vec<Column>) -> Self {
        Self { columns }
    }

    pub(super) fn write(&self, rows: &[Row]) -> Result<Vec<u8>, WriteError> {
        let mut bytes = Vec::new();
        for row in rows {
            self.write_row(&mut bytes, row).map_err(|error| WriteError {
                format: "NDJSON",
                source: error.into(),
            })?;
        }
        Ok(bytes)
    }

    fn write_row(&self, bytes: &mut Vec<u8>, row: &Row) -> std::io::Result<()> {
        for (index, (column, cell)) in self.columns.iter().zip(row).enumerate() {
            bytes.push(if index == 0 { b'{' } else { b',' });
            write!(bytes, "\"{}\":", column.name)?;
            serde_json::to_writer(&mut *bytes, &json(cell))?;
        }
        bytes.extend_from_slice(if self.columns.is_empty() { b"{}\n" } else { b"}\n" });
        Ok(())
    }
}

/// A cell as JSON.
#[must_use]
pub fn json(cell: &Cell) -> Value {
    match cell {
        Cell::Nothing => Value::Null,
        Cell::Text(text) => Value::from(text.as_str()),
        Cell::Integer(number) => Value::from(*number),
        Cell::Moment(moment) => serde_json::to_value(moment).unwrap_or_default(),
        Cell::Texts(texts) => Value::from(texts.clone()),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::activation::table::Shape;

    #[test]
    fn each_row_is_an_object_on_a_line_of_its_own() {
        let column = |name, shape| Column { name, shape };
        let columns = vec![
            column("id", Shape::Text),
            column("age", Shape::Integer),
            column("at", Shape::Moment),
            column("interests", Shape::Texts),
        ];
        let row = vec![
            Cell::Text("p\n\"1".to_owned()),
            Cell::Nothing,
            Cell::Moment(DateTime::UNIX_EPOCH),
            Cell::Texts(vec!["a".to_owned()]),
        ];
        let bytes = NdjsonWriter::new(columns).write(&[row.clone(), row]).unwrap();
        let line = r#"{"id":"p\n\"1","age":null,"at":"1970-01-01T00:00:00Z","interests":["a"]}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("{line}\n{line}\n"));
    }
}
