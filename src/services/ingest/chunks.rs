//! Decodes a payload as it streams in, and cuts it into chunks that each know a digest of all
//! rows so far.

use std::cell::RefCell;
use std::io::{BufReader, ErrorKind, Read};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::{Format, Payload};
use crate::domain::error::{Error, ErrorCode};
use crate::ingest::decode::{DecodeError, Row, Unpacked, decode_named};
use crate::ingest::fields::Names;

/// Rows per chunk, and so per transaction: enough for the engine's cost per transaction
/// to vanish.
pub(super) const CHUNK_ROWS: usize = 1_000;

/// Bytes of rows after which a chunk is closed before it has all its rows, so that a
/// transaction stays far below the engine's bound.
pub(super) const CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// How much of a payload that can't be read is kept with its reject, in bytes.
const UNREADABLE_KEPT_BYTES: usize = 64 * 1024;

/// How much of a body is read at once, in bytes.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// What is said where a key is used again for something else.
pub(super) const KEY_REUSED: &str =
    "this key was used for another payload; give each request a key of its own";

/// How a payload is to be read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub format: Format,
    pub names: Names,
    pub bytes_max: u64,
    /// What the digests begin with, where any are wanted: all that makes another request of the
    /// same bytes.
    pub identity: Option<String>,
    /// Rows that are stored already.
    pub skip: Skip,
}

/// Rows at the beginning that are stored already, and what they were.
#[derive(Debug, Clone, Default)]
pub(super) struct Skip {
    pub rows: u64,
    pub digest: Option<String>,
}

impl Reading {
    /// Reads all of a payload.
    pub(super) fn of(payload: &Payload, names: Names) -> Self {
        Self {
            format: payload.format,
            names,
            bytes_max: payload.bytes_max,
            identity: payload.key.is_some().then(|| payload.identity()),
            skip: Skip::default(),
        }
    }
}

/// Rows that go into one transaction.
pub(super) struct Piece {
    pub rows: Vec<Row>,
    /// Of all rows up to the last of these, where digests are wanted.
    pub digest: Option<String>,
}

/// What the decoding thread found.
pub(super) struct Decoded {
    pub failure: Option<DecodeFailure>,
    /// The payload's first bytes.
    pub head: Vec<u8>,
    /// The digest of the whole payload, where it is wanted and was read to its end.
    pub digest: Option<String>,
}

pub(super) struct DecodeFailure {
    pub code: ErrorCode,
    pub message: String,
    pub line: u64,
    /// Whether it is not the payload that is wrong, but that it stopped coming.
    pub is_cut_off: bool,
}

/// Cuts the rows that come into pieces.
struct Cutter<'c> {
    pieces: &'c mpsc::Sender<Piece>,
    rows: Vec<Row>,
    bytes: usize,
    digest: Option<Sha256>,
    skip: Skip,
    seen: u64,
    /// The rows to be skipped are others than those that are stored.
    is_other: bool,
    /// Time spent on reading, not on waiting for the rows to be taken.
    decoding: Duration,
    started: Instant,
}

impl Cutter<'_> {
    fn take(&mut self, row: Row) -> ControlFlow<()> {
        self.seen += 1;
        if let Some(digest) = &mut self.digest {
            let text = row.raw.verbatim.as_bytes();
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
        }
        if self.seen <= self.skip.rows {
            return self.pass_over();
        }
        self.bytes += row.raw.verbatim.len();
        self.rows.push(row);
        if self.rows.len() < CHUNK_ROWS && self.bytes < CHUNK_BYTES {
            return ControlFlow::Continue(());
        }
        self.hand_on()
    }

    /// Compares what is stored with what came, at the last row that is stored.
    fn pass_over(&mut self) -> ControlFlow<()> {
        let is_last = self.seen == self.skip.rows;
        self.is_other = is_last && self.skip.digest.is_some() && self.skip.digest != self.so_far();
        if self.is_other {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn so_far(&self) -> Option<String> {
        self.digest
            .as_ref()
            .map(|digest| hex::encode(digest.clone().finalize()))
    }

    fn hand_on(&mut self) -> ControlFlow<()> {
        self.bytes = 0;
        self.decoding += self.started.elapsed();
        let piece = Piece {
            rows: std::mem::replace(&mut self.rows, Vec::with_capacity(CHUNK_ROWS)),
            digest: self.so_far(),
        };
        let sent = self.pieces.blocking_send(piece);
        self.started = Instant::now();
        // Nobody takes them any more: the batch failed further down.
        if sent.is_err() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

pub(super) fn decode_chunks(reading: &Reading, body: impl Read, pieces: &mpsc::Sender<Piece>) -> Decoded {
    let digest = reading.identity.as_deref().map(begun);
    let of_bytes = Rc::new(RefCell::new(digest.clone()));
    // Both sides of the unpacking are bounded: much may come of little, and nothing of much.
    let packed = Bounded {
        body: Digesting {
            body,
            digest: Rc::clone(&of_bytes),
        },
        left: reading.bytes_max,
    };
    let unpacked = Bounded {
        body: Unpacked::new(packed),
        left: reading.bytes_max,
    };
    let mut body = Remembering {
        body: unpacked,
        head: Vec::new(),
    };
    let mut cutter = Cutter {
        pieces,
        rows: Vec::with_capacity(CHUNK_ROWS),
        bytes: 0,
        digest,
        skip: reading.skip.clone(),
        seen: 0,
        is_other: false,
        decoding: Duration::ZERO,
        started: Instant::now(),
    };
    let buffered = BufReader::with_capacity(READ_BYTES, &mut body);
    let decoded = decode_named(reading.format, &reading.names, buffered, &mut |row| {
        cutter.take(row)
    });
    // What stands behind the last row is part of the payload too.
    let decoded = decoded.and_then(|()| {
        if cutter.digest.is_some() && !cutter.is_other {
            std::io::copy(&mut body, &mut std::io::sink()).map_err(DecodeError::Read)?;
        }
        Ok(())
    });
    cutter.decoding += cutter.started.elapsed();
    metrics::histogram!("cdp_stage_seconds", "stage" => "decode").record(cutter.decoding.as_secs_f64());
    let is_short = cutter.seen < cutter.skip.rows && !matches!(decoded, Err(DecodeError::Read(_)));
    let failure = if cutter.is_other || is_short {
        Some(reused())
    } else {
        if !cutter.rows.is_empty() {
            let _ = cutter.hand_on();
        }
        decoded.err().map(|error| failure(&error, reading.bytes_max))
    };
    let digest = of_bytes.borrow_mut().take();
    Decoded {
        failure,
        head: body.head,
        digest: digest.map(|digest| hex::encode(digest.finalize())),
    }
}

fn begun(identity: &str) -> Sha256 {
    Sha256::new()
        .chain_update((identity.len() as u64).to_le_bytes())
        .chain_update(identity)
}

fn reused() -> DecodeFailure {
    DecodeFailure {
        code: ErrorCode::KeyReused,
        message: KEY_REUSED.to_owned(),
        line: 1,
        is_cut_off: false,
    }
}

fn failure(error: &DecodeError, bytes_max: u64) -> DecodeFailure {
    if matches!(error, DecodeError::Read(cause) if cause.kind() == ErrorKind::FileTooLarge) {
        return DecodeFailure {
            code: ErrorCode::PayloadTooLarge,
            message: too_large(bytes_max),
            line: 1,
            is_cut_off: false,
        };
    }
    let line = if let DecodeError::Syntax { line, .. } = error {
        *line
    } else {
        1
    };
    DecodeFailure {
        code: ErrorCode::Unparseable,
        message: error.to_string(),
        line,
        is_cut_off: matches!(error, DecodeError::Read(_)),
    }
}

pub(super) fn too_large(bytes_max: u64) -> String {
    format!("the payload is larger than {bytes_max} bytes; send it in parts")
}

/// The digest of a payload that is not decoded: as [`decode_chunks`] finds it.
///
/// # Errors
/// Payload too large; unparseable when the body breaks off.
pub(super) async fn digest_of(payload: &Payload, body: impl AsyncRead + Unpin) -> Result<String, Error> {
    let mut digest = digest_begun(payload);
    let (mut body, mut left) = (body, payload.bytes_max);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = read_some(payload, &mut body, &mut buffer, &mut left).await?;
        if read == 0 {
            return Ok(hex::encode(digest.finalize()));
        }
        digest.update(&buffer[..read]);
    }
}

/// Begins the digest of a payload.
pub(super) fn digest_begun(payload: &Payload) -> Sha256 {
    begun(&payload.identity())
}

/// Reads what is there of a body, within the payload's bound; 0 at its end.
///
/// # Errors
/// Payload too large; unparseable when the body breaks off.
pub(super) async fn read_some(
    payload: &Payload,
    body: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    left: &mut u64,
) -> Result<usize, Error> {
    let read = body.read(buffer).await.map_err(|source| {
        let message = DecodeError::Read(source).to_string();
        Error::new(ErrorCode::Unparseable, message)
    })?;
    *left = left
        .checked_sub(read as u64)
        .ok_or_else(|| Error::new(ErrorCode::PayloadTooLarge, too_large(payload.bytes_max)))?;
    Ok(read)
}

/// A body that arrives on the runtime, for a thread that may block.
pub(super) struct Bridge<B> {
    pub runtime: Handle,
    pub body: B,
}

impl<B: AsyncRead + Unpin> Read for Bridge<B> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.runtime.block_on(self.body.read(buffer))
    }
}

/// Reads no more than allowed.
struct Bounded<R> {
    body: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or(ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// Digests what it reads, where a digest is wanted.
struct Digesting<R> {
    body: R,
    digest: Rc<RefCell<Option<Sha256>>>,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        if let Some(digest) = self.digest.borrow_mut().as_mut() {
            digest.update(&buffer[..read]);
        }
        Ok(read)
    }
}

/// Remembers how the payload began.
struct Remembering<R> {
    body: R,
    head: Vec<u8>,
}

impl<R: Read> Read for Remembering<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.body.read(buffer)?;
        let room = UNREADABLE_KEPT_BYTES.saturating_sub(self.head.len()).min(read);
        self.head.extend_from_slice(&buffer[..room]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces of a payload: how many rows each has, and the digest at its end.
    fn pieces(body: &str, skip: Skip) -> (Vec<(usize, Option<String>)>, Decoded) {
        let reading = Reading {
            format: Format::Ndjson,
            names: Names::default(),
            bytes_max: u64::MAX,
            identity: Some("test".to_owned()),
            skip,
        };
        let (sender, mut pieces) = mpsc::channel(100);
        let decoded = decode_chunks(&reading, body.as_bytes(), &sender);
        drop(sender);
        let pieces =
            std::iter::from_fn(|| pieces.blocking_recv()).map(|piece| (piece.rows.len(), piece.digest));
        (pieces.collect(), decoded)
    }

    /// How many rows each chunk has.
    fn chunk_sizes(body: &str) -> Vec<usize> {
        let (pieces, decoded) = pieces(body, Skip::default());
        assert!(decoded.failure.is_none());
        pieces.into_iter().map(|(rows, _)| rows).collect()
    }

    #[test]
    fn a_chunk_is_closed_by_its_rows_or_by_its_bytes() {
        assert_eq!(chunk_sizes(&"{}\n".repeat(2_500)), [1_000, 1_000, 500]);
        let large = format!("{{\"x\":\"{}\"}}\n", "x".repeat(128 * 1024));
        assert_eq!(chunk_sizes(&large.repeat(70)), [32, 32, 6]);
    }

    #[test]
    fn what_is_stored_is_passed_over_and_compared() {
        let row = |n: u64| format!("{{\"n\":{n}}}\n");
        let rows = |from: u64, to: u64| -> String { (from..to).map(row).collect() };
        let body = rows(0, 2_500);
        let (all, decoded) = pieces(&body, Skip::default());
        let whole = decoded.digest;
        let skip = |rows| Skip {
            rows,
            digest: all[0].1.clone(),
        };
        let (rest, decoded) = pieces(&body, skip(1_000));
        assert_eq!(rest, all[1..]);
        assert!(decoded.failure.is_none());
        assert_eq!(decoded.digest, whole);
        let others = [
            rows(1, 2_501),
            rows(0, 999),
            String::new(),
            rows(0, 700) + "oops\n",
        ];
        for other in others {
            let (rest, decoded) = pieces(&other, skip(1_000));
            assert!(rest.is_empty(), "{}", other.len());
            assert_eq!(
                decoded.failure.map(|failure| failure.code),
                Some(ErrorCode::KeyReused)
            );
        }
    }
}
