//! Who may ask for a field: every field of the two roots names the permission that it needs.

use async_graphql::{Context, Guard};

use super::error::{Failure, Result};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};

/// What is said where a schema runs without a caller.
const NOBODY: &str = "nobody has logged in";

/// Lets through the callers whose role and token have a permission.
pub struct Needs(pub Permission);

impl Guard for Needs {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        let caller = ctx.data_opt::<Caller>();
        let message = match caller {
            Some(caller) if caller.may(self.0) => return Ok(()),
            Some(caller) => caller.refusal(self.0),
            None => NOBODY.to_owned(),
        };
        Err(Failure::from(Error::new(ErrorCode::Forbidden, message)).into())
    }
}

/// Lets through whoever is known, whatever they may do.
pub struct NeedsLogin;

impl Guard for NeedsLogin {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        match ctx.data_opt::<Caller>() {
            Some(_) => Ok(()),
            None => Err(Failure::from(Error::new(ErrorCode::Forbidden, NOBODY)).into()),
        }
    }
}

/// Who asks. The guard of a field that needs to know has seen to it that there is somebody.
///
/// # Errors
/// Forbidden when nobody has logged in.
pub fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    let nobody = || Error::new(ErrorCode::Forbidden, NOBODY);
    Ok(ctx.data_opt::<Caller>().ok_or_else(nobody)?)
}
