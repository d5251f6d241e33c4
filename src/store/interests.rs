//! What interests mean: each classified once, whoever has it.

use surrealdb::types::{Bytes, RecordId, SurrealValue};

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::cohort::CohortSlug;
use crate::domain::interest::{ClassifiedInterest, Embedding, InterestKey, Score};

/// Interests of one transaction, at about 2.3 KB each.
const KEPT_AT_ONCE: usize = 1_000;

#[derive(SurrealValue)]
struct ScoreRow {
    cohort: String,
    score: f32,
}

#[derive(SurrealValue)]
struct InterestRow {
    id: RecordId,
    repaired: Option<String>,
    embedding: Bytes,
    scores: Vec<ScoreRow>,
    version: String,
}

impl Store {
    /// Those of the interests that were classified before.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn interests(&self, keys: &[InterestKey]) -> Result<Vec<ClassifiedInterest>, StoreError> {
        let ids: Vec<RecordId> = keys.iter().map(interest_id).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let found: Vec<InterestRow> = self
            .select("read interests", "SELECT * FROM $ids", parameters)
            .await?;
        found.into_iter().map(InterestRow::into_domain).collect()
    }

    /// Keeps what the classifier found, in place of what it found before. Each stands alone,
    /// so many are kept in several transactions.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another writer keeps one of them at the same moment.
    pub async fn keep_interests(&self, interests: &[ClassifiedInterest]) -> Result<(), StoreError> {
        for some in interests.chunks(KEPT_AT_ONCE) {
            let rows: Vec<InterestRow> = some.iter().map(InterestRow::new).collect();
            let text = "FOR $row IN $rows { UPSERT $row.id CONTENT $row RETURN NONE }".to_owned();
            self.run_to_end("kept interests", text, bind([("rows", rows.into_value())]))
                .await?;
        }
        Ok(())
    }
}

impl InterestRow {
    fn new(interest: &ClassifiedInterest) -> Self {
        let score = |score: &Score| ScoreRow {
            cohort: score.cohort.as_str().to_owned(),
            score: score.score,
        };
        let bytes: Vec<u8> = interest
            .embedding
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect();
        Self {
            id: interest_id(&interest.key),
            repaired: interest.repaired.clone(),
            embedding: bytes.into(),
            scores: interest.scores.iter().map(score).collect(),
            version: interest.version.clone(),
        }
    }

    fn into_domain(self) -> Result<ClassifiedInterest, StoreError> {
        let score = |row: ScoreRow| Score {
            cohort: CohortSlug::of(&row.cohort),
            score: row.score,
        };
        let numbers = self.embedding.chunks_exact(4);
        let embedding: Embedding = numbers
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        Ok(ClassifiedInterest {
            key: InterestKey::from_canonical(rows::text_key(&self.id)?),
            repaired: self.repaired,
            embedding,
            scores: self.scores.into_iter().map(score).collect::<Vec<_>>().into(),
            version: self.version,
        })
    }
}

fn interest_id(key: &InterestKey) -> RecordId {
    RecordId::new("interest", key.as_str())
}
