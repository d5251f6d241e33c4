//! The demo is only worth something when its truth is true.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::truth::{Kind, Row};
use super::*;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::placeholder::Placeholders;

fn until() -> Timestamp {
    "2026-06-30T12:00:00Z".parse().unwrap()
}

fn visits(people: u32, seed: u64) -> Vec<Visit> {
    generate(people, seed, until()).collect()
}

fn truth_of(visits: &[Visit]) -> Truth {
    let mut truth = Truth::default();
    for visit in visits {
        truth.observe(visit);
    }
    truth
}

/// What a line says of identity, read without the generator's help; `None` if its
/// identifiers are not all in order.
fn identifiers(line: &Value) -> Option<(String, Option<String>)> {
    let cookie = Cookie::parse(line.get("cookie")?.as_str()?).ok()?;
    if Placeholders::default().contains(cookie.as_str()) {
        return None;
    }
    let email = match line.get("email") {
        Some(email) => Some(Email::parse(email.as_str()?).ok()?.as_str().to_owned()),
        None => None,
    };
    Some((cookie.as_str().to_owned(), email))
}

/// Whether a validator may let a line pass, written anew from the API's contract.
fn is_valid(line: &Value) -> bool {
    let age = line.pointer("/demographics/age");
    identifiers(line).is_some()
        && age.is_none_or(|age| age.as_u64().is_some_and(|age| age <= 150))
        && line.get("interests").is_none_or(Value::is_array)
        && line.get("timestamp").is_none_or(is_time)
}

fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|at| at.parse::<Timestamp>().is_ok())
}

#[test]
fn the_same_seed_tells_the_same_and_another_does_not() {
    assert_eq!(visits(200, 7), visits(200, 7));
    assert_ne!(visits(200, 7), visits(200, 8));
}

#[test]
fn records_are_about_six_a_person_and_arrive_in_order() {
    let visits = visits(3_000, 1);
    let per_person = visits.len() as f64 / 3_000.0;
    assert!((5.0..7.0).contains(&per_person), "{per_person} records a person");
    assert!(visits.is_sorted_by_key(|visit| visit.arrives));
    assert!(visits.iter().all(|visit| visit.arrives <= until()));
}

#[test]
fn a_small_share_is_malformed_and_only_that() {
    let visits = visits(3_000, 1);
    let bad = visits.iter().filter(|visit| visit.fault.is_some()).count();
    let share = bad as f64 / visits.len() as f64;
    assert!((0.01..0.02).contains(&share), "{share}");
    for visit in &visits {
        let line: Value = serde_json::from_str(&visit.to_json().unwrap()).unwrap();
        assert_eq!(
            is_valid(&line),
            visit.fault.is_none(),
            "{:?}: {line}",
            visit.fault
        );
    }
}

#[test]
fn some_records_are_late_and_some_come_twice() {
    let visits = visits(3_000, 1);
    let late = (visits.iter()).filter(|visit| {
        let at: Timestamp = visit.record.timestamp.parse().unwrap();
        visit.arrives - at > chrono::TimeDelta::minutes(59)
    });
    let share = late.count() as f64 / visits.len() as f64;
    assert!((0.03..0.12).contains(&share), "{share} late");
    let mut seen: HashMap<&str, &Visit> = HashMap::new();
    let mut twice = 0;
    for visit in &visits {
        let Some(id) = visit.record.message_id.as_deref() else {
            continue;
        };
        if let Some(first) = seen.insert(id, visit) {
            assert_eq!(first.record, visit.record, "a message id stands for one record");
            twice += 1;
        }
    }
    assert!(twice > 100, "{twice} sent twice");
}

#[test]
fn people_are_anonymous_before_they_log_in() {
    let visits = visits(1_000, 3);
    let with_email: HashSet<&str> = (visits.iter())
        .filter(|visit| visit.record.email.is_some())
        .map(|visit| visit.record.cookie.as_str())
        .collect();
    let first = (visits.iter())
        .find(|visit| visit.record.email.is_none() && with_email.contains(visit.record.cookie.as_str()));
    assert!(first.is_some());
}

/// Components by walking: from each identifier to whatever stands beside it on a line,
/// until nothing new is met. Slow, and nothing like the union-find it judges.
fn components_by_walking(visits: &[Visit]) -> BTreeSet<BTreeSet<String>> {
    let mut beside: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for visit in visits {
        let line: Value = serde_json::from_str(&visit.to_json().unwrap()).unwrap();
        let Some((cookie, email)) = identifiers(&line).filter(|_| is_valid(&line)) else {
            continue;
        };
        let cookie = format!("cookie {cookie}");
        let email = email.map(|email| format!("email {email}"));
        beside.entry(cookie.clone()).or_default().extend(email.clone());
        if let Some(email) = email {
            beside.entry(email).or_default().insert(cookie);
        }
    }
    let component = |start: &String| {
        let mut met = BTreeSet::from([start.clone()]);
        let mut unvisited = vec![start.clone()];
        while let Some(next) = unvisited.pop() {
            for neighbour in &beside[&next] {
                if met.insert(neighbour.clone()) {
                    unvisited.push(neighbour.clone());
                }
            }
        }
        met
    };
    beside.keys().map(component).collect()
}

fn components_of(rows: &[Row<'_>]) -> BTreeSet<BTreeSet<String>> {
    let mut components: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        let name = format!("{} {}", row.kind, row.identifier);
        components.entry(row.expected_component).or_default().insert(name);
    }
    components.into_values().collect()
}

#[test]
fn the_truths_components_are_those_that_walking_finds() {
    for seed in 0..5 {
        let visits = visits(300, seed);
        let truth = truth_of(&visits);
        let components = components_of(&truth.rows());
        assert_eq!(components, components_by_walking(&visits), "seed {seed}");
        assert_eq!(components.len(), truth.component_count());
    }
}

#[test]
fn malformed_records_leave_no_trace_in_the_truth() {
    let bad: Vec<Visit> = visits(2_000, 1)
        .into_iter()
        .filter(|visit| visit.fault.is_some())
        .collect();
    assert!(!bad.is_empty());
    assert_eq!(truth_of(&bad).rows(), []);
}

#[test]
fn shared_devices_are_listed_for_each_of_their_people() {
    let visits = visits(3_000, 1);
    let truth = truth_of(&visits);
    let rows = truth.rows();
    let mut people: HashMap<&str, BTreeSet<u32>> = HashMap::new();
    for row in rows.iter().filter(|row| row.kind == Kind::Cookie) {
        people.entry(row.identifier).or_default().insert(row.person);
    }
    let shared = people.values().filter(|people| people.len() == 2).count();
    assert!(shared > 20, "{shared} shared devices");
    assert!(people.values().all(|people| people.len() <= 2));
}

#[test]
fn two_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let args = DemoArgs {
        people: 50,
        seed: 1,
        until: Some(until()),
        out: folder.path().join("new/folder"),
    };
    let summary = run(&args).unwrap();
    let visits = fs::read_to_string(args.out.join("visits.ndjson")).unwrap();
    assert_eq!(visits.lines().count(), summary.records);
    let truth = fs::read_to_string(args.out.join("truth.csv")).unwrap();
    assert_eq!(
        truth.lines().next(),
        Some("person,kind,identifier,expected_component")
    );
    assert!(truth.lines().count() > 50);
}

#[test]
fn the_committed_demo_records_are_valid_and_end_with_the_documented_example() {
    let visits: Vec<Value> = serde_json::from_str(include_str!("../../../seeds/demo/visits.json")).unwrap();
    let example: Value = serde_json::from_str(include_str!("../../../seeds/demo/example.json")).unwrap();
    assert!(visits.iter().all(is_valid));
    assert_eq!(visits.last(), Some(&example));
    let mut customers =
        csv::Reader::from_reader(include_str!("../../../seeds/demo/customers.csv").as_bytes());
    for row in customers.records() {
        let row = row.unwrap();
        assert!(Cookie::parse(&row[0]).is_ok(), "{row:?}");
        assert!(row[1].is_empty() || Email::parse(&row[1]).is_ok(), "{row:?}");
        assert!(row[5].is_empty() || row[5].parse::<u8>().is_ok(), "{row:?}");
    }
}
