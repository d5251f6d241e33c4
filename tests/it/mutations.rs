//! What reads bytes that anybody may send never panics, and says the same however it is read: the
//! committed seeds of `fuzz/`, changed at random a fixed number of times, and beside them what only
//! the whole platform reads. `make fuzz` goes further, guided by what each input reaches.
//!
//! `SEED=…` repeats a run, `MUTATIONS=…` makes it longer.

#[path = "../../fuzz/src/invariants.rs"]
mod invariants;

use cdp::domain::role::Role;
use cdp::store::Settings;
use cdp::store::backup::restore;
// Where `invariants` looks for them.
use cdp::{domain, ingest, segmentation};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::server::store_url;
use crate::support::{environment, root};

/// How often each seed is changed, unless the environment says how often.
const MUTATIONS: u64 = 1_500;

/// Of what costs a store, or a request to each list, one in so many is tried.
const COSTLY_SHARE: u64 = 50;

/// The run that everybody has, so that a failure is everybody's.
const SEED: u64 = 20_261_127;

/// The longest that an input grows, unless it begins as a longer one.
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
    let folder = root().join("fuzz/corpus").join(of);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn texts(of: &[&str]) -> Vec<Vec<u8>> {
    of.iter().map(|text| text.as_bytes().to_vec()).collect()
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
    bytes.truncate(BYTES_MAX.max(input.len()));
    bytes
}

/// How often each seed is changed.
fn times() -> u64 {
    environment("MUTATIONS").unwrap_or(MUTATIONS)
}

/// Each seed and what becomes of it.
fn changed(seeds: &[Vec<u8>], times: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut random = ChaCha8Rng::seed_from_u64(environment("SEED").unwrap_or(SEED));
    let mut input = Vec::new();
    let all = seeds
        .iter()
        .flat_map(move |seed| (0..=times).map(move |time| (seed, time)));
    all.map(move |(seed, time)| {
        input = match time {
            0 => seed.clone(),
            // Now and then from the start, or all would end up as noise.
            time if time % 8 == 1 => mutate(&mut random, seed),
            _ => mutate(&mut random, &input),
        };
        input.clone()
    })
}

/// Tells which input a check failed on.
struct Tried<'a>(&'a [u8]);

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
}

/// Runs a check over each seed and what becomes of it.
fn over(seeds: &[Vec<u8>], mut check: impl FnMut(&[u8])) {
    for input in changed(seeds, times()) {
        let _tried = Tried(&input);
        check(&input);
    }
}

#[test]
fn payloads_are_read_alike_however_they_come() {
    over(&seeds("json"), invariants::json);
    over(&seeds("ndjson"), invariants::ndjson);
    over(&seeds("csv"), invariants::csv);
    over(&seeds("named"), invariants::named);
}

#[test]
fn packed_payloads_are_unpacked_alike_or_damaged() {
    over(&seeds("packed"), invariants::packed);
}

#[test]
fn records_are_facts_or_have_findings() {
    over(&seeds("validate"), invariants::record);
}

#[test]
fn events_are_records_or_have_findings() {
    over(&seeds("segment"), invariants::event);
}

#[test]
fn transforms_are_files_or_say_why_not() {
    over(&seeds("transform"), invariants::transform);
}

#[test]
fn expressions_are_rules_or_say_why_not() {
    let seeds = seeds("rule");
    for seed in &seeds {
        assert!(invariants::rule(seed), "{}", seed.escape_ascii());
    }
    let mut rules = 0;
    over(&seeds, |text| rules += u64::from(invariants::rule(text)));
    assert!(rules > seeds.len() as u64, "only the seeds were rules");
}

#[test]
fn cursors_are_places_or_none() {
    over(&seeds("cursor"), invariants::cursor);
}

/// The lists that go on behind a cursor, with the argument that takes it.
const LISTS: &[(&str, &str)] = &[
    ("/api/changes", "cursor"),
    ("/api/cohort/users?cohort=sports", "cursor"),
    ("/api/cohorts/sports/history", "before"),
    ("/api/profiles/:id/timeline", "before"),
    ("/api/merges", "before"),
    ("/api/conflicts", "after"),
    ("/api/suppressions", "cursor"),
];

/// Cursors of each kind that the lists give.
const CURSORS: &[&str] = &[
    "p1",
    "1-0",
    "record-01ARZ3NDEKTSV4RRFFQ69G5FAV-0",
    "decision-01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    "1772366400000000_0123456789abcdef0123456789abcdef",
];

#[tokio::test(flavor = "multi_thread")]
async fn lists_go_on_behind_a_cursor_or_refuse_it() {
    let app = TestApp::start().await;
    app.ingest(json!([{ "cookie": "c1", "interests": ["football"] }]))
        .await;
    let user = app.user_by_cookie("c1").await;
    let id = user["identities"]["id"].as_str().unwrap();
    for cursor in changed(&texts(CURSORS), times() / COSTLY_SHARE) {
        let cursor: String = String::from_utf8_lossy(&cursor).chars().take(200).collect();
        for (path, argument) in LISTS {
            let path = path.replace(":id", id);
            let (path, query) = path.split_once('?').unwrap_or((path.as_str(), ""));
            let mut arguments: Vec<(&str, &str)> = query.split_once('=').into_iter().collect();
            arguments.push((*argument, cursor.as_str()));
            let answer = app.ask(path, &arguments).await;
            if answer.status != 200 {
                assert_eq!(answer.status, 400, "{path} {cursor:?}: {answer:?}");
                answer.error(400, "bad_request");
            }
        }
    }
}

/// Of these the last one changes something: it stores a record, in a store of the test's own.
const OPERATIONS: &[&str] = &[
    "query($a: Int!) { profiles(first: $a) { edges { node { id interests cohorts { slug reason } } } } }",
    "{ me { name @skip(if: true) ...A } } fragment A on Me { scopes }",
    "{ a: cohorts { name } profile(cookie: \"x\") { id } searchInterests(q: \"\"\"a\"\"\") { complete } }",
    "query($a: Int!) { auditLog(first: $a) { nextUntil } checkRule(expression: \"profile.age > 3\") \
     changes(after: \"0\", first: $a) { nextCursor } \
     timeline(id: \"p1\", before: \"record-01ARZ3NDEKTSV4RRFFQ69G5FAV-0\", limit: $a) { nextCursor } }",
    "mutation { ingest(records: [{ cookie: \"a\", age: 7 }]) { status errors { row code } } \
     rollBackCohort(name: \"x\", version: 1) { cohort { slug } } }",
];

/// Through the router, which has the limits before the parser; by turns of who may only read, and of
/// who may do everything.
#[tokio::test(flavor = "multi_thread")]
async fn operations_are_answered_or_refused() {
    let app = TestApp::start().await;
    let seeds = texts(OPERATIONS);
    let operations = changed(&seeds, times()).step_by(3);
    let as_written = seeds.iter().map(|seed| (Role::Admin, seed.clone()));
    let by_turns = [Role::Viewer, Role::Admin].into_iter().cycle().zip(operations);
    for (number, (role, operation)) in as_written.chain(by_turns).enumerate() {
        let operation = String::from_utf8_lossy(&operation).into_owned();
        let body = json!({ "query": operation, "variables": { "a": 1 } });
        let request = app.client().post("/graphql").body_json(&body);
        let answer = app.answer_to(role, request).await;
        assert!(
            matches!(answer.status, 200 | 400),
            "{role}: {operation}: {answer:?}"
        );
        let answer = answer.json();
        for error in answer["errors"].as_array().into_iter().flatten() {
            let code = &error["extensions"]["code"];
            assert_ne!(code, "internal", "{role}: {operation}: {error}");
            let is_seed = number < seeds.len();
            assert!(
                !is_seed || code != "bad_request",
                "a seed is wrong: {operation}: {error}"
            );
            assert!(
                error["message"].as_str().is_some_and(|said| !said.is_empty()),
                "{role}: {operation}"
            );
        }
    }
}

/// Restores a file into a store of its own, of which nothing is left if that fails; how many keys it
/// has.
async fn restored(file: &[u8]) -> Option<u64> {
    let _tried = Tried(file);
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        url: store_url(folder.path()),
        cache_mib: 16,
        write_buffer_mib: 16,
        ..Settings::default()
    };
    let restored = Box::pin(restore(&settings, file, &|_| {})).await;
    let is_there = folder.path().join("cdp").exists();
    assert_eq!(is_there, restored.is_ok(), "{restored:?}");
    restored.ok().map(|restored| restored.keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_restored_or_refused() {
    let app = TestApp::start().await;
    app.ingest(json!([{ "cookie": "c1", "interests": ["football"] }]))
        .await;
    let answer = app.get_as(Role::Admin, "/api/backup").await;
    let whole = answer.0.into_body().into_vec().await.unwrap();
    let keys = restored(&whole).await.unwrap();
    assert!(keys > 0);
    let times = times() / COSTLY_SHARE;
    for file in changed(std::slice::from_ref(&whole), times) {
        let restored = restored(&file).await;
        assert!(
            restored.is_none_or(|restored| restored == keys),
            "{restored:?} of {keys}"
        );
    }
    // What is damaged in its packing is found out by that. So pairs are damaged, and packed then.
    let lines = whole.split_inclusive(|byte| *byte == b'\n').take(2);
    let (begin, packed) = whole.split_at(lines.map(<[u8]>::len).sum());
    let pairs = zstd::decode_all(packed).unwrap();
    for pairs in changed(&[pairs], times) {
        let packed = zstd::encode_all(&pairs[..], 1).unwrap();
        restored(&[begin, &packed].concat()).await;
    }
}
