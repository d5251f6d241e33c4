//! The feed of changes as whoever follows it reads it: woken after each commit, from a memory of
//! the latest blocks, so that a hundred followers read the store once.
//!
//! What the writer commits is told by it. What other processes commit to the same store is found
//! by [`super::following`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::domain::feed::{Block, Cursor, Event};
use crate::store::{Store, StoreError};

/// Blocks that are read at once.
const READ_AT_ONCE: u64 = 32;

/// The most events that are kept in memory, about 100 bytes each, unless the newest block alone
/// has more.
const EVENTS_KEPT_MAX: usize = 50_000;

/// Why the feed can't be read on from a place.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// What followed has been dropped.
    #[error("the feed begins behind {begin} by now")]
    Gone {
        /// From here on it can be read.
        begin: Cursor,
    },
    /// The place is one that nobody was given.
    #[error("the feed is not that far")]
    Ahead,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A stretch of the feed.
pub struct Stretch {
    after: Cursor,
    newest: u64,
    blocks: Vec<Arc<Block>>,
}

/// What somebody asked for of a stretch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picked {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Behind all that was looked at, whether or not it was asked for.
    pub end: Cursor,
    /// Whether there is more by now, which may be asked for or not.
    pub has_more: bool,
}

impl Stretch {
    /// Its blocks, in order, each whole.
    pub(super) fn into_blocks(self) -> Vec<Arc<Block>> {
        self.blocks
    }

    /// At most `limit` of the events that are asked for.
    #[must_use]
    pub fn pick(&self, limit: usize, is_asked_for: impl Fn(&Event) -> bool) -> Picked {
        let mut picked = Picked {
            events: Vec::new(),
            end: self.after,
            has_more: false,
        };
        for block in &self.blocks {
            for event in block.events_after(self.after) {
                if picked.events.len() >= limit {
                    picked.has_more = true;
                    return picked;
                }
                picked.end = event.cursor;
                if is_asked_for(&event) {
                    picked.events.push(event);
                }
            }
            picked.end = Cursor::behind(block.number);
        }
        picked.has_more = picked.end.block < self.newest;
        picked
    }
}

/// The feed. One for all followers of a process.
pub struct Feed {
    store: Store,
    newest: watch::Sender<u64>,
    /// The latest blocks. Held for a few steps and never over I/O, so a plain lock serves.
    kept: Mutex<Kept>,
    /// One reads, and the others find what it has read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    blocks: BTreeMap<u64, Arc<Block>>,
    events: usize,
}

impl Kept {
    fn add(&mut self, block: &Arc<Block>) {
        if self.blocks.insert(block.number, Arc::clone(block)).is_none() {
            self.events += block.happenings.len();
        }
        while self.events > EVENTS_KEPT_MAX && self.blocks.len() > 1 {
            if let Some((_, oldest)) = self.blocks.pop_first() {
                self.events -= oldest.happenings.len();
            }
        }
    }

    /// The block of a number, and those that follow it without a gap.
    fn from(&self, number: u64) -> Vec<Arc<Block>> {
        (number..)
            .map_while(|number| self.blocks.get(&number))
            .take(usize::try_from(READ_AT_ONCE).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }
}

impl Feed {
    /// Finds where the feed of a store ends.
    pub(super) async fn start(store: &Store) -> Result<Arc<Self>, StoreError> {
        let newest = store.feed_extent().await?.newest;
        Ok(Arc::new(Self {
            store: store.clone(),
            newest: watch::channel(newest).0,
            kept: Mutex::default(),
            reading: tokio::sync::Mutex::default(),
        }))
    }

    /// Wakes whoever follows, after a commit.
    pub(super) fn tell(&self) {
        let known = self.store.known_feed_end();
        self.newest.send_if_modified(|newest| {
            let is_news = known > *newest;
            *newest = known.max(*newest);
            is_news
        });
    }

    /// Forgets what was read: it was changed in the store.
    pub async fn forget(&self) {
        // Whoever reads now may have read before that, and would keep it.
        let _reading = self.reading.lock().await;
        *self.kept() = Kept::default();
    }

    /// Behind all that has happened.
    #[must_use]
    pub fn end(&self) -> Cursor {
        Cursor::behind(*self.newest.borrow())
    }

    /// From where on the feed can be read.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin(&self) -> Result<Cursor, StoreError> {
        let extent = self.store.feed_extent().await?;
        Ok(Cursor::behind(extent.begin.saturating_sub(1)))
    }

    /// How many blocks have happened behind a place.
    #[must_use]
    pub fn blocks_behind(&self, cursor: Cursor) -> u64 {
        (self.newest.borrow().saturating_add(1)).saturating_sub(cursor.next_block())
    }

    /// Waits until there may be something behind a place.
    pub async fn wait(&self, behind: Cursor) {
        let mut newest = self.newest.subscribe();
        // The sender lives as long as this does.
        let _ = newest.wait_for(|newest| *newest >= behind.next_block()).await;
    }

    /// A bounded stretch of the feed behind a place; nothing where nothing has happened since.
    ///
    /// # Errors
    /// When what follows has been dropped, and when the feed is not that far.
    pub async fn read(&self, after: Cursor) -> Result<Stretch, FeedError> {
        let newest = self.newest_for(after).await?;
        let blocks = self.blocks(after.next_block(), newest).await?;
        Ok(Stretch {
            after,
            newest,
            blocks,
        })
    }

    /// The newest block, with which a place must not be further than that.
    async fn newest_for(&self, after: Cursor) -> Result<u64, FeedError> {
        let newest = *self.newest.borrow();
        if after.block <= newest {
            return Ok(newest);
        }
        // Another process may have handed it out a moment ago.
        let newest = self.store.feed_extent().await?.newest;
        self.tell();
        if after.block <= newest {
            return Ok(newest);
        }
        Err(FeedError::Ahead)
    }

    /// Some blocks from a number on, at least the first of them if there is one.
    async fn blocks(&self, from: u64, newest: u64) -> Result<Vec<Arc<Block>>, FeedError> {
        if from > newest {
            return Ok(Vec::new());
        }
        let kept = self.kept().from(from);
        if !kept.is_empty() {
            return Ok(kept);
        }
        let _reading = self.reading.lock().await;
        let kept = self.kept().from(from);
        if !kept.is_empty() {
            return Ok(kept);
        }
        let to = newest.saturating_add(1).min(from.saturating_add(READ_AT_ONCE));
        let blocks = self.store.feed_blocks(from, to).await?;
        if blocks.first().is_none_or(|first| first.number != from) {
            let begin = self.begin().await?;
            return Err(FeedError::Gone { begin });
        }
        let blocks: Vec<Arc<Block>> = blocks.into_iter().map(Arc::new).collect();
        let mut kept = self.kept();
        for block in &blocks {
            kept.add(block);
        }
        Ok(blocks)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::feed::Happening;
    use crate::domain::profile::ProfileId;

    fn block(number: u64, events: u32) -> Arc<Block> {
        let happening = |profile| Happening::Changed {
            profile: ProfileId(profile),
            rev: 1,
            is_new: true,
        };
        Arc::new(Block {
            number,
            at: DateTime::UNIX_EPOCH,
            happenings: (0..events).map(happening).collect(),
        })
    }

    #[test]
    fn the_latest_blocks_are_kept_up_to_a_number_of_events() {
        let mut kept = Kept::default();
        for number in 1..=30 {
            kept.add(&block(number, 2_000));
            kept.add(&block(number, 2_000));
        }
        assert_eq!(kept.events, EVENTS_KEPT_MAX);
        assert_eq!(kept.from(5), []);
        let numbers = |from| {
            let blocks = kept.from(from);
            blocks.iter().map(|block| block.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(28), [28, 29, 30]);
        kept.add(&block(31, 2 * u32::try_from(EVENTS_KEPT_MAX).unwrap()));
        assert_eq!(kept.blocks.len(), 1);
    }
}
