//! What is served, by the real program over HTTP, to clients in a process of their own. Contenders
//! take turns within one run, since machines drift; read the ratios. `docs/BENCHMARKS.md` says what
//! is measured and what came out.
//!
//! In reading order: [`people`] are in the store, [`questions`] are asked of them, [`load`] asks,
//! over [`http`]; [`server`] is the program in a [`process`] of its own, and [`cores`] says on which.
//! [`reads`] measures answers while the store grows, beside PostgreSQL ([`twin`]); [`engines`] the
//! engines below the store; [`soak`] steady load. [`statistics`] reckons, [`table`] prints.

mod cores;
mod engines;
mod http;
mod load;
mod people;
mod process;
mod questions;
mod reads;
mod server;
mod soak;
mod statistics;
mod table;
#[path = "../baseline/twin.rs"]
mod twin;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cdp::config::{Config, Mode};
use clap::{Args, Parser, Subcommand};
use engines::LOADED_FROM;
use load::{Asked, Target, closed};
use questions::mix;
use server::Place;
use tokio::runtime::Builder;

/// Where `scripts/postgres-server` says that PostgreSQL is.
const POSTGRES: &str = "CDP_BENCH_POSTGRES";

/// The share of what a server sustains that a soak asks of it.
const SOAKED: f64 = 0.7;

#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    part: Part,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Part {
    /// Answers, beside PostgreSQL, while the store grows
    Reads {
        /// How many people the store has, one size after another
        #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
        sizes: Vec<u32>,
        /// How often the platform and PostgreSQL take turns
        #[arg(long, default_value_t = 3)]
        turns: u32,
        #[command(flatten)]
        common: Common,
    },
    /// The embedded engines: import, lookups, disk, memory, steady load
    Engines {
        /// Records of the import, each of a person of its own
        #[arg(long, default_value_t = 500_000)]
        people: u32,
        /// Minutes of steady load on each
        #[arg(long, default_value_t = 5.0)]
        minutes: f64,
        /// Seconds between two samples
        #[arg(long, default_value_t = 10.0)]
        sample: f64,
        #[command(flatten)]
        common: Common,
    },
    /// Steady load at 70 % of what the server sustains; ends with an error if memory or times rise
    Soak {
        /// How many people the store has: so many that those who come meanwhile are few beside them
        #[arg(long, default_value_t = 200_000)]
        people: u32,
        /// Minutes
        #[arg(long, default_value_t = 20.0)]
        minutes: f64,
        /// Seconds between two samples
        #[arg(long, default_value_t = 10.0)]
        sample: f64,
        /// Seconds in which it is found out how much the server takes: as long as it takes the engine
        /// to merge its files several times, or it is more than what can be sustained
        #[arg(long, default_value_t = 120.0)]
        sustained: f64,
        /// The engine
        #[arg(long, default_value = engines::ENGINES[0], value_parser = engines::ENGINES)]
        engine: String,
        /// Where to write all samples
        #[arg(long)]
        csv: Option<PathBuf>,
        #[command(flatten)]
        clients: Clients,
    },
    /// Copies people into PostgreSQL
    #[command(hide = true)]
    Fill(TwinArgs),
    /// Serves people out of PostgreSQL
    #[command(hide = true)]
    Twin(TwinArgs),
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    clients: Clients,
    /// How long each question is asked
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

#[derive(Args)]
struct Clients {
    /// Their connections
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// The server's sentence model
    #[arg(long, default_value = "minilm")]
    model: String,
}

impl Common {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }
}

#[derive(Args)]
struct TwinArgs {
    #[arg(long)]
    store: String,
    #[arg(long)]
    postgres: String,
}

impl TwinArgs {
    /// A demo over a store of its own.
    fn config(&self) -> Config {
        let config = Config::load(None);
        let mut config = config.unwrap_or_else(|error| panic!("no settings: {error}"));
        config.mode = Mode::Demo;
        config.store.url.clone_from(&self.store);
        config
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match &options.part {
        Part::Fill(args) | Part::Twin(args) => cdp::cli::threads::runtime(args.config().threads),
        // Clients on several threads would wait for each other's slice of a core, and that is
        // measured as if it were the server's.
        _ => Builder::new_current_thread().enable_all().build(),
    };
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    runtime.block_on(run(options.part))
}

async fn run(part: Part) -> ExitCode {
    match part {
        Part::Reads { sizes, turns, common } => read(sizes, turns, common).await,
        Part::Engines {
            people,
            minutes,
            sample,
            common,
        } => {
            let plan = engines::Plan {
                people,
                connections: common.clients.connections,
                duration: common.duration(),
                soak: Duration::from_secs_f64(minutes * 60.0),
                sampled_every: Duration::from_secs_f64(sample),
                model: common.clients.model,
            };
            engines::measure(&plan).await;
        }
        Part::Soak {
            people,
            minutes,
            sample,
            sustained,
            engine,
            csv,
            clients,
        } => {
            let engine = engines::ENGINES.into_iter().find(|known| *known == engine);
            let place = Place::new(engine.unwrap_or(engines::ENGINES[0]), &clients.model);
            let durations = [sustained, minutes * 60.0, sample].map(Duration::from_secs_f64);
            if !soaked(people, durations, &place, csv, clients.connections).await {
                return ExitCode::FAILURE;
            }
        }
        Part::Fill(args) => twin::fill(&args.config(), &args.postgres).await,
        Part::Twin(args) => twin::serve(&args.config(), &args.postgres).await,
    }
    ExitCode::SUCCESS
}

async fn read(sizes: Vec<u32>, turns: u32, common: Common) {
    let postgres = std::env::var_os(POSTGRES).map(|server| server.to_string_lossy().into_owned());
    if postgres.is_none() {
        println!("No PostgreSQL to compare with: run this by `scripts/postgres-server`, which starts one.");
    }
    let plan = reads::Plan {
        sizes,
        connections: common.clients.connections,
        duration: common.duration(),
        turns,
        engine: engines::ENGINES[0],
        model: common.clients.model,
        postgres,
    };
    reads::measure(&plan).await;
}

/// Finds out what the server sustains, and asks 70 % of it; whether it stays as it is.
async fn soaked(
    people: u32,
    [sustained, duration, sampled_every]: [Duration; 3],
    place: &Place,
    csv: Option<PathBuf>,
    connections: usize,
) -> bool {
    let (server, _) = place.start().await;
    server.import(0, people).await;
    server.settle(people).await;
    // With connections to spare, so that it is the server that says how much it takes, and not how many
    // callers wait for their writes.
    let target = Target {
        address: server.address().to_owned(),
        connections: connections * 4,
        is_apart: false,
    };
    let asked = |first| mix(people, first, &server.analyst, &server.sender);
    let most = closed(&target, sustained, &Asked::of(asked(0).in_turn())).await;
    println!("  {most:.0} requests a second are sustained");
    let requests = asked(LOADED_FROM);
    let load = soak::Load {
        target,
        per_second: most * SOAKED,
        duration,
        sampled_every,
        requests,
    };
    let samples = soak::run(&load, &server, place).await;
    server.stop();
    if let Some(file) = csv {
        soak::write(&file, &samples);
    }
    let caption = format!(
        "{people} people, {:.0} requests/s of {most:.0} that are sustained",
        load.per_second
    );
    soak::judge(&caption, &samples)
}
