//! The decision alone: `resolve`, without a store.

use std::collections::BTreeMap;

use cdp::domain::fact::Fact;
use cdp::domain::graph::{Plan, Subgraph, Whole, Write};
use cdp::domain::policy::{Caps, Rules};
use cdp::domain::profile::ProfileId;
use cdp::identity::resolve;
use divan::{Bencher, black_box};

use super::bed::{cookie_of, email_of, fact, now};

/// The ids of the two people here.
const ONE: ProfileId = ProfileId(1);
const OTHER: ProfileId = ProfileId(2);

fn rules() -> Rules {
    Rules {
        caps: Caps::NONE,
        ..Rules::default()
    }
}

fn planned(graph: &Subgraph, facts: &[Fact], id: ProfileId) -> Plan {
    resolve(graph, facts, &rules(), now(), &mut || id).unwrap_or_default()
}

/// A person of so many cookies and one address.
fn person(id: ProfileId, cookies: u32) -> Plan {
    let facts: Vec<Fact> = (0..cookies).map(|n| fact(id.0, n, 0)).collect();
    planned(&Subgraph::default(), &facts, id)
}

fn records<K: Ord + Clone, T: Clone>(writes: &BTreeMap<K, Write<T>>) -> BTreeMap<K, T> {
    writes
        .iter()
        .map(|(key, write)| (key.clone(), write.record.clone()))
        .collect()
}

/// What the store reads for a fact of a person's `n`-th cookie: two identifiers, a profile.
fn touched(person: &Plan, id: ProfileId, n: u32) -> Subgraph {
    let (cookie, email) = (cookie_of(id.0, n), email_of(id.0));
    let mut graph = Subgraph {
        cookies: records(&person.cookies),
        emails: records(&person.emails),
        profiles: records(&person.profiles),
        ..Subgraph::default()
    };
    graph.cookies.retain(|known, _| *known == cookie);
    graph.emails.retain(|known, _| *known == email);
    graph
}

fn whole(person: &Plan) -> Whole {
    Whole {
        cookies: records(&person.cookies),
        emails: records(&person.emails),
    }
}

/// A cookie that is known says something new.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn a_resolve_a_known_cookie_of_a_person_of(bencher: Bencher<'_, '_>, cookies: u32) {
    let graph = touched(&person(ONE, cookies), ONE, cookies / 2);
    let news = [fact(ONE.0, cookies / 2, 1)];
    assert_eq!(planned(&graph, &news, ONE).cookies.len(), 1);
    bencher.bench_local(|| planned(black_box(&graph), black_box(&news), ONE));
}

/// Another cookie comes to an address.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn b_resolve_a_new_cookie_of_a_person_of(bencher: Bencher<'_, '_>, cookies: u32) {
    let graph = touched(&person(ONE, cookies), ONE, cookies);
    let news = [fact(ONE.0, cookies, 1)];
    assert_eq!(planned(&graph, &news, ONE).profiles.len(), 1);
    bencher.bench_local(|| planned(black_box(&graph), black_box(&news), ONE));
}

/// A person of 1,000 cookies and another turn out to be one. Only the absorbed side is read
/// whole, as the writer does when it is asked to, and that is not measured here.
#[divan::bench(args = [1, 10, 100, 1_000])]
fn c_merge_a_person_of_1000_with_one_of(bencher: Bencher<'_, '_>, cookies: u32) {
    merge(bencher, 1_000, cookies);
}

/// A person of one cookie joins another.
#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn d_merge_a_person_of_1_with_one_of(bencher: Bencher<'_, '_>, cookies: u32) {
    merge(bencher, cookies, 1);
}

fn merge(bencher: Bencher<'_, '_>, large: u32, small: u32) {
    let (one, other) = (person(ONE, large), person(OTHER, small));
    let mut graph = touched(&one, ONE, 0);
    graph.cookies.clear();
    let there = touched(&other, OTHER, 0);
    graph.cookies.extend(there.cookies);
    graph.profiles.extend(there.profiles);
    let mut link = fact(OTHER.0, 0, 1);
    link.email = Some(email_of(ONE.0));
    let facts = [link];
    if let Err(missing) = resolve(&graph, &facts, &rules(), now(), &mut || OTHER) {
        assert_eq!(missing.0.iter().collect::<Vec<_>>(), [&OTHER]);
        graph.whole.insert(OTHER, whole(&other));
    }
    let plan = planned(&graph, &facts, OTHER);
    assert_eq!((plan.merges.len(), plan.merges[0].survivor), (1, ONE));
    bencher.bench_local(|| planned(black_box(&graph), black_box(&facts), OTHER));
}
