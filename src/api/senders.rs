//! Who sends events: a program with a write key, or a browser with one that everybody may read.
//!
//! A browser asks beforehand whether it may send (CORS), and doesn't show its key when it asks.
//! So any origin may ask from which some key is good, and what it sends is then judged by its own
//! key.

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderValue, Method, header};
use poem::web::headers::authorization::Basic;
use poem::web::headers::{Authorization, HeaderMapExt as _};
use poem::{Endpoint, IntoResponse, Request, Response};
use serde::Deserialize;

use super::cors::preflight;
use super::error::{self, ApiError};
use super::headers::vary;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::write_key::WriteKey;
use crate::services::Services;
use crate::services::ingest::events::Received;

/// The collector's own routes, and the folder of those that Segment's libraries know.
const COLLECTOR: [&str; 2] = ["/collect", "/collect.js"];
const SEGMENT: &str = "/v1/";

/// What a browser may do, for how many seconds it need not ask again, and what a page may read
/// of an answer besides its body.
const ALLOWED_METHODS: &str = "GET, POST";
const ALLOWED_HEADERS: &str = "authorization, content-type, content-encoding, x-retry-count";
const ALLOWED_FOR_S: &str = "600";
const EXPOSED_HEADERS: &str = "retry-after, x-request-id";

/// The header of Global Privacy Control, and that of Do Not Track before it.
const OPT_OUT_HEADERS: [&str; 2] = ["sec-gpc", "dnt"];

/// How visitors of websites are known, and what they decide.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name of the cookie that `/collect` sets.
    pub cookie_name: String,
    /// The domain of the cookie, so that all hosts of a site share it; unset, it is that of the
    /// host that answers.
    pub cookie_domain: Option<String>,
    /// For how many days it is kept.
    pub cookie_days: u32,
    /// The purpose of consent that collecting is for.
    pub purpose: String,
    /// Whether nothing is stored of visitors who did not agree to it.
    pub consent_required: bool,
    /// Whether browsers that send `Sec-GPC` or `DNT` are taken at their word: nothing is stored
    /// of their visitors without consent.
    pub obey_opt_out: bool,
    /// Where browsers find this server, such as `https://data.shop.example`, for Segment's library;
    /// unset, where they found it.
    pub public_url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cookie_name: "cdp_id".to_owned(),
            cookie_domain: None,
            cookie_days: 395,
            purpose: "analytics".to_owned(),
            consent_required: false,
            obey_opt_out: true,
            public_url: None,
        }
    }
}

/// Whether a path is for senders: they are no callers, and browsers may ask from elsewhere.
pub fn is_for_senders(path: &str) -> bool {
    COLLECTOR.contains(&path) || path.starts_with(SEGMENT)
}

/// Whether a request to a sender's route brings a server's key that is good. A public one makes
/// nobody known: it stands in websites for all to read.
pub fn is_program(request: &Request) -> bool {
    let services = request.data::<Arc<Services>>();
    let basic = request.headers().typed_get::<Authorization<Basic>>();
    let is_good = services
        .zip(basic)
        .is_some_and(|(services, basic)| services.write_keys.is_server(basic.0.username()));
    is_good && is_for_senders(request.uri().path())
}

/// The key of a request, by its user name or by its body, if it is good for it.
///
/// # Errors
/// Unauthorized without a key, and for one that proves nothing; forbidden for one that is not
/// for such a request.
pub fn key(request: &Request, services: &Services, received: &Received) -> Result<Arc<WriteKey>, Error> {
    let basic = request.headers().typed_get::<Authorization<Basic>>();
    let of_header = basic.as_ref().map(|basic| basic.0.username());
    let text = of_header.filter(|text| !text.is_empty()).or(received.write_key());
    let missing = "a write key is needed, as the user name of Basic authentication or as `writeKey`";
    let text = text.ok_or_else(|| Error::new(ErrorCode::Unauthorized, missing))?;
    services.write_keys.verify(text, origin(request.headers()))
}

/// Whether a browser says that its user does not want to be followed.
pub fn is_opted_out(headers: &HeaderMap) -> bool {
    let says = |name: &&str| headers.get(*name).is_some_and(|value| value == "1");
    OPT_OUT_HEADERS.iter().any(says)
}

/// Where a browser's page comes from; none for what is no browser.
fn origin(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::ORIGIN)?.to_str().ok()
}

/// Answers browsers that ask whether they may send, and lets pages read what they are answered.
///
/// # Errors
/// Whatever the endpoint fails with, elsewhere; senders get an answer in any case.
pub async fn answer<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    if !is_for_senders(request.uri().path()) {
        return endpoint.call(request).await.map(IntoResponse::into_response);
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let services = request.data::<Arc<Services>>().cloned();
    let admits = |origin: &HeaderValue| {
        let origin = origin.to_str().ok()?;
        services.filter(|services| services.write_keys.admits(origin))
    };
    let admitted = origin.filter(|origin| admits(origin).is_some());
    let mut response = match (request.method() == Method::OPTIONS, &admitted) {
        (true, Some(_)) => preflight(ALLOWED_METHODS, ALLOWED_HEADERS, ALLOWED_FOR_S),
        (true, None) => not_admitted(),
        (false, _) => match endpoint.call(request).await {
            Ok(response) => response.into_response(),
            Err(failed) => error::as_response(failed).await,
        },
    };
    let headers = response.headers_mut();
    vary(headers, "origin");
    if let Some(origin) = admitted {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED_HEADERS),
        );
    }
    Ok(response)
}

fn not_admitted() -> Response {
    let error = Error::new(ErrorCode::Forbidden, "no write key is good from this origin");
    ApiError::from(error).into_response()
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderName;

    use super::*;

    #[test]
    fn a_browser_that_opts_out_is_heard() {
        for (name, value, is_out) in [
            ("sec-gpc", "1", true),
            ("DNT", "1", true),
            ("dnt", "0", false),
            ("sec-gpc", "", false),
            ("x-gpc", "1", false),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
            assert_eq!(is_opted_out(&headers), is_out, "{headers:?}");
        }
    }

    #[test]
    fn senders_have_routes_of_their_own() {
        for path in ["/collect", "/collect.js", "/v1/track", "/v1/projects/k/settings"] {
            assert!(is_for_senders(path), "{path}");
        }
        for path in ["/", "/api/ingest", "/collector", "/v1", "/graphql"] {
            assert!(!is_for_senders(path), "{path}");
        }
    }
}
