//! Signatures of Standard Webhooks (standardwebhooks.com, version 1): the receiver can tell that
//! an event is ours, unchanged, and of today.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";

/// How many random bytes a secret has; the standard asks for 24 to 64.
pub const KEY_BYTES: usize = 32;

/// A text that is no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing secret is not `whsec_` and base64")]
pub struct SecretError;

/// A secret as it is shown once, and kept.
#[must_use]
pub fn secret(key: &[u8; KEY_BYTES]) -> String {
    format!("{SECRET_PREFIX}{}", BASE64.encode(key))
}

/// The signature of an event: of its id, the moment of this try, and its body.
///
/// # Errors
/// When the secret is none.
pub fn sign(secret: &str, id: &str, timestamp: i64, body: &str) -> Result<String, SecretError> {
    let key = secret.strip_prefix(SECRET_PREFIX).ok_or(SecretError)?;
    let key = BASE64.decode(key).map_err(|_| SecretError)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| SecretError)?;
    for part in [id, ".", &timestamp.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the standard's reference implementations.
    #[test]
    fn a_signature_is_that_of_the_reference() {
        let signed = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn another_body_id_or_moment_is_another_signature() {
        let secret = secret(&[7; KEY_BYTES]);
        let one = sign(&secret, "a", 1, "{}").unwrap();
        for (id, timestamp, body) in [("b", 1, "{}"), ("a", 2, "{}"), ("a", 1, "{ }")] {
            assert_ne!(sign(&secret, id, timestamp, body).unwrap(), one);
        }
        assert!(sign("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a", 1, "{}").is_err());
        assert!(sign("whsec_!", "a", 1, "{}").is_err());
    }
}
