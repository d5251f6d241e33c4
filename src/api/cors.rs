//! Pages of other origins (CORS): those that a setting names may call, and no others.
//!
//! Not the framework's middleware: that one refuses every request with an `Origin` which is not in
//! its list, also that of our own page, since browsers send one with each POST; it replaces `Vary`;
//! and an empty list means everybody. Nothing here allows credentials: a token is sent by the page,
//! never by the browser on its own, so no page can act for who is logged in elsewhere.

use std::sync::Arc;

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, EndpointExt as _, IntoResponse as _, Request, Response};
use serde::Deserialize;

use super::headers::vary;

/// Where a page comes from: `https://shop.example`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origin(HeaderValue);

/// A text that is no origin.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an origin; write for example `https://shop.example`, without a path, and no `*`")]
pub struct OriginError(String);

/// What a page may send.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// Which headers it may send with that.
const HEADERS: &str = "authorization, content-type, content-encoding, content-disposition, if-none-match, \
     idempotency-key, last-event-id, prefer, traceparent, x-request-id";

/// Which headers of an answer it may read.
const EXPOSED: &str = "content-disposition, deprecation, etag, link, retry-after, sunset, x-request-id";

/// How long a browser may remember what it may send, in seconds.
const MAX_AGE: &str = "7200";

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        let authority = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_host = |authority: &str| {
            let may_be = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
            !authority.is_empty() && authority.chars().all(may_be)
        };
        match (authority.is_some_and(is_host), HeaderValue::from_str(&text)) {
            (true, Ok(value)) => Ok(Self(value)),
            _ => Err(OriginError(text)),
        }
    }
}

/// An endpoint that pages of these origins may call.
pub fn allow<E>(endpoint: E, origins: Vec<Origin>) -> impl Endpoint<Output = Response>
where
    E: Endpoint + 'static,
{
    let origins = Arc::new(origins);
    endpoint.around(move |endpoint, request| answer(Arc::clone(&origins), endpoint, request))
}

async fn answer<E: Endpoint>(
    origins: Arc<Vec<Origin>>,
    endpoint: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    let origin = request.headers().get(header::ORIGIN);
    let origin = origin
        .filter(|origin| origins.iter().any(|known| known.0 == **origin))
        .cloned();
    let mut response = match &origin {
        Some(_) if is_preflight(&request) => preflight(METHODS, HEADERS, MAX_AGE),
        _ => endpoint.call(request).await?.into_response(),
    };
    let headers = response.headers_mut();
    if !origins.is_empty() {
        vary(headers, "origin");
    }
    if let Some(origin) = origin
        && !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
    Ok(response)
}

fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a page that asks what it may send: which methods, with which headers, and for how
/// many seconds it need not ask again.
pub(super) fn preflight(methods: &'static str, headers: &'static str, max_age: &'static str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend([
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(methods),
        ),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(headers),
        ),
        (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(max_age)),
    ]);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host() {
        for (text, is_one) in [
            ("https://shop.example", true),
            ("http://localhost:5173", true),
            ("http://[::1]:3000", true),
            ("*", false),
            ("https://*.shop.example", false),
            ("null", false),
            ("shop.example", false),
            ("https://shop.example/", false),
            ("https://Shop.example", false),
            ("https://", false),
        ] {
            assert_eq!(Origin::try_from(text.to_owned()).is_ok(), is_one, "{text}");
        }
    }
}
