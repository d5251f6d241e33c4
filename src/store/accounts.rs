//! The users that may log in.

use surrealdb::types::{RecordId, SurrealValue};

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::role::{Caller, Role};

/// A user as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Name and role.
    pub caller: Caller,
    /// The password's argon2 hash, as a PHC string.
    pub password_hash: String,
    /// Seeded with a password that everybody knows.
    pub demo: bool,
}

#[derive(SurrealValue)]
struct UserRow {
    id: RecordId,
    password_hash: String,
    role: String,
    demo: bool,
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
}

impl UserRow {
    fn new(account: &Account) -> Self {
        Self {
            id: user_id(&account.caller.name),
            password_hash: account.password_hash.clone(),
            role: account.caller.role.name().to_owned(),
            demo: account.demo,
        }
    }

    fn into_domain(self) -> Result<Account, StoreError> {
        let name = rows::text_key(&self.id)?.to_owned();
        let role: Role = self
            .role
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("the user `{name}` has no role")))?;
        Ok(Account {
            caller: Caller { name, role },
            password_hash: self.password_hash,
            demo: self.demo,
        })
    }
}

fn user_id(name: &str) -> RecordId {
    RecordId::new("user", name)
}
