//! Which cohorts there are, as one commit sees them: replaced as a whole when somebody defines
//! one, so that nobody is judged half by the old and half by the new.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::cohort::{self, Cohort, CohortSlug, Definition, RuleCohort};
use crate::segmentation::rules::{Known, RuleSet, RuleSetError};

/// All cohorts that there are.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// How often the store's were changed until these.
    rev: u64,
    definitions: BTreeMap<CohortSlug, Definition>,
    cohorts: Arc<[Cohort]>,
    rules: RuleSet,
}

impl Catalogue {
    /// Puts definitions together.
    ///
    /// # Errors
    /// When a rule is wrong, or cohorts depend on each other in a circle.
    pub fn new(definitions: Vec<Definition>) -> Result<Self, RuleSetError> {
        Self::without(definitions, &BTreeSet::new())
    }

    /// The same of what is stored. A rule that can't be used, since it was written for another
    /// version of this program, is left out and told: everybody stays in its cohort who is.
    #[must_use]
    pub fn of_stored(definitions: &[Definition]) -> Self {
        let mut broken = BTreeSet::new();
        loop {
            match Self::without(definitions.to_vec(), &broken) {
                Ok(catalogue) => return catalogue,
                Err(error) => {
                    tracing::error!(%error, "a rule can't be used");
                    let slugs = match error {
                        RuleSetError::Rule { cohort, .. } => vec![cohort],
                        RuleSetError::Cycle(circle) => circle,
                    };
                    broken.extend(slugs);
                }
            }
        }
    }

    fn without(definitions: Vec<Definition>, broken: &BTreeSet<CohortSlug>) -> Result<Self, RuleSetError> {
        let names = definitions
            .iter()
            .map(|one| (one.slug().clone(), one.name().to_owned()));
        let known = Known::new(names);
        let (mut cohorts, mut rules): (Vec<Cohort>, Vec<RuleCohort>) = (Vec::new(), Vec::new());
        for definition in &definitions {
            match definition {
                Definition::Interest(cohort) => cohorts.push(cohort.clone()),
                Definition::Rule(rule) if broken.contains(&rule.slug) => {}
                Definition::Rule(rule) => rules.push(rule.clone()),
            }
        }
        Ok(Self {
            rev: 0,
            rules: RuleSet::new(&rules, known)?,
            cohorts: cohorts.into(),
            definitions: definitions
                .into_iter()
                .map(|one| (one.slug().clone(), one))
                .collect(),
        })
    }

    /// The same, as they were stored at a count of changes.
    #[must_use]
    pub const fn at(mut self, rev: u64) -> Self {
        self.rev = rev;
        self
    }

    /// How often the store's were changed until these.
    #[must_use]
    pub const fn rev(&self) -> u64 {
        self.rev
    }

    /// Every cohort, by slug.
    pub fn all(&self) -> impl Iterator<Item = &Definition> {
        self.definitions.values()
    }

    /// The one of a slug or a name, in any case.
    #[must_use]
    pub fn find(&self, name_or_slug: &str) -> Option<&Definition> {
        let found = cohort::find(&self.definitions, Definition::name, name_or_slug);
        found.map(|(_, definition)| definition)
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, slug: &CohortSlug) -> Option<&Definition> {
        self.definitions.get(slug)
    }

    /// Those by interest.
    #[must_use]
    pub const fn cohorts(&self) -> &Arc<[Cohort]> {
        &self.cohorts
    }

    /// Those by rule.
    #[must_use]
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// What rules may name.
    #[must_use]
    pub fn known(&self) -> Known {
        Known::new(self.all().map(|one| (one.slug().clone(), one.name().to_owned())))
    }
}
