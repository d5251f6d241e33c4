//! The reading half of an import: a file, cut into parts that are requests of their own.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::Path;

use tokio::sync::mpsc;

use super::ImportError;
use crate::domain::record::{Finding, RawRow};
use crate::ingest::decode::{Format, Row, decode};

/// Rows per request: one transaction of the server's.
pub const PART_ROWS: usize = 1_000;

/// Bytes of rows after which a part is closed before it has all its rows, as the server
/// does.
pub const PART_BYTES: usize = 4 * 1024 * 1024;

/// Some rows of a file, ready to be sent.
pub struct Part {
    pub body: String,
    pub media_type: &'static str,
    pub rows: Vec<RawRow>,
    /// Rows that can't be read, and why. They stay here: a part is a text, which bytes that
    /// are no text, or a row of which only the beginning is kept, would come through changed.
    pub unreadable: Vec<(RawRow, Finding)>,
    /// How far into the file they reach.
    pub bytes_read: u64,
}

/// The rows of the next part.
#[derive(Default)]
struct Pending {
    rows: Vec<RawRow>,
    unreadable: Vec<(RawRow, Finding)>,
    bytes: usize,
}

impl Pending {
    fn push(&mut self, row: Row) {
        self.bytes += row.raw.verbatim.len();
        match row.content {
            Ok(_) => self.rows.push(row.raw),
            Err(finding) => self.unreadable.push((row.raw, finding)),
        }
    }

    const fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.unreadable.is_empty()
    }

    const fn is_full(&self) -> bool {
        self.rows.len() + self.unreadable.len() >= PART_ROWS || self.bytes >= PART_BYTES
    }
}

/// Cuts a file into parts. Each row keeps its own text; CSV parts begin with the header.
pub fn read_parts(path: &Path, format: Format, parts: &mpsc::Sender<Part>) -> Result<(), ImportError> {
    let failed = |source| ImportError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let header = if format == Format::Csv {
        csv_header(&mut file).map_err(failed)?
    } else {
        String::new()
    };
    let mut pending = Pending::default();
    let mut bytes_read = 0;
    let pass_on = |pending: &mut Pending, bytes_read| {
        let part = part(format, &header, std::mem::take(pending), bytes_read);
        parts.blocking_send(part).is_ok()
    };
    let decoded = decode(format, BufReader::with_capacity(256 * 1024, file), &mut |row| {
        bytes_read += row.raw.verbatim.len() as u64 + 1;
        pending.push(row);
        if pending.is_full() && !pass_on(&mut pending, bytes_read) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if !pending.is_empty() {
        pass_on(&mut pending, bytes_read);
    }
    decoded.map_err(|source| ImportError::Decode {
        path: path.to_owned(),
        source,
    })
}

fn part(format: Format, header: &str, pending: Pending, bytes_read: u64) -> Part {
    let Pending { rows, unreadable, .. } = pending;
    let mut body = header.to_owned();
    for row in &rows {
        // A JSON element may span lines, a line of NDJSON must not; and a line break in
        // JSON is only ever white space.
        match format {
            Format::Json => body.extend(row.verbatim.chars().filter(|c| !matches!(c, '\n' | '\r'))),
            Format::Ndjson | Format::Csv => body.push_str(&row.verbatim),
        }
        body.push('\n');
    }
    let media_type = if format == Format::Csv {
        format.media_type()
    } else {
        Format::Ndjson.media_type()
    };
    Part {
        body,
        media_type,
        rows,
        unreadable,
        bytes_read,
    }
}

/// The header's own text, up to where the first row begins; the file is rewound.
fn csv_header(file: &mut File) -> std::io::Result<String> {
    let mut reader = csv::Reader::from_reader(BufReader::new(&mut *file));
    reader.byte_headers().map_err(std::io::Error::other)?;
    let end = reader.position().byte();
    drop(reader);
    file.seek(SeekFrom::Start(0))?;
    let mut header = Vec::new();
    Read::by_ref(file).take(end).read_to_end(&mut header)?;
    file.seek(SeekFrom::Start(0))?;
    let text = String::from_utf8_lossy(&header);
    Ok(format!("{}\n", text.trim_end_matches(['\r', '\n'])))
}
