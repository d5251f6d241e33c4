//! The embedded engines beside each other under the same server: an import, lookups, disk, memory,
//! and then steady load.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::load::{Asked, Target, closed, times_at};
use super::questions::{lookups, mix};
use super::server::{Place, Server, disk_mb, mb};
use super::{soak, table};

/// The engines; the second where it was built in.
pub const ENGINES: [&str; 2] = ["surrealkv", "rocksdb"];

/// How often memory is looked at during an import.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The load of the soak, by what the slower of them takes.
const SHARE: f64 = 0.5;

/// The number of the load's first visit; those before were sent to find out how much is taken.
pub const LOADED_FROM: u32 = 10_000_000;

/// What to measure, and for how long.
pub struct Plan {
    /// Records of the import, each of a person of its own.
    pub people: u32,
    pub connections: usize,
    /// How long each question is asked.
    pub duration: Duration,
    /// How long the load lasts.
    pub soak: Duration,
    pub sampled_every: Duration,
    pub model: String,
}

/// What the figures of an engine are.
const FIGURES: [&str; 10] = [
    "import, records/s",
    "memory at most during the import, MB",
    "memory after the import, MB",
    "store on disk, MB",
    "user by cookie, requests/s",
    "user by cookie, p50 at half of that, ms",
    "user by cookie, p99 at half of that, ms",
    "the mix of reads and writes, requests/s",
    "memory at most during the load, MB",
    "store on disk after the load, MB",
];

/// The engine that this program has.
fn built_in() -> impl Iterator<Item = &'static str> {
    let has_both = cfg!(feature = "rocksdb");
    ENGINES
        .into_iter()
        .filter(move |engine| has_both || *engine == ENGINES[0])
}

/// Each engine in turn, and then the same load on each.
pub async fn measure(plan: &Plan) {
    let mut figures = Vec::new();
    let mut beds = Vec::new();
    for engine in built_in() {
        println!("{engine}");
        let place = Place::new(engine, &plan.model);
        let (server, _) = place.start().await;
        figures.push(alone(plan, &server, &place).await);
        server.stop();
        beds.push((engine, place));
    }
    let least = figures
        .iter()
        .map(|figures| figures[7])
        .fold(f64::INFINITY, f64::min);
    for ((engine, place), figures) in beds.iter().zip(&mut figures) {
        let (server, _) = place.start().await;
        let load = soak::Load {
            target: target(plan, &server),
            per_second: least * SHARE,
            duration: plan.soak,
            sampled_every: plan.sampled_every,
            requests: mix(plan.people, LOADED_FROM, &server.analyst, &server.sender),
        };
        println!("{engine}: {:.0} requests a second", load.per_second);
        let samples = soak::run(&load, &server, place).await;
        soak::judge(
            &format!("{engine} under {:.0} requests/s", load.per_second),
            &samples,
        );
        figures.extend([mb(server.memory().1), disk_mb(&place.store())]);
        server.stop();
    }
    let names: Vec<&str> = std::iter::once("").chain(built_in()).collect();
    let rows: Vec<_> = (FIGURES.iter().enumerate())
        .map(|(at, name)| {
            (
                (*name).to_owned(),
                figures.iter().map(|figures| figures[at]).collect(),
            )
        })
        .collect();
    let caption = format!("Engines, {} records of as many people", plan.people);
    table::print(&caption, &names, &rows);
    if !cfg!(feature = "rocksdb") {
        println!("  RocksDB is not built in: `cargo bench --features rocksdb` has it.");
    }
}

fn target(plan: &Plan, server: &Server) -> Target {
    Target {
        address: server.address().to_owned(),
        connections: plan.connections,
        is_apart: false,
    }
}

/// The first eight of [`FIGURES`].
async fn alone(plan: &Plan, server: &Server, place: &Place) -> Vec<f64> {
    let mut most = 0.0_f64;
    let watching = async {
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            most = most.max(mb(server.memory().0));
        }
    };
    let took = tokio::select! {
        took = server.import(0, plan.people) => took,
        () = watching => Duration::ZERO,
    };
    server.settle(plan.people).await;
    let rate = f64::from(plan.people) / took.as_secs_f64();
    let (after, disk) = (mb(server.memory().0), disk_mb(&place.store()));
    println!("  {rate:.0} records/s, {after:.0} MB, {disk:.0} MB on disk");
    let target = target(plan, server);
    let mut figures = vec![rate, most, after, disk];
    if let Some(by_cookie) = lookups(plan.people, &server.analyst).first() {
        let most = closed(&target, plan.duration, &by_cookie.asked).await;
        let times = times_at(&target, most / 2.0, plan.duration, &by_cookie.asked).await;
        figures.extend([most, times.ms(0.5), times.ms(0.99)]);
    }
    let mixed = mix(plan.people, 0, &server.analyst, &server.sender);
    figures.push(closed(&target, plan.duration, &Asked::of(mixed.in_turn())).await);
    println!("  {:.0} lookups/s, {:.0} mixed/s", figures[4], figures[7]);
    figures
}
