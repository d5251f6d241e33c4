//! The threads that whoever opens a store needs.

use std::io;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// Stack of each thread: the engine's parser and planner go deep.
const STACK_BYTES: usize = 10 * 1024 * 1024;

/// The fewest threads, unless a setting says so: the engine holds one up while it reads the disk.
const THREADS_MIN: usize = 2;

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
    Builder::new_multi_thread()
        .worker_threads(threads.map_or_else(cores, usize::from))
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
}
