//! The twins of the domain's types as records hold them, and the ways between the two.
//! What a record holds is a promise to every later version, so it is written out here and
//! not derived from the domain.
//!
//! Links between records are the engine's own, so that the graph can be walked. What one
//! cookie knows, and the folded view of a person, are JSON texts in one field: the engine
//! never looks inside, and taking them apart into values of its own, each with its own
//! allocations, cost two fifths of each commit (`docs/BENCHMARKS.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Formatter};

use chrono::serde::{ts_microseconds, ts_microseconds_option};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue};
use ulid::Ulid;

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::cohort::{CohortSlug, Membership, PastMembership, Reason};
use crate::domain::facet::{Facet, InterestSeen, Seen, Statement, Statements};
use crate::domain::fact::{Attribute, Value};
use crate::domain::graph::{CookieNode, Cut, EmailNode, Logins};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::InterestKey;
use crate::domain::profile::{CookieSet, Profile, ProfileId};
use crate::domain::property::{Latest, Number, PropertyValue, Visits, Words};
use crate::domain::record::RawId;
use crate::domain::trail::{MessageMark, Step, Trail};

/// Times are whole microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct SeenDoc {
    #[serde(with = "ts_microseconds")]
    first: Timestamp,
    #[serde(with = "ts_microseconds")]
    last: Timestamp,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueDoc {
    Integer(i64),
    Text(String),
}

#[derive(Serialize, Deserialize)]
struct StatementDoc {
    value: ValueDoc,
    #[serde(with = "ts_microseconds")]
    at: Timestamp,
    raw: String,
}

#[derive(Serialize, Deserialize)]
struct InterestDoc {
    display: String,
    #[serde(with = "ts_microseconds")]
    first: Timestamp,
    #[serde(with = "ts_microseconds")]
    last: Timestamp,
}

/// What was stated of an attribute, the survivor first.
#[derive(Serialize)]
#[serde(untagged)]
enum StatementsDoc {
    All(Vec<StatementDoc>),
    /// As it was before lost values were kept.
    Survivor(StatementDoc),
}

/// A facet, as the JSON text in `cookie.facet`, `email.facet` and within `profile.document`.
#[derive(Serialize, Deserialize)]
struct FacetDoc {
    seen: SeenDoc,
    attributes: BTreeMap<String, StatementsDoc>,
    interests: BTreeMap<String, InterestDoc>,
    emails: BTreeMap<String, SeenDoc>,
    sources: BTreeSet<String>,
    /// Hours since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    visits: Vec<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<String, WordDoc<PropertyDoc>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    consent: BTreeMap<String, WordDoc<bool>>,
}

#[derive(Serialize, Deserialize)]
struct WordDoc<T> {
    #[serde(with = "ts_microseconds")]
    at: Timestamp,
    value: T,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PropertyDoc {
    Flag(bool),
    Number(f64),
    Text(String),
}

/// Untagged values say what they are by their first byte. What serde derives for them copies the
/// value and tries one variant after another, with an error for each that does not fit: a third of
/// the time of reading a person.
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

impl<'de> Deserialize<'de> for StatementsDoc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = StatementsDoc;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
                formatter.write_str("statements, or one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, all: A) -> Result<StatementsDoc, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(all)).map(StatementsDoc::All)
            }

            fn visit_map<A: MapAccess<'de>>(self, survivor: A) -> Result<StatementsDoc, A::Error> {
                let survivor = MapAccessDeserializer::new(survivor);
                Deserialize::deserialize(survivor).map(StatementsDoc::Survivor)
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

#[derive(Serialize, Deserialize)]
struct MembershipDoc {
    cohort: String,
    score: f32,
    interests: Vec<String>,
    /// The version of the rule that holds; none where interests say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<u32>,
    #[serde(with = "ts_microseconds")]
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct PastDoc {
    cohort: String,
    #[serde(with = "ts_microseconds")]
    since: Timestamp,
    #[serde(with = "ts_microseconds")]
    until: Timestamp,
}

/// Until when evidence for a link is cut, in microseconds; for good, if there is no moment.
#[derive(Serialize, Deserialize)]
struct CutDoc {
    #[serde(with = "ts_microseconds_option")]
    until: Option<Timestamp>,
}

/// A moment, in microseconds.
#[derive(Serialize, Deserialize)]
struct MomentDoc(#[serde(with = "ts_microseconds")] Timestamp);

/// The JSON text in `cookie.links`.
#[derive(Default, Serialize, Deserialize)]
struct LinksDoc {
    logins: BTreeMap<String, MomentDoc>,
    cuts: BTreeMap<String, CutDoc>,
}

/// The JSON text in `cookie.trail`.
#[derive(Default, Serialize, Deserialize)]
struct TrailDoc {
    complete: bool,
    /// Each row's address; behind a space `e` if it speaks of its address, and the mark of its
    /// message in hexadecimal.
    rows: Vec<String>,
}

/// The folded view of a person, as the JSON text in `profile.document`.
#[derive(Serialize, Deserialize)]
struct ProfileDoc {
    cookies: BTreeMap<String, SeenDoc>,
    /// How many cookies there are, where they are too many to be listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cookie_count: Option<u32>,
    /// The first of them, then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_cookie: Option<(MomentDoc, String)>,
    facet: FacetDoc,
    memberships: Vec<MembershipDoc>,
    /// Where they were a member before, latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past: Vec<PastDoc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<MomentDoc>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct CookieRow {
    pub id: RecordId,
    pub profile: RecordId,
    pub facet: String,
    pub links: Option<String>,
    /// None of cookies by earlier versions, all of whose rows are sightings.
    pub trail: Option<String>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct EmailRow {
    pub id: RecordId,
    pub profile: RecordId,
    pub facet: Option<String>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct ProfileRow {
    pub id: RecordId,
    pub rev: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub document: String,
}

/// A profile as it may stand in the store: whole, or absorbed by another.
#[derive(Debug, Clone, SurrealValue)]
pub struct MaybeProfileRow {
    pub id: RecordId,
    pub rev: u32,
    pub merged_into: Option<RecordId>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub document: Option<String>,
}

pub fn cookie_id(cookie: &Cookie) -> RecordId {
    RecordId::new("cookie", cookie.as_str())
}

pub fn email_id(email: &Email) -> RecordId {
    RecordId::new("email", email.as_str())
}

pub fn profile_id(id: ProfileId) -> RecordId {
    RecordId::new("profile", i64::from(id.0))
}

pub fn member_id(cohort: &CohortSlug, profile: ProfileId) -> RecordId {
    let key: Array = vec![
        cohort.as_str().to_owned().into_value(),
        i64::from(profile.0).into_value(),
    ]
    .into();
    RecordId::new("member", key)
}

/// The text of a record's key.
pub fn text_key(id: &RecordId) -> Result<&str, StoreError> {
    match &id.key {
        RecordIdKey::String(text) => Ok(text),
        _ => Err(StoreError::Corrupt(format!(
            "a key of `{}` is not a text",
            id.table
        ))),
    }
}

pub fn ulid_key(id: &RecordId) -> Result<Ulid, StoreError> {
    Ulid::from_string(text_key(id)?)
        .map_err(|_| StoreError::Corrupt(format!("a key of `{}` is no ULID", id.table)))
}

pub fn profile_key(id: &RecordId) -> Result<ProfileId, StoreError> {
    match &id.key {
        RecordIdKey::Number(number) => u32::try_from(*number).ok().map(ProfileId),
        _ => None,
    }
    .ok_or_else(|| StoreError::Corrupt("a profile's key is not an ordinal".to_owned()))
}

/// The canonical identifiers that keys hold were checked when they were written.
pub fn cookie_of(text: &str) -> Result<Cookie, StoreError> {
    Cookie::parse(text).map_err(|error| StoreError::Corrupt(format!("a cookie {error}")))
}

pub fn email_of(text: &str) -> Result<Email, StoreError> {
    Email::parse(text).map_err(|error| StoreError::Corrupt(format!("an address {error}")))
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
    fn from(row: SeenDoc) -> Self {
        Self {
            first: row.first,
            last: row.last,
        }
    }
}

impl From<&Facet> for FacetDoc {
    fn from(facet: &Facet) -> Self {
        Self {
            seen: facet.seen.into(),
            attributes: (facet.attributes.iter())
                .map(|(attribute, stated)| {
                    let all = stated.iter().map(StatementDoc::from).collect();
                    (attribute.name().to_owned(), StatementsDoc::All(all))
                })
                .collect(),
            interests: (facet.interests.iter())
                .map(|(key, interest)| (key.as_str().to_owned(), interest.into()))
                .collect(),
            emails: facet
                .emails
                .iter()
                .map(|(email, seen)| (email.as_str().to_owned(), (*seen).into()))
                .collect(),
            sources: facet.sources.clone(),
            visits: facet.visits.hours().collect(),
            properties: words_doc(&facet.properties, |value| value.into()),
            consent: words_doc(&facet.consent, |said| *said),
        }
    }
}

fn words_doc<T, D>(words: &Words<T>, doc: impl Fn(&T) -> D) -> BTreeMap<String, WordDoc<D>> {
    let word = |word: &Latest<T>| WordDoc {
        at: word.at,
        value: doc(&word.value),
    };
    words
        .iter()
        .map(|(name, said)| (name.clone(), word(said)))
        .collect()
}

fn words_of<T, D>(docs: BTreeMap<String, WordDoc<D>>, value: impl Fn(D) -> T) -> Words<T> {
    let word = |doc: WordDoc<D>| Latest {
        at: doc.at,
        value: value(doc.value),
    };
    docs.into_iter().map(|(name, doc)| (name, word(doc))).collect()
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

impl From<&Statement> for StatementDoc {
    fn from(statement: &Statement) -> Self {
        let value = match &statement.value {
            Value::Integer(number) => ValueDoc::Integer(*number),
            Value::Text(text) => ValueDoc::Text(text.clone()),
        };
        Self {
            value,
            at: statement.at,
            raw: statement.raw.to_string(),
        }
    }
}

impl From<&InterestSeen> for InterestDoc {
    fn from(interest: &InterestSeen) -> Self {
        Self {
            display: interest.display.clone(),
            first: interest.seen.first,
            last: interest.seen.last,
        }
    }
}

impl TryFrom<FacetDoc> for Facet {
    type Error = StoreError;

    fn try_from(doc: FacetDoc) -> Result<Self, StoreError> {
        let interest = |doc: InterestDoc| InterestSeen {
            display: doc.display,
            seen: Seen {
                first: doc.first,
                last: doc.last,
            },
        };
        Ok(Self {
            seen: doc.seen.into(),
            attributes: doc
                .attributes
                .into_iter()
                .map(statements_of)
                .collect::<Result<_, _>>()?,
            interests: (doc.interests.into_iter())
                .map(|(key, seen)| (InterestKey::from_canonical(&key), interest(seen)))
                .collect(),
            emails: (doc.emails.into_iter())
                .map(|(email, seen)| Ok((email_of(&email)?, seen.into())))
                .collect::<Result<_, StoreError>>()?,
            sources: doc.sources,
            visits: Visits::of_hours(doc.visits),
            properties: words_of(doc.properties, PropertyValue::from),
            consent: words_of(doc.consent, |said| said),
        })
    }
}

fn statements_of((name, doc): (String, StatementsDoc)) -> Result<(Attribute, Statements), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("the attribute `{name}` {what}"));
    let attribute = Attribute::named(&name).ok_or_else(|| corrupt("is unknown"))?;
    let docs = match doc {
        StatementsDoc::All(all) => all,
        StatementsDoc::Survivor(survivor) => vec![survivor],
    };
    let statement = |doc: StatementDoc| {
        let raw = doc.raw.parse().map_err(|_| corrupt("has no raw row"))?;
        let value = match doc.value {
            ValueDoc::Integer(number) => Value::Integer(number),
            ValueDoc::Text(text) => Value::Text(text),
        };
        let at = doc.at;
        Ok(Statements::of(Statement { value, at, raw }))
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

fn write<T: Serialize>(document: &T) -> Result<String, StoreError> {
    serde_json::to_string(document)
        .map_err(|error| StoreError::Corrupt(format!("a document can't be written: {error}")))
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a document is torn: {error}")))
}

fn write_facet(facet: &Facet) -> Result<String, StoreError> {
    write(&FacetDoc::from(facet))
}

fn read_facet(text: &str) -> Result<Facet, StoreError> {
    read::<FacetDoc>(text)?.try_into()
}

impl CookieRow {
    pub fn new(cookie: &Cookie, node: &CookieNode) -> Result<Self, StoreError> {
        let logins = node.logins.iter();
        let links = LinksDoc {
            logins: logins
                .map(|(email, at)| (email.as_str().to_owned(), MomentDoc(at)))
                .collect(),
            cuts: (node.cuts.iter())
                .map(|(email, cut)| (email.as_str().to_owned(), (*cut).into()))
                .collect(),
        };
        let has_links = !(links.logins.is_empty() && links.cuts.is_empty());
        Ok(Self {
            id: cookie_id(cookie),
            profile: profile_id(node.profile),
            facet: write_facet(&node.facet)?,
            links: has_links.then(|| write(&links)).transpose()?,
            trail: Some(write(&TrailDoc::from(&node.trail))?),
        })
    }

    pub fn into_domain(self) -> Result<(Cookie, CookieNode), StoreError> {
        let cookie = cookie_of(text_key(&self.id)?)?;
        let links: LinksDoc = match &self.links {
            Some(text) => read(text)?,
            None => LinksDoc::default(),
        };
        let mut logins = Logins::default();
        for (email, MomentDoc(at)) in links.logins {
            logins.note(&email_of(&email)?, at);
        }
        let node = CookieNode {
            facet: read_facet(&self.facet)?,
            logins,
            cuts: (links.cuts.into_iter())
                .map(|(email, cut)| Ok((email_of(&email)?, cut.into())))
                .collect::<Result<_, StoreError>>()?,
            trail: trail_of(self.trail.as_deref())?,
            profile: profile_key(&self.profile)?,
        };
        Ok((cookie, node))
    }
}

impl From<&Trail> for TrailDoc {
    fn from(trail: &Trail) -> Self {
        let row = |(raw, step): (RawId, Step)| {
            let of = if step.is_of_email { "e" } else { "" };
            match step.message {
                Some(MessageMark(mark)) => format!("{raw} {of}{mark:016x}"),
                None if step.is_of_email => format!("{raw} e"),
                None => raw.to_string(),
            }
        };
        Self {
            complete: trail.is_complete,
            rows: trail.iter().map(row).collect(),
        }
    }
}

/// The trail that a cookie's record holds; the rows of one without are elsewhere.
pub fn trail_of(text: Option<&str>) -> Result<Trail, StoreError> {
    let Some(text) = text else {
        return Ok(Trail::unknown());
    };
    let doc: TrailDoc = read(text)?;
    let mut trail = if doc.complete {
        Trail::default()
    } else {
        Trail::unknown()
    };
    let corrupt = || StoreError::Corrupt("a cookie's trail names no raw row".to_owned());
    for row in &doc.rows {
        let (raw, rest) = row.split_once(' ').unwrap_or((row, ""));
        let (is_of_email, mark) = match rest.strip_prefix('e') {
            // A mark has sixteen digits, the first of which may be an `e`.
            Some(mark) if rest.len() != 16 => (true, mark),
            _ => (false, rest),
        };
        let mark = (!mark.is_empty()).then(|| u64::from_str_radix(mark, 16));
        let message = mark.transpose().map_err(|_| corrupt())?.map(MessageMark);
        let step = Step { message, is_of_email };
        trail.note(raw.parse().map_err(|_| corrupt())?, step);
    }
    Ok(trail)
}

impl From<Cut> for CutDoc {
    fn from(cut: Cut) -> Self {
        let until = match cut {
            Cut::Until(moment) => Some(moment),
            Cut::ForGood => None,
        };
        Self { until }
    }
}

impl From<CutDoc> for Cut {
    fn from(doc: CutDoc) -> Self {
        doc.until.map_or(Self::ForGood, Self::Until)
    }
}

impl EmailRow {
    pub fn new(email: &Email, node: &EmailNode) -> Result<Self, StoreError> {
        Ok(Self {
            id: email_id(email),
            profile: profile_id(node.profile),
            facet: node.facet.as_ref().map(write_facet).transpose()?,
        })
    }

    pub fn into_domain(self) -> Result<(Email, EmailNode), StoreError> {
        let node = EmailNode {
            facet: self.facet.as_deref().map(read_facet).transpose()?,
            profile: profile_key(&self.profile)?,
        };
        Ok((email_of(text_key(&self.id)?)?, node))
    }
}

impl ProfileRow {
    pub fn new(profile: &Profile) -> Result<Self, StoreError> {
        let is_listed = profile.cookies.is_listed();
        let first = profile.cookies.first.as_ref().filter(|_| !is_listed);
        let document = ProfileDoc {
            cookies: (profile.cookies.listed.iter())
                .map(|(cookie, seen)| (cookie.as_str().to_owned(), (*seen).into()))
                .collect(),
            cookie_count: (!is_listed).then_some(profile.cookies.count),
            first_cookie: first.map(|(at, cookie)| (MomentDoc(*at), cookie.as_str().to_owned())),
            facet: (&profile.facet).into(),
            memberships: profile.memberships.iter().map(MembershipDoc::from).collect(),
            past: profile.past.iter().map(PastDoc::from).collect(),
            due: profile.due.map(MomentDoc),
        };
        Ok(Self {
            id: profile_id(profile.id),
            rev: profile.rev,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
            document: write(&document)?,
        })
    }
}

fn cookies_of(
    listed: BTreeMap<String, SeenDoc>,
    count: Option<u32>,
    first: Option<(MomentDoc, String)>,
) -> Result<CookieSet, StoreError> {
    if let (Some(count), Some((MomentDoc(at), cookie))) = (count, first) {
        return Ok(CookieSet {
            count,
            first: Some((at, cookie_of(&cookie)?)),
            listed: BTreeMap::new(),
        });
    }
    let mut cookies = CookieSet::default();
    for (cookie, seen) in listed {
        cookies.add(&cookie_of(&cookie)?, seen.into());
    }
    Ok(cookies)
}

impl From<&Membership> for MembershipDoc {
    fn from(membership: &Membership) -> Self {
        let (interests, rule) = match &membership.reason {
            Reason::Interests(interests) => (interests.clone(), None),
            Reason::Rule { version } => (Vec::new(), Some(*version)),
        };
        Self {
            cohort: membership.cohort.as_str().to_owned(),
            score: membership.score,
            interests,
            rule,
            since: membership.since,
        }
    }
}

impl From<MembershipDoc> for Membership {
    fn from(doc: MembershipDoc) -> Self {
        Self {
            cohort: CohortSlug::of(&doc.cohort),
            score: doc.score,
            reason: match doc.rule {
                Some(version) => Reason::Rule { version },
                None => Reason::Interests(doc.interests),
            },
            since: doc.since,
        }
    }
}

impl From<&PastMembership> for PastDoc {
    fn from(past: &PastMembership) -> Self {
        Self {
            cohort: past.cohort.as_str().to_owned(),
            since: past.since,
            until: past.until,
        }
    }
}

impl From<PastDoc> for PastMembership {
    fn from(doc: PastDoc) -> Self {
        Self {
            cohort: CohortSlug::of(&doc.cohort),
            since: doc.since,
            until: doc.until,
        }
    }
}

/// What stands under a profile's id.
pub enum StoredProfile {
    Whole(Box<Profile>),
    MergedInto(ProfileId),
}

impl TryFrom<MaybeProfileRow> for StoredProfile {
    type Error = StoreError;

    fn try_from(row: MaybeProfileRow) -> Result<Self, StoreError> {
        if let Some(survivor) = &row.merged_into {
            return profile_key(survivor).map(Self::MergedInto);
        }
        let id = profile_key(&row.id)?;
        let missing = || StoreError::Corrupt(format!("the profile {id} is not whole"));
        let (Some(created_at), Some(updated_at), Some(document)) =
            (row.created_at, row.updated_at, row.document)
        else {
            return Err(missing());
        };
        whole_profile(id, row.rev, (created_at, updated_at), &document).map(Self::Whole)
    }
}

/// A profile of what its record's fields hold: when it was made and last changed, and the JSON text
/// of the rest.
pub fn whole_profile(
    id: ProfileId,
    rev: u32,
    (created_at, updated_at): (Timestamp, Timestamp),
    document: &str,
) -> Result<Box<Profile>, StoreError> {
    let document: ProfileDoc = read(document)?;
    Ok(Box::new(Profile {
        id,
        rev,
        created_at,
        updated_at,
        cookies: cookies_of(document.cookies, document.cookie_count, document.first_cookie)?,
        facet: document.facet.try_into()?,
        memberships: document.memberships.into_iter().map(Membership::from).collect(),
        past: document.past.into_iter().map(PastMembership::from).collect(),
        due: document.due.map(|MomentDoc(due)| due),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a text and written again.
    fn again<T: Serialize + for<'a> Deserialize<'a>>(text: &str) -> Result<String, StoreError> {
        write(&read::<T>(text)?)
    }

    #[test]
    fn values_of_several_kinds_are_read_as_they_were_written() {
        for text in ["42", "-7", r#""Austin""#, r#""Zo\u00eb \"Z\"""#] {
            let value = again::<ValueDoc>(text).unwrap();
            let meant: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(value, meant.to_string());
        }
        for text in ["true", "1.5", "18446744073709551615"] {
            let property = again::<PropertyDoc>(text).unwrap();
            assert!(again::<ValueDoc>(text).is_err(), "{property}");
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
            assert!(again::<ValueDoc>(text).is_err() && again::<PropertyDoc>(text).is_err());
        }
    }

    #[test]
    fn one_statement_as_it_once_was_kept_is_read_as_well_as_all() {
        let one = r#"{"value":"Austin","at":5,"raw":"r"}"#;
        assert_eq!(again::<StatementsDoc>(one).unwrap(), one);
        let all = format!("[{one},{one}]");
        assert_eq!(again::<StatementsDoc>(&all).unwrap(), all);
        assert!(again::<StatementsDoc>("7").is_err());
        let interest = r#"{"display":"Chess","first":1,"last":2}"#;
        assert_eq!(again::<InterestDoc>(interest).unwrap(), interest);
    }
}
