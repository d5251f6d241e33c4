//! Routes that will go: the table of them, and what their answers say of it. How routes come and
//! go stands in docs/API.md.

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderName, HeaderValue, header};
use poem::{Endpoint, IntoResponse as _, Request, Response};

use super::is_of;

/// A route that will go.
#[derive(Debug)]
pub struct Deprecation {
    /// The method, in capitals.
    pub method: &'static str,
    /// The route, as the description names it.
    pub route: &'static str,
    /// Since when it should not be used any more, in seconds since 1970 (RFC 9745).
    pub since: i64,
    /// When it goes, as an HTTP date (RFC 8594).
    pub sunset: &'static str,
    /// Where it says what to use in its place.
    pub link: &'static str,
}

/// The routes that will go; none today.
pub const DEPRECATED: &[Deprecation] = &[];

const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET: HeaderName = HeaderName::from_static("sunset");

impl Deprecation {
    /// Whether it is about an operation of the description.
    #[must_use]
    pub fn is_described_as(&self, method: &str, route: &str) -> bool {
        self.method.eq_ignore_ascii_case(method) && self.route == route
    }

    fn is_of(&self, method: &str, path: &str) -> bool {
        self.method == method && is_of(path, self.route)
    }

    fn say(&self, headers: &mut HeaderMap) {
        let link = format!("<{}>; rel=\"deprecation\"", self.link);
        for (name, text) in [
            (DEPRECATION, format!("@{}", self.since)),
            (SUNSET, self.sunset.to_owned()),
            (header::LINK, link),
        ] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.append(name, value);
            }
        }
    }
}

/// Says with each answer of a deprecated route that it is one.
///
/// # Errors
/// As the endpoint.
pub async fn announce<E: Endpoint>(endpoint: Arc<E>, request: Request) -> poem::Result<Response> {
    let deprecation = find(DEPRECATED, request.method().as_str(), request.uri().path());
    let mut response = endpoint.call(request).await?.into_response();
    if let Some(deprecation) = deprecation {
        deprecation.say(response.headers_mut());
    }
    Ok(response)
}

fn find<'a>(table: &'a [Deprecation], method: &str, path: &str) -> Option<&'a Deprecation> {
    table.iter().find(|one| one.is_of(method, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Deprecation] = &[Deprecation {
        method: "GET",
        route: "/api/profiles/{id}/graph",
        since: 1_798_761_600,
        sunset: "Fri, 31 Dec 2027 00:00:00 GMT",
        link: "https://example.com/migrate",
    }];

    #[test]
    fn a_deprecated_route_says_since_when_until_when_and_what_instead() {
        let found = find(TABLE, "GET", "/api/profiles/p1/graph").unwrap();
        let mut headers = HeaderMap::new();
        found.say(&mut headers);
        assert_eq!(headers["deprecation"], "@1798761600");
        assert_eq!(headers["sunset"], "Fri, 31 Dec 2027 00:00:00 GMT");
        assert_eq!(
            headers["link"],
            "<https://example.com/migrate>; rel=\"deprecation\""
        );
        assert!(found.is_described_as("get", "/api/profiles/{id}/graph"));
    }

    #[test]
    fn others_say_nothing() {
        for (method, path) in [
            ("POST", "/api/profiles/p1/graph"),
            ("GET", "/api/profiles/p1/timeline"),
            ("GET", "/api/profiles/p1/graph/more"),
        ] {
            assert!(find(TABLE, method, path).is_none(), "{method} {path}");
        }
    }
}
