//! `cdp doctor`: a sound store has no findings, each kind of damage is found, what can be
//! derived is mended, and afterwards the same people are found as before.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use cdp::classify::Classifier;
use cdp::domain::Timestamp;
use cdp::domain::fault::Fault;
use cdp::domain::identifier::{Cookie, Email};
use cdp::domain::interest::InterestKey;
use cdp::domain::profile::{Profile, ProfileId};
use cdp::domain::record::Origin;
use cdp::ingest::decode::{Format, decode};
use cdp::pipeline::judge::{Judgement, Verdict};
use cdp::pipeline::settings::PolicySetting;
use cdp::pipeline::{self, Chunk, Pipeline, PipelineError};
use cdp::services::privacy;
use cdp::store::commit::BatchProgress;
use cdp::store::{Settings, Store};
use rand::{Rng as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::support::app::{build, config};
use crate::support::names;
use crate::support::server::{Server, by_hand, free, program, run, store_url};

/// The source whose addresses are persons.
const KIOSK: &str = "kiosk";

/// A person with more cookies than a profile lists.
const MANY: usize = 70;

/// The road over a store on disk.
struct Road {
    store: Store,
    pipeline: Pipeline,
}

impl Road {
    async fn open(folder: &Path) -> Self {
        let classifier = build(&config()).await.classifier;
        let store = connect(folder).await;
        store.add_cohorts(&classifier.cohorts()).await.unwrap();
        // The classifier is shared, and what it knows from another test it does not store again.
        let interests = ["football", "cricket", "bitcoin"].map(InterestKey::from_canonical);
        let answers = classifier.classify(&interests).await.unwrap();
        store.keep_interests(&answers).await.unwrap();
        Self::over(store, classifier).await
    }

    async fn over(store: Store, classifier: std::sync::Arc<Classifier>) -> Self {
        let mut settings = pipeline::Settings {
            cookies_max: 100,
            emails_max: 3,
            ..pipeline::Settings::default()
        };
        settings
            .sources
            .insert(KIOSK.to_owned(), PolicySetting::EmailIsPerson);
        let settings_of_privacy = privacy::Settings::default();
        let pseudonyms = privacy::pseudonyms(&settings_of_privacy, &store);
        let pseudonyms = std::sync::Arc::new(pseudonyms.await.unwrap());
        let pipeline = Pipeline::start(store.clone(), classifier, &settings, pseudonyms)
            .await
            .unwrap();
        Self { store, pipeline }
    }

    async fn send(&self, source: &str, records: &[Value]) {
        let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        let mut rows = Vec::new();
        decode(Format::Ndjson, lines.join("\n").as_bytes(), &mut |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })
        .unwrap();
        let batch = Ulid::new();
        let before = BatchProgress::new(batch);
        let origin = Origin {
            batch,
            source: source.to_owned(),
            content_type: "application/x-ndjson".to_owned(),
            received_at: "2026-06-01T00:00:00Z".parse().unwrap(),
        };
        let chunk = Chunk {
            origin,
            rows,
            before,
            is_last: true,
        };
        let outcome = self.pipeline.ingest_chunk(chunk).await.unwrap();
        assert_eq!(outcome.rejects, []);
    }
}

async fn connect(folder: &Path) -> Store {
    let settings = Settings {
        url: store_url(folder),
        ..Settings::default()
    };
    free(folder).await;
    Store::connect(&settings).await.unwrap()
}

async fn doctor(folder: &Path, arguments: &[&str]) -> Output {
    free(folder).await;
    let store = store_url(folder);
    let arguments = [&["doctor", "--store", &store], arguments].concat();
    run(&mut program(&arguments)).await
}

/// Runs the doctor, which must judge so, and returns what it said.
#[track_caller]
fn said(output: &Output, is_sound: bool) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    let code = i32::from(!is_sound);
    assert_eq!((output.status.code(), err.as_ref()), (Some(code), ""), "{out}");
    out
}

/// Everybody by what leads to them, without what a repair may change: revisions, and times of
/// the clock of arrival.
async fn people(folder: &Path, cookies: &[String], emails: &[String]) -> BTreeMap<String, Profile> {
    let store = connect(folder).await;
    let mut found = BTreeMap::new();
    for cookie in cookies {
        let profile = store.profile_by_cookie(&Cookie::parse(cookie).unwrap()).await;
        found.insert(cookie.clone(), Arc::unwrap_or_clone(profile.unwrap().unwrap()));
    }
    for email in emails {
        let profile = store.profile_by_email(&Email::parse(email).unwrap()).await;
        found.insert(email.clone(), Arc::unwrap_or_clone(profile.unwrap().unwrap()));
    }
    for profile in found.values_mut() {
        profile.rev = 0;
        profile.created_at = Timestamp::UNIX_EPOCH;
        profile.updated_at = Timestamp::UNIX_EPOCH;
        for membership in &mut profile.memberships {
            membership.since = Timestamp::UNIX_EPOCH;
        }
    }
    found
}

fn record(cookie: &str, email: &str, minute: usize, more: &Value) -> Value {
    let mut record = json!({ "cookie": cookie, "timestamp": format!("2026-05-01T{:02}:{:02}:00Z", minute / 60, minute % 60) });
    if !email.is_empty() {
        record["email"] = json!(email);
    }
    let record_map = record.as_object_mut().unwrap();
    record_map.extend(more.as_object().cloned().unwrap_or_default());
    record
}

/// People of every kind: two cookies and an address, a cookie alone, a merge, a log-in, many
/// cookies.
async fn fill(folder: &Path) -> (Vec<String>, Vec<String>) {
    let road = Road::open(folder).await;
    let ann = json!({ "first_name": "Ann", "interests": ["football", "cricket"] });
    let none = json!({});
    let mut records = vec![
        record("a-1", "ann@example.com", 1, &ann),
        record("a-2", "ann@example.com", 2, &none),
        record(
            "b-1",
            "",
            3,
            &json!({ "first_name": "Bob", "interests": ["bitcoin"] }),
        ),
        record("c-1", "cat@example.com", 4, &json!({ "first_name": "Cat" })),
        record("c-2", "cat2@example.com", 5, &none),
    ];
    let mel = json!({ "first_name": "Mel" });
    let many = (0..MANY).map(|n| {
        let said = if n == 7 { &mel } else { &none };
        record(&format!("m-{n}"), "many@example.com", 10 + n, said)
    });
    records.extend(many);
    road.send("web", &records).await;
    road.send("web", &[record("c-1", "cat2@example.com", 100, &none)])
        .await;
    road.send(KIOSK, &[record("k-1", "kim@example.com", 101, &ann)])
        .await;
    let cookies = ["a-1", "a-2", "b-1", "c-1", "c-2", "k-1"].map(str::to_owned);
    let cookies = cookies.into_iter().chain((0..MANY).map(|n| format!("m-{n}")));
    let emails = ["ann", "cat", "cat2", "many", "kim"];
    (
        cookies.collect(),
        emails.map(|name| format!("{name}@example.com")).into(),
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

const ANN: &str = "LET $ann = (SELECT VALUE profile FROM ONLY cookie:⟨a-1⟩);
    LET $bob = (SELECT VALUE profile FROM ONLY cookie:⟨b-1⟩);
    LET $redirect = (SELECT VALUE id FROM profile WHERE merged_into != NONE)[0];";

/// What is done, what is found of it, and whether it can be mended.
const DAMAGES: &[(&str, &[Fault], bool)] = &[
    (
        "UPDATE cookie:⟨a-2⟩ SET profile = $bob",
        &[Fault::IdentifierElsewhere, Fault::IdentifierUnclaimed, Fault::ProfileStale],
        true,
    ),
    (
        "UPDATE email:⟨ann@example.com⟩ SET profile = $bob",
        &[Fault::IdentifierElsewhere, Fault::TieOutside],
        true,
    ),
    (
        "UPDATE cookie:⟨c-1⟩ SET profile = $redirect",
        &[Fault::IdentifierOwnerless],
        true,
    ),
    (
        "UPDATE cookie:⟨b-1⟩ SET profile = profile:4000",
        &[Fault::IdentifierOwnerless, Fault::ProfileEmpty],
        true,
    ),
    ("DELETE $ann", &[Fault::IdentifierOwnerless, Fault::MemberStray], true),
    (
        "DELETE profile WHERE merged_into = NONE",
        &[Fault::IdentifierOwnerless, Fault::MemberStray, Fault::RedirectLost],
        true,
    ),
    ("UPDATE $ann SET document = 'torn', rev += 1", &[Fault::Unreadable], true),
    ("DELETE cookie:⟨a-2⟩", &[Fault::IdentifierGone, Fault::ProfileStale], true),
    (
        "DELETE email:⟨ann@example.com⟩",
        &[Fault::IdentifierGone, Fault::EdgeMissing],
        true,
    ),
    ("DELETE cookie:⟨b-1⟩", &[Fault::IdentifierGone], true),
    (
        "UPDATE $ann SET document = string::replace(document, 'Ann', 'Eve'), rev += 1",
        &[Fault::ProfileStale],
        true,
    ),
    ("DELETE member", &[Fault::MemberMissing], true),
    (
        "INSERT INTO member [{ id: ['sports', 900000], since: time::now() }, { id: ['gone', 1], since: time::now() }]",
        &[Fault::MemberStray],
        true,
    ),
    (
        "INSERT RELATION INTO seen_with { id: ['ghost', 'ann@example.com'], in: cookie:ghost,
            out: email:⟨ann@example.com⟩, raw: (SELECT VALUE raw FROM seen_with)[0], at: time::now(), policy: 'union' }",
        &[Fault::EdgeStray],
        true,
    ),
    ("DELETE seen_with:['a-1', 'ann@example.com']", &[Fault::EdgeMissing], true),
    (
        "DELETE seen_with:['m-5', 'many@example.com']",
        &[Fault::IdentifierUnclaimed, Fault::ProfileStale],
        true,
    ),
    ("UPDATE counter:profile SET value = 1", &[Fault::CounterLow], true),
    (
        "UPDATE $redirect SET merged_into = profile:900000, rev += 1",
        &[Fault::RedirectLost],
        true,
    ),
    ("DELETE raw", &[Fault::RawMissing], false),
    (
        "UPDATE merge SET survivor = profile:900000",
        &[Fault::SubjectMissing],
        false,
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_damage_is_found_and_what_can_be_derived_is_mended() {
    let origin = tempfile::tempdir().unwrap();
    let (cookies, emails) = fill(origin.path()).await;
    let sound = said(&doctor(origin.path(), &[]).await, true);
    assert!(sound.contains("sound: nothing contradicts anything"), "{sound}");
    let before = people(origin.path(), &cookies, &emails).await;
    free(origin.path()).await;
    for (text, faults, can_be_mended) in DAMAGES {
        let copied = tempfile::tempdir().unwrap();
        let folder = copied.path();
        copy(origin.path(), folder);
        by_hand(folder, &format!("{ANN} {text}")).await;
        let found = said(&doctor(folder, &[]).await, false);
        for fault in *faults {
            assert!(found.contains(fault.sentence()), "{text}: {fault:?}: {found}");
        }
        assert!(!found.contains("@example.com"), "{found}");
        let mended = said(&doctor(folder, &["--repair"]).await, *can_be_mended);
        let last = if *can_be_mended {
            "mended: a second check-up found nothing"
        } else {
            "mended as far as possible; what is left:"
        };
        assert!(mended.contains(last), "{text}: {mended}");
        let again = said(&doctor(folder, &["--repair"]).await, *can_be_mended);
        assert_eq!(
            again.contains("sound: nothing"),
            *can_be_mended,
            "{text}: {again}"
        );
        let after = people(folder, &cookies, &emails).await;
        for (identifier, person) in &before {
            assert_eq!(&after[identifier], person, "{text}: {identifier}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_under_a_cookie_that_is_gone_and_was_not_listed_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path()).await;
    let many = ["many@example.com".to_owned()];
    let before = people(folder.path(), &[], &many).await;
    by_hand(folder.path(), "DELETE cookie:⟨m-7⟩").await;
    let found = said(&doctor(folder.path(), &[]).await, false);
    assert!(found.contains(Fault::ProfileStale.sentence()), "{found}");
    said(&doctor(folder.path(), &["--repair"]).await, true);
    let after = people(folder.path(), &[], &many).await;
    let (before, after) = (&before[&many[0]], &after[&many[0]]);
    assert_eq!(after.facet, before.facet);
    assert_eq!(after.cookies.count, before.cookies.count - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_after_merges_cuts_and_undoing_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let road = Road::open(folder.path()).await;
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut decided = 0;
    for round in 0..12 {
        let source = if round % 3 == 2 { KIOSK } else { "web" };
        let records: Vec<Value> = (0..40)
            .map(|_| {
                let email = match rng.random_range(0..60) {
                    n @ 0..40 => format!("e-{n}@example.com"),
                    _ => String::new(),
                };
                let said = json!({ "age": rng.random_range(20..60), "interests": ["football", "bitcoin"] });
                record(
                    &format!("c-{}", rng.random_range(0..90)),
                    &email,
                    rng.random_range(0..1_000),
                    &said,
                )
            })
            .collect();
        road.send(source, &records).await;
        decided += judge_some(&road, &mut rng).await;
    }
    assert!(decided > 20, "only {decided} judgements fitted");
    drop(road);
    let said = said(&doctor(folder.path(), &["--show-identifiers"]).await, true);
    assert!(said.contains("sound: nothing contradicts anything"), "{said}");
}

/// Undoes merges, cuts links and judges conflicts, as they come; how many of these fitted.
async fn judge_some(road: &Road, rng: &mut ChaCha8Rng) -> usize {
    let mut verdicts = Vec::new();
    for merge in road.store.merges(None, 200).await.unwrap() {
        if rng.random_bool(0.3) {
            verdicts.push(Verdict::Undo(merge));
        }
    }
    for conflict in road.store.conflicts(None, None, 200).await.unwrap() {
        match rng.random_range(0..10) {
            0 => verdicts.push(Verdict::Allow(conflict)),
            1 => verdicts.push(Verdict::KeepApart(conflict)),
            _ => {}
        }
    }
    for _ in 0..4 {
        let cookie = Cookie::parse(&format!("c-{}", rng.random_range(0..90))).unwrap();
        if let Some(profile) = road.store.profile_by_cookie(&cookie).await.unwrap() {
            verdicts.push(Verdict::Cut {
                profile: profile.id,
                cookie: Some(cookie),
                email: None,
            });
        }
    }
    let mut fitted = 0;
    for verdict in verdicts {
        let by = "somebody".to_owned();
        match road.pipeline.judge(Judgement { verdict, by }).await {
            Ok(_) => fitted += 1,
            Err(PipelineError::Objection(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    fitted
}

/// What a table ends with: a byte that says its format, one of the kind of its checksums, the places
/// of two blocks, nothing, and a magic number.
const FOOTER_BYTES: u64 = 50;

/// The first two, and at least the first byte of the first place.
const FOOTER_USED_BYTES_MIN: u64 = 3;

const MAGIC_BYTES: u64 = 8;

/// A scan reads all blocks of a table, and opening it the rest.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_lost_a_bit_or_its_end_is_told_wherever_that_was() {
    let folder = tempfile::tempdir().unwrap();
    let [sound, torn] = ["sound", "torn"].map(|name| folder.path().join(name));
    let road = Road::open(&sound).await;
    let visits: Vec<Value> = (0..500)
        .map(|n| {
            record(
                &format!("visitor-{n}"),
                &format!("v{n}@example.com"),
                n,
                &json!({}),
            )
        })
        .collect();
    road.send("web", &visits).await;
    drop(road);
    // As tables, and not as a log that is replayed.
    assert!(compact(&sound).await.status.success());

    let table = largest_table(&sound);
    let length = fs::metadata(sound.join(&table)).unwrap().len();
    // Half of them in the last sixteenth, where the filter and the index are.
    let places = (0..10).map(|n| length * n / 10);
    let places = places.chain((0..10).map(|n| length - length / 16 * (n + 1) / 10));
    let ends = [length / 2, length - 1].map(|end| (end, true));
    // No checksum covers the footer, and a part of it is not used.
    let footer = length - FOOTER_BYTES;
    let places = places.chain(footer..length).map(|place| (place, false));
    for (place, is_end) in places.chain(ends) {
        copy(&sound, &torn);
        let path = torn.join(&table);
        let mut bytes = fs::read(&path).unwrap();
        let at = usize::try_from(place).unwrap();
        if is_end {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (place % 8);
        }
        fs::write(&path, bytes).unwrap();
        let output = compact(&torn).await;
        let err = String::from_utf8_lossy(&output.stderr);
        let is_used = is_end || place < footer + FOOTER_USED_BYTES_MIN || place >= length - MAGIC_BYTES;
        if is_used || !output.status.success() {
            assert_eq!(output.status.code(), Some(1), "{place} of {length} bytes: {err}");
            assert!(err.starts_with("error: "), "{err}");
        }
        fs::remove_dir_all(&torn).unwrap();
    }
    assert!(compact(&sound).await.status.success());
}

async fn compact(folder: &Path) -> Output {
    free(folder).await;
    run(&mut program(&["compact", "--store", &store_url(folder)])).await
}

/// The largest table of a store, by its place in the folder.
fn largest_table(folder: &Path) -> PathBuf {
    let tables = fs::read_dir(folder.join("cdp/sstables")).unwrap();
    let table = tables
        .map(|entry| entry.unwrap())
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap();
    Path::new("cdp/sstables").join(table.file_name())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_open_or_not_there_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let store = connect(folder.path()).await;
    let url = store_url(folder.path());
    let output = run(&mut program(&["doctor", "--store", &url])).await;
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    let told = if url.starts_with("rocksdb:") {
        "While lock file"
    } else {
        "already locked by another process"
    };
    assert!(err.contains("can't be opened") && err.contains(told), "{err}");
    assert_eq!(store.profile_by_id(ProfileId(1)).await.unwrap(), None);
    let nowhere = store_url(&folder.path().join("nowhere"));
    let output = run(&mut program(&["doctor", "--store", &nowhere])).await;
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.starts_with("error: there is no store at `"), "{err}");
}

/// Only of a store on surrealkv a copy is made: RocksDB merges its files where they are.
fn is_copied() -> bool {
    store_url(Path::new("")).starts_with("surrealkv:")
}

/// Makes a folder that is no store.
fn make(folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("kept"), "as it was").unwrap();
}

fn is_as_made(folder: &Path) -> bool {
    fs::read(folder.join("kept")).is_ok_and(|text| text == b"as it was")
}

/// Runs a command over a store, which must be refused, and returns what it said.
async fn refusal(arguments: &[&str], folder: &Path) -> String {
    let store = store_url(folder);
    let output = run(&mut program(&[arguments, &["--store", &store]].concat())).await;
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {err}");
    err
}

const SERVE: &[&str] = &["serve", "--demo", "--listen", "127.0.0.1:0"];

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_people_put_beside_a_store_stay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder).await;
    let mut beside = vec!["cdp.old", "cdp.copied", "cdp.copying", "cdp.restoring-new"];
    // A name that nobody would think of, but nothing says that it is not theirs.
    let taken = folder.join("cdp.compacting-old");
    for name in &beside {
        make(&folder.join(name));
    }
    make(&taken);
    said(&doctor(folder, &[]).await, true);
    Server::start(folder).await.stop().await;
    if is_copied() {
        let err = refusal(&["compact"], folder).await;
        assert!(err.contains(&*taken.to_string_lossy()), "{err}");
        assert!(is_as_made(&taken));
        fs::remove_dir_all(&taken).unwrap();
    } else {
        beside.push("cdp.compacting-old");
    }
    // As whoever wants nobody to look into it.
    let store = folder.join("cdp");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o700)).unwrap();
    let output = compact(folder).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::metadata(&store).unwrap().permissions().mode() & 0o777, 0o700);
    for name in beside {
        assert!(is_as_made(&folder.join(name)), "{name}");
    }
}

/// What an interruption leaves at each step beside a file that says so, and whether that is the store
/// that was copied or is its copy, or something that is of no use.
const LEFT: &[&[(&str, bool)]] = &[
    &[("cdp", true)],
    &[("cdp", true), ("cdp.compacting-new", false)],
    &[("cdp", true), ("cdp.compacting-done", false)],
    &[("cdp.compacting-done", true), ("cdp.compacting-old", false)],
    &[("cdp", true), ("cdp.compacting-old", false)],
];

#[tokio::test(flavor = "multi_thread")]
async fn a_compact_that_was_interrupted_anywhere_leaves_everybody() {
    if !is_copied() {
        return;
    }
    let origin = tempfile::tempdir().unwrap();
    let (cookies, emails) = fill(origin.path()).await;
    let before = people(origin.path(), &cookies, &emails).await;
    free(origin.path()).await;
    for left in LEFT {
        for is_compacted in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let place = place.path();
            for (name, is_store) in *left {
                if *is_store {
                    copy(&origin.path().join("cdp"), &place.join(name));
                } else {
                    make(&place.join(name));
                }
            }
            fs::write(place.join("cdp.compacting"), "").unwrap();
            if is_compacted {
                let output = compact(place).await;
                assert!(output.status.success(), "{left:?}: {output:?}");
            } else {
                said(&doctor(place, &[]).await, true);
            }
            assert_eq!(people(place, &cookies, &emails).await, before, "{left:?}");
            free(place).await;
            assert_eq!(names(place), ["cdp", "cdp.lock"], "{left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_empty_store_is_made_where_an_earlier_version_may_have_left_one() {
    if !is_copied() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    drop(connect(folder).await);
    free(folder).await;
    fs::rename(folder.join("cdp"), folder.join("cdp.copied")).unwrap();
    make(&folder.join("cdp.old"));
    let compacting: &[&str] = &["compact"];
    for command in [SERVE, compacting] {
        let err = refusal(command, folder).await;
        assert!(
            err.contains("there is no store at") && err.contains("cdp.copied`"),
            "{err}"
        );
        assert!(!folder.join("cdp").exists());
    }
    fs::rename(folder.join("cdp.copied"), folder.join("cdp")).unwrap();
    let output = compact(folder).await;
    assert!(output.status.success(), "{output:?}");
    assert!(is_as_made(&folder.join("cdp.old")));
}

async fn check_refused(folder: &Path, commands: &[&[&str]]) {
    let before = names(folder);
    for command in commands {
        let err = refusal(command, folder).await;
        assert!(
            err.contains("can't be opened") && err.contains("already locked by another process"),
            "{command:?}: {err}"
        );
        assert_eq!(names(folder), before, "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_while_a_store_is_compacted_is_refused_and_changes_nothing() {
    if !is_copied() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let [store, new, done, old] = [
        "cdp",
        "cdp.compacting-new",
        "cdp.compacting-done",
        "cdp.compacting-old",
    ]
    .map(|name| folder.join(name));
    drop(connect(folder).await);
    free(folder).await;
    // As `compact` has it from its beginning to its end, and no engine.
    let lock = fs::File::open(folder.join("cdp.lock")).unwrap();
    lock.lock().unwrap();
    // While it copies; and between its two renames.
    make(&new);
    fs::write(folder.join("cdp.compacting"), "").unwrap();
    check_refused(folder, &[&["doctor"], &["compact"], SERVE]).await;
    assert!(is_as_made(&new));
    fs::remove_dir_all(&new).unwrap();
    fs::rename(&store, &done).unwrap();
    make(&old);
    check_refused(folder, &[&["compact"], SERVE]).await;
    assert!(is_as_made(&old) && done.is_dir());
    drop(lock);
    let output = compact(folder).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(names(folder), ["cdp", "cdp.lock"]);
}
