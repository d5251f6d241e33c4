//! Validation: any record is a fact, or has findings.
#![no_main]

use cdp_fuzz::domain::record::{Origin, RawId};
use cdp_fuzz::ingest::fields;
use cdp_fuzz::ingest::validate::{Rules, validate};
use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use ulid::Ulid;

fuzz_target!(|record: &[u8]| {
    let Ok(record) = serde_json::from_slice(record) else { return };
    let Ok(fields) = fields::of_json(record) else { return };
    let origin = Origin {
        batch: Ulid::nil(),
        source: "fuzz".to_owned(),
        content_type: "application/json".to_owned(),
        received_at: DateTime::UNIX_EPOCH,
    };
    let raw = RawId {
        block: Ulid::nil(),
        row: 0,
    };
    let judged = validate(&fields, &origin, raw, &Rules::default());
    match judged.fact {
        Ok(fact) => assert!(!fact.cookie.as_str().is_empty() && fact.raw == raw),
        Err(findings) => assert!(!findings.is_empty()),
    }
});
