//! Webhooks, and what they delivered. A webhook is one server's at a time ([`super::leases`]): who
//! has it notes how far it is together with what was delivered, in one transaction, and only while
//! it is still theirs and as they know it.

use std::collections::BTreeSet;
use std::ops::Range;

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::feed::{read_happening, write_happening};
use super::leases::{Proof, holding, lease_id, shown};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::cohort::CohortSlug;
use crate::domain::feed::{Cursor, Event, EventKind, Filter};
use crate::domain::lease::Job;
use crate::domain::profile::ProfileId;
use crate::domain::webhook::{Definition, Delivery, SigningSecret, Standing, Webhook};

#[derive(Debug, Clone, SurrealValue)]
struct SecretRow {
    secret: String,
    until: Option<Timestamp>,
}

#[derive(Debug, Clone, SurrealValue)]
struct WebhookRow {
    id: RecordId,
    name: String,
    url: String,
    kinds: Vec<String>,
    cohorts: Vec<String>,
    fields: Vec<String>,
    purpose: Option<String>,
    secrets: Vec<SecretRow>,
    by: String,
    created_at: Timestamp,
    epoch: u32,
    is_paused: bool,
    disabled: Option<String>,
    cursor: String,
    failures: u32,
    last_error: Option<String>,
    next_attempt_at: Option<Timestamp>,
    delivered: u64,
    dead: u64,
    skipped: u64,
    lost_at: Option<Timestamp>,
    logged: u64,
    redelivered: Option<u64>,
}

#[derive(Debug, Clone, SurrealValue)]
struct DeliveryRow {
    id: RecordId,
    cursor: String,
    happening: String,
    happened_at: Timestamp,
    is_dead: bool,
    status: Option<u16>,
    attempts: u32,
    ms: u32,
    error: Option<String>,
    at: Timestamp,
}

/// What is to be noted of a webhook.
#[derive(Debug)]
pub struct Note<'a> {
    /// The webhook as it was read, with how far it is by now.
    pub webhook: &'a Webhook,
    /// That it is this server's; nothing where the store is.
    pub proof: Option<&'a Proof>,
    /// What was delivered or given up, for the first time.
    pub deliveries: &'a [Delivery],
    /// Dead letters that were tried again.
    pub redelivered: &'a [Delivery],
    /// How many deliveries are kept.
    pub kept_max: u64,
}

/// What the error says is how `store::transaction` knows that it is another's.
const NOTE: &str = concat!(
    "BEGIN;",
    holding!(),
    "LET $noted = UPDATE $id SET cursor = $row.cursor, failures = $row.failures,
        last_error = $row.last_error, next_attempt_at = $row.next_attempt_at,
        disabled = $row.disabled, delivered = $row.delivered, dead = $row.dead,
        skipped = $row.skipped, lost_at = $row.lost_at, logged = $row.logged,
        redelivered = $row.redelivered
        WHERE epoch = $row.epoch RETURN VALUE id;
    IF array::len($noted) = 0 { THROW 'the hold is lost: somebody has changed the webhook' };
    INSERT INTO delivery $deliveries RETURN NONE;
    FOR $delivery IN $redelivered { UPDATE $delivery.id CONTENT $delivery RETURN NONE };
    DELETE $dropped RETURN NONE;
    COMMIT;"
);

/// Tells other servers that webhooks have changed.
const COUNT: &str = "UPDATE counter:webhooks SET value += 1 RETURN NONE";

const CHANGE: &str = "UPDATE $id SET name = $row.name, url = $row.url, kinds = $row.kinds,
    cohorts = $row.cohorts, fields = $row.fields, purpose = $row.purpose,
    is_paused = $row.is_paused, disabled = NONE, failures = 0, last_error = NONE,
    next_attempt_at = NONE, epoch += 1 RETURN VALUE id";

const DELETE: &str = "BEGIN; DELETE $id RETURN NONE;
    DELETE delivery:[$webhook]..[$webhook, ..] RETURN NONE; DELETE $lease RETURN NONE; COMMIT;";

impl Store {
    /// Every webhook, the oldest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, StoreError> {
        let text = "SELECT * FROM webhook ORDER BY id";
        let found: Vec<WebhookRow> = self.select("read webhooks", text, bind([])).await?;
        found.into_iter().map(WebhookRow::into_domain).collect()
    }

    /// One webhook; none if there is no such.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn webhook(&self, id: Ulid) -> Result<Option<Webhook>, StoreError> {
        let parameters = bind([("id", webhook_id(id).into_value())]);
        let found: Vec<WebhookRow> = self
            .select("read a webhook", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(WebhookRow::into_domain).transpose()
    }

    /// Keeps a new webhook.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_webhook(&self, webhook: &Webhook) -> Result<(), StoreError> {
        let row = WebhookRow::new(webhook);
        let text = "INSERT INTO webhook $row RETURN NONE";
        self.run_again("added a webhook", text, bind([("row", row.into_value())]))
            .await?;
        self.count_webhook_change().await
    }

    /// Defines a webhook anew, which makes an end to its failures. False if there is no such.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn change_webhook(&self, webhook: &Webhook) -> Result<bool, StoreError> {
        let row = WebhookRow::new(webhook);
        self.change("changed a webhook", webhook.id, CHANGE, row.into_value())
            .await
    }

    /// Keeps what signs a webhook from now on. False if there is no such webhook.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn change_secrets(&self, id: Ulid, secrets: &[SigningSecret]) -> Result<bool, StoreError> {
        let rows: Vec<SecretRow> = secrets.iter().map(SecretRow::from).collect();
        let text = "UPDATE $id SET secrets = $row, epoch += 1 RETURN VALUE id";
        self.change("changed a webhook's secret", id, text, rows.into_value())
            .await
    }

    /// Lets a webhook begin again behind a place in the feed. False if there is no such webhook.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn rewind_webhook(&self, id: Ulid, cursor: Cursor) -> Result<bool, StoreError> {
        let text = "UPDATE $id SET cursor = $row, failures = 0, last_error = NONE,
            next_attempt_at = NONE, epoch += 1 RETURN VALUE id";
        self.change("rewound a webhook", id, text, cursor.to_string().into_value())
            .await
    }

    /// Lets a webhook send its dead letters again. False if there is no such webhook.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn redeliver(&self, id: Ulid) -> Result<bool, StoreError> {
        let text = "UPDATE $id SET redelivered = $row, epoch += 1 RETURN VALUE id";
        self.change("began to send dead letters again", id, text, 0_u64.into_value())
            .await
    }

    /// Forgets a webhook, and what it delivered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete_webhook(&self, id: Ulid) -> Result<(), StoreError> {
        let parameters = bind([
            ("id", webhook_id(id).into_value()),
            ("webhook", id.to_string().into_value()),
            ("lease", lease_id(&Job::Webhook(id)).into_value()),
        ]);
        self.run_again("deleted a webhook", DELETE, parameters).await?;
        self.count_webhook_change().await
    }

    async fn count_webhook_change(&self) -> Result<(), StoreError> {
        self.run_again("counted a change of webhooks", COUNT, bind([]))
            .await
    }

    async fn change(
        &self,
        doing: &'static str,
        id: Ulid,
        text: &'static str,
        row: Value,
    ) -> Result<bool, StoreError> {
        let parameters = bind([("id", webhook_id(id).into_value()), ("row", row)]);
        // Who delivers may have noted something at this moment.
        let changed: Vec<RecordId> = self.select_again(doing, text, parameters).await?;
        self.count_webhook_change().await?;
        Ok(!changed.is_empty())
    }

    /// Notes how far a webhook is, and what was delivered. False, with nothing noted, if it was
    /// changed by hand since it was read, or somebody else has taken it over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn note_webhook(&self, note: Note<'_>) -> Result<bool, StoreError> {
        let webhook = note.webhook;
        let row = WebhookRow::new(webhook);
        let rows = |deliveries: &[Delivery]| -> Result<Vec<DeliveryRow>, StoreError> {
            (deliveries.iter())
                .map(|delivery| DeliveryRow::new(webhook.id, delivery))
                .collect()
        };
        let too_old = note.deliveries.iter().filter_map(|delivery| {
            let number = delivery.number.checked_sub(note.kept_max)?;
            (number > 0).then(|| delivery_id(webhook.id, number))
        });
        let parameters = bind([
            ("id", webhook_id(webhook.id).into_value()),
            ("row", row.into_value()),
            ("deliveries", rows(note.deliveries)?.into_value()),
            ("redelivered", rows(note.redelivered)?.into_value()),
            ("dropped", too_old.collect::<Vec<RecordId>>().into_value()),
            ("lease", shown(note.proof)),
        ]);
        let doing = "noted what a webhook delivered";
        match self.run_to_end_again(doing, NOTE, parameters).await {
            Ok(()) => Ok(true),
            Err(StoreError::Lost | StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The deliveries of a webhook by their numbers, in order; those that were dropped are left
    /// out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn deliveries(&self, id: Ulid, from: u64, to: u64) -> Result<Vec<Delivery>, StoreError> {
        let parameters = bind([
            ("webhook", id.to_string().into_value()),
            ("from", from.into_value()),
            ("to", to.into_value()),
        ]);
        let text = "SELECT * FROM delivery:[$webhook, $from]..[$webhook, $to]";
        let found: Vec<DeliveryRow> = self.select("read deliveries", text, parameters).await?;
        found.into_iter().map(DeliveryRow::into_domain).collect()
    }

    /// The number of the first delivery of a webhook before a number; none where there is none. The
    /// engine walks over all that there are, so ask where few should be.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn first_delivery_before(&self, id: Ulid, number: u64) -> Result<Option<u64>, StoreError> {
        let parameters = bind([
            ("webhook", id.to_string().into_value()),
            ("to", number.into_value()),
        ]);
        let text = "SELECT VALUE id FROM delivery:[$webhook, 0]..[$webhook, $to] LIMIT 1";
        let found: Vec<RecordId> = self
            .select("looked for the first delivery", text, parameters)
            .await?;
        found.first().map(number_of).transpose()
    }

    /// Says of these people, in some deliveries of a webhook, no more than that they were erased; in
    /// how many. Those of the moment in which that was so stay.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn forget_in_deliveries(
        &self,
        id: Ulid,
        numbers: Range<u64>,
        erased: &BTreeSet<ProfileId>,
        erased_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let found = self.deliveries(id, numbers.start, numbers.end).await?;
        let mut changed = 0;
        for delivery in found
            .into_iter()
            .filter(|delivery| delivery.event.at != erased_at)
        {
            let Some(left) = delivery.event.happening.without(erased) else {
                continue;
            };
            let parameters = bind([
                ("id", delivery_id(id, delivery.number).into_value()),
                ("happening", write_happening(&left)?.into_value()),
            ]);
            let text = "UPDATE $id SET happening = $happening, error = NONE RETURN NONE";
            self.run_again("forgot somebody in a delivery", text, parameters)
                .await?;
            changed += 1;
        }
        Ok(changed)
    }

    /// Drops some deliveries of a webhook by their numbers.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_deliveries(&self, id: Ulid, from: u64, to: u64) -> Result<(), StoreError> {
        let parameters = bind([
            ("webhook", id.to_string().into_value()),
            ("from", from.into_value()),
            ("to", to.into_value()),
        ]);
        let text = "DELETE delivery:[$webhook, $from]..[$webhook, $to] RETURN NONE";
        self.run_again("dropped old deliveries", text, parameters).await
    }
}

fn webhook_id(id: Ulid) -> RecordId {
    RecordId::new("webhook", id.to_string())
}

fn delivery_id(webhook: Ulid, number: u64) -> RecordId {
    let key: Array = vec![webhook.to_string().into_value(), number.into_value()].into();
    RecordId::new("delivery", key)
}

fn number_of(id: &RecordId) -> Result<u64, StoreError> {
    let number = match &id.key {
        RecordIdKey::Array(parts) => parts.get(1).cloned(),
        _ => None,
    };
    number
        .and_then(|number| u64::from_value(number).ok())
        .ok_or_else(|| StoreError::Corrupt("a delivery has no number".to_owned()))
}

impl From<&SigningSecret> for SecretRow {
    fn from(secret: &SigningSecret) -> Self {
        Self {
            secret: secret.text.clone(),
            until: secret.until,
        }
    }
}

impl WebhookRow {
    fn new(webhook: &Webhook) -> Self {
        let Webhook {
            definition, standing, ..
        } = webhook;
        Self {
            id: webhook_id(webhook.id),
            name: definition.name.clone(),
            url: definition.url.clone(),
            kinds: definition.filter.kinds.iter().map(ToString::to_string).collect(),
            cohorts: definition
                .filter
                .cohorts
                .iter()
                .map(ToString::to_string)
                .collect(),
            fields: definition.fields.clone(),
            purpose: definition.purpose.clone(),
            secrets: webhook.secrets.iter().map(SecretRow::from).collect(),
            by: webhook.by.clone(),
            created_at: webhook.created_at,
            epoch: webhook.epoch,
            is_paused: definition.is_paused,
            disabled: standing.disabled.clone(),
            cursor: standing.cursor.to_string(),
            failures: standing.failures,
            last_error: standing.last_error.clone(),
            next_attempt_at: standing.next_attempt_at,
            delivered: standing.delivered,
            dead: standing.dead,
            skipped: standing.skipped,
            lost_at: standing.lost_at,
            logged: standing.logged,
            redelivered: standing.redelivered,
        }
    }

    fn into_domain(self) -> Result<Webhook, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a webhook has no {what}"));
        let secret = |row: SecretRow| SigningSecret {
            text: row.secret,
            until: row.until,
        };
        Ok(Webhook {
            id: rows::ulid_key(&self.id)?,
            definition: Definition {
                name: self.name,
                url: self.url,
                filter: Filter {
                    // A kind that this version does not know is not sent by it.
                    kinds: (self.kinds.iter())
                        .filter_map(|kind| EventKind::named(kind))
                        .collect(),
                    cohorts: self.cohorts.iter().map(|slug| CohortSlug::of(slug)).collect(),
                },
                fields: self.fields,
                purpose: self.purpose,
                is_paused: self.is_paused,
            },
            secrets: self.secrets.into_iter().map(secret).collect(),
            by: self.by,
            created_at: self.created_at,
            epoch: self.epoch,
            standing: Standing {
                cursor: self.cursor.parse().map_err(|_| corrupt("cursor"))?,
                failures: self.failures,
                last_error: self.last_error,
                next_attempt_at: self.next_attempt_at,
                disabled: self.disabled,
                delivered: self.delivered,
                dead: self.dead,
                skipped: self.skipped,
                lost_at: self.lost_at,
                logged: self.logged,
                redelivered: self.redelivered,
            },
        })
    }
}

impl DeliveryRow {
    fn new(webhook: Ulid, delivery: &Delivery) -> Result<Self, StoreError> {
        Ok(Self {
            id: delivery_id(webhook, delivery.number),
            cursor: delivery.event.cursor.to_string(),
            happening: write_happening(&delivery.event.happening)?,
            happened_at: delivery.event.at,
            is_dead: delivery.is_dead,
            status: delivery.status,
            attempts: delivery.attempts,
            ms: delivery.ms,
            error: delivery.error.clone(),
            at: delivery.at,
        })
    }

    fn into_domain(self) -> Result<Delivery, StoreError> {
        let corrupt = || StoreError::Corrupt("a delivery has no cursor".to_owned());
        Ok(Delivery {
            number: number_of(&self.id)?,
            event: Event {
                cursor: self.cursor.parse().map_err(|_| corrupt())?,
                at: self.happened_at,
                happening: read_happening(&self.happening)?,
            },
            is_dead: self.is_dead,
            status: self.status,
            attempts: self.attempts,
            ms: self.ms,
            error: self.error,
            at: self.at,
        })
    }
}
