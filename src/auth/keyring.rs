//! The tokens that we sign ourselves, and the keys that sign and verify them.

use std::time::Duration;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ulid::Ulid;

use super::keys::Key;
use super::seal::Sealer;
use super::token::{Expected, Peeked, Signer, TokenError, Verifier};
use crate::domain::Timestamp;
use crate::domain::role::{Caller, Role, Scopes};
use crate::domain::sealed_key::SealedKey;

/// Who issues our tokens: this program.
pub const ISSUER: &str = "cdp";

/// Whom they are for: its own interface. A token that another program signed, for something else,
/// is not one of ours.
pub const AUDIENCE: &str = "cdp-api";

/// How far two of our clocks may differ, in seconds.
pub const LEEWAY_S: u64 = 2;

/// What a token is to say.
#[derive(Debug, Clone)]
pub struct Grant<'a> {
    /// Whose it is.
    pub name: &'a str,
    /// Their role.
    pub role: Role,
    /// What it reaches to.
    pub scopes: Scopes,
    /// Its session.
    pub session: Ulid,
    /// Its own id.
    pub id: Ulid,
    /// How long it is good for.
    pub ttl: Duration,
}

/// What our tokens say. No field is optional, so a token that lacks one does not read.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    role: String,
    scope: String,
    sid: String,
    jti: String,
    iat: i64,
    exp: i64,
}

struct Entry {
    kid: String,
    signer: Option<Signer>,
    verifier: Verifier,
    jwk: Value,
    signs_from: Timestamp,
    until: Option<Timestamp>,
}

impl Entry {
    fn is_good(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The keys that are in hand, the newest last.
#[derive(Default)]
pub struct Keyring {
    entries: Vec<Entry>,
}

impl Keyring {
    /// The keys of the store that open, in the order of their numbers; `own` is that of the
    /// settings, whose private half is nowhere else. Those that do not open were sealed under
    /// another secret: they neither sign nor verify.
    #[must_use]
    pub fn new(stored: &[SealedKey], sealer: &Sealer, own: Option<(&str, &Signer)>) -> Self {
        let entries = stored.iter().filter_map(|stored| {
            let key = Key::open(stored, sealer)?;
            let of_settings = own.filter(|(kid, _)| *kid == stored.kid);
            Some(Entry {
                kid: stored.kid.clone(),
                signer: of_settings.map_or_else(|| key.signer(), |(_, signer)| Some(signer.clone())),
                verifier: key.verifier().ok()?,
                jwk: key.jwk(),
                signs_from: stored.signs_from,
                until: stored.until,
            })
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// The id of the key that signs at a moment: the newest whose time has come, or the first of
    /// all where that of none has.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Option<&str> {
        self.signing_entry(now).map(|(entry, _)| entry.kid.as_str())
    }

    fn signing_entry(&self, now: Timestamp) -> Option<(&Entry, &Signer)> {
        let able = || {
            let good = self.entries.iter().filter(move |entry| entry.is_good(now));
            good.filter_map(|entry| Some((entry, entry.signer.as_ref()?)))
        };
        let mut come = able().filter(|(entry, _)| entry.signs_from <= now);
        come.next_back().or_else(|| able().next())
    }

    /// A token, good from `now` on.
    ///
    /// # Errors
    /// When there is no key, or signing fails.
    pub fn issue(&self, grant: &Grant<'_>, now: Timestamp) -> Result<String, TokenError> {
        let (entry, signer) = self.signing_entry(now).ok_or(TokenError::NoKey)?;
        let iat = now.timestamp();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: grant.name.to_owned(),
            role: grant.role.name().to_owned(),
            scope: grant.scopes.to_string(),
            sid: grant.session.to_string(),
            jti: grant.id.to_string(),
            iat,
            exp: iat.saturating_add_unsigned(grant.ttl.as_secs()),
        };
        signer.sign(&entry.kid, &claims)
    }

    /// Whom a token of ours speaks for.
    ///
    /// # Errors
    /// When it is expired, not signed by one of the keys, lacks a claim, is meant for someone
    /// else, or names a role that does not exist.
    pub fn verify(&self, token: &str, peeked: &Peeked, now: Timestamp) -> Result<Caller, TokenError> {
        let kid = peeked.kid.as_deref().ok_or(TokenError::UnknownKey)?;
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.kid == kid && entry.is_good(now));
        let entry = entry.ok_or(TokenError::UnknownKey)?;
        let expected = Expected {
            issuer: ISSUER,
            audience: &[AUDIENCE.to_owned()],
            leeway_s: LEEWAY_S,
        };
        let claims: Claims = entry.verifier.read(token, expected)?;
        Ok(Caller {
            role: claims.role.parse().map_err(TokenError::UnknownRole)?,
            scopes: Scopes::known(&claims.scope),
            session: Some(Ulid::from_string(&claims.sid).map_err(|_| TokenError::Incomplete)?),
            name: claims.sub,
            // A moment that can't be told is further off than any stream lasts.
            expires_at: Timestamp::from_timestamp(claims.exp, 0).unwrap_or(Timestamp::MAX_UTC),
        })
    }

    /// The public halves of the keys, for the world (RFC 7517).
    #[must_use]
    pub fn jwks(&self, now: Timestamp) -> Value {
        let good = self.entries.iter().filter(|entry| entry.is_good(now));
        let keys: Vec<&Value> = good.map(|entry| &entry.jwk).collect();
        json!({ "keys": keys })
    }
}

/// Until when a key verifies that signs no more from `end` on: until its last token has ended.
#[must_use]
pub fn verifies_until(end: Timestamp, ttl: Duration) -> Timestamp {
    let left = TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX);
    let left = left.checked_add(&TimeDelta::seconds(LEEWAY_S.cast_signed() + 1));
    left.and_then(|left| end.checked_add_signed(left))
        .unwrap_or(Timestamp::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use chrono::Utc;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use secrecy::SecretString;

    use super::super::token::{install_crypto, peek};
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    /// A ring of some keys, the last of which signs, and the keys.
    struct Ring {
        keys: Keyring,
        stored: Vec<SealedKey>,
        sealer: Sealer,
    }

    impl Ring {
        fn of(count: u64) -> Self {
            let sealer = Sealer::new(&SecretString::from(SECRET)).unwrap();
            let stored = (1..=count).map(|number| {
                let key = Key::generate().unwrap();
                SealedKey {
                    number,
                    kid: key.kid(),
                    sealed: key.seal(&sealer).unwrap(),
                    created_at: Timestamp::UNIX_EPOCH,
                    signs_from: Timestamp::UNIX_EPOCH,
                    until: None,
                }
            });
            let stored: Vec<SealedKey> = stored.collect();
            Self {
                keys: Keyring::new(&stored, &sealer, None),
                stored,
                sealer,
            }
        }

        fn again(&self) -> Keyring {
            Keyring::new(&self.stored, &self.sealer, None)
        }

        fn verify(&self, token: &str) -> Result<Caller, TokenError> {
            let now = Utc::now();
            self.keys.verify(token, &peek(token)?, now)
        }

        fn pkcs8(&self) -> Vec<u8> {
            let content = self
                .sealer
                .open(&self.stored[0].kid, &self.stored[0].sealed)
                .unwrap();
            let content: Value = serde_json::from_slice(&content).unwrap();
            let private = content["private"].as_str().unwrap();
            base64::engine::general_purpose::STANDARD.decode(private).unwrap()
        }

        /// A token with these claims, signed by the first key.
        fn sign(&self, claims: &Value) -> String {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = Some(self.stored[0].kid.clone());
            install_crypto();
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_ed_der(&self.pkcs8())).unwrap()
        }

        #[track_caller]
        fn check_invalid(&self, token: &str) {
            let refused = self.verify(token).unwrap_err();
            assert_eq!(refused.to_string(), "the token is not one of ours", "{refused:?}");
        }
    }

    fn grant(role: Role) -> Grant<'static> {
        Grant {
            name: "ada",
            role,
            scopes: Scopes::of(role),
            session: Ulid::from_parts(1, 2),
            id: Ulid::from_parts(3, 4),
            ttl: Duration::from_mins(1),
        }
    }

    /// Claims that verify, to spoil one by one.
    fn good_claims() -> Value {
        let now = Utc::now().timestamp();
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "role": "analyst", "scope": "profiles:read",
            "sid": Ulid::from_parts(1, 2).to_string(), "jti": "a", "iat": now, "exp": now + 60,
        })
    }

    fn base64url(bytes: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(bytes)
    }

    #[test]
    fn a_token_reads_back() {
        let ring = Ring::of(1);
        for role in Role::ALL {
            let now = Utc::now();
            let token = ring.keys.issue(&grant(role), now).unwrap();
            let caller = ring.verify(&token).unwrap();
            assert_eq!((caller.name.as_str(), caller.role), ("ada", role));
            assert_eq!(caller.scopes, Scopes::of(role));
            assert_eq!(caller.session, Some(Ulid::from_parts(1, 2)));
            assert!((55..=60).contains(&(caller.expires_at - now).num_seconds()));
        }
        ring.verify(&ring.sign(&good_claims())).unwrap();
    }

    #[test]
    fn an_expired_token_is_refused_as_such() {
        let ring = Ring::of(1);
        let long_ago = Utc::now() - Duration::from_secs(60 + LEEWAY_S + 2);
        let token = ring.keys.issue(&grant(Role::Viewer), long_ago).unwrap();
        assert!(matches!(ring.verify(&token), Err(TokenError::Expired)));
    }

    #[test]
    fn the_newest_key_signs_from_its_time_on_and_older_ones_verify_until_theirs() {
        let mut ring = Ring::of(2);
        let now = Utc::now();
        assert_eq!(ring.keys.signing(now), Some(ring.stored[1].kid.as_str()));
        let of_both = [0, 1].map(|at| {
            let alone = Keyring::new(&ring.stored[at..=at], &ring.sealer, None);
            alone.issue(&grant(Role::Viewer), now).unwrap()
        });
        ring.stored[1].signs_from = now + Duration::from_secs(5);
        ring.keys = ring.again();
        assert_eq!(ring.keys.signing(now), Some(ring.stored[0].kid.as_str()));
        assert!(of_both.iter().all(|token| ring.verify(token).is_ok()));
        assert_eq!(ring.keys.jwks(now)["keys"].as_array().unwrap().len(), 2);
        ring.stored[0].until = Some(now);
        ring.keys = ring.again();
        assert!(matches!(ring.verify(&of_both[0]), Err(TokenError::UnknownKey)));
        assert!(ring.verify(&of_both[1]).is_ok());
        // Somebody must sign.
        assert_eq!(ring.keys.signing(now), Some(ring.stored[1].kid.as_str()));
        assert_eq!(ring.keys.jwks(now)["keys"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn keys_that_another_secret_sealed_prove_nothing() {
        let ring = Ring::of(1);
        let token = ring.keys.issue(&grant(Role::Viewer), Utc::now()).unwrap();
        let other = Sealer::new(&SecretString::from("fedcba9876543210fedcba9876543210")).unwrap();
        let blind = Keyring::new(&ring.stored, &other, None);
        let read = blind.verify(&token, &peek(&token).unwrap(), Utc::now());
        assert!(matches!(read, Err(TokenError::UnknownKey)));
        assert!(blind.issue(&grant(Role::Viewer), Utc::now()).is_err());
    }

    #[test]
    fn a_key_that_is_not_ours_is_refused_whatever_it_calls_itself() {
        let (ring, other) = (Ring::of(1), Ring::of(1));
        ring.check_invalid(&other.sign(&good_claims()));
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(ring.stored[0].kid.clone());
        let key = EncodingKey::from_ed_der(&other.pkcs8());
        ring.check_invalid(&jsonwebtoken::encode(&header, &good_claims(), &key).unwrap());
        header.kid = None;
        let key = EncodingKey::from_ed_der(&ring.pkcs8());
        ring.check_invalid(&jsonwebtoken::encode(&header, &good_claims(), &key).unwrap());
    }

    #[test]
    fn a_shared_secret_signs_nothing_not_even_our_public_key() {
        let ring = Ring::of(1);
        let x = ring.keys.jwks(Utc::now())["keys"][0]["x"]
            .as_str()
            .unwrap()
            .to_owned();
        let public = URL_SAFE_NO_PAD.decode(&x).unwrap();
        for secret in [SECRET.as_bytes(), &public, x.as_bytes(), b""] {
            for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
                let mut header = Header::new(algorithm);
                header.kid = Some(ring.stored[0].kid.clone());
                let key = EncodingKey::from_secret(secret);
                ring.check_invalid(&jsonwebtoken::encode(&header, &good_claims(), &key).unwrap());
            }
        }
    }

    #[test]
    fn alg_none_is_refused() {
        let ring = Ring::of(1);
        let claims = base64url(good_claims().to_string().as_bytes());
        for algorithm in ["none", "None", "NONE", ""] {
            let header = json!({ "alg": algorithm, "typ": "JWT", "kid": ring.stored[0].kid });
            let header = base64url(header.to_string().as_bytes());
            ring.check_invalid(&format!("{header}.{claims}."));
            ring.check_invalid(&format!("{header}.{claims}"));
        }
    }

    #[test]
    fn a_signature_is_not_carried_over_to_other_claims() {
        let ring = Ring::of(1);
        let issued = ring.keys.issue(&grant(Role::Viewer), Utc::now()).unwrap();
        let parts: Vec<&str> = issued.split('.').collect();
        let mut promoted = good_claims();
        promoted["role"] = json!("admin");
        let claims = base64url(promoted.to_string().as_bytes());
        ring.check_invalid(&format!("{}.{claims}.{}", parts[0], parts[2]));
        ring.check_invalid(&format!("{}.{claims}.", parts[0]));
    }

    #[test]
    fn every_claim_is_required() {
        let ring = Ring::of(1);
        for claim in ["iss", "aud", "sub", "role", "scope", "sid", "jti", "iat", "exp"] {
            let mut claims = good_claims();
            claims.as_object_mut().unwrap().remove(claim);
            ring.check_invalid(&ring.sign(&claims));
        }
    }

    #[test]
    fn a_token_for_someone_else_is_refused() {
        let ring = Ring::of(1);
        for claim in ["iss", "aud", "sid"] {
            let mut claims = good_claims();
            claims[claim] = json!("another");
            ring.check_invalid(&ring.sign(&claims));
        }
    }

    #[test]
    fn an_unknown_role_is_refused() {
        let ring = Ring::of(1);
        let mut claims = good_claims();
        claims["role"] = json!("owner");
        let refused = ring.verify(&ring.sign(&claims));
        assert!(matches!(refused, Err(TokenError::UnknownRole(_))), "{refused:?}");
    }

    #[test]
    fn nonsense_is_refused() {
        let ring = Ring::of(1);
        for token in ["", ".", "..", "a.b.c", "Bearer x", "\u{0}"] {
            ring.check_invalid(token);
        }
        ring.check_invalid(&"a.".repeat(20_000));
    }

    #[test]
    fn crypto_is_installed_more_than_once_without_harm() {
        install_crypto();
        install_crypto();
    }
}
