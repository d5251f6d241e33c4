//! The log for machines: every line is JSON with the fields that docs/OPERATIONS.md names, and no
//! line says anything of the people, passwords and tokens that went through.

use std::collections::BTreeSet;
use std::path::Path;

use cdp::services::write_keys::DEMO_KEYS;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::server::{Client, Server, by_hand, store_url};

/// What is sent in bodies, queries, paths and headers, and must not be in the log.
const SECRETS: [&str; 12] = [
    "logged.person",
    "second.person",
    "private.example",
    "1709998887",
    "170 999 8887",
    "Loggia Loggable",
    "cookie-of-logged",
    "9 Logged Lane",
    "wrong-password-of-logged",
    "forged-signature-of-logged",
    "interest of logged",
    "idempotent-logged",
];

/// A token that proves nothing, of somebody.
const FORGED: &str =
    "eyJhbGciOiJFZERTQSIsImtpZCI6ImEifQ.eyJzdWIiOiJsb2dnZWQucGVyc29uIn0.forged-signature-of-logged";

#[tokio::test(flavor = "multi_thread")]
async fn every_line_is_json_and_none_tells_of_anybody() {
    for filter in ["info,surreal=warn,tantivy=warn,hyper=warn", "info,cdp=debug"] {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let settings = [
            ("CDP_TELEMETRY__FORMAT", "json"),
            ("CDP_TELEMETRY__FILTER", filter),
            ("CDP_API__LIMITS__BODY_BYTES_IN_FLIGHT_MAX", "65536"),
            ("CDP_LOGIN__ATTEMPTS_PER_MINUTE", "1000"),
        ];
        let server = Server::logging_to(&log, "mem://", &settings).await;
        let client = Client::log_in(&server.url).await;
        send_people(&client, &server.url).await;
        fail(&client, &server.url).await;
        let bearer = client.bearer().to_owned();
        server.stop().await;
        check_lines(&log, &bearer);
    }
}

async fn send_people(client: &Client, url: &str) {
    let person = json!({
        "cookie": "cookie-of-logged", "email": "logged.person@private.example",
        "name": "Loggia Loggable", "phone_number": "+49 170 999 8887", "location": "9 Logged Lane",
        "interests": ["interest of logged"],
    });
    let other = json!({ "cookie": "cookie-of-logged-2", "email": "second.person@private.example" });
    let tie = json!({ "cookie": "cookie-of-logged-2", "email": "logged.person@private.example" });
    client.ingest(&json!([person, other, tie])).await.unwrap();
    let bad = json!([
        { "cookie": "cookie-of-logged", "email": "not an address of logged.person", "demographics": { "age": "Loggia Loggable" } },
        { "email": "logged.person@private.example", "phone_number": "+491709998887" },
        "logged.person@private.example",
    ]);
    let request = client.request(Method::POST, "/api/ingest?source=private.example");
    let request = request.json(&bad).header("idempotency-key", "idempotent-logged");
    assert!(request.send().await.unwrap().status().as_u16() < 500);
    let track = json!({
        "event": "Looked", "userId": "logged.person@private.example", "anonymousId": "cookie-of-logged",
        "properties": { "interests": ["interest of logged"], "note": "Loggia Loggable" },
    });
    let request = reqwest::Client::new().post(format!("{url}/v1/track"));
    let request = request.basic_auth(DEMO_KEYS[1].1, Some("")).json(&track);
    request.send().await.unwrap().error_for_status().unwrap();
}

/// Requests that name people in every place, and fail in as many ways.
async fn fail(client: &Client, url: &str) {
    let ask = async |path: &str| {
        let request = client.request(Method::GET, path);
        let request = request.header("x-request-id", "+491709998887");
        let request = request.header("traceparent", "logged.person@private.example");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("/api/user?email=logged.person@private.example").await, 200);
    assert_eq!(
        ask("/api/user?email=nobody.logged.person@private.example").await,
        404
    );
    assert_eq!(
        ask("/api/user?email=logged.person%40&cookie=+491709998887").await,
        400
    );
    assert_eq!(ask("/api/logged.person@private.example").await, 404);
    assert_eq!(
        ask("/api/profiles/logged.person@private.example/graph").await,
        400
    );
    assert_eq!(ask("/api/users/search?q=Loggia+Loggable").await, 200);

    let http = reqwest::Client::new();
    let forged = http
        .get(format!("{url}/api/cohorts"))
        .bearer_auth(FORGED)
        .send()
        .await;
    assert_eq!(forged.unwrap().status().as_u16(), 401);
    let log_in =
        json!({ "username": "logged.person@private.example", "password": "wrong-password-of-logged" });
    let refused = http
        .post(format!("{url}/api/auth/token"))
        .json(&log_in)
        .send()
        .await;
    assert_eq!(refused.unwrap().status().as_u16(), 401);
    let unknown = http
        .post(format!("{url}/v1/track"))
        .basic_auth("wrong-password-of-logged", Some(""));
    let unknown = unknown.json(&json!({ "event": "x", "userId": "logged.person@private.example" }));
    assert_eq!(unknown.send().await.unwrap().status().as_u16(), 401);

    let broken = client.request(Method::POST, "/api/ingest");
    let broken = broken.header("content-type", "application/json");
    let broken = broken.body(r#"{"email": "logged.person@private.example", "phone_number": "+491709998887""#);
    assert!(broken.send().await.unwrap().status().is_client_error());
    for query in [
        r#"{ profile(email: "logged.person@private.example") { id name } "#,
        r#"{ profile(email: "logged.person@private.example") { loggia_loggable } }"#,
        r#"{ profile(email: "not.an.address.of.logged.person") { id } }"#,
    ] {
        let request = client
            .request(Method::POST, "/graphql")
            .json(&json!({ "query": query }));
        request.send().await.unwrap();
    }
    // More than may be in flight: the one failure here of which a line tells in any case.
    let much = json!({ "query": "logged.person@private.example ".repeat(4_000) });
    let request = client.request(Method::POST, "/graphql").json(&much);
    let answer = request
        .header("x-request-id", "the-refused-one")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
}

/// Whoever reads what is stored, and the engine that stores it, quote what they can't be content with.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_store_is_told_and_not_what_it_holds() {
    let place = tempfile::tempdir().unwrap();
    let server = Server::start(place.path()).await;
    let client = Client::log_in(&server.url).await;
    let known = json!([{ "cookie": "cookie-of-logged", "name": "Loggia Loggable" }]);
    client.ingest(&known).await.unwrap();
    server.stop().await;
    // As if somebody had put a text where a person was, and a later version wanted more of cookies.
    let damage = "UPDATE profile SET document = '\"Loggia Loggable\"', rev += 1;
        DEFINE FIELD more ON cookie TYPE int;";
    by_hand(place.path(), damage).await;
    for format in ["text", "json"] {
        let log = place.path().join(format);
        let settings = [("CDP_TELEMETRY__FORMAT", format)];
        let server = Server::logging_to(&log, &store_url(place.path()), &settings).await;
        let client = Client::log_in(&server.url).await;
        assert_eq!(client.status("/api/user?cookie=cookie-of-logged").await, 500);
        let other = json!([{ "cookie": "cookie-of-logged-2" }]);
        let (status, _) = client.call(Method::POST, "/api/ingest", &other).await.unwrap();
        assert_eq!(status, 500);
        server.stop().await;
        let text = std::fs::read_to_string(&log).unwrap();
        for told in ["invalid type: string ", "of `cookie:`…`"] {
            assert!(text.contains(told), "{told} is not in\n{text}");
        }
        for secret in ["Loggia", "cookie-of-logged"] {
            assert!(!text.contains(secret), "{secret} is in\n{text}");
        }
    }
}

#[track_caller]
fn check_lines(log: &Path, bearer: &str) {
    let text = std::fs::read_to_string(log).unwrap();
    let lower = text.to_lowercase();
    let secrets = SECRETS.iter().map(|secret| secret.to_lowercase());
    let tokens = [bearer, FORGED, DEMO_KEYS[1].1].map(str::to_lowercase);
    let found: BTreeSet<String> = secrets
        .chain(tokens)
        .filter(|secret| lower.contains(secret))
        .collect();
    assert!(found.is_empty(), "{found:?} in\n{text}");

    let mut refused = None;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
        let request = &line["spans"][0];
        if request["request_id"] == "the-refused-one" {
            refused = Some(line);
        }
    }
    let refused = refused.unwrap_or_else(|| panic!("a request that was refused is not told of:\n{text}"));
    assert_eq!(
        (&refused["level"], &refused["reason"]),
        (&json!("WARN"), &json!("bytes"))
    );
    let request = &refused["spans"][0];
    assert_eq!(request["name"], "request");
    assert_eq!(
        (&request["http.request.method"], &request["http.route"]),
        (&json!("POST"), &json!("/graphql"))
    );
}
