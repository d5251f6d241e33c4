//! What a request may cost.

use poem::error::ReadBodyError;
use poem::http::header;
use poem::{Body, Endpoint, IntoResponse, Request, Response};
use serde::Deserialize;

use super::error::ApiError;
use crate::domain::error::{Error, ErrorCode};

/// The route whose body is streamed; it counts its own bytes as they come.
const STREAMED: &str = "/api/ingest";

/// The content encodings that the router unpacks before this.
const UNPACKED: [&str; 5] = ["gzip", "deflate", "br", "zstd", "identity"];

/// The bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The most bytes of one payload to ingest, unpacked.
    pub ingest_bytes_max: u64,
    /// The most bytes of any other body.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ingest_bytes_max: 64 * 1024 * 1024,
            body_bytes_max: 4 * 1024 * 1024,
        }
    }
}

/// Refuses a body that says it is too large before a byte of it is read, and stops reading
/// one that does not say so. Bodies were unpacked before this, so a small one that unpacks
/// to a large one counts as large.
///
/// # Errors
/// Payload too large, and whatever the endpoint fails with.
pub async fn bound<E: Endpoint>(endpoint: std::sync::Arc<E>, mut request: Request) -> poem::Result<Response> {
    let limits = request.data::<Limits>().copied();
    let limits = limits.ok_or_else(|| ApiError::from(Error::internal("no limits are attached")))?;
    check_encoding(&request)?;
    let is_streamed = request.uri().path() == STREAMED;
    let most = if is_streamed {
        limits.ingest_bytes_max
    } else {
        limits.body_bytes_max as u64
    };
    let said = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if said.is_some_and(|said: u64| said > most) {
        return Err(too_large(most));
    }
    if !is_streamed {
        let body = request.take_body().into_bytes_limit(limits.body_bytes_max).await;
        request.set_body(Body::from_bytes(body.map_err(|error| unread(&error, most))?));
    }
    endpoint.call(request).await.map(IntoResponse::into_response)
}

/// A body that was packed in a way that nobody here unpacks would be read as what it is not.
fn check_encoding(request: &Request) -> poem::Result<()> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    let is_known = encoding.is_none_or(|encoding| UNPACKED.iter().any(|known| encoding == known));
    if is_known {
        return Ok(());
    }
    let message = format!("the content encodings that are read are {}", UNPACKED.join(", "));
    Err(
        ApiError::from(Error::new(ErrorCode::UnsupportedMediaType, message).with_field("content-encoding"))
            .into(),
    )
}

fn unread(error: &ReadBodyError, most: u64) -> poem::Error {
    if matches!(error, ReadBodyError::PayloadTooLarge) {
        return too_large(most);
    }
    let message = "the body could not be read to its end";
    ApiError::from(Error::new(ErrorCode::Unparseable, message)).into()
}

fn too_large(most: u64) -> poem::Error {
    let message = format!("the body is larger than {most} bytes; send it in parts");
    ApiError::from(Error::new(ErrorCode::PayloadTooLarge, message)).into()
}
