//! Makes a letter of an event, and sends it once.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::Instrument as _;
use tracing::field::Empty;
use ulid::Ulid;

use super::view::ChangeView;
use crate::activation::address::AddressError;
use crate::activation::sender::{Letter, SendError, Sender};
use crate::activation::verdict::Verdict;
use crate::domain::Timestamp;
use crate::domain::feed::{Cursor, Event};
use crate::domain::webhook::Webhook;
use crate::services::cohorts::NameBook;
use crate::telemetry::context;

/// What came of sending something once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// What is to be done with it.
    pub verdict: Verdict,
    /// The status of the answer; none where there was no answer.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u32,
    /// What was wrong.
    pub error: Option<String>,
    /// After how long another try is welcome, where the answer says.
    pub retry_after: Option<Duration>,
}

/// Sends events.
pub struct Post {
    sender: Sender,
    names: NameBook,
}

impl Post {
    pub(super) const fn new(sender: Sender, names: NameBook) -> Self {
        Self { sender, names }
    }

    /// The id under which an event is sent, the same at each try, so that a receiver can tell a
    /// repetition.
    #[must_use]
    pub fn message_id(webhook: Ulid, cursor: Cursor) -> String {
        format!("msg_{webhook}_{cursor}")
    }

    /// How people are called where they are told of.
    pub(super) const fn names(&self) -> &NameBook {
        &self.names
    }

    /// Whether something may be sent to an address.
    pub(super) fn check(&self, url: &str) -> Result<(), AddressError> {
        self.sender.check(url)
    }

    /// Sends an event once, with what is told of the person.
    pub(super) async fn event(
        &self,
        webhook: &Webhook,
        event: &Event,
        person: Option<Value>,
        now: Timestamp,
    ) -> Sent {
        let body = body(&ChangeView::of(event, &self.names.now()), person);
        let id = Self::message_id(webhook.id, event.cursor);
        self.send(webhook, &id, &body.to_string(), now).await
    }

    /// Sends an event that says nothing.
    pub(super) async fn test(&self, webhook: &Webhook, now: Timestamp) -> Sent {
        let body = json!({ "type": "webhook.test", "timestamp": now, "data": {} });
        let id = format!("msg_{}_test_{}", webhook.id, Ulid::new());
        self.send(webhook, &id, &body.to_string(), now).await
    }

    async fn send(&self, webhook: &Webhook, id: &str, body: &str, now: Timestamp) -> Sent {
        let span = tracing::debug_span!(
            "webhook",
            webhook.id = %webhook.id,
            message.id = id,
            http.response.status_code = Empty,
            "error.type" = Empty,
        );
        let sent = self
            .send_once(webhook, id, body, now)
            .instrument(span.clone())
            .await;
        if let Some(status) = sent.status {
            span.record("http.response.status_code", status);
        }
        if sent.verdict != Verdict::Taken {
            span.record("error.type", "not_taken");
        }
        sent
    }

    async fn send_once(&self, webhook: &Webhook, id: &str, body: &str, now: Timestamp) -> Sent {
        let traceparent = context::traceparent();
        let secrets: Vec<&str> = webhook.secrets_at(now).collect();
        let letter = Letter {
            url: &webhook.definition.url,
            id,
            body,
            timestamp: now.timestamp(),
            secrets: &secrets,
            traceparent: traceparent.as_deref(),
        };
        match self.sender.send(&letter).await {
            Ok(answer) => {
                let verdict = Verdict::of(answer.status);
                Sent {
                    verdict,
                    status: Some(answer.status),
                    ms: ms(answer.took),
                    error: (verdict != Verdict::Taken)
                        .then(|| format!("the receiver answered {}", answer.status)),
                    retry_after: answer.retry_after,
                }
            }
            Err(error) => Sent {
                verdict: Verdict::Again,
                status: None,
                ms: match &error {
                    SendError::Http { took, .. } => ms(*took),
                    SendError::Address(_) | SendError::Secret(_) => 0,
                },
                error: Some(error.to_string()),
                retry_after: None,
            },
        }
    }
}

fn ms(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX)
}

/// The body of an event: what happened, to whom, and what is told of them.
fn body(change: &ChangeView, person: Option<Value>) -> Value {
    let mut data = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            data.insert(name.to_owned(), value);
        }
    };
    add("cursor", json!(change.cursor));
    add("profile_id", json!(change.profile_id));
    add("rev", json!(change.rev));
    add("created", json!(change.created));
    add("merged_into", json!(change.merged_into));
    if let Some(cohort) = &change.cohort {
        add("cohort", json!({ "slug": cohort.slug, "name": cohort.name }));
        add("reason", json!(change.reason));
    }
    add("profile", person.unwrap_or_default());
    json!({ "type": change.kind, "timestamp": change.at, "data": data })
}
