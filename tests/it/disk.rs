//! A disk that is full, or can't be written to: whoever sends is told so, reads go on, nothing
//! acknowledged is lost, and once there is room the server starts anew by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cdp::domain::role::Role;
use rand::distr::{Alphanumeric, SampleString as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::support::server::{Server, program, run, store_url, token};

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(2);

/// How many records are sent at once, each with so much that can't be packed.
const RECORDS: usize = 20;
const NOTE_BYTES: usize = 2_000;

/// After so many requests every small disk is full.
const REQUESTS_MAX: usize = 2_000;

/// A file system in memory, a few MiB large. Only an administrator of the machine may make one.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn make(folder: &Path) -> Option<Self> {
        let disk = Self {
            folder: folder.to_owned(),
        };
        let made = mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], folder);
        made.then_some(disk)
    }

    fn remount(&self, options: &str) {
        assert!(
            mount(&["-o", &format!("remount,{options}")], &self.folder),
            "{options}"
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}

/// Of a request's row.
fn cookie(request: usize, row: usize) -> String {
    format!("visitor-{request}-{row}")
}

/// Somebody who sends and looks.
struct Sender {
    http: reqwest::Client,
    url: String,
    bearer: String,
}

impl Sender {
    async fn log_in(url: &str) -> Self {
        let http = reqwest::Client::new();
        let bearer = token(&http, url, Role::Admin).await;
        Self {
            http,
            url: url.to_owned(),
            bearer,
        }
    }

    fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        request.bearer_auth(&self.bearer)
    }

    async fn status(&self, path: &str) -> StatusCode {
        let request = self.http.get(format!("{}{path}", self.url));
        request.bearer_auth(&self.bearer).send().await.unwrap().status()
    }

    async fn send(&self, request: usize) -> reqwest::Response {
        let record = |row| {
            let note = Alphanumeric.sample_string(&mut rand::rng(), NOTE_BYTES);
            json!({ "cookie": cookie(request, row), "note": note })
        };
        let records: Value = (0..RECORDS).map(record).collect();
        self.post("/api/ingest", &records).send().await.unwrap()
    }

    /// How many of a request's records are there.
    async fn present(&self, request: usize) -> usize {
        let mut present = 0;
        for row in 0..RECORDS {
            let status = self
                .status(&format!("/api/user?cookie={}", cookie(request, row)))
                .await;
            present += usize::from(status == StatusCode::OK);
        }
        present
    }
}

/// An answer that says that the disk is to blame, and no more.
async fn check_refused(answer: reqwest::Response) {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")),
        "{body}"
    );
    assert!(headers.contains_key("retry-after") && headers.contains_key("x-request-id"));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the store's disk is full"), "{message}");
}

/// Sends until the disk refuses; which requests were acknowledged, and how many were sent.
async fn fill(sender: &Sender) -> (Vec<usize>, usize) {
    let mut acknowledged = Vec::new();
    for request in 0..REQUESTS_MAX {
        let answer = sender.send(request).await;
        if answer.status() != StatusCode::OK {
            check_refused(answer).await;
            return (acknowledged, request + 1);
        }
        acknowledged.push(request);
    }
    panic!("the disk takes everything");
}

/// Fills a disk, sees how the server fares, and how it goes on once `give_room` was called.
async fn outlive(folder: &Path, mut server: Server, give_room: impl FnOnce()) {
    let sender = Sender::log_in(&server.url).await;
    let (acknowledged, mut sent) = fill(&sender).await;
    assert!(acknowledged.len() > 3, "{acknowledged:?}");
    // Whoever writes is told the same, by whichever door; whoever reads is served.
    for _ in 0..3 {
        check_refused(sender.send(sent).await).await;
        sent += 1;
    }
    let credentials = json!({ "username": "admin", "password": "demo-admin" });
    let rule = json!({ "name": "Adults", "expression": "profile.age >= 18" });
    for (path, body) in [("/api/auth/token", &credentials), ("/api/rules", &rule)] {
        check_refused(sender.post(path, body).send().await.unwrap()).await;
    }
    let record = json!({ "cookie": "queued" });
    let queued = sender
        .post("/api/ingest", &record)
        .header("prefer", "respond-async");
    check_refused(queued.send().await.unwrap()).await;
    for path in [
        "/healthz",
        "/api/cohorts",
        "/api/cohort/users?cohort=sports",
        "/api/users/search?q=a",
    ] {
        assert_eq!(sender.status(path).await, StatusCode::OK, "{path}");
    }
    for request in [acknowledged[0], acknowledged[acknowledged.len() - 1]] {
        assert_eq!(sender.present(request).await, RECORDS, "{request}");
    }
    let ready = sender
        .http
        .get(format!("{}/readyz", sender.url))
        .send()
        .await
        .unwrap();
    check_refused(ready).await;

    give_room();
    server.started_anew().await;
    let sender = Sender::log_in(&server.url).await;
    assert_eq!(sender.status("/readyz").await, StatusCode::OK);
    for request in &acknowledged {
        assert_eq!(sender.present(*request).await, RECORDS, "{request} is lost");
    }
    for request in acknowledged.len()..sent {
        let present = sender.present(request).await;
        assert!(present == 0 || present == RECORDS, "{request} is stored by half");
    }
    // What was refused is sent again, and then some.
    for request in acknowledged.len()..sent + 3 {
        assert_eq!(sender.send(request).await.status(), StatusCode::OK);
    }
    let last = sent + 2;
    let found = async {
        while !has_hit(&sender, &cookie(last, 0)).await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONGEST, found)
        .await
        .expect("the search index follows again");
    // Killed, so that what was written since then stands in the log alone.
    server.kill().await;
    let doctor = run(&mut program(&["doctor", "--store", &store_url(folder)])).await;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{said}");
    let server = Server::start(folder).await;
    let sender = Sender::log_in(&server.url).await;
    for request in 0..sent + 3 {
        assert_eq!(sender.present(request).await, RECORDS, "{request} is lost");
    }
    println!(
        "{} requests acknowledged before the disk was full",
        acknowledged.len()
    );
}

async fn has_hit(sender: &Sender, cookie: &str) -> bool {
    let request = sender.http.get(format!("{}/api/users/search", sender.url));
    let request = request.query(&[("q", cookie)]).bearer_auth(&sender.bearer);
    let found: Value = request.send().await.unwrap().json().await.unwrap();
    found["complete"] == true && found["total"].as_u64().is_some_and(|total| total > 0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::make(folder.path()) else {
        // The next test fills files instead, which everybody may.
        println!("no file system can be mounted here");
        return;
    };
    let server = Server::start(folder.path()).await;
    outlive(folder.path(), server, || disk.remount("size=200m")).await;
}

/// A limit of the length of files is a disk that is full to the engine.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_not_grow_are_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let log = fs::read_dir(folder.path().join("cdp/wal")).unwrap();
    let longest = log
        .map(|file| file.unwrap().metadata().unwrap().len())
        .max()
        .unwrap();
    let most = longest + 300_000;
    // What must fit for the disk to have room is longer than that.
    assert!(most < 1024 * 1024, "{most}");
    let id = server.id();
    limit_files(&id, &most.to_string());
    outlive(folder.path(), server, || limit_files(&id, "unlimited")).await;
}

/// Says how long the files may be that a process writes.
fn limit_files(process: &str, bytes: &str) {
    let limited = Command::new("prlimit")
        .args(["--pid", process, &format!("--fsize={bytes}:")])
        .output()
        .unwrap();
    assert!(
        limited.status.success(),
        "{}",
        String::from_utf8_lossy(&limited.stderr)
    );
}

/// Starts a server that can't, and returns what it says.
async fn refusal(store: &str) -> String {
    let arguments = ["serve", "--demo", "--listen", "127.0.0.1:0", "--store", store];
    let output = run(&mut program(&arguments)).await;
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_to_is_told_at_the_start() {
    let said = refusal("surrealkv:///proc/cdp/store?sync=every").await;
    assert!(said.contains("the folder `/proc/cdp` can't be made"), "{said}");

    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::make(folder.path()) else {
        println!("no file system can be mounted here");
        return;
    };
    let server = Server::start(folder.path()).await;
    let sender = Sender::log_in(&server.url).await;
    assert_eq!(sender.send(0).await.status(), StatusCode::OK);
    server.terminate().await;
    assert!(server.ended().await.success());
    disk.remount("ro");
    let said = refusal(&store_url(folder.path())).await;
    assert!(
        said.contains("can't be opened") && said.contains("Read-only file system"),
        "{said}"
    );
    disk.remount("rw");
    let server = Server::start(folder.path()).await;
    let sender = Sender::log_in(&server.url).await;
    assert_eq!(sender.present(0).await, RECORDS);
}
