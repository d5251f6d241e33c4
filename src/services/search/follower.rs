//! Lets the index follow the store while the server runs.
//!
//! The writer says who has changed ([`crate::pipeline::changed`]); here they are read and taken
//! in, and what was taken in is committed a moment later. Who changed is known to this process
//! only until then. So each commit says that the index *follows*, and only the last one of a
//! clean stop that it *equals* the store; a start that does not find that said compares every
//! person's revision with the index's, in the background, while it already answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, sleep_until};

use super::indexer::{Indexer, IndexingError, Walk};
use super::meanings;
use super::standing::Standing;
use crate::domain::interest::InterestKey;
use crate::pipeline::changed::Changed;
use crate::pipeline::segmented::Scores;
use crate::search::{Found, Mark, SearchIndex};
use crate::services::background::outlive;
use crate::store::{Store, StoreError};

/// People who are read at once.
const TAKEN_AT_ONCE: usize = 500;

/// The pause between commits: with it and what a commit takes, a change shows within a second.
const COMMIT_EVERY: Duration = Duration::from_millis(300);

/// The same while more changes than are read at once: each commit costs, and somebody who
/// changes again meanwhile is taken in once.
const COMMIT_EVERY_BUSY: Duration = Duration::from_millis(800);

/// The pause before another try when the store or the index failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Interests whose meaning is read at once.
const MEANINGS_AT_ONCE: usize = 500;

/// So many of the newest people are compared even after a clean stop: a store that was put back
/// to an older copy, or written by another program, differs there first.
const NEWEST: u32 = 1_000;

/// Follows until nobody changes any more.
pub(super) struct Follower {
    store: Store,
    scores: Arc<Scores>,
    changed: Arc<Changed>,
    standing: Arc<Standing>,
    indexer: Indexer,
    walk: Option<Walk>,
    meanings: Vec<InterestKey>,
    committed_at: Instant,
    /// When the first change that is not visible yet was told.
    since: Option<Instant>,
}

/// What the follower follows, and with what.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) scores: Arc<Scores>,
    pub(super) changed: Arc<Changed>,
    pub(super) index: Arc<SearchIndex>,
    pub(super) standing: Arc<Standing>,
}

/// Follows the store with an index that was found in some state, to the end.
pub(super) async fn follow(parts: Parts, found: Found) {
    let started = loop {
        match outlive(Follower::start(&parts, found)).await {
            Ok(started) => break started,
            Err(error) => {
                tracing::error!(error = %error, "the search index can't follow the store yet");
                // Nobody may be left to follow.
                if parts.changed.is_closed() {
                    return;
                }
                sleep(PAUSE).await;
            }
        }
    };
    drop(parts);
    started.run().await;
}

impl Follower {
    async fn start(parts: &Parts, found: Found) -> Result<Self, IndexingError> {
        let mut indexer = Indexer::new(parts.store.clone(), Arc::clone(&parts.index)).await?;
        // Before anything changes: from here on a killed process leaves an index that lacks some.
        indexer.commit(Mark::Following).await?;
        let end = parts.store.next_profile_ordinal().await?;
        // Of a store that others write too, nobody knows what they did meanwhile.
        let was_equal = found == Found::Equal { end } && !parts.store.is_shared();
        let from = if was_equal { end.saturating_sub(NEWEST) } else { 0 };
        let mut walk = indexer.walk(from).await?;
        if was_equal {
            while !walk.is_done() {
                indexer.step(&mut walk).await?;
            }
            if walk.differing() > 0 {
                walk = indexer.walk(0).await?;
            }
        } else {
            tracing::info!(found = ?found, "the search index is compared with the store");
        }
        Ok(Self {
            store: parts.store.clone(),
            scores: Arc::clone(&parts.scores),
            changed: Arc::clone(&parts.changed),
            standing: Arc::clone(&parts.standing),
            indexer,
            walk: Some(walk),
            meanings: Vec::new(),
            committed_at: Instant::now(),
            since: None,
        })
    }

    async fn run(mut self) {
        loop {
            match outlive(self.turn()).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(error = %error, "the search index could not follow; it tries again");
                    if self.changed.is_closed() {
                        return;
                    }
                    sleep(PAUSE).await;
                    self.doubt(&error).await;
                }
            }
        }
    }

    /// Does what is to be done next, or waits for it. False at the end.
    async fn turn(&mut self) -> Result<bool, IndexingError> {
        self.take_in().await?;
        if self.is_due() {
            self.commit(Mark::Following).await?;
        }
        if !self.changed.is_empty() {
            return Ok(true);
        }
        if self.walk.is_some() {
            self.step().await?;
            return Ok(true);
        }
        if !self.meanings.is_empty() && !self.changed.is_closed() {
            self.learn().await?;
            return Ok(true);
        }
        self.standing.has_meanings();
        if self.changed.is_closed() && self.changed.is_empty() {
            let end = self.store.next_profile_ordinal().await?;
            self.commit(Mark::Equal { end }).await?;
            return Ok(false);
        }
        if self.indexer.is_dirty() {
            let due = self.committed_at + COMMIT_EVERY;
            tokio::select! {
                () = self.changed.wait() => {}
                () = sleep_until(due.into()) => {}
            }
        } else {
            self.changed.wait().await;
        }
        Ok(true)
    }

    async fn take_in(&mut self) -> Result<(), IndexingError> {
        let (ids, since) = self.changed.take(TAKEN_AT_ONCE);
        if ids.is_empty() {
            return Ok(());
        }
        self.since = self.since.or(since);
        if let Err(error) = self.indexer.take_in(&ids).await {
            self.changed.note(ids);
            return Err(error);
        }
        self.meanings.extend(self.indexer.take_new_interests());
        Ok(())
    }

    fn is_due(&self) -> bool {
        let is_busy = self.changed.len() > TAKEN_AT_ONCE as u64 || self.walk.is_some();
        let every = if is_busy { COMMIT_EVERY_BUSY } else { COMMIT_EVERY };
        self.indexer.is_dirty() && self.committed_at.elapsed() >= every
    }

    async fn commit(&mut self, mark: Mark) -> Result<(), IndexingError> {
        self.indexer.commit(mark).await?;
        self.committed_at = Instant::now();
        self.changed.show();
        if let Some(since) = self.since.take() {
            metrics::histogram!("cdp_search_lag_seconds").record(since.elapsed().as_secs_f64());
        }
        Ok(())
    }

    /// Takes the walk further, and to its end where everybody was met.
    async fn step(&mut self) -> Result<(), IndexingError> {
        let Some(walk) = &mut self.walk else { return Ok(()) };
        if !walk.is_done() {
            self.indexer.step(walk).await?;
            self.meanings.extend(self.indexer.take_new_interests());
            return Ok(());
        }
        let differing = walk.differing();
        if self.indexer.is_dirty() {
            self.commit(Mark::Following).await?;
        }
        self.meanings.extend(self.indexer.take_new_interests());
        self.walk = None;
        self.standing.has_everybody();
        if differing > 0 {
            tracing::info!(profiles.indexed = differing, "the search index has everybody");
        }
        Ok(())
    }

    /// Takes over what some interests mean. One of another model is left out: it means nothing
    /// beside the others.
    async fn learn(&mut self) -> Result<(), StoreError> {
        let from = self.meanings.len().saturating_sub(MEANINGS_AT_ONCE);
        // Those that make it panic are not asked about again.
        let some = self.meanings.split_off(from);
        match meanings(&self.store, &self.scores, &some).await {
            Ok(meant) => self.standing.learn(&meant),
            Err(error) => {
                self.meanings.extend(some);
                return Err(error);
            }
        }
        Ok(())
    }

    /// What was taken in and not committed may be lost where the index failed; a walk tells.
    async fn doubt(&mut self, error: &IndexingError) {
        if matches!(error, IndexingError::Store(_)) {
            return;
        }
        self.standing.lacks_somebody();
        while !self.changed.is_closed() {
            match outlive(self.indexer.walk(0)).await {
                Ok(walk) => {
                    self.walk = Some(walk);
                    return;
                }
                Err(error) => tracing::error!(error = %error, "the search index can't be compared"),
            }
            sleep(PAUSE).await;
        }
    }
}
