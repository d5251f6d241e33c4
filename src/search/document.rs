//! People and interests as documents.

use tantivy::TantivyDocument;

use super::schema::{Fields, INTEREST, PERSON, folded};
use crate::domain::fact::Attribute;
use crate::domain::interest::InterestKey;
use crate::domain::profile::{Profile, ProfileId};

/// The key by which a person's document is replaced.
pub(super) fn person_key(id: ProfileId) -> String {
    id.to_string()
}

/// The key by which an interest's document is replaced; no person's key begins so.
pub(super) fn interest_key(interest: &InterestKey) -> String {
    format!("i{interest}")
}

/// A person.
pub(super) fn person(fields: Fields, profile: &Profile) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(fields.key, person_key(profile.id));
    document.add_text(fields.kind, PERSON);
    document.add_u64(fields.ordinal, u64::from(profile.id.0));
    document.add_u64(fields.rev, u64::from(profile.rev));
    let stated = |attribute| {
        let known = profile.facet.attributes.get(&attribute);
        known.map(|stated| stated.survivor().value.to_string())
    };
    for name in [Attribute::FirstName, Attribute::LastName] {
        if let Some(name) = stated(name) {
            document.add_text(fields.name, name);
        }
    }
    let (city, country) = (stated(Attribute::City), stated(Attribute::Country));
    for place in [&city, &stated(Attribute::State), &country].into_iter().flatten() {
        document.add_text(fields.place, place);
    }
    if let Some(city) = &city {
        document.add_text(fields.city, city);
        document.add_text(fields.city_folded, folded(city));
    }
    if let Some(country) = &country {
        document.add_text(fields.country, country);
        document.add_text(fields.country_folded, folded(country));
    }
    for email in profile.facet.emails.keys() {
        let (local, _) = email.as_str().split_once('@').unwrap_or((email.as_str(), ""));
        document.add_text(fields.handle, local);
        document.add_text(fields.identifier, email.as_str());
    }
    // Of somebody with too many cookies to list, the first; whole ones are looked up in the store.
    let first = profile.cookies.first.iter().map(|(_, cookie)| cookie);
    let others = profile.cookies.listed.keys();
    for cookie in first.chain(others) {
        document.add_text(fields.identifier, cookie.as_str().to_lowercase());
    }
    for (key, seen) in &profile.facet.interests {
        document.add_text(fields.interest, key.as_str());
        document.add_text(fields.likes, &seen.display);
    }
    for membership in &profile.memberships {
        document.add_text(fields.cohort, membership.cohort.as_str());
    }
    document
}

/// An interest. What it means is read from the store with each hit, and never stale here.
pub(super) fn interest(fields: Fields, interest: &InterestKey) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(fields.key, interest_key(interest));
    document.add_text(fields.kind, INTEREST);
    document.add_text(fields.text, interest.as_str());
    document.add_text(fields.whole, interest.as_str());
    document
}
