//! Gives everybody the memberships that follow from a change: by a walk over all profiles that
//! survives restarts, leaves room for live traffic, and is one server's at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Notify;
use ulid::Ulid;

use super::background::{Background, step};
use super::corrections::KnownCorrections;
use super::definitions::Definitions;
use super::leases::{ASK_EVERY, Leases, Turn};
use crate::domain::Timestamp;
use crate::domain::correction::{Backfill, Cause};
use crate::domain::error::Error;
use crate::domain::interest::InterestKey;
use crate::domain::lease::Job;
use crate::domain::profile::{Profile, ProfileId};
use crate::ingest::normalise::stored;
use crate::pipeline::{Pipeline, PipelineError};
use crate::services::jobs::Running;
use crate::store::{Store, StoreError};

/// Profiles that are looked at in one go.
const PAGE: u32 = 1_000;

/// Profiles whose memberships go into one transaction.
const AT_ONCE: usize = 500;

/// Interests that are embedded in one go.
const INTERESTS_AT_ONCE: usize = 256;

/// Whatever brings a backfill about wakes the worker. Should something forget to, it finds out this
/// often: so seldom that a test notices.
const LOOK_EVERY: Duration = Duration::from_mins(5);

/// After a failure it waits so long.
const PAUSE: Duration = Duration::from_secs(2);

/// Between two pages it rests as long as the last one took, at most so long.
const REST_MAX: Duration = Duration::from_secs(1);

/// A backfill as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct BackfillView {
    /// Its id.
    pub id: String,
    /// `correction`, `model` or `cohort`.
    pub cause: &'static str,
    /// The interest, the model or the cohort.
    pub subject: String,
    /// Who brought it about.
    pub by: String,
    /// How much of it is done, 0 to 1.
    pub progress: f64,
    /// How many people's memberships it changed.
    pub changed: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last got on.
    pub updated_at: Timestamp,
    /// When it ended; none while it is under way.
    pub finished_at: Option<Timestamp>,
}

impl From<Backfill> for BackfillView {
    fn from(backfill: Backfill) -> Self {
        Self {
            id: backfill.id.to_string(),
            cause: backfill.cause.name(),
            subject: backfill.cause.subject().to_owned(),
            progress: backfill.progress(),
            by: backfill.by,
            changed: backfill.changed,
            started_at: backfill.started_at,
            updated_at: backfill.updated_at,
            finished_at: backfill.finished_at,
        }
    }
}

/// Lists backfills, and wakes who works on them.
pub struct Backfills {
    store: Store,
    wake: Arc<Notify>,
}

impl Backfills {
    /// Starts the worker, which ends when this is dropped, and looks for work when it is woken.
    pub(super) fn start(mut worker: Worker, wake: Arc<Notify>, background: &Background) -> Arc<Self> {
        let backfills = Arc::new(Self {
            store: worker.store.clone(),
            wake: Arc::clone(&wake),
        });
        let is_wanted = Arc::downgrade(&backfills);
        background.spawn(async move {
            while is_wanted.strong_count() > 0 {
                let pause = match step("a backfill has to wait", worker.work()).await {
                    Some(true) => LOOK_EVERY,
                    Some(false) => ASK_EVERY,
                    None => PAUSE,
                };
                let _ = tokio::time::timeout(pause, wake.notified()).await;
            }
        });
        backfills
    }

    /// Every backfill, the latest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<BackfillView>, Error> {
        let backfills = self.store.backfills().await?;
        Ok(backfills.into_iter().map(BackfillView::from).collect())
    }

    /// One backfill.
    ///
    /// # Errors
    /// Not found if there is no such.
    pub async fn get(&self, id: &str) -> Result<BackfillView, Error> {
        let missing = || Error::not_found("there is no such backfill").with_field("id");
        let id: Ulid = id.parse().map_err(|_| missing())?;
        let backfill = self.store.backfill(id).await?.ok_or_else(missing)?;
        Ok(backfill.into())
    }

    /// Says that there is work.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Backfills {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// Works on backfills.
pub(super) struct Worker {
    store: Store,
    pipeline: Pipeline,
    definitions: Arc<Definitions>,
    corrections: Arc<KnownCorrections>,
    /// Of several servers one works at a time.
    turn: Turn,
    /// Whether it is known that the model is the one of before, or its backfill is there: looked
    /// at once, since it reads every interest, and a process has one model.
    has_seen_the_model: bool,
}

impl Worker {
    pub(super) fn new(
        store: &Store,
        pipeline: &Pipeline,
        definitions: &Arc<Definitions>,
        known: &Arc<KnownCorrections>,
        leases: &Leases,
    ) -> Self {
        Self {
            store: store.clone(),
            pipeline: pipeline.clone(),
            definitions: Arc::clone(definitions),
            corrections: Arc::clone(known),
            turn: Turn::new(leases, Job::Backfill),
            has_seen_the_model: false,
        }
    }

    /// Works off all backfills that there are. False where another server does.
    async fn work(&mut self) -> Result<bool, PipelineError> {
        if self.turn.mine().await?.is_none() {
            return Ok(false);
        }
        self.definitions.refresh().await?;
        if !self.has_seen_the_model {
            self.notice_another_model().await?;
            self.has_seen_the_model = true;
        }
        while let Some(backfill) = self.store.next_backfill().await? {
            match self.carry_on(backfill).await {
                Err(PipelineError::Store(StoreError::Lost)) => return Ok(false),
                done => done?,
            }
        }
        Ok(true)
    }

    /// A store whose interests were embedded by another model needs a backfill, once.
    async fn notice_another_model(&self) -> Result<(), PipelineError> {
        let model = self.pipeline.scores().classifier().model().to_owned();
        let backfills = self.store.backfills().await?;
        let latest = backfills
            .iter()
            .find(|backfill| matches!(backfill.cause, Cause::Model(_)));
        if latest.is_some_and(|latest| latest.cause.subject() == model) {
            return Ok(());
        }
        if latest.is_some() || !self.store.interests_of_other_models(&model).await?.is_empty() {
            let until = ProfileId(self.store.next_profile_ordinal().await?);
            let backfill = Backfill::new(Cause::Model(model), "system", until, now());
            self.store.add_backfill(&backfill).await?;
        }
        Ok(())
    }

    /// Goes on where a backfill is, to its end, or until another server has it.
    async fn carry_on(&self, backfill: Backfill) -> Result<(), PipelineError> {
        let _running = Running::begin("backfill");
        let mut backfill = backfill;
        tracing::info!(backfill.id = %backfill.id, cause = backfill.cause.name(), "a backfill is under way");
        // Another server may have brought it about a moment ago.
        self.corrections.refresh().await?;
        if matches!(backfill.cause, Cause::Model(_)) {
            self.embed_anew(&mut backfill).await?;
        }
        if matches!(backfill.cause, Cause::Cohort(_)) {
            // From here on whoever is committed is judged by the new cohorts; those who came
            // before that are behind none of these ids.
            self.definitions.refresh().await?;
            backfill.until = ProfileId(self.store.next_profile_ordinal().await?).max(backfill.until);
        }
        while backfill.position < backfill.until {
            let started = Instant::now();
            self.step(&mut backfill).await?;
            self.note(&mut backfill).await?;
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
        backfill.finished_at = Some(now());
        self.note(&mut backfill).await?;
        let (changed, id) = (backfill.changed, backfill.id);
        tracing::info!(backfill.id = %id, changed, "a backfill is done");
        Ok(())
    }

    /// Embeds what another model embedded. What is done is known by its version, so this
    /// begins anew without doing anything twice.
    async fn embed_anew(&self, backfill: &mut Backfill) -> Result<(), PipelineError> {
        let scores = self.pipeline.scores();
        let old = self
            .store
            .interests_of_other_models(scores.classifier().model())
            .await?;
        for some in old.chunks(INTERESTS_AT_ONCE) {
            let started = Instant::now();
            scores.classify_anew(some).await?;
            self.note(backfill).await?;
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
        Ok(())
    }

    async fn step(&self, backfill: &mut Backfill) -> Result<(), PipelineError> {
        let after = backfill.position.0.checked_sub(1).map(ProfileId);
        let page = self.store.profiles_after(after, PAGE).await?;
        let last = page.last().map(|profile| ProfileId(profile.id.0 + 1));
        let is_full = page.len() == PAGE as usize;
        let concerned = page.into_iter().filter(|profile| match &backfill.cause {
            Cause::Correction(interest) => has(profile, interest),
            Cause::Model(_) | Cause::Cohort(_) => true,
        });
        // Most people stay where they are, and the writer need not hear of them.
        let ids = self
            .pipeline
            .scores()
            .outdated(concerned.collect(), now())
            .await?;
        for some in ids.chunks(AT_ONCE) {
            backfill.changed += self.pipeline.resegment(some.to_vec(), None).await?;
        }
        backfill.position = last.filter(|_| is_full).unwrap_or(backfill.until);
        Ok(())
    }

    async fn note(&self, backfill: &mut Backfill) -> Result<(), StoreError> {
        backfill.updated_at = now();
        let lease = self.turn.kept().ok_or(StoreError::Lost)?;
        self.store.note_backfill(backfill, lease.proof().as_ref()).await
    }
}

fn has(profile: &Profile, interest: &InterestKey) -> bool {
    profile.facet.interests.contains_key(interest)
}

fn now() -> Timestamp {
    stored(Utc::now())
}
