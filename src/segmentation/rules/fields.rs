//! What a rule may speak of: the fields with their types, and their values for one person.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cel::Value;
use cel::objects::{Key, Map};
use chrono::Utc;

use crate::domain::Timestamp;
use crate::domain::facet::Facet;
use crate::domain::fact::{self, Attribute};
use crate::domain::profile::Profile;
use crate::domain::property::{Number, PropertyValue};

/// How many interests a rule is shown: the latest. A loop over them must end soon.
pub const INTERESTS_MAX: usize = 500;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Truth,
    /// A number, whole or not.
    Number,
    /// A text.
    Text,
    /// A moment.
    Moment,
    /// A span of time.
    Span,
    /// A list of texts.
    Texts,
    /// A list or map of who knows what.
    Many,
    /// What has these fields.
    Fields(&'static [(&'static str, Type)]),
    /// What has fields of the senders' own names, of any type.
    Open,
    /// What has fields of the senders' own names, each true or false.
    Truths,
    /// The names and slugs of the cohorts that a person is in.
    Cohorts,
    /// A number for each cohort.
    Scores,
    /// Null.
    Nothing,
    /// Known when it is asked only.
    Any,
}

impl Type {
    /// What to call a value of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truth => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Moment => "a time",
            Self::Span => "a span of time",
            Self::Texts | Self::Many | Self::Cohorts => "a list",
            Self::Fields(_) | Self::Open | Self::Truths | Self::Scores => "a group of fields",
            Self::Nothing => "null",
            Self::Any => "a value",
        }
    }
}

/// What stands at the root of every expression.
pub const ROOT: &[(&str, Type)] = &[
    ("profile", Type::Fields(PROFILE)),
    ("interests", Type::Texts),
    ("cohorts", Type::Cohorts),
    ("scores", Type::Scores),
];

const PROFILE: &[(&str, Type)] = &[
    ("id", Type::Text),
    ("email", Type::Text),
    ("emails", Type::Texts),
    ("cookie", Type::Text),
    ("cookies", Type::Number),
    ("first_name", Type::Text),
    ("last_name", Type::Text),
    ("phone_number", Type::Text),
    ("age", Type::Number),
    ("gender", Type::Text),
    ("education", Type::Text),
    ("income", Type::Text),
    ("location", Type::Fields(LOCATION)),
    ("demographics", Type::Fields(DEMOGRAPHICS)),
    ("first_seen", Type::Moment),
    ("last_seen", Type::Moment),
    ("created_at", Type::Moment),
    ("visits", Type::Number),
    ("sources", Type::Texts),
    ("properties", Type::Open),
    ("consent", Type::Truths),
];

const LOCATION: &[(&str, Type)] = &[
    ("city", Type::Text),
    ("state", Type::Text),
    ("country", Type::Text),
];

const DEMOGRAPHICS: &[(&str, Type)] = &[
    ("age", Type::Number),
    ("gender", Type::Text),
    ("education", Type::Text),
    ("income", Type::Text),
];

/// Every field, as it is written.
pub fn all() -> Vec<String> {
    let mut names = Vec::new();
    for (root, kind) in ROOT {
        names_of(root, *kind, &mut names);
    }
    names
}

fn names_of(path: &str, kind: Type, names: &mut Vec<String>) {
    match kind {
        Type::Fields(fields) => {
            for (name, kind) in fields {
                names_of(&format!("{path}.{name}"), *kind, names);
            }
        }
        Type::Open => names.push(format!("{path}.<name>")),
        Type::Truths => names.push(format!("{path}.<purpose>")),
        Type::Scores => names.push(format!("{path}[\"<cohort>\"]")),
        _ => names.push(path.to_owned()),
    }
}

/// The value of `profile`. What is not known is not there.
pub fn profile(profile: &Profile, email: Option<&str>) -> Value {
    let facet = &profile.facet;
    let mut fields = Fields::default();
    fields.text("id", profile.id.to_string());
    if let Some(email) = email {
        fields.text("email", email);
    }
    if let Some((_, cookie)) = &profile.cookies.first {
        fields.text("cookie", cookie.as_str());
    }
    fields.put("cookies", Value::Int(i64::from(profile.cookies.count)));
    fields.put("emails", texts(facet.emails.keys().map(ToString::to_string)));
    fields.put("sources", texts(facet.sources.iter().cloned()));
    for (attribute, name) in [
        (Attribute::FirstName, "first_name"),
        (Attribute::LastName, "last_name"),
        (Attribute::Phone, "phone_number"),
    ] {
        fields.attribute(facet, attribute, name);
    }
    let mut location = Fields::default();
    for (attribute, name) in [
        (Attribute::City, "city"),
        (Attribute::State, "state"),
        (Attribute::Country, "country"),
    ] {
        location.attribute(facet, attribute, name);
    }
    let mut demographics = Fields::default();
    for (attribute, name) in [
        (Attribute::Age, "age"),
        (Attribute::Gender, "gender"),
        (Attribute::Education, "education"),
        (Attribute::Income, "income"),
    ] {
        fields.attribute(facet, attribute, name);
        demographics.attribute(facet, attribute, name);
    }
    fields.put("location", location.into_value());
    fields.put("demographics", demographics.into_value());
    fields.put("first_seen", moment(facet.seen.first));
    fields.put("last_seen", moment(facet.seen.last));
    fields.put("created_at", moment(profile.created_at));
    fields.put(
        "visits",
        Value::Int(i64::try_from(facet.visits.len()).unwrap_or(i64::MAX)),
    );
    fields.put("properties", properties(facet));
    let mut consent = Fields::default();
    for (purpose, word) in &facet.consent {
        consent.put(purpose, Value::Bool(word.value));
    }
    fields.put("consent", consent.into_value());
    fields.into_value()
}

/// The latest interests, by canonical form.
pub fn interests(facet: &Facet) -> Value {
    let mut interests: Vec<_> = facet.interests.iter().collect();
    if interests.len() > INTERESTS_MAX {
        interests.sort_by(|(a, seen_a), (b, seen_b)| seen_b.seen.last.cmp(&seen_a.seen.last).then(a.cmp(b)));
        interests.truncate(INTERESTS_MAX);
    }
    texts(interests.into_iter().map(|(key, _)| key.as_str().to_owned()))
}

/// The names of cohorts, each also as its slug.
pub fn cohorts<'a>(cohorts: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let both: BTreeSet<&str> = cohorts.flat_map(|(slug, name)| [slug, name]).collect();
    texts(both.into_iter().map(str::to_owned))
}

/// A number for each cohort, by its name and by its slug.
pub fn scores<'a>(scores: impl Iterator<Item = (&'a str, &'a str, f32)>) -> Value {
    let mut fields = Fields::default();
    for (slug, name, score) in scores {
        let score = Value::Float(f64::from(score));
        fields.put(slug, score.clone());
        fields.put(name, score);
    }
    fields.into_value()
}

/// What a sender says in parts, `plan.name`, is found by its whole name and part by part.
fn properties(facet: &Facet) -> Value {
    let mut fields = Fields::default();
    let mut groups: HashMap<&str, Fields> = HashMap::new();
    for (name, word) in &facet.properties {
        let value = property(&word.value);
        if let Some((group, part)) = name.split_once('.') {
            groups.entry(group).or_default().put(part, value.clone());
        }
        fields.put(name, value);
    }
    for (group, parts) in groups {
        if !facet.properties.contains_key(group) {
            fields.put(group, parts.into_value());
        }
    }
    fields.into_value()
}

fn property(value: &PropertyValue) -> Value {
    match value {
        PropertyValue::Flag(flag) => Value::Bool(*flag),
        PropertyValue::Text(text) => Value::String(Arc::new(text.clone())),
        PropertyValue::Number(Number(number)) => whole(*number).map_or(Value::Float(*number), Value::Int),
    }
}

/// A number without a fraction as such: CEL tells `3` from `3.0`, people do not.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is whole, and within what both types hold exactly"
)]
fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

fn moment(at: Timestamp) -> Value {
    Value::Timestamp(at.with_timezone(&Utc).fixed_offset())
}

fn texts(texts: impl Iterator<Item = String>) -> Value {
    let texts = texts.map(|text| Value::String(Arc::new(text)));
    Value::List(Arc::new(texts.collect()))
}

/// Fields that are gathered.
#[derive(Default)]
struct Fields(HashMap<Key, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: Value) {
        self.0.insert(Key::String(Arc::new(name.to_owned())), value);
    }

    fn text(&mut self, name: &str, text: impl Into<String>) {
        self.put(name, Value::String(Arc::new(text.into())));
    }

    fn attribute(&mut self, facet: &Facet, attribute: Attribute, name: &str) {
        match facet
            .attributes
            .get(&attribute)
            .map(|stated| &stated.survivor().value)
        {
            Some(fact::Value::Integer(number)) => self.put(name, Value::Int(*number)),
            Some(fact::Value::Text(text)) => self.text(name, text.as_str()),
            None => {}
        }
    }

    fn into_value(self) -> Value {
        Value::Map(Map {
            map: Arc::new(self.0),
        })
    }
}
