//! Puts right what follows from something else, in transactions of bounded size.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::Utc;
use roaring::RoaringBitmap;
use ulid::Ulid;

use super::walk::{Walk, adopt, with_unlisted};
use crate::domain::Timestamp;
use crate::domain::cohort::CohortSlug;
use crate::domain::fault::{Fault, Identifier, Subject};
use crate::domain::graph::{CookieNode, Edge, Plan, Redirect, Whole, Write};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::{InterestKey, Score};
use crate::domain::policy::Policy;
use crate::domain::profile::{Profile, ProfileId};
use crate::domain::record::RawId;
use crate::identity::checkup::{self, Doubt, End};
use crate::identity::survivorship::primary_email;
use crate::ingest::normalise::stored;
use crate::pipeline::catalogue::Catalogue;
use crate::segmentation::{Segments, segment};
use crate::store::commit::Commit;
use crate::store::raw::StoredRow;
use crate::store::{Store, StoreError};

/// How many identifiers, or people, one transaction mends.
const MENDED_AT_ONCE: usize = 200;

/// How many rows of a cookie are read to find the one that ties it to an address.
const ROWS_READ_MAX: usize = 1_000;

/// Mends what one walk found.
pub struct Mender<'a> {
    store: &'a Store,
    walk: &'a Walk<'a>,
    living: RoaringBitmap,
    catalogue: Catalogue,
    now: Timestamp,
}

/// Identifiers in doubt, each with the profiles that claim it.
type Doubts = BTreeMap<Identifier, BTreeSet<ProfileId>>;

/// One transaction's worth of people, and whose each of the identifiers in doubt shall be.
#[derive(Default)]
struct Case {
    /// The identifiers in doubt that are there.
    nodes: Whole,
    /// Who is touched, as they stand.
    people: BTreeMap<ProfileId, Profile>,
    owners: BTreeMap<Identifier, ProfileId>,
    /// Owners who don't live yet.
    founded: BTreeSet<ProfileId>,
}

impl<'a> Mender<'a> {
    /// Knows what the walk knows.
    pub async fn new(store: &'a Store, walk: &'a Walk<'a>) -> Result<Self, StoreError> {
        Ok(Self {
            store,
            walk,
            living: walk.living.clone(),
            catalogue: Catalogue::of_stored(&store.definitions().await?),
            now: stored(Utc::now()),
        })
    }

    /// Leads every identifier to a profile that claims it, and folds each such profile from its
    /// identifiers. Tells whether there was anything to do.
    pub async fn mend_people(&mut self) -> Result<bool, StoreError> {
        let (mut doubts, mut sick) = (Doubts::new(), BTreeSet::new());
        for finding in &self.walk.report.findings {
            match (finding.fault, &finding.subject) {
                (
                    Fault::IdentifierGone | Fault::IdentifierElsewhere,
                    Subject::Identifier(identifier, claimant),
                ) => drop(doubts.entry(identifier.clone()).or_default().insert(*claimant)),
                (
                    Fault::IdentifierUnclaimed | Fault::IdentifierOwnerless,
                    Subject::Identifier(identifier, _),
                ) => drop(doubts.entry(identifier.clone()).or_default()),
                (Fault::ProfileStale | Fault::ProfileEmpty, Subject::Profile(id)) => {
                    sick.insert(*id);
                }
                _ => {}
            }
        }
        let doubts: Vec<_> = doubts.into_iter().collect();
        for some in doubts.chunks(MENDED_AT_ONCE) {
            let case = self.case_of(some.iter().cloned().collect()).await?;
            self.settle(case).await?;
        }
        let sick: Vec<_> = sick.into_iter().collect();
        for some in sick.chunks(MENDED_AT_ONCE) {
            let case = Case {
                people: self.standing(some.iter().copied().collect()).await?,
                ..Case::default()
            };
            self.settle(case).await?;
        }
        Ok(!(doubts.is_empty() && sick.is_empty()))
    }

    /// A redirect that leads nowhere leads again to whoever absorbed its profile.
    async fn mend_redirect(&self, id: ProfileId) -> Result<(), StoreError> {
        let Some(rev) = self.store.rev_of(id).await? else {
            return Ok(());
        };
        let merges = self.store.merges_absorbing(id).await?;
        let standing = merges.iter().rev().filter(|merge| merge.undone.is_none());
        let survivors = standing.filter_map(|merge| self.living_end(merge.survivor));
        match { survivors }.next() {
            Some(survivor) => self.redirect(id, rev, survivor).await,
            None => Ok(()),
        }
    }

    /// Makes an id whose record has a revision a redirect.
    async fn redirect(&self, id: ProfileId, rev: u32, to: ProfileId) -> Result<(), StoreError> {
        let rev = rev + 1;
        let plan = Plan {
            redirects: vec![Redirect { id, rev, to }],
            ..Plan::default()
        };
        let commit = Commit {
            plan: Arc::new(plan),
            at: self.now,
            ..Commit::default()
        };
        self.store.commit(commit).await.map(drop)
    }

    /// Redirects, edges, members and the counter, by what people are now.
    pub async fn mend_records(&mut self) -> Result<(), StoreError> {
        let (mut ties, mut stray_edges) = (Vec::new(), Vec::new());
        let (mut missing, mut stray) = (BTreeSet::new(), Vec::new());
        for finding in &self.walk.report.findings {
            match (finding.fault, &finding.subject) {
                (Fault::EdgeMissing, Subject::Link(cookie, email)) => {
                    ties.push((cookie.clone(), email.clone()));
                }
                (Fault::EdgeStray, Subject::Link(cookie, email)) => {
                    stray_edges.push((cookie.clone(), email.clone()));
                }
                (Fault::MemberMissing, Subject::Member(_, profile)) => drop(missing.insert(*profile)),
                (Fault::MemberStray, Subject::Member(cohort, profile)) => {
                    stray.push((cohort.clone(), *profile));
                }
                (Fault::RedirectLost, Subject::Profile(id)) => self.mend_redirect(*id).await?,
                (Fault::CounterLow, Subject::Profile(last)) => {
                    self.store.raise_counter(last.0.saturating_add(1)).await?;
                }
                _ => {}
            }
        }
        self.store.drop_edges(&stray_edges).await?;
        self.store.drop_members(&stray).await?;
        let missing: Vec<ProfileId> = missing.into_iter().collect();
        for some in missing.chunks(MENDED_AT_ONCE) {
            let profiles = self.store.profiles(some).await?;
            let members: Vec<(CohortSlug, ProfileId, Timestamp)> = (profiles.iter())
                .flat_map(|profile| {
                    let member =
                        |one: &crate::domain::cohort::Membership| (one.cohort.clone(), profile.id, one.since);
                    profile.memberships.iter().map(member)
                })
                .collect();
            self.store.add_members(&members).await?;
        }
        for some in ties.chunks(MENDED_AT_ONCE) {
            let cookies = some.iter().map(|(cookie, _)| cookie);
            let nodes = self.store.nodes(cookies, std::iter::empty()).await?;
            self.add_edges(&nodes.whole.cookies).await?;
        }
        Ok(())
    }

    async fn standing(&self, ids: BTreeSet<ProfileId>) -> Result<BTreeMap<ProfileId, Profile>, StoreError> {
        let stretch = self.store.standing(&ids).await?;
        Ok(stretch
            .profiles
            .into_iter()
            .map(|profile| (profile.id, profile))
            .collect())
    }

    fn end_of(&self, id: ProfileId) -> End {
        checkup::end_of(id, |id| self.living.contains(id.0), &self.walk.redirects)
    }

    fn living_end(&self, id: ProfileId) -> Option<ProfileId> {
        match self.end_of(id) {
            End::Living(id) => Some(id),
            End::Nothing(_) | End::Circle(_) => None,
        }
    }

    /// Reads what a decision rests on, and decides whose each identifier is.
    async fn case_of(&self, doubts: Doubts) -> Result<Case, StoreError> {
        let (cookies, emails) = split(doubts.keys());
        let nodes = self.store.nodes(cookies.into_iter(), emails.into_iter()).await?;
        let mut case = Case {
            nodes: nodes.whole,
            ..Case::default()
        };
        let tied: BTreeSet<&Email> = (case.nodes.cookies.values())
            .flat_map(CookieNode::ties)
            .filter(|email| !case.nodes.emails.contains_key(*email))
            .collect();
        let tied = self.store.nodes(std::iter::empty(), tied.into_iter()).await?;
        // Addresses first: a cookie goes where the address is that it is tied to.
        for (identifier, claimed_by) in doubts.iter().rev() {
            if nodes.unreadable.contains(&identifier.to_string()) {
                continue;
            }
            let leads_to = case.led_to(identifier);
            let doubt = Doubt {
                leads_to: leads_to.and_then(|id| self.living_end(id)),
                claimed_by: claimed_by.clone(),
                tied_to: case.tied_to(identifier, |email| {
                    let node = tied.whole.emails.get(email)?;
                    self.living_end(node.profile)
                }),
            };
            let owner = match (doubt.owner(), leads_to.map(|id| self.end_of(id))) {
                (Some(owner), _) => owner,
                (None, Some(End::Nothing(id) | End::Circle(id) | End::Living(id))) => {
                    case.founded.insert(id);
                    id
                }
                (None, None) => continue,
            };
            case.owners.insert(identifier.clone(), owner);
        }
        let touched = doubts.values().flatten().chain(case.owners.values()).copied();
        let before = doubts.keys().filter_map(|identifier| case.led_to(identifier));
        case.people = self.standing(touched.chain(before).collect()).await?;
        Ok(case)
    }

    /// Writes one transaction's worth of people.
    async fn settle(&mut self, mut case: Case) -> Result<(), StoreError> {
        let mut plan = Plan::default();
        let mut wholes = self.wholes(&case).await?;
        self.recall(&mut case, &mut wholes, &mut plan).await?;
        case.lead(&mut plan);
        let mut empty = Vec::new();
        for (id, profile) in &case.people {
            let mut whole = wholes.remove(id).unwrap_or_default();
            if let Some((email, record)) = checkup::kept_of_the_lost(profile, &whole) {
                whole.emails.insert(email.clone(), record.clone());
                let new = plan.emails.contains_key(&email);
                plan.emails.insert(email, Write { new, record });
            }
            match checkup::refolded(profile, &whole, self.now) {
                Some(record) if is_news(profile, &record) => {
                    let record = self.segmented(record, Some(profile)).await?;
                    plan.profiles.insert(*id, Write { new: false, record });
                }
                Some(_) => {}
                None => empty.push(profile),
            }
        }
        for id in &case.founded {
            let whole = wholes.remove(id).unwrap_or_default();
            let rev = self.store.rev_of(*id).await?;
            if let Some(record) = checkup::founded(*id, rev, &whole, self.now) {
                let record = self.segmented(record, None).await?;
                let new = rev.is_none();
                plan.profiles.insert(*id, Write { new, record });
            }
        }
        let commit = Commit {
            plan: Arc::new(plan),
            at: self.now,
            ..Commit::default()
        };
        self.store.commit(commit).await?;
        self.living.extend(case.founded.iter().map(|id| id.0));
        for profile in empty {
            self.bury(profile).await?;
        }
        self.add_edges(&case.nodes.cookies).await
    }

    /// All identifiers of those in the case, as they shall be.
    async fn wholes(&self, case: &Case) -> Result<BTreeMap<ProfileId, Whole>, StoreError> {
        let claims: Vec<Identifier> = case.people.values().flat_map(checkup::claims).collect();
        let (cookies, emails) = split(claims.iter());
        let nodes = self.store.nodes(cookies.into_iter(), emails.into_iter()).await?;
        let mut wholes: BTreeMap<ProfileId, Whole> = BTreeMap::new();
        for (id, profile) in &case.people {
            let mut whole = with_unlisted(self.store, profile, Whole::default()).await?;
            for claim in checkup::claims(profile) {
                adopt(&mut whole, &claim, &nodes.whole);
            }
            let is_own = |identifier: Identifier, leads_to: ProfileId| {
                case.owners.get(&identifier).copied().unwrap_or(leads_to) == *id
            };
            whole
                .cookies
                .retain(|cookie, node| is_own(Identifier::Cookie(cookie.clone()), node.profile));
            whole
                .emails
                .retain(|email, node| is_own(Identifier::Email(email.clone()), node.profile));
            wholes.insert(*id, whole);
        }
        for (identifier, owner) in &case.owners {
            adopt(wholes.entry(*owner).or_default(), identifier, &case.nodes);
        }
        Ok(wholes)
    }

    /// Makes the identifiers anew that are gone, from what the profiles remember.
    async fn recall(
        &self,
        case: &mut Case,
        wholes: &mut BTreeMap<ProfileId, Whole>,
        plan: &mut Plan,
    ) -> Result<(), StoreError> {
        for (identifier, owner) in &case.owners {
            let Some(profile) = case.people.get(owner) else {
                continue;
            };
            let whole = wholes.entry(*owner).or_default();
            match identifier {
                Identifier::Cookie(cookie) if !case.nodes.cookies.contains_key(cookie) => {
                    let texts = self.rows_of(cookie).await?;
                    let is_named =
                        |email: &Email| texts.iter().any(|(_, text)| text.contains(email.as_str()));
                    let Some(node) = checkup::recalled_cookie(profile, cookie, is_named) else {
                        continue;
                    };
                    whole.cookies.insert(cookie.clone(), node.clone());
                    case.nodes.cookies.insert(cookie.clone(), node.clone());
                    let (new, record) = (true, node);
                    plan.cookies.insert(cookie.clone(), Write { new, record });
                }
                Identifier::Email(email) if !case.nodes.emails.contains_key(email) => {
                    let is_tied = checkup::ties(whole).any(|(_, tied)| tied == email);
                    let Some(node) = checkup::recalled_email(profile, email, is_tied) else {
                        continue;
                    };
                    whole.emails.insert(email.clone(), node.clone());
                    let (new, record) = (true, node);
                    plan.emails.insert(email.clone(), Write { new, record });
                }
                Identifier::Cookie(_) | Identifier::Email(_) => {}
            }
        }
        Ok(())
    }

    /// Where a profile's identifiers are all with others, its id leads to one of these.
    async fn bury(&self, profile: &Profile) -> Result<(), StoreError> {
        let claims: Vec<Identifier> = checkup::claims(profile).collect();
        let (cookies, emails) = split(claims.iter());
        let nodes = self.store.nodes(cookies.into_iter(), emails.into_iter()).await?;
        let of_emails = nodes.whole.emails.values().map(|node| node.profile);
        let of_cookies = nodes.whole.cookies.values().map(|node| node.profile);
        let heir = (of_emails.chain(of_cookies)).find(|id| *id != profile.id && self.living.contains(id.0));
        match heir {
            Some(heir) => self.redirect(profile.id, profile.rev, heir).await,
            None => Ok(()),
        }
    }

    /// The memberships of a profile that was folded anew. Those of one that says what it said
    /// stay, and so do those that can't be told anew, since the model does not run here.
    async fn segmented(&self, profile: Profile, before: Option<&Profile>) -> Result<Profile, StoreError> {
        if before.is_some_and(|before| before.facet == profile.facet) {
            return Ok(profile);
        }
        let keys: Vec<InterestKey> = profile.facet.interests.keys().cloned().collect();
        let found = self.store.interests(&keys).await?;
        let scores: HashMap<InterestKey, Arc<[Score]>> =
            found.into_iter().map(|one| (one.key, one.scores)).collect();
        if before.is_some() && keys.iter().any(|key| !scores.contains_key(key)) {
            return Ok(profile);
        }
        let scores_of = |key: &InterestKey| scores.get(key).cloned();
        let segments = Segments {
            cohorts: self.catalogue.cohorts(),
            rules: self.catalogue.rules(),
            scores: &scores_of,
        };
        let email = primary_email(&profile).map(Email::as_str);
        let memberships = segment(&profile, email, &profile.memberships, &segments, self.now).memberships;
        Ok(Profile {
            memberships,
            ..profile
        })
    }

    /// Adds the edges of ties that have none, each with the first row that names both.
    async fn add_edges(&self, cookies: &BTreeMap<Cookie, CookieNode>) -> Result<(), StoreError> {
        let ties =
            || (cookies.iter()).flat_map(|(cookie, node)| node.ties().map(move |email| (cookie, email)));
        let known = self.store.edges_of(ties()).await?;
        let mut new = Vec::new();
        for (cookie, node) in cookies {
            let is_missing = |email: &&Email| !known.contains(&(cookie.clone(), (*email).clone()));
            let missing: Vec<&Email> = node.ties().filter(is_missing).collect();
            if missing.is_empty() {
                continue;
            }
            let rows = self.rows_of(cookie).await?;
            for email in missing {
                let proof = rows.iter().find(|(_, text)| text.contains(email.as_str()));
                new.extend(proof.map(|(raw, _)| edge(cookie, node, email, *raw)));
            }
        }
        self.store.add_edges(&new).await
    }

    /// The rows that were seen under a cookie, in lower case, as addresses are. A cookie whose
    /// record was lost knows of none, and is looked for in all that was ever received.
    async fn rows_of(&self, cookie: &Cookie) -> Result<Vec<(RawId, String)>, StoreError> {
        let last = Ulid::from_bytes([u8::MAX; 16]);
        let sightings = self.store.sightings(std::iter::once(cookie), last).await?;
        let addresses: Vec<RawId> = (sightings.into_iter())
            .flat_map(|seen| seen.rows)
            .take(ROWS_READ_MAX)
            .collect();
        let rows = if addresses.is_empty() {
            self.store.raw_rows_naming(cookie.as_str(), ROWS_READ_MAX).await?
        } else {
            self.store.raw_rows(&addresses).await?
        };
        let text = |(raw, stored): (RawId, StoredRow)| (raw, stored.row.verbatim.to_lowercase());
        Ok(rows.into_iter().map(text).collect())
    }
}

impl Case {
    fn led_to(&self, identifier: &Identifier) -> Option<ProfileId> {
        match identifier {
            Identifier::Cookie(cookie) => self.nodes.cookies.get(cookie).map(|node| node.profile),
            Identifier::Email(email) => self.nodes.emails.get(email).map(|node| node.profile),
        }
    }

    /// The owner of the first address that a cookie is tied to; `elsewhere` knows those that
    /// are in no doubt.
    fn tied_to(
        &self,
        identifier: &Identifier,
        elsewhere: impl Fn(&Email) -> Option<ProfileId>,
    ) -> Option<ProfileId> {
        let Identifier::Cookie(cookie) = identifier else {
            return None;
        };
        let mut ties = self.nodes.cookies.get(cookie)?.ties();
        ties.find_map(|email| {
            let decided = self.owners.get(&Identifier::Email(email.clone())).copied();
            decided.or_else(|| elsewhere(email))
        })
    }

    /// Plans the links that change.
    fn lead(&self, plan: &mut Plan) {
        for (identifier, owner) in &self.owners {
            let is_new = match identifier {
                Identifier::Cookie(cookie) => plan.cookies.contains_key(cookie),
                Identifier::Email(email) => plan.emails.contains_key(email),
            };
            if is_new || self.led_to(identifier).is_none_or(|id| id == *owner) {
                continue;
            }
            match identifier {
                Identifier::Cookie(cookie) => drop(plan.moved_cookies.insert(cookie.clone(), *owner)),
                Identifier::Email(email) => drop(plan.moved_emails.insert(email.clone(), *owner)),
            }
        }
    }
}

fn split<'i>(identifiers: impl Iterator<Item = &'i Identifier>) -> (Vec<&'i Cookie>, Vec<&'i Email>) {
    let (mut cookies, mut emails) = (Vec::new(), Vec::new());
    for identifier in identifiers {
        match identifier {
            Identifier::Cookie(cookie) => cookies.push(cookie),
            Identifier::Email(email) => emails.push(email),
        }
    }
    (cookies, emails)
}

fn is_news(before: &Profile, after: &Profile) -> bool {
    (&before.facet, &before.cookies) != (&after.facet, &after.cookies)
}

fn edge(cookie: &Cookie, node: &CookieNode, email: &Email, raw: RawId) -> Edge {
    let tied = node.facet.emails.get(email);
    let login = node.logins.iter().find(|(known, _)| *known == email);
    Edge {
        cookie: cookie.clone(),
        email: email.clone(),
        raw,
        at: tied
            .map(|seen| seen.first)
            .or_else(|| login.map(|(_, at)| at))
            .unwrap_or(node.facet.seen.first),
        policy: if tied.is_some() {
            Policy::Union
        } else {
            Policy::EmailIsPerson
        },
    }
}
