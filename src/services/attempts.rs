//! How often logging in may be tried: by one client address, by it for one name, and by
//! everybody together for one name.
//!
//! In that order, so that an address that has used up its attempts changes nothing for the
//! names that it tries, and a stranger elsewhere locks nobody out.

use std::num::NonZeroU32;

use super::limiter::Limiter;
use crate::domain::error::Error;

/// Attempts of one address for each that it has for one name: offices share addresses.
const NAMES_PER_ADDRESS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// Attempts of all addresses for one name, for each that one address has: guessing from many
/// addresses gets no further, and shutting a user out takes as many.
const ADDRESSES_PER_NAME: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Counts attempts.
pub(super) struct Attempts {
    addresses: Limiter<String>,
    pairs: Limiter<(String, String)>,
    names: Limiter<String>,
}

impl Attempts {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self {
            addresses: Limiter::attempts_per_minute(per_minute.saturating_mul(NAMES_PER_ADDRESS)),
            pairs: Limiter::attempts_per_minute(per_minute),
            names: Limiter::attempts_per_minute(per_minute.saturating_mul(ADDRESSES_PER_NAME)),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// Rate limited, with the time after which there is another.
    pub(super) fn count(&self, name: &str, address: &str) -> Result<(), Error> {
        let (name, address) = (name.to_lowercase(), address.to_owned());
        self.addresses.count(&address)?;
        self.pairs.count(&(name.clone(), address))?;
        self.names.count(&name)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::domain::error::ErrorCode;
    use crate::services::limiter::{PRUNE_PAUSE, REMEMBERED_MAX};

    fn attempts(per_minute: u32) -> Attempts {
        Attempts::new(NonZeroU32::new(per_minute).unwrap())
    }

    #[test]
    fn a_stranger_elsewhere_locks_nobody_out() {
        let attempts = attempts(2);
        let guesses = (0..100).filter(|_| attempts.count("admin", "stranger").is_ok());
        assert_eq!(guesses.count(), 2);
        attempts.count("admin", "office").unwrap();
        attempts.count("Admin", "office").unwrap();
        attempts.count("ADMIN", "office").unwrap_err();
    }

    #[test]
    fn an_address_has_attempts_for_a_few_names_and_then_touches_none() {
        let attempts = attempts(1);
        for name in ["one", "two", "three", "four"] {
            attempts.count(name, "office").unwrap();
        }
        for _ in 0..100 {
            let error = attempts.count("five", "office").unwrap_err();
            assert_eq!(error.code, ErrorCode::RateLimited);
        }
        assert_eq!(attempts.names.remembered(), 4);
        attempts.count("five", "home").unwrap();
    }

    #[test]
    fn many_addresses_together_have_ten_times_the_attempts_of_one() {
        let attempts = attempts(1);
        let guessed = (0..50).filter(|address| attempts.count("admin", &address.to_string()).is_ok());
        assert_eq!(guessed.count(), 10);
        attempts.count("viewer", "50").unwrap();
    }

    #[test]
    fn keys_are_let_go_of_when_there_are_many_and_not_at_every_attempt() {
        // A thousand a second, so that each rests a moment after it came.
        let attempts = attempts(60_000);
        for number in 0..=REMEMBERED_MAX {
            attempts.names.count(&number.to_string()).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        let started = Instant::now();
        attempts.names.prune(started);
        assert!(attempts.names.remembered() > REMEMBERED_MAX);
        attempts.names.prune(started + PRUNE_PAUSE);
        assert_eq!(attempts.names.remembered(), 0);
    }
}
