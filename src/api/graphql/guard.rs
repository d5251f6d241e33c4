//! Who may ask for a field: every field of the two roots names the permission that it needs.

use async_graphql::{Context, Guard};

use super::error::{Failure, Result};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};

/// Lets through the callers whose role has a permission.
pub struct Needs(pub Permission);

impl Guard for Needs {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        let caller = ctx.data_opt::<Caller>();
        if caller.is_some_and(|caller| caller.role.may(self.0)) {
            return Ok(());
        }
        let message = match caller {
            Some(caller) => format!("the role `{}` may not do this", caller.role),
            None => "nobody has logged in".to_owned(),
        };
        Err(Failure::from(Error::new(ErrorCode::Forbidden, message)).into())
    }
}

/// Who asks. The guard of a field that needs to know has seen to it that there is somebody.
///
/// # Errors
/// Forbidden when nobody has logged in.
pub fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    let nobody = || Error::new(ErrorCode::Forbidden, "nobody has logged in");
    Ok(ctx.data_opt::<Caller>().ok_or_else(nobody)?)
}
