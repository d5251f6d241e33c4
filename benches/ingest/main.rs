//! What ingestion costs, beside what it could cost at best: the platform's road from a payload to
//! the commit, PostgreSQL doing the same job, and the engine below doing nothing else. Contenders
//! take turns within one run, since machines drift; read the ratios. `docs/BENCHMARKS.md` says
//! what is measured and what came out.
//!
//! In reading order: [`visits`] is what is ingested, [`road`] the platform in this process,
//! [`baseline`] PostgreSQL, [`bare`] the engine, [`people`] holds them all to the same result,
//! [`server`] is the platform as its users see it, [`growth`] the cost against the store's size.

mod bare;
#[path = "../baseline/mod.rs"]
mod baseline;
#[expect(
    dead_code,
    reason = "shared with the benchmarks of the graph, which use more of it"
)]
#[path = "../graph/bed.rs"]
mod bed;
mod growth;
mod people;
#[expect(
    dead_code,
    reason = "shared with the benchmark of what is served, which uses more of it"
)]
#[path = "../serve/process.rs"]
mod process;
mod road;
mod server;
mod table;
mod visits;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use baseline::{Best, Straight};
use chrono::Utc;
use clap::{Parser, ValueEnum};
use people::People;
use process::disk_bytes;
use road::{Known, Road};
use server::Server;
use table::{Figures, percentile_ms};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use visits::Visits;

const ROAD: &str = "road, 4 requests at once";
const ROAD_AS_ONE: &str = "road, 1 request";
const STRAIGHT: &str = "PostgreSQL, straightforward";
const BARE_LIKE_RECORDS: &str = "bare engine, a row for each record";
const BARE_LIKE_ROAD: &str = "bare engine, the rows and bytes of the road";

/// Connections that the best PostgreSQL is tried with.
const CONNECTIONS: [usize; 3] = [1, 2, 4];

/// Rows of a transaction that the bare engine is tried with.
const BARE_BATCHES: [usize; 4] = [500, 1_000, 4_000, 10_000];

/// Seconds of lookups at rest.
const REST_SECONDS: u64 = 8;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Part {
    /// The road, in this process
    Road,
    /// The same job in PostgreSQL, checked against the road's result
    Postgres,
    /// The engine, with nothing on top of it
    Bare,
    /// `cdp import` into `cdp serve`, and lookups meanwhile
    Server,
    /// The cost of a chunk in a store of 10 thousand people and in a large one
    Growth,
}

#[derive(Parser)]
struct Options {
    /// What to measure: all but growth, unless given
    parts: Vec<Part>,
    /// How many people are invented; each makes about six records
    #[arg(long, default_value_t = 10_000)]
    people: u32,
    /// How often contenders take turns
    #[arg(long, default_value_t = 3)]
    turns: u32,
    /// How many people the large store has, for growth
    #[arg(long, default_value_t = 1_000_000)]
    large: u32,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let mut parts: BTreeSet<Part> = options.parts.iter().copied().collect();
    if parts.is_empty() {
        parts.extend([Part::Road, Part::Postgres, Part::Bare, Part::Server]);
    }
    if parts.contains(&Part::Postgres) && !baseline::is_there() {
        println!("No PostgreSQL to compare with: run this by `make bench-ingest`, which starts one.");
        parts.remove(&Part::Postgres);
    }
    bed::RUNTIME.block_on(async {
        if parts.iter().any(|part| *part < Part::Server) {
            side_by_side(&options, &parts).await;
        }
        if parts.contains(&Part::Server) {
            served(&options).await;
        }
    });
    if parts.contains(&Part::Growth) {
        growth::measure(options.large);
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"))
}

/// The road, PostgreSQL and the bare engine, in turn.
async fn side_by_side(options: &Options, parts: &BTreeSet<Part>) {
    let visits = Arc::new(Visits::of(options.people, 7, Utc::now()));
    let known = Known::of(&visits).await;
    println!(
        "{} records, {} distinct interests",
        visits.count,
        known.interests.len()
    );
    let mut figures = Figures::default();
    for turn in 1..=options.turns {
        println!("turn {turn}");
        let (people, left) = on_the_road(&visits, &known, &mut figures).await;
        if parts.contains(&Part::Postgres) {
            in_postgres(&visits, &known, &people, &mut figures).await;
        }
        if parts.contains(&Part::Bare) {
            in_the_engine(&visits, left.path(), turn == 1, &mut figures).await;
        }
    }
    figures.print("records/s", Some(ROAD));
}

/// Runs the road, and returns who people are and the folder of their store.
async fn on_the_road(visits: &Visits, known: &Known, figures: &mut Figures) -> (People, TempDir) {
    let place = folder();
    let road = Road::open(place.path(), known).await;
    figures.note_rate(ROAD_AS_ONE, visits.count, road.ingest_as_one(visits).await);
    drop(road);
    let place = folder();
    let road = Road::open(place.path(), known).await;
    figures.note_rate(ROAD, visits.count, road.ingest(visits).await);
    let people = People::in_store(&road.store).await;
    (people, place)
}

async fn in_postgres(visits: &Arc<Visits>, known: &Known, people: &People, figures: &mut Figures) {
    let took = baseline::ingest::<Straight>(visits, known, 1).await;
    figures.note_rate(STRAIGHT, visits.count, took);
    people.expect_same(STRAIGHT, &baseline::people::<Straight>().await);
    for connections in CONNECTIONS {
        let name = format!("PostgreSQL, best, connections: {connections}");
        let took = baseline::ingest::<Best>(visits, known, connections).await;
        figures.note_rate(&name, visits.count, took);
        people.expect_same(&name, &baseline::people::<Best>().await);
    }
    println!("  all of them found the same {} people", people.count());
}

/// Inserts as many rows as there are records, then as many as the road left, of their mean size.
async fn in_the_engine(visits: &Visits, left: &Path, is_first: bool, figures: &mut Figures) {
    let lines = String::from_utf8_lossy(&visits.lines);
    let texts: Vec<&str> = lines.lines().collect();
    for rows in BARE_BATCHES {
        let took = bare::insert(folder().path(), &texts, rows).await;
        figures.note_rate(&format!("{BARE_LIKE_RECORDS}, by {rows}"), visits.count, took);
    }
    let held = bare::measure(left).await;
    if is_first {
        println!("  the road left, in rows and bytes of text: {held:?}");
    }
    // Those two were there before the clock started.
    let written = held
        .iter()
        .filter(|(table, _)| !["interest", "cohort"].contains(&table.as_str()));
    let (rows, bytes) = written.map(|(_, held)| held).fold((0, 0), |(rows, bytes), held| {
        (rows + held.rows, bytes + held.bytes)
    });
    let pieces = visits.lines.chunks((bytes / rows.max(1)).max(1));
    let pieces: Vec<_> = pieces.map(String::from_utf8_lossy).collect();
    let texts: Vec<&str> = pieces.iter().cycle().take(rows).map(AsRef::as_ref).collect();
    for rows in [1_000, 4_000] {
        let took = bare::insert(folder().path(), &texts, rows).await;
        // Counted in records as well: what the road made of them took the engine so long.
        figures.note_rate(&format!("{BARE_LIKE_ROAD}, by {rows}"), visits.count, took);
    }
}

/// Imports into a real server, and lookups at rest and meanwhile.
async fn served(options: &Options) {
    let (store, files) = (folder(), folder());
    let server = Arc::new(Server::start(store.path()));
    let visitor = server.visitor().await;
    let import = async |lines: &[u8]| {
        let file = files.path().join("visits.ndjson");
        fs::write(&file, lines).unwrap_or_else(|error| panic!("{error}"));
        let server = Arc::clone(&server);
        let took = spawn_blocking(move || server.import(&file)).await;
        took.unwrap_or_else(|error| panic!("{error}"))
    };
    let now = Utc::now();
    let mut figures = Figures::default();
    for turn in 1..=options.turns {
        println!("turn {turn}");
        let [alone, beside] =
            [0, 1].map(|which| Visits::of(options.people, u64::from(turn * 2 + which), now));
        import(&alone.interests_alone()).await;
        import(&beside.interests_alone()).await;
        let took = import(&alone.lines).await;
        figures.note_rate("records/s of `cdp import`", alone.count, took);
        if turn == 1 {
            println!(
                "  the server's memory at its most: {} MB",
                server.peak_memory() / 1_000_000
            );
            let bytes = disk_bytes(store.path()) / alone.count as u64;
            println!("  on disk: {bytes} bytes a record");
        }
        let cookies = Arc::new(alone.cookies());
        let at_rest = visitor.look_up_for(Arc::clone(&cookies), REST_SECONDS).await;
        note_lookups(&mut figures, "at rest", &at_rest);
        let (ended, end) = oneshot::channel::<()>();
        let importing = async {
            let took = import(&beside.lines).await;
            drop(ended);
            took
        };
        let (meanwhile, took) = tokio::join!(visitor.look_up(cookies, async { drop(end.await) }), importing);
        note_lookups(&mut figures, "during an import", &meanwhile);
        figures.note_rate("records/s of `cdp import` beside lookups", beside.count, took);
    }
    figures.print("`cdp serve`", None);
    let ratio = figures.ratio(&lookup("during an import", "p99"), &lookup("at rest", "p99"));
    println!(
        "\np99 of a lookup during an import, by that at rest: {:.2}",
        ratio.unwrap_or_default()
    );
}

fn note_lookups(figures: &mut Figures, when: &str, times: &[Duration]) {
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let time = percentile_ms(times, share);
        println!("  lookup {when}, {name}: {time:.2} ms of {}", times.len());
        figures.note(&lookup(when, name), time);
    }
}

fn lookup(when: &str, share: &str) -> String {
    format!("lookup {when}, {share} in ms")
}
