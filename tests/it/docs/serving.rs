//! The commands that start a server and stay: those of DEPLOY, in production, and with a certificate.

use std::path::Path;
use std::process::Stdio;

use reqwest::{Client, tls};
use serde_json::json;
use tokio::process::Command;

use super::page::{Block, Page};
use super::session;
use crate::support::server::Server;
use crate::tls::Pair;

/// Puts the server in the shell's place, so that it is the one that is told to stop.
const START: &str = "set -euo pipefail\ncdp() { exec cdp \"$@\"; }\nexport CDP_API__LISTEN=127.0.0.1:0\n";

/// Starts what DEPLOY starts, first as it is and then with what it says of TLS.
pub async fn check() {
    let blocks = Page::read("docs/DEPLOY.md").blocks();
    let mut serving = blocks.iter().filter(|block| block.serves());
    let (Some(start), Some(encryption), None) = (serving.next(), serving.next(), serving.next()) else {
        panic!("DEPLOY starts a server, and says what makes it speak TLS");
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::of(&mut shell(&[start], folder.path())).await;
    check_server(&server.url, &Client::new()).await;
    server.stop().await;

    let pair = Pair::make(folder.path(), "tls").await;
    let server = Server::of(&mut shell(&[encryption, start], folder.path())).await;
    assert!(server.url.starts_with("https://"), "{}", server.url);
    check_server(&server.url, &pair.client(tls::Version::TLS_1_3)).await;
    server.stop().await;
}

fn shell(blocks: &[&Block], folder: &Path) -> Command {
    let mut script = START.to_owned();
    for block in blocks {
        script.push_str(&block.text);
    }
    let script = script
        .replace("/etc/cdp/tls", folder.to_str().unwrap())
        .replace("0.0.0.0:8443", "127.0.0.1:0");
    let mut shell = session::bash();
    shell
        .args(["-c", &script])
        .current_dir(folder)
        .stderr(Stdio::null());
    shell
}

/// It is up, takes the administrator whom the page makes, and nobody without a token.
async fn check_server(url: &str, client: &Client) {
    for (path, status) in [("/healthz", 200), ("/readyz", 200), ("/metrics", 401)] {
        let answer = client.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
    let admin = json!({ "username": "admin", "password": "twelve characters or more" });
    let log_in = client.post(format!("{url}/api/auth/token")).json(&admin);
    assert_eq!(log_in.send().await.unwrap().status(), 200);
}
