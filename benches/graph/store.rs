//! The decision with everything around it: pack, validate, read, plan, commit to the disk.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use divan::{Bencher, black_box};

use super::bed::{Bed, cookie_of, email_of, fact, line, sizes};

/// Repetitions that change what is stored, and so must be few beside its size.
const FEW: u32 = 60;

/// Cookies of the people in [`PEOPLE`]; the last is the default cap.
const COOKIES: [u32; 4] = [1, 100, 1_000, 2_000];

/// Where a store that is kept goes on counting would collide; each run has a stretch of its
/// own.
static RUN: LazyLock<u32> = LazyLock::new(|| {
    let seconds = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    1_000_000_000 + u32::try_from(seconds % 100_000).unwrap_or(0) * 10_000
});

/// The stores by size, each filled once.
fn bed(people: u32) -> Arc<Bed> {
    static BEDS: Mutex<BTreeMap<u32, Arc<Bed>>> = Mutex::new(BTreeMap::new());
    let mut beds = BEDS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(beds.entry(people).or_insert_with(|| Arc::new(Bed::of(people))))
}

/// A person of so many cookies in a store that has others: who is next.
fn person_of(bed: &Bed, cookies: u32) -> u32 {
    let person = next_person();
    let visits: Vec<String> = (0..cookies).map(|n| line(&fact(person, n, 0))).collect();
    for part in visits.chunks(1_000) {
        bed.ingest(&part.concat());
    }
    person
}

fn next_person() -> u32 {
    static NEXT: Mutex<u32> = Mutex::new(0);
    let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
    *next += 1;
    *RUN + *next
}

/// One record of a known cookie with something new.
#[divan::bench(args = COOKIES, sample_count = FEW, sample_size = 1)]
fn e_a_known_cookie_of_a_person_of(bencher: Bencher<'_, '_>, cookies: u32) {
    let bed = bed(10_000);
    let person = person_of(&bed, cookies);
    let visit = Cell::new(1);
    bencher
        .with_inputs(|| {
            visit.set(visit.get() + 1);
            line(&fact(person, cookies / 2, visit.get()))
        })
        .bench_local_values(|line| bed.ingest(black_box(&line)));
}

/// One record of another cookie, so the person grows by [`FEW`] meanwhile.
#[divan::bench(args = COOKIES, sample_count = FEW, sample_size = 1)]
fn f_a_new_cookie_of_a_person_of(bencher: Bencher<'_, '_>, cookies: u32) {
    let bed = bed(10_000);
    let person = person_of(&bed, cookies);
    let next = Cell::new(cookies);
    bencher
        .with_inputs(|| {
            next.set(next.get() + 1);
            line(&fact(person, next.get(), 1))
        })
        .bench_local_values(|line| bed.ingest(black_box(&line)));
}

/// One record that makes a person of one cookie and one of so many one person.
#[divan::bench(args = COOKIES, sample_count = FEW, sample_size = 1)]
fn g_merge_into_a_person_of(bencher: Bencher<'_, '_>, cookies: u32) {
    let bed = bed(10_000);
    let person = person_of(&bed, cookies);
    bencher
        .with_inputs(|| {
            let other = next_person();
            let mut visit = fact(other, 0, 0);
            visit.email = None;
            bed.ingest(&line(&visit).replace(r#""email":"","#, ""));
            visit.email = Some(email_of(person));
            line(&visit)
        })
        .bench_local_values(|line| bed.ingest(black_box(&line)));
}

/// One lookup.
#[divan::bench(args = sizes(), sample_count = 200, sample_size = 10)]
fn h_look_up_one_of(bencher: Bencher<'_, '_>, people: u32) {
    let bed = bed(people);
    let next = Cell::new(0);
    bencher
        .with_inputs(|| cookie_of(any(&next, people), 0))
        .bench_local_refs(|cookie| {
            assert!(bed.find(cookie).is_some());
        });
}

/// One record of somebody who is known.
#[divan::bench(args = sizes(), sample_count = 200, sample_size = 1)]
fn i_a_known_cookie_in_a_store_of(bencher: Bencher<'_, '_>, people: u32) {
    let bed = bed(people);
    let next = Cell::new(*RUN);
    bencher
        .with_inputs(|| line(&fact(any(&next, people), 0, next.get() % 1_000_000)))
        .bench_local_values(|line| bed.ingest(black_box(&line)));
}

/// One record of somebody new.
#[divan::bench(args = sizes(), sample_count = 200, sample_size = 1)]
fn j_somebody_new_in_a_store_of(bencher: Bencher<'_, '_>, people: u32) {
    let bed = bed(people);
    bencher
        .with_inputs(|| line(&fact(next_person(), 0, 0)))
        .bench_local_values(|line| bed.ingest(black_box(&line)));
}

/// A thousand records of people who are known, scattered over the store.
#[divan::bench(args = sizes(), sample_count = 10, sample_size = 1)]
fn k_1000_known_cookies_in_a_store_of(bencher: Bencher<'_, '_>, people: u32) {
    let bed = bed(people);
    let next = Cell::new(*RUN);
    bencher
        .with_inputs(|| {
            let mut lines = String::new();
            for _ in 0..1_000 {
                let person = any(&next, people);
                let _ = lines.write_str(&line(&fact(person, 0, next.get() % 1_000_000)));
            }
            lines
        })
        .bench_local_values(|lines| bed.ingest(black_box(&lines)));
}

/// Somebody of a store, scattered by a multiplier of Knuth's.
fn any(next: &Cell<u32>, people: u32) -> u32 {
    next.set(next.get().wrapping_add(1));
    next.get().wrapping_mul(2_654_435_761) % people
}
