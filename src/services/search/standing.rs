//! What the follower has reached so far, as those who answer see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::domain::interest::{ClassifiedInterest, Embedding, InterestKey};
use crate::search::neighbours::Neighbours;

/// Shared by the follower and those who answer.
#[derive(Default)]
pub(super) struct Standing {
    everybody: AtomicBool,
    meanings: AtomicBool,
    // Read for the length of a scan, written for a few hundred copies.
    neighbours: RwLock<Neighbours>,
}

impl Standing {
    /// Whether the index has everybody, but for those who changed just now.
    pub(super) fn is_complete(&self) -> bool {
        self.everybody.load(Ordering::Acquire)
    }

    /// Whether every interest can be compared by meaning.
    pub(super) fn are_meanings_known(&self) -> bool {
        self.meanings.load(Ordering::Acquire)
    }

    pub(super) fn has_everybody(&self) {
        self.everybody.store(true, Ordering::Release);
    }

    pub(super) fn lacks_somebody(&self) {
        self.everybody.store(false, Ordering::Release);
    }

    pub(super) fn has_meanings(&self) {
        self.meanings.store(self.is_complete(), Ordering::Release);
    }

    pub(super) fn learn(&self, interests: &[ClassifiedInterest]) {
        let mut neighbours = self.neighbours.write().unwrap_or_else(PoisonError::into_inner);
        for interest in interests {
            neighbours.add(&interest.key, &interest.embedding);
        }
        metrics::gauge!("cdp_search_meanings").set(neighbours.len() as f64);
    }

    /// The nearest interests by meaning. Blocks for as long as the scan takes.
    pub(super) fn nearest(&self, embedding: &Embedding, count: usize) -> Vec<(InterestKey, f32)> {
        let neighbours = self.neighbours.read().unwrap_or_else(PoisonError::into_inner);
        neighbours.nearest(embedding, count)
    }
}
