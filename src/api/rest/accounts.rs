//! `/api/auth/users`, `/api/auth/keys`: who may call, and what their tokens are signed with.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use secrecy::SecretString;

use super::Tag;
use super::body::Body;
use crate::api::error::ApiError;
use crate::api::guard::MayAdminister;
use crate::domain::Timestamp;
use crate::domain::error::Error;
use crate::domain::role::Role;
use crate::services::Services;
use crate::services::accounts::users::{Change, UserView};

/// Users and keys.
pub struct AccountsApi;

/// A new user.
#[derive(Object)]
pub struct NewUserRequest {
    /// The name: letters of a to z, digits, and `. _ @ + -`.
    #[oai(validator(max_length = 200))]
    name: String,
    /// `viewer`, `analyst`, `ingest` or `admin`.
    role: String,
    /// The password: 12 characters or more, at most 1000 bytes, and not the name.
    #[oai(validator(max_length = 1000))]
    password: String,
}

/// What of a user is to change; what is left out stays.
#[derive(Object)]
pub struct ChangeUserRequest {
    /// `viewer`, `analyst`, `ingest` or `admin`.
    role: Option<String>,
    /// Whether they may not log in.
    disabled: Option<bool>,
    /// A new password.
    #[oai(validator(max_length = 1000))]
    password: Option<String>,
}

/// A user.
#[derive(Object)]
pub struct AccountBody {
    /// The name.
    name: String,
    /// The role.
    role: String,
    /// Whether they may not log in.
    disabled: bool,
    /// Whether their password is one that everybody knows.
    demo: bool,
    /// When they were added; null of those from before that was kept.
    created_at: Option<Timestamp>,
    /// When they logged in last.
    last_login_at: Option<Timestamp>,
}

/// Users, by name.
#[derive(Object)]
pub struct AccountsBody {
    /// All of them.
    users: Vec<AccountBody>,
}

/// A new key.
#[derive(Object)]
pub struct RotatedBody {
    /// Its id, which its tokens name.
    kid: String,
    /// From when on it signs: at once, or as soon as all servers of the store have seen it.
    signs_from: Timestamp,
}

impl From<UserView> for AccountBody {
    fn from(view: UserView) -> Self {
        Self {
            name: view.name,
            role: view.role.to_string(),
            disabled: view.disabled,
            demo: view.demo,
            created_at: view.created_at,
            last_login_at: view.last_login_at,
        }
    }
}

fn read_role(role: &str) -> Result<Role, Error> {
    role.parse()
        .map_err(|error| Error::bad_request("role", format!("{error}")))
}

#[OpenApi]
impl AccountsApi {
    /// List users
    #[oai(
        path = "/auth/users",
        method = "get",
        tag = "Tag::Auth",
        operation_id = "listUsers"
    )]
    async fn list(
        &self,
        _caller: MayAdminister,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<AccountsBody>, ApiError> {
        let users = services.accounts.users().await?;
        Ok(Json(AccountsBody {
            users: users.into_iter().map(AccountBody::from).collect(),
        }))
    }

    /// Add a user
    #[oai(
        path = "/auth/users",
        method = "post",
        tag = "Tag::Auth",
        operation_id = "createUser"
    )]
    async fn create(
        &self,
        caller: MayAdminister,
        services: Data<&Arc<Services>>,
        request: Body<NewUserRequest>,
    ) -> Result<Json<AccountBody>, ApiError> {
        let NewUserRequest { name, role, password } = request.0;
        let role = read_role(&role)?;
        let accounts = &services.accounts;
        let added = accounts
            .add_user(&name, role, SecretString::from(password), &caller.0.name)
            .await?;
        Ok(Json(added.into()))
    }

    /// Change a user
    ///
    /// Their sessions end, and their tokens are refused at once here, and within seconds by other
    /// servers. Somebody must be left who can do this.
    #[oai(
        path = "/auth/users/:name",
        method = "put",
        tag = "Tag::Auth",
        operation_id = "changeUser"
    )]
    async fn change(
        &self,
        caller: MayAdminister,
        services: Data<&Arc<Services>>,
        /// The user's name.
        name: Path<String>,
        request: Body<ChangeUserRequest>,
    ) -> Result<Json<AccountBody>, ApiError> {
        let ChangeUserRequest {
            role,
            disabled,
            password,
        } = request.0;
        let change = Change {
            role: role.as_deref().map(read_role).transpose()?,
            disabled,
            password: password.map(SecretString::from),
        };
        let changed = services.accounts.change_user(&name, change, &caller.0).await?;
        Ok(Json(changed.into()))
    }

    /// Remove a user
    ///
    /// Their sessions end. Somebody must be left who can do this.
    #[oai(
        path = "/auth/users/:name",
        method = "delete",
        tag = "Tag::Auth",
        operation_id = "deleteUser"
    )]
    async fn delete(
        &self,
        caller: MayAdminister,
        services: Data<&Arc<Services>>,
        /// The user's name.
        name: Path<String>,
    ) -> Result<(), ApiError> {
        Ok(services.accounts.remove_user(&name, &caller.0.name).await?)
    }

    /// Let a new key sign tokens
    ///
    /// Those before it verify until the last token of theirs has expired.
    #[oai(
        path = "/auth/keys/rotate",
        method = "post",
        tag = "Tag::Auth",
        operation_id = "rotateKeys"
    )]
    async fn rotate(
        &self,
        caller: MayAdminister,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<RotatedBody>, ApiError> {
        let (kid, signs_from) = services.accounts.rotate_keys(&caller.0.name).await?;
        Ok(Json(RotatedBody { kid, signs_from }))
    }
}
