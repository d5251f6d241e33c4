//! NDJSON: each row's own text is a line that says the same by itself.
#![no_main]

use cdp_fuzz::check;
use cdp_fuzz::ingest::decode::Format;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let (rows, _) = check(Format::Ndjson, payload);
    for row in rows.iter().filter(|row| row.content.is_ok()) {
        let (again, error) = check(Format::Ndjson, row.raw.verbatim.as_bytes());
        assert_eq!((again.len(), error), (1, None));
        assert_eq!((&again[0].content, &again[0].raw.verbatim), (&row.content, &row.raw.verbatim));
    }
});
