//! Typo repair: a text that is near a known term, and is not one itself, is probably
//! that term misspelt (`crcket` → `cricket`).
//!
//! Words are repaired one by one, since typos sit in words; only when every word is
//! known is the text tried as a whole (`basket ball` → `basketball`).

use std::collections::HashMap;

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, FuzzyTermQuery, Query, TermQuery};
use tantivy::schema::{FAST, Field, IndexRecordOption, STORED, STRING, Schema, Value};
use tantivy::{Index, IndexWriter, Order, Searcher, TantivyDocument, Term};

/// Shorter words have too many neighbours: `gold` is next to `golf`.
const WORD_CHARS_MIN: usize = 4;

/// From this length on a word may be two edits away, else one.
const TWO_EDITS_CHARS_MIN: usize = 8;

/// Tantivy's least arena for a writer, in bytes; the terms fit in it.
const WRITER_BYTES: usize = 15_000_000;

/// The terms can't be indexed.
#[derive(Debug, thiserror::Error)]
#[error("can't index the known terms")]
pub struct TermsError(#[from] tantivy::TantivyError);

/// All known terms, in memory.
pub struct KnownTerms {
    /// Every known phrase and word, with its rank: the lower, the likelier meant.
    ranks: HashMap<String, u64>,
    searcher: Searcher,
    fields: Fields,
}

#[derive(Clone, Copy)]
struct Fields {
    term: Field,
    /// The first letter: people rarely get it wrong, and it halves false repairs.
    initial: Field,
    rank: Field,
}

impl KnownTerms {
    /// Indexes terms in canonical form, likeliest first; their words are known too.
    ///
    /// # Errors
    /// When the index can't be built.
    pub fn new<T: AsRef<str>>(terms: impl IntoIterator<Item = T>) -> Result<Self, TermsError> {
        let ranks = rank(terms);
        let (schema, fields) = schema();
        let index = Index::create_in_ram(schema);
        let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
        for (term, rank) in &ranks {
            writer.add_document(document(fields, term, *rank))?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let searcher = index.reader()?.searcher();
        Ok(Self {
            ranks,
            searcher,
            fields,
        })
    }

    /// The text as it was probably meant, when it looks misspelt; `None` when it is
    /// known as it stands, or nothing known is near.
    pub fn repair(&self, text: &str) -> Option<String> {
        if self.ranks.contains_key(text) {
            return None;
        }
        self.repair_words(text).or_else(|| self.nearest(text, 1))
    }

    /// The text with each unknown word replaced by its nearest known one.
    fn repair_words(&self, text: &str) -> Option<String> {
        let mut repaired = String::with_capacity(text.len());
        let mut is_changed = false;
        for piece in text.split_inclusive(|c: char| !c.is_alphanumeric()) {
            let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
            let nearest = self.nearest_word(word);
            is_changed |= nearest.is_some();
            repaired.push_str(nearest.as_deref().unwrap_or(word));
            repaired.push_str(&piece[word.len()..]);
        }
        is_changed.then_some(repaired)
    }

    fn nearest_word(&self, word: &str) -> Option<String> {
        let is_a_word = word.chars().all(char::is_alphabetic);
        if !is_a_word || self.ranks.contains_key(word) {
            return None;
        }
        let two = word.chars().count() >= TWO_EDITS_CHARS_MIN;
        self.nearest(word, 1)
            .or_else(|| two.then(|| self.nearest(word, 2)).flatten())
    }

    /// The likeliest known term within so many edits, a swap of neighbours being one.
    fn nearest(&self, text: &str, edits: u8) -> Option<String> {
        if text.chars().count() < WORD_CHARS_MIN {
            return None;
        }
        let near = FuzzyTermQuery::new(Term::from_field_text(self.fields.term, text), edits, true);
        let initial = Term::from_field_text(self.fields.initial, &initial(text));
        let same_initial = TermQuery::new(initial, IndexRecordOption::Basic);
        let both: Vec<Box<dyn Query>> = vec![Box::new(near), Box::new(same_initial)];
        let likeliest = TopDocs::with_limit(1).order_by_fast_field::<u64>("rank", Order::Asc);
        // A search in memory fails on a fault of the program only; no repair is made then.
        let hits = self
            .searcher
            .search(&BooleanQuery::intersection(both), &likeliest)
            .ok()?;
        let (_, address) = hits.first()?;
        let document: TantivyDocument = self.searcher.doc(*address).ok()?;
        let term = document.get_first(self.fields.term)?.as_str()?;
        Some(term.to_owned())
    }
}

/// Every term, then every word of the terms, in the order given.
fn rank<T: AsRef<str>>(terms: impl IntoIterator<Item = T>) -> HashMap<String, u64> {
    let mut ranks = HashMap::new();
    for term in terms {
        let term = term.as_ref();
        let words = term.split(|c: char| !c.is_alphanumeric());
        for part in std::iter::once(term).chain(words) {
            let next = ranks.len() as u64;
            if !part.is_empty() && !ranks.contains_key(part) {
                ranks.insert(part.to_owned(), next);
            }
        }
    }
    ranks
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let fields = Fields {
        term: schema.add_text_field("term", STRING | STORED),
        initial: schema.add_text_field("initial", STRING),
        rank: schema.add_u64_field("rank", FAST),
    };
    (schema.build(), fields)
}

fn document(fields: Fields, term: &str, rank: u64) -> TantivyDocument {
    let mut document = TantivyDocument::new();
    document.add_text(fields.term, term);
    document.add_text(fields.initial, initial(term));
    document.add_u64(fields.rank, rank);
    document
}

fn initial(text: &str) -> String {
    text.chars().take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> KnownTerms {
        KnownTerms::new([
            "cricket",
            "golf",
            "gold",
            "football",
            "basketball",
            "tom brady",
            "food & drink",
            "motor",
            "metal",
            "insurance",
            "travel",
            "beach",
            "programming",
        ])
        .unwrap()
    }

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(terms().repair(text).as_deref(), expect, "{text:?}");
    }

    #[test]
    fn a_misspelt_word_is_repaired() {
        check("crcket", Some("cricket"));
        check("criket", Some("cricket"));
        check("footbal", Some("football"));
        check("fotoball", Some("football"));
        check("progrmaing", Some("programming"));
    }

    #[test]
    fn a_phrase_is_repaired_word_by_word_and_else_as_a_whole() {
        check("beach traevl", Some("beach travel"));
        check("mootor insurance", Some("motor insurance"));
        check("tom bradi", Some("tom brady"));
        check("basket ball", Some("basketball"));
    }

    #[test]
    fn what_is_known_stays() {
        for text in ["golf", "gold", "tom brady", "food & drink", "beach insurance"] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_far_short_or_no_word_stays() {
        for text in ["glf", "ba", "hockey", "asdf", "g0lfs", "ootball", "", "&&&&&"] {
            check(text, None);
        }
    }

    #[test]
    fn of_several_neighbours_the_likelier_is_meant() {
        let terms = KnownTerms::new(["mutual", "metal"]).unwrap();
        assert_eq!(terms.repair("mutal").as_deref(), Some("mutual"));
        let terms = KnownTerms::new(["metal", "mutual"]).unwrap();
        assert_eq!(terms.repair("mutal").as_deref(), Some("metal"));
    }
}
