//! How good the rows of a batch are: what each field was given, and what was wrong with it.
//!
//! A [`Quality`] is a sum over rows, so that the chunks of a batch, and the batches of a file,
//! are added up in any order. [`Quality::merge`] commutes and associates, the list of the most
//! frequent bad values aside: that one is bounded, so its counts may fall short by an amount
//! that it tells.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::fact::Attribute;

/// How many bad values are kept. A value that stands in more than one in so many findings is
/// always among them.
pub const VALUES_KEPT_MAX: usize = 64;

/// The longest bad value that is kept, in characters.
pub const VALUE_CHARS_MAX: usize = 40;

/// How many values may gather before they are cut down to [`VALUES_KEPT_MAX`]: cutting sorts
/// them, which is not for every row.
const VALUES_GATHERED_MAX: usize = 4 * VALUES_KEPT_MAX;

/// What a row can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The row as a whole.
    Row,
    /// The cookie.
    Cookie,
    /// The address.
    Email,
    /// When it happened.
    Timestamp,
    /// The sender's own id of the record.
    MessageId,
    /// What the person cares about.
    Interests,
    /// A place in one text.
    Location,
    /// The group of demographic attributes.
    Demographics,
    /// What else is said of the person.
    Properties,
    /// What they agree to.
    Consent,
    /// An attribute of the person.
    Of(Attribute),
}

impl Field {
    /// How many there are.
    pub const COUNT: usize = GROUPS.len() + Attribute::ALL.len();

    /// Every field, in the order of reports.
    pub fn all() -> impl Iterator<Item = Self> {
        GROUPS
            .into_iter()
            .map(|(field, _)| field)
            .chain(Attribute::ALL.map(Self::Of))
    }

    /// The canonical name, for example `demographics.age`; empty for the row as a whole.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Of(attribute) => attribute.name(),
            group => GROUPS[group.index()].1,
        }
    }

    /// The field of a canonical name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|field| field.name() == name)
    }

    const fn index(self) -> usize {
        match self {
            Self::Row => 0,
            Self::Cookie => 1,
            Self::Email => 2,
            Self::Timestamp => 3,
            Self::MessageId => 4,
            Self::Interests => 5,
            Self::Location => 6,
            Self::Demographics => 7,
            Self::Properties => 8,
            Self::Consent => 9,
            Self::Of(attribute) => GROUPS.len() + attribute as usize,
        }
    }
}

/// What is no attribute, by its index.
const GROUPS: [(Field, &str); 10] = [
    (Field::Row, ""),
    (Field::Cookie, "cookie"),
    (Field::Email, "email"),
    (Field::Timestamp, "timestamp"),
    (Field::MessageId, "message_id"),
    (Field::Interests, "interests"),
    (Field::Location, "location"),
    (Field::Demographics, "demographics"),
    (Field::Properties, "properties"),
    (Field::Consent, "consent"),
];

/// Some of the fields; one row's notes must cost no memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldSet(u32);

impl FieldSet {
    /// Adds a field.
    pub const fn insert(&mut self, field: Field) {
        self.0 |= 1 << field.index();
    }

    /// Whether a field is among them.
    #[must_use]
    pub const fn contains(self, field: Field) -> bool {
        self.0 & (1 << field.index()) != 0
    }

    /// The places of the fields, in order.
    fn indices(self) -> impl Iterator<Item = usize> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let index = left.trailing_zeros() as usize;
            left &= left.checked_sub(1)?;
            Some(index)
        })
    }
}

/// A value that something is wrong with, as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BadValue {
    /// The field.
    pub field: Field,
    /// What is wrong, for example `out_of_range`.
    pub code: Cow<'static, str>,
    /// The value, cut to [`VALUE_CHARS_MAX`]; of what may tell who somebody is, only the shape.
    /// None where there is nothing to show.
    pub value: Option<String>,
}

/// What was noted about one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// The fields that have a value.
    pub filled: FieldSet,
    /// The fields whose value was brought to another form.
    pub repaired: FieldSet,
    /// The fields that the record is stored without, though they have a value.
    pub dropped: FieldSet,
    /// Every finding, whether it refuses the row or not.
    pub bad: Vec<BadValue>,
    /// Whether the row is refused. Nothing of it is stored, so nothing was repaired.
    pub is_refused: bool,
}

/// What is counted of one field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FieldCounts {
    /// Rows that have a value for it.
    pub filled: u64,
    /// Rows with something wrong in it, whatever followed from that.
    pub invalid: u64,
    /// Stored rows whose value was brought to another form.
    pub repaired: u64,
    /// Rows that are stored without the value they have for it.
    pub dropped: u64,
}

/// How good some rows are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quality {
    /// Findings for which no row was refused.
    pub warnings: u64,
    /// How often each thing was wrong.
    pub findings: BTreeMap<(Field, Cow<'static, str>), u64>,
    /// The most frequent bad values.
    pub values: TopValues,
    fields: [FieldCounts; Field::COUNT],
}

impl Quality {
    /// What is counted of a field.
    #[must_use]
    pub const fn of(&self, field: Field) -> FieldCounts {
        self.fields[field.index()]
    }

    /// The same, to be changed.
    pub const fn of_mut(&mut self, field: Field) -> &mut FieldCounts {
        &mut self.fields[field.index()]
    }

    /// Counts one row.
    pub fn observe(&mut self, row: Observation) {
        for index in row.filled.indices() {
            self.fields[index].filled += 1;
        }
        if !row.is_refused {
            for index in row.repaired.indices() {
                self.fields[index].repaired += 1;
            }
            for index in row.dropped.indices() {
                self.fields[index].dropped += 1;
            }
            self.warnings += row.bad.len() as u64;
        }
        let mut invalid = FieldSet::default();
        for bad in row.bad {
            invalid.insert(bad.field);
            *self.findings.entry((bad.field, bad.code.clone())).or_default() += 1;
            self.values.add(bad);
        }
        for index in invalid.indices() {
            self.fields[index].invalid += 1;
        }
    }

    /// Adds what is known of other rows.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (mine, its) in self.fields.iter_mut().zip(other.fields) {
            mine.filled += its.filled;
            mine.invalid += its.invalid;
            mine.repaired += its.repaired;
            mine.dropped += its.dropped;
        }
        for (finding, count) in other.findings {
            *self.findings.entry(finding).or_default() += count;
        }
        self.warnings += other.warnings;
        self.values = self.values.merge(other.values);
        self
    }
}

/// The most frequent bad values, by Misra and Gries: exact while there are no more than
/// [`VALUES_KEPT_MAX`] different ones, and beyond that too low by at most [`TopValues::missed`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopValues {
    counts: BTreeMap<BadValue, u64>,
    missed: u64,
}

impl TopValues {
    /// What was counted before, as it was kept.
    #[must_use]
    pub fn new(counts: impl IntoIterator<Item = (BadValue, u64)>, missed: u64) -> Self {
        let counts = counts.into_iter().collect();
        Self { counts, missed }.cut()
    }

    /// By how much each count may be too low: at most the number of findings divided by
    /// [`VALUES_KEPT_MAX`].
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The values with their counts, by field and code.
    pub fn iter(&self) -> impl Iterator<Item = (&BadValue, u64)> {
        self.counts.iter().map(|(value, count)| (value, *count))
    }

    fn add(&mut self, value: BadValue) {
        if value.value.is_none() {
            return;
        }
        *self.counts.entry(value).or_default() += 1;
        if self.counts.len() > VALUES_GATHERED_MAX {
            *self = std::mem::take(self).cut();
        }
    }

    fn merge(mut self, other: Self) -> Self {
        for (value, count) in other.counts {
            *self.counts.entry(value).or_default() += count;
        }
        self.missed += other.missed;
        self.cut()
    }

    /// Takes from every count what the first one that finds no place has. Each unit that is
    /// taken is taken from one more value than are kept: that bounds the error.
    fn cut(mut self) -> Self {
        if self.counts.len() <= VALUES_KEPT_MAX {
            return self;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let taken = counts[VALUES_KEPT_MAX];
        self.counts.retain(|_, count| {
            *count -= taken.min(*count);
            *count > 0
        });
        self.missed += taken;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODES: [&str; 3] = ["invalid", "unknown", "out_of_range"];

    fn field() -> impl Strategy<Value = Field> {
        (0..Field::COUNT).prop_map(|index| Field::all().nth(index).unwrap())
    }

    fn field_set() -> impl Strategy<Value = FieldSet> {
        proptest::collection::vec(field(), 0..4).prop_map(|fields| {
            let mut set = FieldSet::default();
            for field in fields {
                set.insert(field);
            }
            set
        })
    }

    /// A row with values out of so many different ones.
    fn row(values: u32) -> impl Strategy<Value = Observation> {
        let bad =
            (field(), 0..CODES.len(), proptest::option::of(0..values)).prop_map(|(field, code, value)| {
                BadValue {
                    field,
                    code: CODES[code].into(),
                    value: value.map(|value| value.to_string()),
                }
            });
        let bad = proptest::collection::vec(bad, 0..4);
        (field_set(), field_set(), field_set(), bad, any::<bool>()).prop_map(
            |(filled, repaired, dropped, bad, is_refused)| Observation {
                filled,
                repaired,
                dropped,
                bad,
                is_refused,
            },
        )
    }

    fn quality(rows: &[Observation]) -> Quality {
        let mut quality = Quality::default();
        for row in rows {
            quality.observe(row.clone());
        }
        quality.merge(Quality::default())
    }

    /// All of it but the values, whose counts may differ within their bound.
    fn exact(quality: &Quality) -> Quality {
        Quality {
            values: TopValues::default(),
            ..quality.clone()
        }
    }

    #[test]
    fn every_field_has_a_place_and_a_name_of_its_own() {
        for (index, field) in Field::all().enumerate() {
            assert_eq!(field.index(), index);
            assert_eq!(Field::named(field.name()), Some(field));
        }
        assert_eq!(Field::all().count(), Field::COUNT);
        assert_eq!(Field::named("favourite_colour"), None);
    }

    #[test]
    fn nothing_was_repaired_in_a_row_that_is_refused() {
        let mut row = Observation {
            bad: vec![BadValue {
                field: Field::Email,
                code: "invalid".into(),
                value: Some("aaa@".to_owned()),
            }],
            ..Observation::default()
        };
        for set in [&mut row.filled, &mut row.repaired, &mut row.dropped] {
            set.insert(Field::Email);
        }
        let kept = quality(std::slice::from_ref(&row));
        row.is_refused = true;
        let refused = quality(&[row]);
        let counts = |filled, invalid, repaired, dropped| FieldCounts {
            filled,
            invalid,
            repaired,
            dropped,
        };
        assert_eq!((kept.of(Field::Email), kept.warnings), (counts(1, 1, 1, 1), 1));
        assert_eq!(
            (refused.of(Field::Email), refused.warnings),
            (counts(1, 1, 0, 0), 0)
        );
    }

    proptest! {
        /// With few different values everything is exact, and so a monoid to the letter.
        #[test]
        fn merging_commutes_and_associates(
            a in proptest::collection::vec(row(3), 0..20),
            b in proptest::collection::vec(row(3), 0..20),
            c in proptest::collection::vec(row(3), 0..20),
        ) {
            let whole = quality(&[a.clone(), b.clone(), c.clone()].concat());
            let [a, b, c] = [quality(&a), quality(&b), quality(&c)].map(|quality| Quality {
                // 18 fields, three codes and three values are more than are kept.
                values: TopValues::new(quality.values.counts.into_iter().take(VALUES_KEPT_MAX / 3), 0),
                ..quality
            });
            let left = a.clone().merge(b.clone()).merge(c.clone());
            prop_assert_eq!(&left, &a.clone().merge(b.clone().merge(c.clone())));
            prop_assert_eq!(&left, &c.merge(b.merge(a)));
            prop_assert_eq!(exact(&left), exact(&whole));
            prop_assert_eq!(left.clone().merge(Quality::default()), left);
        }

        /// With many, each count is too low by at most what is told, and that is bounded.
        #[test]
        fn a_count_of_a_value_is_never_too_high_and_too_low_within_the_bound(
            rows in proptest::collection::vec(row(1_000), 0..400),
            at in 0_usize..400,
        ) {
            let (head, tail) = rows.split_at(at.min(rows.len()));
            let (head, tail) = (quality(head), quality(tail));
            let merged = head.clone().merge(tail.clone());
            prop_assert_eq!(&merged, &tail.merge(head));
            prop_assert!(merged.values.counts.len() <= VALUES_KEPT_MAX);
            let mut truth: BTreeMap<BadValue, u64> = BTreeMap::new();
            for bad in rows.into_iter().flat_map(|row| row.bad) {
                if bad.value.is_some() {
                    *truth.entry(bad).or_default() += 1;
                }
            }
            let total: u64 = truth.values().sum();
            prop_assert!(merged.values.missed() <= total / (VALUES_KEPT_MAX as u64 + 1));
            for (value, count) in truth {
                let counted = merged.values.counts.get(&value).copied().unwrap_or(0);
                prop_assert!(counted <= count && count <= counted + merged.values.missed());
            }
        }
    }
}
