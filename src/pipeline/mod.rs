//! The one road from payload to commit.
//!
//! ```text
//! rows ─▶ raw ─▶ structured ─▶ (classified) ─▶ writer: read, plan, segment, commit
//!         pack    validate       once a text      again on conflict
//! ```
//!
//! Each stage takes the type that the one before returns: [`raw`] packs the verbatim rows,
//! [`structured`] validates them, [`segmented`] turns a plan's profiles into memberships.
//! What can run beside other requests runs in the caller's task; only what must see the
//! graph as it is, is done by the one [`writer`], which takes all chunks that wait into
//! one transaction. After the commit, and before the answer, [`rosters`] follow, and who has
//! [`changed`] is told to whoever follows later, and whoever follows the [`feed`] is woken;
//! [`following`] does that, also for what other servers commit. [`catalogue`] is which cohorts there are. What people decide by hand goes through the same
//! writer: [`judge`]. So does who is to be [`erase`]d, and of whoever is [`suppressed`] nothing more is
//! taken in.

pub mod catalogue;
pub mod changed;
mod consent;
pub mod erase;
pub mod feed;
pub mod following;
mod ids;
pub mod judge;
mod ledger;
pub mod raw;
mod resegment;
mod retry;
pub mod rosters;
pub mod segmented;
pub mod settings;
pub mod structured;
pub mod suppressed;
mod tally;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, Span};
use ulid::Ulid;

use crate::auth::Pseudonyms;
use crate::classify::{Classifier, ClassifyError};
use crate::domain::Timestamp;
use crate::domain::placeholder::Placeholders;
use crate::domain::policy::{self, Policy};
use crate::domain::profile::ProfileId;
use crate::domain::record::{Origin, Reject};
use crate::ingest;
use crate::ingest::decode::Row;
use crate::ingest::normalise::phone;
use crate::ingest::transform::Transforms;
use crate::ingest::validate::Rules;
use crate::store::commit::BatchProgress;
use crate::store::{Store, StoreError};
use catalogue::Catalogue;
use changed::Changed;
use feed::Feed;
use following::Following;
use judge::{Judged, Judgement};
use raw::Received;
use rosters::Rosters;
use segmented::Scores;
use structured::Judge;
use suppressed::Suppressed;
use writer::{Submission, Work, Writer};

pub use settings::{PolicySetting, Settings};

/// How many chunks may wait for the writer; beyond that, senders wait.
const QUEUE_CHUNKS: usize = 64;

/// Why a chunk was not stored. None of it was.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The classifier failed.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// Other writers kept changing what this chunk rests on.
    #[error("gave up after {attempts} conflicts with other writers")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// A judgement does not fit what is stored.
    #[error(transparent)]
    Objection(#[from] judge::Objection),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopped,
}

/// Rows of one batch, at most [`crate::domain::record::BLOCK_ROWS_MAX`].
#[derive(Debug)]
pub struct Chunk {
    /// What the rows share.
    pub origin: Origin,
    /// The rows, in order.
    pub rows: Vec<Row>,
    /// Where the batch stood before this chunk.
    pub before: BatchProgress,
    /// Whether this is the batch's last chunk.
    pub is_last: bool,
}

/// What became of a chunk, once it is durable.
#[derive(Debug)]
pub struct Outcome {
    /// Where the batch stands now.
    pub progress: BatchProgress,
    /// The rows of this chunk that were refused.
    pub rejects: Vec<Reject>,
}

/// The road. Clones share one writer.
#[derive(Clone)]
pub struct Pipeline {
    scores: Arc<Scores>,
    rosters: Arc<Rosters>,
    changed: Arc<Changed>,
    feed: Arc<Feed>,
    following: Arc<Following>,
    suppressed: Arc<Suppressed>,
    storage_purpose: Option<Arc<str>>,
    transforms: Arc<Transforms>,
    rules: Arc<Rules>,
    policies: Arc<policy::Rules>,
    queue: mpsc::Sender<Work>,
}

impl Pipeline {
    /// Loads the rosters and starts the writer, which ends when the last clone is dropped.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn start(
        store: Store,
        classifier: Arc<Classifier>,
        settings: &Settings,
        pseudonyms: Arc<Pseudonyms>,
    ) -> Result<Self, PipelineError> {
        // Each count before what it counts: what changes in between is read once more.
        let rev = store.catalogue_rev().await?;
        let definitions = store.definitions().await?;
        let followed = store.feed_extent().await?.newest;
        let rosters = Arc::new(Rosters::load(&store, &definitions).await?);
        let catalogue = Catalogue::of_stored(&definitions).at(rev);
        let scores = Arc::new(Scores::new(store.clone(), classifier, catalogue));
        let (queue, work) = mpsc::channel(QUEUE_CHUNKS);
        let changed = Arc::new(Changed::default());
        let feed = Feed::start(&store).await?;
        let suppressed = Suppressed::load(&store, pseudonyms).await?;
        let following = Following::start(&store, followed, &rosters, &changed, &feed, &suppressed);
        let writer = Writer::new(
            store,
            settings.rules(),
            Arc::clone(&scores),
            Arc::clone(&following),
            Arc::clone(&changed),
            Arc::clone(&suppressed),
        );
        tokio::spawn(writer.run(work));
        Ok(Self {
            scores,
            rosters,
            changed,
            feed,
            following,
            suppressed,
            storage_purpose: None,
            transforms: Arc::default(),
            rules: Arc::new(Rules {
                placeholders: settings.placeholders(),
                ..Rules::default()
            }),
            policies: Arc::new(settings.rules()),
            queue,
        })
    }

    /// The same road, on which the records of some sources are transformed.
    #[must_use]
    pub fn with_transforms(self, transforms: Transforms) -> Self {
        Self {
            transforms: Arc::new(transforms),
            ..self
        }
    }

    /// The same road, on which nothing but who somebody is is stored without their consent to a
    /// purpose.
    #[must_use]
    pub fn storing_for(self, purpose: Option<&str>) -> Self {
        Self {
            storage_purpose: purpose.map(Arc::from),
            ..self
        }
    }

    /// The same road, on which rows are judged by other settings.
    #[must_use]
    pub fn judging_by(mut self, settings: &ingest::Settings) -> Self {
        self.rules = Arc::new(settings.quality.rules(self.rules.placeholders.clone()));
        tokio::task::spawn_blocking(phone::warm_up);
        self
    }

    /// Takes a chunk all the way; returns when it is durable, and then every reader sees it.
    ///
    /// # Errors
    /// When the model or the store fails; then nothing of the chunk is stored.
    pub async fn ingest_chunk(&self, chunk: Chunk) -> Result<Outcome, PipelineError> {
        let Chunk {
            origin,
            rows,
            before,
            is_last,
        } = chunk;
        let received = measured("pack", || Received::new(origin, rows))?;
        let judge = Judge {
            rules: &self.rules,
            transforms: &self.transforms,
            suppressed: &self.suppressed,
            storage_purpose: self.storage_purpose.as_ref(),
        };
        let structured = measured("validate", || judge.validate(received, before, is_last))?;
        // Here and not in the writer, so that a conflict repeats no run of the model.
        self.scores.classify_new(&structured.facts).await?;
        let (reply, outcome) = oneshot::channel();
        let work = Work::Chunk(Box::new(Submission {
            structured,
            reply,
            span: Span::current(),
        }));
        self.queue.send(work).await.map_err(|_| PipelineError::Stopped)?;
        outcome.await.map_err(|_| PipelineError::Stopped)?
    }

    /// How many chunks wait for the writer.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Takes somebody out of the graph, and suppresses their identifiers; returns when it is
    /// durable, with the id of the erasure. What is left of them elsewhere is noted, to be looked
    /// for.
    ///
    /// # Errors
    /// [`PipelineError::Objection`] when the order means two people, or when the store fails;
    /// then nothing has changed.
    pub async fn erase(&self, order: erase::Order) -> Result<Ulid, PipelineError> {
        let (reply, erased) = oneshot::channel();
        self.queue
            .send(Work::Erase(order, reply))
            .await
            .map_err(|_| PipelineError::Stopped)?;
        erased.await.map_err(|_| PipelineError::Stopped)?
    }

    /// Carries out what somebody judged about who is who; returns when it is durable.
    ///
    /// # Errors
    /// [`PipelineError::Objection`] when it does not fit what is stored, or when the store
    /// fails; then nothing has changed.
    pub async fn judge(&self, judgement: Judgement) -> Result<Judged, PipelineError> {
        let (reply, judged) = oneshot::channel();
        self.queue
            .send(Work::Judgement(judgement, reply))
            .await
            .map_err(|_| PipelineError::Stopped)?;
        judged.await.map_err(|_| PipelineError::Stopped)?
    }

    /// Gives people the memberships that their interests mean now, and not before `since`, though
    /// the clock was put back; how many changed. Returns when it is durable.
    ///
    /// # Errors
    /// When the store or the model fails; then nothing has changed.
    pub async fn resegment(
        &self,
        ids: Vec<ProfileId>,
        since: Option<Timestamp>,
    ) -> Result<u64, PipelineError> {
        let (reply, changed) = oneshot::channel();
        self.queue
            .send(Work::Resegment(ids, since, reply))
            .await
            .map_err(|_| PipelineError::Stopped)?;
        changed.await.map_err(|_| PipelineError::Stopped)?
    }

    /// Which cohorts there are.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.scores.catalogue()
    }

    /// Judges everybody by these cohorts from now on: whoever is committed after this returns
    /// was judged by them.
    ///
    /// # Errors
    /// When the model fails, or the writer has ended.
    pub async fn redefine(&self, catalogue: Catalogue) -> Result<(), PipelineError> {
        let classifier = Arc::clone(self.scores.classifier());
        let cohorts = Arc::clone(catalogue.cohorts());
        if *classifier.cohorts() != *cohorts {
            // It embeds what is new of them, and arranges all known terms anew.
            tokio::task::spawn_blocking(move || classifier.redefine(cohorts.to_vec()))
                .await
                .map_err(|_| PipelineError::Stopped)??;
        }
        self.scores.replace_catalogue(catalogue);
        // What was decided by the old ones lands before this does.
        self.resegment(Vec::new(), None).await.map(drop)
    }

    /// Takes nothing more, and returns when all that was taken is durable and told. Whoever sends
    /// a chunk from now on hears that the server is stopping.
    pub async fn stop(&self) {
        let (stopped, is_stopped) = oneshot::channel();
        if self.queue.send(Work::Stop(stopped)).await.is_ok() {
            // The writer may have ended by itself, which is as good.
            let _ = is_stopped.await;
        }
    }

    /// Waits until there is no writer any more.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }

    /// Whether there is a writer to take chunks.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.queue.is_closed()
    }

    /// How the records of some sources are read.
    #[must_use]
    pub fn transforms(&self) -> &Transforms {
        &self.transforms
    }

    /// What is no identifier.
    #[must_use]
    pub fn placeholders(&self) -> &Placeholders {
        &self.rules.placeholders
    }

    /// What the records of a source say about who is who.
    #[must_use]
    pub fn policy_of(&self, source: &str) -> Policy {
        self.policies.policy_of(source)
    }

    /// Who is in which cohort, as of the last commit.
    #[must_use]
    pub fn rosters(&self) -> &Rosters {
        &self.rosters
    }

    /// Who has changed, for one follower.
    #[must_use]
    pub const fn changed(&self) -> &Arc<Changed> {
        &self.changed
    }

    /// What commits did to people, for whoever follows.
    #[must_use]
    pub const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// What other servers of the store do.
    #[must_use]
    pub const fn following(&self) -> &Arc<Following> {
        &self.following
    }

    /// Of whom nothing is taken in.
    #[must_use]
    pub const fn suppressed(&self) -> &Arc<Suppressed> {
        &self.suppressed
    }

    /// What interests mean.
    #[must_use]
    pub const fn scores(&self) -> &Arc<Scores> {
        &self.scores
    }
}

/// Runs one step of the road and notes how long it took, as `cdp_stage_seconds` and as a span.
pub(crate) async fn timed<T>(stage: &'static str, step: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = step.instrument(stage_span(stage)).await;
    note(stage, start);
    done
}

/// The same for a step that waits for nothing.
pub(crate) fn measured<T>(stage: &'static str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = stage_span(stage).in_scope(step);
    note(stage, start);
    done
}

/// The span of a stage, which is exported by the stage's name.
pub(crate) fn stage_span(stage: &'static str) -> Span {
    tracing::debug_span!("stage", stage)
}

fn note(stage: &'static str, start: Instant) {
    metrics::histogram!("cdp_stage_seconds", "stage" => stage).record(start.elapsed().as_secs_f64());
}
