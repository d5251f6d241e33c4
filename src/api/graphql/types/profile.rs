//! A person.

use async_graphql::{ID, SimpleObject};

use super::rounded;
use crate::domain::Timestamp;
use crate::services::view::{IdentifierView, MembershipView, ProvenanceView, StatementView, UserProfile};

/// One person, unified from every cookie and address that is known to be theirs.
#[derive(SimpleObject)]
pub struct Profile {
    /// The stable id; those of merged profiles lead here too.
    id: ID,
    /// The cookie that was seen first.
    cookie: Option<String>,
    /// The primary address.
    email: Option<String>,
    /// Given name.
    first_name: Option<String>,
    /// Family name.
    last_name: Option<String>,
    /// Telephone number.
    phone_number: Option<String>,
    /// Where they live, as far as known.
    location: Location,
    /// Who they are, as far as known.
    demographics: Demographics,
    /// Interests as they were last written, latest first.
    interests: Vec<String>,
    /// The cohorts that they are in, surest first.
    cohorts: Vec<Membership>,
    /// All that they are known by.
    identities: Identities,
    /// Where each value comes from.
    provenance: Vec<Provenance>,
    /// When the first event happened.
    first_seen: Timestamp,
    /// When the last event happened.
    last_seen: Timestamp,
    /// When the profile came to be.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

/// A place.
#[derive(SimpleObject)]
pub struct Location {
    /// City.
    city: Option<String>,
    /// State, province or region.
    state: Option<String>,
    /// Country.
    country: Option<String>,
    /// City, state and country, those of them that are known, joined by `, `.
    text: Option<String>,
}

/// Who somebody is.
#[derive(SimpleObject)]
pub struct Demographics {
    /// Age in years.
    age: Option<i64>,
    /// Gender as stated.
    gender: Option<String>,
    /// Education as stated.
    education: Option<String>,
    /// Income as stated.
    income: Option<String>,
}

/// A place in a cohort.
#[derive(SimpleObject)]
pub struct Membership {
    /// The cohort's name.
    cohort: String,
    /// The cohort's slug.
    slug: String,
    /// How surely, 0 to 1.
    score: f64,
    /// The interests that say so, strongest first.
    reason: Vec<String>,
    /// Since when.
    since: Timestamp,
}

/// All that somebody is known by.
#[derive(SimpleObject)]
pub struct Identities {
    /// The primary address, or the first cookie of somebody without one.
    primary_key: String,
    /// How many cookies there are.
    cookie_count: u32,
    /// Every cookie, first seen first. Of somebody with more than 64 there are none here: the
    /// identity graph has them.
    cookies: Vec<Identifier>,
    /// Every address, primary first.
    emails: Vec<Identifier>,
}

/// A cookie or address.
#[derive(SimpleObject)]
pub struct Identifier {
    /// The identifier itself.
    value: String,
    /// When its first event happened.
    first_seen: Timestamp,
    /// When its last event happened.
    last_seen: Timestamp,
}

/// Where a value comes from.
#[derive(SimpleObject)]
pub struct Provenance {
    /// The field, for example `location.city`.
    field: &'static str,
    /// The value that survived.
    value: String,
    /// The event time at which it was stated.
    at: Timestamp,
    /// The address of the row that states it, for `rawRow`.
    raw: String,
    /// The values that lost to it, latest first: the latest few.
    lost: Vec<Statement>,
}

/// A value that a row states.
#[derive(SimpleObject)]
pub struct Statement {
    /// The value.
    value: String,
    /// The latest event time at which it was stated.
    at: Timestamp,
    /// The address of the row that states it, for `rawRow`.
    raw: String,
}

impl From<UserProfile> for Profile {
    fn from(user: UserProfile) -> Self {
        Self {
            id: user.id.into(),
            cookie: user.cookie,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            phone_number: user.phone_number,
            location: Location {
                city: user.city,
                state: user.state,
                country: user.country,
                text: user.location,
            },
            demographics: Demographics {
                age: user.age,
                gender: user.gender,
                education: user.education,
                income: user.income,
            },
            interests: user.interests,
            cohorts: user.memberships.into_iter().map(Membership::from).collect(),
            identities: Identities {
                primary_key: user.primary_key,
                cookie_count: user.cookie_count,
                cookies: user.cookies.into_iter().map(Identifier::from).collect(),
                emails: user.emails.into_iter().map(Identifier::from).collect(),
            },
            provenance: user.provenance.into_iter().map(Provenance::from).collect(),
            first_seen: user.first_seen,
            last_seen: user.last_seen,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

impl From<MembershipView> for Membership {
    fn from(view: MembershipView) -> Self {
        let MembershipView {
            cohort,
            slug,
            score,
            reason,
            since,
        } = view;
        Self {
            cohort,
            slug,
            score: rounded(score),
            reason,
            since,
        }
    }
}

impl From<IdentifierView> for Identifier {
    fn from(
        IdentifierView {
            value,
            first_seen,
            last_seen,
        }: IdentifierView,
    ) -> Self {
        Self {
            value,
            first_seen,
            last_seen,
        }
    }
}

impl From<ProvenanceView> for Provenance {
    fn from(
        ProvenanceView {
            field,
            survivor,
            lost,
        }: ProvenanceView,
    ) -> Self {
        Self {
            field,
            value: survivor.value,
            at: survivor.at,
            raw: survivor.raw,
            lost: lost.into_iter().map(Statement::from).collect(),
        }
    }
}

impl From<StatementView> for Statement {
    fn from(StatementView { value, at, raw }: StatementView) -> Self {
        Self { value, at, raw }
    }
}
