//! The GraphQL skin: it checks who asks, calls a service, and puts the answer into the shape
//! of `schema/schema.graphql`, which is exported from here.
//!
//! [`http`] takes the request, [`limits`] bound what it may cost, [`query`] and [`mutation`]
//! are the two roots, [`guard`] says who may ask for a field of them, [`types`] are the shapes
//! of the answers, [`page`] hands out long lists in pages, [`error`] is how a failure looks.
//!
//! No loader gathers reads here: what a list nests comes along with its rows, in one read.

pub mod error;
pub mod guard;
pub mod http;
pub mod limits;
pub mod mutation;
pub mod page;
pub mod query;
pub mod types;

use std::sync::Arc;

use async_graphql::{Context, EmptySubscription, SDLExportOptions, Schema, SchemaBuilder};

use crate::domain::error::Error;
use crate::services::Services;

pub use http::endpoint;
use limits::{COMPLEXITY_MAX, DEPTH_MAX, DIRECTIVES_MAX, Limits};
use mutation::Mutation;
use query::Query;

/// The schema, ready to run requests.
pub type CdpSchema = Schema<Query, Mutation, EmptySubscription>;

/// The schema over the services that its resolvers call.
#[must_use]
pub fn schema(services: Arc<Services>) -> CdpSchema {
    bounded().data(services).finish()
}

/// The schema in its own language, as `schema/schema.graphql` holds it.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().prefer_single_line_descriptions();
    bounded().finish().sdl_with_options(options)
}

/// Suggestions are off for all: they name fields, also to callers who may not introspect.
fn bounded() -> SchemaBuilder<Query, Mutation, EmptySubscription> {
    Schema::build(Query, Mutation, EmptySubscription)
        .limit_depth(DEPTH_MAX)
        .limit_complexity(COMPLEXITY_MAX)
        .limit_directives(DIRECTIVES_MAX)
        .disable_suggestions()
        .extension(Limits::default())
}

/// The services of the schema that runs a resolver.
fn services<'a>(ctx: &Context<'a>) -> error::Result<&'a Arc<Services>> {
    let services = ctx.data_opt::<Arc<Services>>();
    Ok(services.ok_or_else(|| Error::internal("the schema was built without services"))?)
}
