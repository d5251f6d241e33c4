//! The text of a write key: 256 random bits, of which only a digest is kept. A digest without
//! salt or cost is enough: nobody can try 2²⁵⁶ texts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

/// Characters of a key that people are shown: what tells its kind, and some more.
const HINT_CHARS: usize = 12;

/// A key that was made just now.
pub struct FreshKey {
    /// What its holder sends: letters, digits, `-` and `_`.
    pub text: SecretString,
    /// What is kept of it.
    pub digest: String,
    /// Its first characters.
    pub hint: String,
}

impl FreshKey {
    /// Makes a key whose text begins with `prefix`.
    #[must_use]
    pub fn generate(prefix: &str) -> Self {
        let random = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Self::of(&format!("{prefix}{random}"))
    }

    /// A key whose text is known.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self {
            digest: digest(text),
            hint: text.chars().take(HINT_CHARS).collect(),
            text: SecretString::from(text),
        }
    }
}

/// What is kept of a key: SHA-256 of its text, in hexadecimal digits.
#[must_use]
pub fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_key_is_random_safe_in_an_address_and_known_by_its_digest() {
        let (one, other) = (FreshKey::generate("cdp_pk_"), FreshKey::generate("cdp_pk_"));
        let text = one.text.expose_secret();
        assert_ne!(text, other.text.expose_secret());
        assert_eq!(text.len(), "cdp_pk_".len() + 43);
        assert!(
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)),
            "{text}"
        );
        assert_eq!(digest(text), one.digest);
        assert_eq!(one.digest.len(), 64);
        assert!(text.starts_with(&one.hint) && one.hint.len() == HINT_CHARS);
    }
}
