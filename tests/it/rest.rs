//! REST as the documents promise it: the seed's three endpoints, how people are found, how
//! cohorts are paged, what the classifier answers, who gets a token, and the description.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use cdp::app::App;
use cdp::config::Mode;
use cdp::domain::role::{Role, Scopes};
use futures_util::stream;
use poem::http::Method;
use poem::test::TestClient;
use poem::{Body, Endpoint};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::answer::Answer;
use crate::support::app::{TestApp, build, config};

/// The record of the seed.
const EXAMPLE: &str = include_str!("../../seeds/demo/example.json");

const COOKIE: &str = "dk5h2p9s7f3j8m1n4v0x";
const EMAIL: &str = "john.smith@example.com";

async fn app_with_example() -> TestApp {
    let app = TestApp::start().await;
    app.ingest(serde_json::from_str(EXAMPLE).unwrap()).await;
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_sent_is_acknowledged() {
    let app = TestApp::start().await;
    let (status, report) = app.send("application/json", EXAMPLE).await;
    assert_eq!(status, 200);
    insta::assert_json_snapshot!(report, { ".batch_id" => insta::dynamic_redaction(|value, _path| ulid(&value)) }, @r#"
    {
      "batch_id": "[batch]",
      "duplicates": 0,
      "errors": [],
      "records_processed": 1,
      "records_rejected": 0,
      "status": "success",
      "warnings": 0
    }
    "#);
}

fn ulid(value: &insta::internals::Content) -> &'static str {
    ulid::Ulid::from_string(value.as_str().unwrap()).unwrap();
    "[batch]"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_read_back_by_cookie_and_by_email() {
    let app = app_with_example().await;
    let by_cookie = app.ask("/api/user", &[("cookie", COOKIE)]).await.ok();
    insta::assert_json_snapshot!(by_cookie, @r#"
    {
      "user_profile": {
        "cohorts": [
          "Sports"
        ],
        "cookie": "dk5h2p9s7f3j8m1n4v0x",
        "demographics": {
          "age": 42,
          "education": "Bachelor's Degree",
          "gender": "Male",
          "income": "$75,000 - $100,000"
        },
        "email": "john.smith@example.com",
        "interests": [
          "cricket",
          "football",
          "tom brady"
        ],
        "location": "Brooklyn, New York, USA",
        "phone_number": "+15551234567"
      }
    }
    "#);
    for email in [EMAIL, "John.Smith@Example.COM", " john.smith@example.com "] {
        assert_eq!(
            app.ask("/api/user", &[("email", email)]).await.ok(),
            by_cookie,
            "{email}"
        );
    }
    let both = app
        .ask("/api/user", &[("cookie", COOKIE), ("email", EMAIL)])
        .await
        .ok();
    assert_eq!(both, by_cookie);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_cohort_are_listed_by_its_name_or_slug_in_any_case() {
    let app = app_with_example().await;
    let page = app.ask("/api/cohort/users", &[("cohort", "Sports")]).await.ok();
    insta::assert_json_snapshot!(page, @r#"
    {
      "cohort": "Sports",
      "limit": 50,
      "next_cursor": null,
      "offset": 0,
      "total": 1,
      "users": [
        {
          "cohorts": [
            "Sports"
          ],
          "cookie": "dk5h2p9s7f3j8m1n4v0x",
          "demographics": {
            "age": 42,
            "education": "Bachelor's Degree",
            "gender": "Male",
            "income": "$75,000 - $100,000"
          },
          "email": "john.smith@example.com",
          "interests": [
            "cricket",
            "football",
            "tom brady"
          ],
          "location": "Brooklyn, New York, USA",
          "phone_number": "+15551234567"
        }
      ]
    }
    "#);
    for name in ["sports", "SPORTS", "sPoRtS"] {
        assert_eq!(
            app.ask("/api/cohort/users", &[("cohort", name)]).await.ok(),
            page,
            "{name}"
        );
    }
    for name in ["Food & Drink", "food & drink", "food-drink", "FOOD-DRINK"] {
        let found = app.ask("/api/cohort/users", &[("cohort", name)]).await.ok();
        assert_eq!(
            (&found["cohort"], &found["total"]),
            (&json!("Food & Drink"), &json!(0)),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_cohort_is_refused_and_the_known_ones_named() {
    let app = TestApp::start().await;
    let error = app
        .ask("/api/cohort/users", &[("cohort", "Sport")])
        .await
        .error(404, "not_found");
    assert_eq!(error["field"], "cohort");
    let listed = app.ask("/api/cohorts", &[]).await.ok();
    let names: Vec<&str> = listed["cohorts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert!(names.len() >= 12, "{names:?}");
    assert!(names.is_sorted(), "{names:?}");
    for name in names {
        assert!(
            error["message"].as_str().unwrap().contains(name),
            "{name}: {error}"
        );
    }
    app.ask("/api/cohort/users", &[]).await.error(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_cookie_with_the_same_email_is_the_same_person() {
    let app = app_with_example().await;
    let second = json!({ "cookie": "second-device-7f3j", "email": "JOHN.SMITH@example.com",
        "first_name": "John", "interests": ["bitcoin"] });
    app.ingest(second).await;
    let by_first = app.user_by_cookie(COOKIE).await;
    assert_eq!(app.user_by_cookie("second-device-7f3j").await, by_first);
    assert_eq!(app.user_by_email(EMAIL).await, by_first);
    // The merge keeps what each of the two knew.
    assert_eq!(by_first["first_name"], "John");
    assert_eq!(by_first["location"], "Brooklyn, New York, USA");
    assert_eq!(by_first["demographics"]["age"], 42);
    assert_eq!(
        by_first["interests"],
        json!(["bitcoin", "cricket", "football", "tom brady"])
    );
    assert_eq!(sorted(&by_first["cohorts"]), ["Finance", "Sports"]);
    assert_eq!(by_first["identities"]["cookies"].as_array().unwrap().len(), 2);
    assert_eq!(by_first["identities"]["emails"].as_array().unwrap().len(), 1);
    let page = app.get("/api/cohort/users?cohort=sports").await;
    assert_eq!(page["total"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_strangers_become_one_when_a_record_ties_them_and_both_ids_lead_there() {
    let app = app_with_example().await;
    app.ingest(
        json!({ "cookie": "stranger-1", "interests": ["nike shoes"], "demographics": { "gender": "Male" } }),
    )
    .await;
    let before = app.user_by_cookie("stranger-1").await;
    assert_eq!(before["identities"]["primary_key"], "stranger-1");
    app.ingest(json!({ "cookie": "stranger-1", "email": EMAIL }))
        .await;
    let after = app.user_by_cookie("stranger-1").await;
    assert_eq!(after, app.user_by_cookie(COOKIE).await);
    assert_eq!(after["identities"]["primary_key"], EMAIL);
    assert_eq!(sorted(&after["cohorts"]), ["Fashion", "Sports"]);
    let by_id = "query($id: ID!) { profile(id: $id) { id } }";
    for profile in [&before, &after] {
        let found = app
            .graphql(by_id, json!({ "id": profile["identities"]["id"] }))
            .await;
        assert_eq!(found["profile"]["id"], after["identities"]["id"]);
    }
    assert_eq!(app.get("/api/cohort/users?cohort=fashion").await["total"], 1);
}

fn sorted(names: &Value) -> Vec<String> {
    let mut names: Vec<String> = serde_json::from_value(names.clone()).unwrap();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_nobody_or_two_people_is_refused() {
    let app = app_with_example().await;
    app.ingest(json!({ "cookie": "another-1", "email": "another@example.com" }))
        .await;
    for (arguments, status, code, field) in [
        (
            &[("cookie", COOKIE), ("email", "another@example.com")][..],
            409,
            "conflict",
            None,
        ),
        (
            &[("cookie", "another-1"), ("email", EMAIL)],
            409,
            "conflict",
            None,
        ),
        (&[], 400, "bad_request", Some("cookie")),
        (&[("cookie", "nobody-1")], 404, "not_found", None),
        (&[("email", "nobody@example.com")], 404, "not_found", None),
        (
            &[("cookie", "nobody-1"), ("email", "nobody@example.com")],
            404,
            "not_found",
            None,
        ),
        (&[("cookie", "")], 400, "bad_request", Some("cookie")),
        (&[("cookie", "undefined")], 404, "not_found", None),
        (&[("email", "foo@")], 400, "bad_request", Some("email")),
        (
            &[("cookie", COOKIE), ("include", "everything")],
            400,
            "bad_request",
            Some("include"),
        ),
    ] {
        let error = app.ask("/api/user", arguments).await.error(status, code);
        assert_eq!(error["field"].as_str(), field, "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn detail_is_shown_when_it_is_asked_for() {
    let app = app_with_example().await;
    let asked = async |include: &str| {
        let answer = app
            .ask("/api/user", &[("cookie", COOKIE), ("include", include)])
            .await;
        answer.ok()["user_profile"].clone()
    };
    let plain = app.ask("/api/user", &[("cookie", COOKIE)]).await.ok()["user_profile"].clone();
    assert_eq!(asked("").await, plain);
    for detail in ["identities", "scores", "provenance"] {
        let mut shown = asked(detail).await;
        let taken = shown.as_object_mut().unwrap().remove(detail);
        assert!(taken.is_some_and(|taken| !taken.is_null()), "{detail}");
        assert_eq!(shown, plain, "{detail}");
    }
    let all = asked("identities, scores,provenance").await;
    let (identities, score) = (&all["identities"], &all["scores"][0]);
    assert_eq!(identities["primary_key"], EMAIL);
    assert_eq!(identities["cookies"][0]["cookie"], COOKIE);
    assert_eq!(identities["emails"][0]["email"], EMAIL);
    assert_eq!(
        (&score["cohort"], &score["slug"]),
        (&json!("Sports"), &json!("sports"))
    );
    assert!(
        score["score"]
            .as_f64()
            .is_some_and(|score| (0.5..=1.0).contains(&score)),
        "{score}"
    );
    assert_eq!(sorted(&score["reason"]), ["cricket", "football", "tom brady"]);
    let fields: Vec<_> = all["provenance"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value["field"].clone())
        .collect();
    assert_eq!(
        fields,
        [
            "phone_number",
            "location.city",
            "location.state",
            "location.country",
            "demographics.age",
            "demographics.gender",
            "demographics.education",
            "demographics.income"
        ]
    );
}

/// How many people the paging tests page through.
const PEOPLE: usize = 120;

async fn app_with_fans() -> TestApp {
    let app = TestApp::start().await;
    let fan = |number| json!({ "cookie": format!("fan-{number:03}"), "interests": ["cricket"] });
    // In three requests, so that not everybody came in one commit.
    for first in (0..PEOPLE).step_by(40) {
        app.ingest((first..first + 40).map(fan).collect()).await;
    }
    app
}

async fn page(app: &TestApp, arguments: &[(&str, &str)]) -> Answer {
    let arguments: Vec<_> = [("cohort", "sports")].iter().chain(arguments).copied().collect();
    app.ask("/api/cohort/users", &arguments).await
}

fn cookies(page: &Value) -> Vec<String> {
    let users = page["users"].as_array().unwrap().iter();
    users
        .map(|user| user["cookie"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn paging_by_offset_and_by_cursor_meets_everyone_once() {
    let app = app_with_fans().await;
    let everyone = cookies(&page(&app, &[("limit", "1000")]).await.ok());
    assert_eq!(everyone.iter().collect::<BTreeSet<_>>().len(), PEOPLE);
    for limit in [7, 50, PEOPLE / 2, PEOPLE - 1, PEOPLE] {
        let (mut by_offset, mut by_cursor) = (Vec::new(), Vec::new());
        let mut cursor: Option<String> = None;
        loop {
            let (limit, offset) = (limit.to_string(), by_cursor.len().to_string());
            let from = cursor
                .as_deref()
                .map_or(("offset", "0"), |cursor| ("cursor", cursor));
            let found = page(&app, &[("limit", &limit), from]).await.ok();
            assert_eq!(found["offset"].to_string(), offset);
            assert_eq!(
                (&found["total"], found["limit"].to_string()),
                (&json!(PEOPLE), limit.clone())
            );
            by_cursor.extend(cookies(&found));
            let same = page(&app, &[("limit", &limit), ("offset", &offset)]).await.ok();
            assert_eq!(same, found);
            by_offset.extend(cookies(&same));
            match &found["next_cursor"] {
                Value::Null => break,
                next => cursor = Some(next.as_str().unwrap().to_owned()),
            }
        }
        assert_eq!(by_cursor, everyone, "limit {limit}");
        assert_eq!(by_offset, everyone, "limit {limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_behind_the_end_is_empty_and_a_page_that_cannot_be_is_refused() {
    let app = app_with_fans().await;
    for offset in ["120", "100000", "18446744073709551615"] {
        let found = page(&app, &[("offset", offset)]).await.ok();
        assert_eq!(
            (&found["total"], &found["next_cursor"]),
            (&json!(PEOPLE), &Value::Null)
        );
        assert_eq!(cookies(&found), Vec::<String>::new());
    }
    for (arguments, field) in [
        (&[("limit", "0")][..], "limit"),
        (&[("limit", "1001")], "limit"),
        (&[("limit", "abc")], "limit"),
        (&[("limit", "-1")], "limit"),
        (&[("offset", "-1")], "offset"),
        (&[("offset", "abc")], "offset"),
        (&[("cursor", "nonsense")], "cursor"),
        (&[("cursor", "p1"), ("offset", "1")], "cursor"),
    ] {
        let error = page(&app, arguments).await.error(400, "bad_request");
        assert_eq!(error["field"], field, "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_goes_on_where_it_was_when_people_come_meanwhile() {
    let app = app_with_fans().await;
    let first = page(&app, &[("limit", "100")]).await.ok();
    app.ingest(json!({ "cookie": "late-fan", "interests": ["cricket"] }))
        .await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = page(&app, &[("limit", "100"), ("cursor", cursor)]).await.ok();
    let met: Vec<_> = cookies(&first).into_iter().chain(cookies(&second)).collect();
    assert_eq!(met.len(), PEOPLE + 1);
    assert_eq!(met.last().unwrap(), "late-fan");
}

async fn classify(app: &TestApp, texts: &[&str]) -> Answer {
    let request = app
        .client()
        .post("/api/classify")
        .body_json(&json!({ "texts": texts }));
    app.answer_to(Role::Analyst, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_classified_in_the_order_asked() {
    let app = TestApp::alone().await;
    let texts = [
        "tom brady",
        "nike shoes",
        "bitcoin",
        "crcket",
        "asdf",
        "?!",
        "Tom  Brady",
        "my cat",
    ];
    let answered = classify(&app, &texts).await.ok();
    let results = answered["results"].as_array().unwrap();
    let asked: Vec<_> = results
        .iter()
        .map(|result| result["text"].as_str().unwrap())
        .collect();
    assert_eq!(asked, texts);
    let cohorts: Vec<_> = results.iter().map(|result| result["cohorts"].clone()).collect();
    let (sports, none) = (json!(["Sports"]), json!([]));
    let expected = [
        &sports,
        &json!(["Fashion"]),
        &json!(["Finance"]),
        &sports,
        &none,
        &none,
        &sports,
        &none,
    ];
    assert_eq!(cohorts.iter().collect::<Vec<_>>(), expected);
    assert_eq!(
        (&results[3]["repaired"], &results[3]["normalised"]),
        (&json!("cricket"), &json!("crcket"))
    );
    assert_eq!(
        (&results[0]["repaired"], &results[6]["normalised"]),
        (&Value::Null, &json!("tom brady"))
    );
    let known = app.ask("/api/cohorts", &[]).await.ok()["cohorts"]
        .as_array()
        .unwrap()
        .len();
    for result in results {
        let scores: Vec<f64> = result["scores"]
            .as_array()
            .unwrap()
            .iter()
            .map(|score| score["score"].as_f64().unwrap())
            .collect();
        assert_eq!(scores.len(), known, "{result}");
        assert!(scores.is_sorted_by(|a, b| a >= b) && scores.iter().all(|score| (0.0..=1.0).contains(score)));
    }
    assert_eq!(results[0]["nearest"][0]["cohort"], "Sports");
    let without_letters = results[5]["scores"].as_array().unwrap();
    assert!(without_letters.iter().all(|score| score["score"] == 0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_few_and_too_many_texts_are_refused() {
    let app = TestApp::alone().await;
    for texts in [&[][..], &["cricket"; 1_001]] {
        let error = classify(&app, texts).await.error(400, "unparseable");
        assert_eq!(error["field"], "texts");
    }
    classify(&app, &["cricket"; 1_000]).await.ok();
    let error = classify(&app, &[&"a".repeat(1_001)])
        .await
        .error(400, "bad_request");
    assert_eq!(
        (&error["field"], &error["message"]),
        (&json!("texts"), &json!("a text is longer than 1000 characters"))
    );
}

async fn log_in(client: &TestClient<impl Endpoint>, username: &str, password: &str) -> Answer {
    let credentials = json!({ "username": username, "password": password });
    let request = client.post("/api/auth/token").body_json(&credentials);
    Answer::of(request.send().await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_exchanged_for_a_token_of_its_users_role() {
    let app = TestApp::start().await;
    for role in Role::ALL {
        let mut token = log_in(app.client(), role.name(), &format!("demo-{role}"))
            .await
            .ok();
        let secret = token["access_token"].take();
        assert_eq!(secret.as_str().unwrap().split('.').count(), 3);
        let refresh = token["refresh_token"].take();
        assert!(refresh.as_str().unwrap().starts_with("cdpr_"));
        let expected = json!({
            "access_token": null, "token_type": "Bearer", "expires_in": 900, "role": role.name(),
            "scope": Scopes::of(role).to_string(), "refresh_token": null, "refresh_expires_in": 604_800,
        });
        assert_eq!(token, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_user_and_a_wrong_password_are_refused_alike() {
    let app = TestApp::start().await;
    let wrong_password = log_in(app.client(), "admin", "demo-viewer").await;
    let wrong_user = log_in(app.client(), "nobody", "demo-admin").await;
    let error = wrong_password.error(401, "unauthorized");
    assert_eq!(error, wrong_user.error(401, "unauthorized"));
    assert_eq!(wrong_password.text, wrong_user.text);
    assert_eq!(error["message"], "the user name or the password is wrong");
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_passwords_ends_soon_for_this_name_and_then_for_this_address() {
    let mut config = config();
    config.login.attempts_per_minute = NonZeroU32::MIN;
    // Of nobody who has logged in: four attempts are this address's.
    let client = TestClient::new(build(&config).await.into_routes());
    log_in(&client, "admin", "wrong").await.error(401, "unauthorized");
    let limited = log_in(&client, "ADMIN", "demo-admin").await;
    let error = limited.error(429, "rate_limited");
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(
        error["message"].as_str().unwrap().contains(&wait.to_string()),
        "{error}"
    );
    log_in(&client, "viewer", "demo-viewer").await.ok();
    log_in(&client, "somebody", "wrong")
        .await
        .error(401, "unauthorized");
    log_in(&client, "somebody else", "wrong")
        .await
        .error(429, "rate_limited");
}

/// How long a stranger may wait for an answer that needs no body.
const UNREAD_MAX: Duration = Duration::from_secs(20);

/// A body of which not a byte ever comes.
fn endless() -> Body {
    Body::from_bytes_stream(stream::pending::<io::Result<Vec<u8>>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_of_a_stranger_is_not_read() {
    let app = TestApp::start().await;
    for path in ["/api/ingest", "/api/classify", "/api/nowhere", "/graphql"] {
        for authorization in [None, Some("Bearer nonsense"), Some("Basic YTpi")] {
            let mut request = app.client().post(path).content_type("application/json");
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let answered = tokio::time::timeout(UNREAD_MAX, request.body(endless()).send()).await;
            let answer = Answer::of(answered.expect("the body is waited for")).await;
            answer.error(401, "unauthorized");
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_may_send_is_small() {
    let app = TestApp::start().await;
    for path in [
        "/api/auth/token",
        "/api/auth/refresh",
        "/api/auth/revoke",
        "/",
        "/healthz",
        "/assets/nowhere.js",
        "/nowhere",
    ] {
        let large = vec![b' '; 16 * 1024 + 1];
        let request = app.client().post(path).content_type("application/json");
        let answer = Answer::of(request.body(large).send().await).await;
        answer.error(413, "payload_too_large");
    }
    // Twelve bytes a character, as some write them: as long as a name and a password may be.
    let escaped = |characters: usize| "\\ud83d\\ude00".repeat(characters);
    let credentials = format!(
        "{{\"username\":\"{}\",\"password\":\"{}\"}}",
        escaped(200),
        escaped(1_000)
    );
    let request = app
        .client()
        .post("/api/auth/token")
        .content_type("application/json");
    let answer = Answer::of(request.body(credentials).send().await).await;
    answer.error(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheme_of_a_token_is_read_in_any_case_everywhere() {
    let app = TestApp::start().await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        for (method, path) in [
            (Method::GET, "/api/cohorts"),
            (Method::GET, "/metrics"),
            (Method::POST, "/graphql"),
        ] {
            let request = app
                .client()
                .request(method, path)
                .header("authorization", format!("{scheme} {}", app.token(Role::Admin)))
                .body_json(&json!({ "query": "{ __typename }" }));
            assert_eq!(request.send().await.0.status(), 200, "{scheme} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_which_are_right() {
    let app = TestApp::start().await;
    let spec = app.get("/openapi.json").await;
    let described = spec["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, operations)| {
            let allow = match sorted_keys(operations).as_slice() {
                ["get"] => "GET, HEAD",
                ["post"] => "POST",
                ["put"] => "PUT",
                ["delete"] => "DELETE",
                ["get", "post"] => "GET, HEAD, POST",
                ["delete", "put"] => "DELETE, PUT",
                ["delete", "get", "post"] => "DELETE, GET, HEAD, POST",
                ["delete", "get"] => "DELETE, GET, HEAD",
                ["delete", "get", "put"] => "DELETE, GET, HEAD, PUT",
                other => panic!("{path} has {other:?}, which is new here"),
            };
            let names = ["{batch}", "{id}", "{cohort}", "{rule}", "{name}"];
            let path = (names.iter()).fold(format!("/api{path}"), |path, name| path.replace(name, "1"));
            (path, allow)
        });
    let beside =
        ["/", "/healthz", "/metrics", "/.well-known/jwks.json"].map(|path| (path.to_owned(), "GET, HEAD"));
    let posted = ["/graphql", "/collect", "/v1/track"].map(|path| (path.to_owned(), "POST"));
    for (path, allow) in described.chain(beside).chain(posted) {
        let answer = Answer::of(app.client().request(Method::PATCH, &path).send().await).await;
        answer.error(405, "method_not_allowed");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

fn sorted_keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn production_in_which_nobody_could_log_in_does_not_start() {
    let classifier = build(&config()).await.classifier;
    let mut config = config();
    config.mode = Mode::Production;
    config.auth.jwt_secret = Some("a secret of at least thirty-two bytes".into());
    let refused = App::build_with(&config, Some(classifier.clone())).await.err();
    let said = refused.unwrap().to_string();
    assert!(said.contains("CDP_LOGIN__ADMIN_PASSWORD"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    config.login.admin_password = Some("twelve or more".into());
    assert!(App::build_with(&config, Some(classifier)).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_and_pages_answer_without_a_token() {
    let app = TestApp::start().await;
    for (path, media_type) in [
        ("/healthz", "application/json"),
        ("/readyz", "application/json"),
        ("/openapi.json", "application/json"),
        ("/.well-known/jwks.json", "application/jwk-set+json"),
        ("/docs", "text/html"),
        ("/", "text/html"),
        ("/graphiql", "text/html"),
    ] {
        let answer = Answer::of(app.client().get(path).send().await).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.header("content-type").starts_with(media_type),
            "{path}: {answer:?}"
        );
        assert!(!answer.header("x-request-id").is_empty(), "{path}");
        for fetched in ["src=\"http", "href=\"http", "src=\"//", "unpkg.com", "jsdelivr"] {
            let is_page = media_type == "text/html";
            assert!(
                !is_page || !answer.text.contains(fetched),
                "{path} loads from elsewhere: {fetched}"
            );
        }
    }
}

#[test]
fn a_platform_whose_writer_has_ended_is_not_ready() {
    let running = Runtime::new().unwrap();
    let app = running.block_on(build(&config()));
    let (services, client) = (app.services.clone(), TestClient::new(app.into_routes()));
    let ready = || async { client.get("/readyz").send().await.0.status() };
    assert_eq!(running.block_on(ready()), 200);
    // The writer is a task of the runtime, and ends with it.
    running.shutdown_timeout(Duration::from_secs(5));
    let other = Runtime::new().unwrap();
    assert_eq!(other.block_on(ready()), 503);
    let error = other.block_on(services.ready()).unwrap_err();
    assert_eq!(error.message, "the writer has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reference_of_the_description_resolves() {
    let app = TestApp::start().await;
    let spec = app.ask("/openapi.json", &[]).await.ok();
    let mut references = Vec::new();
    collect_references(&spec, &mut references);
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(spec.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect_references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                found.push(reference.clone());
            }
            object.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| collect_references(value, found)),
        _ => {}
    }
}

#[test]
fn the_committed_description_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/openapi.json");
    let generated = cdp::api::rest::description::text();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(path, &generated).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "schema/openapi.json is not what the code generates; \
         mend it with: UPDATE_SCHEMA=1 cargo test --release --test it generated"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_served_description_is_the_committed_one() {
    let app = TestApp::start().await;
    let served = app.ask("/openapi.json", &[]).await.ok();
    let committed: Value = serde_json::from_str(include_str!("../../schema/openapi.json")).unwrap();
    assert_eq!(served, committed);
}
