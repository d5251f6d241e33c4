//! What a user can do. REST, GraphQL and the command line are three skins over it: they
//! check who asks, call here, and put the answer into their own shape.
//!
//! [`ingest`] takes payloads, read by the [`transforms`] of their source, [`quality`] says how good they were, [`lookup`] finds people, [`view`] is how a person is shown,
//! [`explain`] says why they are one, [`timeline`] what happened to them, [`judgement`] takes
//! people apart and together by hand, [`history`] is how that is shown, [`search`] finds by what is
//! half typed or alike, [`cohorts`] lists and pages cohorts, [`definitions`] makes and changes them, [`schedule`] looks again at whom time moves, [`classification`]
//! asks the classifier, [`corrections`] go before it, [`backfill`] gives people what follows, [`evaluation`] measures it, [`accounts`] knows who calls, within the [`attempts`] they have, and a [`limiter`] counts what is asked;
//! [`calls`] are those under way that may change something, [`leases`] say which of several servers does what, [`following`] what the others did;
//! [`analytics`] says how the platform fares, [`activation`] is what leaves the platform;
//! [`audit`] keeps who did what; [`backup`] copies everything; [`write_keys`] are what senders prove themselves by; [`privacy`] is what people may ask of whoever keeps their data, [`sight`] how much of them a caller may see; [`doctor`] checks what is stored and mends it, with no server beside it;
//! `gauges` measures what waits, and `jobs` what runs; [`interests`] puts the classifier together, and [`seeds`] is what a new platform starts with.

pub mod accounts;
pub mod activation;
pub mod analytics;
mod attempts;
pub mod audit;
pub mod backfill;
pub mod background;
pub mod backup;
pub mod calls;
pub mod classification;
pub mod cohorts;
pub mod corrections;
pub mod definitions;
pub mod doctor;
pub mod evaluation;
pub mod explain;
mod following;
mod gauges;
pub mod history;
pub mod ingest;
pub mod interests;
mod jobs;
pub mod judgement;
pub mod leases;
pub mod limiter;
pub mod lookup;
pub mod privacy;
pub mod quality;
pub mod schedule;
pub mod search;
pub mod seeds;
pub mod sight;
pub mod timeline;
pub mod transforms;
pub mod view;
pub mod write_keys;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::timeout;

use crate::activation::sender::SenderError;
use crate::auth::Pseudonyms;
use crate::domain::error::{Error, ErrorCode};
use crate::pipeline::judge::Objection;
use crate::pipeline::{Pipeline, PipelineError};
pub use crate::store::inherited;
use crate::store::{Store, StoreError};
use background::{Background, Panicked};

/// What is said to whoever asks while the server stops.
const STOPPING: &str = "the server is stopping; try another";

/// After how many seconds to try again what the disk had no room for.
const DISK_RETRY_AFTER_S: u64 = 10;

/// After how many seconds to try again what the store's server could not be reached for, or took too
/// long for.
const AWAY_RETRY_AFTER_S: u64 = 5;

/// How long the parts may take to stop, all of them.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// How long the deliveries that are under way may take to end.
const WEBHOOKS_END_WITHIN: Duration = Duration::from_secs(12);

/// How long calls that were cut off may take to come to their end, once nothing more is stored.
const CALLS_END_WITHIN: Duration = Duration::from_secs(5);

/// What the services are told of the settings.
pub struct Settings<'a> {
    /// How records are read.
    pub ingest: &'a crate::ingest::Settings,
    /// What leaves the platform.
    pub activation: &'a crate::activation::Settings,
    /// Who did what.
    pub audit: &'a audit::Settings,
    /// What people may ask, and who may see what of them.
    pub privacy: &'a privacy::Settings,
    /// Where that runs which can wait.
    pub background: &'a Background,
}

/// All services, as the skins hold them.
pub struct Services {
    /// Takes payloads.
    pub ingest: Arc<ingest::Ingest>,
    /// Takes events, a few at once.
    pub events: ingest::events::Events,
    /// What senders prove themselves by.
    pub write_keys: write_keys::WriteKeys,
    /// What may change something and is under way.
    pub calls: calls::Calls,
    is_stopping: AtomicBool,
    /// Finds people.
    pub lookup: lookup::Lookup,
    /// Says why they are one.
    pub explain: explain::Explain,
    /// Says what happened to them.
    pub timeline: timeline::Timeline,
    /// Takes people apart and together by hand.
    pub judgement: judgement::Judge,
    /// Lists and pages cohorts.
    pub cohorts: cohorts::Cohorts,
    /// Asks the classifier.
    pub classification: classification::Classification,
    /// Takes what people say of single interests.
    pub corrections: corrections::Corrections,
    /// Makes and changes cohorts.
    pub definitions: Arc<definitions::Definitions>,
    /// What becomes of people after a change.
    pub backfills: Arc<backfill::Backfills>,
    /// Knows who calls.
    pub accounts: Arc<accounts::Accounts>,
    /// Finds by what is half typed, misspelt or alike.
    pub search: search::Search,
    /// What leaves the platform.
    pub activation: activation::Activation,
    /// Says how the platform fares.
    pub analytics: analytics::Analytics,
    /// Makes backups.
    pub backups: backup::Backups,
    /// Keeps who did what.
    pub audit: audit::Audit,
    /// Does what people may ask of whoever keeps their data.
    pub privacy: Arc<privacy::Privacy>,
    /// How much of people each role may see.
    pub sights: sight::Sights,
    /// Stand for identifiers where these may not stand.
    pub pseudonyms: Arc<Pseudonyms>,
    /// Runs as long as this does.
    _schedule: schedule::Schedule,
    leases: leases::Leases,
    known_corrections: Arc<corrections::KnownCorrections>,
    store: Store,
    pipeline: Pipeline,
}

impl Services {
    /// Wires the services to the parts they work with, starts the worker of the queue, lets the
    /// search index follow the store, and begins to deliver to webhooks.
    ///
    /// # Errors
    /// When the HTTP client of webhooks can't be made.
    pub fn new(
        store: &Store,
        pipeline: &Pipeline,
        accounts: Arc<accounts::Accounts>,
        pseudonyms: Arc<Pseudonyms>,
        settings: &Settings<'_>,
        index: search::OpenIndex,
    ) -> Result<Arc<Self>, SenderError> {
        let names = cohorts::NameBook::of(pipeline);
        let background = settings.background;
        let leases = leases::Leases::start(store);
        let wake = Arc::new(Notify::new());
        let definitions = definitions::Definitions::new(store.clone(), pipeline.clone(), Arc::clone(&wake));
        let definitions = Arc::new(definitions);
        let known = corrections::KnownCorrections::new(store, pipeline);
        let worker = backfill::Worker::new(store, pipeline, &definitions, &known, &leases);
        let backfills = backfill::Backfills::start(worker, wake, background);
        let activation =
            activation::Activation::start(store, pipeline, &leases, &names, settings.activation, background)?;
        let ingest = ingest::Ingest::new(store.clone(), pipeline.clone(), &leases, settings.ingest);
        let search = search::Search::new(store.clone(), pipeline, names.clone(), index, background);
        let kept = settings.activation.deliveries_kept();
        let keep = (kept, &settings.privacy.retention);
        let index = search.purger(pipeline);
        let privacy = privacy::Privacy::start(store, pipeline, &leases, &names, index, keep, background);
        let schedule = schedule::Schedule::start(store, pipeline, &leases, background);
        let services = Arc::new(Self {
            events: ingest::events::Events::start(&ingest, &settings.ingest.segment),
            ingest,
            write_keys: write_keys::WriteKeys::start(store.clone()),
            calls: calls::Calls::default(),
            is_stopping: AtomicBool::new(false),
            lookup: lookup::Lookup::new(store.clone(), names.clone()),
            explain: explain::Explain::new(store.clone()),
            timeline: timeline::Timeline::new(store.clone()),
            judgement: judgement::Judge::new(store.clone(), pipeline.clone()),
            cohorts: cohorts::Cohorts::new(store.clone(), pipeline.clone(), names.clone()),
            corrections: corrections::Corrections::new(
                store.clone(),
                names.clone(),
                Arc::clone(&backfills),
                Arc::clone(&known),
            ),
            known_corrections: known,
            backfills,
            definitions,
            backups: backup::Backups::new(store.clone()),
            audit: audit::Audit::start(store, Arc::clone(&pseudonyms), settings.audit, background),
            privacy,
            sights: sight::Sights::new(&settings.privacy.mask),
            pseudonyms,
            _schedule: schedule,
            leases,
            search,
            classification: classification::Classification::new(pipeline.clone(), names),
            accounts,
            activation,
            analytics: analytics::Analytics::new(store.clone(), pipeline.clone()),
            store: store.clone(),
            pipeline: pipeline.clone(),
        });
        if store.is_shared() {
            tokio::spawn(following::follow(
                Arc::downgrade(&services),
                pipeline.following().revisions(),
            ));
        }
        Ok(services)
    }

    /// Says that the server is about to stop: it is not ready any more.
    pub fn begin_to_stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Takes no more records, notes how far each webhook is, and leaves the search index equal to
    /// the store. What takes too long is left, as by a crash, which loses nothing.
    pub async fn stop(&self) {
        if timeout(STOPPED_WITHIN, self.stop_parts()).await.is_err() {
            tracing::warn!("a part takes too long to stop and is left as it is");
        }
    }

    async fn stop_parts(&self) {
        if let Err(error) = self.write_keys.finish().await {
            tracing::warn!(%error, "the last use of write keys was not noted");
        }
        if timeout(WEBHOOKS_END_WITHIN, self.activation.finish())
            .await
            .is_err()
        {
            tracing::warn!("a webhook does not answer; what was sent to it may be sent again");
        }
        self.pipeline.stop().await;
        // Those that were cut off go on; what they have changed is in the audit log.
        if timeout(CALLS_END_WITHIN, self.calls.end()).await.is_err() {
            tracing::warn!("some calls have not come to their end");
        }
        self.audit.finish().await;
        // Nothing is written under a lease any more.
        self.leases.finish().await;
        self.search.finish().await;
    }

    /// Whether the platform can serve: the writer runs, the disk takes what is stored, and the store
    /// answers.
    ///
    /// # Errors
    /// Unavailable when one does not.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::Unavailable, STOPPING));
        }
        if !self.pipeline.is_alive() {
            return Err(Error::new(ErrorCode::Unavailable, "the writer has ended"));
        }
        if let Some(fault) = self.store.disk_fault() {
            return Err(StoreError::Unwritable(fault).into());
        }
        let answered = self.store.ping().await;
        answered.map_err(|error| Error::unavailable("the store does not answer", error))
    }

    /// Waits until the store's disk refused something and takes bytes again: then everything is to
    /// be started anew.
    pub async fn disk_mended(&self) {
        self.store.disk_mended().await;
    }

    /// Waits until the writer has ended: nothing can be stored any more.
    pub async fn writer_ended(&self) {
        self.pipeline.ended().await;
    }
}

/// How many rows a page may hold, if a caller may ask for so many.
fn checked_limit(limit: u32, most: u32) -> Result<usize, Error> {
    if (1..=most).contains(&limit) {
        return Ok(limit as usize);
    }
    Err(Error::bad_request(
        "limit",
        format!("must be between 1 and {most}"),
    ))
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::unavailable("too many writers at once; try again", error),
            StoreError::TooLarge { .. } => {
                let message = "the records are too large for one transaction; send fewer at once";
                Self::new(ErrorCode::PayloadTooLarge, message)
            }
            StoreError::CutOff => Self::unavailable(STOPPING, error),
            StoreError::Unwritable(fault) => {
                Self::unavailable(fault.sentence(), error).with_retry_after(DISK_RETRY_AFTER_S)
            }
            StoreError::Unreachable { .. } => {
                let message =
                    "the store's server is out of reach; try again. What was under way may be stored";
                Self::unavailable(message, error).with_retry_after(AWAY_RETRY_AFTER_S)
            }
            StoreError::Late { .. } => {
                let message = "the store's server takes too long; what was asked may still be done";
                Self::unavailable(message, error).with_retry_after(AWAY_RETRY_AFTER_S)
            }
            error => Self::internal(error),
        }
    }
}

/// Of a task that was cut off, since the process ends; or that panicked.
impl From<JoinError> for Error {
    fn from(error: JoinError) -> Self {
        if error.is_cancelled() {
            Self::unavailable(STOPPING, error)
        } else {
            Self::internal(error)
        }
    }
}

impl From<Panicked> for Error {
    fn from(panicked: Panicked) -> Self {
        Self::internal(panicked)
    }
}

impl From<Objection> for Error {
    fn from(objection: Objection) -> Self {
        let code = match objection {
            Objection::Nobody | Objection::NotLinked => ErrorCode::NotFound,
            Objection::Undone
            | Objection::NothingLeft
            | Objection::NoLink
            | Objection::Different
            | Objection::Seen => ErrorCode::Conflict,
        };
        Self::new(code, objection.to_string())
    }
}

impl From<PipelineError> for Error {
    fn from(error: PipelineError) -> Self {
        match error {
            PipelineError::Store(error) => error.into(),
            PipelineError::Contended { .. } => {
                Self::unavailable("too many writers at once; try again", error)
            }
            PipelineError::Stopped => Self::unavailable(STOPPING, error),
            PipelineError::Objection(objection) => objection.into(),
            PipelineError::Classify(error) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_out_of_reach_is_unavailable_and_worth_another_try() {
        let error = Error::from(PipelineError::from(StoreError::of_no_answer()));
        let told = (error.code, error.retry_after_s);
        assert_eq!(told, (ErrorCode::Unavailable, Some(AWAY_RETRY_AFTER_S)));
    }
}
