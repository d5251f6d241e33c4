//! Two servers on one store, in one process: what `make test-remote` runs over a SurrealDB server,
//! over an engine in memory that both share. Whoever is killed ends like a process: with all its
//! threads, and without giving anything back.

use cdp::config::Config;
use cdp::store::Store;

use crate::support::app::config;
use crate::support::cluster::{
    Replica, check_a_kill_in_mid_load, check_a_takeover, check_each_sees_the_other,
};
use crate::support::environment;
use crate::support::server::Client;

/// Requests of each client, unless the environment says how many.
const REQUESTS: u64 = 60;

/// Settings of servers that are given up sooner than others.
fn settings() -> Config {
    let mut config = config();
    config.store.lease_s = 8;
    config
}

/// The first one is alone at first, and so has every job.
async fn two(config: &Config) -> [Replica; 2] {
    let store = Store::connect(&config.store).await.unwrap();
    let one = Replica::here(config, &store).await;
    [one, Replica::here(config, &store).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_does_is_so_on_the_other_a_moment_later() {
    let [one, other] = two(&settings()).await;
    let clients = (Client::log_in(one.url()).await, Client::log_in(other.url()).await);
    check_each_sees_the_other(&clients.0, &clients.1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_mid_load_loses_nothing_that_was_acknowledged() {
    let seed = environment("SEED").unwrap_or_else(rand::random);
    println!("SEED={seed}");
    let requests = environment("REQUESTS").unwrap_or(REQUESTS);
    check_a_kill_in_mid_load(two(&settings()).await, seed, requests).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_had_in_hand_is_brought_to_its_end_by_the_other() {
    check_a_takeover(two(&settings()).await).await;
}
