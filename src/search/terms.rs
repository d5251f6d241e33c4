//! Typo repair: what a text may have meant that has a word which nobody knows (`crcket` →
//! `cricket`). Several readings are given; which of them is meant is for the classifier to say.
//!
//! Words are repaired one by one, since typos sit in words; beside that the text is tried as a
//! whole, and spaces that are lost, doubled or one letter off (`basket ball`, `icecream`).

use std::collections::{BTreeMap, HashMap, HashSet};

use tantivy::collector::TopDocs;
use tantivy::query::FuzzyTermQuery;
use tantivy::schema::{FAST, Field, STORED, STRING, Schema, Value};
use tantivy::{Index, IndexWriter, Order, Searcher, TantivyDocument, Term};

/// Shorter words have too many neighbours: `gold` is next to `golf`.
const WORD_CHARS_MIN: usize = 4;

/// A text of one word says less of what is meant: `asdf` is next to `asda`.
const LONE_WORD_CHARS_MIN: usize = 5;

/// From this length on a word may be two edits away, else one.
const TWO_EDITS_CHARS_MIN: usize = 7;

/// The same for a text of several words.
const TWO_EDITS_TEXT_CHARS_MIN: usize = 10;

/// The halves of a word that lost its space have so many letters, and are so common.
const HALF_CHARS_MIN: usize = 3;
const HALF_RANK_MAX: u64 = 9_000;

/// How many readings a word has, a text as a whole, and a text in all.
const OF_A_WORD: usize = 5;
const OF_A_TEXT: usize = 2;
const READINGS_MAX: usize = 8;

/// How many neighbours are looked at for these.
const NEIGHBOURS: usize = 24;

/// People rarely get the first letter wrong: a word that begins with another one must be so
/// many ranks commoner.
const OTHER_INITIAL: u64 = 8_000;

/// Ranks by where a word is from. The model's vocabulary comes first, in its order.
const NO_COHORT_S: u64 = 20_000;
const NAMED_ONLY: u64 = 12_000;
const LOOKED_UP: u64 = 60_000;

/// Tantivy's least arena for a writer, in bytes; the terms fit in it.
const WRITER_BYTES: usize = 15_000_000;

/// The terms can't be indexed.
#[derive(Debug, thiserror::Error)]
#[error("can't index the known terms")]
pub struct TermsError(#[from] tantivy::TantivyError);

/// What is spelt right, by how likely it is meant.
#[derive(Debug, Default)]
pub struct Known {
    /// Terms of cohorts in canonical form: likely meant.
    pub named: Vec<String>,
    /// Terms that are only looked up: less likely.
    pub looked_up: Vec<String>,
    /// The words that the model knows, commonest first.
    pub common: Vec<String>,
    /// Words that are never meant, and no misspellings.
    pub rare: Vec<&'static str>,
}

/// All known terms, in memory.
pub struct KnownTerms {
    /// Every known word that may be meant, with its rank: the lower, the likelier.
    ranks: HashMap<String, u64>,
    common: HashMap<String, u64>,
    rare: HashSet<&'static str>,
    texts: HashSet<String>,
    near_words: Neighbours,
    near_texts: Neighbours,
}

impl KnownTerms {
    /// Indexes what is known.
    ///
    /// # Errors
    /// When an index can't be built.
    pub fn new(known: Known) -> Result<Self, TermsError> {
        let named_words: HashSet<&str> = known.named.iter().flat_map(|term| words(term)).collect();
        let common: HashMap<String, u64> = known.common.into_iter().zip(0..).collect();
        let mut ranks: HashMap<String, u64> = HashMap::new();
        for (word, place) in &common {
            let penalty = if named_words.contains(word.as_str()) {
                0
            } else {
                NO_COHORT_S
            };
            ranks.insert(word.clone(), place + penalty);
        }
        for word in &named_words {
            ranks.entry((*word).to_owned()).or_insert(NAMED_ONLY);
        }
        for word in known.looked_up.iter().flat_map(|term| words(term)) {
            ranks.entry(word.to_owned()).or_insert(LOOKED_UP);
        }
        let texts: HashSet<String> = known.named.into_iter().chain(known.looked_up).collect();
        let candidates = ranks
            .iter()
            .filter(|(word, _)| word.chars().count() >= WORD_CHARS_MIN);
        let several = texts.iter().filter(|text| text.contains([' ', '-']));
        Ok(Self {
            near_words: Neighbours::of(candidates.map(|(word, rank)| (word.as_str(), *rank)))?,
            near_texts: Neighbours::of(several.map(|text| (text.as_str(), text.len() as u64)))?,
            rare: known.rare.into_iter().collect(),
            ranks,
            common,
            texts,
        })
    }

    /// What a text may have meant that has a word which nobody knows: at most eight readings,
    /// likeliest first; none of a text that is known as it stands, or near nothing.
    #[must_use]
    pub fn readings(&self, text: &str) -> Vec<String> {
        if self.texts.contains(text) {
            return Vec::new();
        }
        let mut readings = Vec::new();
        if words(text).any(|word| !self.knows(word)) {
            readings.extend(self.as_a_whole(text));
            readings.extend(self.word_by_word(text));
        }
        readings.extend(self.with_other_spaces(text));
        let mut seen = HashSet::new();
        readings.retain(|reading| reading != text && seen.insert(reading.clone()));
        readings.truncate(READINGS_MAX);
        readings
    }

    /// Whether a word, or what it is the plural of, is spelt right.
    fn knows(&self, word: &str) -> bool {
        let is_known = |word: &str| self.ranks.contains_key(word) || self.rare.contains(word);
        is_known(word) || word.strip_suffix('s').is_some_and(is_known)
    }

    fn as_a_whole(&self, text: &str) -> Vec<String> {
        let chars = text.chars().count();
        if chars < TWO_EDITS_CHARS_MIN {
            return Vec::new();
        }
        let one = self.near_texts.within(text, 1);
        let near = if one.is_empty() && chars >= TWO_EDITS_TEXT_CHARS_MIN {
            self.near_texts.within(text, 2)
        } else {
            one
        };
        near.into_iter().take(OF_A_TEXT).map(|(text, _)| text).collect()
    }

    /// The text with its unknown words replaced: all by their likeliest, all by their next
    /// likeliest, and so on; then each by itself.
    fn word_by_word(&self, text: &str) -> Vec<String> {
        let pieces: Vec<&str> = pieces(text);
        let chars_min = if words(text).count() == 1 {
            LONE_WORD_CHARS_MIN
        } else {
            WORD_CHARS_MIN
        };
        let mut meant: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (place, piece) in pieces.iter().enumerate() {
            let candidates = self.candidates(piece, chars_min);
            if !candidates.is_empty() {
                meant.insert(place, candidates);
            }
        }
        let most = meant.values().map(Vec::len).max().unwrap_or(0);
        let with = |choose: &dyn Fn(usize) -> Option<String>| {
            let chosen = pieces
                .iter()
                .enumerate()
                .map(|(place, piece)| choose(place).unwrap_or_else(|| (*piece).to_owned()));
            chosen.collect::<String>()
        };
        let mut readings: Vec<String> = (0..most)
            .map(|rank| {
                with(&|place| {
                    let candidates = meant.get(&place)?;
                    candidates.get(rank.min(candidates.len() - 1)).cloned()
                })
            })
            .collect();
        if meant.len() > 1 {
            readings.extend(meant.iter().map(|(own, candidates)| {
                with(&|place| (place == *own).then(|| candidates.first().cloned()).flatten())
            }));
        }
        readings
    }

    /// What an unknown word of so many letters may have meant, likeliest first.
    fn candidates(&self, word: &str, chars_min: usize) -> Vec<String> {
        let chars = word.chars().count();
        let is_a_word = word.chars().all(char::is_alphabetic);
        if !is_a_word || chars < chars_min || self.knows(word) {
            return Vec::new();
        }
        let one = self.likeliest(word, 1);
        let mut candidates = if one.is_empty() && chars >= TWO_EDITS_CHARS_MIN {
            self.likeliest(word, 2)
        } else {
            one
        };
        candidates.extend(self.halves(word).into_iter().take(1));
        candidates
    }

    fn likeliest(&self, word: &str, edits: u8) -> Vec<String> {
        let initial = word.chars().next();
        let mut near = self.near_words.within(word, edits);
        near.sort_by_key(|(other, rank)| {
            let penalty = if other.chars().next() == initial {
                0
            } else {
                OTHER_INITIAL
            };
            rank + penalty
        });
        near.into_iter().take(OF_A_WORD).map(|(word, _)| word).collect()
    }

    /// Two common words that lost the space between them.
    fn halves(&self, word: &str) -> Option<String> {
        let is_common = |half: &str| {
            let rank = self.common.get(half);
            half.chars().count() >= HALF_CHARS_MIN && rank.is_some_and(|rank| *rank < HALF_RANK_MAX)
        };
        let (places, _): (Vec<usize>, Vec<char>) = word.char_indices().unzip();
        let halves = places
            .into_iter()
            .map(|place| word.split_at(place))
            .find(|(before, after)| is_common(before) && is_common(after));
        halves.map(|(before, after)| format!("{before} {after}"))
    }

    /// The text with a space moved by a letter, or left out, where that makes words of what
    /// is none.
    fn with_other_spaces(&self, text: &str) -> Vec<String> {
        let words: Vec<&str> = text.split(' ').collect();
        let mut readings = Vec::new();
        for (place, pair) in words.windows(2).enumerate() {
            let (before, after) = (pair[0], pair[1]);
            if self.knows(before) && self.knows(after) {
                continue;
            }
            let joined = format!("{before}{after}");
            let mut others: Vec<String> = Vec::new();
            for moved in [before.chars().count().wrapping_sub(1), before.chars().count() + 1] {
                if let Some((at, _)) = joined.char_indices().nth(moved) {
                    let (left, right) = joined.split_at(at);
                    let is_long = |half: &str| half.chars().count() >= HALF_CHARS_MIN;
                    if [left, right]
                        .into_iter()
                        .all(|half| is_long(half) && self.knows(half))
                    {
                        others.push(format!("{left} {right}"));
                    }
                }
            }
            if self.knows(&joined) {
                others.push(joined);
            }
            readings.extend(others.into_iter().map(|other| {
                let around = [&words[..place], &[other.as_str()], &words[place + 2..]];
                around.concat().join(" ")
            }));
        }
        readings
    }
}

/// Terms that are a few edits away from a text.
struct Neighbours {
    searcher: Searcher,
    term: Field,
    rank: Field,
}

impl Neighbours {
    fn of<'a>(terms: impl Iterator<Item = (&'a str, u64)>) -> Result<Self, TermsError> {
        // Of equal rank those are found that came first, which are to be the same at each start.
        let mut terms: Vec<_> = terms.collect();
        terms.sort_unstable_by_key(|(text, rank)| (*rank, *text));
        let mut schema = Schema::builder();
        let term = schema.add_text_field("term", STRING | STORED);
        let rank = schema.add_u64_field("rank", FAST | STORED);
        let index = Index::create_in_ram(schema.build());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, WRITER_BYTES)?;
        for (text, number) in terms {
            let mut document = TantivyDocument::new();
            document.add_text(term, text);
            document.add_u64(rank, number);
            writer.add_document(document)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let searcher = index.reader()?.searcher();
        Ok(Self { searcher, term, rank })
    }

    /// The likeliest terms within so many edits, a swap of neighbours being one, with their
    /// ranks.
    fn within(&self, text: &str, edits: u8) -> Vec<(String, u64)> {
        let near = FuzzyTermQuery::new(Term::from_field_text(self.term, text), edits, true);
        let likeliest = TopDocs::with_limit(NEIGHBOURS).order_by_fast_field::<u64>("rank", Order::Asc);
        // A search in memory fails on a fault of the program only; no repair is made then.
        let hits = self.searcher.search(&near, &likeliest).unwrap_or_default();
        let read = |(_, address)| {
            let document: TantivyDocument = self.searcher.doc(address).ok()?;
            let term = document.get_first(self.term)?.as_str()?.to_owned();
            let rank = document.get_first(self.rank)?.as_u64()?;
            Some((term, rank))
        };
        hits.into_iter().filter_map(read).collect()
    }
}

/// The runs of letters of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
}

/// The text cut into runs of letters and of anything else.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_letter = first.is_alphabetic();
        let end = rest.find(|c: char| c.is_alphabetic() != is_letter);
        let (piece, others) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> KnownTerms {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        KnownTerms::new(Known {
            named: texts(&[
                "cricket",
                "golf",
                "football",
                "basketball",
                "tom brady",
                "food & drink",
                "ice cream",
                "motor insurance",
                "programming",
            ]),
            looked_up: texts(&["gold", "metal"]),
            common: texts(&[
                "beach", "travel", "motor", "mutual", "ice", "cream", "golf", "boat",
            ]),
            rare: vec!["ket"],
        })
        .unwrap()
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let readings = terms().readings(text);
        assert!(
            readings.iter().any(|reading| reading == expect),
            "{text:?}: {readings:?}"
        );
    }

    #[test]
    fn a_misspelt_word_is_repaired() {
        check("crcket", "cricket");
        check("criket", "cricket");
        check("footbal", "football");
        check("fotoball", "football");
        check("progrmaing", "programming");
        check("ootball", "football");
    }

    #[test]
    fn a_phrase_is_repaired_word_by_word_and_else_as_a_whole() {
        check("beach traevl", "beach travel");
        check("mootor insurance", "motor insurance");
        check("tom bradi", "tom brady");
    }

    #[test]
    fn a_short_word_is_repaired_beside_others_only() {
        check("glof travel", "golf travel");
        assert_eq!(terms().readings("glof"), [""; 0]);
    }

    #[test]
    fn spaces_are_put_where_they_belong() {
        check("basket ball", "basketball");
        check("icecream", "ice cream");
        check("beac htravel", "beach travel");
    }

    #[test]
    fn what_is_known_stays() {
        for text in ["golf", "golfs", "gold", "tom brady", "food & drink", "ket"] {
            assert_eq!(terms().readings(text), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn what_is_far_short_or_no_word_stays() {
        for text in ["glf", "ba", "hockey", "asdf", "g0lfs", "", "&&&&&"] {
            assert_eq!(terms().readings(text), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn the_likelier_neighbour_comes_first() {
        let readings = terms().readings("mutal");
        assert_eq!(readings, ["mutual", "metal"]);
    }

    #[test]
    fn a_text_is_cut_into_words_and_what_is_between() {
        assert_eq!(pieces("food & c3po"), ["food", " & ", "c", "3", "po"]);
        assert_eq!(pieces(""), [""; 0]);
    }
}
