//! The laws of identity, against a naive refold of everything.
//!
//! The oracle shares nothing with `resolve`: it walks the graph of cookies and addresses
//! breadth first, and sorts all facts of a person to find each value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::DateTime;
use proptest::prelude::*;
use ulid::Ulid;

use super::{invariants, resolve, survivorship};
use crate::domain::Timestamp;
use crate::domain::fact::{Attribute, Fact, Value};
use crate::domain::graph::{CookieNode, Plan, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::{Interest, InterestKey};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;

/// A store in memory that applies plans to the letter.
#[derive(Default, Clone)]
pub struct World {
    cookies: BTreeMap<Cookie, CookieNode>,
    emails: BTreeMap<Email, ProfileId>,
    profiles: BTreeMap<ProfileId, Profile>,
    redirects: BTreeMap<ProfileId, ProfileId>,
    merges: usize,
    clock: i64,
    next: u32,
}

impl World {
    pub fn plan(&self, facts: &[Fact]) -> Plan {
        let mut next = self.next;
        resolve(&self.subgraph(facts), facts, moment(self.clock), &mut || {
            next += 1;
            ProfileId(next)
        })
    }

    pub fn ingest(&mut self, facts: &[Fact]) {
        let plan = self.plan(facts);
        assert_eq!(
            invariants::violations(&self.subgraph(facts), &plan),
            Vec::<String>::new()
        );
        self.clock += 1;
        self.next += u32::try_from(facts.len()).unwrap();
        self.cookies.extend(
            plan.cookies
                .into_iter()
                .map(|(cookie, write)| (cookie, write.record)),
        );
        for (cookie, id) in plan.moved_cookies {
            self.cookies.get_mut(&cookie).unwrap().profile = id;
        }
        self.emails.extend(plan.emails);
        self.emails.extend(plan.moved_emails);
        self.profiles
            .extend(plan.profiles.into_iter().map(|(id, write)| (id, write.record)));
        for merge in plan.merges {
            self.profiles.remove(&merge.absorbed);
            self.redirects.insert(merge.absorbed, merge.survivor);
            self.merges += 1;
        }
    }

    /// Reads what the store would: the named identifiers, and the profiles they lead to.
    fn subgraph(&self, facts: &[Fact]) -> Subgraph {
        let mut graph = Subgraph::default();
        for fact in facts {
            if let Some(node) = self.cookies.get(&fact.cookie) {
                graph.cookies.insert(fact.cookie.clone(), node.clone());
                graph
                    .profiles
                    .insert(node.profile, self.profiles[&node.profile].clone());
            }
            if let Some((email, id)) = fact
                .email
                .as_ref()
                .and_then(|email| self.emails.get_key_value(email))
            {
                graph.emails.insert(email.clone(), *id);
                graph.profiles.insert(*id, self.profiles[id].clone());
            }
        }
        graph
    }

    pub fn id_of_cookie(&self, cookie: &str) -> ProfileId {
        self.cookies[&Cookie::parse(cookie).unwrap()].profile
    }

    pub fn follow(&self, mut id: ProfileId) -> ProfileId {
        while let Some(next) = self.redirects.get(&id) {
            id = *next;
        }
        id
    }

    /// Each person as `primary key = cookies / emails`, in order.
    pub fn people(&self) -> Vec<String> {
        let mut people: Vec<_> = (self.profiles.values())
            .map(|profile| {
                let cookies: Vec<_> = profile.cookies.keys().map(Cookie::as_str).collect();
                let emails: Vec<_> = profile.facet.emails.keys().map(Email::as_str).collect();
                let key = survivorship::primary_key(profile).unwrap();
                format!("{key} = {} / {}", cookies.join(" "), emails.join(" "))
            })
            .collect();
        people.sort();
        people
    }

    /// Each person with all that is known of them, without ids and clocks of arrival.
    fn known(&self) -> Vec<String> {
        let mut known: Vec<_> = self.profiles.values().map(describe).collect();
        known.sort();
        known
    }
}

fn describe(profile: &Profile) -> String {
    let attributes: Vec<_> = (profile.facet.attributes.iter())
        .map(|(attribute, register)| format!("{}={}", attribute.name(), register.value))
        .collect();
    let interests: Vec<_> = (profile.facet.interests.iter())
        .map(|(key, seen)| {
            let (first, last) = (seen.seen.first.timestamp(), seen.seen.last.timestamp());
            format!("{key}:{}@{first}-{last}", seen.display)
        })
        .collect();
    format!(
        "{} | {:?} | {:?} | {} | {}",
        survivorship::primary_key(profile).unwrap(),
        profile.cookies.keys().map(Cookie::as_str).collect::<Vec<_>>(),
        profile.facet.emails.keys().map(Email::as_str).collect::<Vec<_>>(),
        attributes.join(","),
        interests.join(",")
    )
}

/// The same people, found another way.
fn oracle(facts: &[Fact]) -> Vec<String> {
    let mut neighbours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for fact in facts {
        let cookie = format!("c {}", fact.cookie);
        neighbours.entry(cookie.clone()).or_default();
        if let Some(email) = &fact.email {
            let email = format!("e {email}");
            neighbours
                .entry(cookie.clone())
                .or_default()
                .insert(email.clone());
            neighbours.entry(email).or_default().insert(cookie);
        }
    }
    let mut seen = BTreeSet::new();
    let mut people = Vec::new();
    for start in neighbours.keys() {
        if !seen.insert(start.clone()) {
            continue;
        }
        let mut component = BTreeSet::from([start.clone()]);
        let mut queue = VecDeque::from([start.clone()]);
        while let Some(at) = queue.pop_front() {
            for next in &neighbours[&at] {
                if seen.insert(next.clone()) {
                    component.insert(next.clone());
                    queue.push_back(next.clone());
                }
            }
        }
        people.push(refold(facts, &component));
    }
    people.sort();
    people
}

fn refold(facts: &[Fact], component: &BTreeSet<String>) -> String {
    let mut own: Vec<&Fact> = facts
        .iter()
        .filter(|fact| component.contains(&format!("c {}", fact.cookie)))
        .collect();
    own.sort_by_key(|fact| fact.at);
    let identifiers = |prefix: &str| -> Vec<&str> {
        component
            .iter()
            .filter_map(|node| node.strip_prefix(prefix))
            .collect()
    };
    let emails = identifiers("e ");
    let latest = |email: &str| {
        let times = own
            .iter()
            .filter(|fact| fact.email.as_ref().is_some_and(|given| given.as_str() == email));
        times.map(|fact| fact.at).max()
    };
    let newest = emails.iter().map(|email| latest(email)).max();
    let primary = match newest {
        Some(newest) => *emails.iter().find(|email| latest(email) == newest).unwrap(),
        None => own[0].cookie.as_str(),
    };
    let mut attributes = Vec::new();
    for attribute in Attribute::ALL {
        let stated = own
            .iter()
            .filter_map(|fact| Some((fact.at, fact.attributes.get(&attribute)?)));
        if let Some((_, value)) = stated.max() {
            attributes.push(format!("{}={value}", attribute.name()));
        }
    }
    let keys: BTreeSet<&InterestKey> = own.iter().flat_map(|fact| fact.interests.keys()).collect();
    let interests: Vec<_> = (keys.into_iter())
        .map(|key| {
            let named: Vec<_> = own
                .iter()
                .filter_map(|fact| Some((fact.at, fact.interests.get(key)?)))
                .collect();
            let (first, last) = (named[0].0, named[named.len() - 1].0);
            let display = named
                .iter()
                .filter(|(at, _)| *at == last)
                .map(|(_, interest)| &interest.display)
                .max();
            format!(
                "{key}:{}@{}-{}",
                display.unwrap(),
                first.timestamp(),
                last.timestamp()
            )
        })
        .collect();
    format!(
        "{primary} | {:?} | {emails:?} | {} | {}",
        identifiers("c "),
        attributes.join(","),
        interests.join(",")
    )
}

fn moment(seconds: i64) -> Timestamp {
    DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// A fact of the second `at`, proved by the row of that number.
pub fn fact_of(cookie: &str, email: Option<&str>, at: u16) -> Fact {
    Fact {
        cookie: Cookie::parse(cookie).unwrap(),
        email: email.map(|email| Email::parse(email).unwrap()),
        at: moment(i64::from(at)),
        source: "test".to_owned(),
        raw: RawId {
            block: Ulid::nil(),
            row: at,
        },
        message_id: None,
        attributes: BTreeMap::new(),
        interests: BTreeMap::new(),
    }
}

prop_compose! {
    /// Few identifiers and few moments, so that ties, repetitions and merges are common.
    fn any_fact()(
        cookie in 0_u8..8,
        email in prop::option::weighted(0.5, 0_u8..6),
        at in 0_u16..6,
        age in prop::option::of(20_i64..24),
        city in prop::option::of(prop::sample::select(vec!["Paris", "Rome", "Oslo"])),
        interests in prop::collection::btree_set(prop::sample::select(vec!["Golf", "golf", "GOLF", "poker", "jazz"]), 0..3),
    ) -> Fact {
        let email = email.map(|email| format!("e{email}@x.com"));
        let mut fact = fact_of(&format!("c{cookie}"), email.as_deref(), at);
        fact.attributes.extend(age.map(|age| (Attribute::Age, Value::Integer(age))));
        fact.attributes.extend(city.map(|city| (Attribute::City, Value::Text(city.to_owned()))));
        for display in interests {
            let key = InterestKey::parse(display).unwrap();
            fact.interests.entry(key).or_insert(Interest { display: display.to_owned() });
        }
        fact
    }
}

/// Facts numbered by their place, as rows of one block.
fn any_stream() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec(any_fact(), 1..30).prop_map(|mut facts| {
        for (row, fact) in facts.iter_mut().enumerate() {
            fact.raw.row = u16::try_from(row).unwrap();
        }
        facts
    })
}

fn ingested<'a>(chunks: impl Iterator<Item = &'a [Fact]>) -> World {
    let mut world = World::default();
    for chunk in chunks {
        world.ingest(chunk);
    }
    world
}

/// A stream, the same stream in another order with some of it repeated, and a chunk size.
fn any_retelling() -> impl Strategy<Value = (Vec<Fact>, Vec<Fact>, usize)> {
    any_stream().prop_flat_map(|facts| {
        let repeated = prop::sample::subsequence(facts.clone(), 0..=facts.len());
        (Just(facts), repeated, 1_usize..12).prop_flat_map(|(facts, repeated, size)| {
            let all: Vec<_> = facts.iter().cloned().chain(repeated).collect();
            (Just(facts), Just(all).prop_shuffle(), Just(size))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_at_a_time_gives_what_the_oracle_gives(facts in any_stream()) {
        prop_assert_eq!(ingested(facts.chunks(1)).known(), oracle(&facts));
    }

    #[test]
    fn any_order_any_repetition_and_any_chunking_give_the_same_people((facts, told, size) in any_retelling()) {
        let world = ingested(told.chunks(size));
        prop_assert_eq!(world.known(), oracle(&facts));
        // Who is one person does not depend on the order, so neither does how many merges
        // it took beyond the profiles that came to be.
        prop_assert_eq!(world.profiles.len() + world.merges, world.profiles.len() + world.redirects.len());
    }

    #[test]
    fn any_identifier_and_any_id_ever_handed_out_still_finds_its_person(facts in any_stream(), size in 1_usize..6) {
        let mut world = World::default();
        let mut handed_out: Vec<(Cookie, ProfileId)> = Vec::new();
        for chunk in facts.chunks(size) {
            world.ingest(chunk);
            handed_out.extend(world.cookies.iter().map(|(cookie, node)| (cookie.clone(), node.profile)));
        }
        for (cookie, id) in handed_out {
            let now = world.cookies[&cookie].profile;
            prop_assert_eq!(world.follow(id), now);
            prop_assert!(world.profiles[&now].cookies.contains_key(&cookie));
        }
        for (email, id) in &world.emails {
            prop_assert!(world.profiles[id].facet.emails.contains_key(email));
        }
    }

    #[test]
    fn a_profile_is_the_join_of_its_cookies(facts in any_stream(), size in 1_usize..6) {
        let world = ingested(facts.chunks(size));
        for (id, profile) in &world.profiles {
            let own = world.cookies.values().filter(|node| node.profile == *id).map(|node| node.facet.clone());
            let joined = own.reduce(crate::domain::facet::Facet::join).unwrap();
            prop_assert_eq!(&profile.facet, &joined);
        }
    }

    #[test]
    fn a_second_telling_writes_nothing(facts in any_stream(), size in 1_usize..6) {
        let world = ingested(facts.chunks(size));
        prop_assert_eq!(world.plan(&facts), Plan::default());
    }
}
