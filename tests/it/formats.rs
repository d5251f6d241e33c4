//! Payloads as they come from other systems: packed, in forms, under other names, and through the
//! transforms of the examples.

use std::io::Write as _;
use std::path::PathBuf;

use cdp::domain::role::Role;
use poem::Body;
use serde_json::{Value, json};

use crate::support::answer::{Answer, row_errors};
use crate::support::app::{TestApp, config};
use crate::support::root;

fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

/// Sends a body with headers, to the route with a query.
async fn send(
    app: &TestApp,
    query: &[(&str, &str)],
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = app.client().post("/api/ingest").body(body);
    for (name, value) in query {
        request = request.query(*name, value);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.answer_to(Role::Ingest, request).await
}

/// One part of a form: its headers and its content.
fn part(headers: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("--xyz\r\n{headers}\r\n\r\n");
    [head.as_bytes(), content.as_ref(), b"\r\n"].concat()
}

fn file(name: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    part(
        &format!(
            "Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream"
        ),
        content,
    )
}

async fn send_form(app: &TestApp, parts: &[Vec<u8>]) -> Answer {
    let body = [parts.concat(), b"--xyz--\r\n".to_vec()].concat();
    let media_type = [("content-type", "multipart/form-data; boundary=xyz")];
    send(app, &[], &media_type, body).await
}

async fn is_known(app: &TestApp, cookie: &str) -> bool {
    app.ask("/api/user", &[("cookie", cookie)]).await.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_packed_is_unpacked_whatever_it_is_called() {
    let app = TestApp::start().await;
    let rows = |name: &str| format!("cookie,city\n{name}-1,Oslo\n{name}-2,Rome\n");
    let zstd = |text: String| zstd::encode_all(text.as_bytes(), 3).unwrap();
    for (name, headers, body) in [
        (
            "gz-plain",
            vec![("content-type", "text/csv")],
            gzip(rows("gz-plain")),
        ),
        (
            "zs-plain",
            vec![("content-type", "text/csv")],
            zstd(rows("zs-plain")),
        ),
        (
            "gz-named",
            vec![
                ("content-type", "application/gzip"),
                ("content-disposition", "attachment; filename=\"a.csv.gz\""),
            ],
            gzip(rows("gz-named")),
        ),
        (
            "twice",
            vec![("content-type", "text/csv"), ("content-encoding", "gzip")],
            gzip(gzip(rows("twice"))),
        ),
        (
            "members",
            vec![("content-type", "text/csv")],
            [gzip("cookie\n"), gzip("members-1\nmembers-2\n")].concat(),
        ),
    ] {
        let report = send(&app, &[], &headers, body).await.ok();
        assert_eq!(report["records_processed"], 2, "{name}: {report}");
        assert!(is_known(&app, &format!("{name}-2")).await, "{name}");
    }
    let named = [("content-type", "application/gzip")];
    let error = send(&app, &[], &named, gzip("x"))
        .await
        .error(415, "unsupported_media_type");
    assert!(
        error["message"].as_str().unwrap().contains("visits.csv.gz"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_data_that_is_damaged_is_told_and_the_chunks_before_it_are_stored() {
    let app = TestApp::start().await;
    let row = |row: u64| {
        let note = row.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{{\"cookie\":\"dam-{row}\",\"note\":\"{note:x}\"}}\n")
    };
    let rows: String = (0..6_000).map(row).collect();
    let packed = gzip(&rows);
    let half = packed[..packed.len() / 2].to_vec();
    let said = format!("the gzip data breaks off at byte {}", half.len());
    let media_type = [("content-type", "application/x-ndjson")];
    let error = send(&app, &[], &media_type, half).await.error(400, "unparseable");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with(&said) && message.contains("rows before it are stored"),
        "{message}"
    );
    assert!(is_known(&app, "dam-0").await && !is_known(&app, "dam-5999").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_unpacks_to_more_than_is_allowed_is_refused() {
    let mut config = config();
    config.api.limits.ingest_bytes_max = 100_000;
    let app = TestApp::with(&config).await;
    let media_type = [("content-type", "application/x-ndjson")];
    let bomb = gzip("{\"cookie\":\"bomb\"}\n".repeat(1_000_000));
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    send(&app, &[], &media_type, bomb)
        .await
        .error(413, "payload_too_large");
    // Members without content unpack to nothing, and are many all the same.
    let nothing = Body::from_async_read(std::io::Cursor::new(gzip("").repeat(10_000)));
    send(&app, &[], &media_type, nothing)
        .await
        .error(413, "payload_too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_brings_one_file() {
    let app = TestApp::start().await;
    let table = "cookie\r\nform-1\r\nform-2\r\n";
    for (cookie, form) in [
        ("form-1", file("a.csv", table)),
        (
            "form-zst",
            file(
                "b.NDJSON.zst",
                zstd::encode_all(&b"{\"cookie\":\"form-zst\"}"[..], 1).unwrap(),
            ),
        ),
        (
            "form-json",
            part(
                "Content-Disposition: form-data; name=\"anything\"\r\nContent-Type: application/json",
                "[{\"cookie\":\"form-json\"}]",
            ),
        ),
    ] {
        let report = send_form(&app, &[form]).await.ok();
        assert_eq!(report["status"], "success", "{report}");
        assert!(is_known(&app, cookie).await, "{cookie}");
    }
    let row = |row| format!("big-{row}\n");
    let rows: String = (0..5_000).map(row).collect();
    let report = send_form(&app, &[file("big.csv", format!("cookie\n{rows}"))])
        .await
        .ok();
    assert_eq!(report["records_processed"], 5_000);
    assert!(is_known(&app, "big-4999").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_not_one_file_is_told_what_is_wrong() {
    let app = TestApp::start().await;
    let table = || file("a.csv", "cookie\ntwo-1\n");
    let text = || part("Content-Disposition: form-data; name=\"source\"", "shop");
    let error = send_form(&app, &[text(), table()])
        .await
        .error(400, "bad_request");
    assert_eq!(error["field"], "source");
    for second in [
        text(),
        part(
            "Content-Disposition: form-data; name=\"source\"; filename=\"b.csv\"",
            "cookie\n",
        ),
    ] {
        let error = send_form(&app, &[table(), second])
            .await
            .error(400, "unparseable");
        let said = "the form goes on behind its file, with `source`; send one file in a request";
        assert!(error["message"].as_str().unwrap().starts_with(said), "{error}");
    }
    assert!(!is_known(&app, "two-1").await);
    let error = send_form(&app, &[file("a.xlsx", "x")])
        .await
        .error(415, "unsupported_media_type");
    assert_eq!(error["field"], "file");
    send_form(&app, &[]).await.error(400, "bad_request");
    let media_type = [("content-type", "multipart/form-data; boundary=xyz")];
    let cut = [part(
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"",
        "cookie\nc",
    )]
    .concat();
    let error = send(&app, &[], &media_type, cut).await.error(400, "unparseable");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("the form can't be read any further"),
        "{error}"
    );
    let endless = [b"--xy".to_vec(), vec![b'x'; 100_000]].concat();
    send(&app, &[], &media_type, endless)
        .await
        .error(400, "unparseable");
    let no_boundary = [("content-type", "multipart/form-data")];
    send(&app, &[], &no_boundary, "x").await.error(400, "unparseable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_says_what_their_columns_are() {
    let app = TestApp::start().await;
    let media_type = [("content-type", "text/csv")];
    let table = "Kundennummer;Wohnort\nkd-7;Bern\n";
    let maps = [("map", "Kundennummer:cookie"), ("map", "wohnort:location.city")];
    send(&app, &maps, &media_type, table).await.ok();
    assert_eq!(app.user_by_cookie("kd-7").await["location"], "Bern");
    let error = send(&app, &maps[1..], &media_type, table)
        .await
        .error(400, "unparseable");
    assert!(
        error["message"].as_str().unwrap().contains("no `cookie` column"),
        "{error}"
    );
    for (map, said) in [
        (
            "Wohnort:shoe_size",
            "`shoe_size` is no field; the fields are cookie, email",
        ),
        ("Wohnort", "is not of the form `column:field`"),
    ] {
        let error = send(&app, &[("map", map)], &media_type, table)
            .await
            .error(400, "bad_request");
        assert_eq!(error["field"], "map");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
}

/// A file of the examples.
fn example(name: &str) -> Vec<u8> {
    std::fs::read(seeds().join("examples").join(name)).unwrap()
}

fn seeds() -> PathBuf {
    root().join("seeds")
}

/// The platform with the transforms of the examples.
async fn transforming() -> TestApp {
    let mut config = config();
    config.ingest.transforms = vec![seeds().join("transforms")];
    TestApp::with(&config).await
}

/// Sends an example, all of which must be stored.
async fn send_example(app: &TestApp, source: &str, media_type: &str, name: &str) -> Value {
    let query = [("source", source)];
    let report = send(app, &query, &[("content-type", media_type)], example(name))
        .await
        .ok();
    assert_eq!(report["errors"], json!([]), "{name}");
    report
}

#[track_caller]
fn check_interests(user: &Value, expected: &[&str]) {
    let mut interests: Vec<_> = user["interests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap())
        .collect();
    interests.sort_unstable();
    assert_eq!(interests, expected, "{user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shops_customers_are_read_without_code() {
    let app = transforming().await;
    let report = send_example(&app, "shopify", "text/csv", "shopify_customers.csv").await;
    assert_eq!(report["records_processed"], 24);
    let ada = app.user_by_email("ada.lindqvist@example.com").await;
    assert_eq!(ada["first_name"], "Ada");
    assert!(
        ada["location"].as_str().unwrap().starts_with("Stockholm, "),
        "{ada}"
    );
    check_interests(&ada, &["football", "running"]);
    let ben = app.user_by_cookie("shopify:6514533466201").await;
    assert_eq!(ben["email"], "ben.okafor@example.com");
    assert!(ben["phone_number"].as_str().unwrap().starts_with("+1"), "{ben}");
    // Without an address, and without a tag that is an interest.
    let rosa = app.user_by_cookie("shopify:6514533466217").await;
    assert_eq!(
        (&rosa["first_name"], &rosa["email"]),
        (&json!("Rosa"), &Value::Null)
    );
    check_interests(&rosa, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crms_contacts_are_read_without_code_and_a_second_export_changes_nothing() {
    let app = transforming().await;
    let report = send_example(&app, "hubspot", "text/csv", "hubspot_contacts.csv").await;
    assert_eq!(
        (&report["records_processed"], &report["duplicates"]),
        (&json!(20), &json!(0))
    );
    let ada = app.user_by_cookie("hubspot:10100").await;
    assert_eq!(ada["email"], "ada.lindqvist@example.com");
    check_interests(&ada, &["Football", "Marathon running"]);
    // The cookie of a visitor is that of the website.
    let ben = app.user_by_cookie("a5aa3c814f426dcbb394fb36bb2d420f").await;
    assert_eq!(ben["email"], "ben.okafor@example.com");
    assert!(ben["location"].as_str().unwrap().starts_with("New York"), "{ben}");
    let again = send_example(&app, "hubspot", "text/csv", "hubspot_contacts.csv").await;
    assert_eq!(again["duplicates"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_servers_log_is_read_without_code_and_meets_the_shops_customers() {
    let app = transforming().await;
    send_example(&app, "shopify", "text/csv", "shopify_customers.csv").await;
    let report = send_example(&app, "weblog", "application/x-ndjson", "weblog.ndjson").await;
    assert_eq!(report["records_processed"], 40);
    let visitor = app.user_by_cookie("3b61867626bb7dbd").await;
    // Known by a log-in, as the shop's customer.
    assert_eq!(visitor["email"], "ada.lindqvist@example.com");
    let interests = visitor["interests"].as_array().unwrap();
    assert!(
        interests.contains(&json!("running shoes")) && interests.contains(&json!("football")),
        "{visitor}"
    );
    assert!(!interests.contains(&json!("shop")), "{visitor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_transformed_is_refused_and_kept_as_it_came() {
    let app = transforming().await;
    let rows = "{\"time\":\"yesterday\",\"request\":{\"id\":\"r1\",\"path\":\"/\",\"query\":\"\"},\"cookies\":{\"visitor\":\"v1\"}}\n\
                {\"request\":{\"id\":\"r2\",\"path\":\"/shop/tea\",\"query\":\"\"},\"cookies\":{\"visitor\":\"v2\"}}\n\
                {\"request\":{\"id\":\"r3\"},\"cookies\":{\"visitor\":\"v3\"}}\n\
                {\"request\":{\"id\":\"r4\",\"path\":\"/\",\"query\":\"\"}}\n";
    let media_type = [("content-type", "application/x-ndjson")];
    let report = send(&app, &[("source", "weblog")], &media_type, rows).await.ok();
    assert_eq!(
        row_errors(&report),
        [
            (1, "timestamp", "transform"),
            (3, "interests", "transform"),
            (4, "cookie", "required")
        ]
    );
    check_interests(&app.user_by_cookie("v2").await, &["tea"]);
    let batch = report["batch_id"].as_str().unwrap();
    let kept = app.get(&format!("/api/ingest/{batch}/rejects")).await;
    assert_eq!(kept["rejects"][0]["verbatim"], rows.lines().next().unwrap());
    // Of another source, the same row is read as ever.
    send(
        &app,
        &[],
        &media_type,
        "{\"cookie\":\"v9\",\"time\":\"2026-01-01T00:00:00Z\"}",
    )
    .await
    .ok();
}
