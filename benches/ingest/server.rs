//! A real server in a process of its own, and what its users see: an import by `cdp import`, and
//! how long a lookup takes meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::road::url;

/// The program, built by the same profile.
const CDP: &str = env!("CARGO_BIN_EXE_cdp");

/// Lookups a second. Each is sent when it is due, whether or not those before it were answered,
/// and its time counts from when it was due: a server that stalls must not slow its own clock.
const LOOKUPS_PER_SECOND: u32 = 200;

/// A running server; ends with this value.
pub struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts a demo over an empty store in a folder.
    pub fn start(folder: &Path) -> Self {
        let child = Command::new(CDP)
            .args([
                "serve",
                "--demo",
                "--listen",
                "127.0.0.1:0",
                "--store",
                &url(folder),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env("CDP_TELEMETRY__FILTER", "warn")
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("can't run {CDP}: {error}"));
        let stdout = child.stdout.take().map(BufReader::new);
        let mut lines = stdout.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        let url = lines.find_map(|line| Some(format!("http://{}", line.split_once(" at http://")?.1.trim())));
        let url = url.unwrap_or_else(|| panic!("the server did not start"));
        // It may say more, and must not wait for somebody to hear it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// Imports a file as a user does, and says how long it took.
    pub fn import(&self, file: &Path) -> Duration {
        let started = Instant::now();
        let status = Command::new(CDP)
            .args(["import", "--url", &self.url, "--username", "ingest"])
            .arg(file)
            .env("CDP_PASSWORD", "demo-ingest")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the import failed");
        started.elapsed()
    }

    /// The most memory that the server ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        peak_memory(&self.child.id().to_string())
    }

    /// A client that asks who people are.
    pub async fn visitor(&self) -> Visitor {
        let client = Client::new();
        let credentials = json!({ "username": "viewer", "password": "demo-viewer" });
        let token = async {
            let request = client
                .post(format!("{}/api/auth/token", self.url))
                .json(&credentials);
            request.send().await?.json::<Value>().await
        };
        let token = token
            .await
            .unwrap_or_else(|error| panic!("can't log in: {error}"));
        Visitor {
            client,
            url: format!("{}/api/user", self.url),
            token: token["access_token"].as_str().unwrap_or_default().to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody who looks people up, over connections that are kept.
#[derive(Clone)]
pub struct Visitor {
    client: Client,
    url: String,
    token: String,
}

impl Visitor {
    /// Looks up one cookie after another at a steady rate until `done`; the times of all answers,
    /// shortest first.
    pub async fn look_up(&self, cookies: Arc<Vec<String>>, done: impl Future<Output = ()>) -> Vec<Duration> {
        let mut tick = interval(Duration::from_secs(1) / LOOKUPS_PER_SECOND);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut lookups = Vec::new();
        let mut done = std::pin::pin!(done);
        loop {
            let due = tokio::select! {
                due = tick.tick() => due,
                () = &mut done => break,
            };
            let (visitor, cookies) = (self.clone(), Arc::clone(&cookies));
            let at = lookups.len().wrapping_mul(2_654_435_761) % cookies.len();
            lookups.push(tokio::spawn(async move {
                visitor.one(&cookies[at]).await;
                due.elapsed()
            }));
        }
        let mut times = Vec::with_capacity(lookups.len());
        for lookup in lookups {
            times.push(
                lookup
                    .await
                    .unwrap_or_else(|error| panic!("a lookup failed: {error}")),
            );
        }
        times.sort_unstable();
        times
    }

    /// The same for a while.
    pub async fn look_up_for(&self, cookies: Arc<Vec<String>>, seconds: u64) -> Vec<Duration> {
        let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
        self.look_up(cookies, sleep_until(end)).await
    }

    async fn one(&self, cookie: &str) {
        let request = self
            .client
            .get(&self.url)
            .query(&[("cookie", cookie)])
            .bearer_auth(&self.token);
        let answered = async { request.send().await?.error_for_status()?.bytes().await };
        answered
            .await
            .map_or_else(|error| panic!("a lookup failed: {error}"), drop);
    }
}

/// The most memory that a process of Linux ever had, in bytes; `self` is this one.
pub fn peak_memory(process: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0_u64) * 1024
}

/// The size of a folder with all in it, in bytes.
pub fn disk_bytes(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
