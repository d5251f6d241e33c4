//! The small set of ways in which a request can fail. Services answer with [`Error`];
//! HTTP and GraphQL map its [`ErrorCode`] in one place each.

use std::error::Error as StdError;

/// What kind of failure it is: a stable word for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed, or an argument is wrong.
    BadRequest,
    /// The payload can't be read as what it says it is.
    Unparseable,
    /// Who asks is not known.
    Unauthorized,
    /// Who asks may not do this.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// What is asked for was dropped.
    Gone,
    /// The method is not one of the route's.
    MethodNotAllowed,
    /// What is asked contradicts what is stored.
    Conflict,
    /// A key that stands for one request came with another.
    KeyReused,
    /// The payload is larger than allowed.
    PayloadTooLarge,
    /// The payload's media type is not one that is read.
    UnsupportedMediaType,
    /// Too many requests; try again later.
    RateLimited,
    /// A part that is needed can't do its work now; try again.
    Unavailable,
    /// Our own fault.
    Internal,
}

impl ErrorCode {
    /// The word that programs match on.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unparseable => "unparseable",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::KeyReused => "key_reused",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// A failed request: what kind, a sentence for people, and where it lies.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The kind.
    pub code: ErrorCode,
    /// For people; never names an inner cause.
    pub message: String,
    /// The argument or field at fault.
    pub field: Option<String>,
    /// After how many seconds another try may help.
    pub retry_after_s: Option<u64>,
    /// The cause, for the log only.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure without a cause to log.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            retry_after_s: None,
            source: None,
        }
    }

    /// A wrong argument.
    #[must_use]
    pub fn bad_request(field: &str, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.to_owned()),
            ..Self::new(ErrorCode::BadRequest, message)
        }
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, message)
    }

    /// Our own fault: the cause is logged, and the caller is told no more than that.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let message = "something went wrong on our side; the request id leads to the log";
        Self {
            source: Some(source.into()),
            ..Self::new(ErrorCode::Internal, message)
        }
    }

    /// A part that is needed can't do its work now.
    #[must_use]
    pub fn unavailable(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            source: Some(source.into()),
            ..Self::new(ErrorCode::Unavailable, message)
        }
    }

    /// The same, with the time after which another try may help.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The same, with the field at fault named.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}
