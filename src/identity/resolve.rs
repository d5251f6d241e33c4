//! The rules of identity, as one function from what is known and what is new to what
//! changes.
//!
//! - A known cookie updates its profile; a new one creates a profile.
//! - Without an email the cookie is the profile's primary key, with one the email is.
//! - A new email is attached to its cookie's profile.
//! - An email that another cookie's profile has makes the two profiles one.
//!
//! So it is by the policy of union. By the other one an email is a person, and a cookie
//! belongs to the email that was last seen with it (`domain::policy`).

use std::collections::{BTreeMap, BTreeSet};

use super::fold::Fold;
use super::links::{Judged, Link};
use super::partition::{Cause, Component, Partition, partition};
use crate::domain::Timestamp;
use crate::domain::facet::{Facet, Seen, join_entry};
use crate::domain::fact::Fact;
use crate::domain::graph::{CookieNode, Edge, EmailNode, Logins, Merge, Plan, Subgraph, Write};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::{Policy, Rules};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;
use crate::domain::trail::{Step, Trail};

/// How many more identifiers than the oldest profile another must have to keep its id in the
/// oldest one's place. Whoever is absorbed is walked, identifier by identifier, and that
/// shall be the smaller side where it matters.
const WALKED_FREELY: usize = 64;

/// A decision needs these profiles with all their identifiers (`Subgraph::whole`): they
/// lose a cookie, or are absorbed and do not list their cookies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete(pub BTreeSet<ProfileId>);

/// Decides what a chunk of facts changes in the identity graph.
///
/// `graph` holds every identifier of `facts` that the store knows, and the profiles these
/// lead to. `now` stamps what is created or changed. `next_id` hands out ids that were
/// never used, at most [`ids_needed`].
///
/// A component in which nothing changes is absent from the plan. In one where anything
/// does, every profile it rests on is written, with its next revision: that is what lets
/// two transactions that decide about the same person notice each other.
///
/// # Errors
/// [`Incomplete`] when more must be read first; no id was taken then.
pub fn resolve(
    graph: &Subgraph,
    facts: &[Fact],
    rules: &Rules,
    now: Timestamp,
    next_id: &mut dyn FnMut() -> ProfileId,
) -> Result<Plan, Incomplete> {
    let judged: Vec<Judged<'_>> = facts
        .iter()
        .map(|fact| (fact, Link::of(fact, graph, rules)))
        .collect();
    let parts = partition(graph, &judged, rules);
    let people: Vec<Person<'_, '_>> = (parts.components.iter())
        .map(|component| Person::of(graph, component, &parts))
        .collect();
    let missing: BTreeSet<ProfileId> = people.iter().flat_map(|person| person.missing(graph)).collect();
    if !missing.is_empty() {
        return Err(Incomplete(missing));
    }
    let mut learnt = Learnt::from(&judged, &parts);
    let mut edges = new_edges(graph, &judged, &parts);
    let mut plan = Plan::default();
    for person in &people {
        plan_person(graph, person, &mut learnt, &mut edges, now, next_id, &mut plan);
    }
    plan.conflicts = parts.refused.into_values().collect();
    Ok(plan)
}

/// The most ids that [`resolve`] takes for these facts.
#[must_use]
pub fn ids_needed(graph: &Subgraph, facts: &[Fact], rules: &Rules) -> usize {
    let is_login = |fact: &&Fact| rules.policy_of(&fact.source) == Policy::EmailIsPerson;
    let new_cookies = |fact: &&Fact| !graph.cookies.contains_key(&fact.cookie);
    let cookies: BTreeSet<&Cookie> = (facts.iter())
        .filter(|fact| new_cookies(fact) || is_login(fact))
        .map(|fact| &fact.cookie)
        .collect();
    let leavers = graph
        .cookies
        .values()
        .filter(|node| node.logins.owner().is_some())
        .count();
    let emails: BTreeSet<&Email> = facts.iter().filter_map(|fact| fact.email.as_ref()).collect();
    let new_emails = emails
        .into_iter()
        .filter(|email| !graph.emails.contains_key(*email))
        .count();
    // A component whose identifiers lead to no profile gets one, torn as the graph then is.
    let is_torn = |id: ProfileId| !graph.profiles.contains_key(&id);
    let cookies_torn = graph.cookies.values().filter(|node| is_torn(node.profile));
    let emails_torn = graph.emails.values().filter(|node| is_torn(node.profile));
    cookies.len() + leavers + new_emails + cookies_torn.count() + emails_torn.count()
}

/// The rows that speak of their address and not of their cookie, by the plan that these facts
/// led to.
#[must_use]
pub fn rows_of_emails(graph: &Subgraph, facts: &[Fact], rules: &Rules, plan: &Plan) -> BTreeSet<RawId> {
    let refused: BTreeSet<(&Cookie, &Email)> = (plan.conflicts.iter())
        .filter_map(|conflict| conflict.refused.link())
        .collect();
    let is_of_email = |fact: &&Fact| {
        let is_refused = |email| refused.contains(&(&fact.cookie, email));
        Link::of(fact, graph, rules).speaks_of(is_refused).is_some()
    };
    facts.iter().filter(is_of_email).map(|fact| fact.raw).collect()
}

/// What the chunk says under each identifier, so that ten visits of one person are one write.
#[derive(Default)]
struct Learnt<'a> {
    cookies: BTreeMap<&'a Cookie, Facet>,
    emails: BTreeMap<&'a Email, Facet>,
    logins: BTreeMap<&'a Cookie, Logins>,
    trails: BTreeMap<&'a Cookie, Trail>,
}

impl<'a> Learnt<'a> {
    fn from(facts: &[Judged<'a>], parts: &Partition<'a>) -> Self {
        let mut learnt = Self {
            logins: (parts.logins.iter())
                .map(|(cookie, here)| (*cookie, here.logins.clone()))
                .collect(),
            ..Self::default()
        };
        for (fact, link) in facts {
            let seen = Seen::at(fact.at);
            let is_refused = |email| parts.refused.contains_key(&(&fact.cookie, email));
            let speaks_of = link.speaks_of(is_refused);
            let step = Step {
                message: fact.message(),
                is_of_email: speaks_of.is_some(),
            };
            learnt
                .trails
                .entry(&fact.cookie)
                .or_default()
                .note(fact.raw, step);
            let (of_cookie, of_email) = match (speaks_of, *link) {
                (Some(email), _) => (Facet::mention(fact), Some((email, Facet::of(fact)))),
                (None, Link::Tie(email)) => (Facet::of(fact).with_email(email, seen), None),
                (None, Link::Cut(email, _)) => (Facet::of(fact), Some((email, Facet::span(seen)))),
                (None, _) => (Facet::of(fact), None),
            };
            join_entry(&mut learnt.cookies, &fact.cookie, of_cookie, Facet::join);
            if let Some((email, facet)) = of_email {
                let facet = facet.with_email(email, seen);
                join_entry(&mut learnt.emails, email, facet, Facet::join);
            }
        }
        learnt
    }
}

/// For each pair of a cookie and an address that the graph has not seen, the row that proves
/// it, by its event time.
type Edges<'a> = BTreeMap<&'a Cookie, BTreeMap<&'a Email, (Timestamp, RawId, Policy)>>;

fn new_edges<'a>(graph: &Subgraph, facts: &[Judged<'a>], parts: &Partition<'a>) -> Edges<'a> {
    let mut edges = Edges::new();
    for (fact, link) in facts {
        let known = graph.cookies.get(&fact.cookie);
        let (email, policy, is_known) = match *link {
            Link::Tie(email) => {
                let is_known = known.is_some_and(|node| node.facet.emails.contains_key(email));
                (email, Policy::Union, is_known)
            }
            Link::Login(email) => {
                let is_known = known.is_some_and(|node| node.logins.contains(email));
                (email, Policy::EmailIsPerson, is_known)
            }
            Link::None | Link::Cut(..) => continue,
        };
        if is_known || parts.refused.contains_key(&(&fact.cookie, email)) {
            continue;
        }
        let proof = (fact.at, fact.raw, policy);
        let earliest = edges
            .entry(&fact.cookie)
            .or_default()
            .entry(email)
            .or_insert(proof);
        *earliest = proof.min(*earliest);
    }
    edges
}

/// One component, and which of its profiles stays.
struct Person<'c, 'a> {
    component: &'c Component<'a>,
    survivor: Option<ProfileId>,
    absorbed: Vec<(ProfileId, Option<Cause>)>,
    /// Cookies that each of the profiles loses.
    lost: BTreeMap<ProfileId, &'c BTreeSet<&'a Cookie>>,
}

impl<'c, 'a> Person<'c, 'a> {
    fn of(graph: &Subgraph, component: &'c Component<'a>, parts: &'c Partition<'a>) -> Self {
        let size = |profile: &Profile| profile.cookies.count as usize + profile.facet.emails.len();
        let mut profiles: Vec<(&Profile, Option<Cause>)> = (component.profiles.iter())
            .filter_map(|(id, cause)| Some((graph.profiles.get(id)?, *cause)))
            .collect();
        profiles.sort_by_key(|(profile, _)| (profile.created_at, profile.id));
        let largest = profiles
            .iter()
            .map(|(profile, _)| size(profile))
            .max()
            .unwrap_or(0);
        let stays = profiles
            .iter()
            .position(|(profile, _)| size(profile) + WALKED_FREELY >= largest);
        let survivor = stays.map(|at| profiles.remove(at));
        // Only the oldest has no cause; where another stays, the two have it in common.
        let shared = survivor.and_then(|(_, cause)| cause);
        Self {
            component,
            survivor: survivor.map(|(profile, _)| profile.id),
            absorbed: (profiles.into_iter())
                .map(|(profile, cause)| (profile.id, cause.or(shared)))
                .collect(),
            lost: (component.profiles.iter())
                .filter_map(|(id, _)| Some((*id, parts.lost.get(id)?)))
                .collect(),
        }
    }

    /// The profiles that must be read with all their identifiers.
    fn missing(&self, graph: &Subgraph) -> BTreeSet<ProfileId> {
        let unlisted = |id: &&ProfileId| {
            graph
                .profiles
                .get(id)
                .is_some_and(|profile| !profile.cookies.is_listed())
        };
        let absorbed = self.absorbed.iter().map(|(id, _)| id).filter(unlisted);
        let missing = self.lost.keys().chain(absorbed);
        missing
            .filter(|id| !graph.whole.contains_key(id))
            .copied()
            .collect()
    }

    /// The cookies that stay with a profile; none that are not listed.
    fn cookies_of(&self, graph: &Subgraph, profile: &Profile) -> Vec<Cookie> {
        let stays = |cookie: &&Cookie| {
            !self
                .lost
                .get(&profile.id)
                .is_some_and(|lost| lost.contains(cookie))
        };
        match graph.whole.get(&profile.id) {
            Some(whole) => whole.cookies.keys().filter(stays).cloned().collect(),
            None => profile.cookies.listed.keys().filter(stays).cloned().collect(),
        }
    }
}

fn plan_person<'a>(
    graph: &Subgraph,
    person: &Person<'_, 'a>,
    learnt: &mut Learnt<'a>,
    edges: &mut Edges<'a>,
    now: Timestamp,
    next_id: &mut dyn FnMut() -> ProfileId,
    plan: &mut Plan,
) {
    let component = person.component;
    let id = person.survivor.unwrap_or_else(next_id);
    let mut cookies = BTreeMap::new();
    for cookie in &component.cookies {
        let known = graph.cookies.get(*cookie);
        if let Some(mut record) = cookie_after(graph, cookie, learnt, id)
            && known != Some(&record)
        {
            let new = known.is_none();
            let shed = record.trail.shed();
            if !shed.is_empty() {
                plan.shed.insert((*cookie).clone(), shed);
            }
            cookies.insert((*cookie).clone(), Write { new, record });
        }
    }
    let mut emails = BTreeMap::new();
    for email in &component.emails {
        let known = graph.emails.get(*email);
        let record = email_after(graph, email, learnt, id);
        if known != Some(&record) {
            let new = known.is_none();
            emails.insert((*email).clone(), Write { new, record });
        }
    }
    if cookies.is_empty() && emails.is_empty() && person.absorbed.is_empty() && person.lost.is_empty() {
        return;
    }
    let Some(record) = fold_person(graph, person, &cookies, &emails, id, now) else {
        return;
    };
    let new = person.survivor.is_none();
    plan.profiles.insert(id, Write { new, record });
    for (absorbed, cause) in &person.absorbed {
        let (Some(loser), Some((raw, policy))) = (graph.profiles.get(absorbed), cause) else {
            continue;
        };
        let merge = Merge {
            survivor: id,
            absorbed: *absorbed,
            absorbed_rev: loser.rev,
            absorbed_created_at: loser.created_at,
            cookies: person.cookies_of(graph, loser),
            emails: loser.facet.emails.keys().cloned().collect(),
            raw: *raw,
            policy: *policy,
        };
        let others = merge
            .cookies
            .iter()
            .filter(|cookie| !cookies.contains_key(*cookie));
        plan.moved_cookies
            .extend(others.map(|cookie| (cookie.clone(), id)));
        let others = merge.emails.iter().filter(|email| !emails.contains_key(*email));
        plan.moved_emails.extend(others.map(|email| (email.clone(), id)));
        plan.merges.push(merge);
    }
    for cookie in &component.cookies {
        let new = edges.remove(*cookie).unwrap_or_default();
        plan.edges
            .extend(new.into_iter().map(|(email, (at, raw, policy))| Edge {
                cookie: (*cookie).clone(),
                email: email.clone(),
                raw,
                at,
                policy,
            }));
    }
    plan.cookies.extend(cookies);
    plan.emails.extend(emails);
}

/// A cookie as it shall be; none only for one that is neither known nor in a fact.
fn cookie_after<'a>(
    graph: &Subgraph,
    cookie: &'a Cookie,
    learnt: &mut Learnt<'a>,
    profile: ProfileId,
) -> Option<CookieNode> {
    let known = graph.cookies.get(cookie);
    let facets = known
        .map(|node| node.facet.clone())
        .into_iter()
        .chain(learnt.cookies.remove(cookie));
    let known_logins = || known.map(|node| node.logins.clone()).unwrap_or_default();
    let known_trail = known.map(|node| node.trail.clone()).unwrap_or_default();
    Some(CookieNode {
        facet: facets.reduce(Facet::join)?,
        logins: learnt.logins.remove(cookie).unwrap_or_else(known_logins),
        cuts: known.map(|node| node.cuts.clone()).unwrap_or_default(),
        trail: match learnt.trails.remove(cookie) {
            Some(new) => known_trail.join(new),
            None => known_trail,
        },
        profile,
    })
}

fn email_after<'a>(
    graph: &Subgraph,
    email: &'a Email,
    learnt: &mut Learnt<'a>,
    profile: ProfileId,
) -> EmailNode {
    let known = graph.emails.get(email).and_then(|node| node.facet.clone());
    let facets = known.into_iter().chain(learnt.emails.remove(email));
    EmailNode {
        facet: facets.reduce(Facet::join),
        profile,
    }
}

/// The join of all profiles of a component, less the cookies that they lose, and of what the
/// chunk teaches; none only for a component of nothing.
fn fold_person(
    graph: &Subgraph,
    person: &Person<'_, '_>,
    cookies: &BTreeMap<Cookie, Write<CookieNode>>,
    emails: &BTreeMap<Email, Write<EmailNode>>,
    id: ProfileId,
    now: Timestamp,
) -> Option<Profile> {
    let mut fold = Fold::default();
    for (id, _) in &person.component.profiles {
        match (person.lost.get(id), graph.whole.get(id), graph.profiles.get(id)) {
            (Some(lost), Some(whole), _) => fold.add_whole(whole, |cookie| !lost.contains(cookie)),
            (_, _, Some(profile)) => fold.add_profile(profile),
            _ => {}
        }
    }
    let is_counted = |cookie: &Cookie| {
        graph.cookies.get(cookie).is_some_and(|node| {
            let is_lost = |lost: &&BTreeSet<&Cookie>| lost.contains(cookie);
            let is_here = person
                .component
                .profiles
                .iter()
                .any(|(id, _)| *id == node.profile);
            is_here && !person.lost.get(&node.profile).is_some_and(is_lost)
        })
    };
    for (cookie, write) in cookies {
        if is_counted(cookie) {
            fold.see_cookie(cookie, &write.record);
        } else {
            fold.add_cookie(cookie, &write.record);
        }
    }
    for write in emails.values() {
        fold.add_email(&write.record);
    }
    let survivor = person.survivor.and_then(|id| graph.profiles.get(&id));
    fold.into_profile(id, survivor, now)
}
