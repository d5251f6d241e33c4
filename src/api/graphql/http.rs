//! `POST /graphql`: who asks, one request, one answer.
//!
//! Only POST may be routed here: over GET, a link in a mail could send a mutation. A GET opens the
//! connection of subscriptions, and does nothing else ([`super::socket`]).

use async_graphql_poem::{GraphQLRequest, GraphQLResponse};
use poem::http::{HeaderMap, header};
use poem::web::Data;
use poem::{FromRequest, Request, RequestBody, Result, handler};

use super::{CdpSchema, error};
use crate::api::audit::Note;
use crate::api::error::ApiError;
use crate::api::guard;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};

/// Runs one request as the caller whose token it carries. Failures of fields are part of the
/// answer; only a request that is none, or nobody's, fails as HTTP knows it.
#[handler]
pub async fn endpoint(
    Authenticated(caller): Authenticated,
    Single(request): Single,
    Data(schema): Data<&CdpSchema>,
    Data(note): Data<&Note>,
) -> GraphQLResponse {
    let mut request = request;
    if !caller.may(Permission::Read) {
        request = request.disable_introspection();
    }
    let mut response = schema.execute(request.data(caller).data(note.clone())).await;
    error::complete(&mut response);
    response.into()
}

/// Who asks. Stands before the body in the arguments, so that a stranger's is not parsed.
struct Authenticated(Caller);

impl<'a> FromRequest<'a> for Authenticated {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        guard::caller(request).await.map(Self)
    }
}

/// One request as JSON. Batches are refused, since the limits are those of one request, and so
/// are uploads, which would be written to disk before anyone asked for them.
struct Single(async_graphql::Request);

impl<'a> FromRequest<'a> for Single {
    async fn from_request(request: &'a Request, body: &mut RequestBody) -> Result<Self> {
        if !is_json(request.headers()) {
            let message = "send GraphQL requests as application/json";
            return Err(ApiError::from(Error::new(ErrorCode::UnsupportedMediaType, message)).into());
        }
        // What is a list would be read as the fields of one request.
        let bytes = body.take()?.into_vec().await?;
        let is_object = bytes.trim_ascii_start().starts_with(b"{");
        if !is_object {
            let message = "send one GraphQL request, as a JSON object";
            return Err(ApiError::from(Error::new(ErrorCode::BadRequest, message)).into());
        }
        let mut body = RequestBody::new(bytes.into());
        let GraphQLRequest(request) = GraphQLRequest::from_request(request, &mut body).await?;
        Ok(Self(request))
    }
}

/// Whether the body says that it is JSON; one that says nothing is taken to be.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let essence = media_type
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
