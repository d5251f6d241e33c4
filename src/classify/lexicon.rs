//! Well-known names and terms, and where they belong: what a model can't know from a cohort's
//! sentence. They stand beside the cohorts' own examples.

use std::collections::{BTreeSet, HashSet};

use crate::domain::cohort::CohortSlug;
use crate::domain::interest::InterestKey;

/// Names and terms of the built-in cohorts. Where these files are from stands beside them.
const NAMES: &str = include_str!("../../seeds/lexicon/names.tsv");

/// Terms that are only looked up, the surer table first: as neighbours they did no good. Of
/// what is said twice the first holds.
const LOOKED_UP: [&str; 2] = [
    include_str!("../../seeds/lexicon/lookup.tsv"),
    include_str!("../../seeds/lexicon/wordnet.tsv"),
];

/// Rare words that are spelt right.
const RARE_WORDS: &str = include_str!("../../seeds/lexicon/words.txt");

/// Texts that are nobody's interest, one a line: small words, noise, bare names, one's own
/// family, and what belongs to no market.
const NOWHERE: &str = include_str!("nowhere.txt");

/// How the lexicon writes that a term belongs nowhere.
const NONE: &str = "none";

/// A term and the cohorts that it belongs to; to none of them if that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The term, in canonical form.
    pub term: String,
    /// Where it belongs.
    pub cohorts: BTreeSet<CohortSlug>,
    /// Whether texts are compared with it, and not only looked up.
    pub is_neighbour: bool,
}

/// Terms, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lexicon {
    entries: Vec<Entry>,
    spellings: Vec<String>,
    rare_words: Vec<&'static str>,
}

impl Lexicon {
    /// What comes with the program. It speaks of cohorts by their slugs, and of those that
    /// there are.
    #[must_use]
    pub fn built_in() -> Self {
        let mut entries = Self::parse(NAMES).entries;
        entries.extend(Self::nowhere().entries);
        let looked_up = LOOKED_UP.into_iter().flat_map(|table| Self::parse(table).entries);
        entries.extend(looked_up.map(|entry| Entry {
            is_neighbour: false,
            ..entry
        }));
        // What is said first of a term holds.
        let mut seen = HashSet::new();
        entries.retain(|entry| seen.insert(entry.term.clone()));
        Self {
            entries,
            spellings: Vec::new(),
            rare_words: texts(RARE_WORDS).collect(),
        }
    }

    /// What the built-in one is worth to cohorts that it does not speak of: what is spelt right,
    /// and what is known to belong nowhere.
    #[must_use]
    pub fn of_other_cohorts() -> Self {
        let built_in = Self::built_in();
        Self {
            spellings: built_in.entries.into_iter().map(|entry| entry.term).collect(),
            rare_words: built_in.rare_words,
            ..Self::nowhere()
        }
    }

    /// Only what is known to belong nowhere, which no cohort has to define.
    fn nowhere() -> Self {
        let entry = |line: &str| Entry {
            term: line.to_owned(),
            cohorts: BTreeSet::new(),
            is_neighbour: true,
        };
        Self {
            entries: texts(NOWHERE).map(entry).collect(),
            ..Self::default()
        }
    }

    /// Reads lines of a term, a tab, and slugs between `|`, or `none`. What is no such line
    /// says nothing.
    #[must_use]
    pub fn parse(table: &str) -> Self {
        let entry = |line: &str| {
            let (term, slugs) = line.split_once('\t')?;
            let slugs = slugs.split('|').filter(|slug| *slug != NONE);
            Some(Entry {
                term: InterestKey::parse(term)?.to_string(),
                cohorts: slugs.map(CohortSlug::of).collect(),
                is_neighbour: true,
            })
        };
        Self {
            entries: texts(table).filter_map(entry).collect(),
            ..Self::default()
        }
    }

    /// What is left where nothing is known of one cohort.
    #[must_use]
    pub fn without(&self, cohort: &CohortSlug) -> Self {
        let others = self
            .entries
            .iter()
            .filter(|entry| !entry.cohorts.contains(cohort));
        Self {
            entries: others.cloned().collect(),
            spellings: self.spellings.clone(),
            rare_words: self.rare_words.clone(),
        }
    }

    /// Terms in canonical form that are spelt right, and say nothing of where they belong.
    #[must_use]
    pub fn spellings(&self) -> &[String] {
        &self.spellings
    }

    /// Words that are no term, and no misspelling either.
    #[must_use]
    pub fn rare_words(&self) -> &[&'static str] {
        &self.rare_words
    }

    /// The entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

fn texts(lines: &str) -> impl Iterator<Item = &str> {
    lines
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_terms_are_canonical_and_each_once() {
        let lexicon = Lexicon::built_in();
        assert!(lexicon.entries.len() > 50_000);
        let neighbours = lexicon.entries.iter().filter(|entry| entry.is_neighbour);
        let neighbours = neighbours.count();
        assert!(
            (5_000..10_000).contains(&neighbours),
            "each is embedded: {neighbours}"
        );
        let mut seen = BTreeSet::new();
        for entry in &lexicon.entries {
            let canonical = InterestKey::parse(&entry.term).map(|key| key.to_string());
            assert_eq!(canonical.as_ref(), Some(&entry.term));
            assert!(seen.insert(&entry.term), "`{}` comes twice", entry.term);
        }
    }

    #[test]
    fn a_line_is_a_term_and_where_it_belongs() {
        let lexicon = Lexicon::parse("# head\nf1\tsports|automotive\nmargaret\tnone\nbroken\n");
        let slugs = |entry: &Entry| entry.cohorts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let entries: Vec<_> = lexicon
            .entries()
            .iter()
            .map(|entry| (entry.term.as_str(), slugs(entry).join(" ")))
            .collect();
        assert_eq!(
            entries,
            [
                ("f1", "automotive sports".to_owned()),
                ("margaret", String::new())
            ]
        );
        assert_eq!(lexicon.without(&CohortSlug::of("sports")).entries().len(), 1);
    }
}
