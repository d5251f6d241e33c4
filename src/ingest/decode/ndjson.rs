//! NDJSON: one object a line. Lines stand alone, so a broken one is that row's finding.

use std::io::BufRead;

use super::{DecodeError, Row, Sink};
use crate::domain::record::{Finding, RawRow};
use crate::ingest::fields::{self, Fields};

pub fn decode(mut input: impl BufRead, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let (mut line, mut rows) = (0, 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes).map_err(DecodeError::Read)? == 0 {
            break;
        }
        line += 1;
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes).trim_ascii();
        if text.is_empty() {
            continue;
        }
        rows += 1;
        let verbatim = String::from_utf8_lossy(text).into_owned();
        let raw = RawRow {
            number: rows,
            line,
            verbatim,
        };
        if sink(Row {
            raw,
            content: read_line(text),
        })
        .is_break()
        {
            return Ok(());
        }
    }
    if rows == 0 {
        Err(DecodeError::Empty)
    } else {
        Ok(())
    }
}

fn read_line(text: &[u8]) -> Result<Fields, Finding> {
    let value = serde_json::from_slice(text).map_err(|error| {
        // Its line is always 1: the payload's line stands beside the finding.
        let (told, column) = (error.to_string(), error.column());
        let reason = told.split(" at line ").next().unwrap_or_default();
        let message = format!("the line is not JSON: {reason} at column {column}");
        Finding {
            field: String::new(),
            code: "syntax",
            message,
        }
    })?;
    fields::of_json(value)
}
