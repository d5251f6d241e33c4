//! Who people turned out to be, in a form in which every contender can be held to the road: a
//! baseline that comes to other people, or knows other things of them, did another job.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use cdp::domain::profile::{Profile, ProfileId};
use cdp::store::Store;

/// Profiles that are read at once.
const PAGE: u32 = 5_000;

/// One person. Numbers of profiles are left out: they depend on the order of arrival.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub cookies: BTreeSet<String>,
    pub emails: BTreeSet<String>,
    /// Value and event time in seconds since 1970, by name.
    pub attributes: BTreeMap<String, (String, i64)>,
    /// As last written, first and last seen, by canonical form.
    pub interests: BTreeMap<String, (String, i64, i64)>,
    pub cohorts: BTreeSet<String>,
}

/// Everybody, by their first cookie.
#[derive(Debug, PartialEq, Eq)]
pub struct People(BTreeMap<String, Person>);

impl People {
    /// From persons in any order.
    pub fn of(people: impl Iterator<Item = Person>) -> Self {
        let by_cookie = |person: Person| (person.cookies.first().cloned().unwrap_or_default(), person);
        Self(people.map(by_cookie).collect())
    }

    /// Everybody in a store.
    pub async fn in_store(store: &Store) -> Self {
        let (mut people, mut after) = (Vec::new(), None);
        loop {
            let page = store.profiles_after(after, PAGE).await;
            let page = page.unwrap_or_else(|error| panic!("can't read profiles: {error}"));
            let Some(last) = page.last() else { break };
            after = Some(ProfileId(last.id.0));
            people.extend(page.iter().map(person));
        }
        Self::of(people.into_iter())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Stops the benchmark if they are not the same people with the same properties.
    pub fn expect_same(&self, name: &str, others: &Self) {
        for (part, of) in PARTS {
            let differing = self.differing(others, of);
            if let Some(first) = differing.first() {
                panic!(
                    "{name} differs in the {part} of {} of {} people, first {first}: {:?} instead of {:?}",
                    differing.len(),
                    self.count(),
                    others.0.get(*first).map(of),
                    self.0.get(*first).map(of),
                );
            }
        }
    }

    fn differing<'a>(&'a self, others: &'a Self, of: Part) -> Vec<&'a String> {
        let names: BTreeSet<&String> = self.0.keys().chain(others.0.keys()).collect();
        let differs = |name: &&String| self.0.get(*name).map(of) != others.0.get(*name).map(of);
        names.into_iter().filter(differs).collect()
    }
}

/// A part of what is compared, as it is shown where it differs.
type Part = fn(&Person) -> String;

const PARTS: [(&str, Part); 5] = [
    ("cookies", |person| shown(&person.cookies)),
    ("addresses", |person| shown(&person.emails)),
    ("attributes", |person| shown(&person.attributes)),
    ("interests", |person| shown(&person.interests)),
    ("cohorts", |person| shown(&person.cohorts)),
];

fn shown(part: &impl Debug) -> String {
    format!("{part:?}")
}

fn person(profile: &Profile) -> Person {
    let facet = &profile.facet;
    Person {
        cookies: profile.cookies.listed.keys().map(ToString::to_string).collect(),
        emails: facet.emails.keys().map(ToString::to_string).collect(),
        attributes: (facet.attributes.iter())
            .map(|(name, statements)| {
                let survivor = statements.survivor();
                let value = (survivor.value.to_string(), survivor.at.timestamp());
                (name.name().to_owned(), value)
            })
            .collect(),
        interests: (facet.interests.iter())
            .map(|(key, interest)| {
                let (first, last) = (interest.seen.first.timestamp(), interest.seen.last.timestamp());
                (key.as_str().to_owned(), (interest.display.clone(), first, last))
            })
            .collect(),
        cohorts: (profile.memberships.iter())
            .map(|membership| membership.cohort.to_string())
            .collect(),
    }
}
