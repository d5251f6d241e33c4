//! Who may ask for a field: every field of the two roots names the permission that it needs.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Context, Guard, Value};

use super::error::{Failure, Result};
use crate::api::audit::{Field, Note, subject};
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission};
use crate::services::Services;

/// What is said where a schema runs without a caller.
const NOBODY: &str = "nobody has logged in";

/// Lets through the callers whose role and token have a permission.
pub struct Needs(pub Permission);

impl Guard for Needs {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        let caller = ctx.data_opt::<Caller>();
        let is_permitted = caller.is_some_and(|caller| caller.may(self.0));
        note(ctx, self.0, is_permitted);
        if is_permitted {
            return Ok(());
        }
        let message = caller.map_or_else(|| NOBODY.to_owned(), |caller| caller.refusal(self.0));
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

/// Notes for the audit log what is asked for.
fn note(ctx: &Context<'_>, permission: Permission, is_permitted: bool) {
    let (Some(note), Some(services)) = (ctx.data_opt::<Note>(), ctx.data_opt::<Arc<Services>>()) else {
        return;
    };
    let root = match ctx.query_env.operation.node.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let field = ctx.field();
    let arguments = field.arguments().unwrap_or_default().into_iter();
    let subjects = arguments.filter_map(|(name, value)| match value {
        Value::String(value) => subject(services, &name, &value),
        _ => None,
    });
    note.permission(permission);
    note.field(Field {
        action: format!("{root}.{}", field.name()),
        subjects: subjects.collect(),
        is_permitted,
    });
}

/// Who asks. The guard of a field that needs to know has seen to it that there is somebody.
///
/// # Errors
/// Forbidden when nobody has logged in.
pub fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    let nobody = || Error::new(ErrorCode::Forbidden, NOBODY);
    Ok(ctx.data_opt::<Caller>().ok_or_else(nobody)?)
}
