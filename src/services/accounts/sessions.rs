//! What log-ins began, as users see it.

use chrono::Utc;
use ulid::Ulid;

use super::Accounts;
use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::domain::role::{Caller, Permission, Scopes};
use crate::domain::session::Session;

/// A session as it is shown.
pub struct SessionView {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// What its tokens reach to.
    pub scopes: Scopes,
    /// The address that it was begun from.
    pub address: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was renewed last.
    pub renewed_at: Timestamp,
    /// When it ends, unless it is renewed before.
    pub live_until: Timestamp,
    /// When it ends however often it is renewed.
    pub ends_at: Timestamp,
    /// Whether it is that of who asks.
    pub is_current: bool,
}

impl Accounts {
    /// The sessions of a user that go on, the latest first; without a name, those of the caller.
    ///
    /// # Errors
    /// Forbidden when they are somebody else's and the caller may not say who may call.
    pub async fn sessions(&self, caller: &Caller, user: Option<&str>) -> Result<Vec<SessionView>, Error> {
        let user = user.unwrap_or(&caller.name);
        if user != caller.name && !caller.may(Permission::Administer) {
            return Err(Error::new(
                ErrorCode::Forbidden,
                caller.refusal(Permission::Administer),
            ));
        }
        let now = Utc::now();
        let sessions = self.store.sessions(user).await?;
        let live = sessions.into_iter().filter(|session| session.is_live(now));
        Ok(live.map(|session| view(session, caller)).collect())
    }

    /// Ends a session: at once here, and within seconds on other servers of the store.
    ///
    /// # Errors
    /// Not found for an id of none, and for somebody else's where the caller may not say who may
    /// call.
    pub async fn end_session(&self, caller: &Caller, id: &str) -> Result<(), Error> {
        let missing = || Error::not_found("there is no such session");
        let id = Ulid::from_string(id).map_err(|_| missing())?;
        let session = self.store.session(id).await?.ok_or_else(missing)?;
        let is_theirs = caller.session.is_some() && session.user == caller.name;
        if !is_theirs && !caller.may(Permission::Administer) {
            return Err(missing());
        }
        self.end(id).await
    }
}

fn view(session: Session, caller: &Caller) -> SessionView {
    SessionView {
        is_current: caller.session == Some(session.id),
        id: session.id.to_string(),
        user: session.user,
        scopes: session.scopes,
        address: session.address,
        created_at: session.created_at,
        renewed_at: session.renewed_at,
        live_until: session.live_until,
        ends_at: session.ends_at,
    }
}
