//! The threads that whoever opens a store needs.

use std::io;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// Stack of each thread: the engine's parser and planner go deep.
const STACK_BYTES: usize = 10 * 1024 * 1024;

/// The fewest threads, unless a setting says so: the engine holds one up while it reads the disk.
const THREADS_MIN: usize = 2;

/// How much what nobody waits for yields to callers, as `nice` counts it: it gets a third of what one
/// of them gets, so that it is slowed down and never stands still.
const BACKGROUND_NICENESS: i32 = 5;

/// A server's threads.
pub struct Threads {
    /// Those that answer, and store what is sent.
    pub serving: Runtime,
    /// Those for what nobody waits for; see [`crate::services::background`].
    pub background: Runtime,
}

impl Threads {
    /// As many that serve as the setting says, see [`runtime`], and the fewest in the background.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(threads: Option<NonZeroUsize>) -> io::Result<Self> {
        let background = builder(THREADS_MIN)
            .thread_name("background")
            .on_thread_start(give_way)
            .build()?;
        let serving = runtime(threads)?;
        Ok(Self { serving, background })
    }
}

/// As many threads as the setting says, or one for each core: those beyond wait for slices of
/// milliseconds, and so do callers.
///
/// # Errors
/// When the system gives none.
pub fn runtime(threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    let cores = || {
        available_parallelism()
            .map_or(THREADS_MIN, usize::from)
            .max(THREADS_MIN)
    };
    builder(threads.map_or_else(cores, usize::from)).build()
}

fn builder(threads: usize) -> Builder {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(threads)
        .thread_stack_size(STACK_BYTES)
        .enable_all();
    builder
}

/// Lets callers' threads go before this one, and before those that it starts.
fn give_way() {
    // Elsewhere than on Linux a niceness is the whole process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BACKGROUND_NICENESS) {
        tracing::debug!(%error, "a thread of the background can't give way");
    }
}
