//! What is sent where: webhooks are made, changed, tried and replayed here. Working on them is
//! for [`super::deliverer`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use rand::Rng as _;
use ulid::Ulid;

use super::changes::{read_cursor, read_kinds};
use super::deliverer::Deliverer;
use super::fields;
use super::post::Post;
use super::view::ChangeView;
use crate::activation::Settings;
use crate::activation::sender::{Sender, SenderError};
use crate::activation::signature::{self, KEY_BYTES};
use crate::activation::verdict::Verdict;
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::domain::feed::{Cursor, EventKind, Filter};
use crate::domain::webhook::{Definition, Delivery, SigningSecret, Standing, Webhook};
use crate::ingest::normalise::stored;
use crate::pipeline::Pipeline;
use crate::pipeline::feed::Feed;
use crate::services::background::Background;
use crate::services::checked_limit;
use crate::services::cohorts::{NameBook, Names};
use crate::services::leases::Leases;
use crate::store::Store;

/// The most webhooks.
const WEBHOOKS_MAX: usize = 100;

/// The longest name of a webhook, and of a purpose.
const NAME_CHARS_MAX: usize = 100;

/// A secret that was replaced signs for so long beside its successor.
const OLD_SECRET_KEPT: Duration = Duration::from_hours(24);

/// The most deliveries that one page holds.
pub const DELIVERIES_PAGE_MAX: u32 = 200;

/// The deliveries of a page when nobody says how many.
pub const DELIVERIES_PAGE_DEFAULT: u32 = 50;

/// Deliveries that are read at once for a page.
const DELIVERIES_AT_ONCE: u64 = 500;

/// What somebody wants to be sent where.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// What people call it.
    pub name: String,
    /// Where events are sent.
    pub url: String,
    /// Kinds of changes, by their names; without, who enters and leaves cohorts.
    pub kinds: Option<Vec<String>>,
    /// Cohorts, by their names or slugs; none for all.
    pub cohorts: Vec<String>,
    /// What is told of the person besides their id.
    pub fields: Vec<String>,
    /// Only people who consent to this are told of.
    pub purpose: Option<String>,
    /// Whether nothing is sent until it is changed again.
    pub paused: bool,
}

/// A webhook as it is shown, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookView {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where events are sent.
    pub url: String,
    /// Kinds of changes.
    pub kinds: Vec<&'static str>,
    /// The names of its cohorts; none for all.
    pub cohorts: Vec<String>,
    /// What is told of the person besides their id.
    pub fields: Vec<String>,
    /// Only people who consent to this are told of.
    pub purpose: Option<String>,
    /// `active`, `paused`, `failing` while the receiver does not take what is sent, or `disabled`.
    pub state: &'static str,
    /// Why it is disabled, or failing.
    pub problem: Option<String>,
    /// How many tries in a row failed.
    pub failures: u32,
    /// When the next one is due.
    pub next_attempt_at: Option<Timestamp>,
    /// Behind what has been dealt with.
    pub cursor: String,
    /// How many commits with changes are behind that.
    pub lag: u64,
    /// How many events were delivered.
    pub delivered: u64,
    /// How many were given up.
    pub dead: u64,
    /// How many were left out since the person does not consent.
    pub skipped: u64,
    /// When it was last found that events had been dropped from the feed before they were sent.
    pub lost_at: Option<Timestamp>,
    /// Who made it.
    pub by: String,
    /// When.
    pub created_at: Timestamp,
}

/// A delivery as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryView {
    /// Its number among those of its webhook.
    pub number: u64,
    /// The event.
    pub change: ChangeView,
    /// The id under which it was sent.
    pub message_id: String,
    /// `delivered` or `dead`.
    pub state: &'static str,
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

/// A page of deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries, latest first.
    pub deliveries: Vec<DeliveryView>,
    /// The `before` of the next page; none behind the last.
    pub next_before: Option<u64>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the receiver took it.
    pub is_taken: bool,
    /// The status of its answer; none where there was none.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u32,
    /// What was wrong.
    pub error: Option<String>,
}

/// Makes, changes, tries and replays webhooks.
pub struct Webhooks {
    store: Store,
    feed: Arc<Feed>,
    names: NameBook,
    post: Arc<Post>,
    deliverer: Deliverer,
    kept_max: u64,
}

impl Webhooks {
    /// Starts to deliver; that ends when this is dropped.
    pub(super) fn start(
        store: &Store,
        pipeline: &Pipeline,
        leases: &Leases,
        names: &NameBook,
        settings: &Settings,
        background: &Background,
    ) -> Result<Arc<Self>, SenderError> {
        let answer_max = Duration::from_secs(settings.attempt_timeout_s.max(1));
        let allow_private = settings.allow_private_addresses.unwrap_or_default();
        let sender = Sender::new(answer_max, allow_private)?;
        let post = Arc::new(Post::new(sender, names.clone()));
        let deliverer = Deliverer::start(store, pipeline, leases, &post, settings, background);
        Ok(Arc::new(Self {
            store: store.clone(),
            feed: Arc::clone(pipeline.feed()),
            names: names.clone(),
            post,
            deliverer,
            kept_max: settings.deliveries_kept(),
        }))
    }

    /// Every webhook, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self) -> Result<Vec<WebhookView>, Error> {
        let webhooks = self.store.webhooks().await?;
        Ok(webhooks.iter().map(|webhook| self.view(webhook)).collect())
    }

    /// One webhook.
    ///
    /// # Errors
    /// Not found when there is no such.
    pub async fn get(&self, id: &str) -> Result<WebhookView, Error> {
        Ok(self.view(&self.find(id).await?))
    }

    /// Makes a webhook, which begins behind a cursor, or without one with what happens from now
    /// on. Returns its secret, too, which is shown this once.
    ///
    /// # Errors
    /// Bad request for an address where nothing may be sent, and for unknown kinds and fields;
    /// not found for unknown cohorts.
    pub async fn create(
        &self,
        wish: &Wish,
        after: Option<&str>,
        by: &str,
    ) -> Result<(WebhookView, String), Error> {
        let definition = self.definition(wish)?;
        let cursor = match after {
            Some(after) => self.cursor(after).await?,
            None => self.feed.end(),
        };
        if self.store.webhooks().await?.len() >= WEBHOOKS_MAX {
            let message = format!("there are {WEBHOOKS_MAX} webhooks, which is the most; delete one first");
            return Err(Error::new(crate::domain::error::ErrorCode::Conflict, message));
        }
        let secret = new_secret();
        let webhook = Webhook {
            id: Ulid::new(),
            definition,
            secrets: vec![SigningSecret {
                text: secret.clone(),
                until: None,
            }],
            by: by.to_owned(),
            created_at: now(),
            epoch: 0,
            standing: Standing::at(cursor),
        };
        self.store.add_webhook(&webhook).await?;
        self.deliverer.look();
        tracing::info!(webhook.id = %webhook.id, user = by, "a webhook was made");
        Ok((self.view(&webhook), secret))
    }

    /// Defines a webhook anew. It goes on where it is, at once if it was failing or disabled.
    ///
    /// # Errors
    /// As [`Webhooks::create`], and not found when there is no such.
    pub async fn change(&self, id: &str, wish: &Wish, by: &str) -> Result<WebhookView, Error> {
        let webhook = Webhook {
            definition: self.definition(wish)?,
            ..self.find(id).await?
        };
        let is_there = self.store.change_webhook(&webhook).await?;
        self.changed(&webhook, is_there, "a webhook was changed", by)?;
        self.get(id).await
    }

    /// Gives a webhook a new secret, which is shown this once. The one before signs beside it for
    /// a day.
    ///
    /// # Errors
    /// Not found when there is no such.
    pub async fn rotate(&self, id: &str, by: &str) -> Result<(WebhookView, String), Error> {
        let mut webhook = self.find(id).await?;
        let secret = new_secret();
        let until = now() + OLD_SECRET_KEPT;
        if let Some(before) = webhook.secrets.first_mut() {
            before.until = Some(until);
        }
        // One at a time: a third would make each request longer for no use.
        webhook.secrets.truncate(1);
        webhook.secrets.insert(
            0,
            SigningSecret {
                text: secret.clone(),
                until: None,
            },
        );
        let is_there = self.store.change_secrets(webhook.id, &webhook.secrets).await?;
        self.changed(&webhook, is_there, "a webhook's secret was changed", by)?;
        Ok((self.view(&webhook), secret))
    }

    /// Forgets a webhook.
    ///
    /// # Errors
    /// Not found when there is no such.
    pub async fn delete(&self, id: &str, by: &str) -> Result<(), Error> {
        let webhook = self.find(id).await?;
        self.store.delete_webhook(webhook.id).await?;
        self.changed(&webhook, true, "a webhook was deleted", by)
    }

    /// Sends what happened behind a cursor again, in order, with the same message ids.
    ///
    /// # Errors
    /// Not found when there is no such webhook, bad request for what is no cursor, gone for one
    /// behind which changes were dropped.
    pub async fn replay(&self, id: &str, after: &str, by: &str) -> Result<WebhookView, Error> {
        let webhook = self.find(id).await?;
        let cursor = self.cursor(after).await?;
        let is_there = self.store.rewind_webhook(webhook.id, cursor).await?;
        self.changed(&webhook, is_there, "a webhook begins again", by)?;
        self.get(id).await
    }

    /// Sends each dead letter of the log once more.
    ///
    /// # Errors
    /// Not found when there is no such webhook.
    pub async fn replay_dead(&self, id: &str, by: &str) -> Result<WebhookView, Error> {
        let webhook = self.find(id).await?;
        let is_there = self.store.redeliver(webhook.id).await?;
        self.changed(&webhook, is_there, "dead letters are sent again", by)?;
        self.get(id).await
    }

    /// Sends an event of the kind `webhook.test` once, and says what came of it.
    ///
    /// # Errors
    /// Not found when there is no such webhook.
    pub async fn test(&self, id: &str) -> Result<Outcome, Error> {
        let webhook = self.find(id).await?;
        let sent = self.post.test(&webhook, Utc::now()).await;
        Ok(Outcome {
            is_taken: sent.verdict == Verdict::Taken,
            status: sent.status,
            ms: sent.ms,
            error: sent.error,
        })
    }

    /// The deliveries of a webhook, latest first, those before a number; only dead letters where
    /// that is asked for.
    ///
    /// # Errors
    /// Not found when there is no such webhook, bad request for a limit out of range.
    pub async fn deliveries(
        &self,
        id: &str,
        before: Option<u64>,
        only_dead: bool,
        limit: u32,
    ) -> Result<DeliveryPage, Error> {
        let limit = checked_limit(limit, DELIVERIES_PAGE_MAX)?;
        let webhook = self.find(id).await?;
        let end = webhook.standing.logged + 1;
        let begin = end.saturating_sub(self.kept_max).max(1);
        let mut to = before.unwrap_or(end).min(end);
        let mut found: Vec<Delivery> = Vec::new();
        while found.len() <= limit && to > begin {
            let from = to.saturating_sub(DELIVERIES_AT_ONCE).max(begin);
            let some = self.store.deliveries(webhook.id, from, to).await?;
            found.extend(some.into_iter().rev().filter(|one| one.is_dead || !only_dead));
            to = from;
        }
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next_before = found.last().filter(|_| has_more).map(|last| last.number);
        let names = self.names.now();
        let show = |delivery| view_of(webhook.id, delivery, &names);
        Ok(DeliveryPage {
            deliveries: found.into_iter().map(show).collect(),
            next_before,
        })
    }

    /// Takes up nothing more.
    pub(super) fn close(&self) {
        self.deliverer.close();
    }

    /// Ends delivering; returns when it is noted how far each webhook is.
    pub(super) async fn finish(&self) {
        self.deliverer.finish().await;
    }

    async fn find(&self, id: &str) -> Result<Webhook, Error> {
        let missing = || Error::not_found("there is no such webhook").with_field("id");
        let id: Ulid = id.parse().map_err(|_| missing())?;
        self.store.webhook(id).await?.ok_or_else(missing)
    }

    /// Says that another server has changed webhooks.
    pub fn look(&self) {
        self.deliverer.look();
    }

    /// A place where the feed can be read on.
    async fn cursor(&self, after: &str) -> Result<Cursor, Error> {
        let cursor = read_cursor("cursor", after)?;
        self.feed.read(cursor).await?;
        Ok(cursor)
    }

    fn changed(&self, webhook: &Webhook, is_there: bool, what: &str, by: &str) -> Result<(), Error> {
        if !is_there {
            return Err(Error::not_found("there is no such webhook").with_field("id"));
        }
        self.deliverer.look();
        tracing::info!(webhook.id = %webhook.id, user = by, "{what}");
        Ok(())
    }

    fn definition(&self, wish: &Wish) -> Result<Definition, Error> {
        self.post
            .check(&wish.url)
            .map_err(|error| Error::bad_request("url", error.to_string()))?;
        let kinds = match &wish.kinds {
            Some(kinds) => read_kinds("kinds", kinds.iter().map(String::as_str))?,
            None => BTreeSet::from([EventKind::CohortEntered, EventKind::CohortLeft]),
        };
        if kinds.is_empty() {
            return Err(Error::bad_request("kinds", "name one kind of change at least"));
        }
        let names = self.names.now();
        let cohorts = wish.cohorts.iter().map(|cohort| names.find(cohort));
        fields::find(wish.fields.iter().map(String::as_str))?;
        Ok(Definition {
            name: named("name", &wish.name)?,
            url: wish.url.clone(),
            filter: Filter {
                kinds,
                cohorts: cohorts.collect::<Result<_, _>>()?,
            },
            fields: wish.fields.clone(),
            purpose: (wish.purpose.as_deref())
                .map(|purpose| named("purpose", purpose))
                .transpose()?,
            is_paused: wish.paused,
        })
    }

    fn view(&self, webhook: &Webhook) -> WebhookView {
        let Webhook {
            definition, standing, ..
        } = webhook;
        let names = self.names.now();
        let cohorts = definition.filter.cohorts.iter().map(|slug| names.name(slug));
        let state = match standing {
            Standing {
                disabled: Some(_), ..
            } => "disabled",
            _ if definition.is_paused => "paused",
            Standing { failures: 1.., .. } => "failing",
            _ => "active",
        };
        WebhookView {
            id: webhook.id.to_string(),
            name: definition.name.clone(),
            url: definition.url.clone(),
            kinds: definition.filter.kinds.iter().map(|kind| kind.name()).collect(),
            cohorts: cohorts.map(str::to_owned).collect(),
            fields: definition.fields.clone(),
            purpose: definition.purpose.clone(),
            state,
            problem: standing.disabled.clone().or_else(|| standing.last_error.clone()),
            failures: standing.failures,
            next_attempt_at: standing.next_attempt_at,
            cursor: standing.cursor.to_string(),
            lag: self.feed.blocks_behind(standing.cursor),
            delivered: standing.delivered,
            dead: standing.dead,
            skipped: standing.skipped,
            lost_at: standing.lost_at,
            by: webhook.by.clone(),
            created_at: webhook.created_at,
        }
    }
}

fn view_of(webhook: Ulid, delivery: Delivery, names: &Names) -> DeliveryView {
    DeliveryView {
        number: delivery.number,
        change: ChangeView::of(&delivery.event, names),
        message_id: Post::message_id(webhook, delivery.event.cursor),
        state: if delivery.is_dead { "dead" } else { "delivered" },
        status: delivery.status,
        attempts: delivery.attempts,
        ms: delivery.ms,
        error: delivery.error,
        at: delivery.at,
    }
}

/// A name as people give it, and neither empty nor a book.
fn named(field: &str, name: &str) -> Result<String, Error> {
    let name = name.trim();
    if (1..=NAME_CHARS_MAX).contains(&name.chars().count()) {
        return Ok(name.to_owned());
    }
    let message = format!("must have 1 to {NAME_CHARS_MAX} characters");
    Err(Error::bad_request(field, message))
}

/// From the generator of the system's randomness, which nobody can foresee.
fn new_secret() -> String {
    let mut key = [0; KEY_BYTES];
    rand::rng().fill(&mut key);
    signature::secret(&key)
}

fn now() -> Timestamp {
    stored(Utc::now())
}
