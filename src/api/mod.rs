//! The web: every route on one page. Handlers check who asks, call a service, and put its
//! answer into a shape; they hold no logic of their own and never see the store.
//!
//! [`error`] is the one error body, [`guard`] makes a permission an argument type,
//! [`limits`] bounds what a request may cost, [`load`] what all together may, [`rate`] how often one may ask,
//! [`connections`] who may be connected; [`audit`] tells who did what; [`rest`] and [`graphql`]
//! are the two skins, [`assets`] the pages, [`health`] the probes, [`well_known`] the keys;
//! [`senders`] are programs and websites with a write key, which call [`segment`] and [`collect`];
//! [`client`] says where a request comes from, [`tls`] how it is kept from others' eyes. Around all of them [`trace`]
//! names each request, which [`meter`] measures by its [`templates`],
//! [`versions`] leads to the routes, [`cors`] and [`headers`] speak to browsers, [`tags`] to caches,
//! and [`deprecation`] to those who must move on.

pub mod assets;
pub mod audit;
pub mod client;
pub mod collect;
pub mod connections;
pub mod cors;
pub mod deprecation;
pub mod error;
pub mod finish;
pub mod graphql;
pub mod guard;
pub mod headers;
pub mod health;
pub mod limits;
pub mod load;
pub mod meter;
pub mod rate;
pub mod rest;
pub mod segment;
pub mod senders;
pub mod tags;
pub mod templates;
pub mod tls;
pub mod trace;
pub mod versions;
pub mod well_known;

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use poem::endpoint::{BoxEndpoint, make_sync};
use poem::http::{HeaderValue, StatusCode, header};
use poem::middleware::{CatchPanic, Compression};
use poem::{Endpoint, EndpointExt, IntoResponse as _, Request, Response, Route, get, post};
use serde::Deserialize;

use crate::services::Services;
use client::{Proxies, ProxyError};
use cors::Origin;
use limits::Limits;
use load::Load;
use rate::Rates;

/// How the web is served.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen.
    pub listen: String,
    /// What to speak TLS with.
    pub tls: tls::Settings,
    /// What a request may cost.
    pub limits: Limits,
    /// How long a server that was told to stop still takes connections, while it says that it is
    /// not ready.
    pub drain_s: u64,
    /// How long requests that are under way may take to end when the server stops.
    pub shutdown_grace_s: u64,
    /// How visitors of websites are known, and what they decide.
    pub collector: senders::Settings,
    /// Whether `/metrics` answers without a token; unset, a demo's does, and no other.
    pub metrics_are_public: Option<bool>,
    /// Proxies that say who their clients are: addresses, and networks such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
    /// The origins of pages elsewhere that may call.
    pub cors_origins: Vec<Origin>,
    /// What GraphQL shows and runs.
    pub graphql: graphql::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            tls: tls::Settings::default(),
            limits: Limits::default(),
            drain_s: 0,
            shutdown_grace_s: 20,
            collector: senders::Settings::default(),
            metrics_are_public: None,
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            graphql: graphql::Settings::default(),
        }
    }
}

/// The methods of the routes that are not read only; `*` stands for an id. All others have one
/// method, and a test holds this list against the description.
const METHODS: &[(&str, &str)] = &[
    ("/api/auth/keys/rotate", "POST"),
    ("/api/auth/password", "PUT"),
    ("/api/auth/refresh", "POST"),
    ("/api/auth/revoke", "POST"),
    ("/api/auth/sessions/*", "DELETE"),
    ("/api/auth/token", "POST"),
    ("/api/auth/users", "GET, HEAD, POST"),
    ("/api/auth/users/*", "DELETE, PUT"),
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
    ("/api/rules/*", "DELETE, GET, HEAD, PUT"),
    ("/api/suppressions", "DELETE, GET, HEAD, POST"),
    ("/api/user", "DELETE, GET, HEAD"),
    ("/api/webhooks", "GET, HEAD, POST"),
    ("/api/webhooks/*", "DELETE, GET, HEAD, PUT"),
    ("/api/webhooks/*/replay", "POST"),
    ("/api/webhooks/*/rotate", "POST"),
    ("/api/webhooks/*/test", "POST"),
    ("/api/write-keys", "GET, HEAD, POST"),
    ("/api/write-keys/*", "DELETE"),
    ("/collect", "POST"),
    ("/graphql", "POST"),
    ("/v1/*", "POST"),
];

/// By whom a route may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// Anybody.
    Anybody,
    /// Callers with a token.
    Callers,
    /// Programs and websites with a write key.
    Senders,
}

/// The routes beside those of the description, and by whom they may be asked; `*` stands for a part
/// of the path, and at its end for all below it. A test asks each of them, and holds the list against
/// the router.
pub const UNDESCRIBED: &[(&str, &str, AskedBy)] = &[
    ("GET", "/", AskedBy::Anybody),
    ("GET", "/.well-known/jwks.json", AskedBy::Anybody),
    ("GET", "/assets/*", AskedBy::Anybody),
    ("GET", "/collect.js", AskedBy::Anybody),
    ("GET", "/docs", AskedBy::Anybody),
    ("GET", "/graphiql", AskedBy::Anybody),
    // Opens a socket; who asks is said by its first message.
    ("GET", "/graphql", AskedBy::Anybody),
    ("GET", "/healthz", AskedBy::Anybody),
    ("GET", "/metrics", AskedBy::Callers),
    ("GET", "/openapi.json", AskedBy::Anybody),
    ("GET", "/readyz", AskedBy::Anybody),
    // Says the same for every key, also for one that is none.
    ("GET", "/v1/projects/*/settings", AskedBy::Anybody),
    ("POST", "/collect", AskedBy::Senders),
    ("POST", "/graphql", AskedBy::Callers),
    ("POST", "/v1/*", AskedBy::Senders),
];

/// Every route.
///
/// # Errors
/// When a proxy that is to be trusted is none.
pub fn routes(
    services: Arc<Services>,
    settings: &Settings,
    metrics: PrometheusHandle,
) -> Result<BoxEndpoint<'static, Response>, ProxyError> {
    let metrics_are_public = settings.metrics_are_public.unwrap_or_default();
    let api = rest::service();
    let routes = Route::new()
        .at("/", get(assets::index))
        .at("/.well-known/jwks.json", get(well_known::jwks))
        .at("/graphiql", get(assets::graphiql))
        .at("/assets/*path", get(assets::asset))
        .at("/healthz", get(health::alive))
        .at("/readyz", get(health::ready))
        .at(
            "/metrics",
            get(health::metrics).data(health::Metrics::new(metrics, metrics_are_public)),
        )
        .at("/collect", post(collect::collect))
        .at("/collect.js", get(assets::snippet))
        .at("/v1/:call", post(segment::receive))
        .at("/v1/projects/:key/settings", get(segment::project))
        .at("/graphql", post(graphql::endpoint).get(graphql::subscriptions))
        .at("/openapi.json", get(make_sync(|_| describe())))
        .nest("/docs", rest::documentation(&api))
        .nest("/api", api)
        .data(graphql::schema(Arc::clone(&services), settings.graphql))
        .data(settings.collector.clone());
    dress(routes, services, settings)
}

/// Puts around routes what each request passes: bounds, limits, the audit log, what is said to
/// browsers and caches. For [`routes`], and for a benchmark that compares other routes with them.
///
/// # Errors
/// When a proxy that is to be trusted is none.
pub fn dress<E>(
    routes: E,
    services: Arc<Services>,
    settings: &Settings,
) -> Result<BoxEndpoint<'static, Response>, ProxyError>
where
    E: Endpoint + 'static,
{
    let proxies = Arc::new(Proxies::new(&settings.trusted_proxies)?);
    let limits = settings.limits;
    let routes = routes
        .around(limits::bound)
        // Within what is under way: a token of another issuer may have to wait for that one's keys.
        .around(rate::limit)
        .around(load::shed)
        .around(senders::answer)
        .around(audit::tell)
        .boxed()
        .around(finish::finish)
        .data(Arc::new(Rates::new(&limits)))
        .data(Arc::new(Load::new(&limits)))
        .data(services)
        .data(proxies)
        .data(limits)
        .catch_all_error(error::as_response)
        .map_to_response()
        .boxed();
    Ok(surround(routes, settings))
}

/// What holds for every route. Boxed here and there, since each layer is of the type of all that
/// it surrounds.
fn surround(routes: BoxEndpoint<'static, Response>, settings: &Settings) -> BoxEndpoint<'static, Response> {
    let answering = routes
        .around(tags::tag)
        .around(deprecation::announce)
        .around(name_methods)
        .with(CatchPanic::new().with_handler(error::after_panic))
        .map_to_response()
        .boxed();
    let speaking = answering
        .with(Compression::default())
        .around(leave_streams_alone)
        .around(headers::complete)
        .boxed();
    cors::allow(speaking, settings.cors_origins.clone())
        .around(versions::lead)
        .around(trace::trace)
        .map_to_response()
        .boxed()
}

/// `GET /openapi.json`: the description.
fn describe() -> Response {
    Response::builder()
        .content_type("application/json")
        .body(rest::description::text())
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
    // The request is used up before its status is known.
    let uri = request.uri().clone();
    let mut response = endpoint.call(request).await?.into_response();
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        let known = METHODS.iter().find(|(route, _)| is_of(uri.path(), route));
        let methods = HeaderValue::from_static(known.map_or("GET, HEAD", |(_, methods)| *methods));
        response.headers_mut().insert(header::ALLOW, methods);
    }
    Ok(response)
}

/// Whether a path is one of a route's: `*` and `{id}` stand for any part.
fn is_of(path: &str, route: &str) -> bool {
    let (mut parts, mut known) = (path.split('/'), route.split('/'));
    loop {
        match (parts.next(), known.next()) {
            (None, None) => return true,
            (Some(part), Some(known)) if is_any(known) || part == known => {}
            _ => return false,
        }
    }
}

fn is_any(known: &str) -> bool {
    known == "*" || known.starts_with('{')
}
