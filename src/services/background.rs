//! Where that runs which can wait: the audit log, the search index, backfills, the schedule, erasures
//! and retention, deliveries, and the files of exports. On few cores it would take from callers, a
//! millisecond here and there and then seconds, what they notice; so a server gives it threads of its
//! own, which give way. (Whoever changes something does wait for its entry in the audit log.)

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
