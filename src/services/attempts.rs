//! How often logging in may be tried: by one client address, by it for one name, and by
//! everybody together for one name.
//!
//! In that order, so that an address that has used up its attempts changes nothing for the
//! names that it tries, and a stranger elsewhere locks nobody out.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter};

use crate::domain::error::{Error, ErrorCode};

/// Attempts of one address for each that it has for one name: offices share addresses.
const NAMES_PER_ADDRESS: NonZeroU32 = NonZeroU32::MIN.saturating_add(3);

/// Attempts of all addresses for one name, for each that one address has: guessing from many
/// addresses gets no further, and shutting a user out takes as many.
const ADDRESSES_PER_NAME: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// How many keys a limiter remembers before it lets go of those that have rested, so that
/// made-up names fill no memory.
const REMEMBERED_MAX: usize = 10_000;

/// How long after letting go it may do so again: it walks over all keys.
const PRUNE_PAUSE: Duration = Duration::from_secs(30);

/// Counts attempts.
pub(super) struct Attempts {
    by_address: DefaultKeyedRateLimiter<String>,
    by_name_and_address: DefaultKeyedRateLimiter<(String, String)>,
    by_name: DefaultKeyedRateLimiter<String>,
    pruned: Mutex<Instant>,
}

impl Attempts {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let quota = |times| Quota::per_minute(per_minute.saturating_mul(times));
        Self {
            by_address: RateLimiter::keyed(quota(NAMES_PER_ADDRESS)),
            by_name_and_address: RateLimiter::keyed(quota(NonZeroU32::MIN)),
            by_name: RateLimiter::keyed(quota(ADDRESSES_PER_NAME)),
            pruned: Mutex::new(Instant::now()),
        }
    }

    /// Counts an attempt.
    ///
    /// # Errors
    /// Rate limited, with the time after which there is another.
    pub(super) fn count(&self, name: &str, address: &str) -> Result<(), Error> {
        self.prune(Instant::now());
        let (name, address) = (name.to_lowercase(), address.to_owned());
        self.by_address
            .check_key(&address)
            .and_then(|()| self.by_name_and_address.check_key(&(name.clone(), address)))
            .and_then(|()| self.by_name.check_key(&name))
            .map_err(|wait| too_many(&wait))
    }

    fn prune(&self, now: Instant) {
        let remembered = [
            self.by_address.len(),
            self.by_name_and_address.len(),
            self.by_name.len(),
        ];
        if remembered.iter().all(|keys| *keys <= REMEMBERED_MAX) {
            return;
        }
        {
            let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(*pruned) < PRUNE_PAUSE {
                return;
            }
            *pruned = now;
        }
        self.by_address.retain_recent();
        self.by_name_and_address.retain_recent();
        self.by_name.retain_recent();
    }
}

fn too_many(wait: &NotUntil<governor::clock::QuantaInstant>) -> Error {
    let seconds = wait.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
    let message = format!("too many attempts; try again in {seconds} seconds");
    Error::new(ErrorCode::RateLimited, message).with_retry_after(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(attempts.by_name.len(), 4);
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
            attempts.by_name.check_key(&number.to_string()).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        let started = Instant::now();
        attempts.prune(started);
        assert!(attempts.by_name.len() > REMEMBERED_MAX);
        attempts.prune(started + PRUNE_PAUSE);
        assert_eq!(attempts.by_name.len(), 0);
    }
}
