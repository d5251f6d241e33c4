//! The keys that senders prove themselves by.

use std::collections::BTreeMap;

use surrealdb::types::{RecordId, SurrealValue};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::write_key::{OriginPattern, WriteKey};

#[derive(SurrealValue)]
struct WriteKeyRow {
    id: RecordId,
    digest: String,
    hint: String,
    kind: String,
    source: String,
    origins: Vec<String>,
    label: String,
    demo: bool,
    by: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

#[derive(SurrealValue)]
struct UseRow {
    id: RecordId,
    at: Timestamp,
}

/// Tells other servers that there are other keys.
const COUNT: &str = "UPDATE counter:write_keys SET value += 1 RETURN NONE";

const REVOKE: &str = "UPDATE $id SET revoked_at = revoked_at ?? $at RETURN VALUE id";

/// Servers that share a store may each have seen the last use.
const NOTE_USES: &str = "FOR $use IN $uses {
    UPDATE $use.id SET last_used_at = $use.at
        WHERE last_used_at = NONE OR last_used_at < $use.at RETURN NONE };";

impl Store {
    /// Every key, revoked ones too, the oldest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn write_keys(&self) -> Result<Vec<WriteKey>, StoreError> {
        let text = "SELECT * FROM write_key ORDER BY id";
        let found: Vec<WriteKeyRow> = self.select("read the write keys", text, bind([])).await?;
        found.into_iter().map(WriteKeyRow::into_domain).collect()
    }

    /// Keeps those of the keys that are not there yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_write_keys(&self, keys: &[WriteKey]) -> Result<(), StoreError> {
        let rows: Vec<WriteKeyRow> = keys.iter().map(WriteKeyRow::new).collect();
        let text = "BEGIN; INSERT IGNORE INTO write_key $rows RETURN NONE;
            UPDATE counter:write_keys SET value += 1 RETURN NONE; COMMIT;";
        self.run_again("added write keys", text, bind([("rows", rows.into_value())]))
            .await
    }

    /// Ends a key's use; when it was revoked before, it stays as of then. False if there is no
    /// such key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn revoke_write_key(&self, id: Ulid, at: Timestamp) -> Result<bool, StoreError> {
        let parameters = bind([("id", key_id(id).into_value()), ("at", at.into_value())]);
        // Its last use may be noted at this moment.
        let revoked: Vec<RecordId> = self
            .select_again("revoked a write key", REVOKE, parameters)
            .await?;
        self.run_again("counted a change of write keys", COUNT, bind([]))
            .await?;
        Ok(!revoked.is_empty())
    }

    /// Notes when keys were last used.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_key_uses(&self, uses: &BTreeMap<Ulid, Timestamp>) -> Result<(), StoreError> {
        let rows: Vec<UseRow> = uses
            .iter()
            .map(|(id, at)| UseRow {
                id: key_id(*id),
                at: *at,
            })
            .collect();
        let parameters = bind([("uses", rows.into_value())]);
        self.run_again("noted the use of write keys", NOTE_USES, parameters)
            .await
    }
}

impl WriteKeyRow {
    fn new(key: &WriteKey) -> Self {
        Self {
            id: key_id(key.id),
            digest: key.digest.clone(),
            hint: key.hint.clone(),
            kind: key.kind.name().to_owned(),
            source: key.source.clone(),
            origins: key
                .origins
                .iter()
                .map(|origin| origin.as_str().to_owned())
                .collect(),
            label: key.label.clone(),
            demo: key.demo,
            by: key.by.clone(),
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
        }
    }

    fn into_domain(self) -> Result<WriteKey, StoreError> {
        let id = rows::ulid_key(&self.id)?;
        let corrupt = |what: &str| StoreError::Corrupt(format!("the write key {id} has no {what}"));
        let origins: Result<_, _> = (self.origins.iter())
            .map(|origin| OriginPattern::parse(origin))
            .collect();
        Ok(WriteKey {
            id,
            kind: self.kind.parse().map_err(|_| corrupt("kind"))?,
            origins: origins.map_err(|_| corrupt("origins"))?,
            digest: self.digest,
            hint: self.hint,
            source: self.source,
            label: self.label,
            demo: self.demo,
            by: self.by,
            created_at: self.created_at,
            last_used_at: self.last_used_at,
            revoked_at: self.revoked_at,
        })
    }
}

fn key_id(id: Ulid) -> RecordId {
    RecordId::new("write_key", id.to_string())
}
