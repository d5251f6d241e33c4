//! Versions of the API: `/api/v1/…` is `/api/…`.
//!
//! There is one version. Its routes stand at `/api`, as they always did, and whoever wants to be
//! sure that they stay what they are names the version. One that breaks them would be `/api/v2`,
//! beside this one.

use std::borrow::Cow;
use std::sync::Arc;

use poem::http::Uri;
use poem::http::uri::PathAndQuery;
use poem::{Endpoint, IntoResponse as _, Request, Response};

const API: &str = "/api";
const VERSION: &str = "/v1";

/// Leads requests that name the version to the routes.
///
/// # Errors
/// As the endpoint.
pub async fn lead<E: Endpoint>(endpoint: Arc<E>, mut request: Request) -> poem::Result<Response> {
    if let Some(uri) = unversioned(request.uri()) {
        *request.uri_mut() = uri;
    }
    Ok(endpoint.call(request).await?.into_response())
}

/// A path without the version, whether it names one or not.
pub(super) fn without(path: &str) -> Cow<'_, str> {
    let rest = path.strip_prefix(API).and_then(|rest| rest.strip_prefix(VERSION));
    match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => Cow::Owned(format!("{API}{rest}")),
        None => Cow::Borrowed(path),
    }
}

/// The same address without the version, if it names one.
fn unversioned(uri: &Uri) -> Option<Uri> {
    let Cow::Owned(path) = without(uri.path()) else {
        return None;
    };
    let query = uri.query().map(|query| format!("?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path + &query.unwrap_or_default()).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_is_taken_out() {
        for (before, after) in [
            (
                "/api/v1/user?cookie=/api/v1/a",
                Some("/api/user?cookie=/api/v1/a"),
            ),
            ("/api/v1", Some("/api")),
            ("/api/v1?a=b", Some("/api?a=b")),
            ("/api/user", None),
            ("/api/v10/user", None),
            ("/api/v2/user", None),
            ("/v1/track", None),
            ("/apiv1/user", None),
        ] {
            let found = unversioned(&before.parse().unwrap());
            assert_eq!(found.map(|uri| uri.to_string()).as_deref(), after, "{before}");
        }
    }
}
