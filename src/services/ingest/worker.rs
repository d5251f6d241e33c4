//! Works off what is queued: one batch at a time in each process, in the order in which they
//! came, each by one of the servers that share a store. A batch that cannot be stored is tried
//! again later; whatever is stored of it is passed over then.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use ulid::Ulid;

use super::batch::Batch;
use super::chunks::{Reading, Skip};
use super::claims::Held;
use super::queue::locked;
use super::{Format, Ingest};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::lease::Job;
use crate::services::background::{outlive, step};
use crate::services::jobs::Running;
use crate::services::leases::Lease;
use crate::store::spool::Queued;
use crate::store::{Store, StoreError};

/// How often the queue is looked at without a call: another server may have gone away.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Tries of a batch that can't be stored, each twice as long after the one before. Those in which the
/// store was out of reach are not counted.
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
            let has_more = step("the queue is looked at again", strong.work_off_next()).await;
            drop(strong);
            if has_more != Some(true) {
                // Whether somebody calls or it is time to look makes no difference.
                let _ = tokio::time::timeout(LOOK_EVERY, wake.notified()).await;
            }
        }
    });
}

impl Ingest {
    /// Works off the next batch that is free; false if there is none.
    async fn work_off_next(&self) -> Result<bool, StoreError> {
        let queue = self.store.queue().await?;
        for queued in queue.iter().filter(|queued| self.may_take(queued)) {
            match self.take(queued).await {
                Ok(Some((lease, queued))) if queued.is_whole => {
                    self.work_off(queued, &lease).await;
                    return Ok(true);
                }
                // Whoever received it is gone.
                Ok(Some((_lease, queued))) => self.forget(&queued).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(batch.id = %queued.batch, error = %error, "a queued batch can't be taken");
                }
            }
        }
        Ok(false)
    }

    fn may_take(&self, queued: &Queued) -> bool {
        let now = Instant::now();
        !locked(&self.queue.cancelling).contains(&queued.batch)
            && locked(&self.queue.waiting)
                .get(&queued.batch)
                .is_none_or(|(_, until)| *until <= now)
    }

    /// Takes a batch into hand, and reads it again: it may have been received or worked off
    /// meanwhile. None if somebody has it, or it is gone.
    async fn take(&self, queued: &Queued) -> Result<Option<(Lease, Queued)>, StoreError> {
        let Some(lease) = self.queue.leases.take(Job::Batch(queued.batch)).await? else {
            return Ok(None);
        };
        let queued = self.store.queued(queued.batch).await?;
        Ok(queued.map(|queued| (lease, queued)))
    }

    async fn forget(&self, queued: &Queued) {
        locked(&self.queue.waiting).remove(&queued.batch);
        if let Err(error) = self.store.dequeue(queued).await {
            tracing::warn!(batch.id = %queued.batch, error = %error, "a batch that ended is still in the queue");
            locked(&self.queue.waiting).insert(queued.batch, (0, Instant::now() + PAUSE_FIRST));
        }
    }

    /// Works a batch off, for as long as it is this process's.
    async fn work_off(&self, queued: Queued, lease: &Lease) {
        let _running = Running::begin("batch");
        match outlive(self.store_queued(queued.batch, lease)).await {
            Ok(true) => self.forget(&queued).await,
            // Somebody cancels it, and forgets it then; or another server goes on with it.
            Ok(false) => {}
            Err(error) if !lease.is_held() => {
                tracing::info!(batch.id = %queued.batch, error = %error, "another server has taken a batch over");
            }
            Err(error) => self.put_off(&queued, &error).await,
        }
    }

    /// Stores what is left of a batch; false when it was stopped before its end.
    async fn store_queued(&self, id: Ulid, lease: &Lease) -> Result<bool, Error> {
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
        let unread = Arc::default();
        let body = Spooled {
            store: self.store.clone(),
            runtime: Handle::current(),
            batch: id,
            next: 0,
            block: Cursor::default(),
            failure: Arc::clone(&unread),
        };
        let is_stopped = || locked(&self.queue.cancelling).contains(&id) || !lease.is_held();
        let batch = Batch::new(self, origin, progress).patient().holding(vec![claim]);
        match batch.run(reading, body, &is_stopped).await {
            Ok(report) => Ok(report.is_some()),
            Err(error) => {
                // A payload that can't be read has ended, and so has one that was cancelled at
                // another server.
                let now = self.store.batch(id).await?;
                match now {
                    Some((_, progress)) if !progress.finished => {
                        // Whoever reads has told it in words only.
                        let away = locked(&unread).take().filter(StoreError::is_away);
                        Err(away.map_or(error, Error::from))
                    }
                    _ => Ok(true),
                }
            }
        }
    }

    /// Lets a batch that can't be stored wait, or ends it where no further try would help.
    async fn put_off(&self, queued: &Queued, error: &Error) {
        let tries = {
            let mut waiting = locked(&self.queue.waiting);
            let before = waiting.get(&queued.batch).map_or(0, |(tries, _)| *tries);
            let tries = before + u32::from(!is_of_store_away(error));
            let pause = PAUSE_FIRST.saturating_mul(1 << tries.saturating_sub(1).min(TRIES_MAX));
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

/// Whether the store's server was out of reach.
fn is_of_store_away(error: &Error) -> bool {
    let cause = error.source.as_deref();
    let cause = cause.and_then(|cause| cause.downcast_ref::<StoreError>());
    cause.is_some_and(StoreError::is_away)
}

/// A payload as it lies in the spool.
struct Spooled {
    store: Store,
    runtime: Handle,
    batch: Ulid,
    next: u64,
    block: Cursor<Vec<u8>>,
    /// Why it could not be read any further.
    failure: Arc<Mutex<Option<StoreError>>>,
}

impl Read for Spooled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let next = self.store.spooled_block(self.batch, self.next);
            let packed = self.runtime.block_on(next).map_err(|error| {
                let told = io::Error::other(error.to_string());
                *locked(&self.failure) = Some(error);
                told
            })?;
            let Some(packed) = packed else {
                return Ok(0);
            };
            self.block = Cursor::new(zstd::decode_all(packed.as_slice())?);
            self.next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::PipelineError;

    #[test]
    fn only_a_store_out_of_reach_is_no_try_of_a_batch() {
        let away = StoreError::of_no_answer;
        assert!(is_of_store_away(&away().into()));
        assert!(is_of_store_away(&PipelineError::from(away()).into()));
        assert!(!is_of_store_away(&StoreError::Conflict.into()));
        assert!(!is_of_store_away(&StoreError::Late { doing: "wrote" }.into()));
        let torn = StoreError::Corrupt("a document is torn".to_owned());
        assert!(!is_of_store_away(&torn.into()));
    }
}
