//! Where that runs which can wait: the audit log, the search index, backfills, the schedule, erasures
//! and retention, deliveries, and the files of exports. On few cores it would take from callers, a
//! millisecond here and there and then seconds, what they notice; so a server gives it threads of its
//! own, which give way. (Whoever changes something does wait for its entry in the audit log.)
//!
//! And how what goes on for as long as the server does outlives a fault of one of its steps: [`step`].

use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, TryFutureExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// The threads for what can wait.
#[derive(Debug, Clone)]
pub struct Background(Handle);

impl Background {
    /// Those of a runtime.
    #[must_use]
    pub const fn on(runtime: Handle) -> Self {
        Self(runtime)
    }

    /// Those of the runtime that this is called on: nothing is apart.
    ///
    /// # Panics
    /// Outside of a runtime.
    #[must_use]
    pub fn here() -> Self {
        Self(Handle::current())
    }

    /// Runs a future there.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.0.spawn(future)
    }

    /// Runs what may block there.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.spawn_blocking(work)
    }
}

/// What was done panicked, and the panic hook has told where.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it panicked")]
pub struct Panicked;

/// Outlives what panics: that is an error like any other.
///
/// # Errors
/// Those of the work, and that it panicked.
pub fn outlive<T, E: From<Panicked>>(
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    caught(work).map(|done| done?)
}

/// One step of what goes on for as long as the server does, whatever becomes of the step: what fails
/// or panics is told, with what that means, and is none.
pub fn step<T, E: Display>(
    meaning: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Option<T>> {
    caught(work).map(move |done| {
        match done {
            Ok(Ok(done)) => return Some(done),
            Ok(Err(error)) => tracing::warn!(%error, "{meaning}"),
            Err(error) => tracing::error!(%error, "{meaning}"),
        }
        None
    })
}

/// Apart, since what goes on in the background is large, and is not to be moved about.
fn caught<T>(work: impl Future<Output = T>) -> impl Future<Output = Result<T, Panicked>> {
    // What a lock holds is whole whoever panicked beside it, as everywhere.
    AssertUnwindSafe(Box::pin(work))
        .catch_unwind()
        .map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_fails_or_panics_is_none_and_the_next_one_is_done() {
        let steps = [Ok(1), Err("it is away"), Ok(2), Ok(3)];
        let mut done = Vec::new();
        for (number, wish) in steps.into_iter().enumerate() {
            let work = async move {
                tokio::task::yield_now().await;
                assert!(number != 2, "the third one panics");
                wish
            };
            done.push(step("it has to wait", work).await);
        }
        assert_eq!(done, [Some(1), None, None, Some(3)]);
    }
}
