//! What is ingested: the demo's visits, as one text of lines, and what a client makes of them.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::ControlFlow;

use cdp::cli::demo;
use cdp::domain::Timestamp;
use cdp::domain::fact::Fact;
use cdp::domain::record::{Finding, Origin, RawId, RawRow};
use cdp::ingest::decode::{Format, decode};
use cdp::ingest::validate::{INTERESTS_MAX, Rules, validate};
use serde_json::json;
use ulid::Ulid;

/// Rows of a batch, for every contender.
pub const BATCH_ROWS: usize = 1_000;

/// The name under which every contender takes the visits.
pub const SOURCE: &str = "bench";

/// Visits of invented people, one JSON object a line.
pub struct Visits {
    pub lines: Vec<u8>,
    pub count: usize,
    pub received_at: Timestamp,
}

impl Visits {
    /// All visits of so many people. The same seed and moment give the same ones.
    pub fn of(people: u32, seed: u64, received_at: Timestamp) -> Self {
        let (mut lines, mut count) = (Vec::new(), 0);
        for visit in demo::generate(people, seed, received_at) {
            let line = visit.to_json().unwrap_or_else(|error| panic!("{error}"));
            let _ = writeln!(lines, "{line}");
            count += 1;
        }
        Self {
            lines,
            count,
            received_at,
        }
    }

    /// The lines in parts of [`BATCH_ROWS`], as `cdp import` cuts a file.
    pub fn parts(&self) -> Vec<&[u8]> {
        let mut parts = Vec::new();
        let (mut from, mut rows) = (0, 0);
        for (at, _) in self.lines.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
            rows += 1;
            if rows == BATCH_ROWS {
                parts.push(&self.lines[from..=at]);
                (from, rows) = (at + 1, 0);
            }
        }
        parts.push(&self.lines[from..]);
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Reads and validates lines by the platform's own rules, as a client of a plain database
    /// would have to.
    pub fn judge(&self, part: &[u8]) -> Vec<Judged> {
        let origin = Origin {
            batch: Ulid::nil(),
            source: SOURCE.to_owned(),
            content_type: Format::Ndjson.media_type().to_owned(),
            received_at: self.received_at,
        };
        let rules = Rules::default();
        let mut judged = Vec::with_capacity(BATCH_ROWS);
        let decoded = decode(Format::Ndjson, part, &mut |row| {
            let raw = RawId {
                block: Ulid::nil(),
                row: u16::try_from(row.raw.number).unwrap_or_default(),
            };
            let fact = match row.content {
                Ok(fields) => validate(&fields, &origin, raw, &rules).fact,
                Err(finding) => Err(vec![finding]),
            };
            judged.push(Judged { row: row.raw, fact });
            ControlFlow::Continue(())
        });
        assert!(decoded.is_ok(), "the demo's lines are readable");
        judged
    }

    /// Every cookie once.
    pub fn cookies(&self) -> Vec<String> {
        let cookies: BTreeSet<String> = (self.facts().iter())
            .map(|fact| fact.cookie.to_string())
            .collect();
        cookies.into_iter().collect()
    }

    /// Records of a few strangers who name all interests, so that a server knows them.
    pub fn interests_alone(&self) -> Vec<u8> {
        let interests: BTreeSet<String> = (self.facts().into_iter())
            .flat_map(|fact| fact.interests.into_keys())
            .map(|key| key.as_str().to_owned())
            .collect();
        let interests: Vec<String> = interests.into_iter().collect();
        let mut lines = Vec::new();
        for (part, number) in interests.chunks(INTERESTS_MAX).zip(0..) {
            let record = json!({ "cookie": format!("stranger-{number}"), "interests": part });
            let _ = writeln!(lines, "{record}");
        }
        lines
    }

    /// All that is valid.
    pub fn facts(&self) -> Vec<Fact> {
        let judged = self.judge(&self.lines);
        judged.into_iter().filter_map(|judged| judged.fact.ok()).collect()
    }
}

/// A row, and what validation says of it.
pub struct Judged {
    pub row: RawRow,
    pub fact: Result<Fact, Vec<Finding>>,
}
