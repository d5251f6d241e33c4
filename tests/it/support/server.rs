//! [`Server`]: the real binary as a process of its own, and a client for whatever listens.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use cdp::domain::role::Role;
use reqwest::Method;
use serde_json::{Value, json};
use surrealdb::engine::any;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::people::Asked;

/// Starting takes a second or two; a server that hangs must not hang the tests.
const START_MAX: Duration = Duration::from_mins(2);

/// A command line takes as long as its server does.
const COMMAND_MAX: Duration = Duration::from_mins(2);

/// A server that was started from the built program.
pub struct Server {
    pub url: String,
    child: Child,
    /// Held, so that the server's standard output stays open.
    output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts `cdp serve --demo` over a store on disk and waits until it says where it is.
    pub async fn start(folder: &Path) -> Self {
        Self::over(&store_url(folder), &[]).await
    }

    /// The same over any store, with settings from the environment.
    pub async fn over(store: &str, settings: &[(&str, &str)]) -> Self {
        Self::of(serve(store).envs(settings.iter().copied()).stderr(Stdio::null())).await
    }

    /// The same in production, over any store and with its log in a file.
    pub async fn in_production(store: &str, settings: &[(&str, &str)], log: &Path) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--store", store]);
        Self::of(command.envs(settings.iter().copied()).stderr(log)).await
    }

    /// The same as [`Server::over`], with its log in a file.
    pub async fn logging_to(log: &Path, store: &str, settings: &[(&str, &str)]) -> Self {
        let file = File::options().append(true).create(true).open(log).unwrap();
        Self::of(serve(store).envs(settings.iter().copied()).stderr(file)).await
    }

    /// The same over a store on disk, with invented visitors in it.
    pub async fn with_people(folder: &Path, people: u32) -> Self {
        let mut command = serve(&store_url(folder));
        command.args(["--demo-people", &people.to_string()]);
        Self::of(command.stderr(Stdio::null())).await
    }

    /// Starts it by a command, and waits until it says where it is.
    pub async fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = timeout(START_MAX, announced(&mut output))
            .await
            .expect("the server starts in time");
        Self {
            url: url.expect("the server says where it is"),
            child,
            output,
        }
    }

    /// Waits until the server, which started anew of itself, says where it is now.
    pub async fn started_anew(&mut self) {
        let url = timeout(START_MAX, announced(&mut self.output)).await;
        self.url = url
            .expect("the server starts anew in time")
            .expect("the server says where it is");
    }

    /// The number of the process.
    pub fn id(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// Asks it to stop.
    pub async fn terminate(&self) {
        signal(&self.id(), "-TERM").await;
    }

    /// Waits until the process has ended by itself.
    pub async fn ended(mut self) -> ExitStatus {
        let ended = timeout(START_MAX, self.child.wait()).await;
        ended.expect("the server ends in time").unwrap()
    }

    /// Starts it over a store on disk, and kills it a moment later, wherever it is by then.
    pub async fn kill_while_starting(folder: &Path, moment: Duration) {
        let mut child = serve(&store_url(folder))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sleep(moment).await;
        child.kill().await.unwrap();
    }

    /// The most memory that the process has held at any moment, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.memory("VmHWM:")
    }

    /// The memory that it holds now, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let found = status.lines().find_map(|one| one.strip_prefix(line)).unwrap();
        let kib: u64 = found.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kib * 1024
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(mut self) {
        self.terminate().await;
        let ended = timeout(START_MAX, self.child.wait()).await;
        assert!(ended.expect("it stops in time").unwrap().success());
    }

    /// `kill -9`, and waits until the process is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Sends a signal, such as `-TERM`, to a process.
pub async fn signal(process: &str, signal: &str) {
    let sent = Command::new("kill").args([signal, process]).status().await;
    assert!(sent.unwrap().success());
}

fn serve(store: &str) -> Command {
    program(&["serve", "--demo", "--listen", "127.0.0.1:0", "--store", store])
}

/// Waits until this process has let go of the store, which happens in the background: until none of
/// its open files lies there, whichever engine's they are. And until no lock there is held: a process
/// that another test starts has copies of all open files until it is another program.
pub async fn free(folder: &Path) {
    let Ok(folder) = fs::canonicalize(folder) else {
        return;
    };
    let is_there = |file: &Path| fs::read_link(file).is_ok_and(|file| file.starts_with(&folder));
    for _ in 0..600 {
        let mut files = fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap);
        if !files.any(|file| is_there(&file.path())) && !holds_a_lock(&folder) {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the store stays open");
}

fn is_held(lock: &File) -> bool {
    match lock.try_lock() {
        // At once, and for a process that begins just now, too: closing it would let go of this copy only.
        Ok(()) => lock.unlock().is_err(),
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

/// Whether anybody holds a lock below a folder.
fn holds_a_lock(folder: &Path) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            return holds_a_lock(&path);
        }
        let is_lock = name == "LOCK" || name.to_string_lossy().ends_with(".lock");
        is_lock && File::open(&path).is_ok_and(|file| is_held(&file))
    })
}

/// Changes a store below a folder, past everything that the platform sees to, once this process has let
/// go of it, and lets go of it again.
pub async fn by_hand(folder: &Path, text: &str) {
    free(folder).await;
    let client = any::connect(store_url(folder)).await.unwrap();
    client.use_ns("cdp").use_db("cdp").await.unwrap();
    client.query(text).await.unwrap().check().unwrap();
    drop(client);
    free(folder).await;
}

/// The connection string of a store below a folder, durable before each answer. `CDP_TEST_ENGINE`
/// names another engine.
pub fn store_url(folder: &Path) -> String {
    let engine = std::env::var_os("CDP_TEST_ENGINE").unwrap_or_else(|| "surrealkv".into());
    format!("{}://{}/cdp?sync=every", engine.display(), folder.display())
}

async fn announced(output: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    while let Some(line) = output.next_line().await.unwrap() {
        if let Some((_, url)) = line.split_once("Customer Data Platform at ") {
            return Some(url.trim().to_owned());
        }
    }
    None
}

/// The built program, without settings from the environment of whoever runs the tests.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdp"));
    without_settings(&mut command);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Takes the settings of whoever runs the tests away from a command, and names the light model.
pub fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        // The model's place is the machine's, and not a setting of the test's.
        let is_setting = name.to_string_lossy().starts_with("CDP_") && name != "CDP_MODEL_DIR";
        if is_setting {
            command.env_remove(name);
        }
    }
    command.env("CDP_CLASSIFY__MODEL", super::app::MODEL)
}

/// Runs a command line to its end.
pub async fn run(command: &mut Command) -> Output {
    timeout(COMMAND_MAX, command.output())
        .await
        .expect("the command ends in time")
        .unwrap()
}

/// A token of the test user of a role, from whatever listens at `url`.
pub async fn token(client: &reqwest::Client, url: &str, role: Role) -> String {
    let login = login(client, url, role).await;
    login["access_token"].as_str().unwrap().to_owned()
}

async fn login(client: &reqwest::Client, url: &str, role: Role) -> Value {
    let credentials = json!({ "username": role.name(), "password": format!("demo-{role}") });
    let response = client
        .post(format!("{url}/api/auth/token"))
        .json(&credentials)
        .send()
        .await
        .unwrap();
    response.error_for_status().unwrap().json().await.unwrap()
}

/// Somebody who uses a server over HTTP, logged in as admin.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    bearer: String,
    refresh: String,
}

impl Client {
    pub async fn log_in(url: &str) -> Self {
        let http = reqwest::Client::new();
        let login = login(&http, url, Role::Admin).await;
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        Self {
            url: url.to_owned(),
            bearer: text("access_token"),
            refresh: text("refresh_token"),
            http,
        }
    }

    /// Sends records and returns the report, which must be one of success; none when nobody
    /// answered to the end.
    pub async fn ingest(&self, records: &Value) -> Option<Value> {
        let request = self.http.post(format!("{}/api/ingest", self.url)).json(records);
        let response = request.bearer_auth(&self.bearer).send().await.ok()?;
        let status = response.status();
        let report = response.text().await.ok()?;
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(
            (status.as_u16(), &report["status"]),
            (200, &json!("success")),
            "{report}"
        );
        Some(report)
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same caller at another server.
    pub fn at(&self, url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// Calls with a body, unless that is null; none when nobody answered to the end.
    pub async fn call(&self, method: Method, path: &str, body: &Value) -> Option<(u16, Value)> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.bearer_auth(&self.bearer).send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    /// The same, which must succeed.
    pub async fn ok(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body).await.expect("somebody answers");
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// The status of a GET.
    pub async fn status(&self, path: &str) -> u16 {
        let answer = self.call(Method::GET, path, &Value::Null).await;
        answer.expect("somebody answers").0
    }

    /// Sends an event with a write key; the status.
    pub async fn with_key(&self, path: &str, key: &str, event: &Value) -> u16 {
        let request = self.http.post(format!("{}{path}", self.url)).json(event);
        let response = request.basic_auth(key, Some("")).send().await.unwrap();
        response.status().as_u16()
    }

    /// Queues lines of JSON; returns once they are durable.
    pub async fn later(&self, lines: String) -> Value {
        let request = self.http.post(format!("{}/api/ingest", self.url)).body(lines);
        let request = request.header("content-type", "application/x-ndjson");
        let request = request.header("prefer", "respond-async");
        let response = request.bearer_auth(&self.bearer).send().await.unwrap();
        assert_eq!(response.status(), reqwest::StatusCode::ACCEPTED);
        response.json().await.unwrap()
    }

    /// Ends all sessions of the caller.
    pub async fn log_out(&self) {
        let body = json!({ "refresh_token": self.refresh });
        self.ok(Method::POST, "/api/auth/revoke", &body).await;
    }

    /// The data of a GraphQL answer, which must be free of errors.
    pub async fn graphql(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let request = self.http.post(format!("{}/graphql", self.url)).json(&body);
        let response = request.bearer_auth(&self.bearer).send().await.unwrap();
        let answer: Value = response.error_for_status().unwrap().json().await.unwrap();
        assert_eq!(answer["errors"], Value::Null, "{query}: {answer}");
        answer["data"].clone()
    }

    /// A request of the admin.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        request.bearer_auth(&self.bearer)
    }

    /// The token that it asks with.
    pub fn bearer(&self) -> &str {
        &self.bearer
    }

    /// All of `/metrics`.
    pub async fn metrics(&self) -> String {
        let response = self
            .request(reqwest::Method::GET, "/metrics")
            .send()
            .await
            .unwrap();
        response.error_for_status().unwrap().text().await.unwrap()
    }

    /// A counter of `/metrics`; zero when nothing was counted.
    pub async fn counter(&self, name: &str) -> u64 {
        let text = self.metrics().await;
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .find(|(counter, _)| *counter == name)
            .map_or(0, |(_, count)| count.parse().unwrap())
    }
}

impl Asked for Client {
    async fn asked(&self, path: &str, arguments: &[(&str, &str)]) -> Option<Value> {
        let request = self.http.get(format!("{}{path}", self.url)).query(arguments);
        let response = request.bearer_auth(&self.bearer).send().await.unwrap();
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return None;
        }
        Some(response.error_for_status().unwrap().json().await.unwrap())
    }
}
