//! What people may ask of whoever keeps their data: that it goes and stays away, that nothing of
//! it is left in any file, and that they are told all of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cdp::domain::role::Role;
use poem::http::StatusCode;
use serde_json::{Value, json};
use surrealkv::{LSMIterator as _, Mode, TreeBuilder};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::activation::start_again;
use crate::support::app::TestApp;
use crate::support::server::{by_hand, program, run, signal, store_url, token};

const ADDRESS: &str = "zelda.quixote@nowhere-else.example";
const COOKIES: [&str; 2] = ["zq-laptop-7f3a9c", "zq-phone-81bd02"];
const PHONE: &str = "+14155550143";

/// What nothing may be left of, as it may be written.
const NEEDLES: [&str; 5] = [
    "zelda.quixote",
    COOKIES[0],
    COOKIES[1],
    "4155550143",
    "Ottokar-Vellamo",
];

/// Somebody else, whose data stays.
const NEIGHBOUR: &str = "bob.marley@somewhere.example";

async fn ask(app: &TestApp, role: Role, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
    let request = app
        .client()
        .request(method.parse().unwrap(), path.to_owned())
        .header("authorization", format!("Bearer {}", app.token(role)));
    let response = if body.is_null() {
        request.send().await
    } else {
        request.body_json(&body).send().await
    };
    let status = response.0.status();
    let text = response.0.into_body().into_string().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn erase(app: &TestApp, by: &str) -> Value {
    let (status, body) = ask(
        app,
        Role::Admin,
        "DELETE",
        &format!("/api/user?{by}"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    // The answer tells what is gone within ten seconds.
    let path = format!("/api/erasures/{}", body["id"].as_str().unwrap());
    let mut erasure = body;
    for _ in 0..2_400 {
        if erasure["finished_at"].is_string() {
            return erasure;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        erasure = app.get(&path).await;
    }
    panic!("not erased: {erasure}");
}

async fn is_known(app: &TestApp, by: &str) -> bool {
    let (status, _) = ask(app, Role::Admin, "GET", &format!("/api/user?{by}"), Value::Null).await;
    status == StatusCode::OK
}

/// Somebody with two devices, who merged, and was refused once.
async fn seed(app: &TestApp) {
    app.ingest(json!([
        { "cookie": COOKIES[0], "email": ADDRESS, "phone_number": PHONE, "interests": ["cricket", "tennis"],
          "last_name": "Ottokar-Vellamo", "message_id": "m1", "consent": { "analytics": true } },
        { "cookie": COOKIES[1], "interests": ["football"] },
        { "cookie": "bob-1", "email": NEIGHBOUR, "interests": ["cricket"], "note": ADDRESS },
    ]))
    .await;
    app.ingest(json!([{ "cookie": COOKIES[1], "email": ADDRESS, "age": 42 }]))
        .await;
    let refused = json!([{ "cookie": COOKIES[0], "email": ADDRESS, "age": 1_000 }]);
    let (status, _) = app.send("application/json", refused.to_string()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_gone_everywhere_and_does_not_come_back() {
    let app = TestApp::start().await;
    seed(&app).await;
    let before = app.get("/api/changes?cursor=0&limit=1000").await;
    let id = app.user_by_email(ADDRESS).await["identities"]["id"].clone();
    let merges = app.get("/api/merges").await;
    let absorbed = merges["merges"][0]["absorbed"].clone();
    let members = app.get("/api/cohort/users?cohort=Sports").await["total"].clone();
    let erased = erase(&app, &format!("email={ADDRESS}&reason=asked%20by%20letter")).await;
    assert_eq!(erased["profile_id"], id);
    let counts = &erased["erased"];
    assert_eq!(
        [&counts["cookies"], &counts["emails"], &counts["rejects"]],
        [2, 1, 1].map(|n| json!(n)).each_ref(),
        "{counts}"
    );
    // Theirs, the refused one, and the neighbour's that names them.
    assert_eq!(counts["raw_rows"], 5, "{counts}");
    assert!(counts["events"].as_u64().unwrap() > 0, "{counts}");
    for by in [
        format!("email={ADDRESS}"),
        format!("cookie={}", COOKIES[0]),
        format!("cookie={}", COOKIES[1]),
    ] {
        assert!(!is_known(&app, &by).await, "{by}");
    }
    assert!(is_known(&app, &format!("email={NEIGHBOUR}")).await);
    let now = app.get("/api/cohort/users?cohort=Sports").await["total"].clone();
    assert_eq!(now.as_u64().unwrap() + 1, members.as_u64().unwrap());
    let found = app.get("/api/users/search?q=zelda").await;
    assert_eq!(found["total"], 0, "{found}");
    let merges = app.get("/api/merges").await;
    assert_eq!(merges["merges"], json!([]));

    // Whoever follows is told, and reads of the past no more than that.
    let after = app.get("/api/changes?cursor=0&limit=1000").await;
    let (old, new) = (
        before["changes"].as_array().unwrap(),
        after["changes"].as_array().unwrap(),
    );
    for (old, new) in old.iter().zip(new) {
        assert_eq!(old["cursor"], new["cursor"]);
        let is_theirs = [&id, &absorbed].contains(&&old["profile_id"]);
        assert_eq!(new["kind"] == "profile.deleted", is_theirs, "{old} {new}");
    }
    let last = new.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["profile_id"]),
        (&json!("profile.deleted"), &id)
    );
    // An audience is told by this that they left, however late it reads.
    let left = new[old.len()..].iter().filter(|one| one["kind"] == "cohort.left");
    let cohorts: Vec<&Value> = left
        .map(|one| {
            assert_eq!(one["profile_id"], id);
            &one["cohort"]
        })
        .collect();
    assert!(!cohorts.is_empty(), "{new:?}");
    assert_eq!(counts["cohorts"], cohorts.len(), "{counts} {new:?}");

    // A late record, a replay and a refused one keep nothing but the place.
    let late = json!([
        { "cookie": "zq-new-device", "email": ADDRESS, "interests": ["golf"] },
        { "cookie": COOKIES[1] },
        { "cookie": COOKIES[0], "age": 1_000 },
        { "cookie": "bob-1", "age": 43 },
    ]);
    let (status, report) = app.send("application/json", late.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    assert_eq!(report["records_rejected"], 3, "{report}");
    for error in report["errors"].as_array().unwrap() {
        assert_eq!(error["code"], "suppressed", "{report}");
    }
    let batch = report["batch_id"].as_str().unwrap();
    let rejects = app.get(&format!("/api/ingest/{batch}/rejects")).await.to_string();
    assert!(
        NEEDLES.iter().all(|needle| !rejects.contains(needle)),
        "{rejects}"
    );
    assert!(!rejects.contains("zq-new-device"), "{rejects}");
    assert!(!is_known(&app, "cookie=zq-new-device").await);

    // Once more is no error, and finds nothing.
    let again = erase(&app, &format!("email={ADDRESS}")).await;
    assert_eq!(again["profile_id"], Value::Null);
    assert_eq!(again["erased"]["raw_rows"], 0, "{again}");
    let one = app
        .get(&format!("/api/erasures/{}", erased["id"].as_str().unwrap()))
        .await;
    assert_eq!(one["erased"], erased["erased"]);
}

/// Two people who were one, and the id of somebody whom the first of them had absorbed, and whom the
/// cut took along to the second.
async fn parted(app: &TestApp) -> [Value; 3] {
    for record in [
        json!({ "cookie": "stays-1", "email": "stays@example.com" }),
        json!({ "cookie": "taken-1", "interests": ["cricket"] }),
        json!({ "cookie": "goes-1", "email": "goes@example.com" }),
        json!({ "cookie": "taken-1", "email": "stays@example.com" }),
        json!({ "cookie": "goes-1", "email": "stays@example.com" }),
        json!({ "cookie": "taken-1", "email": "goes@example.com" }),
    ] {
        app.ingest(json!([record])).await;
    }
    let stays = app.user_by_email("stays@example.com").await["identities"]["id"].clone();
    let merges = app.get("/api/merges").await["merges"].clone();
    let merges = merges.as_array().unwrap();
    let first = merges.iter().min_by_key(|merge| merge["id"].as_str()).unwrap();
    let taken = first["absorbed"].clone();
    for cookie in ["taken-1", "goes-1"] {
        let path = format!("/api/profiles/{}/cut", stays.as_str().unwrap());
        let link = json!({ "cookie": cookie, "email": "stays@example.com" });
        let (status, cut) = ask(app, Role::Admin, "POST", &path, link).await;
        assert_eq!(status, StatusCode::OK, "{cut}");
    }
    let goes = app.user_by_email("goes@example.com").await["identities"]["id"].clone();
    assert!(goes != stays && goes != taken);
    assert_eq!(app.user_by_cookie("taken-1").await["identities"]["id"], goes);
    [stays, goes, taken]
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_cut_took_along_is_themselves_once_they_are_cut_off_in_turn() {
    let app = TestApp::start().await;
    let [_, goes, taken] = parted(&app).await;
    let path = format!("/api/profiles/{}/cut", goes.as_str().unwrap());
    let (status, cut) = ask(&app, Role::Admin, "POST", &path, json!({ "cookie": "taken-1" })).await;
    assert_eq!(status, StatusCode::OK, "{cut}");
    assert_eq!(app.user_by_cookie("taken-1").await["identities"]["id"], taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_a_cut_took_along_is_erased_with_whom_they_are_and_not_with_whom_they_were() {
    for is_theirs in [false, true] {
        let app = TestApp::start().await;
        let [stays, goes, taken] = parted(&app).await;
        let (address, erased, other) = if is_theirs {
            ("goes@example.com", &goes, "stays@example.com")
        } else {
            ("stays@example.com", &stays, "goes@example.com")
        };
        let is_of_erased = |event: &Value| {
            let text = event.to_string();
            text.contains(&erased.to_string()) || (is_theirs && text.contains(&taken.to_string()))
        };

        let path = format!("/api/user/export?email={address}");
        let (status, told) = ask(&app, Role::Admin, "GET", &path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        let changes = told["changes"].as_array().unwrap();
        assert!(changes.iter().all(is_of_erased), "{changes:?}");
        let merges = told["merges"].to_string();
        assert!(!merges.contains(other), "{merges}");
        let before = app.get("/api/changes?cursor=0&limit=1000").await;
        erase(&app, &format!("email={address}")).await;
        let after = app.get("/api/changes?cursor=0&limit=1000").await;
        let (before, after) = (before["changes"].as_array(), after["changes"].as_array());
        for (old, new) in before.unwrap().iter().zip(after.unwrap()) {
            assert_eq!(new["kind"] == "profile.deleted", is_of_erased(old), "{old} {new}");
        }
        // Whoever kept the old id finds the one whom it leads to by it.
        let path = format!("/api/profiles/{}/graph", taken.as_str().unwrap());
        let (status, graph) = ask(&app, Role::Admin, "GET", &path, Value::Null).await;
        if is_theirs {
            assert_eq!(status, StatusCode::NOT_FOUND, "{graph}");
        } else {
            assert_eq!(graph["id"], goes, "{graph}");
        }

        assert!(is_known(&app, &format!("email={other}")).await);
        erase(&app, &format!("email={other}")).await;
        let (status, graph) = ask(&app, Role::Admin, "GET", &path, Value::Null).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{graph}");
        assert_eq!(app.get("/api/merges").await["merges"], json!([]));
        let all = app.get("/api/changes?cursor=0&limit=1000").await;
        for event in all["changes"].as_array().unwrap() {
            let tells_of_an_end = event["kind"] == "profile.deleted" || event["kind"] == "cohort.left";
            let says_nothing = event["reason"].as_array().is_none_or(Vec::is_empty);
            assert!(tells_of_an_end && says_nothing, "{event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suppressed_is_taken_in_again_once_that_is_lifted() {
    let app = TestApp::start().await;
    seed(&app).await;
    let body = json!({ "email": ADDRESS, "reason": "objected" });
    let (status, suppressed) = ask(&app, Role::Admin, "POST", "/api/suppressions", body).await;
    assert_eq!(status, StatusCode::OK, "{suppressed}");
    assert_eq!(suppressed["suppressions"].as_array().unwrap().len(), 3);
    // What is stored stays, and leaves the platform no more.
    assert!(is_known(&app, &format!("cookie={}", COOKIES[1])).await);
    let file = app
        .get_as(Role::Admin, "/api/profiles/export?format=ndjson")
        .await
        .0
        .into_body()
        .into_string()
        .await
        .unwrap();
    assert!(file.contains(NEIGHBOUR) && !file.contains(ADDRESS), "{file}");
    let row = json!([{ "cookie": COOKIES[1], "age": 44 }]).to_string();
    let (status, report) = app.send("application/json", row.clone()).await;
    assert_eq!(
        (status, &report["errors"][0]["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("suppressed"))
    );

    let first = app.get("/api/suppressions?limit=2").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = app
        .get(&format!("/api/suppressions?limit=2&cursor={cursor}"))
        .await;
    let all: BTreeSet<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["suppressions"].as_array().unwrap())
        .map(|one| one["pseudonym"].as_str().unwrap())
        .collect();
    assert_eq!((all.len(), &first["total"]), (3, &json!(3)));
    assert_eq!(second["next_cursor"], Value::Null);
    assert!(!first.to_string().contains("zelda"), "{first}");

    let whom = json!({ "cookie": COOKIES[0] });
    let (status, lifted) = ask(&app, Role::Admin, "DELETE", "/api/suppressions", whom.clone()).await;
    assert_eq!(
        (status, lifted["suppressions"].as_array().unwrap().len()),
        (StatusCode::OK, 3)
    );
    let (status, _) = ask(&app, Role::Admin, "DELETE", "/api/suppressions", whom).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, report) = app.send("application/json", row).await;
    assert_eq!(status, StatusCode::OK, "{report}");

    for (body, field) in [
        (json!({ "reason": "x" }), "cookie"),
        (json!({ "email": "nobody", "reason": "x" }), "email"),
        (
            json!({ "email": ADDRESS, "reason": format!("{ADDRESS} asked") }),
            "reason",
        ),
        (json!({ "email": ADDRESS, "reason": " " }), "reason"),
    ] {
        let (status, answer) = ask(&app, Role::Admin, "POST", "/api/suppressions", body).await;
        assert_eq!(
            (status, &answer["error"]["field"]),
            (StatusCode::BAD_REQUEST, &json!(field)),
            "{answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_all_that_is_kept() {
    let app = TestApp::start().await;
    seed(&app).await;
    let path = format!("/api/user/export?cookie={}", COOKIES[1]);
    let (status, told) = ask(&app, Role::Analyst, "GET", &path, Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(told["profile"]["email"], ADDRESS, "{told}");
    assert_eq!(told["identifiers"].as_array().unwrap().len(), 3, "{told}");
    assert_eq!(told["consents"][0]["purpose"], "analytics", "{told}");
    assert_eq!(told["merges"].as_array().unwrap().len(), 1, "{told}");
    assert!(!told["cohorts"].as_array().unwrap().is_empty(), "{told}");
    assert!(!told["changes"].as_array().unwrap().is_empty(), "{told}");
    let records = told["records"].as_array().unwrap();
    // Three of theirs, and two that name them: the refused one and the neighbour's.
    assert_eq!(records.len(), 5, "{told}");
    let others = records.iter().filter(|record| record["names_them"] == true);
    assert_eq!(others.count(), 2, "{told}");
    assert!(
        records
            .iter()
            .any(|record| record["verbatim"].as_str().unwrap().contains("m1"))
    );
    assert_eq!(told["refused"].as_array().unwrap().len(), 1, "{told}");
    let (status, _) = ask(
        &app,
        Role::Admin,
        "GET",
        "/api/user/export?cookie=nobody",
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// A person is read and written again with each visit, which would add up.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_keeps_its_last_digit_from_visit_to_visit() {
    let app = TestApp::start().await;
    let balance = -224_618_490.475_970_86;
    app.ingest(json!([{ "cookie": "saver", "properties": { "balance": balance } }]))
        .await;
    for visit in 0..3 {
        app.ingest(json!([{ "cookie": "saver", "properties": { "visit": visit } }]))
            .await;
    }
    let path = "/api/user/export?cookie=saver";
    let (_, told) = ask(&app, Role::Analyst, "GET", path, Value::Null).await;
    let kept = &told["properties"];
    assert_eq!(
        (&kept[0]["value"], &kept[1]["value"]),
        (&json!(balance), &json!(2.0)),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_beside_records_of_the_same_person_leaves_nobody_by_half() {
    let app = std::sync::Arc::new(TestApp::start().await);
    for round in 0..8 {
        let email = format!("round{round}@busy.example");
        let cookies: Vec<String> = (0..4).map(|n| format!("busy-{round}-device-{n}")).collect();
        app.ingest(json!([{ "cookie": cookies[0], "email": email }]))
            .await;
        let mut senders = tokio::task::JoinSet::new();
        for cookie in cookies.clone() {
            let (app, email) = (std::sync::Arc::clone(&app), email.clone());
            senders.spawn(async move {
                for age in 20..30 {
                    let record =
                        json!([{ "cookie": cookie, "email": email, "age": age, "interests": ["chess"] }]);
                    app.send("application/json", record.to_string()).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(5 * round)).await;
        erase(&app, &format!("email={email}")).await;
        senders.join_all().await;
        assert!(!is_known(&app, &format!("email={email}")).await);
        for cookie in &cookies {
            // A device that came after the erasure, and with the address, is not taken in.
            assert!(!is_known(&app, &format!("cookie={cookie}")).await, "{cookie}");
        }
        let text = app.get("/api/conflicts?verdict=all").await.to_string();
        assert!(!text.contains(&email));
    }
}

/// Where people are shown, and how to ask there for the seeded one; `{id}` stands for theirs.
const SHOWING: &[&str] = &[
    "/api/changes?cursor=0&limit=1000",
    "/api/cohort/users?cohort=Sports",
    "/api/conflicts?verdict=all",
    "/api/merges",
    "/api/profiles/{id}/graph",
    "/api/profiles/{id}/provenance",
    "/api/profiles/{id}/timeline?limit=200",
    "/api/search/suggest?q=zel",
    "/api/user?cookie={cookie}&include=identities,scores,provenance",
    "/api/user/similar?id={id}",
    "/api/users/search?q=cricket",
];

/// Routes that viewers may ask and that show nobody.
const SHOWING_NOBODY: &[&str] = &[
    "/api/analytics/interests",
    "/api/analytics/series",
    "/api/analytics/summary",
    "/api/auth/me",
    "/api/auth/sessions",
    "/api/backfills",
    "/api/backfills/{id}",
    "/api/cohorts",
    "/api/cohorts/overlap",
    "/api/cohorts/{cohort}",
    "/api/cohorts/{cohort}/history",
    "/api/cohorts/{cohort}/versions",
    "/api/corrections",
    "/api/interests/search",
    "/api/interests/similar",
    "/api/rules",
    "/api/rules/{rule}",
];

/// Fields of GraphQL that show people, and how to ask them.
const RESOLVING: &[&str] = &[
    r#"profile(id: "{id}") { cookie email phoneNumber firstName lastName demographics { income }
        identities { primaryKey cookies { value } emails { value } }
        provenance { field value lost { value } } }"#,
    "profiles { edges { node { cookie email phoneNumber identities { primaryKey emails { value } } } } }",
    r#"cohort(name: "Sports") { users { edges { node { cookie email phoneNumber } } } }"#,
    r#"searchUsers(q: "cricket") { hits { profile { cookie email phoneNumber } } }"#,
    r#"similarUsers(id: "{id}") { hits { profile { cookie email phoneNumber } } }"#,
    r#"combineCohorts(of: { any: ["Sports"] }) { sample { cookie email phoneNumber } }"#,
    r#"identityGraph(id: "{id}") { cookies emails identifiers { value } edges { cookie email }
        cuts { cookie email } merges { cookies emails } decisions { links { cookie email } } }"#,
    r#"provenance(id: "{id}") { survivor { value cookie } lost { value cookie } }"#,
    r#"timeline(id: "{id}", limit: 200) { entries { record { cookie verbatim } merge { cookies emails } } }"#,
    "merges { merges { cookies emails } }",
    r#"conflicts(verdict: "all") { conflicts { cookie email } }"#,
    r#"rawRow(id: "{raw}") { verbatim }"#,
];

/// Who is found by a text, as a viewer sees it.
async fn search(app: &TestApp, text: &str) -> Value {
    let path = format!("/api/users/search?q={text}");
    ask(app, Role::Viewer, "GET", &path, Value::Null).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_from_a_role_is_on_no_route_and_in_no_field() {
    let app = TestApp::start().await;
    seed(&app).await;
    app.ingest(json!([{ "cookie": "like-them-1", "interests": ["cricket", "tennis"] }]))
        .await;
    let user = app.user_by_email(ADDRESS).await;
    let id = user["identities"]["id"].as_str().unwrap().to_owned();
    let raw = user["provenance"][0]["raw"].as_str().unwrap().to_owned();
    let filled = |text: &str| {
        let text = text.replace("{id}", &id).replace("{cookie}", COOKIES[0]);
        text.replace("{raw}", &raw)
    };
    // Without masks they are shown, so that what follows proves something.
    let mut seen = String::new();
    for path in SHOWING {
        let (status, all) = ask(&app, Role::Admin, "GET", &filled(path), Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {all}");
        seen.push_str(&all.to_string());
        let (status, some) = ask(&app, Role::Viewer, "GET", &filled(path), Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {some}");
        assert_hidden(&some, path);
    }
    let body = json!({ "any": ["Sports"] });
    let (status, some) = ask(&app, Role::Viewer, "POST", "/api/cohorts/combine", body).await;
    assert_eq!(status, StatusCode::OK, "{some}");
    assert_hidden(&some, "combine");
    for needle in [ADDRESS, COOKIES[0], COOKIES[1], PHONE] {
        assert!(seen.contains(needle), "{needle} is shown to an admin");
    }

    let spec = app.get("/openapi.json").await;
    for (path, operations) in spec["paths"].as_object().unwrap() {
        let path = format!("/api{path}");
        let is_asked = |asked: &&str| asked.split('?').next().unwrap() == path;
        if operations.get("get").is_some() && !SHOWING.iter().any(is_asked) {
            let may = ask(&app, Role::Viewer, "GET", &filled(&path), Value::Null)
                .await
                .0;
            let is_known = may == StatusCode::FORBIDDEN || SHOWING_NOBODY.contains(&path.as_str());
            assert!(is_known, "say here whether {path} shows people");
        }
    }

    for field in RESOLVING {
        let query = json!({ "query": format!("{{ {} }}", filled(field)) });
        for role in [Role::Admin, Role::Viewer] {
            let (_, answer) = ask(&app, role, "POST", "/graphql", query.clone()).await;
            assert_eq!(answer["errors"], Value::Null, "{field}: {answer}");
            if role == Role::Viewer {
                assert_hidden(&answer, field);
            }
        }
    }
    let found = search(&app, "zelda").await;
    assert_eq!(
        found["total"], 0,
        "nobody is found by a part of an address: {found}"
    );
    let found = search(&app, ADDRESS).await;
    assert_eq!(found["total"], 1, "by a whole one somebody is: {found}");

    let mut config = crate::support::app::config();
    config.privacy.mask.find_by_identifier = false;
    config.privacy.mask.analyst = vec![cdp::services::sight::Hidden::Email];
    let app = TestApp::with(&config).await;
    seed(&app).await;
    for path in [
        format!("/api/user?email={ADDRESS}"),
        format!("/api/user/similar?email={ADDRESS}"),
    ] {
        let (status, _) = ask(&app, Role::Viewer, "GET", &path, Value::Null).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let found = search(&app, ADDRESS).await;
    assert!(!found.to_string().contains("\"total\":1"), "{found}");
    let (status, _) = ask(
        &app,
        Role::Analyst,
        "GET",
        &format!("/api/user/export?email={ADDRESS}"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (_, file) = ask(&app, Role::Analyst, "GET", "/api/profiles/export", Value::Null).await;
    let file = file.as_str().unwrap_or_default();
    assert!(file.contains(COOKIES[0]) && !file.contains(ADDRESS), "{file}");
}

#[track_caller]
fn assert_hidden(answer: &Value, path: &str) {
    let text = answer.to_string();
    for needle in [ADDRESS, COOKIES[0], COOKIES[1], PHONE, NEIGHBOUR, "4155550143"] {
        assert!(!text.contains(needle), "{path} shows {needle}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_nothing_but_who_it_was_is_stored() {
    let mut config = crate::support::app::config();
    config.privacy.storage_purpose = Some("analytics".to_owned());
    let app = TestApp::with(&config).await;
    let report = app
        .ingest(json!([
            { "cookie": "says-nothing", "interests": ["cricket"], "age": 30 },
            { "cookie": "says-no", "interests": ["cricket"], "age": 31, "consent": { "analytics": false } },
            { "cookie": "says-yes", "interests": ["cricket"], "age": 32, "consent": { "analytics": true } },
        ]))
        .await;
    app.ingest(json!([{ "cookie": "says-yes", "interests": ["golf"] }]))
        .await;
    for (cookie, interests) in [("says-nothing", 0), ("says-no", 0), ("says-yes", 2)] {
        let user = app.user_by_cookie(cookie).await;
        assert_eq!(user["interests"].as_array().unwrap().len(), interests, "{user}");
        assert_eq!(user["demographics"]["age"].is_null(), interests == 0, "{user}");
        let id = user["identities"]["id"].as_str().unwrap().to_owned();
        let timeline = app.get(&format!("/api/profiles/{id}/timeline")).await.to_string();
        assert_eq!(timeline.contains("cricket"), interests > 0, "{timeline}");
    }
    let batch = report["batch_id"].as_str().unwrap();
    let quality = app.get(&format!("/api/ingest/{batch}/quality")).await.to_string();
    assert!(quality.contains("not_given"), "{quality}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_it_may_be_is_swept() {
    let mut config = crate::support::app::config();
    config.privacy.retention = cdp::services::privacy::retention::Settings {
        raw_days: Some(0),
        rejects_days: Some(0),
        profiles_idle_days: Some(30),
    };
    let app = TestApp::with(&config).await;
    seed(&app).await;
    app.ingest(json!([
        { "cookie": "long-gone", "email": "long@gone.example", "timestamp": "2020-01-01T00:00:00Z" },
    ]))
    .await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (status, swept) = ask(&app, Role::Admin, "POST", "/api/retention/sweep", Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{swept}");
    assert_eq!(swept, json!({ "raw_rows": 6, "rejects": 1, "profiles": 1 }));
    assert!(!is_known(&app, "email=long@gone.example").await);
    assert!(is_known(&app, &format!("email={ADDRESS}")).await);
    let id = app.user_by_email(ADDRESS).await["identities"]["id"].clone();
    let timeline = app
        .get(&format!("/api/profiles/{}/timeline", id.as_str().unwrap()))
        .await
        .to_string();
    assert!(!timeline.contains("cricket"), "{timeline}");
    // Who comes back is new, and not suppressed.
    app.ingest(json!([{ "cookie": "long-gone", "email": "long@gone.example" }]))
        .await;
    assert!(is_known(&app, "cookie=long-gone").await);
    let (_, swept) = ask(&app, Role::Admin, "POST", "/api/retention/sweep", Value::Null).await;
    assert_eq!(swept["rejects"], 0, "{swept}");
}

/// A row that can't be read lets only those wait whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_fails_holds_up_none_of_those_behind_it() {
    let place = tempfile::tempdir().unwrap();
    let mut config = crate::support::app::config();
    config.store.url = store_url(place.path());
    let mut rows = Vec::new();
    {
        let app = TestApp::with(&config).await;
        for cookie in ["torn-1", "sound-1"] {
            let record =
                json!([{ "cookie": cookie, "first_name": "Ann", "timestamp": "2020-01-01T00:00:00Z" }]);
            app.ingest(record).await;
            let user = app.user_by_cookie(cookie).await;
            rows.push(user["provenance"][0]["raw"].as_str().unwrap().to_owned());
        }
    }
    // A block of rows that can't be read any more.
    let (block, _) = rows[0].split_once('-').unwrap();
    by_hand(
        place.path(),
        &format!("UPDATE raw:⟨{block}⟩ SET rows = <bytes>'torn'"),
    )
    .await;
    // Not before: whoever sweeps sleeps with the store in hand.
    config.privacy.retention.profiles_idle_days = Some(30);
    let app = start_again(&config).await;
    // Whoever is swept is erased, and of them nothing is looked for but what is known to be theirs.
    let (status, swept) = ask(&app, Role::Admin, "POST", "/api/retention/sweep", Value::Null).await;
    assert_eq!(
        (status, &swept["profiles"]),
        (StatusCode::OK, &json!(2)),
        "{swept}"
    );
    let query = json!({ "query": format!("{{ rawRow(id: \"{}\") {{ verbatim }} }}", rows[1]) });
    for _ in 0..600 {
        let (_, answer) = ask(&app, Role::Admin, "POST", "/graphql", query.clone()).await;
        if answer["data"]["rawRow"]["verbatim"] == "" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the erasure behind one that fails is not carried on");
}

/// A server of its own, which is told to stop, and whose log is kept.
struct Logged {
    child: Child,
    url: String,
    bearer: String,
    http: reqwest::Client,
}

impl Logged {
    async fn start(store: &str, log: &Path) -> Self {
        let file = File::options().append(true).create(true).open(log).unwrap();
        let mut child = program(&["serve", "--demo", "--listen", "127.0.0.1:0", "--store", store])
            .env("CDP_IDENTITY__SOURCES__KIOSK", "email_is_person")
            .env("CDP_TELEMETRY__FILTER", "info,cdp=debug,surreal=warn,hyper=warn")
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next_line().await.unwrap().expect("the server starts");
            if let Some((_, url)) = line.split_once("Customer Data Platform at ") {
                break url.trim().to_owned();
            }
        };
        // Read on, so that the server can go on to write.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = reqwest::Client::new();
        let bearer = token(&http, &url, Role::Admin).await;
        Self {
            child,
            url,
            bearer,
            http,
        }
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.bearer)
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.request(reqwest::Method::GET, path).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }

    async fn send(&self, media_type: &str, query: &str, body: String) -> (u16, Value) {
        let path = format!("/api/ingest{query}");
        let request = self.request(reqwest::Method::POST, &path);
        let request = request.header("content-type", media_type).body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Hands a payload in, to be worked off later, and waits until it is.
    async fn queue(&self, media_type: &str, body: String) {
        let request = self.request(reqwest::Method::POST, "/api/ingest");
        let request = request
            .header("content-type", media_type)
            .header("prefer", "respond-async");
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 202);
        let report: Value = response.json().await.unwrap();
        let path = format!("/api/ingest/{}", report["batch_id"].as_str().unwrap());
        for _ in 0..6_000 {
            let (_, batch) = self.get(&path).await;
            if batch["status"] != "queued" && batch["status"] != "running" {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the queue is not worked off");
    }

    async fn erase(&self, by: &str) -> Value {
        let path = format!("/api/user?{by}");
        let response = self.request(reqwest::Method::DELETE, &path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        response.json().await.unwrap()
    }

    /// Tells it to stop, and waits until it has.
    async fn stop(mut self) {
        let id = self.child.id().unwrap().to_string();
        signal(&id, "-TERM").await;
        let ended = tokio::time::timeout(Duration::from_mins(1), self.child.wait()).await;
        assert!(ended.expect("it stops in time").unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_who_was_erased_is_left_in_any_file() {
    let place = tempfile::tempdir().unwrap();
    let (store, log) = (store_url(place.path()), place.path().join("log"));
    let server = Logged::start(&store, &log).await;
    fill(&server).await;
    let erased = server.erase(&format!("email={ADDRESS}")).await;
    let erased = finished(&server, erased["id"].as_str().unwrap()).await;
    assert_eq!(erased["erased"]["cookies"], 2, "{erased}");
    assert!(erased["erased"]["rejects"].as_u64().unwrap() >= 2, "{erased}");
    let late = json!([{ "cookie": COOKIES[0], "email": ADDRESS, "phone_number": PHONE }]).to_string();
    let (status, report) = server.send("application/json", "", late).await;
    assert_eq!(
        (status, &report["errors"][0]["code"]),
        (422, &json!("suppressed"))
    );
    server.stop().await;

    let compacted = run(&mut program(&["compact", "--store", &store])).await;
    assert!(compacted.status.success(), "{compacted:?}");
    println!("{}", String::from_utf8_lossy(&compacted.stdout));
    let files = files_below(place.path());
    assert!(files.len() > 5, "{files:?}");
    for file in &files {
        let bytes = fs::read(file).unwrap();
        assert_eq!(left_in(&bytes), Vec::<&str>::new(), "{}", file.display());
    }
    let (mut values, mut has_neighbour) = (0, false);
    for text in everything_in(&place.path().join("cdp")).await {
        values += 1;
        has_neighbour |= holds(&text, NEIGHBOUR);
        assert_eq!(
            left_in(&text),
            Vec::<&str>::new(),
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
    assert!(
        values > 100 && has_neighbour,
        "whoever stays is found, in {values}"
    );

    // It is a store as before.
    let server = Logged::start(&store, &log).await;
    assert_eq!(server.get(&format!("/api/user?email={NEIGHBOUR}")).await.0, 200);
    assert_eq!(server.get(&format!("/api/user?email={ADDRESS}")).await.0, 404);
    server.stop().await;
    let doctor = run(&mut program(&["doctor", "--store", &store])).await;
    assert!(
        doctor.status.success(),
        "{}",
        String::from_utf8_lossy(&doctor.stdout)
    );
}

/// The person by every road that there is, and others around them.
async fn fill(server: &Logged) {
    let first = json!([
        { "cookie": COOKIES[0], "email": ADDRESS, "phone_number": PHONE, "message_id": "m1",
          "last_name": "Ottokar-Vellamo", "interests": ["cricket", "tennis"] },
        { "cookie": COOKIES[1], "interests": ["football"], "message_id": "m2" },
        { "cookie": "bob-1", "email": NEIGHBOUR, "interests": ["cricket"], "properties": { "plan": "x" },
          "note": format!("a friend of {ADDRESS}") },
    ]);
    let (status, _) = server.send("application/json", "", first.to_string()).await;
    assert_eq!(status, 200);
    // A merge, a repetition, and a row that is refused.
    let merge = json!([{ "cookie": COOKIES[1], "email": ADDRESS.to_uppercase(), "age": 42 }]);
    assert_eq!(
        server.send("application/json", "", merge.to_string()).await.0,
        200
    );
    let again =
        json!([{ "cookie": COOKIES[0], "message_id": "m1", "email": ADDRESS, "phone_number": PHONE }]);
    assert_eq!(
        server.send("application/json", "", again.to_string()).await.0,
        200
    );
    let refused = json!([{ "cookie": COOKIES[0], "email": ADDRESS, "age": 1_000, "phone_number": PHONE }]);
    assert_eq!(
        server.send("application/json", "", refused.to_string()).await.0,
        422
    );
    // More visits than a cookie remembers, so that some are shed.
    for visit in 0..20 {
        let visit =
            json!([{ "cookie": COOKIES[0], "message_id": format!("v{visit}"), "interests": ["golf"] }]);
        assert_eq!(
            server.send("application/json", "", visit.to_string()).await.0,
            200
        );
    }
    let mut table = "cookie,email,phone_number,interests,age\n".to_owned();
    for n in 0..500 {
        let _ = writeln!(table, "other-{n},other{n}@crowd.example,,chess;golf,33");
    }
    let _ = writeln!(table, "{},{ADDRESS},{PHONE},sailing,41", COOKIES[0]);
    let _ = writeln!(table, "{},{ADDRESS},{PHONE},sailing,old enough", COOKIES[1]);
    let _ = writeln!(table, ",{ADDRESS},{PHONE},sailing,41");
    assert_eq!(server.send("text/csv", "", table.clone()).await.0, 200);
    server.queue("text/csv", table).await;
    // A kiosk where they logged in, and then somebody else did.
    for email in [ADDRESS, NEIGHBOUR] {
        let visit = json!([{ "cookie": "kiosk-in-the-hall", "email": email, "last_name": "Login" }]);
        let (status, report) = server
            .send("application/json", "?source=kiosk", visit.to_string())
            .await;
        assert_eq!(status, 200, "{report}");
    }
}

/// Whoever stops half way is followed by the next process.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_cut_off_is_carried_on_at_the_next_start() {
    let place = tempfile::tempdir().unwrap();
    let (store, log) = (store_url(place.path()), place.path().join("log"));
    for (round, ms) in (0..).zip([0_u64, 8, 20, 45]) {
        let email = format!("cut{round}@off.example");
        let server = Logged::start(&store, &log).await;
        let mut lines = String::new();
        for n in 0..2_000 {
            let cookie = format!("cut-off-{round}-{}", n % 3);
            lines.push_str(&json!({ "cookie": cookie, "email": email, "age": n % 90, "m": n }).to_string());
            lines.push('\n');
        }
        let (status, report) = server.send("application/x-ndjson", "", lines).await;
        assert_eq!(status, 200, "{report}");
        let erasing = server.request(reqwest::Method::DELETE, &format!("/api/user?email={email}"));
        let erasing = tokio::spawn(erasing.send());
        tokio::time::sleep(Duration::from_millis(ms)).await;
        let mut child = server.child;
        child.kill().await.unwrap();
        let _ = erasing.await;

        let server = Logged::start(&store, &log).await;
        let (status, _) = server.get(&format!("/api/user?email={email}")).await;
        for n in 0..3 {
            let by = format!("/api/user?cookie=cut-off-{round}-{n}");
            assert_eq!(server.get(&by).await.0, status, "nobody is there by half");
        }
        println!("after {ms} ms: {status}");
        if status == 200 {
            server.erase(&format!("email={email}")).await;
        }
        let (_, page) = server.get("/api/suppressions").await;
        let erasures: BTreeSet<String> = (page["suppressions"].as_array().unwrap().iter())
            .map(|one| one["erasure"].as_str().unwrap().to_owned())
            .collect();
        for id in erasures {
            finished(&server, &id).await;
        }
        server.stop().await;
    }
    for text in everything_in(&place.path().join("cdp")).await {
        assert!(
            !holds(&text, "@off.example"),
            "{}",
            String::from_utf8_lossy(&text)
        );
    }
}

/// An erasure, once it has come to its end.
async fn finished(server: &Logged, id: &str) -> Value {
    for _ in 0..2_400 {
        let (_, erasure) = server.get(&format!("/api/erasures/{id}")).await;
        if erasure["finished_at"].is_string() {
            return erasure;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the erasure is not carried on");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn holds(bytes: &[u8], needle: &str) -> bool {
    let needle = needle.as_bytes();
    bytes
        .windows(needle.len())
        .any(|window| window.eq_ignore_ascii_case(needle))
}

fn left_in(bytes: &[u8]) -> Vec<&'static str> {
    NEEDLES
        .into_iter()
        .filter(|needle| holds(bytes, needle))
        .collect()
}

/// Every key and value of a store as the engine holds them, and what is packed in them, unpacked.
async fn everything_in(store: &Path) -> Vec<Vec<u8>> {
    let tree = TreeBuilder::new()
        .with_path(store.to_owned())
        .with_enable_vlog(true)
        .with_vlog_value_threshold(4 * 1024)
        .with_block_size(64 * 1024)
        .build()
        .unwrap();
    let (mut all, mut unpacked_whole) = (Vec::new(), 0);
    {
        let reading = tree.begin_with_mode(Mode::ReadOnly).unwrap();
        let mut entries = reading.range(vec![0_u8], vec![0xff_u8]).unwrap();
        entries.seek_first().unwrap();
        while entries.valid() {
            let value = entries.value().unwrap();
            for (at, window) in value.windows(4).enumerate() {
                if window == [0x28, 0xb5, 0x2f, 0xfd] {
                    let mut unpacked = Vec::new();
                    // What stands behind a frame is no frame, and these bytes may come by chance.
                    let unpacking = zstd::stream::copy_decode(&value[at..], &mut unpacked);
                    unpacked_whole += u32::from(unpacking.is_ok());
                    all.push(unpacked);
                }
            }
            all.push(entries.key().user_key().to_vec());
            all.push(value);
            entries.next().unwrap();
        }
    }
    tree.close().await.unwrap();
    assert!(unpacked_whole > 0, "rows are packed");
    // Dropped, it would close itself again, beside whoever opens the folder next.
    std::mem::forget(tree);
    all
}
