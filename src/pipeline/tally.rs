//! Counts what a commit does, from the plan and the people as they were before.

use std::collections::BTreeMap;

use super::consent::NOT_GIVEN;
use super::structured::Structured;
use crate::domain::change::Transition;
use crate::domain::graph::{Plan, Subgraph};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::tally::{Counts, Subject, Tally};

/// Counts what became of a chunk's records.
pub fn count_records(tally: &mut Tally, chunk: &Structured, duplicates: u64) {
    let counts = Counts {
        accepted: number(chunk.facts.len()),
        rejected: number(chunk.rejects.len()),
        duplicates: i64::try_from(duplicates).unwrap_or(i64::MAX),
        ..Counts::default()
    };
    tally.add(Subject::Source(chunk.origin.source.clone()), counts);
    tally.add(Subject::People, counts);
    for ((field, code), found) in &chunk.quality.findings {
        let name = match field.name() {
            "" => (*code).to_string(),
            field => format!("{field}.{code}"),
        };
        let found = i64::try_from(*found).unwrap_or(i64::MAX);
        let counts = Counts {
            found,
            ..Counts::default()
        };
        tally.add(Subject::Finding(name), counts);
    }
}

/// Counts the rows of which nothing but who it was is stored.
pub fn count_withheld(tally: &mut Tally, rows: usize) {
    let counts = Counts {
        found: number(rows),
        ..Counts::default()
    };
    tally.add(Subject::Finding(format!("consent.{NOT_GIVEN}")), counts);
    metrics::counter!("cdp_consent_withheld_total").increment(rows as u64);
}

/// Counts what becomes of people.
pub fn count_people(tally: &mut Tally, graph: &Subgraph, plan: &Plan, transitions: &[Transition]) {
    let absorbed: Vec<&Profile> = (plan.merges.iter())
        .filter_map(|merge| graph.profiles.get(&merge.absorbed))
        .collect();
    let was_there = |id: &ProfileId| graph.profiles.get(id);
    let before = plan.profiles.keys().filter_map(was_there).chain(absorbed);
    let mut sources: BTreeMap<&str, i64> = BTreeMap::new();
    let mut grown = number(plan.profiles.len());
    for profile in before {
        grown -= 1;
        for source in &profile.facet.sources {
            *sources.entry(source).or_default() -= 1;
        }
    }
    for write in plan.profiles.values() {
        for source in &write.record.facet.sources {
            *sources.entry(source).or_default() += 1;
        }
    }
    for (source, people) in sources {
        let counts = Counts {
            people,
            ..Counts::default()
        };
        tally.add(Subject::Source(source.to_owned()), counts);
    }
    let created = plan.profiles.values().filter(|write| write.new).count();
    let counts = Counts {
        people: grown,
        created: number(created),
        changed: number(plan.profiles.len() - created),
        merged: number(plan.merges.len()),
        ..Counts::default()
    };
    tally.add(Subject::People, counts);
    for change in transitions {
        let counts = Counts {
            entered: i64::from(change.entered),
            left: i64::from(!change.entered),
            ..Counts::default()
        };
        tally.add(Subject::Cohort(change.cohort.clone()), counts);
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
