//! A corpus of requests that must be refused (`tests/fixtures/bad_input`): each gets a clear error
//! in the one form, what it brought is kept where it should be, and nothing else comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use base64::Engine as _;
use cdp::domain::role::Role;
use cdp::domain::write_key::KeyKind;
use cdp::services::write_keys::DEMO_KEYS;
use poem::http::HeaderValue;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};

const CORPUS: &str = include_str!("../fixtures/bad_input/requests.jsonl");

/// How many requests are refused by a status of their own; GraphQL's errors come on top.
const REFUSED_MIN: usize = 500;

/// Words that would tell of what is inside.
const INTERNALS: [&str; 6] = ["::", "panicked", "surreal", "Surreal", "/src/", "tokio"];

/// A request, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "as")]
    sender: String,
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    base64: Option<String>,
    repeat: Option<(String, String, usize, String)>,
    status: u16,
    code: Option<String>,
    field: Option<String>,
    says: Option<String>,
    kept: Option<usize>,
    #[serde(default)]
    graphql: bool,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        if let Some(text) = &self.base64 {
            return base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        }
        if let Some((before, part, times, behind)) = &self.repeat {
            return [before, part.repeat(*times).as_str(), behind]
                .concat()
                .into_bytes();
        }
        self.body.clone().unwrap_or_default().into_bytes()
    }

    fn authorization(&self, app: &TestApp) -> Option<String> {
        let key = |kind| {
            let (_, text) = DEMO_KEYS.iter().find(|(known, _)| *known == kind).unwrap();
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{text}:"));
            Some(format!("Basic {text}"))
        };
        match self.sender.as_str() {
            "nobody" => None,
            "server" => key(KeyKind::Server),
            "public" => key(KeyKind::Public),
            name => {
                let role = Role::ALL.into_iter().find(|role| role.name() == name);
                Some(format!("Bearer {}", app.token(role.unwrap())))
            }
        }
    }

    async fn send(&self, app: &TestApp) -> Answer {
        let method = self.method.parse().unwrap();
        let mut request = app.client().request(method, self.path.as_str());
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(name.as_str(), value);
        }
        if let Some(authorization) = self.authorization(app) {
            request = request.header("authorization", authorization);
        }
        Answer::of(request.body(self.bytes()).send().await).await
    }
}

/// What is wrong with an answer; nothing if it is as it must be.
fn judge(case: &Case, answer: &Answer) -> Result<(), String> {
    let hold = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    hold(
        answer.status == case.status,
        &format!("{} for {}", answer.status, case.status),
    )?;
    hold(!answer.header("x-request-id").is_empty(), "no request id")?;
    let body: Value = serde_json::from_str(&answer.text).map_err(|error| format!("no JSON: {error}"))?;
    let told = if case.graphql {
        judge_operation(case, &body)?
    } else if case.code.is_none() {
        judge_report(&body)?
    } else {
        hold((400..500).contains(&answer.status), "is no client error")?;
        let error = answer.error(case.status, case.code.as_deref().unwrap());
        hold(
            answer.status != 405 || !answer.header("allow").is_empty(),
            "names no method",
        )?;
        hold(
            answer.status != 401
                || case.path.starts_with("/v1")
                || case.path.starts_with("/collect")
                || answer.header("www-authenticate") == "Bearer",
            "names no challenge",
        )?;
        error
    };
    if let Some(field) = &case.field {
        hold(
            told["field"] == field.as_str(),
            &format!("field {}", told["field"]),
        )?;
    }
    let message = told["message"].as_str().unwrap_or_default();
    hold(!message.is_empty(), "says nothing")?;
    let said = case.says.as_deref().unwrap_or_default();
    hold(message.contains(said), &format!("says {message}"))?;
    // Field names and paths of schemas are ours to tell; what was sent may hold anything.
    let leaks = INTERNALS.iter().find(|word| message.contains(*word));
    let sent = String::from_utf8_lossy(&case.bytes()).into_owned() + &case.path;
    hold(
        leaks.is_none_or(|word| sent.contains(word)),
        &format!("tells of what is inside: {message}"),
    )
}

/// A payload of nothing but bad rows; its first finding.
fn judge_report(report: &Value) -> Result<Value, String> {
    let findings = report["errors"].as_array().cloned().unwrap_or_default();
    let is_refused = report["status"] == "error" && report["records_processed"] == 0;
    let is_coded =
        (findings.iter()).all(|finding| finding["code"].as_str().is_some_and(|code| !code.is_empty()));
    match findings.first() {
        Some(first) if is_refused && is_coded => Ok(first.clone()),
        _ => Err(format!("no report of refused rows: {report}")),
    }
}

/// An operation that failed; its first error.
fn judge_operation(case: &Case, answer: &Value) -> Result<Value, String> {
    let first = &answer["errors"][0];
    let code = first["extensions"]["code"].as_str().unwrap_or_default();
    let is_expected = case.code.as_deref().is_none_or(|expected| expected == code);
    if code.is_empty() || code == "internal" || !is_expected {
        return Err(format!("no error of an operation: {answer}"));
    }
    Ok(first.clone())
}

/// How many rejects are kept of a request.
async fn kept(app: &TestApp, answer: &Answer) -> Option<usize> {
    let body = answer.json();
    let named = body["batch_id"].as_str().map(str::to_owned);
    let message = body["error"]["message"].as_str().unwrap_or_default();
    let told = message
        .split_once("is kept in batch ")
        .map(|(_, batch)| batch.to_owned());
    let batch = named.or(told)?;
    let page = app.get(&format!("/api/ingest/{batch}/rejects?limit=1000")).await;
    page["rejects"].as_array().map(Vec::len)
}

/// What a refused request may not change.
async fn standing(app: &TestApp) -> Vec<Value> {
    let mut standing = Vec::new();
    for path in [
        "/api/cohorts",
        "/api/rules",
        "/api/corrections",
        "/api/merges",
        "/api/webhooks",
        "/api/suppressions",
        "/api/auth/users",
        "/api/backfills",
        "/api/user?cookie=bystander&include=identities,scores,provenance",
    ] {
        standing.push(app.get(path).await);
    }
    let mut keys = app.get("/api/write-keys").await;
    for key in keys["write_keys"].as_array_mut().unwrap() {
        key["last_used_at"].take();
    }
    standing.push(keys);
    standing.push(app.get("/api/analytics/summary").await["people"].clone());
    standing
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_request_gets_a_clear_error_and_changes_nothing() {
    let mut config = config();
    config.login.attempts_per_minute = NonZeroU32::MAX;
    let app = TestApp::with(&config).await;
    let bystander = json!({ "cookie": "bystander", "email": "by@shop.example", "interests": ["cricket"] });
    app.ingest(bystander).await;
    let before = standing(&app).await;

    let cases: Vec<Case> = CORPUS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let distinct: BTreeSet<&str> = CORPUS.lines().collect();
    assert_eq!(distinct.len(), cases.len(), "a request stands there twice");
    let refused = cases
        .iter()
        .filter(|case| (400..500).contains(&case.status))
        .count();
    assert!(refused >= REFUSED_MIN, "{refused} requests");

    let mut faults = Vec::new();
    let (mut expected, mut found) = (0, 0);
    for (line, case) in (1..).zip(&cases) {
        let answer = case.send(&app).await;
        let mut judged = judge(case, &answer);
        if let (Ok(()), Some(count)) = (&judged, case.kept) {
            let stored = kept(&app, &answer).await;
            expected += count;
            found += stored.unwrap_or_default();
            if stored != Some(count) {
                judged = Err(format!("{stored:?} rejects for {count}"));
            }
        }
        if let Err(fault) = judged {
            let start: String = answer.text.chars().take(200).collect();
            faults.push(format!(
                "line {line}, {} {}: {fault}: {start}",
                case.method, case.path
            ));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        cases.len(),
        faults.join("\n")
    );
    assert_eq!(found, expected);

    let after = standing(&app).await;
    assert_eq!(after, before, "something was written");
    for cookie in ["of-nobody", "whole", "b", "bad", "a"] {
        app.ask("/api/user", &[("cookie", cookie)])
            .await
            .error(404, "not_found");
    }
    let report = app.ingest(json!([{ "cookie": "good" }])).await;
    assert_eq!(report["records_processed"], 1);
    app.ask("/api/user", &[("cookie", "good")]).await.ok();
    println!(
        "{refused} requests refused, {} operations, {found} rejects kept",
        cases.len() - refused
    );
}

/// What does not even get as far as a route ends its own connection and nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_ends_its_own_connection_only() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let app = TestApp::serve().await;
    let address = app.url.strip_prefix("http://").unwrap();
    let long = format!(
        "GET /healthz HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n",
        "x".repeat(1_000_000)
    );
    let many = format!(
        "GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n",
        "x: y\r\n".repeat(5_000)
    );
    for bytes in [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "G\u{0}T / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "POST /api/auth/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}",
        long.as_str(),
        many.as_str(),
    ] {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        // It may be closed before all of it was taken.
        let _ = socket.write_all(bytes.as_bytes()).await;
        let _ = socket.shutdown().await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{bytes:.40}: {answer}"
        );
    }
    let alive = reqwest::get(format!("{}/healthz", app.url)).await.unwrap();
    assert_eq!(alive.status(), 200);
}
