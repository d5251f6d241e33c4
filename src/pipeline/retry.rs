//! Conflict → read again, decide again: bounded in time, and jittered so that two writers who
//! collided do not collide again.

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use super::PipelineError;
use crate::store::StoreError;

/// How long a piece of work may lose against other writers. Of writers that collide one has
/// won, so all together get on; but whoever takes long loses often against whoever is quick.
const CONTENDED_MAX: Duration = Duration::from_secs(10);

/// Half of the longest pause before the second attempt; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(2);

/// The longest pause at all. Short, since whoever pauses leaves the field to the others.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// How often one piece of work was tried, and since when.
pub struct Retry {
    tried: u32,
    since: Instant,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tried: 0,
            since: Instant::now(),
        }
    }
}

impl Retry {
    /// Waits, when the failure is a conflict and another try may help.
    ///
    /// # Errors
    /// The failure itself when it is another one; [`PipelineError::Contended`] after
    /// [`CONTENDED_MAX`].
    pub async fn after(&mut self, failure: impl Into<PipelineError>) -> Result<(), PipelineError> {
        match failure.into() {
            PipelineError::Store(StoreError::Conflict) => {}
            other => return Err(other),
        }
        metrics::counter!("cdp_conflicts_total").increment(1);
        self.tried += 1;
        if self.since.elapsed() > CONTENDED_MAX {
            return Err(PipelineError::Contended { attempts: self.tried });
        }
        let longest = PAUSE_FIRST.saturating_mul(1 << self.tried.min(8)).min(PAUSE_MAX);
        let pause = longest.mul_f64(rand::rng().random_range(0.5..1.0));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
