//! The laws of identity, against a naive refold of everything.
//!
//! The oracle shares nothing with `resolve` and `cut`: it decides for each fact whose it is,
//! walks the graph of cookies and addresses breadth first, and sorts all facts of a person to
//! find each value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::DateTime;
use proptest::prelude::*;
use ulid::Ulid;

use super::ahead::advance;
use super::cut::{self, Order, Restored};
use super::{Fold, Incomplete, ids_needed, invariants, resolve, survivorship};
use crate::domain::Timestamp;
use crate::domain::fact::{Attribute, Fact, Value};
use crate::domain::graph::{CookieNode, Cut, EmailNode, Merge, Plan, Subgraph, Whole};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::{Interest, InterestKey};
use crate::domain::policy::{Caps, Policy, Rules};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;

/// The source whose addresses are persons.
pub const KIOSK: &str = "kiosk";

/// A store in memory that applies plans to the letter.
#[derive(Default, Clone)]
pub struct World {
    rules: Rules,
    cookies: BTreeMap<Cookie, CookieNode>,
    emails: BTreeMap<Email, EmailNode>,
    profiles: BTreeMap<ProfileId, Profile>,
    /// Where an absorbed profile's id leads, and the revision of the redirect.
    redirects: BTreeMap<ProfileId, (ProfileId, u32)>,
    pub merges: Vec<Merge>,
    pub refused: usize,
    clock: i64,
    next: u32,
}

impl World {
    /// Unions, and log-ins at [`KIOSK`].
    pub fn new() -> Self {
        let mut world = Self::default();
        world
            .rules
            .sources
            .insert(KIOSK.to_owned(), Policy::EmailIsPerson);
        world
    }

    pub fn with_caps(mut self, cookies: u32, emails: u32) -> Self {
        self.rules.caps = Caps { cookies, emails };
        self
    }

    pub fn plan(&self, facts: &[Fact]) -> Plan {
        self.plan_over(facts).1
    }

    /// Plans as the writer does: reads what is named, and more when that does not suffice.
    fn plan_over(&self, facts: &[Fact]) -> (Subgraph, Plan) {
        let mut graph = self.subgraph(facts);
        loop {
            let mut taken = 0;
            let planned = resolve(&graph, facts, &self.rules, moment(self.clock), &mut || {
                taken += 1;
                ProfileId(self.next + taken)
            });
            match planned {
                Ok(plan) => {
                    assert!(taken as usize <= ids_needed(&graph, facts, &self.rules));
                    return (graph, plan);
                }
                Err(Incomplete(missing)) => {
                    assert_eq!(taken, 0);
                    assert!(missing.iter().all(|id| !graph.whole.contains_key(id)));
                    graph
                        .whole
                        .extend(missing.into_iter().map(|id| (id, self.whole(id))));
                }
            }
        }
    }

    pub fn ingest(&mut self, facts: &[Fact]) {
        let (graph, plan) = self.plan_over(facts);
        let before = self.clone();
        self.apply(&graph, plan.clone(), &BTreeSet::new());
        self.check_ahead(&before, &plan);
    }

    /// What is read before a plan is stored, and advanced by it, is what is read after; and
    /// advancing that changes nothing.
    fn check_ahead(&self, before: &Self, plan: &Plan) {
        let (cookies, emails) = (self.cookies.keys().collect(), self.emails.keys().collect());
        let after = self.graph_of(&cookies, &emails);
        for mut read in [before.graph_of(&cookies, &emails), after.clone()] {
            advance(&mut read, &cookies, &emails, plan);
            assert_eq!(read, after);
        }
    }

    fn apply(&mut self, graph: &Subgraph, plan: Plan, restored: &BTreeSet<ProfileId>) {
        assert_eq!(
            invariants::violations(graph, &plan, restored),
            Vec::<String>::new()
        );
        self.clock += 1;
        self.next += 100;
        self.refused += plan.conflicts.len();
        for (cookie, write) in plan.cookies {
            let before = self.cookies.insert(cookie, write.record);
            assert_eq!(before.is_none(), write.new);
        }
        for (email, write) in plan.emails {
            let before = self.emails.insert(email, write.record);
            assert_eq!(before.is_none(), write.new);
        }
        for (cookie, id) in plan.moved_cookies {
            self.cookies.get_mut(&cookie).unwrap().profile = id;
        }
        for (email, id) in plan.moved_emails {
            self.emails.get_mut(&email).unwrap().profile = id;
        }
        for (id, write) in plan.profiles {
            self.redirects.remove(&id);
            self.profiles.insert(id, write.record);
        }
        for redirect in plan.redirects {
            let before = self.redirects.insert(redirect.id, (redirect.to, redirect.rev));
            assert_eq!(before.map(|(_, rev)| rev + 1), Some(redirect.rev));
        }
        for merge in plan.merges {
            self.profiles.remove(&merge.absorbed);
            let redirect = (merge.survivor, merge.absorbed_rev + 1);
            self.redirects.insert(merge.absorbed, redirect);
            self.merges.push(merge);
        }
    }

    /// Reads what the store would: the named identifiers, and the profiles they lead to.
    fn subgraph(&self, facts: &[Fact]) -> Subgraph {
        let cookies = facts.iter().map(|fact| &fact.cookie).collect();
        let emails = facts.iter().filter_map(|fact| fact.email.as_ref()).collect();
        self.graph_of(&cookies, &emails)
    }

    fn graph_of(&self, cookies: &BTreeSet<&Cookie>, emails: &BTreeSet<&Email>) -> Subgraph {
        let mut graph = Subgraph {
            cookies: (cookies.iter())
                .filter_map(|cookie| self.cookies.get_key_value(*cookie))
                .map(|(cookie, node)| (cookie.clone(), node.clone()))
                .collect(),
            emails: (emails.iter())
                .filter_map(|email| self.emails.get_key_value(*email))
                .map(|(email, node)| (email.clone(), node.clone()))
                .collect(),
            ..Subgraph::default()
        };
        let of_cookies = graph.cookies.values().map(|node| node.profile);
        let ids = of_cookies.chain(graph.emails.values().map(|node| node.profile));
        graph.profiles = ids.map(|id| (id, self.profiles[&id].clone())).collect();
        graph
    }

    fn whole(&self, id: ProfileId) -> Whole {
        let cookies = self.cookies.iter().filter(|(_, node)| node.profile == id);
        let emails = self.emails.iter().filter(|(_, node)| node.profile == id);
        Whole {
            cookies: cookies
                .map(|(cookie, node)| (cookie.clone(), node.clone()))
                .collect(),
            emails: emails
                .map(|(email, node)| (email.clone(), node.clone()))
                .collect(),
        }
    }

    /// Cuts one link of whoever has the cookie; tells which evidence counts no more.
    pub fn cut(&mut self, cookie: &Cookie, email: &Email, cut: Cut) -> Option<Cut> {
        let person = self.cookies.get(cookie)?.profile;
        let pairs = BTreeSet::from([(cookie.clone(), email.clone())]);
        let order = Order {
            pairs,
            cut,
            restored: None,
            absorbed: self.absorbed_by(person, None),
        };
        self.cut_all(person, &order);
        Some(self.cookies[cookie].cuts[email])
    }

    pub fn cut_all(&mut self, person: ProfileId, order: &Order) {
        let whole = self.whole(person);
        let mut graph = Subgraph::default();
        graph.profiles.insert(person, self.profiles[&person].clone());
        for email in cut::fallbacks(&whole, &order.pairs) {
            let node = self.emails[&email].clone();
            graph
                .profiles
                .insert(node.profile, self.profiles[&node.profile].clone());
            graph.emails.insert(email, node);
        }
        graph.whole.insert(person, whole);
        let mut taken = 0;
        let plan = cut::cut(&graph, person, order, moment(self.clock), &mut || {
            taken += 1;
            ProfileId(self.next + taken)
        });
        let is_back = |id: &ProfileId| plan.profiles.contains_key(id);
        let candidates = order.restored.iter().chain(&order.absorbed);
        let restored: BTreeSet<ProfileId> = candidates.map(|one| one.id).filter(is_back).collect();
        self.apply(&graph, plan, &restored);
    }

    /// The profiles whose ids lead to a person because of a merge that stands.
    fn absorbed_by(&self, person: ProfileId, but: Option<ProfileId>) -> Vec<Restored> {
        let standing = |merge: &&Merge| {
            self.redirects.contains_key(&merge.absorbed)
                && but != Some(merge.absorbed)
                && self.follow(merge.absorbed) == person
        };
        let mut absorbed: Vec<Restored> = (self.merges.iter())
            .filter(standing)
            .map(|merge| self.restored(merge))
            .collect();
        // Of several merges of one profile the last one stands.
        absorbed.reverse();
        let mut met = BTreeSet::new();
        absorbed.retain(|one| met.insert(one.id));
        absorbed
    }

    fn restored(&self, merge: &Merge) -> Restored {
        Restored {
            id: merge.absorbed,
            rev: self.redirects[&merge.absorbed].1,
            created_at: merge.absorbed_created_at,
            cookies: merge.cookies.iter().cloned().collect(),
            emails: merge.emails.iter().cloned().collect(),
        }
    }

    /// Undoes a merge, all of whose links were made before it, and tells what was cut.
    pub fn undo(&mut self, merge: &Merge) -> Cuts {
        let person = self.follow(merge.absorbed);
        let restored = self.restored(merge);
        let whole = self.whole(person);
        let pairs = cut::crossing(&whole, &restored.cookies, &restored.emails);
        let cut = Cut::Until(moment(self.clock));
        let order = Order {
            pairs,
            cut,
            restored: Some(restored),
            absorbed: self.absorbed_by(person, Some(merge.absorbed)),
        };
        self.cut_all(person, &order);
        let until = |(cookie, email): &(Cookie, Email)| self.cookies[cookie].cuts[email];
        order
            .pairs
            .iter()
            .map(|pair| (pair.clone(), until(pair)))
            .collect()
    }

    pub fn id_of_cookie(&self, cookie: &str) -> ProfileId {
        self.cookies[&Cookie::parse(cookie).unwrap()].profile
    }

    pub fn follow(&self, mut id: ProfileId) -> ProfileId {
        while let Some((next, _)) = self.redirects.get(&id) {
            id = *next;
        }
        id
    }

    /// Age and city of whoever has an address.
    pub fn ages_and_cities(&self, email: &str) -> (Option<String>, Option<String>) {
        let profile = &self.profiles[&self.emails[&Email::parse(email).unwrap()].profile];
        let value = |attribute| {
            let stated = profile.facet.attributes.get(&attribute)?;
            Some(stated.survivor().value.to_string())
        };
        (value(Attribute::Age), value(Attribute::City))
    }

    /// Each person as `primary key = cookies / emails`, in order.
    pub fn people(&self) -> Vec<String> {
        let mut people: Vec<_> = (self.profiles.values())
            .map(|profile| {
                let cookies: Vec<_> = profile.cookies.listed.keys().map(Cookie::as_str).collect();
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
        .map(|(attribute, stated)| {
            let values: Vec<_> = stated
                .iter()
                .map(|statement| statement.value.to_string())
                .collect();
            format!("{}={}", attribute.name(), values.join(">"))
        })
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
        profile
            .cookies
            .listed
            .keys()
            .map(Cookie::as_str)
            .collect::<Vec<_>>(),
        profile.facet.emails.keys().map(Email::as_str).collect::<Vec<_>>(),
        attributes.join(","),
        interests.join(",")
    )
}

/// Which evidence for which link does not count.
type Cuts = BTreeMap<(Cookie, Email), Cut>;

/// Whether a fact says something of its address that is followed.
fn counts(fact: &Fact, cuts: &Cuts) -> bool {
    let link = fact
        .email
        .as_ref()
        .map(|email| (fact.cookie.clone(), email.clone()));
    link.is_some_and(|link| !cuts.get(&link).is_some_and(|cut| cut.covers(fact.at)))
}

/// The same people, found another way.
fn oracle(facts: &[Fact], cuts: &Cuts) -> Vec<String> {
    let mut neighbours: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut tie = |a: &str, b: &str| {
        neighbours.entry(a.to_owned()).or_default().insert(b.to_owned());
        neighbours.entry(b.to_owned()).or_default().insert(a.to_owned());
    };
    let counting: Vec<&Fact> = facts.iter().filter(|fact| counts(fact, cuts)).collect();
    for fact in facts {
        let cookie = format!("c {}", fact.cookie);
        tie(&cookie, &cookie);
        if let Some(email) = &fact.email {
            let email = format!("e {email}");
            tie(&email, &email);
        }
        let own = || counting.iter().filter(|other| other.cookie == fact.cookie);
        let mut unions = own().filter(|other| other.source != KIOSK).peekable();
        if unions.peek().is_some() {
            for other in unions {
                tie(&cookie, &format!("e {}", other.email.as_ref().unwrap()));
            }
        } else if let Some(newest) = own().map(|other| other.at).max() {
            let latest = own().filter(|other| other.at == newest);
            let owner = latest.filter_map(|other| other.email.as_ref()).min().unwrap();
            tie(&cookie, &format!("e {owner}"));
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

/// A fact is its cookie's, but a log-in is its address's.
fn refold(facts: &[Fact], component: &BTreeSet<String>) -> String {
    let mut own: Vec<&Fact> = facts
        .iter()
        .filter(|fact| match &fact.email {
            Some(email) if fact.source == KIOSK => component.contains(&format!("e {email}")),
            _ => component.contains(&format!("c {}", fact.cookie)),
        })
        .collect();
    own.sort_by_key(|fact| fact.at);
    let identifiers = |prefix: &str| -> Vec<&str> {
        component
            .iter()
            .filter_map(|node| node.strip_prefix(prefix))
            .collect()
    };
    let (cookies, emails) = (identifiers("c "), identifiers("e "));
    let latest = |email: &str| {
        let named = facts
            .iter()
            .filter(|fact| fact.email.as_ref().is_some_and(|given| given.as_str() == email));
        named.map(|fact| fact.at).max()
    };
    let newest = emails.iter().map(|email| latest(email)).max();
    let primary = match newest {
        Some(newest) => *emails.iter().find(|email| latest(email) == newest).unwrap(),
        None => cookies[0],
    };
    let mut attributes = Vec::new();
    for attribute in Attribute::ALL {
        let mut latest: BTreeMap<&Value, Timestamp> = BTreeMap::new();
        for fact in &own {
            if let Some(value) = fact.attributes.get(&attribute) {
                latest.insert(value, fact.at);
            }
        }
        let mut stated: Vec<_> = latest.into_iter().map(|(value, at)| (at, value)).collect();
        stated.sort();
        let values: Vec<_> = stated.iter().rev().map(|(_, value)| value.to_string()).collect();
        if !values.is_empty() {
            attributes.push(format!("{}={}", attribute.name(), values.join(">")));
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
        "{primary} | {cookies:?} | {emails:?} | {} | {}",
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
        properties: BTreeMap::new(),
        consent: BTreeMap::new(),
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
        is_kiosk in prop::bool::weighted(0.4),
    ) -> Fact {
        let email = email.map(|email| format!("e{email}@x.com"));
        let mut fact = fact_of(&format!("c{cookie}"), email.as_deref(), at);
        fact.attributes.extend(age.map(|age| (Attribute::Age, Value::Integer(age))));
        fact.attributes.extend(city.map(|city| (Attribute::City, Value::Text(city.to_owned()))));
        if is_kiosk {
            KIOSK.clone_into(&mut fact.source);
        }
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
    let mut world = World::new();
    for chunk in chunks {
        world.ingest(chunk);
    }
    world
}

/// The id of a profile that was absorbed finds whoever has all that is left of it.
fn check_absorbed(world: &World) -> Result<(), TestCaseError> {
    for id in world.redirects.keys() {
        let merge = world
            .merges
            .iter()
            .rev()
            .find(|merge| merge.absorbed == *id)
            .unwrap();
        let cookies = merge.cookies.iter().map(|cookie| world.cookies[cookie].profile);
        let emails = merge.emails.iter().map(|email| world.emails[email].profile);
        let homes: BTreeSet<ProfileId> = cookies.chain(emails).collect();
        if homes.len() == 1 {
            prop_assert_eq!(Some(&world.follow(*id)), homes.first());
        }
    }
    Ok(())
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

/// Something that happens: facts arrive, or somebody cuts the link of an earlier fact.
#[derive(Debug, Clone)]
enum Event {
    Facts(Vec<Fact>),
    Cut(prop::sample::Index, bool),
}

fn any_history() -> impl Strategy<Value = Vec<Event>> {
    let events = prop::collection::vec(
        prop_oneof![
            4 => prop::collection::vec(any_fact(), 1..5).prop_map(Event::Facts),
            1 => (any::<prop::sample::Index>(), prop::bool::weighted(0.3)).prop_map(|(at, good)| Event::Cut(at, good)),
        ],
        1..14,
    );
    events.prop_map(|mut events| {
        let mut rows = 0..;
        for event in &mut events {
            if let Event::Facts(facts) = event {
                facts
                    .iter_mut()
                    .zip(&mut rows)
                    .for_each(|(fact, row)| fact.raw.row = row);
            }
        }
        events
    })
}

/// Everybody is the join of their identifiers, and every identifier leads to somebody alive.
fn check_whole(world: &World) -> Result<(), TestCaseError> {
    for (id, profile) in &world.profiles {
        let mut fold = Fold::default();
        fold.add_whole(&world.whole(*id), |_| true);
        let folded = fold.into_profile(*id, None, moment(0));
        let folded = folded.map(|folded| (folded.facet, folded.cookies));
        prop_assert_eq!(Some((profile.facet.clone(), profile.cookies.clone())), folded);
    }
    for node in world.cookies.values() {
        prop_assert!(world.profiles.contains_key(&node.profile));
    }
    for (email, node) in &world.emails {
        prop_assert!(world.profiles[&node.profile].facet.emails.contains_key(email));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_at_a_time_gives_what_the_oracle_gives(facts in any_stream()) {
        prop_assert_eq!(ingested(facts.chunks(1)).known(), oracle(&facts, &Cuts::new()));
    }

    #[test]
    fn any_order_any_repetition_and_any_chunking_give_the_same_people((facts, told, size) in any_retelling()) {
        let world = ingested(told.chunks(size));
        prop_assert_eq!(world.known(), oracle(&facts, &Cuts::new()));
        check_whole(&world)?;
    }

    #[test]
    fn any_identifier_and_any_id_ever_handed_out_still_finds_its_person(facts in any_stream(), size in 1_usize..6) {
        let mut world = World::new();
        let mut handed_out: BTreeSet<ProfileId> = BTreeSet::new();
        for chunk in facts.chunks(size) {
            world.ingest(chunk);
            handed_out.extend(world.profiles.keys());
        }
        for id in handed_out {
            prop_assert!(world.profiles.contains_key(&world.follow(id)));
        }
        for fact in &facts {
            prop_assert!(world.profiles.contains_key(&world.cookies[&fact.cookie].profile));
            if let Some(email) = &fact.email {
                prop_assert!(world.profiles.contains_key(&world.emails[email].profile));
            }
        }
    }

    #[test]
    fn a_union_never_changes_whose_an_id_is(facts in any_stream(), size in 1_usize..6) {
        let mut world = World::default();
        let mut handed_out: Vec<(Cookie, ProfileId)> = Vec::new();
        for chunk in facts.chunks(size) {
            world.ingest(chunk);
            handed_out.extend(world.cookies.iter().map(|(cookie, node)| (cookie.clone(), node.profile)));
        }
        for (cookie, id) in handed_out {
            prop_assert_eq!(world.follow(id), world.cookies[&cookie].profile);
        }
        // Each merge makes two people one, and nothing else does.
        prop_assert_eq!(world.merges.len(), world.redirects.len());
    }

    #[test]
    fn a_second_telling_writes_nothing(facts in any_stream(), size in 1_usize..6) {
        let world = ingested(facts.chunks(size));
        prop_assert_eq!(world.plan(&facts), Plan::default());
    }

    #[test]
    fn a_cut_gives_the_state_as_if_the_link_had_never_been(history in any_history()) {
        let mut world = World::new();
        let (mut facts, mut cuts) = (Vec::new(), Cuts::new());
        for event in history {
            match event {
                Event::Facts(new) => {
                    world.ingest(&new);
                    facts.extend(new);
                }
                Event::Cut(at, for_good) => {
                    let linked: Vec<(&Cookie, &Email)> = facts
                        .iter()
                        .filter_map(|fact: &Fact| Some((&fact.cookie, fact.email.as_ref()?)))
                        .collect();
                    if linked.is_empty() {
                        continue;
                    }
                    let (cookie, email) = *at.get(&linked);
                    // Until the first moment: raised to what is known of the link.
                    let cut = if for_good { Cut::ForGood } else { Cut::Until(moment(0)) };
                    if let Some(cut) = world.cut(cookie, email, cut) {
                        cuts.insert((cookie.clone(), email.clone()), cut);
                    }
                }
            }
            check_whole(&world)?;
        }
        prop_assert_eq!(world.known(), oracle(&facts, &cuts));
    }

    /// Where an address is a person, an id stays with the person and not with the device.
    #[test]
    fn after_a_cut_an_absorbed_id_finds_what_is_left_of_its_profile(history in any_history()) {
        let mut world = World::new();
        let mut links: Vec<(Cookie, Email)> = Vec::new();
        for event in history {
            match event {
                Event::Facts(mut facts) => {
                    for fact in &mut facts {
                        "test".clone_into(&mut fact.source);
                        links.extend(fact.email.clone().map(|email| (fact.cookie.clone(), email)));
                    }
                    world.ingest(&facts);
                }
                Event::Cut(at, _) if !links.is_empty() => {
                    let (cookie, email) = at.get(&links);
                    world.cut(cookie, email, Cut::Until(moment(0)));
                    check_absorbed(&world)?;
                    check_whole(&world)?;
                }
                Event::Cut(..) => {}
            }
        }
    }

    #[test]
    fn cuts_and_facts_may_come_in_any_order((facts, told, size) in any_retelling(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..4)) {
        let linked: Vec<(&Cookie, &Email)> = facts
            .iter()
            .filter_map(|fact| Some((&fact.cookie, fact.email.as_ref()?)))
            .collect();
        prop_assume!(!linked.is_empty());
        let cuts: Cuts = picks
            .iter()
            .map(|at| *at.get(&linked))
            .map(|(cookie, email)| ((cookie.clone(), email.clone()), Cut::Until(moment(100))))
            .collect();
        // Half of the facts come before the cuts. A cookie that nobody knows can't be cut yet.
        let (before, after) = told.split_at(told.len() / 2);
        let mut world = ingested(before.chunks(size));
        let mut applied = Cuts::new();
        for ((cookie, email), cut) in cuts {
            if world.cut(&cookie, &email, cut).is_some() {
                applied.insert((cookie, email), cut);
            }
        }
        after.chunks(size).for_each(|chunk| world.ingest(chunk));
        prop_assert_eq!(world.known(), oracle(&facts, &applied));
        check_whole(&world)?;
    }

    #[test]
    fn an_undone_merge_leaves_the_state_as_if_what_tied_the_two_had_never_been(facts in any_stream(), size in 1_usize..6, at in any::<prop::sample::Index>()) {
        let mut world = ingested(facts.chunks(size));
        if world.merges.is_empty() {
            return Ok(());
        }
        let merge = at.get(&world.merges).clone();
        let person = world.follow(merge.absorbed);
        let cuts = world.undo(&merge);
        check_whole(&world)?;
        prop_assert_eq!(world.known(), oracle(&facts, &cuts));
        let own = merge.cookies.iter().any(|cookie| world.cookies[cookie].profile == merge.absorbed);
        let own = own || merge.emails.iter().any(|email| world.emails[email].profile == merge.absorbed);
        prop_assert_eq!(own, world.profiles.contains_key(&merge.absorbed));
        prop_assert!(world.profiles.contains_key(&world.follow(person)));
        for id in world.redirects.keys() {
            prop_assert!(world.profiles.contains_key(&world.follow(*id)));
        }
    }

    #[test]
    fn caps_are_kept_and_nothing_is_lost(facts in any_stream(), size in 1_usize..6) {
        let mut world = World::new().with_caps(3, 2);
        facts.chunks(size).for_each(|chunk| world.ingest(chunk));
        check_whole(&world)?;
        for profile in world.profiles.values() {
            prop_assert!(profile.cookies.count <= 3 && profile.facet.emails.len() <= 2);
        }
        let told = |facts: Vec<(Attribute, Value)>| facts.into_iter().collect::<BTreeSet<_>>();
        let sent = facts.iter().flat_map(|fact| fact.attributes.clone()).collect();
        let kept = world.profiles.values().flat_map(|profile| {
            profile.facet.attributes.iter().flat_map(|(attribute, stated)| {
                stated.iter().map(|statement| (*attribute, statement.value.clone()))
            })
        });
        prop_assert_eq!(told(sent), told(kept.collect()));
    }
}
