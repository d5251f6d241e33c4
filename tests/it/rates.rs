//! How often one client may ask.

use cdp::domain::role::Role;
use cdp::domain::write_key::KeyKind;
use cdp::services::write_keys::DEMO_KEYS;
use serde_json::json;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};
use crate::support::server::token;

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let mut config = config();
    config.api.limits.caller_per_second = 1;
    let app = TestApp::with(&config).await;
    let mut refused = 0;
    for _ in 0..8 {
        let answer = Answer::of(app.get_as(Role::Viewer, "/api/cohorts").await).await;
        if answer.status == 429 {
            answer.error(429, "rate_limited");
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(
        (1..=3).contains(&refused),
        "five at once, and one a second: {refused}"
    );
    let other = Answer::of(app.get_as(Role::Analyst, "/api/cohorts").await).await;
    assert_eq!(other.status, 200, "{other:?}");
}

#[tokio::test]
async fn strangers_share_what_their_address_may_ask_and_probes_are_free() {
    let mut config = config();
    config.api.limits.strangers_per_second = 1;
    let served = TestApp::serve_with(config).await;
    let client = reqwest::Client::new();
    let mut statuses = Vec::new();
    for attempt in 0..10 {
        // A token that proves nothing makes nobody known.
        let mut request = client.get(format!("{}/api/cohorts", served.url));
        if attempt % 2 == 0 {
            request = request.bearer_auth("made-up");
        }
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses[..5], [401; 5]);
    assert!(statuses[5..].contains(&429), "{statuses:?}");
    for _ in 0..20 {
        let probe = client.get(format!("{}/healthz", served.url)).send().await;
        assert_eq!(probe.unwrap().status().as_u16(), 200);
    }
}

#[tokio::test]
async fn a_header_that_proves_nothing_makes_nobody_known() {
    let mut config = config();
    config.api.limits.strangers_per_second = 1;
    let served = TestApp::serve_with(config).await;
    let client = reqwest::Client::new();
    let token = token(&client, &served.url, Role::Viewer).await;
    let (_, of_website) = DEMO_KEYS
        .iter()
        .find(|(kind, _)| *kind == KeyKind::Public)
        .unwrap();
    let (_, of_program) = DEMO_KEYS
        .iter()
        .find(|(kind, _)| *kind == KeyKind::Server)
        .unwrap();
    // Routes that look at no token, or for another one, and none at all.
    let mut statuses = Vec::new();
    for path in ["/openapi.json", "/graphql", "/api/nowhere", "/v1/track"].repeat(3) {
        let request = client.get(format!("{}{path}", served.url));
        let request = if path == "/v1/track" {
            request.basic_auth(of_website, Some(""))
        } else {
            request.bearer_auth("made-up")
        };
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert!(!statuses[..4].contains(&429), "{statuses:?}");
    assert!(statuses[4..].contains(&429), "{statuses:?}");

    // Who is known shares nothing with them.
    for _ in 0..10 {
        let request = client.get(format!("{}/api/cohorts", served.url));
        let known = request.bearer_auth(&token).send().await.unwrap();
        assert_eq!(known.status().as_u16(), 200);
        let event = json!({ "userId": "7", "event": "Paid" });
        let request = client.post(format!("{}/v1/track", served.url)).json(&event);
        let known = request.basic_auth(of_program, Some("")).send().await.unwrap();
        assert_eq!(known.status().as_u16(), 200);
    }
}
