//! A [`Facet`] is what was observed, as a product of registers that only ever grow in
//! their order. [`Facet::join`] is commutative, associative and idempotent, so that a
//! profile does not depend on the order in which records arrive, nor on one arriving
//! twice; a merge of two profiles is the join of their facets.
//!
//! State-based CRDTs: Shapiro et al., "Conflict-free replicated data types", 2011.

use std::collections::{BTreeMap, BTreeSet};

use super::Timestamp;
use super::fact::{Attribute, Fact, Value};
use super::identifier::Email;
use super::interest::InterestKey;
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

/// The latest value of an attribute. Among values of one moment the greater one wins,
/// and not the one that came first: arrival must not decide. The raw row is provenance
/// only; of several that say the same, the earliest is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The value.
    pub value: Value,
    /// The event time at which it was stated.
    pub at: Timestamp,
    /// A verbatim row that states it.
    pub raw: RawId,
}

impl Register {
    /// The one of two that survives.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match (self.at, &self.value).cmp(&(other.at, &other.value)) {
            Greater => self,
            Less => other,
            Equal => Self {
                raw: self.raw.min(other.raw),
                ..self
            },
        }
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
    /// The surviving value of each attribute.
    pub attributes: BTreeMap<Attribute, Register>,
    /// Interests by canonical form.
    pub interests: BTreeMap<InterestKey, InterestSeen>,
    /// Addresses given.
    pub emails: BTreeMap<Email, Seen>,
    /// Who sent something of it.
    pub sources: BTreeSet<String>,
}

impl Facet {
    /// What a single fact says.
    #[must_use]
    pub fn of(fact: &Fact) -> Self {
        let register = |value: &Value| Register {
            value: value.clone(),
            at: fact.at,
            raw: fact.raw,
        };
        let seen = Seen::at(fact.at);
        Self {
            seen,
            attributes: fact
                .attributes
                .iter()
                .map(|(name, value)| (*name, register(value)))
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
            emails: fact.email.iter().map(|email| (email.clone(), seen)).collect(),
            sources: BTreeSet::from([fact.source.clone()]),
        }
    }

    /// All that either of the two knows.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.seen = self.seen.join(other.seen);
        join_maps(&mut self.attributes, other.attributes, Register::join);
        join_maps(&mut self.interests, other.interests, InterestSeen::join);
        join_maps(&mut self.emails, other.emails, Seen::join);
        self.sources.extend(other.sources);
        self
    }
}

/// Joins two maps key by key.
pub fn join_maps<K: Ord, V>(into: &mut BTreeMap<K, V>, from: BTreeMap<K, V>, join: impl Fn(V, V) -> V) {
    for (key, theirs) in from {
        let joined = match into.remove(&key) {
            Some(ours) => join(ours, theirs),
            None => theirs,
        };
        into.insert(key, joined);
    }
}
