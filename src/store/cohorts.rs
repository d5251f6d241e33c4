//! The definitions of cohorts.

use surrealdb::types::{RecordId, SurrealValue};

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::cohort::{Cohort, CohortSlug};

#[derive(SurrealValue)]
struct CohortRow {
    id: RecordId,
    name: String,
    description: String,
    examples: Vec<String>,
    kind: String,
    threshold: f32,
    version: u32,
}

impl Store {
    /// Every cohort, by slug.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn cohorts(&self) -> Result<Vec<Cohort>, StoreError> {
        let found: Vec<CohortRow> = self
            .select("read the cohorts", "SELECT * FROM cohort ORDER BY id", bind([]))
            .await?;
        found.into_iter().map(CohortRow::into_domain).collect()
    }

    /// Adds those of the cohorts that are not there yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_cohorts(&self, cohorts: &[Cohort]) -> Result<(), StoreError> {
        let rows: Vec<CohortRow> = cohorts.iter().map(CohortRow::new).collect();
        let text = "INSERT IGNORE INTO cohort $rows RETURN NONE";
        self.run_again("added cohorts", text, bind([("rows", rows.into_value())]))
            .await
    }
}

impl CohortRow {
    fn new(cohort: &Cohort) -> Self {
        Self {
            id: RecordId::new("cohort", cohort.slug.as_str()),
            name: cohort.name.clone(),
            description: cohort.description.clone(),
            examples: cohort.examples.clone(),
            kind: "interest".to_owned(),
            threshold: cohort.threshold,
            version: cohort.version,
        }
    }

    fn into_domain(self) -> Result<Cohort, StoreError> {
        Ok(Cohort {
            slug: CohortSlug::of(rows::text_key(&self.id)?),
            name: self.name,
            description: self.description,
            examples: self.examples,
            threshold: self.threshold,
            version: self.version,
        })
    }
}
