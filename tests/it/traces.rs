//! Spans: what a real run of the program sends to a collector, how its spans hang together and
//! with those of callers and receivers, that they say nothing of people, and that a collector that
//! keeps everybody waiting keeps nobody waiting.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::collector::{Collector, Span};
use crate::support::receiver::Receiver;
use crate::support::server::{Client, Server};

/// A caller's own trace and span.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What OTLP calls a server's span, and a client's.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// What is told of somebody in this file, and must not reach the collector.
const SECRETS: [&str; 8] = [
    "traced.person",
    "example.org",
    "1701112223",
    "Tracey Traceable",
    "cookie-of-traced",
    "1234 Traced Street",
    "wrong-password-of-traced",
    "token-of-the-collector",
];

fn settings(collector: &Collector) -> Vec<(&'static str, String)> {
    vec![
        ("CDP_TELEMETRY__OTLP__ENDPOINT", collector.url()),
        (
            "CDP_TELEMETRY__OTLP__HEADERS",
            r#"{authorization="Bearer token-of-the-collector"}"#.to_owned(),
        ),
    ]
}

async fn start(collector: &Collector) -> (Server, Client) {
    let settings = settings(collector);
    let settings: Vec<(&str, &str)> = settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let server = Server::over("mem://", &settings).await;
    let client = Client::log_in(&server.url).await;
    (server, client)
}

fn person() -> Value {
    json!([{
        "cookie": "cookie-of-traced", "email": "traced.person@example.org", "name": "Tracey Traceable",
        "phone_number": "+49 170 1112223", "location": "1234 Traced Street",
        "interests": ["a hobby that nobody had before", "tennis"],
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_trace_from_its_caller_to_the_store_and_to_receivers() {
    let collector = Collector::start().await;
    let receiver = Receiver::start(|_| 200).await;
    let (server, client) = start(&collector).await;
    let wish = json!({ "name": "traced", "url": receiver.url(), "fields": ["email"] });
    let made = client
        .request(Method::POST, "/api/webhooks")
        .json(&wish)
        .send()
        .await;
    made.unwrap().error_for_status().unwrap();

    let request = client.request(Method::POST, "/api/ingest").json(&person());
    let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let reference = answer.headers()["traceresponse"].to_str().unwrap().to_owned();
    let letters = receiver.until(1).await;
    misbehave(&client, &server.url).await;
    server.stop().await;

    let spans = collector.spans();
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let request = spans.iter().find(|span| span.name == "POST /api/ingest").unwrap();
    assert_eq!(
        (request.trace.as_str(), request.parent.as_str(), request.kind),
        (TRACE, PARENT, SERVER)
    );
    assert_eq!(reference, format!("00-{TRACE}-{}-01", request.id));
    assert_eq!(request.attributes["http.route"], "/api/ingest");
    assert_eq!(request.attributes["http.request.method"], "POST");
    assert_eq!(request.attributes["http.response.status_code"], "200");
    assert!(!request.is_error, "{request:?}");

    // All that it took is below it.
    let below: BTreeSet<&str> = (spans.iter())
        .filter(|span| span.trace == TRACE && leads_to(span, &request.id, &by_id))
        .map(|span| span.name.as_str())
        .collect();
    for name in [
        "decode", "pack", "validate", "classify", "model", "write", "read", "resolve", "segment", "commit",
        "store",
    ] {
        assert!(below.contains(name), "{name} is not below the request: {below:?}");
    }

    // A delivery is a trace of its own, which the receiver can go on with.
    let sent = spans.iter().find(|span| span.name == "webhook").unwrap();
    assert_eq!((sent.kind, sent.parent.as_str()), (CLIENT, ""));
    assert_eq!(sent.attributes["http.response.status_code"], "200");
    let told: Vec<String> = letters
        .iter()
        .map(|letter| letter.header("traceparent").to_owned())
        .collect();
    assert!(
        told.contains(&format!("00-{}-{}-01", sent.trace, sent.id)),
        "{told:?}"
    );

    check_names(&spans);
    check_nobody_is_told_of(&collector, client.bearer());
    let resources = collector.resources();
    assert!(!resources.is_empty());
    for resource in resources {
        assert_eq!(resource["service.name"], "cdp");
        assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    }
    for said in collector.authorizations() {
        assert_eq!(said, "Bearer token-of-the-collector");
    }
}

/// Requests with people in them, most of which fail.
async fn misbehave(client: &Client, url: &str) {
    let get = async |path: &str| {
        let request = client.request(Method::GET, path);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(get("/api/user?email=traced.person@example.org").await, 200);
    assert_eq!(get("/api/v1/user?cookie=cookie-of-traced").await, 200);
    assert_eq!(get("/api/traced.person@example.org").await, 404);
    assert_eq!(get("/api/profiles/traced.person@example.org/graph").await, 400);
    let query = r#"{ profile(email: "traced.person@example.org") { id firstName } }"#;
    client.graphql(query, Value::Null).await;
    let log_in = json!({ "username": "traced.person@example.org", "password": "wrong-password-of-traced" });
    let request = reqwest::Client::new()
        .post(format!("{url}/api/auth/token"))
        .json(&log_in);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 401);
    let request = client
        .request(Method::POST, "/api/ingest")
        .header("x-request-id", "+491701112223");
    let request = request.body("{\"cookie\": \"cookie-of-traced\"");
    let request = request.header("content-type", "application/json");
    assert!(request.send().await.unwrap().status().is_client_error());
}

fn leads_to(span: &Span, to: &str, by_id: &BTreeMap<&str, &Span>) -> bool {
    let mut at = span;
    while at.parent != to {
        match by_id.get(at.parent.as_str()) {
            Some(parent) => at = parent,
            None => return false,
        }
    }
    true
}

/// A request is named by its template, whoever it was about.
fn check_names(spans: &[Span]) {
    let names: BTreeSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    for name in [
        "GET /api/user",
        "GET unmatched",
        "GET /api/profiles/{id}/graph",
        "POST /graphql",
        "POST /api/auth/token",
    ] {
        assert!(names.contains(name), "{name}: {names:?}");
    }
    let versioned = spans.iter().filter(|span| span.name == "GET /api/user").count();
    assert_eq!(versioned, 2);
}

#[track_caller]
fn check_nobody_is_told_of(collector: &Collector, bearer: &str) {
    let bytes = collector.bytes();
    let found: Vec<&str> = (SECRETS.into_iter().chain([bearer]))
        .filter(|secret| bytes.windows(secret.len()).any(|part| part == secret.as_bytes()))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    for span in collector.spans() {
        let mut told = span.attributes.values().chain([&span.name]);
        assert!(!told.any(|text| text.contains('@')), "{span:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_together_is_linked_to_each_request() {
    let collector = Collector::start().await;
    let (server, client) = start(&collector).await;
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..64 {
        let client = client.clone();
        sending.spawn(async move { client.ingest(&json!([{ "cookie": format!("c{number}") }])).await });
    }
    while let Some(report) = sending.join_next().await {
        report.unwrap().unwrap();
    }
    server.stop().await;
    let spans = collector.spans();
    let requests: BTreeSet<&str> = (spans.iter())
        .filter(|span| span.name == "POST /api/ingest")
        .map(|span| span.trace.as_str())
        .collect();
    assert_eq!(requests.len(), 64, "each is a trace of its own");
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    let writes: Vec<&Span> = spans.iter().filter(|span| span.name == "write").collect();
    let chunks: usize = (writes.iter())
        .map(|write| write.attributes["chunks"].parse::<usize>().unwrap())
        .sum();
    assert_eq!(chunks, 64, "each is written once");
    let links: Vec<&String> = writes.iter().flat_map(|write| &write.links).collect();
    assert_eq!(links.len(), 64 - writes.len(), "but for the first of each group");
    assert!(links.iter().all(|link| ids.contains(link.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_part_is_exported_where_only_a_part_is_wanted() {
    let collector = Collector::start().await;
    let url = collector.url();
    let settings = [
        ("CDP_TELEMETRY__OTLP__ENDPOINT", url.as_str()),
        ("CDP_TELEMETRY__OTLP__SAMPLE_RATIO", "0.0"),
        ("CDP_TELEMETRY__OTLP__SERVICE_NAME", "shop-cdp"),
    ];
    let server = Server::over("mem://", &settings).await;
    let client = Client::log_in(&server.url).await;
    for flags in ["00", "01"] {
        // The caller decides of a trace that the caller began.
        let request = client.request(Method::GET, "/api/cohorts");
        let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-{flags}"));
        request.send().await.unwrap().error_for_status().unwrap();
    }
    server.stop().await;
    let spans = collector.spans();
    let requests: Vec<&Span> = spans.iter().filter(|span| span.kind == SERVER).collect();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:?}");
    assert_eq!(collector.resources()[0]["service.name"], "shop-cdp");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_or_is_gone_keeps_nobody_waiting_and_what_is_lost_is_counted() {
    let hanging = Collector::answering_after(Duration::from_hours(1)).await;
    let (server, client) = start(&hanging).await;
    let mut sent = 0;
    while client.counter("cdp_trace_spans_total{outcome=\"dropped\"}").await == 0 {
        let records: Vec<Value> = (0..20)
            .map(|n| json!({ "cookie": format!("c{sent}-{n}") }))
            .collect();
        let mut sending = tokio::task::JoinSet::new();
        for record in records {
            let client = client.clone();
            sending.spawn(async move { client.ingest(&json!([record])).await });
        }
        while let Some(report) = sending.join_next().await {
            report.unwrap().unwrap();
        }
        sent += 1;
        assert!(sent < 1_000, "spans wait without a bound");
    }
    assert_eq!(
        client
            .counter("cdp_trace_spans_total{outcome=\"exported\"}")
            .await,
        0
    );
    server.stop().await;

    // Nobody listens there.
    let gone = [("CDP_TELEMETRY__OTLP__ENDPOINT", "http://127.0.0.1:9")];
    let server = Server::over("mem://", &gone).await;
    let client = Client::log_in(&server.url).await;
    client.ingest(&json!([{ "cookie": "a" }])).await.unwrap();
    while client.counter("cdp_trace_spans_total{outcome=\"failed\"}").await == 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.ingest(&json!([{ "cookie": "b" }])).await.unwrap();
    server.stop().await;
}
