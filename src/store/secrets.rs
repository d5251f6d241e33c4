//! Secrets that the servers of one store share.

use secrecy::{ExposeSecret as _, SecretString};
use surrealdb::types::{RecordId, SurrealValue};

use super::transaction::bind;
use super::{Store, StoreError};

#[derive(SurrealValue)]
struct SecretRow {
    id: RecordId,
    value: String,
}

impl Store {
    /// The secret of a name. Whoever asks first settles it, with what they bring; everybody
    /// after gets that.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn secret_or(&self, name: &str, fresh: &SecretString) -> Result<SecretString, StoreError> {
        let id = RecordId::new("secret", name);
        let row = SecretRow {
            id: id.clone(),
            value: fresh.expose_secret().to_owned(),
        };
        let text = "INSERT IGNORE INTO secret $row RETURN NONE";
        self.run_again("settled a secret", text, bind([("row", row.into_value())]))
            .await?;
        let found: Vec<SecretRow> = self
            .select(
                "read a secret",
                "SELECT * FROM $id",
                bind([("id", id.into_value())]),
            )
            .await?;
        let row = found.into_iter().next();
        let row = row.ok_or_else(|| StoreError::Corrupt(format!("the secret `{name}` is not there")))?;
        Ok(SecretString::from(row.value))
    }
}
