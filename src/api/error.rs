//! The one error body, and the one place where an [`ErrorCode`] becomes a status:
//! `{"error":{"code":"…","message":"…","field":"…"}}`.

use std::any::Any;
use std::error::Error as _;

use poem::error::{MethodNotAllowedError, NotFoundError};
use poem::http::StatusCode;
use poem::web::Json as PlainJson;
use poem::{IntoResponse, Response};
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseParamError, ParsePathError, ParseRequestPayloadError,
};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use crate::domain::error::{Error, ErrorCode};

/// What went wrong.
#[derive(Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct ErrorDetail {
    /// A stable word for programs, for example `not_found`.
    code: String,
    /// A sentence for people.
    message: String,
    /// The argument or field at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// The body of every error.
#[derive(Debug, Object, Serialize)]
pub struct ErrorBody {
    error: ErrorDetail,
}

/// Every way in which a request fails.
#[derive(Debug, ApiResponse)]
pub enum ApiError {
    /// An argument is wrong, or the body can't be read.
    #[oai(status = 400)]
    BadRequest(Json<ErrorBody>),
    /// Who asks is not known.
    #[oai(status = 401)]
    Unauthorized(Json<ErrorBody>, #[oai(header = "www-authenticate")] String),
    /// Who asks may not do this.
    #[oai(status = 403)]
    Forbidden(Json<ErrorBody>),
    /// There is no such thing.
    #[oai(status = 404)]
    NotFound(Json<ErrorBody>),
    /// What is asked contradicts what is stored.
    #[oai(status = 409)]
    Conflict(
        Json<ErrorBody>,
        /// Seconds after which it may fit, where that is to be expected.
        #[oai(header = "retry-after")]
        Option<u64>,
    ),
    /// What is asked for was there, and was dropped.
    #[oai(status = 410)]
    Gone(Json<ErrorBody>),
    /// The body is larger than allowed.
    #[oai(status = 413)]
    PayloadTooLarge(Json<ErrorBody>),
    /// The body's media type is not one that is read.
    #[oai(status = 415)]
    UnsupportedMediaType(Json<ErrorBody>),
    /// Too many requests.
    #[oai(status = 429)]
    RateLimited(Json<ErrorBody>, #[oai(header = "retry-after")] u64),
    /// Our own fault.
    #[oai(status = 500)]
    Internal(Json<ErrorBody>),
    /// Try again later.
    #[oai(status = 503)]
    Unavailable(Json<ErrorBody>, #[oai(header = "retry-after")] u64),
}

/// What a caller without a token is told to bring.
const CHALLENGE: &str = "Bearer";

/// Seconds until another try, where the failure does not say.
const RETRY_AFTER_DEFAULT_S: u64 = 1;

impl ApiError {
    /// Too much is in flight. Not logged for each request: whoever refuses says so.
    pub(super) fn overloaded(message: &str, retry_after_s: u64) -> Self {
        let body = body(ErrorCode::Unavailable, message.to_owned(), None);
        Self::Unavailable(Json(body), retry_after_s)
    }
}

impl From<Error> for ErrorBody {
    fn from(error: Error) -> Self {
        body(error.code, error.message, error.field)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        log(&error);
        let body = Json(body(error.code, error.message, error.field));
        let wait = error.retry_after_s.unwrap_or(RETRY_AFTER_DEFAULT_S);
        match error.code {
            ErrorCode::BadRequest | ErrorCode::Unparseable | ErrorCode::MethodNotAllowed => {
                Self::BadRequest(body)
            }
            ErrorCode::Unauthorized => Self::Unauthorized(body, CHALLENGE.to_owned()),
            ErrorCode::Forbidden => Self::Forbidden(body),
            ErrorCode::NotFound => Self::NotFound(body),
            ErrorCode::Conflict | ErrorCode::KeyReused => Self::Conflict(body, error.retry_after_s),
            ErrorCode::Gone => Self::Gone(body),
            ErrorCode::PayloadTooLarge => Self::PayloadTooLarge(body),
            ErrorCode::UnsupportedMediaType => Self::UnsupportedMediaType(body),
            ErrorCode::RateLimited => Self::RateLimited(body, wait),
            ErrorCode::Unavailable => Self::Unavailable(body, wait),
            ErrorCode::Internal => Self::Internal(body),
        }
    }
}

/// Logs our own faults once, with every cause; a caller's faults are theirs. A cause may
/// quote what it failed on, and so the log redacts addresses wherever they stand in a line.
fn log(error: &Error) {
    if !matches!(error.code, ErrorCode::Internal | ErrorCode::Unavailable) {
        return;
    }
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(next) = cause {
        causes.push(next.to_string());
        cause = next.source();
    }
    tracing::error!(
        error.code = error.code.as_str(),
        error.causes = causes.join(": "),
        "a request failed"
    );
}

/// The framework's own errors in the same body; errors of handlers are in it already.
pub async fn as_response(error: poem::Error) -> Response {
    if error.is_from_response() {
        return error.into_response();
    }
    let status = error.status();
    let (code, message, field) = told(&error);
    let mut response = PlainJson(body(code, message, field))
        .with_status(status)
        .into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = poem::http::HeaderValue::from_static(CHALLENGE);
        response
            .headers_mut()
            .insert(poem::http::header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// What a handler's panic answers: nothing of it leaves the process.
pub fn after_panic(_panic: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    let error = Error::internal("a handler panicked");
    PlainJson(body(error.code, error.message, None))
        .with_status(StatusCode::INTERNAL_SERVER_ERROR)
        .into_response()
}

fn told(error: &poem::Error) -> (ErrorCode, String, Option<String>) {
    if error.is::<NotFoundError>() {
        return (ErrorCode::NotFound, "there is no such route".to_owned(), None);
    }
    if error.is::<MethodNotAllowedError>() {
        return (
            ErrorCode::MethodNotAllowed,
            "the route does not have this method".to_owned(),
            None,
        );
    }
    if error.is::<AuthorizationError>() {
        let message = "a bearer token is needed; POST /api/auth/token gives one".to_owned();
        return (ErrorCode::Unauthorized, message, None);
    }
    if let Some(error) = error.downcast_ref::<ParseParamError>() {
        return (
            ErrorCode::BadRequest,
            error.reason.clone(),
            Some(error.name.to_owned()),
        );
    }
    if let Some(error) = error.downcast_ref::<ParsePathError>() {
        return (
            ErrorCode::BadRequest,
            error.reason.clone(),
            Some(error.name.to_owned()),
        );
    }
    if let Some(error) = error.downcast_ref::<ParseRequestPayloadError>() {
        return (ErrorCode::Unparseable, error.reason.clone(), None);
    }
    if error.is::<ContentTypeError>() {
        return (
            ErrorCode::UnsupportedMediaType,
            "the body must be application/json".to_owned(),
            None,
        );
    }
    let status = error.status();
    if status.is_server_error() {
        tracing::error!(error = %error, "the framework failed a request");
        return (ErrorCode::Internal, Error::internal("framework").message, None);
    }
    let code = match status {
        StatusCode::UNAUTHORIZED => ErrorCode::Unauthorized,
        StatusCode::FORBIDDEN => ErrorCode::Forbidden,
        StatusCode::NOT_FOUND => ErrorCode::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::PayloadTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ErrorCode::UnsupportedMediaType,
        _ => ErrorCode::BadRequest,
    };
    (code, error.to_string(), None)
}

fn body(code: ErrorCode, message: String, field: Option<String>) -> ErrorBody {
    ErrorBody {
        error: ErrorDetail {
            code: code.as_str().to_owned(),
            message,
            field,
        },
    }
}
