//! Payloads that are taken now and worked off later: durable before the answer, in the order in
//! which they came, and bounded together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Utc;
use sha2::Digest as _;
use tokio::io::AsyncRead;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::Instant;
use ulid::Ulid;

use super::chunks::{READ_BYTES, digest_begun, digest_of, read_some};
use super::claims::{Held, under_way};
use super::keyed::check_same;
use super::report::{Stage, Standing};
use super::{Ingest, Payload, check_source};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::lease::Job;
use crate::ingest::normalise::stored;
use crate::services::leases::{Lease, Leases};
use crate::store::spool::Queued;
use crate::store::{Store, StoreError};

/// Bytes of a payload in one block of the spool, before it is packed.
const BLOCK_BYTES: usize = 1024 * 1024;

/// zstd's level: 1 is its fastest, and already gives a factor of about 8 on JSON rows.
const COMPRESSION_LEVEL: i32 = 1;

/// After how many seconds there may be room in the queue again.
const FULL_RETRY_AFTER_S: u64 = 10;

/// This process's side of the queue.
pub(super) struct Queue {
    bytes_max: u64,
    /// Of several servers one has a batch in hand.
    pub leases: Leases,
    /// Wakes the worker.
    pub wake: Arc<Notify>,
    /// Batches that the worker leaves alone, since somebody cancels them.
    pub cancelling: Mutex<BTreeSet<Ulid>>,
    /// Batches that could not be stored: how often, and when they are tried again.
    pub waiting: Mutex<BTreeMap<Ulid, (u32, Instant)>>,
}

impl Queue {
    pub(super) fn new(bytes_max: u64, leases: &Leases) -> Self {
        Self {
            bytes_max,
            leases: leases.clone(),
            wake: Arc::new(Notify::new()),
            cancelling: Mutex::default(),
            waiting: Mutex::default(),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // The worker finds that there is nothing left to work for.
        self.wake.notify_one();
    }
}

/// What a lock holds is whole whoever panicked beside it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ingest {
    /// Receives a payload to its end and queues it; returns when it is durable, and before any
    /// row of it is read. With a key that came before, it tells how that batch stands.
    ///
    /// # Errors
    /// Bad request when the source has no proper name. Rate limited when the queue is full.
    /// Payload too large; unparseable when the body breaks off: then nothing is kept. Conflict
    /// when the first request with the key is under way, and key reused when it was another
    /// payload.
    pub async fn enqueue(
        &self,
        payload: Payload,
        body: impl AsyncRead + Send + Unpin,
    ) -> Result<Standing, Error> {
        check_source(&payload.source)?;
        let _claim = match &payload.key {
            Some(key) => Some(self.claims.take(Held::Key(key.clone()))?),
            None => None,
        };
        let first = match &payload.key {
            Some(key) => self.first_of(key).await?,
            None => None,
        };
        let batch = match first {
            Some(first) if first.progress.journal.payload_digest.is_some() => {
                check_same(&first, &digest_of(&payload, body).await?)?;
                let standing = self.standing_of(first.origin, first.progress);
                return Ok(Standing {
                    is_replayed: true,
                    ..standing
                });
            }
            Some(first) => self.carry_on(first).await?,
            None => self.begin(&payload, payload.key.clone()).await?,
        };
        let (origin, mut progress) = (batch.origin, batch.progress);
        let mut receiving = Receiving::begin(self, origin.batch).await?;
        progress.journal.payload_digest = Some(receiving.receive(&payload, body).await?);
        progress.journal.is_queued = true;
        let queued = receiving.received();
        let now = stored(Utc::now());
        let proof = receiving.lease.proof();
        match self
            .store
            .enqueue(&queued, origin.clone(), progress.clone(), now, proof.as_ref())
            .await
        {
            Ok(()) => receiving.keep(),
            Err(StoreError::Conflict) => {
                return Err(under_way("another request with this key came first".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        // Whoever is free may take it from here on.
        drop(receiving);
        self.queue.wake.notify_one();
        progress.journal.updated_at = Some(now);
        // The worker may be at it by now.
        Ok(Standing {
            stage: Stage::Queued,
            ..self.standing_of(origin, progress)
        })
    }
}

/// A payload that is being received; what is there of it is forgotten when it does not come to
/// its end.
struct Receiving<'a> {
    ingest: &'a Ingest,
    queued: Queued,
    /// Held until it is received: a payload that nobody receives is given up.
    lease: Lease,
    is_kept: bool,
}

impl<'a> Receiving<'a> {
    async fn begin(ingest: &'a Ingest, batch: Ulid) -> Result<Self, Error> {
        let lease = ingest.queue.leases.take(Job::Batch(batch)).await?;
        let Some(lease) = lease else {
            return Err(under_way(format!("the batch {batch} is being received already")));
        };
        let receiving = Self {
            queued: Queued {
                batch,
                is_whole: false,
                blocks: 0,
                bytes: 0,
            },
            lease,
            ingest,
            is_kept: false,
        };
        receiving.check_room(1).await?;
        ingest.store.begin_queued(&receiving.queued).await?;
        Ok(receiving)
    }

    /// Receives a payload to its end; returns its digest.
    async fn receive(
        &mut self,
        payload: &Payload,
        mut body: impl AsyncRead + Unpin,
    ) -> Result<String, Error> {
        let (mut digest, mut left) = (digest_begun(payload), payload.bytes_max);
        let mut buffer = vec![0; READ_BYTES];
        let mut block = Vec::with_capacity(BLOCK_BYTES + READ_BYTES);
        loop {
            let read = read_some(payload, &mut body, &mut buffer, &mut left).await?;
            digest.update(&buffer[..read]);
            block.extend_from_slice(&buffer[..read]);
            if block.len() >= BLOCK_BYTES || (read == 0 && !block.is_empty()) {
                self.spool(&block).await?;
                block.clear();
            }
            if read == 0 {
                break;
            }
        }
        if self.queued.blocks == 0 {
            return Err(Error::new(ErrorCode::Unparseable, "the payload is empty"));
        }
        Ok(hex::encode(digest.finalize()))
    }

    async fn spool(&mut self, block: &[u8]) -> Result<(), Error> {
        let packed = zstd::encode_all(block, COMPRESSION_LEVEL).map_err(Error::internal)?;
        let bytes = packed.len() as u64;
        self.check_room(bytes).await?;
        self.queued.blocks += 1;
        self.queued.bytes += bytes;
        let proof = self.lease.proof();
        let spooling = self
            .ingest
            .store
            .spool_block(&self.queued, packed, proof.as_ref());
        Ok(spooling.await?)
    }

    async fn check_room(&self, bytes: u64) -> Result<(), Error> {
        let queue = self.ingest.store.queue().await?;
        let taken: u64 = queue.iter().map(|queued| queued.bytes).sum();
        let most = self.ingest.queue.bytes_max;
        if taken + bytes <= most {
            return Ok(());
        }
        let message = format!("{taken} bytes wait to be worked off, and {most} may; try again later");
        Err(Error::new(ErrorCode::RateLimited, message).with_retry_after(FULL_RETRY_AFTER_S))
    }

    /// How it stands in the queue once all of it is there: whoever is free may take it.
    fn received(&self) -> Queued {
        Queued {
            is_whole: true,
            ..self.queued.clone()
        }
    }

    const fn keep(&mut self) {
        self.is_kept = true;
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let (store, queued) = (self.ingest.store.clone(), self.queued.clone());
        // What is left of it after a stop is found at the next start.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(forget(store, queued));
        }
    }
}

async fn forget(store: Store, queued: Queued) {
    if let Err(error) = store.dequeue(&queued).await {
        tracing::warn!(batch.id = %queued.batch, error = %error, "a payload that broke off is still in the queue");
    }
}
