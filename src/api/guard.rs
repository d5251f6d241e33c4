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

use super::audit::Note;
use super::error::ApiError;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};
use crate::services::Services;

/// An argument type for a permission, and the check behind it.
macro_rules! permission {
    ($(#[$doc:meta])* $name:ident, $check:ident, $checker:literal, $permission:ident) => {
        $(#[$doc])*
        #[derive(SecurityScheme)]
        #[oai(rename = "token", ty = "bearer", bearer_format = "JWT", checker = $checker)]
        pub struct $name(pub Caller);

        async fn $check(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
            permitted(request, &bearer.token, Permission::$permission).await
        }
    };
}

permission! {
    /// A caller who may read profiles and cohorts.
    MayRead, may_read, "may_read", Read
}
permission! {
    /// A caller who may ask the classifier.
    MayClassify, may_classify, "may_classify", Classify
}
permission! {
    /// A caller who may define cohorts.
    MayDefine, may_define, "may_define", Define
}
permission! {
    /// A caller who may send records.
    MayIngest, may_ingest, "may_ingest", Ingest
}
permission! {
    /// A caller who may judge who is who.
    MayJudge, may_judge, "may_judge", Judge
}
permission! {
    /// A caller who may take people out in files.
    MayExport, may_export, "may_export", Export
}
permission! {
    /// A caller who may say what is sent where.
    MayActivate, may_activate, "may_activate", Activate
}
permission! {
    /// A caller who may erase people, and see what is kept of whom.
    MayErase, may_erase, "may_erase", Erase
}
permission! {
    /// A caller who may say who may call: users, their sessions, and write keys.
    MayAdminister, may_administer, "may_administer", Administer
}
permission! {
    /// A caller who may read who did what.
    MayAudit, may_audit, "may_audit", Audit
}

/// Anybody who is known, whatever they may do: for what is their own.
#[derive(SecurityScheme)]
#[oai(rename = "token", ty = "bearer", bearer_format = "JWT", checker = "known")]
pub struct Known(pub Caller);

async fn known(request: &Request, bearer: Bearer) -> poem::Result<Caller> {
    verify(request, &bearer.token).await
}

/// Who sends a request, by its token, which is read as the framework reads it for the types
/// above: the scheme in any case.
///
/// # Errors
/// Unauthorized without a token, and for one that proves nothing.
pub async fn caller(request: &Request) -> poem::Result<Caller> {
    let bearer = request.headers().typed_get::<Authorization<Token>>();
    verify(request, bearer.ok_or(AuthorizationError)?.token()).await
}

/// Whom a request's token speaks for, if it brings one that is good. Nothing is noted of it.
pub async fn peek(request: &Request) -> Option<Caller> {
    let bearer = request.headers().typed_get::<Authorization<Token>>()?;
    let services = request.data::<Arc<Services>>()?;
    services.accounts.caller(bearer.token()).await.ok()
}

/// The caller, if their role and their token's scopes have the permission.
///
/// # Errors
/// Forbidden where one has not.
pub fn permit(caller: Caller, permission: Permission) -> poem::Result<Caller> {
    if caller.may(permission) {
        return Ok(caller);
    }
    let message = caller.refusal(permission);
    Err(ApiError::from(Error::new(ErrorCode::Forbidden, message)).into())
}

async fn permitted(request: &Request, token: &str, permission: Permission) -> poem::Result<Caller> {
    let caller = verify(request, token).await?;
    if let Some(note) = request.data::<Note>() {
        note.permission(permission);
    }
    permit(caller, permission)
}

async fn verify(request: &Request, token: &str) -> poem::Result<Caller> {
    let services = request.data::<Arc<Services>>();
    let services = services.ok_or_else(|| ApiError::from(Error::internal("no services are attached")))?;
    let caller = services.accounts.caller(token).await.map_err(ApiError::from)?;
    if let Some(note) = request.data::<Note>() {
        note.caller(&caller);
    }
    Ok(caller)
}
