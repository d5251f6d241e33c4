//! From what a person's identifiers know to the person: the join of it all.

use crate::domain::Timestamp;
use crate::domain::facet::Facet;
use crate::domain::graph::{CookieNode, EmailNode, Whole};
use crate::domain::identifier::Cookie;
use crate::domain::profile::{CookieSet, Profile, ProfileId};

/// A person as far as gathered.
#[derive(Debug, Default)]
pub struct Fold {
    facet: Option<Facet>,
    cookies: CookieSet,
}

impl Fold {
    /// Everything that these identifiers know, but for the cookies that are not to stay.
    pub fn add_whole(&mut self, whole: &Whole, stays: impl Fn(&Cookie) -> bool) {
        for (cookie, node) in whole.cookies.iter().filter(|(cookie, _)| stays(cookie)) {
            self.add_cookie(cookie, node);
        }
        for node in whole.emails.values() {
            self.add_email(node);
        }
    }

    /// A profile that was folded before; it shares no cookie with the others.
    pub fn add_profile(&mut self, profile: &Profile) {
        self.join(&profile.facet);
        self.cookies.extend(&profile.cookies);
    }

    /// A cookie that is not among those gathered.
    pub fn add_cookie(&mut self, cookie: &Cookie, node: &CookieNode) {
        self.join(&node.facet);
        self.cookies.add(cookie, node.facet.seen);
    }

    /// A cookie that is among those gathered, and knows more now.
    pub fn see_cookie(&mut self, cookie: &Cookie, node: &CookieNode) {
        self.join(&node.facet);
        self.cookies.see(cookie, node.facet.seen);
    }

    /// What is said of an address itself. That of a tied cookie comes with the cookie.
    pub fn add_email(&mut self, node: &EmailNode) {
        if let Some(facet) = &node.facet {
            self.join(facet);
        }
    }

    fn join(&mut self, facet: &Facet) {
        self.facet = Some(match self.facet.take() {
            Some(before) => before.join(facet.clone()),
            None => facet.clone(),
        });
    }

    /// The profile, with the revision after that of `before`; none if nothing was gathered.
    pub fn into_profile(self, id: ProfileId, before: Option<&Profile>, now: Timestamp) -> Option<Profile> {
        Some(Profile {
            id,
            rev: before.map_or(1, |profile| profile.rev + 1),
            created_at: before.map_or(now, |profile| profile.created_at),
            updated_at: now,
            cookies: self.cookies,
            facet: self.facet?,
            memberships: before
                .map(|profile| profile.memberships.clone())
                .unwrap_or_default(),
            past: before.map(|profile| profile.past.clone()).unwrap_or_default(),
            due: before.and_then(|profile| profile.due),
        })
    }
}
