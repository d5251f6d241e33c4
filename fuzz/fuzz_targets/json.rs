//! JSON in all its envelopes: what is taken is JSON, and each row's own text says the same by
//! itself.
#![no_main]

use cdp_fuzz::check;
use cdp_fuzz::ingest::decode::Format;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|payload: &[u8]| {
    let (rows, error) = check(Format::Json, payload);
    // A payload in UTF-16 is read too, which is no JSON.
    if matches!(payload, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..]) {
        return;
    }
    let text = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    // Between the two lie numbers that are out of range, outside of rows, and what is nested so
    // deep that only a row by itself is read.
    let is_read = serde_json::from_slice::<Value>(text).is_ok_and(|value| value.is_object() || value.is_array());
    assert!(!is_read || error.is_none(), "{error:?}");
    let opened = text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    let is_json = serde_json::from_slice::<&RawValue>(text).is_ok();
    assert!(is_json || error.is_some() || opened > 100, "taken, and no JSON");
    for row in rows.iter().filter(|row| row.content.is_ok()) {
        let alone = format!("[{}]", row.raw.verbatim);
        let (again, error) = check(Format::Json, alone.as_bytes());
        assert_eq!((again.len(), error), (1, None));
        assert_eq!((&again[0].content, &again[0].raw.verbatim), (&row.content, &row.raw.verbatim));
    }
});
