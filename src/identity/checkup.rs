//! Judges one person as they are stored: whether the profile is what its identifiers say, and
//! what it would be if it were.

use std::collections::{BTreeMap, BTreeSet};

use super::cut::parts_of;
use super::fold::Fold;
use crate::domain::Timestamp;
use crate::domain::facet::Facet;
use crate::domain::fault::{Fault, Identifier};
use crate::domain::graph::{CookieNode, EmailNode, Logins, Whole};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::trail::Trail;

/// What is wrong with a profile, given all identifiers that lead to it.
#[must_use]
pub fn faults(profile: &Profile, whole: &Whole) -> BTreeSet<Fault> {
    let Some(folded) = refolded(profile, whole, profile.updated_at) else {
        return BTreeSet::from([Fault::ProfileEmpty]);
    };
    let mut found = BTreeSet::new();
    if (&folded.facet, &folded.cookies) != (&profile.facet, &profile.cookies) {
        found.insert(Fault::ProfileStale);
    }
    if ties(whole).any(|(_, email)| !whole.emails.contains_key(email)) {
        found.insert(Fault::TieOutside);
    }
    if parts_of(whole).len() > 1 {
        found.insert(Fault::ProfileApart);
    }
    found
}

/// The profile as its identifiers say; none if there are none.
#[must_use]
pub fn refolded(profile: &Profile, whole: &Whole, now: Timestamp) -> Option<Profile> {
    let mut fold = Fold::default();
    fold.add_whole(whole, |_| true);
    fold.into_profile(profile.id, Some(profile), now)
}

/// The profile that identifiers without one make, under an id whose record has a revision or
/// is gone.
#[must_use]
pub fn founded(id: ProfileId, rev: Option<u32>, whole: &Whole, now: Timestamp) -> Option<Profile> {
    let mut fold = Fold::default();
    fold.add_whole(whole, |_| true);
    let profile = fold.into_profile(id, None, now)?;
    Some(Profile {
        rev: rev.map_or(profile.rev, |rev| rev + 1),
        ..profile
    })
}

/// Every tie between a cookie and an address.
pub fn ties(whole: &Whole) -> impl Iterator<Item = (&Cookie, &Email)> {
    (whole.cookies.iter()).flat_map(|(cookie, node)| node.ties().map(move |email| (cookie, email)))
}

/// A cookie that is gone, from what its profile remembers. What was said under it can't be told
/// from what was said under the others, so it gets all of it: nothing is lost by that, and a
/// fold of the same is the same. It is tied to the addresses that its rows name, and to all
/// where they name none.
#[must_use]
pub fn recalled_cookie(
    profile: &Profile,
    cookie: &Cookie,
    is_named: impl Fn(&Email) -> bool,
) -> Option<CookieNode> {
    let seen = *profile.cookies.listed.get(cookie)?;
    let mut facet = Facet {
        seen,
        ..profile.facet.clone()
    };
    if facet.emails.keys().any(&is_named) {
        facet.emails.retain(|email, _| is_named(email));
    }
    Some(CookieNode {
        facet,
        logins: Logins::default(),
        cuts: BTreeMap::new(),
        trail: Trail::unknown(),
        profile: profile.id,
    })
}

/// The same for an address. It has a say of its own only where no cookie is left to have it.
#[must_use]
pub fn recalled_email(profile: &Profile, email: &Email, is_tied: bool) -> Option<EmailNode> {
    let seen = *profile.facet.emails.get(email)?;
    let facet = Facet {
        emails: BTreeMap::from([(email.clone(), seen)]),
        ..profile.facet.clone()
    };
    Some(EmailNode {
        facet: (!is_tied).then_some(facet),
        profile: profile.id,
    })
}

/// Where a profile does not list its cookies, one that is gone can't be named. What was said under
/// it is given to one of the addresses, so that a fold of what is left loses nothing.
#[must_use]
pub fn kept_of_the_lost(profile: &Profile, whole: &Whole) -> Option<(Email, EmailNode)> {
    let is_whole = profile.cookies.is_listed() || whole.cookies.len() >= profile.cookies.count as usize;
    let (email, node) = whole.emails.first_key_value().filter(|_| !is_whole)?;
    let remembered = recalled_email(profile, email, false)?.facet;
    let facets = node.facet.clone().into_iter().chain(remembered);
    let facet = facets.reduce(Facet::join);
    Some((
        email.clone(),
        EmailNode {
            facet,
            ..node.clone()
        },
    ))
}

/// What is known of an identifier whose profile is in doubt.
#[derive(Debug, Default)]
pub struct Doubt {
    /// The living profile that it leads to, directly or by redirects.
    pub leads_to: Option<ProfileId>,
    /// The living profiles that claim it, oldest id first.
    pub claimed_by: BTreeSet<ProfileId>,
    /// For a cookie, the owner of the first address that it is tied to.
    pub tied_to: Option<ProfileId>,
}

impl Doubt {
    /// Whose it is: a tie says so first, then where it leads if it is claimed there, then a
    /// claim, then where it leads. None if nobody is left.
    #[must_use]
    pub fn owner(&self) -> Option<ProfileId> {
        let is_claimed = |id: &ProfileId| self.claimed_by.contains(id);
        self.tied_to
            .or_else(|| self.leads_to.filter(is_claimed))
            .or_else(|| self.claimed_by.first().copied())
            .or(self.leads_to)
    }
}

/// Where a redirect ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At a profile.
    Living(ProfileId),
    /// At an id without a record.
    Nothing(ProfileId),
    /// Nowhere: the smallest id of those that lead to each other.
    Circle(ProfileId),
}

/// Follows redirects from an id.
#[must_use]
pub fn end_of(
    id: ProfileId,
    lives: impl Fn(ProfileId) -> bool,
    redirects: &BTreeMap<ProfileId, ProfileId>,
) -> End {
    let mut met = BTreeSet::new();
    let mut at = id;
    while met.insert(at) {
        if lives(at) {
            return End::Living(at);
        }
        match redirects.get(&at) {
            Some(next) => at = *next,
            None => return End::Nothing(at),
        }
    }
    let mut smallest = at;
    let mut next = redirects.get(&at).copied();
    while let Some(other) = next.filter(|other| *other != at) {
        smallest = smallest.min(other);
        next = redirects.get(&other).copied();
    }
    End::Circle(smallest)
}

/// The identifiers that a profile names itself.
pub fn claims(profile: &Profile) -> impl Iterator<Item = Identifier> {
    let cookies = profile.cookies.listed.keys().cloned().map(Identifier::Cookie);
    cookies.chain(profile.facet.emails.keys().cloned().map(Identifier::Email))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_ends_at_a_profile_or_the_end_is_told() {
        let redirects = [(1, 2), (2, 3), (4, 5), (6, 7), (7, 8), (8, 7)];
        let redirects: BTreeMap<_, _> = redirects
            .map(|(from, to)| (ProfileId(from), ProfileId(to)))
            .into();
        let end = |id| end_of(ProfileId(id), |id| id == ProfileId(3), &redirects);
        assert_eq!(end(1), End::Living(ProfileId(3)));
        assert_eq!(end(3), End::Living(ProfileId(3)));
        assert_eq!(end(4), End::Nothing(ProfileId(5)));
        assert_eq!(end(6), End::Circle(ProfileId(7)));
    }

    #[test]
    fn a_tie_comes_before_a_claim_and_a_claim_before_a_link() {
        let (one, two, three) = (ProfileId(1), ProfileId(2), ProfileId(3));
        let mut doubt = Doubt {
            leads_to: Some(three),
            ..Doubt::default()
        };
        assert_eq!(doubt.owner(), Some(three));
        doubt.claimed_by.insert(two);
        assert_eq!(doubt.owner(), Some(two));
        doubt.claimed_by.insert(three);
        assert_eq!(doubt.owner(), Some(three));
        doubt.tied_to = Some(one);
        assert_eq!(doubt.owner(), Some(one));
        assert_eq!(Doubt::default().owner(), None);
    }
}
