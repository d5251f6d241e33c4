//! Sessions that were ended before their time, in memory: asked at each request, so that no
//! request asks the store.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tokio::sync::watch;
use ulid::Ulid;

use crate::domain::Timestamp;

/// The sessions, and when this server heard of each.
pub(super) struct Revocations {
    ended: RwLock<HashMap<Ulid, Timestamp>>,
    /// How many there have been, for those who wait.
    heard: watch::Sender<usize>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            ended: RwLock::default(),
            heard: watch::channel(0).0,
        }
    }
}

impl Revocations {
    pub(super) fn has(&self, session: Ulid) -> bool {
        let ended = self.ended.read().unwrap_or_else(PoisonError::into_inner);
        ended.contains_key(&session)
    }

    pub(super) fn add(&self, sessions: impl IntoIterator<Item = Ulid>, now: Timestamp) {
        let count = {
            let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
            for session in sessions {
                ended.entry(session).or_insert(now);
            }
            ended.len()
        };
        self.heard
            .send_if_modified(|heard| std::mem::replace(heard, count) != count);
    }

    /// Forgets those that were heard of before a moment.
    pub(super) fn forget(&self, before: Timestamp) {
        let mut ended = self.ended.write().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|_, heard| *heard >= before);
    }

    /// Returns when a session is ended; never for none.
    pub(super) async fn wait_for(&self, session: Option<Ulid>) {
        let Some(session) = session else {
            return std::future::pending().await;
        };
        let mut heard = self.heard.subscribe();
        // `self` holds the sender, so there is always something to wait for.
        let _ = heard.wait_for(|_| self.has(session)).await.is_err();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[tokio::test]
    async fn whoever_waits_for_an_end_hears_of_it() {
        let revocations = Arc::new(Revocations::default());
        let (mine, other) = (Ulid::from_parts(1, 1), Ulid::from_parts(2, 2));
        let waiting = tokio::spawn({
            let revocations = Arc::clone(&revocations);
            async move { revocations.wait_for(Some(mine)).await }
        });
        revocations.add([other], at(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished() && !revocations.has(mine));
        revocations.add([mine], at(2));
        waiting.await.unwrap();
        revocations.forget(at(2));
        assert!(revocations.has(mine) && !revocations.has(other));
    }
}
