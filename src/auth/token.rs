//! Signed tokens (JWT): who the caller is and which role they have, good for a while.
//!
//! HS256 and nothing else: the algorithm is ours to choose, never the token's, so that
//! `alg: none` and key confusion have no door. Verifying asks no store: a role that is
//! taken away takes effect when the token expires, which is why tokens are short-lived.

use std::time::Duration;

use jsonwebtoken::crypto::{CryptoProvider, aws_lc};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::role::{Caller, UnknownRole};

/// The least length of a signing key, in bytes: that of the hash (RFC 7518, section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// How far two of our clocks may differ, in seconds. The library's default is 60, which
/// lets an expired token live on for a minute.
const LEEWAY_S: u64 = 2;

/// Who issues tokens: this program.
const ISSUER: &str = "cdp";

/// Whom they are for: its own interface. A token that another program signed with the
/// same key, for something else, is not one of ours.
const AUDIENCE: &str = "cdp-api";

/// Signs and verifies tokens with one key.
pub struct TokenIssuer {
    signs: EncodingKey,
    verifies: DecodingKey,
    validation: Validation,
    ttl: Duration,
}

impl TokenIssuer {
    /// An issuer whose tokens are good for `ttl`.
    ///
    /// # Errors
    /// When the secret is shorter than [`SECRET_BYTES_MIN`].
    pub fn new(secret: &SecretString, ttl: Duration) -> Result<Self, IssuerError> {
        // Here as well as in `main`, since without it the first signature panics.
        install_crypto();
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(IssuerError::SecretTooShort { bytes: secret.len() });
        }
        Ok(Self {
            signs: EncodingKey::from_secret(secret),
            verifies: DecodingKey::from_secret(secret),
            validation: validation(),
            ttl,
        })
    }

    /// A token for `caller`, good from `now` on.
    ///
    /// # Errors
    /// When signing fails, which no input of ours is known to cause.
    pub fn issue(&self, caller: &Caller, now: Timestamp) -> Result<IssuedToken, IssuerError> {
        let iat = now.timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: caller.name.clone(),
            role: caller.role.name().to_owned(),
            iat,
            exp: iat.saturating_add_unsigned(self.ttl.as_secs()),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signs)
            .map_err(IssuerError::Sign)?;
        Ok(IssuedToken {
            token,
            expires_in_s: self.ttl.as_secs(),
        })
    }

    /// Whom a token speaks for, by the machine's clock.
    ///
    /// # Errors
    /// When it is expired, not signed by this key with HS256, lacks a claim, is meant for
    /// someone else, or names a role that does not exist.
    pub fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        self.verify_until(token).map(|(caller, _)| caller)
    }

    /// The same, and when it expires.
    ///
    /// # Errors
    /// As [`TokenIssuer::verify`].
    pub fn verify_until(&self, token: &str) -> Result<(Caller, Timestamp), TokenError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.verifies, &self.validation)?.claims;
        let caller = Caller {
            role: claims.role.parse().map_err(TokenError::UnknownRole)?,
            name: claims.sub,
        };
        // A moment that can't be told is further off than any stream lasts.
        let expires_at = Timestamp::from_timestamp(claims.exp, 0).unwrap_or(Timestamp::MAX_UTC);
        Ok((caller, expires_at))
    }
}

/// A token and how long it is good for, as the token route answers.
#[derive(Clone)]
pub struct IssuedToken {
    /// The token itself. Whoever holds it is the caller: keep it out of logs.
    pub token: String,
    /// Seconds until it expires.
    pub expires_in_s: u64,
}

/// Why there is no issuer, or no token.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// A key that can be guessed is no key.
    #[error(
        "the token signing secret has {bytes} bytes; at least {} are needed",
        SECRET_BYTES_MIN
    )]
    SecretTooShort {
        /// How many it has.
        bytes: usize,
    },
    /// The library could not sign.
    #[error("signing a token failed")]
    Sign(#[source] JwtError),
}

/// Why a token proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// Forged, damaged, incomplete, or meant for someone else; the caller is not told which.
    #[error("the token is not one of ours")]
    Invalid(#[source] JwtError),
    /// It is ours, of a time when there was such a role.
    #[error("the token's role is not known")]
    UnknownRole(#[source] UnknownRole),
}

impl From<JwtError> for TokenError {
    fn from(error: JwtError) -> Self {
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            _ => Self::Invalid(error),
        }
    }
}

/// Chooses the cryptography that signs tokens; calling it again changes nothing.
///
/// The library picks by itself only while exactly one backend is compiled in, anywhere
/// among the dependencies, and panics at the first token otherwise: say it, don't hope.
pub fn install_crypto() {
    // An error means that one is installed already, and nothing else.
    let _already = CryptoProvider::install_default(&aws_lc::DEFAULT_PROVIDER);
}

/// What a token says. No field is optional, so a token that lacks one does not read.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    role: String,
    iat: i64,
    exp: i64,
}

fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = LEEWAY_S;
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    // Without this, a token that lacks the claim passes the two checks above.
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::role::Role;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

    fn issuer() -> TokenIssuer {
        TokenIssuer::new(&SECRET.into(), Duration::from_mins(1)).unwrap()
    }

    fn ada() -> Caller {
        Caller {
            name: "ada".to_owned(),
            role: Role::Analyst,
        }
    }

    /// Claims that verify, to spoil one by one.
    fn good_claims() -> Value {
        let now = Utc::now().timestamp();
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "role": "analyst", "iat": now, "exp": now + 60 })
    }

    fn forge(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
        install_crypto();
        let key = EncodingKey::from_secret(secret.as_bytes());
        jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
    }

    /// Base64url without padding, by hand: forgers don't use our library.
    fn base64url(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, at| {
                bits << 8 | u32::from(*group.get(at).unwrap_or(&0))
            });
            for digit in 0..=group.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
            }
        }
        text
    }

    #[track_caller]
    fn check_invalid(token: &str) {
        let refused = issuer().verify(token);
        assert!(matches!(refused, Err(TokenError::Invalid(_))), "{refused:?}");
    }

    #[test]
    fn a_token_reads_back() {
        for role in Role::ALL {
            let caller = Caller { role, ..ada() };
            let issued = issuer().issue(&caller, Utc::now()).unwrap();
            assert_eq!(issued.expires_in_s, 60);
            assert_eq!(issuer().verify(&issued.token).unwrap(), caller);
            let (_, until) = issuer().verify_until(&issued.token).unwrap();
            assert!((55..=60).contains(&(until - Utc::now()).num_seconds()));
        }
    }

    #[test]
    fn a_short_secret_is_refused() {
        let short = SecretString::from(&SECRET[1..]);
        let refused = TokenIssuer::new(&short, Duration::from_mins(1)).err();
        assert!(matches!(refused, Some(IssuerError::SecretTooShort { bytes: 31 })));
    }

    #[test]
    fn an_expired_token_is_refused_as_such() {
        let long_ago = Utc::now() - Duration::from_secs(60 + LEEWAY_S + 2);
        let issued = issuer().issue(&ada(), long_ago).unwrap();
        assert!(matches!(issuer().verify(&issued.token), Err(TokenError::Expired)));
    }

    #[test]
    fn another_key_is_refused() {
        check_invalid(&forge(Algorithm::HS256, OTHER_SECRET, &good_claims()));
    }

    #[test]
    fn another_algorithm_is_refused_even_with_our_key() {
        assert!(
            issuer()
                .verify(&forge(Algorithm::HS256, SECRET, &good_claims()))
                .is_ok()
        );
        check_invalid(&forge(Algorithm::HS384, SECRET, &good_claims()));
        check_invalid(&forge(Algorithm::HS512, SECRET, &good_claims()));
    }

    #[test]
    fn alg_none_is_refused() {
        let claims = base64url(good_claims().to_string().as_bytes());
        for algorithm in ["none", "None", "NONE", ""] {
            let header = base64url(json!({ "alg": algorithm, "typ": "JWT" }).to_string().as_bytes());
            check_invalid(&format!("{header}.{claims}."));
            check_invalid(&format!("{header}.{claims}"));
        }
    }

    #[test]
    fn a_signature_is_not_carried_over_to_other_claims() {
        let issued = issuer().issue(&ada(), Utc::now()).unwrap().token;
        let parts: Vec<&str> = issued.split('.').collect();
        let mut promoted = good_claims();
        promoted["role"] = json!("admin");
        let claims = base64url(promoted.to_string().as_bytes());
        check_invalid(&format!("{}.{claims}.{}", parts[0], parts[2]));
        check_invalid(&format!("{}.{claims}.", parts[0]));
    }

    #[test]
    fn every_claim_is_required() {
        for claim in ["iss", "aud", "sub", "role", "iat", "exp"] {
            let mut claims = good_claims();
            claims.as_object_mut().unwrap().remove(claim);
            check_invalid(&forge(Algorithm::HS256, SECRET, &claims));
        }
    }

    #[test]
    fn a_token_for_someone_else_is_refused() {
        for claim in ["iss", "aud"] {
            let mut claims = good_claims();
            claims[claim] = json!("another");
            check_invalid(&forge(Algorithm::HS256, SECRET, &claims));
        }
    }

    #[test]
    fn an_unknown_role_is_refused() {
        let mut claims = good_claims();
        claims["role"] = json!("owner");
        let refused = issuer().verify(&forge(Algorithm::HS256, SECRET, &claims));
        assert!(matches!(refused, Err(TokenError::UnknownRole(_))), "{refused:?}");
    }

    #[test]
    fn nonsense_is_refused() {
        for token in ["", ".", "..", "a.b.c", "Bearer x", "\u{0}"] {
            check_invalid(token);
        }
    }

    #[test]
    fn crypto_is_installed_more_than_once_without_harm() {
        install_crypto();
        install_crypto();
    }
}
