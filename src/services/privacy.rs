//! What people may ask of whoever keeps their data.

use secrecy::SecretString;
use serde::Deserialize;

use crate::auth::Pseudonyms;
use crate::auth::pseudonym::KeyError;
use crate::domain::identifier::{Cookie, Email};
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

/// What stands for a cookie (`cookie`) or an address (`email`), however it is written. What is
/// neither stands for itself as it is.
#[must_use]
pub fn pseudonym_of(pseudonyms: &Pseudonyms, kind: &str, value: &str) -> String {
    let cookie = || Cookie::parse(value).ok().map(|cookie| cookie.as_str().to_owned());
    let email = || Email::parse(value).ok().map(|email| email.as_str().to_owned());
    let stored = match kind {
        "cookie" => cookie(),
        "email" => email(),
        _ => None,
    };
    pseudonyms.of(kind, stored.as_deref().unwrap_or(value))
}

fn fresh_key() -> SecretString {
    SecretString::from(hex::encode(rand::random::<[u8; 32]>()))
}
