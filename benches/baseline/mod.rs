//! The same job in PostgreSQL, twice: [`Straight`] as a good engineer would first write it, and
//! [`Best`] as fast as we could make it. The SQL beside this file is the work; here are the
//! clients, which read and validate lines as the platform does and send batches.

mod best;
mod straight;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::people::{People, Person};
use crate::road::Known;
use crate::visits::{Judged, Visits};

pub use best::Best;
pub use straight::Straight;

/// The environment's variable that says where PostgreSQL is, as `scripts/postgres-server` sets it.
const SERVER: &str = "CDP_BENCH_POSTGRES";

/// Batches that are ready while the connections are busy.
const BATCHES_AHEAD: usize = 4;

/// One way to do the job.
pub trait Baseline: Send + Sync + 'static {
    /// A batch, ready to be bound.
    type Batch: Send + 'static;

    /// The schema's name.
    const SCHEMA: &'static str;
    /// What makes the schema anew.
    const SQL: &'static str;
    /// What each connection runs first.
    const PREPARE: &'static str;
    /// What stores a batch, in a transaction of its own.
    const INGEST: &'static str;

    /// Turns rows that were judged into a batch.
    fn batch(judged: Vec<Judged>, received_at: SystemTime) -> Self::Batch;

    /// The parameters of a batch, in the order of [`Self::INGEST`].
    fn parameters(batch: &Self::Batch) -> Vec<&(dyn ToSql + Sync)>;

    /// Stores what interests and cohorts mean, which is known beforehand.
    fn keep_scores(client: &Client, known: &Known) -> impl Future<Output = ()>;
}

/// Whether there is a server to measure.
pub fn is_there() -> bool {
    std::env::var_os(SERVER).is_some()
}

async fn connect(schema: &str) -> Client {
    let server = std::env::var_os(SERVER).unwrap_or_default();
    let connected = tokio_postgres::connect(&server.to_string_lossy(), NoTls).await;
    let (client, connection) = connected.unwrap_or_else(|error| panic!("no PostgreSQL: {error}"));
    // Ends when the client is dropped.
    tokio::spawn(connection);
    run(
        &client,
        &format!("SET search_path = {schema}; SET client_min_messages = warning"),
    )
    .await;
    client
}

/// Runs statements that answer nothing.
async fn run(client: &Client, sql: &str) {
    let done = client.batch_execute(sql).await;
    done.unwrap_or_else(|error| panic!("PostgreSQL: {}", said(&error)));
}

/// The server's own words, which the error's display leaves to its source.
fn said(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |error| format!("{error:?}"))
}

/// A connection that is ready for batches.
struct Worker {
    client: Client,
    ingest: Statement,
}

impl Worker {
    async fn of<B: Baseline>() -> Self {
        let client = connect(B::SCHEMA).await;
        run(&client, B::PREPARE).await;
        let ingest = client.prepare(B::INGEST).await;
        let ingest = ingest.unwrap_or_else(|error| panic!("PostgreSQL: {}", said(&error)));
        Self { client, ingest }
    }

    async fn send<B: Baseline>(&self, batch: &B::Batch) {
        let done = self.client.execute(&self.ingest, &B::parameters(batch)).await;
        done.unwrap_or_else(|error| panic!("PostgreSQL: {}", said(&error)));
    }
}

/// Makes the schema anew, takes all visits over so many connections, and says how long it took.
pub async fn ingest<B: Baseline>(visits: &Arc<Visits>, known: &Known, connections: usize) -> Duration {
    let client = connect("public").await;
    run(&client, B::SQL).await;
    B::keep_scores(&client, known).await;
    // So that nothing of the run before is written during this one.
    run(&client, "ANALYZE; CHECKPOINT").await;
    let workers: Vec<Worker> = stream::iter(0..connections)
        .then(|_| Worker::of::<B>())
        .collect()
        .await;

    let started = Instant::now();
    let (batches, received) = mpsc::channel(BATCHES_AHEAD);
    let reading = tokio::task::spawn_blocking({
        let visits = Arc::clone(visits);
        move || {
            for part in visits.parts() {
                let batch = B::batch(visits.judge(part), SystemTime::from(visits.received_at));
                if batches.blocking_send(batch).is_err() {
                    break;
                }
            }
        }
    });
    let received = tokio::sync::Mutex::new(received);
    futures_util::future::join_all(workers.iter().map(async |worker| {
        loop {
            let batch = received.lock().await.recv().await;
            let Some(batch) = batch else { break };
            worker.send::<B>(&batch).await;
        }
    }))
    .await;
    reading
        .await
        .unwrap_or_else(|error| panic!("the reader: {error}"));
    started.elapsed()
}

/// Everybody that a baseline found.
pub async fn people<B: Baseline>() -> People {
    let client = connect(B::SCHEMA).await;
    let mut people: BTreeMap<i64, Person> = BTreeMap::new();
    for row in read(&client, "SELECT profile, cookie FROM shown_cookie").await {
        people.entry(row.get(0)).or_default().cookies.insert(row.get(1));
    }
    for row in read(&client, "SELECT profile, email FROM shown_email").await {
        people.entry(row.get(0)).or_default().emails.insert(row.get(1));
    }
    for row in read(&client, "SELECT profile, name, value, at FROM shown_attribute").await {
        let attributes = &mut people.entry(row.get(0)).or_default().attributes;
        attributes.insert(row.get(1), (row.get(2), row.get(3)));
    }
    let interests = "SELECT profile, interest, display, first_seen, last_seen FROM shown_interest";
    for row in read(&client, interests).await {
        let interests = &mut people.entry(row.get(0)).or_default().interests;
        interests.insert(row.get(1), (row.get(2), row.get(3), row.get(4)));
    }
    for row in read(&client, "SELECT profile, cohort FROM shown_member").await {
        people.entry(row.get(0)).or_default().cohorts.insert(row.get(1));
    }
    People::of(people.into_values())
}

async fn read(client: &Client, sql: &str) -> Vec<tokio_postgres::Row> {
    let rows = client.query(sql, &[]).await;
    rows.unwrap_or_else(|error| panic!("PostgreSQL: {}", said(&error)))
}
