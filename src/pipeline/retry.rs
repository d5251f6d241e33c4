//! Conflict → read again, decide again: bounded, and jittered so that two writers who
//! collided do not collide again.

use std::time::Duration;

use rand::Rng;

use super::PipelineError;
use crate::store::StoreError;

/// After so many conflicts in a row something else is wrong.
const ATTEMPTS_MAX: u32 = 12;

/// Half of the longest pause before the second attempt; it doubles with each.
const PAUSE_FIRST: Duration = Duration::from_millis(2);

/// The longest pause at all.
const PAUSE_MAX: Duration = Duration::from_millis(200);

/// How often one piece of work was tried.
#[derive(Default)]
pub struct Retry {
    tried: u32,
}

impl Retry {
    /// Waits, when the failure is a conflict and another try may help.
    ///
    /// # Errors
    /// The failure itself when it is another one; [`PipelineError::Contended`] after
    /// [`ATTEMPTS_MAX`] conflicts.
    pub async fn after(&mut self, failure: impl Into<PipelineError>) -> Result<(), PipelineError> {
        match failure.into() {
            PipelineError::Store(StoreError::Conflict) => {}
            other => return Err(other),
        }
        metrics::counter!("cdp_conflicts_total").increment(1);
        self.tried += 1;
        if self.tried == ATTEMPTS_MAX {
            return Err(PipelineError::Contended {
                attempts: ATTEMPTS_MAX,
            });
        }
        let longest = PAUSE_FIRST.saturating_mul(1 << self.tried.min(16)).min(PAUSE_MAX);
        let pause = longest.mul_f64(rand::rng().random_range(0.5..1.0));
        tokio::time::sleep(pause).await;
        Ok(())
    }
}
