//! What people may ask of whoever keeps their data.

use secrecy::SecretString;
use serde::Deserialize;

use crate::auth::Pseudonyms;
use crate::auth::pseudonym::KeyError;
use crate::store::{Store, StoreError};

/// Under which name the store keeps the key of pseudonyms.
const KEY_NAME: &str = "pseudonyms";

/// How people's wishes are kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The key of pseudonyms, at least 32 bytes; unset, the store keeps one of its own. Never
    /// printed: its `Debug` is redacted.
    pub pseudonym_key: Option<SecretString>,
}

/// Pseudonyms cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PseudonymError {
    /// The key is too short.
    #[error("CDP_PRIVACY__PSEUDONYM_KEY can't be used")]
    Key(#[from] KeyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Pseudonyms under the key of the settings, or else under that of the store, which is made when
/// there is none yet.
///
/// # Errors
/// When the key is too short, or the store fails.
pub async fn pseudonyms(settings: &Settings, store: &Store) -> Result<Pseudonyms, PseudonymError> {
    let key = match &settings.pseudonym_key {
        Some(key) => key.clone(),
        None => store.secret_or(KEY_NAME, &fresh_key()).await?,
    };
    Ok(Pseudonyms::new(&key)?)
}

fn fresh_key() -> SecretString {
    SecretString::from(hex::encode(rand::random::<[u8; 32]>()))
}
