//! Who may what, as one table: every route with every role and with nobody, so that a
//! forgotten guard shows as a changed cell. The routes are those of the description, so a
//! new one can't be left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use cdp::api::{AskedBy, UNDESCRIBED};
use cdp::domain::role::{Permission, Role};
use poem::http::Method;
use serde_json::{Value, json};

use crate::graphql::ROOT_FIELDS;
use crate::support::answer::Answer;
use crate::support::app::TestApp;
use crate::support::forger::{self, Forger};
use crate::support::socket::{Heard, Socket};

/// The routes that strangers may ask, beside those that are not described.
const FOR_STRANGERS: [&str; 3] = ["/api/auth/refresh", "/api/auth/revoke", "/api/auth/token"];

/// Each subscription: how to ask for it so that something comes at once, and the permission that it
/// needs.
const SUBSCRIPTIONS: &[(&str, &str, Permission)] = &[
    (
        "cohortChanged",
        r#"subscription { cohortChanged(after: "0") { entered } }"#,
        Permission::Read,
    ),
    (
        "profileChanged",
        r#"subscription { profileChanged(after: "0") { rev } }"#,
        Permission::Read,
    ),
    (
        "profileDeleted",
        r#"subscription { profileDeleted(after: "0") { profileId } }"#,
        Permission::Read,
    ),
    (
        "profileMerged",
        r#"subscription { profileMerged(after: "0") { survivor } }"#,
        Permission::Read,
    ),
    (
        "batchProgress",
        r#"subscription { batchProgress(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { finished } }"#,
        Permission::Ingest,
    ),
];

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one for each route")]
async fn every_route_lets_in_whom_it_should() {
    let app = TestApp::start().await;
    let mut table = format!("{:36}{:>8}", "route", "nobody");
    for role in Role::ALL {
        write!(table, "{:>8}", role.name()).unwrap();
    }
    for (method, path) in routes(&app).await {
        let route = format!("{method} {path}");
        write!(table, "\n{route:36}").unwrap();
        for role in [None].into_iter().chain(Role::ALL.map(Some)) {
            write!(table, "{:>8}", cell(&app, &method, &path, role).await).unwrap();
        }
    }
    insta::assert_snapshot!(table, @r"
    route                                 nobody  viewer analyst  ingest   admin
    GET /api/analytics/interests             401     may     may     403     may
    GET /api/analytics/series                401     may     may     403     may
    GET /api/analytics/summary               401     may     may     403     may
    GET /api/audit                           401     403     403     403     may
    POST /api/auth/keys/rotate               401     403     403     403     may
    GET /api/auth/me                         401     may     may     may     may
    PUT /api/auth/password                   401     may     may     may     may
    POST /api/auth/refresh                   may     may     may     may     may
    POST /api/auth/revoke                    may     may     may     may     may
    GET /api/auth/sessions                   401     may     may     may     may
    DELETE /api/auth/sessions/{id}           401     may     may     may     may
    POST /api/auth/token                     may     may     may     may     may
    GET /api/auth/users                      401     403     403     403     may
    POST /api/auth/users                     401     403     403     403     may
    DELETE /api/auth/users/{name}            401     403     403     403     may
    PUT /api/auth/users/{name}               401     403     403     403     may
    GET /api/backfills                       401     may     may     403     may
    GET /api/backfills/{id}                  401     may     may     403     may
    GET /api/backup                          401     403     403     403     may
    GET /api/changes                         401     may     may     403     may
    POST /api/classify                       401     403     may     403     may
    GET /api/cohort/export                   401     403     may     403     may
    GET /api/cohort/users                    401     may     may     403     may
    GET /api/cohorts                         401     may     may     403     may
    POST /api/cohorts                        401     403     may     403     may
    POST /api/cohorts/combine                401     may     may     403     may
    GET /api/cohorts/overlap                 401     may     may     403     may
    POST /api/cohorts/preview                401     403     may     403     may
    DELETE /api/cohorts/{cohort}             401     403     may     403     may
    GET /api/cohorts/{cohort}                401     may     may     403     may
    PUT /api/cohorts/{cohort}                401     403     may     403     may
    GET /api/cohorts/{cohort}/history        401     may     may     403     may
    POST /api/cohorts/{cohort}/rollback      401     403     may     403     may
    GET /api/cohorts/{cohort}/versions       401     may     may     403     may
    GET /api/conflicts                       401     may     may     403     may
    POST /api/conflicts/{id}/review          401     403     403     403     may
    DELETE /api/corrections                  401     403     may     403     may
    GET /api/corrections                     401     may     may     403     may
    PUT /api/corrections                     401     403     may     403     may
    GET /api/erasures/{id}                   401     403     403     403     may
    POST /api/ingest                         401     403     403     may     may
    GET /api/ingest/files/{file}             401     403     403     may     may
    GET /api/ingest/files/{file}/parts       401     403     403     may     may
    GET /api/ingest/{batch}                  401     403     403     may     may
    POST /api/ingest/{batch}/cancel          401     403     403     may     may
    GET /api/ingest/{batch}/quality          401     403     403     may     may
    GET /api/ingest/{batch}/rejects          401     403     403     may     may
    POST /api/ingest/{batch}/replay          401     403     403     may     may
    GET /api/interests/search                401     may     may     403     may
    GET /api/interests/similar               401     may     may     403     may
    GET /api/merges                          401     may     may     403     may
    POST /api/merges/{id}/undo               401     403     403     403     may
    GET /api/profiles/export                 401     403     may     403     may
    POST /api/profiles/{id}/cut              401     403     403     403     may
    GET /api/profiles/{id}/graph             401     may     may     403     may
    GET /api/profiles/{id}/provenance        401     may     may     403     may
    GET /api/profiles/{id}/timeline          401     may     may     403     may
    POST /api/retention/sweep                401     403     403     403     may
    GET /api/rules                           401     may     may     403     may
    POST /api/rules                          401     403     may     403     may
    POST /api/rules/check                    401     403     may     403     may
    DELETE /api/rules/{rule}                 401     403     may     403     may
    GET /api/rules/{rule}                    401     may     may     403     may
    PUT /api/rules/{rule}                    401     403     may     403     may
    GET /api/search/suggest                  401     may     may     403     may
    DELETE /api/suppressions                 401     403     403     403     may
    GET /api/suppressions                    401     403     403     403     may
    POST /api/suppressions                   401     403     403     403     may
    DELETE /api/user                         401     403     403     403     may
    GET /api/user                            401     may     may     403     may
    GET /api/user/export                     401     403     may     403     may
    GET /api/user/similar                    401     may     may     403     may
    GET /api/users/search                    401     may     may     403     may
    GET /api/webhooks                        401     403     403     403     may
    POST /api/webhooks                       401     403     403     403     may
    DELETE /api/webhooks/{id}                401     403     403     403     may
    GET /api/webhooks/{id}                   401     403     403     403     may
    PUT /api/webhooks/{id}                   401     403     403     403     may
    GET /api/webhooks/{id}/deliveries        401     403     403     403     may
    POST /api/webhooks/{id}/replay           401     403     403     403     may
    POST /api/webhooks/{id}/rotate           401     403     403     403     may
    POST /api/webhooks/{id}/test             401     403     403     403     may
    GET /api/write-keys                      401     403     403     403     may
    POST /api/write-keys                     401     403     403     403     may
    DELETE /api/write-keys/{id}              401     403     403     403     may
    GET /metrics                             401     may     may     403     may
    POST /graphql                            401     may     may     may     may
    ");
}

/// Every route of the description, and those beside it that are not for everybody.
async fn routes(app: &TestApp) -> Vec<(Method, String)> {
    let spec = app.get("/openapi.json").await;
    let mut routes = Vec::new();
    for (path, operations) in spec["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            routes.push((method.to_uppercase().parse().unwrap(), format!("/api{path}")));
        }
    }
    assert!(routes.len() >= 8, "{routes:?}");
    let beside = UNDESCRIBED.iter().filter(|(_, _, by)| *by == AskedBy::Callers);
    routes.extend(beside.map(|(method, path, _)| (method.parse().unwrap(), (*path).to_owned())));
    routes
}

/// `401`, `403`, or `may`, when the request got past the guard, whatever became of it there.
async fn cell(app: &TestApp, method: &Method, path: &str, role: Option<Role>) -> String {
    let token = role.map(|role| app.token(role));
    match status(app, method, path, token.as_deref()).await {
        refused @ (401 | 403) => refused.to_string(),
        405 => panic!("{method} is not a method of the route"),
        500.. => panic!("{method} {path} fails"),
        _ => "may".to_owned(),
    }
}

async fn status(app: &TestApp, method: &Method, path: &str, token: Option<&str>) -> u16 {
    let path = path
        .replace("{batch}", "01ARZ3NDEKTSV4RRFFQ69G5FAV")
        .replace("{id}", "p4000000000")
        .replace("{name}", "nobody");
    let mut request = app.client().request(method.clone(), path);
    // What a stranger sends along is refused, also where they may look.
    if method != Method::GET {
        request = request.body_json(&json!({ "query": "{ __typename }" }));
    }
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.send().await.0.status().as_u16()
}

/// A token of the demo's administrator that reaches to one permission only.
async fn narrow(app: &TestApp, permission: Permission) -> String {
    let credentials = json!({ "username": "admin", "password": "demo-admin", "scope": permission.scope() });
    let request = app.client().post("/api/auth/token").body_json(&credentials);
    let tokens = Answer::of(request.send().await).await.ok();
    tokens["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_opened_by_its_scope_and_by_no_other() {
    let app = TestApp::start().await;
    let mut narrowed = Vec::new();
    for permission in Permission::ALL {
        narrowed.push((permission.scope(), narrow(&app, permission).await));
    }
    let mut table = String::new();
    for (method, path) in routes(&app).await {
        if FOR_STRANGERS.contains(&path.as_str()) {
            continue;
        }
        let mut opened = Vec::new();
        for (scope, token) in &narrowed {
            match status(&app, &method, &path, Some(token)).await {
                401 => panic!("{method} {path} does not know the token"),
                403 => {}
                _ => opened.push(*scope),
            }
        }
        let all = opened.len() == narrowed.len();
        let opened = if all { "any".to_owned() } else { opened.join(" ") };
        write!(table, "\n{:38}{opened}", format!("{method} {path}")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_opened_by_its_scope_and_by_no_other() {
    let app = TestApp::start().await;
    for permission in Permission::ALL {
        let token = narrow(&app, permission).await;
        for &(field, query, needed) in ROOT_FIELDS {
            let answer = graphql(&app, &token, query).await.json();
            let is_forbidden = answer["errors"][0]["extensions"]["code"] == "forbidden";
            assert_eq!(
                is_forbidden,
                needed != permission,
                "{permission:?}, {field}: {answer}"
            );
        }
        let who = graphql(&app, &token, "{ me { scopes } }").await.json();
        assert_eq!(who["data"]["me"]["scopes"], json!([permission.scope()]));
    }
}

async fn graphql(app: &TestApp, token: &str, query: &str) -> Answer {
    let request = app
        .client()
        .post("/graphql")
        .header("authorization", format!("Bearer {token}"))
        .body_json(&json!({ "query": query }));
    Answer::of(request.send().await).await
}

/// Opens a connection as whoever holds a token.
async fn connect(url: &str, token: &str) -> Socket {
    let mut socket = Socket::open(url).await.unwrap();
    socket
        .say(&json!({ "type": "connection_init", "payload": { "token": token } }))
        .await;
    socket
}

async fn tokens_over(url: &str, credentials: &Value) -> Value {
    let http = reqwest::Client::new();
    let request = http.post(format!("{url}/api/auth/token")).json(credentials);
    let response = request.send().await.unwrap().error_for_status().unwrap();
    response.json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subscription_is_opened_by_its_permission_and_by_no_other() {
    let app = TestApp::serve().await;
    let client = crate::support::server::Client::log_in(&app.url).await;
    // Two who turn out to be one, and like something: all kinds of changes.
    for record in [
        json!([{ "cookie": "a", "interests": ["tennis"] }]),
        json!([{ "cookie": "b", "email": "b@shop.example" }]),
        json!([{ "cookie": "a", "email": "b@shop.example" }]),
    ] {
        client.ingest(&record).await.unwrap();
    }
    // And somebody who is erased.
    client.ingest(&json!([{ "cookie": "gone" }])).await.unwrap();
    client
        .graphql(r#"mutation { eraseUser(cookie: "gone") { id } }"#, json!({}))
        .await;
    let fields = "{ __schema { subscriptionType { fields { name } } } }";
    let known = client.graphql(fields, json!({})).await;
    let known = known["__schema"]["subscriptionType"]["fields"]
        .as_array()
        .unwrap();
    let known: BTreeSet<&str> = known
        .iter()
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    let tried: BTreeSet<&str> = SUBSCRIPTIONS.iter().map(|(field, ..)| *field).collect();
    assert_eq!(known, tried, "every subscription must be tried here");

    let of_roles = Role::ALL.map(|role| {
        let password = format!("demo-{role}");
        (
            json!({ "username": role.name(), "password": password }),
            Permission::ALL
                .into_iter()
                .filter(|some| role.may(*some))
                .collect::<Vec<_>>(),
        )
    });
    let of_scopes = Permission::ALL.map(|permission| {
        let scope = permission.scope();
        (
            json!({ "username": "admin", "password": "demo-admin", "scope": scope }),
            vec![permission],
        )
    });
    for (credentials, permissions) in of_roles.into_iter().chain(of_scopes) {
        let tokens = tokens_over(&app.url, &credentials).await;
        let mut socket = connect(&app.url, tokens["access_token"].as_str().unwrap()).await;
        socket.hear_of("connection_ack").await;
        for (field, query, needed) in SUBSCRIPTIONS {
            socket
                .say(&json!({ "type": "subscribe", "id": field, "payload": { "query": query } }))
                .await;
            let next = loop {
                let next = socket.hear_of("next").await;
                if next["id"] == *field {
                    break next;
                }
            };
            let is_forbidden = next["payload"]["errors"][0]["extensions"]["code"] == "forbidden";
            assert_eq!(
                is_forbidden,
                !permissions.contains(needed),
                "{credentials}, {field}: {next}"
            );
        }
    }
}

/// Tokens that were good once, or would be if the key alone counted.
async fn spent(app: &TestApp) -> Vec<(&'static str, String)> {
    let forger = Forger::of(app).await;
    let mut expired = forger::claims("admin", Role::Admin);
    expired["exp"] = json!(chrono::Utc::now().timestamp() - 60);
    let log_in = |name: &'static str, password: &'static str| {
        let credentials = json!({ "username": name, "password": password });
        let request = app.client().post("/api/auth/token").body_json(&credentials);
        async move { Answer::of(request.send().await).await.ok() }
    };
    let admin = |method: Method, path: &str, body: Value| {
        let request = app.client().request(method, path).body_json(&body);
        let request = request.header("authorization", format!("Bearer {}", app.token(Role::Admin)));
        async move { Answer::of(request.send().await).await.ok() }
    };
    let revoked = log_in("admin", "demo-admin").await;
    let shown = json!({ "refresh_token": revoked["refresh_token"] });
    let request = app.client().post("/api/auth/revoke").body_json(&shown);
    assert_eq!(request.send().await.0.status(), 200);
    let password = "a long and dull password";
    let user = json!({ "name": "second", "role": "admin", "password": password });
    admin(Method::POST, "/api/auth/users", user).await;
    let disabled = log_in("second", password).await;
    admin(Method::PUT, "/api/auth/users/second", json!({ "disabled": true })).await;
    let text = |tokens: &Value| tokens["access_token"].as_str().unwrap().to_owned();
    vec![
        ("an expired one", forger.sign(&expired)),
        ("a revoked one", text(&revoked)),
        ("one of a disabled user", text(&disabled)),
        ("one that is none", "nonsense".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_spent_opens_no_route_and_no_field() {
    let app = TestApp::with(&forger::config()).await;
    let routes = routes(&app).await;
    for (what, token) in spent(&app).await {
        for (method, path) in &routes {
            if !FOR_STRANGERS.contains(&path.as_str()) {
                let status = status(&app, method, path, Some(&token)).await;
                assert_eq!(status, 401, "{what}: {method} {path}");
            }
        }
        for (field, query, _) in ROOT_FIELDS {
            assert_eq!(graphql(&app, &token, query).await.status, 401, "{what}: {field}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_spent_opens_no_connection() {
    let app = crate::support::app::build(&forger::config()).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (bound, address) = tokio::sync::oneshot::channel();
    let services = app.services.clone();
    tokio::spawn(async move {
        let stop = async { drop(stopped.await) };
        app.serve("127.0.0.1:0", move |at| bound.send(at).unwrap(), stop)
            .await
            .unwrap();
    });
    let url = format!("http://{}", address.await.unwrap());
    let tokens = tokens_over(&url, &json!({ "username": "viewer", "password": "demo-viewer" })).await;
    let token = tokens["access_token"].as_str().unwrap();
    connect(&url, token).await.hear_of("connection_ack").await;
    let refresh = tokens["refresh_token"].as_str().unwrap();
    services.accounts.log_out(refresh, "").await.unwrap();
    for token in [token, "nonsense", ""] {
        assert_eq!(
            connect(&url, token).await.hear().await,
            Heard::Closed(1002),
            "{token}"
        );
    }
    drop(stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_beside_the_description_are_those_of_the_router() {
    // The router can't be asked for its routes, so its text is.
    let text = include_str!("../../src/api/mod.rs");
    let mut of_router = BTreeSet::new();
    for call in [".at(", ".nest("] {
        for (at, _) in text.match_indices(call) {
            let rest = text[at + call.len()..].trim_start();
            let path = rest.strip_prefix('"').unwrap().split('"').next().unwrap();
            let parts = path
                .split('/')
                .map(|part| if part.starts_with([':', '*']) { "*" } else { part });
            of_router.insert(parts.collect::<Vec<_>>().join("/"));
        }
    }
    assert!(of_router.remove("/api"), "the described ones");
    let listed: BTreeSet<String> = UNDESCRIBED
        .iter()
        .map(|(_, path, _)| (*path).to_owned())
        .collect();
    assert_eq!(of_router, listed);

    let app = TestApp::start().await;
    for (method, path, by) in UNDESCRIBED {
        let method: Method = method.parse().unwrap();
        let a_path = path.replace('*', "track");
        let status = status(&app, &method, &a_path, None).await;
        // A key may stand in the body, so what can't be read is refused before it is known whose it is.
        let is_refused = status == 401 || (*by == AskedBy::Senders && status == 400);
        assert_eq!(!is_refused, *by == AskedBy::Anybody, "{method} {path}: {status}");
        if *by == AskedBy::Senders {
            for role in Role::ALL {
                let token = app.token(role);
                let status = self::status(&app, &method, &a_path, Some(&token)).await;
                assert!(
                    [400, 401].contains(&status),
                    "no role is a write key: {role}, {method} {path}"
                );
            }
        }
        for other in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            let is_listed = UNDESCRIBED
                .iter()
                .any(|(known, at, _)| at == path && *known == other.as_str());
            let status = self::status(&app, &other, path, None).await;
            // A page below `/docs` answers to GET alone, and a stranger's body is not read.
            assert!(
                is_listed || [401, 404, 405].contains(&status),
                "{other} {path}: {status}"
            );
        }
    }
}
