//! The whole road with many people on it: whatever the order, the chunks and the number of
//! senders, the same people come out, and they are those of the demo's truth.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cdp::app::{App, StartError};
use cdp::cli::demo::truth::{Kind, Truth};
use cdp::cli::demo::{generate, visits::Visit};
use cdp::domain::Timestamp;
use cdp::domain::fact::{Attribute, Fact, Value as Known};
use cdp::domain::graph::Subgraph;
use cdp::domain::identifier::{Cookie, Email};
use cdp::domain::policy::Rules;
use cdp::domain::profile::ProfileId;
use cdp::domain::record::RawId;
use cdp::domain::role::Role;
use cdp::identity::resolve;
use cdp::services::ingest::{Format, Payload, Renames};
use cdp::services::sight::Sight;
use cdp::store::commit::Commit;
use cdp::store::{Settings, Store, StoreError};
use chrono::DateTime;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use ulid::Ulid;

use crate::support::app::{TestApp, build, config};
use crate::support::server::store_url;

/// How many people the demo invents here; they make about six records each.
const PEOPLE: u32 = 150;

/// Tasks that send at once.
const SENDERS: usize = 8;

fn visits() -> Vec<Visit> {
    let until: Timestamp = "2026-06-30T12:00:00Z".parse().unwrap();
    generate(PEOPLE, 7, until).collect()
}

fn shuffled(seed: u64) -> Vec<Visit> {
    let mut visits = visits();
    visits.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    visits
}

/// Sends visits as one payload; how many of them had come before.
async fn send(app: &TestApp, visits: &[Visit]) -> usize {
    let lines: Vec<String> = visits.iter().map(|visit| visit.to_json().unwrap()).collect();
    let (status, report) = app.send("application/x-ndjson", lines.join("\n")).await;
    assert!(status == 200 || status == 422, "{report}");
    let bad = visits.iter().filter(|visit| visit.fault.is_some()).count();
    assert_eq!(report["records_rejected"], bad, "{report}");
    assert_eq!(report["records_processed"], visits.len() - bad, "{report}");
    usize::try_from(report["duplicates"].as_u64().unwrap()).unwrap()
}

async fn ingested(visits: &[Visit], chunk: usize) -> TestApp {
    let app = TestApp::start().await;
    for visits in visits.chunks(chunk) {
        send(&app, visits).await;
    }
    app
}

async fn ingested_at_once(visits: Vec<Visit>) -> TestApp {
    let app = Arc::new(TestApp::start().await);
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let own: Vec<Visit> = visits.iter().skip(sender).step_by(SENDERS).cloned().collect();
        let app = Arc::clone(&app);
        senders.spawn(async move {
            for visits in own.chunks(9) {
                send(&app, visits).await;
            }
        });
    }
    senders.join_all().await;
    Arc::into_inner(app).unwrap()
}

/// What each identifier leads to.
type Found = BTreeMap<(Kind, String), Value>;

/// Asks for every identifier of the truth.
async fn people(app: &TestApp, truth: &Truth) -> Found {
    let mut found = Found::new();
    for row in truth.rows() {
        let include = ("include", "identities,scores,provenance");
        let kind = row.kind.to_string();
        let answer = app
            .ask("/api/user", &[(&kind, row.identifier), include])
            .await
            .ok();
        found.insert(
            (row.kind, row.identifier.to_owned()),
            answer["user_profile"].clone(),
        );
    }
    found
}

/// The same without what may differ from run to run: ids, the clock of arrival, addresses of
/// rows, and the last digits of scores.
fn comparable(found: &Found) -> Found {
    let strip = |person: &Value| {
        let mut person = person.clone();
        person["identities"].as_object_mut().unwrap().remove("id");
        for score in person["scores"].as_array_mut().unwrap() {
            score.as_object_mut().unwrap().remove("since").unwrap();
            score["score"] = json!((score["score"].as_f64().unwrap() * 1_000.0).round());
        }
        for value in person["provenance"].as_array_mut().unwrap() {
            value.as_object_mut().unwrap().remove("raw").unwrap();
            for lost in value["lost"].as_array_mut().unwrap() {
                lost.as_object_mut().unwrap().remove("raw").unwrap();
            }
        }
        person
    };
    found
        .iter()
        .map(|(identifier, person)| (identifier.clone(), strip(person)))
        .collect()
}

/// The identifiers of each person.
fn components<T: Ord>(of: impl Iterator<Item = ((Kind, String), T)>) -> BTreeSet<BTreeSet<(Kind, String)>> {
    let mut components: BTreeMap<T, BTreeSet<(Kind, String)>> = BTreeMap::new();
    for (identifier, person) in of {
        components.entry(person).or_default().insert(identifier);
    }
    components.into_values().collect()
}

fn truth_of(visits: &[Visit]) -> Truth {
    let mut truth = Truth::default();
    for visit in visits {
        truth.observe(visit);
    }
    truth
}

#[tokio::test(flavor = "multi_thread")]
async fn any_order_any_chunks_and_any_number_of_senders_give_the_people_of_the_truth() {
    let truth = truth_of(&visits());
    let apps = [
        ingested(&shuffled(1), 37).await,
        ingested(&shuffled(2), 1_200).await,
        ingested_at_once(shuffled(3)).await,
    ];
    let expected = components(
        truth
            .rows()
            .into_iter()
            .map(|row| ((row.kind, row.identifier.to_owned()), row.expected_component)),
    );
    let mut first: Option<Found> = None;
    for app in &apps {
        let found = people(app, &truth).await;
        let id = |person: &Value| person["identities"]["id"].as_str().unwrap().to_owned();
        let by_id = components(
            found
                .iter()
                .map(|(identifier, person)| (identifier.clone(), id(person))),
        );
        assert_eq!(by_id, expected);
        let found = comparable(&found);
        assert_eq!(first.get_or_insert_with(|| found.clone()), &found);
        check_identities(&found, &expected);
        check_cohorts(app, expected.len()).await;
    }
}

/// A person lists the identifiers that lead to them, and no others.
fn check_identities(found: &Found, expected: &BTreeSet<BTreeSet<(Kind, String)>>) {
    let names = |list: &Value, kind: Kind, name: &str| -> Vec<(Kind, String)> {
        let listed = list.as_array().unwrap().iter();
        listed
            .map(|one| (kind, one[name].as_str().unwrap().to_owned()))
            .collect()
    };
    for component in expected {
        let person = &found[component.first().unwrap()];
        let identities = &person["identities"];
        let mut listed = names(&identities["cookies"], Kind::Cookie, "cookie");
        listed.extend(names(&identities["emails"], Kind::Email, "email"));
        assert_eq!(&listed.iter().cloned().collect::<BTreeSet<_>>(), component);
        let primary = person["email"].as_str().or(person["cookie"].as_str());
        assert_eq!(identities["primary_key"].as_str(), primary, "{person}");
    }
}

/// A cohort's size, its pages, and what people say of themselves agree.
async fn check_cohorts(app: &TestApp, people: usize) {
    let everyone = everyone(app).await;
    assert_eq!(everyone.len(), people);
    let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for person in &everyone {
        for cohort in person["cohorts"].as_array().unwrap() {
            let slug = cohort["slug"].as_str().unwrap();
            members
                .entry(slug)
                .or_default()
                .insert(person["cookie"].as_str().unwrap());
        }
    }
    assert!(members.len() > 5, "{members:?}");
    for cohort in app.get("/api/cohorts").await["cohorts"].as_array().unwrap() {
        let slug = cohort["slug"].as_str().unwrap();
        let expected = members.remove(slug).unwrap_or_default();
        assert_eq!(cohort["size"], expected.len(), "{slug}");
        let page = app
            .ask("/api/cohort/users", &[("cohort", slug), ("limit", "1000")])
            .await
            .ok();
        let listed = page["users"].as_array().unwrap();
        assert_eq!(
            listed
                .iter()
                .map(|user| user["cookie"].as_str().unwrap())
                .collect::<BTreeSet<_>>(),
            expected
        );
        assert_eq!(
            (page["total"].clone(), listed.len()),
            (json!(expected.len()), expected.len()),
            "{slug}"
        );
    }
    assert!(members.is_empty(), "{members:?}");
}

/// Everybody, by paging through all profiles.
async fn everyone(app: &TestApp) -> Vec<Value> {
    const PROFILES: &str = "query($after: String) { profiles(first: 50, after: $after) {
        edges { node { id cookie cohorts { slug } } } pageInfo { hasNextPage endCursor } } }";
    let (mut everyone, mut after) = (Vec::new(), Value::Null);
    loop {
        let page = app.graphql(PROFILES, json!({ "after": after })).await["profiles"].clone();
        everyone.extend(
            page["edges"]
                .as_array()
                .unwrap()
                .iter()
                .map(|edge| edge["node"].clone()),
        );
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return everyone;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_is_counted_and_changes_nothing() {
    let visits = shuffled(4);
    let truth = truth_of(&visits);
    let app = TestApp::start().await;
    let valid = visits.iter().filter(|visit| visit.fault.is_none());
    let with_id: Vec<&str> = valid
        .filter_map(|visit| visit.record.message_id.as_deref())
        .collect();
    let distinct = with_id.iter().collect::<BTreeSet<_>>().len();
    assert!(distinct < with_id.len(), "the demo sends some records twice");
    assert_eq!(send(&app, &visits).await, with_id.len() - distinct);
    let before = (people(&app, &truth).await, app.get("/api/cohorts").await);
    assert_eq!(send(&app, &visits).await, with_id.len());
    assert_eq!(
        (people(&app, &truth).await, app.get("/api/cohorts").await),
        before
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_comes_late_does_not_override_a_newer_one() {
    let app = TestApp::start().await;
    let record = |at: &str, city: &str, age: Option<u8>| {
        json!({ "cookie": "late-1", "email": "late@example.com", "timestamp": at,
            "location": { "city": city }, "demographics": { "age": age }, "interests": [city] })
    };
    app.ingest(record("2026-03-02T00:00:00Z", "Oslo", None)).await;
    app.ingest(record("2026-03-01T00:00:00Z", "Rome", Some(41))).await;
    let person = app.user_by_cookie("late-1").await;
    assert_eq!(
        (&person["location"], &person["demographics"]["age"]),
        (&json!("Oslo"), &json!(41))
    );
    assert_eq!(person["interests"], json!(["Oslo", "Rome"]));
    let cookie = &person["identities"]["cookies"][0];
    let moment = |name: &str| cookie[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(
        moment("first_seen"),
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap()
    );
    assert_eq!(
        moment("last_seen"),
        "2026-03-02T00:00:00Z".parse::<Timestamp>().unwrap()
    );
    app.ingest(record("2026-03-03T00:00:00Z", "Rome", None)).await;
    assert_eq!(app.user_by_cookie("late-1").await["location"], "Rome");
    // A clock that is years ahead must not win for years.
    app.ingest(record("2090-01-01T00:00:00Z", "Lima", None)).await;
    app.ingest(json!({ "cookie": "late-1", "location": { "city": "Kyiv" } }))
        .await;
    assert_eq!(app.user_by_cookie("late-1").await["location"], "Kyiv");
}

const RAW_ROW: &str = "query($id: String!) { rawRow(id: $id) { verbatim source number line batch } }";

#[tokio::test(flavor = "multi_thread")]
async fn every_value_leads_to_the_row_that_states_it_as_it_came() {
    let app = TestApp::start().await;
    let rows = [
        r#"{"cookie":"raw-1",   "demographics": {"age":42 }, "unknown": {"kept": [1, 2.50, "é"]}}"#,
        r#"{ "email":"Raw@Example.com","cookie":"raw-1","first_name":"  Ann " }"#,
    ];
    let body = format!("\n{}\n\n{}\n", rows[0], rows[1]);
    let (status, report) = app.send("application/x-ndjson", body).await;
    assert_eq!(status, 200, "{report}");
    let person = app.user_by_email("raw@example.com").await;
    let provenance = person["provenance"].as_array().unwrap();
    let stated: Vec<_> = provenance
        .iter()
        .map(|value| (value["field"].clone(), value["value"].clone()))
        .collect();
    assert_eq!(
        stated,
        [
            (json!("first_name"), json!("Ann")),
            (json!("demographics.age"), json!("42"))
        ]
    );
    for (value, (number, line)) in provenance.iter().zip([(2, 4), (1, 2)]) {
        let row = app.graphql(RAW_ROW, json!({ "id": value["raw"] })).await["rawRow"].clone();
        let expected = json!({ "verbatim": rows[number - 1], "source": "api", "number": number, "line": line,
            "batch": report["batch_id"] });
        assert_eq!(row, expected);
    }
    let graph = "query($id: ID!) { identityGraph(id: $id) { edges { cookie email raw } } }";
    let graph = app
        .graphql(graph, json!({ "id": person["identities"]["id"] }))
        .await;
    let edge = &graph["identityGraph"]["edges"][0];
    assert_eq!(
        (&edge["cookie"], &edge["email"]),
        (&json!("raw-1"), &json!("raw@example.com"))
    );
    assert_eq!(edge["raw"], provenance[0]["raw"]);
    let unknown = app
        .graphql(RAW_ROW, json!({ "id": "01ARZ3NDEKTSV4RRFFQ69G5FAV-0" }))
        .await;
    assert_eq!(unknown["rawRow"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_on_disk_holds_the_same_people_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let visits = shuffled(5);
    let truth = truth_of(&visits);
    let app = open(folder.path()).await;
    send(&app, &visits).await;
    let before = (people(&app, &truth).await, pages(&app).await);
    drop(app);
    let app = open(folder.path()).await;
    assert_eq!((people(&app, &truth).await, pages(&app).await), before);
    // New people don't take the ids of those who are there.
    app.ingest(json!({ "cookie": "after-the-restart" })).await;
    let id = app.user_by_cookie("after-the-restart").await["identities"]["id"].clone();
    assert!(
        before.0.values().all(|person| person["identities"]["id"] != id),
        "{id}"
    );
    assert_eq!(people(&app, &truth).await, before.0);
}

/// Every cohort with its size, and its first page.
async fn pages(app: &TestApp) -> Vec<Value> {
    let cohorts = app.get("/api/cohorts").await;
    let mut pages = vec![cohorts.clone()];
    for cohort in cohorts["cohorts"].as_array().unwrap() {
        let slug = cohort["slug"].as_str().unwrap();
        pages.push(
            app.ask("/api/cohort/users", &[("cohort", slug), ("limit", "20")])
                .await
                .ok(),
        );
    }
    pages
}

/// Opens a platform over a store on disk. One that was dropped a moment ago still lets go of
/// its files in the background, so it may take a few tries.
async fn open(folder: &std::path::Path) -> TestApp {
    const TRIES_MAX: u32 = 100;
    let mut config = config();
    config.store.url = store_url(folder);
    let classifier = build(&crate::support::app::config()).await.classifier;
    for _ in 0..TRIES_MAX {
        match App::build_with(&config, Some(Arc::clone(&classifier))).await {
            Ok(app) => return TestApp::of(app).await,
            Err(StartError::Store(StoreError::Open { .. })) => {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the store stays locked after its app is gone");
}

fn fact(cookie: &str, email: &str, age: i64) -> Fact {
    let raw = RawId {
        block: Ulid::new(),
        row: 0,
    };
    Fact {
        cookie: Cookie::parse(cookie).unwrap(),
        email: Some(Email::parse(email).unwrap()),
        at: DateTime::from_timestamp(1_770_000_000 + age, 0).unwrap(),
        source: "test".to_owned(),
        raw,
        message_id: None,
        attributes: BTreeMap::from([(Attribute::Age, Known::Integer(age))]),
        interests: BTreeMap::new(),
        properties: BTreeMap::new(),
        consent: BTreeMap::new(),
    }
}

async fn read(store: &Store, fact: &Fact) -> Subgraph {
    let cookies = BTreeSet::from([&fact.cookie]);
    let emails = fact.email.iter().collect();
    store.touched(&cookies, &emails).await.unwrap()
}

/// Decides by what was read, however long ago that was.
async fn decide_and_write(store: &Store, seen: &Subgraph, fact: Fact, id: u32) -> Result<(), StoreError> {
    let now = DateTime::from_timestamp(1_780_000_000, 0).unwrap();
    let rules = Rules::default();
    let plan = resolve(seen, &[fact], &rules, now, &mut || ProfileId(id)).unwrap();
    store
        .commit(Commit {
            plan: plan.into(),
            at: now,
            ..Commit::default()
        })
        .await
        .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_that_rests_on_a_stale_read_is_refused_and_writes_nothing() {
    let settings = Settings {
        url: "mem://".to_owned(),
        ..Settings::default()
    };
    let store = Store::connect(&settings).await.unwrap();
    let by_cookie = async |cookie: &str| {
        store
            .profile_by_cookie(&Cookie::parse(cookie).unwrap())
            .await
            .unwrap()
    };

    // Both find nobody, and both want to make the person.
    let first = fact("stale-1", "stale@example.com", 41);
    let second = fact("stale-2", "stale@example.com", 42);
    let (seen_by_first, seen_by_second) = (read(&store, &first).await, read(&store, &second).await);
    decide_and_write(&store, &seen_by_first, first, 1).await.unwrap();
    let refused = decide_and_write(&store, &seen_by_second, second.clone(), 2).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(by_cookie("stale-2").await, None);
    let seen = read(&store, &second).await;
    decide_and_write(&store, &seen, second, 2).await.unwrap();
    let person = by_cookie("stale-2").await.unwrap();
    assert_eq!(Some(&person), by_cookie("stale-1").await.as_ref());

    // Both find the person as they are, and both want to change them.
    let (third, fourth) = (
        fact("stale-1", "stale@example.com", 43),
        fact("stale-2", "other@example.com", 44),
    );
    let (seen_by_third, seen_by_fourth) = (read(&store, &third).await, read(&store, &fourth).await);
    decide_and_write(&store, &seen_by_third, third, 3).await.unwrap();
    let before = by_cookie("stale-1").await;
    let refused = decide_and_write(&store, &seen_by_fourth, fourth, 4).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(by_cookie("stale-1").await, before);
    let other = store
        .profile_by_email(&Email::parse("other@example.com").unwrap())
        .await
        .unwrap();
    assert_eq!(other, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_cohort_and_comes_back_is_on_its_pages_just_then() {
    let app = TestApp::start().await;
    let members = async || app.get("/api/cohort/users?cohort=sports").await["total"].clone();
    let visit =
        |interest: &str, at: &str| json!({"cookie": "fickle", "interests": [interest], "timestamp": at});
    app.ingest(visit("football", "2020-01-01T00:00:00Z")).await;
    assert_eq!(members().await, 1);
    // Six years on, an old interest no longer speaks for itself.
    app.ingest(visit("bitcoin", "2026-01-01T00:00:00Z")).await;
    assert_eq!(members().await, 0);
    assert_eq!(app.user_by_cookie("fickle").await["cohorts"], json!(["Finance"]));
    app.ingest(visit("football", "2026-01-02T00:00:00Z")).await;
    assert_eq!(members().await, 1);
    assert_eq!(
        app.get("/api/cohort/users?cohort=sports").await["users"][0]["cookie"],
        "fickle"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_cut_off_can_be_sent_again_under_its_id() {
    let services = build(&config()).await.services;
    let payload = || Payload {
        format: Format::Ndjson,
        renames: Renames::default(),
        source: "demo".to_owned(),
        batch: Some(Ulid::from_parts(0, 7)),
        bytes_max: u64::MAX,
        key: None,
    };
    let rows = "{\"cookie\":\"c1\",\"age\":430}\n{\"cookie\":\"c2\"}\n";
    for _ in 0..2 {
        let report = services
            .ingest
            .ingest(payload(), std::io::Cursor::new(rows))
            .await
            .unwrap();
        assert_eq!((report.accepted(), report.rejected), (1, 1));
    }
    let batch = Ulid::from_parts(0, 7).to_string();
    assert_eq!(
        services
            .ingest
            .rejects(&batch, 0, 10, Sight::FULL)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_transaction_could_not_hold_is_refused_and_the_store_goes_on() {
    let mut config = config();
    config.store.write_buffer_mib = 1;
    let app = TestApp::with(&config).await;
    let interests: Vec<String> = (0..200)
        .map(|n| format!("{n} {}", "a long interest ".repeat(10)))
        .collect();
    let records: Vec<Value> = (0..40)
        .map(|n| json!({"cookie": format!("heavy-{n}"), "interests": interests}))
        .collect();
    let (status, body) = app.send("application/json", json!(records).to_string()).await;
    assert_eq!(
        (status.as_u16(), &body["error"]["code"]),
        (413, &json!("payload_too_large"))
    );
    app.ingest(json!({"cookie": "light"})).await;
    assert_eq!(app.user_by_cookie("light").await["cookie"], "light");
    app.get_as(Role::Viewer, "/api/user?cookie=heavy-0")
        .await
        .assert_status(poem::http::StatusCode::NOT_FOUND);
}
