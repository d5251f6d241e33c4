//! How a failure looks in GraphQL: a message, and in `extensions` the `code` to match on and
//! the `field` at fault. Causes go to the log and no further.

use async_graphql::{ErrorExtensions, Response};

use crate::domain::error::{Error, ErrorCode};

/// What resolvers answer with.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failed resolver. Not the domain's error itself: that one can be displayed, and
/// async-graphql turns whatever can be into a message without a code.
#[derive(Debug)]
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Failure> for async_graphql::Error {
    fn from(Failure(error): Failure) -> Self {
        if let Some(cause) = &error.source {
            let code = error.code.as_str();
            tracing::error!(
                error.code = code,
                error.cause = chain(cause.as_ref()),
                "a GraphQL field failed"
            );
        }
        Self::new(error.message).extend_with(|_, extensions| {
            extensions.set("code", error.code.as_str());
            if let Some(field) = error.field {
                extensions.set("field", field);
            }
            if let Some(wait_s) = error.retry_after_s {
                extensions.set("retryAfter", wait_s);
            }
        })
    }
}

/// A lookup that finds nothing answers null: that nobody is known is no failure.
///
/// # Errors
/// Every other failure.
pub fn null_if_not_found<T>(found: std::result::Result<T, Error>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// Gives a code to the errors that async-graphql itself finds: they are all the request's.
pub fn complete(response: &mut Response) {
    for error in &mut response.errors {
        shorten(&mut error.message);
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", ErrorCode::BadRequest.as_str());
        }
    }
}

/// A message may quote what it is about, which a stranger chose.
fn shorten(message: &mut String) {
    if message.len() > MESSAGE_BYTES_MAX {
        message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
        message.push('…');
    }
}

/// A cause and its own causes, outermost first.
fn chain(cause: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(cause), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_its_code_and_field_and_hides_its_cause() {
        let shown = |error: Error| {
            let error = async_graphql::Error::from(Failure::from(error));
            serde_json::to_string(&error).unwrap()
        };
        let wrong = shown(Error::bad_request("first", "must be positive"));
        assert_eq!(
            wrong,
            r#"{"message":"must be positive","extensions":{"code":"bad_request","field":"first"}}"#
        );
        let internal = shown(Error::internal("the password is hunter2"));
        assert!(internal.contains(r#""code":"internal""#), "{internal}");
        assert!(!internal.contains("hunter2"), "{internal}");
    }

    #[test]
    fn only_not_found_is_null() {
        let nobody: std::result::Result<(), Error> = Err(Error::not_found("nobody"));
        assert!(null_if_not_found(nobody).unwrap().is_none());
        let conflict: std::result::Result<(), Error> = Err(Error::new(ErrorCode::Conflict, "two people"));
        assert!(null_if_not_found(conflict).is_err());
    }
}
