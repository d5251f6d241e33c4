//! The platform's real server over a store of its own, as an operator starts it and as its callers
//! meet it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::http::{Answer, Connection, get, post};
use super::people::{COHORT, visit};
use super::process::{Process, disk_bytes, memory_now, peak_memory};

/// The program, built by the same profile.
pub const CDP: &str = env!("CARGO_BIN_EXE_cdp");

/// Requests of an import that are under way at once, and records of each.
const IMPORTS_AT_ONCE: usize = 4;
const IMPORTED_AT_ONCE: u32 = 2_000;

/// Between two looks at whether something is done.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where a server lies, and what it is told.
pub struct Place {
    folder: TempDir,
    engine: &'static str,
    model: String,
    cache_mib: Option<u32>,
}

impl Place {
    /// An empty folder for a store of an engine.
    pub fn new(engine: &'static str, model: &str) -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        Self {
            folder,
            engine,
            model: model.to_owned(),
            cache_mib: None,
        }
    }

    /// With a cache of another size than the default.
    pub fn with_cache(mut self, mib: u32) -> Self {
        self.cache_mib = Some(mib);
        self
    }

    /// The connection string.
    pub fn url(&self) -> String {
        format!("{}://{}?sync=every", self.engine, self.store().display())
    }

    /// The folder of the store.
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("cdp")
    }

    /// The folder of the search index, which lies beside it.
    pub fn index(&self) -> PathBuf {
        self.folder.path().join("cdp-search")
    }

    /// Starts a server there, and returns when it is ready, with how long that took.
    pub async fn start(&self) -> (Server, Duration) {
        let started = Instant::now();
        let mut command = Command::new(CDP);
        let store = self.url();
        command.args(["serve", "--demo", "--listen", "127.0.0.1:0", "--store", &store]);
        if let Some(cache) = self.cache_mib {
            command.env("CDP_STORE__CACHE_MIB", cache.to_string());
        }
        let process = Process::start(told(&mut command, &self.model));
        let mut connection = Connection::open(&process.address).await;
        while connection.ask(&get("/readyz", "")).await.status != 200 {
            sleep(LOOK_EVERY).await;
        }
        let took = started.elapsed();
        (Server::of(process).await, took)
    }
}

/// What every server here is told.
pub fn told<'a>(command: &'a mut Command, model: &str) -> &'a mut Command {
    command
        .env("CDP_TELEMETRY__FILTER", "error")
        .env("CDP_CLASSIFY__MODEL", model)
        // A benchmark takes longer than a token is good for.
        .env("CDP_AUTH__TOKEN_TTL_S", "86400")
}

/// A server that is ready.
pub struct Server {
    process: Process,
    /// Of somebody who reads and defines.
    pub analyst: String,
    /// Of a program that sends records.
    pub sender: String,
}

impl Server {
    /// Takes over a process, and logs in.
    pub async fn of(process: Process) -> Self {
        let mut connection = Connection::open(&process.address).await;
        let mut tokens = Vec::new();
        for name in ["analyst", "ingest"] {
            let credentials = json!({ "username": name, "password": format!("demo-{name}") });
            let request = post(
                "/api/auth/token",
                "",
                "application/json",
                &credentials.to_string(),
            );
            // A token that is none is not looked at where nobody needs one.
            let answer = expect_success(connection.ask(&request).await).json();
            tokens.push(answer["access_token"].as_str().unwrap_or_default().to_owned());
        }
        let sender = tokens.pop().unwrap_or_default();
        Self {
            process,
            analyst: tokens.pop().unwrap_or_default(),
            sender,
        }
    }

    pub fn address(&self) -> &str {
        &self.process.address
    }

    /// Its memory now, and at its most so far, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let id = self.process.id();
        (memory_now(id), peak_memory(&id.to_string()))
    }

    /// Ends it as an operator does.
    pub fn stop(self) {
        self.process.stop();
    }

    /// Sends the first visits of people from one number to before another, and says how long the
    /// server took until all was durable.
    pub async fn import(&self, from: u32, to: u32) -> Duration {
        let started = Instant::now();
        let next = AtomicU32::new(from);
        let sending = (0..IMPORTS_AT_ONCE).map(async |_| {
            let mut connection = Connection::open(self.address()).await;
            loop {
                let first = next.fetch_add(IMPORTED_AT_ONCE, Ordering::Relaxed);
                if first >= to {
                    break;
                }
                let lines: Vec<String> = (first..to.min(first + IMPORTED_AT_ONCE))
                    .map(|person| visit(person, 0))
                    .collect();
                let kind = "application/x-ndjson";
                let request = post("/api/ingest?source=bench", &self.sender, kind, &lines.join("\n"));
                expect_success(connection.ask(&request).await);
            }
        });
        join_all(sending).await;
        started.elapsed()
    }

    /// Waits until the search index knows so many people.
    pub async fn settle(&self, people: u32) {
        while self.ask("/api/users/search?limit=1").await["total"].as_u64() < Some(u64::from(people)) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// How many are in the cohort of everybody.
    pub async fn members(&self) -> u64 {
        let page = self
            .ask(&format!("/api/cohort/users?cohort={COHORT}&limit=1"))
            .await;
        page["total"].as_u64().unwrap_or_default()
    }

    /// Defines a cohort by a rule, and waits until everybody was asked; how long that took.
    pub async fn backfill(&self, name: &str, expression: &str) -> Duration {
        let started = Instant::now();
        let rule = json!({ "name": name, "expression": expression }).to_string();
        let mut connection = Connection::open(self.address()).await;
        let request = post("/api/rules", &self.analyst, "application/json", &rule);
        let defined = expect_success(connection.ask(&request).await).json();
        let id = defined["backfill"]["id"].as_str().unwrap_or_default().to_owned();
        while self.ask(&format!("/api/backfills/{id}")).await["finished_at"].is_null() {
            sleep(LOOK_EVERY).await;
        }
        started.elapsed()
    }

    /// Asks once, as the analyst.
    pub async fn ask(&self, path: &str) -> Value {
        let mut connection = Connection::open(self.address()).await;
        expect_success(connection.ask(&get(path, &self.analyst)).await).json()
    }
}

fn expect_success(answer: Answer) -> Answer {
    let is_good = (200..300).contains(&answer.status);
    assert!(
        is_good,
        "{}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    answer
}

/// A folder's size in megabytes.
pub fn disk_mb(folder: &Path) -> f64 {
    mb(disk_bytes(folder))
}

/// Bytes as megabytes.
pub fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
