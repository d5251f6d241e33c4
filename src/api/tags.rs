//! Entity tags: who has an answer already asks whether it is still so, and gets 304 without a body.
//!
//! The tag of a profile is made of what is answered, and not of the profile's revision: an answer
//! also says what cohorts are called, and shows as much as was asked for. Either way the person is
//! read; what is saved is what would be sent.

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use poem::{Body, Endpoint, IntoResponse as _, Request, Response};
use sha2::{Digest as _, Sha256};

use super::is_of;

/// The routes whose answers carry a tag, as the description names them.
pub const TAGGED: &[&str] = &[
    "/api/user",
    "/api/profiles/{id}/graph",
    "/api/profiles/{id}/provenance",
    "/api/profiles/{id}/timeline",
    "/api/cohorts",
    "/api/cohorts/{cohort}",
];

/// Whoever keeps the answer asks before using it again, and nobody keeps it for others.
const CACHING: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Tags what the endpoint answers, or says that it is known.
///
/// # Errors
/// As the endpoint.
pub async fn tag<E: Endpoint>(endpoint: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let method = request.method().clone();
    let path = request.uri().path();
    if !matches!(method, Method::GET | Method::HEAD) || !TAGGED.iter().any(|route| is_of(path, route)) {
        return Ok(endpoint.call(request).await?.into_response());
    }
    let asked = request.headers().clone();
    // What a HEAD is told of is what a GET would get.
    request.set_method(Method::GET);
    let mut response = endpoint.call(request).await?.into_response();
    if response.status() != StatusCode::OK {
        return Ok(response);
    }
    let bytes = response.take_body().into_bytes().await?;
    let tag = weak_tag(&Sha256::digest(&bytes));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHING);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    if is_known(&asked, &tag) {
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_LENGTH);
        response.set_status(StatusCode::NOT_MODIFIED);
        return Ok(response);
    }
    if method == Method::GET {
        response.set_body(Body::from_bytes(bytes));
    }
    Ok(response)
}

/// A tag of a content's hash. Weak, since compression on the way changes the bytes and not what
/// they say.
pub fn weak_tag(hash: &[u8]) -> String {
    format!("W/\"{}\"", hex::encode(hash))
}

/// Whether who asks holds the content that `tag` names.
pub fn is_known(asked: &HeaderMap, tag: &str) -> bool {
    asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || same(known, tag))
}

/// Weak comparison (RFC 9110, section 8.8.3.2).
fn same(one: &str, other: &str) -> bool {
    let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
    opaque(one) == opaque(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_by_itself_among_others_and_by_a_star() {
        let tag = weak_tag(&[0xab, 0xcd]);
        assert_eq!(tag, "W/\"abcd\"");
        for (sent, known) in [
            ("W/\"abcd\"", true),
            ("\"abcd\"", true),
            ("\"1\", W/\"abcd\"", true),
            ("*", true),
            ("W/\"1\"", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(sent).unwrap());
            assert_eq!(is_known(&headers, &tag), known, "{sent}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
    }
}
