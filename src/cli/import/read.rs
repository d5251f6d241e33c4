//! The reading half of an import: a file, cut into parts that are requests of their own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::ImportError;
use crate::domain::record::{Finding, RawRow};
use crate::ingest::decode::{Format, Row, Unpacked, csv_header, decode_named};
use crate::ingest::fields::{Names, Renames};

/// Rows per request: one transaction of the server's.
pub const PART_ROWS: usize = 1_000;

/// Bytes of rows after which a part is closed before it has all its rows, as the server
/// does.
pub const PART_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a file that are unpacked at once.
const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// Some rows of a file, ready to be sent.
pub struct Part {
    pub body: String,
    pub media_type: &'static str,
    pub rows: Vec<RawRow>,
    /// Rows that can't be read, and why. They stay here: a part is a text, which bytes that
    /// are no text, or a row of which only the beginning is kept, would come through changed.
    pub unreadable: Vec<(RawRow, Finding)>,
    /// How far into the file they reach, in bytes as it lies there.
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
pub fn read_parts(
    path: &Path,
    format: Format,
    renames: Renames,
    parts: &mpsc::Sender<Part>,
) -> Result<(), ImportError> {
    let unread = |source| ImportError::Decode {
        path: path.to_owned(),
        source,
    };
    let (_, file) = open(path)?;
    let header = if format == Format::Csv {
        csv_header(file).map_err(unread)?
    } else {
        String::new()
    };
    let (taken, file) = open(path)?;
    let mut pending = Pending::default();
    let pass_on = |pending: &mut Pending| {
        let bytes_read = taken.load(Ordering::Relaxed);
        let part = part(format, &header, std::mem::take(pending), bytes_read);
        parts.blocking_send(part).is_ok()
    };
    // Whether a column makes a cookie is for the server to say, which may have a transform.
    let names = Names::as_sent().renamed(renames);
    let decoded = decode_named(format, &names, file, &mut |row| {
        pending.push(row);
        if pending.is_full() && !pass_on(&mut pending) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    if !pending.is_empty() {
        pass_on(&mut pending);
    }
    decoded.map_err(unread)
}

/// A file, unpacked where it is packed, and how many of its bytes were taken.
fn open(path: &Path) -> Result<(Arc<AtomicU64>, impl BufRead), ImportError> {
    let file = File::open(path).map_err(|source| ImportError::File {
        path: path.to_owned(),
        source,
    })?;
    let taken = Arc::new(AtomicU64::new(0));
    let metered = Metered {
        file,
        taken: Arc::clone(&taken),
    };
    let unpacked = BufReader::with_capacity(FILE_BUFFER_BYTES, Unpacked::new(metered));
    Ok((taken, unpacked))
}

/// Counts the bytes that are read.
struct Metered {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.taken.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn part(format: Format, header: &str, pending: Pending, bytes_read: u64) -> Part {
    let Pending { rows, unreadable, .. } = pending;
    let mut body = header.to_owned();
    if !header.is_empty() {
        body.push('\n');
    }
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
