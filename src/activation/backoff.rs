//! How long to wait after a failure: twice as long each time, with jitter, so that webhooks that
//! failed together do not come back together.

use std::time::Duration;

/// The bounds of the pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The longest pause after the first failure.
    pub first: Duration,
    /// The longest pause at all.
    pub most: Duration,
}

impl Backoff {
    /// The pause after so many failures in a row: between half and all of what doubling gives.
    /// `jitter` is between 0 and 1.
    #[must_use]
    pub fn pause(self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let longest = self.first.saturating_mul(1 << doublings).min(self.most);
        longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_secs(1),
        most: Duration::from_hours(1),
    };

    #[test]
    fn pauses_double_up_to_an_hour() {
        let seconds = |failures| BACKOFF.pause(failures, 1.0).as_secs();
        let pauses: Vec<u64> = (0..=14).map(seconds).collect();
        assert_eq!(
            pauses,
            [
                1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 3_600, 3_600
            ]
        );
        assert_eq!(seconds(u32::MAX), 3_600);
    }

    #[test]
    fn jitter_takes_off_at_most_half() {
        assert_eq!(BACKOFF.pause(3, 0.0), Duration::from_secs(2));
        assert_eq!(BACKOFF.pause(3, -7.0), Duration::from_secs(2));
        assert_eq!(BACKOFF.pause(3, 0.5), Duration::from_secs(3));
    }
}
