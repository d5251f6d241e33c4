//! `GET /.well-known/jwks.json`: the public halves of the keys that sign tokens, for whoever checks
//! them elsewhere.

use std::sync::Arc;

use poem::http::header;
use poem::web::Data;
use poem::{Response, handler};

use crate::services::Services;

/// How long a copy may be used. A new key is not among it, which whoever checks tokens finds by its
/// id, and fetches the set again.
const CACHING: &str = "public, max-age=300";

/// The keys, as a JWK set (RFC 7517).
#[handler]
pub fn jwks(Data(services): Data<&Arc<Services>>) -> Response {
    Response::builder()
        .content_type("application/jwk-set+json")
        .header(header::CACHE_CONTROL, CACHING)
        .body(services.accounts.jwks().to_string())
}
