//! The audit log: who did what is told by whichever door it came, and nobody is named in it.

use cdp::domain::role::Role;
use serde_json::{Value, json};

use crate::support::answer::Answer;
use crate::support::app::TestApp;

const ANN: &str = "ann.audited@example.com";

/// The entries that are found with these arguments, each as `caller action status`.
async fn told(app: &TestApp, arguments: &[(&str, &str)]) -> Vec<String> {
    let page = app.ask("/api/audit", arguments).await.ok();
    let entries = page["entries"].as_array().unwrap().iter();
    let line = |entry: &Value| {
        let text = |name: &str| entry[name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("caller"), text("action"), entry["status"])
    };
    // To look into the log is told as well.
    let lines = entries.map(line).filter(|line| !line.contains(" auditLog "));
    lines.collect()
}

/// Reads are kept within a moment.
async fn told_soon(app: &TestApp, arguments: &[(&str, &str)], count: usize) -> Vec<String> {
    for _ in 0..100 {
        let lines = told(app, arguments).await;
        if lines.len() >= count {
            return lines;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    told(app, arguments).await
}

#[tokio::test]
async fn who_asks_about_a_person_is_found_by_the_person() {
    let app = TestApp::start().await;
    app.ingest(json!([{ "cookie": "audited-1", "email": ANN }])).await;
    app.get_as(Role::Viewer, &format!("/api/user?email={ANN}")).await;
    app.get_as(Role::Analyst, "/api/user?email=ANN.Audited@Example.com")
        .await;
    app.get_as(Role::Ingest, &format!("/api/user?email={ANN}")).await;
    app.graphql(&format!(r#"{{ profile(email: "{ANN}") {{ id }} }}"#), json!({}))
        .await;
    app.get_as(Role::Viewer, "/api/user?email=somebody.else@example.com")
        .await;
    let (lines, get) = (told_soon(&app, &[("email", ANN)], 4).await, operation());
    assert_eq!(
        lines,
        [
            "admin Query.profile 200".to_owned(),
            format!("ingest {get} 403"),
            format!("analyst {get} 200"),
            format!("viewer {get} 200"),
        ]
    );
    let all = app.ask("/api/audit", &[("limit", "1000")]).await;
    assert!(
        !all.text.contains("example.com") && !all.text.contains("audited-1"),
        "{}",
        all.text
    );
}

/// The operation behind `GET /api/user`.
fn operation() -> String {
    let spec: Value = serde_json::from_str(include_str!("../../schema/openapi.json")).unwrap();
    spec["paths"]["/user"]["get"]["operationId"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_change_is_told_before_it_is_answered() {
    let app = TestApp::alone().await;
    let body = json!({ "name": "Audited", "description": "What is looked at closely." });
    let request = app.client().post("/api/cohorts").body_json(&body);
    let answer = app.answer_to(Role::Analyst, request).await;
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let lines = told(&app, &[("user", "analyst")]).await;
    assert_eq!(lines.len(), 2, "the log-in and the change: {lines:?}");
    assert!(
        lines[0].starts_with("analyst ") && lines[0].contains("ohort"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_failed_log_in_is_told_by_the_name_that_was_tried() {
    let app = TestApp::start().await;
    let wrong = json!({ "username": "Admin", "password": "a guess" });
    let response = app
        .client()
        .post("/api/auth/token")
        .body_json(&wrong)
        .send()
        .await;
    assert_eq!(Answer::of(response).await.status, 401);
    let lines = told(&app, &[("user", "admin"), ("action", "logIn")]).await;
    assert_eq!(lines, [" logIn 401", "admin logIn 200"]);
}

#[tokio::test]
async fn what_is_sent_and_what_is_nobodys_is_not_told() {
    let app = TestApp::start().await;
    app.ingest(json!([{ "cookie": "audited-2" }])).await;
    app.get("/api/audit").await;
    let unknown = app.client().get("/api/user?cookie=audited-2").send().await;
    assert_eq!(unknown.0.status().as_u16(), 401);
    let lines = told_soon(&app, &[], 4).await;
    assert!(
        !lines
            .iter()
            .any(|line| line.starts_with("ingest ") && !line.contains("logIn")),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.contains("401")), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn years_that_nobody_will_see_are_no_failure() {
    let app = TestApp::start().await;
    let page = app
        .get("/api/audit?from=0272-02-14T09:56:59Z&until=9999-12-31T00:00:00Z")
        .await;
    assert!(page["entries"].is_array(), "{page}");
}
