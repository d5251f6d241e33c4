//! What is counted as it happens: people, sources, cohorts over time, findings, frequent
//! interests, and who entered and left a cohort.

use std::time::Duration;

use cdp::domain::role::Role;
use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::support::app::TestApp;

async fn some_weeks(app: &TestApp) {
    app.send(
        "application/json",
        json!([
            { "cookie": "a", "email": "ann@x.com", "interests": ["basketball", "guitar"] },
            { "cookie": "b", "interests": ["basketball"] },
            { "cookie": "c", "email": "no address" },
        ])
        .to_string(),
    )
    .await;
    // Ann is found to be behind b as well; a is told of twice.
    app.ingest(json!([
        { "cookie": "b", "email": "ann@x.com", "message_id": "m1" },
        { "cookie": "b", "email": "ann@x.com", "message_id": "m1" },
    ]))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sources_and_findings_are_counted() {
    let app = TestApp::start().await;
    some_weeks(&app).await;
    let summary = app.get("/api/analytics/summary").await;
    let counts = &summary["counts"];
    let told = ["created", "merged", "accepted", "rejected", "duplicates"].map(|name| &counts[name]);
    assert_eq!(json!(told), json!([2, 1, 4, 1, 1]), "{summary}");
    assert_eq!(
        (&summary["people"], &summary["merge_rate"]),
        (&json!(1), &json!(0.5))
    );
    let sources = summary["sources"].as_array().unwrap();
    let people: i64 = sources
        .iter()
        .map(|source| source["counts"]["people"].as_i64().unwrap())
        .sum();
    assert_eq!(people, 1, "{summary}");
    assert_eq!(summary["findings"][0]["name"], "email.invalid");
    assert_eq!(summary["findings"][0]["counts"]["found"], 1);
    let sports = summary["cohorts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["slug"] == "sports")
        .unwrap();
    let told = ["size", "entered_day", "left_day", "entered_week"].map(|name| &sports[name]);
    assert_eq!(json!(told), json!([1, 2, 1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_over_time_end_at_today() {
    let app = TestApp::start().await;
    some_weeks(&app).await;
    for (of, size) in [
        ("of=cohort&name=sports", 1),
        ("of=people", 1),
        ("of=cohort&name=Travel", 0),
    ] {
        let series = app.get(&format!("/api/analytics/series?{of}&step=day")).await;
        let points = series["points"].as_array().unwrap();
        assert_eq!(points.len(), 8, "{series}");
        assert_eq!(points[7]["size"], size, "{series}");
        assert_eq!(points[0]["size"], 0, "{series}");
    }
    for wrong in ["of=cohort", "of=people&from=2020-01-01T00:00:00Z", "of=nothing"] {
        let answer = app
            .get_as(Role::Viewer, &format!("/api/analytics/series?{wrong}"))
            .await;
        assert_eq!(answer.0.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
    let answer = app
        .get_as(Role::Viewer, "/api/analytics/series?of=cohort&name=Pottery")
        .await;
    assert_eq!(answer.0.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_cohort_is_told_latest_first_and_in_pages() {
    let app = TestApp::start().await;
    some_weeks(&app).await;
    let (mut told, mut before) = (Vec::new(), String::new());
    loop {
        let page = app
            .get(&format!("/api/cohorts/sports/history?limit=1{before}"))
            .await;
        for change in page["changes"].as_array().unwrap() {
            told.push((change["kind"].clone(), change["reason"].clone()));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => before = format!("&before={cursor}"),
            None => break,
        }
    }
    let entered = |reason: Value| (json!("cohort.entered"), reason);
    let expect = [
        (json!("cohort.left"), json!(["basketball"])),
        entered(json!(["basketball"])),
        entered(json!(["basketball"])),
    ];
    assert_eq!(told, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn frequent_interests_are_counted_by_people() {
    let app = TestApp::start().await;
    app.ingest(json!([
        { "cookie": "a", "interests": ["golf", "jazz"] },
        { "cookie": "b", "interests": ["golf"] },
        { "cookie": "c", "interests": ["Golf", "poker"] },
    ]))
    .await;
    let seen = async {
        loop {
            let frequent = app.get("/api/analytics/interests?limit=2").await["interests"].clone();
            if frequent[0]["people"] == 3 {
                return frequent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let frequent = tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
    assert_eq!(
        frequent,
        json!([{ "interest": "golf", "people": 3 }, { "interest": "jazz", "people": 1 }])
    );
}
