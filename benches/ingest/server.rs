//! A real server in a process of its own, and what its users see: an import by `cdp import`, and
//! how long a lookup takes meanwhile.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::process::{Process, peak_memory};
use super::road::url;

/// The program, built by the same profile.
const CDP: &str = env!("CARGO_BIN_EXE_cdp");

/// Lookups a second. Each is sent when it is due, whether or not those before it were answered,
/// and its time counts from when it was due: a server that stalls must not slow its own clock.
const LOOKUPS_PER_SECOND: u32 = 200;

/// A running server; ends with this value.
pub struct Server {
    process: Process,
    url: String,
}

impl Server {
    /// Starts a demo over an empty store in a folder.
    pub fn start(folder: &Path) -> Self {
        let store = url(folder);
        let process = Process::start(
            Command::new(CDP)
                .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--store", &store])
                .stderr(Stdio::null())
                .env("CDP_TELEMETRY__FILTER", "warn"),
        );
        let url = format!("http://{}", process.address);
        Self { process, url }
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
        peak_memory(&self.process.id().to_string())
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
