//! Merges as they were recorded, and what people decided about them.

use surrealdb::types::{RecordId, SurrealValue};
use ulid::Ulid;

use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::decision::{Decision, DecisionKind};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::profile::ProfileId;

/// A merge as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMerge {
    /// The merge's own id, a ULID.
    pub id: String,
    /// Whose id stayed.
    pub survivor: ProfileId,
    /// Whose id leads to the survivor since.
    pub absorbed: ProfileId,
    /// When the absorbed profile had come to be; unknown of merges by earlier versions.
    pub absorbed_created_at: Option<Timestamp>,
    /// The cookies that came with the absorbed profile.
    pub cookies: Vec<Cookie>,
    /// The addresses that came with it.
    pub emails: Vec<Email>,
    /// The row that tied the two.
    pub raw: String,
    /// By which policy.
    pub policy: String,
    /// When, by the clock of arrival.
    pub at: Timestamp,
    /// Who undid it, and when.
    pub undone: Option<(String, Timestamp)>,
}

/// A decision as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    /// Its own id, a ULID.
    pub id: String,
    /// What was decided, and by whom.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
}

#[derive(SurrealValue)]
struct MergeRow {
    id: RecordId,
    survivor: RecordId,
    absorbed: RecordId,
    absorbed_created_at: Option<Timestamp>,
    cookies: Vec<String>,
    emails: Vec<String>,
    raw: String,
    policy: String,
    at: Timestamp,
    undone_at: Option<Timestamp>,
    undone_by: Option<String>,
}

impl MergeRow {
    fn into_domain(self) -> Result<StoredMerge, StoreError> {
        Ok(StoredMerge {
            id: rows::text_key(&self.id)?.to_owned(),
            survivor: rows::profile_key(&self.survivor)?,
            absorbed: rows::profile_key(&self.absorbed)?,
            absorbed_created_at: self.absorbed_created_at,
            cookies: self
                .cookies
                .iter()
                .map(|text| rows::cookie_of(text))
                .collect::<Result<_, _>>()?,
            emails: self
                .emails
                .iter()
                .map(|text| rows::email_of(text))
                .collect::<Result<_, _>>()?,
            raw: self.raw,
            policy: self.policy,
            at: self.at,
            undone: self.undone_by.zip(self.undone_at),
        })
    }
}

#[derive(SurrealValue)]
pub(super) struct DecisionRow {
    id: RecordId,
    kind: String,
    profiles: Vec<RecordId>,
    links: Vec<Vec<String>>,
    subject: Option<String>,
    by: String,
    at: Timestamp,
}

impl DecisionRow {
    pub(super) fn new(decision: &Decision, at: Timestamp) -> Self {
        let link = |(cookie, email): &(Cookie, Email)| vec![cookie.to_string(), email.to_string()];
        Self {
            id: RecordId::new("decision", Ulid::new().to_string()),
            kind: decision.kind.name().to_owned(),
            profiles: decision.profiles.iter().map(|id| rows::profile_id(*id)).collect(),
            links: decision.links.iter().map(link).collect(),
            subject: decision.kind.subject().map(str::to_owned),
            by: decision.by.clone(),
            at,
        }
    }

    fn into_domain(self) -> Result<StoredDecision, StoreError> {
        let subject = self.subject.unwrap_or_default();
        let kind = match self.kind.as_str() {
            "undo" => DecisionKind::Undo { merge: subject },
            "allow" => DecisionKind::Allow { conflict: subject },
            "keep_apart" => DecisionKind::KeepApart { conflict: subject },
            _ => DecisionKind::Cut,
        };
        let link = |pair: &Vec<String>| match &pair[..] {
            [cookie, email] => Ok((rows::cookie_of(cookie)?, rows::email_of(email)?)),
            _ => Err(StoreError::Corrupt("a decision's link is not a pair".to_owned())),
        };
        Ok(StoredDecision {
            id: rows::text_key(&self.id)?.to_owned(),
            decision: Decision {
                kind,
                profiles: self
                    .profiles
                    .iter()
                    .map(rows::profile_key)
                    .collect::<Result<_, _>>()?,
                links: self.links.iter().map(link).collect::<Result<_, _>>()?,
                by: self.by,
            },
            at: self.at,
        })
    }
}

pub(super) fn merge_id(id: &str) -> RecordId {
    RecordId::new("merge", id)
}

impl Store {
    /// One merge; none if there is no such.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merge(&self, id: &str) -> Result<Option<StoredMerge>, StoreError> {
        let parameters = bind([("id", merge_id(id).into_value())]);
        let found: Vec<MergeRow> = self
            .select("read a merge", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(MergeRow::into_domain).transpose()
    }

    /// Merges, latest first, before the one with the id `before`, at most `limit`.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges(&self, before: Option<&str>, limit: u32) -> Result<Vec<StoredMerge>, StoreError> {
        let end = before.map_or_else(|| Ulid::from_bytes([0xff; 16]).to_string(), str::to_owned);
        let parameters = bind([("end", end.into_value()), ("limit", limit.into_value())]);
        let found: Vec<MergeRow> = self.select("read merges", MERGES, parameters).await?;
        found.into_iter().map(MergeRow::into_domain).collect()
    }

    /// The merges in which a profile stayed, oldest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges_into(&self, profile: ProfileId) -> Result<Vec<StoredMerge>, StoreError> {
        let parameters = bind([("profile", rows::profile_id(profile).into_value())]);
        let text = "SELECT * FROM merge WHERE survivor = $profile ORDER BY id";
        let found: Vec<MergeRow> = self.select("read a profile's merges", text, parameters).await?;
        found.into_iter().map(MergeRow::into_domain).collect()
    }

    /// The merges that absorbed a profile, oldest first; several if the first were undone.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn merges_of(&self, absorbed: ProfileId) -> Result<Vec<StoredMerge>, StoreError> {
        let parameters = bind([("profile", rows::profile_id(absorbed).into_value())]);
        let text = "SELECT * FROM merge WHERE absorbed = $profile ORDER BY id";
        let found: Vec<MergeRow> = self
            .select("read who absorbed a profile", text, parameters)
            .await?;
        found.into_iter().map(MergeRow::into_domain).collect()
    }

    /// The decisions that touched a profile, oldest first.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn decisions_on(&self, profile: ProfileId) -> Result<Vec<StoredDecision>, StoreError> {
        let parameters = bind([("profile", rows::profile_id(profile).into_value())]);
        let text = "SELECT * FROM decision WHERE profiles CONTAINS $profile ORDER BY id";
        let found: Vec<DecisionRow> = self
            .select("read a profile's decisions", text, parameters)
            .await?;
        found.into_iter().map(DecisionRow::into_domain).collect()
    }
}

const MERGES: &str = "SELECT * FROM merge WHERE record::id(id) < $end ORDER BY id DESC LIMIT $limit";
