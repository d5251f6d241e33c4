//! Which of several values or keys stands for the person. Attributes are decided by the
//! order of their registers (`domain::facet`); what is left to choose is the key.

use std::cmp::Reverse;

use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{PrimaryKey, Profile};

/// The key under which a profile is known: its address when one is known, else its cookie.
#[must_use]
pub fn primary_key(profile: &Profile) -> Option<PrimaryKey> {
    let email = primary_email(profile).cloned().map(PrimaryKey::Email);
    email.or_else(|| primary_cookie(profile).cloned().map(PrimaryKey::Cookie))
}

/// The address with the latest event; of several, the first by address.
#[must_use]
pub fn primary_email(profile: &Profile) -> Option<&Email> {
    let emails = profile.facet.emails.iter();
    emails
        .max_by_key(|(email, seen)| (seen.last, Reverse(*email)))
        .map(|(email, _)| email)
}

/// The cookie that was seen first, so that the one shown does not change with each new
/// device; of several, the first by text.
#[must_use]
pub fn primary_cookie(profile: &Profile) -> Option<&Cookie> {
    profile.cookies.first.as_ref().map(|(_, cookie)| cookie)
}
