//! Who the users are: added, changed and removed by administrators, of whom there is always one.
//! Whatever changes what a user may do ends their sessions, and so their tokens.

use std::time::Duration;

use chrono::Utc;
use secrecy::SecretString;
use ulid::Ulid;

use super::{Accounts, WRONG_LOGIN};
use crate::auth::password::check_new;
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Role};
use crate::store::StoreError;
use crate::store::accounts::{Account, UserChange};

/// The longest name, in characters.
pub const NAME_CHARS_MAX: usize = 100;

/// How often a change is tried while other users are changed at the same moment.
const CHANGE_TRIES: u32 = 10;

/// How far back revocations are read after a change, to learn of its own.
const A_MOMENT: Duration = Duration::from_mins(1);

/// A user as they are shown.
pub struct UserView {
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Whether they may not log in.
    pub disabled: bool,
    /// Whether their password is one that everybody knows.
    pub demo: bool,
    /// When they were added.
    pub created_at: Option<Timestamp>,
    /// When they logged in last.
    pub last_login_at: Option<Timestamp>,
}

/// What of a user is to change; what is left out stays.
#[derive(Default)]
pub struct Change {
    /// The role.
    pub role: Option<Role>,
    /// Whether they may not log in.
    pub disabled: Option<bool>,
    /// The password.
    pub password: Option<SecretString>,
}

/// The users as they were read.
struct Read {
    accounts: Vec<Account>,
}

impl Read {
    fn find(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// Whether somebody is left who may add users if this one may no more.
    fn is_left_by(&self, name: &str) -> bool {
        let mut others = self.accounts.iter().filter(|account| account.name != name);
        others.any(is_in_charge)
    }
}

impl Accounts {
    /// Every user, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self) -> Result<Vec<UserView>, Error> {
        let accounts = self.store.accounts().await?;
        Ok(accounts.into_iter().map(view).collect())
    }

    /// Adds a user.
    ///
    /// # Errors
    /// Bad request for a name or a password that won't do; conflict for a name that is taken.
    pub async fn add_user(
        &self,
        name: &str,
        role: Role,
        password: SecretString,
        by: &str,
    ) -> Result<UserView, Error> {
        check_name(name)?;
        let password_hash = self.hash(name, password).await?;
        let account = new_account(name, role, password_hash);
        self.decide(|read| {
            let is_taken = |known: &Account| known.name.to_lowercase() == name.to_lowercase();
            if read.accounts.iter().any(is_taken) {
                return Err(
                    Error::new(ErrorCode::Conflict, "there is a user of this name").with_field("name")
                );
            }
            Ok((name, Some(account.clone()), None))
        })
        .await?;
        tracing::info!(user.name = name, user.role = role.name(), by, "a user was added");
        Ok(view(account))
    }

    /// Changes a user. Their sessions end; of who changes their own password, all but theirs.
    ///
    /// # Errors
    /// Not found; bad request for a password that won't do; conflict where nobody would be left who
    /// can add users.
    pub async fn change_user(&self, name: &str, change: Change, by: &Caller) -> Result<UserView, Error> {
        let hash = match change.password {
            Some(password) => Some(self.hash(name, password).await?),
            None => None,
        };
        let is_password_only = change.role.is_none() && change.disabled.is_none();
        let kept = (by.name == name && is_password_only)
            .then_some(by.session)
            .flatten();
        let changed = self
            .decide(|read| {
                let account = self.changeable(read, name)?;
                let mut changed = account.clone();
                changed.role = change.role.unwrap_or(account.role);
                changed.disabled = change.disabled.unwrap_or(account.disabled);
                changed.rev += 1;
                if let Some(hash) = &hash {
                    changed.password_hash.clone_from(hash);
                    changed.demo = false;
                }
                if is_in_charge(account) && !is_in_charge(&changed) && !read.is_left_by(name) {
                    return Err(last_admin());
                }
                Ok((name, Some(changed), kept))
            })
            .await?;
        tracing::info!(user.name = name, by = by.name, "a user was changed");
        changed.map(view).ok_or_else(missing)
    }

    /// Removes a user, and ends their sessions.
    ///
    /// # Errors
    /// Not found; conflict where nobody would be left who can add users.
    pub async fn remove_user(&self, name: &str, by: &str) -> Result<(), Error> {
        self.decide(|read| {
            let account = self.changeable(read, name)?;
            if is_in_charge(account) && !read.is_left_by(name) {
                return Err(last_admin());
            }
            Ok((name, None, None))
        })
        .await?;
        tracing::info!(user.name = name, by, "a user was removed");
        Ok(())
    }

    /// Changes the caller's own password, which they prove to know; their other sessions end.
    ///
    /// # Errors
    /// Forbidden for somebody whom another issuer vouches for; unauthorized for a wrong password;
    /// bad request for a new one that won't do; rate limited, after too many attempts.
    pub async fn change_password(
        &self,
        caller: &Caller,
        old: SecretString,
        new: SecretString,
        address: &str,
    ) -> Result<(), Error> {
        if caller.session.is_none() {
            let message = "who is vouched for by another issuer has no password here";
            return Err(Error::new(ErrorCode::Forbidden, message));
        }
        self.attempts.count(&caller.name, address)?;
        if self.proven(&caller.name, old).await?.is_none() {
            // Not a 401: the token is good, and whoever sees one logs out.
            return Err(Error::bad_request("old_password", WRONG_LOGIN));
        }
        let change = Change {
            password: Some(new),
            ..Change::default()
        };
        self.change_user(&caller.name, change, caller)
            .await
            .map_err(blame_new_password)?;
        Ok(())
    }

    /// The user of a name, if they are one to change: the test users of a demo are everybody's, and
    /// nobody is to shut the others out.
    fn changeable<'a>(&self, read: &'a Read, name: &str) -> Result<&'a Account, Error> {
        let account = read.find(name).ok_or_else(missing)?;
        if self.is_demo && account.demo {
            let message = "the test users of a demo stay as they are; add one of your own";
            return Err(Error::new(ErrorCode::Conflict, message));
        }
        Ok(account)
    }

    async fn hash(&self, name: &str, password: SecretString) -> Result<String, Error> {
        check_new(name, &password)
            .map_err(|weakness| Error::bad_request("password", weakness.to_string()))?;
        self.hasher.hash(password).await.map_err(Error::internal)
    }

    /// Reads the users, lets `choose` decide what to make of one, and writes that; again, while
    /// users are changed at the same moment.
    async fn decide<'a>(
        &self,
        choose: impl Fn(&Read) -> Result<(&'a str, Option<Account>, Option<Ulid>), Error>,
    ) -> Result<Option<Account>, Error> {
        for _ in 0..CHANGE_TRIES {
            // In this order: users that change between the two reads are newer than the revision.
            let rev = self.store.users_rev().await?;
            let accounts = self.store.accounts().await?;
            let (name, account, kept) = choose(&Read { accounts })?;
            let now = Utc::now();
            let change = UserChange {
                expected: rev,
                name,
                account: account.as_ref(),
                kept,
                now,
            };
            match self.store.change_user(change).await {
                Ok(()) => {
                    self.learn_revocations(now - A_MOMENT).await?;
                    return Ok(account);
                }
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Adds a user for each role, named as the role, with a password that everybody knows:
    /// `demo-` and the role.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn add_demo_users(&self) -> Result<(), Error> {
        let mut accounts = Vec::new();
        for role in Role::ALL {
            let password = demo_password(role).into();
            let password_hash = self.hasher.hash(password).await.map_err(Error::internal)?;
            accounts.push(Account {
                demo: true,
                ..new_account(role.name(), role, password_hash)
            });
        }
        Ok(self.store.add_accounts(&accounts).await?)
    }

    /// Makes the user `admin` when there is no user at all.
    ///
    /// # Errors
    /// Bad request for a password that won't do.
    pub async fn add_first_admin(&self, password: &SecretString) -> Result<(), Error> {
        let name = Role::Admin.name();
        check_new(name, password).map_err(|weakness| {
            Error::bad_request("admin_password", format!("the admin password {weakness}"))
        })?;
        if self.has_users().await? {
            return Ok(());
        }
        let password_hash = self.hash(name, password.clone()).await?;
        Ok(self
            .store
            .add_accounts(&[new_account(name, Role::Admin, password_hash)])
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
        let demo = accounts.into_iter().filter(|account| account.demo);
        Ok(demo.map(|account| account.name).collect())
    }
}

/// The password of a seeded test user.
#[must_use]
pub fn demo_password(role: Role) -> String {
    format!("demo-{role}")
}

/// A user who has just been added.
fn new_account(name: &str, role: Role, password_hash: String) -> Account {
    Account {
        name: name.to_owned(),
        role,
        password_hash,
        demo: false,
        disabled: false,
        created_at: Some(Utc::now()),
        last_login_at: None,
        rev: 1,
    }
}

fn is_in_charge(account: &Account) -> bool {
    account.role == Role::Admin && !account.disabled
}

/// A colon parts the names of other issuers' people from their issuer's; names that look alike are
/// kept apart by having few characters to choose from.
fn check_name(name: &str) -> Result<(), Error> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
    if (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(is_fit) {
        return Ok(());
    }
    let message = format!("has 1 to {NAME_CHARS_MAX} letters of a to z, digits, and . _ @ + -");
    Err(Error::bad_request("name", message))
}

fn missing() -> Error {
    Error::not_found("there is no such user")
}

fn last_admin() -> Error {
    let message = "this is the last administrator; make another one first";
    Error::new(ErrorCode::Conflict, message)
}

/// Names the argument as this change calls it.
fn blame_new_password(error: Error) -> Error {
    match error.field.as_deref() {
        Some("password") => error.with_field("new_password"),
        _ => error,
    }
}

fn view(account: Account) -> UserView {
    UserView {
        name: account.name,
        role: account.role,
        disabled: account.disabled,
        demo: account.demo,
        created_at: account.created_at,
        last_login_at: account.last_login_at,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::server_of;
    use super::*;
    use crate::store::Store;

    #[tokio::test(flavor = "multi_thread")]
    async fn somebody_is_always_left_in_charge() {
        let accounts = server_of(&Store::in_memory().await, false).await;
        let password = || SecretString::from("a long and dull password");
        accounts.add_first_admin(&password()).await.unwrap();
        let caller = async |name: &str| {
            let login = accounts.log_in(name, password(), None, "").await.unwrap();
            login.caller
        };
        let admin = caller("admin").await;
        let demoted = || Change {
            role: Some(Role::Viewer),
            ..Change::default()
        };
        let disabled = || Change {
            disabled: Some(true),
            ..Change::default()
        };
        for change in [demoted(), disabled()] {
            let refused = accounts.change_user("admin", change, &admin).await.err().unwrap();
            assert_eq!(refused.code, ErrorCode::Conflict);
        }
        let refused = accounts.remove_user("admin", "admin").await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Conflict);

        // Of two who remove each other at once, one stays.
        for round in 0..5 {
            let name = format!("second-{round}");
            let added = accounts.add_user(&name, Role::Admin, password(), "admin").await;
            added.unwrap();
            let second = caller(&name).await;
            let left = in_charge(&accounts).await;
            assert_eq!(left.len(), 2, "{left:?}");
            let (one, other) = tokio::join!(
                accounts.change_user(&name, disabled(), &admin),
                accounts.change_user(&left[0], demoted(), &second),
            );
            assert_ne!(one.is_ok(), other.is_ok());
            assert_eq!(in_charge(&accounts).await.len(), 1);
        }
    }

    async fn in_charge(accounts: &Accounts) -> Vec<String> {
        let users = accounts.users().await.unwrap().into_iter();
        let in_charge = users.filter(|user| user.role == Role::Admin && !user.disabled);
        in_charge.map(|user| user.name).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_test_users_of_a_demo_stay_as_they_are() {
        let store = Store::in_memory().await;
        let accounts = server_of(&store, true).await;
        accounts.add_demo_users().await.unwrap();
        let refused = accounts.remove_user("viewer", "admin").await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Conflict);
        // A store that was a demo's can be cleaned.
        let later = server_of(&store, false).await;
        later.remove_user("viewer", "admin").await.unwrap();
    }

    #[test]
    fn names_have_few_characters_to_choose_from() {
        for name in ["ann", "Ann.B-2_c", "ann+b@example.com", &"a".repeat(100)] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "ann b",
            "login.example.com:ann",
            "änn",
            "ann\u{200b}",
            "a/b",
            &"a".repeat(101),
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
