//! What people said of single interests, and the backfills that follow from it.

use surrealdb::types::{RecordId, SurrealValue};
use ulid::Ulid;

use super::leases::{Proof, holding, shown};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::cohort::CohortSlug;
use crate::domain::correction::{Backfill, Cause, Correction};
use crate::domain::interest::InterestKey;
use crate::domain::profile::ProfileId;

const NOTE: &str = concat!(
    "BEGIN;",
    holding!(),
    "UPDATE $row.id CONTENT $row RETURN NONE; COMMIT;"
);

#[derive(SurrealValue)]
struct CorrectionRow {
    id: RecordId,
    cohorts: Vec<String>,
    by: String,
    at: Timestamp,
}

#[derive(SurrealValue)]
pub(super) struct BackfillRow {
    id: RecordId,
    cause: String,
    subject: String,
    by: String,
    position: u32,
    until: u32,
    changed: u64,
    started_at: Timestamp,
    updated_at: Timestamp,
    finished_at: Option<Timestamp>,
}

impl Store {
    /// Every correction, by interest.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn corrections(&self) -> Result<Vec<Correction>, StoreError> {
        let found: Vec<CorrectionRow> = self
            .select(
                "read corrections",
                "SELECT * FROM correction ORDER BY id",
                bind([]),
            )
            .await?;
        found.into_iter().map(CorrectionRow::into_domain).collect()
    }

    /// Keeps a correction in place of one before, or withdraws it, together with the backfill
    /// that follows from it.
    ///
    /// # Errors
    /// When the store fails; then neither is kept.
    pub async fn correct(
        &self,
        interest: &InterestKey,
        correction: Option<&Correction>,
        backfill: &Backfill,
    ) -> Result<(), StoreError> {
        let parameters = bind([
            ("id", correction_id(interest).into_value()),
            ("row", correction.map(CorrectionRow::new).into_value()),
            ("backfill", BackfillRow::new(backfill).into_value()),
        ]);
        let text = "BEGIN;
            IF $row = NONE { DELETE $id RETURN NONE } ELSE { UPSERT $id CONTENT $row RETURN NONE };
            UPDATE counter:corrections SET value += 1 RETURN NONE;
            INSERT INTO backfill $backfill RETURN NONE;
            COMMIT;";
        self.run_again("corrected an interest", text, parameters).await
    }

    /// Keeps a backfill that is to begin.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_backfill(&self, backfill: &Backfill) -> Result<(), StoreError> {
        let parameters = bind([("row", BackfillRow::new(backfill).into_value())]);
        let text = "INSERT INTO backfill $row RETURN NONE";
        self.run_again("added a backfill", text, parameters).await
    }

    /// Every backfill, the latest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn backfills(&self) -> Result<Vec<Backfill>, StoreError> {
        let text = "SELECT * FROM backfill ORDER BY id DESC";
        let found: Vec<BackfillRow> = self.select("read backfills", text, bind([])).await?;
        found.into_iter().map(BackfillRow::into_domain).collect()
    }

    /// One backfill; none if there is no such.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn backfill(&self, id: Ulid) -> Result<Option<Backfill>, StoreError> {
        let parameters = bind([("id", backfill_id(id).into_value())]);
        let found: Vec<BackfillRow> = self
            .select("read a backfill", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(BackfillRow::into_domain).transpose()
    }

    /// The first backfill that is not at its end.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn next_backfill(&self) -> Result<Option<Backfill>, StoreError> {
        let text = "SELECT * FROM backfill WHERE finished_at = NONE ORDER BY id LIMIT 1";
        let found: Vec<BackfillRow> = self.select("looked for a backfill", text, bind([])).await?;
        found.into_iter().next().map(BackfillRow::into_domain).transpose()
    }

    /// Keeps how far a backfill is.
    ///
    /// # Errors
    /// [`StoreError::Lost`] if another server has taken it over, and when the store fails.
    pub async fn note_backfill(&self, backfill: &Backfill, proof: Option<&Proof>) -> Result<(), StoreError> {
        let row = BackfillRow::new(backfill);
        let parameters = bind([("row", row.into_value()), ("lease", shown(proof))]);
        self.run_again("noted how far a backfill is", NOTE, parameters)
            .await
    }

    /// How often corrections were changed.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn corrections_rev(&self) -> Result<u64, StoreError> {
        Ok(self.revisions().await?.corrections)
    }

    /// The interests that another model embedded than this one.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn interests_of_other_models(&self, model: &str) -> Result<Vec<InterestKey>, StoreError> {
        let parameters = bind([("model", format!("{model}.").into_value())]);
        let text = "SELECT VALUE id FROM interest WHERE !string::starts_with(version, $model)";
        let found: Vec<RecordId> = self
            .select("read interests of other models", text, parameters)
            .await?;
        found
            .iter()
            .map(|id| Ok(InterestKey::from_canonical(rows::text_key(id)?)))
            .collect()
    }
}

fn correction_id(interest: &InterestKey) -> RecordId {
    RecordId::new("correction", interest.as_str())
}

fn backfill_id(id: Ulid) -> RecordId {
    RecordId::new("backfill", id.to_string())
}

impl CorrectionRow {
    fn new(correction: &Correction) -> Self {
        Self {
            id: correction_id(&correction.interest),
            cohorts: correction.cohorts.iter().map(ToString::to_string).collect(),
            by: correction.by.clone(),
            at: correction.at,
        }
    }

    fn into_domain(self) -> Result<Correction, StoreError> {
        Ok(Correction {
            interest: InterestKey::from_canonical(rows::text_key(&self.id)?),
            cohorts: self.cohorts.iter().map(|slug| CohortSlug::of(slug)).collect(),
            by: self.by,
            at: self.at,
        })
    }
}

impl BackfillRow {
    pub(super) fn new(backfill: &Backfill) -> Self {
        Self {
            id: backfill_id(backfill.id),
            cause: backfill.cause.name().to_owned(),
            subject: backfill.cause.subject().to_owned(),
            by: backfill.by.clone(),
            position: backfill.position.0,
            until: backfill.until.0,
            changed: backfill.changed,
            started_at: backfill.started_at,
            updated_at: backfill.updated_at,
            finished_at: backfill.finished_at,
        }
    }

    fn into_domain(self) -> Result<Backfill, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a backfill has no {what}"));
        let cause = match self.cause.as_str() {
            "correction" => Cause::Correction(InterestKey::from_canonical(&self.subject)),
            "model" => Cause::Model(self.subject),
            "cohort" => Cause::Cohort(CohortSlug::of(&self.subject)),
            _ => return Err(corrupt("known cause")),
        };
        Ok(Backfill {
            id: rows::text_key(&self.id)?.parse().map_err(|_| corrupt("id"))?,
            cause,
            by: self.by,
            position: ProfileId(self.position),
            until: ProfileId(self.until),
            changed: self.changed,
            started_at: self.started_at,
            updated_at: self.updated_at,
            finished_at: self.finished_at,
        })
    }
}
