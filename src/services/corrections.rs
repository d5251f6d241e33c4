//! What people say of single interests: it is certain, it goes before the model, everybody who
//! has the interest gets the cohorts that follow, and it counts as an example from then on.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::Utc;

use super::backfill::{BackfillView, Backfills};
use super::cohorts::NameBook;
use crate::domain::Timestamp;
use crate::domain::correction::{Backfill, Cause, Correction};
use crate::domain::error::Error;
use crate::domain::interest::InterestKey;
use crate::domain::profile::ProfileId;
use crate::ingest::normalise::stored;
use crate::pipeline::{Pipeline, PipelineError};
use crate::store::Store;

/// A correction as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionView {
    /// The interest in canonical form.
    pub interest: String,
    /// The names of its cohorts; none when it belongs nowhere.
    pub cohorts: Vec<String>,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// Takes and withdraws corrections.
pub struct Corrections {
    store: Store,
    names: NameBook,
    backfills: Arc<Backfills>,
    known: Arc<KnownCorrections>,
}

/// The corrections that the classifier goes by.
pub struct KnownCorrections {
    store: Store,
    pipeline: Pipeline,
    /// How often they had been changed until these; none before the first look. Held through a
    /// change, since the classifier is told of all that there are.
    rev: tokio::sync::Mutex<Option<u64>>,
}

impl KnownCorrections {
    pub(super) fn new(store: &Store, pipeline: &Pipeline) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            pipeline: pipeline.clone(),
            rev: tokio::sync::Mutex::default(),
        })
    }

    /// Takes over what was corrected, here or by another server.
    ///
    /// # Errors
    /// When the store or the model fails.
    pub async fn refresh(&self) -> Result<(), PipelineError> {
        let mut known = self.rev.lock().await;
        self.catch_up(&mut known).await
    }

    async fn catch_up(&self, known: &mut Option<u64>) -> Result<(), PipelineError> {
        let rev = self.store.corrections_rev().await?;
        if *known == Some(rev) {
            return Ok(());
        }
        let all = self.store.corrections().await?;
        let all = all.into_iter().map(|one| (one.interest, one.cohorts)).collect();
        let scores = Arc::clone(self.pipeline.scores());
        // It embeds what is new and arranges all known terms anew.
        tokio::task::spawn_blocking(move || scores.correct(all, rev))
            .await
            .map_err(|_| PipelineError::Stopped)??;
        *known = Some(rev);
        Ok(())
    }
}

impl Corrections {
    pub(super) fn new(
        store: Store,
        names: NameBook,
        backfills: Arc<Backfills>,
        known: Arc<KnownCorrections>,
    ) -> Self {
        Self {
            store,
            names,
            backfills,
            known,
        }
    }

    /// Every correction, by interest.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<CorrectionView>, Error> {
        let corrections = self.store.corrections().await?;
        Ok(corrections.into_iter().map(|one| self.view(one)).collect())
    }

    /// Pins an interest to cohorts, by names or slugs, or to none. What follows for people is
    /// under way when this returns.
    ///
    /// # Errors
    /// Bad request for a text without letters, not found for a cohort that there is not.
    pub async fn put(
        &self,
        interest: &str,
        cohorts: &[String],
        by: &str,
    ) -> Result<(CorrectionView, BackfillView), Error> {
        let slugs = cohorts.iter().map(|name| self.names.now().find(name));
        let correction = Correction {
            interest: key(interest)?,
            cohorts: slugs.collect::<Result<BTreeSet<_>, _>>()?,
            by: by.to_owned(),
            at: stored(Utc::now()),
        };
        let backfill = self.change(&correction.interest, Some(&correction), by).await?;
        Ok((self.view(correction), backfill))
    }

    /// Leaves an interest to the model again.
    ///
    /// # Errors
    /// Not found where nobody corrected it.
    pub async fn withdraw(&self, interest: &str, by: &str) -> Result<BackfillView, Error> {
        let interest = key(interest)?;
        let is_there = |one: &Correction| one.interest == interest;
        if !self.store.corrections().await?.iter().any(is_there) {
            return Err(Error::not_found("nobody has corrected this interest").with_field("interest"));
        }
        self.change(&interest, None, by).await
    }

    async fn change(
        &self,
        interest: &InterestKey,
        correction: Option<&Correction>,
        by: &str,
    ) -> Result<BackfillView, Error> {
        let mut known = self.known.rev.lock().await;
        let until = ProfileId(self.store.next_profile_ordinal().await?);
        let cause = Cause::Correction(interest.clone());
        let backfill = Backfill::new(cause, by, until, stored(Utc::now()));
        self.store.correct(interest, correction, &backfill).await?;
        self.known.catch_up(&mut known).await?;
        self.backfills.wake();
        Ok(BackfillView::from(backfill))
    }

    fn view(&self, correction: Correction) -> CorrectionView {
        let names = self.names.now();
        let cohorts = correction.cohorts.iter().map(|slug| names.name(slug).to_owned());
        CorrectionView {
            interest: correction.interest.to_string(),
            cohorts: cohorts.collect(),
            by: correction.by,
            at: correction.at,
        }
    }
}

fn key(interest: &str) -> Result<InterestKey, Error> {
    InterestKey::parse(interest)
        .ok_or_else(|| Error::bad_request("interest", "is no interest: it has neither a letter nor a digit"))
}
