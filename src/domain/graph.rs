//! The part of the identity graph that one decision rests on, as read ([`Subgraph`]),
//! and the decision itself ([`Plan`]): data so complete that applying it leaves no choice.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Timestamp;
use super::conflict::Conflict;
use super::facet::Facet;
use super::identifier::{Cookie, Email};
use super::policy::Policy;
use super::profile::{Profile, ProfileId};
use super::record::RawId;
use super::trail::{Step, Trail};

/// How many log-ins a cookie remembers.
pub const LOGINS_MAX: usize = 8;

/// The addresses that logged in under one cookie, and when each did last: the latest
/// [`LOGINS_MAX`]. A join, since what falls off lost to as many later ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logins(BTreeMap<Email, Timestamp>);

impl Logins {
    /// Notes a log-in.
    pub fn note(&mut self, email: &Email, at: Timestamp) {
        let last = self.0.entry(email.clone()).or_insert(at);
        *last = at.max(*last);
        while self.0.len() > LOGINS_MAX {
            let Some(oldest) = self
                .0
                .iter()
                .min_by_key(by_recency)
                .map(|(email, _)| email.clone())
            else {
                return;
            };
            self.0.remove(&oldest);
        }
    }

    /// Whose the cookie is: the latest to log in, ties by address.
    #[must_use]
    pub fn owner(&self) -> Option<&Email> {
        self.0.iter().max_by_key(by_recency).map(|(email, _)| email)
    }

    /// Every address that is remembered, and its last log-in.
    pub fn iter(&self) -> impl Iterator<Item = (&Email, Timestamp)> {
        self.0.iter().map(|(email, at)| (email, *at))
    }

    /// Whether an address is remembered.
    #[must_use]
    pub fn contains(&self, email: &Email) -> bool {
        self.0.contains_key(email)
    }

    /// Puts an address back to a log-in before.
    pub fn restore(&mut self, email: &Email, at: Timestamp) {
        self.0.insert(email.clone(), at);
    }

    /// When an address logged in last.
    #[must_use]
    pub fn last(&self, email: &Email) -> Option<Timestamp> {
        self.0.get(email).copied()
    }

    /// Forgets an address, and tells its last log-in.
    pub fn remove(&mut self, email: &Email) -> Option<Timestamp> {
        self.0.remove(email)
    }
}

fn by_recency<'a>((email, last): &(&'a Email, &Timestamp)) -> (Timestamp, Reverse<&'a Email>) {
    (**last, Reverse(*email))
}

/// Which evidence for a link between a cookie and an address does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// What happened up to this moment; later evidence ties the two again.
    Until(Timestamp),
    /// Any, ever.
    ForGood,
}

impl Cut {
    /// Whether evidence of an event time is cut.
    #[must_use]
    pub fn covers(self, at: Timestamp) -> bool {
        match self {
            Self::Until(moment) => at <= moment,
            Self::ForGood => true,
        }
    }
}

/// What a cookie's record holds.
#[derive(Debug, Clone, PartialEq)]
pub struct CookieNode {
    /// What was observed under this cookie. Its `emails` are those that a union tied it to.
    pub facet: Facet,
    /// Who logged in under it at sources where an address is a person.
    pub logins: Logins,
    /// The addresses that it is kept apart from.
    pub cuts: BTreeMap<Email, Cut>,
    /// The latest rows that came under it.
    pub trail: Trail,
    /// Whose cookie it is.
    pub profile: ProfileId,
}

impl CookieNode {
    /// The addresses that the cookie is one person with: all that a union tied it to, and
    /// where there is none, the one that logged in last.
    pub fn ties(&self) -> impl Iterator<Item = &Email> {
        let owner = if self.facet.emails.is_empty() {
            self.logins.owner()
        } else {
            None
        };
        self.facet.emails.keys().chain(owner)
    }
}

/// What an address's record holds.
#[derive(Debug, Clone, PartialEq)]
pub struct EmailNode {
    /// What was said of the address itself, and not of a cookie's person: by log-ins, and by
    /// records whose link was refused or cut.
    pub facet: Option<Facet>,
    /// Whose address it is.
    pub profile: ProfileId,
}

/// Every identifier of one person.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Whole {
    /// The cookies.
    pub cookies: BTreeMap<Cookie, CookieNode>,
    /// The addresses.
    pub emails: BTreeMap<Email, EmailNode>,
}

/// The touched part of the graph: every identifier that the facts name and the store
/// knows, and every profile that these lead to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subgraph {
    /// Known cookies among those named.
    pub cookies: BTreeMap<Cookie, CookieNode>,
    /// Known addresses among those named.
    pub emails: BTreeMap<Email, EmailNode>,
    /// The profiles that they lead to.
    pub profiles: BTreeMap<ProfileId, Profile>,
    /// Those of the profiles that were read with all their identifiers.
    pub whole: BTreeMap<ProfileId, Whole>,
}

/// A cookie was seen with an address: an edge of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// From.
    pub cookie: Cookie,
    /// To.
    pub email: Email,
    /// The verbatim row that proves it.
    pub raw: RawId,
    /// The event time of that row.
    pub at: Timestamp,
    /// By which policy the row was read.
    pub policy: Policy,
}

/// Two profiles turned out to be one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Whose id stays.
    pub survivor: ProfileId,
    /// Whose id leads to the survivor from now on.
    pub absorbed: ProfileId,
    /// The absorbed profile's revision as read.
    pub absorbed_rev: u32,
    /// When the absorbed profile had come to be.
    pub absorbed_created_at: Timestamp,
    /// The cookies that came with the absorbed profile.
    pub cookies: Vec<Cookie>,
    /// The addresses that came with it.
    pub emails: Vec<Email>,
    /// The verbatim row whose cookie and address tied the two.
    pub raw: RawId,
    /// By which policy.
    pub policy: Policy,
}

/// Where the id of an absorbed profile leads, as it shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redirect {
    /// The absorbed profile.
    pub id: ProfileId,
    /// Its next revision.
    pub rev: u32,
    /// Whose id stands for it.
    pub to: ProfileId,
}

/// A record and whether the store has it already.
#[derive(Debug, Clone, PartialEq)]
pub struct Write<T> {
    /// True when the record is new, and must not exist yet.
    pub new: bool,
    /// The whole record as it shall be.
    pub record: T,
}

/// All that one decision changes in the identity graph. What is not in it does not change.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Cookies that are new, know more than before, or belong to someone else.
    pub cookies: BTreeMap<Cookie, Write<CookieNode>>,
    /// Addresses that are new, know more than before, or belong to someone else.
    pub emails: BTreeMap<Email, Write<EmailNode>>,
    /// Rows that cookies don't remember themselves any more.
    pub shed: BTreeMap<Cookie, BTreeMap<RawId, Step>>,
    /// Edges that are new; a log-in's may be known.
    pub edges: Vec<Edge>,
    /// Edges that are cut.
    pub cut_edges: Vec<(Cookie, Email)>,
    /// Profiles that are new or changed; `rev` is already the next one, and
    /// `memberships` are those of before, for the segmentation to renew.
    pub profiles: BTreeMap<ProfileId, Write<Profile>>,
    /// Profiles that are absorbed.
    pub merges: Vec<Merge>,
    /// Ids of absorbed profiles that lead elsewhere from now on.
    pub redirects: Vec<Redirect>,
    /// Other cookies of absorbed profiles, to be led to the survivor.
    pub moved_cookies: BTreeMap<Cookie, ProfileId>,
    /// Other addresses of absorbed profiles, to be led to the survivor.
    pub moved_emails: BTreeMap<Email, ProfileId>,
    /// Links that were refused.
    pub conflicts: Vec<Conflict>,
}
