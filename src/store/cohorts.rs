//! The definitions of cohorts, as they are and as they were.

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};

use super::corrections::BackfillRow;
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::cohort::{Cohort, CohortSlug, Definition, RuleCohort};
use crate::domain::correction::Backfill;

#[derive(SurrealValue)]
struct CohortRow {
    id: RecordId,
    name: String,
    description: String,
    examples: Vec<String>,
    kind: String,
    threshold: f32,
    version: u32,
    expression: Option<String>,
}

#[derive(SurrealValue)]
struct VersionRow {
    id: RecordId,
    name: String,
    description: String,
    examples: Vec<String>,
    kind: String,
    threshold: f32,
    expression: Option<String>,
    by: String,
    at: Timestamp,
}

/// A definition that there is or was.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// The definition.
    pub definition: Definition,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A change of what cohorts there are.
#[derive(Debug)]
pub struct Redefinition {
    /// Which cohort.
    pub slug: CohortSlug,
    /// What it is from now on; none to drop it.
    pub version: Option<Version>,
    /// What follows for people.
    pub backfill: Backfill,
    /// The count of changes that this one rests on.
    pub expected: u64,
}

impl Store {
    /// Every cohort by interest, by slug.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn cohorts(&self) -> Result<Vec<Cohort>, StoreError> {
        let by_interest = self.definitions().await?.into_iter().filter_map(|one| match one {
            Definition::Interest(cohort) => Some(cohort),
            Definition::Rule(_) => None,
        });
        Ok(by_interest.collect())
    }

    /// Every cohort, by slug.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn definitions(&self) -> Result<Vec<Definition>, StoreError> {
        let found: Vec<CohortRow> = self
            .select("read the cohorts", "SELECT * FROM cohort ORDER BY id", bind([]))
            .await?;
        found.into_iter().map(CohortRow::into_domain).collect()
    }

    /// How often definitions were changed; another number means that they are others.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn catalogue_rev(&self) -> Result<u64, StoreError> {
        self.counter("read the catalogue's counter", "catalogue").await
    }

    /// Adds those of the cohorts that are not there yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_cohorts(&self, cohorts: &[Cohort]) -> Result<(), StoreError> {
        let rows = cohorts.iter().cloned().map(Definition::Interest);
        let rows: Vec<CohortRow> = rows.map(|definition| CohortRow::new(&definition)).collect();
        let text = "INSERT IGNORE INTO cohort $rows RETURN NONE";
        self.run_again("added cohorts", text, bind([("rows", rows.into_value())]))
            .await
    }

    /// Carries out a change, with its backfill and a version more to go back to.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another change came first; then nothing is changed.
    pub async fn redefine(&self, change: &Redefinition) -> Result<(), StoreError> {
        let version = change.version.as_ref();
        let parameters = bind([
            ("expected", change.expected.into_value()),
            ("id", cohort_id(&change.slug).into_value()),
            (
                "row",
                version
                    .map(|version| CohortRow::new(&version.definition))
                    .into_value(),
            ),
            ("version", version.map(VersionRow::new).into_value()),
            ("backfill", BackfillRow::new(&change.backfill).into_value()),
        ]);
        let text = "BEGIN;
            IF ((SELECT VALUE value FROM counter:catalogue)[0] ?? 0) != $expected {
                THROW 'Transaction conflict: the cohorts have changed since they were read'
            };
            UPSERT counter:catalogue SET value = $expected + 1 RETURN NONE;
            IF $row = NONE { DELETE $id RETURN NONE } ELSE { UPSERT $id CONTENT $row RETURN NONE };
            IF $version != NONE { INSERT INTO cohort_version $version RETURN NONE };
            INSERT INTO backfill $backfill RETURN NONE;
            COMMIT;";
        self.run("changed a cohort", text, parameters).await
    }

    /// Every version that there was of a cohort, the first one first. What it was seeded with is
    /// none of them.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn cohort_versions(&self, slug: &CohortSlug) -> Result<Vec<Version>, StoreError> {
        let parameters = bind([("slug", slug.as_str().to_owned().into_value())]);
        let text = "SELECT * FROM cohort_version:[$slug]..[$slug, ..]";
        let found: Vec<VersionRow> = self.select("read a cohort's versions", text, parameters).await?;
        found.into_iter().map(|row| row.into_domain(slug)).collect()
    }
}

fn cohort_id(slug: &CohortSlug) -> RecordId {
    RecordId::new("cohort", slug.as_str())
}

fn version_id(slug: &CohortSlug, version: u32) -> RecordId {
    let key: Array = vec![
        slug.as_str().to_owned().into_value(),
        i64::from(version).into_value(),
    ]
    .into();
    RecordId::new("cohort_version", key)
}

impl CohortRow {
    fn new(definition: &Definition) -> Self {
        let (examples, threshold, expression) = match definition {
            Definition::Interest(cohort) => (cohort.examples.clone(), cohort.threshold, None),
            Definition::Rule(rule) => (Vec::new(), 1.0, Some(rule.expression.clone())),
        };
        Self {
            id: cohort_id(definition.slug()),
            name: definition.name().to_owned(),
            description: definition.description().to_owned(),
            examples,
            kind: definition.kind().to_owned(),
            threshold,
            version: definition.version(),
            expression,
        }
    }

    fn into_domain(self) -> Result<Definition, StoreError> {
        let slug = CohortSlug::of(rows::text_key(&self.id)?);
        let (name, description, version) = (self.name, self.description, self.version);
        Ok(match self.expression {
            Some(expression) => Definition::Rule(RuleCohort {
                slug,
                name,
                description,
                expression,
                version,
            }),
            None => Definition::Interest(Cohort {
                slug,
                name,
                description,
                examples: self.examples,
                threshold: self.threshold,
                version,
            }),
        })
    }
}

impl VersionRow {
    fn new(version: &Version) -> Self {
        let row = CohortRow::new(&version.definition);
        Self {
            id: version_id(version.definition.slug(), row.version),
            name: row.name,
            description: row.description,
            examples: row.examples,
            kind: row.kind,
            threshold: row.threshold,
            expression: row.expression,
            by: version.by.clone(),
            at: version.at,
        }
    }

    fn into_domain(self, slug: &CohortSlug) -> Result<Version, StoreError> {
        let number = match &self.id.key {
            RecordIdKey::Array(parts) => parts.get(1).cloned(),
            _ => None,
        };
        let number = number.and_then(|value: Value| u32::from_value(value).ok());
        let missing = || StoreError::Corrupt("the key of a cohort's version has no number".to_owned());
        let row = CohortRow {
            id: cohort_id(slug),
            name: self.name,
            description: self.description,
            examples: self.examples,
            kind: self.kind,
            threshold: self.threshold,
            version: number.ok_or_else(missing)?,
            expression: self.expression,
        };
        Ok(Version {
            definition: row.into_domain()?,
            by: self.by,
            at: self.at,
        })
    }
}
