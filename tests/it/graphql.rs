//! GraphQL through the real router: the committed schema and queries, who may ask for what,
//! what is refused before it costs anything, and records on their way in and out.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use cdp::api::graphql;
use cdp::domain::role::{Permission, Role};
use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::root;

/// Each field of the two roots: how to ask for it, and the permission that it needs.
pub const ROOT_FIELDS: &[(&str, &str, Permission)] = &[
    (
        "profile",
        r#"{ profile(cookie: "unknown-cookie") { id } }"#,
        Permission::Read,
    ),
    ("profiles", "{ profiles { edges { cursor } } }", Permission::Read),
    (
        "cohort",
        r#"{ cohort(name: "Sports") { slug } }"#,
        Permission::Read,
    ),
    ("cohorts", "{ cohorts { slug } }", Permission::Read),
    (
        "searchUsers",
        r#"{ searchUsers(q: "a") { totalCount } }"#,
        Permission::Read,
    ),
    (
        "searchInterests",
        r#"{ searchInterests(q: "a") { complete } }"#,
        Permission::Read,
    ),
    (
        "similarInterests",
        r#"{ similarInterests(interest: "cricket") { complete } }"#,
        Permission::Read,
    ),
    ("suggest", r#"{ suggest(q: "a") { complete } }"#, Permission::Read),
    (
        "similarUsers",
        r#"{ similarUsers(cookie: "unknown-cookie") { complete } }"#,
        Permission::Read,
    ),
    (
        "classify",
        r#"{ classify(texts: ["cricket"]) { cohorts } }"#,
        Permission::Classify,
    ),
    (
        "auditLog",
        "{ auditLog { entries { action } } }",
        Permission::Audit,
    ),
    (
        "analyticsSummary",
        "{ analyticsSummary { people } }",
        Permission::Read,
    ),
    (
        "analyticsSeries",
        "{ analyticsSeries(of: PEOPLE) { size } }",
        Permission::Read,
    ),
    (
        "frequentInterests",
        "{ frequentInterests { interest } }",
        Permission::Read,
    ),
    (
        "cohortHistory",
        r#"{ cohortHistory(name: "Sports") { nextCursor } }"#,
        Permission::Read,
    ),
    (
        "previewCohort",
        r#"{ previewCohort(expression: "true") { exact } }"#,
        Permission::Define,
    ),
    (
        "combineCohorts",
        r#"{ combineCohorts(of: { all: ["Sports"] }) { size } }"#,
        Permission::Read,
    ),
    ("cohortOverlap", "{ cohortOverlap { shared } }", Permission::Read),
    (
        "cohortVersions",
        r#"{ cohortVersions(name: "Sports") { version } }"#,
        Permission::Read,
    ),
    (
        "createCohort",
        r#"mutation { createCohort(cohort: { name: "!" }) { backfill { id } } }"#,
        Permission::Define,
    ),
    (
        "changeCohort",
        r#"mutation { changeCohort(name: "?", cohort: { name: "!" }) { backfill { id } } }"#,
        Permission::Define,
    ),
    (
        "deleteCohort",
        r#"mutation { deleteCohort(name: "?") { backfill { id } } }"#,
        Permission::Define,
    ),
    (
        "rollBackCohort",
        r#"mutation { rollBackCohort(name: "?", version: 9) { backfill { id } } }"#,
        Permission::Define,
    ),
    (
        "identityGraph",
        r#"{ identityGraph(id: "p1") { id } }"#,
        Permission::Read,
    ),
    (
        "provenance",
        r#"{ provenance(id: "p1") { field } }"#,
        Permission::Read,
    ),
    (
        "timeline",
        r#"{ timeline(id: "p1") { nextCursor } }"#,
        Permission::Read,
    ),
    ("merges", "{ merges { nextCursor } }", Permission::Read),
    ("rules", "{ rules { slug } }", Permission::Read),
    (
        "checkRule",
        r#"{ checkRule(expression: "true") }"#,
        Permission::Define,
    ),
    (
        "backfill",
        r#"{ backfill(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { id } }"#,
        Permission::Read,
    ),
    ("changes", "{ changes { nextCursor } }", Permission::Read),
    (
        "rejects",
        r#"{ rejects(batch: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { row } }"#,
        Permission::Ingest,
    ),
    (
        "file",
        r#"{ file(sha256: "0000000000000000000000000000000000000000000000000000000000000000") { parts } }"#,
        Permission::Ingest,
    ),
    (
        "fileParts",
        r#"{ fileParts(sha256: "0000000000000000000000000000000000000000000000000000000000000000") { nextAfter } }"#,
        Permission::Ingest,
    ),
    ("corrections", "{ corrections { by } }", Permission::Read),
    ("backfills", "{ backfills { id } }", Permission::Read),
    (
        "correctInterest",
        r#"mutation { correctInterest(interest: "!!", cohorts: []) { backfill { id } } }"#,
        Permission::Classify,
    ),
    (
        "withdrawCorrection",
        r#"mutation { withdrawCorrection(interest: "!!") { id } }"#,
        Permission::Classify,
    ),
    ("conflicts", "{ conflicts { nextCursor } }", Permission::Read),
    (
        "eraseUser",
        r#"mutation { eraseUser(cookie: "whom-nobody-knows-by-this") { id } }"#,
        Permission::Erase,
    ),
    (
        "undoMerge",
        r#"mutation { undoMerge(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { profiles } }"#,
        Permission::Judge,
    ),
    (
        "cut",
        r#"mutation { cut(profile: "p1", cookie: "unknown-cookie") { profiles } }"#,
        Permission::Judge,
    ),
    (
        "reviewConflict",
        r#"mutation { reviewConflict(id: "0123456789abcdef0123456789abcdef", action: "allow") { profiles } }"#,
        Permission::Judge,
    ),
    (
        "batch",
        r#"{ batch(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { id } }"#,
        Permission::Ingest,
    ),
    (
        "cancelBatch",
        r#"mutation { cancelBatch(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { id } }"#,
        Permission::Ingest,
    ),
    (
        "replayRejects",
        r#"mutation { replayRejects(batch: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { status } }"#,
        Permission::Ingest,
    ),
    ("webhooks", "{ webhooks { id } }", Permission::Activate),
    (
        "webhook",
        r#"{ webhook(id: "unknown") { id } }"#,
        Permission::Activate,
    ),
    (
        "deliveries",
        r#"{ deliveries(webhook: "unknown") { nextBefore } }"#,
        Permission::Activate,
    ),
    (
        "createWebhook",
        r#"mutation { createWebhook(webhook: {name: "", url: ""}) { secret } }"#,
        Permission::Activate,
    ),
    (
        "changeWebhook",
        r#"mutation { changeWebhook(id: "unknown", webhook: {name: "", url: ""}) { id } }"#,
        Permission::Activate,
    ),
    (
        "deleteWebhook",
        r#"mutation { deleteWebhook(id: "unknown") }"#,
        Permission::Activate,
    ),
    (
        "rotateWebhookSecret",
        r#"mutation { rotateWebhookSecret(id: "unknown") { secret } }"#,
        Permission::Activate,
    ),
    (
        "replayWebhook",
        r#"mutation { replayWebhook(id: "unknown") { id } }"#,
        Permission::Activate,
    ),
    (
        "testWebhook",
        r#"mutation { testWebhook(id: "unknown") { delivered } }"#,
        Permission::Activate,
    ),
    (
        "rawRow",
        r#"{ rawRow(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV-0") { id } }"#,
        Permission::Read,
    ),
    (
        "ingest",
        r#"mutation { ingest(records: [{cookie: "c-matrix"}]) { status } }"#,
        Permission::Ingest,
    ),
];

/// The one field that needs no permission: anybody may know who they are.
const ME: &str = "{ me { role } }";

#[test]
fn the_committed_schema_is_the_exported_one() {
    let path = root().join("schema/schema.graphql");
    let exported = graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &exported).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == exported,
        "schema/schema.graphql is not what the code exports; \
         mend it with: UPDATE_SCHEMA=1 cargo test --release --test it exported"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_committed_query_runs() {
    let app = TestApp::alone().await;
    let john = ingest_example(&app).await;
    let (merge, conflict, shared) = ingest_what_is_to_be_judged(&app).await;
    let records = json!([{"cookie": "visitor-1"}, {"cookie": "visitor-2", "email": "foo@"}]);
    let (_, report) = app.send("application/json", records.to_string()).await;
    let batch = report["batch_id"].clone();
    let pear = r#"mutation { correctInterest(interest: "pear", cohorts: []) { backfill { id } } }"#;
    let corrected = ask(&app, Role::Admin, pear, json!({})).await;
    let backfill = corrected["data"]["correctInterest"]["backfill"]["id"].clone();
    send_file(&app).await;
    let young = r#"mutation { createCohort(cohort: { name: "Young Sports Fans", expression: "profile.age < 30" }) { backfill { id } } }"#;
    ask(&app, Role::Admin, young, json!({})).await;
    let made = r#"mutation { createWebhook(webhook: {name: "a", url: "http://127.0.0.1:9/", paused: true}) {
        webhook { id } } }"#;
    let made = ask(&app, Role::Admin, made, json!({})).await;
    let webhook = made["data"]["createWebhook"]["webhook"]["id"].clone();
    let mut names = BTreeSet::new();
    for path in committed_queries() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let query = fs::read_to_string(&path).unwrap();
        let variables = root().join(format!("queries/variables/{name}.json"));
        let mut variables: Value = serde_json::from_str(&fs::read_to_string(variables).unwrap()).unwrap();
        // The variables that depend on what else is in the store.
        match name.as_str() {
            "identity_graph" | "provenance" | "timeline" => variables["id"] = john.clone(),
            "undo_merge" => variables["id"] = merge.clone(),
            "batch" => variables["id"] = batch.clone(),
            "backfill" => variables["id"] = backfill.clone(),
            "rejects" | "replay_rejects" => variables["batch"] = batch.clone(),
            "review_conflict" => variables["id"] = conflict.clone(),
            "cut" => variables["profile"] = shared.clone(),
            "deliveries" => variables["webhook"] = webhook.clone(),
            "webhook" | "change_webhook" | "rotate_webhook_secret" | "replay_webhook" | "test_webhook" => {
                variables["id"] = webhook.clone();
            }
            _ => {}
        }
        let answer = ask(&app, Role::Admin, &query, variables).await;
        assert_eq!(answer["errors"], Value::Null, "{name}");
        let found = answer["data"]
            .as_object()
            .unwrap()
            .values()
            .all(|field| !field.is_null());
        assert!(found, "{name} finds nothing: {answer}");
        names.insert(name);
    }
    let expected = [
        "backfill",
        "backfills",
        "batch",
        "changes",
        "check_rule",
        "change_webhook",
        "classify",
        "cohort_members",
        "cohorts",
        "conflicts",
        "correct_interest",
        "corrections",
        "create_webhook",
        "cut",
        "deliveries",
        "file",
        "identity_graph",
        "ingest",
        "merges",
        "profile_by_cookie",
        "profile_by_email",
        "profiles",
        "provenance",
        "rejects",
        "replay_rejects",
        "replay_webhook",
        "review_conflict",
        "rotate_webhook_secret",
        "rules",
        "search_interests",
        "search_users",
        "similar_interests",
        "similar_users",
        "suggest",
        "test_webhook",
        "timeline",
        "undo_merge",
        "webhook",
        "webhooks",
        "withdraw_correction",
    ];
    assert!(expected.into_iter().all(|name| names.contains(name)), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_ask_for_what_it_may_and_no_more() {
    let app = TestApp::start().await;
    for role in Role::ALL {
        for &(field, query, permission) in ROOT_FIELDS {
            let answer = ask(&app, role, query, json!({})).await;
            let is_forbidden = code(&answer) == Some("forbidden");
            assert_eq!(is_forbidden, !role.may(permission), "{role}, {field}: {answer}");
        }
        let who = ask(&app, role, ME, json!({})).await;
        assert_eq!(who["data"]["me"]["role"], role.name(), "{who}");
    }
    let roots = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
    let answer = ask(&app, Role::Admin, roots, json!({})).await;
    let fields = ["queryType", "mutationType"]
        .into_iter()
        .flat_map(|root| answer["data"]["__schema"][root]["fields"].as_array().unwrap())
        .map(|field| field["name"].as_str().unwrap().to_owned());
    let tried = ROOT_FIELDS.iter().map(|(field, ..)| (*field).to_owned());
    let tried = tried.chain(["me".to_owned()]);
    assert_eq!(
        fields.collect::<BTreeSet<_>>(),
        tried.collect(),
        "every field must be tried here"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_shows_itself_to_readers_only() {
    let app = TestApp::start().await;
    // As deep as the query with which GraphiQL begins.
    let of_type = "ofType { ".repeat(9) + "name" + &" }".repeat(9);
    let query = format!("{{ __schema {{ types {{ fields {{ args {{ type {{ {of_type} }} }} }} }} }} }}");
    let answer = ask(&app, Role::Viewer, &query, json!({})).await;
    assert_eq!(answer["errors"], Value::Null);
    assert!(answer["data"]["__schema"]["types"].as_array().unwrap().len() > 10);
    let answer = ask(&app, Role::Ingest, "{ __schema { types { name } } }", json!({})).await;
    assert_eq!(answer["data"]["__schema"], Value::Null, "{answer}");
    let answer = ask(&app, Role::Ingest, "{ profil }", json!({})).await;
    assert!(!answer.to_string().contains("Did you mean"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_is_refused_before_the_body_is_read() {
    let app = TestApp::start().await;
    for authorization in [None, Some("Bearer nonsense"), Some("Basic YTpi"), Some("Bearer")] {
        let mut request = app
            .client()
            .post("/graphql")
            .content_type("application/json")
            .body("no JSON");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let response = request.send().await;
        response.assert_status(StatusCode::UNAUTHORIZED);
        response.assert_header_exist("www-authenticate");
        let body: Value = response.0.into_body().into_json().await.unwrap();
        assert_eq!(body["error"]["code"], "unauthorized", "{authorization:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_request_by_post_as_json_is_taken() {
    let app = TestApp::start().await;
    let token = format!("Bearer {}", app.token(Role::Admin));
    let query = json!({"query": "{ cohorts { slug } }"});
    let client = app.client();
    let post = || client.post("/graphql").header("authorization", &token);

    post().body_json(&query).send().await.assert_status_is_ok();
    post()
        .body_json(&json!([query, query]))
        .send()
        .await
        .assert_status(StatusCode::BAD_REQUEST);
    post()
        .content_type("application/json")
        .body("{")
        .send()
        .await
        .assert_status(StatusCode::BAD_REQUEST);
    let multipart = "multipart/form-data; boundary=x";
    let response = post().content_type(multipart).body("--x--").send().await;
    response.assert_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let get = client.get("/graphql").query("query", &"{ cohorts { slug } }");
    let response = get.header("authorization", &token).send().await;
    response.assert_status(StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_costs_too_much_is_refused() {
    let app = TestApp::start().await;
    let too_deep = format!(
        "{{ __schema {{ types {}name{} }} }}",
        "{ ofType ".repeat(20) + "{ ",
        " }".repeat(21)
    );
    let too_deep = ask(&app, Role::Admin, &too_deep, json!({})).await;
    assert_eq!(message(&too_deep), "Query is nested too deep.");
    assert_eq!(code(&too_deep), Some("bad_request"));

    let page =
        |first: &str| format!("{{ profiles(first: {first}) {{ edges {{ node {{ id email cookie }} }} }} }}");
    for first in ["1000", "100000", "-1"] {
        let answer = ask(&app, Role::Admin, &page(first), json!({})).await;
        assert_eq!(message(&answer), "Query is too complex.", "{first}");
        assert_eq!(answer["data"], Value::Null);
    }
    let by_variable = "query($first: Int) { profiles(first: $first) { edges { node { id email cookie } } } }";
    let answer = ask(&app, Role::Admin, by_variable, json!({"first": 1000})).await;
    assert_eq!(message(&answer), "Query is too complex.");
    let nested = "{ cohorts { users(first: 1000) { totalCount } } }";
    let answer = ask(&app, Role::Admin, nested, json!({})).await;
    assert_eq!(message(&answer), "Query is too complex.");

    let answer = ask(&app, Role::Admin, &page("500"), json!({})).await;
    assert_eq!(answer["errors"], Value::Null);
    let thousand = "{ profiles(first: 1000) { edges { cursor node { id } } } }";
    let answer = ask(&app, Role::Admin, thousand, json!({})).await;
    assert_eq!(answer["errors"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ingested_is_read_back_with_its_cohort_and_its_reason() {
    let app = TestApp::start().await;
    ingest_example(&app).await;
    let query = r#"{ profile(email: "JOHN.SMITH@example.com") {
        cookie phoneNumber location { text city state country } demographics { age gender education income }
        interests cohorts { cohort slug score reason } identities { primaryKey cookies { value } emails { value } }
        provenance { field value raw }
    } }"#;
    let answer = ask(&app, Role::Analyst, query, json!({})).await;
    let john = &answer["data"]["profile"];
    assert_eq!(john["cookie"], "dk5h2p9s7f3j8m1n4v0x", "{answer}");
    assert_eq!(john["location"]["text"], "Brooklyn, New York, USA");
    assert_eq!(john["demographics"]["age"], 42);
    assert_eq!(john["identities"]["primaryKey"], "john.smith@example.com");
    assert_eq!(
        john["identities"]["cookies"],
        json!([{"value": "dk5h2p9s7f3j8m1n4v0x"}])
    );
    let cohorts = john["cohorts"].as_array().unwrap();
    let sports = cohorts
        .iter()
        .find(|cohort| cohort["cohort"] == "Sports")
        .unwrap();
    assert!(sports["score"].as_f64().unwrap() > 0.5);
    assert!(!sports["reason"].as_array().unwrap().is_empty());

    let age = john["provenance"]
        .as_array()
        .unwrap()
        .iter()
        .find(|value| value["field"] == "demographics.age");
    let query = "query($id: String!) { rawRow(id: $id) { id source batch receivedAt number line verbatim } }";
    let answer = ask(&app, Role::Analyst, query, json!({"id": age.unwrap()["raw"]})).await;
    let row = &answer["data"]["rawRow"];
    assert_eq!(
        (&row["source"], &row["number"], &row["line"]),
        (&json!("graphql"), &json!(1), &json!(1))
    );
    let verbatim: Value = serde_json::from_str(row["verbatim"].as_str().unwrap()).unwrap();
    assert_eq!(verbatim, example());
    let batch = "query($id: ID!) { batch(id: $id) { source contentType recordsProcessed finished failure } }";
    let answer = ask(&app, Role::Ingest, batch, json!({"id": row["batch"]})).await;
    let expected = json!({"source": "graphql", "contentType": "application/json", "recordsProcessed": 1,
        "finished": true, "failure": null});
    assert_eq!(answer["data"]["batch"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_are_reported_and_good_ones_stored() {
    let app = TestApp::start().await;
    let bad = json!({"cookie": "c-bad", "demographics": {"age": 4200}});
    for (records, status, stored, rejected) in [
        (json!([{"cookie": "c-good"}]), "success", 1, 0),
        (json!([{"cookie": "c-good"}, bad]), "partial", 1, 1),
        (json!([bad]), "error", 0, 1),
    ] {
        let report = &ingest(&app, records).await["data"]["ingest"];
        assert_eq!(
            (
                &report["status"],
                &report["recordsProcessed"],
                &report["recordsRejected"]
            ),
            (&json!(status), &json!(stored), &json!(rejected))
        );
        if rejected == 1 {
            let error = &report["errors"][0];
            assert_eq!(
                (&error["row"], &error["line"]),
                (&json!(stored + 1), &json!(stored + 1))
            );
            assert_eq!(error["field"], "demographics.age");
        }
    }
    let known = r#"{ good: profile(cookie: "c-good") { id } bad: profile(cookie: "c-bad") { id } }"#;
    let answer = ask(&app, Role::Viewer, known, json!({})).await;
    assert!(!answer["data"]["good"].is_null());
    assert!(answer["data"]["bad"].is_null());
    assert_eq!(answer["errors"], Value::Null);
    let answer = ingest(&app, json!([])).await;
    assert_eq!(
        (code(&answer), &answer["errors"][0]["extensions"]["field"]),
        (Some("bad_request"), &json!("records"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_everybody_once() {
    let app = TestApp::start().await;
    let people: Vec<Value> = (0..5)
        .map(|n| json!({"cookie": format!("c-page-{n}"), "interests": ["cricket"]}))
        .collect();
    ingest(&app, json!(people)).await;
    let members = "query($after: String) { cohort(name: \"sports\") { users(first: 2, after: $after) {
        totalCount edges { cursor node { id cookie } } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";
    let everybody = "query($after: String) { profiles(first: 2, after: $after) {
        edges { cursor node { id cookie } } pageInfo { hasNextPage hasPreviousPage endCursor } } }";
    for (query, pointer) in [(members, "/data/cohort/users"), (everybody, "/data/profiles")] {
        let mut cookies = Vec::new();
        let mut after = Value::Null;
        loop {
            let answer = ask(&app, Role::Analyst, query, json!({"after": after})).await;
            let page = answer.pointer(pointer).unwrap_or_else(|| panic!("{answer}"));
            assert_eq!(page["pageInfo"]["hasPreviousPage"], !cookies.is_empty());
            for edge in page["edges"].as_array().unwrap() {
                assert_eq!(edge["cursor"], edge["node"]["id"]);
                cookies.push(edge["node"]["cookie"].as_str().unwrap().to_owned());
            }
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        let expected: Vec<String> = (0..5).map(|n| format!("c-page-{n}")).collect();
        assert_eq!(cookies, expected, "{pointer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_argument_is_told_and_an_unknown_person_is_null() {
    let app = TestApp::start().await;
    for (query, expected, field) in [
        ("{ profile { id } }", "bad_request", Some("cookie")),
        (
            r#"{ profile(email: "no address") { id } }"#,
            "bad_request",
            Some("email"),
        ),
        (
            r#"{ profile(id: "p1", cookie: "c") { id } }"#,
            "bad_request",
            Some("id"),
        ),
        (r#"{ profile(id: "no id") { id } }"#, "bad_request", Some("id")),
        (
            "{ profiles(first: 0) { edges { cursor } } }",
            "bad_request",
            Some("first"),
        ),
        (
            r#"{ profiles(after: "no cursor") { edges { cursor } } }"#,
            "bad_request",
            Some("after"),
        ),
        (
            r#"{ cohort(name: "Sports") { users(after: "x") { totalCount } } }"#,
            "bad_request",
            Some("after"),
        ),
        (
            r#"{ cohort(name: "Knitting") { slug } }"#,
            "not_found",
            Some("cohort"),
        ),
        ("{ classify(texts: []) { text } }", "bad_request", Some("texts")),
        ("{ nonsense }", "bad_request", None),
        ("{", "bad_request", None),
    ] {
        let answer = ask(&app, Role::Admin, query, json!({})).await;
        assert_eq!(code(&answer), Some(expected), "{query}: {answer}");
        assert_eq!(
            answer["errors"][0]["extensions"]["field"].as_str(),
            field,
            "{query}: {answer}"
        );
    }
    let nobody =
        r#"{ profile(email: "nobody@example.com") { id } batch(id: "01ARZ3NDEKTSV4RRFFQ69G5FAV") { id } }"#;
    let answer = ask(&app, Role::Admin, nobody, json!({})).await;
    assert_eq!(answer, json!({"data": {"profile": null, "batch": null}}));
}

/// Sends one request as a user of a role; GraphQL answers 200 whatever became of it.
async fn ask(app: &TestApp, role: Role, query: &str, variables: Value) -> Value {
    let token = app.token(role);
    let request = app
        .client()
        .post("/graphql")
        .header("authorization", format!("Bearer {token}"));
    let response = request
        .body_json(&json!({"query": query, "variables": variables}))
        .send()
        .await;
    response.assert_status_is_ok();
    response.0.into_body().into_json().await.unwrap()
}

async fn ingest(app: &TestApp, records: Value) -> Value {
    let query = "mutation($records: [JSON!]!) { ingest(records: $records) {
        status recordsProcessed recordsRejected errors { row line field code message } } }";
    ask(app, Role::Ingest, query, json!({"records": records})).await
}

/// Stores a file of one part, as the admin who asks for it.
async fn send_file(app: &TestApp) {
    let key = format!("file:{}:000000000001", "0123456789abcdef".repeat(4));
    let request = app
        .client()
        .post("/api/ingest")
        .header("authorization", format!("Bearer {}", app.token(Role::Admin)))
        .header("idempotency-key", key)
        .body_json(&json!([{"cookie": "of-a-file"}]));
    request.send().await.assert_status_is_ok();
}

/// Stores the example's person, and gives their id.
async fn ingest_example(app: &TestApp) -> Value {
    let answer = ingest(app, json!([example()])).await;
    assert_eq!(answer["data"]["ingest"]["status"], "success", "{answer}");
    let query = r#"{ profile(cookie: "dk5h2p9s7f3j8m1n4v0x") { id } }"#;
    ask(app, Role::Viewer, query, json!({})).await["data"]["profile"]["id"].clone()
}

/// Stores two people who merge, a cookie with more addresses than one person has, and the people
/// of the committed `cut`; gives the merge, the conflict, and the last one's id.
async fn ingest_what_is_to_be_judged(app: &TestApp) -> (Value, Value, Value) {
    let record = |cookie: &str, email: &str| json!({"cookie": cookie, "email": email});
    for (cookie, email) in [
        ("judged-1", "one@example.com"),
        ("judged-2", "two@example.com"),
        ("judged-1", "two@example.com"),
    ] {
        ingest(app, json!([record(cookie, email)])).await;
    }
    let many = (0..11).map(|n| record("judged-3", &format!("many-{n}@example.com")));
    ingest(app, many.collect()).await;
    ingest(app, json!([record("shared-tablet", "mary.jones@example.com")])).await;
    let query = r#"{ merges(first: 1) { merges { id } } conflicts { conflicts { id } }
        profile(cookie: "shared-tablet") { id } }"#;
    let data = ask(app, Role::Viewer, query, json!({})).await["data"].clone();
    let found = |pointer: &str| data.pointer(pointer).unwrap_or_else(|| panic!("{data}")).clone();
    (
        found("/merges/merges/0/id"),
        found("/conflicts/conflicts/0/id"),
        found("/profile/id"),
    )
}

fn example() -> Value {
    serde_json::from_str(include_str!("../../seeds/demo/example.json")).unwrap()
}

fn committed_queries() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("queries"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|ending| ending == "graphql"))
        .collect();
    // Some change what others ask for.
    files.sort();
    files
}

fn code(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}

fn message(answer: &Value) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_default()
}
