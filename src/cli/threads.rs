//! The threads that whoever opens a store needs.

use std::io;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Stack of each thread: the engine's parser and planner go deep.
const STACK_BYTES: usize = 10 * 1024 * 1024;

/// The fewest threads, unless a setting says so: the engine holds one up while it reads the disk.
const THREADS_MIN: usize = 2;

/// How much the background yields to callers, as `nice` counts it: where both want a core it gets a
/// third of what they get, so that it is slowed down and never stands still.
const BACKGROUND_NICENESS: i32 = 5;

/// The most that there is.
const NICENESS_MAX: i32 = 19;

/// How long those in the background, and those that serve, may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// A server's threads. The background ends first: its work needs the engine, whose own tasks run on
/// the threads that serve.
pub struct Threads {
    /// Those for what can wait; see [`crate::services::background`].
    pub background: Runtime,
    /// Those that answer, and store what is sent.
    pub serving: Runtime,
}

impl Threads {
    /// As many that serve as the setting says, see [`runtime`], and the fewest in the background.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(threads: Option<NonZeroUsize>) -> io::Result<Self> {
        let niceness = BACKGROUND_NICENESS + own_niceness();
        let background = builder(THREADS_MIN)
            .thread_name("background")
            .on_thread_start(move || give_way(niceness))
            .build()?;
        let serving = runtime(threads)?;
        Ok(Self { background, serving })
    }

    /// Lets what runs on them come to its end, for so long: what reckons and does not look up, as
    /// whoever embeds terms, would hold the end up for minutes.
    pub fn end(self) {
        self.background.shutdown_timeout(ENDS_WITHIN);
        self.serving.shutdown_timeout(ENDS_WITHIN);
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

/// What the process was started with.
fn own_niceness() -> i32 {
    rustix::process::getpriority_process(None).unwrap_or_default()
}

/// Gives this thread a niceness, and so those that it starts. Set and not added, since it may have been
/// started by one that has it.
fn give_way(niceness: i32) {
    // Elsewhere than on Linux it is the whole process's.
    if !cfg!(target_os = "linux") {
        return;
    }
    if let Err(error) = rustix::process::setpriority_process(None, niceness.min(NICENESS_MAX)) {
        tracing::debug!(%error, "a thread of the background can't give way");
    }
}
