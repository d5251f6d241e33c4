//! Seals what the store keeps and whoever has the store's files shall not use: AES-256-GCM under a
//! key that is derived from the secret of the settings.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// The least length of a secret, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;

/// What the derived key is for; the same secret makes other keys for other purposes.
const PURPOSE: &[u8] = b"cdp signing keys, version 1";

/// Seals and opens.
pub struct Sealer(LessSafeKey);

/// Why there is no sealer, or nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A secret that can be guessed is none.
    #[error("CDP_AUTH__JWT_SECRET has {bytes} bytes; at least {SECRET_BYTES_MIN} are needed")]
    SecretTooShort {
        /// How many it has.
        bytes: usize,
    },
    /// The library failed, which no input is known to cause.
    #[error("sealing a key failed")]
    Failed,
}

impl Sealer {
    /// A sealer under a secret.
    ///
    /// # Errors
    /// When the secret is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(secret: &SecretString) -> Result<Self, SealError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(SealError::SecretTooShort { bytes: secret.len() });
        }
        // The secret is random and long, as it must be, so no salt has to make it so.
        let extracted = Salt::new(HKDF_SHA256, &[]).extract(secret);
        let derived = extracted.expand(&[PURPOSE], &AES_256_GCM);
        let derived = derived.map_err(|_| SealError::Failed)?;
        Ok(Self(LessSafeKey::new(UnboundKey::from(derived))))
    }

    /// Seals a content under a name, without which it does not open.
    ///
    /// # Errors
    /// When the library fails.
    pub fn seal(&self, name: &str, content: &[u8]) -> Result<String, SealError> {
        // Keys are made a few times in the life of a store: random nonces never meet.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = content.to_vec();
        (self.0)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Failed)?;
        let whole = [&nonce[..], &sealed[..]].concat();
        Ok(STANDARD.encode(whole))
    }

    /// Opens what was sealed; nothing, if it was under another secret or name, or was changed.
    #[must_use]
    pub fn open(&self, name: &str, sealed: &str) -> Option<Vec<u8>> {
        let mut whole = STANDARD.decode(sealed).ok()?;
        if whole.len() < NONCE_LEN {
            return None;
        }
        let mut sealed = whole.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&whole).ok()?;
        let opened = (self.0)
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut sealed)
            .ok()?;
        Some(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(secret: &str) -> Sealer {
        Sealer::new(&SecretString::from(secret)).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_the_same_secret_and_name_only() {
        let (one, other) = (under(&"a".repeat(32)), under(&"b".repeat(32)));
        let sealed = one.seal("key 1", b"the content").unwrap();
        assert_eq!(one.open("key 1", &sealed).as_deref(), Some(&b"the content"[..]));
        assert_eq!(one.open("key 2", &sealed), None);
        assert_eq!(other.open("key 1", &sealed), None);
        assert!(!sealed.contains("content"));
        assert_ne!(sealed, one.seal("key 1", b"the content").unwrap());
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let sealer = under(&"a".repeat(32));
        let text = sealer.seal("key", b"content").unwrap();
        let whole = STANDARD.decode(text).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            assert_eq!(sealer.open("key", &STANDARD.encode(changed)), None, "{at}");
        }
        for nonsense in ["", "AAAA", "no base64!"] {
            assert_eq!(sealer.open("key", nonsense), None);
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        let short = SecretString::from("a".repeat(SECRET_BYTES_MIN - 1));
        assert_eq!(
            Sealer::new(&short).err(),
            Some(SealError::SecretTooShort { bytes: 31 })
        );
    }
}
