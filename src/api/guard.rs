//! Who asks, and whether they may: a handler names the permission it needs as the type of
//! its first argument, and so can't forget the check. First, because arguments are read in
//! order, and nobody's body is looked into before it is known who they are.

use std::sync::Arc;

use poem::Request;
use poem_openapi::SecurityScheme;
use poem_openapi::auth::Bearer;

use super::error::ApiError;
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

/// A caller who may send records.
#[derive(SecurityScheme)]
#[oai(
    rename = "token",
    ty = "bearer",
    bearer_format = "JWT",
    checker = "may_ingest"
)]
pub struct MayIngest(pub Caller);

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_read(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    check(request, &bearer.token, Permission::Read)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_classify(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    check(request, &bearer.token, Permission::Classify)
}

#[expect(clippy::unused_async, reason = "the framework awaits a checker")]
async fn may_ingest(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    check(request, &bearer.token, Permission::Ingest)
}

/// The caller of a request that carries a token, if their role has the permission.
///
/// # Errors
/// Unauthorized for a token that proves nothing, forbidden for a role that may not.
pub fn check(request: &Request, token: &str, permission: Permission) -> poem::Result<Caller> {
    let services = request.data::<Arc<Services>>();
    let services = services.ok_or_else(|| ApiError::from(Error::internal("no services are attached")))?;
    let caller = services.accounts.caller(token).map_err(ApiError::from)?;
    if !caller.role.may(permission) {
        let message = format!("the role {} may not do this", caller.role);
        return Err(ApiError::from(Error::new(ErrorCode::Forbidden, message)).into());
    }
    Ok(caller)
}
