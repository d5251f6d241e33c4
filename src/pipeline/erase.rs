//! Takes somebody out of the graph: the writer does it like a judgement, so that nobody in the
//! process decides about a person meanwhile, and the store compares revisions, so that no other
//! process did. In the same transaction their identifiers are suppressed, and what is still to be
//! looked for is noted: from then on nobody finds them, and nothing brings them back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use ulid::Ulid;

use super::PipelineError;
use super::judge::Objection;
use super::retry::Retry;
use super::writer::{Keep, Writer};
use crate::domain::Timestamp;
use crate::domain::change::Transition;
use crate::domain::erasure::{Erased, Erasure, IdentifierKind, Search, Step, Suppression};
use crate::domain::graph::{CookieNode, Plan, Subgraph, Whole, Write};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;
use crate::domain::tally::{Counts, Subject};
use crate::ingest::normalise::stored;
use crate::store::StoreError;
use crate::store::commit::{Commit, Due};
use crate::store::decisions::Family;
use crate::store::erasures::{Removal, Traces};
use crate::store::sightings::EmailSighting;

/// Behind all blocks that there are.
const LAST_BLOCK: Ulid = Ulid::from_bytes([0xff; 16]);

/// Who is to be erased.
#[derive(Debug, Clone)]
pub struct Order {
    /// A cookie of theirs.
    pub cookie: Option<Cookie>,
    /// An address of theirs.
    pub email: Option<Email>,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub by: String,
    /// Only if they were not seen since. Then they are not suppressed, and only what is known to
    /// be theirs goes.
    pub if_idle_since: Option<Timestamp>,
}

/// Whom an order means, with all that leads to them.
struct Person {
    profile: Option<Profile>,
    cookies: BTreeMap<Cookie, Option<CookieNode>>,
    emails: BTreeSet<Email>,
}

impl Person {
    fn has_cookie(&self, cookie: &Cookie) -> bool {
        self.cookies.contains_key(cookie)
    }

    /// The addresses of others that their cookies were seen with, or kept apart from.
    fn others_of(&self) -> impl Iterator<Item = &Email> {
        let nodes = self.cookies.values().flatten();
        let named = nodes.flat_map(|node| node.logins.iter().map(|(email, _)| email).chain(node.cuts.keys()));
        named.filter(|email| !self.emails.contains(*email))
    }
}

/// What goes with them.
#[derive(Default)]
struct Found {
    traces: Traces,
    edges: Vec<(Cookie, Email)>,
    /// Profiles that theirs had absorbed.
    absorbed: BTreeSet<ProfileId>,
    rows: BTreeSet<RawId>,
    /// Cookies of others that remember their addresses.
    graph: Subgraph,
}

impl Writer {
    /// Takes somebody out; the id of the erasure.
    pub(super) async fn erase(&mut self, order: &Order) -> Result<Ulid, PipelineError> {
        let mut retry = Retry::default();
        loop {
            match self.attempt_erasure(order).await {
                Ok(id) => return Ok(id),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn attempt_erasure(&mut self, order: &Order) -> Result<Ulid, PipelineError> {
        let now = stored(Utc::now());
        let person = self.whom(order).await?;
        let found = self.find_all(&person).await?;
        let queued = self.store.queue().await?;
        let queued = queued.into_iter().map(|waiting| waiting.batch).collect();
        let removal = self.removal(order, &person, &found, queued, now);
        let id = removal.erasure.id;
        let pseudonyms: Vec<String> = removal
            .suppressions
            .iter()
            .map(|one| one.pseudonym.clone())
            .collect();
        let gone: Vec<ProfileId> = (person.profile.iter().map(|profile| profile.id))
            .chain(found.absorbed.iter().copied())
            .collect();
        let plan = forgetting(&found.graph, &person.emails);
        let commit = Commit {
            removal: Some(Box::new(removal)),
            ..Commit::default()
        };
        let (mut commit, mut news) = self.segmented(&found.graph, plan, commit, Keep::All, now).await?;
        if let Some(profile) = &person.profile {
            leave(profile, &mut commit);
        }
        news.transitions.clone_from(&commit.transitions);
        news.changed.extend(gone);
        let block = self.store.commit(commit).await?;
        // Before the next chunk is decided.
        self.suppressed.add(&pseudonyms);
        self.tell(news, block);
        metrics::counter!("cdp_erasures_total").increment(1);
        Ok(id)
    }

    /// Whom an order means, read with all their identifiers.
    async fn whom(&self, order: &Order) -> Result<Person, PipelineError> {
        let by_cookie = match &order.cookie {
            Some(cookie) => self.store.profile_by_cookie(cookie).await?,
            None => None,
        };
        let by_email = match &order.email {
            Some(email) => self.store.profile_by_email(email).await?,
            None => None,
        };
        if let (Some(one), Some(other)) = (&by_cookie, &by_email)
            && one.id != other.id
        {
            return Err(Objection::Different.into());
        }
        let profile = by_cookie.or(by_email);
        if let Some(moment) = order.if_idle_since {
            let is_idle = |profile: &Arc<Profile>| profile.facet.seen.last < moment;
            if !profile.as_ref().is_some_and(is_idle) {
                return Err(Objection::Seen.into());
            }
        }
        let whole = match &profile {
            Some(profile) => self.store.whole(profile).await?,
            None => Whole::default(),
        };
        let mut person = Person {
            cookies: BTreeMap::new(),
            emails: whole.emails.into_keys().collect(),
            profile: profile.map(Arc::unwrap_or_clone),
        };
        person
            .cookies
            .extend(order.cookie.clone().map(|cookie| (cookie, None)));
        person.emails.extend(order.email.clone());
        if let Some(profile) = &person.profile {
            person.emails.extend(profile.facet.emails.keys().cloned());
            let listed = profile.cookies.listed.keys().cloned();
            person.cookies.extend(listed.map(|cookie| (cookie, None)));
        }
        let known = whole.cookies.into_iter();
        person
            .cookies
            .extend(known.map(|(cookie, node)| (cookie, Some(node))));
        Ok(person)
    }

    async fn find_all(&self, person: &Person) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let (cookies, emails) = (person.cookies.keys(), person.emails.iter());
        let mut edges = self.store.edges(cookies.clone()).await?;
        edges.extend(self.store.edges_to(emails.clone()).await?);
        // An edge between the two is found from either end.
        let edges: BTreeSet<_> = edges.into_iter().map(|edge| (edge.cookie, edge.email)).collect();
        found.edges = edges.into_iter().collect();
        self.find_history(person, &mut found).await?;
        for sighting in self.store.sightings(cookies, LAST_BLOCK).await? {
            found.rows.extend(sighting.rows);
        }
        for sighting in self.store.email_sightings(emails, LAST_BLOCK).await? {
            found.rows.extend(rows_of(&sighting));
        }
        Ok(found)
    }

    /// Merges, decisions and conflicts that name them, and where these lead: to the cookies of
    /// others that remember their addresses, and to the addresses of others that remember their
    /// cookies.
    async fn find_history(&self, person: &Person, found: &mut Found) -> Result<(), StoreError> {
        let cookies: BTreeSet<Cookie> = person.cookies.keys().cloned().collect();
        let (merges, decisions, conflicts) = self.store.history_naming(&cookies, &person.emails).await?;
        let merges = self.store.merges_with(&merges).await?;
        let family = match &person.profile {
            Some(profile) => self.store.family_of(profile.id, merges).await?,
            None => Family::of_nobody(merges),
        };
        for mut merge in family.merges {
            let is_gone = |id| family.members.contains(&id);
            let elsewhere = family.elsewhere.get(&merge.absorbed);
            let elsewhere = elsewhere.filter(|_| merge.undone.is_none());
            if is_gone(merge.absorbed) || (is_gone(merge.survivor) && elsewhere.is_none()) {
                found.traces.merges.push(merge.id);
                continue;
            }
            // Of whom a cut took along, this tells alone whose id leads there.
            if is_gone(merge.survivor)
                && let Some(elsewhere) = elsewhere
            {
                merge.survivor = *elsewhere;
            }
            merge.cookies.retain(|cookie| !person.has_cookie(cookie));
            merge.emails.retain(|email| !person.emails.contains(email));
            found.traces.merges_kept.push(merge);
        }
        let own = person.profile.as_ref().map(|profile| profile.id);
        found.absorbed = (family.members.into_iter().filter(|id| Some(*id) != own)).collect();
        let mut others: BTreeSet<Email> = person.others_of().cloned().collect();
        let mut rememberers: BTreeSet<Cookie> = BTreeSet::new();
        let decisions = self.store.decisions(&decisions).await?;
        let conflicts = self.store.conflicts_with(&conflicts).await?;
        let judged = decisions.iter().flat_map(|stored| &stored.decision.links);
        let refused = conflicts
            .iter()
            .filter_map(|stored| stored.conflict.refused.link());
        let links = (judged.map(|(cookie, email)| (cookie, email)))
            .chain(refused)
            .chain(found.edges.iter().map(|(cookie, email)| (cookie, email)));
        for (cookie, email) in links {
            if person.emails.contains(email) && !person.has_cookie(cookie) {
                rememberers.insert(cookie.clone());
            }
            if person.has_cookie(cookie) && !person.emails.contains(email) {
                others.insert(email.clone());
            }
        }
        found.traces.conflicts = conflicts.into_iter().map(|stored| stored.id).collect();
        for mut stored in decisions {
            let is_of_others = |(cookie, email): &(Cookie, Email)| {
                !person.has_cookie(cookie) && !person.emails.contains(email)
            };
            stored.decision.links.retain(is_of_others);
            if stored.decision.links.is_empty() {
                found.traces.decisions.push(stored.id);
            } else {
                found.traces.decisions_kept.push(stored);
            }
        }
        if !rememberers.is_empty() {
            let asked = rememberers.iter().collect();
            found.graph = self.store.touched(&asked, &BTreeSet::new()).await?;
        }
        for mut sighting in self.store.email_sightings(others.iter(), LAST_BLOCK).await? {
            let before = sighting.rows.len();
            let theirs = sighting
                .rows
                .iter()
                .filter(|(_, cookie)| person.has_cookie(cookie));
            let block = sighting.block;
            found
                .rows
                .extend(theirs.map(|(row, _)| RawId { block, row: *row }));
            sighting.rows.retain(|(_, cookie)| !person.has_cookie(cookie));
            if sighting.rows.len() < before {
                found.traces.email_sightings.push(sighting);
            }
        }
        Ok(())
    }

    fn removal(
        &self,
        order: &Order,
        person: &Person,
        found: &Found,
        queued: Vec<Ulid>,
        now: Timestamp,
    ) -> Removal {
        let id = Ulid::new();
        let profile = person.profile.as_ref();
        let profiles: BTreeSet<ProfileId> = (profile.map(|profile| profile.id).into_iter())
            .chain(found.absorbed.iter().copied())
            .collect();
        let traces = &found.traces;
        let judgements = traces.merges.len() + traces.decisions.len();
        let known = person.cookies.values().flatten().count();
        let erased = Erased {
            cookies: known as u64,
            emails: profile.map_or(0, |_| person.emails.len()) as u64,
            links: found.edges.len() as u64,
            profiles: profiles.len() as u64,
            judgements: judgements as u64,
            conflicts: traces.conflicts.len() as u64,
            cohorts: profile.map_or(0, |profile| profile.memberships.len()) as u64,
            ..Erased::default()
        };
        let cookies = person
            .cookies
            .keys()
            .map(|cookie| (IdentifierKind::Cookie, cookie.as_str()));
        let emails = person
            .emails
            .iter()
            .map(|email| (IdentifierKind::Email, email.as_str()));
        let suppression = |(kind, value)| Suppression {
            pseudonym: self.suppressed.pseudonym(kind, value),
            kind,
            reason: order.reason.clone(),
            by: order.by.clone(),
            at: now,
            erasure: Some(id),
        };
        Removal {
            suppressions: if order.if_idle_since.is_none() {
                cookies.chain(emails).map(suppression).collect()
            } else {
                Vec::new()
            },
            erasure: Erasure {
                id,
                reason: order.reason.clone(),
                by: order.by.clone(),
                profile: profile.map(|profile| profile.id),
                erased,
                search: Some(Search {
                    cookies: person.cookies.keys().cloned().collect(),
                    emails: person.emails.iter().cloned().collect(),
                    profiles,
                    rows: found.rows.clone(),
                    queued,
                    step: Step::Rows,
                    position: None,
                    is_thorough: order.if_idle_since.is_none(),
                }),
                at: now,
                updated_at: now,
                finished_at: None,
            },
            profile: profile.map(|profile| (profile.id, profile.rev)),
            edges: found.edges.clone(),
            traces: traces.clone(),
        }
    }
}

fn rows_of(sighting: &EmailSighting) -> impl Iterator<Item = RawId> {
    let block = sighting.block;
    sighting
        .rows
        .iter()
        .map(move |(row, _)| RawId { block, row: *row })
}

/// The cookies of others without any memory of these addresses; and whose they are, with the next
/// revision, so that nobody else decides about them on what they remembered.
fn forgetting(graph: &Subgraph, emails: &BTreeSet<Email>) -> Plan {
    let mut plan = Plan::default();
    for (cookie, node) in &graph.cookies {
        let mut record = node.clone();
        for email in emails {
            record.logins.remove(email);
            record.cuts.remove(email);
            record.facet.emails.remove(email);
        }
        if record == *node {
            continue;
        }
        if let Some(owner) = graph.profiles.get(&node.profile) {
            let write = Write {
                new: false,
                record: Profile {
                    rev: owner.rev + 1,
                    ..owner.clone()
                },
            };
            plan.profiles.insert(owner.id, write);
        }
        plan.cookies.insert(cookie.clone(), Write { new: false, record });
    }
    plan
}

/// Somebody leaves every cohort, and is counted no more.
fn leave(profile: &Profile, commit: &mut Commit) {
    let left = profile.memberships.iter().map(|membership| Transition {
        cohort: membership.cohort.clone(),
        profile: profile.id,
        entered: false,
        why: None,
    });
    for transition in left {
        let counts = Counts {
            left: 1,
            ..Counts::default()
        };
        commit
            .tally
            .add(Subject::Cohort(transition.cohort.clone()), counts);
        commit.transitions.push(transition);
    }
    if let Some(before) = profile.due {
        commit.dues.push(Due {
            profile: profile.id,
            before: Some(before),
            after: None,
        });
    }
    let counts = Counts {
        people: -1,
        ..Counts::default()
    };
    commit.tally.add(Subject::People, counts);
    for source in &profile.facet.sources {
        commit.tally.add(Subject::Source(source.clone()), counts);
    }
}
