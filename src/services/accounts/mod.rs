//! Who may call: logs users in, renews and ends what that began, and says whom a token speaks for.
//!
//! [`users`] says who they are, [`sessions`] what they began; [`keys`] sign tokens, [`issuers`] are
//! others whose tokens are taken, [`revocations`] is what was ended before its time, and [`keeper`]
//! sees to it that this server knows what others of its store have done.

mod issuers;
mod keeper;
mod keys;
mod revocations;
pub mod sessions;
pub mod users;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use quick_cache::sync::Cache;
use secrecy::SecretString;
use serde::Deserialize;
use ulid::Ulid;

use super::attempts::Attempts;
use crate::auth::issuers::IssuerError;
use crate::auth::keyring::{Grant, ISSUER, LEEWAY_S};
use crate::auth::keys::KeyError;
use crate::auth::refresh::{RefreshToken, Verdict, exchanged, judge};
use crate::auth::token::{TokenError, peek};
use crate::auth::{self, PasswordHasher};
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Role, Scopes};
use crate::domain::session::Session;
use crate::store::accounts::Account;
use crate::store::{Store, StoreError};
use issuers::Issuers;
use keys::Keys;
use revocations::Revocations;

/// How logging in is bounded.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many attempts a minute one client address has for one user name; it has four
    /// times as many for all names, and all addresses together ten times as many for one.
    /// Renewing a session is bounded alike.
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

/// How many tokens are remembered as well signed, so that a caller who asks often costs one
/// signature a token. About 1 KiB each.
const REMEMBERED_MAX: usize = 4_096;

/// How often an exchange is tried while the same session is changed at the same moment.
const EXCHANGE_TRIES: u32 = 5;

/// What is said whatever of the two was wrong.
const WRONG_LOGIN: &str = "the user name or the password is wrong";

/// What is said of any refresh token that is good for nothing.
const WRONG_REFRESH: &str = "the refresh token is not good, or no more; log in again";

/// Why nobody could call.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The keys can't be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The settings of another issuer can't be used.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The client that fetches other issuers' keys can't be made.
    #[error("the client for other issuers' keys can't be made")]
    Client(#[source] reqwest::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a log-in, or renewing it, gives.
pub struct Login {
    /// The signed token. Whoever holds it is the caller: keep it out of logs.
    pub access_token: String,
    /// Seconds until it expires.
    pub expires_in_s: u64,
    /// What is exchanged for the next one.
    pub refresh_token: String,
    /// Seconds until that expires.
    pub refresh_expires_in_s: u64,
    /// Whom they speak for.
    pub caller: Caller,
}

/// How long things are good for.
#[derive(Debug, Clone, Copy)]
struct Times {
    token: Duration,
    refresh: Duration,
    session: Duration,
}

/// Knows who calls.
pub struct Accounts {
    store: Store,
    hasher: PasswordHasher,
    attempts: Attempts,
    renewals: Attempts,
    keys: Keys,
    issuers: Issuers,
    revocations: Revocations,
    /// Whom well signed tokens speak for. What else may be wrong with one is asked each time.
    remembered: Cache<String, (Caller, Instant)>,
    times: Times,
    is_demo: bool,
}

impl Accounts {
    /// Takes the keys out of the store, or makes the first one, and begins to follow what other
    /// servers of the store do. `is_demo` lets other issuers' keys come from this machine,
    /// and keeps the test users as they are.
    ///
    /// # Errors
    /// When keys or settings can't be used, or the store fails.
    pub async fn start(
        store: &Store,
        secret: &SecretString,
        auth: &auth::Settings,
        login: &Settings,
        hasher: PasswordHasher,
        is_demo: bool,
    ) -> Result<Arc<Self>, StartError> {
        let times = Times {
            token: auth.token_ttl(),
            refresh: auth.refresh_ttl(),
            session: auth.session_ttl(),
        };
        let accounts = Arc::new(Self {
            keys: Keys::start(store, secret, auth).await?,
            issuers: Issuers::new(auth, is_demo)?,
            revocations: Revocations::default(),
            store: store.clone(),
            hasher,
            attempts: Attempts::new(login.attempts_per_minute),
            renewals: Attempts::new(login.attempts_per_minute),
            remembered: Cache::new(REMEMBERED_MAX),
            times,
            is_demo,
        });
        accounts.learn_revocations(Utc::now() - accounts.memory()).await?;
        keeper::start(&accounts);
        Ok(accounts)
    }

    /// Checks a password and begins a session. `scope` names what its tokens are to reach to, of
    /// what the role allows; without, all of that.
    ///
    /// # Errors
    /// Unauthorized, without saying which was wrong; rate limited, after too many attempts; bad
    /// request for a scope that is none, or that the role has nothing of.
    pub async fn log_in(
        &self,
        name: &str,
        password: SecretString,
        scope: Option<&str>,
        address: &str,
    ) -> Result<Login, Error> {
        self.attempts.count(name, address)?;
        let account = self.proven(name, password).await?;
        let account = account.ok_or_else(|| Error::new(ErrorCode::Unauthorized, WRONG_LOGIN))?;
        let scopes = granted(account.role, scope)?;
        let now = Utc::now();
        let id = Ulid::new();
        let first = RefreshToken::fresh(id);
        let ends_at = after(now, self.times.session);
        let session = Session {
            id,
            user: account.name,
            role: account.role,
            scopes,
            address: address.to_owned(),
            created_at: now,
            ends_at,
            live_until: after(now, self.times.refresh).min(ends_at),
            renewed_at: now,
            live: first.hash(),
            previous: None,
            ended_at: None,
            rev: 0,
        };
        self.store.begin_session(&session, account.rev).await?;
        self.handed_out(&session, &first, now)
    }

    /// The user of a name, if the password is theirs and they may log in. The time it takes does
    /// not tell who exists.
    async fn proven(&self, name: &str, password: SecretString) -> Result<Option<Account>, Error> {
        let account = self.store.account(name).await?;
        let stored = account.as_ref().map(|account| account.password_hash.clone());
        let is_right = self.hasher.verify_or_dummy(stored, password).await;
        let is_right = is_right.map_err(Error::internal)?;
        Ok(account.filter(|account| is_right && !account.disabled))
    }

    /// Exchanges a refresh token for the next tokens of its session. One that was exchanged before
    /// ends the session: somebody has stolen it.
    ///
    /// # Errors
    /// Unauthorized, without saying why; rate limited, after too many attempts.
    pub async fn renew(&self, text: &str, address: &str) -> Result<Login, Error> {
        let refused = || Error::new(ErrorCode::Unauthorized, WRONG_REFRESH);
        let Some(shown) = RefreshToken::read(text) else {
            self.renewals.count("", address)?;
            return Err(refused());
        };
        self.renewals.count(&shown.session.to_string(), address)?;
        for _ in 0..EXCHANGE_TRIES {
            let now = Utc::now();
            let session = self.store.session(shown.session).await?.ok_or_else(refused)?;
            match judge(&session, &shown.hash(), now) {
                Verdict::Over => return Err(refused()),
                Verdict::Reused => {
                    self.suspect(&session, &shown, now).await?;
                    return Err(refused());
                }
                Verdict::Exchange | Verdict::Again => {}
            }
            if !self.is_unchanged(&session).await? {
                self.end(session.id).await?;
                return Err(refused());
            }
            let next = RefreshToken::fresh(session.id);
            let until = after(now, self.times.refresh);
            let session = exchanged(&session, shown.hash(), next.hash(), until, now);
            match self.store.exchange(&session).await {
                Ok(()) => return self.handed_out(&session, &next, now),
                // The same token at the same moment, or the session was ended: look again.
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Conflict.into())
    }

    /// Ends the session of a token that was given out for it once. A made-up one ends nothing:
    /// ids of sessions are no secrets.
    async fn suspect(&self, session: &Session, shown: &RefreshToken, now: Timestamp) -> Result<(), Error> {
        if !self.store.was_given(session.id, &shown.hash()).await? {
            return Ok(());
        }
        tracing::warn!(
            session.id = %session.id,
            user.name = session.user,
            "a refresh token was used a second time; its session is ended"
        );
        metrics::counter!("cdp_refresh_tokens_reused_total").increment(1);
        self.store.end_session(session.id, now).await?;
        self.revocations.add([session.id], now);
        Ok(())
    }

    /// Whether the user may still do what the session was begun for. A change of them ends it; this
    /// is for the moment between.
    async fn is_unchanged(&self, session: &Session) -> Result<bool, Error> {
        let account = self.store.account(&session.user).await?;
        Ok(account.is_some_and(|account| !account.disabled && account.role == session.role))
    }

    /// Ends the session of a refresh token, used or not. One that was never given out ends
    /// nothing, and is not told.
    ///
    /// # Errors
    /// Rate limited, after too many attempts.
    pub async fn log_out(&self, text: &str, address: &str) -> Result<(), Error> {
        let shown = RefreshToken::read(text);
        let name = shown.as_ref().map(|shown| shown.session.to_string());
        self.renewals.count(&name.unwrap_or_default(), address)?;
        let Some(shown) = shown else {
            return Ok(());
        };
        if self.store.was_given(shown.session, &shown.hash()).await? {
            self.end(shown.session).await?;
        }
        Ok(())
    }

    fn handed_out(&self, session: &Session, refresh: &RefreshToken, now: Timestamp) -> Result<Login, Error> {
        // A token that outlived its session would be good after a log-out of everything.
        let left = (session.ends_at - now).to_std().unwrap_or_default();
        let ttl = self.times.token.min(left);
        let grant = Grant {
            name: &session.user,
            role: session.role,
            scopes: session.scopes,
            session: session.id,
            id: Ulid::new(),
            ttl,
        };
        let token = self.keys.ring().issue(&grant, now).map_err(Error::internal)?;
        let refresh_left = (session.live_until - now).to_std().unwrap_or_default();
        Ok(Login {
            access_token: token,
            expires_in_s: ttl.as_secs(),
            refresh_token: refresh.text(),
            refresh_expires_in_s: refresh_left.as_secs(),
            caller: Caller {
                name: session.user.clone(),
                role: session.role,
                scopes: session.scopes,
                session: Some(session.id),
                expires_at: after(now, ttl),
            },
        })
    }

    /// Whom a token speaks for. No store is asked: whose session was ended is kept in memory.
    ///
    /// # Errors
    /// Unauthorized, saying whether it expired, was revoked, or is not one of ours.
    pub async fn caller(&self, token: &str) -> Result<Caller, Error> {
        let caller = self.known_caller(token).await;
        caller.map_err(|error| Error::new(ErrorCode::Unauthorized, error.to_string()))
    }

    async fn known_caller(&self, token: &str) -> Result<Caller, TokenError> {
        let now = Utc::now();
        // Whoever another issuer vouches for is vouched for by keys that it may have withdrawn since.
        let fresh = self.issuers.fresh();
        let is_good = |(caller, at): &(Caller, Instant)| caller.session.is_some() || at.elapsed() < fresh;
        let caller = if let Some((caller, _)) = self.remembered.get(token).filter(is_good) {
            caller
        } else {
            let (caller, proven_at) = self.proven_caller(token, now).await?;
            self.remembered
                .insert(token.to_owned(), (caller.clone(), proven_at));
            caller
        };
        if after(caller.expires_at, Duration::from_secs(LEEWAY_S)) < now {
            return Err(TokenError::Expired);
        }
        let is_revoked = |session| self.revocations.has(session);
        if caller.session.is_some_and(is_revoked) {
            return Err(TokenError::Revoked);
        }
        Ok(caller)
    }

    /// The same, and since when what proves it is known.
    async fn proven_caller(&self, token: &str, now: Timestamp) -> Result<(Caller, Instant), TokenError> {
        let peeked = peek(token)?;
        if peeked.issuer == ISSUER {
            let caller = self.keys.ring().verify(token, &peeked, now)?;
            return Ok((caller, Instant::now()));
        }
        let vouched = self.issuers.caller(token, &peeked).await?;
        if vouched.was_fetched {
            // What the keys before proved may have been signed with one that was withdrawn.
            self.remembered.clear();
        }
        Ok((vouched.caller, vouched.keys_at))
    }

    /// Returns when a caller is one no more: their token expires, or their session is ended.
    pub async fn over(&self, caller: &Caller) {
        // The longest that a clock counts to here; a token is good for far less.
        let left = (caller.expires_at - Utc::now()).to_std().unwrap_or_default();
        let expiry = tokio::time::sleep(left.min(Duration::from_hours(24 * 365)));
        tokio::select! {
            () = expiry => {}
            () = self.revocations.wait_for(caller.session) => {}
        }
    }

    /// Whether a session was ended.
    #[must_use]
    pub fn is_revoked(&self, session: Ulid) -> bool {
        self.revocations.has(session)
    }

    /// The public halves of the keys, as a JWK set.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.ring().jwks(Utc::now())
    }

    /// Lets a new key sign; those before it verify until their last token has expired. Returns its
    /// id, and when it begins to sign.
    ///
    /// # Errors
    /// Conflict when the key is one of the settings, or another rotation came first.
    pub async fn rotate_keys(&self, by: &str) -> Result<(String, Timestamp), Error> {
        let rotated = self.keys.rotate().await?;
        tracing::info!(key.id = rotated.0, user.name = by, "a new key signs tokens");
        Ok(rotated)
    }

    async fn end(&self, session: Ulid) -> Result<(), Error> {
        let now = Utc::now();
        self.store.end_session(session, now).await?;
        self.revocations.add([session], now);
        Ok(())
    }

    async fn learn_revocations(&self, since: Timestamp) -> Result<(), StoreError> {
        let revoked = self.store.revoked_since(since).await?;
        self.revocations.add(revoked, Utc::now());
        Ok(())
    }

    /// How long a session that was ended is remembered: as long as a token of it may live, and an
    /// hour for clocks that differ.
    fn memory(&self) -> Duration {
        self.times.token + Duration::from_hours(1)
    }

    /// Drops what is of no use any more: sessions, revocations and keys.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.revocations.forget(now - self.memory());
        self.store.drop_signing_keys(now).await?;
        self.keys.load().await?;
        self.store.drop_sessions(now, now - self.memory()).await
    }
}

/// What a log-in gets of what it asks for.
fn granted(role: Role, scope: Option<&str>) -> Result<Scopes, Error> {
    let all = Scopes::of(role);
    let Some(scope) = scope.filter(|scope| !scope.trim().is_empty()) else {
        return Ok(all);
    };
    let asked: Scopes = scope
        .parse()
        .map_err(|error| Error::bad_request("scope", format!("{error}")))?;
    let scopes = all.and(asked);
    if scopes.is_empty() {
        let message = format!("the role {role} has none of these; it has: {all}");
        return Err(Error::bad_request("scope", message));
    }
    Ok(scopes)
}

fn after(now: Timestamp, span: Duration) -> Timestamp {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    now.checked_add_signed(span).unwrap_or(Timestamp::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::password::Cost;

    async fn server(store: &Store) -> Arc<Accounts> {
        server_of(store, true).await
    }

    /// A server over a store that it shares with others.
    pub(super) async fn server_of(store: &Store, is_demo: bool) -> Arc<Accounts> {
        let hasher = PasswordHasher::new(Cost::LEAST, 1).unwrap();
        let (secret, settings) = ("s".repeat(32).into(), auth::Settings::default());
        Accounts::start(store, &secret, &settings, &Settings::default(), hasher, is_demo)
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn servers_of_one_store_sign_alike_and_hear_what_the_others_end() {
        let store = Store::in_memory().await;
        let (one, other) = tokio::join!(server(&store), server(&store));
        one.add_demo_users().await.unwrap();
        let started = Utc::now();
        let log_in = async |server: &Accounts, role| {
            let password = users::demo_password(role).into();
            server.log_in(role.name(), password, None, "").await.unwrap()
        };
        let first = log_in(&one, Role::Viewer).await;
        keeper::follow(&other, started).await.unwrap();
        other.caller(&first.access_token).await.unwrap();

        let (kid, _) = one.rotate_keys("admin").await.unwrap();
        let second = log_in(&one, Role::Viewer).await;
        let unheard = other.caller(&second.access_token).await;
        assert_eq!(unheard.unwrap_err().code, ErrorCode::Unauthorized);
        keeper::follow(&other, started).await.unwrap();
        other.caller(&second.access_token).await.unwrap();
        assert!(other.jwks().to_string().contains(&kid));

        // Renewed by one, ended by the other.
        let renewed = other.renew(&first.refresh_token, "").await.unwrap();
        one.log_out(&renewed.refresh_token, "").await.unwrap();
        assert!(one.caller(&renewed.access_token).await.is_err());
        assert!(
            other.caller(&renewed.access_token).await.is_ok(),
            "not heard of yet"
        );
        keeper::follow(&other, started).await.unwrap();
        let refused = other.caller(&renewed.access_token).await.unwrap_err();
        assert_eq!(refused.message, "the token was revoked");
        assert!(other.renew(&renewed.refresh_token, "").await.is_err());
        other.caller(&second.access_token).await.unwrap();

        // One that starts later knows it, too.
        let late = server(&store).await;
        assert!(late.caller(&renewed.access_token).await.is_err());
        late.caller(&second.access_token).await.unwrap();
    }

    #[test]
    fn a_log_in_gets_no_more_than_it_asks_for_and_its_role_has() {
        let all = Scopes::of(Role::Analyst);
        assert_eq!(granted(Role::Analyst, None).unwrap(), all);
        assert_eq!(granted(Role::Analyst, Some(" ")).unwrap(), all);
        let some = granted(Role::Analyst, Some("profiles:read users:manage")).unwrap();
        assert_eq!(some.to_string(), "profiles:read");
        for refused in ["users:manage", "profiles:write", "profiles:read everything"] {
            let error = granted(Role::Analyst, Some(refused)).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("scope"), "{refused}");
        }
    }
}
