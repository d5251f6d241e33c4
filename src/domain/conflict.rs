//! A [`Conflict`] is an identifier or a link that a guard refused, kept for somebody to
//! judge: shared devices and values that everybody has must not chain strangers together.

use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use super::identifier::{Cookie, Email};
use super::policy::Policy;
use super::record::RawId;

/// What was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// A cookie that many strangers share, such as `null`. Its row was rejected.
    PlaceholderCookie(String),
    /// An address that many strangers share, such as `test@test.com`. Its row was stored
    /// without it.
    PlaceholderEmail(String),
    /// A link whose person would have had too many cookies.
    TooManyCookies(Cookie, Email),
    /// A link whose person would have had too many addresses.
    TooManyEmails(Cookie, Email),
}

impl Refused {
    /// A stable word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::PlaceholderCookie(_) => "placeholder_cookie",
            Self::PlaceholderEmail(_) => "placeholder_email",
            Self::TooManyCookies(..) => "too_many_cookies",
            Self::TooManyEmails(..) => "too_many_emails",
        }
    }

    /// The link, where it is one.
    #[must_use]
    pub const fn link(&self) -> Option<(&Cookie, &Email)> {
        match self {
            Self::TooManyCookies(cookie, email) | Self::TooManyEmails(cookie, email) => Some((cookie, email)),
            Self::PlaceholderCookie(_) | Self::PlaceholderEmail(_) => None,
        }
    }
}

/// Something that a guard refused, and the row that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What.
    pub refused: Refused,
    /// The first row that brought it.
    pub raw: RawId,
    /// The event time of that row.
    pub at: Timestamp,
    /// Who sent it.
    pub source: String,
    /// By which policy the row was read.
    pub policy: Policy,
}

/// What became of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nobody has judged it.
    Open,
    /// The two are one person.
    Allowed,
    /// The two are never one person.
    KeptApart,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Open, Self::Allowed, Self::KeptApart];

    /// The verdict's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Allowed => "allowed",
            Self::KeptApart => "kept_apart",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not one of open, allowed and kept_apart")]
pub struct UnknownVerdict(String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(name: &str) -> Result<Self, UnknownVerdict> {
        Self::ALL
            .into_iter()
            .find(|verdict| verdict.name() == name)
            .ok_or_else(|| UnknownVerdict(name.to_owned()))
    }
}
