//! How often one client may ask.

use cdp::domain::role::Role;
use cdp::domain::write_key::KeyKind;
use cdp::services::write_keys::DEMO_KEYS;
use serde_json::json;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};
use crate::support::server::token;

/// How many requests pass at once of somebody who may ask once a second.
const AT_ONCE: usize = 5;

/// So many are never answered within so few seconds that all of them pass.
const REFUSED_BY: usize = 1_000;

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let mut config = config();
    config.api.limits.caller_per_second = 1;
    let app = TestApp::with(&config).await;
    let mut passed = 0;
    let refused = loop {
        let answer = Answer::of(app.get_as(Role::Viewer, "/api/cohorts").await).await;
        if answer.status == 429 {
            break answer;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        passed += 1;
        assert!(passed < REFUSED_BY, "nothing is refused");
    };
    refused.error(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(passed >= AT_ONCE, "five at once, and one a second: {passed}");
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
    for attempt in 0..REFUSED_BY {
        // A token that proves nothing makes nobody known.
        let mut request = client.get(format!("{}/api/cohorts", served.url));
        if attempt % 2 == 0 {
            request = request.bearer_auth("made-up");
        }
        statuses.push(request.send().await.unwrap().status().as_u16());
        if statuses.ends_with(&[429]) {
            break;
        }
    }
    assert_eq!(statuses[..AT_ONCE], [401; AT_ONCE]);
    assert!(statuses.ends_with(&[429]), "{statuses:?}");
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
    let paths = ["/openapi.json", "/graphql", "/api/nowhere", "/v1/track"];
    for path in paths.into_iter().cycle().take(REFUSED_BY) {
        let request = client.get(format!("{}{path}", served.url));
        let request = if path == "/v1/track" {
            request.basic_auth(of_website, Some(""))
        } else {
            request.bearer_auth("made-up")
        };
        statuses.push(request.send().await.unwrap().status().as_u16());
        if statuses.ends_with(&[429]) {
            break;
        }
    }
    assert!(!statuses[..4].contains(&429), "{statuses:?}");
    assert!(statuses.ends_with(&[429]), "{statuses:?}");

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
