//! The web: every route on one page. Handlers check who asks, call a service, and put its
//! answer into a shape; they hold no logic of their own and never see the store.
//!
//! [`error`] is the one error body, [`guard`] makes a permission an argument type,
//! [`limits`] bounds what a request may cost; [`rest`] and [`graphql`] are the two skins,
//! [`assets`] the pages, [`health`] the probes.

pub mod assets;
pub mod error;
pub mod graphql;
pub mod guard;
pub mod health;
pub mod limits;
pub mod rest;

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use poem::endpoint::BoxEndpoint;
use poem::http::{HeaderValue, StatusCode, header};
use poem::middleware::{CatchPanic, Compression, RequestId};
use poem::{Endpoint, EndpointExt, IntoResponse as _, Request, Response, Route, get, post};
use serde::Deserialize;

use crate::services::Services;
use limits::Limits;

/// How the web is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: String,
    /// What a request may cost.
    pub limits: Limits,
    /// How long requests that are under way may take to end when the server stops.
    pub shutdown_grace_s: u64,
    /// Whether `/metrics` answers without a token; unset, a demo's does, and no other.
    pub metrics_are_public: Option<bool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            limits: Limits::default(),
            shutdown_grace_s: 20,
            metrics_are_public: None,
        }
    }
}

/// The methods of the routes that are not read only; `*` stands for an id. All others have one
/// method, and a test holds this list against the description.
const METHODS: &[(&str, &str)] = &[
    ("/api/auth/token", "POST"),
    ("/api/classify", "POST"),
    ("/api/cohorts", "GET, HEAD, POST"),
    ("/api/cohorts/combine", "POST"),
    ("/api/cohorts/overlap", "GET, HEAD"),
    ("/api/cohorts/preview", "POST"),
    ("/api/cohorts/*", "DELETE, GET, HEAD, PUT"),
    ("/api/cohorts/*/rollback", "POST"),
    ("/api/conflicts/*/review", "POST"),
    ("/api/corrections", "DELETE, GET, HEAD, PUT"),
    ("/api/ingest", "POST"),
    ("/api/ingest/*/cancel", "POST"),
    ("/api/ingest/*/replay", "POST"),
    ("/api/merges/*/undo", "POST"),
    ("/api/profiles/*/cut", "POST"),
    ("/api/retention/sweep", "POST"),
    ("/api/rules", "GET, HEAD, POST"),
    ("/api/rules/check", "POST"),
    ("/api/rules/*", "DELETE, PUT"),
    ("/api/suppressions", "DELETE, GET, HEAD, POST"),
    ("/api/user", "DELETE, GET, HEAD"),
    ("/api/webhooks", "GET, HEAD, POST"),
    ("/api/webhooks/*", "DELETE, GET, HEAD, PUT"),
    ("/api/webhooks/*/replay", "POST"),
    ("/api/webhooks/*/rotate", "POST"),
    ("/api/webhooks/*/test", "POST"),
    ("/graphql", "POST"),
];

/// Every route.
pub fn routes(
    services: Arc<Services>,
    settings: &Settings,
    metrics: PrometheusHandle,
) -> BoxEndpoint<'static, Response> {
    let limits = settings.limits;
    let metrics_are_public = settings.metrics_are_public.unwrap_or_default();
    let api = rest::service();
    Route::new()
        .at("/", get(assets::index))
        .at("/graphiql", get(assets::graphiql))
        .at("/assets/*path", get(assets::asset))
        .at("/healthz", get(health::alive))
        .at("/readyz", get(health::ready))
        .at(
            "/metrics",
            get(health::metrics).data(health::Metrics::new(metrics, metrics_are_public)),
        )
        .at("/graphql", post(graphql::endpoint).get(graphql::subscriptions))
        .at("/openapi.json", api.spec_endpoint())
        .nest("/docs", api.swagger_ui())
        .nest("/api", api)
        .data(graphql::schema(Arc::clone(&services)))
        .around(limits::bound)
        .data(services)
        .data(limits)
        .catch_all_error(error::as_response)
        .around(name_methods)
        .with(CatchPanic::new().with_handler(error::after_panic))
        .with(RequestId::default())
        .with(Compression::default())
        .around(leave_streams_alone)
        .map_to_response()
        .boxed()
}

/// A stream of events is not compressed: what is packed waits for more to pack with it. Neither is
/// the answer to who opens a socket, which has no body.
async fn leave_streams_alone<E: Endpoint>(endpoint: Arc<E>, mut request: Request) -> poem::Result<E::Output> {
    if rest::wants_stream(&request) || request.headers().contains_key(header::UPGRADE) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    endpoint.call(request).await
}

/// Says with a 405 which methods the route has (RFC 9110, section 15.5.6).
async fn name_methods<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let path = request.uri().path();
    let methods = METHODS.iter().find(|(route, _)| is_of(path, route));
    let methods = methods.map_or("GET, HEAD", |(_, methods)| *methods);
    let mut response = endpoint.call(request).await?.into_response();
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let methods = HeaderValue::from_static(methods);
        response.headers_mut().insert(header::ALLOW, methods);
    }
    Ok(response)
}

fn is_of(path: &str, route: &str) -> bool {
    path.split('/').count() == route.split('/').count()
        && (path.split('/').zip(route.split('/'))).all(|(part, known)| known == "*" || part == known)
}
