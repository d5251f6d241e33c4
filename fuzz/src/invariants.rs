//! What holds of whatever reads bytes that anybody may send, whatever they are: one function for
//! each reader, which panics where it does not hold. `make fuzz` runs them guided by what each input
//! reaches, and the tests of the platform over the same seeds, changed at random. Whoever takes in
//! this file has the modules of the platform beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Display};
use std::io::{BufReader, Read, Write as _};
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use ulid::Ulid;

use super::domain::Timestamp;
use super::domain::cohort::{Cohort, CohortSlug, Membership, Reason, RuleCohort};
use super::domain::facet::{Facet, InterestSeen, Seen, Statement, Statements};
use super::domain::fact::{Attribute, Value as Stated};
use super::domain::feed::Cursor;
use super::domain::identifier::{Cookie, Email};
use super::domain::interest::{InterestKey, Score};
use super::domain::placeholder::Placeholders;
use super::domain::profile::{CookieSet, Profile, ProfileId};
use super::domain::property::{Latest, PropertyValue, Visits};
use super::domain::record::{Origin, ROW_BYTES_MAX, RawId};
use super::ingest::decode::{Format, Row, Unpacked, csv_header, decode_named};
use super::ingest::fields::{self, Names, Renames};
use super::ingest::segment::{Call, Settings, map, read};
use super::ingest::transform::Transform;
use super::ingest::validate::{Rules, validate};
use super::segmentation::rules::{Expression, Known, RuleSet, Verdict};
use super::segmentation::{Segments, segment};

/// What is unpacked of a payload at most, as a server bounds it.
const UNPACKED_BYTES_MAX: u64 = 1024 * 1024;

/// The address of every row.
const RAW: RawId = RawId {
    block: Ulid::nil(),
    row: 0,
};

fn origin() -> Origin {
    Origin {
        batch: Ulid::nil(),
        source: "fuzz".to_owned(),
        content_type: "application/json".to_owned(),
        received_at: DateTime::UNIX_EPOCH,
    }
}

/// The rows of a payload, and the error that ended it.
fn decoded(format: Format, names: &Names, payload: &[u8], at_once: usize) -> (Vec<Row>, Option<String>) {
    let mut rows = Vec::new();
    let input = BufReader::with_capacity(at_once, payload);
    let end = decode_named(format, names, input, &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    (rows, end.err().map(|error| error.to_string()))
}

/// Decodes a payload twice, in large reads and in small ones, and checks what holds of every
/// payload.
fn check(format: Format, names: &Names, payload: &[u8]) -> (Vec<Row>, Option<String>) {
    let at_once = 1 + payload.len() % 7;
    let whole = decoded(format, names, payload, 64 * 1024);
    let in_parts = decoded(format, names, payload, at_once);
    assert_eq!(whole, in_parts, "read {at_once} bytes at once");
    // A name that was read reads as itself.
    let reread = if names.need_cookie() {
        fields::canonical_name
    } else {
        fields::folded
    };
    let (rows, _) = &whole;
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row.raw.number, at as u64 + 1);
        assert!(row.raw.line >= 1 && row.raw.verbatim.len() <= ROW_BYTES_MAX);
        match &row.content {
            Ok(fields) => {
                for (name, _) in fields {
                    assert_eq!(reread(name).as_ref(), Some(name));
                }
            }
            Err(finding) => assert!(!finding.code.is_empty() && !finding.message.is_empty()),
        }
    }
    assert!(rows.is_sorted_by_key(|row| row.raw.line), "lines go back");
    whole
}

/// Checks that a payload of a row alone says what the row said.
fn check_alone(format: Format, names: &Names, payload: &str, row: &Row) {
    let (again, error) = check(format, names, payload.as_bytes());
    assert_eq!((again.len(), error), (1, None), "{payload:?}");
    assert_eq!(
        (&again[0].content, &again[0].raw.verbatim),
        (&row.content, &row.raw.verbatim)
    );
}

/// JSON in all its envelopes: what is taken is JSON, and each row's own text says the same by
/// itself.
pub fn json(payload: &[u8]) {
    json_of(&Names::default(), payload);
}

fn json_of(names: &Names, payload: &[u8]) {
    let (rows, error) = check(Format::Json, names, payload);
    // A payload in UTF-16 is read too, which is no JSON.
    if matches!(payload, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..]) {
        return;
    }
    let text = payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload);
    // Between the two lie numbers that are out of range, outside of rows, and what is nested so
    // deep that only a row by itself is read.
    let is_read =
        serde_json::from_slice::<Value>(text).is_ok_and(|value| value.is_object() || value.is_array());
    assert!(!is_read || error.is_none(), "{error:?}");
    let opened = text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    let is_json = serde_json::from_slice::<&RawValue>(text).is_ok();
    assert!(is_json || error.is_some() || opened > 100, "taken, and no JSON");
    for row in rows.iter().filter(|row| row.content.is_ok()) {
        let alone = format!("[{}]", row.raw.verbatim);
        check_alone(Format::Json, names, &alone, row);
    }
}

/// NDJSON: each row's own text is a line that says the same by itself.
pub fn ndjson(payload: &[u8]) {
    ndjson_of(&Names::default(), payload);
}

fn ndjson_of(names: &Names, payload: &[u8]) {
    let (rows, _) = check(Format::Ndjson, names, payload);
    for row in rows.iter().filter(|row| row.content.is_ok()) {
        check_alone(Format::Ndjson, names, &row.raw.verbatim, row);
    }
}

/// CSV: each row's own text behind the header says the same by itself, which is how an import
/// sends it.
pub fn csv(payload: &[u8]) {
    // A cookie in the header, or hardly any payload would have rows.
    csv_of(&Names::default(), &[&b"cookie,"[..], payload].concat());
}

fn csv_of(names: &Names, payload: &[u8]) {
    let (rows, _) = check(Format::Csv, names, payload);
    let header = csv_header(payload);
    // The last row may be cut off inside quotes, and its text then ends before its value does.
    let Some((_, rows)) = rows.split_last() else {
        return;
    };
    let header = header.expect("there were rows below it");
    for row in rows.iter().filter(|row| row.content.is_ok()) {
        let alone = format!("{header}\n{}\n", row.raw.verbatim);
        check_alone(Format::Csv, names, &alone, row);
    }
}

/// A payload whose sender says what the columns are: what holds of the format holds then too, and
/// the mapping reads back. The first byte chooses the format, and whether other names are left as
/// they were sent; the rest of its line is the mapping, and what follows the payload.
pub fn named(input: &[u8]) {
    let Some((&choice, rest)) = input.split_first() else {
        return;
    };
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let Ok(mapping) = std::str::from_utf8(parts.next().unwrap_or_default()) else {
        return;
    };
    let payload = parts.next().unwrap_or_default();
    let renames = match Renames::parse(mapping.split(','), '=') {
        Ok(renames) => renames,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let pairs = renames.pairs();
    let again = Renames::parse(pairs.iter().map(String::as_str), ':');
    assert_eq!(again.as_ref(), Ok(&renames));
    let names = if (choice / 3).is_multiple_of(2) {
        Names::default()
    } else {
        Names::as_sent()
    };
    let names = names.renamed(renames.clone());
    for (from, to) in renames.iter() {
        assert_eq!(names.read(from).as_deref(), Some(to));
    }
    match choice % 3 {
        0 => json_of(&names, payload),
        1 => ndjson_of(&names, payload),
        _ => csv_of(&names, payload),
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
    let mut reader = Unpacked::new(Trickle(packed, at_once)).take(UNPACKED_BYTES_MAX);
    let is_whole = reader.read_to_end(&mut read).is_ok();
    (read, is_whole)
}

/// Packed payloads: those that nobody packed are damaged, and those that were are whole.
pub fn packed(payload: &[u8]) {
    let at_once = 1 + payload.len() % 7;
    let (whole, is_whole) = unpacked(payload, payload.len().max(1));
    let (trickled, is_whole_again) = unpacked(payload, at_once);
    assert_eq!(is_whole, is_whole_again);
    // Of what is damaged more or less may be read, but nothing else.
    let common = whole.len().min(trickled.len());
    assert!(whole[..common] == trickled[..common] && (!is_whole || whole == trickled));

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(payload).expect("memory takes it");
    let gzip = gzip.finish().expect("memory takes it");
    let zstd = zstd::encode_all(payload, 1).expect("memory takes it");
    for packed in [gzip, zstd] {
        assert!(unpacked(&packed, at_once) == (payload.to_vec(), true));
    }
}

/// Validation: any record is a fact, or has findings.
pub fn record(record: &[u8]) {
    let Ok(record) = serde_json::from_slice(record) else {
        return;
    };
    let Ok(fields) = fields::of_json(record) else {
        return;
    };
    match validate(&fields, &origin(), RAW, &Rules::default()).fact {
        Ok(fact) => assert!(!fact.cookie.as_str().is_empty() && fact.raw == RAW),
        Err(findings) => assert!(!findings.is_empty()),
    }
}

/// The calls of Segment's libraries, `1` to `7`.
const CALLS: [Call; 7] = [
    Call::Identify,
    Call::Track,
    Call::Page,
    Call::Screen,
    Call::Alias,
    Call::Group,
    Call::Batch,
];

/// Events of Segment's libraries: whatever a body holds, each event is a record that can be
/// judged, or has a finding. The first byte chooses the call, and the rest is the body.
pub fn event(input: &[u8]) {
    let Some((&choice, body)) = input.split_first() else {
        return;
    };
    let Ok(body) = std::str::from_utf8(body) else {
        return;
    };
    let call = CALLS[usize::from(choice) % CALLS.len()];
    let events = match read(body, call) {
        Ok(body) => body.events,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(call == Call::Batch || events.len() == 1, "a call is an event");
    for sent in events {
        assert!(sent.verbatim.len() <= ROW_BYTES_MAX);
        let Ok(event) = sent.event else { continue };
        let arrived = origin().received_at;
        let mapped = map(&event, arrived, &Settings::default(), &Placeholders::default());
        match validate(&mapped.fields, &origin(), RAW, &Rules::default()).fact {
            Ok(fact) => assert_eq!(fact.cookie.as_str(), mapped.ties.cookie.trim()),
            Err(findings) => assert!(!findings.is_empty()),
        }
    }
}

/// Transforms: a file that anybody wrote is one or says why not, and no expression panics,
/// whatever the row holds. The first line is the expression, the next the row, the rest a file.
pub fn transform(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let (expression, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let row = serde_json::from_str(row).unwrap_or_else(|_| json!({ "a": "b" }));
    let Ok(row) = Names::as_sent().fields_of(row) else {
        return;
    };
    // A file in YAML may as well be JSON.
    let file = json!({
        "source": "fuzz",
        "fields": [
            { "to": "cookie", "cel": expression },
            { "to": "email", "from": "a", "steps": [{ "cel": expression }, "trim"] },
        ],
    });
    for file in [file.to_string(), lines.next().unwrap_or_default().to_owned()] {
        match Transform::parse(&file) {
            Ok(transform) => {
                if let Err(finding) = transform.apply(row.clone()) {
                    assert_eq!(finding.code, "transform");
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Cursors of lists, of the feed and of what tells of rows: a text that is one leads where its own
/// writing leads.
pub fn cursor(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    check_address::<ProfileId>(text);
    check_address::<RawId>(text);
    check_address::<Cursor>(text);
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert!(cursor.next_block() >= cursor.block);
        assert!(
            i64::try_from(cursor.next_block()).is_ok(),
            "the store can't hold it"
        );
    }
}

fn check_address<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(address) = text.parse::<T>() {
        let again = address.to_string().parse::<T>().ok();
        assert_eq!(again, Some(address), "{text:?}");
    }
}

/// The cohort by interests that the rules may name. Its name is its slug, and the person below has
/// one property and one consent: what loops over a map meets its parts in no order.
const COHORT: &str = "sports";

/// The person's address.
const EMAIL: &str = "ann@shop.example";

/// The rules of cohorts: a text is one or says why not. Whoever is asked about belongs or does not,
/// however it is asked, and until the moment that segmentation tells. Whether it is a rule.
pub fn rule(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).into_owned();
    let slug = CohortSlug::of(COHORT);
    let known = Known::new([(slug.clone(), COHORT.to_owned())]);
    let expression = match Expression::compile(&text, &known) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(!error.message.is_empty(), "{text}");
            return false;
        }
    };
    let cohorts = [Cohort {
        slug: slug.clone(),
        name: COHORT.to_owned(),
        description: String::new(),
        examples: Vec::new(),
        threshold: 0.5,
        version: 1,
    }];
    let by_rule = RuleCohort {
        slug: CohortSlug::of("by-rule"),
        name: "by rule".to_owned(),
        description: String::new(),
        expression: text.clone(),
        version: 1,
    };
    let rules = RuleSet::new(std::slice::from_ref(&by_rule), known).expect("it is a rule by itself");
    let scores: Arc<[Score]> = Arc::new([Score {
        cohort: slug,
        score: 1.0,
    }]);
    let segments = Segments {
        cohorts: &cohorts,
        rules: &rules,
        scores: &|_: &InterestKey| Some(Arc::clone(&scores)),
    };
    let (ann, now) = (ann(), moment("2026-05-20T12:00:00Z"));
    let told = segment(&ann, Some(EMAIL), &ann.memberships, &segments, now);
    let is_member = told.memberships.iter().any(|one| one.cohort == by_rule.slug);
    let verdict = rules.preview(&expression, &ann, Some(EMAIL), now);
    assert_eq!(verdict == Verdict::Member, is_member, "{text}: {verdict:?}");

    assert!(
        told.due.is_none_or(|due| due > now),
        "{text}: due at {:?}",
        told.due
    );
    let later = told.due.map_or(now + TimeDelta::days(1_000), |due| {
        (due - TimeDelta::seconds(1)).max(now)
    });
    let again = segment(&ann, Some(EMAIL), &told.memberships, &segments, later);
    assert_eq!(
        again.memberships, told.memberships,
        "{text}: at {later}, and due at {:?}",
        told.due
    );
    true
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("it is a moment")
}

/// Somebody of whom all is known that a rule may speak of.
fn ann() -> Profile {
    let seen = Seen {
        first: moment("2026-05-01T08:00:00Z"),
        last: moment("2026-05-10T09:30:00Z"),
    };
    let stated = |value: &str| statement(Stated::Text(value.to_owned()), seen.last);
    let mut cookies = CookieSet::default();
    cookies.add(&Cookie::parse("c1").expect("it is a cookie"), seen);
    let golf = InterestSeen {
        display: "Golf".to_owned(),
        seen,
    };
    let birthday = Latest {
        at: seen.last,
        value: PropertyValue::Text("1984-05-30".to_owned()),
    };
    let agreed = Latest {
        at: seen.last,
        value: true,
    };
    let facet = Facet {
        attributes: BTreeMap::from([
            (Attribute::FirstName, stated("Ann")),
            (Attribute::State, stated("New York")),
            (Attribute::Age, statement(Stated::Integer(42), seen.last)),
            (Attribute::Gender, stated("Female")),
        ]),
        interests: BTreeMap::from([(InterestKey::from_canonical("golf"), golf)]),
        emails: BTreeMap::from([(Email::parse(EMAIL).expect("it is an address"), seen)]),
        sources: BTreeSet::from(["shop".to_owned()]),
        visits: Visits::at(seen.first).join(Visits::at(seen.last)),
        properties: BTreeMap::from([("birthday".to_owned(), birthday)]),
        consent: BTreeMap::from([("marketing".to_owned(), agreed)]),
        ..Facet::span(seen)
    };
    Profile {
        id: ProfileId(1),
        rev: 1,
        created_at: seen.first,
        updated_at: seen.last,
        cookies,
        facet,
        memberships: vec![Membership {
            cohort: CohortSlug::of(COHORT),
            score: 1.0,
            reason: Reason::Interests(vec!["golf".to_owned()]),
            since: seen.first,
        }],
        past: Vec::new(),
        due: None,
    }
}

fn statement(value: Stated, at: Timestamp) -> Statements {
    Statements::of(Statement { value, at, raw: RAW })
}
