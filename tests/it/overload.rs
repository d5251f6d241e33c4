//! Too much at once: a server with small limits, of which far more is asked than it has memory
//! for. It refuses what is too much, says when to come again, loses nothing of what it took, and
//! stays small.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::server::{Client, Server};

/// Requests that send a large body and do not end, and how large a body is: together 800 MB.
const SLOW_REQUESTS: usize = 200;
const BODY_BYTES: usize = 4_000_000;

/// What may be in flight.
const REQUESTS_MAX: &str = "16";
const BYTES_MAX: &str = "8388608";

/// What the server's memory may grow by meanwhile: the 8 MiB that may be in flight many times
/// over, and a quarter of what was sent.
const GROWTH_MAX: u64 = 200 * 1024 * 1024;

/// Clients that send records meanwhile, and requests of each.
const SENDERS: usize = 24;
const REQUESTS_EACH: usize = 8;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(2);

/// How a slow request ended.
#[derive(Debug)]
struct Ended {
    status: u16,
    head: String,
    body: String,
}

/// Sends a large body up to its last byte, and that once it is told to.
async fn send_slowly(address: String, head: String, mut go: watch::Receiver<bool>) -> Ended {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let sending = tokio::spawn(async move {
        let piece = vec![b' '; 64 * 1024];
        writing.write_all(head.as_bytes()).await?;
        let mut left = BODY_BYTES - 1;
        while left > 0 {
            let some = left.min(piece.len());
            writing.write_all(&piece[..some]).await?;
            left -= some;
        }
        // Held, and then ended.
        let _ = go.wait_for(|go| *go).await;
        writing.write_all(b" ").await
    });
    let mut answer = Vec::new();
    // One that is refused may find its connection reset behind the answer.
    let _ = timeout(PATIENCE, reading.read_to_end(&mut answer))
        .await
        .expect("it ends in time");
    sending.abort();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ended {
        status: status.unwrap_or_default(),
        head: head.to_lowercase(),
        body: body.to_owned(),
    }
}

/// Sends a record until it is taken; how often it was refused.
async fn send_patiently(client: Client, cookie: String) -> usize {
    let mut refused = 0;
    loop {
        let request = client.request(Method::POST, "/api/ingest");
        let answer = request.json(&json!([{ "cookie": cookie }])).send().await.unwrap();
        match answer.status().as_u16() {
            200 => return refused,
            503 => {
                let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                assert!(after >= 1);
                let error: Value = answer.json().await.unwrap();
                assert_eq!(error["error"]["code"], "unavailable", "{error}");
                refused += 1;
                sleep(Duration::from_millis(200)).await;
            }
            other => panic!("{other}: {:?}", answer.text().await),
        }
    }
}

fn check_refusal(ended: &Ended) {
    assert!(ended.head.contains("retry-after: 1"), "{ended:?}");
    assert!(ended.head.contains("x-request-id: "), "{ended:?}");
    let error: Value = serde_json::from_str(&ended.body).unwrap();
    assert_eq!(error["error"]["code"], "unavailable", "{error}");
    assert!(
        error["error"]["message"].as_str().unwrap().contains("try again"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn too_much_at_once_is_refused_and_what_was_taken_is_stored_and_memory_is_bounded() {
    let settings = [
        ("CDP_API__LIMITS__REQUESTS_IN_FLIGHT_MAX", REQUESTS_MAX),
        ("CDP_API__LIMITS__BODY_BYTES_IN_FLIGHT_MAX", BYTES_MAX),
    ];
    let server = Server::over("mem://", &settings).await;
    let client = Client::log_in(&server.url).await;
    client
        .ingest(&json!([{ "cookie": "first", "interests": ["tennis"] }]))
        .await
        .unwrap();
    let before = server.resident_bytes();

    let (go, waiting) = watch::channel(false);
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut slow = JoinSet::new();
    for number in 0..SLOW_REQUESTS {
        let path = if number % 2 == 0 {
            "/graphql"
        } else {
            "/api/classify"
        };
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: cdp\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {BODY_BYTES}\r\n\r\n",
            client.bearer()
        );
        slow.spawn(send_slowly(address.clone(), head, waiting.clone()));
    }
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let client = client.clone();
        senders.spawn(async move {
            let mut refused = 0;
            for request in 0..REQUESTS_EACH {
                refused += send_patiently(client.clone(), format!("sender-{sender}-{request}")).await;
            }
            refused
        });
    }

    // All but those that hold what there is are refused while these still hold it.
    let mut ended = Vec::new();
    while ended.len() < SLOW_REQUESTS / 2 {
        ended.push(slow.join_next().await.unwrap().unwrap());
    }
    // Whoever looks after the server gets through.
    for path in ["/healthz", "/readyz"] {
        let answer = client.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
    }
    let in_flight = client.counter("cdp_http_body_bytes_in_flight").await;
    assert!(in_flight <= BYTES_MAX.parse().unwrap(), "{in_flight}");
    go.send(true).unwrap();
    while let Some(one) = slow.join_next().await {
        ended.push(one.unwrap());
    }
    let mut refused_senders = 0;
    while let Some(refused) = senders.join_next().await {
        refused_senders += refused.unwrap();
    }

    let refused: Vec<&Ended> = ended.iter().filter(|ended| ended.status == 503).collect();
    for ended in &refused {
        check_refusal(ended);
    }
    let read: Vec<&Ended> = ended.iter().filter(|ended| ended.status == 400).collect();
    let grown = server.peak_bytes().saturating_sub(before);
    println!(
        "{} refused, {} read to their end, {} lost; {refused_senders} refusals of senders; {} MB at first, {} MB more at most",
        refused.len(),
        read.len(),
        ended.len() - refused.len() - read.len(),
        before / 1_000_000,
        grown / 1_000_000
    );
    assert!(refused.len() > SLOW_REQUESTS / 2, "{} refused", refused.len());
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    let shed = client.counter("cdp_http_shed_total{reason=\"requests\"}").await
        + client.counter("cdp_http_shed_total{reason=\"bytes\"}").await;
    assert!(shed >= refused.len() as u64, "{shed}");

    // Nothing is held any more, and all that was taken is there.
    assert_eq!(client.counter("cdp_http_body_bytes_in_flight").await, 0);
    for sender in 0..SENDERS {
        for request in 0..REQUESTS_EACH {
            let path = format!("/api/user?cookie=sender-{sender}-{request}");
            let answer = client.request(Method::GET, &path).send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 200, "{path}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_counts_while_it_streams() {
    let settings = [("CDP_API__LIMITS__BODY_BYTES_IN_FLIGHT_MAX", "1048576")];
    let server = Server::over("mem://", &settings).await;
    let client = Client::log_in(&server.url).await;
    let send = async |bytes: usize| {
        let row = format!("{{\"cookie\":\"streamed\"{:1000}}}\n", "");
        let rows = row.repeat(bytes / row.len());
        let request = client.request(Method::POST, "/api/ingest").body(rows);
        let request = request.header("content-type", "application/x-ndjson");
        request.send().await.map(|answer| answer.status().as_u16())
    };
    assert_eq!(send(512 * 1024).await.unwrap(), 200);
    // The connection may be closed before whoever still sends has read the answer.
    let refused = send(2 * 1024 * 1024).await;
    assert!(
        refused.as_ref().is_ok_and(|status| *status == 503) || refused.is_err(),
        "{refused:?}"
    );
    let shed = client.counter("cdp_http_shed_total{reason=\"bytes\"}").await;
    assert_eq!(shed, 1);
    assert_eq!(send(512 * 1024).await.unwrap(), 200);
    server.stop().await;
}

/// Name and niceness of each thread of a process.
#[cfg(target_os = "linux")]
fn threads(process: &str) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let read = tasks.filter_map(|task| {
        let task = task.unwrap().path();
        // It may have ended since.
        let stat = std::fs::read_to_string(task.join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        // The nineteenth field, of which the third stands behind the name.
        Some((name, tail.split_whitespace().nth(16)?.parse().ok()?))
    });
    read.collect()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_can_wait_gives_way_to_those_who_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    // A thread that was started just now has no name yet, or has it and did not give way yet; and the
    // index starts some at each commit.
    let mut looks = 0;
    loop {
        let threads = threads(&server.id());
        let niceness = |wanted: &str| {
            let of_name = threads.iter().filter(|(name, _)| name.contains(wanted));
            of_name.map(|(_, niceness)| *niceness).collect::<Vec<_>>()
        };
        let [background, serving, indexing] = ["background", "tokio", "tantivy"].map(niceness);
        if background.len() >= 2 && serving.len() >= 2 && !indexing.is_empty() {
            // Whatever the tests themselves have.
            let own = serving[0];
            let given = (own + 5).min(19);
            let is_given = |all: &[i32]| all.iter().all(|niceness| *niceness == given);
            // The index's own threads are as those that open it.
            if serving.iter().all(|niceness| *niceness == own) && is_given(&background) && is_given(&indexing)
            {
                break;
            }
        }
        looks += 1;
        assert!(looks < 6_000, "{threads:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.stop().await;
}
