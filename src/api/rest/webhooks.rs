//! `/api/webhooks`: what is sent where, and what became of it.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::body::Body;
use super::changes::ChangeBody;
use crate::api::error::ApiError;
use crate::api::guard::MayActivate;
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::services::Services;
use crate::services::activation::webhooks::{
    DELIVERIES_PAGE_DEFAULT, DeliveryView, Outcome, WebhookView, Wish,
};

/// Webhooks.
pub struct WebhooksApi;

/// What is to be sent where.
#[derive(Object)]
pub struct WebhookRequest {
    /// What people call it.
    name: String,
    /// Where events are sent: `https`, and a public address.
    url: String,
    /// Kinds of changes: `profile.changed`, `profile.merged`, `cohort.entered`, `cohort.left`.
    /// Without, the last two.
    kinds: Option<Vec<String>>,
    /// The names or slugs of cohorts; none for all.
    #[oai(default)]
    cohorts: Vec<String>,
    /// What is told of the person besides their id, for example `email`; the fields are those of
    /// exports.
    #[oai(default)]
    fields: Vec<String>,
    /// Only people who consent to this purpose are told of.
    purpose: Option<String>,
    /// Whether nothing is sent until it is changed again.
    #[oai(default)]
    paused: bool,
    /// Behind which change to begin; only when it is made. Without, with what happens from now on.
    cursor: Option<String>,
}

/// A webhook, without its secret.
#[derive(Object)]
pub struct WebhookBody {
    /// Its id.
    id: String,
    /// What people call it.
    name: String,
    /// Where events are sent.
    url: String,
    /// Kinds of changes.
    kinds: Vec<String>,
    /// The names of its cohorts; none for all.
    cohorts: Vec<String>,
    /// What is told of the person besides their id.
    fields: Vec<String>,
    /// Only people who consent to this purpose are told of.
    purpose: Option<String>,
    /// `active`, `paused`, `failing` while the receiver does not take what is sent, or `disabled`
    /// once it said that it wants no more.
    state: String,
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
#[derive(Object)]
pub struct WebhookWithSecret {
    /// The webhook.
    webhook: WebhookBody,
    /// What its events are signed with.
    secret: String,
}

/// Webhooks, the oldest first.
#[derive(Object)]
pub struct WebhooksBody {
    /// All of them.
    webhooks: Vec<WebhookBody>,
}

/// What became of an event.
#[derive(Object)]
pub struct DeliveryBody {
    /// Its number among those of its webhook.
    number: u64,
    /// The event.
    change: ChangeBody,
    /// The id under which it was sent.
    message_id: String,
    /// `delivered` or `dead`.
    state: String,
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
#[derive(Object)]
pub struct DeliveriesBody {
    /// The deliveries, latest first.
    deliveries: Vec<DeliveryBody>,
    /// The `before` of the next page; null behind the last.
    next_before: Option<u64>,
}

/// What is to be sent again.
#[derive(Object)]
pub struct ReplayRequest {
    /// What happened behind this cursor.
    cursor: Option<String>,
    /// Each dead letter of the log, once.
    #[oai(default)]
    dead_letters: bool,
}

/// What came of a test.
#[derive(Object)]
pub struct TestBody {
    /// Whether the receiver took it.
    delivered: bool,
    /// The status of its answer; null where there was none.
    status: Option<u16>,
    /// How long it took, in milliseconds.
    ms: u32,
    /// What was wrong.
    error: Option<String>,
}

impl WebhookRequest {
    fn parts(self) -> (Wish, Option<String>) {
        let wish = Wish {
            name: self.name,
            url: self.url,
            kinds: self.kinds,
            cohorts: self.cohorts,
            fields: self.fields,
            purpose: self.purpose,
            paused: self.paused,
        };
        (wish, self.cursor)
    }
}

impl From<WebhookView> for WebhookBody {
    fn from(view: WebhookView) -> Self {
        Self {
            id: view.id,
            name: view.name,
            url: view.url,
            kinds: view.kinds.into_iter().map(str::to_owned).collect(),
            cohorts: view.cohorts,
            fields: view.fields,
            purpose: view.purpose,
            state: view.state.to_owned(),
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

impl From<DeliveryView> for DeliveryBody {
    fn from(view: DeliveryView) -> Self {
        Self {
            number: view.number,
            change: view.change.into(),
            message_id: view.message_id,
            state: view.state.to_owned(),
            status: view.status,
            attempts: view.attempts,
            ms: view.ms,
            error: view.error,
            at: view.at,
        }
    }
}

impl From<Outcome> for TestBody {
    fn from(outcome: Outcome) -> Self {
        Self {
            delivered: outcome.is_taken,
            status: outcome.status,
            ms: outcome.ms,
            error: outcome.error,
        }
    }
}

#[OpenApi]
impl WebhooksApi {
    /// List webhooks
    #[oai(
        path = "/webhooks",
        method = "get",
        tag = "Tag::Activation",
        operation_id = "listWebhooks"
    )]
    async fn list(
        &self,
        _caller: MayActivate,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<WebhooksBody>, ApiError> {
        let webhooks = services.activation.webhooks.list().await?;
        Ok(Json(WebhooksBody {
            webhooks: webhooks.into_iter().map(WebhookBody::from).collect(),
        }))
    }

    /// Make a webhook
    ///
    /// Events are sent as Standard Webhooks has it, signed with the secret of the answer, which
    /// is not shown again. `docs/ACTIVATION.md` says how a receiver checks it.
    #[oai(
        path = "/webhooks",
        method = "post",
        tag = "Tag::Activation",
        operation_id = "createWebhook"
    )]
    async fn create(
        &self,
        caller: MayActivate,
        services: Data<&Arc<Services>>,
        request: Body<WebhookRequest>,
    ) -> Result<Json<WebhookWithSecret>, ApiError> {
        let (wish, cursor) = request.0.parts();
        let webhooks = &services.activation.webhooks;
        let made = webhooks.create(&wish, cursor.as_deref(), &caller.0.name).await?;
        Ok(Json(made.into()))
    }

    /// One webhook
    #[oai(
        path = "/webhooks/:id",
        method = "get",
        tag = "Tag::Activation",
        operation_id = "getWebhook"
    )]
    async fn get(
        &self,
        _caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
    ) -> Result<Json<WebhookBody>, ApiError> {
        Ok(Json(services.activation.webhooks.get(&id).await?.into()))
    }

    /// Define a webhook anew
    ///
    /// It goes on where it is, at once if it was failing or disabled. What is left out is as when
    /// a webhook is made.
    #[oai(
        path = "/webhooks/:id",
        method = "put",
        tag = "Tag::Activation",
        operation_id = "changeWebhook"
    )]
    async fn change(
        &self,
        caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
        request: Body<WebhookRequest>,
    ) -> Result<Json<WebhookBody>, ApiError> {
        let (wish, cursor) = request.0.parts();
        if cursor.is_some() {
            let message = "is for new webhooks; replay one that is there";
            return Err(Error::bad_request("cursor", message).into());
        }
        let webhooks = &services.activation.webhooks;
        Ok(Json(webhooks.change(&id, &wish, &caller.0.name).await?.into()))
    }

    /// Forget a webhook, and what it delivered
    #[oai(
        path = "/webhooks/:id",
        method = "delete",
        tag = "Tag::Activation",
        operation_id = "deleteWebhook"
    )]
    async fn delete(
        &self,
        caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
    ) -> Result<(), ApiError> {
        Ok(services.activation.webhooks.delete(&id, &caller.0.name).await?)
    }

    /// What became of a webhook's events
    #[oai(
        path = "/webhooks/:id/deliveries",
        method = "get",
        tag = "Tag::Activation",
        operation_id = "deliveries"
    )]
    async fn deliveries(
        &self,
        _caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
        /// How many deliveries a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "200")),
            default = "default_limit"
        )]
        limit: Query<u32>,
        /// The `next_before` of the page before.
        before: Query<Option<u64>>,
        /// Only dead letters.
        #[oai(default)]
        dead: Query<bool>,
    ) -> Result<Json<DeliveriesBody>, ApiError> {
        let webhooks = &services.activation.webhooks;
        let page = webhooks.deliveries(&id, before.0, dead.0, limit.0).await?;
        Ok(Json(DeliveriesBody {
            deliveries: page.deliveries.into_iter().map(DeliveryBody::from).collect(),
            next_before: page.next_before,
        }))
    }

    /// Send events again
    ///
    /// What happened behind a `cursor`, in order; or with `dead_letters` each event that was given
    /// up. They have the ids that they had.
    #[oai(
        path = "/webhooks/:id/replay",
        method = "post",
        tag = "Tag::Activation",
        operation_id = "replayWebhook"
    )]
    async fn replay(
        &self,
        caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
        request: Body<ReplayRequest>,
    ) -> Result<Json<WebhookBody>, ApiError> {
        let (webhooks, by) = (&services.activation.webhooks, &caller.0.name);
        let webhook = match (&request.cursor, request.dead_letters) {
            (Some(cursor), false) => webhooks.replay(&id, cursor, by).await?,
            (None, true) => webhooks.replay_dead(&id, by).await?,
            _ => return Err(Error::bad_request("cursor", "give `cursor` or `dead_letters`").into()),
        };
        Ok(Json(webhook.into()))
    }

    /// Give a webhook a new secret
    ///
    /// It is shown this once. The one before signs beside it for a day.
    #[oai(
        path = "/webhooks/:id/rotate",
        method = "post",
        tag = "Tag::Activation",
        operation_id = "rotateWebhookSecret"
    )]
    async fn rotate(
        &self,
        caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
    ) -> Result<Json<WebhookWithSecret>, ApiError> {
        let webhooks = &services.activation.webhooks;
        Ok(Json(webhooks.rotate(&id, &caller.0.name).await?.into()))
    }

    /// Send a test
    ///
    /// An event of the type `webhook.test`, once and now.
    #[oai(
        path = "/webhooks/:id/test",
        method = "post",
        tag = "Tag::Activation",
        operation_id = "testWebhook"
    )]
    async fn test(
        &self,
        _caller: MayActivate,
        services: Data<&Arc<Services>>,
        /// The webhook's id.
        id: Path<String>,
    ) -> Result<Json<TestBody>, ApiError> {
        Ok(Json(services.activation.webhooks.test(&id).await?.into()))
    }
}

const fn default_limit() -> u32 {
    DELIVERIES_PAGE_DEFAULT
}
