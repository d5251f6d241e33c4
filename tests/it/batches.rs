//! Batches: the same request twice, carried on where it broke off, worked off later, cancelled;
//! what was refused, mended and replayed. What a process that is killed leaves is in `resume.rs`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cdp::app::App;
use cdp::domain::role::Role;
use cdp::services::ingest::{Format, Payload, Renames};
use futures_util::stream;
use poem::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, build, config};

/// A batch of the tests takes a moment; one that hangs must not hang them.
const BATCH_MAX: Duration = Duration::from_mins(1);

/// Sends a payload with some headers.
async fn send(app: &TestApp, media_type: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    send_as(app, Role::Ingest, media_type, headers, body).await
}

async fn send_as(
    app: &TestApp,
    role: Role,
    media_type: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = app
        .client()
        .post("/api/ingest?source=shop")
        .content_type(media_type);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.answer_to(role, request.body(body)).await
}

const NDJSON: &str = "application/x-ndjson";

/// Sends lines with a key.
async fn keyed(app: &TestApp, key: &str, lines: impl Into<Body>) -> Answer {
    send(app, NDJSON, &[("idempotency-key", key)], lines).await
}

/// Sends lines to be worked off later.
async fn later(app: &TestApp, headers: &[(&str, &str)], lines: impl Into<Body>) -> Answer {
    let headers = [&[("prefer", "respond-async")], headers].concat();
    send(app, NDJSON, &headers, lines).await
}

async fn post(app: &TestApp, path: &str) -> Answer {
    app.answer_to(Role::Ingest, app.client().post(path)).await
}

/// Visits of a few people, without message ids and without times: stored twice, they would be
/// two.
fn visits(count: usize) -> String {
    let visit = |n| format!("{{\"cookie\":\"visitor-{}\",\"n\":{n}}}\n", n % 20);
    (0..count).map(visit).collect()
}

/// How many records of a cookie are stored.
async fn records_of(app: &TestApp, cookie: &str) -> usize {
    let user = app.user_by_cookie(cookie).await;
    let id = user["identities"]["id"].as_str().unwrap().to_owned();
    let (mut count, mut before) = (0, String::new());
    loop {
        let page = app
            .get(&format!("/api/profiles/{id}/timeline?limit=200{before}"))
            .await;
        count += page["entries"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(cursor) => before = format!("&before={cursor}"),
            None => return count,
        }
    }
}

/// Whether each of [`visits`] is stored, and once.
async fn check_visits(app: &TestApp, count: usize) {
    for visitor in [0, 7, 19] {
        let expected = (0..count).filter(|n| n % 20 == visitor).count();
        let stored = records_of(app, &format!("visitor-{visitor}")).await;
        assert_eq!(stored, expected, "visitor-{visitor}");
    }
}

/// Waits until a batch has ended.
async fn ended(app: &TestApp, batch: &Value) -> Value {
    let path = format!("/api/ingest/{}", batch.as_str().unwrap());
    let waiting = async {
        loop {
            let standing = app.get(&path).await;
            if standing["finished"] == true {
                return standing;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BATCH_MAX, waiting).await.expect("the batch ends in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_with_a_key_is_stored_once_and_answered_twice() {
    let app = TestApp::start().await;
    let lines = "{\"cookie\":\"twice\"}\n{\"cookie\":\"x\",\"age\":430}\n";
    let first = keyed(&app, "k-1", lines).await;
    let second = keyed(&app, "\"k-1\"", lines).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(first.ok(), second.ok());
    assert_eq!(second.ok()["errors"][0]["code"], "out_of_range");
    assert_eq!(records_of(&app, "twice").await, 1);
    // Another user's key of the same name is another.
    let other = send_as(&app, Role::Admin, NDJSON, &[("idempotency-key", "k-1")], lines).await;
    assert_eq!(other.header("idempotency-replayed"), "");
    assert_ne!(other.ok()["batch_id"], first.ok()["batch_id"]);
    assert_eq!(records_of(&app, "twice").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_payload_and_one_source() {
    let app = TestApp::start().await;
    keyed(&app, "k-1", "{\"cookie\":\"one\"}\n").await.ok();
    let other = keyed(&app, "k-1", "{\"cookie\":\"two\"}\n").await;
    let error = other.error(422, "key_reused");
    assert_eq!(error["field"], "idempotency-key");
    let request = app.client().post("/api/ingest?source=app").content_type(NDJSON);
    let request = request
        .header("idempotency-key", "k-1")
        .body("{\"cookie\":\"one\"}\n");
    app.answer_to(Role::Ingest, request)
        .await
        .error(422, "key_reused");
    let long = "x".repeat(256);
    for key in ["", "a b", &long] {
        let refused = keyed(&app, key, "{\"cookie\":\"one\"}\n").await;
        assert_eq!(
            refused.error(400, "bad_request")["field"],
            "idempotency-key",
            "{key}"
        );
    }
    assert_eq!(records_of(&app, "one").await, 1);
    app.get_as(Role::Viewer, "/api/user?cookie=two")
        .await
        .assert_status(poem::http::StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_which_every_row_was_refused_is_answered_again_as_well() {
    let app = TestApp::start().await;
    let first = keyed(&app, "k-1", "{\"age\":1}\n").await;
    let second = keyed(&app, "k-1", "{\"age\":1}\n").await;
    assert_eq!((first.status, second.status), (422, 422));
    assert_eq!(first.json(), second.json());
    assert_eq!(second.header("idempotency-replayed"), "true");
}

/// A body that comes in pieces, the last of which waits for a word. That it is read, which begins once
/// the request has its key, is told.
fn body_in_pieces(
    first: String,
    begun: Arc<Notify>,
    last: tokio::sync::oneshot::Receiver<io::Result<String>>,
) -> Body {
    let first = stream::once(async move {
        begun.notify_one();
        Ok::<_, io::Error>(first)
    });
    let last = stream::once(async { last.await.unwrap_or_else(|_| Err(io::Error::other("gone"))) });
    Body::from_bytes_stream(futures_util::StreamExt::chain(first, last))
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_first_request_is_under_way_a_second_one_is_told_to_wait() {
    let app = TestApp::start().await;
    let (go_on, word) = tokio::sync::oneshot::channel();
    let begun = Arc::new(Notify::new());
    let first = keyed(
        &app,
        "k-1",
        body_in_pieces(visits(1_500), Arc::clone(&begun), word),
    );
    let second = async {
        let begun = timeout(BATCH_MAX, begun.notified()).await;
        begun.expect("the first request is read");
        let answer = keyed(&app, "k-1", visits(1_500)).await;
        answer.error(409, "conflict");
        assert_eq!(answer.header("retry-after"), "1");
        go_on.send(Ok(String::new())).unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    first.ok();
    assert_eq!(
        keyed(&app, "k-1", visits(1_500))
            .await
            .header("idempotency-replayed"),
        "true"
    );
    check_visits(&app, 1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_with_one_key_at_once_store_it_once() {
    let app = TestApp::start().await;
    let requests = (0..8).map(|_| keyed(&app, "k-1", visits(60)));
    let answers = futures_util::future::join_all(requests).await;
    let stored = answers.iter().filter(|answer| answer.status == 200).count();
    assert!(stored >= 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.error(409, "conflict");
    }
    check_visits(&app, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_broke_off_is_carried_on_by_its_repetition() {
    let app = TestApp::start().await;
    let (go_on, word) = tokio::sync::oneshot::channel();
    // The first chunk is stored for sure once the second one waits.
    let broken = body_in_pieces(visits(2_200), Arc::default(), word);
    go_on.send(Err(io::Error::other("the line is dead"))).unwrap();
    let error = keyed(&app, "k-1", broken).await.error(400, "unparseable");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("rows before it are stored"),
        "{error}"
    );
    let other = visits(2_500).replacen("visitor-0", "visitor-1", 1);
    keyed(&app, "k-1", other).await.error(422, "key_reused");
    let report = keyed(&app, "k-1", visits(2_500)).await.ok();
    assert_eq!(
        (&report["records_processed"], &report["records_rejected"]),
        (&json!(2_500), &json!(0))
    );
    let batch = app
        .get(&format!("/api/ingest/{}", report["batch_id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&batch["status"], &batch["failure"]),
        (&json!("finished"), &Value::Null)
    );
    check_visits(&app, 2_500).await;
    let again = keyed(&app, "k-1", visits(2_500)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.ok(), report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_could_not_be_read_is_mended_and_sent_again_under_its_key() {
    let app = TestApp::start().await;
    let rows = |count: usize| -> String {
        let rows: Vec<String> = visits(count).lines().map(str::to_owned).collect();
        rows.join(",")
    };
    let headers = [("idempotency-key", "k-1")];
    let torn = format!("[{},oops]", rows(2_100));
    send(&app, "application/json", &headers, torn)
        .await
        .error(400, "unparseable");
    let report = send(&app, "application/json", &headers, format!("[{}]", rows(2_100)))
        .await
        .ok();
    assert_eq!(
        (&report["records_processed"], &report["errors"]),
        (&json!(2_100), &json!([]))
    );
    check_visits(&app, 2_100).await;
    let rejects = format!("/api/ingest/{}/rejects", report["batch_id"].as_str().unwrap());
    assert_eq!(app.get(&rejects).await["rejects"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_be_worked_off_later_is_answered_at_once_and_stored_in_the_end() {
    let app = TestApp::start().await;
    let lines = visits(2_500) + "{\"age\":7}\n";
    let answer = later(&app, &[("idempotency-key", "k-1")], lines.clone()).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let queued = answer.json();
    assert_eq!(queued["status"], "queued");
    assert_eq!(answer.header("preference-applied"), "respond-async");
    let location = format!("/api/ingest/{}", queued["batch_id"].as_str().unwrap());
    assert_eq!(answer.header("location"), location);
    let standing = ended(&app, &queued["batch_id"]).await;
    assert_eq!(standing["status"], "finished");
    assert_eq!(
        (&standing["records_processed"], &standing["records_rejected"]),
        (&json!(2_500), &json!(1))
    );
    check_visits(&app, 2_500).await;
    let rejects = app.get(&format!("{location}/rejects")).await;
    assert_eq!(rejects["rejects"][0]["row"], 2_501);
    // Again, it is the same batch, whether its answer is waited for or not.
    let again = later(&app, &[("idempotency-key", "k-1")], lines.clone()).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (202, "true")
    );
    assert_eq!(again.json()["batch_id"], queued["batch_id"]);
    let waited = keyed(&app, "k-1", lines).await;
    assert_eq!(waited.header("idempotency-replayed"), "true");
    assert_eq!(waited.ok()["records_rejected"], 1);
    later(&app, &[("idempotency-key", "k-1")], "{}\n")
        .await
        .error(422, "key_reused");
    check_visits(&app, 2_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_payload_that_cannot_be_read_fails_and_says_why() {
    let app = TestApp::start().await;
    let headers = [("prefer", "respond-async")];
    let queued = send(&app, "application/json", &headers, "[{\"cookie\":\"a\"},oops]").await;
    assert_eq!(queued.status, 202, "{queued:?}");
    let standing = ended(&app, &queued.json()["batch_id"]).await;
    assert_eq!(standing["status"], "failed");
    assert!(
        standing["failure"].as_str().unwrap().contains("line 1 column"),
        "{standing}"
    );
    later(&app, &[], "").await.error(400, "unparseable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_cancelled_where_it_is() {
    let app = TestApp::start().await;
    let first = later(&app, &[], visits(30_000)).await.json();
    let second = later(&app, &[("idempotency-key", "k-2")], visits(10))
        .await
        .json();
    let path = |batch: &Value| format!("/api/ingest/{}/cancel", batch["batch_id"].as_str().unwrap());
    // The second waits behind the first, which takes its time.
    let cancelled = post(&app, &path(&second)).await.ok();
    assert_eq!(
        (&cancelled["status"], &cancelled["records_processed"]),
        (&json!("cancelled"), &json!(0))
    );
    let standing = format!("/api/ingest/{}", first["batch_id"].as_str().unwrap());
    let in_the_middle = timeout(BATCH_MAX, async {
        while app.get(&standing).await["records_processed"] == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    });
    in_the_middle.await.expect("the first batch gets on");
    let cancelled = post(&app, &path(&first)).await.ok();
    assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
    let stored = cancelled["records_processed"].as_u64().unwrap();
    assert!((1..30_000).contains(&stored), "{cancelled}");
    assert!(
        cancelled["failure"].as_str().unwrap().starts_with("cancelled"),
        "{cancelled}"
    );
    // Once more changes nothing, and nothing is stored afterwards.
    assert_eq!(post(&app, &path(&first)).await.ok(), cancelled);
    let third = later(&app, &[], "{\"cookie\":\"third\"}\n").await.json();
    ended(&app, &third["batch_id"]).await;
    assert_eq!(app.get(&standing).await["records_processed"], stored);
    check_visits(&app, usize::try_from(stored).unwrap()).await;
    keyed(&app, "k-2", visits(10)).await.error(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_queued_can_be_cancelled() {
    let app = TestApp::start().await;
    let done = keyed(&app, "k-1", visits(1)).await.ok();
    let path = format!("/api/ingest/{}/cancel", done["batch_id"].as_str().unwrap());
    post(&app, &path).await.error(409, "conflict");
    post(&app, "/api/ingest/x/cancel").await.error(400, "bad_request");
    post(&app, "/api/ingest/01ARZ3NDEKTSV4RRFFQ69G5FAV/cancel")
        .await
        .error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_nothing_more_and_says_when_to_come_back() {
    let mut config = config();
    config.ingest.queue_bytes_max = 1;
    let app = TestApp::with(&config).await;
    let refused = later(&app, &[("idempotency-key", "k-1")], visits(10)).await;
    refused.error(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "10");
    // What did not fit left nothing behind, and is stored when it is waited for.
    let stored = keyed(&app, "k-1", visits(100)).await;
    assert_eq!(stored.header("idempotency-replayed"), "");
    stored.ok();
    check_visits(&app, 100).await;
}

/// Rows of which three are refused: one for its age, one for its address, and one that can't be
/// decoded.
const TABLE: &str = "cookie,email,age,plan\nr-1,,42,gold\nr-2,,430,\"a \"\"b\"\"\"\nr-3,foo@,,x\nr-4,,7\n";

#[tokio::test(flavor = "multi_thread")]
async fn rejects_go_out_as_a_table_and_come_back_mended() {
    let app = TestApp::start().await;
    let report = send(&app, "text/csv", &[], TABLE).await.ok();
    assert_eq!(report["records_rejected"], 3);
    let batch = format!("/api/ingest/{}", report["batch_id"].as_str().unwrap());
    let table = app.ask(&format!("{batch}/rejects"), &[("format", "csv")]).await;
    assert_eq!(table.header("content-type"), "text/csv");
    assert!(
        table
            .header("content-disposition")
            .starts_with("attachment; filename=\"rejects-")
    );
    let lines: Vec<&str> = table.text.lines().collect();
    assert!(
        lines[0].starts_with("row,line,errors,cookie,email,"),
        "{}",
        lines[0]
    );
    assert!(lines[0].ends_with(",rest,verbatim"), "{}", lines[0]);
    assert_eq!(lines.len(), 4, "{}", table.text);
    let request = app
        .client()
        .get(format!("{batch}/rejects"))
        .header("accept", "text/csv");
    assert_eq!(app.answer_to(Role::Ingest, request).await.text, table.text);

    // One is mended, one stays as it was; the third has no cookie, since it was never decoded.
    let mended = table.text.replacen(",430,", ",43,", 1);
    assert_ne!(mended, table.text);
    let path = format!("{batch}/replay");
    let replay = |body: String| app.client().post(&path).content_type("text/csv").body(body);
    let report = app.answer_to(Role::Ingest, replay(mended.clone())).await.ok();
    assert_eq!(
        (
            &report["records_processed"],
            &report["records_rejected"],
            &report["status"]
        ),
        (&json!(1), &json!(2), &json!("partial")),
        "{report}"
    );
    assert_eq!(app.user_by_cookie("r-2").await["demographics"]["age"], 43);
    let rejects = app.get(&format!("{batch}/rejects")).await["rejects"].clone();
    assert_eq!(rejects[0]["replayed_by"], report["batch_id"]);
    assert_eq!(rejects[0]["fields"]["plan"], "a \"b\"");
    assert_eq!(rejects[1]["replayed_by"], Value::Null);
    let replayed = app
        .get(&format!("/api/ingest/{}", report["batch_id"].as_str().unwrap()))
        .await;
    assert_eq!(
        (&replayed["replay_of"], &replayed["source"]),
        (&rejects_of(&batch), &json!("shop"))
    );

    // The same table again: the row that was accepted is left alone.
    let again = app.answer_to(Role::Ingest, replay(mended)).await.ok();
    assert_eq!(
        (
            &again["records_processed"],
            &again["replayed_before"],
            &again["records_rejected"]
        ),
        (&json!(0), &json!(1), &json!(2)),
        "{again}"
    );
    assert_eq!(records_of(&app, "r-2").await, 1);

    // The others, as JSON.
    let path = format!("{batch}/replay");
    let rows = json!([{"row": 3, "cookie": "r-3", "email": "foo@example.com"}, {"row": 4, "cookie": "r-4"}, {"row": 1, "cookie": "r-1"}]);
    let request = app.client().post(&path).body_json(&rows);
    let last = app.answer_to(Role::Ingest, request).await.ok();
    assert_eq!(
        (&last["records_processed"], &last["records_rejected"]),
        (&json!(2), &json!(0)),
        "{last}"
    );
    assert_eq!(
        (&last["errors"][0]["code"], &last["errors"][0]["field"]),
        (&json!("unknown"), &json!("row"))
    );
    assert_eq!(app.user_by_email("foo@example.com").await["cookie"], "r-3");
    let table = app.ask(&format!("{batch}/rejects"), &[("format", "csv")]).await;
    assert_eq!(table.text.lines().count(), 1, "{}", table.text);
}

fn rejects_of(path: &str) -> Value {
    json!(path.rsplit('/').next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_are_judged_again_when_the_settings_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.store.url = crate::support::server::store_url(folder.path());
    config.identity.placeholders = vec!["kiosk".to_owned()];
    let lines = "{\"cookie\":\"kiosk\",\"age\":50}\n{\"cookie\":\"x\",\"age\":430}\nno JSON\n";
    let batch = {
        let app = TestApp::with(&config).await;
        let answer = send(&app, NDJSON, &[], lines).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        let batch = answer.json()["batch_id"].as_str().unwrap().to_owned();
        // Nothing has changed yet.
        let report = post(&app, &format!("/api/ingest/{batch}/replay")).await.ok();
        assert_eq!(
            (
                &report["records_processed"],
                &report["records_rejected"],
                &report["undecodable"]
            ),
            (&json!(0), &json!(2), &json!(1)),
            "{report}"
        );
        batch
    };
    config.identity.placeholders = Vec::new();
    let app = restarted(&config).await;
    let arrived = app.get(&format!("/api/ingest/{batch}")).await["received_at"].clone();
    let report = post(&app, &format!("/api/ingest/{batch}/replay")).await.ok();
    assert_eq!(
        (&report["records_processed"], &report["records_rejected"]),
        (&json!(1), &json!(1)),
        "{report}"
    );
    // It happened when it came first.
    let kiosk = app.user_by_cookie("kiosk").await;
    assert_eq!(kiosk["demographics"]["age"], 50);
    assert_eq!(kiosk["provenance"][0]["at"], arrived, "{kiosk}");
    let again = post(&app, &format!("/api/ingest/{batch}/replay")).await.ok();
    assert_eq!(
        (&again["records_processed"], &again["replayed_before"]),
        (&json!(0), &json!(1)),
        "{again}"
    );
    assert_eq!(records_of(&app, "kiosk").await, 1);
    let nothing = send(&app, NDJSON, &[], "{\"cookie\":\"good\"}\n").await.ok();
    let path = format!("/api/ingest/{}/replay", nothing["batch_id"].as_str().unwrap());
    let report = post(&app, &path).await.ok();
    assert_eq!(
        (report.get("batch_id"), &report["status"]),
        (None, &json!("success"))
    );
}

/// The platform over a store that another one had open a moment ago.
async fn restarted(config: &cdp::config::Config) -> TestApp {
    let opened = timeout(BATCH_MAX, async {
        loop {
            if let Ok(app) = App::build(config).await {
                return app;
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
    TestApp::of(opened.await.expect("the store is free in time")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_rejects_is_whole_and_its_replay_is_stored_once() {
    let app = TestApp::start().await;
    let row = |n| {
        let age = if n % 2 == 0 { 430 } else { 42 };
        format!("{{\"cookie\":\"many-{n}\",\"age\":{age}}}\n")
    };
    let bad: String = (0..2_600).map(row).collect();
    let report = send(&app, NDJSON, &[], bad).await.ok();
    assert_eq!(report["records_rejected"], 1_300);
    let batch = format!("/api/ingest/{}", report["batch_id"].as_str().unwrap());
    let table = app.ask(&format!("{batch}/rejects"), &[("format", "csv")]).await;
    assert_eq!(table.text.lines().count(), 1_301);
    let page = app.get(&format!("{batch}/rejects?limit=1000&after=600")).await;
    assert_eq!(page["rejects"].as_array().unwrap().len(), 1_000);
    assert_eq!(page["rejects"][0]["row"], 601);
    let request = app
        .client()
        .post(format!("{batch}/replay"))
        .content_type("text/csv");
    let report = app
        .answer_to(Role::Ingest, request.body(table.text.replace(",430,", ",44,")))
        .await
        .ok();
    assert_eq!(report["records_processed"], 1_300, "{report}");
    for cookie in ["many-0", "many-2598"] {
        assert_eq!(app.user_by_cookie(cookie).await["demographics"]["age"], 44);
        assert_eq!(records_of(&app, cookie).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_says_and_does_the_same() {
    let app = TestApp::start().await;
    let ingest = "mutation($records: [JSON!]!) { ingest(records: $records, idempotencyKey: \"k-1\") \
                  { batchId recordsProcessed recordsRejected replayed } }";
    let records = json!({ "records": [{"cookie": "gq-1"}, {"cookie": "gq-2", "age": 430}] });
    let first = app.graphql(ingest, records.clone()).await["ingest"].clone();
    let second = app.graphql(ingest, records).await["ingest"].clone();
    assert_eq!(
        (&first["replayed"], &second["replayed"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["batchId"], second["batchId"]);
    let replay = "mutation($batch: ID!, $records: [JSON!]) { replayRejects(batch: $batch, records: $records) \
                  { batchId replayOf recordsProcessed recordsRejected } }";
    let mended = json!([{"row": 2, "cookie": "gq-2", "age": 43}]);
    let again = app
        .graphql(replay, json!({ "batch": first["batchId"], "records": mended }))
        .await;
    assert_eq!(again["replayRejects"]["recordsProcessed"], 1, "{again}");
    let batch = "query($id: ID!) { batch(id: $id) { status replayOf updatedAt recordsProcessed } }";
    let replayed = app
        .graphql(batch, json!({ "id": again["replayRejects"]["batchId"] }))
        .await;
    assert_eq!(replayed["batch"]["status"], "finished");
    assert_eq!(replayed["batch"]["replayOf"], first["batchId"]);
    let queued = later(&app, &[], visits(20_000)).await.json();
    let cancel = "mutation($id: ID!) { cancelBatch(id: $id) { id status } }";
    let cancelled = app.graphql(cancel, json!({ "id": queued["batch_id"] })).await;
    assert_eq!(cancelled["cancelBatch"]["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_queued_waits_for_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.store.url = crate::support::server::store_url(folder.path());
    let batch = {
        let app = build(&config).await;
        let payload = Payload {
            format: Format::Ndjson,
            renames: Renames::default(),
            source: "shop".to_owned(),
            batch: None,
            bytes_max: u64::MAX,
            key: None,
        };
        let body = io::Cursor::new(visits(5_000).into_bytes());
        let standing = app.services.ingest.enqueue(payload, body).await.unwrap();
        standing.origin.batch.to_string()
    };
    let app = restarted(&config).await;
    let standing = ended(&app, &json!(batch)).await;
    assert_eq!(
        (&standing["status"], &standing["records_processed"]),
        (&json!("finished"), &json!(5_000))
    );
    check_visits(&app, 5_000).await;
}
