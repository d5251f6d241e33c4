//! GraphQL subscriptions over a real socket: who may, what comes, and when it ends.

use std::time::Duration;

use cdp::domain::role::Role;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::app::{TestApp, config};
use crate::support::server::{Client, token};
use crate::support::socket::{Heard, Socket};

async fn connect(url: &str, payload: Value) -> Socket {
    let mut socket = Socket::open(url).await.unwrap();
    socket
        .say(&json!({ "type": "connection_init", "payload": payload }))
        .await;
    socket
}

async fn log_in(url: &str, role: Role) -> Socket {
    let token = token(&reqwest::Client::new(), url, role).await;
    let bearer = json!({ "Authorization": format!("Bearer {token}") });
    let mut socket = connect(url, bearer).await;
    socket.hear_of("connection_ack").await;
    socket
}

async fn subscribe(socket: &mut Socket, id: &str, query: &str) {
    socket
        .say(&json!({ "type": "subscribe", "id": id, "payload": { "query": query } }))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_as_they_happen_behind_any_cursor() {
    let app = TestApp::serve().await;
    let client = Client::log_in(&app.url).await;
    let record = json!([{ "cookie": "a", "interests": ["tennis"] }]);
    client.ingest(&record).await.unwrap();
    let mut socket = log_in(&app.url, Role::Viewer).await;
    let query = "subscription { cohortChanged(cohort: \"Sports\", after: \"0\") { profileId entered reason cohort { slug } } }";
    subscribe(&mut socket, "1", query).await;
    let next = socket.hear_of("next").await;
    assert_eq!(
        next["payload"]["data"]["cohortChanged"],
        json!({ "profileId": "p0", "entered": true, "reason": ["tennis"], "cohort": { "slug": "sports" } })
    );
    subscribe(
        &mut socket,
        "2",
        "subscription { profileMerged(after: \"1\") { absorbed survivor } }",
    )
    .await;
    subscribe(
        &mut socket,
        "3",
        "subscription { profileChanged(after: \"1\") { profileId rev created } }",
    )
    .await;
    let record = json!([{ "cookie": "b", "email": "b@shop.example" }]);
    client.ingest(&record).await.unwrap();
    let changed = socket.hear_of("next").await;
    assert_eq!(changed["id"], "3");
    assert_eq!(
        changed["payload"]["data"]["profileChanged"],
        json!({ "profileId": "p1", "rev": 1, "created": true })
    );
    let record = json!([{ "cookie": "a", "email": "b@shop.example" }]);
    client.ingest(&record).await.unwrap();
    let mut heard = [socket.hear_of("next").await, socket.hear_of("next").await];
    heard.sort_by_key(|message| message["id"].to_string());
    assert_eq!(
        heard[0]["payload"]["data"]["profileMerged"],
        json!({ "absorbed": "p1", "survivor": "p0" })
    );
    assert_eq!(heard[1]["id"], "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_watched_to_its_end() {
    let app = TestApp::serve().await;
    let client = Client::log_in(&app.url).await;
    let report = client.ingest(&json!([{ "cookie": "a" }])).await.unwrap();
    let mut socket = log_in(&app.url, Role::Ingest).await;
    let batch = report["batch_id"].as_str().unwrap();
    let query = format!("subscription {{ batchProgress(id: \"{batch}\") {{ recordsProcessed finished }} }}");
    subscribe(&mut socket, "1", &query).await;
    let next = socket.hear_of("next").await;
    assert_eq!(
        next["payload"]["data"]["batchProgress"],
        json!({ "recordsProcessed": 1, "finished": true })
    );
    socket.hear_of("complete").await;

    // Who sends records reads nobody, and sees no schema.
    subscribe(&mut socket, "2", "subscription { profileChanged { profileId } }").await;
    let refused = socket.hear_of("next").await;
    assert_eq!(
        refused["payload"]["errors"][0]["extensions"]["code"], "forbidden",
        "{refused}"
    );
    subscribe(&mut socket, "3", "{ __schema { types { name } } }").await;
    let hidden = socket.hear_of("next").await;
    assert!(hidden["payload"]["data"]["__schema"].is_null(), "{hidden}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_socket_nothing_is_run_but_subscriptions() {
    let app = TestApp::serve().await;
    let client = Client::log_in(&app.url).await;
    client.ingest(&json!([{ "cookie": "kept" }])).await.unwrap();
    let mut socket = log_in(&app.url, Role::Admin).await;
    let erase = "mutation { eraseUser(cookie: \"kept\") { id } }";
    for query in ["{ cohorts { slug } }", erase] {
        subscribe(&mut socket, "1", query).await;
        let refused = socket.hear_of("next").await;
        let error = &refused["payload"]["errors"][0];
        assert_eq!(error["extensions"]["code"], "bad_request", "{refused}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("subscriptions only"), "{refused}");
        assert!(refused["payload"]["data"].is_null(), "{refused}");
        socket.hear_of("complete").await;
    }
    assert_eq!(client.status("/api/user?cookie=kept").await, 200);

    // Of several operations it is the one that is asked for which counts.
    let several =
        "query A { cohorts { slug } } subscription B { profileChanged(after: \"0\") { profileId } }";
    for (name, is_run) in [("A", false), ("B", true)] {
        let payload = json!({ "query": several, "operationName": name });
        socket
            .say(&json!({ "type": "subscribe", "id": name, "payload": payload }))
            .await;
        let next = socket.hear_of("next").await;
        assert_eq!(next["id"], name);
        assert_eq!(next["payload"]["errors"].is_null(), is_run, "{next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribes_is_told_by_name() {
    let app = TestApp::serve().await;
    let client = Client::log_in(&app.url).await;
    client.ingest(&json!([{ "cookie": "a" }])).await.unwrap();
    let mut socket = log_in(&app.url, Role::Viewer).await;
    let query = "subscription { profileChanged(after: \"0\") { profileId } }";
    subscribe(&mut socket, "1", query).await;
    socket.hear_of("next").await;
    let path = "/api/audit?action=Subscription.profileChanged";
    let mut told = Value::Null;
    for _ in 0..2_400 {
        told = client.ok(Method::GET, path, &Value::Null).await["entries"][0].clone();
        if !told.is_null() {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    for (name, expected) in [
        ("caller", "viewer"),
        ("role", "viewer"),
        ("door", "graphql"),
        ("address", "127.0.0.1"),
    ] {
        assert_eq!(told[name], expected, "{name}: {told}");
    }
    assert_eq!(told["status"], 101, "{told}");
    assert_ne!(told["request_id"], "", "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_counts_as_a_request_of_its_caller() {
    let mut settings = config();
    settings.api.limits.caller_per_second = 1;
    let app = TestApp::serve_with(settings).await;
    let mut socket = log_in(&app.url, Role::Viewer).await;
    let mut refused = Value::Null;
    for number in 0..1_000 {
        let id = number.to_string();
        // Answered at once, since there is no such cohort.
        let query = "subscription { cohortChanged(cohort: \"nowhere\") { entered } }";
        subscribe(&mut socket, &id, query).await;
        let next = socket.hear_of("next").await;
        refused = next["payload"]["errors"][0]["extensions"].clone();
        if refused["code"] == "rate_limited" {
            break;
        }
    }
    assert_eq!(refused["code"], "rate_limited", "{refused}");
    assert!(refused["retryAfter"].as_u64().unwrap() >= 1, "{refused}");
}

/// How many connections of one address may be open before who is there is said.
const SILENT_MAX: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn strangers_hold_no_place_of_those_who_are_known() {
    let mut settings = config();
    settings.activation.streams_max = 2;
    let app = TestApp::serve_with(settings).await;
    let mut silent = Vec::new();
    for _ in 0..SILENT_MAX {
        silent.push(Socket::open(&app.url).await.unwrap());
    }
    assert_eq!(Socket::open(&app.url).await.err(), Some(503));
    silent.pop();
    let mut socket = open_soon(&app.url).await;
    let token = token(&reqwest::Client::new(), &app.url, Role::Viewer).await;
    socket
        .say(&json!({ "type": "connection_init", "payload": { "token": token } }))
        .await;
    socket.hear_of("connection_ack").await;
    // Who is known leaves the place to the next one.
    let mut next = open_soon(&app.url).await;
    next.say(&json!({ "type": "connection_init", "payload": { "token": token } }))
        .await;
    next.hear_of("connection_ack").await;
}

/// Opens a connection once there is a place for it: one that was left is free a moment later.
async fn open_soon(url: &str) -> Socket {
    for _ in 0..2_400 {
        if let Ok(opened) = Socket::open(url).await {
            return opened;
        }
        sleep(Duration::from_millis(50)).await;
    }
    Socket::open(url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_known_hears_nothing_and_a_token_ends_the_connection_with_it() {
    let app = TestApp::serve().await;
    for payload in [
        json!({}),
        json!({ "token": "nonsense" }),
        json!({ "Authorization": "Basic YTpi" }),
    ] {
        let mut socket = connect(&app.url, payload.clone()).await;
        let Heard::Closed(code) = socket.hear().await else {
            panic!("{payload} was let in")
        };
        assert_eq!(code, 1002, "{payload}");
    }
    let mut settings = config();
    settings.auth.token_ttl_s = 2;
    let app = TestApp::serve_with(settings).await;
    let token = token(&reqwest::Client::new(), &app.url, Role::Viewer).await;
    let mut socket = connect(&app.url, json!({ "token": token })).await;
    socket.hear_of("connection_ack").await;
    assert_eq!(socket.hear().await, Heard::Closed(4401));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_connections_and_subscriptions_and_no_more() {
    let mut settings = config();
    settings.activation.streams_max = 2;
    let app = TestApp::serve_with(settings).await;
    let mut socket = log_in(&app.url, Role::Viewer).await;
    subscribe(&mut socket, "1", "subscription { profileMerged { absorbed } }").await;
    subscribe(&mut socket, "2", "subscription { profileChanged { profileId } }").await;
    let refused = socket.hear_of("next").await;
    assert_eq!(
        refused["payload"]["errors"][0]["extensions"]["code"], "rate_limited",
        "{refused}"
    );
    let token = token(&reqwest::Client::new(), &app.url, Role::Viewer).await;
    let mut late = connect(&app.url, json!({ "token": token })).await;
    assert_eq!(late.hear().await, Heard::Closed(1013));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_who_they_are_is_let_go() {
    let app = TestApp::serve().await;
    let mut silent = Socket::open(&app.url).await.unwrap();
    assert_eq!(silent.hear().await, Heard::Closed(4408));
}
