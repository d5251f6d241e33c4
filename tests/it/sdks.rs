//! Tracking libraries as npm has them, and the snippet, against the real program: the programs in
//! `tests/sdk`, each with a server of its own. Nothing of a library is changed but where it sends
//! and with which key.

use std::process::Stdio;
use std::time::Duration;

use cdp::domain::write_key::KeyKind;
use cdp::services::write_keys::DEMO_KEYS;
use tokio::process::Command;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::support::root;
use crate::support::server::Server;

/// The programs take seconds; a browser that hangs must not hang the tests.
const PROGRAM_TIME_MAX: Duration = Duration::from_mins(5);

/// Installing takes as long as the network does.
const INSTALL_TIME_MAX: Duration = Duration::from_mins(5);

static INSTALLED: OnceCell<()> = OnceCell::const_new();

#[tokio::test(flavor = "multi_thread")]
async fn segments_library_for_node_works_unchanged() {
    run("segment-node.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_library_for_browsers_works_unchanged() {
    run("segment-browser.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rudderstacks_library_for_node_works_unchanged() {
    run("rudder-node.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_snippet_makes_one_person_of_two_browsers() {
    run("snippet.mjs").await;
}

/// Runs a program against a server of its own; what it says is told when it fails.
async fn run(program: &str) {
    INSTALLED.get_or_init(install).await;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let key = |kind| DEMO_KEYS.iter().find(|(known, _)| *known == kind).unwrap().1;
    let output = Command::new("node")
        .arg(root().join("tests/sdk").join(program))
        .env("BASE_URL", &server.url)
        .env("SERVER_KEY", key(KeyKind::Server))
        .env("PUBLIC_KEY", key(KeyKind::Public))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PROGRAM_TIME_MAX, output)
        .await
        .expect("the program ends in time")
        .expect("node starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    println!("{told}");
    assert!(output.status.success(), "\n{told}\n{failed}\n");
    server.kill().await;
}

async fn install() {
    let output = Command::new(root().join("scripts/fetch-sdks"))
        .kill_on_drop(true)
        .output();
    let output = timeout(INSTALL_TIME_MAX, output)
        .await
        .expect("npm ends in time")
        .unwrap();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the libraries can't be installed: {failed}"
    );
}
