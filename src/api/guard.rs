//! Who asks, and whether they may: a handler names the permission it needs as the type of
//! its first argument, and so can't forget the check. First, because arguments are read in
//! order, and no body is parsed before it is known that its sender may send it. The bytes of
//! a stranger's body are not even received: [`super::limits`] asks [`caller`] before that.

use std::sync::Arc;

use poem::Request;
use poem::web::headers::authorization::Bearer as Token;
use poem::web::headers::{Authorization, HeaderMapExt as _};
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;
use poem_openapi::error::AuthorizationError;

use super::error::ApiError;
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};
use crate::services::Services;

/// A caller who may read profiles and cohorts.
#[derive(SecurityScheme)]
#[oai(rename = "token", ty = "bearer", bearer_format = "JWT", checker = "may_read")]
pub struct MayRead(pub Caller);

/// A caller who may ask the classifier.
#[derive(SecurityScheme)]
#[oai(
    rename = "token",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "may_classify"
)]
pub struct MayClassify(pub Caller);

/// A caller who may define cohorts.
#[derive(SecurityScheme)]
#[oai(
    rename = "token",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "may_define"
)]
pub struct MayDefine(pub Caller);

/// A caller who may send records.
#[derive(SecurityScheme)]
#[oai(
    rename = "token",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "may_ingest"
)]
pub struct MayIngest(pub Caller);

/// A caller who may judge who is who.
#[derive(SecurityScheme)]
#[oai(rename = "token", ty = "bearer", bearer_format = "JWT", checker = "may_judge")]
pub struct MayJudge(pub Caller);

/// A caller who may take people out in files.
#[derive(SecurityScheme)]
#[oai(
    rename = "token",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "may_export"
)]
pub struct MayExport(pub Caller);

/// A caller who may say what is sent where.
#[derive(SecurityScheme)]
#[oai(
    rename = "token",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "may_activate"
)]
pub struct MayActivate(pub Caller);

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_read(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Read)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_classify(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Classify)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_define(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Define)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_ingest(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Ingest)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_judge(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Judge)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_export(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Export)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_activate(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    permit(verify(request, &bearer.token)?, Permission::Activate)
}

/// Until when a request's token is good: what goes on longer than a request ends then.
///
/// # Errors
/// Unauthorized, as [`caller`].
pub fn expires_at(request: &Request) -> Result<Timestamp, ApiError> {
    let bearer = request.headers().typed_get::<Authorization<Token>>();
    let missing = || Error::new(ErrorCode::Unauthorized, "a bearer token is needed");
    let bearer = bearer.ok_or_else(missing)?;
    let services = request.data::<Arc<Services>>();
    let services = services.ok_or_else(|| Error::internal("no services are attached"))?;
    let (_, expires_at) = services.accounts.caller_until(bearer.token())?;
    Ok(expires_at)
}

/// Who sends a request, by its token, which is read as the framework reads it for the types
/// above: the scheme in any case.
///
/// # Errors
/// Unauthorized without a token, and for one that proves nothing.
pub fn caller(request: &Request) -> poem::Result<Caller> {
    let bearer = request.headers().typed_get::<Authorization<Token>>();
    verify(request, bearer.ok_or(AuthorizationError)?.token())
}

/// The caller, if their role has the permission.
///
/// # Errors
/// Forbidden for a role that may not.
pub fn permit(caller: Caller, permission: Permission) -> poem::Result<Caller> {
    if caller.role.may(permission) {
        return Ok(caller);
    }
    let message = format!("the role {} may not do this", caller.role);
    Err(ApiError::from(Error::new(ErrorCode::Forbidden, message)).into())
}

fn verify(request: &Request, token: &str) -> poem::Result<Caller> {
    let services = request.data::<Arc<Services>>();
    let services = services.ok_or_else(|| ApiError::from(Error::internal("no services are attached")))?;
    Ok(services.accounts.caller(token).map_err(ApiError::from)?)
}
