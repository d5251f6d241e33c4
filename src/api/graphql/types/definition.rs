//! Defining cohorts.

use async_graphql::{InputObject, SimpleObject};

use super::cohort::Cohort;
use super::correction::Backfill;
use super::profile::Profile;
use super::rounded;
use crate::domain::Timestamp;
use crate::domain::cohort::Definition;
use crate::services::definitions::{Combined, Defined, Draft, Overlap, Parts, Preview, VersionView};

/// A cohort as somebody defines it: with an `expression` by rule, with `combination` of other
/// cohorts, else by interest.
#[derive(InputObject)]
pub struct CohortInput {
    /// The name; of a new cohort also its slug.
    name: String,
    /// One sentence that says what belongs there; a cohort by interest needs it.
    #[graphql(default)]
    description: String,
    /// Typical interests, of a cohort by interest.
    #[graphql(default)]
    examples: Vec<String>,
    /// The least score, 0 to 1, of a member of a cohort by interest.
    threshold: Option<f32>,
    /// The rule, in CEL.
    expression: Option<String>,
    /// The cohorts that make it.
    combination: Option<CombinationInput>,
}

/// Cohorts, by names or slugs, to be put together.
#[derive(InputObject)]
pub struct CombinationInput {
    /// In each of these.
    #[graphql(default)]
    all: Vec<String>,
    /// In at least one of these.
    #[graphql(default)]
    any: Vec<String>,
    /// In none of these.
    #[graphql(default)]
    none: Vec<String>,
}

/// What became of a definition.
#[derive(SimpleObject)]
pub struct DefinedCohort {
    /// The cohort as it is now; null if it is gone.
    cohort: Option<Cohort>,
    /// Gives everybody the memberships that follow.
    backfill: Backfill,
}

/// How many people a rule would have.
#[derive(SimpleObject)]
pub struct CohortPreview {
    /// How many people were looked at, spread over all.
    examined: u64,
    /// How many of these would be members.
    matched: u64,
    /// Of how many of these it asks what is not known; these would be none.
    undecided: u64,
    /// How many people there are, about.
    people: u64,
    /// How many members there would be, about.
    estimate: u64,
    /// Whether everybody was looked at, and the numbers are exact.
    exact: bool,
    /// Some who would be members.
    sample: Vec<Profile>,
}

/// Cohorts put together.
#[derive(SimpleObject)]
pub struct CohortCombination {
    /// How many people are in it, exactly.
    size: u64,
    /// The rule that says the same.
    expression: String,
    /// Some of them.
    sample: Vec<Profile>,
}

/// How many people two cohorts share.
#[derive(SimpleObject)]
pub struct CohortOverlap {
    /// The names of the two.
    cohorts: Vec<String>,
    /// How many are in both.
    shared: u64,
    /// The share of these among all who are in either, 0 to 1.
    likeness: f64,
}

/// A definition that there is or was.
#[derive(SimpleObject)]
pub struct CohortVersion {
    /// Its number.
    version: u32,
    /// The name.
    name: String,
    /// What belongs there.
    description: String,
    /// `interest` or `rule`.
    kind: &'static str,
    /// Typical interests.
    examples: Vec<String>,
    /// The least score of a member, of a cohort by interest.
    threshold: Option<f64>,
    /// The rule, of a cohort by rule.
    expression: Option<String>,
    /// Who made it.
    by: String,
    /// When.
    at: Timestamp,
}

impl From<CohortInput> for Draft {
    fn from(input: CohortInput) -> Self {
        Self {
            name: input.name,
            description: input.description,
            examples: input.examples,
            threshold: input.threshold,
            expression: input.expression,
            combination: input.combination.map(Parts::from),
        }
    }
}

impl From<CombinationInput> for Parts {
    fn from(input: CombinationInput) -> Self {
        Self {
            all: input.all,
            any: input.any,
            none: input.none,
        }
    }
}

impl From<Defined> for DefinedCohort {
    fn from(defined: Defined) -> Self {
        Self {
            cohort: defined.cohort.map(Cohort::from),
            backfill: defined.backfill.into(),
        }
    }
}

impl From<Preview> for CohortPreview {
    fn from(preview: Preview) -> Self {
        Self {
            examined: preview.examined,
            matched: preview.matched,
            undecided: preview.undecided,
            people: preview.people,
            estimate: preview.estimate,
            exact: preview.is_exact,
            sample: preview.sample.into_iter().map(Profile::from).collect(),
        }
    }
}

impl From<Combined> for CohortCombination {
    fn from(combined: Combined) -> Self {
        Self {
            size: combined.size,
            expression: combined.expression,
            sample: combined.sample.into_iter().map(Profile::from).collect(),
        }
    }
}

impl From<Overlap> for CohortOverlap {
    fn from(overlap: Overlap) -> Self {
        Self {
            cohorts: overlap.cohorts.into(),
            shared: overlap.shared,
            likeness: overlap.likeness,
        }
    }
}

impl From<VersionView> for CohortVersion {
    fn from(view: VersionView) -> Self {
        let (version, kind) = (view.definition.version(), view.definition.kind());
        let name = view.definition.name().to_owned();
        let description = view.definition.description().to_owned();
        let (examples, threshold, expression) = match view.definition {
            Definition::Interest(cohort) => (cohort.examples, Some(rounded(cohort.threshold)), None),
            Definition::Rule(rule) => (Vec::new(), None, Some(rule.expression)),
        };
        Self {
            version,
            name,
            description,
            kind,
            examples,
            threshold,
            expression,
            by: view.by,
            at: view.at,
        }
    }
}
