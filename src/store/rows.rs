//! The twins of the domain's types as records hold them, and the ways between the two.
//! What a record holds is a promise to every later version, so it is written out here and
//! not derived from the domain.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value as DbValue};
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

#[derive(Debug, Clone, SurrealValue)]
pub struct SeenRow {
    pub first: Timestamp,
    pub last: Timestamp,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct RegisterRow {
    pub value: DbValue,
    pub at: Timestamp,
    pub raw: String,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct InterestSeenRow {
    pub display: String,
    pub first: Timestamp,
    pub last: Timestamp,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct FacetRow {
    pub first: Timestamp,
    pub last: Timestamp,
    pub attributes: BTreeMap<String, RegisterRow>,
    pub interests: BTreeMap<String, InterestSeenRow>,
    pub emails: BTreeMap<String, SeenRow>,
    pub sources: Vec<String>,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct CookieRow {
    pub id: RecordId,
    pub profile: RecordId,
    pub facet: FacetRow,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct EmailRow {
    pub id: RecordId,
    pub profile: RecordId,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct MembershipRow {
    pub cohort: String,
    pub score: f32,
    pub interests: Vec<String>,
    pub since: Timestamp,
}

#[derive(Debug, Clone, SurrealValue)]
pub struct ProfileRow {
    pub id: RecordId,
    pub rev: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub cookies: BTreeMap<String, SeenRow>,
    pub facet: FacetRow,
    pub memberships: Vec<MembershipRow>,
}

/// A profile as it may stand in the store: whole, or absorbed by another.
#[derive(Debug, Clone, SurrealValue)]
pub struct MaybeProfileRow {
    pub id: RecordId,
    pub rev: u32,
    pub merged_into: Option<RecordId>,
    pub created_at: Option<Timestamp>,
    pub updated_at: Option<Timestamp>,
    pub cookies: Option<BTreeMap<String, SeenRow>>,
    pub facet: Option<FacetRow>,
    pub memberships: Option<Vec<MembershipRow>>,
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

impl From<Seen> for SeenRow {
    fn from(seen: Seen) -> Self {
        Self {
            first: seen.first,
            last: seen.last,
        }
    }
}

impl From<SeenRow> for Seen {
    fn from(row: SeenRow) -> Self {
        Self {
            first: row.first,
            last: row.last,
        }
    }
}

impl From<Facet> for FacetRow {
    fn from(facet: Facet) -> Self {
        let register = |register: Register| {
            let value = match register.value {
                Value::Integer(number) => number.into_value(),
                Value::Text(text) => text.into_value(),
            };
            RegisterRow {
                value,
                at: register.at,
                raw: register.raw.to_string(),
            }
        };
        let interest = |interest: InterestSeen| InterestSeenRow {
            display: interest.display,
            first: interest.seen.first,
            last: interest.seen.last,
        };
        Self {
            first: facet.seen.first,
            last: facet.seen.last,
            attributes: (facet.attributes.into_iter())
                .map(|(attribute, value)| (attribute.name().to_owned(), register(value)))
                .collect(),
            interests: (facet.interests.into_iter())
                .map(|(key, seen)| (key.as_str().to_owned(), interest(seen)))
                .collect(),
            emails: (facet.emails.into_iter())
                .map(|(email, seen)| (email.as_str().to_owned(), seen.into()))
                .collect(),
            sources: facet.sources.into_iter().collect(),
        }
    }
}

impl TryFrom<FacetRow> for Facet {
    type Error = StoreError;

    fn try_from(row: FacetRow) -> Result<Self, StoreError> {
        let interest = |row: InterestSeenRow| InterestSeen {
            display: row.display,
            seen: Seen {
                first: row.first,
                last: row.last,
            },
        };
        Ok(Self {
            seen: Seen {
                first: row.first,
                last: row.last,
            },
            attributes: (row.attributes.into_iter())
                .map(register_of)
                .collect::<Result<_, _>>()?,
            interests: (row.interests.into_iter())
                .map(|(key, seen)| (InterestKey::from_canonical(&key), interest(seen)))
                .collect(),
            emails: (row.emails.into_iter())
                .map(|(email, seen)| Ok((email_of(&email)?, seen.into())))
                .collect::<Result<_, StoreError>>()?,
            sources: row.sources.into_iter().collect::<BTreeSet<_>>(),
        })
    }
}

fn register_of((name, row): (String, RegisterRow)) -> Result<(Attribute, Register), StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("the attribute `{name}` {what}"));
    let attribute = Attribute::named(&name).ok_or_else(|| corrupt("is unknown"))?;
    let raw = row.raw.parse().map_err(|_| corrupt("has no raw row"))?;
    let value = match row.value {
        DbValue::String(text) => Value::Text(text),
        number => Value::Integer(i64::from_value(number).map_err(|_| corrupt("is neither number nor text"))?),
    };
    Ok((
        attribute,
        Register {
            value,
            at: row.at,
            raw,
        },
    ))
}

impl CookieRow {
    pub fn new(cookie: &Cookie, node: CookieNode) -> Self {
        Self {
            id: cookie_id(cookie),
            profile: profile_id(node.profile),
            facet: node.facet.into(),
        }
    }

    pub fn into_domain(self) -> Result<(Cookie, CookieNode), StoreError> {
        let cookie = cookie_of(text_key(&self.id)?)?;
        Ok((
            cookie,
            CookieNode {
                profile: profile_key(&self.profile)?,
                facet: self.facet.try_into()?,
            },
        ))
    }
}

impl From<Profile> for ProfileRow {
    fn from(profile: Profile) -> Self {
        Self {
            id: profile_id(profile.id),
            rev: profile.rev,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
            cookies: (profile.cookies.into_iter())
                .map(|(cookie, seen)| (cookie.as_str().to_owned(), seen.into()))
                .collect(),
            facet: profile.facet.into(),
            memberships: profile.memberships.into_iter().map(MembershipRow::from).collect(),
        }
    }
}

impl From<Membership> for MembershipRow {
    fn from(membership: Membership) -> Self {
        let Reason::Interests(interests) = membership.reason;
        Self {
            cohort: membership.cohort.as_str().to_owned(),
            score: membership.score,
            interests,
            since: membership.since,
        }
    }
}

impl From<MembershipRow> for Membership {
    fn from(row: MembershipRow) -> Self {
        Self {
            cohort: CohortSlug::of(&row.cohort),
            score: row.score,
            reason: Reason::Interests(row.interests),
            since: row.since,
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
        let cookies = row.cookies.ok_or_else(missing)?;
        Ok(Self::Whole(Box::new(Profile {
            id,
            rev: row.rev,
            created_at: row.created_at.ok_or_else(missing)?,
            updated_at: row.updated_at.ok_or_else(missing)?,
            cookies: (cookies.into_iter())
                .map(|(cookie, seen)| Ok((cookie_of(&cookie)?, seen.into())))
                .collect::<Result<_, StoreError>>()?,
            facet: row.facet.ok_or_else(missing)?.try_into()?,
            memberships: row
                .memberships
                .ok_or_else(missing)?
                .into_iter()
                .map(Membership::from)
                .collect(),
        })))
    }
}
