//! How often the store is asked for a list does not depend on how long the list is.

use std::time::Duration;

use cdp::domain::role::Role;
use cdp::store::counted;
use serde_json::{Value, json};

use crate::support::app::TestApp;

/// The lengths that are compared.
const LENGTHS: [usize; 3] = [1, 10, 100];

/// People with two identifiers each, half of them merged from two; one with a conflict for each of
/// a hundred addresses; and one each with 1, 10 and 100 records.
async fn app_with_many() -> TestApp {
    let app = TestApp::start().await;
    let mut records = Vec::new();
    for number in 0..120 {
        let (cookie, email) = (format!("c{number}"), format!("p{number}@example.com"));
        records.push(json!({ "cookie": cookie, "email": email, "interests": ["cricket", "sushi"] }));
    }
    app.ingest(json!(records)).await;
    let others = (0..110).map(|number| json!({ "cookie": format!("other-{number}"), "interests": ["jazz"] }));
    app.ingest(others.collect()).await;
    let ties = (0..110).map(
        |number| json!({ "cookie": format!("other-{number}"), "email": format!("p{number}@example.com") }),
    );
    app.ingest(ties.collect()).await;
    let kiosk =
        (0..115).map(|number| json!({ "cookie": "kiosk", "email": format!("k{number}@example.com") }));
    app.ingest(kiosk.collect()).await;
    for length in LENGTHS {
        let visits = (0..length).map(
            |number| json!({ "cookie": format!("reader-{length}"), "message_id": format!("m{number}") }),
        );
        app.ingest(visits.collect()).await;
        let cookies = (0..length).map(|number| {
            json!({ "cookie": format!("device-{length}-{number}"), "email": format!("owner-{length}@example.com") })
        });
        app.ingest(cookies.collect()).await;
    }
    app
}

/// What is answered, and how many queries that took.
async fn asked(app: &TestApp, path: &str) -> (Value, u64) {
    let (response, queries) = counted(app.get_as(Role::Admin, path)).await;
    assert_eq!(response.0.status(), 200, "{path}");
    let body = response.0.into_body().into_string().await.unwrap();
    (serde_json::from_str(&body).unwrap(), queries)
}

async fn asked_in_graphql(app: &TestApp, query: &str, length: usize) -> (Value, u64) {
    counted(app.graphql(query, json!({ "n": length }))).await
}

fn rows(answer: &Value, pointer: &str) -> usize {
    let list = answer.pointer(pointer).and_then(Value::as_array);
    list.unwrap_or_else(|| panic!("no {pointer} in {answer}")).len()
}

/// Waits until the index shows those who were stored.
async fn await_index(app: &TestApp) {
    for _ in 0..1_200 {
        let found = app.get("/api/users/search?cohort=Sports&limit=1").await;
        if found["total"].as_u64().unwrap() >= 120 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the index does not follow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_costs_as_many_queries_however_long_it_is() {
    let app = app_with_many().await;
    await_index(&app).await;
    for (path, pointer) in [
        ("/api/cohort/users?cohort=Sports&limit={n}", "/users"),
        ("/api/users/search?cohort=Sports&limit={n}", "/users"),
        ("/api/conflicts?limit={n}", "/conflicts"),
        ("/api/changes?cursor=0&limit={n}", "/changes"),
    ] {
        let mut taken = Vec::new();
        // What is read once for all, such as where the feed ends, is not a list's cost.
        asked(&app, &path.replace("{n}", "1")).await;
        for length in LENGTHS {
            let (answer, queries) = asked(&app, &path.replace("{n}", &length.to_string())).await;
            assert_eq!(rows(&answer, pointer), length, "{path}");
            taken.push(queries);
        }
        assert!(
            taken.iter().all(|queries| *queries == taken[0]),
            "{path}: {taken:?}"
        );
        assert!(taken[0] <= 4, "{path}: {taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_the_platform_fares_costs_as_many_queries_however_many_cohorts_there_are() {
    let app = TestApp::start().await;
    app.ingest(json!([{ "cookie": "ann", "interests": ["cricket", "sushi"] }]))
        .await;
    let (summary, queries) = asked(&app, "/api/analytics/summary").await;
    assert!(rows(&summary, "/cohorts") > 5, "{summary}");
    let entered = |summary: &Value| {
        let cohorts = summary["cohorts"].as_array().unwrap();
        let of = |cohort: &Value| cohort["entered_day"].as_i64().unwrap();
        cohorts.iter().map(of).sum::<i64>()
    };
    assert!(entered(&summary) >= 2, "{summary}");
    assert!(queries <= 4, "{queries}");
}

/// Merges lie by their time, and the engine reads a range of them to its end. So they are looked
/// for in windows, wider and wider and then narrower, and how many these are depends on when
/// merges happened: at most twenty back to 1970, and twice that to find the edge of many.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_merges_costs_a_few_windows_of_time_however_long_it_is() {
    let app = app_with_many().await;
    for (path, graphql) in [
        ("/api/merges?limit={n}", ""),
        (
            "",
            "query($n: Int) { merges(first: $n) { merges { id cookies emails source } } }",
        ),
    ] {
        let mut taken = Vec::new();
        for length in LENGTHS {
            let (answer, queries) = if graphql.is_empty() {
                asked(&app, &path.replace("{n}", &length.to_string())).await
            } else {
                let (answer, queries) = asked_in_graphql(&app, graphql, length).await;
                (answer["merges"].clone(), queries)
            };
            assert_eq!(rows(&answer, "/merges"), length, "{path}{graphql}");
            taken.push(queries);
        }
        assert!(
            taken.iter().all(|queries| *queries <= 60),
            "{path}{graphql}: {taken:?}"
        );
        assert!(taken[2] <= taken[0] + 24, "{path}{graphql}: {taken:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_costs_as_many_queries_whatever_they_have() {
    let app = app_with_many().await;
    let mut of_records = Vec::new();
    let mut of_devices = Vec::new();
    for length in LENGTHS {
        let id = app.user_by_cookie(&format!("reader-{length}")).await["identities"]["id"].clone();
        let id = id.as_str().unwrap();
        let (timeline, queries) = asked(&app, &format!("/api/profiles/{id}/timeline?limit=200")).await;
        assert_eq!(rows(&timeline, "/entries"), length);
        of_records.push(queries);
        let path = format!("/api/user?email=owner-{length}@example.com&include=identities,scores,provenance");
        let (user, user_queries) = asked(&app, &path).await;
        assert_eq!(rows(&user, "/user_profile/identities/cookies"), length);
        let id = user
            .pointer("/user_profile/identities/id")
            .unwrap()
            .as_str()
            .unwrap();
        let (_, graph_queries) = asked(&app, &format!("/api/profiles/{id}/graph")).await;
        of_devices.push((user_queries, graph_queries));
    }
    // A row that its cookie remembers itself is found without the records beside it: that is one
    // question less, and no other one depends on how many there are.
    let (least, most) = (of_records.iter().min().unwrap(), of_records.iter().max().unwrap());
    assert!(most - least <= 1 && *most <= 12, "{of_records:?}");
    // Beyond sixty-four the cookies are read from the graph, in one question more.
    let users: Vec<u64> = of_devices.iter().map(|(user, _)| *user).collect();
    assert!(users[0] == users[1] && users[2] <= users[0] + 4, "{users:?}");
    let graphs: Vec<u64> = of_devices.iter().map(|(_, graph)| *graph).collect();
    assert!(graphs.iter().all(|queries| *queries == graphs[0]), "{graphs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_in_lists_cost_as_many_queries_however_long_they_are() {
    let app = app_with_many().await;
    await_index(&app).await;
    let person = "id email interests cohorts { cohort slug score reason } \
        identities { cookies { value } emails { value } } provenance { field value raw }";
    for (query, pointer) in [
        (
            "query($n: Int) { profiles(first: $n) { edges { node { id cohorts { slug reason } identities { cookies { value } } } } } }".to_owned(),
            "/profiles/edges",
        ),
        (
            "query($n: Int) { cohort(name: \"Sports\") { users(first: $n) { edges { node { id cohorts { slug } emails: identities { emails { value } } } } } } }".to_owned(),
            "/cohort/users/edges",
        ),
        (
            "query($n: Int) { searchUsers(q: \"\", cohort: \"Sports\", first: $n) { hits { profile { id cohorts { slug } } } } }".to_owned(),
            "/searchUsers/hits",
        ),
        (
            "query($n: Int) { conflicts(first: $n) { conflicts { id } } }".to_owned(),
            "/conflicts/conflicts",
        ),
        (
            "query($n: Int) { changes(after: \"0\", first: $n) { changes { cursor cohort { slug } } } }".to_owned(),
            "/changes/changes",
        ),
    ] {
        let mut taken = Vec::new();
        asked_in_graphql(&app, &query, 1).await;
        for length in LENGTHS {
            let (answer, queries) = asked_in_graphql(&app, &query, length).await;
            assert_eq!(rows(&answer, pointer), length, "{query}");
            taken.push(queries);
        }
        assert!(taken.iter().all(|queries| *queries == taken[0]), "{query}: {taken:?}");
        assert!(taken[0] <= 4, "{query}: {taken:?}");
    }
    let one = format!(
        "query($n: Int) {{ cohort(name: \"Sports\") {{ users(first: $n) {{ edges {{ node {{ {person} }} }} }} }} }}"
    );
    let (_, queries) = asked_in_graphql(&app, &one, 20).await;
    assert_eq!(queries, 1, "all that is known of a person comes with them");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_all_cohorts_are_read_in_one_query() {
    let app = app_with_many().await;
    let members =
        "{ cohorts { slug users(first: 3) { totalCount edges { node { id cohorts { slug } } } } } }";
    let (answer, queries) = asked_in_graphql(&app, members, 0).await;
    let cohorts = answer["cohorts"].as_array().unwrap();
    let with_members = cohorts.iter().filter(|cohort| cohort["users"]["totalCount"] != 0);
    assert!(with_members.count() >= 2, "{answer}");
    assert!(cohorts.len() >= 8);
    assert_eq!(queries, 1, "{answer}");
}
