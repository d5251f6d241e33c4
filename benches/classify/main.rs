//! How many embeddings a second the sentence models make, beside `PyTorch` and onnxruntime on the
//! same weights, the same phrases and as many threads. Contenders take turns within one run, since
//! machines drift; read the ratios. All are first held to the same vectors.
//!
//! In reading order: [`contender`] is who takes part, and [`kept`] asks again what was asked before; the others by `benches/baseline/embed.py` in
//! processes of their own. Without their Python (`make bench-classify` makes it), ours runs alone.

mod contender;
mod kept;
#[expect(
    dead_code,
    reason = "shared with the benchmark of ingestion, which prints other tables by it"
)]
#[path = "../ingest/table.rs"]
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use cdp::classify::encoder::Encoder;
use cdp::classify::model::{Settings, load_directory};
use cdp::services::seeds::parse_seeds;
use clap::{Parser, ValueEnum};
use contender::{Contender, Other, Ours};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use table::{Figures, percentile_ms};

const OURS: &str = "ours";
const PYTORCH: &str = "PyTorch";
const ONNXRUNTIME: &str = "onnxruntime";

/// Texts of a call.
const BATCHES: [usize; 3] = [1, 32, 256];

/// Two vectors of one text are the same from this cosine on.
const COSINE_MIN: f64 = 0.9999;

/// What contenders must agree on besides phrases: signs, other scripts, misspellings.
const HARD_TEXTS: [&str; 5] = ["ü", "c++", "crcket", "Motörhead & 東京", "!"];

/// How often ours starts, for the median.
const STARTS: usize = 3;

/// Between turns, so that threads which wait for more work in a loop have fallen asleep.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, ValueEnum)]
enum Model {
    /// all-mpnet-base-v2
    Mpnet,
    /// all-MiniLM-L6-v2
    Minilm,
}

impl Model {
    const fn folder(self) -> &'static str {
        match self {
            Self::Mpnet => "all-mpnet-base-v2",
            Self::Minilm => "all-MiniLM-L6-v2",
        }
    }
}

#[derive(Parser)]
struct Options {
    /// What to measure: both, unless given
    models: Vec<Model>,
    /// Threads of each contender: as many as there are cores, unless given
    #[arg(long)]
    threads: Option<usize>,
    /// How often contenders take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// A Python that has torch, transformers, onnx and onnxruntime
    #[arg(long, env = "CDP_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// Cargo says so to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let cores = || available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(cores).max(1);
    if options.python.is_none() {
        println!("No PyTorch to compare with: run this by `make bench-classify`, which installs it.");
    }
    let phrases = phrases();
    println!("{} distinct phrases, threads: {threads}", phrases.len());
    let models = if options.models.is_empty() {
        Model::value_variants()
    } else {
        options.models.as_slice()
    };
    let folder = Settings::default().cache();
    for model in models {
        measure(&folder.join(model.folder()), threads, &phrases, &options);
    }
}

/// The examples of all cohorts, each once, in an order that is random but always the same: wherever
/// a measurement ends, it has seen a fair share of short ones and long ones.
fn phrases() -> Vec<String> {
    let cohorts = parse_seeds(include_str!("../../seeds/cohorts.yaml"));
    let cohorts = cohorts.unwrap_or_else(|error| panic!("{error}"));
    let examples = cohorts.into_iter().flat_map(|cohort| cohort.examples);
    let mut phrases: Vec<String> = examples.collect::<BTreeSet<_>>().into_iter().collect();
    phrases.shuffle(&mut ChaCha8Rng::seed_from_u64(7));
    phrases
}

/// Measures one model, whose files lie in a folder, and prints its tables.
fn measure(model: &Path, threads: usize, phrases: &[String], options: &Options) {
    let name = model
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    println!("\n{name}");
    let starts = starts(model, threads, phrases);
    let mut file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("no file: {error}"));
    file.write_all((phrases.join("\n") + "\n").as_bytes())
        .unwrap_or_else(|error| panic!("{error}"));
    let ours = Ours::load(model, threads, phrases);
    let width = ours.width();
    let mut contenders: Vec<Box<dyn Contender>> = vec![Box::new(ours)];
    if let Some(python) = &options.python {
        for (name, runtime) in [(PYTORCH, "torch"), (ONNXRUNTIME, "onnx")] {
            let other = Other::start(python, name, runtime, model, threads, file.path());
            println!("  {}", other.describe());
            contenders.push(Box::new(other));
        }
    }
    check_vectors(&mut contenders, phrases);
    let mut figures = Figures::default();
    let mut latencies = BTreeMap::new();
    for round in 1..=options.rounds {
        println!("round {round}");
        for batch in BATCHES {
            for contender in &mut contenders {
                sleep(PAUSE);
                let calls = contender.measure(batch, options.seconds);
                let took = calls.iter().sum();
                figures.note_rate(&rate(contender.name(), batch), calls.len() * batch, took);
                if batch == 1 {
                    let known: &mut Vec<_> = latencies.entry(contender.name()).or_default();
                    known.extend(calls);
                }
            }
        }
    }
    println!("\n### {name}, {width} numbers, threads: {threads}");
    print_rates(&figures);
    print_latencies(latencies);
    let start = starts.median(OURS).unwrap_or_default();
    println!("\nStart-up of ours, from its files to the first embedding: {start:.2} s");
    drop(contenders);
    kept::measure(model, threads, phrases, options.seconds);
}

/// How long ours takes from files, which the system has in memory, to the first embedding.
fn starts(model: &Path, threads: usize, phrases: &[String]) -> Figures {
    let mut figures = Figures::default();
    let first: Vec<&str> = phrases.iter().take(1).map(String::as_str).collect();
    for _ in 0..STARTS {
        let started = Instant::now();
        let encoder = load_directory(model, threads).unwrap_or_else(|error| panic!("{error}"));
        let made = encoder.encode(&first).unwrap_or_else(|error| panic!("{error}"));
        figures.note(OURS, started.elapsed().as_secs_f64());
        assert_eq!(made.len(), first.len());
    }
    figures
}

/// Stops unless all contenders give the same vectors, to texts together and to one alone.
fn check_vectors(contenders: &mut [Box<dyn Contender + '_>], phrases: &[String]) {
    let long = "a very long story ".repeat(100);
    let mut texts: Vec<&str> = phrases.iter().take(20).map(String::as_str).collect();
    texts.extend(HARD_TEXTS);
    texts.push(&long);
    for texts in [&texts[..], &texts[..1]] {
        let mut given = contenders.iter_mut().map(|one| (one.name(), one.embed(texts)));
        let Some((_, ours)) = given.next() else { return };
        for (name, theirs) in given {
            assert_eq!(theirs.len(), ours.len(), "{name} leaves texts out");
            for ((text, ours), theirs) in texts.iter().zip(&ours).zip(&theirs) {
                let cosine = cosine(ours, theirs);
                assert!(
                    cosine > COSINE_MIN,
                    "{name} gives another vector for {text:?}: cosine {cosine}"
                );
            }
            if texts.len() > 1 {
                println!("  {name} gives the same vectors");
            }
        }
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// The name of a rate among the figures.
fn rate(contender: &str, batch: usize) -> String {
    format!("{contender}, batch {batch}")
}

/// Prints texts a second, medians of all rounds.
fn print_rates(figures: &Figures) {
    println!(
        "\n| batch | ours, texts/s | PyTorch | onnxruntime | ours by the faster |\n|---|---|---|---|---|"
    );
    for batch in BATCHES {
        let [ours, pytorch, onnxruntime] =
            [OURS, PYTORCH, ONNXRUNTIME].map(|name| figures.median(&rate(name, batch)));
        let faster = [pytorch, onnxruntime].into_iter().flatten().reduce(f64::max);
        let ratio = ours.zip(faster).map(|(ours, faster)| ours / faster);
        let [ours, pytorch, onnxruntime] = [ours, pytorch, onnxruntime].map(|rate| shown(rate, 0));
        let ratio = shown(ratio, 2);
        println!("| {batch} | {ours} | {pytorch} | {onnxruntime} | {ratio} |");
    }
}

/// Prints how long one text takes alone, over all rounds.
fn print_latencies(latencies: BTreeMap<&str, Vec<Duration>>) {
    println!("\n| one text alone | p50, ms | p99, ms | calls |\n|---|---|---|---|");
    for (name, mut calls) in latencies {
        calls.sort_unstable();
        let [p50, p99] = [0.5, 0.99].map(|share| percentile_ms(&calls, share));
        println!("| {name} | {p50:.2} | {p99:.2} | {} |", calls.len());
    }
}

fn shown(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "–".to_owned(), |figure| format!("{figure:.digits$}"))
}
