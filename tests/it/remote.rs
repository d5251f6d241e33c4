//! Two servers over one SurrealDB server: whichever of them the clients write to, both give the
//! people of the oracle, as one server would; and when one is killed, the other goes on with what
//! it had in hand. When SurrealDB itself is killed, both wait for it. `make test-remote` runs this;
//! `cluster` is the same without a SurrealDB server.
//!
//! `REQUESTS=500` sends more, `SEED=…` sends the same again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::cluster::{
    Replica, check_a_kill_in_mid_load, check_a_takeover, check_each_sees_the_other, measure, soon,
};
use crate::support::environment;
use crate::support::people::{Asked, Record, Walk, check_cohorts, check_people, people_of, to_json};
use crate::support::server::{Client, Server};

/// Cohorts of a new demo, by interest and by rule.
const SEEDED: usize = 18;

/// Clients of each server.
const WRITERS: usize = 32;

/// Requests of each, unless the environment says how many.
const REQUESTS: u64 = 24;

/// So many requests of a client are about the same people.
const REQUESTS_OF_A_GENERATION: u64 = 6;

/// How long a SurrealDB server may take until it listens.
const START_MAX: Duration = Duration::from_secs(30);

/// Longer than a lease of a server that can't renew it, and than six tries of a queued payload.
const AWAY_FOR: Duration = Duration::from_secs(40);

/// How soon whoever asks is told that SurrealDB is away: it is given a few seconds to answer.
const TOLD_WITHIN: Duration = Duration::from_secs(15);

/// Clients that write on while SurrealDB is away.
const STUBBORN: usize = 8;

/// What they wait before they try again.
const STUBBORN_PAUSE: Duration = Duration::from_millis(500);

/// Rows of a payload that is worked off in the midst of which SurrealDB is killed.
const QUEUED_ROWS: usize = 20_000;

const USERNAME: &str = "root";
const PASSWORD: &str = "a password of the tests";

/// How a server logs in to its store.
const SETTINGS: [(&str, &str); 2] = [
    ("CDP_STORE__USERNAME", USERNAME),
    ("CDP_STORE__PASSWORD", PASSWORD),
];

/// A SurrealDB server with a store on disk: one in memory takes time that grows with the square of
/// the rows of a transaction.
struct Surreal {
    url: String,
    address: SocketAddr,
    folder: tempfile::TempDir,
    child: Child,
}

impl Surreal {
    /// Starts the program that `CDP_TEST_SURREAL` names, and waits until it listens.
    async fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: format!("ws://{address}"),
            child: Self::listening(address, folder.path()).await,
            address,
            folder,
        }
    }

    async fn listening(address: SocketAddr, folder: &Path) -> Child {
        let program = std::env::var_os("CDP_TEST_SURREAL").expect("`make test-remote` says which program");
        let store = format!("surrealkv://{}/store", folder.display());
        let child = Command::new(program)
            .args([
                "start",
                "--no-banner",
                "--log",
                "error",
                "--bind",
                &address.to_string(),
            ])
            .args(["--username", USERNAME, "--password", PASSWORD, &store])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(START_MAX, listens)
            .await
            .expect("SurrealDB starts in time");
        child
    }

    /// `kill -9`, and waits until the process is gone.
    async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it again where it was, with what it had.
    async fn start_again(&mut self) {
        self.child = Self::listening(self.address, self.folder.path()).await;
    }

    async fn serve(&self) -> Server {
        Server::over(&self.url, &SETTINGS).await
    }

    /// Two, of which the first one is alone at first, and so has every job.
    async fn two(&self) -> [Replica; 2] {
        let one = Replica::Process(self.serve().await);
        [one, Replica::Process(self.serve().await)]
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_two_servers_over_one_store_give_the_people_of_the_oracle() {
    let surreal = Surreal::start().await;
    // At once, so that they meet over the schema, the cohorts and the users.
    let (one, other) = tokio::join!(surreal.serve(), surreal.serve());
    let clients = [Client::log_in(&one.url).await, Client::log_in(&other.url).await];
    let seed = environment("SEED").unwrap_or_else(rand::random);
    let requests = environment("REQUESTS").unwrap_or(REQUESTS);
    println!("SEED={seed} REQUESTS={requests}");

    let start = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..2 * WRITERS {
        writers.spawn(write(clients[writer % 2].clone(), seed, writer, requests));
    }
    let sent: Vec<Record> = writers.join_all().await.into_iter().flatten().collect();
    let seconds = start.elapsed().as_secs_f64();
    let mut tried = 0;
    let mut conflicts = 0;
    for client in &clients {
        tried += client.counter(r#"cdp_stage_seconds_count{stage="commit"}"#).await;
        conflicts += client.counter("cdp_conflicts_total").await;
    }
    println!(
        "{} records in {} requests in {seconds:.1} s: {:.0} records/s; of {tried} transactions {conflicts} met a conflict",
        sent.len(),
        2 * WRITERS as u64 * requests,
        sent.len() as f64 / seconds
    );

    let expected = people_of(&sent);
    let people = check_people(&clients[0], &expected).await;
    assert_eq!(check_people(&clients[1], &expected).await, people);
    // Both have heard of all that the other one did.
    let third = surreal.serve().await;
    let sizes = check_cohorts(&Client::log_in(&third.url).await, &people).await;
    for client in &clients {
        soon("the rosters are complete", || async {
            let cohorts = client.asked("/api/cohorts", &[]).await.unwrap();
            let cohorts = cohorts["cohorts"].as_array().unwrap();
            cohorts
                .iter()
                .all(|cohort| cohort["size"] == sizes[cohort["slug"].as_str().unwrap()])
        })
        .await;
        check_cohorts(client, &people).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_what_one_server_does_is_so_on_the_other_a_moment_later() {
    let surreal = Surreal::start().await;
    let [one, other] = surreal.two().await;
    let clients = (Client::log_in(one.url()).await, Client::log_in(other.url()).await);
    check_each_sees_the_other(&clients.0, &clients.1).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_a_server_that_is_killed_in_mid_load_loses_nothing_that_was_acknowledged() {
    let surreal = Surreal::start().await;
    let seed = environment("SEED").unwrap_or_else(rand::random);
    let requests = environment("REQUESTS").unwrap_or(10 * REQUESTS);
    println!("SEED={seed} REQUESTS={requests}");
    check_a_kill_in_mid_load(surreal.two().await, seed, requests).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_what_a_killed_server_had_in_hand_is_brought_to_its_end_by_the_other() {
    let surreal = Surreal::start().await;
    check_a_takeover(surreal.two().await).await;
}

/// How many records and lookups a second one server and two make over one SurrealDB server: figures
/// for docs/SCALING.md, and no test of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_figures_of_one_server_and_of_two() {
    for servers in [1, 2] {
        let surreal = Surreal::start().await;
        let mut running = Vec::new();
        for _ in 0..servers {
            running.push(surreal.serve().await);
        }
        let urls: Vec<&str> = running.iter().map(|server| server.url.as_str()).collect();
        measure(&urls).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_servers_that_start_at_once_on_an_empty_store_all_serve() {
    for _ in 0..3 {
        let surreal = Surreal::start().await;
        let start = || surreal.serve();
        let servers = tokio::join!(start(), start(), start(), start());
        for server in [servers.0, servers.1, servers.2, servers.3] {
            let client = Client::log_in(&server.url).await;
            // Whichever server came first seeds them, perhaps while the others serve already.
            let seeded = async {
                while count_cohorts(&client).await < SEEDED {
                    sleep(Duration::from_millis(100)).await;
                }
            };
            timeout(START_MAX, seeded)
                .await
                .expect("all cohorts are there in time");
            assert_eq!(count_cohorts(&client).await, SEEDED);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_a_server_whose_store_is_gone_says_so() {
    let surreal = Surreal::start().await;
    let server = surreal.serve().await;
    let ready = || reqwest::get(format!("{}/readyz", server.url));
    assert_eq!(ready().await.unwrap().status(), 200);
    drop(surreal);
    assert_eq!(ready().await.unwrap().status(), 503);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a SurrealDB server: make test-remote"]
async fn remote_while_surrealdb_is_away_whoever_asks_is_told_and_nothing_is_lost() {
    let mut surreal = Surreal::start().await;
    let server = surreal.serve().await;
    let client = Client::log_in(&server.url).await;
    client.ingest(&record("before")).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for writer in 0..STUBBORN {
        writers.spawn(write_on(client.clone(), writer, Arc::clone(&is_over)));
    }
    let line = |number| format!("{{\"cookie\":\"q-{number}\",\"age\":{}}}\n", number % 100);
    let queued = client.later((0..QUEUED_ROWS).map(line).collect()).await;
    let batch = format!("/api/ingest/{}", queued["batch_id"].as_str().unwrap());
    soon("the payload is in hand", || async {
        client.asked(&batch, &[]).await.unwrap()["records_processed"].as_u64() > Some(0)
    })
    .await;

    surreal.kill().await;
    let killed = Instant::now();
    let writing = client.request(Method::POST, "/api/ingest");
    assert!(!is_done(writing.json(&record("meanwhile"))).await);
    let reading = client.request(Method::GET, "/api/user?cookie=before");
    assert!(!is_done(reading).await);
    assert!(killed.elapsed() < TOLD_WITHIN, "{:?}", killed.elapsed());
    let wish = json!({ "name": "Meanwhile", "expression": "profile.age >= 40" });
    let changing = client.request(Method::POST, "/api/cohorts").json(&wish);
    assert!(!is_done(changing).await);
    assert_eq!(client.status("/readyz").await, 503);
    sleep(AWAY_FOR).await;
    surreal.start_again().await;
    soon("the server is ready again", || async {
        client.status("/readyz").await == 200
    })
    .await;
    println!("ready again after {:.1} s", killed.elapsed().as_secs_f64());
    is_over.store(true, Ordering::Relaxed);

    let mut stored = vec!["before".to_owned(), "meanwhile".to_owned()];
    client.ingest(&record("meanwhile")).await.unwrap();
    let mut refused = 0;
    for sent in writers.join_all().await {
        stored.extend(sent.stored);
        refused += sent.refused;
    }
    println!("{} records stored, {refused} requests refused", stored.len());
    assert!(refused >= STUBBORN, "{refused}");
    for cookie in stored {
        let found = client.asked("/api/user", &[("cookie", &cookie)]).await;
        assert!(found.is_some(), "lost: {cookie}");
    }
    soon("the payload is worked off", || async {
        client.asked(&batch, &[]).await.unwrap()["finished"] == true
    })
    .await;
    let standing = client.asked(&batch, &[]).await.unwrap();
    let told = (&standing["status"], &standing["records_processed"]);
    assert_eq!(told, (&json!("finished"), &json!(QUEUED_ROWS)), "{standing}");
}

/// What became of one client's records.
#[derive(Default)]
struct Sent {
    stored: Vec<String>,
    refused: usize,
}

/// Sends one record after the other, each until it is stored, and ends with one that is.
async fn write_on(client: Client, writer: usize, is_over: Arc<AtomicBool>) -> Sent {
    let mut sent = Sent::default();
    while !is_over.load(Ordering::Relaxed) {
        let cookie = format!("s-{writer}-{}", sent.stored.len());
        let request = || client.request(Method::POST, "/api/ingest").json(&record(&cookie));
        while !is_done(request()).await {
            sent.refused += 1;
            sleep(STUBBORN_PAUSE).await;
        }
        sent.stored.push(cookie);
    }
    sent
}

fn record(cookie: &str) -> Value {
    to_json(&[Record::of_nobody_else(cookie)])
}

/// Whether a request was done; one that was not must be told when to come again, and nothing worse.
async fn is_done(request: RequestBuilder) -> bool {
    let response = request.send().await.unwrap();
    let (status, wait) = (response.status(), response.headers().get("retry-after").cloned());
    let answer = response.text().await.unwrap();
    if status.is_success() {
        return true;
    }
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    assert!(wait.is_some_and(|wait| wait != "0"), "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
    false
}

async fn count_cohorts(client: &Client) -> usize {
    let cohorts = client.asked("/api/cohorts", &[]).await.unwrap();
    cohorts["cohorts"].as_array().unwrap().len()
}

/// Sends one client's requests, one after the other, and returns what it sent.
async fn write(client: Client, seed: u64, writer: usize, requests: u64) -> Vec<Record> {
    let mut walk = Walk::new(seed, writer);
    let mut sent = Vec::new();
    for request in 0..requests {
        let generation = format!("s{}", request / REQUESTS_OF_A_GENERATION);
        let records = walk.request(&generation);
        let report = client.ingest(&to_json(&records)).await;
        assert!(report.is_some(), "nobody answered");
        sent.extend(records);
    }
    sent
}
