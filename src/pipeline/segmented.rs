//! The third stage: a plan's profiles get their memberships, from what their interests mean.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::retry::Retry;
use super::{PipelineError, timed};
use crate::classify::{Classifier, Reviewed};
use crate::domain::Timestamp;
use crate::domain::change::Transition;
use crate::domain::cohort::{CohortSlug, Membership};
use crate::domain::fact::Fact;
use crate::domain::graph::{Plan, Subgraph};
use crate::domain::interest::{ClassifiedInterest, InterestKey, Score};
use crate::domain::profile::ProfileId;
use crate::segmentation::interests::memberships;
use crate::segmentation::membership::transitions;
use crate::store::Store;

/// What interests mean: each classified once, kept in the store, hot ones in memory.
pub struct Scores {
    store: Store,
    classifier: Arc<Classifier>,
}

/// The scores of the interests that one commit needs.
type Known = HashMap<InterestKey, Arc<[Score]>>;

impl Scores {
    pub(super) fn new(store: Store, classifier: Arc<Classifier>) -> Self {
        Self { store, classifier }
    }

    /// The classifier itself, for what is asked without being kept.
    #[must_use]
    pub fn classifier(&self) -> &Classifier {
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
        let mut known = Known::new();
        let mut unknown = Vec::new();
        for key in plan
            .profiles
            .values()
            .flat_map(|write| write.record.facet.interests.keys())
        {
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

    /// Gives each profile of the plan its memberships, and tells who entered or left what.
    pub(super) fn segment(
        &self,
        plan: &mut Plan,
        graph: &Subgraph,
        known: &Known,
        now: Timestamp,
    ) -> Vec<Transition> {
        let scores_of = |key: &InterestKey| known.get(key).cloned();
        let mut changes = Vec::new();
        for (id, write) in &mut plan.profiles {
            let profile = &mut write.record;
            let before = std::mem::take(&mut profile.memberships);
            profile.memberships = memberships(
                &profile.facet,
                &scores_of,
                self.classifier.cohorts(),
                &before,
                now,
            );
            note(*id, &before, &profile.memberships, &mut changes);
        }
        for merge in &plan.merges {
            let before = graph
                .profiles
                .get(&merge.absorbed)
                .map(|profile| profile.memberships.as_slice());
            note(merge.absorbed, before.unwrap_or_default(), &[], &mut changes);
        }
        changes
    }
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
    changes.extend(moved.entered.into_iter().map(|cohort| change(true, after, cohort)));
    changes.extend(moved.left.into_iter().map(|cohort| change(false, before, cohort)));
}
