//! `GET /api/user`: who is this? And `DELETE`: nobody any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::privacy::ErasureBody;
use crate::api::error::ApiError;
use crate::api::guard::{MayErase, MayRead};
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::services::Services;
use crate::services::view::{IdentifierView, MembershipView, ProvenanceView, StatementView, UserProfile};

/// Finding people.
pub struct UsersApi;

/// What is known of a person's life.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
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

/// A cookie and when it was seen.
#[derive(Object)]
pub struct CookieBody {
    /// The cookie.
    cookie: String,
    /// Its first event.
    first_seen: Timestamp,
    /// Its last event.
    last_seen: Timestamp,
}

/// An address and when it was seen.
#[derive(Object)]
pub struct EmailBody {
    /// The address.
    email: String,
    /// Its first event.
    first_seen: Timestamp,
    /// Its last event.
    last_seen: Timestamp,
}

/// Everything that leads to a person.
#[derive(Object)]
pub struct Identities {
    /// The profile's stable id.
    id: String,
    /// The email if one is known, else the cookie.
    primary_key: String,
    /// Every cookie, first seen first.
    cookies: Vec<CookieBody>,
    /// Every address, primary first.
    emails: Vec<EmailBody>,
}

/// A person's place in a cohort.
#[derive(Object)]
pub struct CohortScore {
    /// The cohort's name.
    cohort: String,
    /// The cohort's slug.
    slug: String,
    /// How surely, 0 to 1.
    score: f32,
    /// The interests that say so, strongest first.
    reason: Vec<String>,
    /// Since when.
    since: Timestamp,
}

/// Where a value comes from.
#[derive(Object)]
pub struct Provenance {
    /// The field.
    field: String,
    /// Its value.
    value: String,
    /// The event time at which it was stated.
    at: Timestamp,
    /// The address of the verbatim row that states it.
    raw: String,
    /// The values that lost to it, latest first: the latest few.
    lost: Vec<Statement>,
}

/// A value that a row states.
#[derive(Object)]
pub struct Statement {
    /// The value.
    value: String,
    /// The latest event time at which it was stated.
    at: Timestamp,
    /// The address of the verbatim row that states it.
    raw: String,
}

/// A person.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct UserProfileBody {
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
    /// City, state and country, those of them that are known.
    location: Option<String>,
    /// What is known of a person's life.
    demographics: Demographics,
    /// Interests as they were last written, latest first.
    interests: Vec<String>,
    /// The cohorts by name, surest first.
    cohorts: Vec<String>,
    /// With `include=identities`: everything that leads here.
    identities: Option<Identities>,
    /// With `include=scores`: the cohorts with score and reason.
    scores: Option<Vec<CohortScore>>,
    /// With `include=provenance`: where each value comes from.
    provenance: Option<Vec<Provenance>>,
}

/// A person, found.
#[derive(Object)]
pub struct UserBody {
    user_profile: UserProfileBody,
}

/// The detail that a caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Include {
    /// Every identifier.
    Identities,
    /// Cohort scores.
    Scores,
    /// Where values come from.
    Provenance,
}

#[OpenApi]
impl UsersApi {
    /// The person whom a cookie or an address leads to
    ///
    /// Any cookie and any address of a merged profile finds it.
    #[oai(path = "/user", method = "get", tag = "Tag::Users", operation_id = "user")]
    async fn user(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// A cookie.
        cookie: Query<Option<String>>,
        /// An address.
        email: Query<Option<String>>,
        /// More detail: `identities`, `scores`, `provenance`, separated by commas.
        include: Query<Option<String>>,
    ) -> Result<Json<UserBody>, ApiError> {
        let include = parse_include(include.0.as_deref().unwrap_or_default())?;
        let sight = services.sights.of(caller.0.role);
        let mut found = services
            .lookup
            .user(cookie.0.as_deref(), email.0.as_deref(), sight)
            .await?;
        if include.contains(&Include::Identities) {
            services.lookup.list_cookies(&mut found, sight).await?;
        }
        Ok(Json(UserBody {
            user_profile: UserProfileBody::of(found, &include),
        }))
    }

    /// Erase the person whom a cookie or an address leads to
    ///
    /// From all stages, histories, the feed, deliveries and the search index. Keyed hashes of their
    /// identifiers remain, so that neither a replay nor a late record brings them back. The answer
    /// comes when nothing is left, or after ten seconds; what is left then is looked for in the
    /// background. Where nobody is known by the identifier, it is suppressed and looked for all the
    /// same. docs/PRIVACY.md says what the files on disk keep until they are written anew.
    #[oai(
        path = "/user",
        method = "delete",
        tag = "Tag::Privacy",
        operation_id = "eraseUser"
    )]
    async fn erase(
        &self,
        caller: MayErase,
        services: Data<&Arc<Services>>,
        /// A cookie.
        cookie: Query<Option<String>>,
        /// An address.
        email: Query<Option<String>>,
        /// Why, without naming them; kept for good.
        reason: Query<Option<String>>,
    ) -> Result<Json<ErasureBody>, ApiError> {
        let (cookie, email) = (cookie.0.as_deref(), email.0.as_deref());
        let erased = services
            .privacy
            .erase(cookie, email, reason.0.as_deref(), &caller.0.name)
            .await?;
        Ok(Json(erased.into()))
    }
}

fn parse_include(text: &str) -> Result<BTreeSet<Include>, Error> {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| match word {
            "identities" => Ok(Include::Identities),
            "scores" => Ok(Include::Scores),
            "provenance" => Ok(Include::Provenance),
            _ => Err(Error::bad_request(
                "include",
                "knows `identities`, `scores` and `provenance`",
            )),
        })
        .collect()
}

impl UserProfileBody {
    /// Shows a person, with the detail that was asked for.
    pub fn of(user: UserProfile, include: &BTreeSet<Include>) -> Self {
        let cohorts = user
            .memberships
            .iter()
            .map(|membership| membership.cohort.clone())
            .collect();
        let identities = Identities {
            id: user.id,
            primary_key: user.primary_key,
            cookies: user.cookies.into_iter().map(CookieBody::from).collect(),
            emails: user.emails.into_iter().map(EmailBody::from).collect(),
        };
        let scores = user.memberships.into_iter().map(CohortScore::from).collect();
        let provenance = user.provenance.into_iter().map(Provenance::from).collect();
        Self {
            cookie: user.cookie,
            email: user.email,
            first_name: user.first_name,
            last_name: user.last_name,
            phone_number: user.phone_number,
            location: user.location,
            demographics: Demographics {
                age: user.age,
                gender: user.gender,
                education: user.education,
                income: user.income,
            },
            interests: user.interests,
            cohorts,
            identities: include.contains(&Include::Identities).then_some(identities),
            scores: include.contains(&Include::Scores).then_some(scores),
            provenance: include.contains(&Include::Provenance).then_some(provenance),
        }
    }
}

impl From<IdentifierView> for CookieBody {
    fn from(view: IdentifierView) -> Self {
        Self {
            cookie: view.value,
            first_seen: view.first_seen,
            last_seen: view.last_seen,
        }
    }
}

impl From<IdentifierView> for EmailBody {
    fn from(view: IdentifierView) -> Self {
        Self {
            email: view.value,
            first_seen: view.first_seen,
            last_seen: view.last_seen,
        }
    }
}

impl From<MembershipView> for CohortScore {
    fn from(view: MembershipView) -> Self {
        Self {
            cohort: view.cohort,
            slug: view.slug,
            score: view.score,
            reason: view.reason,
            since: view.since,
        }
    }
}

impl From<ProvenanceView> for Provenance {
    fn from(view: ProvenanceView) -> Self {
        Self {
            field: view.field.to_owned(),
            value: view.survivor.value,
            at: view.survivor.at,
            raw: view.survivor.raw,
            lost: view.lost.into_iter().map(Statement::from).collect(),
        }
    }
}

impl From<StatementView> for Statement {
    fn from(StatementView { value, at, raw }: StatementView) -> Self {
        Self { value, at, raw }
    }
}
