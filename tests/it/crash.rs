//! `kill -9` in the middle of the work: no acknowledged record is lost, and nothing is left
//! half done.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cdp::domain::role::Role;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::support::server::{Server, token};

/// How often the server is killed.
const ROUNDS: usize = 3;

/// How many send at once.
const SENDERS: usize = 4;

/// How many acknowledgements a round waits for before it kills.
const ACKNOWLEDGED: usize = 60;

/// Records of one request.
const RECORDS: usize = 5;

/// One request's records: the cookies of one person, which the address ties together.
#[derive(Debug, Clone)]
struct Sent {
    email: String,
    cookies: Vec<String>,
    acknowledged: bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn no_acknowledged_record_is_lost_and_none_is_stored_by_half() {
    let folder = tempfile::tempdir().unwrap();
    let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
    for round in 0..ROUNDS {
        let server = Server::start(folder.path()).await;
        let before = sent.lock().unwrap().clone();
        check(&server, &before).await;
        let mut senders = JoinSet::new();
        let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
        let bearer = token(&Client::new(), &server.url, Role::Ingest).await;
        for sender in 0..SENDERS {
            let name = format!("{round}-{sender}");
            let (url, bearer) = (server.url.clone(), bearer.clone());
            senders.spawn(send(url, bearer, name, Arc::clone(&sent), acknowledge.clone()));
        }
        for _ in 0..ACKNOWLEDGED {
            acknowledged
                .recv()
                .await
                .expect("the senders send until the server is gone");
        }
        server.kill().await;
        senders.join_all().await;
    }
    let server = Server::start(folder.path()).await;
    let sent = sent.lock().unwrap().clone();
    assert!(sent.iter().filter(|sent| sent.acknowledged).count() >= ROUNDS * ACKNOWLEDGED);
    check(&server, &sent).await;
}

/// A process that is killed while it writes may leave half a record in the engine's log.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_record_in_the_log_takes_nothing_along_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new();
    for round in ["before", "after", "later"] {
        let server = Server::start(folder.path()).await;
        let bearer = token(&client, &server.url, Role::Ingest).await;
        let record = json!({ "cookie": format!("torn-{round}"), "email": "torn@example.com" });
        let request = client
            .post(format!("{}/api/ingest", server.url))
            .bearer_auth(bearer)
            .json(&record);
        request.send().await.unwrap().error_for_status().unwrap();
        server.kill().await;
        append_half_a_record(&folder.path().join("cdp/wal"));
    }
    let server = Server::start(folder.path()).await;
    let bearer = token(&client, &server.url, Role::Admin).await;
    for round in ["before", "after", "later"] {
        let found = user(&client, &server, &bearer, "cookie", &format!("torn-{round}")).await;
        assert!(found.is_some(), "{round}");
    }
}

fn append_half_a_record(log: &Path) {
    let entries = fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let newest = entries
        .filter(|path| path.metadata().unwrap().len() > 0)
        .max()
        .unwrap();
    let mut file = OpenOptions::new().append(true).open(newest).unwrap();
    file.write_all(&[1, 2, 3]).unwrap();
}

/// Sends request after request until the server is gone.
async fn send(
    url: String,
    bearer: String,
    name: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    acknowledge: mpsc::UnboundedSender<()>,
) {
    let client = Client::new();
    for number in 0.. {
        let cookies: Vec<_> = (0..RECORDS)
            .map(|record| format!("crash-{name}-{number}-{record}"))
            .collect();
        // Every other request is of the person of the one before, so that some are merges.
        let email = format!("crash-{name}-{}@example.com", number / 2);
        let record =
            |cookie| json!({ "cookie": cookie, "email": email, "interests": ["cricket", "bitcoin"] });
        let records: Vec<Value> = cookies.iter().map(record).collect();
        let request = client
            .post(format!("{url}/api/ingest"))
            .bearer_auth(&bearer)
            .json(&records);
        let answer = match request.send().await {
            Ok(response) => response.error_for_status().unwrap().json::<Value>().await.ok(),
            Err(_) => None,
        };
        let is_acknowledged = answer.is_some_and(|report| report["status"] == "success");
        sent.lock().unwrap().push(Sent {
            email,
            cookies,
            acknowledged: is_acknowledged,
        });
        if !is_acknowledged {
            return;
        }
        // The test has stopped counting when it has enough.
        let _ = acknowledge.send(());
    }
}

/// What was acknowledged is there, what was not is there as a whole or not at all, and every
/// person is whole.
async fn check(server: &Server, sent: &[Sent]) {
    let client = Client::new();
    let bearer = token(&client, &server.url, Role::Admin).await;
    let mut ids = BTreeSet::new();
    for request in sent {
        let by_email = user(&client, server, &bearer, "email", &request.email).await;
        let mut present = 0;
        for cookie in &request.cookies {
            let by_cookie = user(&client, server, &bearer, "cookie", cookie).await;
            if by_cookie.is_some() {
                present += 1;
                assert_eq!(by_cookie, by_email, "{cookie}");
            }
        }
        assert!(
            present == RECORDS || !request.acknowledged && present == 0,
            "{present} of {request:?}"
        );
        if let Some(person) = by_email {
            check_whole(&person, sent);
            ids.insert(person["identities"]["id"].to_string());
        }
    }
    for slug in ["sports", "finance"] {
        let page = get(
            &client,
            server,
            &bearer,
            "/api/cohort/users",
            &[("cohort", slug), ("limit", "1")],
        )
        .await;
        assert_eq!(page.unwrap()["total"], ids.len(), "{slug}");
    }
}

/// A person lists every cookie that was stored with their address, and is in both cohorts.
fn check_whole(person: &Value, sent: &[Sent]) {
    let cookies = person["identities"]["cookies"].as_array().unwrap();
    let listed: BTreeSet<&str> = cookies
        .iter()
        .map(|cookie| cookie["cookie"].as_str().unwrap())
        .collect();
    let own = sent.iter().filter(|sent| person["email"] == sent.email);
    for request in own {
        let present = request
            .cookies
            .iter()
            .filter(|cookie| listed.contains(cookie.as_str()))
            .count();
        assert!(
            present == RECORDS || !request.acknowledged && present == 0,
            "{present} of {request:?}"
        );
    }
    let mut cohorts: Vec<&str> = person["cohorts"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    cohorts.sort_unstable();
    assert_eq!(cohorts, ["Finance", "Sports"], "{person}");
}

async fn user(client: &Client, server: &Server, bearer: &str, kind: &str, identifier: &str) -> Option<Value> {
    let arguments = [(kind, identifier), ("include", "identities")];
    get(client, server, bearer, "/api/user", &arguments)
        .await
        .map(|answer| answer["user_profile"].clone())
}

async fn get(
    client: &Client,
    server: &Server,
    bearer: &str,
    path: &str,
    arguments: &[(&str, &str)],
) -> Option<Value> {
    let request = client
        .get(format!("{}{path}", server.url))
        .query(arguments)
        .bearer_auth(bearer);
    let response = request.send().await.unwrap();
    if response.status() == reqwest::StatusCode::NOT_FOUND {
        return None;
    }
    Some(response.error_for_status().unwrap().json().await.unwrap())
}
