//! What this process has in hand: nobody else in it begins the same at the same time. Between
//! processes the store tells one of two that it came second; this only tells it sooner.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use ulid::Ulid;

use crate::domain::error::{Error, ErrorCode};
use crate::store::journal::BatchKey;

/// After how many seconds a request that is under way may have ended.
const RETRY_AFTER_S: u64 = 1;

/// Longest key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// A thing that one request has in hand.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Held {
    Key(BatchKey),
    Batch(Ulid),
    /// The rejects of a batch.
    Rejects(Ulid),
}

/// All that is in hand.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<Held>>>);

/// One thing in hand, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    held: Held,
}

impl Claims {
    /// Takes something into hand.
    ///
    /// # Errors
    /// Conflict, to be tried again, when somebody has it.
    pub(super) fn take(&self, held: Held) -> Result<Arc<Claim>, Error> {
        let is_free = self.lock().insert(held.clone());
        if is_free {
            let claims = self.clone();
            return Ok(Arc::new(Claim { claims, held }));
        }
        Err(under_way(match held {
            Held::Key(_) => "the first request with this key is still under way".to_owned(),
            Held::Batch(batch) => format!("the batch {batch} is still under way"),
            Held::Rejects(batch) => format!("the rejects of the batch {batch} are being replayed"),
        }))
    }

    /// Whether somebody has it.
    pub(super) fn has(&self, held: &Held) -> bool {
        self.lock().contains(held)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<Held>> {
        // A set is whole whoever panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.held);
    }
}

/// Something that will have ended soon.
pub(super) fn under_way(message: String) -> Error {
    Error::new(ErrorCode::Conflict, message).with_retry_after(RETRY_AFTER_S)
}

/// Reads a key as headers give it: 1 to 255 visible ASCII characters, with or without the
/// quotes of a structured field.
///
/// # Errors
/// Bad request when it is something else.
pub(super) fn parse_key(caller: &str, text: &str) -> Result<BatchKey, Error> {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = inner.unwrap_or(text);
    let is_proper =
        (1..=KEY_CHARS_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    if is_proper {
        return Ok(BatchKey {
            caller: caller.to_owned(),
            key: key.to_owned(),
        });
    }
    let message = format!("is 1 to {KEY_CHARS_MAX} visible ASCII characters");
    Err(Error::bad_request("idempotency-key", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_taken_once_until_it_is_dropped() {
        let claims = Claims::default();
        let held = Held::Batch(Ulid::from_parts(1, 1));
        let claim = claims.take(held.clone()).unwrap();
        let error = claims.take(held.clone()).unwrap_err();
        assert_eq!((error.code, error.retry_after_s), (ErrorCode::Conflict, Some(1)));
        assert!(claims.take(Held::Rejects(Ulid::from_parts(1, 1))).is_ok());
        drop(claim);
        assert!(!claims.has(&held));
        assert!(claims.take(held).is_ok());
    }

    #[test]
    fn a_key_is_visible_ascii_with_or_without_quotes() {
        for text in ["k", "\"k\"", " k "] {
            assert_eq!(parse_key("ann", text).unwrap().key, "k");
        }
        assert_eq!(parse_key("ann", &"x".repeat(255)).unwrap().key.len(), 255);
        for text in ["", "\"\"", "a b", "é", &"x".repeat(256)] {
            let error = parse_key("ann", text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("idempotency-key"), "{text}");
        }
    }
}
