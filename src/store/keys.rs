//! The keys that sign tokens, sealed: what is written here signs nothing without a secret that is
//! elsewhere.

use surrealdb::types::{RecordId, RecordIdKey, SurrealValue};

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::sealed_key::SealedKey;

/// The one that signed until now verifies for a while.
const ADD: &str = "BEGIN;
    UPDATE signing_key SET until = $until WHERE until = NONE RETURN NONE;
    INSERT INTO signing_key $row RETURN NONE;
    COMMIT;";

#[derive(SurrealValue)]
struct KeyRow {
    id: RecordId,
    kid: String,
    sealed: String,
    created_at: Timestamp,
    signs_from: Timestamp,
    until: Option<Timestamp>,
}

impl Store {
    /// The keys, the oldest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn signing_keys(&self) -> Result<Vec<SealedKey>, StoreError> {
        let text = "SELECT * FROM signing_key ORDER BY id";
        let found: Vec<KeyRow> = self.select("read the signing keys", text, bind([])).await?;
        found.into_iter().map(KeyRow::into_domain).collect()
    }

    /// Adds the key of the next number, which signs from its time on; those before it verify until
    /// a moment.
    ///
    /// # Errors
    /// Conflict when another was added since they were read, and when the store fails.
    pub async fn add_signing_key(&self, key: &SealedKey, until: Timestamp) -> Result<(), StoreError> {
        let row = KeyRow {
            id: RecordId::new("signing_key", key.number.cast_signed()),
            kid: key.kid.clone(),
            sealed: key.sealed.clone(),
            created_at: key.created_at,
            signs_from: key.signs_from,
            until: key.until,
        };
        let parameters = bind([("row", row.into_value()), ("until", until.into_value())]);
        self.run_to_end("added a signing key", ADD.to_owned(), parameters)
            .await
    }

    /// Drops the keys that verify no more.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_signing_keys(&self, now: Timestamp) -> Result<(), StoreError> {
        let text = "DELETE signing_key WHERE until != NONE AND until < $now RETURN NONE";
        self.run_again(
            "dropped old signing keys",
            text,
            bind([("now", now.into_value())]),
        )
        .await
    }
}

impl KeyRow {
    fn into_domain(self) -> Result<SealedKey, StoreError> {
        let number = match &self.id.key {
            RecordIdKey::Number(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| StoreError::Corrupt("a signing key has no number".to_owned()))?;
        Ok(SealedKey {
            number,
            kid: self.kid,
            sealed: self.sealed,
            created_at: self.created_at,
            signs_from: self.signs_from,
            until: self.until,
        })
    }
}
