//! A [`Webhook`] is somewhere outside where events are sent, and a [`Delivery`] what became of
//! one event there.

use std::fmt;

use ulid::Ulid;

use super::Timestamp;
use super::feed::{Cursor, Event, Filter};

/// What is to be sent where, as somebody defined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What people call it.
    pub name: String,
    /// Where events are sent.
    pub url: String,
    /// Which events.
    pub filter: Filter,
    /// What is said of the person besides their id, by the names of fields.
    pub fields: Vec<String>,
    /// Only people who consent to this are told of, if anything is named.
    pub purpose: Option<String>,
    /// Whether nothing is sent until somebody says so.
    pub is_paused: bool,
}

/// What signs the events of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret {
    /// `whsec_` and the key in base64.
    pub text: String,
    /// Until when it signs; none for the current one.
    pub until: Option<Timestamp>,
}

/// Secrets are never printed.
impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningSecret")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// How far a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Behind what has been dealt with.
    pub cursor: Cursor,
    /// How many tries in a row failed.
    pub failures: u32,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// When the next one is due.
    pub next_attempt_at: Option<Timestamp>,
    /// Why nothing is sent any more, until somebody changes the webhook.
    pub disabled: Option<String>,
    /// How many events were delivered.
    pub delivered: u64,
    /// How many were given up.
    pub dead: u64,
    /// How many were left out since the person does not consent.
    pub skipped: u64,
    /// When it was last found that events had been dropped from the feed before they were sent.
    pub lost_at: Option<Timestamp>,
    /// How many deliveries were logged.
    pub logged: u64,
    /// Up to which number dead letters were sent again, while that is under way.
    pub redelivered: Option<u64>,
}

impl Standing {
    /// At a place in the feed, with nothing done.
    #[must_use]
    pub const fn at(cursor: Cursor) -> Self {
        Self {
            cursor,
            failures: 0,
            last_error: None,
            next_attempt_at: None,
            disabled: None,
            delivered: 0,
            dead: 0,
            skipped: 0,
            lost_at: None,
            logged: 0,
            redelivered: None,
        }
    }
}

/// Where events are sent, and how far that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: Ulid,
    /// What is to be sent where.
    pub definition: Definition,
    /// What signs it, the newest first.
    pub secrets: Vec<SigningSecret>,
    /// Who made it.
    pub by: String,
    /// When.
    pub created_at: Timestamp,
    /// Grows with each change by hand.
    pub epoch: u32,
    /// How far it is.
    pub standing: Standing,
}

impl Webhook {
    /// Whether events are to be sent.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        !self.definition.is_paused && self.standing.disabled.is_none()
    }

    /// What signs an event at a moment.
    pub fn secrets_at(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let is_valid = move |secret: &&SigningSecret| secret.until.is_none_or(|until| until > now);
        (self.secrets.iter().filter(is_valid)).map(|secret| secret.text.as_str())
    }
}

/// What became of an event at a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number among those of its webhook, from 1.
    pub number: u64,
    /// The event.
    pub event: Event,
    /// Whether it was given up, else delivered.
    pub is_dead: bool,
    /// The status of the last answer; none where there was no answer.
    pub status: Option<u16>,
    /// How often it was tried.
    pub attempts: u32,
    /// How long the last try took, in milliseconds.
    pub ms: u32,
    /// Why it was given up.
    pub error: Option<String>,
    /// When.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::{DateTime, Duration};

    use super::*;

    #[test]
    fn a_secret_that_ended_signs_nothing_and_none_is_printed() {
        let now = DateTime::UNIX_EPOCH;
        let secret = |text: &str, until| SigningSecret {
            text: text.to_owned(),
            until,
        };
        let webhook = Webhook {
            id: Ulid::nil(),
            definition: Definition {
                name: String::new(),
                url: String::new(),
                filter: Filter {
                    kinds: BTreeSet::new(),
                    cohorts: BTreeSet::new(),
                },
                fields: Vec::new(),
                purpose: None,
                is_paused: false,
            },
            secrets: vec![
                secret("new", None),
                secret("old", Some(now + Duration::seconds(1))),
                secret("ended", Some(now)),
            ],
            by: String::new(),
            created_at: now,
            epoch: 0,
            standing: Standing::at(Cursor::START),
        };
        assert_eq!(webhook.secrets_at(now).collect::<Vec<_>>(), ["new", "old"]);
        assert!(!format!("{webhook:?}").contains("new"));
    }
}
