//! CSV with a header: any order of columns, quoted values, line breaks inside quotes.

use std::io::{BufRead, Read};

use csv::{ByteRecord, ReaderBuilder};

use super::{DecodeError, Row, Sink, check_length};
use crate::domain::record::Finding;
use crate::ingest::fields::{self, Fields};

pub fn decode(input: impl BufRead, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let recorder = Recorder {
        input,
        kept: Vec::new(),
        kept_from: 0,
    };
    // Rows of the wrong length are told apart below, where the row's text is at hand.
    let mut reader = ReaderBuilder::new().flexible(true).from_reader(recorder);
    let columns = read_header(&mut reader)?;
    let mut record = ByteRecord::new();
    let mut rows = 0;
    loop {
        let start = reader.position().clone();
        let more = reader
            .read_byte_record(&mut record)
            .map_err(|error| syntax(&error))?;
        if !more {
            return if rows == 0 {
                Err(DecodeError::Empty)
            } else {
                Ok(())
            };
        }
        rows += 1;
        let end = reader.position().byte();
        let from = record.position().map_or(start.byte(), csv::Position::byte);
        let (line_breaks, verbatim) = reader.get_mut().take(from, end);
        // The reader's own line is that of the end of the row before.
        let line = record.position().map_or(start.line(), csv::Position::line) + line_breaks;
        let content = check_length(verbatim.as_bytes()).and_then(|()| read_record(&columns, &record));
        if sink(Row::new(rows, line, verbatim, content)).is_break() {
            return Ok(());
        }
    }
}

fn read_header<R: Read>(reader: &mut csv::Reader<R>) -> Result<Vec<Option<String>>, DecodeError> {
    let header = reader.byte_headers().map_err(|error| syntax(&error))?;
    let names: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    if names.iter().all(String::is_empty) {
        return Err(DecodeError::Empty);
    }
    let columns: Vec<Option<String>> = names.iter().map(|name| fields::canonical_name(name)).collect();
    for (at, column) in columns.iter().enumerate() {
        if let Some(column) = column
            && columns[..at].contains(&Some(column.clone()))
        {
            return Err(DecodeError::DuplicateColumn {
                column: column.clone(),
            });
        }
    }
    if !columns.iter().flatten().any(|column| column == fields::COOKIE) {
        return Err(DecodeError::MissingColumn {
            column: fields::COOKIE,
            found: names.join(", "),
        });
    }
    Ok(columns)
}

fn read_record(columns: &[Option<String>], record: &ByteRecord) -> Result<Fields, Finding> {
    let finding = |code, message| Finding {
        field: String::new(),
        code,
        message,
    };
    if record.len() != columns.len() {
        let message = format!(
            "the row has {} values, the header has {}",
            record.len(),
            columns.len()
        );
        return Err(finding("wrong_length", message));
    }
    let mut content = Fields::new();
    for (column, value) in columns.iter().zip(record) {
        // Columns without a name as well: the row's own text is kept, and must be true.
        let text = std::str::from_utf8(value).map_err(|_| Finding {
            field: column.clone().unwrap_or_default(),
            ..finding("encoding", "is not UTF-8".to_owned())
        })?;
        if let Some(column) = column {
            content.push((column.clone(), serde_json::Value::String(text.to_owned())));
        }
    }
    Ok(content)
}

fn syntax(error: &csv::Error) -> DecodeError {
    if let csv::ErrorKind::Io(cause) = error.kind() {
        return DecodeError::Read(std::io::Error::new(cause.kind(), cause.to_string()));
    }
    let line = error.position().map_or(1, csv::Position::line);
    DecodeError::Syntax {
        message: error.to_string(),
        line,
        column: 1,
    }
}

/// Keeps what the CSV reader has read ahead, so that each row's own bytes can be cut out.
struct Recorder<R> {
    input: R,
    kept: Vec<u8>,
    /// The offset in the payload at which `kept` begins.
    kept_from: u64,
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

impl<R> Recorder<R> {
    /// The text from one offset of the payload to another, without the line breaks around
    /// it, and how many stand before it. What lies before is forgotten.
    fn take(&mut self, from: u64, to: u64) -> (u64, String) {
        let within = |offset: u64| {
            usize::try_from(offset.saturating_sub(self.kept_from))
                .unwrap_or(usize::MAX)
                .min(self.kept.len())
        };
        let (from, to) = (within(from), within(to));
        let text = String::from_utf8_lossy(&self.kept[from..to.max(from)]).into_owned();
        self.kept.drain(..to);
        self.kept_from += to as u64;
        let body = text.trim_start_matches(['\r', '\n']);
        let line_breaks = text[..text.len() - body.len()].matches('\n').count() as u64;
        (line_breaks, body.trim_end_matches(['\r', '\n']).to_owned())
    }
}
