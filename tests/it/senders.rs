//! Whoever sends with a write key: what `/v1` and `/collect` take and refuse, what browsers are
//! told, and what becomes of events.

use std::collections::BTreeSet;

use cdp::config::Mode;
use cdp::domain::role::Role;
use cdp::domain::write_key::KeyKind;
use cdp::services::write_keys::DEMO_KEYS;
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, build, config};

const SHOP: &str = "https://shop.example";

fn demo_key(kind: KeyKind) -> &'static str {
    DEMO_KEYS.iter().find(|(known, _)| *known == kind).unwrap().1
}

fn basic(key: &str) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("{key}:"));
    format!("Basic {text}")
}

/// A request of a server, with its key as a user name.
async fn call(app: &TestApp, path: &str, key: &str, body: Value) -> Answer {
    let request = app.client().post(path).header("authorization", basic(key));
    Answer::of(request.body_json(&body).send().await).await
}

/// A request of a browser on the shop's page, with its key in the body.
async fn browse(app: &TestApp, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let mut request = app.client().post(path).content_type("text/plain;charset=UTF-8");
    for (name, value) in [("origin", SHOP)].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    Answer::of(request.body(body.to_string()).send().await).await
}

async fn make_key(app: &TestApp, wish: Value) -> (String, String) {
    let request = app.client().post("/api/write-keys").body_json(&wish);
    let made = app.answer_to(Role::Admin, request).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["write_key"]["id"]), text(&made["text"]))
}

async fn find(app: &TestApp, by: &str, value: &str) -> Option<Value> {
    let answer = app
        .ask("/api/user", &[(by, value), ("include", "identities")])
        .await;
    (answer.status == 200).then(|| answer.json()["user_profile"].clone())
}

/// What arrived of a person, latest first.
async fn records(app: &TestApp, person: &Value) -> Vec<Value> {
    let id = person["identities"]["id"].as_str().unwrap();
    let history = app.get(&format!("/api/profiles/{id}/timeline?limit=200")).await;
    let entries = history["entries"].as_array().unwrap().iter();
    entries
        .filter(|entry| entry["kind"] == "record")
        .map(|entry| entry["record"].clone())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_used_and_revoked() {
    let app = TestApp::start().await;
    let wish = json!({ "source": "shop", "kind": "server", "label": "checkout" });
    let (id, text) = make_key(&app, wish).await;
    assert!(text.starts_with("cdp_sk_") && text.len() > 40, "{text}");
    let taken = call(
        &app,
        "/v1/track",
        &text,
        json!({ "userId": "7", "event": "Paid" }),
    )
    .await;
    assert_eq!(taken.ok(), json!({ "success": true }));

    let list = app.get("/api/write-keys").await;
    assert!(!list.to_string().contains(&text), "the text is shown again");
    let listed = list["write_keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] == id.as_str());
    let listed = listed.unwrap();
    assert_eq!(
        [
            &listed["source"],
            &listed["kind"],
            &listed["label"],
            &listed["by"],
            &listed["revoked_at"]
        ],
        [
            &json!("shop"),
            &json!("server"),
            &json!("checkout"),
            &json!("admin"),
            &Value::Null
        ]
    );
    assert!(listed["last_used_at"].is_string());

    let person = find(&app, "cookie", "user:7").await.unwrap();
    assert_eq!(records(&app, &person).await[0]["source"], "shop");

    let revoke = || app.client().delete(format!("/api/write-keys/{id}"));
    assert_eq!(app.answer_to(Role::Admin, revoke()).await.status, 204);
    assert_eq!(app.answer_to(Role::Admin, revoke()).await.status, 204);
    call(&app, "/v1/track", &text, json!({ "userId": "8" }))
        .await
        .error(401, "unauthorized");
    assert!(find(&app, "cookie", "user:8").await.is_none());
    let other = app.client().delete("/api/write-keys/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    app.answer_to(Role::Admin, other).await.error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_makes_no_sense_is_not_made() {
    let app = TestApp::start().await;
    for (wish, field) in [
        (json!({ "source": "s", "kind": "root" }), "kind"),
        (json!({ "source": "", "kind": "server" }), "source"),
        (json!({ "source": "s", "kind": "public" }), "origins"),
        (
            json!({ "source": "s", "kind": "server", "origins": ["*"] }),
            "origins",
        ),
        (
            json!({ "source": "s", "kind": "public", "origins": ["shop.example"] }),
            "origins",
        ),
        (
            json!({ "source": "s", "kind": "server", "label": "x".repeat(101) }),
            "label",
        ),
    ] {
        let request = app.client().post("/api/write-keys").body_json(&wish);
        let error = app
            .answer_to(Role::Admin, request)
            .await
            .error(400, "bad_request");
        assert_eq!(error["field"], field, "{wish}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_does_nothing_but_send() {
    let app = TestApp::start().await;
    let key = demo_key(KeyKind::Server);
    for (method, path) in [
        (Method::GET, "/api/user?cookie=c"),
        (Method::GET, "/api/write-keys"),
        (Method::POST, "/api/ingest"),
        (Method::POST, "/graphql"),
    ] {
        for authorization in [basic(key), format!("Bearer {key}")] {
            let request = app.client().request(method.clone(), path);
            let request = request
                .header("authorization", authorization)
                .body_json(&json!({}));
            Answer::of(request.send().await).await.error(401, "unauthorized");
        }
    }
    // And a user's token sends no events.
    let request = app
        .client()
        .post("/v1/track")
        .body_json(&json!({ "userId": "7" }));
    app.answer_to(Role::Admin, request)
        .await
        .error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_good_only_where_it_is_meant_to_be() {
    let app = TestApp::start().await;
    let wish = json!({ "source": "shop", "kind": "public", "origins": [SHOP] });
    let (_, public) = make_key(&app, wish).await;
    let event = json!({ "anonymousId": "good-1", "event": "E" });
    let keyed = |key: &str| {
        let mut event = event.clone();
        event["writeKey"] = json!(key);
        event
    };
    browse(&app, "/v1/t", &[], keyed(&public)).await.ok();
    browse(&app, "/v1/t", &[], keyed(demo_key(KeyKind::Server)))
        .await
        .error(403, "forbidden");
    call(&app, "/v1/track", &public, event.clone())
        .await
        .error(403, "forbidden");
    let request = app
        .client()
        .post("/v1/t")
        .header("origin", "https://evil.example");
    let refused = Answer::of(request.body_json(&keyed(&public)).send().await).await;
    refused.error(403, "forbidden");
    browse(&app, "/v1/t", &[], event.clone())
        .await
        .error(401, "unauthorized");
    browse(&app, "/v1/t", &[], keyed("nobody"))
        .await
        .error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_from_where_they_may_send() {
    let mut config = config();
    config.api.collector.public_url = Some("https://data.shop.example/".to_owned());
    let app = TestApp::with(&config).await;
    // The demo's own key is good from anywhere.
    for key in app.get("/api/write-keys").await["write_keys"].as_array().unwrap() {
        let revoke = app
            .client()
            .delete(format!("/api/write-keys/{}", key["id"].as_str().unwrap()));
        assert_eq!(app.answer_to(Role::Admin, revoke).await.status, 204);
    }
    let (_, key) = make_key(
        &app,
        json!({ "source": "shop", "kind": "public", "origins": ["https://*.shop.example"] }),
    )
    .await;
    let asks = |path: &'static str, origin: &'static str| {
        let request = app
            .client()
            .request(Method::OPTIONS, path)
            .header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        async move { Answer::of(request.send().await).await }
    };
    for path in ["/v1/t", "/v1/batch", "/collect"] {
        let told = asks(path, "https://www.shop.example").await;
        assert_eq!(told.status, 204);
        assert_eq!(
            told.header("access-control-allow-origin"),
            "https://www.shop.example"
        );
        assert_eq!(told.header("access-control-allow-credentials"), "true");
        assert!(
            told.header("access-control-allow-headers")
                .contains("authorization")
        );
        let told = asks(path, "https://evil.example").await;
        told.error(403, "forbidden");
        assert_eq!(told.header("access-control-allow-origin"), "");
    }
    // A page can read why it was refused, also where nobody looked at its key.
    let request = app
        .client()
        .post("/v1/t")
        .header("origin", "https://www.shop.example");
    let refused = Answer::of(request.body("x".repeat(600 * 1024)).send().await).await;
    refused.error(413, "payload_too_large");
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "https://www.shop.example"
    );
    // Nothing else is for pages of other sites.
    let request = app
        .client()
        .request(Method::OPTIONS, "/api/user")
        .header("origin", "https://www.shop.example");
    let told = Answer::of(request.send().await).await;
    assert_eq!(told.header("access-control-allow-origin"), "");

    let settings = app.client().get(format!("/v1/projects/{key}/settings"));
    let settings = Answer::of(settings.send().await).await.ok();
    let segment = &settings["integrations"]["Segment.io"];
    assert_eq!(
        [&segment["apiKey"], &segment["apiHost"], &segment["protocol"]],
        [&json!(key), &json!("data.shop.example/v1"), &json!("https")]
    );
    let unknown = app.client().get("/v1/projects/nobody/settings").send().await;
    Answer::of(unknown).await.error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_is_refused_and_a_bad_event_is_kept() {
    let app = TestApp::start().await;
    let key = demo_key(KeyKind::Server);
    for body in ["", "{", "[]", "{\"batch\":7}", "\u{feff}x"] {
        let request = app.client().post("/v1/batch").header("authorization", basic(key));
        Answer::of(request.body(body).send().await)
            .await
            .error(400, "unparseable");
    }
    let latin = app.client().post("/v1/track").header("authorization", basic(key));
    Answer::of(latin.body(b"{\"a\":\"\xff\"}".to_vec()).send().await)
        .await
        .error(400, "unparseable");
    let many = json!({ "batch": vec![json!({}); 2_501] });
    call(&app, "/v1/batch", key, many)
        .await
        .error(413, "payload_too_large");
    call(&app, "/v1/nothing", key, json!({}))
        .await
        .error(404, "not_found");
    let wrong = app.client().get("/v1/track").send().await;
    let wrong = Answer::of(wrong).await;
    wrong.error(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST");
    // What the library tells of itself is nobody's business.
    assert_eq!(
        call(&app, "/v1/m", "nobody", json!({ "series": [] }))
            .await
            .status,
        200
    );

    let long = "x".repeat(33 * 1024);
    let batch = json!({ "batch": [
        { "type": "track", "anonymousId": "fine-1", "event": "Fine" },
        { "type": "track", "event": "Of nobody" },
        { "type": "track", "anonymousId": "long-1", "event": long },
        7,
        { "type": "identify", "userId": "9", "traits": { "age": 430 }, "messageId": "m-9" },
    ]});
    assert_eq!(
        call(&app, "/v1/batch", key, batch).await.ok(),
        json!({ "success": true })
    );
    let person = find(&app, "cookie", "fine-1").await.unwrap();
    let batch = records(&app, &person).await[0]["batch_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let standing = app.get(&format!("/api/ingest/{batch}")).await;
    assert_eq!(
        (&standing["records_processed"], &standing["records_rejected"]),
        (&json!(1), &json!(4)),
        "{standing}"
    );
    let rejects = app.get(&format!("/api/ingest/{batch}/rejects")).await;
    let reasons: Vec<_> = rejects["rejects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reject| {
            (
                reject["row"].as_u64().unwrap(),
                reject["errors"][0]["code"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [
        (2, "required"),
        (3, "too_long"),
        (4, "wrong_type"),
        (5, "out_of_range"),
    ];
    assert_eq!(reasons, expected.map(|(row, code)| (row, code.to_owned())));

    // One that was mended is replayed like any row.
    let mended = json!([{ "row": 5, "cookie": "user:9", "demographics.age": 43 }]);
    let request = app
        .client()
        .post(format!("/api/ingest/{batch}/replay"))
        .body_json(&mended);
    let replayed = app.answer_to(Role::Ingest, request).await.ok();
    assert_eq!(replayed["records_rejected"], 0, "{replayed}");
    let person = find(&app, "cookie", "user:9").await.unwrap();
    assert_eq!(person["demographics"]["age"], 43);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_twice_counts_once() {
    let app = TestApp::start().await;
    let event = json!({ "anonymousId": "twice-1", "event": "Once", "messageId": "m-1" });
    for _ in 0..2 {
        call(&app, "/v1/track", demo_key(KeyKind::Server), event.clone())
            .await
            .ok();
    }
    let person = find(&app, "cookie", "twice-1").await.unwrap();
    assert_eq!(records(&app, &person).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_single_events_at_once_share_batches() {
    let app = TestApp::start().await;
    let key = demo_key(KeyKind::Server);
    let calls = (0..200).map(|n| {
        call(
            &app,
            "/v1/track",
            key,
            json!({ "anonymousId": format!("at-once-{n}") }),
        )
    });
    for answer in futures_util::future::join_all(calls).await {
        answer.ok();
    }
    let mut batches = BTreeSet::new();
    for n in 0..200 {
        let person = find(&app, "cookie", &format!("at-once-{n}")).await.unwrap();
        batches.insert(
            records(&app, &person).await[0]["batch_id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert!(batches.len() < 150, "{}", batches.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_too_much_waits_senders_come_again() {
    let mut config = config();
    config.ingest.segment.waiting_bytes_max = 1024;
    let app = TestApp::with(&config).await;
    let body = json!({ "anonymousId": "full-1", "event": "x".repeat(2_000) });
    let told = call(&app, "/v1/track", demo_key(KeyKind::Server), body).await;
    told.error(429, "rate_limited");
    assert_eq!(told.header("retry-after"), "2");
    call(
        &app,
        "/v1/track",
        demo_key(KeyKind::Server),
        json!({ "anonymousId": "full-2" }),
    )
    .await
    .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_gets_a_cookie_and_keeps_it() {
    let app = TestApp::start().await;
    let visit = |event: &str, id: Option<&str>| {
        json!({
            "writeKey": demo_key(KeyKind::Public),
            "anonymousId": id,
            "batch": [{ "type": "track", "event": event, "properties": { "interests": [event] } }],
        })
    };
    let first = browse(
        &app,
        "/collect",
        &[("x-forwarded-proto", "https")],
        visit("surfing", None),
    )
    .await;
    let id = first.ok()["id"].as_str().unwrap().to_owned();
    assert_eq!(
        first.header("set-cookie"),
        format!("cdp_id={id}; Path=/; Max-Age=34128000; SameSite=Lax; HttpOnly; Secure")
    );
    let cookie = format!("other=1; cdp_id={id}");
    // The cookie counts, whatever a script remembers.
    let again = browse(
        &app,
        "/collect",
        &[("cookie", &cookie)],
        visit("sailing", Some("another-one")),
    )
    .await;
    assert_eq!(again.ok()["id"], id.as_str());
    assert_eq!(again.header("set-cookie"), "");
    let person = find(&app, "cookie", &id).await.unwrap();
    let interests = person["interests"].as_array().unwrap();
    assert!(
        interests.contains(&json!("surfing")) && interests.contains(&json!("sailing")),
        "{interests:?}"
    );
    assert!(find(&app, "cookie", "another-one").await.is_none());
    // A script's id is taken over where there is no cookie, unless it is none.
    let brought = browse(
        &app,
        "/collect",
        &[],
        visit("diving", Some("brought-by-a-script")),
    )
    .await;
    assert_eq!(brought.ok()["id"], "brought-by-a-script");
    assert!(
        brought
            .header("set-cookie")
            .starts_with("cdp_id=brought-by-a-script; ")
    );
    let strange = browse(&app, "/collect", &[], visit("diving", Some("no id; at=all"))).await;
    assert_ne!(strange.ok()["id"], "no id; at=all");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_of_who_opts_out_and_did_not_agree() {
    let app = TestApp::start().await;
    let visit = |consent: Option<bool>| {
        let mut event = json!({ "type": "track", "event": "E" });
        if let Some(said) = consent {
            event["context"] = json!({ "consent": { "categoryPreferences": { "analytics": said } } });
        }
        json!({ "writeKey": demo_key(KeyKind::Public), "anonymousId": "opted-out-1", "batch": [event] })
    };
    for header in ["sec-gpc", "dnt"] {
        let told = browse(&app, "/collect", &[(header, "1")], visit(None)).await;
        assert_eq!(told.ok(), json!({ "success": true }));
        assert_eq!(told.header("set-cookie"), "");
        browse(&app, "/v1/batch", &[(header, "1")], visit(None))
            .await
            .ok();
    }
    browse(&app, "/collect", &[], visit(Some(false))).await.ok();
    assert!(find(&app, "cookie", "opted-out-1").await.is_none());
    let told = browse(&app, "/collect", &[("sec-gpc", "1")], visit(Some(true))).await;
    assert!(told.header("set-cookie").starts_with("cdp_id=opted-out-1; "));
    assert!(find(&app, "cookie", "opted-out-1").await.is_some());
    // Who refuses later is told of, and forgotten by the browser.
    let refusal = json!({
        "writeKey": demo_key(KeyKind::Public),
        "batch": [
            { "type": "track", "event": "Not stored" },
            { "type": "identify", "context": { "consent": { "categoryPreferences": { "analytics": false } } } },
        ],
    });
    let told = browse(&app, "/collect", &[("cookie", "cdp_id=opted-out-1")], refusal).await;
    assert_eq!(told.ok(), json!({ "success": true }));
    assert!(
        told.header("set-cookie")
            .starts_with("cdp_id=; Path=/; Max-Age=0;"),
        "{told:?}"
    );
    let person = find(&app, "cookie", "opted-out-1").await.unwrap();
    let records = records(&app, &person).await;
    let kinds: Vec<_> = records
        .iter()
        .map(|record| record["verbatim"].as_str().unwrap().contains("identify"))
        .collect();
    assert_eq!(kinds, [true, false]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_may_ask_before_it_collects() {
    let mut config = config();
    config.api.collector.consent_required = true;
    "visitor".clone_into(&mut config.api.collector.cookie_name);
    config.api.collector.cookie_domain = Some("shop.example".to_owned());
    let app = TestApp::with(&config).await;
    let visit = |context: Value| {
        let event = json!({ "type": "page", "context": context });
        json!({ "writeKey": demo_key(KeyKind::Public), "anonymousId": "asked-first-1", "batch": [event] })
    };
    let told = browse(&app, "/collect", &[], visit(json!({}))).await;
    assert_eq!(
        (told.ok(), told.header("set-cookie")),
        (json!({ "success": true }), "")
    );
    assert!(find(&app, "cookie", "asked-first-1").await.is_none());
    let agreed = json!({ "consent": { "categoryPreferences": { "analytics": true } } });
    let told = browse(&app, "/collect", &[], visit(agreed)).await;
    assert!(told.header("set-cookie").starts_with("visitor=asked-first-1; "));
    assert!(told.header("set-cookie").contains("; Domain=shop.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_other_policy_two_addresses_stay_two_people() {
    let mut config = config();
    config.identity.policy = cdp::pipeline::PolicySetting::EmailIsPerson;
    let app = TestApp::with(&config).await;
    let key = demo_key(KeyKind::Server);
    let login = json!({ "anonymousId": "tablet", "userId": "7", "traits": { "email": "ann@example.com" } });
    call(&app, "/v1/identify", key, login).await.ok();
    call(&app, "/v1/track", key, json!({ "userId": "7", "event": "E" }))
        .await
        .ok();
    call(
        &app,
        "/v1/alias",
        key,
        json!({ "previousId": "bob@example.com", "userId": "ann@example.com" }),
    )
    .await
    .ok();
    let ann = find(&app, "email", "ann@example.com").await.unwrap();
    assert_eq!(
        find(&app, "cookie", "user:7").await.unwrap()["identities"]["id"],
        ann["identities"]["id"]
    );
    assert!(find(&app, "email", "bob@example.com").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn production_has_no_keys_that_everybody_knows() {
    let mut config = config();
    config.mode = Mode::Production;
    config.auth.jwt_secret = Some("a secret of more than thirty-two bytes".into());
    config.login.admin_password = Some("a long password".into());
    let app = build(&config).await;
    assert!(!app.services.write_keys.has_demo_keys());
    for (_, text) in DEMO_KEYS {
        assert!(app.services.write_keys.verify(text, None).is_err());
    }
}
