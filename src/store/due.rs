//! Whom time alone may move, by the moment: a key range that begins with who is due first.

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::profile::ProfileId;

/// All that there is to know stands in the key.
#[derive(SurrealValue)]
pub(super) struct DueRow {
    pub(super) id: RecordId,
}

pub(super) fn due_id(at: Timestamp, profile: ProfileId) -> RecordId {
    let key: Array = vec![
        at.timestamp_micros().into_value(),
        i64::from(profile.0).into_value(),
    ]
    .into();
    RecordId::new("due", key)
}

impl Store {
    /// Everybody who is due, the first one first. Who was absorbed since may be among them.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn due(&self, now: Timestamp) -> Result<Vec<(Timestamp, ProfileId)>, StoreError> {
        let until = now.timestamp_micros().saturating_add(1);
        let parameters = bind([("until", until.into_value())]);
        let text = "SELECT VALUE id FROM due:[0]..[$until]";
        let found: Vec<RecordId> = self.select("read who is due", text, parameters).await?;
        found.iter().map(due_of).collect()
    }

    /// Forgets that these were due.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_due(&self, due: &[(Timestamp, ProfileId)]) -> Result<(), StoreError> {
        let ids: Vec<RecordId> = due.iter().map(|(at, profile)| due_id(*at, *profile)).collect();
        let parameters = bind([("ids", ids.into_value())]);
        self.run_again("forgot who was due", "DELETE $ids RETURN NONE", parameters)
            .await
    }
}

fn due_of(id: &RecordId) -> Result<(Timestamp, ProfileId), StoreError> {
    let part = |index: usize| match &id.key {
        RecordIdKey::Array(parts) => parts
            .get(index)
            .cloned()
            .and_then(|value: Value| i64::from_value(value).ok()),
        _ => None,
    };
    let moment = part(0).and_then(Timestamp::from_timestamp_micros);
    let profile = part(1)
        .and_then(|number| u32::try_from(number).ok())
        .map(ProfileId);
    moment
        .zip(profile)
        .ok_or_else(|| StoreError::Corrupt("the key of who is due tells no moment and nobody".to_owned()))
}
