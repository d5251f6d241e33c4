//! The four rules of identity, as one function from what is known and what is new to
//! what changes.
//!
//! - A known cookie updates its profile; a new one creates a profile.
//! - Without an email the cookie is the profile's primary key, with one the email is.
//! - A new email is attached to its cookie's profile.
//! - An email that another cookie's profile has makes the two profiles one.

use std::collections::BTreeMap;

use super::partition::{Component, partition};
use crate::domain::Timestamp;
use crate::domain::facet::{Facet, Seen, join_maps};
use crate::domain::fact::Fact;
use crate::domain::graph::{CookieNode, Edge, Merge, Plan, Subgraph, Write};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;

/// Decides what a chunk of facts changes in the identity graph.
///
/// `graph` holds every identifier of `facts` that the store knows, and the profiles these
/// lead to. `now` stamps what is created or changed. `next_id` hands out ids that were
/// never used, at most one for each cookie in `facts`.
///
/// A component in which nothing changes is absent from the plan. In one where anything
/// does, every profile it rests on is written, with its next revision: that is what lets
/// two transactions that decide about the same person notice each other.
pub fn resolve(
    graph: &Subgraph,
    facts: &[Fact],
    now: Timestamp,
    next_id: &mut dyn FnMut() -> ProfileId,
) -> Plan {
    let mut learnt = fold_by_cookie(facts);
    let mut proofs = first_proofs(graph, facts);
    let mut plan = Plan::default();
    for component in partition(graph, facts) {
        resolve_component(
            graph,
            &component,
            &mut learnt,
            &mut proofs,
            now,
            next_id,
            &mut plan,
        );
    }
    plan
}

type Learnt<'a> = BTreeMap<&'a Cookie, Facet>;
type Proofs<'a> = BTreeMap<&'a Cookie, BTreeMap<&'a Email, (Timestamp, RawId)>>;

/// What the chunk says under each cookie, so that ten visits of one person are one write.
fn fold_by_cookie(facts: &[Fact]) -> Learnt<'_> {
    let mut learnt: Learnt<'_> = BTreeMap::new();
    for fact in facts {
        let facet = Facet::of(fact);
        let joined = match learnt.remove(&fact.cookie) {
            Some(before) => before.join(facet),
            None => facet,
        };
        learnt.insert(&fact.cookie, joined);
    }
    learnt
}

/// The earliest row for each pair of cookie and address that the graph has not seen.
fn first_proofs<'a>(graph: &Subgraph, facts: &'a [Fact]) -> Proofs<'a> {
    let mut proofs: Proofs<'a> = BTreeMap::new();
    for fact in facts {
        let Some(email) = &fact.email else { continue };
        let known = graph
            .cookies
            .get(&fact.cookie)
            .is_some_and(|node| node.facet.emails.contains_key(email));
        if known {
            continue;
        }
        let proof = (fact.at, fact.raw);
        let earliest = proofs
            .entry(&fact.cookie)
            .or_default()
            .entry(email)
            .or_insert(proof);
        *earliest = proof.min(*earliest);
    }
    proofs
}

fn resolve_component<'a>(
    graph: &Subgraph,
    component: &Component<'a>,
    learnt: &mut Learnt<'a>,
    proofs: &mut Proofs<'a>,
    now: Timestamp,
    next_id: &mut dyn FnMut() -> ProfileId,
    plan: &mut Plan,
) {
    let (survivor, absorbed) = choose_survivor(graph, component);
    let id = survivor.map_or_else(&mut *next_id, |profile| profile.id);
    let before = plan.cookies.len();
    for cookie in &component.cookies {
        let Some(facet) = learnt.remove(*cookie) else {
            continue;
        };
        plan_cookie(graph, cookie, facet, id, plan);
        for (email, (at, raw)) in proofs.remove(*cookie).unwrap_or_default() {
            plan.edges.push(Edge {
                cookie: (*cookie).clone(),
                email: email.clone(),
                raw,
                at,
            });
        }
    }
    let unchanged = plan.cookies.len() == before && absorbed.is_empty();
    if unchanged {
        return;
    }
    for email in &component.new_emails {
        plan.emails.insert((*email).clone(), id);
    }
    let Some(profile) = fold_profile(survivor, &absorbed, &component.cookies, id, now, plan) else {
        return;
    };
    plan.profiles.insert(
        id,
        Write {
            new: survivor.is_none(),
            record: profile,
        },
    );
    for (loser, raw) in absorbed {
        plan_merge(loser, id, raw, plan);
    }
}

/// A profile that is absorbed, and the row that tied it to the survivor.
type Absorbed<'g> = (&'g Profile, RawId);

/// The oldest profile stays; ties of one instant go to the smaller id.
fn choose_survivor<'g>(
    graph: &'g Subgraph,
    component: &Component<'_>,
) -> (Option<&'g Profile>, Vec<Absorbed<'g>>) {
    let mut profiles: Vec<(&Profile, Option<RawId>)> = (component.profiles.iter())
        .filter_map(|(id, tie)| Some((graph.profiles.get(id)?, *tie)))
        .collect();
    profiles.sort_by_key(|(profile, _)| (profile.created_at, profile.id));
    let mut rest = profiles.into_iter();
    let survivor = rest.next().map(|(profile, _)| profile);
    // Whoever is not the oldest was tied to an older one by some row.
    let absorbed = rest.filter_map(|(profile, tie)| Some((profile, tie?))).collect();
    (survivor, absorbed)
}

fn plan_cookie(graph: &Subgraph, cookie: &Cookie, learnt: Facet, id: ProfileId, plan: &mut Plan) {
    let known = graph.cookies.get(cookie);
    let facet = match known {
        Some(node) => node.facet.clone().join(learnt),
        None => learnt,
    };
    if known.is_some_and(|node| node.facet == facet) {
        return;
    }
    let record = CookieNode { facet, profile: id };
    plan.cookies.insert(
        cookie.clone(),
        Write {
            new: known.is_none(),
            record,
        },
    );
}

/// The join of the profiles that become one, and of what this chunk teaches their cookies;
/// none if there are neither.
fn fold_profile(
    survivor: Option<&Profile>,
    absorbed: &[Absorbed<'_>],
    cookies: &[&Cookie],
    id: ProfileId,
    now: Timestamp,
    plan: &Plan,
) -> Option<Profile> {
    let mut facets = Vec::new();
    let mut seen: BTreeMap<Cookie, Seen> = BTreeMap::new();
    let existing = survivor
        .into_iter()
        .chain(absorbed.iter().map(|(profile, _)| *profile));
    for profile in existing {
        facets.push(profile.facet.clone());
        join_maps(&mut seen, profile.cookies.clone(), Seen::join);
    }
    for cookie in cookies {
        let Some(write) = plan.cookies.get(*cookie) else {
            continue;
        };
        facets.push(write.record.facet.clone());
        seen.insert((*cookie).clone(), write.record.facet.seen);
    }
    Some(Profile {
        id,
        rev: survivor.map_or(1, |profile| profile.rev + 1),
        created_at: survivor.map_or(now, |profile| profile.created_at),
        updated_at: now,
        cookies: seen,
        facet: facets.into_iter().reduce(Facet::join)?,
        memberships: survivor
            .map(|profile| profile.memberships.clone())
            .unwrap_or_default(),
    })
}

fn plan_merge(loser: &Profile, survivor: ProfileId, raw: RawId, plan: &mut Plan) {
    for cookie in loser.cookies.keys() {
        if let Some(write) = plan.cookies.get_mut(cookie) {
            write.record.profile = survivor;
        } else {
            plan.moved_cookies.insert(cookie.clone(), survivor);
        }
    }
    for email in loser.facet.emails.keys() {
        plan.moved_emails.insert(email.clone(), survivor);
    }
    plan.merges.push(Merge {
        survivor,
        absorbed: loser.id,
        absorbed_rev: loser.rev,
        cookies: loser.cookies.keys().cloned().collect(),
        emails: loser.facet.emails.keys().cloned().collect(),
        raw,
    });
}
