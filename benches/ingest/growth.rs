//! What a chunk costs in a small store and in a large one, in turn.

use std::fmt::Write as _;
use std::time::Instant;

use super::bed::{Bed, fact, line, place};
use super::process::{disk_bytes, peak_memory};
use super::table::Figures;

/// People of the small store.
const FEW: u32 = 10_000;

/// Chunks that each store takes; the first few warm it up.
const CHUNKS: u32 = 40;
const CHUNKS_OF_WARMTH: u32 = 5;

/// Records of a chunk, and how many of them are of people whom the store knows.
const RECORDS: u32 = 1_000;
const KNOWN: u32 = 800;

/// Fills the stores, which takes minutes, and sends them the same mix of chunks. With
/// `STORE_FOLDER` they are kept there, and found again.
pub fn measure(many: u32) {
    let beds = [FEW, many].map(|people| {
        let started = Instant::now();
        let (path, folder) = place(people);
        let bed = Bed::at(&path, people);
        println!("{people} people in {:.0} s", started.elapsed().as_secs_f64());
        println!(
            "  on disk: {} bytes a profile",
            disk_bytes(&path) / u64::from(people)
        );
        println!(
            "  memory at its most, so far: {} MB",
            peak_memory("self") / 1_000_000
        );
        (people, bed, folder)
    });
    let mut figures = Figures::default();
    for number in 0..CHUNKS {
        for (people, bed, _) in &beds {
            let lines = chunk(*people, number);
            let started = Instant::now();
            bed.ingest(&lines);
            let took_us = started.elapsed().as_secs_f64() * 1_000_000.0;
            if number >= CHUNKS_OF_WARMTH {
                figures.note(&name(*people), took_us / f64::from(RECORDS));
            }
        }
    }
    figures.print("µs a record", Some(&name(many)));
}

fn name(people: u32) -> String {
    format!("{people} people")
}

/// Visits of people all over the store, and of strangers; each run has strangers of its own, since
/// a store may be kept.
fn chunk(people: u32, number: u32) -> String {
    let moment = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.subsec_nanos());
    let mut lines = String::new();
    for at in 0..RECORDS {
        let serial = number * RECORDS + at;
        let visit = moment % 1_000_000 + serial;
        let who = if at < KNOWN {
            // Scattered by a multiplier of Knuth's.
            serial.wrapping_add(moment).wrapping_mul(2_654_435_761) % people
        } else {
            3_000_000_000 + moment % 1_000_000 * 1_000 + serial
        };
        let _ = lines.write_str(&line(&fact(who, 0, visit)));
    }
    lines
}
