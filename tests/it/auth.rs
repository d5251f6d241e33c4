//! Sessions from the log-in to the log-out, users, keys, and other issuers: through the real routes.

use std::num::NonZeroU32;
use std::time::Duration;

use cdp::config::Config;
use cdp::domain::role::{Role, Scopes};
use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use poem::http::Method;
use serde_json::{Value, json};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, build, config};
use crate::support::forger::{self, Forger};
use crate::support::issuer::TestIssuer;
use crate::support::server::{free, program, run};
use crate::support::socket::{Heard, Socket};

const PASSWORD: &str = "a long and dull password";

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    Answer::of(app.client().post(path).body_json(body).send().await).await
}

async fn log_in(app: &TestApp, username: &str, password: &str) -> Answer {
    post(
        app,
        "/api/auth/token",
        &json!({ "username": username, "password": password }),
    )
    .await
}

/// The tokens of a demo's user.
async fn tokens(app: &TestApp, role: Role) -> Value {
    log_in(app, role.name(), &format!("demo-{role}")).await.ok()
}

async fn renew(app: &TestApp, tokens: &Value) -> Answer {
    let shown = json!({ "refresh_token": tokens["refresh_token"] });
    post(app, "/api/auth/refresh", &shown).await
}

async fn with(app: &TestApp, tokens: &Value, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let token = tokens["access_token"].as_str().unwrap();
    let mut request = app
        .client()
        .request(method, path)
        .header("authorization", format!("Bearer {token}"));
    if let Some(body) = body {
        request = request.body_json(body);
    }
    Answer::of(request.send().await).await
}

async fn me(app: &TestApp, tokens: &Value) -> Answer {
    with(app, tokens, Method::GET, "/api/auth/me", None).await
}

/// As the administrator of the demo.
async fn admin(app: &TestApp, method: Method, path: &str, body: Option<&Value>) -> Answer {
    let token = json!({ "access_token": app.token(Role::Admin) });
    with(app, &token, method, path, body).await
}

async fn add_user(app: &TestApp, name: &str, role: Role) -> Answer {
    let user = json!({ "name": name, "role": role.name(), "password": PASSWORD });
    admin(app, Method::POST, "/api/auth/users", Some(&user)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_until_somebody_uses_a_token_twice() {
    let app = TestApp::start().await;
    let first = tokens(&app, Role::Viewer).await;
    let second = renew(&app, &first).await.ok();
    let third = renew(&app, &second).await.ok();
    for tokens in [&first, &second, &third] {
        assert_eq!(me(&app, tokens).await.ok()["name"], "viewer");
    }
    let other = tokens(&app, Role::Viewer).await;
    // Whoever has the first one has stolen it, or was stolen from.
    renew(&app, &first).await.error(401, "unauthorized");
    for tokens in [&first, &second, &third] {
        let error = me(&app, tokens).await.error(401, "unauthorized");
        assert_eq!(error["message"], "the token was revoked");
        renew(&app, tokens).await.error(401, "unauthorized");
    }
    me(&app, &other).await.ok();
    renew(&app, &other).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_given_anew_and_the_lost_token_is_dead() {
    let app = TestApp::start().await;
    let first = tokens(&app, Role::Viewer).await;
    let lost = renew(&app, &first).await.ok();
    let again = renew(&app, &first).await.ok();
    assert_ne!(lost["refresh_token"], again["refresh_token"]);
    let next = renew(&app, &again).await.ok();
    me(&app, &next).await.ok();
    // A thief who had it would be found out by now.
    renew(&app, &lost).await.error(401, "unauthorized");
    me(&app, &next).await.error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_exchanges_at_once_one_token_is_good_in_the_end() {
    let app = TestApp::start().await;
    let first = tokens(&app, Role::Viewer).await;
    let answers = join_all((0..8).map(|_| renew(&app, &first))).await;
    let given: Vec<Value> = answers
        .iter()
        .filter(|answer| answer.status == 200)
        .map(Answer::json)
        .collect();
    assert!(!given.is_empty());
    assert!(
        answers.iter().all(|answer| matches!(answer.status, 200 | 503)),
        "{answers:?}"
    );
    let mut renewed = 0;
    for tokens in &given {
        renewed += usize::from(renew(&app, tokens).await.status == 200);
    }
    assert!(renewed <= 1, "{renewed} of {} were good", given.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_refresh_tokens_end_nothing() {
    let app = TestApp::start().await;
    let tokens = tokens(&app, Role::Viewer).await;
    let good = tokens["refresh_token"].as_str().unwrap();
    let session = &good[..good.len() - 43];
    for made_up in [
        format!("{session}{}", "A".repeat(43)),
        "nonsense".to_owned(),
        String::new(),
    ] {
        let shown = json!({ "refresh_token": made_up });
        post(&app, "/api/auth/refresh", &shown)
            .await
            .error(401, "unauthorized");
        assert_eq!(post(&app, "/api/auth/revoke", &shown).await.status, 200);
    }
    me(&app, &tokens).await.ok();
    renew(&app, &tokens).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_ends_the_session_and_what_is_open_of_it() {
    let app = TestApp::serve().await;
    let http = reqwest::Client::new();
    let credentials = json!({ "username": "viewer", "password": "demo-viewer" });
    let post = |path: &str, body: &Value| http.post(format!("{}{path}", app.url)).json(body).send();
    let tokens: Value = post("/api/auth/token", &credentials)
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = tokens["access_token"].as_str().unwrap();
    let mut socket = Socket::open(&app.url).await.unwrap();
    socket
        .say(&json!({ "type": "connection_init", "payload": { "token": token } }))
        .await;
    socket.hear_of("connection_ack").await;
    let mut stream = http
        .get(format!("{}/api/changes", app.url))
        .header("accept", "text/event-stream")
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert!(stream.chunk().await.unwrap().is_some());

    let shown = json!({ "refresh_token": tokens["refresh_token"] });
    assert_eq!(post("/api/auth/revoke", &shown).await.unwrap().status(), 200);
    assert_eq!(socket.hear().await, Heard::Closed(4401));
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        while let Ok(Some(_)) = stream.chunk().await {}
    });
    ended.await.expect("the stream ends");
    let me = http
        .get(format!("{}/api/auth/me", app.url))
        .bearer_auth(token)
        .send();
    assert_eq!(me.await.unwrap().status(), 401);
    assert_eq!(post("/api/auth/refresh", &shown).await.unwrap().status(), 401);
    assert_eq!(
        post("/api/auth/revoke", &shown).await.unwrap().status(),
        200,
        "again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_however_often_it_is_renewed_and_is_swept() {
    let mut config = config();
    config.auth.session_ttl_s = 6;
    let app = build(&config).await;
    let accounts = app.services.accounts.clone();
    let began = Utc::now();
    let app = TestApp::of(app).await;
    let first = tokens(&app, Role::Viewer).await;
    assert!(first["expires_in"].as_u64().unwrap() <= 6, "{first}");
    assert!(first["refresh_expires_in"].as_u64().unwrap() <= 6, "{first}");
    let second = renew(&app, &first).await.ok();
    // As of a moment at which none can be over, however slow the machine is.
    assert_eq!(accounts.sweep(began).await.unwrap(), 0);
    tokio::time::sleep(Duration::from_millis(6_100)).await;
    renew(&app, &second).await.error(401, "unauthorized");
    // Those of the four roles, and this one.
    assert_eq!(accounts.sweep(Utc::now()).await.unwrap(), 5);
    assert_eq!(accounts.sweep(Utc::now()).await.unwrap(), 0);
    renew(&app, &second).await.error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_gets_the_scopes_that_it_asks_for_and_no_more() {
    let app = TestApp::start().await;
    let asked = json!({ "username": "admin", "password": "demo-admin", "scope": "profiles:read audit:read" });
    let tokens = post(&app, "/api/auth/token", &asked).await.ok();
    assert_eq!(tokens["scope"], "profiles:read audit:read");
    let renewed = renew(&app, &tokens).await.ok();
    assert_eq!(renewed["scope"], tokens["scope"]);
    with(&app, &renewed, Method::GET, "/api/cohorts", None).await.ok();
    let refused = with(&app, &renewed, Method::GET, "/api/auth/users", None).await;
    let error = refused.error(403, "forbidden");
    assert!(
        error["message"].as_str().unwrap().contains("users:manage"),
        "{error}"
    );
    let who = me(&app, &renewed).await.ok();
    assert_eq!(
        (&who["role"], &who["scopes"]),
        (&json!("admin"), &json!(["profiles:read", "audit:read"]))
    );
    assert!(
        who["expires_at"].is_string() && who["session_id"].is_string(),
        "{who}"
    );
    for (username, scope) in [("viewer", "users:manage"), ("admin", "everything")] {
        let password = format!("demo-{username}");
        let asked = json!({ "username": username, "password": password, "scope": scope });
        let refused = post(&app, "/api/auth/token", &asked).await;
        assert_eq!(refused.error(400, "bad_request")["field"], "scope");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_added_changed_disabled_and_removed() {
    let app = TestApp::start().await;
    let ann = add_user(&app, "ann", Role::Viewer).await.ok();
    assert_eq!(
        (&ann["name"], &ann["role"], &ann["disabled"], &ann["demo"]),
        (&json!("ann"), &json!("viewer"), &json!(false), &json!(false))
    );
    assert_eq!(
        add_user(&app, "Ann", Role::Viewer).await.error(409, "conflict")["field"],
        "name"
    );
    let users = app.get("/api/auth/users").await;
    assert_eq!(users["users"].as_array().unwrap().len(), 5);
    assert!(!users.to_string().contains("argon2"), "{users}");

    let first = log_in(&app, "ann", PASSWORD).await.ok();
    let promoted = json!({ "role": "analyst" });
    let changed = admin(&app, Method::PUT, "/api/auth/users/ann", Some(&promoted))
        .await
        .ok();
    assert_eq!(changed["role"], "analyst");
    // What she was before is no more.
    me(&app, &first).await.error(401, "unauthorized");
    renew(&app, &first).await.error(401, "unauthorized");
    let second = log_in(&app, "ann", PASSWORD).await.ok();
    assert_eq!(second["role"], "analyst");

    let disabled = json!({ "disabled": true });
    admin(&app, Method::PUT, "/api/auth/users/ann", Some(&disabled))
        .await
        .ok();
    me(&app, &second).await.error(401, "unauthorized");
    renew(&app, &second).await.error(401, "unauthorized");
    let refused = log_in(&app, "ann", PASSWORD).await;
    assert_eq!(refused.text, log_in(&app, "ann", "a wrong password").await.text);
    let enabled = json!({ "disabled": false, "password": "another long password" });
    admin(&app, Method::PUT, "/api/auth/users/ann", Some(&enabled))
        .await
        .ok();
    log_in(&app, "ann", PASSWORD).await.error(401, "unauthorized");
    let third = log_in(&app, "ann", "another long password").await.ok();

    assert_eq!(
        admin(&app, Method::DELETE, "/api/auth/users/ann", None)
            .await
            .status,
        200
    );
    me(&app, &third).await.error(401, "unauthorized");
    for method in [Method::DELETE, Method::PUT] {
        admin(&app, method, "/api/auth/users/ann", Some(&json!({})))
            .await
            .error(404, "not_found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_shuts_others_out_of_a_demo() {
    let app = TestApp::start().await;
    let password = json!({ "password": PASSWORD });
    for (method, body) in [(Method::PUT, Some(&password)), (Method::DELETE, None)] {
        admin(&app, method, "/api/auth/users/viewer", body)
            .await
            .error(409, "conflict");
    }
    let tokens = tokens(&app, Role::Viewer).await;
    let change = json!({ "old_password": "demo-viewer", "new_password": PASSWORD });
    with(&app, &tokens, Method::PUT, "/api/auth/password", Some(&change))
        .await
        .error(409, "conflict");
    log_in(&app, "viewer", "demo-viewer").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_passwords_that_will_not_do_are_refused() {
    let app = TestApp::start().await;
    let long = "x".repeat(1_001);
    for (name, role, password, field) in [
        ("ann", "viewer", "eleven char", "password"),
        ("ann", "viewer", &"ä".repeat(600), "password"),
        ("ann.appleton", "viewer", "Ann.Appleton", "password"),
        ("", "viewer", PASSWORD, "name"),
        ("login.example.com:ann", "viewer", PASSWORD, "name"),
        ("ann appleton", "viewer", PASSWORD, "name"),
        ("ann", "owner", PASSWORD, "role"),
    ] {
        let user = json!({ "name": name, "role": role, "password": password });
        let refused = admin(&app, Method::POST, "/api/auth/users", Some(&user)).await;
        assert_eq!(refused.error(400, "bad_request")["field"], field, "{user}");
    }
    let user = json!({ "name": "ann", "role": "viewer", "password": long });
    assert_eq!(
        admin(&app, Method::POST, "/api/auth/users", Some(&user))
            .await
            .status,
        400
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_their_password_goes_on_and_their_other_sessions_end() {
    let app = TestApp::start().await;
    add_user(&app, "ann", Role::Viewer).await.ok();
    let (mine, other) = (
        log_in(&app, "ann", PASSWORD).await.ok(),
        log_in(&app, "ann", PASSWORD).await.ok(),
    );
    let change = |old: &str, new: &str| json!({ "old_password": old, "new_password": new });
    let new = "an even longer password";
    for (body, field) in [
        (change("a wrong password", new), "old_password"),
        (change(PASSWORD, "short"), "new_password"),
    ] {
        let refused = with(&app, &mine, Method::PUT, "/api/auth/password", Some(&body)).await;
        assert_eq!(refused.error(400, "bad_request")["field"], field);
    }
    let body = change(PASSWORD, new);
    assert_eq!(
        with(&app, &mine, Method::PUT, "/api/auth/password", Some(&body))
            .await
            .status,
        200
    );
    me(&app, &mine).await.ok();
    renew(&app, &mine).await.ok();
    me(&app, &other).await.error(401, "unauthorized");
    log_in(&app, "ann", PASSWORD).await.error(401, "unauthorized");
    log_in(&app, "ann", new).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_by_whose_they_are_and_by_administrators() {
    let app = TestApp::start().await;
    add_user(&app, "ann", Role::Viewer).await.ok();
    let (mine, other) = (
        log_in(&app, "ann", PASSWORD).await.ok(),
        log_in(&app, "ann", PASSWORD).await.ok(),
    );
    let listed = with(&app, &mine, Method::GET, "/api/auth/sessions", None)
        .await
        .ok();
    let listed = listed["sessions"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|session| session["user"] == "ann"));
    let current = listed.iter().filter(|session| session["current"] == true);
    assert_eq!(current.count(), 1);
    let mut ids = Vec::new();
    for tokens in [&other, &mine] {
        let who = me(&app, tokens).await.ok();
        ids.push(who["session_id"].as_str().unwrap().to_owned());
    }
    let path = |id: &str| format!("/api/auth/sessions/{id}");

    // Somebody else's is not there.
    let viewer = tokens(&app, Role::Viewer).await;
    with(&app, &viewer, Method::DELETE, &path(&ids[0]), None)
        .await
        .error(404, "not_found");
    with(&app, &viewer, Method::GET, "/api/auth/sessions?user=ann", None)
        .await
        .error(403, "forbidden");
    assert_eq!(
        with(&app, &mine, Method::DELETE, &path(&ids[0]), None)
            .await
            .status,
        200
    );
    me(&app, &other).await.error(401, "unauthorized");
    let listed = app.get("/api/auth/sessions?user=ann").await;
    assert_eq!(listed["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(
        admin(&app, Method::DELETE, &path(&ids[1]), None).await.status,
        200
    );
    me(&app, &mine).await.error(401, "unauthorized");
    admin(&app, Method::DELETE, &path("nonsense"), None)
        .await
        .error(404, "not_found");
}

/// The claims of a token, if a key of the published set signed it.
fn verified(jwks: &Value, token: &str) -> Option<Value> {
    let header = jsonwebtoken::decode_header(token).unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let jwk = keys
        .iter()
        .find(|jwk| jwk["kid"] == header.kid.clone().unwrap())?;
    let jwk = serde_json::from_value(jwk.clone()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["cdp-api"]);
    let read = jsonwebtoken::decode(token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation);
    Some(read.unwrap().claims)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_signs_and_the_one_before_verifies_until_its_last_token_is_over() {
    let app = build(&config()).await;
    let accounts = app.services.accounts.clone();
    let app = TestApp::of(app).await;
    let before = tokens(&app, Role::Viewer).await;
    let rotated = admin(&app, Method::POST, "/api/auth/keys/rotate", None)
        .await
        .ok();
    let after = tokens(&app, Role::Viewer).await;
    let answer = Answer::of(app.client().get("/.well-known/jwks.json").send().await).await;
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    let jwks = answer.ok();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    assert!(!answer.text.contains("\"d\""), "{jwks}");
    for tokens in [&before, &after] {
        me(&app, tokens).await.ok();
        // Whoever knows the published keys alone can check our tokens.
        let claims = verified(&jwks, tokens["access_token"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&claims["sub"], &claims["iss"]),
            (&json!("viewer"), &json!("cdp"))
        );
    }
    let kid = |tokens: &Value| {
        let header = jsonwebtoken::decode_header(tokens["access_token"].as_str().unwrap());
        header.unwrap().kid.unwrap()
    };
    assert_eq!(kid(&after), rotated["kid"].as_str().unwrap());
    assert_ne!(kid(&before), kid(&after));

    accounts.sweep(Utc::now() + TimeDelta::hours(1)).await.unwrap();
    let jwks = Answer::of(app.client().get("/.well-known/jwks.json").send().await)
        .await
        .ok();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
    assert!(verified(&jwks, before["access_token"].as_str().unwrap()).is_none());
    me(&app, &after).await.ok();
}

fn on_disk(folder: &tempfile::TempDir, secret: &str) -> Config {
    let mut config = config();
    config.store.url = format!("surrealkv://{}/cdp?sync=every", folder.path().display());
    config.auth.jwt_secret = Some(secret.into());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_sessions_outlive_the_server_but_not_its_secret() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, other) = ("s".repeat(32), "t".repeat(32));
    let mut kept = json!(null);
    for secret in [&secret, &secret, &other] {
        let app = build(&on_disk(&folder, secret)).await;
        let services = app.services.clone();
        let app = TestApp::of(app).await;
        if kept.is_null() {
            kept = tokens(&app, Role::Viewer).await;
            let ended = tokens(&app, Role::Viewer).await;
            let shown = json!({ "refresh_token": ended["refresh_token"] });
            post(&app, "/api/auth/revoke", &shown).await;
            kept["ended"] = ended;
        } else {
            let is_same_secret = secret != &other;
            assert_eq!(me(&app, &kept).await.status == 200, is_same_secret);
            let ended = me(&app, &kept["ended"]).await.error(401, "unauthorized");
            let said = ended["message"].as_str().unwrap();
            assert_eq!(said == "the token was revoked", is_same_secret, "{said}");
            // The password is asked for no more often than before.
            kept["refresh_token"] = renew(&app, &kept).await.ok()["refresh_token"].clone();
        }
        services.stop().await;
        drop((app, services));
        free(folder.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_settings_signs_and_is_not_rotated_by_a_route() {
    let app = TestApp::with(&forger::config()).await;
    let forger = Forger::of(&app).await;
    let token = app.token(Role::Viewer);
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().alg, Algorithm::RS256);
    let own = json!({ "access_token": forger.sign(&forger::claims("ann", Role::Viewer)) });
    assert_eq!(me(&app, &own).await.ok()["name"], "ann");
    admin(&app, Method::POST, "/api/auth/keys/rotate", None)
        .await
        .error(409, "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_another_issuer_get_in_by_their_roles() {
    let issuer = TestIssuer::start().await;
    let mut config = config();
    config.auth.issuers = vec![issuer.settings()];
    let app = TestApp::with(&config).await;
    assert_eq!(issuer.fetches(), 0, "nothing is fetched before it is needed");
    let with_token = |token: String| json!({ "access_token": token });
    let ann = with_token(issuer.sign(&TestIssuer::claims("ann", "marketing")));
    let who = me(&app, &ann).await.ok();
    assert_eq!(
        (&who["name"], &who["role"], &who["session_id"]),
        (&json!("login.example.com:ann"), &json!("analyst"), &json!(null))
    );
    assert_eq!(
        who["scopes"].as_array().unwrap().len(),
        Scopes::of(Role::Analyst).names().count()
    );
    with(&app, &ann, Method::GET, "/api/cohorts", None).await.ok();
    with(&app, &ann, Method::GET, "/api/webhooks", None)
        .await
        .error(403, "forbidden");
    let boss = with_token(issuer.sign(&TestIssuer::claims("admin", "boss")));
    with(&app, &boss, Method::GET, "/api/webhooks", None).await.ok();
    assert_eq!(issuer.fetches(), 1);

    // Nobody's password and nobody's sessions are theirs, whatever they are called.
    let change = json!({ "old_password": "demo-admin", "new_password": PASSWORD });
    with(&app, &boss, Method::PUT, "/api/auth/password", Some(&change))
        .await
        .error(403, "forbidden");
    let sessions = with(&app, &boss, Method::GET, "/api/auth/sessions", None)
        .await
        .ok();
    assert_eq!(sessions["sessions"], json!([]));

    let nobody = with_token(issuer.sign(&TestIssuer::claims("bob", "gardener")));
    let error = me(&app, &nobody).await.error(401, "unauthorized");
    assert_eq!(error["message"], "the token gives no role here");
    let spoilt = |name: &str, value: Value| {
        let mut claims = TestIssuer::claims("ann", "boss");
        claims[name] = value;
        with_token(issuer.sign(&claims))
    };
    for refused in [
        spoilt("aud", json!("another")),
        spoilt("iss", json!("https://login.example.com/realms/other")),
        spoilt("iss", json!("cdp")),
        spoilt("exp", json!(Utc::now().timestamp() - 120)),
        spoilt("nbf", json!(Utc::now().timestamp() + 120)),
        with_token(TestIssuer::sign_unpublished(&TestIssuer::claims("ann", "boss"))),
    ] {
        me(&app, &refused).await.error(401, "unauthorized");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuers_new_key_is_found_and_its_last_ones_go_on_while_it_is_away() {
    let issuer = TestIssuer::start().await;
    let mut config = config();
    config.auth.issuers = vec![issuer.settings()];
    let app = TestApp::with(&config).await;
    let sign = |name: &str| json!({ "access_token": issuer.sign(&TestIssuer::claims(name, "reader")) });
    let old = sign("ann");
    me(&app, &old).await.ok();
    issuer.rotate();
    let new = sign("bob");
    me(&app, &new).await.ok();
    assert_eq!(issuer.fetches(), 2);
    // The key before was withdrawn, and what it proved is asked again.
    me(&app, &old).await.error(401, "unauthorized");

    issuer.go_away(true);
    me(&app, &sign("cid")).await.ok();
    for number in 0..20 {
        let claims = TestIssuer::claims(&number.to_string(), "reader");
        let unknown = json!({ "access_token": TestIssuer::sign_unpublished(&claims) });
        me(&app, &unknown).await.error(401, "unauthorized");
    }
    assert!(issuer.fetches() <= 5, "{} fetches", issuer.fetches());
    me(&app, &new).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_withdrawn_key_proved_is_proved_no_longer_once_its_time_is_over() {
    let issuer = TestIssuer::start().await;
    let mut config = config();
    config.auth.issuers = vec![issuer.settings()];
    config.auth.issuer_keys_s = 1;
    let app = TestApp::with(&config).await;
    let old = json!({ "access_token": issuer.sign(&TestIssuer::claims("ann", "reader")) });
    me(&app, &old).await.ok();
    issuer.rotate();
    // Nobody comes with a token of the new key: it is time alone that ends the old one.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    me(&app, &old).await.error(401, "unauthorized");
    assert!(issuer.fetches() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_without_tls_are_for_demos_only() {
    let issuer = TestIssuer::start().await;
    let mut config = config();
    config.auth.issuers = vec![issuer.settings()];
    config.auth.issuers[0].jwks_url = "http://login.example.com/keys".to_owned();
    let refused = cdp::app::App::build(&config).await.err().unwrap().to_string();
    assert!(refused.contains("https://"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn renewing_and_changing_passwords_are_bounded_as_logging_in_is() {
    let mut config = config();
    config.login.attempts_per_minute = NonZeroU32::new(3).unwrap();
    let app = TestApp::with(&config).await;
    let mut tokens = tokens(&app, Role::Viewer).await;
    for _ in 0..3 {
        tokens = renew(&app, &tokens).await.ok();
    }
    let limited = renew(&app, &tokens).await;
    limited.error(429, "rate_limited");
    assert!(!limited.header("retry-after").is_empty());
    let wrong = json!({ "old_password": "wrong", "new_password": PASSWORD });
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer = with(&app, &tokens, Method::PUT, "/api/auth/password", Some(&wrong)).await;
        answers.push(answer.status);
    }
    // Two of its three attempts were log-ins, and these are as dear.
    assert_eq!(answers, [400, 429, 429]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_each_client_has_its_own_attempts() {
    let http = reqwest::Client::new();
    let attempt = |url: String, client: &'static str| {
        let credentials = json!({ "username": "viewer", "password": "wrong" });
        let request = http.post(format!("{url}/api/auth/token")).json(&credentials);
        let request = request.header("x-forwarded-for", client);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for (trusted, second) in [(vec!["127.0.0.0/8".to_owned()], 401), (Vec::new(), 429)] {
        let mut config = config();
        config.login.attempts_per_minute = NonZeroU32::MIN;
        config.api.trusted_proxies = trusted;
        let app = TestApp::serve_with(config).await;
        assert_eq!(attempt(app.url.clone(), "198.51.100.1").await, 401);
        assert_eq!(attempt(app.url.clone(), "198.51.100.1").await, 429);
        assert_eq!(attempt(app.url.clone(), "198.51.100.2").await, second);
        // What the client itself wrote stands further left.
        assert_eq!(attempt(app.url.clone(), "203.0.113.5, 198.51.100.1").await, 429);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_rotates_keys_and_logs_out() {
    let app = TestApp::serve().await;
    let mut command = program(&["keys", "rotate", "--url", &app.url]);
    command.env("CDP_PASSWORD", "demo-admin");
    let output = run(&mut command).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("signs from"), "{said}");
    let jwks: Value = reqwest::get(format!("{}/.well-known/jwks.json", app.url))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    let token = crate::support::server::token(&reqwest::Client::new(), &app.url, Role::Admin).await;
    let sessions = reqwest::Client::new()
        .get(format!("{}/api/auth/sessions", app.url))
        .bearer_auth(token);
    let sessions: Value = sessions.send().await.unwrap().json().await.unwrap();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1, "{sessions}");
    let mut command = program(&["keys", "rotate", "--url", &app.url, "--username", "viewer"]);
    command.env("CDP_PASSWORD", "demo-viewer");
    let output = run(&mut command).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("403"), "{said}");
}
