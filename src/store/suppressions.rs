//! Of whom nothing more is taken in, by the pseudonyms of their identifiers; and up to when sweeps of
//! what is too old have come.

use surrealdb::types::{RecordId, SurrealValue};

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::erasure::{IdentifierKind, Suppression};

/// Counts the changes, so that other servers hear of them.
pub(super) const COUNT: &str = "UPDATE counter:suppressed SET value += 1 RETURN NONE;";

#[derive(Debug, Clone, SurrealValue)]
pub(super) struct SuppressionRow {
    id: RecordId,
    kind: String,
    reason: String,
    by: String,
    at: Timestamp,
    erasure: Option<String>,
}

impl SuppressionRow {
    pub(super) fn new(suppression: &Suppression) -> Self {
        Self {
            id: suppression_id(&suppression.pseudonym),
            kind: suppression.kind.name().to_owned(),
            reason: suppression.reason.clone(),
            by: suppression.by.clone(),
            at: suppression.at,
            erasure: suppression.erasure.map(|id| id.to_string()),
        }
    }

    fn into_domain(self) -> Result<Suppression, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a suppression has no {what}"));
        let erasure = self.erasure.map(|id| id.parse().map_err(|_| corrupt("erasure")));
        Ok(Suppression {
            pseudonym: rows::text_key(&self.id)?.to_owned(),
            kind: IdentifierKind::named(&self.kind).ok_or_else(|| corrupt("known kind"))?,
            reason: self.reason,
            by: self.by,
            at: self.at,
            erasure: erasure.transpose()?,
        })
    }
}

const SUPPRESS: &str = "BEGIN; FOR $row IN $rows { UPSERT $row.id CONTENT $row RETURN NONE };
    UPDATE counter:suppressed SET value += 1 RETURN NONE; COMMIT;";

const LIFT: &str = "BEGIN; DELETE $ids RETURN NONE;
    UPDATE counter:suppressed SET value += 1 RETURN NONE; COMMIT;";

impl Store {
    /// Every pseudonym.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn suppressed(&self) -> Result<Vec<String>, StoreError> {
        let text = "SELECT VALUE id FROM suppressed";
        let found: Vec<RecordId> = self.select("read who is suppressed", text, bind([])).await?;
        found
            .iter()
            .map(|id| Ok(rows::text_key(id)?.to_owned()))
            .collect()
    }

    /// How often these have changed.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn suppressed_rev(&self) -> Result<u64, StoreError> {
        self.counter("read how often suppressions changed", "suppressed")
            .await
    }

    /// What is known of some; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn suppressions(&self, pseudonyms: &[String]) -> Result<Vec<Suppression>, StoreError> {
        let ids: Vec<RecordId> = pseudonyms.iter().map(|text| suppression_id(text)).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let found: Vec<SuppressionRow> = self
            .select("read suppressions", "SELECT * FROM $ids", parameters)
            .await?;
        found.into_iter().map(SuppressionRow::into_domain).collect()
    }

    /// Takes nothing more in of some, in place of what was said of them before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn suppress(&self, suppressions: &[Suppression]) -> Result<(), StoreError> {
        let rows: Vec<SuppressionRow> = suppressions.iter().map(SuppressionRow::new).collect();
        self.run_again(
            "suppressed somebody",
            SUPPRESS,
            bind([("rows", rows.into_value())]),
        )
        .await
    }

    /// Takes records in again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lift_suppressions(&self, pseudonyms: &[String]) -> Result<(), StoreError> {
        let ids: Vec<RecordId> = pseudonyms.iter().map(|text| suppression_id(text)).collect();
        self.run_again("lifted a suppression", LIFT, bind([("ids", ids.into_value())]))
            .await
    }
}

impl Store {
    /// Up to which moment, in milliseconds since 1970, nothing is left of something.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn swept_until(&self, name: &str) -> Result<u64, StoreError> {
        self.counter("read how far a sweep is", name).await
    }

    /// Keeps how far a sweep is.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_swept(&self, name: &str, until_ms: u64) -> Result<(), StoreError> {
        let parameters = bind([
            ("id", RecordId::new("counter", name).into_value()),
            ("value", until_ms.into_value()),
        ]);
        let text = "UPSERT $id SET value = $value RETURN NONE";
        self.run_again("noted how far a sweep is", text, parameters).await
    }
}

pub(super) fn suppression_id(pseudonym: &str) -> RecordId {
    RecordId::new("suppressed", pseudonym)
}
