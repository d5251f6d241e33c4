//! The settings of what leaves the platform.

use std::time::Duration;

use serde::Deserialize;

/// How changes, webhooks and exports are served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many days the feed of changes goes back, and the logs of deliveries.
    pub feed_keep_days: u32,
    /// How often an event is tried before it is a dead letter.
    pub attempts_max: u32,
    /// How long a receiver may take to answer.
    pub attempt_timeout_s: u64,
    /// The pause after the first failure, in milliseconds; it doubles with each.
    pub retry_first_ms: u64,
    /// The longest pause.
    pub retry_max_s: u64,
    /// How many deliveries of a webhook are kept in its log; see [`Settings::deliveries_kept`].
    pub deliveries_kept_max: u64,
    /// Whether webhooks may be sent without TLS, and to addresses that are not public; unset, a
    /// demo's may, and no other.
    pub allow_private_addresses: Option<bool>,
    /// How many streams of changes may be open at once.
    pub streams_max: usize,
    /// How many exports may run at once.
    pub exports_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            feed_keep_days: 30,
            attempts_max: 12,
            attempt_timeout_s: 10,
            retry_first_ms: 1_000,
            retry_max_s: 3_600,
            deliveries_kept_max: 10_000,
            allow_private_addresses: None,
            streams_max: 256,
            exports_max: 4,
        }
    }
}

impl Settings {
    /// How long what happened can be read.
    #[must_use]
    pub fn feed_keep(&self) -> Duration {
        Duration::from_hours(24 * u64::from(self.feed_keep_days))
    }

    /// How many deliveries of a webhook are kept: the last one always, which may be under way.
    #[must_use]
    pub fn deliveries_kept(&self) -> u64 {
        self.deliveries_kept_max.max(1)
    }
}
