//! What is sent where, and what became of it.

use async_graphql::{ID, InputObject, SimpleObject};

use super::change::ChangeKind;
use crate::domain::Timestamp;
use crate::services::activation::webhooks::{DeliveryPage, DeliveryView, Outcome, WebhookView, Wish};

/// What is to be sent where.
#[derive(InputObject)]
pub struct WebhookInput {
    /// What people call it.
    name: String,
    /// Where events are sent: `https`, and a public address.
    url: String,
    /// Which changes; without, who enters and leaves cohorts.
    kinds: Option<Vec<ChangeKind>>,
    /// The names or slugs of cohorts; none for all.
    #[graphql(default)]
    cohorts: Vec<String>,
    /// What is told of the person besides their id; the fields are those of exports.
    #[graphql(default)]
    fields: Vec<String>,
    /// Only people who consent to this purpose are told of.
    purpose: Option<String>,
    /// Whether nothing is sent until it is changed again.
    #[graphql(default)]
    paused: bool,
}

/// A webhook, without its secret.
#[derive(SimpleObject)]
pub struct Webhook {
    /// Its id.
    id: ID,
    /// What people call it.
    name: String,
    /// Where events are sent.
    url: String,
    /// Which changes.
    kinds: Vec<ChangeKind>,
    /// The names of its cohorts; none for all.
    cohorts: Vec<String>,
    /// What is told of the person besides their id.
    fields: Vec<String>,
    /// Only people who consent to this purpose are told of.
    purpose: Option<String>,
    /// `active`, `paused`, `failing` while the receiver does not take what is sent, or `disabled`
    /// once it said that it wants no more.
    state: &'static str,
    /// Why it is failing or disabled.
    problem: Option<String>,
    /// How many tries in a row failed.
    failures: u32,
    /// When the next one is due.
    next_attempt_at: Option<Timestamp>,
    /// Behind what has been dealt with.
    cursor: String,
    /// How many commits with changes are behind that.
    lag: u64,
    /// How many events were delivered.
    delivered: u64,
    /// How many were given up.
    dead: u64,
    /// How many were left out since the person does not consent.
    skipped: u64,
    /// When it was last found that events had been dropped from the feed before they were sent.
    lost_at: Option<Timestamp>,
    /// Who made it.
    by: String,
    /// When.
    created_at: Timestamp,
}

/// A webhook with its secret, which is shown this once.
#[derive(SimpleObject)]
pub struct WebhookWithSecret {
    /// The webhook.
    webhook: Webhook,
    /// What its events are signed with.
    secret: String,
}

/// What became of an event.
#[derive(SimpleObject)]
pub struct Delivery {
    /// Its number among those of its webhook.
    number: u64,
    /// The event's place in the feed.
    cursor: String,
    /// What happened.
    kind: Option<ChangeKind>,
    /// To whom.
    profile_id: ID,
    /// The id under which it was sent.
    message_id: String,
    /// `delivered` or `dead`.
    state: &'static str,
    /// The status of the last answer; null where there was no answer.
    status: Option<u16>,
    /// How often it was tried.
    attempts: u32,
    /// How long the last try took, in milliseconds.
    ms: u32,
    /// Why it was given up.
    error: Option<String>,
    /// When.
    at: Timestamp,
}

/// A page of deliveries.
#[derive(SimpleObject)]
pub struct Deliveries {
    /// The deliveries, latest first.
    #[graphql(complexity = "child_complexity")]
    deliveries: Vec<Delivery>,
    /// The `before` of the next page; null behind the last.
    #[graphql(complexity = 0)]
    next_before: Option<u64>,
}

/// What came of a test.
#[derive(SimpleObject)]
pub struct WebhookTest {
    /// Whether the receiver took it.
    delivered: bool,
    /// The status of its answer; null where there was none.
    status: Option<u16>,
    /// How long it took, in milliseconds.
    ms: u32,
    /// What was wrong.
    error: Option<String>,
}

impl From<WebhookInput> for Wish {
    fn from(input: WebhookInput) -> Self {
        let names = |kinds: Vec<ChangeKind>| kinds.into_iter().map(|kind| kind.name().to_owned());
        Self {
            name: input.name,
            url: input.url,
            kinds: input.kinds.map(|kinds| names(kinds).collect()),
            cohorts: input.cohorts,
            fields: input.fields,
            purpose: input.purpose,
            paused: input.paused,
        }
    }
}

impl From<WebhookView> for Webhook {
    fn from(view: WebhookView) -> Self {
        Self {
            id: view.id.into(),
            name: view.name,
            url: view.url,
            kinds: (view.kinds.into_iter()).filter_map(ChangeKind::named).collect(),
            cohorts: view.cohorts,
            fields: view.fields,
            purpose: view.purpose,
            state: view.state,
            problem: view.problem,
            failures: view.failures,
            next_attempt_at: view.next_attempt_at,
            cursor: view.cursor,
            lag: view.lag,
            delivered: view.delivered,
            dead: view.dead,
            skipped: view.skipped,
            lost_at: view.lost_at,
            by: view.by,
            created_at: view.created_at,
        }
    }
}

impl From<(WebhookView, String)> for WebhookWithSecret {
    fn from((webhook, secret): (WebhookView, String)) -> Self {
        Self {
            webhook: webhook.into(),
            secret,
        }
    }
}

impl From<DeliveryView> for Delivery {
    fn from(view: DeliveryView) -> Self {
        Self {
            number: view.number,
            cursor: view.change.cursor,
            kind: ChangeKind::named(view.change.kind),
            profile_id: view.change.profile_id.into(),
            message_id: view.message_id,
            state: view.state,
            status: view.status,
            attempts: view.attempts,
            ms: view.ms,
            error: view.error,
            at: view.at,
        }
    }
}

impl From<DeliveryPage> for Deliveries {
    fn from(page: DeliveryPage) -> Self {
        Self {
            deliveries: page.deliveries.into_iter().map(Delivery::from).collect(),
            next_before: page.next_before,
        }
    }
}

impl From<Outcome> for WebhookTest {
    fn from(outcome: Outcome) -> Self {
        Self {
            delivered: outcome.is_taken,
            status: outcome.status,
            ms: outcome.ms,
            error: outcome.error,
        }
    }
}
