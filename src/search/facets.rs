//! Counts how often each value of a field stands in what was found.

use std::collections::HashMap;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

/// Values of a part of the index that are looked at; rarer ones of a part are left out, so that
/// ten thousand cities don't cost what a page of people does not.
const VALUES_OF_A_PART_MAX: usize = 1_000;

/// A value, and how many have it.
pub type Count = (String, u64);

/// Counts the values of a field, most frequent first.
pub(super) struct FacetCounts {
    pub(super) field: &'static str,
    pub(super) limit: usize,
}

pub(super) struct PartCounts {
    column: Option<StrColumn>,
    counts: Vec<u64>,
}

impl Collector for FacetCounts {
    type Fruit = Vec<Count>;
    type Child = PartCounts;

    fn for_segment(&self, _part: SegmentOrdinal, reader: &SegmentReader) -> tantivy::Result<PartCounts> {
        let column = reader.fast_fields().str(self.field)?;
        let values = column.as_ref().map_or(0, |column| column.num_terms());
        Ok(PartCounts {
            column,
            counts: vec![0; values],
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, parts: Vec<tantivy::Result<Vec<Count>>>) -> tantivy::Result<Vec<Count>> {
        let mut sums: HashMap<String, u64> = HashMap::new();
        for part in parts {
            for (value, count) in part? {
                *sums.entry(value).or_default() += count;
            }
        }
        let mut counts: Vec<Count> = sums.into_iter().collect();
        counts.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
        counts.truncate(self.limit);
        Ok(counts)
    }
}

impl SegmentCollector for PartCounts {
    type Fruit = tantivy::Result<Vec<Count>>;

    fn collect(&mut self, document: DocId, _score: Score) {
        let Some(column) = &self.column else { return };
        for value in column.term_ords(document) {
            let at = usize::try_from(value).unwrap_or(usize::MAX);
            if let Some(count) = self.counts.get_mut(at) {
                *count += 1;
            }
        }
    }

    fn harvest(self) -> Self::Fruit {
        let Some(column) = self.column else {
            return Ok(Vec::new());
        };
        let mut counted: Vec<(u64, u64)> = (self.counts.into_iter().zip(0..))
            .filter(|(count, _)| *count > 0)
            .collect();
        counted.sort_unstable_by(|a, b| b.cmp(a));
        counted.truncate(VALUES_OF_A_PART_MAX);
        let mut values = Vec::with_capacity(counted.len());
        for (count, value) in counted {
            let mut text = String::new();
            column
                .ord_to_str(value, &mut text)
                .map_err(|error| TantivyError::IoError(error.into()))?;
            values.push((text, count));
        }
        Ok(values)
    }
}
