//! One walk over everything that is stored. What it holds on to grows with the people by a
//! few dozen bytes each: whose ids live, and which identifiers were found in order.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use roaring::RoaringBitmap;
use ulid::Ulid;

use super::{Listener, Progress, Report};
use crate::domain::cohort::CohortSlug;
use crate::domain::facet::Statements;
use crate::domain::fault::{Fault, Finding, Identifier, Subject};
use crate::domain::graph::{Edge, Whole};
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;
use crate::identity::checkup::{self, End};
use crate::store::survey::{Named, Nodes, Stretch, Window};
use crate::store::{Store, StoreError};

/// How many profile ids one window spans.
const IDS_AT_ONCE: u32 = 1_000;

/// One in so many identifiers becomes a boundary between windows.
const MARK_EVERY: u64 = 512;

/// How many merges are read at once.
const MERGES_AT_ONCE: u64 = 2_000;

/// What was read, and what is wrong with it.
pub struct Walk<'a> {
    store: &'a Store,
    listener: Listener<'a>,
    cohorts: BTreeSet<CohortSlug>,
    pub living: RoaringBitmap,
    pub redirects: BTreeMap<ProfileId, ProfileId>,
    /// Hashes of the identifiers that lead to who claims them.
    in_order: HashSet<u64>,
    /// Where windows over cookies and over addresses begin: a sample of those met, so that
    /// they are about as large wherever the keys crowd.
    cookie_marks: BTreeSet<String>,
    email_marks: BTreeSet<String>,
    /// How many rows the raw blocks have that were asked for; none for those that are gone.
    blocks: HashMap<Ulid, Option<u32>>,
    pub report: Report,
}

impl<'a> Walk<'a> {
    /// Walks.
    pub async fn over(store: &'a Store, listener: Listener<'a>) -> Result<Self, StoreError> {
        let cohorts = store.definitions().await?;
        let mut walk = Self {
            store,
            listener,
            cohorts: cohorts.iter().map(|cohort| cohort.slug().clone()).collect(),
            living: RoaringBitmap::new(),
            redirects: BTreeMap::new(),
            in_order: HashSet::new(),
            cookie_marks: BTreeSet::new(),
            email_marks: BTreeSet::new(),
            blocks: HashMap::new(),
            report: Report::default(),
        };
        walk.walk_profiles().await?;
        walk.walk_identifiers().await?;
        walk.walk_links().await?;
        walk.walk_history().await?;
        walk.report.profiles = walk.living.len();
        Ok(walk)
    }

    /// Where an id leads.
    pub fn end_of(&self, id: ProfileId) -> End {
        checkup::end_of(id, |id| self.living.contains(id.0), &self.redirects)
    }

    fn note(&mut self, fault: Fault, subject: Subject) {
        self.report.note(Finding { fault, subject });
    }

    fn tell(&self, doing: &'static str, done: usize, of: usize) {
        (self.listener)(Progress {
            doing,
            done: done as u64,
            of: of as u64,
        });
    }

    async fn walk_profiles(&mut self) -> Result<(), StoreError> {
        let reserved = self.store.next_profile_ordinal().await?;
        let last = self.store.last_profile_from(reserved).await?;
        if let Some(last) = last {
            self.note(Fault::CounterLow, Subject::Profile(last));
        }
        let end = last.map_or(reserved, |last| last.0.saturating_add(1));
        for from in (0..end).step_by(IDS_AT_ONCE as usize) {
            let to = from.saturating_add(IDS_AT_ONCE).min(end);
            let stretch = self.store.stretch(from..to).await?;
            self.check_people(&stretch).await?;
            self.check_members(&stretch, from..to).await?;
            self.redirects.extend(stretch.redirects);
            self.tell("profiles", to as usize, end as usize);
        }
        self.check_strange_members(end).await?;
        for id in self.redirects.keys().copied().collect::<Vec<_>>() {
            if !matches!(self.end_of(id), End::Living(_)) {
                self.note(Fault::RedirectLost, Subject::Profile(id));
            }
        }
        Ok(())
    }

    async fn check_people(&mut self, stretch: &Stretch) -> Result<(), StoreError> {
        for id in &stretch.unreadable {
            self.note(Fault::Unreadable, Subject::Profile(*id));
        }
        let profiles = &stretch.profiles;
        let cookies = profiles.iter().flat_map(|profile| profile.cookies.listed.keys());
        let emails = profiles.iter().flat_map(|profile| profile.facet.emails.keys());
        let nodes = self.store.nodes(cookies, emails).await?;
        let mut wholes = Vec::with_capacity(profiles.len());
        for profile in profiles {
            self.living.insert(profile.id.0);
            let whole = self.check_claims(profile, &nodes);
            wholes.push(with_unlisted(self.store, profile, whole).await?);
        }
        for (profile, whole) in profiles.iter().zip(&wholes) {
            for fault in checkup::faults(profile, whole) {
                self.note(fault, Subject::Profile(profile.id));
            }
            self.mark(whole);
        }
        self.check_ties(&wholes).await?;
        self.check_provenance(&wholes).await
    }

    /// The identifiers that a profile claims and that lead to it.
    fn check_claims(&mut self, profile: &Profile, nodes: &Nodes) -> Whole {
        let mut whole = Whole::default();
        for claim in checkup::claims(profile) {
            let leads_to = match &claim {
                Identifier::Cookie(cookie) => nodes.whole.cookies.get(cookie).map(|node| node.profile),
                Identifier::Email(email) => nodes.whole.emails.get(email).map(|node| node.profile),
            };
            let fault = match leads_to {
                Some(id) if id == profile.id => {
                    adopt(&mut whole, &claim, &nodes.whole);
                    continue;
                }
                Some(_) => Fault::IdentifierElsewhere,
                None if nodes.unreadable.contains(&claim.to_string()) => Fault::Unreadable,
                None => Fault::IdentifierGone,
            };
            self.note(fault, Subject::Identifier(claim, profile.id));
        }
        whole
    }

    fn mark(&mut self, whole: &Whole) {
        for cookie in whole.cookies.keys() {
            let hash = hash_of("cookie", cookie.as_str());
            self.in_order.insert(hash);
            if hash.is_multiple_of(MARK_EVERY) {
                self.cookie_marks.insert(cookie.as_str().to_owned());
            }
        }
        for email in whole.emails.keys() {
            let hash = hash_of("email", email.as_str());
            self.in_order.insert(hash);
            if hash.is_multiple_of(MARK_EVERY) {
                self.email_marks.insert(email.as_str().to_owned());
            }
        }
    }

    async fn check_ties(&mut self, wholes: &[Whole]) -> Result<(), StoreError> {
        let ties = || wholes.iter().flat_map(checkup::ties);
        let known = self.store.edges_of(ties()).await?;
        for (cookie, email) in ties() {
            let link = (cookie.clone(), email.clone());
            if !known.contains(&link) {
                self.note(Fault::EdgeMissing, Subject::Link(link.0, link.1));
            }
        }
        Ok(())
    }

    async fn check_provenance(&mut self, wholes: &[Whole]) -> Result<(), StoreError> {
        let mut named = Vec::new();
        for whole in wholes {
            let of_cookies = whole.cookies.values().map(|node| (node.profile, &node.facet));
            let of_emails =
                (whole.emails.values()).filter_map(|node| Some((node.profile, node.facet.as_ref()?)));
            for node in whole.cookies.values() {
                let trail = node.trail.iter();
                named.extend(trail.map(|(raw, _)| (raw, Subject::Profile(node.profile))));
            }
            for (id, facet) in of_cookies.chain(of_emails) {
                let stated = facet.attributes.values().flat_map(Statements::iter);
                named.extend(stated.map(|statement| (statement.raw, Subject::Profile(id))));
            }
        }
        self.check_raw(named).await
    }

    /// Whether the rows are there; those that are not are noted at their subjects, once each.
    async fn check_raw(&mut self, named: Vec<(RawId, Subject)>) -> Result<(), StoreError> {
        let unknown: BTreeSet<Ulid> = (named.iter())
            .map(|(raw, _)| raw.block)
            .filter(|block| !self.blocks.contains_key(block))
            .collect();
        if !unknown.is_empty() {
            let sizes = self.store.block_sizes(&unknown).await?;
            self.blocks
                .extend(unknown.into_iter().map(|id| (id, sizes.get(&id).copied())));
        }
        let mut told: Option<Subject> = None;
        for (raw, subject) in named {
            let size = self.blocks.get(&raw.block).copied().flatten();
            let is_there = size.is_some_and(|size| u32::from(raw.row) < size);
            if !is_there && told.as_ref() != Some(&subject) {
                told = Some(subject.clone());
                self.note(Fault::RawMissing, subject);
            }
        }
        Ok(())
    }

    async fn check_members(
        &mut self,
        stretch: &Stretch,
        ids: std::ops::Range<u32>,
    ) -> Result<(), StoreError> {
        let mut expected: BTreeMap<&CohortSlug, BTreeSet<ProfileId>> = BTreeMap::new();
        for profile in &stretch.profiles {
            for membership in &profile.memberships {
                expected.entry(&membership.cohort).or_default().insert(profile.id);
            }
        }
        let cohorts: BTreeSet<&CohortSlug> = self.cohorts.iter().chain(expected.keys().copied()).collect();
        let none = BTreeSet::new();
        let mut wrong = Vec::new();
        for cohort in cohorts {
            let listed = self.store.members_in(cohort, ids.clone()).await?;
            let members = expected.get(cohort).unwrap_or(&none);
            let missing = members.difference(&listed).map(|id| (Fault::MemberMissing, *id));
            let stray = listed.difference(members).map(|id| (Fault::MemberStray, *id));
            wrong.extend(
                missing
                    .chain(stray)
                    .map(|(fault, id)| (fault, cohort.clone(), id)),
            );
        }
        for (fault, cohort, id) in wrong {
            self.note(fault, Subject::Member(cohort, id));
        }
        Ok(())
    }

    /// Members of cohorts that are not defined, and those behind the last profile.
    async fn check_strange_members(&mut self, end: u32) -> Result<(), StoreError> {
        let mut wrong = self.store.members_outside(&self.cohorts).await?;
        // Nobody can be in a cohort that is not there, but for who says so: those were read.
        let claimed: Vec<_> = wrong.iter().map(|(_, id)| *id).collect();
        let profiles = self.store.profiles(&claimed).await?;
        wrong.retain(|(cohort, id)| {
            let says_so = |profile: &Arc<Profile>| {
                profile.id == *id && profile.memberships.iter().any(|one| one.cohort == *cohort)
            };
            !profiles.iter().any(says_so)
        });
        for cohort in &self.cohorts {
            let behind = self.store.members_in(cohort, end..u32::MAX).await?;
            wrong.extend(behind.into_iter().map(|id| (cohort.clone(), id)));
        }
        for (cohort, id) in wrong {
            self.note(Fault::MemberStray, Subject::Member(cohort, id));
        }
        Ok(())
    }

    async fn walk_identifiers(&mut self) -> Result<(), StoreError> {
        let windows = Window::between(&self.cookie_marks);
        for (done, window) in windows.iter().enumerate() {
            let found = self.store.cookies_in(window).await?;
            for (cookie, leads_to) in found {
                let is_in_order = self.in_order.contains(&hash_of("cookie", cookie.as_str()));
                self.check_link(Identifier::Cookie(cookie), leads_to, is_in_order);
            }
            self.tell("cookies", done + 1, windows.len());
        }
        let windows = Window::between(&self.email_marks);
        for (done, window) in windows.iter().enumerate() {
            let found = self.store.emails_in(window).await?;
            for (email, leads_to) in found {
                let is_in_order = self.in_order.contains(&hash_of("email", email.as_str()));
                self.check_link(Identifier::Email(email), leads_to, is_in_order);
            }
            self.tell("addresses", done + 1, windows.len());
        }
        Ok(())
    }

    fn check_link(&mut self, identifier: Identifier, leads_to: Option<ProfileId>, is_in_order: bool) {
        self.report.identifiers += 1;
        let fault = match leads_to {
            _ if is_in_order => return,
            None => {
                let text = match identifier {
                    Identifier::Cookie(_) => "a cookie without a link",
                    Identifier::Email(_) => "an address without a link",
                };
                return self.note(Fault::Unreadable, Subject::Record(text.to_owned()));
            }
            Some(id) if self.living.contains(id.0) => (Fault::IdentifierUnclaimed, id),
            Some(id) => (Fault::IdentifierOwnerless, id),
        };
        self.note(fault.0, Subject::Identifier(identifier, fault.1));
    }

    /// Edges and sightings, which lie by their cookies.
    async fn walk_links(&mut self) -> Result<(), StoreError> {
        let windows = Window::between(&self.cookie_marks);
        for (done, window) in windows.iter().enumerate() {
            let edges = self.store.edges_in(window).await?;
            self.report.edges += edges.len() as u64;
            self.check_edges(edges).await?;
            let sightings = self.store.sightings_in(window).await?;
            let rows = sightings.into_iter().flat_map(|sighting| sighting.rows);
            let named = rows.map(|raw| {
                let subject = Subject::Record(format!("a sighting in block {}", raw.block));
                (raw, subject)
            });
            self.check_raw(named.collect()).await?;
            self.tell("edges", done + 1, windows.len());
        }
        Ok(())
    }

    async fn check_edges(&mut self, edges: Vec<Edge>) -> Result<(), StoreError> {
        let is_known = |edge: &&Edge| {
            self.in_order.contains(&hash_of("cookie", edge.cookie.as_str()))
                && self.in_order.contains(&hash_of("email", edge.email.as_str()))
        };
        let doubtful: Vec<&Edge> = edges.iter().filter(|edge| !is_known(edge)).collect();
        let cookies = doubtful.iter().map(|edge| &edge.cookie);
        let emails = doubtful.iter().map(|edge| &edge.email);
        let ends = self.store.nodes(cookies, emails).await?;
        let stray: Vec<Edge> = (doubtful.into_iter())
            .filter(|edge| {
                !(ends.whole.cookies.contains_key(&edge.cookie)
                    && ends.whole.emails.contains_key(&edge.email))
            })
            .cloned()
            .collect();
        for edge in stray {
            self.note(Fault::EdgeStray, Subject::Link(edge.cookie, edge.email));
        }
        let rows = edges
            .into_iter()
            .map(|edge| (edge.raw, Subject::Edge(Box::new(edge))));
        self.check_raw(rows.collect()).await
    }

    async fn walk_history(&mut self) -> Result<(), StoreError> {
        // Halves until few enough are left; ids are ordered as the numbers that they are.
        let mut open = vec![(0_u128, u128::MAX)];
        while let Some((from, to)) = open.pop() {
            let window = Window {
                from: Some(Ulid(from).to_string()),
                to: (to < u128::MAX).then(|| Ulid(to).to_string()),
            };
            let count = self.store.count_merges(&window).await?;
            if count > MERGES_AT_ONCE && to - from > 1 {
                let middle = from + (to - from) / 2;
                open.extend([(from, middle), (middle, to)]);
            } else if count > 0 {
                let named = self.store.merges_named(&window).await?;
                self.check_named(named).await?;
            }
        }
        let named = self.store.decisions_named().await?;
        self.check_named(named).await?;
        // Their ids are hashes, so these stretches are alike.
        let marks: BTreeSet<String> = (1..=u8::MAX).map(|byte| format!("{byte:02x}")).collect();
        let windows = Window::between(&marks);
        for (done, window) in windows.iter().enumerate() {
            let named = self.store.conflicts_named(window).await?;
            self.check_named(named).await?;
            self.tell("history", done + 1, windows.len());
        }
        Ok(())
    }

    async fn check_named(&mut self, named: Vec<Named>) -> Result<(), StoreError> {
        let links = || named.iter().filter_map(|one| one.link.as_ref());
        let cookies = links().map(|(cookie, _)| cookie);
        let ends = self.store.nodes(cookies, links().map(|(_, email)| email)).await?;
        let mut rows = Vec::new();
        for one in named {
            let is_known = |id: &ProfileId| self.living.contains(id.0) || self.redirects.contains_key(id);
            let is_there = one.profiles.iter().all(is_known)
                && one.link.as_ref().is_none_or(|(cookie, email)| {
                    ends.whole.cookies.contains_key(cookie) && ends.whole.emails.contains_key(email)
                });
            let subject = Subject::Record(one.record);
            match one.raw.map(|raw| raw.parse()) {
                Some(Ok(raw)) => rows.push((raw, subject.clone())),
                Some(Err(_)) => self.note(Fault::RawMissing, subject.clone()),
                None => {}
            }
            if !is_there {
                self.note(Fault::SubjectMissing, subject);
            }
        }
        self.check_raw(rows).await
    }
}

/// Adds the cookies of a profile that has too many to list them.
pub async fn with_unlisted(store: &Store, profile: &Profile, mut whole: Whole) -> Result<Whole, StoreError> {
    if !profile.cookies.is_listed() {
        let found = store.whole(profile).await?;
        let own = found
            .cookies
            .into_iter()
            .filter(|(_, node)| node.profile == profile.id);
        whole.cookies.extend(own);
    }
    Ok(whole)
}

/// Takes one identifier over from others.
pub fn adopt(whole: &mut Whole, identifier: &Identifier, from: &Whole) {
    match identifier {
        Identifier::Cookie(cookie) => {
            let node = from.cookies.get(cookie).cloned();
            whole.cookies.extend(node.map(|node| (cookie.clone(), node)));
        }
        Identifier::Email(email) => {
            let node = from.emails.get(email).cloned();
            whole.emails.extend(node.map(|node| (email.clone(), node)));
        }
    }
}

fn hash_of(kind: &str, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, text).hash(&mut hasher);
    hasher.finish()
}
