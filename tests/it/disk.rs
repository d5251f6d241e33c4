//! A disk that is full, or can't be written to: whoever sends is told so, reads go on, nothing
//! acknowledged is lost, and once there is room enough the server starts anew by itself.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use cdp::domain::role::Role;
use cdp::services::write_keys::DEMO_KEYS;
use rand::Rng as _;
use rand::distr::{Alphanumeric, SampleString as _};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::support::root;
use crate::support::server::{Server, program, run, store_url, token};

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(2);

/// How many records are sent at once, each with so much that can't be packed.
const RECORDS: usize = 20;
const NOTE_BYTES: usize = 2_000;

/// After so many requests every small disk is full.
const REQUESTS_MAX: usize = 2_000;

/// Before which request a disk turns read-only, or amid it.
const TURNING: usize = 5;

/// A request takes some milliseconds; a disk that turns read-only amid one does so within these.
const TURNING_MS_MAX: u64 = 30;

/// How long the older part of a log is, which a start writes once more: longer than
/// [`TOO_LITTLE`] makes room for.
const OLDER_LOG_BYTES: u64 = 3 * 1024 * 1024;

/// What a small disk is made larger to: by 2 MiB, and by all that a start takes.
const TOO_LITTLE: &str = "size=10m";
const ENOUGH: &str = "size=200m";

/// How often, and how long apart, is looked whether a server stays. It looks for room each second,
/// and one that starts anew is gone from where it was.
const LOOKS: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What the log says of too little room.
const TOLD_OF_ROOM: &str = "MiB fit on the store's disk";

/// What is said of a disk, and why nothing is stored.
const FULL: &str = "the store's disk is full: nothing is stored until there is room";
const READ_ONLY: &str = "the store's disk is read-only: nothing is stored until it can be written to";

/// A file system in memory, a few MiB large. Only an administrator of the machine may make one.
struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// None where no file system can be mounted, which is told.
    fn make(folder: &Path, untested: &str) -> Option<Self> {
        if mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"], folder) {
            return Some(Self {
                folder: folder.to_owned(),
            });
        }
        // Past the harness, which keeps to itself what is printed by tests that pass.
        let told = format!("NOT TESTED, since no file system can be mounted here: {untested}\n");
        io::stderr().write_all(told.as_bytes()).unwrap();
        None
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

/// A disk that turns read-only for one server while it runs, which everybody may do to it: see
/// `tests/fixtures/read_only.c`.
struct Switch {
    /// Of the shim and the marker.
    place: TempDir,
}

impl Switch {
    fn make() -> Self {
        let switch = Self {
            place: tempfile::tempdir().unwrap(),
        };
        let source = root().join("tests/fixtures/read_only.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&switch.shim(), &source])
            .arg("-ldl")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{said}");
        switch
    }

    fn shim(&self) -> PathBuf {
        self.place.path().join("read_only.so")
    }

    fn marker(&self) -> PathBuf {
        self.place.path().join("is_read_only")
    }

    /// Starts a server over a folder of that disk. It stays on it when it starts anew.
    async fn server(&self, folder: &Path) -> Server {
        let (shim, marker) = (self.shim(), self.marker());
        let settings = [
            ("LD_PRELOAD", shim.to_str().unwrap()),
            ("READ_ONLY_FOLDER", folder.to_str().unwrap()),
            ("READ_ONLY_MARKER", marker.to_str().unwrap()),
        ];
        Server::over(&store_url(folder), &settings).await
    }
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

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.bearer)
    }

    fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        self.ask(Method::POST, path).json(body)
    }

    /// A request of a sender with a write key.
    fn post_with_key(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        request.basic_auth(DEMO_KEYS[1].1, Some(""))
    }

    async fn status(&self, path: &str) -> StatusCode {
        self.ask(Method::GET, path).send().await.unwrap().status()
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

/// An answer that says what is wrong with the disk, and no more.
async fn check_refused(answer: reqwest::Response, told: &str) {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (status, &body["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("unavailable")),
        "{body}"
    );
    assert!(headers.contains_key("retry-after") && headers.contains_key("x-request-id"));
    assert_eq!(body["error"]["message"], told);
}

/// Of requests that are numbered from 0 on: which were acknowledged, and how many were sent.
struct Sent {
    acknowledged: Vec<usize>,
    sent: usize,
}

/// Sends until the disk refuses, after so many requests that were acknowledged before, and calls
/// `before` before each request.
async fn fill(sender: &Sender, told: &str, earlier: usize, before: impl Fn(usize)) -> Sent {
    let mut acknowledged: Vec<_> = (0..earlier).collect();
    for request in earlier..REQUESTS_MAX {
        before(request);
        let answer = sender.send(request).await;
        if answer.status() != StatusCode::OK {
            check_refused(answer, told).await;
            return Sent {
                acknowledged,
                sent: request + 1,
            };
        }
        acknowledged.push(request);
    }
    panic!("the disk takes everything");
}

/// Whoever writes is told the same, by whichever door, and so is who asks whether all is well.
async fn check_doors(sender: &Sender, told: &str) {
    let record = json!({ "cookie": "queued" });
    let credentials = json!({ "username": "admin", "password": "demo-admin" });
    let rule = json!({ "name": "Adults", "expression": "profile.age >= 18" });
    let webhook = json!({ "name": "told", "url": "https://hooks.example.com/told" });
    let looked = json!({ "event": "Looked", "anonymousId": "tracked" });
    let visit = json!({ "batch": [{ "type": "page", "anonymousId": "collected" }] });
    let queued = sender.post("/api/ingest", &record);
    for request in [
        queued.header("prefer", "respond-async"),
        sender.post("/api/auth/token", &credentials),
        sender.post("/api/rules", &rule),
        sender.post("/api/webhooks", &webhook),
        sender.ask(Method::DELETE, &format!("/api/user?cookie={}", cookie(0, 0))),
        sender.post_with_key("/v1/track", &looked),
        sender.post_with_key("/collect", &visit),
        sender.ask(Method::GET, "/readyz"),
    ] {
        check_refused(request.send().await.unwrap(), told).await;
    }
    let mutation = json!({ "query": "mutation { ingest(records: [{ cookie: \"mutated\" }]) { status } }" });
    let answer = sender.post("/graphql", &mutation).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let error = &answer["errors"][0];
    assert_eq!(
        (&error["message"], &error["extensions"]["code"]),
        (&json!(told), &json!("unavailable")),
        "{answer}"
    );
}

/// Sends until a disk refuses, which is said in these words, and calls `before` before each request.
/// Sees how the server fares, and how it goes on once `mend` was called.
async fn outlive(folder: &Path, server: Server, told: &str, before: impl Fn(usize), mend: impl FnOnce()) {
    let sender = Sender::log_in(&server.url).await;
    let sent = be_refused(&sender, told, 0, before).await;
    mend();
    go_on(folder, server, sent).await;
}

/// Sends until a disk refuses, and sees how the server fares then; see [`fill`].
async fn be_refused(sender: &Sender, told: &str, earlier: usize, before: impl Fn(usize)) -> Sent {
    let Sent {
        acknowledged,
        mut sent,
    } = fill(sender, told, earlier, before).await;
    assert!(acknowledged.len() > 3, "{acknowledged:?}");
    for _ in 0..3 {
        check_refused(sender.send(sent).await, told).await;
        sent += 1;
    }
    check_doors(sender, told).await;
    // Whoever reads is served.
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
    Sent { acknowledged, sent }
}

/// Sees how a server goes on whose disk was mended, and that it has all that was acknowledged.
async fn go_on(folder: &Path, mut server: Server, sent: Sent) {
    let Sent { acknowledged, sent } = sent;
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
        "{} requests acknowledged before the disk refused one",
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
    // The next test fills files instead, which everybody may.
    let Some(disk) = SmallDisk::make(folder.path(), "that a full disk is outlived") else {
        return;
    };
    let server = Server::start(folder.path()).await;
    let mend = || disk.remount(ENOUGH);
    outlive(folder.path(), server, FULL, |_| {}, mend).await;
}

/// A start settles the log: it writes once more what the older parts of it hold. A server that
/// starts anew without room for that ends, and whoever reads is not served either.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_for_a_start_serves_on_until_there_is() {
    let (folder, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let untested = "that a server without room for a start serves on";
    let Some(disk) = SmallDisk::make(folder.path(), untested) else {
        return;
    };
    let server = Server::start(folder.path()).await;
    let sender = Sender::log_in(&server.url).await;
    let mut earlier = 0;
    while log_lengths(folder.path()).iter().sum::<u64>() < OLDER_LOG_BYTES {
        assert_eq!(sender.send(earlier).await.status(), StatusCode::OK);
        earlier += 1;
    }
    // Killed, so that the log stays; the next server begins another part of it.
    server.kill().await;
    let log = place.path().join("log");
    let server = Server::logging_to(&log, &store_url(folder.path()), &[]).await;
    let sender = Sender::log_in(&server.url).await;
    let mut sent = be_refused(&sender, FULL, earlier, |_| {}).await;
    let times_told = || fs::read_to_string(&log).unwrap().matches(TOLD_OF_ROOM).count();
    let is_told = async {
        while times_told() == 0 {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(LONGEST, is_told)
        .await
        .expect("it is said how much room is needed");

    disk.remount(TOO_LITTLE);
    for _ in 0..LOOKS {
        sleep(LOOK_EVERY).await;
        assert_eq!(sender.status("/api/cohorts").await, StatusCode::OK);
        assert_eq!(sender.present(0).await, RECORDS);
    }
    check_refused(sender.send(sent.sent).await, FULL).await;
    sent.sent += 1;
    assert_eq!(times_told(), 1);

    disk.remount(ENOUGH);
    go_on(folder.path(), server, sent).await;
}

/// How long the parts of a store's log are.
fn log_lengths(folder: &Path) -> Vec<u64> {
    let log = fs::read_dir(folder.join("cdp/wal")).unwrap();
    log.map(|file| file.unwrap().metadata().unwrap().len()).collect()
}

/// A limit of the length of files is a disk that is full to the engine.
#[tokio::test(flavor = "multi_thread")]
async fn files_that_may_not_grow_are_outlived() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let longest = log_lengths(folder.path()).into_iter().max().unwrap();
    let most = longest + 300_000;
    // What is written to see whether the disk takes it is longer than that.
    assert!(most < 1024 * 1024, "{most}");
    let id = server.id();
    limit_files(&id, &most.to_string());
    let mend = || limit_files(&id, "unlimited");
    outlive(folder.path(), server, FULL, |_| {}, mend).await;
}

/// Lets a disk turn read-only, as `turn` does with its marker, and be mended.
async fn outlive_read_only(turn: impl Fn(PathBuf)) {
    let (switch, folder) = (Switch::make(), tempfile::tempdir().unwrap());
    // As the system names what is open.
    let folder = folder.path().canonicalize().unwrap();
    let server = switch.server(&folder).await;
    let before = |request: usize| {
        if request == TURNING {
            turn(switch.marker());
        }
    };
    let mend = || fs::remove_file(switch.marker()).unwrap();
    outlive(&folder, server, READ_ONLY, before, mend).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_between_two_requests_is_outlived() {
    outlive_read_only(|marker| fs::write(marker, "").unwrap()).await;
}

/// By then the log may hold half of what the request writes, or all of it without being told so.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_turns_read_only_amid_a_request_is_outlived() {
    outlive_read_only(|marker| {
        let moment = Duration::from_millis(rand::rng().random_range(0..TURNING_MS_MAX));
        println!("read-only {moment:?} after a request began");
        thread::spawn(move || {
            thread::sleep(moment);
            fs::write(marker, "").unwrap();
        });
    })
    .await;
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
    let untested = "that a start over a disk that is read-only says so";
    let Some(disk) = SmallDisk::make(folder.path(), untested) else {
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
