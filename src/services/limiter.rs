//! How often something may be done, for each key: a bucket of tokens that fills again.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::error::{Error, ErrorCode};

/// How many keys a limiter remembers before it lets go of those that have rested, so that
/// made-up ones fill no memory.
pub(super) const REMEMBERED_MAX: usize = 10_000;

/// How long after letting go it may do so again: it walks over all keys.
pub(super) const PRUNE_PAUSE: Duration = Duration::from_secs(30);

/// A bucket holds what comes in within so many seconds.
const BURST_S: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// Counts, for each key.
pub struct Limiter<K: Hash + Eq + Clone> {
    /// What is counted, in a word.
    counted: &'static str,
    buckets: DefaultKeyedRateLimiter<K>,
    pruned: Mutex<Instant>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// So many requests a second for each key, and five seconds' worth at once after a rest.
    #[must_use]
    pub fn per_second(times: NonZeroU32) -> Self {
        let quota = Quota::per_second(times).allow_burst(times.saturating_mul(BURST_S));
        Self::new("requests", quota)
    }

    /// So many attempts a minute for each key, and as many at once after a rest.
    #[must_use]
    pub fn attempts_per_minute(times: NonZeroU32) -> Self {
        Self::new("attempts", Quota::per_minute(times))
    }

    fn new(counted: &'static str, quota: Quota) -> Self {
        Self {
            counted,
            buckets: RateLimiter::keyed(quota),
            pruned: Mutex::new(Instant::now()),
        }
    }

    /// Counts one.
    ///
    /// # Errors
    /// Rate limited, with the time after which there is another.
    pub fn count(&self, key: &K) -> Result<(), Error> {
        self.prune(Instant::now());
        self.buckets.check_key(key).map_err(|wait| {
            let seconds = wait.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            let message = format!("too many {}; try again in {seconds} seconds", self.counted);
            Error::new(ErrorCode::RateLimited, message).with_retry_after(seconds)
        })
    }

    /// How many keys are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.buckets.len()
    }

    /// Lets go of keys that have rested, where there are many and it was not done just now.
    pub(super) fn prune(&self, now: Instant) {
        if self.buckets.len() <= REMEMBERED_MAX {
            return;
        }
        {
            let mut pruned = self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(*pruned) < PRUNE_PAUSE {
                return;
            }
            *pruned = now;
        }
        self.buckets.retain_recent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_bucket() {
        let ten = NonZeroU32::new(10).unwrap();
        let limiter = Limiter::new("requests", Quota::per_hour(NonZeroU32::MIN).allow_burst(ten));
        let passed = (0..1_000).filter(|_| limiter.count(&"one").is_ok());
        assert_eq!(passed.count(), 10);
        let error = limiter.count(&"one").unwrap_err();
        assert_eq!(error.code, ErrorCode::RateLimited);
        assert!(
            error
                .retry_after_s
                .is_some_and(|seconds| (1_800..=3_601).contains(&seconds))
        );
        limiter.count(&"another").unwrap();
    }

    #[test]
    fn five_seconds_worth_may_come_at_once() {
        let limiter = Limiter::per_second(NonZeroU32::new(2).unwrap());
        for _ in 0..10 {
            limiter.count(&"one").unwrap();
        }
    }

    #[test]
    fn keys_are_let_go_of_when_there_are_many_and_not_at_every_count() {
        let limiter = Limiter::per_second(NonZeroU32::new(100_000).unwrap());
        for number in 0..=REMEMBERED_MAX {
            limiter.buckets.check_key(&number).unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
        let started = *limiter.pruned.lock().unwrap();
        limiter.prune(started);
        assert!(limiter.buckets.len() > REMEMBERED_MAX);
        limiter.prune(started + PRUNE_PAUSE);
        assert_eq!(limiter.buckets.len(), 0);
    }
}
