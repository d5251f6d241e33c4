//! `cdp backup` and `cdp restore`: a copy that is made while records come in holds all that was
//! acknowledged before it, and contradicts itself nowhere.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::people::Asked as _;
use crate::support::server::{Client, Server, program, run, store_url};

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

/// A hundred visitors, every other one known by an address, some of them twice.
fn visitors(round: u32) -> Value {
    let visitor = |number: u32| {
        json!({
            "cookie": format!("round-{round}-{number}"),
            "email": number.is_multiple_of(2).then(|| format!("person{}@example.com", number % 40)),
            "interests": ["football", "bitcoin"],
        })
    };
    (0..100).map(visitor).collect()
}

async fn is_known(client: &Client, cookie: &str) -> bool {
    client.asked("/api/user", &[("cookie", cookie)]).await.is_some()
}

#[tokio::test]
async fn a_backup_under_load_is_restored_whole() {
    let (origin, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(origin.path()).await;
    let client = Client::log_in(&server.url).await;
    client.ingest(&visitors(0)).await.unwrap();
    let load = tokio::spawn({
        let client = client.clone();
        async move {
            for round in 1..15 {
                client.ingest(&visitors(round)).await.unwrap();
            }
        }
    });
    let file = copy.path().join("of-today.backup");
    let out = file.to_str().unwrap();
    let arguments = ["backup", "--url", &server.url, "--out", out];
    check(&command(&arguments).await, true);
    let refused = check(&command(&arguments).await, false);
    assert!(refused.contains("is there already"), "{refused}");
    load.await.unwrap();
    let total = client.asked("/api/analytics/summary", &[]).await.unwrap()["people"].as_u64();
    server.kill().await;

    let store = store_url(copy.path());
    check(&command(&["restore", out, "--store", &store]).await, true);
    let again = check(&command(&["restore", out, "--store", &store]).await, false);
    assert!(again.contains("there is a store already"), "{again}");
    check(&command(&["doctor", "--store", &store]).await, true);

    let restored = Server::start(copy.path()).await;
    let client = Client::log_in(&restored.url).await;
    for number in 0..100 {
        assert!(is_known(&client, &format!("round-0-{number}")).await, "{number}");
    }
    let people = client.asked("/api/analytics/summary", &[]).await.unwrap()["people"].as_u64();
    assert!(people <= total, "{people:?} of {total:?}");
    client.ingest(&visitors(99)).await.unwrap();
    assert!(is_known(&client, "round-99-1").await);
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
        check(&command(&arguments).await, false);
        assert!(
            !folder.path().join(name).join("cdp").exists(),
            "{name} leaves nothing"
        );
        check(&command(&["restore", out, "--store", &store]).await, true);
    }
    let elsewhere = ["restore", out, "--store", "mem://"];
    let refused = check(&command(&elsewhere).await, false);
    assert!(refused.contains("on disk"), "{refused}");
    assert!(!Path::new(&format!("{out}.part")).exists());
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
