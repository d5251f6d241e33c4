//! The twins of the domain's types as records hold them, and the ways between the two.
//! What a record holds is a promise to every later version, so it is written out here and
//! not derived from the domain.
//!
//! Links between records are the engine's own, so that the graph can be walked. What one
//! cookie knows, and the folded view of a person, are JSON texts in one field: the engine
//! never looks inside, and taking them apart into values of its own, each with its own
//! allocations, cost two fifths of each commit (`docs/BENCHMARKS.md`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::serde::ts_microseconds;
use serde::{Deserialize, Serialize};
use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue};
use ulid::Ulid;

use super::StoreError;
use crate::domain::Timestamp;
use crate::domain::cohort::{CohortSlug, Membership, Reason};
use crate::domain::facet::{Facet, InterestSeen, Register, Seen};
use crate::domain::fact::{Attribute, Value};
use crate::domain::graph::CookieNode;
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::InterestKey;
use crate::domain::profile::{Profile, ProfileId};

/// Times are whole microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct SeenDoc {
    #[serde(with = "ts_microseconds")]
    first: Timestamp,
    #[serde(with = "ts_microseconds")]
    last: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ValueDoc {
    Integer(i64),
    Text(String),
}

#[derive(Serialize, Deserialize)]
struct RegisterDoc {
    value: ValueDoc,
    #[serde(with = "ts_microseconds")]
    at: Timestamp,
    raw: String,
}

#[derive(Serialize, Deserialize)]
struct InterestDoc {
    display: String,
    #[serde(flatten)]
    seen: SeenDoc,
}

/// A facet, as the JSON text in `cookie.facet` and within `profile.document`.
#[derive(Serialize, Deserialize)]
struct FacetDoc {
    seen: SeenDoc,
    attributes: BTreeMap<String, RegisterDoc>,
    interests: BTreeMap<String, InterestDoc>,
    emails: BTreeMap<String, SeenDoc>,
    sources: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
struct MembershipDoc {
    cohort: String,
    score: f32,
    interests: Vec<String>,
    #[serde(with = "ts_microseconds")]
    since: Timestamp,
}

/// The folded view of a person, as the JSON text in `profile.document`.
#[derive(Serialize, Deserialize)]
struct ProfileDoc {
    cookies: BTreeMap<String, SeenDoc>,
    facet: FacetDoc,
    memberships: Vec<MembershipDoc>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct CookieRow {
    pub id: RecordId,
    pub profile: RecordId,
    pub facet: String,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct EmailRow {
    pub id: RecordId,
    pub profile: RecordId,
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
                .map(|(attribute, register)| (attribute.name().to_owned(), register.into()))
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
        }
    }
}

impl From<&Register> for RegisterDoc {
    fn from(register: &Register) -> Self {
        let value = match &register.value {
            Value::Integer(number) => ValueDoc::Integer(*number),
            Value::Text(text) => ValueDoc::Text(text.clone()),
        };
        Self {
            value,
            at: register.at,
            raw: register.raw.to_string(),
        }
    }
}

impl From<&InterestSeen> for InterestDoc {
    fn from(interest: &InterestSeen) -> Self {
        Self {
            display: interest.display.clone(),
            seen: interest.seen.into(),
        }
    }
}

impl TryFrom<FacetDoc> for Facet {
    type Error = StoreError;

    fn try_from(doc: FacetDoc) -> Result<Self, StoreError> {
        let interest = |doc: InterestDoc| InterestSeen {
            display: doc.display,
            seen: doc.seen.into(),
        };
        Ok(Self {
            seen: doc.seen.into(),
            attributes: doc
                .attributes
                .into_iter()
                .map(register_of)
                .collect::<Result<_, _>>()?,
            interests: (doc.interests.into_iter())
                .map(|(key, seen)| (InterestKey::from_canonical(&key), interest(seen)))
                .collect(),
            emails: (doc.emails.into_iter())
                .map(|(email, seen)| Ok((email_of(&email)?, seen.into())))
                .collect::<Result<_, StoreError>>()?,
            sources: doc.sources,
        })
    }
}

fn register_of((name, doc): (String, RegisterDoc)) -> Result<(Attribute, Register), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("the attribute `{name}` {what}"));
    let attribute = Attribute::named(&name).ok_or_else(|| corrupt("is unknown"))?;
    let raw = doc.raw.parse().map_err(|_| corrupt("has no raw row"))?;
    let value = match doc.value {
        ValueDoc::Integer(number) => Value::Integer(number),
        ValueDoc::Text(text) => Value::Text(text),
    };
    Ok((
        attribute,
        Register {
            value,
            at: doc.at,
            raw,
        },
    ))
}

fn write<T: Serialize>(document: &T) -> Result<String, StoreError> {
    serde_json::to_string(document)
        .map_err(|error| StoreError::Corrupt(format!("a document can't be written: {error}")))
}

fn read<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("a document is torn: {error}")))
}

impl CookieRow {
    pub fn new(cookie: &Cookie, node: &CookieNode) -> Result<Self, StoreError> {
        let facet = write(&FacetDoc::from(&node.facet))?;
        Ok(Self {
            id: cookie_id(cookie),
            profile: profile_id(node.profile),
            facet,
        })
    }

    pub fn into_domain(self) -> Result<(Cookie, CookieNode), StoreError> {
        let cookie = cookie_of(text_key(&self.id)?)?;
        let facet: FacetDoc = read(&self.facet)?;
        Ok((
            cookie,
            CookieNode {
                profile: profile_key(&self.profile)?,
                facet: facet.try_into()?,
            },
        ))
    }
}

impl ProfileRow {
    pub fn new(profile: &Profile) -> Result<Self, StoreError> {
        let document = ProfileDoc {
            cookies: (profile.cookies.iter())
                .map(|(cookie, seen)| (cookie.as_str().to_owned(), (*seen).into()))
                .collect(),
            facet: (&profile.facet).into(),
            memberships: profile.memberships.iter().map(MembershipDoc::from).collect(),
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

impl From<&Membership> for MembershipDoc {
    fn from(membership: &Membership) -> Self {
        let Reason::Interests(interests) = &membership.reason;
        Self {
            cohort: membership.cohort.as_str().to_owned(),
            score: membership.score,
            interests: interests.clone(),
            since: membership.since,
        }
    }
}

impl From<MembershipDoc> for Membership {
    fn from(doc: MembershipDoc) -> Self {
        Self {
            cohort: CohortSlug::of(&doc.cohort),
            score: doc.score,
            reason: Reason::Interests(doc.interests),
            since: doc.since,
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
        let document: ProfileDoc = read(&row.document.ok_or_else(missing)?)?;
        Ok(Self::Whole(Box::new(Profile {
            id,
            rev: row.rev,
            created_at: row.created_at.ok_or_else(missing)?,
            updated_at: row.updated_at.ok_or_else(missing)?,
            cookies: (document.cookies.into_iter())
                .map(|(cookie, seen)| Ok((cookie_of(&cookie)?, seen.into())))
                .collect::<Result<_, StoreError>>()?,
            facet: document.facet.try_into()?,
            memberships: document.memberships.into_iter().map(Membership::from).collect(),
        })))
    }
}
