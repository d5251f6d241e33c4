//! The keys that sign our tokens. Each has an id, `kid`, which its tokens name; one signs, and
//! those before it verify until the last token of theirs has ended.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::seal::{SealError, Sealer};
use super::token::{Signer, TokenError, Verifier};
use crate::domain::sealed_key::SealedKey;

/// The fewest bytes of an RSA modulus: 2,048 bits (RFC 7518, section 3.3).
const RSA_BYTES_MIN: usize = 256;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    Ed25519,
    /// RSA with SHA-256, of a key of the settings.
    #[serde(rename = "RS256")]
    Rsa,
}

/// A public key's numbers, base64url as in a JWK.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Public {
    /// Of Ed25519.
    Ed25519 {
        /// The point.
        x: String,
    },
    /// Of RSA.
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
}

/// A key, as far as it is in hand: the private half of a key of the settings is not in the store.
#[derive(Clone, Serialize, Deserialize)]
pub struct Key {
    kind: Kind,
    #[serde(flatten)]
    public: Public,
    /// PKCS#8, base64.
    private: Option<String>,
}

/// Why a key can't be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The library made none.
    #[error("no signing key could be made")]
    Generate,
    /// The key of the settings is none.
    #[error("the setting auth.signing_key_pem (CDP_AUTH__SIGNING_KEY_PEM) holds no private RSA key")]
    Pem(#[source] TokenError),
    /// The key of the settings is weak.
    #[error("the RSA key of auth.signing_key_pem is shorter than 2048 bits")]
    Short,
}

impl Key {
    /// A new Ed25519 key.
    ///
    /// # Errors
    /// When the library fails.
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Generate)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| KeyError::Generate)?;
        Ok(Self {
            kind: Kind::Ed25519,
            public: Public::Ed25519 {
                x: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()),
            },
            private: Some(STANDARD.encode(pkcs8.as_ref())),
        })
    }

    /// The public half of an RSA key, and what signs with the whole of it.
    ///
    /// # Errors
    /// When the text is no private RSA key, or of a weak one.
    pub fn of_pem(pem: &str) -> Result<(Self, Signer), KeyError> {
        let (signer, n, e) = Signer::rsa_pem(pem).map_err(KeyError::Pem)?;
        let bytes = URL_SAFE_NO_PAD.decode(&n).map_or(0, |modulus| modulus.len());
        if bytes < RSA_BYTES_MIN {
            return Err(KeyError::Short);
        }
        let key = Self {
            kind: Kind::Rsa,
            public: Public::Rsa { n, e },
            private: None,
        };
        Ok((key, signer))
    }

    /// Its id: the thumbprint of RFC 7638.
    #[must_use]
    pub fn kid(&self) -> String {
        let members = match &self.public {
            Public::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Public::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(Sha256::digest(members))
    }

    /// Its public half for the world (RFC 7517).
    #[must_use]
    pub fn jwk(&self) -> Value {
        let kid = self.kid();
        match &self.public {
            Public::Ed25519 { x } => {
                json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
            }
            Public::Rsa { n, e } => {
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
            }
        }
    }

    /// What verifies its signatures.
    ///
    /// # Errors
    /// When its numbers are none.
    pub fn verifier(&self) -> Result<Verifier, TokenError> {
        match &self.public {
            Public::Ed25519 { x } => Verifier::ed25519(x),
            Public::Rsa { n, e } => Verifier::rsa(n, e),
        }
    }

    /// What signs with it, if its private half is in hand.
    #[must_use]
    pub fn signer(&self) -> Option<Signer> {
        let private = STANDARD.decode(self.private.as_ref()?).ok()?;
        matches!(self.kind, Kind::Ed25519).then(|| Signer::ed25519(&private))
    }

    /// The text that the store keeps.
    ///
    /// # Errors
    /// When it can't be sealed.
    pub fn seal(&self, sealer: &Sealer) -> Result<String, KeyError> {
        let content = serde_json::to_vec(self).map_err(|_| SealError::Failed)?;
        Ok(sealer.seal(&self.kid(), &content)?)
    }

    /// The key that the store keeps under an id; none if it was sealed under another secret, or is
    /// not that key.
    #[must_use]
    pub fn open(stored: &SealedKey, sealer: &Sealer) -> Option<Self> {
        let content = sealer.open(&stored.kid, &stored.sealed)?;
        let key: Self = serde_json::from_slice(&content).ok()?;
        (key.kid() == stored.kid).then_some(key)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.kid()).finish()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::Timestamp;

    fn stored(key: &Key, sealer: &Sealer) -> SealedKey {
        SealedKey {
            number: 1,
            kid: key.kid(),
            sealed: key.seal(sealer).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            signs_from: Timestamp::UNIX_EPOCH,
            until: None,
        }
    }

    fn sealer(byte: &str) -> Sealer {
        Sealer::new(&SecretString::from(byte.repeat(32))).unwrap()
    }

    #[test]
    fn a_key_comes_back_from_the_store_under_the_same_secret_only() {
        let key = Key::generate().unwrap();
        let kept = stored(&key, &sealer("a"));
        let back = Key::open(&kept, &sealer("a")).unwrap();
        assert_eq!(back.kid(), key.kid());
        assert!(back.signer().is_some());
        assert!(Key::open(&kept, &sealer("b")).is_none());
        // A sealed key under another key's id is that of nobody.
        let swapped = SealedKey {
            kid: Key::generate().unwrap().kid(),
            ..kept
        };
        assert!(Key::open(&swapped, &sealer("a")).is_none());
    }

    #[test]
    fn what_is_published_and_printed_holds_nothing_private() {
        let key = Key::generate().unwrap();
        let private = key.private.clone().unwrap();
        let jwk = key.jwk();
        assert_eq!((&jwk["alg"], &jwk["crv"]), (&json!("EdDSA"), &json!("Ed25519")));
        assert_eq!(jwk.as_object().unwrap().len(), 6, "{jwk}");
        for shown in [jwk.to_string(), format!("{key:?}")] {
            assert!(!shown.contains(&private), "{shown}");
        }
    }

    #[test]
    fn the_id_is_the_thumbprint_of_the_standard() {
        // RFC 8037, appendix A.3.
        let key = Key {
            kind: Kind::Ed25519,
            public: Public::Ed25519 {
                x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
            },
            private: None,
        };
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for pem in [
            "",
            "no key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            assert!(matches!(Key::of_pem(pem), Err(KeyError::Pem(_))), "{pem}");
        }
    }
}
