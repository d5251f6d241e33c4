//! [`Replica`]: a server that shares its store with others, and can be killed; and what must hold
//! of two of them, whether the store is a SurrealDB server's or in this process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cdp::app::App;
use cdp::config::Config;
use cdp::store::Store;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::people::{Asked, Record, Walk, check_cohorts, check_people, people_of, to_json};
use super::receiver::Receiver;
use super::server::{Client, Server};

/// Longer than anything here takes: a lease runs out within ten seconds.
const PATIENCE: Duration = Duration::from_mins(4);

/// Clients of each server.
const WRITERS: usize = 12;

/// So many requests of a client are about the same people.
const REQUESTS_OF_A_GENERATION: u64 = 6;

/// Rows of the payload that is queued, people of the backfill.
const ROWS: usize = 3_000;

/// A server that shares its store.
pub enum Replica {
    /// A process.
    Process(Server),
    /// Threads of this process.
    Here(Here),
}

/// A server with a runtime of its own: what ends with that ends like a process that is killed,
/// wherever it is.
pub struct Here {
    url: String,
    runtime: Option<Runtime>,
}

impl Drop for Here {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Replica {
    /// Starts one in this process, over a store in memory.
    pub async fn here(config: &Config, store: &Store) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        // At once, since a runtime can't be dropped where others run.
        let mut here = Here {
            url: String::new(),
            runtime: Some(runtime.unwrap()),
        };
        let (config, store) = (config.clone(), store.shared());
        let (bound, address) = oneshot::channel();
        here.runtime.as_ref().unwrap().spawn(async move {
            // Each has a classifier of its own: it is taught something, and hears of it by the store.
            let app = App::build_over(&config, store, None).await.unwrap();
            let report = move |address| bound.send(address).unwrap();
            let stop = std::future::pending();
            app.serve(&config.api.listen, report, stop).await.unwrap();
        });
        let address = timeout(PATIENCE, address).await.unwrap().unwrap();
        here.url = format!("http://{address}");
        Self::Here(here)
    }

    pub fn url(&self) -> &str {
        match self {
            Self::Process(server) => &server.url,
            Self::Here(here) => &here.url,
        }
    }

    /// Ends it at once, wherever it is.
    pub async fn kill(self) {
        match self {
            Self::Process(server) => server.kill().await,
            Self::Here(here) => drop(here),
        }
    }
}

/// Waits until something is so.
pub async fn soon<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

/// How many members a cohort has, as a server knows it; none where it knows no such cohort.
async fn size(client: &Client, cohort: &str) -> Option<u64> {
    let page = client.asked("/api/cohort/users", &[("cohort", cohort)]).await?;
    page["total"].as_u64()
}

async fn is_found(client: &Client, word: &str) -> bool {
    let hits = client.asked("/api/users/search", &[("q", word)]).await.unwrap();
    hits.to_string().contains(word)
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// What is done on one server is so on the other one a moment later: members, search, cohorts,
/// corrections, keys, sessions, suppressions, erasures.
pub async fn check_each_sees_the_other(one: &Client, other: &Client) {
    one.ingest(&json!([{
        "cookie": "seen-1", "email": "zebulon@shop.example", "first_name": "Zebulon",
        "age": 41, "interests": ["basketball"],
    }]))
    .await
    .unwrap();
    let before = size(one, "sports").await;
    assert!(before >= Some(1), "{before:?}");
    soon("the other server lists a member", || async {
        size(other, "sports").await == before
    })
    .await;
    soon("the other server finds somebody", || is_found(other, "Zebulon")).await;

    let wish = json!({ "name": "Grown Ups", "expression": "profile.age >= 40" });
    other.ok(Method::POST, "/api/cohorts", &wish).await;
    soon("a cohort of the other server has its members", || async {
        size(one, "grown-ups").await == Some(1)
    })
    .await;
    one.ingest(&json!([{ "cookie": "seen-2", "age": 52 }]))
        .await
        .unwrap();
    soon("who enters it on the one is listed by the other", || async {
        size(other, "grown-ups").await == Some(2)
    })
    .await;

    let judged = || async {
        let asked = json!({ "texts": ["zorbliness"] });
        let answer = other.ok(Method::POST, "/api/classify", &asked).await;
        answer["results"][0]["cohorts"].clone()
    };
    assert_ne!(judged().await, json!(["Gaming"]));
    let corrected = json!({ "interest": "zorbliness", "cohorts": ["Gaming"] });
    one.ok(Method::PUT, "/api/corrections", &corrected).await;
    soon("the other server judges by a correction", || async {
        judged().await == json!(["Gaming"])
    })
    .await;

    check_keys_and_sessions(one, other).await;

    let whom = json!({ "cookie": "seen-2", "reason": "objected" });
    one.ok(Method::POST, "/api/suppressions", &whom).await;
    soon("the other server refuses who is suppressed", || async {
        let (_, report) = other
            .call(Method::POST, "/api/ingest", &json!([{ "cookie": "seen-2" }]))
            .await
            .unwrap();
        report["records_rejected"] == 1
    })
    .await;

    one.ok(
        Method::DELETE,
        "/api/user?cookie=seen-1&reason=asked%20for",
        &Value::Null,
    )
    .await;
    soon("the other server lists nobody who was erased", || async {
        size(other, "grown-ups").await == Some(1) && !is_found(other, "Zebulon").await
    })
    .await;
}

async fn check_keys_and_sessions(one: &Client, other: &Client) {
    let wish = json!({ "source": "till", "kind": "server" });
    let made = one.ok(Method::POST, "/api/write-keys", &wish).await;
    let (key, id) = (text(&made["text"]), text(&made["write_key"]["id"]));
    let is_good = || async {
        let event = json!({ "userId": "till-1", "traits": { "age": 30 } });
        other.with_key("/v1/identify", &key, &event).await == 200
    };
    soon("the other server takes a new write key", is_good).await;
    one.ok(Method::DELETE, &format!("/api/write-keys/{id}"), &Value::Null)
        .await;
    soon("and no more once it is revoked", || async { !is_good().await }).await;

    let session = Client::log_in(one.url()).await;
    let elsewhere = session.at(other.url());
    assert_eq!(elsewhere.status("/api/cohorts").await, 200);
    session.log_out().await;
    soon("the other server refuses a session that was ended", || async {
        elsewhere.status("/api/cohorts").await == 401
    })
    .await;
}

/// Clients of both servers write; one is killed in mid-load, and its clients go on at the other
/// one. Nothing that was acknowledged is lost, and the people are the oracle's.
pub async fn check_a_kill_in_mid_load([one, other]: [Replica; 2], seed: u64, requests: u64) {
    let clients = [Client::log_in(one.url()).await, Client::log_in(other.url()).await];
    let answered = Arc::new(Semaphore::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..2 * WRITERS {
        let mine = [clients[writer % 2].clone(), clients[(writer + 1) % 2].clone()];
        writers.spawn(write(mine, seed, writer, requests, Arc::clone(&answered)));
    }
    let mut sent: Vec<Record> = Vec::new();
    // A quarter of all, so that nobody is near the end.
    let some = u32::try_from(2 * WRITERS as u64 * requests / 4).unwrap();
    let some = timeout(PATIENCE, answered.acquire_many(some)).await;
    some.expect("they are answered").unwrap().forget();
    one.kill().await;
    let mut went_over = 0;
    while let Some(written) = writers.join_next().await {
        let (records, moves) = written.unwrap();
        sent.extend(records);
        went_over += moves;
    }
    println!(
        "{} records; {went_over} clients went over to the other server",
        sent.len()
    );
    assert!(went_over > 0, "the server was killed after the load");
    let survivor = &clients[1];
    let expected = people_of(&sent);
    let people = check_people(survivor, &expected).await;
    // The last commits of the dead server are in the rosters a moment later.
    soon("the rosters of the survivor are complete", || async {
        let mut is_so = true;
        let cohorts = survivor.asked("/api/cohorts", &[]).await.unwrap();
        for cohort in cohorts["cohorts"].as_array().unwrap() {
            let is_in = |person: &&Value| person["cohorts"].as_array().unwrap().contains(&cohort["name"]);
            is_so &= cohort["size"] == people.iter().filter(is_in).count();
        }
        is_so
    })
    .await;
    check_cohorts(survivor, &people).await;
}

/// Sends one client's requests, one after the other, going over to the other server where nobody
/// answers; returns what it sent, and whether it went over.
async fn write(
    mut servers: [Client; 2],
    seed: u64,
    writer: usize,
    requests: u64,
    answered: Arc<Semaphore>,
) -> (Vec<Record>, usize) {
    let mut walk = Walk::new(seed, writer);
    let (mut sent, mut moves) = (Vec::new(), 0);
    for request in 0..requests {
        let records = walk.request(&format!("k{}", request / REQUESTS_OF_A_GENERATION));
        let body = to_json(&records);
        loop {
            match servers[0].call(Method::POST, "/api/ingest", &body).await {
                Some((200, report)) if report["status"] == "success" => break,
                // It stops, or there are too many writers at once.
                Some((503, _)) => sleep(Duration::from_millis(50)).await,
                Some(answer) => panic!("{answer:?}"),
                None => {
                    servers.reverse();
                    moves += 1;
                    assert!(moves <= 1, "nobody answers any more");
                }
            }
        }
        answered.add_permits(1);
        sent.extend(records);
    }
    (sent, moves)
}

/// What a server had in hand when it was killed is brought to its end by the other: a payload that
/// was queued, a backfill, a webhook.
pub async fn check_a_takeover([dies, survives]: [Replica; 2]) {
    let one = Client::log_in(dies.url()).await;
    let rest = Client::log_in(survives.url()).await;
    let people: Vec<Value> = (0..ROWS / 2)
        .map(|number| json!({ "cookie": format!("b-{number}"), "age": number % 100 }))
        .collect();
    one.ingest(&Value::from(people)).await.unwrap();
    let receiver = Receiver::start(|_| 200).await;
    let wish = json!({
        "name": "takeover", "url": receiver.url(), "cursor": "0", "kinds": ["profile.changed"],
    });
    one.ok(Method::POST, "/api/webhooks", &wish).await;
    receiver.until(1).await;
    let wish = json!({ "name": "Halves", "expression": "profile.age < 50" });
    let backfill = one.ok(Method::POST, "/api/cohorts", &wish).await;
    let backfill = text(&backfill["backfill"]["id"]);
    let line = |number| format!("{{\"cookie\":\"q-{number}\",\"age\":{}}}\n", number % 100);
    let queued = one.later((0..ROWS).map(line).collect()).await;
    let batch = format!("/api/ingest/{}", text(&queued["batch_id"]));
    dies.kill().await;

    soon("the other server works the payload off", || async {
        rest.asked(&batch, &[]).await.unwrap()["finished"] == true
    })
    .await;
    let standing = rest.asked(&batch, &[]).await.unwrap();
    assert_eq!(
        (&standing["status"], &standing["records_processed"]),
        (&json!("finished"), &json!(ROWS)),
        "{standing}"
    );
    for number in (0..ROWS).step_by(97) {
        let cookie = format!("q-{number}");
        let found = rest.asked("/api/user", &[("cookie", &cookie)]).await;
        assert!(found.is_some(), "lost: {cookie}");
    }
    soon("the other server brings the backfill to its end", || async {
        let path = format!("/api/backfills/{backfill}");
        !rest.asked(&path, &[]).await.unwrap()["finished_at"].is_null()
    })
    .await;
    let expected = (ROWS / 2 + ROWS) as u64 / 2;
    soon("everybody is where they belong", || async {
        size(&rest, "halves").await == Some(expected)
    })
    .await;
    let told = changed_people(&rest).await;
    receiver
        .until_that(|letters| {
            let heard: BTreeSet<String> = (letters.iter())
                .map(|letter| letter.json()["data"]["profile_id"].to_string())
                .collect();
            heard.len() >= told
        })
        .await;
    assert!(rest.counter("cdp_leases_taken_over_total").await >= 1);
}

/// How many people the feed names as changed.
async fn changed_people(client: &Client) -> usize {
    let (mut people, mut cursor) = (BTreeSet::new(), "0".to_owned());
    loop {
        let arguments = [
            ("cursor", cursor.as_str()),
            ("kinds", "profile.changed"),
            ("limit", "1000"),
        ];
        let page = client.asked("/api/changes", &arguments).await.unwrap();
        let changes = page["changes"].as_array().unwrap();
        people.extend(changes.iter().map(|change| change["profile_id"].to_string()));
        let next = text(&page["next_cursor"]);
        if changes.is_empty() && next == cursor {
            return people.len();
        }
        cursor = next;
    }
}

/// Records of people whom nobody else names, in requests of a thousand, and then lookups of them,
/// by eight callers of each server: how many a second, printed.
pub async fn measure(urls: &[&str]) {
    const CALLERS: usize = 8;
    const REQUESTS: usize = 5;
    const ROWS: usize = 1_000;
    const LOOKUPS: usize = 400;
    let mut clients = Vec::new();
    for url in urls {
        clients.push(Client::log_in(url).await);
    }
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS * clients.len() {
        let client = clients[caller % clients.len()].clone();
        callers.spawn(async move {
            for request in 0..REQUESTS {
                let row = |row| person(caller, request * ROWS + row);
                let rows: Vec<Value> = (0..ROWS).map(row).collect();
                client.ingest(&Value::from(rows)).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    let records = CALLERS * clients.len() * REQUESTS * ROWS;
    let each = records as f64 / start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS * clients.len() {
        let client = clients[caller % clients.len()].clone();
        callers.spawn(async move {
            for lookup in 0..LOOKUPS {
                let cookie = cookie(caller, lookup * 7 % (REQUESTS * ROWS));
                let found = client.asked("/api/user", &[("cookie", &cookie)]).await;
                assert!(found.is_some(), "{cookie}");
            }
        });
    }
    callers.join_all().await;
    let lookups = CALLERS * clients.len() * LOOKUPS;
    println!(
        "{} servers: {each:.0} records/s of {records}, {:.0} lookups/s",
        urls.len(),
        lookups as f64 / start.elapsed().as_secs_f64()
    );
}

fn cookie(caller: usize, number: usize) -> String {
    format!("measured-{caller}-{number}")
}

fn person(caller: usize, number: usize) -> Value {
    json!({
        "cookie": cookie(caller, number),
        "email": format!("someone.{caller}.{number}@shop.example"),
        "first_name": "Grace", "age": number % 90, "city": "London",
        "interests": ["cricket", "sushi"],
    })
}
