//! A [`Fault`] is a way in which what is stored contradicts itself.

use std::fmt;

use super::cohort::CohortSlug;
use super::graph::Edge;
use super::identifier::{Cookie, Email};
use super::profile::ProfileId;

/// A cookie or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identifier {
    /// A cookie.
    Cookie(Cookie),
    /// An address.
    Email(Email),
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookie(cookie) => cookie.fmt(f),
            Self::Email(email) => email.fmt(f),
        }
    }
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A record does not hold what its table holds.
    Unreadable,
    /// A profile claims an identifier that is not there.
    IdentifierGone,
    /// A profile claims an identifier that leads elsewhere.
    IdentifierElsewhere,
    /// An identifier leads to a profile that does not claim it.
    IdentifierUnclaimed,
    /// An identifier leads to a redirect, or to nothing.
    IdentifierOwnerless,
    /// No identifier leads to a profile.
    ProfileEmpty,
    /// A profile is not what its identifiers say.
    ProfileStale,
    /// Nothing ties some of a profile's identifiers to the others.
    ProfileApart,
    /// A cookie is tied to an address of somebody else.
    TieOutside,
    /// A redirect does not end at a profile.
    RedirectLost,
    /// A profile is in a cohort that does not list it.
    MemberMissing,
    /// A cohort lists a profile that is not in it.
    MemberStray,
    /// A cookie is tied to an address, and no edge says so.
    EdgeMissing,
    /// An edge without one of its ends.
    EdgeStray,
    /// A raw row is named that is not there.
    RawMissing,
    /// Profiles would be given ids that others have.
    CounterLow,
    /// A merge, a decision or a conflict names somebody who is not there.
    SubjectMissing,
}

impl Fault {
    /// What is wrong, for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Unreadable => "records that can't be read",
            Self::IdentifierGone => "identifiers that a profile claims and that are gone",
            Self::IdentifierElsewhere => "identifiers that a profile claims and that lead elsewhere",
            Self::IdentifierUnclaimed => "identifiers that lead to a profile which does not claim them",
            Self::IdentifierOwnerless => "identifiers that lead to no living profile",
            Self::ProfileEmpty => "profiles to which no identifier leads",
            Self::ProfileStale => "profiles that are not what their identifiers say",
            Self::ProfileApart => "profiles of parts that nothing ties to each other",
            Self::TieOutside => "cookies that are tied to an address of somebody else",
            Self::RedirectLost => "redirects that end at no profile",
            Self::MemberMissing => "memberships that the cohort does not list",
            Self::MemberStray => "members of a cohort in which they are not",
            Self::EdgeMissing => "ties without an edge",
            Self::EdgeStray => "edges without one of their ends",
            Self::RawMissing => "raw rows that are named and not there",
            Self::CounterLow => "profile ids that would be given twice",
            Self::SubjectMissing => "merges, decisions and conflicts that name nobody",
        }
    }
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A profile.
    Profile(ProfileId),
    /// An identifier, and the profile that claims it or that it leads to.
    Identifier(Identifier, ProfileId),
    /// A profile's place in a cohort.
    Member(CohortSlug, ProfileId),
    /// A cookie and an address.
    Link(Cookie, Email),
    /// An edge as it is stored.
    Edge(Box<Edge>),
    /// Any other record, by its address.
    Record(String),
}

/// Something that is wrong, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// Where.
    pub subject: Subject,
}
