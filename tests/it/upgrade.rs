//! A store that an older version wrote is brought up to date at the start, and holds what it held.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::server::{Server, program, run, store_url};

/// The store, as `tests/fixtures/stores/README.md` tells of it.
const LOG: &[u8] = include_bytes!("../fixtures/stores/009/00000000000000000000.wal.zst");
const MANIFEST: &[u8] = include_bytes!("../fixtures/stores/009/00000000000000000000.manifest");
const EXPECTED: &str = include_str!("../fixtures/stores/009/expected.json");

/// What the older version was started with.
const SECRET: &str = "a secret of the fixture, at least 32 bytes";
const PASSWORD: &str = "the password of before";

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(2);

fn lay_out(folder: &Path) {
    let store = folder.join("cdp");
    for part in ["manifest", "sstables", "vlog", "wal"] {
        fs::create_dir_all(store.join(part)).unwrap();
    }
    let log = zstd::decode_all(LOG).unwrap();
    fs::write(store.join("wal/00000000000000000000.wal"), log).unwrap();
    fs::write(store.join("manifest/00000000000000000000.manifest"), MANIFEST).unwrap();
}

/// Whether all that was said before is still said; more may be.
fn check_holds(before: &Value, now: &Value, place: &str) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            for (name, value) in before {
                check_holds(
                    value,
                    now.get(name).unwrap_or(&Value::Null),
                    &format!("{place}.{name}"),
                );
            }
        }
        (Value::Array(before), Value::Array(now)) => {
            assert_eq!(before.len(), now.len(), "{place}: {now:?}");
            for (number, (before, now)) in before.iter().zip(now).enumerate() {
                check_holds(before, now, &format!("{place}[{number}]"));
            }
        }
        (before, now) => assert_eq!(now, before, "{place}"),
    }
}

/// The administrator of before.
struct Admin {
    http: reqwest::Client,
    url: String,
    bearer: String,
}

impl Admin {
    async fn log_in(url: &str, password: &str) -> Option<Self> {
        let http = reqwest::Client::new();
        let credentials = json!({ "username": "admin", "password": password });
        let request = http.post(format!("{url}/api/auth/token")).json(&credentials);
        let answer = request.send().await.unwrap().error_for_status().ok()?;
        let answer: Value = answer.json().await.unwrap();
        Some(Self {
            http,
            url: url.to_owned(),
            bearer: answer["access_token"].as_str().unwrap().to_owned(),
        })
    }

    async fn get(&self, path: &str, arguments: &[(&str, &str)]) -> Value {
        let request = self.http.get(format!("{}{path}", self.url)).query(arguments);
        let answer = request.bearer_auth(&self.bearer).send().await.unwrap();
        answer.error_for_status().unwrap().json().await.unwrap()
    }

    async fn ingest(&self, records: &Value) {
        let request = self.http.post(format!("{}/api/ingest", self.url)).json(records);
        let answer = request.bearer_auth(&self.bearer).send().await.unwrap();
        let report: Value = answer.error_for_status().unwrap().json().await.unwrap();
        assert_eq!(report["status"], "success", "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_an_older_version_is_brought_up_to_date_and_holds_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    lay_out(folder.path());
    let (log, secret) = (folder.path().join("log"), folder.path().join("secret"));
    fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let store = store_url(folder.path());
    let settings = [("CDP_AUTH__JWT_SECRET_FILE", secret.to_str().unwrap())];
    let server = Server::in_production(&store, &settings, &log).await;
    let said = fs::read_to_string(&log).unwrap();
    assert!(said.contains("applied migration 010_secrets"), "{said}");
    assert!(!said.contains("applied migration 009_tally"), "{said}");

    assert!(Admin::log_in(&server.url, "another password").await.is_none());
    let admin = Admin::log_in(&server.url, PASSWORD).await.unwrap();
    let before: Value = serde_json::from_str(EXPECTED).unwrap();
    check_people(&admin, &before).await;
    check_history(&admin, &before).await;
    check_search(&admin).await;
    // And it goes on from there: somebody of before is found to be the owner of a new cookie.
    admin
        .ingest(&json!([{ "cookie": "of-today", "email": "mia@shop.example", "interests": ["tennis"] }]))
        .await;
    let person = admin
        .get("/api/user", &[("cookie", "of-today"), ("include", "identities")])
        .await;
    assert_eq!(person["user_profile"]["identities"]["id"], before["timeline_of"]);

    server.terminate().await;
    assert!(server.ended().await.success());
    let doctor = run(&mut program(&["doctor", "--store", &store])).await;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{said}");
    assert!(said.contains("nothing contradicts anything"), "{said}");
}

async fn check_people(admin: &Admin, before: &Value) {
    let people = before["people"].as_array().unwrap();
    assert!(people.len() > 50);
    for person in people {
        let first = &person["identities"]["cookies"][0];
        let cookie = first.as_str().or_else(|| first["cookie"].as_str()).unwrap();
        let arguments = [("cookie", cookie), ("include", "identities")];
        let found = admin.get("/api/user", &arguments).await;
        check_holds(person, &found["user_profile"], cookie);
    }
    let summary = admin.get("/api/analytics/summary", &[]).await;
    assert_eq!(summary["people"], people.len());
}

async fn check_history(admin: &Admin, before: &Value) {
    let batch = before["batch"]["batch_id"].as_str().unwrap();
    let profile = before["timeline_of"].as_str().unwrap();
    for (name, path, part) in [
        ("cohorts", "/api/cohorts".to_owned(), Some("cohorts")),
        ("rules", "/api/rules".to_owned(), None),
        ("corrections", "/api/corrections".to_owned(), None),
        ("merges", "/api/merges".to_owned(), Some("merges")),
        ("batch", format!("/api/ingest/{batch}"), None),
        ("rejects", format!("/api/ingest/{batch}/rejects"), Some("rejects")),
        (
            "timeline",
            format!("/api/profiles/{profile}/timeline"),
            Some("entries"),
        ),
    ] {
        let found = admin.get(&path, &[]).await;
        check_holds(&before[name], part.map_or(&found, |part| &found[part]), name);
    }
}

/// The index is not part of the fixture, so it is built anew.
async fn check_search(admin: &Admin) {
    let found = async {
        loop {
            let page = admin.get("/api/users/search", &[("q", "mia@shop.example")]).await;
            if page["complete"] == true && page["total"] == 1 {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONGEST, found).await.expect("everybody is found in time");
}
