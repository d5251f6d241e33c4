//! Signed tokens (JWT): who the caller is and what they may do, good for a short while.
//!
//! Three algorithms, all of them with a private and a public half, and each key is good for one:
//! the algorithm is that of the key that a token names, never the token's own choice, so that
//! `alg: none` and key confusion have no door. Reading a token asks no store.

use jsonwebtoken::crypto::{CryptoProvider, aws_lc};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::role::UnknownRole;

/// The longest token that is looked at; those of other issuers list groups, and reach 4 KiB.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// The fewest characters of an RSA modulus in base64url: those of 2,048 bits.
const MODULUS_CHARS_MIN: usize = 341;

/// Signs with one key.
#[derive(Clone)]
pub struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
}

/// Verifies with one key.
#[derive(Clone)]
pub struct Verifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

/// What a token must say to be for us.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// Whom it is for: one of these.
    pub audience: &'a [String],
    /// How far the issuer's clock may differ from ours, in seconds. The library's default is 60,
    /// which lets an expired token live on for a minute.
    pub leeway_s: u64,
}

/// What a token says before anything of it is proven: which key to prove it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// The id of the key.
    pub kid: Option<String>,
    /// The issuer.
    pub issuer: String,
}

/// Why a token proves nothing, or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// Forged, damaged, incomplete, or meant for someone else; the caller is not told which.
    #[error("the token is not one of ours")]
    Invalid(#[source] JwtError),
    /// It names no key that is known, which may be one that is good no more.
    #[error("the token is not one of ours")]
    UnknownKey,
    /// It lacks what is needed, or says what can't be read.
    #[error("the token is not one of ours")]
    Incomplete,
    /// It is ours, of a time when there was such a role.
    #[error("the token's role is not known")]
    UnknownRole(#[source] UnknownRole),
    /// Another issuer vouches for somebody who has no role here.
    #[error("the token gives no role here")]
    NoRole,
    /// Its session was ended, or its user disabled.
    #[error("the token was revoked")]
    Revoked,
    /// The library could not sign, or a key is none.
    #[error("signing a token failed")]
    Sign(#[source] JwtError),
    /// There is no key that signs.
    #[error("there is no key that signs tokens")]
    NoKey,
}

impl From<JwtError> for TokenError {
    fn from(error: JwtError) -> Self {
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            _ => Self::Invalid(error),
        }
    }
}

impl Signer {
    /// Signs with an Ed25519 key in PKCS#8.
    #[must_use]
    pub fn ed25519(pkcs8: &[u8]) -> Self {
        Self {
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(pkcs8),
        }
    }

    /// Signs with an RSA key in PEM; the modulus and the exponent of its public half come along,
    /// in base64url.
    ///
    /// # Errors
    /// When the text is no private RSA key.
    pub fn rsa_pem(pem: &str) -> Result<(Self, String, String), TokenError> {
        install_crypto();
        let key = EncodingKey::from_rsa_pem(pem.as_bytes()).map_err(TokenError::Sign)?;
        let jwk = Jwk::from_encoding_key(&key, Algorithm::RS256).map_err(TokenError::Sign)?;
        let AlgorithmParameters::RSA(numbers) = jwk.algorithm else {
            return Err(TokenError::NoKey);
        };
        let signer = Self {
            algorithm: Algorithm::RS256,
            key,
        };
        Ok((signer, numbers.n, numbers.e))
    }

    /// The token that makes the claims, under the id of the key.
    ///
    /// # Errors
    /// When signing fails, which no input of ours is known to cause.
    pub fn sign<C: Serialize>(&self, kid: &str, claims: &C) -> Result<String, TokenError> {
        // Here as well as in `main`, since without it the first signature panics.
        install_crypto();
        let mut header = Header::new(self.algorithm);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(TokenError::Sign)
    }
}

impl Verifier {
    /// Verifies with an Ed25519 key, as the number of its JWK.
    ///
    /// # Errors
    /// When that is none.
    pub fn ed25519(x: &str) -> Result<Self, TokenError> {
        Ok(Self {
            algorithm: Algorithm::EdDSA,
            key: DecodingKey::from_ed_components(x)?,
        })
    }

    /// Verifies with an RSA key, as the numbers of its JWK.
    ///
    /// # Errors
    /// When they are none.
    pub fn rsa(n: &str, e: &str) -> Result<Self, TokenError> {
        Ok(Self {
            algorithm: Algorithm::RS256,
            key: DecodingKey::from_rsa_components(n, e)?,
        })
    }

    /// The id of a key that another issuer publishes, and what verifies with it. None of a key
    /// that is not for signatures, of another algorithm than RS256, ES256 and `EdDSA`, or weak; a
    /// shared secret is none of these.
    #[must_use]
    pub fn of_jwk(jwk: &Value) -> Option<(String, Self)> {
        let jwk: Jwk = serde_json::from_value(jwk.clone()).ok()?;
        let (algorithm, named) = match &jwk.algorithm {
            AlgorithmParameters::RSA(numbers) if numbers.n.len() >= MODULUS_CHARS_MIN => {
                (Algorithm::RS256, KeyAlgorithm::RS256)
            }
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
                (Algorithm::ES256, KeyAlgorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                (Algorithm::EdDSA, KeyAlgorithm::EdDSA)
            }
            _ => return None,
        };
        let is_for_signatures =
            (jwk.common.public_key_use.as_ref()).is_none_or(|intended| *intended == PublicKeyUse::Signature);
        let is_of_algorithm = jwk.common.key_algorithm.is_none_or(|said| said == named);
        if !is_for_signatures || !is_of_algorithm {
            return None;
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some((jwk.common.key_id?, Self { algorithm, key }))
    }

    /// The claims of a token that this key signed.
    ///
    /// # Errors
    /// When it is expired, not signed by this key with its algorithm, lacks a claim, or is meant
    /// for someone else.
    pub fn read<C: DeserializeOwned>(&self, token: &str, expected: Expected<'_>) -> Result<C, TokenError> {
        install_crypto();
        let mut validation = Validation::new(self.algorithm);
        validation.leeway = expected.leeway_s;
        validation.validate_nbf = true;
        validation.set_issuer(&[expected.issuer]);
        validation.set_audience(expected.audience);
        // Without this, a token that lacks the claim passes the two checks above.
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(jsonwebtoken::decode::<C>(token, &self.key, &validation)?.claims)
    }
}

/// Reads which key a token names, and proves nothing.
///
/// # Errors
/// When the text is no token.
pub fn peek(token: &str) -> Result<Peeked, TokenError> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: String,
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Incomplete);
    }
    let read = jsonwebtoken::dangerous::insecure_decode::<Issuer>(token)?;
    Ok(Peeked {
        kid: read.header.kid,
        issuer: read.claims.iss,
    })
}

/// Chooses the cryptography that signs tokens; calling it again changes nothing.
///
/// The library picks by itself only while exactly one backend is compiled in, anywhere
/// among the dependencies, and panics at the first token otherwise: say it, don't hope.
pub fn install_crypto() {
    // An error means that one is installed already, and nothing else.
    let _already = CryptoProvider::install_default(&aws_lc::DEFAULT_PROVIDER);
}
