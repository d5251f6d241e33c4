//! Takes a person apart again: the links that somebody judged wrong are cut, and each part
//! is folded from its own identifiers, as if the links had never been.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::fold::Fold;
use crate::domain::Timestamp;
use crate::domain::facet::Facet;
use crate::domain::graph::{CookieNode, Cut, EmailNode, Plan, Redirect, Subgraph, Whole, Write};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};

/// A link between a cookie and an address.
pub type Pair = (Cookie, Email);

/// A profile that was absorbed, and shall be itself again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its id.
    pub id: ProfileId,
    /// The revision of the redirect that stands in its place.
    pub rev: u32,
    /// When it came to be at first.
    pub created_at: Timestamp,
    /// The cookies that were absorbed with it.
    pub cookies: BTreeSet<Cookie>,
    /// The addresses that were.
    pub emails: BTreeSet<Email>,
}

/// What is to be cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The links.
    pub pairs: BTreeSet<Pair>,
    /// Which evidence for them counts no more. Raised to what is known of each link, so that
    /// the same evidence never ties it again.
    pub cut: Cut,
    /// Whose id one part takes back: the profile whose merge is undone.
    pub restored: Option<Restored>,
    /// The other profiles that were merged into the person. A part that has all that is left
    /// of one takes its id back as well, so that an old id finds whom it was handed out for.
    pub absorbed: Vec<Restored>,
}

/// The links of a person that lead into a set of identifiers from outside: what to cut to
/// have the set apart.
#[must_use]
pub fn crossing(whole: &Whole, cookies: &BTreeSet<Cookie>, emails: &BTreeSet<Email>) -> BTreeSet<Pair> {
    links_within(whole)
        .filter(|(cookie, email)| cookies.contains(*cookie) != emails.contains(*email))
        .map(|(cookie, email)| (cookie.clone(), email.clone()))
        .collect()
}

/// What goes with a profile that was absorbed once: its own identifiers, and those that came
/// later and are linked to them alone. `is_later` tells whether a link was made after the
/// merge.
#[must_use]
pub fn side_of(
    whole: &Whole,
    cookies: &BTreeSet<Cookie>,
    emails: &BTreeSet<Email>,
    is_later: impl Fn(&Cookie, &Email) -> bool,
) -> (BTreeSet<Cookie>, BTreeSet<Email>) {
    let links: Vec<(&Cookie, &Email)> = links_within(whole).collect();
    // Whoever has a link from before, or none at all, was there before.
    let mut new_cookies: BTreeSet<&Cookie> = links.iter().map(|(cookie, _)| *cookie).collect();
    let mut new_emails: BTreeSet<&Email> = links.iter().map(|(_, email)| *email).collect();
    for (cookie, email) in links.iter().filter(|(cookie, email)| !is_later(cookie, email)) {
        new_cookies.remove(cookie);
        new_emails.remove(email);
    }
    let mut rest_cookies: BTreeSet<&Cookie> = (whole.cookies.keys())
        .filter(|cookie| !cookies.contains(*cookie) && !new_cookies.contains(cookie))
        .collect();
    let mut rest_emails: BTreeSet<&Email> = (whole.emails.keys())
        .filter(|email| !emails.contains(*email) && !new_emails.contains(email))
        .collect();
    // Newcomers that are linked to these, directly or through each other, stay with them.
    loop {
        let before = rest_cookies.len() + rest_emails.len();
        for (cookie, email) in &links {
            if rest_emails.contains(email) && !cookies.contains(*cookie) {
                rest_cookies.insert(cookie);
            }
            if rest_cookies.contains(cookie) && !emails.contains(*email) {
                rest_emails.insert(email);
            }
        }
        if rest_cookies.len() + rest_emails.len() == before {
            break;
        }
    }
    let other_cookies = whole
        .cookies
        .keys()
        .filter(|cookie| !rest_cookies.contains(cookie));
    let other_emails = whole.emails.keys().filter(|email| !rest_emails.contains(email));
    (other_cookies.cloned().collect(), other_emails.cloned().collect())
}

/// Every link between identifiers of the person, whether or not it ties them today. A log-in
/// of somebody else is none.
pub fn links_within(whole: &Whole) -> impl Iterator<Item = (&Cookie, &Email)> {
    (whole.cookies.iter())
        .flat_map(|(cookie, node)| {
            let logins = node.logins.iter().map(|(email, _)| email);
            let emails = node.facet.emails.keys().chain(logins);
            emails.map(move |email| (cookie, email))
        })
        .filter(|(_, email)| whole.emails.contains_key(*email))
}

/// The addresses of other people that the cookies of `pairs` go to once these are cut: those
/// that logged in before. `graph` of [`cut`] must have them, and their profiles.
#[must_use]
pub fn fallbacks(whole: &Whole, pairs: &BTreeSet<Pair>) -> BTreeSet<Email> {
    let mut found = BTreeSet::new();
    for cookie in pairs.iter().map(|(cookie, _)| cookie).collect::<BTreeSet<_>>() {
        let Some(node) = whole.cookies.get(cookie) else {
            continue;
        };
        let mut node = node.clone();
        for (_, email) in pairs.iter().filter(|(of, _)| of == cookie) {
            node.facet.emails.remove(email);
            node.logins.remove(email);
        }
        let elsewhere = node.ties().filter(|email| !whole.emails.contains_key(*email));
        found.extend(elsewhere.cloned());
    }
    found
}

/// Plans to cut links of one person. `graph` holds the person's profile with all their
/// identifiers, and what [`fallbacks`] asks for. Every part that comes to be takes an id from
/// `next_id`, but for the one that keeps the person's and the one that is restored.
///
/// A link that the person does not have is kept apart all the same. Nothing at all is planned
/// for a person that `graph` does not hold whole.
pub fn cut(
    graph: &Subgraph,
    person: ProfileId,
    order: &Order,
    now: Timestamp,
    next_id: &mut dyn FnMut() -> ProfileId,
) -> Plan {
    let (Some(before), Some(whole)) = (graph.profiles.get(&person), graph.whole.get(&person)) else {
        return Plan::default();
    };
    let mut plan = Plan::default();
    let after = without(whole, order, &mut plan);
    let (leaves, mut parts): (Vec<_>, Vec<_>) = parts_of(&after)
        .into_iter()
        .partition(|part| part.owner_elsewhere(&after).is_some());
    // Which part lives on under which id.
    let mut placed: Vec<(ProfileId, Part<'_>)> = Vec::new();
    if parts.len() > 1
        && let Some(restored) = &order.restored
        && let Some(part) = take_largest(&mut parts, |part| part.is_of(restored))
    {
        plan_restored(&part, whole, &after, restored, before, now, &mut plan);
        placed.push((restored.id, part));
    }
    let is_own = |part: &Part<'_>| part.has_more_than(&order.absorbed);
    let kept = take_largest(&mut parts, is_own).or_else(|| take_largest(&mut parts, |_| true));
    if let Some(part) = kept {
        plan_part(&part, whole, &after, person, Some(before), now, &mut plan);
        placed.push((person, part));
    }
    for absorbed in &order.absorbed {
        let is_with_the_person = placed
            .iter()
            .any(|(id, part)| *id == person && part.is_of(absorbed));
        let is_in_one = parts.iter().filter(|part| part.is_of(absorbed)).count() == 1;
        if is_in_one
            && !is_with_the_person
            && let Some(part) = take_largest(&mut parts, |part| part.is_of(absorbed))
        {
            plan_restored(&part, whole, &after, absorbed, before, now, &mut plan);
            placed.push((absorbed.id, part));
        }
    }
    for part in parts {
        let id = next_id();
        plan_part(&part, whole, &after, id, None, now, &mut plan);
        placed.push((id, part));
    }
    for leaf in leaves {
        if let Some(id) = plan_hand_over(&leaf, graph, &after, now, &mut plan) {
            placed.push((id, leaf));
        }
    }
    redirect_the_absorbed(&order.absorbed, person, &placed, &mut plan);
    plan
}

/// Leads the ids of profiles that were absorbed once to where all that is left of them went.
fn redirect_the_absorbed(
    absorbed: &[Restored],
    person: ProfileId,
    placed: &[(ProfileId, Part<'_>)],
    plan: &mut Plan,
) {
    for one in absorbed {
        let having = placed.iter().filter(|(_, part)| part.is_of(one));
        let homes: BTreeSet<ProfileId> = having.map(|(id, _)| *id).collect();
        let home = homes.first().filter(|_| homes.len() == 1);
        if let Some(to) = home.copied()
            && to != person
            && !plan.profiles.contains_key(&one.id)
        {
            let (id, rev) = (one.id, one.rev + 1);
            plan.redirects.push(Redirect { id, rev, to });
        }
    }
}

/// The identifiers without the links, which are remembered as cut.
fn without(whole: &Whole, order: &Order, plan: &mut Plan) -> Whole {
    let mut after = whole.clone();
    for (cookie, email) in &order.pairs {
        let Some(node) = after.cookies.get_mut(cookie) else {
            continue;
        };
        let tied = node.facet.emails.remove(email);
        let login = node.logins.remove(email);
        let known = tied.map(|seen| seen.last).max(login);
        let cut = match (order.cut, known) {
            (Cut::Until(at), Some(known)) => Cut::Until(at.max(known)),
            (cut, _) => cut,
        };
        let cut = node.cuts.get(email).map_or(cut, |before| cut.max(*before));
        node.cuts.insert(email.clone(), cut);
        if known.is_some() {
            plan.cut_edges.push((cookie.clone(), email.clone()));
        }
        // What was said under the cookie stays with it. Of the address it is only known when
        // it was named.
        if let (Some(seen), Some(node)) = (tied, after.emails.get_mut(email)) {
            let mention = Facet::span(seen).with_email(email, seen);
            let facets = node.facet.take().into_iter().chain([mention]);
            node.facet = facets.reduce(Facet::join);
        }
    }
    after
}

/// Identifiers that are one person.
#[derive(Debug, Default)]
pub(super) struct Part<'a> {
    cookies: Vec<&'a Cookie>,
    emails: Vec<&'a Email>,
}

impl Part<'_> {
    fn is_of(&self, restored: &Restored) -> bool {
        self.cookies
            .iter()
            .any(|cookie| restored.cookies.contains(*cookie))
            || self.emails.iter().any(|email| restored.emails.contains(*email))
    }

    /// Whether some identifier did not come with any of these.
    fn has_more_than(&self, absorbed: &[Restored]) -> bool {
        let came = |cookie: &&Cookie| absorbed.iter().any(|one| one.cookies.contains(*cookie));
        let arrived = |email: &&Email| absorbed.iter().any(|one| one.emails.contains(*email));
        !(self.cookies.iter().all(came) && self.emails.iter().all(arrived))
    }

    /// The address of another person to whom a single cookie goes back.
    fn owner_elsewhere<'n>(&self, whole: &'n Whole) -> Option<&'n Email> {
        let [cookie] = self.cookies[..] else { return None };
        let owner = whole.cookies.get(cookie)?.ties().next()?;
        (self.emails.is_empty() && !whole.emails.contains_key(owner)).then_some(owner)
    }
}

/// The connected parts of what ties the identifiers to each other, in order.
pub(super) fn parts_of(whole: &Whole) -> Vec<Part<'_>> {
    let mut neighbours: BTreeMap<&Email, Vec<&Cookie>> =
        whole.emails.keys().map(|email| (email, Vec::new())).collect();
    for (cookie, node) in &whole.cookies {
        for email in node.ties() {
            if let Some(cookies) = neighbours.get_mut(email) {
                cookies.push(cookie);
            }
        }
    }
    let mut parts = Vec::new();
    let mut met_cookies: BTreeSet<&Cookie> = BTreeSet::new();
    let mut met_emails: BTreeSet<&Email> = BTreeSet::new();
    let ties = |cookie: &Cookie| whole.cookies.get(cookie).into_iter().flat_map(CookieNode::ties);
    let starts = (neighbours.keys().map(|email| (None, Some(*email))))
        .chain(whole.cookies.keys().map(|cookie| (Some(cookie), None)));
    for (cookie, email) in starts {
        let mut cookies: Vec<&Cookie> = cookie
            .into_iter()
            .filter(|cookie| met_cookies.insert(cookie))
            .collect();
        let mut emails: Vec<&Email> = email
            .into_iter()
            .filter(|email| met_emails.insert(email))
            .collect();
        let mut part = Part::default();
        while !(cookies.is_empty() && emails.is_empty()) {
            if let Some(cookie) = cookies.pop() {
                let known = ties(cookie).filter_map(|email| neighbours.get_key_value(email));
                emails.extend(
                    known
                        .map(|(email, _)| *email)
                        .filter(|email| met_emails.insert(email)),
                );
                part.cookies.push(cookie);
            }
            if let Some(email) = emails.pop() {
                let near = neighbours.get(email).into_iter().flatten().copied();
                cookies.extend(near.filter(|cookie| met_cookies.insert(cookie)));
                part.emails.push(email);
            }
        }
        if !(part.cookies.is_empty() && part.emails.is_empty()) {
            parts.push(part);
        }
    }
    parts
}

/// Takes the part with the most identifiers, the first of several, among those asked for.
fn take_largest<'a>(parts: &mut Vec<Part<'a>>, among: impl Fn(&Part<'a>) -> bool) -> Option<Part<'a>> {
    let size = |part: &Part<'_>| part.cookies.len() + part.emails.len();
    let (at, _) = (parts.iter().enumerate())
        .filter(|(_, part)| among(part))
        .min_by_key(|(at, part)| (Reverse(size(part)), *at))?;
    Some(parts.remove(at))
}

/// Makes a part the profile that was absorbed once.
fn plan_restored(
    part: &Part<'_>,
    whole: &Whole,
    after: &Whole,
    restored: &Restored,
    person: &Profile,
    now: Timestamp,
    plan: &mut Plan,
) {
    let redirect = Profile {
        id: restored.id,
        rev: restored.rev,
        created_at: restored.created_at,
        memberships: Vec::new(),
        ..person.clone()
    };
    plan_part(part, whole, after, restored.id, Some(&redirect), now, plan);
}

/// Makes a part a profile of its own. `before` is what stood under the id.
fn plan_part(
    part: &Part<'_>,
    whole: &Whole,
    after: &Whole,
    id: ProfileId,
    before: Option<&Profile>,
    now: Timestamp,
    plan: &mut Plan,
) {
    let mut fold = Fold::default();
    for cookie in &part.cookies {
        let Some(node) = after.cookies.get(*cookie) else {
            continue;
        };
        fold.add_cookie(cookie, node);
        let record = CookieNode {
            profile: id,
            ..node.clone()
        };
        let was = whole.cookies.get(*cookie);
        if was.is_some_and(|was| was.cuts == record.cuts) {
            if was.is_some_and(|was| was.profile != id) {
                plan.moved_cookies.insert((*cookie).clone(), id);
            }
        } else {
            plan.cookies
                .insert((*cookie).clone(), Write { new: false, record });
        }
    }
    for email in &part.emails {
        let Some(node) = after.emails.get(*email) else {
            continue;
        };
        fold.add_email(node);
        let record = EmailNode {
            profile: id,
            ..node.clone()
        };
        let was = whole.emails.get(*email);
        if was.is_some_and(|was| was.facet == record.facet) {
            if was.is_some_and(|was| was.profile != id) {
                plan.moved_emails.insert((*email).clone(), id);
            }
        } else {
            plan.emails.insert((*email).clone(), Write { new: false, record });
        }
    }
    if let Some(record) = fold.into_profile(id, before, now) {
        let new = before.is_none();
        plan.profiles.insert(id, Write { new, record });
    }
}

/// Gives a single cookie to the person who logged in under it before, and tells who that is.
fn plan_hand_over(
    leaf: &Part<'_>,
    graph: &Subgraph,
    after: &Whole,
    now: Timestamp,
    plan: &mut Plan,
) -> Option<ProfileId> {
    let [cookie] = leaf.cookies[..] else { return None };
    let owner = graph.emails.get(leaf.owner_elsewhere(after)?)?;
    let profile = graph.profiles.get(&owner.profile)?;
    let node = after.cookies.get(cookie)?;
    let mut fold = Fold::default();
    fold.add_profile(
        plan.profiles
            .get(&profile.id)
            .map_or(profile, |write| &write.record),
    );
    fold.add_cookie(cookie, node);
    let record = CookieNode {
        profile: profile.id,
        ..node.clone()
    };
    plan.cookies.insert(cookie.clone(), Write { new: false, record });
    let record = fold.into_profile(profile.id, Some(profile), now)?;
    plan.profiles.insert(profile.id, Write { new: false, record });
    Some(profile.id)
}
