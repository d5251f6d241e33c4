//! Who is who, seen, judged and mended by people: a wrong merge is explained and undone, links are
//! cut, refused links are reviewed, and a person's history is told.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use cdp::domain::Timestamp;
use cdp::domain::role::Role;
use cdp::pipeline::PolicySetting;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};

/// Sends records from a source.
async fn send(app: &TestApp, source: &str, records: Value) -> Value {
    let request = app
        .client()
        .post("/api/ingest")
        .query("source", &source)
        .body_json(&records);
    app.answer_to(Role::Ingest, request).await.ok()
}

async fn post(app: &TestApp, path: &str, body: Value) -> Answer {
    let request = app.client().post(path).body_json(&body);
    app.answer_to(Role::Admin, request).await
}

async fn id_of(app: &TestApp, key: &str, value: &str) -> String {
    let found = app
        .ask("/api/user", &[(key, value), ("include", "identities")])
        .await
        .ok();
    text(&found["user_profile"]["identities"]["id"]).to_owned()
}

async fn graph(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/api/profiles/{id}/graph")).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

fn moment(value: &Value) -> Timestamp {
    text(value).parse().unwrap()
}

fn texts(values: &Value, field: &str) -> Vec<String> {
    let values = values.as_array().unwrap_or_else(|| panic!("{values}"));
    values
        .iter()
        .map(|value| text(&value[field]).to_owned())
        .collect()
}

/// What is said of a person, without times.
fn facts(person: &Value) -> Value {
    let identities = &person["identities"];
    json!({
        "id": identities["id"],
        "cookies": texts(&identities["cookies"], "cookie"),
        "emails": texts(&identities["emails"], "email"),
        "location": person["location"],
        "interests": person["interests"],
        "cohorts": person["cohorts"],
    })
}

async fn members(app: &TestApp, cohort: &str) -> Vec<String> {
    let page = app.ask("/api/cohort/users", &[("cohort", cohort)]).await.ok();
    let cookies = texts(&page["users"], "cookie");
    assert_eq!(page["total"], cookies.len(), "{page}");
    let cohorts = app.get("/api/cohorts").await;
    let listed = cohorts["cohorts"].as_array().unwrap().iter();
    let size = listed
        .filter(|known| known["slug"] == cohort)
        .map(|known| &known["size"]);
    assert_eq!(size.collect::<Vec<_>>(), [&json!(cookies.len())]);
    cookies
}

async fn row(app: &TestApp, raw: &Value) -> Value {
    const RAW_ROW: &str = "query($id: String!) { rawRow(id: $id) { verbatim source receivedAt batch } }";
    let row = app.graphql(RAW_ROW, json!({ "id": raw })).await["rawRow"].clone();
    let verbatim = serde_json::from_str(text(&row["verbatim"])).unwrap();
    let mut row = row;
    row["verbatim"] = verbatim;
    row
}

/// A record in which Bob's phone has Ann's address.
fn wrong(at: Timestamp) -> Value {
    json!({ "cookie": "bob-phone", "email": "ann@example.com", "timestamp": at.to_rfc3339() })
}

async fn ann_and_bob() -> TestApp {
    let app = TestApp::start().await;
    send(
        &app,
        "shop",
        json!({ "cookie": "ann-laptop", "email": "ann@example.com", "interests": ["football"],
            "location": { "city": "Oslo" } }),
    )
    .await;
    send(
        &app,
        "app",
        json!({ "cookie": "bob-phone", "email": "bob@example.com", "interests": ["nike shoes"],
            "location": { "city": "Rome" } }),
    )
    .await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_merge_names_its_row_and_is_undone_for_good() {
    let app = ann_and_bob().await;
    let at = Timestamp::from(SystemTime::now());
    let wrong = || wrong(at);
    let (ann, bob) = (
        facts(&app.user_by_cookie("ann-laptop").await),
        facts(&app.user_by_cookie("bob-phone").await),
    );
    send(&app, "kiosk", wrong()).await;
    assert_eq!(members(&app, "fashion").await, ["ann-laptop"]);

    // Who is to blame?
    let merged = graph(&app, text(&bob["id"])).await;
    assert_eq!(merged["id"], ann["id"]);
    let merge = merged["merges"][0].clone();
    assert_eq!(
        (
            &merge["survivor"],
            &merge["absorbed"],
            &merge["source"],
            &merge["undone_at"]
        ),
        (&ann["id"], &bob["id"], &json!("kiosk"), &Value::Null)
    );
    assert_eq!(
        (&merge["cookies"], &merge["emails"]),
        (&json!(["bob-phone"]), &json!(["bob@example.com"]))
    );
    let guilty = row(&app, &merge["raw"]).await;
    assert_eq!(
        (&guilty["verbatim"], &guilty["source"]),
        (&wrong(), &json!("kiosk"))
    );
    let edges = merged["edges"].as_array().unwrap();
    assert_eq!(edges.len(), 3);
    let edge = edges.iter().find(|edge| edge["raw"] == merge["raw"]).unwrap();
    assert_eq!(
        (&edge["cookie"], &edge["email"], &edge["source"], &edge["ties"]),
        (
            &json!("bob-phone"),
            &json!("ann@example.com"),
            &json!("kiosk"),
            &json!(true)
        )
    );
    assert_eq!(moment(&edge["at"]).timestamp_micros(), at.timestamp_micros());

    let undo = format!("/api/merges/{}/undo", text(&merge["id"]));
    let judged = post(&app, &undo, Value::Null).await.ok();
    let link = json!({ "cookie": "bob-phone", "email": "ann@example.com" });
    assert_eq!(
        judged,
        json!({ "profiles": [ann["id"], bob["id"]], "links": [link] })
    );
    let apart = async || {
        let people = [
            facts(&app.user_by_cookie("ann-laptop").await),
            facts(&app.user_by_cookie("bob-phone").await),
        ];
        assert_eq!(people, [ann.clone(), bob.clone()]);
        assert_eq!(facts(&app.user_by_email("ann@example.com").await), ann);
        assert_eq!(facts(&app.user_by_email("bob@example.com").await), bob);
        assert_eq!(members(&app, "sports").await, ["ann-laptop"]);
        assert_eq!(members(&app, "fashion").await, ["bob-phone"]);
    };
    apart().await;
    post(&app, &undo, Value::Null).await.error(409, "conflict");

    // Both tell it, and both know what is cut.
    for id in [&ann["id"], &bob["id"]] {
        let told = graph(&app, text(id)).await;
        assert_eq!(told["id"], *id);
        assert_eq!(told["merges"][0]["undone_by"], "admin", "{told}");
        assert_eq!(told["decisions"][0]["kind"], "undo");
        assert_eq!(told["decisions"][0]["subject"], merge["id"]);
        assert_eq!(told["decisions"][0]["by"], "admin");
        let cut = &told["cuts"][0];
        assert_eq!((&cut["cookie"], &cut["email"]), (&link["cookie"], &link["email"]));
        assert_eq!(told["edges"].as_array().unwrap().len(), 1);
    }
    let listed = app.get("/api/merges").await["merges"].clone();
    assert_eq!(
        (listed.as_array().unwrap().len(), &listed[0]["undone_by"]),
        (1, &json!("admin"))
    );

    // What tied them counts no more; what happens later does.
    send(&app, "kiosk", wrong()).await;
    apart().await;
    send(
        &app,
        "kiosk",
        json!({ "cookie": "bob-phone", "email": "ann@example.com" }),
    )
    .await;
    assert_eq!(id_of(&app, "cookie", "bob-phone").await, text(&ann["id"]));
    post(&app, &undo, Value::Null).await.error(409, "conflict");
    let again = app.get("/api/merges?limit=1").await;
    assert_eq!(again["next_cursor"], again["merges"][0]["id"]);
    let undo = format!("/api/merges/{}/undo", text(&again["merges"][0]["id"]));
    post(&app, &undo, Value::Null).await.ok();
    apart().await;
    let older = format!("/api/merges?limit=1&before={}", text(&again["next_cursor"]));
    let older = app.get(&older).await;
    assert_eq!(
        (&older["merges"][0]["id"], &older["next_cursor"]),
        (&merge["id"], &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_of_nothing_is_refused() {
    let app = TestApp::start().await;
    let undo = async |id: &str| post(&app, &format!("/api/merges/{id}/undo"), Value::Null).await;
    undo("01ARZ3NDEKTSV4RRFFQ69G5FAV").await.error(404, "not_found");
    let error = undo("nonsense").await.error(400, "bad_request");
    assert_eq!(error["field"], "id");
    for (path, field) in [
        ("/api/merges?before=x", "before"),
        ("/api/merges?limit=0", "limit"),
        ("/api/conflicts?after=x", "after"),
        ("/api/conflicts?verdict=maybe", "verdict"),
        ("/api/profiles/x/graph", "id"),
        ("/api/profiles/x/timeline", "id"),
        ("/api/profiles/p1/timeline?before=x", "before"),
        ("/api/profiles/p1/timeline?limit=201", "limit"),
    ] {
        let error = app.ask(path, &[]).await.error(400, "bad_request");
        assert_eq!(error["field"], field, "{path}: {error}");
    }
    for what in ["graph", "timeline", "provenance"] {
        let path = format!("/api/profiles/p4000000000/{what}");
        app.ask(&path, &[]).await.error(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_and_an_address_are_cut_off() {
    let app = TestApp::start().await;
    let record = |cookie: &str, email: &str, city: &str| {
        json!({ "cookie": cookie, "email": email, "location": { "city": city },
            "timestamp": "2026-01-01T00:00:00Z" })
    };
    app.ingest(json!([record("home", "eve@example.com", "Oslo")]))
        .await;
    app.ingest(json!([record("library", "eve@example.com", "Rome")]))
        .await;
    app.ingest(json!([record("home", "work@example.com", "Oslo")]))
        .await;
    let id = id_of(&app, "cookie", "home").await;
    let cut = async |body: Value| post(&app, &format!("/api/profiles/{id}/cut"), body).await;

    let judged = cut(json!({ "cookie": "library" })).await.ok();
    let library = id_of(&app, "cookie", "library").await;
    assert_eq!(judged["profiles"], json!([id, library]));
    assert_eq!(
        judged["links"],
        json!([{ "cookie": "library", "email": "eve@example.com" }])
    );
    assert_eq!(app.user_by_cookie("library").await["location"], "Rome");
    assert_eq!(app.user_by_cookie("home").await["location"], "Oslo");

    let judged = cut(json!({ "email": "work@example.com" })).await.ok();
    let work = id_of(&app, "email", "work@example.com").await;
    assert_eq!(judged["profiles"], json!([id, work]));
    let home = app.user_by_cookie("home").await;
    assert_eq!(texts(&home["identities"]["cookies"], "cookie"), ["home"]);
    assert_eq!(texts(&home["identities"]["emails"], "email"), ["eve@example.com"]);
    let kept_apart = graph(&app, &id).await["cuts"].clone();
    assert_eq!(texts(&kept_apart, "cookie"), ["home", "library"]);
    assert_eq!(
        texts(&kept_apart, "email"),
        ["work@example.com", "eve@example.com"]
    );

    // Cut once more, none of it is there.
    cut(json!({ "cookie": "library" })).await.error(404, "not_found");
    let error = cut(json!({})).await.error(400, "bad_request");
    assert_eq!(error["field"], "cookie");
    let error = cut(json!({ "email": "no address" }))
        .await
        .error(400, "bad_request");
    assert_eq!(error["field"], "email");
    let nobody = post(&app, "/api/profiles/p4000000000/cut", json!({ "cookie": "home" })).await;
    nobody.error(404, "not_found");
}

async fn conflicts(app: &TestApp, verdict: &str) -> Value {
    app.get(&format!("/api/conflicts?verdict={verdict}")).await["conflicts"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_beyond_the_caps_is_refused_until_somebody_allows_it() {
    let mut config = config();
    config.identity.emails_max = 2;
    let app = TestApp::with(&config).await;
    let record = |n: u32| {
        json!({ "cookie": "kiosk", "email": format!("e{n}@example.com"), "age": 20 + n,
            "timestamp": format!("2026-01-0{n}T00:00:00Z") })
    };
    for n in 1..=4 {
        send(&app, "shop", record(n)).await;
    }
    let open = app.get("/api/conflicts").await["conflicts"].clone();
    assert_eq!(texts(&open, "kind"), ["too_many_emails", "too_many_emails"]);
    assert_eq!(texts(&open, "email"), ["e3@example.com", "e4@example.com"]);
    assert_eq!(
        (&open[0]["cookie"], &open[0]["source"]),
        (&json!("kiosk"), &json!("shop"))
    );
    assert_eq!(row(&app, &open[0]["raw"]).await["verbatim"], record(3));
    let metrics = app.ask("/metrics", &[]).await.text;
    assert!(
        metrics.contains("cdp_identity_refused_total{kind=\"too_many_emails\"}"),
        "{metrics}"
    );
    // What was refused is of the address.
    let kiosk = id_of(&app, "cookie", "kiosk").await;
    assert_ne!(id_of(&app, "email", "e3@example.com").await, kiosk);
    assert_eq!(
        app.user_by_email("e3@example.com").await["demographics"]["age"],
        23
    );
    assert_eq!(app.user_by_cookie("kiosk").await["demographics"]["age"], 22);

    // They are met one by one, each once.
    let first = app.get("/api/conflicts?limit=1").await;
    let second = format!("/api/conflicts?limit=1&after={}", text(&first["next_cursor"]));
    let second = app.get(&second).await;
    assert_eq!(json!([first["conflicts"][0], second["conflicts"][0]]), open);
    assert_eq!(second["next_cursor"], Value::Null);

    let review = async |conflict: &Value, action: &str| {
        let path = format!("/api/conflicts/{}/review", text(&conflict["id"]));
        post(&app, &path, json!({ "action": action })).await
    };
    review(&open[0], "allow").await.ok();
    assert_eq!(
        id_of(&app, "email", "e3@example.com").await,
        id_of(&app, "cookie", "kiosk").await
    );
    let together = app.user_by_cookie("kiosk").await;
    assert_eq!(together["identities"]["emails"].as_array().unwrap().len(), 3);
    assert_eq!(together["demographics"]["age"], 23);
    let allowed = conflicts(&app, "allowed").await;
    assert_eq!(texts(&allowed, "judged_by"), ["admin"]);

    review(&open[1], "keep_apart").await.ok();
    assert_eq!(
        texts(&conflicts(&app, "kept_apart").await, "email"),
        ["e4@example.com"]
    );
    send(
        &app,
        "shop",
        json!({ "cookie": "kiosk", "email": "e4@example.com" }),
    )
    .await;
    assert_ne!(
        id_of(&app, "email", "e4@example.com").await,
        id_of(&app, "cookie", "kiosk").await
    );
    assert_eq!(conflicts(&app, "open").await, json!([]));
    assert_eq!(conflicts(&app, "all").await.as_array().unwrap().len(), 2);
    let cut = &graph(&app, &id_of(&app, "cookie", "kiosk").await).await["cuts"][0];
    assert_eq!(
        (&cut["email"], &cut["until"]),
        (&json!("e4@example.com"), &Value::Null)
    );

    let error = review(&open[0], "shrug").await.error(400, "bad_request");
    assert_eq!(error["field"], "action");
    review(&json!({ "id": "0".repeat(32) }), "allow")
        .await
        .error(404, "not_found");
    let error = review(&json!({ "id": "x" }), "allow")
        .await
        .error(400, "bad_request");
    assert_eq!(error["field"], "id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_placeholder_is_shown_with_its_row_and_not_to_be_judged() {
    let app = TestApp::start().await;
    let records = json!([{ "cookie": "undefined" }, { "cookie": "real-1", "email": "test@test.com" }]);
    let (_, report) = app.send("application/json", records.to_string()).await;
    assert_eq!(report["status"], "partial");
    let open = conflicts(&app, "open").await;
    let kinds: BTreeSet<_> = texts(&open, "kind").into_iter().collect();
    assert_eq!(
        kinds,
        ["placeholder_cookie", "placeholder_email"]
            .map(str::to_owned)
            .into()
    );
    for conflict in open.as_array().unwrap() {
        let sent = if conflict["kind"] == "placeholder_cookie" {
            &records[0]
        } else {
            &records[1]
        };
        assert_eq!(row(&app, &conflict["raw"]).await["verbatim"], *sent);
        let path = format!("/api/conflicts/{}/review", text(&conflict["id"]));
        for action in ["allow", "keep_apart"] {
            post(&app, &path, json!({ "action": action }))
                .await
                .error(409, "conflict");
        }
    }
}

/// Undoes the merge that absorbed a profile.
async fn undo_of(app: &TestApp, absorbed: &str) {
    let merges = app.get("/api/merges").await["merges"].clone();
    let merge = (merges.as_array().unwrap().iter()).find(|merge| merge["absorbed"] == absorbed);
    let path = format!("/api/merges/{}/undo", text(&merge.unwrap()["id"]));
    post(app, &path, Value::Null).await.ok();
}

fn pair(cookie: &str, name: &str) -> Value {
    json!({ "cookie": cookie, "email": format!("{name}@example.com") })
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_leaves_the_right_links_that_came_in_the_same_batch_as_the_wrong_one() {
    let app = TestApp::start().await;
    app.ingest(pair("device-1", "ann")).await;
    app.ingest(pair("device-2", "bob")).await;
    let bob = id_of(&app, "cookie", "device-2").await;
    app.ingest(json!([pair("device-3", "bob"), pair("device-1", "bob")]))
        .await;
    undo_of(&app, &bob).await;
    for device in ["device-2", "device-3"] {
        assert_eq!(id_of(&app, "cookie", device).await, bob, "{device}");
    }
    assert_eq!(id_of(&app, "email", "bob@example.com").await, bob);
    assert_ne!(id_of(&app, "cookie", "device-1").await, bob);
}

#[tokio::test(flavor = "multi_thread")]
async fn undoing_takes_along_who_was_merged_later_by_way_of_the_wrong_side() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for (device, name) in [("device-1", "ann"), ("device-2", "bob"), ("device-3", "bobby")] {
        app.ingest(pair(device, name)).await;
        ids.push(id_of(&app, "cookie", device).await);
    }
    app.ingest(pair("device-1", "bob")).await;
    app.ingest(pair("device-3", "bob")).await;
    undo_of(&app, &ids[1]).await;
    for device in ["device-2", "device-3"] {
        assert_eq!(id_of(&app, "cookie", device).await, ids[1], "{device}");
    }
    assert_eq!(id_of(&app, "cookie", "device-1").await, ids[0]);
    // The id of whoever came later leads to whom they came to.
    let found = graph(&app, &ids[2]).await;
    assert_eq!(found["id"], ids[1].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_part_takes_the_id_back_that_it_had_before_it_was_merged() {
    let app = TestApp::start().await;
    app.ingest(pair("device-1", "ann")).await;
    app.ingest(pair("device-2", "bob")).await;
    let bob = id_of(&app, "cookie", "device-2").await;
    app.ingest(pair("device-1", "bob")).await;
    let ann = id_of(&app, "cookie", "device-1").await;
    post(&app, &format!("/api/profiles/{ann}/cut"), pair("device-1", "bob"))
        .await
        .ok();
    assert_eq!(id_of(&app, "cookie", "device-2").await, bob);
    assert_eq!(id_of(&app, "cookie", "device-1").await, ann);
    assert_eq!(app.get("/api/merges").await["merges"][0]["undone_by"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_tablet_is_whose_it_was_last_and_facts_stay_with_whom_they_are_of() {
    let mut config = config();
    let policy = PolicySetting::EmailIsPerson;
    config.identity.sources.insert("till".to_owned(), policy);
    let app = TestApp::with(&config).await;
    let visit = |who: &str, city: &str, interest: &str, day: u32| {
        json!({ "cookie": "tablet", "email": format!("{who}@example.com"), "interests": [interest],
            "location": { "city": city }, "timestamp": format!("2026-01-0{day}T00:00:00Z") })
    };
    send(&app, "till", visit("ann", "Oslo", "football", 1)).await;
    send(&app, "till", visit("ben", "Rome", "nike shoes", 2)).await;
    let person = async |email: &str| {
        let person = app.user_by_email(email).await;
        (facts(&person), person["provenance"].clone())
    };
    let (ann, _) = person("ann@example.com").await;
    let (ben, _) = person("ben@example.com").await;
    assert_ne!(ann["id"], ben["id"]);
    assert_eq!(
        (&ann["location"], &ann["interests"]),
        (&json!("Oslo"), &json!(["football"]))
    );
    assert_eq!(
        (&ben["location"], &ben["interests"]),
        (&json!("Rome"), &json!(["nike shoes"]))
    );
    assert_eq!(id_of(&app, "cookie", "tablet").await, text(&ben["id"]));
    assert_eq!(app.get("/api/merges").await["merges"], json!([]));

    let seen = graph(&app, text(&ben["id"])).await;
    let edges: BTreeSet<(String, bool)> = (seen["edges"].as_array().unwrap().iter())
        .map(|edge| {
            assert_eq!(edge["policy"], "email_is_person");
            (text(&edge["email"]).to_owned(), edge["ties"].as_bool().unwrap())
        })
        .collect();
    let expected = [
        ("ann@example.com".to_owned(), false),
        ("ben@example.com".to_owned(), true),
    ];
    assert_eq!(edges, expected.into());
    let path = format!("/api/profiles/{}/provenance", text(&ann["id"]));
    let city = app.get(&path).await["fields"][0]["survivor"].clone();
    assert_eq!(
        (&city["value"], &city["source"], &city["cookie"]),
        (&json!("Oslo"), &json!("till"), &Value::Null)
    );

    send(
        &app,
        "till",
        json!({ "cookie": "tablet", "email": "ann@example.com" }),
    )
    .await;
    assert_eq!(id_of(&app, "cookie", "tablet").await, text(&ann["id"]));
    assert_eq!(person("ben@example.com").await.0["location"], "Rome");

    // Nobody's history tells what others did at the same tablet.
    for (who, email, visits) in [(&ann, "ann@example.com", 2), (&ben, "ben@example.com", 1)] {
        let told = pages(&app, text(&who["id"]), 10).await;
        assert_eq!(told.len(), visits, "{told:?}");
        for entry in told {
            assert_eq!(entry["record"]["cookie"], "tablet");
            assert!(text(&entry["record"]["verbatim"]).contains(email), "{entry}");
        }
    }
}

/// All pages of a timeline.
async fn pages(app: &TestApp, id: &str, limit: usize) -> Vec<Value> {
    let (mut entries, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/profiles/{id}/timeline?limit={limit}{before}");
        let page = app.get(&path).await;
        let here = page["entries"].as_array().unwrap();
        assert!(here.len() <= limit, "{page}");
        entries.extend(here.iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else {
            return entries;
        };
        assert_eq!(here.len(), limit, "{page}");
        before = format!("&before={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_tells_everything_once_and_in_order() {
    let app = ann_and_bob().await;
    let wrong = wrong(SystemTime::now().into());
    let visit = |cookie: &str, n: u32| json!({ "cookie": cookie, "interests": [format!("interest {n}")] });
    for cookie in ["ann-laptop", "bob-phone"] {
        app.ingest((0..9).map(|n| visit(cookie, n)).collect()).await;
    }
    send(&app, "kiosk", wrong.clone()).await;
    send(
        &app,
        "kiosk",
        json!({ "cookie": "stray", "email": "ann@example.com" }),
    )
    .await;
    let id = id_of(&app, "cookie", "ann-laptop").await;
    post(
        &app,
        &format!("/api/profiles/{id}/cut"),
        json!({ "cookie": "stray" }),
    )
    .await
    .ok();
    // In another millisecond: within one a timeline tells records first.
    sleep(Duration::from_millis(2)).await;
    app.ingest(visit("ann-laptop", 10)).await;

    let whole = pages(&app, &id, 200).await;
    let kinds: Vec<&str> = whole.iter().map(|entry| text(&entry["kind"])).collect();
    assert_eq!(kinds[..4], ["record", "cut", "merge", "record"], "{kinds:?}");
    assert_eq!(kinds[4..], ["record"; 20], "{kinds:?}");
    assert_eq!(whole[1]["decision"]["by"], "admin");
    assert_eq!(whole[2]["merge"]["raw"], whole[3]["record"]["raw"]);
    let guilty = &whole[3]["record"];
    assert_eq!(
        serde_json::from_str::<Value>(text(&guilty["verbatim"])).unwrap(),
        wrong
    );
    assert_eq!(
        (&guilty["source"], &guilty["cookie"]),
        (&json!("kiosk"), &json!("bob-phone"))
    );
    let at = |entry: &Value| moment(&entry["at"]);
    assert!(whole.is_sorted_by(|a, b| at(a) >= at(b)), "{whole:#?}");
    let cursors: BTreeSet<&str> = whole.iter().map(|entry| text(&entry["cursor"])).collect();
    assert_eq!(cursors.len(), whole.len());
    for limit in [1, 7, 23] {
        assert_eq!(pages(&app, &id, limit).await, whole, "{limit}");
    }
    // What is of the stray cookie went with it, and so did the decision about it.
    let stray = pages(&app, &id_of(&app, "cookie", "stray").await, 200).await;
    let kinds: Vec<&str> = stray.iter().map(|entry| text(&entry["kind"])).collect();
    assert_eq!(kinds, ["cut", "record"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_with_many_cookies_is_shown_with_all_of_them() {
    const COOKIES: usize = 200;
    let app = TestApp::start().await;
    let record = |n: usize| json!({ "cookie": format!("device-{n:03}"), "email": "many@example.com" });
    for chunk in 0..4 {
        let records: Value = (chunk * 50..(chunk + 1) * 50).map(record).collect();
        app.ingest(records).await;
    }
    let expected: Vec<String> = (0..COOKIES).map(|n| format!("device-{n:03}")).collect();
    let sorted = |mut found: Vec<String>| {
        found.sort();
        found
    };
    let person = app.user_by_email("many@example.com").await;
    assert_eq!(
        sorted(texts(&person["identities"]["cookies"], "cookie")),
        expected
    );
    let id = text(&person["identities"]["id"]);
    let seen = graph(&app, id).await;
    let nodes = texts(&seen["identifiers"], "value");
    assert_eq!(sorted(nodes[..COOKIES].to_vec()), expected);
    assert_eq!(nodes[COOKIES..], ["many@example.com"]);
    let primary = seen["identifiers"].as_array().unwrap().iter();
    assert_eq!(primary.filter(|node| node["primary"] == true).count(), 2);
    assert_eq!(sorted(texts(&seen["edges"], "cookie")), expected);
    let told = pages(&app, id, 90).await;
    assert_eq!(
        sorted(
            told.iter()
                .map(|entry| text(&entry["record"]["cookie"]).to_owned())
                .collect()
        ),
        expected
    );
}

const MERGE: &str = "id survivor absorbed cookies emails raw source policy at undoneBy undoneAt";
const DECISION: &str = "id kind subject profiles links { cookie email } by at";
const SOURCED: &str = "value at raw source receivedAt cookie";

/// The same with names as GraphQL writes them.
fn in_camel_case(value: Value) -> Value {
    let name = |name: &str| {
        let mut words = name.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
    };
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(field, value)| (name(&field), in_camel_case(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(in_camel_case).collect(),
        other => other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_apis_say_the_same() {
    let app = ann_and_bob().await;
    send(&app, "kiosk", wrong(SystemTime::now().into())).await;
    send(
        &app,
        "shop",
        json!({ "cookie": "visitor", "email": "test@test.com" }),
    )
    .await;
    let merge = app.get("/api/merges").await["merges"][0].clone();
    let undo = "mutation($id: ID!) { undoMerge(id: $id) { profiles links { cookie email } } }";
    let judged = app.graphql(undo, json!({ "id": merge["id"] })).await["undoMerge"].clone();
    assert_eq!(judged["profiles"], json!([merge["survivor"], merge["absorbed"]]));
    let (id, bob) = (text(&merge["survivor"]), text(&merge["absorbed"]));
    let cut = "mutation($id: ID!) { cut(profile: $id, email: \"bob@example.com\") { profiles } }";
    assert_eq!(
        app.graphql(cut, json!({ "id": bob })).await["cut"]["profiles"][0],
        bob
    );

    let query = format!(
        "query($id: ID!) {{
            identityGraph(id: $id) {{
                id identifiers {{ kind value firstSeen lastSeen primary }}
                edges {{ cookie email raw at source policy ties }}
                cuts {{ cookie email until }} merges {{ {MERGE} }} decisions {{ {DECISION} }}
            }}
            provenance(id: $id) {{ field survivor {{ {SOURCED} }} lost {{ {SOURCED} }} }}
        }}"
    );
    for id in [id, bob] {
        let said = app.graphql(&query, json!({ "id": id })).await;
        assert_eq!(said["identityGraph"], in_camel_case(graph(&app, id).await));
        let provenance = app.get(&format!("/api/profiles/{id}/provenance")).await;
        assert_eq!(said["provenance"], in_camel_case(provenance["fields"].clone()));
    }
    let query = format!(
        "{{ merges {{ merges {{ {MERGE} }} nextCursor }} conflicts(verdict: \"all\") {{
            conflicts {{ id kind cookie email raw at source policy verdict judgedBy judgedAt }} nextCursor }} }}"
    );
    let said = app.graphql(&query, json!({})).await;
    assert_eq!(said["merges"], in_camel_case(app.get("/api/merges").await));
    assert_eq!(
        said["conflicts"],
        in_camel_case(app.get("/api/conflicts?verdict=all").await)
    );

    let query = format!(
        "query($id: ID!) {{ timeline(id: $id) {{ nextCursor entries {{
            kind cursor at merge {{ {MERGE} }} decision {{ {DECISION} }}
            record {{ raw cookie source batch receivedAt number line verbatim }} }} }} }}"
    );
    let said = app.graphql(&query, json!({ "id": id })).await["timeline"]["entries"].clone();
    let told = app.get(&format!("/api/profiles/{id}/timeline")).await["entries"].clone();
    let rest = in_camel_case(told).as_array().unwrap().clone();
    let said = said.as_array().unwrap();
    assert_eq!(said.len(), rest.len());
    for (said, mut rest) in said.iter().zip(rest) {
        let names = [("batchId", "batch"), ("row", "number")];
        if let Some(record) = rest["record"].as_object_mut() {
            for (name, as_graphql) in names {
                let value = record.remove(name).unwrap();
                record.insert(as_graphql.to_owned(), value);
            }
        }
        for absent in ["record", "merge", "decision"] {
            rest.as_object_mut().unwrap().entry(absent).or_insert(Value::Null);
        }
        assert_eq!(*said, rest);
    }
    let conflict = app.get("/api/conflicts").await["conflicts"][0]["id"].clone();
    let review = json!({ "query": "mutation($id: ID!) { reviewConflict(id: $id, action: \"allow\") { profiles } }",
        "variables": { "id": conflict } });
    let refused = post(&app, "/graphql", review).await.ok();
    assert_eq!(
        refused["errors"][0]["extensions"]["code"], "conflict",
        "{refused}"
    );
    let nobody = "{ identityGraph(id: \"p4000000000\") { id } timeline(id: \"p4000000000\") { nextCursor }
        provenance(id: \"p4000000000\") { field } }";
    let expected = json!({ "identityGraph": null, "timeline": null, "provenance": null });
    assert_eq!(app.graphql(nobody, json!({})).await, expected);
}
