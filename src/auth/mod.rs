//! Who is calling: passwords are checked once, for a signed token that lives a short while, and a
//! refresh token that gives the next one; every other request carries the signed token. What a
//! caller may do is `domain::role`'s business, and where accounts, sessions and keys live is the
//! store's; nothing here does any I/O.
//!
//! In reading order: [`token`] signs and reads, [`keys`] are what it signs with, [`seal`] keeps them
//! in the store, and [`keyring`] holds those in hand; [`refresh`] exchanges what a session goes on
//! with, [`issuers`] are others whose tokens are taken, [`password`] hashes and compares,
//! [`pseudonym`] stands for who must not be named, [`write_key`] is what senders prove themselves by.

pub mod issuers;
pub mod keyring;
pub mod keys;
pub mod password;
pub mod pseudonym;
pub mod refresh;
pub mod seal;
pub mod token;
pub mod write_key;

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

pub use password::PasswordHasher;
pub use pseudonym::Pseudonyms;
pub use token::install_crypto;

/// How callers prove who they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The secret that seals the keys in the store, at least [`seal::SECRET_BYTES_MIN`] bytes.
    /// Servers that share a store share it. Never printed: its `Debug` is redacted.
    pub jwt_secret: Option<SecretString>,
    /// A private RSA key in PEM that signs in the place of keys of the store.
    pub signing_key_pem: Option<SecretString>,
    /// How long a token is good for.
    pub token_ttl_s: u64,
    /// How long a refresh token is good for.
    pub refresh_ttl_s: u64,
    /// How long a session lasts, however often it is renewed.
    pub session_ttl_s: u64,
    /// What hashing one password costs.
    pub password_cost: password::Cost,
    /// How many passwords are hashed at the same time, each holding
    /// [`password::Cost::memory_kib`]; the others wait.
    pub password_checks_max: usize,
    /// Seconds for which the keys of other issuers are taken without asking: one that is withdrawn
    /// is good no longer.
    pub issuer_keys_s: u64,
    /// Other issuers whose tokens are taken.
    pub issuers: Vec<issuers::IssuerSettings>,
}

impl Settings {
    /// How long a token is good for.
    #[must_use]
    pub const fn token_ttl(&self) -> Duration {
        Duration::from_secs(self.token_ttl_s)
    }

    /// How long a refresh token is good for.
    #[must_use]
    pub const fn refresh_ttl(&self) -> Duration {
        Duration::from_secs(self.refresh_ttl_s)
    }

    /// How long a session lasts.
    #[must_use]
    pub const fn session_ttl(&self) -> Duration {
        Duration::from_secs(self.session_ttl_s)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jwt_secret: None,
            signing_key_pem: None,
            token_ttl_s: 900,
            issuer_keys_s: 600,
            refresh_ttl_s: 7 * 86_400,
            session_ttl_s: 30 * 86_400,
            password_cost: password::Cost::default(),
            password_checks_max: 2,
            issuers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_never_print_the_secret() {
        let secret = "a secret of more than thirty-two bytes";
        let settings: Settings = serde_json::from_value(serde_json::json!({ "jwt_secret": secret })).unwrap();
        assert!(settings.jwt_secret.is_some());
        assert_eq!(settings.token_ttl_s, 900);
        assert!(!format!("{settings:?}").contains("thirty-two"));
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let misspelt = serde_json::json!({ "token_ttl": 60 });
        assert!(serde_json::from_value::<Settings>(misspelt).is_err());
    }
}
