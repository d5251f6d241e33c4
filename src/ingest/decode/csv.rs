//! Delimited values with a header: any order of columns, quoted values, line breaks inside
//! quotes; split by commas, semicolons, tabs or bars, whichever the header uses.
//!
//! A value is UTF-8. Where it is not, it is read as Windows-1252, in which spreadsheets
//! still save; there every byte means something, so nothing is ever unreadable.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read};

use csv::{ByteRecord, ReaderBuilder};
use encoding_rs::WINDOWS_1252;

use super::{DecodeError, Row, Sink, check_length};
use crate::domain::record::Finding;
use crate::ingest::fields::{self, Fields};

/// What may split a header, in order of preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The longest header that is looked at to find its delimiter.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

pub fn decode(mut input: impl BufRead, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
    let header = first_line(&mut input).map_err(DecodeError::Read)?;
    let delimiter = delimiter(&header);
    let recorder = Recorder {
        input: Cursor::new(header).chain(input),
        kept: Vec::new(),
        kept_from: 0,
    };
    // Rows of the wrong length are told apart below, where the row's text is at hand.
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(recorder);
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

/// The payload up to its first line that has anything in it, or as far as anybody would write
/// a header.
fn first_line(input: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while line.trim_ascii().is_empty() {
        let room = HEADER_BYTES_MAX.saturating_sub(line.len() as u64);
        if input.by_ref().take(room).read_until(b'\n', &mut line)? == 0 {
            break;
        }
    }
    Ok(line)
}

/// The delimiter that a header uses most, outside of quotes.
fn delimiter(header: &[u8]) -> u8 {
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut is_quoted = false;
    for byte in header {
        match byte {
            b'"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            _ => {
                if let Some(at) = DELIMITERS.iter().position(|delimiter| delimiter == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    // The first of several that are used alike.
    let most = counts.into_iter().max().unwrap_or(0);
    let used = counts.into_iter().position(|count| count == most);
    used.map_or(DELIMITERS[0], |at| DELIMITERS[at])
}

/// Bytes as text: UTF-8, else Windows-1252.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

fn read_header<R: Read>(reader: &mut csv::Reader<R>) -> Result<Vec<Option<String>>, DecodeError> {
    let header = reader.byte_headers().map_err(|error| syntax(&error))?;
    let names: Vec<String> = header.iter().map(|name| text(name).trim().to_owned()).collect();
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
        if let Some(column) = column {
            content.push((
                column.clone(),
                serde_json::Value::String(text(value).into_owned()),
            ));
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
        let text = text(&self.kept[from..to.max(from)]).into_owned();
        self.kept.drain(..to);
        self.kept_from += to as u64;
        let body = text.trim_start_matches(['\r', '\n']);
        let line_breaks = text[..text.len() - body.len()].matches('\n').count() as u64;
        (line_breaks, body.trim_end_matches(['\r', '\n']).to_owned())
    }
}
