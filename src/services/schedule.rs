//! Looks again at people whom time alone may have moved: those who are due, and nobody else. Of
//! several servers on one store, one looks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Notify;

use super::background::{Background, step};
use super::leases::{Leases, Turn};
use crate::domain::Timestamp;
use crate::domain::lease::Job;
use crate::domain::profile::ProfileId;
use crate::ingest::normalise::stored;
use crate::pipeline::{Pipeline, PipelineError};
use crate::store::Store;

/// How often it looks who is due; nobody is late by more, unless many are due at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many are judged in one transaction.
const AT_ONCE: usize = 500;

/// Between two transactions it rests as long as the last one took, at most so long.
const REST_MAX: Duration = Duration::from_secs(1);

/// The schedule, which ends when this is dropped.
pub struct Schedule {
    ended: Arc<Notify>,
}

impl Schedule {
    pub(super) fn start(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        background: &Background,
    ) -> Self {
        let ended = Arc::new(Notify::new());
        let (store, pipeline, end) = (store.clone(), pipeline.clone(), Arc::clone(&ended));
        let mut turn = Turn::new(leases, Job::Schedule);
        background.spawn(async move {
            loop {
                let looking = look_in_turn(&mut turn, &store, &pipeline);
                step("the schedule has to wait", looking).await;
                if tokio::time::timeout(LOOK_EVERY, end.notified()).await.is_ok() {
                    return;
                }
            }
        });
        Self { ended }
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.ended.notify_one();
    }
}

async fn look_in_turn(turn: &mut Turn, store: &Store, pipeline: &Pipeline) -> Result<(), PipelineError> {
    if turn.mine().await?.is_some() {
        look(store, pipeline, stored(Utc::now())).await?;
    }
    Ok(())
}

/// Judges everybody who is due; how many changed.
///
/// # Errors
/// When the store or the model fails.
pub async fn look(store: &Store, pipeline: &Pipeline, now: Timestamp) -> Result<u64, PipelineError> {
    let due = store.due(now).await?;
    let mut changed = 0;
    for some in due.chunks(AT_ONCE) {
        let started = Instant::now();
        let ids: Vec<ProfileId> = some.iter().map(|(_, id)| *id).collect();
        changed += pipeline.resegment(ids, Some(now)).await?;
        // Those who are still there were told anew; the rest were absorbed since.
        store.drop_due(some).await?;
        metrics::counter!("cdp_due_total").increment(some.len() as u64);
        tokio::time::sleep(started.elapsed().min(REST_MAX)).await;
    }
    Ok(changed)
}
