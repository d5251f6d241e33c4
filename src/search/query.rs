//! What people type, as a query: each word must be found somewhere, the last one as a beginning,
//! since it may be half typed. Whole words come before beginnings and both before typos, and a
//! word counts by where it stands.
//!
//! Scores are tiers and not statistics, so that an order can be explained, and does not change
//! with what else is in the index.

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, DisjunctionMaxQuery, FuzzyTermQuery, Occur, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::words_of;

/// Words of a question; more are not looked at.
const WORDS_MAX: usize = 8;

/// A beginning of a cookie or an address is looked for from so many characters on: fewer begin
/// half of all.
const IDENTIFIER_CHARS_MIN: usize = 3;

/// From so many characters on a word may be one edit away; shorter ones have too many neighbours.
const ONE_EDIT_CHARS_MIN: usize = 4;

/// From so many on, two.
const TWO_EDITS_CHARS_MIN: usize = 8;

/// What a whole word, a beginning, and a word with typos count of their field's weight.
const WHOLE: f32 = 1.0;
const BEGINNING: f32 = 0.7;
const TYPO: f32 = 0.3;
const BEGINNING_WITH_TYPO: f32 = 0.2;

/// What it counts to be found as typed: more than all words in the best field together.
const AS_TYPED: f32 = 100.0;

/// What it counts to be known by just what was typed.
const IDENTIFIED: f32 = 1_000.0;

/// How exactly a question is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// As it was typed.
    Exact,
    /// Or nearly so.
    Lenient,
}

/// Where words are looked for, and what a word in each field counts.
pub(super) type Weights<'a> = &'a [(Field, f32)];

/// Finds documents in which every word of a text stands, in any of the fields; `whole` is a field
/// of uncut texts in lower case that the text may be the beginning of, if there is one. None for a text in which
/// there is nothing to look for.
pub(super) fn of_text(
    text: &str,
    fields: Weights<'_>,
    whole: Option<Field>,
    precision: Precision,
) -> Option<Box<dyn Query>> {
    let exact = exact(text, fields, whole)?;
    if precision == Precision::Exact {
        return Some(exact);
    }
    let mut lenient = vec![exact.box_clone()];
    lenient.extend(all_words(text, |word, is_last| {
        lenient_word(word, is_last, fields)
    }));
    let lenient = Box::new(DisjunctionMaxQuery::new(lenient));
    let as_typed = Box::new(ConstScoreQuery::new(exact, AS_TYPED));
    Some(Box::new(BooleanQuery::new(vec![
        (Occur::Must, lenient),
        (Occur::Should, as_typed),
    ])))
}

fn exact(text: &str, fields: Weights<'_>, whole: Option<Field>) -> Option<Box<dyn Query>> {
    let mut ways: Vec<Box<dyn Query>> = Vec::new();
    ways.extend(all_words(text, |word, is_last| exact_word(word, is_last, fields)));
    let typed = text.trim().to_lowercase();
    if let Some(whole) = whole.filter(|_| !typed.is_empty()) {
        ways.push(scored(term(whole, &typed), IDENTIFIED));
        if typed.chars().count() >= IDENTIFIER_CHARS_MIN {
            ways.push(scored(beginning(whole, &typed, 0), AS_TYPED));
        }
    }
    (!ways.is_empty()).then(|| Box::new(DisjunctionMaxQuery::new(ways)) as Box<dyn Query>)
}

/// Every word of the text, each by its own query; none for a text without words.
fn all_words(text: &str, of_word: impl Fn(&str, bool) -> Vec<Box<dyn Query>>) -> Option<Box<dyn Query>> {
    let mut words = words_of(text);
    // What has a space behind it was typed to its end.
    let is_open = !text.ends_with(char::is_whitespace);
    words.truncate(WORDS_MAX);
    let last = words.len().checked_sub(1)?;
    let found = words.iter().enumerate().map(|(place, word)| {
        let ways = of_word(word, place == last && is_open);
        Box::new(DisjunctionMaxQuery::new(ways)) as Box<dyn Query>
    });
    Some(Box::new(BooleanQuery::intersection(found.collect())))
}

fn exact_word(word: &str, is_last: bool, fields: Weights<'_>) -> Vec<Box<dyn Query>> {
    let mut ways = Vec::new();
    for (field, weight) in fields {
        ways.push(scored(term(*field, word), weight * WHOLE));
        if is_last {
            ways.push(scored(beginning(*field, word, 0), weight * BEGINNING));
        }
    }
    ways
}

fn lenient_word(word: &str, is_last: bool, fields: Weights<'_>) -> Vec<Box<dyn Query>> {
    let mut ways = exact_word(word, is_last, fields);
    let edits = edits(word);
    if edits == 0 {
        return ways;
    }
    for (field, weight) in fields {
        let near = FuzzyTermQuery::new(Term::from_field_text(*field, word), edits, true);
        ways.push(scored(Box::new(near), weight * TYPO));
        if is_last {
            ways.push(scored(
                beginning(*field, word, edits),
                weight * BEGINNING_WITH_TYPO,
            ));
        }
    }
    ways
}

/// How many edits away a word may be; a swap of neighbours is one.
fn edits(word: &str) -> u8 {
    // Numbers have no typos that could be told from other numbers.
    if !word.chars().all(char::is_alphabetic) {
        return 0;
    }
    match word.chars().count() {
        TWO_EDITS_CHARS_MIN.. => 2,
        ONE_EDIT_CHARS_MIN.. => 1,
        _ => 0,
    }
}

/// Documents with a text in a field.
pub(super) fn term(field: Field, text: &str) -> Box<dyn Query> {
    let term = Term::from_field_text(field, text);
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn beginning(field: Field, text: &str, edits: u8) -> Box<dyn Query> {
    let term = Term::from_field_text(field, text);
    Box::new(FuzzyTermQuery::new_prefix(term, edits, true))
}

/// The same documents, each with the same score.
pub(super) fn scored(query: Box<dyn Query>, score: f32) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, score))
}

/// The same documents, of which none counts more for it.
pub(super) fn unscored(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(BoostQuery::new(scored(query, 1.0), 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_letters_that_are_long_enough_may_be_misspelt() {
        for (word, expect) in [
            ("ann", 0),
            ("anne", 1),
            ("brooklyn", 2),
            ("2024", 0),
            ("phone7f21c9", 0),
            ("müll", 1),
        ] {
            assert_eq!(edits(word), expect, "{word}");
        }
    }

    #[test]
    fn a_text_without_anything_to_look_for_is_no_query() {
        let field = Field::from_field_id(0);
        for text in ["", "  ", "\t\n"] {
            assert!(of_text(text, &[(field, 1.0)], Some(field), Precision::Lenient).is_none());
        }
        // No words, and yet a cookie may begin so.
        assert!(of_text("+++", &[(field, 1.0)], Some(field), Precision::Exact).is_some());
    }

    #[test]
    fn a_long_question_is_cut() {
        let counted = std::cell::Cell::new(0);
        let many = "word ".repeat(100);
        all_words(&many, |_, is_last| {
            assert!(!is_last, "the last word is typed to its end");
            counted.set(counted.get() + 1);
            Vec::new()
        });
        assert_eq!(counted.get(), WORDS_MAX);
    }
}
