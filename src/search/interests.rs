//! Finds interests by what is typed.

use tantivy::collector::TopDocs;

use super::index::engine;
use super::query::{Precision, of_text};
use super::{SearchError, SearchIndex};
use crate::domain::interest::InterestKey;

/// So many are looked at before those that more people have are put first.
const LOOKED_AT: usize = 64;

/// An interest that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct InterestFound {
    /// Its canonical form.
    pub key: InterestKey,
    /// How many people have it.
    pub holders: u64,
    /// How well it fits, which compares within one answer.
    pub score: f32,
}

impl SearchIndex {
    /// Finds interests that somebody has: best first, of equal ones those of more people, ties by
    /// text. Blocks for milliseconds.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn find_interests(&self, text: &str, limit: usize) -> Result<Vec<InterestFound>, SearchError> {
        let mut found = self.found(text, Precision::Exact)?;
        if found.len() < limit {
            found = self.found(text, Precision::Lenient)?;
        }
        found.sort_by(|a, b| {
            (b.score.total_cmp(&a.score))
                .then_with(|| b.holders.cmp(&a.holders))
                .then_with(|| a.key.cmp(&b.key))
        });
        found.truncate(limit);
        Ok(found)
    }

    fn found(&self, text: &str, precision: Precision) -> Result<Vec<InterestFound>, SearchError> {
        let words = [(self.fields.text, 1.0)];
        let Some(query) = of_text(text, &words, Some(self.fields.whole), precision) else {
            return Ok(Vec::new());
        };
        let searcher = self.searcher();
        let top = TopDocs::with_limit(LOOKED_AT).order_by_score();
        let top = searcher
            .search(&query, &top)
            .map_err(engine("looked for interests"))?;
        let mut scored = Vec::with_capacity(top.len());
        for (score, address) in top {
            if let Some(key) = self.interest_of(&searcher, address)? {
                scored.push((key, score));
            }
        }
        let keys: Vec<InterestKey> = scored.iter().map(|(key, _)| key.clone()).collect();
        let (holders, _) = self.holders(&keys)?;
        let found = scored.into_iter().zip(holders);
        // What nobody has any more stays in the index, and is not shown.
        Ok(found
            .filter(|(_, holders)| *holders > 0)
            .map(|((key, score), holders)| InterestFound { key, holders, score })
            .collect())
    }
}
