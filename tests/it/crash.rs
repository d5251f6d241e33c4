//! `kill -9` at any moment: no acknowledged record is lost, no request is stored by half, and
//! nobody is torn, while many clients write about the same people.
//!
//! `ROUNDS=200` kills more often; `SEED=…` repeats what was sent and how long each round waited.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::environment;
use crate::support::people::{Asked, Record, Walk, check_cohorts, check_people, people_of, to_json};
use crate::support::server::{Client, Server, program, run, store_url};

/// How often the server is killed, unless the environment says how often.
const ROUNDS: u64 = 20;

/// How many clients send at once.
const SENDERS: usize = 8;

/// The longest that a server lives once it serves, in milliseconds.
const LIFE_MS_MAX: u64 = 200;

/// The longest that a server lives which is killed while it starts; it takes about a second.
const START_MS_MAX: u64 = 1_200;

/// One request. Its first record is of a cookie that no other request names, which tells
/// whether it was stored.
#[derive(Debug, Clone)]
struct Request {
    records: Vec<Record>,
    is_acknowledged: bool,
}

impl Request {
    fn new(walk: &mut Walk, generation: &str, name: &str) -> Self {
        let mut records = vec![Record::of_nobody_else(name)];
        records.extend(walk.request(generation));
        for (number, record) in records.iter_mut().enumerate() {
            // Each its own, so that a repetition tells whether the first one was stored.
            record.message_id = Some(format!("{name}-{number}"));
        }
        Self {
            records,
            is_acknowledged: false,
        }
    }

    fn own_cookie(&self) -> &str {
        &self.records[0].cookie
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_record_is_lost_and_no_request_is_stored_by_half() {
    let rounds = environment("ROUNDS").unwrap_or(ROUNDS);
    let seed = environment("SEED").unwrap_or_else(rand::random);
    println!("SEED={seed} ROUNDS={rounds}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let mut before: Vec<Vec<Request>> = Vec::new();
    let mut unacknowledged = Vec::new();
    for round in 0..rounds {
        if random.random_bool(0.2) {
            let moment = Duration::from_millis(random.random_range(0..START_MS_MAX));
            Server::kill_while_starting(folder.path(), moment).await;
        }
        let server = Server::start(folder.path()).await;
        if let Some(requests) = before.last_mut() {
            let client = Client::log_in(&server.url).await;
            unacknowledged.extend(check(&client, requests).await);
            send_again(&client, requests).await;
        }
        let life = Duration::from_millis(random.random_range(0..LIFE_MS_MAX));
        before.push(write_and_kill(server, life, seed, round).await);
    }
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    for requests in &before {
        check(&client, requests).await;
    }
    let all: Vec<&Request> = before.iter().flatten().collect();
    let stored = unacknowledged.iter().filter(|is_stored| **is_stored).count();
    println!(
        "{} requests; of {} that were cut off before the last round, {stored} were stored",
        all.len(),
        unacknowledged.len()
    );
    assert!(all.iter().filter(|request| request.is_acknowledged).count() as u64 > rounds);
}

/// A process that is killed while it writes may leave half a record in the engine's log.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_record_in_the_log_takes_nothing_along_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["torn-1", "torn-2", "torn-3"];
    for name in names {
        let server = Server::start(folder.path()).await;
        let client = Client::log_in(&server.url).await;
        let records = to_json(&[Record::of_nobody_else(name)]);
        client.ingest(&records).await.unwrap();
        server.kill().await;
        append(&folder.path().join("cdp/wal"), &[1, 2, 3]);
    }
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    for name in names {
        let cookie = Record::of_nobody_else(name).cookie;
        let found = client.asked("/api/user", &[("cookie", &cookie)]).await;
        assert!(found.is_some(), "{name}");
    }
}

/// Half a record is cut off in a copy of the log, and that may be interrupted as well.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_record_in_the_log_whose_repair_was_cut_off_takes_nothing_along() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("cut-{number}")).collect();
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    for name in &names {
        let records = to_json(&[Record::of_nobody_else(name)]);
        client.ingest(&records).await.unwrap();
    }
    server.kill().await;
    let log = folder.path().join("cdp/wal");
    let torn = append(&log, &[9, 9, 9, 9, 0, 5, 1, 1, 2, 3, 4, 5]);
    // As a repair leaves it that came to the middle of the log. It is one for a record that is there to
    // its end and is not what its checksum says; less than a head is passed over.
    let repair = log.join("repair_temp");
    fs::create_dir(&repair).unwrap();
    let mut begun = fs::read(torn).unwrap();
    begun.truncate(begun.len() / 2);
    fs::write(repair.join(format!("{:020}.wal", 0)), begun).unwrap();
    // The log is repaired by the first start, and read as it is then by the second.
    for _ in 0..2 {
        let server = Server::start(folder.path()).await;
        let client = Client::log_in(&server.url).await;
        for name in &names {
            let cookie = Record::of_nobody_else(name).cookie;
            let found = client.asked("/api/user", &[("cookie", &cookie)]).await;
            assert!(found.is_some(), "{name}");
        }
        server.kill().await;
    }
}

/// The engine deletes the older part of its log once that is elsewhere on disk. Here it does so
/// every few hundred records.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_where_the_log_goes_on_in_a_new_segment() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_url(folder.path());
    let settings = [("CDP_STORE__WRITE_BUFFER_MIB", "2")];
    let mut names = Vec::new();
    for round in 0..3 {
        let server = Server::over(&store, &settings).await;
        let client = Client::log_in(&server.url).await;
        for request in 0..40 {
            let records: Vec<Record> = (0..50)
                .map(|number| Record::of_nobody_else(&format!("rotated-{round}-{request}-{number}")))
                .collect();
            client.ingest(&to_json(&records)).await.unwrap();
            names.extend(records.into_iter().map(|record| record.cookie));
        }
        server.kill().await;
        let doctor = run(&mut program(&["doctor", "--store", &store])).await;
        let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
        assert!(doctor.status.success(), "{said}");
    }
    let server = Server::over(&store, &settings).await;
    let client = Client::log_in(&server.url).await;
    for cookie in &names {
        let found = client.asked("/api/user", &[("cookie", cookie)]).await;
        assert!(found.is_some(), "{cookie}");
    }
}

/// Appends what is no record to a log; to which of its files.
fn append(log: &Path, bytes: &[u8]) -> PathBuf {
    let entries = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let used = entries.filter(|path| path.metadata().unwrap().len() > 0);
    let newest = used.max().unwrap();
    let mut file = OpenOptions::new().append(true).open(&newest).unwrap();
    file.write_all(bytes).unwrap();
    newest
}

/// Sends from many clients at once, kills the server, and returns what was sent.
async fn write_and_kill(server: Server, life: Duration, seed: u64, round: u64) -> Vec<Request> {
    let client = Client::log_in(&server.url).await;
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(client.clone(), seed, round, sender));
    }
    tokio::time::sleep(life).await;
    server.kill().await;
    senders.join_all().await.into_iter().flatten().collect()
}

/// Sends request after request until the server is gone.
async fn send(client: Client, seed: u64, round: u64, sender: usize) -> Vec<Request> {
    let generation = format!("r{round}");
    let mut walk = Walk::new(seed.wrapping_add(round), sender);
    let mut sent = Vec::new();
    loop {
        let name = format!("{generation}-{sender}-{}", sent.len());
        let mut request = Request::new(&mut walk, &generation, &name);
        let report = client.ingest(&to_json(&request.records)).await;
        request.is_acknowledged = report.is_some();
        sent.push(request);
        if report.is_none() {
            return sent;
        }
    }
}

/// A client that got no answer asks again. All of it had come before, or nothing had.
async fn send_again(client: &Client, requests: &mut [Request]) {
    for request in requests.iter_mut().filter(|request| !request.is_acknowledged) {
        let was_stored = presence(client, request).await.is_some();
        let report = client.ingest(&to_json(&request.records)).await.unwrap();
        let duplicates = if was_stored { request.records.len() } else { 0 };
        assert_eq!(report["duplicates"], duplicates, "{request:?}");
        request.is_acknowledged = true;
    }
}

/// What is there of a request's own cookie.
async fn presence(client: &Client, request: &Request) -> Option<Value> {
    let arguments = [("cookie", request.own_cookie()), ("include", "provenance")];
    client.asked("/api/user", &arguments).await
}

/// What was acknowledged is there in all stages, what was not is there as a whole or not at all.
/// Tells for each request that was not acknowledged whether it is there.
async fn check(client: &Client, requests: &[Request]) -> Vec<bool> {
    let (mut stored, mut cut_off) = (Vec::new(), Vec::new());
    for request in requests {
        let found = presence(client, request).await;
        assert!(found.is_some() || !request.is_acknowledged, "lost: {request:?}");
        if !request.is_acknowledged {
            cut_off.push(found.is_some());
        }
        if let Some(person) = found {
            check_raw(client, request, &person["user_profile"]).await;
            stored.extend(&request.records);
        }
    }
    let expected = people_of(stored.iter().copied());
    let people = check_people(client, &expected).await;
    check_cohorts(client, &people).await;
    check_edges(client, &stored, &people).await;
    let known: BTreeSet<&String> = expected.iter().flat_map(|person| person.cookies.keys()).collect();
    for record in requests.iter().flat_map(|request| &request.records) {
        let cookie = &record.cookie;
        if !known.contains(cookie) {
            let found = client.asked("/api/user", &[("cookie", cookie)]).await;
            assert_eq!(found, None, "stored by half");
        }
    }
    cut_off
}

/// Each record is in the raw stage as it was sent, in the block where its request's first one is.
async fn check_raw(client: &Client, request: &Request, person: &Value) {
    let (block, first) = person["provenance"][0]["raw"]
        .as_str()
        .unwrap()
        .split_once('-')
        .unwrap();
    assert_eq!(first, "0");
    for (number, record) in request.records.iter().enumerate() {
        let row = raw_row(client, &format!("{block}-{number}")).await;
        assert_eq!(row, record.to_json(), "row {number} of {request:?}");
    }
}

/// Each pair of cookie and address that was stored is an edge of its person, and each edge names
/// a row that has both.
async fn check_edges(client: &Client, stored: &[&Record], people: &[Value]) {
    const EDGES: &str = "query($id: ID!) { identityGraph(id: $id) { edges { cookie email raw } } }";
    for person in people.iter().filter(|person| person["email"].is_string()) {
        let identities = &person["identities"];
        let graph = client.graphql(EDGES, json!({ "id": identities["id"] })).await;
        let mut edges = BTreeSet::new();
        for edge in graph["identityGraph"]["edges"].as_array().unwrap() {
            let text = |name: &str| edge[name].as_str().unwrap();
            let row = raw_row(client, text("raw")).await;
            let named = row["email"].as_str().map(str::to_lowercase);
            assert_eq!(
                (row["cookie"].as_str(), named.as_deref()),
                (Some(text("cookie")), Some(text("email")))
            );
            edges.insert((text("cookie").to_owned(), text("email").to_owned()));
        }
        let emails = identities["emails"].as_array().unwrap();
        let expected = stored.iter().filter_map(|record| {
            let email = record.email.clone()?;
            let is_theirs = emails.iter().any(|one| one["email"] == email);
            is_theirs.then(|| (record.cookie.clone(), email))
        });
        assert_eq!(edges, expected.collect(), "{person}");
    }
}

/// A verbatim row, read as JSON.
async fn raw_row(client: &Client, id: &str) -> Value {
    const ROW: &str = "query($id: String!) { rawRow(id: $id) { verbatim } }";
    let found = client.graphql(ROW, json!({ "id": id })).await;
    let verbatim = found["rawRow"]["verbatim"].as_str();
    serde_json::from_str(verbatim.unwrap_or_else(|| panic!("no row {id}"))).unwrap()
}
