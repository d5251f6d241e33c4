//! `/v1`: what Segment's libraries call, and those that speak as they do.
//!
//! The answers are those that the libraries know. An event that is refused is kept as a reject,
//! and answered as the others are: its sender could only send it again.

use std::sync::Arc;

use poem::error::NotFoundError;
use poem::http::{StatusCode, header};
use poem::web::{Data, Json, Path};
use poem::{Body, IntoResponse as _, Request, Response, Result, handler};
use serde_json::{Value, json};

use super::error::ApiError;
use super::senders::{self, Settings};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::write_key::KeyKind;
use crate::services::Services;
use crate::services::ingest::events::{Call, Received};

/// Where Segment's library for browsers sends how it fares itself, which nobody here asks.
const LIBRARY_METRICS: &str = "m";

/// `POST /v1/:call`: one event, or a batch.
#[handler]
pub async fn receive(
    request: &Request,
    Path(call): Path<String>,
    Data(services): Data<&Arc<Services>>,
    Data(settings): Data<&Settings>,
    body: Body,
) -> Result<Response> {
    if call == LIBRARY_METRICS {
        return Ok(success().into_response());
    }
    let call = Call::named(&call).ok_or(NotFoundError)?;
    let received = take(request, services, settings, call, body).await;
    received.map_err(ApiError::from)?;
    Ok(success().into_response())
}

async fn take(
    request: &Request,
    services: &Services,
    settings: &Settings,
    call: Call,
    body: Body,
) -> Result<(), Error> {
    let mut received = read(body, call).await?;
    let key = senders::key(request, services, &received)?;
    let is_visitor = key.kind == KeyKind::Public;
    if is_visitor && settings.obey_opt_out && senders::is_opted_out(request.headers()) {
        received.retain_consented(&settings.purpose, true);
    }
    services.events.take(&key.source, received).await
}

/// Reads a body to its end; how much it may be was seen to before.
pub(super) async fn read(body: Body, call: Call) -> Result<Received, Error> {
    let broken = |_| Error::new(ErrorCode::Unparseable, "the body could not be read to its end");
    Received::read(&body.into_bytes().await.map_err(broken)?, call)
}

fn success() -> Json<Value> {
    Json(json!({ "success": true }))
}

/// `GET /v1/projects/:key/settings`: what Segment's library for browsers asks before anything
/// else. It is told to send here, and to load nothing more.
#[handler]
pub fn project(
    request: &Request,
    Path(key): Path<String>,
    Data(services): Data<&Arc<Services>>,
    Data(settings): Data<&Settings>,
) -> Result<Response> {
    if !services.write_keys.is_public(&key) {
        let error = Error::not_found("there is no such public write key");
        return Err(ApiError::from(error).into());
    }
    let (protocol, host) = found_at(request, settings);
    let everything = json!({ "__default": { "enabled": true, "integrations": {} } });
    let settings = json!({
        "integrations": {
            "Segment.io": {
                "apiKey": key,
                "apiHost": format!("{host}/v1"),
                "protocol": protocol,
                "addBundledMetadata": false,
                "unbundledIntegrations": [],
                "maybeBundledConfigIds": {},
                "versionSettings": { "version": "4.4.7", "componentTypes": ["browser"] },
            },
        },
        "plan": { "track": everything, "identify": everything, "group": everything },
        "edgeFunction": {},
        "analyticsNextEnabled": true,
        "middlewareSettings": {},
        "enabledMiddleware": {},
        "metrics": { "sampleRate": 0 },
        "legacyVideoPluginsEnabled": false,
        "remotePlugins": [],
    });
    let answer = Json(settings).with_header(header::CACHE_CONTROL, "no-store");
    Ok(answer.with_status(StatusCode::OK).into_response())
}

/// The protocol and the host by which a browser finds this server.
fn found_at(request: &Request, settings: &Settings) -> (String, String) {
    let public = settings
        .public_url
        .as_deref()
        .and_then(|url| url.split_once("://"));
    if let Some((protocol, host)) = public {
        return (protocol.to_owned(), host.trim_end_matches('/').to_owned());
    }
    let said = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = said(header::HOST.as_str()).unwrap_or_default();
    (protocol(request).to_owned(), host.to_owned())
}

/// Whether a browser came by `https` or `http`: what a proxy in front says, else how it came here.
pub(super) fn protocol(request: &Request) -> &'static str {
    let said = request
        .headers()
        .get("x-forwarded-proto")
        .and_then(|value| value.to_str().ok());
    let is_secure = match said {
        Some(said) => said
            .split(',')
            .next()
            .is_some_and(|first| first.trim().eq_ignore_ascii_case("https")),
        None => request.scheme() == &poem::http::uri::Scheme::HTTPS,
    };
    if is_secure { "https" } else { "http" }
}
