//! `/api/auth/token`, `/refresh`, `/revoke`: a password for tokens, tokens for the next ones, and
//! the end of that.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;

use super::Tag;
use super::body::Body;
use crate::api::audit::Note;
use crate::api::client::ClientAddress;
use crate::api::error::ApiError;
use crate::services::Services;
use crate::services::accounts::Login;

/// Logging in and out.
pub struct TokenApi;

/// Who logs in.
#[derive(Object)]
pub struct Credentials {
    /// The user's name.
    #[oai(validator(max_length = 200))]
    username: String,
    /// The user's password.
    #[oai(validator(max_length = 1000))]
    password: String,
    /// What the token is to reach to, as names of scopes parted by spaces; without, all that the
    /// role allows.
    #[oai(validator(max_length = 1000))]
    scope: Option<String>,
}

/// A refresh token.
#[derive(Object)]
pub struct RefreshRequest {
    /// The token.
    #[oai(validator(max_length = 200))]
    refresh_token: String,
}

/// A token for the `Authorization: Bearer` header, and one for the next.
#[derive(Object)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of RFC 6749, section 5.1"
)]
pub struct Token {
    /// The token.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// Seconds until it expires.
    expires_in: u64,
    /// What its holder may do: `viewer`, `analyst`, `ingest` or `admin`.
    role: String,
    /// What of that the token reaches to: names of scopes, parted by spaces.
    scope: String,
    /// What is exchanged for the next token, once.
    refresh_token: String,
    /// Seconds until that expires.
    refresh_expires_in: u64,
}

impl From<Login> for Token {
    fn from(login: Login) -> Self {
        Self {
            access_token: login.access_token,
            token_type: "Bearer".to_owned(),
            expires_in: login.expires_in_s,
            role: login.caller.role.to_string(),
            scope: login.caller.scopes.to_string(),
            refresh_token: login.refresh_token,
            refresh_expires_in: login.refresh_expires_in_s,
        }
    }
}

#[OpenApi]
impl TokenApi {
    /// Log in
    ///
    /// The token is good for minutes; exchange the refresh token for the next one.
    #[oai(
        path = "/auth/token",
        method = "post",
        tag = "Tag::Auth",
        operation_id = "logIn"
    )]
    async fn log_in(
        &self,
        services: Data<&Arc<Services>>,
        address: ClientAddress,
        note: Data<&Note>,
        credentials: Body<Credentials>,
    ) -> Result<Json<Token>, ApiError> {
        let Credentials {
            username,
            password,
            scope,
        } = credentials.0;
        note.log_in(&services, &username);
        let password = SecretString::from(password);
        let accounts = &services.accounts;
        let login = accounts
            .log_in(&username, password, scope.as_deref(), &address.0)
            .await?;
        note.caller(&login.caller);
        Ok(Json(login.into()))
    }

    /// Exchange a refresh token
    ///
    /// Each is good once: the answer has the next one. Whoever uses one a second time ends the
    /// session, for one of two has stolen it; only an answer that was lost can be asked for again,
    /// within seconds and before the next token is used.
    #[oai(
        path = "/auth/refresh",
        method = "post",
        tag = "Tag::Auth",
        operation_id = "refresh"
    )]
    async fn refresh(
        &self,
        services: Data<&Arc<Services>>,
        address: ClientAddress,
        request: Body<RefreshRequest>,
    ) -> Result<Json<Token>, ApiError> {
        let login = services
            .accounts
            .renew(&request.refresh_token, &address.0)
            .await?;
        Ok(Json(login.into()))
    }

    /// Log out
    ///
    /// Ends the session of a refresh token: its tokens are refused at once here, and within
    /// seconds by other servers. A token that is not good is not told.
    #[oai(
        path = "/auth/revoke",
        method = "post",
        tag = "Tag::Auth",
        operation_id = "logOut"
    )]
    async fn revoke(
        &self,
        services: Data<&Arc<Services>>,
        address: ClientAddress,
        request: Body<RefreshRequest>,
    ) -> Result<(), ApiError> {
        Ok(services
            .accounts
            .log_out(&request.refresh_token, &address.0)
            .await?)
    }
}
