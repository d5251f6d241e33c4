//! What a new platform starts with: the cohorts of `seeds/cohorts.yaml`, and, where it is told
//! so, rules.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::definitions::{Draft, THRESHOLD_DEFAULT};

use crate::domain::cohort::{Cohort, CohortSlug};

/// The rules of a demo.
pub const DEMO_RULES: &str = include_str!("../../seeds/rules.yaml");

/// Which cohorts a platform starts with beside those by interest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// A file of rules, each added where there is no cohort of its name.
    pub rules: Option<PathBuf>,
}

/// Seeds that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It is not a list of cohorts.
    #[error("the cohort seeds can't be read as YAML")]
    Syntax(#[source] serde_saphyr::Error),
    /// A slug is not of the form `food-drink`.
    #[error("`{0}` is not a cohort slug; write it like `food-drink`")]
    Slug(String),
    /// A file can't be read.
    #[error("the rules at `{}` can't be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Two cohorts have one slug.
    #[error("two cohorts have the slug `{0}`")]
    Twice(String),
    /// A threshold is not between 0 and 1.
    #[error("the threshold of `{slug}` is {threshold}; it must lie between 0 and 1")]
    Threshold {
        /// Whose.
        slug: String,
        /// The value.
        threshold: f32,
    },
}

/// One cohort as the file writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    slug: String,
    name: String,
    description: String,
    #[serde(default)]
    examples: Vec<String>,
    threshold: Option<f32>,
}

/// One rule as the file writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSeed {
    name: String,
    #[serde(default)]
    description: String,
    expression: String,
}

/// Reads a list of rules. Whether they are right, is seen when they are saved.
///
/// # Errors
/// When it is not such a list.
pub fn parse_rules(yaml: &str) -> Result<Vec<Draft>, SeedError> {
    let seeds: Vec<RuleSeed> = serde_saphyr::from_str(yaml).map_err(SeedError::Syntax)?;
    let draft = |seed: RuleSeed| Draft {
        name: seed.name,
        description: seed.description,
        expression: Some(seed.expression),
        ..Draft::default()
    };
    Ok(seeds.into_iter().map(draft).collect())
}

/// Reads a file of rules.
///
/// # Errors
/// When it can't be read, or is no such list.
pub fn read_rules(path: &Path) -> Result<Vec<Draft>, SeedError> {
    let text = std::fs::read_to_string(path).map_err(|source| SeedError::File {
        path: path.to_owned(),
        source,
    })?;
    parse_rules(&text)
}

/// Reads a list of cohorts.
///
/// # Errors
/// When it is not such a list, or a slug or threshold is wrong.
pub fn parse_seeds(yaml: &str) -> Result<Vec<Cohort>, SeedError> {
    let seeds: Vec<Seed> = serde_saphyr::from_str(yaml).map_err(SeedError::Syntax)?;
    let mut slugs = BTreeSet::new();
    let mut cohorts = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let cohort = cohort(seed)?;
        if !slugs.insert(cohort.slug.clone()) {
            return Err(SeedError::Twice(cohort.slug.to_string()));
        }
        cohorts.push(cohort);
    }
    Ok(cohorts)
}

fn cohort(seed: Seed) -> Result<Cohort, SeedError> {
    let slug = CohortSlug::of(&seed.slug);
    if slug.as_str().is_empty() || slug.as_str() != seed.slug {
        return Err(SeedError::Slug(seed.slug));
    }
    let threshold = seed.threshold.unwrap_or(THRESHOLD_DEFAULT);
    if !(0.0..=1.0).contains(&threshold) {
        return Err(SeedError::Threshold {
            slug: seed.slug,
            threshold,
        });
    }
    Ok(Cohort {
        slug,
        name: seed.name,
        description: seed.description,
        examples: seed.examples,
        threshold,
        version: 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_seeds_are_sound() {
        let cohorts = parse_seeds(include_str!("../../seeds/cohorts.yaml")).unwrap();
        assert!(cohorts.len() >= 12);
        for cohort in &cohorts {
            assert!(!cohort.description.is_empty(), "{}", cohort.slug);
            assert!(cohort.examples.len() >= 25, "{}", cohort.slug);
            let examples: BTreeSet<_> = cohort.examples.iter().collect();
            assert_eq!(examples.len(), cohort.examples.len(), "{} repeats", cohort.slug);
        }
    }

    #[test]
    fn a_wrong_seed_says_what_is_wrong() {
        let seed = |slug: &str, threshold: &str| {
            format!("- {{slug: {slug}, name: N, description: D, threshold: {threshold}}}\n")
        };
        let message = |yaml: &str| parse_seeds(yaml).unwrap_err().to_string();
        assert_eq!(
            message(&seed("Food Drink", "0.5")),
            "`Food Drink` is not a cohort slug; write it like `food-drink`"
        );
        assert_eq!(
            message(&(seed("a", "0.5") + &seed("a", "0.5"))),
            "two cohorts have the slug `a`"
        );
        assert_eq!(
            message(&seed("a", "1.5")),
            "the threshold of `a` is 1.5; it must lie between 0 and 1"
        );
        assert_eq!(message("slug: a"), "the cohort seeds can't be read as YAML");
    }
}
