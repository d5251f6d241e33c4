//! What leaves the platform: the feed of changes, webhooks, exports. `kill -9` on either side
//! loses no event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cdp::activation::signature::sign;
use cdp::app::App;
use cdp::config::Config;
use cdp::domain::role::Role;
use poem::http::{Method, StatusCode};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, build, config};
use crate::support::environment;
use crate::support::people::{Asked, Walk, to_json};
use crate::support::receiver::{Letter, Receiver};
use crate::support::server::{Client, Server, store_url, token};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

async fn send(app: &TestApp, method: Method, path: &str, body: Value) -> Answer {
    let request = app.client().request(method, path).body_json(&body);
    app.answer_to(Role::Admin, request).await
}

/// All changes behind a cursor.
async fn changes(app: &TestApp, cursor: &str, more: &str) -> Vec<Value> {
    let page = app.get(&format!("/api/changes?cursor={cursor}{more}")).await;
    page["changes"].as_array().unwrap().clone()
}

/// What happened, in a line each: kind, to whom, and what else.
fn told(changes: &[Value]) -> Vec<String> {
    let line = |change: &Value| {
        let text = |name: &str| change[name].as_str().unwrap_or_default().to_owned();
        let cohort = change["cohort"]["slug"].as_str().unwrap_or_default();
        let created = if change["created"] == true { "new" } else { "" };
        let more = format!("{}{cohort}{created}", text("merged_into"));
        format!("{} {} {more}", text("kind"), text("profile_id"))
            .trim_end()
            .to_owned()
    };
    changes.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_commit_tells_what_it_did_to_whom() {
    let app = TestApp::start().await;
    let start = app.get("/api/changes").await["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(start, "0");
    app.ingest(json!([{ "cookie": "a", "interests": ["tennis"] }]))
        .await;
    app.ingest(json!([{ "cookie": "b", "email": "b@shop.example" }]))
        .await;
    app.ingest(json!([{ "cookie": "a", "email": "b@shop.example" }]))
        .await;
    let all = changes(&app, &start, "").await;
    let a = app.user_by_cookie("a").await["identities"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(a, "p0");
    assert_eq!(
        told(&all),
        [
            "profile.changed p0 new",
            "cohort.entered p0 sports",
            "profile.changed p1 new",
            "profile.changed p0",
            "profile.merged p1 p0",
        ]
    );
    assert_eq!(all[1]["reason"], json!(["tennis"]));
    assert_eq!(all[1]["cohort"]["name"], "Sports");
    assert_eq!((&all[0]["rev"], &all[3]["rev"]), (&json!(1), &json!(2)));

    // A merge that is undone: both are told of, and who enters and leaves.
    let merge = app.get("/api/merges").await["merges"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let before = all[4]["cursor"].as_str().unwrap();
    send(
        &app,
        Method::POST,
        &format!("/api/merges/{merge}/undo"),
        json!({}),
    )
    .await
    .ok();
    let undone = told(&changes(&app, before, "").await);
    assert_eq!(undone, ["profile.changed p0", "profile.changed p1"]);

    // A row that changes nobody's data is still a visit; one that is refused is none.
    let end = app.get("/api/changes").await["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    app.send("application/json", json!([{ "cookie": "" }]).to_string())
        .await;
    assert_eq!(app.get("/api/changes").await["next_cursor"], json!(end));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_tells_who_enters_and_leaves_by_it() {
    let app = TestApp::alone().await;
    app.ingest(json!([{ "cookie": "a", "interests": ["guitar"] }]))
        .await;
    let end = app.get("/api/changes").await["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    let correction = json!({ "interest": "guitar", "cohorts": ["Travel"] });
    send(&app, Method::PUT, "/api/corrections", correction).await.ok();
    let until_told = async {
        loop {
            let all = told(&changes(&app, &end, "").await);
            if !all.is_empty() {
                return all;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let all = timeout(PATIENCE, until_told).await.unwrap();
    assert_eq!(
        all,
        [
            "profile.changed p0",
            "cohort.entered p0 travel",
            "cohort.left p0 music"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_size_meet_each_change_once_and_filters_leave_out_the_rest() {
    let app = TestApp::start().await;
    for round in 0..5 {
        let record =
            |number| json!({ "cookie": format!("c{round}-{number}"), "interests": ["tennis", "sushi"] });
        app.ingest((0..3).map(record).collect()).await;
    }
    let all = changes(&app, "0", "&limit=1000").await;
    assert_eq!(all.len(), 5 * 3 * 3);
    for limit in [1, 2, 7, 44, 45] {
        let (mut met, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let page = app
                .get(&format!("/api/changes?cursor={cursor}&limit={limit}"))
                .await;
            met.extend(page["changes"].as_array().unwrap().clone());
            page["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
            if page["has_more"] == false {
                break;
            }
        }
        assert_eq!(met, all, "{limit}");
    }
    let kinds = |all: &[Value]| -> BTreeSet<String> {
        all.iter()
            .map(|change| change["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let sports = changes(&app, "0", "&cohort=Sports").await;
    assert_eq!(sports.len(), 15);
    assert_eq!(kinds(&sports), BTreeSet::from(["cohort.entered".to_owned()]));
    let changed = changes(&app, "0", "&kinds=profile.changed,profile.merged&limit=10").await;
    assert_eq!((changed.len(), kinds(&changed).len()), (10, 1));
    for (query, status, code) in [
        ("cursor=x", 400, "bad_request"),
        ("cursor=999", 400, "bad_request"),
        ("kinds=profile_changed", 400, "bad_request"),
        ("cohort=pottery", 404, "not_found"),
        ("limit=1001", 400, "bad_request"),
    ] {
        let answer = Answer::of(app.get_as(Role::Viewer, &format!("/api/changes?{query}")).await).await;
        answer.error(status, code);
    }
}

/// Starts again over a store whose server before lets go of it in the background.
pub async fn start_again(settings: &Config) -> TestApp {
    let classifier = std::sync::Arc::clone(&build(&config()).await.classifier);
    let until_free = async {
        loop {
            match App::build_with(settings, Some(std::sync::Arc::clone(&classifier))).await {
                Ok(app) => return TestApp::of(app).await,
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(PATIENCE, until_free).await.expect("it starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_dropped_and_who_was_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config();
    settings.store.url = store_url(folder.path());
    settings.activation.feed_keep_days = 0;
    {
        let app = TestApp::with(&settings).await;
        for cookie in ["a", "b", "c"] {
            app.ingest(json!([{ "cookie": cookie }])).await;
        }
    }
    let app = start_again(&settings).await;
    let until_dropped = async {
        loop {
            let answer = Answer::of(app.get_as(Role::Viewer, "/api/changes?cursor=1").await).await;
            if answer.status == 410 {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let gone = timeout(PATIENCE, until_dropped).await.unwrap().error(410, "gone");
    assert!(
        gone["message"].as_str().unwrap().contains("begins behind `2`"),
        "{gone}"
    );
    assert_eq!(told(&changes(&app, "2", "").await), ["profile.changed p2 new"]);
    app.ingest(json!([{ "cookie": "d" }])).await;
    assert_eq!(
        changes(&app, "3", "").await.len(),
        1,
        "numbers go on where they were"
    );
}

/// Events of a stream, by id, kind and data, until there are so many.
async fn streamed(
    url: &str,
    path: &str,
    last_id: Option<&str>,
    count: usize,
) -> Vec<(String, String, Value)> {
    let client = reqwest::Client::new();
    let bearer = token(&client, url, Role::Viewer).await;
    let mut request = client
        .get(format!("{url}{path}"))
        .bearer_auth(bearer)
        .header("accept", "text/event-stream")
        .header("accept-encoding", "gzip");
    if let Some(id) = last_id {
        request = request.header("last-event-id", id);
    }
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let reading = async {
        let (mut text, mut events) = (String::new(), Vec::new());
        while events.len() < count {
            let chunk = response.chunk().await.unwrap().expect("it goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim().to_owned()
                };
                if !field("data:").is_empty() {
                    let data = serde_json::from_str(&field("data:")).unwrap();
                    events.push((field("id:"), field("event:"), data));
                }
                text = rest.to_owned();
            }
        }
        events
    };
    timeout(PATIENCE, reading).await.expect("they come")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_brings_changes_as_they_happen_and_goes_on_where_it_broke_off() {
    let app = TestApp::serve().await;
    let client = Client::log_in(&app.url).await;
    client
        .ingest(&json!([{ "cookie": "a", "interests": ["tennis"] }]))
        .await
        .unwrap();
    let first = streamed(&app.url, "/api/changes?cursor=0", None, 1).await;
    assert_eq!(first[0].1, "profile.changed");
    assert_eq!(first[0].2["cursor"], first[0].0.as_str());

    // What happened meanwhile, and what happens while it is open.
    let url = app.url.clone();
    let last = first[0].0.clone();
    let rest = tokio::spawn(async move { streamed(&url, "/api/changes", Some(&last), 3).await });
    sleep(Duration::from_millis(300)).await;
    client
        .ingest(&json!([{ "cookie": "b", "interests": ["sushi"] }]))
        .await
        .unwrap();
    let rest = rest.await.unwrap();
    let kinds: Vec<&str> = rest.iter().map(|(_, kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["cohort.entered", "profile.changed", "cohort.entered"]);
    assert_eq!(rest[2].2["cohort"]["slug"], "food-drink");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_streams_and_no_more() {
    let mut settings = config();
    settings.activation.streams_max = 1;
    let app = TestApp::with(&settings).await;
    let open = || async {
        let request = app
            .client()
            .get("/api/changes")
            .header("accept", "text/event-stream");
        let bearer = format!("Bearer {}", app.token(Role::Viewer));
        request.header("authorization", bearer).send().await
    };
    let first = open().await;
    first.assert_status_is_ok();
    let refused = open().await;
    refused.assert_status(StatusCode::TOO_MANY_REQUESTS);
    refused.assert_header_exist("retry-after");
    drop(first);
    open().await.assert_status_is_ok();
}

/// Settings with which failures are tried again at once.
fn hasty() -> Config {
    let mut settings = config();
    settings.activation.retry_first_ms = 20;
    settings.activation.retry_max_s = 1;
    settings.activation.attempts_max = 3;
    settings
}

/// A webhook behind the beginning of the feed; its id and its secret.
async fn webhook(app: &TestApp, receiver: &Receiver, more: Value) -> (String, String) {
    let mut wish = json!({ "name": "test", "url": receiver.url(), "cursor": "0" });
    wish.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let made = send(app, Method::POST, "/api/webhooks", wish).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["webhook"]["id"]), text(&made["secret"]))
}

async fn until_state(app: &TestApp, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let path = format!("/api/webhooks/{id}");
    let waiting = async {
        loop {
            let webhook = app.get(&path).await;
            if is_so(&webhook) {
                return webhook;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let Ok(webhook) = timeout(PATIENCE, waiting).await else {
        panic!("{}", app.get(&path).await);
    };
    webhook
}

#[track_caller]
fn check_signature(letter: &Letter, secrets: &[&str]) {
    let timestamp: i64 = letter.header("webhook-timestamp").parse().unwrap();
    assert!((chrono::Utc::now().timestamp() - timestamp).abs() < 60);
    let signed = |secret: &&str| sign(secret, letter.id(), timestamp, &letter.body).unwrap();
    let expected: Vec<String> = secrets.iter().map(signed).collect();
    assert_eq!(letter.header("webhook-signature"), expected.join(" "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_signed_and_tells_what_was_chosen_and_nothing_more() {
    let app = TestApp::with(&hasty()).await;
    let receiver = Receiver::start(|_| 200).await;
    app.ingest(
        json!([{ "cookie": "a", "email": "ann@shop.example", "first_name": "Ann", "interests": ["tennis"] }]),
    )
    .await;
    let (id, secret) = webhook(
        &app,
        &receiver,
        json!({ "fields": ["email"], "cohorts": ["sports"] }),
    )
    .await;
    let letters = receiver.until(1).await;
    check_signature(&letters[0], &[&secret]);
    assert_eq!(letters[0].header("content-type"), "application/json");
    let body = letters[0].json();
    assert_eq!(body["type"], "cohort.entered");
    assert!(body["timestamp"].is_string());
    let expected = json!({
        "cursor": "1-1",
        "profile_id": "p0",
        "cohort": { "slug": "sports", "name": "Sports" },
        "reason": ["tennis"],
        "profile": { "email": "ann@shop.example" },
    });
    assert_eq!(body["data"], expected);
    assert_eq!(letters[0].id(), format!("msg_{id}_1-1"));

    // It follows what happens, and its log says so; nothing shows the secret again.
    app.ingest(json!([{ "cookie": "b", "interests": ["football", "sushi"] }]))
        .await;
    receiver.until(2).await;
    until_state(&app, &id, |webhook| {
        webhook["delivered"] == 2 && webhook["lag"] == 0
    })
    .await;
    let log = app.get(&format!("/api/webhooks/{id}/deliveries")).await;
    let states: Vec<&Value> = log["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["state"])
        .collect();
    assert_eq!(states, ["delivered", "delivered"]);
    assert_eq!(log["deliveries"][0]["change"]["profile_id"], "p1");
    let shown = format!("{log}{}", app.get("/api/webhooks").await);
    assert!(!shown.contains("whsec_") && !shown.contains("ann@"), "{shown}");

    // A new secret signs beside the one before.
    let rotated = send(
        &app,
        Method::POST,
        &format!("/api/webhooks/{id}/rotate"),
        json!({}),
    )
    .await
    .ok();
    let tested = send(&app, Method::POST, &format!("/api/webhooks/{id}/test"), json!({}))
        .await
        .ok();
    assert_eq!(
        (&tested["delivered"], &tested["status"]),
        (&json!(true), &json!(200))
    );
    let test = receiver.until(3).await[2].clone();
    check_signature(&test, &[rotated["secret"].as_str().unwrap(), &secret]);
    assert_eq!(test.json()["type"], "webhook.test");

    send(&app, Method::DELETE, &format!("/api/webhooks/{id}"), json!({})).await;
    let gone = Answer::of(app.get_as(Role::Admin, &format!("/api/webhooks/{id}")).await).await;
    gone.error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_again_and_what_is_refused_is_a_dead_letter() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    static IS_MENDED: AtomicUsize = AtomicUsize::new(0);
    let app = TestApp::with(&hasty()).await;
    let receiver = Receiver::start(|letter| {
        if IS_MENDED.load(Ordering::SeqCst) == 1 {
            return 200;
        }
        match letter.json()["data"]["profile_id"].as_str() {
            // Takes it at the third try.
            Some("p0") if TRIES.fetch_add(1, Ordering::SeqCst) < 2 => 503,
            Some("p1") => 422,
            Some("p2") => 500,
            _ => 200,
        }
    })
    .await;
    for cookie in ["a", "b", "c", "d"] {
        app.ingest(json!([{ "cookie": cookie }])).await;
    }
    let (id, _) = webhook(&app, &receiver, json!({ "kinds": ["profile.changed"] })).await;
    let webhook = until_state(&app, &id, |webhook| {
        webhook["lag"] == 0 && webhook["failures"] == 0
    })
    .await;
    assert_eq!((&webhook["delivered"], &webhook["dead"]), (&json!(2), &json!(2)));
    assert_eq!(webhook["state"], "active");
    let log = app.get(&format!("/api/webhooks/{id}/deliveries")).await;
    let mut by_profile = BTreeMap::new();
    for one in log["deliveries"].as_array().unwrap() {
        let profile = one["change"]["profile_id"].as_str().unwrap();
        let fate = (
            one["state"].clone(),
            one["status"].clone(),
            one["attempts"].clone(),
        );
        assert!(by_profile.insert(profile.to_owned(), fate).is_none(), "{log}");
    }
    assert_eq!(by_profile["p1"], (json!("dead"), json!(422), json!(1)));
    assert_eq!(by_profile["p2"], (json!("dead"), json!(500), json!(3)));
    assert_eq!(by_profile["p3"], (json!("delivered"), json!(200), json!(1)));
    assert_eq!(by_profile["p0"].0, "delivered");
    let ids: BTreeSet<String> = receiver
        .letters()
        .iter()
        .map(|letter| letter.id().to_owned())
        .collect();
    assert_eq!(ids.len(), 4, "an event has one id, however often it is tried");

    // The dead letters, once more, by another receiver as it were.
    IS_MENDED.store(1, Ordering::SeqCst);
    let dead = app
        .get(&format!("/api/webhooks/{id}/deliveries?dead=true&limit=1"))
        .await;
    assert_eq!(dead["deliveries"].as_array().unwrap().len(), 1);
    assert!(dead["next_before"].is_u64(), "{dead}");
    let replay = format!("/api/webhooks/{id}/replay");
    send(&app, Method::POST, &replay, json!({ "dead_letters": true }))
        .await
        .ok();
    until_state(&app, &id, |webhook| {
        webhook["dead"] == 0 && webhook["delivered"] == 4
    })
    .await;
    let dead = app.get(&format!("/api/webhooks/{id}/deliveries?dead=true")).await;
    assert_eq!(dead["deliveries"], json!([]));

    // And all of it again, from the beginning, in order.
    let before = receiver.letters().len();
    send(&app, Method::POST, &replay, json!({ "cursor": "0" }))
        .await
        .ok();
    let letters = receiver.until(before + 4).await;
    let again: BTreeSet<String> = letters[before..]
        .iter()
        .map(|letter| letter.id().to_owned())
        .collect();
    assert_eq!(again, ids);
    send(&app, Method::POST, &replay, json!({}))
        .await
        .error(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_dead_letter_is_sent_again_once_although_others_fail_again() {
    static IS_MENDED: AtomicUsize = AtomicUsize::new(0);
    let app = TestApp::with(&hasty()).await;
    let receiver = Receiver::start(|letter| {
        if IS_MENDED.load(Ordering::SeqCst) == 0 {
            return 422;
        }
        match letter.json()["data"]["profile_id"].as_str() {
            Some(profile) if profile.ends_with('0') => 503,
            _ => 200,
        }
    })
    .await;
    // More than one window holds, and one in ten of them fails again.
    let people = (0..100).map(|number| json!({ "cookie": format!("c{number}") }));
    app.ingest(people.collect()).await;
    let (id, _) = webhook(&app, &receiver, json!({ "kinds": ["profile.changed"] })).await;
    until_state(&app, &id, |webhook| webhook["dead"] == 100 && webhook["lag"] == 0).await;
    let before = receiver.letters().len();
    assert_eq!(before, 100);

    IS_MENDED.store(1, Ordering::SeqCst);
    let replay = format!("/api/webhooks/{id}/replay");
    send(&app, Method::POST, &replay, json!({ "dead_letters": true }))
        .await
        .ok();
    receiver.until(before + 100).await;
    let webhook = until_state(&app, &id, |webhook| webhook["delivered"] == 90).await;
    assert_eq!(
        (&webhook["dead"], &webhook["state"]),
        (&json!(10), &json!("active"))
    );
    let letters = receiver.letters();
    let again: BTreeSet<&str> = letters[before..].iter().map(Letter::id).collect();
    assert_eq!((again.len(), letters.len()), (100, before + 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_no_more_is_left_in_peace_until_somebody_says_so() {
    static STATUS: AtomicUsize = AtomicUsize::new(410);
    let app = TestApp::with(&hasty()).await;
    let receiver = Receiver::start(|_| u16::try_from(STATUS.load(Ordering::SeqCst)).unwrap()).await;
    app.ingest(json!([{ "cookie": "a" }])).await;
    let (id, _) = webhook(&app, &receiver, json!({ "kinds": ["profile.changed"] })).await;
    let webhook = until_state(&app, &id, |webhook| webhook["state"] == "disabled").await;
    assert_eq!(webhook["delivered"], 0);
    app.ingest(json!([{ "cookie": "b" }])).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.letters().len(), 1);
    STATUS.store(200, Ordering::SeqCst);
    let wish = json!({ "name": "test", "url": receiver.url(), "kinds": ["profile.changed"] });
    send(&app, Method::PUT, &format!("/api/webhooks/{id}"), wish.clone())
        .await
        .ok();
    until_state(&app, &id, |webhook| webhook["delivered"] == 2).await;

    // And one that is paused sends nothing, and goes on where it was.
    let mut paused = wish.clone();
    paused["paused"] = json!(true);
    send(&app, Method::PUT, &format!("/api/webhooks/{id}"), paused)
        .await
        .ok();
    app.ingest(json!([{ "cookie": "c" }])).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(receiver.letters().len(), 3);
    send(&app, Method::PUT, &format!("/api/webhooks/{id}"), wish)
        .await
        .ok();
    until_state(&app, &id, |webhook| webhook["delivered"] == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_consent_nobody_is_told_of() {
    let app = TestApp::with(&hasty()).await;
    let receiver = Receiver::start(|_| 200).await;
    app.ingest(json!([{ "cookie": "a" }])).await;
    let wish = json!({ "kinds": ["profile.changed"], "purpose": "marketing" });
    let (id, _) = webhook(&app, &receiver, wish).await;
    until_state(&app, &id, |webhook| {
        webhook["skipped"] == 1 && webhook["lag"] == 0
    })
    .await;
    assert_eq!(receiver.letters(), []);
    app.ingest(json!([{ "cookie": "a", "consent": { "marketing": true, "ads": false } }]))
        .await;
    let letters = receiver.until(1).await;
    assert_eq!(letters[0].json()["data"]["rev"], 2);
    let export = async |purpose: &str| {
        let path = format!("/api/profiles/export?format=ndjson&fields=id&purpose={purpose}");
        Answer::of(app.get_as(Role::Analyst, &path).await).await.text
    };
    assert_eq!(export("marketing").await, "{\"id\":\"p0\"}\n");
    assert_eq!(export("ads").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audience_for_a_purpose_hears_that_whoever_was_erased_has_left() {
    let app = TestApp::with(&hasty()).await;
    let receiver = Receiver::start(|_| 200).await;
    app.ingest(json!([{ "cookie": "a", "interests": ["cricket"], "consent": { "marketing": true } }]))
        .await;
    let wish = json!({ "kinds": ["cohort.entered", "cohort.left"], "purpose": "marketing" });
    let (id, _) = webhook(&app, &receiver, wish).await;
    until_state(&app, &id, |webhook| {
        webhook["delivered"] != 0 && webhook["lag"] == 0
    })
    .await;
    let entered = receiver.letters().len();
    send(&app, Method::DELETE, "/api/user?cookie=a", Value::Null)
        .await
        .ok();
    let letters = receiver.until(2 * entered).await;
    let kinds = |letters: &[Letter]| -> Vec<Value> {
        let kinds = letters.iter().map(|letter| letter.json()["type"].clone());
        kinds.collect()
    };
    let (before, after) = letters.split_at(entered);
    assert_eq!(kinds(before), vec![json!("cohort.entered"); entered]);
    assert_eq!(kinds(after), vec![json!("cohort.left"); entered]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_where_nothing_may_be() {
    let mut settings = config();
    settings.activation.allow_private_addresses = Some(false);
    let app = TestApp::with(&settings).await;
    for (url, message) in [
        ("http://example.com/", "must begin with https://"),
        ("https://127.0.0.1/", "must lead to a public address"),
        ("https://[::1]/", "must lead to a public address"),
        (
            "https://user:password@example.com/",
            "must not hold a user name or a password",
        ),
        ("nonsense", "is no address of the form https://host/path"),
    ] {
        let wish = json!({ "name": "test", "url": url });
        let error = send(&app, Method::POST, "/api/webhooks", wish)
            .await
            .error(400, "bad_request");
        assert_eq!(
            (&error["field"], &error["message"]),
            (&json!("url"), &json!(message))
        );
    }
    // A name is looked at when it is resolved.
    let wish = json!({ "name": "test", "url": "https://localhost/", "paused": true });
    let made = send(&app, Method::POST, "/api/webhooks", wish).await.ok();
    let id = made["webhook"]["id"].as_str().unwrap();
    let tested = send(&app, Method::POST, &format!("/api/webhooks/{id}/test"), json!({}))
        .await
        .ok();
    assert_eq!(tested["delivered"], false);
    assert_eq!(tested["error"], "the receiver can't be reached");
    for (wish, field) in [
        (json!({ "name": " ", "url": "https://example.com" }), "name"),
        (
            json!({ "name": "a", "url": "https://example.com", "fields": ["password"] }),
            "fields",
        ),
        (
            json!({ "name": "a", "url": "https://example.com", "kinds": [] }),
            "kinds",
        ),
        (
            json!({ "name": "a", "url": "https://example.com", "cursor": "9" }),
            "cursor",
        ),
    ] {
        let error = send(&app, Method::POST, "/api/webhooks", wish)
            .await
            .error(400, "bad_request");
        assert_eq!(error["field"], field);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_taken_out_in_files() {
    let app = TestApp::start().await;
    let people = (0..2_500).map(|number| {
        let interests = if number % 2 == 0 { "tennis" } else { "sushi" };
        json!({ "cookie": format!("c{number}"), "first_name": "=Ann", "interests": [interests] })
    });
    app.ingest(people.collect()).await;
    let export = async |path: &str| Answer::of(app.get_as(Role::Analyst, path).await).await;

    let csv = export("/api/cohort/export?cohort=Sports&fields=id,first_name,cohorts").await;
    assert_eq!(csv.status, 200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"sports.csv\""
    );
    let lines: Vec<&str> = csv.text.lines().collect();
    assert_eq!(lines[0], "id,first_name,cohorts");
    assert_eq!(lines[1], "p0,'=Ann,\"[\"\"Sports\"\"]\"");
    assert_eq!(lines.len(), 1 + 1_250);

    let ndjson = export("/api/profiles/export?format=ndjson").await;
    assert_eq!(ndjson.header("content-type"), "application/x-ndjson");
    let ids: BTreeSet<String> = ndjson
        .text
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!((ids.len(), ndjson.text.lines().count()), (2_500, 2_500));

    let response = app
        .get_as(Role::Analyst, "/api/profiles/export?format=parquet")
        .await;
    let parquet = response.0.into_body().into_bytes().await.unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    if let Some(path) = std::env::var_os("CDP_TEST_PARQUET") {
        std::fs::write(path, &parquet).unwrap();
    }

    let nobody = export("/api/profiles/export?format=ndjson&purpose=marketing").await;
    assert_eq!((nobody.status, nobody.text.as_str()), (200, ""));
    export("/api/profiles/export?format=xml")
        .await
        .error(400, "bad_request");
    export("/api/profiles/export?fields=id,shoe_size")
        .await
        .error(400, "bad_request");
    export("/api/cohort/export?cohort=Pottery")
        .await
        .error(404, "not_found");
}

/// How often both sides are killed, unless the environment says how often.
const ROUNDS: u64 = 3;

/// How many clients send at once.
const SENDERS: usize = 4;

/// So many of their requests were answered before anything is killed, however slow the machine is.
const WRITTEN_MIN: u32 = 32;

/// Both sides are killed at any moment. In the end each event of the feed has come, and those of
/// each person for the first time in their order.
#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_when_both_sides_are_killed() {
    let rounds = environment("ROUNDS").unwrap_or(ROUNDS);
    let seed = environment("SEED").unwrap_or_else(rand::random);
    println!("SEED={seed} ROUNDS={rounds}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let store = store_url(folder.path());
    let settings = [
        ("CDP_ACTIVATION__RETRY_FIRST_MS", "20"),
        ("CDP_ACTIVATION__RETRY_MAX_S", "1"),
        ("CDP_ACTIVATION__ATTEMPTS_MAX", "100000"),
    ];
    let mut receiver = Receiver::start(|_| 200).await;
    let mut id = String::new();
    for round in 0..rounds {
        let server = Server::over(&store, &settings).await;
        let client = Client::log_in(&server.url).await;
        if round == 0 {
            id = make_webhook(&client, &receiver.url()).await;
        }
        let written = Arc::new(Semaphore::new(0));
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| tokio::spawn(write(client.clone(), seed, round, sender, Arc::clone(&written))))
            .collect();
        written.acquire_many(WRITTEN_MIN).await.unwrap().forget();
        sleep(Duration::from_millis(random.random_range(50..400))).await;
        receiver.kill().await;
        sleep(Duration::from_millis(random.random_range(0..200))).await;
        if random.random_bool(0.5) {
            receiver.revive().await;
            sleep(Duration::from_millis(random.random_range(0..200))).await;
            server.kill().await;
        } else {
            server.kill().await;
            receiver.revive().await;
        }
        for sender in senders {
            sender.await.unwrap();
        }
    }
    let server = Server::over(&store, &settings).await;
    let client = Client::log_in(&server.url).await;
    let events = feed(&client).await;
    let ids: BTreeSet<String> = events
        .iter()
        .map(|(cursor, ..)| format!("msg_{id}_{cursor}"))
        .collect();
    assert!(events.len() as u64 > rounds * 10, "only {} events", events.len());
    let letters = receiver
        .until_that(|letters| {
            let came: BTreeSet<&str> = letters.iter().map(Letter::id).collect();
            ids.iter().all(|id| came.contains(id.as_str()))
        })
        .await;
    println!("{} events came in {} letters", events.len(), letters.len());
    check_order(&events, &letters, &id);
}

/// An event's cursor, and whom it concerns.
type Told = (String, Vec<String>);

fn check_order(events: &[Told], letters: &[Letter], id: &str) {
    let mut first = BTreeMap::new();
    for (at, letter) in letters.iter().enumerate() {
        first.entry(letter.id()).or_insert(at);
    }
    let mut last_of: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (cursor, concerned) in events {
        let at = first[format!("msg_{id}_{cursor}").as_str()];
        for profile in concerned {
            let before = last_of.insert(profile, (at, cursor));
            assert!(
                before.is_none_or(|(before, _)| before < at),
                "{profile}: {cursor} came before {before:?}"
            );
        }
    }
}

async fn make_webhook(client: &Client, url: &str) -> String {
    const MAKE: &str = "mutation($url: String!) { createWebhook(after: \"0\", webhook: { name: \"kill\", url: $url, \
        kinds: [PROFILE_CHANGED, PROFILE_MERGED, COHORT_ENTERED, COHORT_LEFT] }) { webhook { id } } }";
    let made = client.graphql(MAKE, json!({ "url": url })).await;
    made["createWebhook"]["webhook"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Sends request after request until the server is gone.
async fn write(client: Client, seed: u64, round: u64, sender: usize, written: Arc<Semaphore>) {
    let mut walk = Walk::new(seed.wrapping_add(round), sender);
    let generation = format!("r{round}");
    while client
        .ingest(&to_json(&walk.request(&generation)))
        .await
        .is_some()
    {
        written.add_permits(1);
    }
}

/// All that the feed holds, in order.
async fn feed(client: &Client) -> Vec<Told> {
    let (mut events, mut cursor) = (Vec::new(), "0".to_owned());
    loop {
        let page = client
            .asked("/api/changes", &[("cursor", &cursor), ("limit", "1000")])
            .await
            .unwrap();
        for change in page["changes"].as_array().unwrap() {
            let text = |name: &str| change[name].as_str().map(str::to_owned);
            let concerned = [text("profile_id"), text("merged_into")]
                .into_iter()
                .flatten()
                .collect();
            events.push((text("cursor").unwrap(), concerned));
        }
        if page["has_more"] == false {
            return events;
        }
        page["next_cursor"].as_str().unwrap().clone_into(&mut cursor);
    }
}
