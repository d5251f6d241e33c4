//! A person as the API shows them: one shape for REST and GraphQL.

use crate::domain::Timestamp;
use crate::domain::facet::{Seen, Statement, Statements};
use crate::domain::fact::{Attribute, Value};
use crate::domain::identifier::Cookie;
use crate::domain::profile::Profile;
use crate::identity::survivorship;

use super::cohorts::Names;

/// What an API shows of a person.
#[derive(Debug, Clone, PartialEq)]
pub struct UserProfile {
    /// The stable id, for example `p42`.
    pub id: String,
    /// The key under which the person is primarily known.
    pub primary_key: String,
    /// The cookie that was seen first.
    pub cookie: Option<String>,
    /// The primary address.
    pub email: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: Option<String>,
    /// Telephone number.
    pub phone_number: Option<String>,
    /// City, state and country, those of them that are known, joined by `, `.
    pub location: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State, province or region.
    pub state: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Age in years.
    pub age: Option<i64>,
    /// Gender as stated.
    pub gender: Option<String>,
    /// Education as stated.
    pub education: Option<String>,
    /// Income as stated.
    pub income: Option<String>,
    /// Interests as they were last written, latest first.
    pub interests: Vec<String>,
    /// The cohorts, surest first.
    pub memberships: Vec<MembershipView>,
    /// How many cookies there are.
    pub cookie_count: u32,
    /// Every cookie, first seen first, if there are few: else none, and the identity graph
    /// has them.
    pub cookies: Vec<IdentifierView>,
    /// Every address, primary first.
    pub emails: Vec<IdentifierView>,
    /// Where each value comes from.
    pub provenance: Vec<ProvenanceView>,
    /// When the first event happened.
    pub first_seen: Timestamp,
    /// When the last event happened.
    pub last_seen: Timestamp,
    /// When the profile came to be.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A place in a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct MembershipView {
    /// The cohort's name.
    pub cohort: String,
    /// The cohort's slug.
    pub slug: String,
    /// How surely, 0 to 1.
    pub score: f32,
    /// The interests that say so, strongest first, or the rule.
    pub reason: Vec<String>,
    /// Since when.
    pub since: Timestamp,
}

/// A cookie or address.
#[derive(Debug, Clone, PartialEq)]
pub struct IdentifierView {
    /// The identifier itself.
    pub value: String,
    /// Its first event.
    pub first_seen: Timestamp,
    /// Its last event.
    pub last_seen: Timestamp,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct ProvenanceView {
    /// The field, for example `location.city`.
    pub field: &'static str,
    /// The value that survived.
    pub survivor: StatementView,
    /// The values that lost to it, latest first; at most the latest few.
    pub lost: Vec<StatementView>,
}

/// A value that a row states.
#[derive(Debug, Clone, PartialEq)]
pub struct StatementView {
    /// The value.
    pub value: String,
    /// The latest event time at which it was stated.
    pub at: Timestamp,
    /// The address of the verbatim row that states it.
    pub raw: String,
}

impl StatementView {
    fn of(statement: &Statement) -> Self {
        Self {
            value: statement.value.to_string(),
            at: statement.at,
            raw: statement.raw.to_string(),
        }
    }
}

impl UserProfile {
    /// Shows a profile.
    #[must_use]
    pub fn of(profile: &Profile, names: &Names) -> Self {
        let text = |attribute| text(profile, attribute);
        let (city, state, country) = (
            text(Attribute::City),
            text(Attribute::State),
            text(Attribute::Country),
        );
        let places: Vec<&str> = [&city, &state, &country]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        Self {
            id: profile.id.to_string(),
            primary_key: survivorship::primary_key(profile)
                .map(|key| key.to_string())
                .unwrap_or_default(),
            cookie: survivorship::primary_cookie(profile).map(ToString::to_string),
            email: survivorship::primary_email(profile).map(ToString::to_string),
            first_name: text(Attribute::FirstName),
            last_name: text(Attribute::LastName),
            phone_number: text(Attribute::Phone),
            location: (!places.is_empty()).then(|| places.join(", ")),
            age: match profile
                .facet
                .attributes
                .get(&Attribute::Age)
                .map(|stated| &stated.survivor().value)
            {
                Some(Value::Integer(age)) => Some(*age),
                _ => None,
            },
            gender: text(Attribute::Gender),
            education: text(Attribute::Education),
            income: text(Attribute::Income),
            interests: interests(profile),
            memberships: memberships(profile, names),
            cookie_count: profile.cookies.count,
            cookies: cookies(
                profile
                    .cookies
                    .listed
                    .iter()
                    .map(|(cookie, seen)| (cookie, *seen)),
            ),
            emails: emails(profile),
            provenance: provenance(profile),
            first_seen: profile.facet.seen.first,
            last_seen: profile.facet.seen.last,
            created_at: profile.created_at,
            updated_at: profile.updated_at,
            city,
            state,
            country,
        }
    }
}

fn text(profile: &Profile, attribute: Attribute) -> Option<String> {
    profile
        .facet
        .attributes
        .get(&attribute)
        .map(|stated| stated.survivor().value.to_string())
}

fn interests(profile: &Profile) -> Vec<String> {
    let mut interests: Vec<_> = profile.facet.interests.iter().collect();
    interests
        .sort_by(|(a, seen_a), (b, seen_b)| seen_b.seen.last.cmp(&seen_a.seen.last).then_with(|| a.cmp(b)));
    interests
        .into_iter()
        .map(|(_, seen)| seen.display.clone())
        .collect()
}

fn memberships(profile: &Profile, names: &Names) -> Vec<MembershipView> {
    let show = |membership: &crate::domain::cohort::Membership| MembershipView {
        cohort: names.name(&membership.cohort).to_owned(),
        slug: membership.cohort.to_string(),
        score: membership.score,
        reason: names.reason(membership),
        since: membership.since,
    };
    profile.memberships.iter().map(show).collect()
}

/// Cookies, first seen first.
pub(super) fn cookies<'a>(cookies: impl Iterator<Item = (&'a Cookie, Seen)>) -> Vec<IdentifierView> {
    let mut cookies: Vec<_> = cookies.collect();
    cookies.sort_by_key(|(cookie, seen)| (seen.first, *cookie));
    cookies
        .into_iter()
        .map(|(cookie, seen)| identifier(cookie.as_str(), seen))
        .collect()
}

fn emails(profile: &Profile) -> Vec<IdentifierView> {
    let mut emails: Vec<_> = profile.facet.emails.iter().collect();
    emails.sort_by(|(a, seen_a), (b, seen_b)| seen_b.last.cmp(&seen_a.last).then_with(|| a.cmp(b)));
    emails
        .into_iter()
        .map(|(email, seen)| identifier(email.as_str(), *seen))
        .collect()
}

fn identifier(value: &str, seen: Seen) -> IdentifierView {
    IdentifierView {
        value: value.to_owned(),
        first_seen: seen.first,
        last_seen: seen.last,
    }
}

fn provenance(profile: &Profile) -> Vec<ProvenanceView> {
    let show = |(attribute, stated): (&Attribute, &Statements)| ProvenanceView {
        field: attribute.name(),
        survivor: StatementView::of(stated.survivor()),
        lost: stated.lost().iter().map(StatementView::of).collect(),
    };
    profile.facet.attributes.iter().map(show).collect()
}
