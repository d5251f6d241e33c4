//! Cohorts that people define while the platform runs: by a rule, by interest, by others; tried
//! before they are saved, changed, rolled back, dropped; and moved by time alone.

use std::time::Duration;

use cdp::app::App;
use cdp::domain::role::Role;
use chrono::{TimeDelta, Utc};
use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{TestApp, config};

/// A background walk over a handful of people takes far less.
const PATIENCE: Duration = Duration::from_mins(2);

async fn send(app: &TestApp, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let response = app
        .client()
        .request(method, path)
        .header("authorization", format!("Bearer {}", app.token(Role::Analyst)))
        .body_json(&body)
        .send()
        .await;
    let status = response.0.status();
    let body = response.0.into_body().into_string().await.unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}

async fn finished(app: &TestApp, defined: &Value) -> Value {
    let id = defined["backfill"]["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no backfill: {defined}"));
    let until_finished = async {
        loop {
            let backfill = app.get(&format!("/api/backfills/{id}")).await;
            if !backfill["finished_at"].is_null() {
                return backfill;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_finished)
        .await
        .expect("the backfill ends")
}

/// Defines a cohort, and waits for what follows.
async fn define(app: &TestApp, cohort: Value) -> Value {
    let (status, defined) = send(app, Method::POST, "/api/cohorts", cohort).await;
    assert_eq!(status, StatusCode::CREATED, "{defined}");
    finished(app, &defined).await
}

async fn cohorts_of(app: &TestApp, cookie: &str) -> Value {
    app.user_by_cookie(cookie).await["cohorts"].clone()
}

async fn size_of(app: &TestApp, slug: &str) -> u64 {
    let page = app.get(&format!("/api/cohort/users?cohort={slug}")).await;
    page["total"].as_u64().unwrap()
}

async fn people(app: &TestApp) {
    app.ingest(json!([
        { "cookie": "ann", "email": "ann@x.com", "age": 42, "city": "Brooklyn", "interests": ["basketball"],
          "properties": { "plan": "pro", "orders": { "count": 3 } } },
        { "cookie": "bob", "age": 22, "city": "Brooklyn", "interests": ["basketball", "guitar"] },
        { "cookie": "cid", "age": 35, "city": "Oslo", "interests": ["guitar"], "properties": { "plan": "basic" } },
        { "cookie": "dee", "interests": ["basketball"] },
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_has_who_is_there_and_who_comes_and_loses_who_changes() {
    let app = TestApp::start().await;
    people(&app).await;
    let rule = r#"profile.age >= 25 && profile.location.city == "Brooklyn" && "Sports" in cohorts"#;
    let backfill = define(&app, json!({ "name": "Brooklyn Fans", "expression": rule })).await;
    assert_eq!(
        (&backfill["cause"], &backfill["changed"]),
        (&json!("cohort"), &json!(1))
    );
    assert_eq!(cohorts_of(&app, "ann").await, json!(["Sports", "Brooklyn Fans"]));
    assert_eq!(size_of(&app, "brooklyn-fans").await, 1);

    app.ingest(json!([{ "cookie": "dee", "age": 60, "city": "Brooklyn" }]))
        .await;
    assert_eq!(cohorts_of(&app, "dee").await, json!(["Sports", "Brooklyn Fans"]));
    app.ingest(json!([{ "cookie": "ann", "city": "Oslo" }])).await;
    assert_eq!(cohorts_of(&app, "ann").await, json!(["Sports"]));
    let page = app.get("/api/cohort/users?cohort=brooklyn%20fans").await;
    assert_eq!(
        (&page["total"], &page["users"][0]["cookie"]),
        (&json!(1), &json!("dee"))
    );
    let why = app.get("/api/user?cookie=dee&include=scores").await;
    let scores = why["user_profile"]["scores"].as_array().unwrap();
    let reason = scores
        .iter()
        .find(|one| one["cohort"] == "Brooklyn Fans")
        .unwrap();
    assert_eq!(reason["reason"], json!([rule]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_before_it_is_saved() {
    let app = TestApp::start().await;
    people(&app).await;
    let body = json!({ "expression": "profile.age > 30", "limit": 1 });
    let (status, preview) = send(&app, Method::POST, "/api/cohorts/preview", body).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    let told =
        ["examined", "matched", "undecided", "estimate", "people", "exact"].map(|field| &preview[field]);
    assert_eq!(json!(told), json!([4, 2, 1, 2, 4, true]));
    assert_eq!(preview["sample"].as_array().unwrap().len(), 1);
    for (expression, says) in [
        (
            "profile.agee > 30",
            "line 1, column 8: `agee` is unknown; there are profile.id",
        ),
        (
            r#""Sport" in cohorts"#,
            "line 1, column 1: there is no cohort `Sport`; there are",
        ),
        ("profile.age", "a rule says true or false, and this is a number"),
        ("profile.age >", "this is no CEL"),
    ] {
        for path in ["/api/cohorts/preview", "/api/rules/check"] {
            let (status, answer) = send(&app, Method::POST, path, json!({ "expression": expression })).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
            assert_eq!(answer["error"]["field"], "expression");
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(says), "{message}");
        }
    }
    assert_eq!(app.get("/api/rules").await["cohorts"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_is_changed_rolled_back_dropped_and_brought_back() {
    let app = TestApp::start().await;
    people(&app).await;
    let (status, defined) = send(
        &app,
        Method::POST,
        "/api/rules",
        json!({ "name": "Grown", "expression": "profile.age > 30" }),
    )
    .await;
    assert_eq!(
        (status, &defined["cohort"]["version"]),
        (StatusCode::CREATED, &json!(1))
    );
    finished(&app, &defined).await;
    assert_eq!(size_of(&app, "grown").await, 2);

    let anew = json!({ "name": "Grown Up", "expression": "profile.age > 20" });
    let (_, defined) = send(&app, Method::PUT, "/api/rules/Grown", anew).await;
    assert_eq!(defined["cohort"]["slug"], "grown");
    finished(&app, &defined).await;
    assert_eq!(size_of(&app, "Grown%20Up").await, 3);
    assert_eq!(cohorts_of(&app, "cid").await, json!(["Music", "Grown Up"]));
    // Its slug is not that of its name by now, and yet there is none beside it of that name.
    let twin = json!({ "name": "GROWN UP", "expression": "true" });
    let (status, answer) = send(&app, Method::POST, "/api/cohorts", twin).await;
    assert_eq!(
        (status, &answer["error"]["field"]),
        (StatusCode::CONFLICT, &json!("name")),
        "{answer}"
    );

    let (status, defined) = send(
        &app,
        Method::POST,
        "/api/cohorts/grown/rollback",
        json!({ "version": 1 }),
    )
    .await;
    assert_eq!(
        (status, &defined["cohort"]["version"]),
        (StatusCode::OK, &json!(3)),
        "{defined}"
    );
    finished(&app, &defined).await;
    assert_eq!(size_of(&app, "grown").await, 2);

    let (_, defined) = send(&app, Method::DELETE, "/api/cohorts/grown", json!(null)).await;
    assert_eq!(defined["cohort"], json!(null));
    assert_eq!(finished(&app, &defined).await["changed"], 2);
    assert_eq!(cohorts_of(&app, "ann").await, json!(["Sports"]));
    let gone = app.get_as(Role::Viewer, "/api/cohort/users?cohort=grown").await;
    assert_eq!(gone.0.status(), StatusCode::NOT_FOUND);

    let versions = app.get("/api/cohorts/grown/versions").await;
    let numbers: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["version"])
        .collect();
    assert_eq!(json!(numbers), json!([3, 2, 1]));
    assert_eq!(versions["versions"][0]["by"], "analyst");
    let back = json!({ "version": 2 });
    let (_, defined) = send(&app, Method::POST, "/api/cohorts/grown/rollback", back).await;
    finished(&app, &defined).await;
    assert_eq!(size_of(&app, "grown").await, 3);
    let wrong = json!({ "version": 99 });
    let (status, _) = send(&app, Method::POST, "/api/cohorts/grown/rollback", wrong).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn cohorts_are_put_together() {
    let app = TestApp::start().await;
    people(&app).await;
    let combine = |body: Value| {
        let app = &app;
        async move {
            let (status, answer) = send(app, Method::POST, "/api/cohorts/combine", body).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            answer
        }
    };
    assert_eq!(combine(json!({ "all": ["Sports", "Music"] })).await["size"], 1);
    assert_eq!(combine(json!({ "any": ["Sports", "Music"] })).await["size"], 4);
    let fans = combine(json!({ "all": ["Sports"], "none": ["Music"] })).await;
    assert_eq!(
        (&fans["size"], fans["sample"].as_array().unwrap().len()),
        (&json!(2), 2)
    );
    assert_eq!(
        fans["expression"],
        r#""sports" in cohorts && !("music" in cohorts)"#
    );

    define(
        &app,
        json!({ "name": "Quiet Fans", "all": ["Sports"], "none": ["Music"] }),
    )
    .await;
    assert_eq!(size_of(&app, "quiet-fans").await, 2);
    let overlap = app.get("/api/cohorts/overlap?cohorts=sports,music").await;
    assert_eq!(
        overlap["overlaps"],
        json!([{ "cohorts": ["Music", "Sports"], "shared": 1, "likeness": 0.25 }])
    );
    let (status, _) = send(
        &app,
        Method::POST,
        "/api/cohorts/combine",
        json!({ "none": ["Music"] }),
    )
    .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    // Whoever a rule names can't go before it.
    define(
        &app,
        json!({ "name": "Louder", "expression": r#""Quiet Fans" in cohorts && profile.age > 40"# }),
    )
    .await;
    assert_eq!(
        cohorts_of(&app, "ann").await,
        json!(["Sports", "Quiet Fans", "Louder"])
    );
    let (status, answer) = send(&app, Method::DELETE, "/api/cohorts/quiet-fans", json!(null)).await;
    assert_eq!(
        (status, &answer["error"]["code"]),
        (StatusCode::CONFLICT, &json!("conflict"))
    );
    let circle = json!({ "name": "Quiet Fans", "expression": r#""Louder" in cohorts"# });
    let (status, answer) = send(&app, Method::PUT, "/api/cohorts/quiet-fans", circle).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    assert!(
        answer["error"]["message"]
            .as_str()
            .unwrap()
            .contains("depend on itself"),
        "{answer}"
    );

    // Nobody takes the name of another, nor one that leads to it; after a new name both it and the
    // slug of before are good.
    let louder = |name: &str| json!({ "name": name, "expression": r#""Quiet Fans" in cohorts"# });
    for taken in ["sports", "QUIET fans", "Quiet, Fans"] {
        let (status, answer) = send(&app, Method::PUT, "/api/cohorts/louder", louder(taken)).await;
        assert_eq!(status, StatusCode::CONFLICT, "{taken}: {answer}");
    }
    let (status, answer) = send(&app, Method::PUT, "/api/cohorts/louder", louder("Loudest")).await;
    assert!(status.is_success(), "{answer}");
    let (status, answer) = send(&app, Method::POST, "/api/cohorts", louder("Loudest!")).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    for (name, expression) in [
        ("By Name", r#""Loudest" in cohorts"#),
        ("By Slug", r#""louder" in cohorts"#),
    ] {
        define(&app, json!({ "name": name, "expression": expression })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_cohort_is_refused() {
    let app = TestApp::start().await;
    for (body, status, field) in [
        (
            json!({ "name": "!!", "expression": "true" }),
            StatusCode::BAD_REQUEST,
            "name",
        ),
        (
            json!({ "name": "Preview", "expression": "true" }),
            StatusCode::BAD_REQUEST,
            "name",
        ),
        (
            json!({ "name": "Sports", "expression": "true" }),
            StatusCode::CONFLICT,
            "name",
        ),
        (json!({ "name": "Boats" }), StatusCode::BAD_REQUEST, "description"),
        (
            json!({ "name": "Boats", "description": "Boats.", "threshold": 2 }),
            StatusCode::BAD_REQUEST,
            "threshold",
        ),
        (
            json!({ "name": "Boats", "expression": "true", "all": ["Sports"] }),
            StatusCode::BAD_REQUEST,
            "expression",
        ),
        (
            json!({ "name": "Boats", "any": ["Pottery"] }),
            StatusCode::NOT_FOUND,
            "all",
        ),
    ] {
        let (found, answer) = send(&app, Method::POST, "/api/cohorts", body.clone()).await;
        assert_eq!(
            (found, &answer["error"]["field"]),
            (status, &json!(field)),
            "{body}: {answer}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_by_interest_can_be_made_while_the_server_runs() {
    let app = TestApp::alone().await;
    app.ingest(json!([
        { "cookie": "a", "interests": ["sailing boat"] },
        { "cookie": "b", "interests": ["tax return"] },
    ]))
    .await;
    let sailing = json!({
        "name": "Sailing",
        "description": "Sailing, yachts, boats, regattas and the sea.",
        "examples": ["sailing", "sailing boat", "yacht", "regatta", "catamaran", "dinghy", "spinnaker", "marina"],
    });
    define(&app, sailing).await;
    assert!(
        cohorts_of(&app, "a")
            .await
            .as_array()
            .unwrap()
            .contains(&json!("Sailing"))
    );
    assert!(
        !cohorts_of(&app, "b")
            .await
            .as_array()
            .unwrap()
            .contains(&json!("Sailing"))
    );
    app.ingest(json!([{ "cookie": "c", "interests": ["yacht"] }]))
        .await;
    assert!(
        cohorts_of(&app, "c")
            .await
            .as_array()
            .unwrap()
            .contains(&json!("Sailing"))
    );
    let (_, classified) = send(
        &app,
        Method::POST,
        "/api/classify",
        json!({ "texts": ["regatta"] }),
    )
    .await;
    let cohorts = classified["results"][0]["cohorts"].as_array().unwrap();
    assert!(cohorts.contains(&json!("Sailing")), "{classified}");

    let (_, defined) = send(&app, Method::DELETE, "/api/cohorts/sailing", json!(null)).await;
    finished(&app, &defined).await;
    assert!(
        !cohorts_of(&app, "a")
            .await
            .as_array()
            .unwrap()
            .contains(&json!("Sailing"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn time_alone_moves_people_in_and_out() {
    let app = TestApp::start().await;
    define(
        &app,
        json!({ "name": "Lately", "expression": r#"profile.last_seen.within("30d")"# }),
    )
    .await;
    define(
        &app,
        json!({ "name": "Soon", "expression": r#"upcoming(profile.properties.renewal, "7d")"# }),
    )
    .await;
    let began = Utc::now();
    let at = |offset: TimeDelta| (began + offset).to_rfc3339();
    app.ingest(json!([
        { "cookie": "leaves", "timestamp": at(TimeDelta::seconds(4) - TimeDelta::days(30)) },
        { "cookie": "stays" },
        { "cookie": "enters", "timestamp": at(-TimeDelta::days(60)),
          "properties": { "renewal": at(TimeDelta::days(7) + TimeDelta::seconds(4)) } },
    ]))
    .await;
    let before = (cohorts_of(&app, "leaves").await, cohorts_of(&app, "enters").await);
    // On a slow machine they may have moved by now.
    if Utc::now() < began + TimeDelta::seconds(4) {
        assert_eq!(before, (json!(["Lately"]), json!([])));
    }
    let moved = async {
        while cohorts_of(&app, "leaves").await != json!([])
            || cohorts_of(&app, "enters").await != json!(["Soon"])
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, moved)
        .await
        .expect("the schedule moves them");
    assert_eq!(cohorts_of(&app, "stays").await, json!(["Lately"]));
    assert_eq!(
        (size_of(&app, "lately").await, size_of(&app, "soon").await),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_and_their_members_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.store.url = format!("surrealkv://{}", folder.path().join("store").display());
    // It drops a cohort by interest, which others' classifier must not.
    let app = TestApp::of(App::build_with(&config, None).await.unwrap()).await;
    people(&app).await;
    define(
        &app,
        json!({ "name": "Pro", "expression": r#"profile.properties.plan == "pro""# }),
    )
    .await;
    assert_eq!(size_of(&app, "pro").await, 1);
    let (_, defined) = send(&app, Method::DELETE, "/api/cohorts/travel", json!(null)).await;
    finished(&app, &defined).await;
    drop(app);
    let reopened = async {
        loop {
            match App::build_with(&config, None).await {
                Ok(app) => return app,
                // The store of before is being closed.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    let app = TestApp::of(tokio::time::timeout(PATIENCE, reopened).await.unwrap()).await;
    assert_eq!(size_of(&app, "pro").await, 1);
    app.ingest(json!([{ "cookie": "cid", "properties": { "plan": "pro" } }]))
        .await;
    assert_eq!(size_of(&app, "pro").await, 2);
    let dropped = app.get_as(Role::Viewer, "/api/cohorts/travel").await;
    assert_eq!(dropped.0.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_defines_cohorts_as_well() {
    let app = TestApp::start().await;
    people(&app).await;
    let ask = |query: &'static str, variables: Value| {
        let app = &app;
        async move {
            let body = json!({ "query": query, "variables": variables });
            let (_, answer) = send(app, Method::POST, "/graphql", body).await;
            assert!(answer["errors"].is_null(), "{answer}");
            answer["data"].clone()
        }
    };
    let create = "mutation($cohort: CohortInput!) { createCohort(cohort: $cohort) { cohort { slug kind expression version } backfill { id } } }";
    let cohort = json!({ "cohort": { "name": "Young", "expression": "profile.age < 30" } });
    let created = ask(create, cohort).await["createCohort"].clone();
    assert_eq!(
        created["cohort"],
        json!({ "slug": "young", "kind": "rule", "expression": "profile.age < 30", "version": 1 })
    );
    finished(&app, &created).await;
    let combined = ask(
        r#"{ combineCohorts(of: { all: ["Young", "Sports"] }) { size sample { cookie } } }"#,
        json!({}),
    )
    .await;
    assert_eq!(
        combined["combineCohorts"],
        json!({ "size": 1, "sample": [{ "cookie": "bob" }] })
    );
    let preview = ask(
        r#"{ previewCohort(expression: "profile.age > 40") { matched exact } }"#,
        json!({}),
    )
    .await;
    assert_eq!(preview["previewCohort"], json!({ "matched": 1, "exact": true }));
}
