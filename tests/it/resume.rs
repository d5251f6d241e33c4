//! What a process that is killed leaves is carried on where it was, and nothing is stored twice:
//! a request with a key, a file that is imported, a batch in the queue.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cdp::domain::role::Role;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::support::server::{Server, program, run, token};

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(2);

/// Records of a few people, without message ids and without times.
fn visits(count: usize) -> String {
    let visit = |n| format!("{{\"cookie\":\"visitor-{}\",\"n\":{n}}}\n", n % 100);
    (0..count).map(visit).collect()
}

/// An admin of a server.
struct Admin {
    http: reqwest::Client,
    url: String,
    bearer: String,
}

impl Admin {
    async fn of(server: &Server) -> Self {
        let http = reqwest::Client::new();
        let bearer = token(&http, &server.url, Role::Admin).await;
        Self {
            http,
            url: server.url.clone(),
            bearer,
        }
    }

    async fn get(&self, path: &str) -> Value {
        let request = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.bearer);
        request
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap()
            .json()
            .await
            .unwrap()
    }

    fn post(&self, body: String, headers: &[(&'static str, &str)]) -> reqwest::RequestBuilder {
        let mut request = self
            .http
            .post(format!("{}/api/ingest", self.url))
            .bearer_auth(&self.bearer);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("content-type", "application/x-ndjson").body(body)
    }

    /// How many records of a cookie are stored.
    async fn records_of(&self, cookie: &str) -> usize {
        let user = self
            .get(&format!("/api/user?cookie={cookie}&include=identities"))
            .await;
        let id = user["user_profile"]["identities"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let (mut count, mut before) = (0, String::new());
        loop {
            let page = self
                .get(&format!("/api/profiles/{id}/timeline?limit=200{before}"))
                .await;
            count += page["entries"].as_array().unwrap().len();
            match page["next_cursor"].as_str() {
                Some(cursor) => before = format!("&before={cursor}"),
                None => return count,
            }
        }
    }

    async fn check_visits(&self, count: usize) {
        for visitor in [0, 41, 99] {
            let expected = (0..count).filter(|n| n % 100 == visitor).count();
            let stored = self.records_of(&format!("visitor-{visitor}")).await;
            assert_eq!(stored, expected, "visitor-{visitor}");
        }
    }

    /// Waits until a batch is so far, or has ended.
    async fn reached(&self, batch: &str, records: u64) -> Value {
        let waiting = async {
            loop {
                let standing = self.get(&format!("/api/ingest/{batch}")).await;
                let is_there = standing["records_processed"].as_u64().unwrap() >= records;
                if is_there || standing["finished"] == true {
                    return standing;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONGEST, waiting)
            .await
            .expect("the batch gets on in time")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_the_queue_goes_on_after_a_kill() {
    const RECORDS: usize = 12_000;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path()).await;
    let admin = Admin::of(&server).await;
    let answer = admin
        .post(visits(RECORDS), &[("prefer", "respond-async")])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    let queued: Value = answer.json().await.unwrap();
    let batch = queued["batch_id"].as_str().unwrap().to_owned();
    // Once before anything is stored, and twice in the middle.
    server.kill().await;
    for records in [1, 4_000] {
        server = Server::start(folder.path()).await;
        Admin::of(&server).await.reached(&batch, records).await;
        server.kill().await;
    }
    server = Server::start(folder.path()).await;
    let admin = Admin::of(&server).await;
    let standing = admin.reached(&batch, u64::MAX).await;
    assert_eq!(
        (&standing["status"], &standing["records_processed"]),
        (&json!("finished"), &json!(RECORDS))
    );
    admin.check_visits(RECORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_goes_on_after_a_kill() {
    const RECORDS: usize = 12_000;
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path()).await;
    let key = [("idempotency-key", "k-1")];
    for life_ms in [150, 400] {
        let admin = Admin::of(&server).await;
        let request = admin.post(visits(RECORDS), &key).send();
        let killing = async {
            sleep(Duration::from_millis(life_ms)).await;
            server.kill().await;
        };
        // Whether it was answered or cut off is all the same.
        let (_answer, ()) = tokio::join!(request, killing);
        server = Server::start(folder.path()).await;
    }
    let admin = Admin::of(&server).await;
    let answer = admin.post(visits(RECORDS), &key).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let report: Value = answer.json().await.unwrap();
    assert_eq!(report["records_processed"], json!(RECORDS));
    admin.check_visits(RECORDS).await;
}

fn import(url: &str, path: &Path) -> Command {
    let mut command = program(&["import", "--source", "shop", path.to_str().unwrap()]);
    command
        .env("CDP_URL", url)
        .env("CDP_USERNAME", "ingest")
        .env("CDP_PASSWORD", "demo-ingest");
    command
}

/// Imports a file to its end, and returns what was said.
async fn imported(url: &str, path: &Path) -> String {
    let output = run(&mut import(url, path)).await;
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

/// Waits until a server has so many records of a cookie.
async fn has_some(admin: &Admin, cookie: &str) {
    let request = || {
        let path = format!("{}/api/user?cookie={cookie}", admin.url);
        admin.http.get(path).bearer_auth(&admin.bearer).send()
    };
    let waiting = async {
        while !request().await.unwrap().status().is_success() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONGEST, waiting)
        .await
        .expect("the import gets on in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_goes_on_where_it_was() {
    const RECORDS: usize = 30_000;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("store")).await;
    let admin = Admin::of(&server).await;
    let path = folder.path().join("visits.ndjson");
    fs::write(&path, visits(RECORDS) + "{\"age\":1}\n").unwrap();
    let mut client = import(&server.url, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    has_some(&admin, "visitor-99").await;
    client.kill().await.unwrap();
    let said = imported(&server.url, &path).await;
    assert!(said.contains("30000 accepted"), "{said}");
    assert!(said.contains("1 rejected"), "{said}");
    admin.check_visits(RECORDS).await;
    // Twice is once.
    let rejects = format!("{}.rejects.ndjson", path.display());
    let refused = fs::read_to_string(&rejects).unwrap();
    let said = imported(&server.url, &path).await;
    assert!(
        said.contains("imported before on ") && said.contains("nothing changed"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&rejects).unwrap(), refused);
    admin.check_visits(RECORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_server_is_killed_goes_on_where_it_was() {
    const RECORDS: usize = 30_000;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let server = Server::start(&store).await;
    let admin = Admin::of(&server).await;
    let path = folder.path().join("visits.ndjson");
    fs::write(&path, visits(RECORDS)).unwrap();
    let mut client = import(&server.url, &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    has_some(&admin, "visitor-99").await;
    server.kill().await;
    // The next one listens elsewhere, so this client would wait in vain.
    client.kill().await.unwrap();
    let server = Server::start(&store).await;
    let said = imported(&server.url, &path).await;
    assert!(said.contains("30000 accepted"), "{said}");
    let admin = Admin::of(&server).await;
    admin.check_visits(RECORDS).await;
    let said = imported(&server.url, &path).await;
    assert!(said.contains("nothing changed"), "{said}");
    admin.check_visits(RECORDS).await;
}
