//! An [`Interest`] is a text that a person was seen to care about; its [`InterestKey`]
//! is the form under which it is classified once, whoever has it.

use std::fmt;
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::cohort::CohortSlug;

/// The most characters that are kept of an interest; nobody's interest is a paragraph.
pub const INTEREST_CHARS_MAX: usize = 200;

/// Punctuation that says nothing at the ends of an interest.
const EDGE_PUNCTUATION: &str = "\"'`´“”„‘’«»‹›,;:!?¡¿…|/\\*_~^=-–—•·";

/// What may be cut from the front only: `#football`, but `c#`; `+1`, but `c++`.
const LEADING_PUNCTUATION: &str = "#@+";

/// Pairs that are cut when they enclose the whole interest.
const BRACKETS: [(char, char); 4] = [('(', ')'), ('[', ']'), ('{', '}'), ('<', '>')];

/// The canonical form of an interest: what is compared, stored and classified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterestKey(Arc<str>);

impl InterestKey {
    /// Reads an interest as someone wrote it: compatible characters are made one (NFKC),
    /// letters lower case, white space collapsed, surrounding punctuation cut. `None`
    /// when neither a letter nor a digit is left. Cut at [`INTEREST_CHARS_MAX`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Lower case may undo the normal form, and the normal form may reveal capitals. What is
        // invisible keeps apart what the normal form makes one, so it goes first.
        let visible = text.chars().filter(|c| !is_invisible(*c));
        let plain = visible.nfkc().collect::<String>().to_lowercase();
        let plain: String = plain.nfkc().collect();
        let spaced = plain.replace(char::is_control, " ");
        let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = trim_edges(&words).chars().take(INTEREST_CHARS_MAX).collect();
        let canonical = trim_edges(&cut);
        let says_something = canonical.contains(char::is_alphanumeric);
        says_something.then(|| Self(canonical.into()))
    }

    /// Wraps a text that is already canonical, as the store gives it back.
    #[must_use]
    pub fn from_canonical(text: &str) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Characters of no width, which make equal interests look unequal to a machine only.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

/// Cuts what says nothing from both ends, until nothing is left to cut.
fn trim_edges(text: &str) -> &str {
    let mut rest = text;
    loop {
        let before = rest.len();
        rest = rest.trim_matches(|c: char| c.is_whitespace() || EDGE_PUNCTUATION.contains(c));
        rest = rest.trim_start_matches(|c| LEADING_PUNCTUATION.contains(c));
        rest = rest.trim_end_matches('.');
        for (open, close) in BRACKETS {
            let inner = rest.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            rest = inner.unwrap_or(rest);
        }
        if rest.len() == before {
            return rest;
        }
    }
}

impl fmt::Display for InterestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An interest as one record names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The text as given, trimmed, for people to read.
    pub display: String,
}

/// A sentence embedding: unit length, as many numbers as the model is wide.
pub type Embedding = Arc<[f32]>;

/// How strongly one interest belongs to one cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// The cohort.
    pub cohort: CohortSlug,
    /// A calibrated probability, 0 to 1.
    pub score: f32,
}

/// What the classifier found for one interest; stored, and reused for whoever has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassifiedInterest {
    /// What was classified.
    pub key: InterestKey,
    /// The spelling that was classified in its place, where it looked misspelt.
    pub repaired: Option<String>,
    /// The embedding, from which a new cohort is scored without the model.
    pub embedding: Embedding,
    /// Every interest cohort's score, best first.
    pub scores: Arc<[Score]>,
    /// Which model and cohorts made these scores; others' scores are made anew.
    pub version: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let key = InterestKey::parse(text);
        assert_eq!(key.as_ref().map(InterestKey::as_str), expect, "{text:?}");
    }

    #[test]
    fn an_interest_has_one_form() {
        check("  Video   Games ", Some("video games"));
        check("FOOTBALL!!", Some("football"));
        check("“Star Wars”", Some("star wars"));
        check("(#running)", Some("running"));
        check("ｓｕｓｈｉ", Some("sushi"));
        check("Beyonce\u{301}", Some("beyoncé"));
        check("foot\u{200b}ball\n", Some("football"));
        check("caf\u{65}\u{200b}\u{301}", Some("café"));
    }

    #[test]
    fn punctuation_that_means_something_is_kept() {
        for text in [
            "c++",
            "c#",
            ".net",
            "food & drink",
            "rock'n'roll",
            "lilly (eli)",
            "a.i",
        ] {
            check(text, Some(text));
        }
    }

    #[test]
    fn nothing_is_no_interest() {
        for text in ["", "  \t", "---", "!?", "…", "\u{200b}", "()"] {
            check(text, None);
        }
    }

    #[test]
    fn a_paragraph_is_cut() {
        let key = InterestKey::parse(&"é".repeat(1000)).unwrap();
        assert_eq!(key.as_str().chars().count(), INTEREST_CHARS_MAX);
    }

    proptest! {
        #[test]
        fn a_canonical_form_is_its_own(text in any::<String>()) {
            if let Some(key) = InterestKey::parse(&text) {
                prop_assert_eq!(InterestKey::parse(key.as_str()), Some(key));
            }
        }
    }
}
