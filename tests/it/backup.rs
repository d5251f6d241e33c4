//! `cdp backup` and `cdp restore`: a copy that is made while records come in holds all that was
//! acknowledged before it, and contradicts itself nowhere.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::support::names;
use crate::support::people::Asked as _;
use crate::support::server::{Client, Server, program, run, store_url};

/// How many clients send while a backup is made.
const WRITERS: usize = 3;

/// So many rounds are acknowledged before a backup is asked for: more keys than it reads at once.
const ROUNDS_BEFORE: usize = 40;

/// How many visitors come in a round.
const VISITORS: u32 = 60;

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(2);

async fn command(arguments: &[&str]) -> Output {
    run(program(arguments).env("CDP_PASSWORD", "demo-admin")).await
}

#[track_caller]
fn check(output: &Output, succeeds: bool) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.success(), succeeds, "{said}");
    said
}

fn cookie(round: u32, visitor: u32) -> String {
    format!("round-{round}-{visitor}")
}

/// By what a visitor is known beside the cookie: an address that others have too, in each round, one
/// of their own, or nothing.
fn address(round: u32, visitor: u32) -> Option<String> {
    match visitor % 4 {
        0 | 2 => Some(format!("person{}@example.com", visitor % 20)),
        1 => Some(format!("round-{round}-{visitor}@example.com")),
        _ => None,
    }
}

fn visitors(round: u32) -> Value {
    let visitor = |visitor| {
        json!({
            "cookie": cookie(round, visitor),
            "email": address(round, visitor),
            "interests": ["football", "bitcoin"],
        })
    };
    (0..VISITORS).map(visitor).collect()
}

/// What nobody is known by before a round, and its visitors are after it.
fn identifiers(round: u32) -> Vec<(&'static str, String)> {
    let cookies = (0..VISITORS).map(|visitor| ("cookie", cookie(round, visitor)));
    let own = (0..VISITORS).filter(|visitor| visitor % 4 == 1);
    let addresses = own.filter_map(|visitor| Some(("email", address(round, visitor)?)));
    cookies.chain(addresses).collect()
}

/// Which of a round's identifiers lead to nobody.
async fn missing(client: &Client, round: u32) -> Vec<String> {
    let mut missing = Vec::new();
    for (kind, identifier) in identifiers(round) {
        let found = client.asked("/api/user", &[(kind, &identifier)]).await;
        if found.is_none() {
            missing.push(identifier);
        }
    }
    missing
}

/// Rounds that clients send, one after the other, until they are told to stop.
#[derive(Default)]
struct Load {
    /// The next one; all before it were begun.
    next: AtomicU32,
    acknowledged: Mutex<BTreeSet<u32>>,
    is_over: AtomicBool,
}

impl Load {
    async fn send(&self, client: &Client) {
        while !self.is_over.load(Ordering::SeqCst) {
            let round = self.next.fetch_add(1, Ordering::SeqCst);
            client.ingest(&visitors(round)).await.unwrap();
            self.acknowledged.lock().unwrap().insert(round);
        }
    }

    /// All rounds that were begun until now have smaller numbers.
    fn begun(&self) -> u32 {
        self.next.load(Ordering::SeqCst)
    }

    fn acknowledged(&self) -> BTreeSet<u32> {
        self.acknowledged.lock().unwrap().clone()
    }

    /// Waits until so many rounds from a number on are acknowledged.
    async fn until(&self, count: usize, from: u32) {
        let waiting = async {
            while self.acknowledged().range(from..).count() < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(LONGEST, waiting).await.expect("the rounds go on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_restored_whole() {
    let (origin, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(origin.path()).await;
    let client = Client::log_in(&server.url).await;
    let load = Arc::new(Load::default());
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (load, client) = (Arc::clone(&load), client.clone());
        writers.spawn(async move { load.send(&client).await });
    }
    load.until(ROUNDS_BEFORE, 0).await;
    let before = load.acknowledged();
    let file = copy.path().join("of-today.backup");
    let out = file.to_str().unwrap();
    let arguments = ["backup", "--url", &server.url, "--out", out];
    check(&command(&arguments).await, true);
    let (amid, end) = (load.acknowledged().len() - before.len(), load.begun());
    // They wrote when it began and when it ended, and all the while.
    load.until(WRITERS, end).await;
    load.is_over.store(true, Ordering::SeqCst);
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let refused = check(&command(&arguments).await, false);
    assert!(refused.contains("is there already"), "{refused}");
    server.kill().await;

    let store = store_url(copy.path());
    check(&command(&["restore", out, "--store", &store]).await, true);
    let again = check(&command(&["restore", out, "--store", &store]).await, false);
    assert!(again.contains("there is a store already"), "{again}");
    check(&command(&["doctor", "--store", &store]).await, true);

    let restored = Server::start(copy.path()).await;
    let client = Client::log_in(&restored.url).await;
    let mut kept = BTreeSet::new();
    for round in 0..load.begun() {
        let (lacking, all) = (missing(&client, round).await, identifiers(round).len());
        assert!(lacking.is_empty() || lacking.len() == all, "{round}: {lacking:?}");
        if lacking.is_empty() {
            kept.insert(round);
        }
    }
    assert!(kept.is_superset(&before), "{kept:?} lacks some of {before:?}");
    // What began after it had ended can't be in it.
    assert_eq!(kept.range(end..).next(), None);
    println!(
        "{} rounds before the backup, {amid} amid it, {} in it",
        before.len(),
        kept.len()
    );
    let more = load.begun();
    client.ingest(&visitors(more)).await.unwrap();
    assert!(missing(&client, more).await.is_empty());
}

#[tokio::test]
async fn a_file_that_is_no_whole_backup_makes_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("origin")).await;
    let file = folder.path().join("whole.backup");
    let out = file.to_str().unwrap();
    check(
        &command(&["backup", "--url", &server.url, "--out", out]).await,
        true,
    );
    let whole = std::fs::read(&file).unwrap();
    let cases: [(&str, &[u8]); 3] = [
        ("half", &whole[..whole.len() / 2]),
        ("nothing", b""),
        ("another", b"{\"cookie\": \"a\"}"),
    ];
    for (name, bytes) in cases {
        let file = folder.path().join(name).with_extension("backup");
        std::fs::write(&file, bytes).unwrap();
        let store = store_url(&folder.path().join(name));
        let arguments = ["restore", file.to_str().unwrap(), "--store", &store];
        let said = check(&command(&arguments).await, false);
        assert!(said.contains(file.to_str().unwrap()), "{said}");
        assert!(
            !folder.path().join(name).join("cdp").exists(),
            "{name} leaves nothing"
        );
        check(&command(&["restore", out, "--store", &store]).await, true);
    }
    let nowhere = folder.path().join("nowhere/not.backup");
    let nowhere = nowhere.to_str().unwrap();
    let store = store_url(&folder.path().join("none"));
    for arguments in [
        ["restore", nowhere, "--store", &store],
        ["restore", folder.path().to_str().unwrap(), "--store", &store],
    ] {
        let said = check(&command(&arguments).await, false);
        assert!(said.contains(arguments[1]), "{said}");
    }
    let arguments = ["backup", "--url", &server.url, "--out", nowhere];
    let said = check(&command(&arguments).await, false);
    assert!(said.contains(nowhere), "{said}");
    let elsewhere = ["restore", out, "--store", "mem://"];
    let refused = check(&command(&elsewhere).await, false);
    assert!(refused.contains("on disk"), "{refused}");
    assert!(!Path::new(&format!("{out}.part")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_was_killed_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("origin")).await;
    let [file, pipe, place] = ["whole.backup", "pipe", "copy"].map(|name| folder.path().join(name));
    let out = file.to_str().unwrap();
    let arguments = ["backup", "--url", &server.url, "--out", out];
    check(&command(&arguments).await, true);
    server.kill().await;
    let store = store_url(&place);
    let restore = ["restore", out, "--store", &store];
    let half = place.join("cdp.restoring-new");

    // A folder of that name that no restore made.
    fs::create_dir_all(half.join("of-somebody")).unwrap();
    let said = check(&command(&restore).await, false);
    assert!(said.contains(half.to_str().unwrap()), "{said}");
    assert!(half.join("of-somebody").is_dir());
    fs::remove_dir_all(&half).unwrap();

    // It reads half of the file and waits for the rest, as long as somebody may write that.
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let mut restoring = program(&["restore", pipe.to_str().unwrap(), "--store", &store])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / 2);
    let (end, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        let mut writing = File::options().write(true).open(pipe).unwrap();
        // Whoever reads is killed, perhaps before the last byte.
        let _ = writing.write_all(&bytes);
        let _ = ended.recv();
    });
    let begun = async {
        while !half.join("LOCK").exists() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONGEST, begun).await.expect("it begins");
    let said = check(&command(&restore).await, false);
    assert!(
        said.contains("can't be opened") && said.contains("already locked by another process"),
        "{said}"
    );
    restoring.kill().await.unwrap();
    drop(end);
    let left = ["cdp.lock", "cdp.restoring", "cdp.restoring-new"];
    assert_eq!(names(&place), left);

    // Nor is an empty one made in its place, by whoever starts a server again.
    let serve = ["serve", "--demo", "--listen", "127.0.0.1:0", "--store", &store];
    let said = check(&command(&serve).await, false);
    assert!(said.contains("a restore was interrupted here"), "{said}");
    let made = place.join("cdp");
    assert!(!made.exists());

    fs::create_dir(&made).unwrap();
    fs::set_permissions(&made, fs::Permissions::from_mode(0o700)).unwrap();
    check(&command(&restore).await, true);
    let whole = ["cdp", "cdp.lock"];
    assert_eq!(names(&place), whole);
    assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
    check(&command(&["doctor", "--store", &store]).await, true);
}

#[tokio::test]
async fn who_may_not_back_up_is_logged_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("origin")).await;
    let file = folder.path().join("not.backup");
    let out = file.to_str().unwrap();
    let mut refused = program(&[
        "backup",
        "--url",
        &server.url,
        "--username",
        "viewer",
        "--out",
        out,
    ]);
    refused.env("CDP_PASSWORD", "demo-viewer");
    let said = check(&run(&mut refused).await, false);
    assert!(said.contains("the server answered 403"), "{said}");
    assert!(!file.exists() && !Path::new(&format!("{out}.part")).exists());

    std::fs::write(format!("{out}.part"), "of another").unwrap();
    let refused = check(
        &command(&["backup", "--url", &server.url, "--out", out]).await,
        false,
    );
    assert!(refused.contains("another backup"), "{refused}");
    assert_eq!(std::fs::read(format!("{out}.part")).unwrap(), b"of another");

    let client = Client::log_in(&server.url).await;
    let of_user = async |user: &str| {
        let listed = client.asked("/api/auth/sessions", &[("user", user)]).await;
        listed.unwrap()["sessions"].as_array().unwrap().len()
    };
    assert_eq!((of_user("admin").await, of_user("viewer").await), (1, 0));
}
