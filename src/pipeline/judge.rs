//! What people decide by hand about who is who: a merge was wrong, a link was wrong, a
//! refused link was right. The writer carries it out like a chunk: read, plan, segment,
//! commit, and again on conflict.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;

use super::PipelineError;
use super::retry::Retry;
use super::writer::Writer;
use crate::domain::Timestamp;
use crate::domain::decision::{Decision, DecisionKind};
use crate::domain::fact::Fact;
use crate::domain::graph::{Cut, Plan, Subgraph, Whole};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::policy::{Caps, Rules};
use crate::domain::profile::{Profile, ProfileId};
use crate::identity::cut::{self, Order, Pair, Restored};
use crate::ingest::normalise::stored;
use crate::store::StoreError;
use crate::store::commit::Commit;
use crate::store::conflicts::StoredConflict;
use crate::store::decisions::StoredMerge;

/// What somebody decided.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// What.
    pub verdict: Verdict,
    /// Who.
    pub by: String,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Take a merge apart.
    Undo(StoredMerge),
    /// Cut the link between two identifiers of a person, or all links of one.
    Cut {
        /// Whose.
        profile: ProfileId,
        /// The cookie, or all that are linked to the address.
        cookie: Option<Cookie>,
        /// The address, or all that are linked to the cookie.
        email: Option<Email>,
    },
    /// Follow a link that was refused.
    Allow(StoredConflict),
    /// Keep a refused link's ends apart for good.
    KeepApart(StoredConflict),
}

/// What became of a judgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The profiles that it wrote, in order: the parts, or the person that came to be.
    pub profiles: Vec<ProfileId>,
    /// The links that it cut or made.
    pub links: Vec<Pair>,
}

/// Why a judgement does not fit what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// Nobody is there.
    #[error("nobody is known by this")]
    Nobody,
    /// There is no link to cut.
    #[error("these are not linked")]
    NotLinked,
    /// The merge has been undone.
    #[error("this merge has been undone")]
    Undone,
    /// Nothing of what was merged is there any more.
    #[error("nothing of what this merge brought is left to take apart")]
    NothingLeft,
    /// A cookie and an address that lead to different people.
    #[error("the cookie and the email are those of different people")]
    Different,
    /// Somebody who was to be idle was seen.
    #[error("this person was seen")]
    Seen,
    /// Not a link that was refused.
    #[error("a placeholder is refused by the settings, and not to be judged")]
    NoLink,
}

/// A judgement that is ready to be carried out.
struct Case {
    graph: Subgraph,
    plan: Plan,
    kind: DecisionKind,
    /// The links that are cut or made.
    links: Vec<Pair>,
    /// The merges that made the person, where they may be taken apart.
    merges: Vec<StoredMerge>,
}

impl Case {
    /// The merges that stand no more: what they absorbed is itself again.
    fn undone(&self) -> Vec<String> {
        let is_back = |merge: &&StoredMerge| {
            let id = &merge.absorbed;
            merge.undone.is_none()
                && self.plan.profiles.contains_key(id)
                && !self.graph.profiles.contains_key(id)
        };
        let back = self.merges.iter().filter(is_back);
        back.map(|merge| merge.id.clone()).collect()
    }

    /// The merges of those whose ids lead to others from now on, and to whom.
    fn moved(&self) -> Vec<(String, ProfileId)> {
        let standing = self.merges.iter().filter(|merge| merge.undone.is_none());
        let moved = |merge: &StoredMerge| {
            let mut redirects = self.plan.redirects.iter();
            let redirect = redirects.find(|redirect| redirect.id == merge.absorbed)?;
            Some((merge.id.clone(), redirect.to))
        };
        standing.filter_map(moved).collect()
    }
}

impl Writer {
    /// Carries out a judgement.
    pub(super) async fn judge(&mut self, judgement: &Judgement) -> Result<Judged, PipelineError> {
        let mut retry = Retry::default();
        loop {
            match self.attempt_judgement(judgement).await {
                Ok(judged) => return Ok(judged),
                Err(failure) => retry.after(failure).await?,
            }
        }
    }

    async fn attempt_judgement(&mut self, judgement: &Judgement) -> Result<Judged, PipelineError> {
        let now = stored(Utc::now());
        let case = match &judgement.verdict {
            Verdict::Undo(merge) => self.undo(merge, now).await?,
            Verdict::Cut {
                profile,
                cookie,
                email,
            } => self.cut(*profile, cookie.as_ref(), email.as_ref(), now).await?,
            Verdict::Allow(conflict) => self.allow(conflict, now).await?,
            Verdict::KeepApart(conflict) => self.keep_apart(conflict, now).await?,
        };
        let mut profiles: Vec<ProfileId> = case.plan.profiles.keys().copied().collect();
        if profiles.is_empty() {
            profiles = case.graph.profiles.keys().copied().collect();
        }
        let judged = Judged {
            profiles: profiles.clone(),
            links: case.links.clone(),
        };
        let kind = case.kind.name();
        let commit = Commit {
            undone_merges: case.undone(),
            moved_merges: case.moved(),
            decision: Some(Decision {
                kind: case.kind,
                profiles,
                links: case.links,
                by: judgement.by.clone(),
            }),
            ..Commit::default()
        };
        self.settle(&case.graph, case.plan, commit, now).await?;
        metrics::counter!("cdp_decisions_total", "kind" => kind).increment(1);
        Ok(judged)
    }

    async fn undo(&mut self, merge: &StoredMerge, now: Timestamp) -> Result<Case, PipelineError> {
        let mut redirects = self.store.redirects(std::iter::once(merge.absorbed)).await?;
        let redirect = redirects.remove(&merge.absorbed).ok_or(Objection::Undone)?;
        let profile = self
            .store
            .profile_by_id(redirect.to)
            .await?
            .ok_or(Objection::Nobody)?;
        let graph = self.whole_graph(Arc::clone(&profile)).await?;
        let Some(whole) = graph.whole.get(&profile.id) else {
            return Err(Objection::Nobody.into());
        };
        let is_here = |cookie: &&Cookie| whole.cookies.contains_key(*cookie);
        let cookies: BTreeSet<Cookie> = merge.cookies.iter().filter(is_here).cloned().collect();
        let is_here = |email: &&Email| whole.emails.contains_key(*email);
        let emails: BTreeSet<Email> = merge.emails.iter().filter(is_here).cloned().collect();
        if cookies.is_empty() && emails.is_empty() {
            return Err(Objection::NothingLeft.into());
        }
        let (merges, _) = self.store.merges_of(profile.id).await?;
        let later = self.later_than(merge, &merges, whole).await?;
        let (cookies, emails) = cut::side_of(whole, &cookies, &emails, |cookie, email| {
            later.contains(&(cookie.clone(), email.clone()))
        });
        let others = merges.iter().filter(|other| other.absorbed != merge.absorbed);
        let absorbed = self.absorbed(others).await?;
        let order = Order {
            pairs: cut::crossing(whole, &cookies, &emails),
            cut: Cut::Until(now),
            restored: Some(Restored {
                id: merge.absorbed,
                rev: redirect.rev,
                created_at: merge.absorbed_created_at.unwrap_or(merge.at),
                cookies,
                emails,
            }),
            absorbed,
        };
        if order.pairs.is_empty() {
            return Err(Objection::NothingLeft.into());
        }
        let kind = DecisionKind::Undo {
            merge: merge.id.clone(),
        };
        self.cut_case(graph, profile.id, &order, kind, merges, now).await
    }

    async fn cut(
        &mut self,
        profile: ProfileId,
        cookie: Option<&Cookie>,
        email: Option<&Email>,
        now: Timestamp,
    ) -> Result<Case, PipelineError> {
        let profile = self
            .store
            .profile_by_id(profile)
            .await?
            .ok_or(Objection::Nobody)?;
        let graph = self.whole_graph(Arc::clone(&profile)).await?;
        let links = graph
            .whole
            .get(&profile.id)
            .into_iter()
            .flat_map(cut::links_within);
        let pairs: BTreeSet<Pair> = links
            .filter(|(of, to)| cookie.is_none_or(|one| one == *of) && email.is_none_or(|one| one == *to))
            .map(|(of, to)| (of.clone(), to.clone()))
            .collect();
        if pairs.is_empty() {
            return Err(Objection::NotLinked.into());
        }
        let (merges, _) = self.store.merges_of(profile.id).await?;
        let order = Order {
            pairs,
            cut: Cut::Until(now),
            restored: None,
            absorbed: self.absorbed(merges.iter()).await?,
        };
        self.cut_case(graph, profile.id, &order, DecisionKind::Cut, merges, now)
            .await
    }

    async fn keep_apart(&mut self, conflict: &StoredConflict, now: Timestamp) -> Result<Case, PipelineError> {
        let (cookie, email) = conflict.conflict.refused.link().ok_or(Objection::NoLink)?;
        let profile = self
            .store
            .profile_by_cookie(cookie)
            .await?
            .ok_or(Objection::Nobody)?;
        let graph = self.whole_graph(Arc::clone(&profile)).await?;
        let (merges, _) = self.store.merges_of(profile.id).await?;
        let order = Order {
            pairs: BTreeSet::from([(cookie.clone(), email.clone())]),
            cut: Cut::ForGood,
            restored: None,
            absorbed: self.absorbed(merges.iter()).await?,
        };
        let kind = DecisionKind::KeepApart {
            conflict: conflict.id.clone(),
        };
        self.cut_case(graph, profile.id, &order, kind, merges, now).await
    }

    async fn allow(&mut self, conflict: &StoredConflict, now: Timestamp) -> Result<Case, PipelineError> {
        let (cookie, email) = conflict.conflict.refused.link().ok_or(Objection::NoLink)?;
        let (cookies, emails) = (BTreeSet::from([cookie]), BTreeSet::from([email]));
        let mut graph = self.store.touched(&cookies, &emails).await?;
        let node = graph.cookies.get_mut(cookie).ok_or(Objection::Nobody)?;
        node.cuts.remove(email);
        // The row that was refused ties the two; what it says was stored when it came.
        let fact = Fact {
            cookie: cookie.clone(),
            email: Some(email.clone()),
            at: conflict.conflict.at,
            source: conflict.conflict.source.clone(),
            raw: conflict.conflict.raw,
            message_id: None,
            attributes: BTreeMap::new(),
            interests: BTreeMap::new(),
            properties: BTreeMap::new(),
            consent: BTreeMap::new(),
        };
        let rules = Rules {
            policy: conflict.conflict.policy,
            sources: BTreeMap::new(),
            caps: Caps::NONE,
        };
        let plan = self.resolve(&mut graph, &[fact], &rules, now, true).await?;
        let plan = plan.unwrap_or_default();
        Ok(Case {
            graph,
            plan,
            kind: DecisionKind::Allow {
                conflict: conflict.id.clone(),
            },
            links: vec![(cookie.clone(), email.clone())],
            merges: Vec::new(),
        })
    }

    /// The links of a person that came after a merge: those that were stored later, and all of
    /// the profiles that were merged in later. Of the merge's own commit, all but the guilty one.
    async fn later_than(
        &self,
        merge: &StoredMerge,
        merges: &[StoredMerge],
        whole: &Whole,
    ) -> Result<BTreeSet<Pair>, StoreError> {
        let edges = self.store.dated_edges(whole.cookies.keys()).await?;
        let is_later = |other: &&StoredMerge| other.id != merge.id && other.at >= merge.at;
        let came_later: Vec<&StoredMerge> = merges.iter().filter(is_later).collect();
        let is_of_later = |cookie: &Cookie, email: &Email| {
            let brought =
                |other: &&StoredMerge| other.cookies.contains(cookie) && other.emails.contains(email);
            came_later.iter().any(brought)
        };
        let later = edges.into_iter().filter(|(edge, stored_at)| {
            let is_guilty = edge.raw == merge.raw;
            !is_guilty && (*stored_at >= merge.at || is_of_later(&edge.cookie, &edge.email))
        });
        Ok(later.map(|(edge, _)| (edge.cookie, edge.email)).collect())
    }

    /// What these merges absorbed, as far as they stand; what was absorbed last comes first.
    async fn absorbed<'m>(
        &self,
        merges: impl DoubleEndedIterator<Item = &'m StoredMerge>,
    ) -> Result<Vec<Restored>, StoreError> {
        let mut standing: Vec<&StoredMerge> = merges.rev().filter(|merge| merge.undone.is_none()).collect();
        let mut met = BTreeSet::new();
        standing.retain(|merge| met.insert(merge.absorbed));
        let redirects = self.store.redirects(met.into_iter()).await?;
        let restored = |merge: &StoredMerge| {
            Some(Restored {
                id: merge.absorbed,
                rev: redirects.get(&merge.absorbed)?.rev,
                created_at: merge.absorbed_created_at.unwrap_or(merge.at),
                cookies: merge.cookies.iter().cloned().collect(),
                emails: merge.emails.iter().cloned().collect(),
            })
        };
        Ok(standing.into_iter().filter_map(restored).collect())
    }

    async fn whole_graph(&self, profile: Arc<Profile>) -> Result<Subgraph, StoreError> {
        let mut graph = Subgraph::default();
        let whole = self.store.whole(&profile).await?;
        graph.whole.insert(profile.id, whole);
        graph.profiles.insert(profile.id, Arc::unwrap_or_clone(profile));
        Ok(graph)
    }

    /// Plans a cut, with whom cookies go back to read as well.
    async fn cut_case(
        &mut self,
        mut graph: Subgraph,
        person: ProfileId,
        order: &Order,
        kind: DecisionKind,
        merges: Vec<StoredMerge>,
        now: Timestamp,
    ) -> Result<Case, PipelineError> {
        let mut identifiers = 0;
        if let Some(whole) = graph.whole.get(&person) {
            identifiers = whole.cookies.len() + whole.emails.len();
            let fallbacks = cut::fallbacks(whole, &order.pairs);
            if !fallbacks.is_empty() {
                let asked = fallbacks.iter().collect();
                let others = self.store.touched(&BTreeSet::new(), &asked).await?;
                graph.emails.extend(others.emails);
                graph.profiles.extend(others.profiles);
            }
        }
        self.ids.reserve(&self.store, identifiers).await?;
        let plan = cut::cut(&graph, person, order, now, &mut || self.ids.take());
        Ok(Case {
            graph,
            plan,
            kind,
            links: order.pairs.iter().cloned().collect(),
            merges,
        })
    }
}
