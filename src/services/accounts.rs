//! Logs users in, and sees to it that there is someone who can.

use std::num::NonZeroU32;

use chrono::Utc;
use secrecy::SecretString;
use serde::Deserialize;

use super::attempts::Attempts;
use crate::auth::{IssuedToken, PasswordHasher, TokenIssuer};
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Role};
use crate::store::Store;
use crate::store::accounts::Account;

/// How logging in is bounded.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many attempts a minute one client address has for one user name; it has four
    /// times as many for all names, and all addresses together ten times as many for one.
    pub attempts_per_minute: NonZeroU32,
    /// The password of the user `admin`, made when there is no user at all.
    pub admin_password: Option<SecretString>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts_per_minute: NonZeroU32::MIN.saturating_add(19),
            admin_password: None,
        }
    }
}

/// Shortest password of the first administrator, in characters.
pub const ADMIN_PASSWORD_CHARS_MIN: usize = 12;

/// A successful login.
pub struct Login {
    /// The signed token.
    pub token: IssuedToken,
    /// Whose it is.
    pub caller: Caller,
}

/// Logs users in.
pub struct Accounts {
    store: Store,
    hasher: PasswordHasher,
    issuer: TokenIssuer,
    attempts: Attempts,
}

impl Accounts {
    pub(super) fn new(
        store: Store,
        hasher: PasswordHasher,
        issuer: TokenIssuer,
        settings: &Settings,
    ) -> Self {
        Self {
            store,
            hasher,
            issuer,
            attempts: Attempts::new(settings.attempts_per_minute),
        }
    }

    /// Checks a password and hands out a token.
    ///
    /// # Errors
    /// Unauthorized, without saying which was wrong; rate limited, after too many attempts.
    pub async fn log_in(&self, name: &str, password: SecretString, address: &str) -> Result<Login, Error> {
        self.attempts.count(name, address)?;
        let account = self.store.account(name).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let is_right = self
            .hasher
            .verify_or_dummy(stored, password)
            .await
            .map_err(Error::internal)?;
        let Some(account) = account.filter(|_| is_right) else {
            return Err(Error::new(
                ErrorCode::Unauthorized,
                "the user name or the password is wrong",
            ));
        };
        let token = self
            .issuer
            .issue(&account.caller, Utc::now())
            .map_err(Error::internal)?;
        Ok(Login {
            token,
            caller: account.caller,
        })
    }

    /// Whom a token speaks for.
    ///
    /// # Errors
    /// Unauthorized, saying whether it expired or is not one of ours.
    pub fn caller(&self, token: &str) -> Result<Caller, Error> {
        self.issuer
            .verify(token)
            .map_err(|error| Error::new(ErrorCode::Unauthorized, error.to_string()))
    }

    /// The same, and until when.
    ///
    /// # Errors
    /// As [`Accounts::caller`].
    pub fn caller_until(&self, token: &str) -> Result<(Caller, Timestamp), Error> {
        self.issuer
            .verify_until(token)
            .map_err(|error| Error::new(ErrorCode::Unauthorized, error.to_string()))
    }

    /// Adds a user for each role, named as the role, with a password that everybody knows:
    /// `demo-` and the role.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_demo_users(&self) -> Result<(), Error> {
        let mut accounts = Vec::new();
        for role in Role::ALL {
            let password_hash = self
                .hasher
                .hash(demo_password(role).into())
                .await
                .map_err(Error::internal)?;
            let caller = Caller {
                name: role.name().to_owned(),
                role,
            };
            accounts.push(Account {
                caller,
                password_hash,
                demo: true,
            });
        }
        Ok(self.store.add_accounts(&accounts).await?)
    }

    /// Makes the user `admin` when there is no user at all.
    ///
    /// # Errors
    /// Bad request for a password that is too short.
    pub async fn add_first_admin(&self, password: &SecretString) -> Result<(), Error> {
        use secrecy::ExposeSecret;
        if password.expose_secret().chars().count() < ADMIN_PASSWORD_CHARS_MIN {
            let message = format!("the admin password needs {ADMIN_PASSWORD_CHARS_MIN} characters or more");
            return Err(Error::bad_request("admin_password", message));
        }
        if self.has_users().await? {
            return Ok(());
        }
        let password_hash = self
            .hasher
            .hash(password.clone())
            .await
            .map_err(Error::internal)?;
        let caller = Caller {
            name: Role::Admin.name().to_owned(),
            role: Role::Admin,
        };
        Ok(self
            .store
            .add_accounts(&[Account {
                caller,
                password_hash,
                demo: false,
            }])
            .await?)
    }

    /// Whether there is anybody who can log in.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn has_users(&self) -> Result<bool, Error> {
        Ok(!self.store.accounts().await?.is_empty())
    }

    /// The users whose passwords everybody knows.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn demo_users(&self) -> Result<Vec<String>, Error> {
        let accounts = self.store.accounts().await?;
        Ok(accounts
            .into_iter()
            .filter(|account| account.demo)
            .map(|account| account.caller.name)
            .collect())
    }
}

/// The password of a seeded test user.
#[must_use]
pub fn demo_password(role: Role) -> String {
    format!("demo-{role}")
}
