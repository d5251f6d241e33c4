//! The command line: the built program, run as people run it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::app::{ServedApp, TestApp};
use crate::support::server::{Server, program, run, store_url, token};

/// What a successful command printed.
#[track_caller]
fn printed(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{out}\n{err}");
    out.into_owned()
}

/// A command that must fail with one line, and say this in it.
async fn check_refused(command: &mut Command, said: &str) {
    // The log has its own lines; this is about the last word.
    let output = run(command.env("CDP_TELEMETRY__FILTER", "off")).await;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!((output.status.code(), out.as_ref()), (Some(1), ""), "{err}");
    assert!(
        err.starts_with("error: ") && err.lines().count() == 1 && err.contains(said),
        "{said}: {err}"
    );
}

/// Whoever has to go back to the version before must find the store as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_on_a_setting_leaves_the_store_alone() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (name, value, said) in [
        ("CDP_API__LISTEN", taken.as_str(), "can't listen on"),
        ("CDP_API__TLS__CERTIFICATE", "nowhere.pem", "needs both"),
        ("CDP_INGEST__TRANSFORMS", "[\"nowhere.toml\"]", "nowhere.toml"),
        ("CDP_COHORTS__RULES", "nowhere.yaml", "nowhere.yaml"),
        ("CDP_API__TRUSTED_PROXIES", "[\"nobody\"]", "nobody"),
        ("CDP_CLASSIFY__MODEL", "/nowhere", "/nowhere"),
    ] {
        let mut command = program(&["serve", "--demo", "--store", &store_url(folder.path())]);
        command.env("CDP_API__LISTEN", "127.0.0.1:0").env(name, value);
        let output = run(command.env("CDP_TELEMETRY__FILTER", "off")).await;
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {err}");
        assert!(err.starts_with("error: ") && err.contains(said), "{name}: {err}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{name}: {err}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_writes_visits_and_the_truth_about_them() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let arguments = [
        "demo",
        "--people",
        "20",
        "--seed",
        "3",
        "--until",
        "2026-06-30T12:00:00Z",
        "--out",
    ];
    let output = run(program(&arguments).arg(&out)).await;
    let visits = fs::read_to_string(out.join("visits.ndjson")).unwrap();
    let truth = fs::read_to_string(out.join("truth.csv")).unwrap();
    let said = printed(&output);
    assert!(
        said.starts_with(&format!("{} records (", visits.lines().count())),
        "{said}"
    );
    assert!(said.contains(" of 20 people, who are "), "{said}");
    assert!(
        visits
            .lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok())
    );
    assert_eq!(
        truth.lines().next(),
        Some("person,kind,identifier,expected_component")
    );
    let again = folder.path().join("again");
    printed(&run(program(&arguments).arg(&again)).await);
    assert_eq!(fs::read_to_string(again.join("visits.ndjson")).unwrap(), visits);
}

/// The program as a client of a server.
fn client(app: &ServedApp, arguments: &[&str], user: &str) -> Command {
    let mut command = program(arguments);
    command
        .env("CDP_URL", &app.url)
        .env("CDP_USERNAME", user)
        .env("CDP_PASSWORD", format!("demo-{user}"));
    command
}

async fn user(app: &ServedApp, cookie: &str) -> Option<Value> {
    let client = reqwest::Client::new();
    let bearer = token(&client, &app.url, cdp::domain::role::Role::Analyst).await;
    let request = client
        .get(format!("{}/api/user", app.url))
        .query(&[("cookie", cookie)])
        .bearer_auth(bearer);
    let response = request.send().await.unwrap();
    response.status().is_success().then_some(())?;
    Some(response.json::<Value>().await.unwrap()["user_profile"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn token_prints_a_token_that_opens_the_door() {
    let app = TestApp::serve().await;
    let token = printed(&run(&mut client(&app, &["token"], "viewer")).await);
    let request = reqwest::Client::new()
        .get(format!("{}/api/cohorts", app.url))
        .bearer_auth(token.trim());
    assert_eq!(request.send().await.unwrap().status(), 200);
    let mut wrong = client(&app, &["token"], "viewer");
    check_refused(
        wrong.env("CDP_PASSWORD", "wrong"),
        "the server answered 401: the user name or the password",
    )
    .await;
}

/// Writes a file, imports it, and returns what was printed and the rejects.
async fn import(app: &ServedApp, path: &Path, content: impl AsRef<[u8]>) -> (String, Vec<Value>) {
    fs::write(path, content).unwrap();
    let output = run(&mut client(app, &["import", path.to_str().unwrap()], "ingest")).await;
    let rejects = fs::read_to_string(rejects_of(path)).unwrap_or_default();
    (
        printed(&output),
        rejects
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn rejects_of(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.rejects.ndjson", path.display()))
}

/// A reject as the file holds it, with its one error's field and code.
#[track_caller]
fn check_reject(reject: &Value, row: u64, line: u64, verbatim: &str, field: &str, code: &str) {
    assert_eq!(
        (&reject["row"], &reject["line"]),
        (&json!(row), &json!(line)),
        "{reject}"
    );
    assert_eq!(reject["verbatim"], verbatim);
    let errors = reject["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{reject}");
    assert_eq!(
        (&errors[0]["field"], &errors[0]["code"]),
        (&json!(field), &json!(code)),
        "{reject}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn import_sends_each_format_and_keeps_what_is_refused_beside_the_file() {
    let app = TestApp::serve().await;
    let folder = tempfile::tempdir().unwrap();

    let path = folder.path().join("visits.ndjson");
    let lines = "{\"cookie\":\"nd-1\"}\n\n{\"cookie\": \"nd-2\", \"email\": \"foo@\"}\n{\"cookie\":\"nd-3\"}\nno JSON\n";
    let (said, rejects) = import(&app, &path, lines).await;
    assert!(
        said.contains("visits.ndjson: 2 accepted (0 of them seen before), 2 rejected, in "),
        "{said}"
    );
    assert!(said.contains(rejects_of(&path).to_str().unwrap()), "{said}");
    assert_eq!(rejects.len(), 2);
    check_reject(
        &rejects[0],
        2,
        3,
        "{\"cookie\": \"nd-2\", \"email\": \"foo@\"}",
        "email",
        "invalid",
    );
    check_reject(&rejects[1], 4, 5, "no JSON", "", "syntax");

    let path = folder.path().join("array.json");
    let array = "[{\"cookie\": \"ar-1\"},\n {\"cookie\": \"ar-2\",\n  \"demographics\": {\"age\": 430}},\n {\"cookie\": \"ar-3\"}]";
    let (said, rejects) = import(&app, &path, array).await;
    assert!(
        said.contains("array.json: 2 accepted (0 of them seen before), 1 rejected, in "),
        "{said}"
    );
    let verbatim = "{\"cookie\": \"ar-2\",\n  \"demographics\": {\"age\": 430}}";
    check_reject(&rejects[0], 2, 2, verbatim, "demographics.age", "out_of_range");

    let path = folder.path().join("customers.csv");
    let table = "email,\"cookie\",interests\r\nann@example.com,cs-1,\"cricket;football\"\r\n,,\"a\r\nb\"\r\n,cs-3,bitcoin\r\n";
    let (said, rejects) = import(&app, &path, table).await;
    assert!(
        said.contains("customers.csv: 2 accepted (0 of them seen before), 1 rejected, in "),
        "{said}"
    );
    check_reject(&rejects[0], 2, 3, ",,\"a\r\nb\"", "cookie", "empty");

    let path = folder.path().join("good.csv");
    let (said, rejects) = import(&app, &path, "cookie\ngood-1\n").await;
    assert!(
        said.contains("good.csv: 1 accepted") && !said.contains("rejects"),
        "{said}"
    );
    assert!(rejects.is_empty() && !rejects_of(&path).exists());

    for cookie in ["nd-1", "nd-3", "ar-1", "ar-3", "cs-3", "good-1"] {
        assert!(user(&app, cookie).await.is_some(), "{cookie}");
    }
    let ann = user(&app, "cs-1").await.unwrap();
    assert_eq!(
        (&ann["email"], &ann["interests"]),
        (&json!("ann@example.com"), &json!(["cricket", "football"]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_many_parts_keeps_its_own_line_numbers_and_a_second_import_changes_nothing() {
    let app = TestApp::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.csv");
    let row = |number| match number {
        1_200 | 2_300 => format!("many-{number},m-{number},430\n"),
        _ => format!("many-{number},m-{number},42\n"),
    };
    let table: String = ["cookie,message_id,age\n".to_owned()]
        .into_iter()
        .chain((1..=2_500).map(row))
        .collect();
    let (said, rejects) = import(&app, &path, &table).await;
    assert!(
        said.contains("2498 accepted (0 of them seen before), 2 rejected"),
        "{said}"
    );
    assert_eq!(rejects.len(), 2);
    check_reject(
        &rejects[0],
        1_200,
        1_201,
        "many-1200,m-1200,430",
        "demographics.age",
        "out_of_range",
    );
    check_reject(
        &rejects[1],
        2_300,
        2_301,
        "many-2300,m-2300,430",
        "demographics.age",
        "out_of_range",
    );
    let (said, _) = import(&app, &path, &table).await;
    assert!(
        said.contains("many.csv: imported before on ")
            && said.contains("; nothing changed (2498 accepted, 2 rejected then)"),
        "{said}"
    );
    // From another source it is another import, whose messages are its own.
    let arguments = ["import", "--source", "other", path.to_str().unwrap()];
    let said = printed(&run(&mut client(&app, &arguments, "ingest")).await);
    assert!(
        said.contains("2498 accepted (0 of them seen before), 2 rejected"),
        "{said}"
    );
    assert_eq!(user(&app, "many-2500").await.unwrap()["demographics"]["age"], 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_cannot_read_is_not_sent_and_kept_beside_the_file() {
    let app = TestApp::serve().await;
    let folder = tempfile::tempdir().unwrap();

    let path = folder.path().join("latin-1.csv");
    let table = b"cookie,first_name,age\nla-1,Jos\xE9,\nla-2,Ann,430\nla-3,Bob\nla-4,Jos\xC3\xA9,\n";
    let (said, rejects) = import(&app, &path, table).await;
    assert!(
        said.contains("2 accepted (0 of them seen before), 2 rejected"),
        "{said}"
    );
    assert_eq!(rejects.len(), 2);
    check_reject(
        &rejects[0],
        2,
        3,
        "la-2,Ann,430",
        "demographics.age",
        "out_of_range",
    );
    check_reject(&rejects[1], 3, 4, "la-3,Bob", "", "wrong_length");
    assert_eq!(user(&app, "la-1").await.unwrap()["first_name"], "Jos\u{e9}");
    assert_eq!(user(&app, "la-4").await.unwrap()["first_name"], "Jos\u{e9}");

    let path = folder.path().join("unreadable.ndjson");
    let long = format!("{{\"cookie\":\"un-1\",\"note\":\"{}\"}}", "x".repeat(300_000));
    let (said, rejects) = import(&app, &path, format!("{long}\n{{oops\n")).await;
    assert!(
        said.contains("0 accepted (0 of them seen before), 2 rejected"),
        "{said}"
    );
    check_reject(&rejects[0], 1, 1, &long[..256 * 1024], "", "too_long");
    check_reject(&rejects[1], 2, 2, "{oops", "", "syntax");
    assert_eq!(user(&app, "un-1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn import_reads_packed_files_and_takes_columns_for_what_it_is_told() {
    let app = TestApp::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let table = "Kunde;Pr\u{e9}nom\nkd-1;Zo\u{eb}\nkd-2;Ann\n";
    let utf_16: Vec<u8> = format!("\u{feff}{table}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&utf_16).unwrap();
    let packed = folder.path().join("kunden.csv.gz");
    fs::write(&packed, gzip.finish().unwrap()).unwrap();
    let maps = ["--map", "kunde=cookie"];
    let arguments = [&["import", packed.to_str().unwrap()], &maps[..]].concat();
    let said = printed(&run(&mut client(&app, &arguments, "ingest")).await);
    assert!(said.contains("2 accepted"), "{said}");
    assert_eq!(user(&app, "kd-1").await.unwrap()["first_name"], "Zo\u{eb}");

    let zstd = folder.path().join("visits.ndjson.zst");
    let lines = zstd::encode_all(&b"{\"cookie\":\"zs-1\"}\n"[..], 3).unwrap();
    let (said, _) = import(&app, &zstd, &lines).await;
    assert!(said.contains("visits.ndjson.zst: 1 accepted"), "{said}");

    let cut = folder.path().join("cut.ndjson.zst");
    fs::write(&cut, &lines[..lines.len() - 3]).unwrap();
    let output = run(&mut client(&app, &["import", cut.to_str().unwrap()], "ingest")).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the Zstandard data breaks off at byte"), "{said}");

    let unknown = ["import", packed.to_str().unwrap(), "--map", "kunde=shoe_size"];
    let output = run(&mut client(&app, &unknown, "ingest")).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("`shoe_size` is no field; the fields are cookie, email"),
        "{said}"
    );
    let unmapped = ["import", packed.to_str().unwrap()];
    let output = run(&mut client(&app, &unmapped, "ingest")).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the header has no `cookie` column"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_be_is_one_clear_error() {
    let app = TestApp::serve().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("visits.xlsx"), "x").unwrap();
    fs::write(path("good.csv"), "cookie\ngood-1\n").unwrap();
    check_refused(
        &mut client(&app, &["import", &path("visits.xlsx")], "ingest"),
        "has an unknown ending",
    )
    .await;
    check_refused(
        &mut client(&app, &["import", &path("good.csv")], "viewer"),
        "the server answered 403",
    )
    .await;
    let output = run(&mut client(&app, &["import", &path("nowhere.csv")], "ingest")).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: `") && said.contains("nowhere.csv` can't be opened"),
        "{said}"
    );
    let mut unreachable = program(&["token", "--url", "http://127.0.0.1:1", "--password", "x"]);
    let output = run(&mut unreachable).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: `http://127.0.0.1:1` can't be reached\n"),
        "{said}"
    );
}

fn serve(arguments: &[&str]) -> Command {
    program(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn production_refuses_to_start_without_a_secret_of_its_own() {
    let memory = ["--store", "mem://"];
    check_refused(&mut serve(&memory), "production needs CDP_AUTH__JWT_SECRET").await;
    let mut known = serve(&memory);
    known.env("CDP_AUTH__JWT_SECRET", "cdp-demo-secret-that-everybody-knows");
    check_refused(&mut known, "production refuses the demo's secret").await;
    let mut short = serve(&memory);
    short.env("CDP_AUTH__JWT_SECRET", "short");
    check_refused(
        &mut short,
        "CDP_AUTH__JWT_SECRET has 5 bytes; at least 32 are needed",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn production_refuses_a_store_with_test_users() {
    let folder = tempfile::tempdir().unwrap();
    Server::start(folder.path()).await.kill().await;
    let mut production = serve(&["--store", &store_url(folder.path())]);
    production.env("CDP_AUTH__JWT_SECRET", "0123456789abcdef0123456789abcdef");
    let said = "production refuses the test users in this store (admin, analyst, ingest, viewer)";
    check_refused(&mut production, said).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_model_is_one_clear_error() {
    let empty = tempfile::tempdir().unwrap();
    let mut without = serve(&["--demo", "--store", "mem://"]);
    without.env("CDP_MODEL_DIR", empty.path());
    check_refused(&mut without, "is missing; `make model` fetches it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_cannot_be_is_one_clear_error() {
    check_refused(
        &mut serve(&["--config", "/nowhere.toml"]),
        "there is no settings file at `/nowhere.toml`",
    )
    .await;
    let wrong = [
        ("CDP_API__LISSTEN", "127.0.0.1:0", "lissten"),
        ("CDP_MODE", "production-like", "MODE"),
        ("CDP_THREADS", "0", "THREADS"),
    ];
    for (setting, value, named) in wrong {
        let output = run(serve(&["--demo"]).env(setting, value)).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with("error: a setting can't be used\n") && said.contains(named),
            "{setting}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_is_measured_on_labelled_phrases() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.tsv");
    let table = "phrase\tlabels\tkind\nfootball\tsports\tcategory\ncrcket\tsports\ttypo\nn/a\tnone\tnone\n";
    std::fs::write(&labels, table).unwrap();
    let labels = labels.to_str().unwrap();
    let output = run(&mut program(&["eval", "classify", labels])).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("| accuracy | 1.000 | 2 of 2 |"), "{said}");
    assert!(said.contains("| accuracy, typo | 1.000 | 1 of 1 |"), "{said}");
    assert!(said.contains("| none: told so | 1.000 | 1 of 1 |"), "{said}");

    std::fs::write(labels, "phrase\tlabels\nfootball\tball games\n").unwrap();
    let output = run(&mut program(&["eval", "classify", labels])).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains("`football` is labelled `ball games`, which is no cohort"),
        "{said}"
    );
}
