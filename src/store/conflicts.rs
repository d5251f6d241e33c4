//! What guards refused, and what became of it.

use sha2::{Digest, Sha256};
use surrealdb::types::{RecordId, SurrealValue};

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::conflict::{Conflict, Refused, Verdict};
use crate::domain::identifier::{Cookie, Email};

/// A conflict as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConflict {
    /// Its id: the same refusal always has the same.
    pub id: String,
    /// What was refused, and the first row that brought it.
    pub conflict: Conflict,
    /// What became of it.
    pub verdict: Verdict,
    /// Who judged it, and when.
    pub judged: Option<(String, Timestamp)>,
}

#[derive(SurrealValue)]
pub(super) struct ConflictRow {
    id: RecordId,
    kind: String,
    cookie: Option<String>,
    email: Option<String>,
    raw: String,
    at: Timestamp,
    source: String,
    policy: String,
    verdict: String,
    judged_by: Option<String>,
    judged_at: Option<Timestamp>,
}

impl ConflictRow {
    pub(super) fn new(conflict: &Conflict) -> Self {
        let (cookie, email) = texts(&conflict.refused);
        Self {
            id: conflict_id(&id_of(&conflict.refused)),
            kind: conflict.refused.kind().to_owned(),
            cookie: cookie.map(str::to_owned),
            email: email.map(str::to_owned),
            raw: conflict.raw.to_string(),
            at: conflict.at,
            source: conflict.source.clone(),
            policy: conflict.policy.name().to_owned(),
            verdict: Verdict::Open.name().to_owned(),
            judged_by: None,
            judged_at: None,
        }
    }

    fn into_domain(self) -> Result<StoredConflict, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("a conflict has no {what}"));
        let cookie = |text: &Option<String>| rows::cookie_of(text.as_deref().unwrap_or_default());
        let email = |text: &Option<String>| rows::email_of(text.as_deref().unwrap_or_default());
        let refused = match self.kind.as_str() {
            "placeholder_cookie" => Refused::PlaceholderCookie(self.cookie.unwrap_or_default()),
            "placeholder_email" => Refused::PlaceholderEmail(self.email.unwrap_or_default()),
            "too_many_cookies" => Refused::TooManyCookies(cookie(&self.cookie)?, email(&self.email)?),
            "too_many_emails" => Refused::TooManyEmails(cookie(&self.cookie)?, email(&self.email)?),
            _ => return Err(corrupt("known kind")),
        };
        Ok(StoredConflict {
            id: rows::text_key(&self.id)?.to_owned(),
            conflict: Conflict {
                refused,
                raw: self.raw.parse().map_err(|_| corrupt("raw row"))?,
                at: self.at,
                source: self.source,
                policy: self.policy.parse().map_err(|_| corrupt("known policy"))?,
            },
            verdict: self.verdict.parse().map_err(|_| corrupt("known verdict"))?,
            judged: self.judged_by.zip(self.judged_at),
        })
    }
}

fn texts(refused: &Refused) -> (Option<&str>, Option<&str>) {
    match refused {
        Refused::PlaceholderCookie(text) => (Some(text), None),
        Refused::PlaceholderEmail(text) => (None, Some(text)),
        Refused::TooManyCookies(cookie, email) | Refused::TooManyEmails(cookie, email) => {
            (Some(cookie.as_str()), Some(email.as_str()))
        }
    }
}

/// The same link is one conflict, whichever bound it met first; so is the same placeholder.
fn id_of(refused: &Refused) -> String {
    let (cookie, email) = texts(refused);
    hash(cookie, email)
}

/// The record of a link's conflict, if it ever was one.
pub(super) fn conflict_of(cookie: &Cookie, email: &Email) -> RecordId {
    conflict_id(&hash(Some(cookie.as_str()), Some(email.as_str())))
}

fn hash(cookie: Option<&str>, email: Option<&str>) -> String {
    let mut hash = Sha256::new();
    for text in [cookie, email] {
        let text = text.unwrap_or_default();
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    hex::encode(&hash.finalize()[..16])
}

pub(super) fn conflict_id(id: &str) -> RecordId {
    RecordId::new("conflict", id)
}

/// By time and id, behind a conflict or from the first one on. Every conflict is looked at,
/// 30,000 of them in 40 ms: an index would not order them, since the engine's keys hold times as
/// texts, in which `05.5Z` stands before `05Z`.
const PAGE: &str = "
    SELECT * FROM conflict
    WHERE ($verdict = NONE OR verdict = $verdict)
        AND ($at = NONE OR at > $at OR (at = $at AND id > $after))
    ORDER BY at, id LIMIT $limit
";

impl Store {
    /// Conflicts in the order of their times, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn conflicts(
        &self,
        verdict: Option<Verdict>,
        after: Option<(Timestamp, &str)>,
        limit: u32,
    ) -> Result<Vec<StoredConflict>, StoreError> {
        let (at, id) = after.unzip();
        let parameters = bind([
            (
                "verdict",
                verdict.map(|verdict| verdict.name().to_owned()).into_value(),
            ),
            ("at", at.into_value()),
            ("after", conflict_id(id.unwrap_or_default()).into_value()),
            ("limit", limit.into_value()),
        ]);
        let found: Vec<ConflictRow> = self.select("read conflicts", PAGE, parameters).await?;
        found.into_iter().map(ConflictRow::into_domain).collect()
    }

    /// The conflicts with these ids; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn conflicts_with(&self, ids: &[String]) -> Result<Vec<StoredConflict>, StoreError> {
        let ids: Vec<RecordId> = ids.iter().map(|id| conflict_id(id)).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let found: Vec<ConflictRow> = self
            .select("read conflicts", "SELECT * FROM $ids", parameters)
            .await?;
        found.into_iter().map(ConflictRow::into_domain).collect()
    }

    /// One conflict; none if there is no such.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn conflict(&self, id: &str) -> Result<Option<StoredConflict>, StoreError> {
        let parameters = bind([("id", conflict_id(id).into_value())]);
        let found: Vec<ConflictRow> = self
            .select("read a conflict", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(ConflictRow::into_domain).transpose()
    }
}
