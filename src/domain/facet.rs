//! A [`Facet`] is what was observed, as a product of parts that only ever grow in
//! their order. [`Facet::join`] is commutative, associative and idempotent, so that a
//! profile does not depend on the order in which records arrive, nor on one arriving
//! twice; a merge of two profiles is the join of their facets.
//!
//! State-based CRDTs: Shapiro et al., "Conflict-free replicated data types", 2011.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::Timestamp;
use super::fact::{Attribute, Fact, Value};
use super::identifier::Email;
use super::interest::InterestKey;
use super::property::{Latest, PropertyValue, Visits, Words, bound_properties, join_words};
use super::record::RawId;

/// First and last time that something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The earliest event time.
    pub first: Timestamp,
    /// The latest event time.
    pub last: Timestamp,
}

impl Seen {
    /// Seen once.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self {
            first: time,
            last: time,
        }
    }

    /// The span that covers both.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// A value that was stated of an attribute, when last, and by which row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The value.
    pub value: Value,
    /// The latest event time at which it was stated.
    pub at: Timestamp,
    /// A verbatim row that states it then; of several, the earliest to arrive.
    pub raw: RawId,
}

impl Statement {
    /// What decides between two values.
    const fn order(&self) -> (Timestamp, &Value) {
        (self.at, &self.value)
    }
}

/// The most values that are remembered of one attribute.
pub const STATEMENTS_MAX: usize = 8;

/// What was stated of one attribute: each value once, the latest first. The first survives;
/// the others lost to it, and are kept to explain it. Among values of one moment the greater
/// one is first, and not the one that came first: arrival must not decide.
///
/// Keeping the greatest few of a set is a join as well: what falls off lost to as many
/// others, and these only grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statements {
    survivor: Statement,
    lost: Vec<Statement>,
}

impl Statements {
    /// A value stated once.
    #[must_use]
    pub const fn of(survivor: Statement) -> Self {
        Self {
            survivor,
            lost: Vec::new(),
        }
    }

    /// The one that survives.
    #[must_use]
    pub const fn survivor(&self) -> &Statement {
        &self.survivor
    }

    /// Those that lost, latest first.
    #[must_use]
    pub fn lost(&self) -> &[Statement] {
        &self.lost
    }

    /// All of them, the survivor first.
    pub fn iter(&self) -> impl Iterator<Item = &Statement> {
        std::iter::once(&self.survivor).chain(&self.lost)
    }

    /// All that either of the two remembers.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        for theirs in std::iter::once(other.survivor).chain(other.lost) {
            self.add(theirs);
        }
        self
    }

    fn add(&mut self, new: Statement) {
        let known = std::iter::once(&mut self.survivor).chain(&mut self.lost);
        if let Some(same) = known.into_iter().find(|known| known.value == new.value) {
            if (new.at, Reverse(new.raw)) > (same.at, Reverse(same.raw)) {
                (same.at, same.raw) = (new.at, new.raw);
            }
        } else {
            self.lost.push(new);
        }
        self.lost.sort_by(|a, b| b.order().cmp(&a.order()));
        if let Some(first) = self.lost.first_mut()
            && first.order() > self.survivor.order()
        {
            // Whoever survived so far comes before all others that lost.
            std::mem::swap(&mut self.survivor, first);
        }
        self.lost.truncate(STATEMENTS_MAX - 1);
    }
}

/// When an interest was seen, and how it was last written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterestSeen {
    /// The text to show: of those written last, the greatest.
    pub display: String,
    /// First and last time.
    pub seen: Seen,
}

impl InterestSeen {
    /// Both sightings as one.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let seen = self.seen.join(other.seen);
        let newest = (self.seen.last, self.display).max((other.seen.last, other.display));
        Self {
            display: newest.1,
            seen,
        }
    }
}

/// All that was observed under one cookie, or, joined, of one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// First and last event.
    pub seen: Seen,
    /// What was stated of each attribute.
    pub attributes: BTreeMap<Attribute, Statements>,
    /// Interests by canonical form.
    pub interests: BTreeMap<InterestKey, InterestSeen>,
    /// The addresses that it is tied to, and when each was given.
    pub emails: BTreeMap<Email, Seen>,
    /// Who sent something of it.
    pub sources: BTreeSet<String>,
    /// When they visited.
    pub visits: Visits,
    /// What else was said, by the sender's own names; bounded.
    pub properties: Words<PropertyValue>,
    /// What they agreed to, by purpose.
    pub consent: Words<bool>,
}

impl Facet {
    /// That a fact happened, and nothing of what it says.
    #[must_use]
    pub fn mention(fact: &Fact) -> Self {
        Self {
            sources: BTreeSet::from([fact.source.clone()]),
            visits: Visits::at(fact.at),
            ..Self::span(Seen::at(fact.at))
        }
    }

    /// Nothing but when something was seen.
    #[must_use]
    pub fn span(seen: Seen) -> Self {
        Self {
            seen,
            attributes: BTreeMap::new(),
            interests: BTreeMap::new(),
            emails: BTreeMap::new(),
            sources: BTreeSet::new(),
            visits: Visits::default(),
            properties: Words::new(),
            consent: Words::new(),
        }
    }

    /// The same, with an address.
    #[must_use]
    pub fn with_email(mut self, email: &Email, seen: Seen) -> Self {
        self.emails.insert(email.clone(), seen);
        self
    }

    /// What a single fact says; whose its address is, is not for the fact to say.
    #[must_use]
    pub fn of(fact: &Fact) -> Self {
        let statement = |value: &Value| {
            Statements::of(Statement {
                value: value.clone(),
                at: fact.at,
                raw: fact.raw,
            })
        };
        let seen = Seen::at(fact.at);
        Self {
            attributes: fact
                .attributes
                .iter()
                .map(|(name, value)| (*name, statement(value)))
                .collect(),
            interests: (fact.interests.iter())
                .map(|(key, interest)| {
                    (
                        key.clone(),
                        InterestSeen {
                            display: interest.display.clone(),
                            seen,
                        },
                    )
                })
                .collect(),
            properties: words(fact, &fact.properties),
            consent: words(fact, &fact.consent),
            ..Self::mention(fact)
        }
    }

    /// All that either of the two knows.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.seen = self.seen.join(other.seen);
        join_maps(&mut self.attributes, other.attributes, Statements::join);
        join_maps(&mut self.interests, other.interests, InterestSeen::join);
        join_maps(&mut self.emails, other.emails, Seen::join);
        self.sources.extend(other.sources);
        self.visits = self.visits.join(other.visits);
        join_words(&mut self.properties, other.properties);
        bound_properties(&mut self.properties);
        join_words(&mut self.consent, other.consent);
        self
    }
}

/// What a fact says, each as the last word for now.
fn words<T: Clone>(fact: &Fact, said: &BTreeMap<String, T>) -> Words<T> {
    let word = |value: &T| Latest {
        at: fact.at,
        value: value.clone(),
    };
    said.iter()
        .map(|(name, value)| (name.clone(), word(value)))
        .collect()
}

/// Joins two maps key by key.
pub fn join_maps<K: Ord, V>(into: &mut BTreeMap<K, V>, from: BTreeMap<K, V>, join: impl Fn(V, V) -> V) {
    for (key, theirs) in from {
        join_entry(into, key, theirs, &join);
    }
}

/// Joins one more value into a map.
pub fn join_entry<K: Ord, V>(into: &mut BTreeMap<K, V>, key: K, theirs: V, join: impl Fn(V, V) -> V) {
    let joined = match into.remove(&key) {
        Some(ours) => join(ours, theirs),
        None => theirs,
    };
    into.insert(key, joined);
}
