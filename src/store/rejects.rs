//! Refused rows: kept with their reasons, judged again, and marked once they are replayed.

use std::collections::{BTreeMap, BTreeSet};

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue};
use ulid::Ulid;

use super::commit::BatchProgress;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::record::{Finding, RawRow, Reject};

#[derive(SurrealValue)]
struct FindingRow {
    field: String,
    code: String,
    message: String,
}

impl From<Finding> for FindingRow {
    fn from(finding: Finding) -> Self {
        Self {
            field: finding.field,
            code: finding.code.to_owned(),
            message: finding.message,
        }
    }
}

#[derive(SurrealValue)]
pub(super) struct RejectRow {
    id: RecordId,
    line: u64,
    verbatim: String,
    reasons: Vec<FindingRow>,
    fields: Option<String>,
    rev: Option<u32>,
    replayed_by: Option<String>,
    replayed_at: Option<Timestamp>,
}

impl RejectRow {
    fn new(batch: Ulid, reject: Reject) -> Self {
        Self {
            id: reject_id(batch, reject.row.number),
            line: reject.row.line,
            verbatim: reject.row.verbatim,
            reasons: reject.reasons.into_iter().map(FindingRow::from).collect(),
            fields: reject.fields,
            rev: None,
            replayed_by: None,
            replayed_at: None,
        }
    }

    fn into_domain(self) -> Result<StoredReject, StoreError> {
        let number = match &self.id.key {
            RecordIdKey::Array(parts) => parts
                .get(1)
                .cloned()
                .and_then(|number| u64::from_value(number).ok()),
            _ => None,
        };
        let number =
            number.ok_or_else(|| StoreError::Corrupt("a reject's key has no row number".to_owned()))?;
        let reasons = (self.reasons.into_iter())
            .map(|reason| (reason.field, reason.code, reason.message))
            .collect();
        Ok(StoredReject {
            row: RawRow {
                number,
                line: self.line,
                verbatim: self.verbatim,
            },
            reasons,
            fields: self.fields,
            rev: self.rev.unwrap_or_default(),
            replayed: self.replayed_by.zip(self.replayed_at),
        })
    }
}

/// A reject as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReject {
    /// The row as it arrived.
    pub row: RawRow,
    /// Field, code and message of each reason.
    pub reasons: Vec<(String, String, String)>,
    /// Its fields, as [`Reject::fields`].
    pub fields: Option<String>,
    /// How often it was judged again.
    pub rev: u32,
    /// Which batch replayed it, and when; none while it waits to be.
    pub replayed: Option<(String, Timestamp)>,
}

#[derive(SurrealValue)]
pub(super) struct RefusedAgainRow {
    id: RecordId,
    rev: u32,
    reasons: Vec<FindingRow>,
}

#[derive(SurrealValue)]
pub(super) struct ReplayedRow {
    id: RecordId,
    rev: u32,
    by: String,
    at: Timestamp,
}

/// What one commit says of refused rows.
#[derive(Default)]
pub(super) struct Refusals {
    /// Refused for the first time.
    pub new: Vec<RejectRow>,
    /// Refused once more; they stay where they are, with the reasons of today.
    pub again: Vec<RefusedAgainRow>,
    /// Accepted at last.
    pub replayed: Vec<ReplayedRow>,
}

impl Refusals {
    pub(super) fn of<'a>(
        batches: impl Iterator<Item = &'a BatchProgress>,
        rejects: Vec<(Ulid, Reject)>,
        at: Timestamp,
    ) -> Self {
        let replays: BTreeMap<Ulid, &BatchProgress> = batches
            .filter(|progress| progress.journal.replay.is_some())
            .map(|progress| (progress.id, progress))
            .collect();
        let mut refusals = Self::default();
        let mut refused: BTreeSet<(Ulid, u64)> = BTreeSet::new();
        for (batch, reject) in rejects {
            let replay = replays
                .get(&batch)
                .and_then(|progress| progress.journal.replay.as_ref());
            let Some(replay) = replay else {
                refusals.new.push(RejectRow::new(batch, reject));
                continue;
            };
            let number = reject.row.number;
            let rev = replay.rows.iter().find(|(row, _)| *row == number);
            refused.insert((batch, number));
            refusals.again.push(RefusedAgainRow {
                id: reject_id(replay.of, number),
                rev: rev.map_or(0, |(_, rev)| *rev) + 1,
                reasons: reject.reasons.into_iter().map(FindingRow::from).collect(),
            });
        }
        for progress in replays.into_values() {
            let Some(replay) = &progress.journal.replay else {
                continue;
            };
            let accepted = replay
                .rows
                .iter()
                .filter(|(number, _)| !refused.contains(&(progress.id, *number)));
            refusals
                .replayed
                .extend(accepted.map(|(number, rev)| ReplayedRow {
                    id: reject_id(replay.of, *number),
                    rev: rev + 1,
                    by: progress.id.to_string(),
                    at,
                }));
        }
        refusals
    }
}

impl Store {
    /// The rejects of a batch behind row number `after` and up to `to`, in order. The engine
    /// reads a range of keys to its end whatever the limit, so ask for short ones.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn rejects(&self, batch: Ulid, after: u64, to: u64) -> Result<Vec<StoredReject>, StoreError> {
        let parameters = bind([
            ("batch", batch.to_string().into_value()),
            ("after", after.into_value()),
            ("to", to.into_value()),
        ]);
        let text = "SELECT * FROM reject:[$batch, $after]>..=[$batch, $to]";
        let found: Vec<RejectRow> = self.select("read rejects", text, parameters).await?;
        found.into_iter().map(RejectRow::into_domain).collect()
    }

    /// The rejects of a batch with these row numbers; those that are not there are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn rejects_of_rows(
        &self,
        batch: Ulid,
        numbers: &[u64],
    ) -> Result<Vec<StoredReject>, StoreError> {
        let ids: Vec<RecordId> = numbers.iter().map(|number| reject_id(batch, *number)).collect();
        let parameters = bind([("ids", ids.into_value())]);
        let found: Vec<RejectRow> = self
            .select("read rejects", "SELECT * FROM $ids", parameters)
            .await?;
        found.into_iter().map(RejectRow::into_domain).collect()
    }

    /// The rejects of batches that arrived in a stretch of time, from one millisecond up to before
    /// another, each with its batch; none if there are more than `most`.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn rejects_between(
        &self,
        from_ms: u64,
        to_ms: u64,
        most: usize,
    ) -> Result<Option<Vec<(Ulid, StoredReject)>>, StoreError> {
        let parameters = bind([
            ("from", Ulid::from_parts(from_ms, 0).to_string().into_value()),
            ("to", Ulid::from_parts(to_ms, 0).to_string().into_value()),
            ("most", most.saturating_add(1).into_value()),
        ]);
        let text = "SELECT * FROM reject:[$from]..[$to] LIMIT $most";
        let found: Vec<RejectRow> = self.select("read rejects", text, parameters).await?;
        if found.len() > most {
            return Ok(None);
        }
        let read = |row: RejectRow| Ok((batch_of(&row.id)?, row.into_domain()?));
        found
            .into_iter()
            .map(read)
            .collect::<Result<_, StoreError>>()
            .map(Some)
    }

    /// Forgets refused rows, each by its batch and its number.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn drop_rejects(&self, rows: &[(Ulid, u64)]) -> Result<(), StoreError> {
        let ids: Vec<RecordId> = rows
            .iter()
            .map(|(batch, number)| reject_id(*batch, *number))
            .collect();
        let parameters = bind([("ids", ids.into_value())]);
        self.run_again("dropped rejects", "DELETE $ids RETURN NONE", parameters)
            .await
    }

    /// Forgets that a row was refused, since the batch is carried on from there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget_reject(&self, batch: Ulid, number: u64) -> Result<(), StoreError> {
        let parameters = bind([("id", reject_id(batch, number).into_value())]);
        self.run_again("forgot a reject", "DELETE $id RETURN NONE", parameters)
            .await
    }
}

fn batch_of(id: &RecordId) -> Result<Ulid, StoreError> {
    let batch = match &id.key {
        RecordIdKey::Array(parts) => parts.first().cloned().map(String::from_value),
        _ => None,
    };
    let batch = batch.and_then(Result::ok);
    let batch = batch.and_then(|text| Ulid::from_string(&text).ok());
    batch.ok_or_else(|| StoreError::Corrupt("a reject's key has no batch".to_owned()))
}

fn reject_id(batch: Ulid, row: u64) -> RecordId {
    let key: Array = vec![batch.to_string().into_value(), row.into_value()].into();
    RecordId::new("reject", key)
}
