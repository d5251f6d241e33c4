//! Passwords: argon2id hashes as PHC strings, which carry their own salt and cost, so
//! that a later, higher cost leaves older hashes readable.

use std::sync::Arc;

use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Semaphore;

/// The shortest password that may be set, in characters. Long passwords are better than odd ones, so
/// nothing else is asked of them (NIST SP 800-63B, section 3.1.1).
pub const CHARS_MIN: usize = 12;

/// The longest one, in bytes.
pub const BYTES_MAX: usize = 1_000;

/// A password that may not be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// It is guessed too soon.
    #[error("needs {CHARS_MIN} characters or more")]
    Short,
    /// It is longer than any that is kept.
    #[error("has more than {BYTES_MAX} bytes")]
    Long,
    /// It is the first that anybody tries.
    #[error("must not be the user's name")]
    Name,
}

/// Whether a password may be set for a user.
///
/// # Errors
/// When it may not.
pub fn check_new(name: &str, password: &SecretString) -> Result<(), Weakness> {
    let password = password.expose_secret();
    if password.len() > BYTES_MAX {
        return Err(Weakness::Long);
    }
    if password.chars().count() < CHARS_MIN {
        return Err(Weakness::Short);
    }
    if password.trim().to_lowercase() == name.trim().to_lowercase() {
        return Err(Weakness::Name);
    }
    Ok(())
}

/// What one hash costs us, and an attacker per guess. The defaults are OWASP's for
/// argon2id: 19 MiB, two passes, one lane; about 30 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cost {
    /// Memory that one hash fills, in KiB.
    pub memory_kib: u32,
    /// How often it is filled.
    pub passes: u32,
    /// Lanes, each a thread elsewhere; this library runs them one after another.
    pub lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1_024,
            passes: 2,
            lanes: 1,
        }
    }
}

impl Cost {
    /// The least that argon2 allows: for tests and throw-away demo users.
    pub const LEAST: Self = Self {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
}

/// Hashes and compares off the async threads, a bounded number at a time: each takes
/// tens of milliseconds and megabytes, and logins are open to everyone.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    cost: Cost,
    /// Compared with when there is no such user; of the same cost as real hashes.
    dummy: Arc<str>,
    permits: Arc<Semaphore>,
}

impl PasswordHasher {
    /// A hasher that does `at_once` passwords at the same time, at least one.
    ///
    /// # Errors
    /// When argon2 does not allow the cost.
    pub fn new(cost: Cost, at_once: usize) -> Result<Self, PasswordError> {
        let dummy = hash(&SecretString::from("nobody's password"), cost)?;
        Ok(Self {
            cost,
            dummy: dummy.into(),
            permits: Arc::new(Semaphore::new(at_once.max(1))),
        })
    }

    /// The hash to store for a password.
    ///
    /// # Errors
    /// When hashing fails, or its thread ended early.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let cost = self.cost;
        self.run(move || hash(&password, cost)).await?
    }

    /// Whether `given` is the password of the hash `stored`. Without a user there is
    /// nothing stored, and the answer is `false` after the same work, so that the time it
    /// takes does not tell who exists.
    ///
    /// # Errors
    /// When the comparing thread ended early.
    pub async fn verify_or_dummy(
        &self,
        stored: Option<String>,
        given: SecretString,
    ) -> Result<bool, PasswordError> {
        let dummy = Arc::clone(&self.dummy);
        self.run(move || verify_or_dummy(stored.as_deref(), &given, &dummy))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| PasswordError::Stopped)?;
        // The permit goes along: a caller that hangs up does not stop the thread, and the
        // next one must not start before it is done.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| PasswordError::Stopped)
    }
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Memory, passes or lanes are out of argon2's bounds.
    #[error("argon2 does not allow a cost of {} KiB, {} passes, {} lanes", .cost.memory_kib, .cost.passes, .cost.lanes)]
    Cost {
        /// What was asked for.
        cost: Cost,
        /// Which bound.
        #[source]
        source: argon2::Error,
    },
    /// The library could not hash.
    #[error("hashing a password failed")]
    Hash(#[source] password_hash::Error),
    /// The thread panicked, or the program is stopping.
    #[error("checking a password was stopped")]
    Stopped,
}

/// The PHC string of a password, with a salt of its own. Blocks for tens of milliseconds.
///
/// # Errors
/// When argon2 does not allow the cost.
pub fn hash(password: &SecretString, cost: Cost) -> Result<String, PasswordError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, None)
        .map_err(|source| PasswordError::Cost { cost, source })?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::generate(&mut OsRng);
    let hash = argon2.hash_password(password.expose_secret().as_bytes(), &salt);
    Ok(hash.map_err(PasswordError::Hash)?.to_string())
}

/// Whether `given` is the password of a PHC string, at the cost which that names. Of a
/// text that is none, nothing is the password. Blocks for tens of milliseconds.
#[must_use]
pub fn verify(stored: &str, given: &SecretString) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else {
        return false;
    };
    // Cost and variant come from the string; `default` only names the implementation.
    Argon2::default()
        .verify_password(given.expose_secret().as_bytes(), &stored)
        .is_ok()
}

/// [`verify`], or the same work against `dummy` when nothing readable is stored.
#[must_use]
pub fn verify_or_dummy(stored: Option<&str>, given: &SecretString, dummy: &str) -> bool {
    if let Some(stored) = stored.filter(|stored| PasswordHash::new(stored).is_ok()) {
        return verify(stored, given);
    }
    let _same_work = verify(dummy, given);
    // Whoever guesses the dummy's own password is still nobody.
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_new_password_is_long_and_not_the_name() {
        let check = |name, password: &str| check_new(name, &secret(password));
        assert_eq!(check("ann", "twelve chars"), Ok(()));
        assert_eq!(check("ann", "äöüäöüäöüäöü"), Ok(()));
        assert_eq!(check("ann", "eleven char"), Err(Weakness::Short));
        assert_eq!(check("ann", &"ä".repeat(501)), Err(Weakness::Long));
        assert_eq!(check("ann", &"a".repeat(1_000)), Ok(()));
        assert_eq!(check("Ann.Appleton", "ann.appleton "), Err(Weakness::Name));
    }

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let stored = hash(&secret("correct horse"), Cost::LEAST).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert!(verify(&stored, &secret("correct horse")));
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!verify(&stored, &secret(wrong)), "{wrong:?}");
        }
    }

    #[test]
    fn the_same_password_never_has_the_same_hash() {
        let [one, other] = [(); 2].map(|()| hash(&secret("again"), Cost::LEAST).unwrap());
        assert_ne!(one, other);
    }

    #[test]
    fn the_default_cost_is_owasps() {
        let stored = hash(&secret("x"), Cost::default()).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        let free = Cost {
            memory_kib: 0,
            ..Cost::LEAST
        };
        assert!(matches!(
            hash(&secret("x"), free),
            Err(PasswordError::Cost { .. })
        ));
        assert!(PasswordHasher::new(free, 1).is_err());
    }

    #[test]
    fn what_is_no_hash_lets_nobody_in() {
        for stored in ["", "plaintext", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"] {
            assert!(!verify(stored, &secret(stored)), "{stored:?}");
        }
    }

    #[test]
    fn nobody_gets_in_without_an_account() {
        let dummy = hash(&secret("dummy"), Cost::LEAST).unwrap();
        assert!(!verify_or_dummy(None, &secret("dummy"), &dummy));
        assert!(!verify_or_dummy(Some("damaged"), &secret("dummy"), &dummy));
        let stored = hash(&secret("real"), Cost::LEAST).unwrap();
        assert!(verify_or_dummy(Some(&stored), &secret("real"), &dummy));
        assert!(!verify_or_dummy(Some(&stored), &secret("dummy"), &dummy));
    }

    #[tokio::test]
    async fn many_at_once_wait_for_their_turn() {
        let hasher = PasswordHasher::new(Cost::LEAST, 1).unwrap();
        let stored = hasher.hash(secret("open")).await.unwrap();
        let checks = (0..8).map(|n| {
            let given = secret(if n % 2 == 0 { "open" } else { "shut" });
            hasher.verify_or_dummy(Some(stored.clone()), given)
        });
        let answers: Vec<bool> = futures_util::future::try_join_all(checks).await.unwrap();
        assert_eq!(answers, [true, false].repeat(4));
        assert!(!hasher.verify_or_dummy(None, secret("open")).await.unwrap());
    }
}
