//! Steady load for minutes: whether memory and times stay what they are.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::load::{Gathered, Kind, Mix, Target, open_mix};
use super::server::{Place, Server, disk_mb, mb};
use super::statistics::{Times, Trend, shown};
use super::table;

/// The share of the time in which a server warms up; what was sampled then is shown, and not judged.
const WARM_UP: f64 = 0.25;

/// By how much memory may rise from the first judged sample to the last, and times.
const MEMORY_TOLERANCE: f64 = 0.05;
const TIME_TOLERANCE: f64 = 0.25;

/// How many samples a table shows; the file has all.
const SHOWN: usize = 20;

/// Load on a server.
pub struct Load {
    pub target: Target,
    pub per_second: f64,
    pub duration: Duration,
    pub sampled_every: Duration,
    pub requests: Mix,
}

/// What a sample has, and what it is judged by, if it is.
const COLUMNS: [(&str, Option<f64>); 9] = [
    ("s", None),
    ("memory, MB", Some(MEMORY_TOLERANCE)),
    ("store, MB", None),
    ("answers/s", None),
    ("read p50, ms", Some(TIME_TOLERANCE)),
    ("read p99, ms", Some(TIME_TOLERANCE)),
    ("write p50, ms", Some(TIME_TOLERANCE)),
    ("write p99, ms", Some(TIME_TOLERANCE)),
    ("refused", None),
];

/// The columns of a moment.
pub type Sample = [f64; COLUMNS.len()];

/// Puts the load on, and samples.
pub async fn run(load: &Load, server: &Server, place: &Place) -> Vec<Sample> {
    let gathered = Arc::new(Gathered::default());
    let mut samples = Vec::new();
    let loading = open_mix(
        &load.target,
        load.per_second,
        load.duration,
        &load.requests,
        &gathered,
    );
    let sampling = async {
        let mut tick = interval(load.sampled_every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick.tick().await;
        loop {
            tick.tick().await;
            let at = load.sampled_every.as_secs_f64() * (samples.len() + 1) as f64;
            let sample = sample(at, load, &gathered, server, place);
            println!("  {at:.0} s: {:.0} MB, p99 {:.2} ms", sample[1], sample[5]);
            samples.push(sample);
        }
    };
    tokio::select! {
        () = loading => {}
        () = sampling => {}
    }
    samples
}

fn sample(at: f64, load: &Load, gathered: &Gathered, server: &Server, place: &Place) -> Sample {
    let [reads, writes]: [Times; 2] = [Kind::Read, Kind::Write].map(|kind| gathered.take(kind));
    let answers = (reads.count() + writes.count()) as f64 / load.sampled_every.as_secs_f64();
    let refused = gathered.take_failed() as f64;
    let (memory, disk) = (mb(server.memory().0), disk_mb(&place.store()));
    let of = |times: &Times| [times.ms(0.5), times.ms(0.99)];
    let ([r50, r99], [w50, w99]) = (of(&reads), of(&writes));
    [at, memory, disk, answers, r50, r99, w50, w99, refused]
}

/// Prints the samples, how each column moved, and whether that is flat. Returns whether all are.
pub fn judge(caption: &str, samples: &[Sample]) -> bool {
    let headings = COLUMNS.map(|(heading, _)| heading);
    let step = samples.len().div_ceil(SHOWN).max(1);
    let rows: Vec<Vec<String>> = (samples.iter().skip(step - 1).step_by(step))
        .map(|sample| sample.iter().map(|figure| shown(*figure)).collect())
        .collect();
    table::print_texts(caption, &headings, &rows);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a list"
    )]
    let warm = (samples.len() as f64 * WARM_UP) as usize;
    let judged = samples.get(warm..).unwrap_or_default();
    let mut is_flat = true;
    let mut rows = Vec::new();
    for (at, (heading, tolerance)) in COLUMNS.iter().enumerate().skip(1) {
        let points: Vec<(f64, f64)> = judged.iter().map(|sample| (sample[0], sample[at])).collect();
        let Some(trend) = Trend::of(&points) else { continue };
        let verdict = match tolerance {
            None => "",
            Some(tolerance) if trend.is_flat(*tolerance) => "flat",
            Some(_) => "**rises**",
        };
        is_flat &= verdict != "**rises**";
        rows.push(vec![
            (*heading).to_owned(),
            shown(trend.per_hour),
            format!("{:+.1} %", trend.rise * 100.0),
            verdict.to_owned(),
        ]);
    }
    let caption = format!("{caption}: how it moved, the first quarter left out");
    table::print_texts(
        &caption,
        &["", "slope an hour", "rise from first to last", ""],
        &rows,
    );
    is_flat
}

/// Writes the samples as a table of values between commas.
pub fn write(file: &Path, samples: &[Sample]) {
    let mut text = COLUMNS.map(|(heading, _)| heading.replace(", ", "_")).join(",");
    for sample in samples {
        let figures: Vec<String> = sample.iter().map(f64::to_string).collect();
        let _ = write!(text, "\n{}", figures.join(","));
    }
    if let Some(folder) = file.parent() {
        let _ = fs::create_dir_all(folder);
    }
    let written = fs::write(file, text + "\n");
    written.unwrap_or_else(|error| panic!("can't write {}: {error}", file.display()));
    println!("  all samples: {}", file.display());
}
