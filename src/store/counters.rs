//! Counters: each a record with one number that says how often something changed, how many there
//! are, or how far something is.

use surrealdb::types::{RecordId, SurrealValue};

use super::transaction::bind;
use super::{Store, StoreError};

impl Store {
    /// What a counter says; its kind's own default until it is written first.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn counter<T: SurrealValue + Default>(
        &self,
        doing: &'static str,
        name: &str,
    ) -> Result<T, StoreError> {
        let parameters = bind([("id", RecordId::new("counter", name).into_value())]);
        let text = "SELECT VALUE value FROM $id";
        let found: Vec<T> = self.select(doing, text, parameters).await?;
        Ok(found.into_iter().next().unwrap_or_default())
    }
}
