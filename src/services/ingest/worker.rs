//! Works off what is queued: one batch at a time in each process, in the order in which they
//! came. A batch that cannot be stored is tried again later; whatever is stored of it is passed
//! over then.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tokio::runtime::Handle;
use tokio::time::Instant;
use ulid::Ulid;

use super::batch::Batch;
use super::chunks::{Reading, Skip};
use super::claims::Held;
use super::queue::{LEASE, lease, locked};
use super::{Format, Ingest};
use crate::domain::error::{Error, ErrorCode};
use crate::services::jobs::Running;
use crate::store::Store;
use crate::store::spool::Queued;

/// How often the queue is looked at without a call: another server may have gone away.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often one says that it still has its batch in hand.
const RENEW_EVERY: Duration = Duration::from_secs(10);

/// How long after its lease a payload that does not come to its end is given up, where other
/// servers may be the ones who receive it.
const GIVEN_UP_AFTER: TimeDelta = TimeDelta::hours(1);

/// Tries of a batch that can't be stored, each twice as long after the one before.
const TRIES_MAX: u32 = 6;

/// The pause before the second try.
const PAUSE_FIRST: Duration = Duration::from_secs(1);

/// Starts the worker of a process; it ends when nobody else holds `ingest`.
pub(super) fn start(ingest: &Arc<Ingest>) {
    let wake = Arc::clone(&ingest.queue.wake);
    let ingest: Weak<Ingest> = Arc::downgrade(ingest);
    tokio::spawn(async move {
        loop {
            let Some(strong) = ingest.upgrade() else { return };
            let has_more = strong.work_off_next().await;
            drop(strong);
            if !has_more {
                // Whether somebody calls or it is time to look makes no difference.
                let _ = tokio::time::timeout(LOOK_EVERY, wake.notified()).await;
            }
        }
    });
}

impl Ingest {
    /// Works off the next batch that is free; false if there is none.
    async fn work_off_next(&self) -> bool {
        let queue = match self.store.queue().await {
            Ok(queue) => queue,
            Err(error) => {
                tracing::warn!(error = %error, "the queue can't be read; it is looked at again");
                return false;
            }
        };
        for queued in queue {
            if !queued.is_whole {
                self.forget_if_given_up(&queued).await;
                continue;
            }
            if !self.may_take(&queued) {
                continue;
            }
            let until = lease();
            match self.store.take_queued(&queued, &self.queue.owner, until).await {
                Ok(true) => {
                    let taken = Queued {
                        owner: self.queue.owner.clone(),
                        leased_until: until,
                        ..queued
                    };
                    self.work_off(taken).await;
                    return true;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(batch.id = %queued.batch, error = %error, "a queued batch can't be taken");
                }
            }
        }
        false
    }

    /// Whether a batch is this process's to work off. Whoever else had a store of this
    /// process's own in hand is gone.
    fn may_take(&self, queued: &Queued) -> bool {
        let is_free = queued.owner.is_empty()
            || queued.owner == self.queue.owner
            || !self.store.is_shared()
            || queued.leased_until < Utc::now();
        let now = Instant::now();
        is_free
            && !locked(&self.queue.cancelling).contains(&queued.batch)
            && locked(&self.queue.waiting)
                .get(&queued.batch)
                .is_none_or(|(_, until)| *until <= now)
    }

    /// Forgets a payload whose receiver is gone.
    async fn forget_if_given_up(&self, queued: &Queued) {
        let is_given_up = queued.owner != self.queue.owner
            && (!self.store.is_shared() || queued.leased_until + GIVEN_UP_AFTER < Utc::now());
        if is_given_up {
            self.forget(queued).await;
        }
    }

    async fn forget(&self, queued: &Queued) {
        locked(&self.queue.waiting).remove(&queued.batch);
        if let Err(error) = self.store.dequeue(queued).await {
            tracing::warn!(batch.id = %queued.batch, error = %error, "a batch that ended is still in the queue");
        }
    }

    /// Works a batch off, saying now and then that it is in hand.
    async fn work_off(&self, mut queued: Queued) {
        let _running = Running::begin("batch");
        let batch = queued.batch;
        let mut work = std::pin::pin!(self.store_queued(batch));
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                () = tokio::time::sleep(RENEW_EVERY) => {
                    let until = lease();
                    if let Ok(true) = self.store.take_queued(&queued, &self.queue.owner, until).await {
                        queued.leased_until = until;
                    }
                }
            }
        };
        match done {
            Ok(true) => self.forget(&queued).await,
            // Somebody cancels it, and forgets it then.
            Ok(false) => {}
            Err(error) => self.put_off(&queued, &error).await,
        }
    }

    /// Stores what is left of a batch; false when it was stopped before its end.
    async fn store_queued(&self, id: Ulid) -> Result<bool, Error> {
        let Some((origin, progress)) = self.store.batch(id).await? else {
            return Ok(true);
        };
        if progress.finished {
            return Ok(true);
        }
        let claim = self.claims.take(Held::Batch(id))?;
        let format = Format::of_media_type(&origin.content_type);
        let reading = Reading {
            format: format.ok_or_else(|| Error::internal("a queued batch is of no known format"))?,
            names: self.names(&origin.source, &super::renames(&progress.journal.renames)?),
            bytes_max: u64::MAX,
            identity: Some(super::identity(
                &origin.content_type,
                &origin.source,
                &progress.journal.renames,
            )),
            skip: Skip::default(),
        };
        let body = Spooled {
            store: self.store.clone(),
            runtime: Handle::current(),
            batch: id,
            next: 0,
            block: Cursor::default(),
        };
        let is_stopped = || locked(&self.queue.cancelling).contains(&id);
        let batch = Batch::new(self, origin, progress).patient().holding(vec![claim]);
        match batch.run(reading, body, &is_stopped).await {
            Ok(report) => Ok(report.is_some()),
            Err(error) => {
                // A payload that can't be read has ended, and so has one that was cancelled at
                // another server.
                let now = self.store.batch(id).await?;
                match now {
                    Some((_, progress)) if !progress.finished => Err(error),
                    _ => Ok(true),
                }
            }
        }
    }

    /// Lets a batch that can't be stored wait, or ends it where no further try would help.
    async fn put_off(&self, queued: &Queued, error: &Error) {
        let tries = {
            let mut waiting = locked(&self.queue.waiting);
            let tries = waiting.get(&queued.batch).map_or(0, |(tries, _)| *tries) + 1;
            let pause = PAUSE_FIRST.saturating_mul(1 << (tries - 1).min(TRIES_MAX));
            waiting.insert(queued.batch, (tries, Instant::now() + pause));
            tries
        };
        tracing::warn!(batch.id = %queued.batch, tries, error = %error, "a queued batch could not be stored");
        let may_pass = matches!(
            error.code,
            ErrorCode::Unavailable | ErrorCode::Internal | ErrorCode::Conflict
        );
        if may_pass && tries < TRIES_MAX {
            return;
        }
        let Ok(Some((origin, progress))) = self.store.batch(queued.batch).await else {
            return;
        };
        let message = format!(
            "{}; the {} rows before it are stored",
            error.message, progress.processed
        );
        let ended = Batch::new(self, origin, progress).end(&message, Vec::new()).await;
        if ended.is_ok() {
            self.forget(queued).await;
        }
    }
}

const _: () = assert!(RENEW_EVERY.as_secs().cast_signed() * 2 < LEASE.num_seconds());

/// A payload as it lies in the spool.
struct Spooled {
    store: Store,
    runtime: Handle,
    batch: Ulid,
    next: u64,
    block: Cursor<Vec<u8>>,
}

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let next = self.store.spooled_block(self.batch, self.next);
            let Some(packed) = self.runtime.block_on(next).map_err(io::Error::other)? else {
                return Ok(0);
            };
            self.block = Cursor::new(zstd::decode_all(packed.as_slice())?);
            self.next += 1;
        }
    }
}
