//! Names each request: the id that the answer carries, that every line of the log about it has,
//! and the id of its trace, where the caller traces or spans are exported. The same span is what
//! is exported of it.

use std::sync::Arc;

use poem::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use poem::{Endpoint, IntoResponse as _, Request, Response};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};
use ulid::Ulid;

use super::meter::Underway;
use super::{error, meter, templates};
use crate::telemetry::context;

/// The header with the id, of requests and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// W3C Trace Context.
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// What an answer says of its trace (W3C Trace Context, level 2), where spans are exported.
const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// The most characters of an id that a caller chose.
const ID_LENGTH_MAX: usize = 128;

/// The id of a request, for whoever serves it.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Serves a request under its id: the caller's own, if that is one that can stand in a log, or a
/// new one.
///
/// # Errors
/// None: what fails is answered.
pub async fn trace<E: Endpoint>(endpoint: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let given = given_id(request.headers());
    let id = given.unwrap_or_else(|| Ulid::new().to_string());
    request.set_data(RequestId(id.clone()));
    let (method, route) = (
        meter::method(request.method()),
        templates::of(request.uri().path()),
    );
    let (span, reference) = span(&request, &id, method, route);
    let underway = Underway::begin(method, route);
    let mut response = async {
        match endpoint.call(request).await {
            Ok(response) => response.into_response(),
            Err(error) => error::as_response(error).await,
        }
    }
    .instrument(span.clone())
    .await;
    underway.end(response.status());
    note_status(&span, response.status());
    let reference = reference.and_then(|traceparent| HeaderValue::from_str(&traceparent).ok());
    if let Some(reference) = reference {
        response.headers_mut().insert(TRACE_RESPONSE, reference);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    Ok(response)
}

/// The span of a request, and how to refer to it, where it is exported.
fn span(request: &Request, id: &str, method: &'static str, route: &'static str) -> (Span, Option<String>) {
    let span = tracing::error_span!(
        "request",
        request_id = %id,
        trace_id = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        "error.type" = Empty,
    );
    context::continue_trace(&span, request.headers());
    let reference = context::reference(&span);
    match (&reference, trace_id(request.headers())) {
        (Some(reference), _) => span.record("trace_id", reference.trace_id.as_str()),
        (None, Some(theirs)) => span.record("trace_id", theirs),
        (None, None) => &span,
    };
    (span.clone(), reference.map(|reference| reference.traceparent))
}

/// What came of a request; a failure of ours is one of the span's, too.
fn note_status(span: &Span, status: StatusCode) {
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
    }
}

fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_sane = (1..=ID_LENGTH_MAX).contains(&id.len())
        && id
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_.:+/=".contains(character));
    is_sane.then(|| id.to_owned())
}

/// The trace that a caller's `traceparent` names: `00-{32 hex digits}-{16 hex digits}-{2 hex digits}`.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let parts: Vec<&str> = headers.get(TRACE_PARENT)?.to_str().ok()?.split('-').collect();
    let [_version, trace, parent, flags] = parts.as_slice() else {
        return None;
    };
    let are_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_sane = are_hex(trace, 32) && are_hex(parent, 16) && are_hex(flags, 2);
    let is_some = trace.bytes().any(|byte| byte != b'0');
    (is_sane && is_some).then_some(*trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value.as_bytes()).unwrap())])
    }

    #[test]
    fn an_id_that_can_stand_in_a_log_is_kept() {
        let long = "a".repeat(129);
        for (id, is_kept) in [
            ("7b1d4c2a-2b1e-4c66-9a76-5f4b7c0a9e11", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("a", true),
            ("", false),
            ("two words", false),
            ("a\"b", false),
            ("ä", false),
            (&long, false),
        ] {
            assert_eq!(given_id(&headers(REQUEST_ID, id)).is_some(), is_kept, "{id}");
        }
    }

    #[test]
    fn a_trace_is_read_from_what_is_one() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let none = "0".repeat(32);
        for (parent, found) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), Some(trace)),
            (format!("00-{none}-00f067aa0ba902b7-01"), None),
            (format!("00-{trace}-00f067aa0ba902b7"), None),
            (format!("00-{trace}x-00f067aa0ba902b7-01"), None),
            ("nonsense".to_owned(), None),
        ] {
            assert_eq!(trace_id(&headers(TRACE_PARENT, &parent)), found, "{parent}");
        }
    }
}
