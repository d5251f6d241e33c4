//! What holds for every answer: the one error body, request ids, what caches and browsers are
//! told, and the ways in under another name or from another origin.

use cdp::config::Config;
use cdp::domain::role::Role;
use poem::http::{HeaderMap, Method};
use poem::test::TestRequestBuilder;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};

/// Somebody who is known, and has told enough for an answer that is worth packing.
async fn app_with_somebody() -> TestApp {
    let app = TestApp::start().await;
    app.ingest(json!([
        { "cookie": "c1", "email": "ann@example.com", "interests": ["cricket", "tennis"] },
        { "cookie": "c2", "email": "bob@example.com" },
    ]))
    .await;
    app
}

/// A request that must fail, with the status, the code and the field of its answer.
struct Wrong {
    method: Method,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    answer: (u16, &'static str, Option<&'static str>),
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

fn get(path: &'static str, answer: (u16, &'static str, Option<&'static str>)) -> Wrong {
    Wrong {
        method: Method::GET,
        path,
        headers: &[],
        body: "",
        answer,
    }
}

fn post(
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    answer: (u16, &'static str, Option<&'static str>),
) -> Wrong {
    Wrong {
        method: Method::POST,
        path,
        headers,
        body,
        answer,
    }
}

/// Routes, methods and arguments.
fn wrong_requests() -> Vec<Wrong> {
    let not_found = (404, "not_found", None);
    let other = |method: Method, path| Wrong {
        method,
        ..get(path, (405, "method_not_allowed", None))
    };
    vec![
        get("/nowhere", not_found),
        get("/api", not_found),
        get("/api/nowhere", not_found),
        get("/api/v1/nowhere", not_found),
        get("/api/v2/user?cookie=c1", not_found),
        get("/api/profiles/p0/nowhere", not_found),
        get("/assets/nowhere.js", not_found),
        get("/api/user?cookie=nobody", not_found),
        get("/api/cohorts/nowhere", (404, "not_found", Some("cohort"))),
        get("/api/rules/sports", (404, "not_found", Some("rule"))),
        other(Method::PATCH, "/api/user"),
        other(Method::DELETE, "/api/user?cookie=c1").except_erasure(),
        other(Method::OPTIONS, "/api/classify"),
        other(Method::POST, "/healthz"),
        other(Method::PUT, "/graphql"),
        other(Method::GET, "/graphql"),
        get("/api/user", (400, "bad_request", Some("cookie"))),
        get("/api/user?email=nonsense", (400, "bad_request", Some("email"))),
        get(
            "/api/user?cookie=c1&include=all",
            (400, "bad_request", Some("include")),
        ),
        get(
            "/api/user?cookie=c1&email=bob@example.com",
            (409, "conflict", None),
        ),
        get(
            "/api/cohort/users?cohort=Sports&limit=0",
            (400, "bad_request", Some("limit")),
        ),
        get(
            "/api/cohort/users?cohort=Sports&limit=ten",
            (400, "bad_request", Some("limit")),
        ),
        get("/api/cohort/users", (400, "bad_request", Some("cohort"))),
        get("/api/profiles/nobody/graph", (400, "bad_request", Some("id"))),
        get("/api/profiles/p+1/graph", (400, "bad_request", Some("id"))),
        get("/api/profiles/p99/graph", not_found),
    ]
}

/// Bodies, and what is said of them.
fn wrong_bodies() -> Vec<Wrong> {
    vec![
        post("/api/classify", JSON, "{", (400, "unparseable", None)),
        post("/api/classify", JSON, "", (400, "unparseable", None)),
        post("/api/classify", JSON, "{}", (400, "unparseable", Some("texts"))),
        post(
            "/api/classify",
            JSON,
            "{\"texts\":[]}",
            (400, "unparseable", Some("texts")),
        ),
        post(
            "/api/classify",
            JSON,
            "{\"texts\":[\"a\",7]}",
            (400, "unparseable", Some("texts[1]")),
        ),
        post(
            "/api/rules",
            JSON,
            "{\"name\":\"\",\"expression\":\"true\"}",
            (400, "unparseable", Some("name")),
        ),
        post(
            "/api/rules/check",
            JSON,
            "{\"expression\":true}",
            (400, "unparseable", Some("expression")),
        ),
        post(
            "/api/classify",
            &[],
            "{\"texts\":[\"a\"]}",
            (415, "unsupported_media_type", None),
        ),
        post(
            "/api/classify",
            &[("content-type", "text/plain")],
            "a",
            (415, "unsupported_media_type", None),
        ),
        post(
            "/graphql",
            &[("content-type", "text/plain")],
            "{ cohorts { slug } }",
            (415, "unsupported_media_type", None),
        ),
        post("/graphql", JSON, "{", (400, "bad_request", None)),
        post("/graphql", JSON, "[]", (400, "bad_request", None)),
        post(
            "/api/classify",
            &[("content-type", "application/json"), ("content-encoding", "lzma")],
            "a",
            (415, "unsupported_media_type", Some("content-encoding")),
        ),
        post(
            "/api/classify",
            &[
                ("content-type", "application/json"),
                ("content-length", "99999999"),
            ],
            "",
            (413, "payload_too_large", None),
        ),
        post(
            "/api/ingest",
            &[("content-type", "image/png")],
            "a",
            (415, "unsupported_media_type", Some("content-type")),
        ),
    ]
}

impl Wrong {
    /// Erasing somebody may be a method of the route, which is tried elsewhere.
    fn except_erasure(self) -> Self {
        Self {
            method: Method::PUT,
            ..self
        }
    }
}

fn request<'a, E: poem::Endpoint>(
    client: &'a poem::test::TestClient<E>,
    wrong: &Wrong,
) -> TestRequestBuilder<'a, E> {
    let request = client.request(wrong.method.clone(), wrong.path);
    let request =
        (wrong.headers.iter()).fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(wrong.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_has_one_body() {
    let app = app_with_somebody().await;
    for wrong in wrong_requests().into_iter().chain(wrong_bodies()) {
        let request = request(app.client(), &wrong);
        let answer = app.answer_to(Role::Admin, request).await;
        let (status, code, field) = wrong.answer;
        assert_eq!(
            answer.status, status,
            "{} {}: {answer:?}",
            wrong.method, wrong.path
        );
        let error = answer.error(status, code);
        assert_eq!(
            error["field"].as_str(),
            field,
            "{} {}: {error}",
            wrong.method,
            wrong.path
        );
        if status == 405 {
            assert!(!answer.header("allow").is_empty(), "{}", wrong.path);
        }
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{}",
            wrong.path
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_so_and_who_asks_too_often_when_to_come_again() {
    let mut config = config();
    config.login.attempts_per_minute = 4.try_into().unwrap();
    let app = TestApp::with(&config).await;
    let stranger = Answer::of(app.client().get("/api/cohorts").send().await).await;
    stranger.error(401, "unauthorized");
    assert_eq!(stranger.header("www-authenticate"), "Bearer");
    let classify = app
        .client()
        .post("/api/classify")
        .body_json(&json!({ "texts": ["a"] }));
    let forbidden = app.answer_to(Role::Viewer, classify).await;
    forbidden.error(403, "forbidden");
    let mut refused = None;
    for _ in 0..20 {
        let wrong = json!({ "username": "somebody", "password": "wrong" });
        let request = app.client().post("/api/auth/token").body_json(&wrong);
        let answer = Answer::of(request.send().await).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.error(401, "unauthorized");
    }
    let refused = refused.expect("attempts are bounded");
    refused.error(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_id_that_it_brings_and_gets_one_otherwise() {
    let app = TestApp::start().await;
    let id_of = async |given: Option<&str>| {
        let mut request = app.client().get("/nowhere");
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let answer = Answer::of(request.send().await).await;
        answer.header("x-request-id").to_owned()
    };
    let given = "7b1d4c2a-2b1e-4c66-9a76-5f4b7c0a9e11";
    assert_eq!(id_of(Some(given)).await, given);
    let (one, other) = (id_of(None).await, id_of(None).await);
    assert_ne!(one, other);
    assert_eq!(one.len(), 26);
    for nonsense in ["two words", &"x".repeat(200)] {
        let made = id_of(Some(nonsense)).await;
        assert_eq!(made.len(), 26, "{nonsense} is replaced");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_answer_is_told_whether_it_is_still_so() {
    let app = app_with_somebody().await;
    let ask = async |path: &str, tag: &str| {
        let request = app.client().get(path).header("if-none-match", tag);
        app.answer_to(Role::Viewer, request).await
    };
    for path in [
        "/api/user?cookie=c1",
        "/api/v1/user?cookie=c1",
        "/api/user?cookie=c1&include=identities,scores,provenance",
        "/api/profiles/p0/graph",
        "/api/profiles/p0/timeline",
        "/api/profiles/p0/provenance",
        "/api/cohorts/sports",
    ] {
        let first = ask(path, "\"another\"").await;
        first.ok();
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{path}: {first:?}");
        assert_eq!(first.header("cache-control"), "private, no-cache");
        assert!(varies_on(&first.headers, "authorization"), "{path}");
        assert!(varies_on(&first.headers, "accept-encoding"), "{path}");
        let again = ask(path, &format!("\"old\", {tag}")).await;
        assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
        assert_eq!(again.header("etag"), tag);
        assert_eq!(again.header("cache-control"), "private, no-cache");
    }
    let before = ask("/api/user?cookie=c1", "").await.header("etag").to_owned();
    let more = ask("/api/user?cookie=c1&include=scores", "").await;
    assert_ne!(more.header("etag"), before, "another answer");
    app.ingest(json!([{ "cookie": "c1", "first_name": "Ann" }])).await;
    let after = ask("/api/user?cookie=c1", &before).await;
    assert_ne!(after.header("etag"), before);
    assert_eq!(after.ok()["user_profile"]["first_name"], "Ann");

    let missing = ask("/api/user?cookie=nobody", &before).await;
    missing.error(404, "not_found");
    assert_eq!(missing.header("etag"), "");
    assert_eq!(missing.header("cache-control"), "no-store");
    let head = app.client().head("/api/user?cookie=c1");
    let head = app.answer_to(Role::Viewer, head).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.header("etag"), after.header("etag"));
}

fn varies_on(headers: &HeaderMap, name: &str) -> bool {
    let said = headers.get_all("vary").iter();
    said.flat_map(|value| value.to_str().unwrap().split(','))
        .any(|said| said.trim().eq_ignore_ascii_case(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_packed_for_those_who_can_unpack_them() {
    let app = app_with_somebody().await;
    for (accepts, packed) in [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, br;q=0.5", "gzip"),
        ("identity", ""),
    ] {
        let request = app
            .client()
            .get("/api/cohorts")
            .header("accept-encoding", accepts)
            .header("authorization", format!("Bearer {}", app.token(Role::Admin)));
        let response = request.send().await;
        let said = response
            .0
            .header("content-encoding")
            .unwrap_or_default()
            .to_owned();
        assert_eq!(said, packed, "{accepts}");
        assert!(varies_on(response.0.headers(), "accept-encoding"), "{accepts}");
        let length = response.0.into_body().into_vec().await.unwrap().len();
        let plain = app.ask("/api/cohorts", &[]).await.text.len();
        assert_eq!(
            length < plain / 2,
            !packed.is_empty(),
            "{accepts}: {length} of {plain}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_to_be_careful() {
    let app = TestApp::start().await;
    for path in [
        "/",
        "/graphiql",
        "/docs",
        "/healthz",
        "/openapi.json",
        "/api/cohorts",
        "/nowhere",
    ] {
        let answer = app.answer_to(Role::Admin, app.client().get(path)).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(answer.header("strict-transport-security"), "", "{path}");
        let is_private = path.starts_with("/api");
        assert_eq!(
            answer.header("cache-control").contains("private"),
            is_private,
            "{path}"
        );
    }
    let by_tls = app.client().get("/healthz").header("x-forwarded-proto", "https");
    let by_tls = Answer::of(by_tls.send().await).await;
    assert_eq!(by_tls.header("strict-transport-security"), "max-age=31536000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_in_the_path_leads_to_the_same_routes() {
    let app = app_with_somebody().await;
    for (plain, versioned) in [
        ("/api/user?cookie=c1", "/api/v1/user?cookie=c1"),
        ("/api/profiles/p0/graph", "/api/v1/profiles/p0/graph"),
    ] {
        assert_eq!(app.ask(plain, &[]).await.ok(), app.ask(versioned, &[]).await.ok());
    }
    let record = json!([{ "cookie": "by-version" }]);
    let request = app.client().post("/api/v1/ingest").body_json(&record);
    app.answer_to(Role::Ingest, request).await.ok();
    app.ask("/api/user", &[("cookie", "by-version")]).await.ok();
    let wrong = app.client().request(Method::PATCH, "/api/v1/user");
    let wrong = app.answer_to(Role::Admin, wrong).await;
    assert_eq!(
        wrong.header("allow"),
        app.answer_to(Role::Admin, app.client().request(Method::PATCH, "/api/user"),)
            .await
            .header("allow")
    );
}

fn with_origins(origins: &[&str]) -> Config {
    let mut config = config();
    config.api.cors_origins = origins
        .iter()
        .map(|origin| (*origin).to_owned().try_into().unwrap())
        .collect();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_may_call_where_a_setting_names_them() {
    let shop = "https://shop.example";
    let app = TestApp::with(&with_origins(&[shop, "http://localhost:5173"])).await;
    let preflight = |origin: &'static str| {
        app.client()
            .request(Method::OPTIONS, "/api/user")
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization")
    };
    let allowed = Answer::of(preflight(shop).send().await).await;
    assert_eq!((allowed.status, allowed.text.as_str()), (204, ""));
    assert_eq!(allowed.header("access-control-allow-origin"), shop);
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert!(allowed.header("access-control-allow-methods").contains("PUT"));
    assert!(varies_on(&allowed.headers, "origin"));
    let other = Answer::of(preflight("https://shop.example.evil.test").send().await).await;
    assert_eq!(other.status, 405);
    assert_eq!(other.header("access-control-allow-origin"), "");

    for (origin, is_allowed) in [
        (shop, true),
        ("http://localhost:5173", true),
        ("https://evil.test", false),
        ("null", false),
    ] {
        for path in ["/api/cohorts", "/api/nowhere"] {
            let request = app.client().get(path).header("origin", origin);
            let answer = app.answer_to(Role::Admin, request).await;
            assert!(
                [200, 404].contains(&answer.status),
                "the page's own POSTs have an origin, too"
            );
            let expected = if is_allowed { origin } else { "" };
            assert_eq!(answer.header("access-control-allow-origin"), expected, "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
            assert!(varies_on(&answer.headers, "origin"));
            let exposed = answer.header("access-control-expose-headers");
            assert_eq!(
                exposed.contains("etag") && exposed.contains("x-request-id"),
                is_allowed
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_no_page_of_another_origin_may_call() {
    let app = TestApp::start().await;
    let request = app
        .client()
        .get("/api/cohorts")
        .header("origin", "https://shop.example");
    let answer = app.answer_to(Role::Admin, request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    assert!(!varies_on(&answer.headers, "origin"));
}

/// What the server answers to bytes, up to the end of the head.
async fn say(url: &str, bytes: &[u8]) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may hang up before all of it is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// What never becomes a request is answered below the routes, without a body: docs/API.md says so.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_by_status_alone() {
    let app = TestApp::serve().await;
    let many = "x-header: a\r\n".repeat(200);
    for (bytes, status) in [
        ("nonsense\r\n\r\n".to_owned(), "400"),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: nonsense\r\n\r\n".to_owned(),
            "400",
        ),
        (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), "431"),
        (
            format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000)),
            "414",
        ),
    ] {
        let answer = say(&app.url, bytes.as_bytes()).await;
        let head = bytes.get(..40).unwrap_or(&bytes);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{head}: {answer}"
        );
        assert!(
            answer.trim_end().lines().count() > 1 && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
    }
}
