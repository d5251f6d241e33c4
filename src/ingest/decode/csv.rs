//! Delimited values with a header: any order of columns, quoted values, line breaks inside
//! quotes; split by commas, semicolons, tabs or bars, whichever the header uses.
//!
//! A row is UTF-8. Where it is not, it is read as Windows-1252, in which spreadsheets
//! still save; there every byte means something, so nothing is ever unreadable. UTF-16, the
//! other way in which they save, has become UTF-8 before.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, Read};

use csv::{ByteRecord, ReaderBuilder};
use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::{DecodeError, Row, Sink, check_length};
use crate::domain::record::Finding;
use crate::ingest::fields::{self, Fields, Names};

/// What may split a header, in order of preference.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The most bytes that are held for one row, far more than it may have: a quote that is left open
/// would swallow the rest of the payload.
const OPEN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The longest header that is looked at to find its delimiter.
const HEADER_BYTES_MAX: u64 = 64 * 1024;

pub fn decode(mut input: impl BufRead, names: &Names, sink: &mut Sink<'_>) -> Result<(), DecodeError> {
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
    let columns = read_header(&mut reader, names)?;
    let mut record = ByteRecord::new();
    let mut rows = 0;
    loop {
        let start = reader.position().clone();
        let more = reader
            .read_byte_record(&mut record)
            .map_err(|error| too_open(error, start.line()))?;
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
        let Taken {
            line_breaks,
            text: verbatim,
            encoding,
        } = reader.get_mut().take(from, end);
        // The reader's own line is that of the end of the row before.
        let line = record.position().map_or(start.line(), csv::Position::line) + line_breaks;
        let content =
            check_length(verbatim.as_bytes()).and_then(|()| read_record(&columns, &record, encoding));
        if sink(Row::new(rows, line, verbatim, content)).is_break() {
            return Ok(());
        }
    }
}

/// The header's own text, without the line break behind it.
pub fn header(mut input: impl BufRead) -> Result<String, DecodeError> {
    let line = first_line(&mut input).map_err(DecodeError::Read)?;
    let delimiter = delimiter(&line);
    let recorder = Recorder {
        input: Cursor::new(line).chain(input),
        kept: Vec::new(),
        kept_from: 0,
    };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(recorder);
    reader.byte_headers().map_err(syntax)?;
    let end = reader.position().byte();
    Ok(reader.get_mut().take(0, end).text)
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

/// The delimiter that a header uses most, outside of quotes. A line may end with a carriage return
/// alone, and what is behind it is no header.
fn delimiter(first_line: &[u8]) -> u8 {
    let lines = first_line.split(|byte| matches!(byte, b'\r' | b'\n'));
    let header = lines.into_iter().find(|line| !line.trim_ascii().is_empty());
    let header = header.unwrap_or_default();
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

/// How a row is encoded, all of it: UTF-8, else Windows-1252.
fn encoding(row: &[u8]) -> &'static Encoding {
    match std::str::from_utf8(row) {
        Ok(_) => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

fn text<'b>(bytes: &'b [u8], encoding: &'static Encoding) -> Cow<'b, str> {
    encoding.decode_without_bom_handling(bytes).0
}

/// The fields of the columns. Two columns may be one attribute, such as a phone and a mobile
/// phone, but not one identifier: they could tell two people.
fn read_header<R: Read>(
    reader: &mut csv::Reader<R>,
    names: &Names,
) -> Result<Vec<Option<String>>, DecodeError> {
    let header = reader.byte_headers().map_err(syntax)?;
    // Field by field: without what divides them, the end of one and the next may read as one letter.
    let is_foreign = |encoding: &&'static Encoding| *encoding != UTF_8;
    let encoding = header.iter().map(encoding).find(is_foreign).unwrap_or(UTF_8);
    let written = header.iter().map(|name| text(name, encoding).trim().to_owned());
    let written: Vec<String> = written.collect();
    if written.iter().all(String::is_empty) {
        return Err(DecodeError::Empty);
    }
    let columns: Vec<Option<String>> = written.iter().map(|name| names.read(name)).collect();
    for (at, column) in columns.iter().enumerate() {
        let Some(column) = column else { continue };
        let is_again = |before: usize| columns[before].as_ref() == Some(column);
        let is_same = |before: usize| fields::folded(&written[before]) == fields::folded(&written[at]);
        if (0..at).any(|before| is_again(before) && (is_identifier(column) || is_same(before))) {
            return Err(DecodeError::DuplicateColumn {
                column: column.clone(),
            });
        }
    }
    if names.need_cookie() && !columns.iter().flatten().any(|column| column == fields::COOKIE) {
        return Err(DecodeError::MissingColumn {
            column: fields::COOKIE,
            found: written.join(", "),
        });
    }
    Ok(columns)
}

fn is_identifier(column: &str) -> bool {
    matches!(column, fields::COOKIE | fields::EMAIL | fields::MESSAGE_ID)
}

fn read_record(
    columns: &[Option<String>],
    record: &ByteRecord,
    encoding: &'static Encoding,
) -> Result<Fields, Finding> {
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
                serde_json::Value::String(text(value, encoding).into_owned()),
            ));
        }
    }
    Ok(content)
}

fn syntax(error: csv::Error) -> DecodeError {
    let line = error.position().map_or(1, csv::Position::line);
    let message = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(cause) => DecodeError::Read(cause),
        _ => DecodeError::Syntax {
            message,
            line,
            column: 1,
        },
    }
}

/// The same error; or, where a row does not end, what that means.
fn too_open(error: csv::Error, line: u64) -> DecodeError {
    match syntax(error) {
        DecodeError::Read(cause) => match cause.downcast::<StaysOpen>() {
            Ok(open) => DecodeError::Syntax {
                message: open.to_string(),
                line,
                column: 1,
            },
            Err(cause) => DecodeError::Read(cause),
        },
        error => error,
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a row goes on for more than {OPEN_BYTES_MAX} bytes, as if a quote were left open,")]
struct StaysOpen;

/// Keeps what the CSV reader has read ahead, so that each row's own bytes can be cut out.
struct Recorder<R> {
    input: R,
    kept: Vec<u8>,
    /// The offset in the payload at which `kept` begins.
    kept_from: u64,
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.kept.len() > OPEN_BYTES_MAX {
            return Err(std::io::Error::other(StaysOpen));
        }
        let read = self.input.read(buffer)?;
        self.kept.extend_from_slice(&buffer[..read]);
        Ok(read)
    }
}

/// A text that was cut out.
struct Taken {
    /// Without the line breaks around it.
    text: String,
    /// How many line breaks stand before it.
    line_breaks: u64,
    encoding: &'static Encoding,
}

impl<R> Recorder<R> {
    /// The text from one offset of the payload to another. What lies before is forgotten.
    fn take(&mut self, from: u64, to: u64) -> Taken {
        let within = |offset: u64| {
            usize::try_from(offset.saturating_sub(self.kept_from))
                .unwrap_or(usize::MAX)
                .min(self.kept.len())
        };
        let (from, to) = (within(from), within(to));
        let bytes = &self.kept[from..to.max(from)];
        let encoding = encoding(bytes);
        let text = text(bytes, encoding).into_owned();
        self.kept.drain(..to);
        self.kept_from += to as u64;
        let body = text.trim_start_matches(['\r', '\n']);
        let line_breaks = text[..text.len() - body.len()].matches('\n').count() as u64;
        Taken {
            text: body.trim_end_matches(['\r', '\n']).to_owned(),
            line_breaks,
            encoding,
        }
    }
}
