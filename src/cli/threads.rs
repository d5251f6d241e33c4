//! The threads that whoever opens a store needs.

use std::io;
use std::thread::available_parallelism;

use tokio::runtime::{Builder, Runtime};

/// Stack of each thread: the engine's parser and planner go deep.
const STACK_BYTES: usize = 10 * 1024 * 1024;

/// The fewest threads: the engine may block one while it works. No more than there are cores beyond
/// that: threads that wait for a core wait for slices of milliseconds, and so do callers.
const THREADS_MIN: usize = 2;

/// A thread for each core.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> io::Result<Runtime> {
    let threads = available_parallelism().map_or(THREADS_MIN, usize::from);
    Builder::new_multi_thread()
        .worker_threads(threads.max(THREADS_MIN))
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
}
