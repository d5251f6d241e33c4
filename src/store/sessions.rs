//! What log-ins began, and what of it was ended before its time.

use surrealdb::types::{Array, RecordId, SurrealValue};
use ulid::Ulid;

use super::accounts::user_id;
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::role::Scopes;
use crate::domain::session::{Session, TokenHash};

/// Writes the user's record too: a change of the user at this moment is a conflict for either.
const BEGIN_SESSION: &str = "BEGIN;
    IF ((SELECT VALUE rev FROM $user)[0] ?? 0) != $rev OR (SELECT VALUE id FROM $user)[0] = NONE {
        THROW 'Transaction conflict: the user has changed since they were read'
    };
    UPDATE $user SET last_login_at = $row.created_at RETURN NONE;
    INSERT INTO session $row RETURN NONE;
    INSERT INTO refresh $given RETURN NONE;
    COMMIT;";

const EXCHANGE: &str = "BEGIN;
    UPDATE $row.id CONTENT $row RETURN NONE;
    INSERT INTO refresh $given RETURN NONE;
    COMMIT;";

const END: &str = "BEGIN;
    UPDATE $id SET ended_at = $now, rev += 1 WHERE ended_at = NONE RETURN NONE;
    INSERT INTO revocation { id: $revocation, sessions: [$ended] } RETURN NONE;
    COMMIT;";

const DROP_SESSIONS: &str = "BEGIN;
    FOR $dropped IN $sessions {
        DELETE refresh:[$dropped, '']..[$dropped, 'g'] RETURN NONE
    };
    DELETE $ids RETURN NONE;
    COMMIT;";

/// Sessions that are dropped at once.
const DROPPED_AT_ONCE: usize = 200;

#[derive(SurrealValue)]
struct SessionRow {
    id: RecordId,
    user: String,
    role: String,
    scopes: String,
    address: String,
    created_at: Timestamp,
    ends_at: Timestamp,
    live_until: Timestamp,
    renewed_at: Timestamp,
    live: String,
    previous: Option<String>,
    ended_at: Option<Timestamp>,
    rev: u32,
}

#[derive(SurrealValue)]
struct GivenRow {
    id: RecordId,
    at: Timestamp,
}

#[derive(SurrealValue)]
struct RevocationRow {
    sessions: Vec<String>,
}

impl Store {
    /// Begins a session of a user who was read at a revision.
    ///
    /// # Errors
    /// Conflict when the user was changed since, and when the store fails.
    pub async fn begin_session(&self, session: &Session, user_rev: u32) -> Result<(), StoreError> {
        let parameters = bind([
            ("user", user_id(&session.user).into_value()),
            ("rev", user_rev.into_value()),
            ("row", SessionRow::new(session).into_value()),
            ("given", GivenRow::new(session).into_value()),
        ]);
        self.run_again("began a session", BEGIN_SESSION, parameters).await
    }

    /// A session; none if there is no such, or it was dropped.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn session(&self, id: Ulid) -> Result<Option<Session>, StoreError> {
        let parameters = bind([("id", session_id(id).into_value())]);
        let found: Vec<SessionRow> = self
            .select("read a session", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(SessionRow::into_domain).transpose()
    }

    /// The sessions of a user that were not ended, the latest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn sessions(&self, user: &str) -> Result<Vec<Session>, StoreError> {
        let text = "SELECT * FROM session WHERE user = $user AND ended_at = NONE ORDER BY id DESC";
        let parameters = bind([("user", user.to_owned().into_value())]);
        let found: Vec<SessionRow> = self.select("read sessions", text, parameters).await?;
        found.into_iter().map(SessionRow::into_domain).collect()
    }

    /// Whether a token was ever given out for a session.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn was_given(&self, session: Ulid, hash: &TokenHash) -> Result<bool, StoreError> {
        let text = "SELECT VALUE id FROM $id";
        let parameters = bind([("id", given_id(session, hash).into_value())]);
        let found: Vec<RecordId> = self.select("read a refresh token", text, parameters).await?;
        Ok(!found.is_empty())
    }

    /// Keeps a session after an exchange.
    ///
    /// # Errors
    /// Conflict when the session was changed since it was read, and when the store fails.
    pub async fn exchange(&self, session: &Session) -> Result<(), StoreError> {
        let parameters = bind([
            ("row", SessionRow::new(session).into_value()),
            ("given", GivenRow::new(session).into_value()),
        ]);
        self.run_to_end("renewed a session", EXCHANGE.to_owned(), parameters)
            .await
    }

    /// Ends a session before its time.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_session(&self, id: Ulid, now: Timestamp) -> Result<(), StoreError> {
        let parameters = bind([
            ("id", session_id(id).into_value()),
            ("ended", id.to_string().into_value()),
            ("now", now.into_value()),
            ("revocation", revocation_id(now).into_value()),
        ]);
        self.run_again("ended a session", END, parameters).await
    }

    /// The sessions that were ended since a moment.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn revoked_since(&self, since: Timestamp) -> Result<Vec<Ulid>, StoreError> {
        let text = "SELECT sessions FROM revocation:[$since]..['Z']";
        let parameters = bind([("since", moment(since).to_string().into_value())]);
        let found: Vec<RevocationRow> = self.select("read revocations", text, parameters).await?;
        let ids = found.into_iter().flat_map(|row| row.sessions);
        ids.map(|id| Ulid::from_string(&id).map_err(|_| StoreError::Corrupt(format!("`{id}` is no session"))))
            .collect()
    }

    /// Drops sessions that can't be renewed any more, and revocations from before a moment; how
    /// many sessions.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_sessions(&self, now: Timestamp, revoked: Timestamp) -> Result<usize, StoreError> {
        let text = "SELECT VALUE id FROM session WHERE live_until < $now";
        let old: Vec<RecordId> = self
            .select("looked for old sessions", text, bind([("now", now.into_value())]))
            .await?;
        for ids in old.chunks(DROPPED_AT_ONCE) {
            let sessions = ids.iter().map(|id| Ok(rows::text_key(id)?.to_owned()));
            let sessions: Vec<String> = sessions.collect::<Result<_, StoreError>>()?;
            let parameters = bind([
                ("ids", ids.to_vec().into_value()),
                ("sessions", sessions.into_value()),
            ]);
            self.run_again("dropped old sessions", DROP_SESSIONS, parameters)
                .await?;
        }
        let text = "DELETE revocation:['']..[$before] RETURN NONE";
        let parameters = bind([("before", moment(revoked).to_string().into_value())]);
        self.run_again("dropped old revocations", text, parameters)
            .await?;
        Ok(old.len())
    }
}

impl SessionRow {
    fn new(session: &Session) -> Self {
        Self {
            id: session_id(session.id),
            user: session.user.clone(),
            role: session.role.name().to_owned(),
            scopes: session.scopes.to_string(),
            address: session.address.clone(),
            created_at: session.created_at,
            ends_at: session.ends_at,
            live_until: session.live_until,
            renewed_at: session.renewed_at,
            live: session.live.clone(),
            previous: session.previous.clone(),
            ended_at: session.ended_at,
            rev: session.rev + 1,
        }
    }

    fn into_domain(self) -> Result<Session, StoreError> {
        let id = rows::ulid_key(&self.id)?;
        let corrupt = |_| StoreError::Corrupt(format!("the session `{id}` has no role"));
        Ok(Session {
            id,
            user: self.user,
            role: self.role.parse().map_err(corrupt)?,
            // One that this version does not know reaches to nothing.
            scopes: Scopes::known(&self.scopes),
            address: self.address,
            created_at: self.created_at,
            ends_at: self.ends_at,
            live_until: self.live_until,
            renewed_at: self.renewed_at,
            live: self.live,
            previous: self.previous,
            ended_at: self.ended_at,
            rev: self.rev,
        })
    }
}

impl GivenRow {
    fn new(session: &Session) -> Self {
        Self {
            id: given_id(session.id, &session.live),
            at: session.renewed_at,
        }
    }
}

pub(super) fn session_id(id: Ulid) -> RecordId {
    RecordId::new("session", id.to_string())
}

fn given_id(session: Ulid, hash: &str) -> RecordId {
    let key: Array = vec![session.to_string().into_value(), hash.to_owned().into_value()].into();
    RecordId::new("refresh", key)
}

/// A new id of a revocation, in order of time.
pub(super) fn revocation_id(now: Timestamp) -> RecordId {
    let id = Ulid::from_parts(millis(now), rand::random());
    let key: Array = vec![id.to_string().into_value()].into();
    RecordId::new("revocation", key)
}

/// The least id of a moment.
fn moment(at: Timestamp) -> Ulid {
    Ulid::from_parts(millis(at), 0)
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or_default()
}
