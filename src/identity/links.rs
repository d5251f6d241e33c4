//! What each fact's cookie and address say about who is who, before it is known whether
//! that can be followed.

use std::collections::BTreeMap;

use crate::domain::fact::Fact;
use crate::domain::graph::{Logins, Subgraph};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::{Policy, Rules};
use crate::domain::profile::ProfileId;

/// What one fact says of its cookie and its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link<'a> {
    /// It has no address.
    None,
    /// They were kept apart, and this is no evidence to the contrary.
    Cut(&'a Email, Policy),
    /// They are one person.
    Tie(&'a Email),
    /// The address logged in.
    Login(&'a Email),
}

impl<'a> Link<'a> {
    /// Reads a fact by the policy of its source.
    pub fn of(fact: &'a Fact, graph: &Subgraph, rules: &Rules) -> Self {
        let Some(email) = &fact.email else {
            return Self::None;
        };
        let policy = rules.policy_of(&fact.source);
        let cut = graph
            .cookies
            .get(&fact.cookie)
            .and_then(|node| node.cuts.get(email));
        if cut.is_some_and(|cut| cut.covers(fact.at)) {
            return Self::Cut(email, policy);
        }
        match policy {
            Policy::Union => Self::Tie(email),
            Policy::EmailIsPerson => Self::Login(email),
        }
    }

    /// The address that the fact speaks of, where that is not its cookie: of a log-in, and of
    /// what names an address that its cookie's person can't have.
    pub fn speaks_of(self, is_refused: impl FnOnce(&'a Email) -> bool) -> Option<&'a Email> {
        match self {
            Self::Tie(email) => is_refused(email).then_some(email),
            Self::Login(email) | Self::Cut(email, Policy::EmailIsPerson) => Some(email),
            Self::None | Self::Cut(_, Policy::Union) => None,
        }
    }
}

/// A fact with what it says of its identifiers.
pub type Judged<'a> = (&'a Fact, Link<'a>);

/// What is to be known of the log-ins under one cookie.
#[derive(Debug, Default)]
pub struct CookieLogins<'a> {
    /// The profile that the cookie leaves unless it comes back: only a log-in put it there,
    /// and now there is a later one, or a union.
    pub leaves: Option<ProfileId>,
    /// All log-ins, the known and the new.
    pub logins: Logins,
    /// For each address with a new log-in, its first row.
    pub proofs: BTreeMap<&'a Email, &'a Fact>,
    /// Whether some fact would tie the cookie.
    may_be_tied: bool,
}

/// The log-ins under each cookie that a chunk may make change hands.
pub fn logins<'a>(graph: &Subgraph, facts: &[Judged<'a>]) -> BTreeMap<&'a Cookie, CookieLogins<'a>> {
    let mut found: BTreeMap<&Cookie, CookieLogins<'a>> = BTreeMap::new();
    for (fact, link) in facts {
        let known = graph.cookies.get(&fact.cookie);
        let start = || CookieLogins {
            logins: known.map(|node| node.logins.clone()).unwrap_or_default(),
            ..CookieLogins::default()
        };
        match link {
            Link::Login(email) => {
                let here = found.entry(&fact.cookie).or_insert_with(start);
                here.logins.note(email, fact.at);
                let first = here.proofs.entry(*email).or_insert(*fact);
                if (fact.at, fact.raw) < (first.at, first.raw) {
                    *first = *fact;
                }
            }
            Link::Tie(_) if known.is_some_and(|node| node.logins.owner().is_some()) => {
                found.entry(&fact.cookie).or_insert_with(start).may_be_tied = true;
            }
            Link::Tie(_) | Link::Cut(..) | Link::None => {}
        }
    }
    for (cookie, here) in &mut found {
        let Some(node) = graph.cookies.get(*cookie) else {
            continue;
        };
        let is_leaf = node.facet.emails.is_empty() && node.logins.owner().is_some();
        if is_leaf && (here.may_be_tied || here.logins.owner() != node.logins.owner()) {
            here.leaves = Some(node.profile);
        }
    }
    found
}
