//! What else is known of a person, in the sender's own words: properties by their names, the
//! consent that they gave, and the hours in which they were seen. Each is a join, as all of a
//! [`super::facet::Facet`] is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Timestamp;

/// How many properties are kept of one person: those that were stated last.
pub const PROPERTIES_MAX: usize = 64;

/// How many visits are remembered: the latest.
pub const VISITS_MAX: usize = 100;

/// A number, ordered as IEEE 754 orders all of them, so that of two values one is greater.
#[derive(Debug, Clone, Copy)]
pub struct Number(pub f64);

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PropertyValue {
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
}

impl fmt::Display for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(Number(number)) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// The last word on something: of two statements the later one, of one moment the greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Latest<T> {
    /// When it was stated, by event time.
    pub at: Timestamp,
    /// What was.
    pub value: T,
}

/// The last word on each of several things.
pub type Words<T> = BTreeMap<String, Latest<T>>;

/// Every thing's last word of the two.
pub fn join_words<T: Ord>(into: &mut Words<T>, from: Words<T>) {
    for (name, theirs) in from {
        match into.get_mut(&name) {
            Some(ours) if *ours >= theirs => {}
            Some(ours) => *ours = theirs,
            None => drop(into.insert(name, theirs)),
        }
    }
}

/// Keeps the properties that were stated last, ties by name. The greatest few of a union are
/// among the greatest few of its parts, so a bounded join is still a join.
pub fn bound_properties(properties: &mut Words<PropertyValue>) {
    if properties.len() <= PROPERTIES_MAX {
        return;
    }
    let mut order: Vec<(Timestamp, String)> = (properties.iter())
        .map(|(name, word)| (word.at, name.clone()))
        .collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    for (_, name) in order.drain(PROPERTIES_MAX..) {
        properties.remove(&name);
    }
}

/// The hours in which somebody was seen, which stand for their visits: however often the pages
/// of one were told of, in whatever order, it is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visits(BTreeSet<u32>);

impl Visits {
    /// One visit.
    #[must_use]
    pub fn at(moment: Timestamp) -> Self {
        Self(BTreeSet::from([hour_of(moment)]))
    }

    /// Visits as they were kept: hours since 1970.
    #[must_use]
    pub fn of_hours(hours: impl IntoIterator<Item = u32>) -> Self {
        Self(hours.into_iter().collect())
    }

    /// The hours since 1970, in order.
    pub fn hours(&self) -> impl Iterator<Item = u32> {
        self.0.iter().copied()
    }

    /// How many there are, up to [`VISITS_MAX`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The visits of both, the latest of them.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        while self.0.len() > VISITS_MAX {
            self.0.pop_first();
        }
        self
    }
}

/// The hour of a moment, since 1970; of a moment before, the first.
#[must_use]
pub fn hour_of(moment: Timestamp) -> u32 {
    u32::try_from(moment.timestamp() / 3_600).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn moment(seconds: i64) -> Timestamp {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn words() -> impl Strategy<Value = Words<PropertyValue>> {
        let value = prop_oneof![
            any::<bool>().prop_map(PropertyValue::Flag),
            (0..3_u8).prop_map(|number| PropertyValue::Number(Number(f64::from(number)))),
            "[ab]".prop_map(PropertyValue::Text),
        ];
        let word = (0..4_i64, value).prop_map(|(at, value)| Latest {
            at: moment(at),
            value,
        });
        proptest::collection::btree_map((0..200_u8).prop_map(|name| name.to_string()), word, 0..120)
    }

    fn joined(a: &Words<PropertyValue>, b: &Words<PropertyValue>) -> Words<PropertyValue> {
        let mut both = a.clone();
        join_words(&mut both, b.clone());
        bound_properties(&mut both);
        both
    }

    proptest! {
        #[test]
        fn bounded_properties_are_a_join(a in words(), b in words(), c in words()) {
            prop_assert_eq!(joined(&a, &b), joined(&b, &a));
            prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
            let once = joined(&a, &b);
            prop_assert_eq!(joined(&once, &b), once.clone());
            prop_assert!(once.len() <= PROPERTIES_MAX);
        }

        #[test]
        fn visits_are_a_join(
            a in proptest::collection::btree_set(0..300_u32, 0..150),
            b in proptest::collection::btree_set(0..300_u32, 0..150),
            c in proptest::collection::btree_set(0..300_u32, 0..150),
        ) {
            let [a, b, c] = [a, b, c].map(|hours| Visits::default().join(Visits::of_hours(hours)));
            let join = |a: &Visits, b: &Visits| a.clone().join(b.clone());
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a);
        }
    }

    #[test]
    fn pages_of_one_hour_are_one_visit() {
        let visits = Visits::at(moment(10)).join(Visits::at(moment(3_599)));
        assert_eq!(visits.len(), 1);
        assert_eq!(visits.join(Visits::at(moment(3_600))).len(), 2);
        assert_eq!(hour_of(moment(-5)), 0);
    }

    #[test]
    fn the_later_word_counts_and_of_one_moment_the_greater() {
        let word = |at, value: &str| {
            let value = PropertyValue::Text(value.to_owned());
            Words::from([(
                "plan".to_owned(),
                Latest {
                    at: moment(at),
                    value,
                },
            )])
        };
        let says = |words: &Words<PropertyValue>| words["plan"].value.to_string();
        assert_eq!(says(&joined(&word(2, "basic"), &word(1, "pro"))), "basic");
        assert_eq!(says(&joined(&word(1, "basic"), &word(1, "pro"))), "pro");
    }
}
