//! How good records are told to be: what is repaired, what is left out, and what is refused.

use cdp::config::Config;
use cdp::domain::role::Role;
use poem::http::StatusCode;
use serde_json::{Value, json};

use crate::support::answer::row_errors;
use crate::support::app::{TestApp, config};

/// A CSV in which every kind of thing is wrong with somebody.
const MIXED: &str = "\
cookie,email,phone_number,country,age,gender,education,income,interests
q-1,ann@example.com,+1-718-555-0143,USA,42,f,B.Sc.,$50k-$75k,golf;golf
q-2,Bob@Example.com,(718) 555-0144,us,25-34,prefer not to say,High School,100k+,poker
q-3,,718 555 0145,,,attack helicopter,school of life,lots,
q-4,ann@,call me,Atlantis,30,m,,,
,jo@example.com,,,,,,,
q-6,test@test.com,call me,Deutschland,430,,,,
q-7,,call us,Atlantis,7,x,PhD,75000,chess
";

async fn quality_of(app: &TestApp, report: &Value) -> Value {
    let batch = report["batch_id"].as_str().unwrap();
    app.get(&format!("/api/ingest/{batch}/quality")).await
}

/// Of each field how often it is filled, invalid, repaired and dropped; then the bad values.
fn told(quality: &Value) -> String {
    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
    let fields = quality["fields"].as_array().unwrap().iter().map(|of| {
        let (filled, invalid) = (&of["filled"], &of["invalid"]);
        let (repaired, dropped) = (&of["repaired"], &of["dropped"]);
        format!("{}: {filled} {invalid} {repaired} {dropped}", text(of, "field"))
    });
    let values = quality["bad_values"].as_array().unwrap().iter().map(|of| {
        let (field, code) = (text(of, "field"), text(of, "code"));
        format!("{}x {field} {code}: {}", of["count"], text(of, "value"))
    });
    fields.chain(values).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_has_one_shape() {
    let app = TestApp::start().await;
    let record = json!({ "cookie": "r-1", "gender": "who knows" });
    let report = app.ingest(record).await;
    let counts = |field: &str, invalid: u64| json!({ "field": field, "filled": 1, "invalid": invalid, "repaired": 0, "dropped": 0 });
    let (field, code) = ("demographics.gender", "unknown");
    assert_eq!(
        quality_of(&app, &report).await,
        json!({
            "batch_id": report["batch_id"], "rows": 1, "rejected": 0, "duplicates": 0, "warnings": 1,
            "fields": [counts("cookie", 0), counts(field, 1)],
            "findings": [{ "field": field, "code": code, "count": 1 }],
            "bad_values": [{ "field": field, "code": code, "value": "who knows", "count": 1 }],
            "bad_values_missed": 0,
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_how_good_its_rows_were() {
    let app = TestApp::start().await;
    let (status, report) = app.send("text/csv", MIXED).await;
    assert_eq!((status, &report["status"]), (StatusCode::OK, &json!("partial")));
    assert_eq!(report["records_rejected"], 3, "{report}");
    assert_eq!(
        row_errors(&report),
        [
            (4, "email", "invalid"),
            (5, "cookie", "empty"),
            (6, "demographics.age", "out_of_range")
        ]
    );
    let quality = quality_of(&app, &report).await;
    assert_eq!(quality["warnings"], report["warnings"]);
    insta::assert_snapshot!(told(&quality), @"
    cookie: 6 1 0 0
    email: 5 2 1 0
    interests: 3 0 1 0
    phone_number: 6 4 2 1
    location.country: 5 2 1 0
    demographics.age: 5 2 0 1
    demographics.gender: 5 2 2 1
    demographics.education: 4 1 2 0
    demographics.income: 4 1 2 0
    3x phone_number invalid: aaaa aa
    2x location.country unknown: Atlantis
    1x email invalid: aaa@
    1x email placeholder: test@test.com
    1x phone_number no_region: 999 999 9999
    1x demographics.age out_of_range: 430
    1x demographics.age range: 25-34
    1x demographics.gender no_answer: prefer not to say
    1x demographics.gender unknown: attack helicopter
    1x demographics.education unknown: school of life
    1x demographics.income unknown: lots
    ");
    let text = quality.to_string();
    for private in ["example.com", "555", "ann", "call"] {
        assert!(!text.contains(private), "{private}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_has_one_form() {
    let app = TestApp::start().await;
    app.send("text/csv", MIXED).await;
    let stored = app.user_by_cookie("q-1").await;
    assert_eq!(
        (&stored["phone_number"], &stored["demographics"]),
        (
            &json!("+17185550143"),
            &json!({"age": 42, "gender": "Female", "education": "Bachelor's Degree", "income": "$50,000 - $75,000"})
        )
    );
    let stored = app.user_by_cookie("q-2").await;
    assert_eq!(
        (
            &stored["phone_number"],
            &stored["location"],
            &stored["demographics"]
        ),
        (
            &json!("+17185550144"),
            &json!("USA"),
            &json!({"education": "High School", "income": "Over 100000"})
        )
    );
    let stored = app.user_by_cookie("q-3").await;
    assert_eq!(
        (&stored["phone_number"], &stored["demographics"]["gender"]),
        (&json!("718 555 0145"), &json!("attack helicopter"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn graphql_tells_the_same() {
    let app = TestApp::start().await;
    let (_, report) = app.send("text/csv", MIXED).await;
    let expected = quality_of(&app, &report).await;
    let query = "query ($id: ID!) { batch(id: $id) { quality { rows rejected duplicates warnings
        fields { field filled invalid repaired dropped } findings { field code count }
        badValues { field code value count } badValuesMissed } } }";
    let request = app
        .client()
        .post("/graphql")
        .header("authorization", format!("Bearer {}", app.token(Role::Ingest)))
        .body_json(&json!({ "query": query, "variables": { "id": report["batch_id"] } }));
    let body = request.send().await.0.into_body().into_string().await.unwrap();
    let answer: Value = serde_json::from_str(&body).unwrap();
    let quality = &answer["data"]["batch"]["quality"];
    for (name, of) in [
        ("rows", "rows"),
        ("rejected", "rejected"),
        ("duplicates", "duplicates"),
        ("warnings", "warnings"),
        ("fields", "fields"),
        ("findings", "findings"),
        ("badValues", "bad_values"),
        ("badValuesMissed", "bad_values_missed"),
    ] {
        assert_eq!(quality[name], expected[of], "{answer}");
    }
    assert!(expected["warnings"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chunks_of_a_batch_are_added_up() {
    let app = TestApp::start().await;
    let row = |number: u32| match number % 10 {
        0 => format!("a-{number},m,not a number"),
        1 => format!("a-{number},Male,"),
        _ => format!("a-{number},,+1718555{number:04}"),
    };
    let rows: Vec<String> = (0..2_500).map(row).collect();
    let body = format!("cookie,gender,phone\n{}\n", rows.join("\n"));
    let (_, report) = app.send("text/csv", body).await;
    let quality = quality_of(&app, &report).await;
    assert_eq!(
        (&quality["rows"], &quality["warnings"]),
        (&json!(2_500), &json!(250))
    );
    assert_eq!(
        quality["fields"],
        json!([
            { "field": "cookie", "filled": 2_500, "invalid": 0, "repaired": 0, "dropped": 0 },
            { "field": "phone_number", "filled": 2_250, "invalid": 250, "repaired": 0, "dropped": 250 },
            { "field": "demographics.gender", "filled": 500, "invalid": 0, "repaired": 250, "dropped": 0 },
        ])
    );
    assert_eq!(
        quality["bad_values"],
        json!([{ "field": "phone_number", "code": "invalid", "value": "aaa a aaaaaa", "count": 250 }])
    );
}

/// The settings of a platform that refuses what others keep.
fn strict() -> Config {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cdp.toml");
    let table = "[ingest.quality]\nphone_region = \"US\"\nplus_addresses = \"strip\"\n\
        [ingest.quality.severity]\n\"demographics.gender\" = \"error\"\n\"email\" = \"drop\"\n";
    std::fs::write(&file, table).unwrap();
    let ingest = Config::load(Some(&file)).unwrap().ingest;
    Config { ingest, ..config() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_decide_what_is_refused() {
    let app = TestApp::with(&strict()).await;
    let rows = json!([
        { "cookie": "s-1", "email": "ann@", "phone": "718-555-0143" },
        { "cookie": "s-2", "email": "Ann+shop@example.com", "gender": "attack helicopter" },
        { "cookie": "s-3", "email": "Ann+shop@example.com", "gender": "w" },
    ]);
    let (_, report) = app.send("application/json", rows.to_string()).await;
    assert_eq!(
        (&report["records_rejected"], &report["warnings"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(report["errors"][0]["code"], "unknown");
    let first = app.user_by_cookie("s-1").await;
    assert_eq!(
        (&first["email"], &first["phone_number"]),
        (&Value::Null, &json!("+17185550143"))
    );
    assert_eq!(app.user_by_email("ann@example.com").await["cookie"], "s-3");
}
