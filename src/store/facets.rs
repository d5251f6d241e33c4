//! What one cookie knows, or a whole person, as JSON texts: the twins of [`Facet`] and its parts.
//!
//! These texts are most of a store, and are written, merged, kept in caches and read more than
//! anything else in it. Nearly all that they say of someone was said by few rows at few moments. So a
//! row that proves something stands once, with its moment, and moments count back from the facet's
//! last: what was said then is a zero. Texts by earlier versions, which have objects where there are
//! lists now, are read as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Formatter};
use std::marker::PhantomData;

use chrono::DateTime;
use chrono::serde::ts_microseconds;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::StoreError;
use super::rows::email_of;
use crate::domain::Timestamp;
use crate::domain::facet::{Facet, InterestSeen, Seen, Statement, Statements};
use crate::domain::fact::{Attribute, Value};
use crate::domain::interest::InterestKey;
use crate::domain::property::{Latest, Number, PropertyValue, Visits, Words};
use crate::domain::record::RawId;

/// A facet, as the JSON text in `cookie.facet`, `email.facet` and within `profile.document`.
#[derive(Serialize, Deserialize)]
pub struct FacetDoc {
    seen: SeenDoc,
    /// The rows that prove what is stated, each with the moment of which it speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rows: Vec<(String, Back)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, StatementsDoc>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    interests: BTreeMap<String, InterestDoc>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    emails: BTreeMap<String, SpanDoc>,
    sources: BTreeSet<String>,
    /// Hours since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    visits: Vec<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, WordDoc<PropertyDoc>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    consent: BTreeMap<String, WordDoc<bool>>,
}

/// Either of two shapes, told apart by their first byte: a list, as it is written, or an object, as
/// earlier versions wrote it. What serde derives for untagged values copies the value and tries one
/// variant after another, with an error for each that does not fit: a third of the time of reading a
/// person.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Either<L, O> {
    List(L),
    Object(O),
}

/// First and last, in microseconds since 1970.
#[derive(Serialize, Deserialize)]
pub struct SeenDoc {
    #[serde(with = "ts_microseconds")]
    first: Timestamp,
    #[serde(with = "ts_microseconds")]
    last: Timestamp,
}

/// Microseconds before the facet's last moment.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Back(i64);

/// First and last.
pub type SpanDoc = Either<(Back, Back), SeenDoc>;

/// What was stated of an attribute, the survivor first; or nothing but that, as it was before lost
/// values were kept.
type StatementsDoc = Either<Vec<StatementDoc>, WholeStatement>;

/// A value, and which of the facet's rows proves it.
type StatementDoc = Either<(ValueDoc, usize), WholeStatement>;

#[derive(Serialize, Deserialize)]
struct WholeStatement {
    value: ValueDoc,
    #[serde(with = "ts_microseconds")]
    at: Timestamp,
    raw: String,
}

type InterestDoc = Either<ShownDoc, WholeInterest>;

/// First, last, and how it is shown, where that is not its canonical form.
#[derive(Serialize, Deserialize)]
struct ShownDoc(
    Back,
    Back,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<String>,
);

#[derive(Serialize, Deserialize)]
struct WholeInterest {
    display: String,
    #[serde(with = "ts_microseconds")]
    first: Timestamp,
    #[serde(with = "ts_microseconds")]
    last: Timestamp,
}

/// What was said last, and when.
type WordDoc<T> = Either<(T, Back), WholeWord<T>>;

#[derive(Serialize, Deserialize)]
struct WholeWord<T> {
    #[serde(with = "ts_microseconds")]
    at: Timestamp,
    value: T,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueDoc {
    Integer(i64),
    Text(String),
}

#[derive(Serialize)]
#[serde(untagged)]
enum PropertyDoc {
    Flag(bool),
    Number(f64),
    Text(String),
}

impl<'de, L: Deserialize<'de>, O: Deserialize<'de>> Deserialize<'de> for Either<L, O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape<L, O>(PhantomData<(L, O)>);
        impl<'de, L: Deserialize<'de>, O: Deserialize<'de>> Visitor<'de> for Shape<L, O> {
            type Value = Either<L, O>;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list or an object")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Either<L, O>, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(list)).map(Either::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Either<L, O>, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(object)).map(Either::Object)
            }
        }
        deserializer.deserialize_any(Shape(PhantomData))
    }
}

impl<'de> Deserialize<'de> for ValueDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl Visitor<'_> for Shape {
            type Value = ValueDoc;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str("an integer or a text")
            }

            fn visit_i64<E>(self, number: i64) -> Result<ValueDoc, E> {
                Ok(ValueDoc::Integer(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ValueDoc, E> {
                i64::try_from(number).map(ValueDoc::Integer).map_err(E::custom)
            }

            fn visit_str<E>(self, text: &str) -> Result<ValueDoc, E> {
                Ok(ValueDoc::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

impl<'de> Deserialize<'de> for PropertyDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl Visitor<'_> for Shape {
            type Value = PropertyDoc;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str("a flag, a number or a text")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<PropertyDoc, E> {
                Ok(PropertyDoc::Flag(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<PropertyDoc, E> {
                Ok(PropertyDoc::Number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<PropertyDoc, E> {
                Ok(PropertyDoc::Number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<PropertyDoc, E> {
                Ok(PropertyDoc::Number(number))
            }

            fn visit_str<E>(self, text: &str) -> Result<PropertyDoc, E> {
                Ok(PropertyDoc::Text(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

impl Back {
    fn of(moment: Timestamp, last: Timestamp) -> Self {
        // Wraps there and back alike, should moments ever lie so far apart.
        Self(last.timestamp_micros().wrapping_sub(moment.timestamp_micros()))
    }

    fn from(self, last: Timestamp) -> Result<Timestamp, StoreError> {
        DateTime::from_timestamp_micros(last.timestamp_micros().wrapping_sub(self.0))
            .ok_or_else(|| StoreError::Corrupt("a moment lies beyond all calendars".to_owned()))
    }
}

impl From<Seen> for SeenDoc {
    fn from(seen: Seen) -> Self {
        Self {
            first: seen.first,
            last: seen.last,
        }
    }
}

impl From<SeenDoc> for Seen {
    fn from(doc: SeenDoc) -> Self {
        Self {
            first: doc.first,
            last: doc.last,
        }
    }
}

impl SpanDoc {
    /// What was seen within a facet whose last moment is this one.
    pub fn of(seen: Seen, last: Timestamp) -> Self {
        Self::List(span(seen, last))
    }

    /// The moments that are meant within a facet whose last one is this.
    ///
    /// # Errors
    /// When one can't be.
    pub fn seen(self, last: Timestamp) -> Result<Seen, StoreError> {
        match self {
            Self::List(span) => seen(span, last),
            Self::Object(doc) => Ok(doc.into()),
        }
    }
}

fn span(seen: Seen, last: Timestamp) -> (Back, Back) {
    (Back::of(seen.first, last), Back::of(seen.last, last))
}

fn seen((first, end): (Back, Back), last: Timestamp) -> Result<Seen, StoreError> {
    Ok(Seen {
        first: first.from(last)?,
        last: end.from(last)?,
    })
}

/// The rows that prove something, each once, with the moment of which it speaks.
#[derive(Default)]
struct Rows(Vec<(RawId, Timestamp)>);

impl Rows {
    /// The place of the row that proves a statement.
    fn place(&mut self, statement: &Statement) -> usize {
        let row = (statement.raw, statement.at);
        let known = self.0.iter().position(|known| *known == row);
        known.unwrap_or_else(|| {
            self.0.push(row);
            self.0.len() - 1
        })
    }
}

impl From<&Facet> for FacetDoc {
    fn from(facet: &Facet) -> Self {
        let last = facet.seen.last;
        let mut rows = Rows::default();
        let mut stated = |statement: &Statement| {
            let value = match &statement.value {
                Value::Integer(number) => ValueDoc::Integer(*number),
                Value::Text(text) => ValueDoc::Text(text.clone()),
            };
            StatementDoc::List((value, rows.place(statement)))
        };
        let interest = |key: &InterestKey, interest: &InterestSeen| {
            let shown = (interest.display != key.as_str()).then(|| interest.display.clone());
            let (first, end) = span(interest.seen, last);
            InterestDoc::List(ShownDoc(first, end, shown))
        };
        Self {
            seen: facet.seen.into(),
            attributes: (facet.attributes.iter())
                .map(|(attribute, all)| {
                    let all = all.iter().map(&mut stated).collect();
                    (attribute.name().to_owned(), StatementsDoc::List(all))
                })
                .collect(),
            rows: (rows.0.iter())
                .map(|(raw, at)| (raw.to_string(), Back::of(*at, last)))
                .collect(),
            interests: (facet.interests.iter())
                .map(|(key, seen)| (key.as_str().to_owned(), interest(key, seen)))
                .collect(),
            emails: (facet.emails.iter())
                .map(|(email, seen)| (email.as_str().to_owned(), SpanDoc::of(*seen, last)))
                .collect(),
            sources: facet.sources.clone(),
            visits: facet.visits.hours().collect(),
            properties: words_doc(&facet.properties, last, |value| value.into()),
            consent: words_doc(&facet.consent, last, |said| *said),
        }
    }
}

impl TryFrom<FacetDoc> for Facet {
    type Error = StoreError;

    fn try_from(doc: FacetDoc) -> Result<Self, StoreError> {
        let span = Seen::from(doc.seen);
        let last = span.last;
        let rows = (doc.rows.into_iter())
            .map(|(raw, at)| Ok((raw_of(&raw)?, at.from(last)?)))
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Self {
            seen: span,
            attributes: (doc.attributes.into_iter())
                .map(|(name, all)| statements_of(&name, all, &rows))
                .collect::<Result<_, _>>()?,
            interests: (doc.interests.into_iter())
                .map(|(key, interest)| interest_of(&key, interest, last))
                .collect::<Result<_, _>>()?,
            emails: (doc.emails.into_iter())
                .map(|(email, span)| Ok((email_of(&email)?, span.seen(last)?)))
                .collect::<Result<_, StoreError>>()?,
            sources: doc.sources,
            visits: Visits::of_hours(doc.visits),
            properties: words_of(doc.properties, last, PropertyValue::from)?,
            consent: words_of(doc.consent, last, |said| said)?,
        })
    }
}

fn raw_of(text: &str) -> Result<RawId, StoreError> {
    text.parse()
        .map_err(|_| StoreError::Corrupt("a statement has no raw row".to_owned()))
}

fn statements_of(
    name: &str,
    doc: StatementsDoc,
    rows: &[(RawId, Timestamp)],
) -> Result<(Attribute, Statements), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("the attribute `{name}` {what}"));
    let attribute = Attribute::named(name).ok_or_else(|| corrupt("is unknown"))?;
    let docs = match doc {
        Either::List(all) => all,
        Either::Object(survivor) => vec![Either::Object(survivor)],
    };
    let statement = |doc: StatementDoc| {
        let (value, (raw, at)) = match doc {
            Either::List((value, place)) => {
                let row = rows.get(place).ok_or_else(|| corrupt("has no raw row"))?;
                (value, *row)
            }
            Either::Object(whole) => (whole.value, (raw_of(&whole.raw)?, whole.at)),
        };
        let value = match value {
            ValueDoc::Integer(number) => Value::Integer(number),
            ValueDoc::Text(text) => Value::Text(text),
        };
        Ok::<_, StoreError>(Statements::of(Statement { value, at, raw }))
    };
    let mut all: Option<Statements> = None;
    for one in docs.into_iter().map(statement) {
        let one = one?;
        all = Some(match all {
            Some(before) => before.join(one),
            None => one,
        });
    }
    let all = all.ok_or_else(|| corrupt("has no value"))?;
    Ok((attribute, all))
}

fn interest_of(
    key: &str,
    doc: InterestDoc,
    last: Timestamp,
) -> Result<(InterestKey, InterestSeen), StoreError> {
    let (display, seen) = match doc {
        Either::List(ShownDoc(first, end, shown)) => {
            (shown.unwrap_or_else(|| key.to_owned()), seen((first, end), last)?)
        }
        Either::Object(whole) => {
            let (first, last) = (whole.first, whole.last);
            (whole.display, Seen { first, last })
        }
    };
    Ok((InterestKey::from_canonical(key), InterestSeen { display, seen }))
}

fn words_doc<T, D>(words: &Words<T>, last: Timestamp, doc: impl Fn(&T) -> D) -> BTreeMap<String, WordDoc<D>> {
    let word = |word: &Latest<T>| WordDoc::List((doc(&word.value), Back::of(word.at, last)));
    words
        .iter()
        .map(|(name, said)| (name.clone(), word(said)))
        .collect()
}

fn words_of<T, D>(
    docs: BTreeMap<String, WordDoc<D>>,
    last: Timestamp,
    value: impl Fn(D) -> T,
) -> Result<Words<T>, StoreError> {
    let word = |doc: WordDoc<D>| {
        let (said, at) = match doc {
            Either::List((said, at)) => (said, at.from(last)?),
            Either::Object(whole) => (whole.value, whole.at),
        };
        let value = value(said);
        Ok(Latest { at, value })
    };
    docs.into_iter()
        .map(|(name, doc)| Ok((name, word(doc)?)))
        .collect()
}

impl From<&PropertyValue> for PropertyDoc {
    fn from(value: &PropertyValue) -> Self {
        match value {
            PropertyValue::Flag(flag) => Self::Flag(*flag),
            PropertyValue::Number(Number(number)) => Self::Number(*number),
            PropertyValue::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl From<PropertyDoc> for PropertyValue {
    fn from(doc: PropertyDoc) -> Self {
        match doc {
            PropertyDoc::Flag(flag) => Self::Flag(flag),
            PropertyDoc::Number(number) => Self::Number(Number(number)),
            PropertyDoc::Text(text) => Self::Text(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::domain::fact::Fact;
    use crate::domain::identifier::{Cookie, Email};
    use crate::domain::interest::Interest;

    /// As a version wrote it that had each moment and row where it belongs.
    const BEFORE: &str = r#"{
        "seen": { "first": 1000000, "last": 5000000 },
        "attributes": {
            "first_name": [
                { "value": "Ann", "at": 5000000, "raw": "00000000010000000000000000-2" },
                { "value": "Anna", "at": 1000000, "raw": "00000000010000000000000000-1" }
            ],
            "demographics.age": { "value": 44, "at": 5000000, "raw": "00000000010000000000000000-2" }
        },
        "interests": {
            "chess": { "display": "Chess", "first": 1000000, "last": 5000000 },
            "golf": { "display": "golf", "first": 5000000, "last": 5000000 }
        },
        "emails": { "ann@example.com": { "first": 1000000, "last": 1000000 } },
        "sources": ["web"],
        "visits": [0],
        "properties": { "plan": { "at": 1000000, "value": "gold" }, "seats": { "at": 5000000, "value": 3 } },
        "consent": { "ads": { "at": 5000000, "value": false } }
    }"#;

    /// The same.
    const NOW: &str = r#"{
        "seen": { "first": 1000000, "last": 5000000 },
        "rows": [["00000000010000000000000000-2", 0], ["00000000010000000000000000-1", 4000000]],
        "attributes": { "demographics.age": [[44, 0]], "first_name": [["Ann", 0], ["Anna", 1]] },
        "interests": { "chess": [4000000, 0, "Chess"], "golf": [0, 0] },
        "emails": { "ann@example.com": [4000000, 4000000] },
        "sources": ["web"],
        "visits": [0],
        "properties": { "plan": ["gold", 4000000], "seats": [3.0, 0] },
        "consent": { "ads": [false, 0] }
    }"#;

    fn json(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    fn read(text: &str) -> Facet {
        serde_json::from_str::<FacetDoc>(text)
            .unwrap()
            .try_into()
            .unwrap()
    }

    fn write(facet: &Facet) -> String {
        serde_json::to_string(&FacetDoc::from(facet)).unwrap()
    }

    #[test]
    fn a_facet_is_written_short_and_read_as_every_version_wrote_it() {
        let facet = read(BEFORE);
        assert_eq!(json(&write(&facet)), json(NOW));
        assert_eq!(read(NOW), facet);
        // Half of either.
        let mut mixed = json(BEFORE);
        mixed["rows"] = json(NOW)["rows"].clone();
        mixed["attributes"]["first_name"] = json(NOW)["attributes"]["first_name"].clone();
        mixed["emails"] = json(NOW)["emails"].clone();
        mixed["interests"]["golf"] = json("[0, 0, null]");
        assert_eq!(read(&mixed.to_string()), facet);
    }

    #[test]
    fn a_facet_that_is_torn_is_told() {
        for (part, torn) in [
            ("rows", "[]"),
            ("rows", r#"[["no address", 0]]"#),
            ("attributes", r#"{ "first_name": [["Ann", 7]] }"#),
            ("attributes", r#"{ "first_name": [] }"#),
            ("attributes", r#"{ "shoe_size": [[44, 0]] }"#),
            ("emails", r#"{ "nobody": [0, 0] }"#),
            ("emails", r#"{ "ann@example.com": [-9223372036854775808, 0] }"#),
            ("interests", r#"{ "chess": [9223372036854775807, 0, null] }"#),
            ("consent", r#"{ "ads": [true, 9223372036854775807] }"#),
        ] {
            let mut text = json(NOW);
            text[part] = json(torn);
            let doc: FacetDoc = serde_json::from_value(text).unwrap();
            let read = Facet::try_from(doc);
            assert!(matches!(read, Err(StoreError::Corrupt(_))), "{part}: {torn}");
        }
        for shape in [
            r#"{ "first_name": 7 }"#,
            r#"{ "first_name": [["Ann"]] }"#,
            r#"{ "first_name": [["Ann", 0, 1]] }"#,
        ] {
            let text = NOW.replace(
                r#"{ "demographics.age": [[44, 0]], "first_name": [["Ann", 0], ["Anna", 1]] }"#,
                shape,
            );
            assert!(serde_json::from_str::<FacetDoc>(&text).is_err(), "{shape}");
        }
    }

    /// What is read of a text and written again.
    fn again<T: Serialize + for<'a> Deserialize<'a>>(text: &str) -> Option<String> {
        let read: T = serde_json::from_str(text).ok()?;
        serde_json::to_string(&read).ok()
    }

    #[test]
    fn values_of_several_kinds_are_read_as_they_were_written() {
        for text in ["42", "-7", r#""Austin""#, r#""Zo\u00eb \"Z\"""#] {
            let value = again::<ValueDoc>(text).unwrap();
            assert_eq!(value, json(text).to_string());
        }
        for text in ["true", "1.5", "18446744073709551615"] {
            let property = again::<PropertyDoc>(text).unwrap();
            assert_eq!(again::<ValueDoc>(text), None, "{property}");
        }
        for (text, meant) in [
            ("true", "true"),
            ("3", "3.0"),
            ("-2.5", "-2.5"),
            (r#""x""#, r#""x""#),
        ] {
            assert_eq!(again::<PropertyDoc>(text).unwrap(), meant);
        }
        for text in ["null", "[]", "{}"] {
            assert_eq!(
                (again::<ValueDoc>(text), again::<PropertyDoc>(text)),
                (None, None)
            );
        }
    }

    /// One of a few, so that facts speak of the same things.
    fn word() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["a", "Chess", "chess", "\u{1f3be} \"x\"", "7"]).prop_map(str::to_owned)
    }

    fn words<T: Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = BTreeMap<String, T>> {
        prop::collection::btree_map(word(), value, 0..3)
    }

    prop_compose! {
        fn fact()(
            at in prop::sample::select(vec![i64::from(i32::MIN), 0, 1, 999_999, 1_795_603_472_216_175]),
            row in 0..3_u16,
            values in prop::collection::btree_map(
                prop::sample::select(Attribute::ALL.to_vec()),
                prop_oneof![any::<i64>().prop_map(Value::Integer), word().prop_map(Value::Text)],
                0..4,
            ),
            interests in words(word()),
            properties in words(prop_oneof![
                any::<bool>().prop_map(PropertyValue::Flag),
                // Read wrong without `float_roundtrip`.
                Just(PropertyValue::Number(Number(-224_618_490.475_970_86))),
                any::<f64>().prop_map(|number| PropertyValue::Number(Number(number))),
                word().prop_map(PropertyValue::Text),
            ]),
            consent in words(any::<bool>()),
            source in word(),
        ) -> Fact {
            Fact {
                cookie: Cookie::parse("c").unwrap(),
                email: None,
                at: DateTime::from_timestamp_micros(at).unwrap(),
                source,
                raw: RawId { block: Ulid::from(7_u128), row },
                message_id: None,
                attributes: values,
                interests: interests
                    .into_iter()
                    .filter_map(|(key, display)| {
                        let key = InterestKey::parse(&key)?;
                        Some((key, Interest { display }))
                    })
                    .collect(),
                properties,
                consent,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(facts in prop::collection::vec(fact(), 1..6)) {
            let email = Email::parse("ann@example.com").unwrap();
            let tied = |fact: &Fact| Facet::of(fact).with_email(&email, Seen::at(fact.at));
            let facet = facts.iter().map(tied).reduce(Facet::join).unwrap();
            prop_assert_eq!(read(&write(&facet)), facet);
        }

        #[test]
        fn a_moment_is_found_again(micros: i64, last: i64) {
            let moment = |micros: i64| DateTime::from_timestamp_micros(micros);
            if let (Some(moment), Some(last)) = (moment(micros), moment(last)) {
                prop_assert_eq!(Back::of(moment, last).from(last).unwrap(), moment);
            }
        }
    }
}
