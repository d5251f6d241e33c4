//! Search through the real router and the built program: what is stored shows within a second,
//! typos and half-typed words find it, what is gone is not shown, and a killed process leaves
//! nothing out.

use std::time::{Duration, Instant};

use cdp::domain::role::Role;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::people::{Asked, Record, Walk, to_json};
use crate::support::server::{Client, Server, program, run, store_url};

/// How soon a change shows, with what a busy machine adds.
const SHOWS_WITHIN: Duration = Duration::from_secs(1);
const SHOWS_WITHIN_BUSY: Duration = Duration::from_secs(20);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The people of most tests here.
fn people() -> Value {
    let person =
        |cookie: &str, email: Value, first: &str, last: &str, city: &str, country: &str, likes: &[&str]| {
            json!({
                "cookie": cookie, "email": email, "first_name": first, "last_name": last,
                "location": { "city": city, "country": country }, "interests": likes,
            })
        };
    json!([
        person(
            "c-ann-1",
            json!("ann.smith@example.com"),
            "Ann",
            "Smith",
            "Brooklyn",
            "USA",
            &["cricket", "football"]
        ),
        person(
            "c-bob-1",
            json!("bob@example.org"),
            "Bob",
            "Smithers",
            "Brooklyn",
            "USA",
            &["cricket", "bitcoin"]
        ),
        person(
            "c-eve-1",
            Value::Null,
            "Ève",
            "Núñez",
            "São Paulo",
            "Brazil",
            &["Tom Brady", "cricket", "football"]
        ),
        person(
            "c-joe-1",
            json!("joe@example.net"),
            "Joe",
            "Jones",
            "London",
            "United Kingdom",
            &["nike shoes"]
        ),
    ])
}

async fn app_with_people() -> TestApp {
    let app = TestApp::start().await;
    app.ingest(people()).await;
    shows(&app, "/api/users/search?q=jones", 1).await;
    app
}

/// Looks until so many are found, and says how long that took.
async fn shows(app: &TestApp, path: &str, total: u64) -> Duration {
    let start = Instant::now();
    loop {
        let found = app.get(path).await;
        if found["total"] == total {
            return start.elapsed();
        }
        assert!(start.elapsed() < SHOWS_WITHIN_BUSY, "{path}: {found}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The first names of those found, best first.
async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let found = app.get(&format!("/api/users/search?{query}")).await;
    let users = found["users"].as_array().unwrap();
    users
        .iter()
        .map(|hit| {
            hit["user_profile"]["first_name"]
                .as_str()
                .unwrap_or("?")
                .to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_shows_within_a_second() {
    let app = app_with_people().await;
    // One of some, since the machine may be busy with other tests.
    let mut fastest = Duration::MAX;
    for number in 0..40 {
        let name = format!("Newcomer{number}x");
        app.ingest(json!([{ "cookie": format!("c-new-{number}"), "first_name": name }]))
            .await;
        let took = shows(&app, &format!("/api/users/search?q={name}"), 1).await;
        fastest = fastest.min(took);
        if fastest < SHOWS_WITHIN {
            break;
        }
    }
    assert!(fastest < SHOWS_WITHIN, "{fastest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_found_by_what_is_typed_so_far_and_in_spite_of_typos() {
    let app = app_with_people().await;
    for (query, expect) in [
        // By name: whole words before beginnings.
        ("q=smith", vec!["Ann", "Bob"]),
        ("q=smit", vec!["Ann", "Bob"]),
        ("q=ann+smi", vec!["Ann"]),
        ("q=smith+ann", vec!["Ann"]),
        // Without accents and in any case.
        ("q=eve+NUNEZ", vec!["Ève"]),
        // By typo: a swap, a letter too few, a beginning with a typo.
        ("q=simth", vec!["Ann", "Bob"]),
        ("q=smithrs", vec!["Bob"]),
        ("q=brooklin", vec!["Ann", "Bob"]),
        // By address, whole and begun, and by the words of it.
        ("q=ann.smith@example.com", vec!["Ann"]),
        ("q=ANN.SMITH@EX", vec!["Ann"]),
        ("q=bob@", vec!["Bob"]),
        // By cookie.
        ("q=c-joe-1", vec!["Joe"]),
        ("q=c-jo", vec!["Joe"]),
        // By what they like and where they are.
        ("q=bitc", vec!["Bob"]),
        ("q=tom+brady", vec!["Ève"]),
        ("q=sao+pau", vec!["Ève"]),
        ("q=cricket+brooklyn", vec!["Ann", "Bob"]),
        // Every word must be found.
        ("q=ann+london", vec![]),
        ("q=xyzzyplugh", vec![]),
    ] {
        assert_eq!(names(&app, query).await, expect, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_found_are_counted_by_cohort_city_and_country_and_filtered_by_these() {
    let app = app_with_people().await;
    let all = app.get("/api/users/search").await;
    insta::assert_json_snapshot!(
        json!({ "total": all["total"], "facets": all["facets"], "lenient": all["lenient"], "complete": all["complete"] }),
        @r#"
    {
      "complete": true,
      "facets": {
        "cities": [
          {
            "count": 2,
            "name": "Brooklyn",
            "value": "Brooklyn"
          },
          {
            "count": 1,
            "name": "London",
            "value": "London"
          },
          {
            "count": 1,
            "name": "São Paulo",
            "value": "São Paulo"
          }
        ],
        "cohorts": [
          {
            "count": 3,
            "name": "Sports",
            "value": "sports"
          },
          {
            "count": 1,
            "name": "Fashion",
            "value": "fashion"
          },
          {
            "count": 1,
            "name": "Finance",
            "value": "finance"
          }
        ],
        "countries": [
          {
            "count": 2,
            "name": "USA",
            "value": "USA"
          },
          {
            "count": 1,
            "name": "Brazil",
            "value": "Brazil"
          },
          {
            "count": 1,
            "name": "United Kingdom",
            "value": "United Kingdom"
          }
        ]
      },
      "lenient": false,
      "total": 4
    }
    "#
    );
    for (query, expect) in [
        ("cohort=Sports", vec!["Ann", "Bob", "Ève"]),
        ("cohort=sports&city=brooklyn", vec!["Ann", "Bob"]),
        ("city=SAO%20PAULO", vec!["Ève"]),
        ("country=United%20Kingdom", vec!["Joe"]),
        ("interest=Bitcoin", vec!["Bob"]),
        ("q=smith&cohort=finance", vec!["Bob"]),
        ("city=Nowhere", vec![]),
    ] {
        assert_eq!(names(&app, query).await, expect, "{query}");
    }
    // Each count is what filtering by it finds.
    for (argument, facet) in [
        ("cohort", "cohorts"),
        ("city", "cities"),
        ("country", "countries"),
    ] {
        for value in all["facets"][facet].as_array().unwrap() {
            let path = format!(
                "/api/users/search?{argument}={}",
                value["value"].as_str().unwrap().replace(' ', "%20")
            );
            assert_eq!(app.get(&path).await["total"], value["count"], "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_everybody_once() {
    let app = TestApp::start().await;
    let records: Vec<Value> = (0..25)
        .map(|number| json!({ "cookie": format!("page-{number}"), "first_name": "Pat" }))
        .collect();
    app.ingest(json!(records)).await;
    shows(&app, "/api/users/search?q=pat", 25).await;
    let mut met = Vec::new();
    let mut offset = json!(0);
    while !offset.is_null() {
        let page = app
            .get(&format!("/api/users/search?q=pat&limit=10&offset={offset}"))
            .await;
        let users = page["users"].as_array().unwrap().clone();
        met.extend(users.iter().map(|hit| hit["id"].as_str().unwrap().to_owned()));
        offset = page["next_offset"].clone();
    }
    let mut distinct = met.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!((met.len(), distinct.len()), (25, 25), "{met:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_merged_away_is_found_once_and_who_is_parted_again_twice() {
    let app = app_with_people().await;
    // Joe's device turns out to be Bob's.
    app.ingest(json!([{ "cookie": "c-joe-1", "email": "bob@example.org" }]))
        .await;
    shows(&app, "/api/users/search", 3).await;
    let found = app.get("/api/users/search?q=c-joe-1").await;
    assert_eq!(found["total"], 1, "{found}");
    let merge = app.get("/api/merges").await["merges"][0]["id"].clone();
    let undone = app
        .client()
        .post(format!("/api/merges/{}/undo", merge.as_str().unwrap()))
        .header("authorization", format!("Bearer {}", app.token(Role::Admin)))
        .send()
        .await;
    undone.assert_status_is_ok();
    shows(&app, "/api/users/search", 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interests_are_found_by_what_is_typed_with_who_has_them() {
    let app = app_with_people().await;
    let interests = |found: Value| -> Vec<(String, u64)> {
        let found = found["interests"].as_array().unwrap().clone();
        let of = |hit: &Value| {
            (
                hit["interest"].as_str().unwrap().to_owned(),
                hit["users"].as_u64().unwrap(),
            )
        };
        found.iter().map(of).collect()
    };
    for (text, expect) in [
        ("crick", vec![("cricket", 3)]),
        ("crcket", vec![("cricket", 3)]),
        ("brady", vec![("tom brady", 1)]),
        ("Tom B", vec![("tom brady", 1)]),
        ("zzzzzz", vec![]),
    ] {
        let found = app
            .get(&format!("/api/interests/search?q={}", text.replace(' ', "%20")))
            .await;
        let expect: Vec<_> = expect
            .into_iter()
            .map(|(name, users)| (name.to_owned(), users))
            .collect();
        assert_eq!(interests(found), expect, "{text}");
    }
    let cricket = app.get("/api/interests/search?q=cricket").await;
    assert_eq!(cricket["interests"][0]["cohorts"], json!(["Sports"]));
    let suggested = app.get("/api/search/suggest?q=bo").await;
    assert_eq!(
        suggested["users"][0]["user_profile"]["first_name"], "Bob",
        "{suggested}"
    );
    let nothing = app.get("/api/search/suggest?q=").await;
    assert_eq!(nothing, json!({ "interests": [], "users": [], "complete": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn interests_are_found_by_meaning_also_for_a_text_that_nobody_has() {
    let app = app_with_people().await;
    for text in ["cricket", "world%20cup%20soccer"] {
        let path = format!("/api/interests/similar?interest={text}");
        let start = Instant::now();
        let found = loop {
            let found = app.get(&path).await;
            if found["complete"] == true {
                break found;
            }
            assert!(start.elapsed() < SHOWS_WITHIN_BUSY, "{found}");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let nearest = &found["interests"][0];
        assert_eq!(nearest["interest"], "football", "{text}: {found}");
        assert_eq!(nearest["users"], 2, "{text}: {found}");
        let all = found["interests"].as_array().unwrap();
        let similarities: Vec<f64> = all
            .iter()
            .map(|hit| hit["similarity"].as_f64().unwrap())
            .collect();
        assert!(similarities.is_sorted_by(|a, b| a >= b), "{similarities:?}");
        assert!(
            all.iter()
                .all(|hit| hit["interest"] != "cricket" || text != "cricket")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_like_somebody_share_what_they_like() {
    let app = app_with_people().await;
    let found = app.get("/api/user/similar?email=ann.smith@example.com").await;
    let users = found["users"].as_array().unwrap();
    let shared: Vec<_> = users
        .iter()
        .map(|user| {
            (
                user["user_profile"]["first_name"].as_str().unwrap(),
                &user["shared_interests"],
            )
        })
        .collect();
    // Football is rarer than cricket, and who shares both is more alike.
    assert_eq!(
        shared,
        [
            ("Ève", &json!(["football", "cricket"])),
            ("Bob", &json!(["cricket"]))
        ]
    );
    assert!(users[0]["score"].as_f64().unwrap() > 0.99, "{found}");
    let by_id = app
        .get(&format!(
            "/api/user/similar?id={}",
            users[0]["id"].as_str().unwrap()
        ))
        .await;
    assert_eq!(by_id["users"][0]["user_profile"]["first_name"], "Ann", "{by_id}");
    let nobody = app.get("/api/user/similar?cookie=c-joe-1").await;
    assert_eq!(nobody["users"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_typed_is_answered_or_refused_in_words() {
    let app = app_with_people().await;
    let long = "x".repeat(257);
    for (path, status) in [
        ("/api/users/search?q=%22%5B%28*%3F~AND%20OR%20-%2B%5E:%5C", 200),
        ("/api/users/search?q=%00%ff%fe", 200),
        ("/api/users/search?q=%F0%9F%8F%8F%20%E2%80%8B%20%CC%81", 200),
        ("/api/users/search?q=a", 200),
        ("/api/interests/search?q=%22%2A%22", 200),
        ("/api/interests/search?q=", 200),
        ("/api/users/search?q=a&offset=9990&limit=10", 200),
        ("/api/users/search?q=a&offset=9991&limit=10", 400),
        ("/api/users/search?q=a&offset=18446744073709551615", 400),
        ("/api/users/search?limit=0", 400),
        ("/api/users/search?limit=101", 400),
        ("/api/users/search?cohort=nosuchcohort", 404),
        ("/api/interests/search", 400),
        ("/api/interests/similar?interest=%21%21", 400),
        ("/api/user/similar", 400),
        ("/api/user/similar?id=p1&cookie=x", 400),
        ("/api/user/similar?cookie=nobody-has-this", 404),
        (&format!("/api/users/search?q={long}"), 400),
        (&format!("/api/interests/search?q={long}"), 400),
        (&format!("/api/users/search?q={}", "a%20b%20".repeat(60)), 200),
    ] {
        let answer = app.get_as(Role::Viewer, path).await;
        assert_eq!(answer.0.status().as_u16(), status, "{path}");
    }
}

/// Looks until so many are found, and the index says that it has everybody.
async fn shows_of(client: &Client, arguments: &[(&str, &str)], total: usize) -> Value {
    let start = Instant::now();
    loop {
        let found = client.asked("/api/users/search", arguments).await.unwrap();
        if found["complete"] == true && found["total"] == total {
            return found;
        }
        assert!(
            start.elapsed() < SHOWS_WITHIN_BUSY,
            "{arguments:?}, {total}: {found}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_before_it_indexed_leaves_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0_usize..4 {
        let server = Server::start(folder.path()).await;
        let client = Client::log_in(&server.url).await;
        shows_of(&client, &[("q", "nobody")], round * 50).await;
        let records: Vec<Record> = (0..50)
            .map(|number| Record::of_nobody_else(&format!("killed-{round}-{number}")))
            .collect();
        client.ingest(&to_json(&records)).await.unwrap();
        // Acknowledged, and most likely not indexed.
        server.kill().await;
    }
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    shows_of(&client, &[("q", "nobody")], 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_followed_is_the_same_as_one_that_is_built_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    let mut walk = Walk::new(7, 0);
    for _ in 0..60 {
        client.ingest(&to_json(&walk.request("reindex"))).await.unwrap();
    }
    let questions: [&[(&str, &str)]; 4] = [
        &[("limit", "100")],
        &[("q", "ann"), ("limit", "100")],
        &[("q", "reindex-c1"), ("limit", "100")],
        &[("cohort", "sports"), ("limit", "100")],
    ];
    // Half a cookie, since a whole one is looked up in the store. Once somebody who came last shows, all who came before do.
    client
        .ingest(&to_json(&[Record::of_nobody_else("the-last-one")]))
        .await
        .unwrap();
    shows_of(&client, &[("q", "the-last-on")], 1).await;
    let mut followed = Vec::new();
    for question in questions {
        followed.push(client.asked("/api/users/search", question).await.unwrap());
    }
    server.kill().await;
    let store = store_url(folder.path());
    for _ in 0..2 {
        let output = run(&mut program(&["reindex", "--store", &store])).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with("indexed "), "{said}");
    }
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    shows_of(&client, &[("q", "the-last-on")], 1).await;
    for (question, before) in questions.into_iter().zip(followed) {
        let after = client.asked("/api/users/search", question).await.unwrap();
        assert_eq!(after, before, "{question:?}");
    }
    server.kill().await;
    // A damaged index is no worse than none.
    for file in std::fs::read_dir(folder.path().join("cdp-search/v1")).unwrap() {
        std::fs::write(file.unwrap().path(), b"damaged").unwrap();
    }
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    shows_of(&client, &[("q", "the-last-on")], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reindex_says_why_it_can_not() {
    let folder = tempfile::tempdir().unwrap();
    for (store, said) in [
        ("mem://".to_owned(), "in memory"),
        (store_url(&folder.path().join("nowhere")), "there is no store"),
    ] {
        let output = run(&mut program(&["reindex", "--store", &store])).await;
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && err.contains(said), "{store}: {err}");
    }
}
