//! `/api/auth/me`, `/password`, `/sessions`: what is the caller's own.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;

use super::Tag;
use super::body::Body;
use crate::api::audit::Note;
use crate::api::client::ClientAddress;
use crate::api::error::ApiError;
use crate::api::guard::Known;
use crate::domain::Timestamp;
use crate::domain::role::{Caller, Scopes};
use crate::services::Services;
use crate::services::accounts::sessions::SessionView;

/// The caller's own.
pub struct AccountApi;

/// Who asks.
#[derive(Object)]
pub struct MeBody {
    /// The name.
    name: String,
    /// The role.
    role: String,
    /// What the token reaches to, of what the role allows.
    scopes: Vec<String>,
    /// When the token expires.
    expires_at: Timestamp,
    /// The id of the session; null of a token that another issuer signed.
    session_id: Option<String>,
}

/// A new password.
#[derive(Object)]
pub struct PasswordRequest {
    /// The one until now.
    #[oai(validator(max_length = 1000))]
    old_password: String,
    /// The one from now on: 12 characters or more, at most 1000 bytes, and not the name.
    #[oai(validator(max_length = 1000))]
    new_password: String,
}

/// What a log-in began.
#[derive(Object)]
pub struct SessionBody {
    /// Its id.
    id: String,
    /// Whose it is.
    user: String,
    /// What its tokens reach to.
    scopes: Vec<String>,
    /// The address that it was begun from.
    address: String,
    /// When it was begun.
    created_at: Timestamp,
    /// When it was renewed last.
    renewed_at: Timestamp,
    /// When it ends, unless it is renewed before.
    expires_at: Timestamp,
    /// When it ends however often it is renewed.
    ends_at: Timestamp,
    /// Whether it is that of who asks.
    current: bool,
}

/// Sessions, the latest first.
#[derive(Object)]
pub struct SessionsBody {
    /// Those that go on.
    sessions: Vec<SessionBody>,
}

impl From<Caller> for MeBody {
    fn from(caller: Caller) -> Self {
        let allowed = Scopes::of(caller.role);
        Self {
            scopes: allowed.and(caller.scopes).names().map(str::to_owned).collect(),
            name: caller.name,
            role: caller.role.to_string(),
            expires_at: caller.expires_at,
            session_id: caller.session.map(|session| session.to_string()),
        }
    }
}

impl From<SessionView> for SessionBody {
    fn from(view: SessionView) -> Self {
        Self {
            id: view.id,
            user: view.user,
            scopes: view.scopes.names().map(str::to_owned).collect(),
            address: view.address,
            created_at: view.created_at,
            renewed_at: view.renewed_at,
            expires_at: view.live_until,
            ends_at: view.ends_at,
            current: view.is_current,
        }
    }
}

#[expect(clippy::unused_async, reason = "the framework awaits every handler")]
#[OpenApi]
impl AccountApi {
    /// Who asks
    #[oai(path = "/auth/me", method = "get", tag = "Tag::Auth", operation_id = "me")]
    async fn me(&self, caller: Known) -> Json<MeBody> {
        Json(caller.0.into())
    }

    /// Change the own password
    ///
    /// All other sessions of the user end.
    #[oai(
        path = "/auth/password",
        method = "put",
        tag = "Tag::Auth",
        operation_id = "changePassword"
    )]
    async fn password(
        &self,
        caller: Known,
        services: Data<&Arc<Services>>,
        address: ClientAddress,
        note: Data<&Note>,
        request: Body<PasswordRequest>,
    ) -> Result<(), ApiError> {
        note.own_account();
        let PasswordRequest {
            old_password,
            new_password,
        } = request.0;
        let (old, new) = (SecretString::from(old_password), SecretString::from(new_password));
        let accounts = &services.accounts;
        Ok(accounts.change_password(&caller.0, old, new, &address.0).await?)
    }

    /// Sessions that go on
    ///
    /// The caller's own; administrators may ask for those of any user.
    #[oai(
        path = "/auth/sessions",
        method = "get",
        tag = "Tag::Auth",
        operation_id = "listSessions"
    )]
    async fn sessions(
        &self,
        caller: Known,
        services: Data<&Arc<Services>>,
        /// The name of a user.
        user: Query<Option<String>>,
    ) -> Result<Json<SessionsBody>, ApiError> {
        let sessions = services.accounts.sessions(&caller.0, user.0.as_deref()).await?;
        Ok(Json(SessionsBody {
            sessions: sessions.into_iter().map(SessionBody::from).collect(),
        }))
    }

    /// End a session
    ///
    /// The caller's own; administrators may end that of any user. Its tokens are refused at once
    /// here, and within seconds by other servers.
    #[oai(
        path = "/auth/sessions/:id",
        method = "delete",
        tag = "Tag::Auth",
        operation_id = "endSession"
    )]
    async fn end(
        &self,
        caller: Known,
        services: Data<&Arc<Services>>,
        note: Data<&Note>,
        /// The session's id.
        id: Path<String>,
    ) -> Result<(), ApiError> {
        note.own_account();
        Ok(services.accounts.end_session(&caller.0, &id).await?)
    }
}
