//! What breaks a GraphQL server is tried on this one: each attempt is refused at once, with a
//! reason that programs can read, and nothing runs.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cdp::domain::role::Role;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::answer::Answer;
use crate::support::app::{TestApp, config};
use crate::support::server::token;
use crate::support::socket::{Heard, Socket};

/// Longer than a refusal takes on any machine, and far shorter than [`DOUBLINGS`].
const AT_ONCE: Duration = Duration::from_mins(1);

/// Whoever expanded fragments that double so often would not come to an end.
const DOUBLINGS: u32 = 60;

async fn send(app: &TestApp, role: Role, body: &Value) -> Answer {
    let request = app.client().post("/graphql").body_json(body);
    app.answer_to(role, request).await
}

async fn ask(app: &TestApp, role: Role, query: &str) -> Value {
    let answer = send(app, role, &json!({ "query": query })).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_default()
}

fn aliases(count: usize, field: &str) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = write!(text, " a{number}: {field}");
        text
    })
}

/// Each attempt: what it is called, and its document.
fn attempts() -> Vec<(&'static str, String)> {
    let mut doubling = format!("{{ ...f0 }} fragment f{DOUBLINGS} on Query {{ cohorts {{ slug }} }}");
    for level in 0..DOUBLINGS {
        let next = level + 1;
        write!(
            doubling,
            " fragment f{level} on Query {{ ...f{next} ...f{next} }}"
        )
        .unwrap();
    }
    let of_type = "ofType { ".repeat(60) + "name" + &" }".repeat(60);
    let introspection = format!("{{ __schema {{ types {{ fields {{ type {{ {of_type} }} }} }} }} }}");
    let circular = "fields { type { ".repeat(8) + "name" + &" } }".repeat(8);
    vec![
        ("ten thousand aliases", format!("{{ {} }}", aliases(10_000, "__typename"))),
        ("aliases of a field that costs", format!("{{ {} }}", aliases(100, "cohorts { slug }"))),
        (
            "aliases below a field",
            format!("{{ profile(cookie: \"c\") {{ {} }} }}", aliases(600, "id")),
        ),
        (
            "aliases of a mutation",
            format!("mutation {{ {} }}", aliases(50, "testWebhook(id: \"a\") { delivered }")),
        ),
        (
            "aliases through fragments",
            format!("{{ ...f ...f ...f }} fragment f on Query {{ {} }}", aliases(15, "cohorts { slug }")),
        ),
        ("fragments that double", doubling),
        ("a fragment in a circle", "{ ...a } fragment a on Query { ...a }".to_owned()),
        (
            "fragments in a circle",
            "{ ...a } fragment a on Query { cohorts { slug } ...b } fragment b on Query { ...a }".to_owned(),
        ),
        ("a deep introspection", introspection),
        ("a circular introspection", format!("{{ __schema {{ types {{ {circular} }} }} }}")),
        ("braces without end", "{ a ".repeat(5_000)),
        ("a deep list value", format!("{{ classify(texts: {}) {{ text }} }}", "[".repeat(20_000))),
        (
            "directives",
            format!("{{ cohorts {{ slug {} }} }}", "@include(if: true) ".repeat(500)),
        ),
        ("unknown directives", format!("{{ cohorts {{ slug {} }} }}", "@a ".repeat(5_000))),
        ("a long document", format!("{{ cohorts {{ slug }} }} #{}", "a".repeat(1_000_000))),
        ("a long name", format!("{{ {} }}", "a".repeat(60_000))),
        (
            "lists in lists",
            "{ cohorts { users(first: 1000) { edges { node { cohorts { slug } } } } } }".to_owned(),
        ),
        ("a list without bound", "{ profiles(first: 1000) { edges { node { id email cookie } } } }".to_owned()),
        ("a negative list", "{ profiles(first: -5) { edges { node { id email cookie location { text } interests createdAt updatedAt identities { primaryKey } demographics { age } provenance { field } } } } }".to_owned()),
        (
            "many operations",
            (0..600).fold(String::new(), |mut text, number| {
                let _ = write!(text, " query q{number} {{ cohorts {{ slug }} }}");
                text
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_cost_too_much_is_refused_at_once_with_a_code() {
    let app = TestApp::start().await;
    for (name, query) in attempts() {
        let began = Instant::now();
        let answer = ask(&app, Role::Admin, &query).await;
        let took = began.elapsed();
        assert_eq!(code(&answer), "bad_request", "{name}: {answer}");
        assert_eq!(answer["data"], Value::Null, "{name}");
        assert!(
            answer.to_string().len() < 10_000,
            "{name}: an answer as long as the attempt"
        );
        assert!(took < AT_ONCE, "{name} took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_and_bodies_that_are_too_large_are_refused() {
    let app = TestApp::start().await;
    let one = json!({ "query": "{ cohorts { slug } }" });
    let batch = json!(vec![one.clone(); 10_000]);
    let began = Instant::now();
    send(&app, Role::Admin, &batch).await.error(400, "bad_request");
    assert!(began.elapsed() < AT_ONCE);
    let huge = json!({
        "query": "query($texts: [String!]!) { classify(texts: $texts) { text } }",
        "variables": { "texts": ["a".repeat(5_000_000)] },
    });
    send(&app, Role::Admin, &huge)
        .await
        .error(413, "payload_too_large");
    // Many small values: what they are for bounds them.
    let many = json!({
        "query": "query($texts: [String!]!) { classify(texts: $texts) { cohorts } }",
        "variables": { "texts": vec!["a"; 100_000] },
    });
    let began = Instant::now();
    let answer = send(&app, Role::Admin, &many).await.json();
    assert_eq!(code(&answer), "bad_request", "{answer}");
    assert!(began.elapsed() < AT_ONCE);
    let deep = "[".repeat(2_000_000);
    let request = app.client().post("/graphql").content_type("application/json");
    let body = format!("{{\"query\":\"{{ cohorts {{ slug }} }}\",\"variables\":{{\"a\":{deep}");
    app.answer_to(Role::Admin, request.body(body))
        .await
        .error(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_readers_see_the_schema_however_they_ask() {
    let app = TestApp::start().await;
    let ways = [
        "{ __schema { types { name } } }",
        "{ a: __schema { types { name } } }",
        "{ __type(name: \"Query\") { name } }",
        "{ ... on Query { __schema { types { name } } } }",
        "{ ...f } fragment f on Query { s: __schema { types { name } } }",
        "query A { __typename } query B { __schema { types { name } } }",
        "mutation { __schema { types { name } } }",
    ];
    for query in ways {
        let answer = ask(&app, Role::Ingest, query).await;
        let shown = answer["data"].to_string();
        assert!(
            !shown.contains("\"types\"") && !shown.contains("\"name\""),
            "{query}: {answer}"
        );
    }
    for role in [Role::Viewer, Role::Analyst, Role::Admin] {
        for query in &ways[..5] {
            let answer = ask(&app, role, query).await;
            assert_eq!(answer["errors"], Value::Null, "{role}, {query}: {answer}");
            assert!(
                answer["data"].to_string().contains("\"name\""),
                "{role}, {query}: {answer}"
            );
        }
    }
    for role in Role::ALL {
        let answer = ask(
            &app,
            role,
            "{ a: __typename ...f } fragment f on Query { b: __typename }",
        )
        .await;
        assert_eq!(answer["data"], json!({ "a": "Query", "b": "Query" }), "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_hides_the_schema_from_everybody() {
    let mut config = config();
    config.api.graphql.introspection = false;
    let app = TestApp::with(&config).await;
    for query in [
        "{ __schema { types { name } } }",
        "{ t: __type(name: \"Query\") { name } }",
    ] {
        let answer = ask(&app, Role::Admin, query).await;
        assert!(!answer["data"].to_string().contains("\"name\""), "{answer}");
    }
    let answer = ask(&app, Role::Admin, "{ __typename cohorts { slug } }").await;
    assert_eq!(answer["data"]["__typename"], "Query");
}

fn named(text: &str) -> Value {
    let hash = hex::encode(Sha256::digest(text));
    json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_sent_once_and_named_by_its_hash_from_then_on() {
    let app = TestApp::start().await;
    let text = "query Slugs { cohorts { slug } }";
    let by_hash = json!({ "extensions": named(text) });
    let answer = send(&app, Role::Viewer, &by_hash).await.json();
    assert_eq!(
        answer["errors"][0]["message"], "PersistedQueryNotFound",
        "{answer}"
    );
    assert_eq!(code(&answer), "PERSISTED_QUERY_NOT_FOUND");
    let taught = json!({ "query": text, "extensions": named(text) });
    let answer = send(&app, Role::Viewer, &taught).await.json();
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    let again = send(&app, Role::Analyst, &by_hash).await.json();
    assert_eq!(again["data"], answer["data"]);
    // Who may run it is asked each time.
    let refused = send(&app, Role::Ingest, &by_hash).await.json();
    assert_eq!(code(&refused), "forbidden", "{refused}");

    let lying = json!({ "query": "{ __typename }", "extensions": named(text) });
    assert_eq!(
        code(&send(&app, Role::Viewer, &lying).await.json()),
        "bad_request"
    );
    for extension in [
        json!({ "persistedQuery": 7 }),
        json!({ "persistedQuery": { "version": 2, "sha256Hash": "00" } }),
        json!({ "persistedQuery": { "version": 1 } }),
    ] {
        let answer = send(&app, Role::Viewer, &json!({ "extensions": extension }))
            .await
            .json();
        assert_eq!(code(&answer), "bad_request", "{extension}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operations_of_the_repository_are_known_from_the_start() {
    let app = TestApp::start().await;
    let text = include_str!("../../queries/cohorts.graphql");
    let answer = send(&app, Role::Viewer, &json!({ "extensions": named(text) }))
        .await
        .json();
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    assert!(answer["data"]["cohorts"].as_array().unwrap().len() > 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_runs_nothing_but_the_operations_of_the_repository() {
    let mut config = config();
    config.api.graphql.persisted_only = true;
    let app = TestApp::with(&config).await;
    let known = include_str!("../../queries/cohorts.graphql");
    for body in [
        json!({ "extensions": named(known) }),
        json!({ "query": known }),
        json!({ "query": known, "extensions": named(known) }),
    ] {
        let answer = send(&app, Role::Admin, &body).await.json();
        assert_eq!(answer["errors"], Value::Null, "{body}: {answer}");
    }
    let other = "{ cohorts { slug } }";
    for body in [
        json!({ "query": other }),
        json!({ "extensions": named(other) }),
        json!({ "query": other, "extensions": named(other) }),
        json!({ "query": "{ __schema { types { name } } }" }),
    ] {
        let answer = send(&app, Role::Admin, &body).await.json();
        assert_eq!(code(&answer), "forbidden", "{body}: {answer}");
        assert_eq!(answer["data"], Value::Null, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_has_the_same_limits() {
    let mut config = config();
    config.activation.streams_max = 64;
    let app = TestApp::serve_with(config).await;
    let token = token(&reqwest::Client::new(), &app.url, Role::Admin).await;
    let mut socket = Socket::open(&app.url).await.unwrap();
    let hello = json!({ "type": "connection_init", "payload": { "token": token } });
    socket.say(&hello).await;
    socket.hear_of("connection_ack").await;
    for (id, query) in [
        (
            "aliases",
            format!("subscription {{ {} }}", aliases(900, "__typename")),
        ),
        (
            "roots",
            format!(
                "subscription {{ {} }}",
                aliases(40, "profileChanged { profileId }")
            ),
        ),
        (
            "circle",
            "subscription { ...a } fragment a on Subscription { ...a }".to_owned(),
        ),
    ] {
        let message = json!({ "type": "subscribe", "id": id, "payload": { "query": query } });
        socket.say(&message).await;
        let refused = socket.hear_of("next").await;
        assert_eq!(
            refused["payload"]["errors"][0]["extensions"]["code"], "bad_request",
            "{id}: {refused}"
        );
    }
    let text = include_str!("../../queries/cohorts.graphql");
    let message =
        json!({ "type": "subscribe", "id": "known", "payload": { "query": "", "extensions": named(text) } });
    socket.say(&message).await;
    let next = loop {
        let next = socket.hear_of("next").await;
        if next["id"] == "known" {
            break next;
        }
    };
    let refused = &next["payload"]["errors"][0];
    assert_eq!(refused["extensions"]["code"], "bad_request", "{next}");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("subscriptions only"), "{next}");

    // Who subscribes without having said who they are is not served.
    let mut silent = Socket::open(&app.url).await.unwrap();
    let early = json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ cohorts { slug } }" } });
    silent.say(&early).await;
    assert!(matches!(silent.hear().await, Heard::Closed(_)));
}
