//! What a process is told by signals, from its first moment to its last.

use std::io;
use std::process::exit;
use std::thread::{Builder, sleep};
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What the process answers that was told twice to stop, and did not wait for what was under way.
const ENDED_AT_ONCE: i32 = 1;

/// A file that is longer than the process may write (`SIGXFSZ`).
const FILE_TOO_LONG: i32 = 25;

/// How long the log has to say that the process ends at once.
const SAID_WITHIN: Duration = Duration::from_millis(100);

/// Whether the process was told to stop: by the terminal, or by whoever runs it. Who is told a second
/// time ends at once, whatever it waits for.
pub struct Signals(watch::Sender<bool>);

struct Heard {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// An error of writing, and no end of the process.
    _file_too_long: Signal,
}

impl Signals {
    /// Listens from here on, on a thread of its own, since the others may be ending, or be busy.
    ///
    /// # Errors
    /// When the system lets nobody listen.
    pub fn listen() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let heard = {
            let _inside = runtime.enter();
            Heard {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
                _file_too_long: signal(SignalKind::from_raw(FILE_TOO_LONG))?,
            }
        };
        let told = watch::channel(false).0;
        let telling = told.clone();
        Builder::new()
            .name("signals".to_owned())
            .spawn(move || runtime.block_on(heard.tell(&telling)))?;
        Ok(Self(told))
    }

    /// Whether it was told.
    #[must_use]
    pub fn were_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is told.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + 'static {
        let told = self.0.clone();
        // Who tells lives as long as this.
        async move { drop(told.subscribe().wait_for(|told| *told).await) }
    }
}

impl Heard {
    async fn tell(mut self, told: &watch::Sender<bool>) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                // Whoever speaks TLS hears it as well, and reads its certificate anew.
                _ = self.hangup.recv() => continue,
            }
            // Said by threads of their own: whoever reads the log may have stopped to, and then to write
            // to it does not return.
            if told.send_replace(true) {
                let ended = || {
                    tracing::warn!(
                        "ended at once, as told; the store is as after a crash, and loses nothing"
                    );
                };
                let _ = Builder::new().spawn(ended);
                sleep(SAID_WITHIN);
                exit(ENDED_AT_ONCE);
            }
            let stopping =
                || tracing::info!("stopping: requests under way may finish; a second signal ends at once");
            let _ = Builder::new().spawn(stopping);
        }
    }
}
