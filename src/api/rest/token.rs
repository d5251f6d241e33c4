//! `POST /api/auth/token`: a password for a token.

use std::sync::Arc;

use poem::web::{Data, RemoteAddr};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;

use super::Tag;
use super::body::Body;
use crate::api::error::ApiError;
use crate::services::Services;

/// Logging in.
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
}

/// A token for the `Authorization: Bearer` header.
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
}

#[OpenApi]
impl TokenApi {
    /// Log in
    #[oai(
        path = "/auth/token",
        method = "post",
        tag = "Tag::Auth",
        operation_id = "logIn"
    )]
    async fn log_in(
        &self,
        services: Data<&Arc<Services>>,
        address: &RemoteAddr,
        credentials: Body<Credentials>,
    ) -> Result<Json<Token>, ApiError> {
        let Credentials { username, password } = credentials.0;
        let address = address
            .as_socket_addr()
            .map(|address| address.ip().to_string())
            .unwrap_or_default();
        let login = services
            .accounts
            .log_in(&username, SecretString::from(password), &address)
            .await?;
        Ok(Json(Token {
            access_token: login.token.token,
            token_type: "Bearer".to_owned(),
            expires_in: login.token.expires_in_s,
            role: login.role.to_string(),
        }))
    }
}
