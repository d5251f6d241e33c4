//! A server that is told to stop takes no new request, ends those under way, puts down its work,
//! and loses nothing. One that is told twice ends at once.

use std::convert::Infallible;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use cdp::app::Ended;
use cdp::domain::role::Role;
use cdp::services::audit::Asked;
use poem::Body;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::app::{TestApp, build, config};
use crate::support::people::Asked as _;
use crate::support::server::{Client, Server, program, run, signal, store_url, token};

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(2);

/// How many clients send at once.
const SENDERS: usize = 6;

const BYTES_IN_FLIGHT: &str = "cdp_http_body_bytes_in_flight ";

/// What the server keeps for a body that does not say how long it is.
const ROOM_BYTES: f64 = 4_194_304.0;

/// A payload that its sender holds back in the middle.
struct Upload {
    parts: mpsc::Sender<Result<String, Infallible>>,
    answer: tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>,
}

impl Upload {
    async fn begin(url: &str, bearer: &str) -> Self {
        let (parts, received) = mpsc::channel(1);
        let stream = futures_util::stream::unfold(received, |mut received| async move {
            let part: Option<Result<String, Infallible>> = received.recv().await;
            part.map(|part| (part, received))
        });
        let request = reqwest::Client::new()
            .post(format!("{url}/api/ingest"))
            .header("content-type", "application/x-ndjson")
            .bearer_auth(bearer)
            .body(reqwest::Body::wrap_stream(stream));
        let answer = tokio::spawn(request.send());
        let first = "{\"cookie\":\"upload-1\"}\n".to_owned();
        parts.send(Ok(first)).await.unwrap();
        // The channel has room again once the first part is on its way.
        drop(parts.reserve().await.unwrap());
        // Room for a body that does not say how long it is: the server has read the head then.
        let has_room = async || {
            let metrics = reqwest::get(format!("{url}/metrics")).await.unwrap();
            let metrics = metrics.text().await.unwrap();
            let told = metrics
                .lines()
                .filter_map(|line| line.strip_prefix(BYTES_IN_FLIGHT));
            told.map(|bytes| bytes.trim().parse::<f64>().unwrap())
                .any(|bytes| bytes >= ROOM_BYTES)
        };
        let reading = async {
            while !has_room().await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONGEST, reading).await.unwrap();
        Self { parts, answer }
    }

    async fn end(self) -> reqwest::Response {
        let last = "{\"cookie\":\"upload-2\"}\n".to_owned();
        self.parts.send(Ok(last)).await.unwrap();
        drop(self.parts);
        timeout(LONGEST, self.answer).await.unwrap().unwrap().unwrap()
    }
}

/// Waits until nobody listens any more.
async fn closed(url: &str) {
    let address = url.strip_prefix("http://").unwrap();
    let closing = async {
        while TcpStream::connect(address).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONGEST, closing)
        .await
        .expect("the server stops listening");
}

/// Sends records until nobody takes them; the cookies of those that were acknowledged.
async fn send(client: Client, sender: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let cookies: Vec<String> = (0..10)
            .map(|row| format!("sent-{sender}-{number}-{row}"))
            .collect();
        let records: Value = cookies.iter().map(|cookie| json!({ "cookie": cookie })).collect();
        if client.ingest(&records).await.is_none() {
            break;
        }
        acknowledged.extend(cookies);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_under_load_ends_what_is_under_way_and_loses_nothing() {
    const QUEUED: usize = 12_000;
    let folder = tempfile::tempdir().unwrap();
    let store = store_url(folder.path());
    let server = Server::start(folder.path()).await;
    let http = reqwest::Client::new();
    let bearer = token(&http, &server.url, Role::Admin).await;
    let client = Client::log_in(&server.url).await;

    let events = http
        .get(format!("{}/api/changes", server.url))
        .header("accept", "text/event-stream")
        .bearer_auth(&bearer);
    let events = events.send().await.unwrap().error_for_status().unwrap();
    let events = tokio::spawn(events.text());
    let row = |row| format!("{{\"cookie\":\"queued-{row}\"}}\n");
    let rows: String = (0..QUEUED).map(row).collect();
    let queued = http
        .post(format!("{}/api/ingest", server.url))
        .header("content-type", "application/x-ndjson")
        .header("prefer", "respond-async")
        .bearer_auth(&bearer)
        .body(rows);
    let queued: Value = queued.send().await.unwrap().json().await.unwrap();
    let batch = queued["batch_id"].as_str().unwrap().to_owned();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        senders.spawn(send(client.clone(), sender));
    }
    let upload = Upload::begin(&server.url, &bearer).await;
    while client
        .asked("/api/user", &[("cookie", "sent-0-3-0")])
        .await
        .is_none()
    {
        sleep(Duration::from_millis(10)).await;
    }

    server.terminate().await;
    closed(&server.url).await;
    let answer = upload.end().await;
    assert_eq!(answer.status(), 200);
    let report: Value = answer.json().await.unwrap();
    assert_eq!(report["records_processed"], 2, "{report}");
    // The stream is ended by the server, and not cut off.
    let told = timeout(LONGEST, events).await.unwrap().unwrap();
    assert!(told.is_ok(), "{told:?}");
    let acknowledged: Vec<String> = timeout(LONGEST, senders.join_all()).await.unwrap().concat();
    assert!(server.ended().await.success());

    let doctor = run(&mut program(&["doctor", "--store", &store])).await;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(doctor.status.success(), "{said}");
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    assert!(acknowledged.len() > 30, "{}", acknowledged.len());
    for cookie in acknowledged
        .iter()
        .map(String::as_str)
        .chain(["upload-1", "upload-2"])
    {
        let found = client.asked("/api/user", &[("cookie", cookie)]).await;
        assert!(found.is_some(), "{cookie} is lost");
    }
    // What was put down is taken up again.
    let finished = async {
        loop {
            let standing = client.asked(&format!("/api/ingest/{batch}"), &[]).await.unwrap();
            if standing["finished"] == true {
                return standing;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let standing = timeout(LONGEST, finished).await.unwrap();
    assert_eq!(standing["records_processed"], QUEUED, "{standing}");
}

/// Whether a process has a handler for `SIGTERM`: bit 14 of the mask that the system shows.
#[cfg(target_os = "linux")]
fn listens(process: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << 14 != 0
}

/// How much is stored below a folder.
#[cfg(target_os = "linux")]
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        // It may be gone by now.
        found => found.map_or(0, |found| found.len()),
    });
    bytes.sum()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_can_be_told_to_stop_while_it_starts() {
    const PEOPLE: u32 = 20_000;
    /// A demo without people has a tenth of it.
    const WITHOUT_PEOPLE_MAX: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let store = store_url(folder.path());
    let people = PEOPLE.to_string();
    let arguments = [
        "serve",
        "--demo",
        "--demo-people",
        &people,
        "--listen",
        "127.0.0.1:0",
        "--store",
        &store,
    ];
    // While it opens the store; then among the demo's people, once some are there.
    for some_are_there in [false, true] {
        let server = program(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let id = server.id().unwrap().to_string();
        let starting = async {
            while !listens(&id) {
                sleep(Duration::from_millis(1)).await;
            }
            while some_are_there && bytes_below(folder.path()) < WITHOUT_PEOPLE_MAX {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONGEST, starting).await.expect("it starts");
        signal(&id, "-TERM").await;
        let ended = timeout(LONGEST, server.wait_with_output())
            .await
            .unwrap()
            .unwrap();
        assert!(ended.status.success(), "{}", ended.status);
        // It never came to say where it is.
        assert!(ended.stdout.is_empty());
    }
    let doctor = run(&mut program(&["doctor", "--store", &store])).await;
    assert!(
        doctor.status.success(),
        "{}",
        String::from_utf8_lossy(&doctor.stdout)
    );
    let server = Server::start(folder.path()).await;
    assert!(listens(&server.id()));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_before_it_takes_no_further_connection() {
    let server = Server::over("mem://", &[("CDP_API__DRAIN_S", "10")]).await;
    let ready = async || {
        // A connection of its own each time.
        let answer = reqwest::get(format!("{}/readyz", server.url)).await?;
        Ok::<_, reqwest::Error>(answer.status().as_u16())
    };
    assert_eq!(ready().await.unwrap(), 200);
    server.terminate().await;
    let told = async {
        loop {
            match ready().await {
                Ok(200) => sleep(Duration::from_millis(10)).await,
                other => return other,
            }
        }
    };
    assert_eq!(timeout(LONGEST, told).await.unwrap().unwrap(), 503);
    closed(&server.url).await;
    assert!(server.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_ends_nobody_who_has_no_certificate() {
    let server = Server::over("mem://", &[]).await;
    for _ in 0..3 {
        signal(&server.id(), "-HUP").await;
        let alive = reqwest::get(format!("{}/healthz", server.url)).await.unwrap();
        assert_eq!(alive.status(), 200);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_writer_ends_ends_too() {
    let app = build(&config()).await;
    let services = Arc::clone(&app.services);
    let (bound, address) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let report = move |address| bound.send(address).unwrap();
        app.serve("127.0.0.1:0", report, std::future::pending()).await
    });
    address.await.unwrap();
    services.stop().await;
    let ended = timeout(LONGEST, serving).await.unwrap().unwrap();
    assert_eq!(ended.unwrap(), Ended::Broken);
}

/// A call that was cut off goes on, and so it is in the audit log, however late it ends.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_while_the_server_stops_is_in_the_audit_log() {
    let app = build(&config()).await;
    let services = Arc::clone(&app.services);
    let app = TestApp::of(app).await;
    // One whose body comes to no end, for now.
    let (end, ended) = oneshot::channel::<()>();
    let begun = Arc::new(Notify::new());
    let rest = futures_util::stream::once({
        let begun = Arc::clone(&begun);
        async move {
            begun.notify_one();
            let _ = ended.await;
            Ok::<_, std::io::Error>("{\"cookie\":\"late-1\"}\n")
        }
    });
    let upload = app
        .client()
        .post("/api/ingest")
        .content_type("application/x-ndjson")
        .header("authorization", format!("Bearer {}", app.token(Role::Admin)))
        .body(Body::from_bytes_stream(rest));
    let stop = async {
        begun.notified().await;
        let stopping = tokio::spawn({
            let services = Arc::clone(&services);
            async move { services.stop().await }
        });
        services.writer_ended().await;
        let late = app.client().delete("/api/user?cookie=late");
        app.answer_to(Role::Admin, late).await.error(503, "unavailable");
        let waits = timeout(Duration::from_millis(200), services.calls.end()).await;
        assert!(waits.is_err(), "one call is under way");
        end.send(()).unwrap();
        stopping.await.unwrap();
    };
    let both = async { tokio::join!(upload.send(), stop) };
    timeout(LONGEST, both).await.unwrap();
    let found = services.audit.find(&Asked::default(), 100).await.unwrap();
    assert!(
        found
            .entries
            .iter()
            .any(|entry| (entry.action.as_str(), entry.status) == ("eraseUser", 503)),
        "{found:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("CDP_API__SHUTDOWN_GRACE_S", "1")];
    let server = Server::over(&store_url(folder.path()), &settings).await;
    let bearer = token(&reqwest::Client::new(), &server.url, Role::Admin).await;
    let upload = Upload::begin(&server.url, &bearer).await;
    server.terminate().await;
    assert!(server.ended().await.success());
    assert!(upload.answer.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // Far longer than the test waits for the end.
    let settings = [("CDP_API__SHUTDOWN_GRACE_S", "3600")];
    let server = Server::over(&store_url(folder.path()), &settings).await;
    let bearer = token(&reqwest::Client::new(), &server.url, Role::Admin).await;
    let client = Client::log_in(&server.url).await;
    client.ingest(&json!([{ "cookie": "before" }])).await.unwrap();
    let upload = Upload::begin(&server.url, &bearer).await;
    server.terminate().await;
    closed(&server.url).await;
    server.terminate().await;
    assert_eq!(server.ended().await.code(), Some(1));
    assert!(upload.answer.await.unwrap().is_err());
    let server = Server::start(folder.path()).await;
    let client = Client::log_in(&server.url).await;
    assert!(client.asked("/api/user", &[("cookie", "before")]).await.is_some());
}
