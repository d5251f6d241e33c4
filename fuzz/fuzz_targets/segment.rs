//! Events of Segment's libraries: whatever a body holds, each event is a record that can be
//! judged, or has a finding.
#![no_main]

use cdp_fuzz::domain::placeholder::Placeholders;
use cdp_fuzz::domain::record::{Origin, RawId, ROW_BYTES_MAX};
use cdp_fuzz::ingest::segment::{Call, Settings, map, read};
use cdp_fuzz::ingest::validate::{Rules, validate};
use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use ulid::Ulid;

fuzz_target!(|text: &str| {
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
    for call in [Call::Batch, Call::Alias] {
        let Ok(body) = read(text, call) else { continue };
        for sent in body.events {
            assert!(sent.verbatim.len() <= ROW_BYTES_MAX);
            let Ok(event) = sent.event else { continue };
            let mapped = map(&event, origin.received_at, &Settings::default(), &Placeholders::default());
            let judged = validate(&mapped.fields, &origin, raw, &Rules::default());
            match judged.fact {
                Ok(fact) => assert_eq!(fact.cookie.as_str(), mapped.ties.cookie.trim()),
                Err(findings) => assert!(!findings.is_empty()),
            }
        }
    }
});
