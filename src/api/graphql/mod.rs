//! The GraphQL skin: it checks who asks, calls a service, and puts the answer into the shape
//! of `schema/schema.graphql`, which is exported from here.
//!
//! [`http`] takes the request, and [`socket`] the connections of subscriptions; [`persisted`] finds
//! documents by their hash, and [`limits`] bound what one may cost; [`query`], [`mutation`] and
//! [`subscription`] are the roots, [`guard`] says who may ask for a field of them, [`types`] are the
//! shapes of the answers, [`page`] hands out long lists in pages, [`error`] is how a failure looks.
//!
//! What a list nests comes along with its rows, in one read; where it does not, [`loader`] gathers
//! the reads of all rows.

pub mod error;
pub mod guard;
pub mod http;
pub mod limits;
mod loader;
pub mod mutation;
pub mod page;
mod persisted;
pub mod query;
pub mod socket;
pub mod subscription;
pub mod types;

use std::sync::Arc;

use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, SDLExportOptions, Schema, SchemaBuilder};
use serde::Deserialize;

use crate::domain::error::Error;
use crate::services::Services;
use crate::services::sight::Sight;

pub use http::endpoint;
use limits::{COMPLEXITY_MAX, DEPTH_MAX, DIRECTIVES_MAX, Limits};
use loader::People;
use mutation::Mutation;
use persisted::Persisted;
use query::Query;
use socket::SubscriptionsOnly;
pub use socket::socket as subscriptions;
use subscription::SubscriptionRoot;

/// The schema, ready to run requests.
pub type CdpSchema = Schema<Query, Mutation, SubscriptionRoot>;

/// What is shown and run.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the schema shows itself to those who may read.
    pub introspection: bool,
    /// Whether only the operations of the repository may run.
    pub persisted_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            introspection: true,
            persisted_only: false,
        }
    }
}

/// The schema over the services that its resolvers call.
#[must_use]
pub fn schema(services: Arc<Services>, settings: Settings) -> CdpSchema {
    let people = loader::people(Arc::clone(&services));
    let schema = bounded(settings.persisted_only).data(services).data(people);
    if settings.introspection {
        return schema.finish();
    }
    schema.disable_introspection().finish()
}

/// The schema in its own language, as `schema/schema.graphql` holds it.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().prefer_single_line_descriptions();
    bounded(false).finish().sdl_with_options(options)
}

/// Suggestions are off for all: they name fields, also to callers who may not introspect.
fn bounded(persisted_only: bool) -> SchemaBuilder<Query, Mutation, SubscriptionRoot> {
    Schema::build(Query, Mutation, SubscriptionRoot)
        .limit_depth(DEPTH_MAX)
        .limit_complexity(COMPLEXITY_MAX)
        .limit_directives(DIRECTIVES_MAX)
        .disable_suggestions()
        .extension(Persisted::new(persisted_only))
        .extension(Limits::default())
        .extension(SubscriptionsOnly)
}

/// How much of people the caller may see.
fn sight(ctx: &Context<'_>) -> error::Result<Sight> {
    Ok(services(ctx)?.sights.of(guard::caller(ctx)?.role))
}

/// The services of the schema that runs a resolver.
fn services<'a>(ctx: &Context<'a>) -> error::Result<&'a Arc<Services>> {
    let services = ctx.data_opt::<Arc<Services>>();
    Ok(services.ok_or_else(|| Error::internal("the schema was built without services"))?)
}

/// What reads people for the resolvers of a schema.
fn people<'a>(ctx: &Context<'a>) -> error::Result<&'a DataLoader<People>> {
    let people = ctx.data_opt::<DataLoader<People>>();
    Ok(people.ok_or_else(|| Error::internal("the schema was built without a loader"))?)
}
