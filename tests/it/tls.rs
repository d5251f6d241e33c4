//! TLS in the binary: what it takes, what it refuses, and how its certificate is changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, tls};
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::support::server::{Server, program, run, signal, store_url};

/// Nothing here takes longer; what hangs must not hang the tests.
const LONGEST: Duration = Duration::from_mins(1);

/// What `openssl` makes a certificate of: one of a server, which signs itself.
const REQUEST: &str = "[req]\ndistinguished_name = name\nprompt = no\nx509_extensions = of_server\n\
     [name]\nCN = cdp\n\
     [of_server]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n";

/// A certificate and its key, made now.
pub struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Pair {
    pub async fn make(folder: &Path, name: &str) -> Self {
        let request = folder.join("request.cnf");
        fs::write(&request, REQUEST).unwrap();
        let pair = Self {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-config"])
            .arg(&request)
            .arg("-out")
            .arg(&pair.certificate)
            .arg("-keyout")
            .arg(&pair.key)
            .output()
            .await
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        pair
    }

    /// A client that trusts this one and nothing else.
    pub fn client(&self, version: tls::Version) -> reqwest::Client {
        let trusted = Certificate::from_pem(&fs::read(&self.certificate).unwrap()).unwrap();
        reqwest::Client::builder()
            .use_rustls_tls()
            .tls_built_in_root_certs(false)
            .add_root_certificate(trusted)
            .min_tls_version(version)
            .max_tls_version(version)
            .build()
            .unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_certificate_speaks_tls_and_takes_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = Pair::make(folder.path(), "first").await;
    let second = Pair::make(folder.path(), "second").await;
    let (certificate, key) = (folder.path().join("in-use.crt"), folder.path().join("in-use.key"));
    fs::copy(&first.certificate, &certificate).unwrap();
    fs::copy(&first.key, &key).unwrap();
    let settings = [
        ("CDP_API__TLS__CERTIFICATE", certificate.to_str().unwrap()),
        ("CDP_API__TLS__KEY", key.to_str().unwrap()),
    ];
    let server = Server::over(&store_url(folder.path()), &settings).await;
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let alive = format!("{}/healthz", server.url);

    let mut clients = Vec::new();
    for version in [tls::Version::TLS_1_2, tls::Version::TLS_1_3] {
        let client = first.client(version);
        let answer = client.get(&alive).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let hsts = answer.headers()["strict-transport-security"].to_str().unwrap();
        assert_eq!(hsts, "max-age=31536000");
        assert!(answer.text().await.unwrap().contains("ok"));
        clients.push(client);
    }
    assert!(
        second
            .client(tls::Version::TLS_1_3)
            .get(&alive)
            .send()
            .await
            .is_err()
    );
    let plain = reqwest::get(alive.replace("https://", "http://")).await;
    assert!(plain.is_err(), "{plain:?}");

    // The certificate without its key is not taken: whoever comes is served with the old pair.
    let look_again = async || signal(&server.id(), "-HUP").await;
    fs::copy(&second.certificate, &certificate).unwrap();
    look_again().await;
    for _ in 0..20 {
        let newcomer = first.client(tls::Version::TLS_1_3);
        assert_eq!(newcomer.get(&alive).send().await.unwrap().status(), 200);
        sleep(Duration::from_millis(25)).await;
    }
    fs::copy(&second.key, &key).unwrap();
    look_again().await;
    let changed = async {
        while second
            .client(tls::Version::TLS_1_3)
            .get(&alive)
            .send()
            .await
            .is_err()
        {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LONGEST, changed)
        .await
        .expect("the new certificate is taken in time");
    // Who is connected stays so, and would not be let in again.
    for client in clients {
        assert_eq!(client.get(&alive).send().await.unwrap().status(), 200);
    }
    assert!(
        first
            .client(tls::Version::TLS_1_3)
            .get(&alive)
            .send()
            .await
            .is_err()
    );
    server.terminate().await;
    assert!(server.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_with_its_key_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::make(folder.path(), "whole").await;
    let another = Pair::make(folder.path(), "another").await;
    let wrong = folder.path().join("wrong.pem");
    fs::write(&wrong, "nonsense").unwrap();
    let nowhere = folder.path().join("nowhere.pem");
    for (certificate, key, said) in [
        (&pair.certificate, None, "needs both `certificate` and `key`"),
        (&pair.certificate, Some(&nowhere), "can't be read"),
        (&nowhere, Some(&pair.key), "can't be read"),
        (&pair.certificate, Some(&wrong), "no certificate with its key"),
        (
            &pair.certificate,
            Some(&another.key),
            "no certificate with its key",
        ),
        (
            &pair.certificate,
            Some(&pair.certificate),
            "no certificate with its key",
        ),
    ] {
        let mut command = program(&["serve", "--demo", "--listen", "127.0.0.1:0", "--store", "mem://"]);
        command.env("CDP_API__TLS__CERTIFICATE", certificate);
        if let Some(key) = key {
            command.env("CDP_API__TLS__KEY", key);
        }
        let output = run(&mut command).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(said), "{said}: {told}");
    }
}
