//! What stands for a cookie or an address where it may not stand itself: in the audit log, and
//! among the suppressed. The same value gives the same pseudonym, nobody without the key can try
//! values against one, and none leads back.

use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// The shortest key, in bytes.
pub const KEY_BYTES_MIN: usize = 32;

/// Makes pseudonyms under one key.
pub struct Pseudonyms {
    keyed: Hmac<Sha256>,
}

/// A key that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key of pseudonyms needs {KEY_BYTES_MIN} bytes or more")]
pub struct KeyError;

impl Pseudonyms {
    /// Pseudonyms under a key; under another key they are others.
    ///
    /// # Errors
    /// When the key is shorter than [`KEY_BYTES_MIN`].
    pub fn new(key: &SecretString) -> Result<Self, KeyError> {
        let key = key.expose_secret().as_bytes();
        if key.len() < KEY_BYTES_MIN {
            return Err(KeyError);
        }
        let keyed = Hmac::new_from_slice(key).map_err(|_| KeyError)?;
        Ok(Self { keyed })
    }

    /// The pseudonym of a value of a kind (`cookie`, `email`), as 64 hexadecimal digits. The value
    /// is taken as it is: normalise it first.
    #[must_use]
    pub fn of(&self, kind: &str, value: &str) -> String {
        hex::encode(self.digest(kind, value))
    }

    /// The same as bytes.
    #[must_use]
    pub fn digest(&self, kind: &str, value: &str) -> [u8; 32] {
        let mut mac = self.keyed.clone();
        for part in [kind.as_bytes(), b"\0", value.as_bytes()] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(key: &str) -> Pseudonyms {
        Pseudonyms::new(&SecretString::from(key)).unwrap()
    }

    #[test]
    fn it_is_the_same_for_the_same_value_key_and_kind_only() {
        let (one, other) = (under(&"k".repeat(32)), under(&"l".repeat(32)));
        let pseudonym = one.of("email", "ann@example.com");
        assert_eq!(pseudonym, one.of("email", "ann@example.com"));
        assert_eq!(pseudonym.len(), 64);
        for another in [
            one.of("email", "bob@example.com"),
            one.of("cookie", "ann@example.com"),
            other.of("email", "ann@example.com"),
        ] {
            assert_ne!(pseudonym, another);
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        let short = SecretString::from("k".repeat(KEY_BYTES_MIN - 1));
        assert!(matches!(Pseudonyms::new(&short), Err(KeyError)));
    }
}
