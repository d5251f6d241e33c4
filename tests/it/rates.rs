//! How often one client may ask.

use cdp::domain::role::Role;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};

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
