//! `cdp demo`: invents visitors and writes their visits, with the truth about who is who
//! beside them, so that what identity resolution makes of the visits can be scored.
//!
//! In reading order: the [`catalogue`] is what people are made of, [`people`] makes them,
//! [`visits`] tells what they do, [`truth`] knows who it was. All of it is pure and the
//! same for the same seed and time; only [`run`] writes files.

// Lists of words read as paragraphs, not as columns.
#[rustfmt::skip]
pub mod catalogue;
pub mod people;
pub mod truth;
pub mod visits;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::domain::Timestamp;
use truth::Truth;
use visits::Visit;

/// How much to invent, and where to put it.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoArgs {
    /// How many people to invent; each makes about six records
    #[arg(long, default_value_t = 2_000)]
    pub people: u32,
    /// The same seed and time give the same people and visits
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// When the last visit may be, RFC 3339; now, unless given
    #[arg(long)]
    pub until: Option<Timestamp>,
    /// The folder for `visits.ndjson` and `truth.csv`; made if it is not there
    #[arg(long, default_value = "demo")]
    pub out: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Records, good and bad.
    pub records: usize,
    /// Records that must be refused.
    pub malformed: usize,
    /// Profiles that the identity rules imply.
    pub components: usize,
}

/// Why the demo could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The disk said no.
    #[error("writing {}", .path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Writes `visits.ndjson` and `truth.csv`.
///
/// # Errors
/// When the folder or a file can't be written.
pub fn run(args: &DemoArgs) -> Result<Summary, DemoError> {
    let until = args.until.unwrap_or_else(chrono::Utc::now);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DemoError::Write { path, source }
    };
    fs::create_dir_all(&args.out).map_err(failed(&args.out))?;
    let (visits, truth) = (args.out.join("visits.ndjson"), args.out.join("truth.csv"));
    let (summary, known) =
        write_visits(generate(args.people, args.seed, until), &visits).map_err(failed(&visits))?;
    write_truth(&known, &truth).map_err(failed(&truth))?;
    Ok(summary)
}

/// The visits of as many people in the half year before `until`, in the order in which
/// they arrive. The same arguments give the same visits.
pub fn generate(people: u32, seed: u64, until: Timestamp) -> impl ExactSizeIterator<Item = Visit> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let people = people::population(people, &mut rng);
    let moments = visits::moments(&people, until, &mut rng);
    // Only moments are kept; what happens in one is told when it is asked for.
    (moments.into_iter()).map(move |moment| visits::tell(&moment, &people, seed, until))
}

fn write_visits(visits: impl Iterator<Item = Visit>, path: &Path) -> io::Result<(Summary, Truth)> {
    let mut lines = BufWriter::new(File::create(path)?);
    let mut truth = Truth::default();
    let (mut records, mut malformed) = (0, 0);
    for visit in visits {
        writeln!(lines, "{}", visit.to_json()?)?;
        truth.observe(&visit);
        records += 1;
        malformed += usize::from(visit.fault.is_some());
    }
    lines.flush()?;
    let components = truth.component_count();
    let summary = Summary {
        records,
        malformed,
        components,
    };
    Ok((summary, truth))
}

fn write_truth(truth: &Truth, path: &Path) -> io::Result<()> {
    let mut table = csv::Writer::from_path(path)?;
    table.write_record(["person", "kind", "identifier", "expected_component"])?;
    for row in truth.rows() {
        table.write_record([
            row.person.to_string().as_str(),
            row.kind.to_string().as_str(),
            row.identifier,
            row.expected_component.to_string().as_str(),
        ])?;
    }
    table.flush()
}

/// Whether something happens that happens `per_mille` times in a thousand.
fn chance(rng: &mut ChaCha8Rng, per_mille: u32) -> bool {
    rng.random_range(0..1_000) < per_mille
}

/// One of a list that is not empty; all of ours are constants, or lists of at least one.
fn pick<'a, T>(rng: &mut ChaCha8Rng, among: &'a [T]) -> &'a T {
    &among[rng.random_range(0..among.len())]
}

#[cfg(test)]
mod tests;
