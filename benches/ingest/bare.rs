//! The bare engine: SurrealDB embedded, with the same guarantees, and nothing but inserts. What a
//! platform on top of it could reach at most.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use surrealdb::engine::any::{Any, connect};
use surrealdb::types::{RecordId, SurrealValue};
use surrealdb::{IndexedResults, Surreal};

use super::road::url;

/// Transactions that are under way at once.
const AT_ONCE: usize = 4;

#[derive(Clone, SurrealValue)]
struct Row {
    id: RecordId,
    text: String,
}

#[derive(SurrealValue)]
struct Size {
    rows: i64,
    bytes: i64,
}

/// What a store holds: rows, and the length of them written as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Held {
    pub rows: usize,
    pub bytes: usize,
}

/// Inserts texts as plain rows, so many in one transaction, and says how long that took.
pub async fn insert(folder: &Path, texts: &[&str], batch_rows: usize) -> Duration {
    let client = Arc::new(open(folder).await);
    // Else the first inserts would make it, and be in each other's way.
    let defined = client.query("DEFINE TABLE plain SCHEMALESS").await;
    defined.unwrap_or_else(|error| panic!("the bare engine: {error}"));
    // Binding is part of the job; making the rows is not.
    let batches: Vec<Vec<Row>> = (texts.chunks(batch_rows).zip(0_i64..))
        .map(|(texts, batch)| {
            (texts.iter().zip(0_i64..))
                .map(|(text, at)| row(batch, at, text))
                .collect()
        })
        .collect();
    let started = Instant::now();
    stream::iter(batches)
        .map(|rows| {
            // The engine works on the caller's task, so each has its own.
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                let answer = client
                    .query("INSERT INTO plain $rows RETURN NONE")
                    .bind(("rows", rows))
                    .await;
                answer.and_then(IndexedResults::check).map(drop)
            })
        })
        .buffer_unordered(AT_ONCE)
        .for_each(async |done| {
            let done = done.unwrap_or_else(|error| panic!("the bare engine: {error}"));
            done.unwrap_or_else(|error| panic!("the bare engine: {error}"));
        })
        .await;
    started.elapsed()
}

/// In the order of their keys, which is the engine's favourite.
fn row(batch: i64, at: i64, text: &str) -> Row {
    Row {
        id: RecordId::new("plain", batch * 1_000_000 + at),
        text: text.to_owned(),
    }
}

/// What the road left in a folder, by table. The store must be closed.
pub async fn measure(folder: &Path) -> BTreeMap<String, Held> {
    let client = open(folder).await;
    let mut held = BTreeMap::new();
    let tables = "RETURN object::keys((INFO FOR DB).tables)";
    for table in ask::<Vec<String>>(&client, tables).await {
        let question = format!(
            "SELECT count() AS rows, math::sum(bytes) AS bytes \
             FROM (SELECT string::len(<string>$this) AS bytes FROM {table}) GROUP ALL"
        );
        for size in ask::<Vec<Size>>(&client, &question).await {
            let (rows, bytes) = (usize::try_from(size.rows), usize::try_from(size.bytes));
            let size = Held {
                rows: rows.unwrap_or_default(),
                bytes: bytes.unwrap_or_default(),
            };
            held.insert(table.clone(), size);
        }
    }
    held
}

async fn ask<T: SurrealValue>(client: &Surreal<Any>, question: &str) -> T
where
    usize: surrealdb::opt::QueryResult<T>,
{
    let answer = client.query(question).await;
    let answer = answer.and_then(|mut answer| answer.take(0));
    answer.unwrap_or_else(|error| panic!("{question}: {error}"))
}

/// A store that was just closed lets go of its folder a moment later.
async fn open(folder: &Path) -> Surreal<Any> {
    let mut tries = 50;
    loop {
        let opened = async {
            let client = connect(url(folder)).await?;
            client.use_ns("cdp").use_db("cdp").await?;
            Ok::<_, surrealdb::Error>(client)
        };
        match opened.await {
            Ok(client) => return client,
            Err(error) if tries == 0 => panic!("can't open {}: {error}", folder.display()),
            Err(_) => tries -= 1,
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
