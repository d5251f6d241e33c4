//! Who asks.

use async_graphql::{ID, SimpleObject};

use crate::domain::Timestamp;
use crate::domain::role::{Caller, Scopes};

/// Who asks.
#[derive(SimpleObject)]
pub struct Me {
    /// The name.
    name: String,
    /// The role: `viewer`, `analyst`, `ingest` or `admin`.
    role: &'static str,
    /// What the token reaches to, of what the role allows.
    scopes: Vec<&'static str>,
    /// When the token expires.
    expires_at: Timestamp,
    /// The id of the session; null of a token that another issuer signed.
    session_id: Option<ID>,
}

impl From<&Caller> for Me {
    fn from(caller: &Caller) -> Self {
        Self {
            name: caller.name.clone(),
            role: caller.role.name(),
            scopes: Scopes::of(caller.role).and(caller.scopes).names().collect(),
            expires_at: caller.expires_at,
            session_id: caller.session.map(|session| ID(session.to_string())),
        }
    }
}
