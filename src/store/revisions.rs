//! What servers that share a store look at to hear of each other: a few counters, read by their
//! ids in one question.

use surrealdb::types::{RecordId, SurrealValue};

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};

/// How often what servers have in memory was changed. Another number means that it is to be read
/// again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Revisions {
    /// The newest block of the feed.
    pub feed: u64,
    /// Changes of blocks that were written before.
    pub feed_rewritten: u64,
    /// Changes of cohorts.
    pub catalogue: u64,
    /// Changes of corrections.
    pub corrections: u64,
    /// Changes of who is suppressed.
    pub suppressed: u64,
    /// Changes of write keys.
    pub write_keys: u64,
    /// Changes of webhooks by hand.
    pub webhooks: u64,
}

#[derive(SurrealValue)]
struct CounterRow {
    id: RecordId,
    value: u64,
}

const READ: &str = "SELECT id, value FROM [counter:feed, counter:feed_rewritten, counter:catalogue,
    counter:corrections, counter:suppressed, counter:write_keys, counter:webhooks]";

impl Store {
    /// All of them.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn revisions(&self) -> Result<Revisions, StoreError> {
        let found: Vec<CounterRow> = self.select("read what changed", READ, bind([])).await?;
        let mut revisions = Revisions::default();
        for row in &found {
            let place = match rows::text_key(&row.id)? {
                "feed" => &mut revisions.feed,
                "feed_rewritten" => &mut revisions.feed_rewritten,
                "catalogue" => &mut revisions.catalogue,
                "corrections" => &mut revisions.corrections,
                "suppressed" => &mut revisions.suppressed,
                "write_keys" => &mut revisions.write_keys,
                "webhooks" => &mut revisions.webhooks,
                _ => continue,
            };
            *place = row.value;
        }
        self.numbers.note(revisions.feed);
        Ok(revisions)
    }
}
