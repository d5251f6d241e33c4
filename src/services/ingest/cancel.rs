//! Ends a queued batch where it is. What is stored of it stays.

use std::time::Duration;

use chrono::Utc;
use ulid::Ulid;

use super::Ingest;
use super::claims::Held;
use super::queue::locked;
use super::report::Standing;
use crate::domain::error::{Error, ErrorCode};
use crate::ingest::normalise::stored;
use crate::store::StoreError;

/// Tries while the batch gets on meanwhile, at another server.
const TRIES_MAX: u32 = 20;

/// How long is waited for the worker to come to the end of its chunk, between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks after which the worker is not waited for: then the store tells it to stop.
const LOOKS_MAX: u32 = 1_000;

impl Ingest {
    /// Cancels a batch that is queued or being worked off; does nothing to one that is cancelled
    /// already.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch, conflict when
    /// it has ended or was not queued.
    pub async fn cancel(&self, id: &str) -> Result<Standing, Error> {
        let batch = self.batch(id).await?.0.batch;
        let _stopping = Stopping::begin(self, batch);
        for _ in 0..LOOKS_MAX {
            if !self.claims.has(&Held::Batch(batch)) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        for _ in 0..TRIES_MAX {
            match self.cancel_once(id).await? {
                Some(standing) => return Ok(standing),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        Err(Error::unavailable(
            "the batch could not be cancelled; try again",
            StoreError::Conflict,
        ))
    }

    /// Cancels a batch as it is now; none when it got on meanwhile.
    async fn cancel_once(&self, id: &str) -> Result<Option<Standing>, Error> {
        let (origin, mut progress) = self.batch(id).await?;
        if progress.journal.is_cancelled {
            return Ok(Some(self.standing_of(origin, progress)));
        }
        if progress.finished || !progress.journal.is_queued {
            let message = if progress.finished {
                "the batch has ended already"
            } else {
                "only a batch that was sent with `Prefer: respond-async` can be cancelled"
            };
            return Err(Error::new(ErrorCode::Conflict, message));
        }
        progress.finished = true;
        progress.journal.is_cancelled = true;
        progress.failure = Some(match progress.processed {
            0 => "cancelled before any row was stored".to_owned(),
            stored => format!("cancelled; the {stored} rows before that are stored"),
        });
        let queued = self.store.queued(origin.batch).await?;
        let now = stored(Utc::now());
        let cancelled = self
            .store
            .cancel_queued(queued.as_ref(), origin.clone(), progress.clone(), now);
        match cancelled.await {
            Ok(()) => {
                progress.journal.updated_at = Some(now);
                Ok(Some(self.standing_of(origin, progress)))
            }
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Keeps the worker from a batch, until this is dropped.
struct Stopping<'a> {
    ingest: &'a Ingest,
    batch: Ulid,
}

impl<'a> Stopping<'a> {
    fn begin(ingest: &'a Ingest, batch: Ulid) -> Self {
        locked(&ingest.queue.cancelling).insert(batch);
        Self { ingest, batch }
    }
}

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        locked(&self.ingest.queue.cancelling).remove(&self.batch);
        // What was kept from the worker may be the next.
        self.ingest.queue.wake.notify_one();
    }
}
