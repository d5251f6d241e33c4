//! The users that may log in.

use surrealdb::types::{RecordId, SurrealValue, Value};
use ulid::Ulid;

use super::rows;
use super::sessions::{revocation_id, session_id};
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::role::Role;

/// A user as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The password's argon2 hash, as a PHC string.
    pub password_hash: String,
    /// Seeded with a password that everybody knows.
    pub demo: bool,
    /// Whether they may not log in.
    pub disabled: bool,
    /// When they were added; unknown of those who were before that was kept.
    pub created_at: Option<Timestamp>,
    /// When they logged in last.
    pub last_login_at: Option<Timestamp>,
    /// Grows with each change.
    pub rev: u32,
}

/// A change of who may log in, decided on what was read at a revision of all users.
pub struct UserChange<'a> {
    /// The revision that it rests on.
    pub expected: u64,
    /// Whom it is about.
    pub name: &'a str,
    /// The user from now on; none if they are gone.
    pub account: Option<&'a Account>,
    /// The session that goes on; all others of the user end.
    pub kept: Option<Ulid>,
    /// When.
    pub now: Timestamp,
}

/// Whoever logs in writes the user's record too, so no session begins unseen beside this.
const CHANGE: &str = "BEGIN;
    IF ((SELECT VALUE value FROM counter:users)[0] ?? 0) != $expected {
        THROW 'Transaction conflict: the users have changed since they were read'
    };
    UPSERT counter:users SET value = $expected + 1 RETURN NONE;
    IF $row = NONE {
        DELETE $id RETURN NONE
    } ELSE {
        UPSERT $id SET role = $row.role, password_hash = $row.password_hash, demo = $row.demo,
            disabled = $row.disabled, created_at = $row.created_at, rev = $row.rev RETURN NONE
    };
    LET $ended = (SELECT VALUE record::id(id) FROM session
        WHERE user = $name AND ended_at = NONE AND id != $kept);
    UPDATE session SET ended_at = $now, rev += 1
        WHERE user = $name AND ended_at = NONE AND id != $kept RETURN NONE;
    INSERT INTO revocation { id: $revocation, sessions: $ended } RETURN NONE;
    COMMIT;";

#[derive(SurrealValue)]
struct UserRow {
    id: RecordId,
    password_hash: String,
    role: String,
    demo: bool,
    disabled: Option<bool>,
    created_at: Option<Timestamp>,
    last_login_at: Option<Timestamp>,
    rev: Option<u32>,
}

impl Store {
    /// The user of a name; none if there is none.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        let parameters = bind([("id", user_id(name).into_value())]);
        let found: Vec<UserRow> = self
            .select("read a user", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(UserRow::into_domain).transpose()
    }

    /// Every user.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let found: Vec<UserRow> = self
            .select("read the users", "SELECT * FROM user ORDER BY id", bind([]))
            .await?;
        found.into_iter().map(UserRow::into_domain).collect()
    }

    /// The revision of all users: it grows with each change.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users_rev(&self) -> Result<u64, StoreError> {
        self.counter("read the users' revision", "users").await
    }

    /// Adds those of the users that are not there yet.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_accounts(&self, accounts: &[Account]) -> Result<(), StoreError> {
        let rows: Vec<UserRow> = accounts.iter().map(UserRow::new).collect();
        let text = "INSERT IGNORE INTO user $rows RETURN NONE";
        self.run_again("added users", text, bind([("rows", rows.into_value())]))
            .await
    }

    /// Adds, changes or removes a user, and ends their sessions.
    ///
    /// # Errors
    /// Conflict when users were changed since they were read, and when the store fails.
    pub async fn change_user(&self, change: UserChange<'_>) -> Result<(), StoreError> {
        let row = change.account.map(|account| UserRow::new(account).into_value());
        let kept = change.kept.map(|id| session_id(id).into_value());
        let parameters = bind([
            ("expected", change.expected.into_value()),
            ("id", user_id(change.name).into_value()),
            ("name", change.name.to_owned().into_value()),
            ("row", row.unwrap_or(Value::None)),
            ("kept", kept.unwrap_or(Value::None)),
            ("now", change.now.into_value()),
            ("revocation", revocation_id(change.now).into_value()),
        ]);
        self.run_to_end("changed a user", CHANGE.to_owned(), parameters)
            .await
    }
}

impl UserRow {
    fn new(account: &Account) -> Self {
        Self {
            id: user_id(&account.name),
            password_hash: account.password_hash.clone(),
            role: account.role.name().to_owned(),
            demo: account.demo,
            disabled: Some(account.disabled),
            created_at: account.created_at,
            last_login_at: account.last_login_at,
            rev: Some(account.rev),
        }
    }

    fn into_domain(self) -> Result<Account, StoreError> {
        let name = rows::text_key(&self.id)?.to_owned();
        let role: Role = self
            .role
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("the user `{name}` has no role")))?;
        Ok(Account {
            name,
            role,
            password_hash: self.password_hash,
            demo: self.demo,
            disabled: self.disabled.unwrap_or_default(),
            created_at: self.created_at,
            last_login_at: self.last_login_at,
            rev: self.rev.unwrap_or_default(),
        })
    }
}

pub(super) fn user_id(name: &str) -> RecordId {
    RecordId::new("user", name)
}
