//! What a log-in begins: a line of refresh tokens, of which one is good at a time.

use ulid::Ulid;

use super::Timestamp;
use super::role::{Role, Scopes};

/// The SHA-256 of a refresh token, as hexadecimal digits. The token itself is kept nowhere.
pub type TokenHash = String;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: Ulid,
    /// Whose it is.
    pub user: String,
    /// Their role when they logged in; when it changes, their sessions end.
    pub role: Role,
    /// What they asked for.
    pub scopes: Scopes,
    /// Where from, as an address.
    pub address: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends, however often it is renewed.
    pub ends_at: Timestamp,
    /// Until when its refresh token is good.
    pub live_until: Timestamp,
    /// When it was renewed last; until then, when it began.
    pub renewed_at: Timestamp,
    /// The refresh token that is good.
    pub live: TokenHash,
    /// The one that was exchanged for it; none of a new session.
    pub previous: Option<TokenHash>,
    /// When it was ended before its time.
    pub ended_at: Option<Timestamp>,
    /// Grows with each change.
    pub rev: u32,
}

impl Session {
    /// Whether it can still be renewed.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.live_until && now < self.ends_at
    }
}
