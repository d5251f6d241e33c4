//! Looks for what is left of those who were erased, step by step, and notes after each how far it
//! is: whoever ends half way is followed by the next process. One server has an erasure at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Notify;
use ulid::Ulid;

use super::Privacy;
use super::window::{BLOCKS_MAX, REJECTS_MAX, Width, end};
use crate::domain::Timestamp;
use crate::domain::erasure::{Erasure, Search, Step};
use crate::domain::lease::Job;
use crate::domain::mention::Needles;
use crate::domain::profile::ProfileId;
use crate::domain::record::RawId;
use crate::ingest::normalise::stored;
use crate::pipeline::Pipeline;
use crate::services::background::{Panicked, outlive, step};
use crate::services::jobs::Running;
use crate::services::leases::{ASK_EVERY, Leases, Turn};
use crate::services::search::{IndexingError, Purger};
use crate::store::rejects::StoredReject;
use crate::store::{Store, StoreError};

/// Without being woken it looks for work this often.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// After a failure, and for payloads that wait, it waits so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Between two windows it rests as long as the last one took, at most so long.
const REST_MAX: Duration = Duration::from_millis(200);

/// Blocks of the feed, and deliveries, that are looked at in one go.
const FEED_BLOCKS: u64 = 64;
const DELIVERIES: u64 = 500;

/// Blocks after which the search among known rows says that it is alive.
const NOTE_EVERY: usize = 128;

/// How often a block is tried that another search changes at the same moment.
const TRIES: u32 = 5;

/// Why a search has to wait.
#[derive(Debug, thiserror::Error)]
enum SearchError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Index(#[from] IndexingError),
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// What is left after a look.
enum Found {
    /// All searches are at their ends.
    Nothing,
    /// Some have to wait.
    Waiting,
    /// They are another server's.
    Others,
}

/// What came of carrying a search on.
enum Progress {
    Done,
    /// Payloads that were sent before are not worked off yet.
    Waits,
}

/// Looks for what is left.
pub struct Eraser {
    store: Store,
    pipeline: Pipeline,
    index: Purger,
    deliveries_kept: u64,
    /// Of several servers one looks at a time.
    turn: Turn,
}

impl Eraser {
    pub fn new(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        index: Purger,
        deliveries_kept: u64,
    ) -> Self {
        Self {
            store: store.clone(),
            pipeline: pipeline.clone(),
            index,
            deliveries_kept,
            turn: Turn::new(leases, Job::Erasure),
        }
    }

    /// Works until nobody wants it any more.
    pub async fn run(mut self, wanted: Weak<Privacy>, wake: Arc<Notify>) {
        while wanted.strong_count() > 0 {
            let pause = match step("what is left of somebody is looked for later", self.work()).await {
                Some(Found::Nothing) => LOOK_EVERY,
                Some(Found::Waiting) | None => PAUSE,
                Some(Found::Others) => ASK_EVERY,
            };
            let _ = tokio::time::timeout(pause, wake.notified()).await;
        }
    }

    /// Carries all searches on, unless another server does. One that fails is passed over until the
    /// next time.
    async fn work(&mut self) -> Result<Found, SearchError> {
        if self.turn.mine().await?.is_none() {
            return Ok(Found::Others);
        }
        let mut waiting: Vec<Ulid> = Vec::new();
        while let Some(erasure) = self.store.next_erasure(&waiting).await? {
            let id = erasure.id;
            match outlive(self.carry_on(erasure)).await {
                Ok(Progress::Done) => tracing::debug!(erasure.id = %id, "nothing is left of somebody"),
                Ok(Progress::Waits) => waiting.push(id),
                Err(SearchError::Store(StoreError::Lost)) => return Ok(Found::Others),
                // The disk takes nothing, or the store is away: those behind would fail alike.
                Err(
                    error @ SearchError::Store(
                        StoreError::Unwritable(_) | StoreError::CutOff | StoreError::Unreachable { .. },
                    ),
                ) => return Err(error),
                // Whatever is wrong may be wrong with this one alone: nobody else waits for it.
                Err(error) => {
                    tracing::warn!(%error, erasure.id = %id, "what is left of somebody is looked for later");
                    waiting.push(id);
                }
            }
        }
        Ok(if waiting.is_empty() {
            Found::Nothing
        } else {
            Found::Waiting
        })
    }

    async fn carry_on(&self, mut erasure: Erasure) -> Result<Progress, SearchError> {
        let _running = Running::begin("erasure");
        while let Some(search) = erasure.search.clone() {
            if !self.step(&mut erasure, &search).await? {
                return Ok(Progress::Waits);
            }
            if !search.is_thorough {
                // There may be as many as there are people.
                self.store.forget_erasure(erasure.id).await?;
                return Ok(Progress::Done);
            }
            if let (Some(next), Some(search)) = (search.step.next(), &mut erasure.search) {
                search.step = next;
                search.position = None;
            } else {
                erasure.search = None;
                erasure.finished_at = Some(now());
            }
            self.note(&mut erasure).await?;
        }
        Ok(Progress::Done)
    }

    /// Takes one step. False where it has to wait.
    async fn step(&self, erasure: &mut Erasure, search: &Search) -> Result<bool, SearchError> {
        match search.step {
            Step::Rows => self.empty_rows(erasure, search).await?,
            Step::Raw | Step::Rejects => self.look_back(erasure, search).await?,
            Step::Feed => self.look_through_feed(erasure, search).await?,
            Step::Deliveries => self.look_through_deliveries(erasure, search).await?,
            Step::Queue => {
                let queue = self.store.queue().await?;
                return Ok(!queue.iter().any(|waiting| search.queued.contains(&waiting.batch)));
            }
            Step::Index => {
                let gone: Vec<ProfileId> = search.profiles.iter().copied().collect();
                return Ok(self.index.purge(gone).await?);
            }
        }
        Ok(true)
    }

    /// Empties the rows that are known to be theirs.
    async fn empty_rows(&self, erasure: &mut Erasure, search: &Search) -> Result<(), SearchError> {
        let mut blocks: BTreeMap<Ulid, BTreeSet<RawId>> = BTreeMap::new();
        for row in &search.rows {
            blocks.entry(row.block).or_default().insert(*row);
        }
        for (done, (block, rows)) in (1..).zip(blocks) {
            erasure.erased.raw_rows += self.emptied(block, |id, _| rows.contains(&id)).await?;
            if done % NOTE_EVERY == 0 {
                self.note(erasure).await?;
            }
        }
        Ok(())
    }

    async fn emptied(&self, block: Ulid, is_to_go: impl Fn(RawId, &str) -> bool) -> Result<u64, StoreError> {
        let mut tries = TRIES;
        loop {
            let is_row = |id, row: &crate::domain::record::RawRow| is_to_go(id, &row.verbatim);
            match self.store.empty_raw_rows(block, is_row).await {
                Err(StoreError::Conflict) if tries > 0 => tries -= 1,
                done => return done,
            }
        }
    }

    /// Looks through all that ever arrived, the latest first.
    async fn look_back(&self, erasure: &mut Erasure, search: &Search) -> Result<(), SearchError> {
        let needles = Needles::new(&search.cookies, &search.emails);
        let is_raw = search.step == Step::Raw;
        let mut to = search.position.unwrap_or_else(end);
        let mut width = Width::new(if is_raw { BLOCKS_MAX } else { REJECTS_MAX });
        while let Some(window) = width.before(to) {
            let started = Instant::now();
            let is_through = if is_raw {
                self.look_at_raw(erasure, &needles, &window, &mut width).await?
            } else {
                self.look_at_rejects(erasure, &needles, &window, &mut width)
                    .await?
            };
            if !is_through {
                continue;
            }
            to = window.start;
            if let Some(search) = &mut erasure.search {
                search.position = Some(to);
            }
            self.note(erasure).await?;
            tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
        }
        Ok(())
    }

    /// False where there was too much in a window to look at.
    async fn look_at_raw(
        &self,
        erasure: &mut Erasure,
        needles: &Needles,
        window: &Range<u64>,
        width: &mut Width,
    ) -> Result<bool, SearchError> {
        let Some(blocks) = width.blocks(&self.store, window).await? else {
            return Ok(false);
        };
        for block in blocks {
            erasure.erased.raw_rows += self.emptied(block, |_, text| needles.are_in(text)).await?;
        }
        Ok(true)
    }

    async fn look_at_rejects(
        &self,
        erasure: &mut Erasure,
        needles: &Needles,
        window: &Range<u64>,
        width: &mut Width,
    ) -> Result<bool, SearchError> {
        let Some(rejects) = width.rejects(&self.store, window).await? else {
            return Ok(false);
        };
        let gone: Vec<(Ulid, u64)> = rejects
            .iter()
            .filter(|(_, reject)| names(needles, reject))
            .map(|(batch, reject)| (*batch, reject.row.number))
            .collect();
        if !gone.is_empty() {
            self.store.drop_rejects(&gone).await?;
            erasure.erased.rejects += gone.len() as u64;
        }
        Ok(true)
    }

    async fn look_through_feed(&self, erasure: &mut Erasure, search: &Search) -> Result<(), SearchError> {
        if search.profiles.is_empty() {
            return Ok(());
        }
        let extent = self.store.feed_extent().await?;
        let mut from = search.position.unwrap_or_default().max(extent.begin);
        while from <= extent.newest {
            let to = from + FEED_BLOCKS;
            let events = self
                .store
                .forget_in_feed(from, to, &search.profiles, erasure.at)
                .await?;
            erasure.erased.events += events;
            from = to;
            if let Some(search) = &mut erasure.search {
                search.position = Some(from);
            }
            self.note(erasure).await?;
        }
        self.pipeline.feed().forget().await;
        Ok(())
    }

    async fn look_through_deliveries(
        &self,
        erasure: &mut Erasure,
        search: &Search,
    ) -> Result<(), SearchError> {
        if search.profiles.is_empty() {
            return Ok(());
        }
        for webhook in self.store.webhooks().await? {
            let end = webhook.standing.logged + 1;
            let mut from = end.saturating_sub(self.deliveries_kept).max(1);
            while from < end {
                let to = end.min(from + DELIVERIES);
                let deliveries = self
                    .store
                    .forget_in_deliveries(webhook.id, from..to, &search.profiles, erasure.at)
                    .await?;
                erasure.erased.deliveries += deliveries;
                from = to;
            }
            self.note(erasure).await?;
        }
        Ok(())
    }

    async fn note(&self, erasure: &mut Erasure) -> Result<(), SearchError> {
        erasure.updated_at = now();
        let lease = self.turn.kept().ok_or(StoreError::Lost)?;
        Ok(self.store.note_erasure(erasure, lease.proof().as_ref()).await?)
    }
}

/// Whether a refused row names any of them, in whatever was kept of it.
fn names(needles: &Needles, reject: &StoredReject) -> bool {
    let reasons = reject.reasons.iter().map(|(_, _, message)| message.as_str());
    let texts = [Some(reject.row.verbatim.as_str()), reject.fields.as_deref()];
    texts
        .into_iter()
        .flatten()
        .chain(reasons)
        .any(|text| needles.are_in(text))
}

fn now() -> Timestamp {
    stored(Utc::now())
}
