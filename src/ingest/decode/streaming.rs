//! Payloads that are larger than any memory, made up while they are read: never is much more read
//! than was handed on.

use std::cell::Cell;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use super::{DecodeError, Format, Unpacked, decode};

/// How far reading may be ahead of the rows, in bytes: every buffer on the way, filled.
const AHEAD_BYTES_MAX: usize = 512 * 1024;

/// A beginning, the same piece again and again, and an end; counts the bytes that were read.
struct Endless<'a> {
    rest: Vec<&'a [u8]>,
    piece: &'a [u8],
    pieces: usize,
    end: &'a [u8],
    read: &'a Cell<usize>,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            let Some(next) = self.rest.last_mut() else {
                match self.pieces.checked_sub(1) {
                    Some(pieces) => {
                        self.pieces = pieces;
                        self.rest.push(if pieces == 0 { self.end } else { self.piece });
                        continue;
                    }
                    None => break,
                }
            };
            read += next.read(&mut buffer[read..])?;
            if next.is_empty() {
                self.rest.pop();
            }
        }
        self.read.set(self.read.get() + read);
        Ok(read)
    }
}

/// Decodes a million rows; how many there were.
fn rows(format: Format, begin: &str, piece: &str, end: &str) -> Result<usize, DecodeError> {
    let read = Cell::new(0);
    let endless = Endless {
        rest: vec![begin.as_bytes()],
        piece: piece.as_bytes(),
        pieces: 1_000_000,
        end: end.as_bytes(),
        read: &read,
    };
    let (mut rows, mut handed_on) = (0, 0);
    let input = BufReader::with_capacity(64 * 1024, Unpacked::new(endless));
    decode(format, input, &mut |row| {
        rows += 1;
        handed_on += row.raw.verbatim.len();
        let ahead = read.get() - handed_on - rows * (piece.len() - row.raw.verbatim.len());
        assert!(ahead < AHEAD_BYTES_MAX, "{ahead} bytes ahead of row {rows}");
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

#[test]
fn a_million_rows_of_any_format_are_never_held() {
    let object = "{\"cookie\":\"c1\",\"note\":[1,{\"a\":2}]}";
    let element = format!("{object},\n");
    for begin in ["[", "{\"data\":["] {
        let end = if begin == "[" {
            format!("{object}]")
        } else {
            format!("{object}]}}")
        };
        assert_eq!(rows(Format::Json, begin, &element, &end).unwrap(), 1_000_000);
    }
    let line = format!("{object}\n");
    assert_eq!(rows(Format::Ndjson, "", &line, &line).unwrap(), 1_000_000);
    let row = "c1,\"a\nb\"\n";
    assert_eq!(rows(Format::Csv, "cookie,note\n", row, row).unwrap(), 1_000_000);
}

#[test]
fn a_quote_that_is_left_open_ends_the_payload_where_it_opens() {
    let error = rows(
        Format::Csv,
        "cookie,note\nc1,x\nc2,\"",
        "no quote ends this\n",
        "",
    )
    .unwrap_err();
    let said = "a row goes on for more than 8388608 bytes, as if a quote were left open, at line 3 column 1";
    assert_eq!(error.to_string(), said);
}
