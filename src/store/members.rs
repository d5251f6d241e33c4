//! Who is in which cohort, read as a whole when the server starts.

use surrealdb::types::{RecordId, RecordIdKey, SurrealValue, Value};

use super::connect::Connection;
use super::transaction::{bind, watched};
use super::{Store, StoreError};
use crate::domain::cohort::CohortSlug;
use crate::domain::profile::ProfileId;

const DOING: &str = "read a cohort's members";

/// How many are read at once.
const READ_AT_ONCE: u32 = 16_384;

impl Store {
    /// Every member of a cohort, in order.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn members(&self, cohort: &CohortSlug) -> Result<Vec<ProfileId>, StoreError> {
        match self.connection.as_ref() {
            Connection::Embedded(embedded) => watched(DOING, embedded.members(cohort, READ_AT_ONCE)).await,
            Connection::Remote(_) => self.members_asked(cohort).await,
        }
    }

    /// The same by a query, all at once: a `LIMIT` would not stop its scan.
    pub(super) async fn members_asked(&self, cohort: &CohortSlug) -> Result<Vec<ProfileId>, StoreError> {
        let parameters = bind([("cohort", cohort.as_str().to_owned().into_value())]);
        let text = "SELECT VALUE id FROM member:[$cohort]..[$cohort, ..]";
        let found: Vec<RecordId> = self.select(DOING, text, parameters).await?;
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
        .ok_or_else(without_ordinal)
}

/// What is said of a member whose key does not say who it is.
pub(super) fn without_ordinal() -> StoreError {
    StoreError::Corrupt("a member's key has no ordinal".to_owned())
}
