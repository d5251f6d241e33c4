//! The calls that may change something and are under way. Each comes to its end whether or not
//! anybody waits for it, and so the end of a server waits for them.

use tokio::sync::watch;

/// Counts them.
#[derive(Debug)]
pub struct Calls(watch::Sender<usize>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Call(watch::Sender<usize>);

impl Default for Calls {
    fn default() -> Self {
        Self(watch::channel(0).0)
    }
}

impl Calls {
    /// Counts one.
    #[must_use]
    pub fn begin(&self) -> Call {
        self.0.send_modify(|count| *count += 1);
        Call(self.0.clone())
    }

    /// Waits until none is under way.
    pub async fn end(&self) {
        // Who counts is this.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
