//! What every answer says to browsers and caches, unless its route says something else.

use std::sync::Arc;

use poem::http::uri::Scheme;
use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};

/// Nothing is guessed, framed, or told to other hosts.
const SECURITY: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'none'"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Said where TLS is spoken, here or by a proxy: browsers are to come by it for a year.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Where the answers lie that are somebody's, and nobody else's to keep.
const PRIVATE: [&str; 3] = ["/api", "/graphql", "/metrics"];

/// With these a body may lie unread in the connection, which is closed behind the answer: a client
/// that is not told would send its next request into it.
const CLOSING: [StatusCode; 2] = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::SERVICE_UNAVAILABLE];

/// Completes what the endpoint answers.
///
/// # Errors
/// As the endpoint.
pub async fn complete<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let came_by_tls = *request.scheme() == Scheme::HTTPS || says_tls(request.headers());
    let is_private = is_private(request.uri().path());
    let mut response = endpoint.call(request).await?.into_response();
    let is_closing = CLOSING.contains(&response.status());
    let headers = response.headers_mut();
    if is_closing {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(value);
    }
    if came_by_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if is_private {
        let caching = headers.entry(header::CACHE_CONTROL);
        caching.or_insert(HeaderValue::from_static("no-store"));
        vary(headers, "authorization");
    }
    vary(headers, "accept-encoding");
    Ok(response)
}

/// Says that an answer depends on a header of the request.
pub fn vary(headers: &mut HeaderMap, on: &'static str) {
    let said = headers.get_all(header::VARY).iter();
    let is_said = said
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim() == "*" || name.trim().eq_ignore_ascii_case(on));
    if !is_said {
        headers.append(header::VARY, HeaderValue::from_static(on));
    }
}

/// What a proxy says that ends TLS. Whoever says so without one gets a header that browsers heed
/// only over TLS.
fn says_tls(headers: &HeaderMap) -> bool {
    let protocol = headers.get("x-forwarded-proto");
    protocol.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"https"))
}

fn is_private(path: &str) -> bool {
    PRIVATE
        .iter()
        .filter_map(|prefix| path.strip_prefix(prefix))
        .any(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_depends_on_is_said_once() {
        let mut headers = HeaderMap::new();
        vary(&mut headers, "origin");
        vary(&mut headers, "accept-encoding");
        vary(&mut headers, "origin");
        let said: Vec<_> = headers.get_all(header::VARY).iter().collect();
        assert_eq!(said, ["origin", "accept-encoding"]);
        headers.insert(header::VARY, HeaderValue::from_static("*"));
        vary(&mut headers, "origin");
        assert_eq!(headers.get_all(header::VARY).iter().count(), 1);
    }

    #[test]
    fn what_is_somebodys_is_not_kept() {
        for (path, private) in [
            ("/api/user", true),
            ("/graphql", true),
            ("/graphiql", false),
            ("/apiary", false),
            ("/", false),
        ] {
            assert_eq!(is_private(path), private, "{path}");
        }
    }
}
