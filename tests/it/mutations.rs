//! What reads bytes that anybody may send never panics, and says the same however it is read: the
//! committed seeds of `fuzz/`, changed at random a fixed number of times. `make fuzz` goes further,
//! guided by what each input reaches.
//!
//! `SEED=…` repeats a run, `MUTATIONS=…` makes it longer.

use std::io::{BufReader, Read};
use std::ops::ControlFlow;
use std::path::Path;

use cdp::domain::cohort::CohortSlug;
use cdp::domain::placeholder::Placeholders;
use cdp::domain::record::{Origin, ROW_BYTES_MAX, RawId};
use cdp::domain::role::Role;
use cdp::ingest::decode::{Format, Row, Unpacked, decode};
use cdp::ingest::fields::{self, Names};
use cdp::ingest::segment::{Call, Settings, map, read};
use cdp::ingest::transform::Transform;
use cdp::ingest::validate::{Rules, validate};
use cdp::segmentation::rules::{Expression, Known};
use chrono::DateTime;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::support::app::TestApp;
use crate::support::environment;

/// How often each seed is changed, unless the environment says how often.
const MUTATIONS: u64 = 1_500;

/// The run that everybody has, so that a failure is everybody's.
const SEED: u64 = 20_261_127;

/// The longest that an input grows.
const BYTES_MAX: usize = 8 * 1024;

/// What formats, expressions and operations are made of, to be put anywhere.
const PARTS: &[&str] = &[
    "\"",
    "'",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    ",",
    ":",
    ";",
    "|",
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\u{feff}",
    "é",
    "😀",
    "null",
    "true",
    "-1",
    "1e999",
    "0x1F",
    "99999999999999999999",
    "\\u0000",
    "\\ud800",
    "{{{{",
    "[[[[",
    "((((",
    "cookie",
    "email",
    "data",
    "batch",
    "type",
    "traits",
    "timestamp",
    "interests",
    "profile.age",
    "cohorts",
    " in ",
    " && ",
    " || ",
    "!",
    "==",
    " ? 1 : 2",
    ".map(x, x)",
    ".matches(\"(\")",
    "size(",
    "@skip(if: $a)",
    "...A",
    "fragment A on Query",
    "query",
    "mutation",
    "$a: Int!",
    "#",
    "\"\"\"",
    "__schema",
];

fn seeds(of: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(of);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Changes an input a little, in one of the ways in which inputs are wrong.
fn mutate(random: &mut ChaCha8Rng, input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = random.random_range(at..=bytes.len());
        match random.random_range(0..6) {
            0 => drop(bytes.drain(at..end.min(at + 40))),
            1 => bytes.truncate(at),
            2 => bytes.insert(at, random.random()),
            3 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            4 => {
                let copied = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copied));
            }
            _ => {
                let part = PARTS.choose(random).unwrap().as_bytes();
                drop(bytes.splice(at..at, part.iter().copied()));
            }
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Runs a check over each seed and what becomes of it.
fn over(seeds: &[Vec<u8>], mut check: impl FnMut(&[u8])) {
    let mut random = ChaCha8Rng::seed_from_u64(environment("SEED").unwrap_or(SEED));
    let times = environment("MUTATIONS").unwrap_or(MUTATIONS);
    for seed in seeds {
        check(seed);
        let mut input = seed.clone();
        for time in 0..times {
            // Now and then from the start, or all would end up as noise.
            let from = if time % 8 == 0 { seed } else { &input };
            input = mutate(&mut random, from);
            check(&input);
        }
    }
}

fn origin() -> Origin {
    Origin {
        batch: Ulid::nil(),
        source: "mutations".to_owned(),
        content_type: "application/json".to_owned(),
        received_at: DateTime::UNIX_EPOCH,
    }
}

const RAW: RawId = RawId {
    block: Ulid::nil(),
    row: 0,
};

fn decoded(format: Format, payload: &[u8], at_once: usize) -> (Vec<Row>, Option<String>) {
    let mut rows = Vec::new();
    let input = BufReader::with_capacity(at_once, payload);
    let end = decode(format, input, &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, end.err().map(|error| error.to_string()))
}

#[test]
fn payloads_are_read_alike_however_they_come() {
    for (format, of) in [
        (Format::Json, "json"),
        (Format::Ndjson, "ndjson"),
        (Format::Csv, "csv"),
    ] {
        over(&seeds(of), |payload| {
            let whole = decoded(format, payload, 64 * 1024);
            assert_eq!(
                whole,
                decoded(format, payload, 1 + payload.len() % 7),
                "{payload:?}"
            );
            for (at, row) in whole.0.iter().enumerate() {
                assert_eq!(row.raw.number, at as u64 + 1);
                assert!(row.raw.verbatim.len() <= ROW_BYTES_MAX);
            }
        });
    }
}

/// Bytes that come a few at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let room = buffer.len().min(self.1);
        self.0.read(&mut buffer[..room])
    }
}

fn unpacked(packed: &[u8], at_once: usize) -> (Vec<u8>, bool) {
    let mut read = Vec::new();
    let mut reader = Unpacked::new(Trickle(packed, at_once)).take(1024 * 1024);
    let is_whole = reader.read_to_end(&mut read).is_ok();
    (read, is_whole)
}

#[test]
fn packed_payloads_are_unpacked_alike_or_damaged() {
    over(&seeds("packed"), |payload| {
        let (whole, is_whole) = unpacked(payload, payload.len().max(1));
        let (trickled, is_whole_again) = unpacked(payload, 1 + payload.len() % 7);
        assert_eq!(is_whole, is_whole_again, "{payload:?}");
        // Of what is damaged more or less may be read, but nothing else.
        let common = whole.len().min(trickled.len());
        assert_eq!(whole[..common], trickled[..common], "{payload:?}");
        assert!(!is_whole || whole == trickled, "{payload:?}");
    });
}

#[test]
fn records_are_facts_or_have_findings() {
    over(&seeds("validate"), |record| {
        let Ok(record) = serde_json::from_slice(record) else {
            return;
        };
        let Ok(fields) = fields::of_json(record) else {
            return;
        };
        match validate(&fields, &origin(), RAW, &Rules::default()).fact {
            Ok(fact) => assert!(!fact.cookie.as_str().is_empty()),
            Err(findings) => assert!(!findings.is_empty()),
        }
    });
}

#[test]
fn events_are_records_or_have_findings() {
    over(&seeds("segment"), |body| {
        let Ok(text) = std::str::from_utf8(body) else {
            return;
        };
        for call in [Call::Batch, Call::Alias] {
            let Ok(body) = read(text, call) else { continue };
            for sent in body.events {
                assert!(sent.verbatim.len() <= ROW_BYTES_MAX);
                let Ok(event) = sent.event else { continue };
                let at = origin().received_at;
                let mapped = map(&event, at, &Settings::default(), &Placeholders::default());
                if let Err(findings) = validate(&mapped.fields, &origin(), RAW, &Rules::default()).fact {
                    assert!(!findings.is_empty());
                }
            }
        }
    });
}

#[test]
fn transforms_are_files_or_say_why_not() {
    over(&seeds("transform"), |text| {
        let Ok(text) = std::str::from_utf8(text) else {
            return;
        };
        let mut lines = text.splitn(3, '\n');
        let (expression, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let row = serde_json::from_str::<Value>(row).unwrap_or_else(|_| json!({ "a": "b" }));
        let Ok(row) = Names::as_sent().fields_of(row) else {
            return;
        };
        let file = json!({ "source": "mutations", "fields": [{ "to": "cookie", "cel": expression }] });
        for file in [file.to_string(), lines.next().unwrap_or_default().to_owned()] {
            if let Ok(transform) = Transform::parse(&file)
                && let Err(finding) = transform.apply(row.clone())
            {
                assert_eq!(finding.code, "transform");
            }
        }
    });
}

const EXPRESSIONS: &[&str] = &[
    "profile.age < 30 && \"Sports\" in cohorts",
    "profile.last_seen.within(\"30d\") || visits_within(\"90d\") >= 3",
    "has(profile.email) && profile.email.matches(\"@shop[.]example$\")",
    "profile.location.state == \"New York\" && !(\"Sports\" in cohorts)",
];

#[test]
fn expressions_are_rules_or_say_why_not() {
    let known = Known::new([(CohortSlug::of("Sports"), "Sports".to_owned())]);
    let seeds: Vec<_> = EXPRESSIONS.iter().map(|text| text.as_bytes().to_vec()).collect();
    for seed in EXPRESSIONS {
        assert!(Expression::compile(seed, &known).is_ok(), "{seed}");
    }
    over(&seeds, |text| {
        let text = String::from_utf8_lossy(text);
        if let Err(error) = Expression::compile(&text, &known) {
            assert!(!error.message.is_empty(), "{text}");
        }
    });
}

const OPERATIONS: &[&str] = &[
    "query($a: Int!) { profiles(first: $a) { edges { node { id interests cohorts { slug reason } } } } }",
    "{ me { name @skip(if: true) ...A } } fragment A on Me { scopes }",
    "{ a: cohorts { name } profile(cookie: \"x\") { id } searchInterests(q: \"\"\"a\"\"\") { complete } }",
];

/// Through the router, which has the limits before the parser.
#[tokio::test(flavor = "multi_thread")]
async fn operations_are_answered_or_refused() {
    let app = TestApp::start().await;
    let seeds: Vec<_> = OPERATIONS.iter().map(|text| text.as_bytes().to_vec()).collect();
    let mut operations = Vec::new();
    over(&seeds, |text| {
        operations.push(String::from_utf8_lossy(text).into_owned());
    });
    for operation in operations.into_iter().step_by(3) {
        let body = json!({ "query": operation, "variables": { "a": 1 } });
        let request = app.client().post("/graphql").body_json(&body);
        let answer = app.answer_to(Role::Viewer, request).await;
        assert!(matches!(answer.status, 200 | 400), "{operation}: {answer:?}");
        let answer = answer.json();
        for error in answer["errors"].as_array().into_iter().flatten() {
            assert_ne!(error["extensions"]["code"], "internal", "{operation}: {error}");
            assert!(
                error["message"].as_str().is_some_and(|said| !said.is_empty()),
                "{operation}"
            );
        }
    }
}
