//! CSV: each row's own text behind the header says the same by itself, which is how an import
//! sends it.
#![no_main]

use cdp_fuzz::check;
use cdp_fuzz::ingest::decode::{Format, csv_header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    // A cookie in the header, or hardly any payload would have rows.
    let payload = [b"cookie,", payload].concat();
    let (rows, _) = check(Format::Csv, &payload);
    let header = csv_header(&payload[..]);
    // The last row may be cut off inside quotes, and its text then ends before its value does.
    let Some((_, rows)) = rows.split_last() else { return };
    let header = header.expect("there were rows below it");
    for row in rows.iter().filter(|row| row.content.is_ok()) {
        let alone = format!("{header}\n{}\n", row.raw.verbatim);
        let (again, error) = check(Format::Csv, alone.as_bytes());
        assert_eq!((again.len(), error), (1, None), "{alone:?}");
        assert_eq!((&again[0].content, &again[0].raw.verbatim), (&row.content, &row.raw.verbatim));
    }
});
