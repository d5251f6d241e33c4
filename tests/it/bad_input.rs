//! Bad input gets a clear error, and nothing is lost: what was refused can be read back as it
//! came, with the reasons.

use std::fmt::Write as _;

use cdp::api::error::{ApiError, after_panic, as_response};
use cdp::domain::error::Error;
use cdp::domain::role::Role;
use chrono::Utc;
use jsonwebtoken::Algorithm;
use poem::endpoint::make;
use poem::http::{Method, StatusCode};
use poem::middleware::CatchPanic;
use poem::test::TestClient;
use poem::web::{Compress, CompressionAlgo};
use poem::{Body, EndpointExt, IntoResponse, Route};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};
use crate::support::forger::{self, Forger};
use crate::support::server;

async fn send(app: &TestApp, media_type: &str, body: impl Into<Body>) -> Answer {
    let request = app
        .client()
        .post("/api/ingest")
        .content_type(media_type)
        .body(body);
    app.answer_to(Role::Ingest, request).await
}

async fn rejects(app: &TestApp, batch: &str) -> Vec<Value> {
    let found = app.get(&format!("/api/ingest/{batch}/rejects?limit=1000")).await;
    found["rejects"].as_array().unwrap().clone()
}

/// The batch that keeps what could not be read; the message ends with it.
fn batch_of(error: &Value) -> String {
    let message = error["message"].as_str().unwrap();
    let (_, batch) = message
        .split_once("is kept in batch ")
        .unwrap_or_else(|| panic!("{message}"));
    batch.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_format_that_it_says_is_refused_with_its_place_and_kept() {
    let app = TestApp::start().await;
    let deep = "[".repeat(100_000);
    for (media_type, body, said) in [
        (
            "application/json",
            "hello",
            "expected an object or an array at line 1 column 1",
        ),
        (
            "application/json",
            "[{\"cookie\": \"whole-1\"},\n {\"cookie\": oops}]",
            "expected value at line 2 column 13",
        ),
        (
            "application/json",
            "[{\"cookie\": \"whole-1\"},\n {\"cookie\": \"cut",
            "at line 2 column 17",
        ),
        (
            "application/json",
            "[{\"cookie\": \"whole-1\"}",
            "the array does not end at line 1 column 23",
        ),
        (
            "application/json",
            "{\"data\": [{\"cookie\": \"whole-1\"}], ",
            "the document ends inside an object or array at line 1 column 35",
        ),
        (
            "application/json",
            "{\"cookie\": \"whole-1\"} and more",
            "trailing characters at line 1 column 23",
        ),
        ("application/json", "", "the payload is empty"),
        (
            "application/json",
            deep.as_str(),
            "the document ends inside an object or array at line 1 column 100001",
        ),
        (
            "text/csv",
            "email,city\na@example.com,Oslo\n",
            "the header has no `cookie` column; it has: email, city",
        ),
        (
            "text/csv",
            "cookie,email,Cookie\nwhole-1,,x\n",
            "the header names `cookie` twice",
        ),
        ("text/csv", "cookie,email\n", "the payload is empty"),
        ("application/x-ndjson", "\n \n", "the payload is empty"),
    ] {
        let error = send(&app, media_type, body.to_owned())
            .await
            .error(400, "unparseable");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(said), "{said}: {message}");
        let batch = batch_of(&error);
        let kept = rejects(&app, &batch).await;
        assert_eq!(kept.len(), 1, "{kept:?}");
        let head: String = body.chars().take(64 * 1024).collect();
        assert_eq!(kept[0]["verbatim"], head);
        assert_eq!(kept[0]["errors"][0]["code"], "unparseable");
        let fate = app.get(&format!("/api/ingest/{batch}")).await;
        assert_eq!(
            (&fate["finished"], &fate["records_processed"]),
            (&json!(true), &json!(0)),
            "{fate}"
        );
        assert_eq!(fate["records_rejected"], 1, "{fate}");
        assert!(message.starts_with(fate["failure"].as_str().unwrap()), "{fate}");
    }
    app.ask("/api/user", &[("cookie", "whole-1")])
        .await
        .error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_payload_that_breaks_off_keeps_what_came_before() {
    let app = TestApp::start().await;
    let rows: Vec<_> = (0..1_500)
        .map(|row| format!("{{\"cookie\": \"row-{row}\"}}"))
        .collect();
    let body = format!("[{},\n{{\"cookie\": oops}}]", rows.join(",\n"));
    let error = send(&app, "application/json", body)
        .await
        .error(400, "unparseable");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.contains("at line 1501 column 12; the 1500 rows before it are stored"),
        "{message}"
    );
    for row in [0, 999, 1_000, 1_499] {
        app.ask("/api/user", &[("cookie", &format!("row-{row}"))])
            .await
            .ok();
    }
    let batch = batch_of(&error);
    let kept = rejects(&app, &batch).await;
    assert_eq!(
        (&kept[0]["row"], &kept[0]["line"]),
        (&json!(1_501), &json!(1_501))
    );
    let fate = app.get(&format!("/api/ingest/{batch}")).await;
    assert_eq!(
        (&fate["finished"], &fate["records_processed"]),
        (&json!(true), &json!(1_500)),
        "{fate}"
    );
    assert_eq!(fate["records_rejected"], 1, "{fate}");
}

/// A text that can't be packed well.
fn noise(characters: usize) -> String {
    let character = |_| char::from(rand::random_range(b'a'..=b'z'));
    (0..characters).map(character).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_payload_that_cannot_be_stored_to_its_end_says_what_is() {
    let mut config = config();
    config.store.write_buffer_mib = 2;
    let app = TestApp::with(&config).await;
    let rows: Vec<_> = (0..2_000)
        .map(|row| {
            let note = if row < 1_000 { String::new() } else { noise(3_000) };
            format!("{{\"cookie\": \"row-{row}\", \"note\": \"{note}\"}}")
        })
        .collect();
    let error = send(&app, "application/x-ndjson", rows.join("\n"))
        .await
        .error(413, "payload_too_large");
    let message = error["message"].as_str().unwrap();
    let (failure, batch) = message
        .split_once("; the 1000 rows before it are stored in batch ")
        .unwrap_or_else(|| panic!("{message}"));
    let fate = app.get(&format!("/api/ingest/{batch}")).await;
    assert_eq!(
        (
            &fate["finished"],
            &fate["failure"],
            &fate["records_processed"],
            &fate["records_rejected"]
        ),
        (&json!(true), &json!(failure), &json!(1_000), &json!(0)),
        "{fate}"
    );
    app.ask("/api/user", &[("cookie", "row-999")]).await.ok();
    app.ask("/api/user", &[("cookie", "row-1000")])
        .await
        .error(404, "not_found");

    // Of a first chunk that can't be stored nothing is.
    let error = send(&app, "application/x-ndjson", rows[1_000..].join("\n"))
        .await
        .error(413, "payload_too_large");
    assert!(!error["message"].as_str().unwrap().contains("batch"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_has_a_proper_name() {
    let app = TestApp::start().await;
    let long = "x".repeat(65);
    for source in ["", "a\nb", long.as_str()] {
        let request = app
            .client()
            .post("/api/ingest")
            .query("source", &source)
            .body_json(&json!({ "cookie": "of-nobody" }));
        let error = app
            .answer_to(Role::Ingest, request)
            .await
            .error(400, "bad_request");
        assert_eq!(error["field"], "source", "{error}");
        let variables = json!({ "source": source });
        let query = "mutation($source: String!) { ingest(records: [{cookie: \"of-nobody\"}], source: $source) { status } }";
        let request = app
            .client()
            .post("/graphql")
            .body_json(&json!({ "query": query, "variables": variables }));
        let answer = app.answer_to(Role::Ingest, request).await.json();
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("none of them a control character"), "{answer}");
    }
    app.ask("/api/user", &[("cookie", "of-nobody")])
        .await
        .error(404, "not_found");
}

/// Rows that must be refused: each with the field at fault and the word for what is wrong.
const BAD_ROWS: &[(&str, &str, &str)] = &[
    (r#"{"cookie": ""}"#, "cookie", "empty"),
    (r#"{"cookie": "  "}"#, "cookie", "empty"),
    (r#"{"cookie": null}"#, "cookie", "required"),
    (r#"{"email": "ann@example.com"}"#, "cookie", "required"),
    (r#"{"cookie": "undefined"}"#, "cookie", "placeholder"),
    (
        r#"{"cookie": "00000000-0000-0000-0000-000000000000"}"#,
        "cookie",
        "placeholder",
    ),
    (r#"{"cookie": {"id": 7}}"#, "cookie", "wrong_type"),
    (r#"{"cookie": 7}"#, "cookie", "wrong_type"),
    (r#"{"cookie": "a\u0000b"}"#, "cookie", "invalid"),
    (r#"{"cookie": "bad-1", "email": "foo@"}"#, "email", "invalid"),
    (
        r#"{"cookie": "bad-1", "email": ["ann@example.com"]}"#,
        "email",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "demographics": {"age": 430}}"#,
        "demographics.age",
        "out_of_range",
    ),
    (
        r#"{"cookie": "bad-1", "demographics": {"age": -1}}"#,
        "demographics.age",
        "out_of_range",
    ),
    (
        r#"{"cookie": "bad-1", "demographics": {"age": "forty-two"}}"#,
        "demographics.age",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "demographics": {"age": 41.5}}"#,
        "demographics.age",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "demographics": "old"}"#,
        "demographics",
        "wrong_type",
    ),
    (r#"{"cookie": "bad-1", "location": 7}"#, "location", "wrong_type"),
    (
        r#"{"cookie": "bad-1", "location": {"city": {"name": "Oslo"}}}"#,
        "location.city",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "interests": 7}"#,
        "interests",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "interests": ["cricket", 7]}"#,
        "interests",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "timestamp": "yesterday"}"#,
        "timestamp",
        "invalid",
    ),
    (
        r#"{"cookie": "bad-1", "timestamp": true}"#,
        "timestamp",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "message_id": 7}"#,
        "message_id",
        "wrong_type",
    ),
    (
        r#"{"cookie": "bad-1", "cookie_id": "bad-2"}"#,
        "cookie",
        "duplicate",
    ),
    (
        r#"{"cookie": "bad-1", "email": "ann@example.com", "mail": "bob@example.com"}"#,
        "email",
        "duplicate",
    ),
    (r#"["cookie", "bad-1"]"#, "", "wrong_type"),
    (r#""bad-1""#, "", "wrong_type"),
    ("null", "", "wrong_type"),
];

/// What is found wrong, as row, line, field and code.
fn findings(errors: &Value) -> Vec<(u64, u64, String, String)> {
    let number = |error: &Value, name: &str| error[name].as_u64().unwrap();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap().to_owned();
    let finding = |error: &Value| {
        assert!(!text(error, "message").is_empty(), "{error}");
        (
            number(error, "row"),
            number(error, "line"),
            text(error, "field"),
            text(error, "code"),
        )
    };
    errors.as_array().unwrap().iter().map(finding).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_named_and_kept_and_the_good_ones_among_them_stored() {
    let app = TestApp::start().await;
    let mut rows: Vec<&str> = BAD_ROWS.iter().map(|(row, ..)| *row).collect();
    rows.insert(0, r#"{"cookie": "good-1", "interests": ["cricket"]}"#);
    rows.push(r#"{"cookie": "good-2"}"#);
    let expected: Vec<_> = (2_u64..)
        .zip(BAD_ROWS)
        .map(|(row, (_, field, code))| (row, row, (*field).to_owned(), (*code).to_owned()))
        .collect();
    for (media_type, body) in [
        ("application/json", format!("[{}]", rows.join(",\n"))),
        (
            "application/json",
            format!("{{\"data\": [{}]}}", rows.join(",\n")),
        ),
        ("application/x-ndjson", rows.join("\n")),
    ] {
        let report = send(&app, media_type, body).await.ok();
        assert_eq!(report["status"], "partial");
        assert_eq!(
            (&report["records_processed"], &report["records_rejected"]),
            (&json!(2), &json!(BAD_ROWS.len()))
        );
        assert_eq!(findings(&report["errors"]), expected, "{media_type}");
        let batch = report["batch_id"].as_str().unwrap();
        let kept = rejects(&app, batch).await;
        assert_eq!(kept.len(), BAD_ROWS.len());
        for (reject, ((verbatim, ..), finding)) in kept.iter().zip(BAD_ROWS.iter().zip(&expected)) {
            assert_eq!(reject["verbatim"], *verbatim);
            assert_eq!(findings(&reject["errors"]), std::slice::from_ref(finding));
        }
        let page = app
            .get(&format!("/api/ingest/{batch}/rejects?after=3&limit=2"))
            .await;
        assert_eq!(page["rejects"], json!([kept[2], kept[3]]));
    }
    for cookie in ["good-1", "good-2"] {
        app.ask("/api/user", &[("cookie", cookie)]).await.ok();
    }
    app.ask("/api/user", &[("cookie", "bad-1")])
        .await
        .error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_nothing_but_bad_rows_is_an_error() {
    let app = TestApp::start().await;
    for (row, field, code) in BAD_ROWS {
        let answer = send(&app, "application/x-ndjson", (*row).to_owned()).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        let report = answer.json();
        assert_eq!(
            (&report["status"], &report["records_processed"]),
            (&json!("error"), &json!(0))
        );
        let expected = (1, 1, (*field).to_owned(), (*code).to_owned());
        assert_eq!(findings(&report["errors"]), [expected]);
        let kept = rejects(&app, report["batch_id"].as_str().unwrap()).await;
        assert_eq!(kept[0]["verbatim"], *row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_is_wrong_with_a_row_is_told_at_once() {
    let app = TestApp::start().await;
    let row = r#"{"cookie": "", "email": "foo@", "demographics": {"age": 430}, "interests": 7}"#;
    let report = send(&app, "application/json", row).await.json();
    let mut fields: Vec<_> = findings(&report["errors"])
        .into_iter()
        .map(|(_, _, field, code)| (field, code))
        .collect();
    fields.sort();
    let expected = [
        ("cookie", "empty"),
        ("demographics.age", "out_of_range"),
        ("email", "invalid"),
        ("interests", "wrong_type"),
    ];
    assert_eq!(
        fields,
        expected.map(|(field, code)| (field.to_owned(), code.to_owned()))
    );
    assert_eq!(report["records_rejected"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_of_a_table_are_told_by_their_line() {
    let app = TestApp::start().await;
    let table = "\u{feff}Email,cookie,age,interests\n\
        ann@example.com,csv-1,42,\"cricket;football\"\n\
        foo@,csv-2,,\n\
        ,csv-3,430,\"a quoted\nline break\"\n\
        ,,12,\n\
        ,csv-5\n\
        bob@example.com,csv-6,,[\"bitcoin\"]\n";
    let report = send(&app, "text/csv; charset=utf-8", table).await.ok();
    let expected = [
        (2, 3, "email", "invalid"),
        (3, 4, "demographics.age", "out_of_range"),
        (4, 6, "cookie", "empty"),
        (5, 7, "", "wrong_length"),
    ];
    let found = findings(&report["errors"]);
    assert_eq!(
        found,
        expected.map(|(row, line, field, code)| (row, line, field.to_owned(), code.to_owned()))
    );
    let kept = rejects(&app, report["batch_id"].as_str().unwrap()).await;
    let verbatim: Vec<_> = kept
        .iter()
        .map(|reject| reject["verbatim"].as_str().unwrap())
        .collect();
    assert_eq!(
        verbatim,
        [
            "foo@,csv-2,,",
            ",csv-3,430,\"a quoted\nline break\"",
            ",,12,",
            ",csv-5"
        ]
    );
    assert_eq!(
        app.user_by_email("ann@example.com").await["interests"],
        json!(["cricket", "football"])
    );
    assert_eq!(app.user_by_cookie("csv-6").await["interests"], json!(["bitcoin"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let app = TestApp::serve().await;
    let token = server::token(&reqwest::Client::new(), &app.url, Role::Ingest).await;
    let address = app.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/ingest HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        200 * 1024 * 1024
    );
    // The head, and not a byte of the body that it promises.
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = socket.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"code\":\"payload_too_large\""), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
}

/// An app that takes payloads of 10,000 bytes and other bodies of 2,000.
async fn narrow_app() -> TestApp {
    let mut config = config();
    config.api.limits.ingest_bytes_max = 10_000;
    config.api.limits.body_bytes_max = 2_000;
    TestApp::with(&config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_turns_out_too_large_is_refused_and_its_beginning_kept() {
    let app = narrow_app().await;
    let row = |number| format!("{{\"cookie\": \"large-{number:04}\"}}\n");
    let rows: String = (0..1_000).map(row).collect();
    let fits: String = (0..300).map(row).collect();
    assert!(rows.len() > 10_000 && fits.len() < 10_000);
    let streamed = Body::from_async_read(std::io::Cursor::new(rows.clone().into_bytes()));
    let error = send(&app, "application/x-ndjson", streamed)
        .await
        .error(413, "payload_too_large");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("the payload is larger than 10000 bytes"),
        "{error}"
    );
    let kept = rejects(&app, &batch_of(&error)).await;
    let verbatim = kept[0]["verbatim"].as_str().unwrap();
    assert!(!verbatim.is_empty() && rows.starts_with(verbatim), "{verbatim}");
    app.ask("/api/user", &[("cookie", "large-0000")])
        .await
        .error(404, "not_found");

    let packed = gzip(&rows).await;
    assert!(packed.len() < 10_000, "{}", packed.len());
    send_packed(&app, packed).await.error(413, "payload_too_large");
    app.ask("/api/user", &[("cookie", "large-0000")])
        .await
        .error(404, "not_found");

    let packed = gzip(&fits).await;
    let report = send_packed(&app, packed.clone()).await.ok();
    assert_eq!(report["records_processed"], 300);
    send_packed(&app, packed[..packed.len() / 2].to_vec())
        .await
        .error(400, "unparseable");
}

async fn gzip(text: &str) -> Vec<u8> {
    let packed = Compress::new(text.to_owned(), CompressionAlgo::GZIP).into_response();
    packed.into_body().into_vec().await.unwrap()
}

async fn send_packed(app: &TestApp, packed: Vec<u8>) -> Answer {
    let request = app
        .client()
        .post("/api/ingest")
        .header("content-encoding", "gzip");
    app.answer_to(
        Role::Ingest,
        request.content_type("application/x-ndjson").body(packed),
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_body_is_bounded_by_what_it_says_and_by_what_it_is() {
    let app = narrow_app().await;
    for (path, most) in [
        ("/api/ingest", 10_000),
        ("/api/classify", 2_000),
        ("/api/auth/token", 2_000),
        ("/graphql", 2_000),
    ] {
        let post = || app.client().post(path).content_type("application/json");
        // The length that it says, and no body: it is not read.
        let said = app
            .answer_to(Role::Admin, post().header("content-length", most + 1))
            .await;
        said.error(413, "payload_too_large");
        let text = json!({ "texts": ["x".repeat(most)] }).to_string();
        let unsaid = post().body(Body::from_async_read(std::io::Cursor::new(text.into_bytes())));
        app.answer_to(Role::Admin, unsaid)
            .await
            .error(413, "payload_too_large");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_cannot_be_unpacked_is_a_bad_request() {
    let app = TestApp::start().await;
    let request = app
        .client()
        .post("/api/classify")
        .header("content-encoding", "gzip");
    let request = request.content_type("application/json").body("this is not gzip");
    app.answer_to(Role::Admin, request)
        .await
        .error(400, "unparseable");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_wrong_methods_and_wrong_media_types_are_told_in_json() {
    let app = TestApp::start().await;
    for (method, path, status, code) in [
        (Method::GET, "/nowhere", 404, "not_found"),
        (Method::GET, "/api", 404, "not_found"),
        (Method::GET, "/api/nowhere", 404, "not_found"),
        (Method::GET, "/api/user/nowhere", 404, "not_found"),
        (Method::GET, "/assets/nowhere.js", 404, "not_found"),
        (
            Method::GET,
            "/api/ingest/01ARZ3NDEKTSV4RRFFQ69G5FAV",
            404,
            "not_found",
        ),
        (
            Method::GET,
            "/api/ingest/01ARZ3NDEKTSV4RRFFQ69G5FAV/rejects",
            404,
            "not_found",
        ),
        (Method::GET, "/api/ingest/nonsense", 400, "bad_request"),
        (Method::DELETE, "/api/cohorts", 405, "method_not_allowed"),
        (Method::GET, "/api/ingest", 405, "method_not_allowed"),
        (Method::PUT, "/api/user", 405, "method_not_allowed"),
        (Method::GET, "/graphql", 405, "method_not_allowed"),
        (Method::POST, "/healthz", 405, "method_not_allowed"),
    ] {
        let answer = app
            .answer_to(Role::Admin, app.client().request(method.clone(), path))
            .await;
        answer.error(status, code);
    }
    for (path, media_type) in [
        ("/api/ingest", "text/plain"),
        ("/api/ingest", "application/xml"),
        ("/api/ingest", "application/gzip"),
        ("/api/classify", "text/plain"),
        ("/api/auth/token", "text/plain"),
        ("/graphql", "text/plain"),
    ] {
        let request = app.client().post(path).content_type(media_type).body("{}");
        app.answer_to(Role::Admin, request)
            .await
            .error(415, "unsupported_media_type");
    }
    let untyped = app.client().post("/api/ingest").body("{}");
    let error = app
        .answer_to(Role::Admin, untyped)
        .await
        .error(415, "unsupported_media_type");
    assert_eq!(error["field"], "content-type");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_the_wrong_shape_is_told_in_json() {
    let app = TestApp::start().await;
    for (path, body) in [
        ("/api/classify", "{"),
        ("/api/classify", "{}"),
        ("/api/classify", "{\"texts\": \"cricket\"}"),
        ("/api/classify", "[]"),
        ("/api/auth/token", "{\"username\": \"admin\"}"),
        ("/api/auth/token", "null"),
    ] {
        let request = app
            .client()
            .post(path)
            .content_type("application/json")
            .body(body);
        let error = app
            .answer_to(Role::Admin, request)
            .await
            .error(400, "unparseable");
        assert!(!error["message"].as_str().unwrap().contains("::"), "{error}");
    }
}

/// The header `{"alg":"none","typ":"JWT"}`.
const UNSIGNED: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_proves_nothing_opens_nothing() {
    let app = TestApp::with(&forger::config()).await;
    let forger = Forger::of(&app).await;
    let good = forger::claims("ann", Role::Admin);
    let but = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        forger.sign(&claims)
    };
    let control = forger.sign(&good);
    assert_eq!(
        ask_with(&app, &format!("Bearer {control}")).await.status,
        200,
        "the forger can't forge"
    );

    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (viewer, admin) = (parts(&app.token(Role::Viewer)), parts(&control));
    let ours = "not one of ours";
    let public = forger.public_pem_and_numbers();
    let shared = public.iter().flat_map(|secret| {
        [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
            .map(|algorithm| (forger.sign_shared(algorithm, secret.as_bytes(), &good), ours))
    });
    let spoilt = [
        (but("exp", json!(Utc::now().timestamp() - 600)), "expired"),
        (format!("{UNSIGNED}.{}.", admin[1]), ours),
        (format!("{UNSIGNED}.{}.{}", admin[1], admin[2]), ours),
        (format!("{}.{}.", admin[0], admin[1]), ours),
        (format!("{}.{}.{}", viewer[0], admin[1], viewer[2]), ours),
        (forger.sign_with_another_key(&good), ours),
        (forger.sign_as("RS384", &good), ours),
        (but("aud", json!("another")), ours),
        (but("iss", json!("another")), ours),
        (but("role", json!("owner")), "role"),
        ("nonsense".to_owned(), ours),
        ("a.".repeat(10_000), ours),
        (String::new(), ""),
    ];
    for (token, said) in spoilt.into_iter().chain(shared) {
        let answer = ask_with(&app, &format!("Bearer {token}")).await;
        let error = answer.error(401, "unauthorized");
        assert!(
            error["message"].as_str().unwrap().contains(said),
            "{token}: {error}"
        );
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    for authorization in [
        control.as_str(),
        "Basic YWRtaW46ZGVtby1hZG1pbg==",
        "Bearer",
        "bearer",
    ] {
        ask_with(&app, authorization).await.error(401, "unauthorized");
    }
}

async fn ask_with(app: &TestApp, authorization: &str) -> Answer {
    let request = app
        .client()
        .get("/api/cohorts")
        .header("authorization", authorization);
    Answer::of(request.send().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_a_stranger_is_told_to_bring_one() {
    let app = TestApp::start().await;
    for (method, path) in [
        (Method::POST, "/api/ingest"),
        (Method::GET, "/api/user"),
        (Method::GET, "/api/cohort/users"),
        (Method::POST, "/api/classify"),
        (Method::POST, "/graphql"),
        (Method::GET, "/metrics"),
    ] {
        let answer = Answer::of(
            app.client()
                .request(method, path)
                .body("not even JSON")
                .send()
                .await,
        )
        .await;
        answer.error(401, "unauthorized");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{path}");
    }
}

/// Texts that would do something, were any of them ever part of a query.
const HOSTILE: [&str; 6] = [
    "x'; REMOVE TABLE profile;",
    "x\"; REMOVE TABLE cookie; --",
    "`x`; DELETE profile; COMMIT",
    "⟨x⟩; REMOVE DATABASE cdp; //",
    "profile:1; UPDATE profile SET rev = 9",
    "${1+1} $cookies type::record('user', 'admin') \\' \\u0027",
];

/// A text as a segment of a path.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        write!(encoded, "%{byte:02X}").unwrap();
    }
    encoded
}

#[tokio::test(flavor = "multi_thread")]
async fn surrealql_is_text_like_any_other_wherever_it_stands() {
    let app = TestApp::start().await;
    app.ingest(json!({ "cookie": "bystander", "email": "by@example.com", "interests": ["cricket"] }))
        .await;
    let bystander = app.user_by_cookie("bystander").await;
    for (number, text) in HOSTILE.iter().enumerate() {
        let email = format!("o'hara{number}--remove`table`profile@example.com");
        let record = json!({ "cookie": text, "email": email, "message_id": text, "first_name": text,
            "last_name": text, "location": { "city": text, "state": text, "country": text },
            "demographics": { "gender": text, "education": text, "income": text },
            "interests": [text], "note": text, "timestamp": "2026-03-01T12:00:00Z" });
        let request = app
            .client()
            .post("/api/ingest")
            .query("source", &&text[..20])
            .body_json(&record);
        let report = app.answer_to(Role::Ingest, request).await.ok();
        assert_eq!(report["status"], "success", "{report}");
        let found = app.ask("/api/user", &[("cookie", text)]).await.ok()["user_profile"].clone();
        assert_eq!(
            app.ask("/api/user", &[("email", &email)]).await.ok()["user_profile"],
            found
        );
        assert_eq!((&found["cookie"], &found["email"]), (&json!(text), &json!(email)));
        assert_eq!(
            (&found["first_name"], &found["demographics"]["gender"]),
            (&json!(text), &json!(text))
        );
        assert_eq!(found["interests"], json!([text]));
        let again = app
            .client()
            .post("/api/ingest")
            .query("source", &&text[..20])
            .body_json(&record);
        assert_eq!(app.answer_to(Role::Ingest, again).await.ok()["duplicates"], 1);

        app.ask("/api/cohort/users", &[("cohort", text)])
            .await
            .error(404, "not_found");
        app.ask("/api/cohort/users", &[("cohort", "sports"), ("cursor", text)])
            .await
            .error(400, "bad_request");
        app.ask("/api/user", &[("email", text)])
            .await
            .error(400, "bad_request");
        let credentials = json!({ "username": text, "password": text });
        let request = app.client().post("/api/auth/token").body_json(&credentials);
        Answer::of(request.send().await).await.error(401, "unauthorized");
        let encoded = encoded(text);
        app.ask(&format!("/api/ingest/{encoded}"), &[])
            .await
            .error(400, "bad_request");
        app.ask(&format!("/api/ingest/{encoded}/rejects"), &[])
            .await
            .error(400, "bad_request");
        let bad = json!({ "cookie": text, "email": text });
        let report = send(&app, "application/json", bad.to_string()).await.json();
        let kept = rejects(&app, report["batch_id"].as_str().unwrap()).await;
        assert_eq!(kept[0]["verbatim"], bad.to_string());
    }
    assert_eq!(app.user_by_cookie("bystander").await, bystander);
    assert_eq!(
        app.get("/api/cohort/users?cohort=sports").await["users"][0]["cookie"],
        "bystander"
    );
}

#[tokio::test]
async fn what_went_wrong_inside_is_not_told_outside() {
    let secret = "the password of the database is hunter2";
    let internal =
        make(move |_| async move { Err::<(), poem::Error>(ApiError::from(Error::internal(secret)).into()) });
    let framework = make(move |_| async move {
        Err::<(), poem::Error>(poem::Error::from_string(
            secret,
            StatusCode::INTERNAL_SERVER_ERROR,
        ))
    });
    let panic = make(move |_| async move {
        secret.parse::<u8>().expect(secret);
        Ok::<(), poem::Error>(())
    });
    let routes = Route::new()
        .at("/internal", internal)
        .at("/framework", framework)
        .at("/panic", panic)
        .catch_all_error(as_response)
        .with(CatchPanic::new().with_handler(after_panic));
    let client = TestClient::new(routes);
    for path in ["/internal", "/framework", "/panic"] {
        let answer = Answer::of(client.get(path).send().await).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (500, &json!("internal")),
            "{path}"
        );
        assert!(!answer.text.contains("hunter2"), "{path}: {answer:?}");
    }
}
