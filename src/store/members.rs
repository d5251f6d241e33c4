//! Who is in which cohort, read as a whole when the server starts.

use surrealdb::types::{RecordId, RecordIdKey, SurrealValue, Value};

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::cohort::CohortSlug;
use crate::domain::profile::ProfileId;

impl Store {
    /// Every member of a cohort, in order.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn members(&self, cohort: &CohortSlug) -> Result<Vec<ProfileId>, StoreError> {
        let parameters = bind([("cohort", cohort.as_str().to_owned().into_value())]);
        let found: Vec<RecordId> = self
            .select(
                "read a cohort's members",
                "SELECT VALUE id FROM member:[$cohort]..[$cohort, ..]",
                parameters,
            )
            .await?;
        found.iter().map(member_of).collect()
    }
}

pub(super) fn member_of(id: &RecordId) -> Result<ProfileId, StoreError> {
    let ordinal = match &id.key {
        RecordIdKey::Array(parts) => parts.get(1).cloned(),
        _ => None,
    };
    ordinal
        .and_then(|value: Value| u32::from_value(value).ok())
        .map(ProfileId)
        .ok_or_else(|| StoreError::Corrupt("a member's key has no ordinal".to_owned()))
}
