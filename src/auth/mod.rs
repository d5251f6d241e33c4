//! Who is calling: passwords are checked once, for a signed token; every other request
//! carries the token. What a caller may do is `domain::role`'s business, and where
//! accounts live is the store's; nothing here does any I/O.
//!
//! In reading order: [`token`] signs and verifies, [`password`] hashes and compares,
//! [`pseudonym`] stands for who must not be named, [`write_key`] is what senders prove
//! themselves by.

pub mod password;
pub mod pseudonym;
pub mod token;
pub mod write_key;

use secrecy::SecretString;
use serde::Deserialize;

pub use password::PasswordHasher;
pub use pseudonym::Pseudonyms;
pub use token::{IssuedToken, IssuerError, TokenError, TokenIssuer, install_crypto};

/// How callers prove who they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The key that signs tokens, at least [`token::SECRET_BYTES_MIN`] bytes. Servers
    /// that share a database share it. Never printed: its `Debug` is redacted.
    pub jwt_secret: Option<SecretString>,
    /// How long a token is good for.
    pub token_ttl_s: u64,
    /// What hashing one password costs.
    pub password_cost: password::Cost,
    /// How many passwords are hashed at the same time, each holding
    /// [`password::Cost::memory_kib`]; the others wait.
    pub password_checks_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jwt_secret: None,
            token_ttl_s: 3_600,
            password_cost: password::Cost::default(),
            password_checks_max: 2,
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
        assert_eq!(settings.token_ttl_s, 3_600);
        assert!(!format!("{settings:?}").contains("thirty-two"));
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let misspelt = serde_json::json!({ "token_ttl": 60 });
        assert!(serde_json::from_value::<Settings>(misspelt).is_err());
    }
}
