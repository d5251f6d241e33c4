//! The third stage: a plan's profiles get their memberships, from what their interests mean.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::catalogue::Catalogue;
use super::retry::Retry;
use super::{PipelineError, timed};
use crate::classify::{Classifier, ClassifyError, Corrections, Reviewed};
use crate::domain::Timestamp;
use crate::domain::change::Transition;
use crate::domain::cohort::{CohortSlug, Membership, PastMembership};
use crate::domain::fact::Fact;
use crate::domain::graph::{Plan, Subgraph};
use crate::domain::identifier::Email;
use crate::domain::interest::{ClassifiedInterest, InterestKey, Score};
use crate::domain::profile::{PAST_MAX, Profile, ProfileId};
use crate::identity::survivorship::primary_email;
use crate::segmentation::membership::transitions;
use crate::segmentation::{Segments, segment};
use crate::store::Store;
use crate::store::commit::{Due, JudgedBy};

/// What interests mean: each classified once, kept in the store, hot ones in memory.
pub struct Scores {
    store: Store,
    classifier: Arc<Classifier>,
    // Replaced whole, and held for a clone only.
    catalogue: RwLock<Arc<Catalogue>>,
    /// How often corrections were changed until those that the classifier goes by; none where
    /// that is not known yet.
    corrections_rev: RwLock<Option<u64>>,
}

/// The scores of the interests that one commit needs.
type Known = HashMap<InterestKey, Arc<[Score]>>;

impl Scores {
    pub(super) fn new(store: Store, classifier: Arc<Classifier>, catalogue: Catalogue) -> Self {
        Self {
            store,
            classifier,
            catalogue: RwLock::new(Arc::new(catalogue)),
            corrections_rev: RwLock::default(),
        }
    }

    /// Which cohorts there are.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn replace_catalogue(&self, catalogue: Catalogue) {
        *self.catalogue.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalogue);
    }

    /// Goes by all the corrections that there are, as of a count of changes. Blocks.
    ///
    /// # Errors
    /// When the model fails.
    pub fn correct(&self, corrections: Corrections, rev: u64) -> Result<(), ClassifyError> {
        self.classifier.correct(corrections)?;
        *self
            .corrections_rev
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(rev);
        Ok(())
    }

    /// How often that had changed by which people are judged now.
    pub(super) fn judged_by(&self) -> JudgedBy {
        let corrections = self
            .corrections_rev
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        JudgedBy {
            catalogue: self.catalogue().rev(),
            corrections: *corrections,
        }
    }

    /// The classifier itself, for what is asked without being kept.
    #[must_use]
    pub const fn classifier(&self) -> &Arc<Classifier> {
        &self.classifier
    }

    /// Classifies those interests of the facts that nobody had before, and keeps the answers.
    ///
    /// # Errors
    /// When the model or the store fails.
    pub async fn classify_new(&self, facts: &[Fact]) -> Result<(), PipelineError> {
        let named: BTreeSet<&InterestKey> = facts.iter().flat_map(|fact| fact.interests.keys()).collect();
        let unknown = named
            .into_iter()
            .filter(|key| self.classifier.cached(key).is_none())
            .cloned()
            .collect();
        timed("classify", self.answers(unknown)).await.map(drop)
    }

    /// The answer for each interest: from the store, where cohorts changed since brought up to
    /// date from its embedding, else from the model. What is new is kept.
    async fn answers(&self, keys: Vec<InterestKey>) -> Result<Vec<ClassifiedInterest>, PipelineError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let Reviewed {
            current: mut answers,
            rescored: mut fresh,
            ..
        } = self.classifier.review(self.store.interests(&keys).await?);
        let known: BTreeSet<&InterestKey> = answers.iter().chain(&fresh).map(|answer| &answer.key).collect();
        let unknown: Vec<InterestKey> = keys.iter().filter(|key| !known.contains(key)).cloned().collect();
        if !unknown.is_empty() {
            fresh.extend(self.classifier.classify(&unknown).await?);
        }
        self.keep(&fresh).await?;
        answers.extend(fresh);
        for answer in &answers {
            self.classifier.remember(answer.clone());
        }
        Ok(answers)
    }

    /// Asks the model about interests that were classified before, by another model, and keeps
    /// the answers.
    ///
    /// # Errors
    /// When the model or the store fails.
    pub async fn classify_anew(&self, keys: &[InterestKey]) -> Result<(), PipelineError> {
        let fresh = self.classifier.classify(keys).await?;
        self.keep(&fresh).await
    }

    async fn keep(&self, answers: &[ClassifiedInterest]) -> Result<(), PipelineError> {
        let mut retry = Retry::default();
        while !answers.is_empty()
            && let Err(failure) = self.store.keep_interests(answers).await
        {
            retry.after(failure).await?;
        }
        Ok(())
    }

    /// The scores of every interest that a profile of the plan has. The facts' own are at hand.
    /// What another model said of older ones holds until a backfill has asked this one.
    pub(super) async fn of_plan(&self, plan: &Plan) -> Result<Known, PipelineError> {
        self.of_profiles(plan.profiles.values().map(|write| &write.record))
            .await
    }

    async fn of_profiles(&self, profiles: impl Iterator<Item = &Profile>) -> Result<Known, PipelineError> {
        let mut known = Known::new();
        let mut unknown = Vec::new();
        for key in profiles.flat_map(|profile| profile.facet.interests.keys()) {
            if known.contains_key(key) {
                continue;
            }
            match self.classifier.cached(key) {
                Some(answer) => drop(known.insert(key.clone(), answer.scores)),
                None => unknown.push(key.clone()),
            }
        }
        unknown.sort();
        unknown.dedup();
        let Reviewed {
            current,
            rescored,
            older,
        } = self.classifier.review(self.store.interests(&unknown).await?);
        self.keep(&rescored).await?;
        for answer in current.iter().chain(&rescored) {
            self.classifier.remember(answer.clone());
        }
        // Those that were brought up to date come last, and so stand for what they were.
        let answers = older.into_iter().chain(current).chain(rescored);
        known.extend(answers.map(|answer| (answer.key, answer.scores)));
        Ok(known)
    }

    /// Gives each profile of the plan its memberships, and tells who entered or left what, and
    /// whose due time changed.
    pub(super) fn segment(
        &self,
        plan: &mut Plan,
        graph: &Subgraph,
        known: &Known,
        now: Timestamp,
    ) -> (Vec<Transition>, Vec<Due>) {
        let scores_of = |key: &InterestKey| known.get(key).cloned();
        let catalogue = self.catalogue();
        let segments = Segments {
            cohorts: catalogue.cohorts(),
            rules: catalogue.rules(),
            scores: &scores_of,
        };
        let (mut changes, mut dues) = (Vec::new(), Vec::new());
        for (id, write) in &mut plan.profiles {
            let (before, due_before) = (write.record.memberships.clone(), write.record.due);
            place(&mut write.record, &segments, now);
            note(*id, &before, &write.record.memberships, &mut changes);
            if write.record.due != due_before {
                dues.push(Due {
                    profile: *id,
                    before: due_before,
                    after: write.record.due,
                });
            }
        }
        for merge in &plan.merges {
            let absorbed = graph.profiles.get(&merge.absorbed);
            let before = absorbed.map(|profile| profile.memberships.as_slice());
            note(merge.absorbed, before.unwrap_or_default(), &[], &mut changes);
            if let Some(before) = absorbed.and_then(|profile| profile.due) {
                dues.push(Due {
                    profile: merge.absorbed,
                    before: Some(before),
                    after: None,
                });
            }
        }
        (changes, dues)
    }

    /// Those of some people who would not be where they are, were they looked at now.
    ///
    /// # Errors
    /// When the model or the store fails.
    pub async fn outdated(
        self: &Arc<Self>,
        profiles: Vec<Profile>,
        now: Timestamp,
    ) -> Result<Vec<ProfileId>, PipelineError> {
        let known = self.of_profiles(profiles.iter()).await?;
        let scores = Arc::clone(self);
        // A page of people takes longer than other requests should wait for this thread.
        let judging = tokio::task::spawn_blocking(move || {
            let scores_of = |key: &InterestKey| known.get(key).cloned();
            let catalogue = scores.catalogue();
            let segments = Segments {
                cohorts: catalogue.cohorts(),
                rules: catalogue.rules(),
                scores: &scores_of,
            };
            let is_outdated = |profile: &&Profile| {
                let mut anew = (*profile).clone();
                place(&mut anew, &segments, now);
                (&anew.memberships, anew.due) != (&profile.memberships, profile.due)
            };
            profiles
                .iter()
                .filter(is_outdated)
                .map(|profile| profile.id)
                .collect()
        });
        judging.await.map_err(|_| PipelineError::Stopped)
    }
}

/// Gives a profile its memberships, remembers those that it leaves, and when to look again.
fn place(profile: &mut Profile, segments: &Segments<'_>, now: Timestamp) {
    let before = std::mem::take(&mut profile.memberships);
    let segmented = segment(
        profile,
        primary_email(profile).map(Email::as_str),
        &before,
        segments,
        now,
    );
    profile.memberships = segmented.memberships;
    let left = transitions(&before, &profile.memberships).left;
    let past = before
        .iter()
        .filter(|one| left.contains(&one.cohort))
        .map(|one| PastMembership {
            cohort: one.cohort.clone(),
            since: one.since,
            until: now,
        });
    profile.past.splice(0..0, past);
    profile.past.truncate(PAST_MAX);
    profile.due = due(profile.due, segmented.due, now);
}

/// When to look again. What the schedule knows stays where it is early enough: to look too
/// early costs one look, to tell the schedule with each visit costs a row each time.
fn due(known: Option<Timestamp>, next: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let next = next?;
    Some(
        known
            .filter(|known| *known > now && *known <= next)
            .unwrap_or(next),
    )
}

fn note(profile: ProfileId, before: &[Membership], after: &[Membership], changes: &mut Vec<Transition>) {
    let moved = transitions(before, after);
    let change = |entered, memberships: &[Membership], cohort: CohortSlug| {
        let membership = memberships.iter().find(|one| one.cohort == cohort);
        Transition {
            why: membership.map(|one| one.reason.clone()),
            cohort,
            profile,
            entered,
        }
    };
    changes.extend(
        moved
            .entered
            .into_iter()
            .map(|cohort| change(true, after, cohort)),
    );
    changes.extend(moved.left.into_iter().map(|cohort| change(false, before, cohort)));
}
