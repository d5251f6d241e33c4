//! The pure parts of the platform, and what every decoder owes whatever it is given.

#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/ingest/mod.rs"]
pub mod ingest;

use std::io::BufReader;
use std::ops::ControlFlow;

use domain::record::ROW_BYTES_MAX;
use ingest::decode::{Format, Row, decode};

/// The rows of a payload, and the error that ended it.
pub fn decoded(format: Format, payload: &[u8], at_once: usize) -> (Vec<Row>, Option<String>) {
    let mut rows = Vec::new();
    let input = BufReader::with_capacity(at_once, payload);
    let end = decode(format, input, &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, end.err().map(|error| error.to_string()))
}

/// Decodes a payload twice, in large reads and in small ones, and checks what holds of every
/// payload.
pub fn check(format: Format, payload: &[u8]) -> (Vec<Row>, Option<String>) {
    let at_once = 1 + payload.len() % 7;
    let whole = decoded(format, payload, 64 * 1024);
    assert_eq!(whole, decoded(format, payload, at_once), "read {at_once} bytes at once");
    let (rows, _) = &whole;
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row.raw.number, at as u64 + 1);
        assert!(row.raw.line >= 1 && row.raw.verbatim.len() <= ROW_BYTES_MAX);
        if let Err(finding) = &row.content {
            assert!(!finding.code.is_empty() && !finding.message.is_empty());
        }
    }
    assert!(rows.is_sorted_by_key(|row| row.raw.line), "lines go back");
    whole
}
