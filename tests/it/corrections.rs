//! What people say of single interests: it is certain, it reaches everybody who has the
//! interest, it outlives restarts, and it can be withdrawn.

use std::time::Duration;

use cdp::app::App;
use cdp::domain::role::Role;
use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::support::app::{TestApp, config};

/// A background walk over a handful of people takes far less.
const PATIENCE: Duration = Duration::from_mins(2);

async fn correct(app: &TestApp, interest: &str, cohorts: &[&str]) -> Value {
    let response = app
        .client()
        .put("/api/corrections")
        .header("authorization", format!("Bearer {}", app.token(Role::Analyst)))
        .body_json(&json!({ "interest": interest, "cohorts": cohorts }))
        .send()
        .await;
    assert_eq!(response.0.status(), StatusCode::OK);
    response.json().await.value().deserialize()
}

async fn finished(app: &TestApp, backfill: &Value) -> Value {
    let path = format!("/api/backfills/{}", backfill["id"].as_str().unwrap());
    let until_finished = async {
        loop {
            let backfill = app.get(&path).await;
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

async fn cohorts_of(app: &TestApp, cookie: &str) -> Value {
    app.user_by_cookie(cookie).await["cohorts"].clone()
}

async fn size_of(app: &TestApp, slug: &str) -> u64 {
    let page = app.get(&format!("/api/cohort/users?cohort={slug}")).await;
    page["total"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_reaches_everybody_who_has_the_interest() {
    let app = TestApp::alone().await;
    app.ingest(json!([
        { "cookie": "a", "interests": ["zorbliness"] },
        { "cookie": "b", "interests": ["Zorbliness", "guitar"] },
        { "cookie": "c", "interests": ["guitar"] },
    ]))
    .await;
    assert_eq!(cohorts_of(&app, "a").await, json!([]));
    let before = size_of(&app, "gaming").await;

    let corrected = correct(&app, " ZORBLINESS ", &["Gaming"]).await;
    assert_eq!(corrected["correction"]["interest"], "zorbliness");
    assert_eq!(corrected["correction"]["cohorts"], json!(["Gaming"]));
    let backfill = finished(&app, &corrected["backfill"]).await;
    assert_eq!(backfill["changed"], 2);
    assert_eq!(backfill["progress"], 1.0);
    assert_eq!(cohorts_of(&app, "a").await, json!(["Gaming"]));
    assert_eq!(size_of(&app, "gaming").await, before + 2);
    let classified = classify(&app, "zorbliness").await;
    assert_eq!(classified["cohorts"], json!(["Gaming"]));

    // Who gets it later is there at once.
    app.ingest(json!([{ "cookie": "d", "interests": ["zorbliness"] }]))
        .await;
    assert_eq!(cohorts_of(&app, "d").await, json!(["Gaming"]));

    // And nowhere is a place, too.
    let corrected = correct(&app, "guitar", &[]).await;
    finished(&app, &corrected["backfill"]).await;
    assert_eq!(cohorts_of(&app, "c").await, json!([]));
    assert_eq!(cohorts_of(&app, "b").await, json!(["Gaming"]));
}

async fn classify(app: &TestApp, text: &str) -> Value {
    let response = app
        .client()
        .post("/api/classify")
        .header("authorization", format!("Bearer {}", app.token(Role::Analyst)))
        .body_json(&json!({ "texts": [text] }))
        .send()
        .await;
    let answer: Value = response.json().await.value().deserialize();
    answer["results"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_correction_leaves_the_interest_to_the_model() {
    let app = TestApp::alone().await;
    app.ingest(json!([{ "cookie": "a", "interests": ["guitar"] }]))
        .await;
    let corrected = correct(&app, "guitar", &["Travel"]).await;
    finished(&app, &corrected["backfill"]).await;
    assert_eq!(cohorts_of(&app, "a").await, json!(["Travel"]));
    assert_eq!(
        app.get("/api/corrections").await["corrections"][0]["by"],
        "analyst"
    );

    let withdraw = || async {
        app.client()
            .delete("/api/corrections?interest=guitar")
            .header("authorization", format!("Bearer {}", app.token(Role::Analyst)))
            .send()
            .await
    };
    let withdrawn = withdraw().await;
    withdrawn.assert_status_is_ok();
    let backfill: Value = withdrawn.json().await.value().deserialize();
    finished(&app, &backfill).await;
    assert_eq!(cohorts_of(&app, "a").await, json!(["Music"]));
    assert_eq!(app.get("/api/corrections").await["corrections"], json!([]));
    assert_eq!(withdraw().await.0.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_of_nothing_or_to_nowhere_known_is_refused() {
    let app = TestApp::start().await;
    for (body, status) in [
        (
            json!({ "interest": "!!", "cohorts": [] }),
            StatusCode::BAD_REQUEST,
        ),
        (
            json!({ "interest": "guitar", "cohorts": ["Pottery"] }),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let response = app
            .client()
            .put("/api/corrections")
            .header("authorization", format!("Bearer {}", app.token(Role::Analyst)))
            .body_json(&body)
            .send()
            .await;
        assert_eq!(response.0.status(), status, "{body}");
    }
    assert_eq!(
        app.get_as(Role::Admin, "/api/backfills/nonsense")
            .await
            .0
            .status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_and_unfinished_backfills_outlive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config();
    settings.store.url = format!("surrealkv://{}?sync=every", folder.path().join("cdp").display());
    {
        let app = TestApp::of(App::build_with(&settings, None).await.unwrap()).await;
        app.ingest(json!([{ "cookie": "a", "interests": ["zorbliness"] }]))
            .await;
        // Stopped at once, whether or not the walk has begun.
        correct(&app, "zorbliness", &["Gaming"]).await;
    }
    let app = start_again(&settings).await;
    assert_eq!(classify(&app, "zorbliness").await["cohorts"], json!(["Gaming"]));
    let backfill = app.get("/api/backfills").await["backfills"][0].clone();
    finished(&app, &backfill).await;
    assert_eq!(cohorts_of(&app, "a").await, json!(["Gaming"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_embeds_what_is_stored_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config();
    settings.store.url = format!("surrealkv://{}?sync=every", folder.path().join("cdp").display());
    {
        let app = TestApp::of(App::build_with(&settings, None).await.unwrap()).await;
        app.ingest(json!([{ "cookie": "a", "interests": ["guitar", "tennis"] }]))
            .await;
        assert_eq!(app.get("/api/backfills").await["backfills"], json!([]));
    }
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/mpnet");
    settings.classify.model = small.to_owned();
    // Started twice: the walk is made once for a model, and not at each start.
    for _ in 0..2 {
        let app = start_again(&settings).await;
        let backfills = until_there_is_a_backfill(&app).await;
        assert_eq!(backfills.as_array().unwrap().len(), 1);
        assert_eq!(backfills[0]["cause"], "model");
        finished(&app, &backfills[0]).await;
        assert!(app.user_by_cookie("a").await["interests"].is_array());
    }
}

async fn start_again(settings: &cdp::config::Config) -> TestApp {
    let until_free = async {
        loop {
            // The one before lets go of its store in the background.
            match App::build_with(settings, None).await {
                Ok(app) => return TestApp::of(app).await,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, until_free)
        .await
        .expect("it starts")
}

async fn until_there_is_a_backfill(app: &TestApp) -> Value {
    let until_there = async {
        loop {
            let backfills = app.get("/api/backfills").await["backfills"].clone();
            if backfills != json!([]) {
                return backfills;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_there)
        .await
        .expect("the change is noticed")
}
