//! The pure steps of the road, side by side: how the time of a thousand records divides
//! over decoding, validating and resolving, and what the last page of a cohort costs beside
//! the first. The steps that write are measured by an import; see `docs/BENCHMARKS.md`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use cdp::cli::demo;
use cdp::domain::Timestamp;
use cdp::domain::change::Transition;
use cdp::domain::cohort::CohortSlug;
use cdp::domain::fact::Fact;
use cdp::domain::graph::{Plan, Subgraph, Write};
use cdp::domain::policy::Rules;
use cdp::domain::profile::ProfileId;
use cdp::domain::record::{Origin, RawId};
use cdp::identity::resolve;
use cdp::ingest::decode::{Format, Row, decode};
use cdp::ingest::validate::{Rules as Judging, validate};
use cdp::pipeline::rosters::Rosters;
use divan::{Bencher, black_box};
use ulid::Ulid;

fn main() {
    divan::main();
}

const ROWS: usize = 1_000;
const MEMBERS: u32 = 1_000_000;

fn now() -> Timestamp {
    Timestamp::from_timestamp_nanos(1_800_000_000_000_000_000)
}

fn payload() -> String {
    let visits = demo::generate(200, 1, now()).take(ROWS);
    visits
        .filter_map(|visit| visit.to_json().ok())
        .map(|line| line + "\n")
        .collect()
}

fn rows(payload: &str) -> Vec<Row> {
    let mut rows = Vec::with_capacity(ROWS);
    let decoded = decode(Format::Ndjson, payload.as_bytes(), &mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    });
    assert!(decoded.is_ok());
    rows
}

fn facts(rows: Vec<Row>) -> Vec<Fact> {
    let origin = Origin {
        batch: Ulid::nil(),
        source: "bench".to_owned(),
        content_type: String::new(),
        received_at: now(),
    };
    let rules = Judging::default();
    let fact = |(row, number): (Row, u16)| {
        let raw = RawId {
            block: Ulid::nil(),
            row: number,
        };
        row.content
            .ok()
            .and_then(|fields| validate(&fields, &origin, raw, &rules).fact.ok())
    };
    rows.into_iter().zip(0..).filter_map(fact).collect()
}

fn planned(graph: &Subgraph, facts: &[Fact]) -> Plan {
    let mut next = 0;
    let plan = resolve(graph, facts, &Rules::default(), now(), &mut || {
        next += 1;
        ProfileId(next)
    });
    plan.unwrap_or_default()
}

/// The graph as it stands when these facts were stored before.
fn known(facts: &[Fact]) -> Subgraph {
    let plan = planned(&Subgraph::default(), facts);
    Subgraph {
        cookies: records(plan.cookies),
        emails: records(plan.emails),
        profiles: records(plan.profiles),
        ..Subgraph::default()
    }
}

fn records<K: Ord, T>(writes: BTreeMap<K, Write<T>>) -> BTreeMap<K, T> {
    writes
        .into_iter()
        .map(|(key, write)| (key, write.record))
        .collect()
}

#[divan::bench]
fn a_decode_1000_rows(bencher: Bencher<'_, '_>) {
    let payload = payload();
    bencher.bench_local(|| rows(black_box(&payload)));
}

#[divan::bench]
fn b_validate_1000_rows(bencher: Bencher<'_, '_>) {
    let rows = rows(&payload());
    bencher.with_inputs(|| rows.clone()).bench_local_values(facts);
}

#[divan::bench(args = [false, true])]
fn c_resolve_1000_facts_known(bencher: Bencher<'_, '_>, is_known: bool) {
    let facts = facts(rows(&payload()));
    let graph = if is_known {
        known(&facts)
    } else {
        Subgraph::default()
    };
    bencher.bench_local(|| planned(black_box(&graph), black_box(&facts)));
}

/// Every second of two million profiles is a member; pages of 50 from the first on, from
/// the middle, and the last.
#[divan::bench(args = [0, MEMBERS / 2, MEMBERS - 50])]
fn d_page_of_50_from(bencher: Bencher<'_, '_>, offset: u32) {
    let cohort = CohortSlug::of("sports");
    let rosters = Rosters::default();
    let entered = |at: u32| Transition {
        cohort: cohort.clone(),
        profile: ProfileId(at * 2),
        entered: true,
        why: None,
    };
    rosters.follow(&(0..MEMBERS).map(entered).collect::<Vec<_>>());
    bencher.bench_local(|| rosters.page(black_box(&cohort), u64::from(offset), 50));
}
