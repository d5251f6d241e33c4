//! A [`Profile`] is one person: the identifiers that lead to them, the join of what
//! their cookies know, and the cohorts they are in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use super::cohort::Membership;
use super::facet::{Facet, Seen};
use super::identifier::{Cookie, Email};

/// A profile's stable id, a dense ordinal: bitmaps of people stay small, and the n-th
/// member of a cohort is one step away. Written `p` and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileId(pub u32);

impl fmt::Display for ProfileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}

/// A text that is not a profile's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a profile id")]
pub struct ProfileIdError(String);

impl FromStr for ProfileId {
    type Err = ProfileIdError;

    fn from_str(text: &str) -> Result<Self, ProfileIdError> {
        let number = text.strip_prefix('p').and_then(|digits| digits.parse().ok());
        number.map(Self).ok_or_else(|| ProfileIdError(text.to_owned()))
    }
}

/// The key under which a person is primarily known: the email when one is known,
/// else the cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrimaryKey {
    /// No email is known.
    Cookie(Cookie),
    /// The address with the latest event, ties by address.
    Email(Email),
}

impl fmt::Display for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(cookie) => cookie.fmt(f),
            Self::Email(email) => email.fmt(f),
        }
    }
}

/// One person.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The stable id. A merge keeps the oldest; the others lead to it.
    pub id: ProfileId,
    /// Counts the writes of this profile; what a plan read must still be true when it
    /// is applied, and this is how it is told.
    pub rev: u32,
    /// When the profile came to be, by the clock of arrival.
    pub created_at: Timestamp,
    /// When it last changed, by the clock of arrival.
    pub updated_at: Timestamp,
    /// The cookies that lead here, and when each was seen. Never empty.
    pub cookies: BTreeMap<Cookie, Seen>,
    /// The join of what those cookies know.
    pub facet: Facet,
    /// The cohorts this person is in, best first.
    pub memberships: Vec<Membership>,
}
