//! Who has changed: told by the writer after each commit, taken by whoever follows the store.
//!
//! A set and no queue: somebody who changes often waits once, a follower that falls behind costs
//! a bit a person, and so there is nothing that could overflow or hold the writer up.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use roaring::RoaringBitmap;
use tokio::sync::Notify;

use crate::domain::profile::ProfileId;

/// The people who have changed and were not taken yet.
#[derive(Default)]
pub struct Changed {
    // Held for a few steps and never over I/O, so a plain lock serves.
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Default)]
struct Waiting {
    ids: RoaringBitmap,
    /// Where the next ones are taken from, so that who changes all the time keeps nobody waiting.
    next: u32,
    /// When the first of them changed.
    since: Option<Instant>,
    /// Those who were taken and do not show yet.
    taken: RoaringBitmap,
    /// When the first of them changed.
    taken_since: Option<Instant>,
    is_closed: bool,
}

impl Changed {
    /// Notes that these have changed, were absorbed, or are themselves again.
    pub fn note(&self, ids: impl IntoIterator<Item = ProfileId>) {
        let mut waiting = self.waiting();
        waiting.ids.extend(ids.into_iter().map(|id| id.0));
        if !waiting.ids.is_empty() {
            waiting.since.get_or_insert_with(Instant::now);
            self.news.notify_one();
        }
    }

    /// Takes at most `limit` of those who wait, and when the first of all of them changed.
    #[must_use]
    pub fn take(&self, limit: usize) -> (Vec<ProfileId>, Option<Instant>) {
        let mut waiting = self.waiting();
        let since = waiting.since;
        let mut from = waiting.ids.iter();
        from.advance_to(waiting.next);
        let ids: Vec<u32> = from.take(limit).collect();
        let ids = if ids.is_empty() {
            waiting.ids.iter().take(limit).collect()
        } else {
            ids
        };
        waiting.taken.extend(ids.iter().copied());
        if !ids.is_empty() {
            waiting.taken_since = waiting.taken_since.or(since);
        }
        if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
            waiting.ids.remove_range(*first..=*last);
            waiting.next = last.saturating_add(1);
        }
        if waiting.ids.is_empty() {
            waiting.since = None;
        }
        (ids.into_iter().map(ProfileId).collect(), since)
    }

    /// Notes that all who were taken show now.
    pub fn show(&self) {
        let mut waiting = self.waiting();
        waiting.taken.clear();
        waiting.taken_since = None;
    }

    /// Whether what is known of any of these does not show yet.
    #[must_use]
    pub fn has_any(&self, ids: &[ProfileId]) -> bool {
        let waiting = self.waiting();
        ids.iter()
            .any(|id| waiting.ids.contains(id.0) || waiting.taken.contains(id.0))
    }

    /// How long the oldest change has not been showing.
    #[must_use]
    pub fn behind(&self) -> Duration {
        let waiting = self.waiting();
        let oldest = waiting.taken_since.into_iter().chain(waiting.since).min();
        oldest.map(|oldest| oldest.elapsed()).unwrap_or_default()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.waiting().ids.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting().ids.is_empty()
    }

    /// Whether nobody will change any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.waiting().is_closed
    }

    /// Waits until somebody may have changed, or nobody will any more. For one follower.
    pub async fn wait(&self) {
        self.news.notified().await;
    }

    /// Says that nobody will change any more.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.news.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_often_waits_once_and_is_taken_once() {
        let changed = Changed::default();
        changed.note([3, 1, 3, 2].map(ProfileId));
        changed.note([ProfileId(3)]);
        assert_eq!(changed.len(), 3);
        let (first, since) = changed.take(2);
        assert_eq!(first, [ProfileId(1), ProfileId(2)]);
        assert!(since.is_some());
        changed.note([ProfileId(1)]);
        assert_eq!(changed.take(2).0, [ProfileId(3)]);
        assert_eq!(changed.take(2).0, [ProfileId(1)]);
        assert_eq!(changed.take(2), (Vec::new(), None));
    }

    #[test]
    fn a_change_shows_once_whoever_took_it_says_so() {
        let changed = Changed::default();
        let whom = [ProfileId(1), ProfileId(9)];
        assert!(!changed.has_any(&whom));
        changed.note([ProfileId(9)]);
        assert!(changed.has_any(&whom), "nobody took it");
        let (taken, _) = changed.take(2);
        assert_eq!(taken, [ProfileId(9)]);
        assert!(changed.has_any(&whom), "it was taken, and does not show");
        changed.note([ProfileId(9)]);
        changed.show();
        assert!(changed.has_any(&whom), "it changed again");
        let _ = changed.take(2);
        changed.show();
        assert!(!changed.has_any(&whom));
        assert_eq!(changed.behind(), Duration::ZERO);
    }

    #[tokio::test]
    async fn whoever_waits_hears_of_a_change_before_and_of_the_end() {
        let changed = Changed::default();
        changed.note([ProfileId(1)]);
        changed.wait().await;
        changed.close();
        changed.wait().await;
        assert!(changed.is_closed());
    }
}
