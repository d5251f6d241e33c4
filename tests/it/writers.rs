//! Many clients of one server write about the same few people at once. Whatever the
//! interleaving, the people are those of the oracle.

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::app::TestApp;
use crate::support::people::{Asked, Record, Walk, check_cohorts, check_people, people_of, to_json};

/// Clients that send at once.
const WRITERS: usize = 64;

/// Requests of each.
const REQUESTS: usize = 16;

/// So many requests of a client are about the same people.
const REQUESTS_OF_A_GENERATION: usize = 4;

/// Each seed is a crowd of its own, and so an interleaving of its own.
const SEEDS: [u64; 4] = [1, 2, 3, 4];

impl Asked for TestApp {
    async fn asked(&self, path: &str, arguments: &[(&str, &str)]) -> Option<Value> {
        let answer = self.ask(path, arguments).await;
        (answer.status != 404).then(|| answer.ok())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_about_the_same_people_give_the_people_of_the_oracle() {
    let app = Arc::new(TestApp::start().await);
    let mut sent: Vec<Record> = Vec::new();
    for seed in SEEDS {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(Arc::clone(&app), seed, writer));
        }
        sent.extend(writers.join_all().await.into_iter().flatten());
    }
    let expected = people_of(&sent);
    assert!(
        expected.iter().any(|person| person.cookies.len() > 3),
        "the walks merge people"
    );
    let people = check_people(&*app, &expected).await;
    let sizes = check_cohorts(&*app, &people).await;
    assert!(sizes["sports"] > 0, "{sizes:?}");
}

/// Sends one client's requests, one after the other, and returns what it sent.
async fn write(app: Arc<TestApp>, seed: u64, writer: usize) -> Vec<Record> {
    let mut walk = Walk::new(seed, writer);
    let mut sent = Vec::new();
    for request in 0..REQUESTS {
        let generation = format!("w{seed}-{}", request / REQUESTS_OF_A_GENERATION);
        let records = walk.request(&generation);
        app.ingest(to_json(&records)).await;
        sent.extend(records);
    }
    sent
}
