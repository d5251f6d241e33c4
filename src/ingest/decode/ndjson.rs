//! NDJSON: one object a line. Lines stand alone, so a broken one is that row's finding.

use std::io::{BufRead, Read};

use super::{DecodeError, Row, Sink, check_length};
use crate::domain::record::{Finding, ROW_BYTES_MAX};
use crate::ingest::fields::{Fields, Names};

/// A byte order mark, which begins some files.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// How much of a line is kept: a row, what may stand around it, and one byte more, in bytes.
const LINE_BYTES_MAX: usize = ROW_BYTES_MAX + MARK.len() + b"\r\n".len() + 1;

pub fn decode(mut input: impl BufRead, names: &Names, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let (mut line, mut rows) = (0, 0);
    let mut bytes = Vec::new();
    while read_line(&mut input, &mut bytes).map_err(DecodeError::Read)? {
        line += 1;
        let text = row_of(&bytes);
        if text.is_empty() {
            continue;
        }
        rows += 1;
        let verbatim = String::from_utf8_lossy(text).into_owned();
        let content = check_length(text).and_then(|()| read_row(text, names));
        if sink(Row::new(rows, line, verbatim, content)).is_break() {
            return Ok(());
        }
    }
    if rows == 0 {
        Err(DecodeError::Empty)
    } else {
        Ok(())
    }
}

/// Reads the next line, and keeps its beginning when it is too long; false at the end.
fn read_line(input: &mut impl BufRead, bytes: &mut Vec<u8>) -> std::io::Result<bool> {
    bytes.clear();
    Read::by_ref(input)
        .take(LINE_BYTES_MAX as u64)
        .read_until(b'\n', bytes)?;
    if bytes.len() == LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok(!bytes.is_empty())
}

/// The row in a line. Of a line that was cut nobody knows what follows, so it stays as it is.
fn row_of(line: &[u8]) -> &[u8] {
    if line.len() == LINE_BYTES_MAX {
        line
    } else {
        line.strip_prefix(MARK).unwrap_or(line).trim_ascii()
    }
}

fn read_row(text: &[u8], names: &Names) -> Result<Fields, Finding> {
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
    names.fields_of(value)
}
