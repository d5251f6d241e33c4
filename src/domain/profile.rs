//! A [`Profile`] is one person: the identifiers that lead to them, the join of what
//! their cookies know, and the cohorts they are in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use super::cohort::{Membership, PastMembership};
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
        // A number may be read with a sign before it; an id has none.
        let digits = text.strip_prefix('p').filter(|digits| !digits.starts_with('+'));
        let number = digits.and_then(|digits| digits.parse().ok());
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

/// Up to how many cookies a profile lists them itself. Beyond that they are found through
/// its addresses, so that a visit costs the same however many cookies a person has.
pub const COOKIES_LISTED_MAX: usize = 64;

/// A person's cookies: how many, the first, and, where they are few, each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieSet {
    /// How many.
    pub count: u32,
    /// The one that was seen first, ties by text; none for a person known by address alone.
    pub first: Option<(Timestamp, Cookie)>,
    /// Each with when it was seen, if there are at most [`COOKIES_LISTED_MAX`]; else none.
    pub listed: BTreeMap<Cookie, Seen>,
}

impl CookieSet {
    /// Whether every cookie is listed.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.listed.len() == self.count as usize
    }

    /// Adds a cookie that is not in the set.
    pub fn add(&mut self, cookie: &Cookie, seen: Seen) {
        let was_listed = self.is_listed();
        self.count += 1;
        self.note_first(cookie, seen);
        if was_listed {
            self.listed.insert(cookie.clone(), seen);
        }
        self.bound();
    }

    /// Notes that a cookie of the set was seen.
    pub fn see(&mut self, cookie: &Cookie, seen: Seen) {
        self.note_first(cookie, seen);
        if let Some(known) = self.listed.get_mut(cookie) {
            *known = known.join(seen);
        }
    }

    /// Adds a set that shares no cookie with this one.
    pub fn extend(&mut self, other: &Self) {
        let are_listed = self.is_listed() && other.is_listed();
        self.count += other.count;
        if let Some((at, cookie)) = &other.first {
            self.note_first(cookie, Seen::at(*at));
        }
        if are_listed {
            self.listed
                .extend(other.listed.iter().map(|(cookie, seen)| (cookie.clone(), *seen)));
        }
        self.bound();
    }

    fn note_first(&mut self, cookie: &Cookie, seen: Seen) {
        let is_first = self
            .first
            .as_ref()
            .is_none_or(|(at, first)| (seen.first, cookie) < (*at, first));
        if is_first {
            self.first = Some((seen.first, cookie.clone()));
        }
    }

    fn bound(&mut self) {
        if self.count as usize > COOKIES_LISTED_MAX {
            self.listed.clear();
        }
    }
}

/// How many past memberships a profile remembers.
pub const PAST_MAX: usize = 16;

/// One person.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The stable id. Those of absorbed profiles lead to it.
    pub id: ProfileId,
    /// Counts the writes of this profile; what a plan read must still be true when it
    /// is applied, and this is how it is told.
    pub rev: u32,
    /// When the profile came to be, by the clock of arrival.
    pub created_at: Timestamp,
    /// When it last changed, by the clock of arrival.
    pub updated_at: Timestamp,
    /// The cookies that lead here.
    pub cookies: CookieSet,
    /// The join of what its cookies and its addresses know; its `emails` are all addresses
    /// that lead here.
    pub facet: Facet,
    /// The cohorts this person is in, best first.
    pub memberships: Vec<Membership>,
    /// Where they were a member before, latest first, up to [`PAST_MAX`].
    pub past: Vec<PastMembership>,
    /// When time alone may change a membership: the moment that the schedule knows for this
    /// profile. Whoever looks then may find that it is not yet.
    pub due: Option<Timestamp>,
}

impl Profile {
    /// Whether the person said that they agree to a purpose. Who said nothing does not.
    #[must_use]
    pub fn consents_to(&self, purpose: &str) -> bool {
        self.facet.consent.get(purpose).is_some_and(|word| word.value)
    }
}
