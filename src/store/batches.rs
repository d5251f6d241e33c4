//! What each request brought and what became of it: batches, their rejects, and the
//! messages seen.

use std::collections::{BTreeSet, HashMap};

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};
use ulid::Ulid;

use super::commit::BatchProgress;
use super::quality::{quality_of, quality_text};
use super::rows;
use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::fact::Fact;
use crate::domain::identifier::Cookie;
use crate::domain::quality::Quality;
use crate::domain::record::{Finding, Origin, RawId, RawRow, Reject};
use crate::domain::trail::MessageMark;

/// The most rejects that one page holds.
pub const REJECTS_PAGE_MAX: u64 = 1_000;

#[derive(SurrealValue)]
pub(super) struct BatchRow {
    id: RecordId,
    source: String,
    content_type: String,
    received_at: Timestamp,
    processed: u64,
    rejected: u64,
    duplicates: u64,
    finished: bool,
    failure: Option<String>,
    /// JSON; none of a batch that is older than the field.
    quality: Option<String>,
}

impl BatchRow {
    pub(super) fn new(origin: Origin, progress: BatchProgress) -> Self {
        Self {
            id: batch_id(progress.id),
            source: origin.source,
            content_type: origin.content_type,
            received_at: origin.received_at,
            processed: progress.processed,
            rejected: progress.rejected,
            duplicates: progress.duplicates,
            finished: progress.finished,
            failure: progress.failure,
            quality: quality_text(&progress.quality),
        }
    }

    fn into_domain(self) -> Result<(Origin, BatchProgress), StoreError> {
        let id = rows::ulid_key(&self.id)?;
        let origin = Origin {
            batch: id,
            source: self.source,
            content_type: self.content_type,
            received_at: self.received_at,
        };
        let progress = BatchProgress {
            id,
            processed: self.processed,
            rejected: self.rejected,
            duplicates: self.duplicates,
            finished: self.finished,
            failure: self.failure,
            quality: Box::new((self.quality.as_deref()).map_or_else(|| Ok(Quality::default()), quality_of)?),
        };
        Ok((origin, progress))
    }
}

#[derive(SurrealValue)]
struct FindingRow {
    field: String,
    code: String,
    message: String,
}

#[derive(SurrealValue)]
pub(super) struct RejectRow {
    id: RecordId,
    line: u64,
    verbatim: String,
    reasons: Vec<FindingRow>,
}

impl RejectRow {
    pub(super) fn new(batch: Ulid, reject: Reject) -> Self {
        let reason = |finding: Finding| FindingRow {
            field: finding.field,
            code: finding.code.to_owned(),
            message: finding.message,
        };
        Self {
            id: RecordId::new("reject", reject_key(batch, reject.row.number)),
            line: reject.row.line,
            verbatim: reject.row.verbatim,
            reasons: reject.reasons.into_iter().map(reason).collect(),
        }
    }
}

/// A reject as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReject {
    /// The row as it arrived.
    pub row: RawRow,
    /// Field, code and message of each reason.
    pub reasons: Vec<(String, String, String)>,
}

#[derive(SurrealValue)]
pub(super) struct MessageRow {
    id: RecordId,
    raw: String,
}

impl MessageRow {
    pub(super) fn new(cookie: &Cookie, message: MessageMark, raw: RawId) -> Self {
        Self {
            id: message_id(cookie.as_str(), &hex_of(message)),
            raw: raw.to_string(),
        }
    }
}

fn hex_of(MessageMark(mark): MessageMark) -> String {
    format!("{mark:016x}")
}

fn message_id(first: &str, second: &str) -> RecordId {
    let key: Array = vec![first.to_owned().into_value(), second.to_owned().into_value()].into();
    RecordId::new("message", key)
}

/// Both parts of a message's key.
fn message_key(id: &RecordId) -> Result<(String, String), StoreError> {
    let RecordIdKey::Array(parts) = &id.key else {
        return Err(StoreError::Corrupt("a message's key is not a pair".to_owned()));
    };
    match &parts[..] {
        [Value::String(first), Value::String(second)] => Ok((first.clone(), second.clone())),
        _ => Err(StoreError::Corrupt(
            "a message's key is not a pair of texts".to_owned(),
        )),
    }
}

impl Store {
    /// Which of these facts are messages that came before under the same cookie, and are not on
    /// its trail any more. Facts that are no messages are none of them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn known_messages(&self, facts: &[&Fact]) -> Result<BTreeSet<RawId>, StoreError> {
        let mut asked: HashMap<(String, String), Vec<RawId>> = HashMap::new();
        for fact in facts {
            let (Some(mark), Some(id)) = (fact.message(), &fact.message_id) else {
                continue;
            };
            let key = (fact.cookie.to_string(), hex_of(mark));
            asked.entry(key).or_default().push(fact.raw);
            // As earlier versions remembered it.
            let key = (fact.source.clone(), id.clone());
            asked.entry(key).or_default().push(fact.raw);
        }
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids: Vec<RecordId> = (asked.keys())
            .map(|(first, second)| message_id(first, second))
            .collect();
        let parameters = bind([("messages", ids.into_value())]);
        let found: Vec<RecordId> = self
            .select("read messages", "SELECT VALUE id FROM $messages", parameters)
            .await?;
        let mut known = BTreeSet::new();
        for id in &found {
            known.extend(asked.get(&message_key(id)?).into_iter().flatten());
        }
        Ok(known)
    }

    /// Where a batch stands; none if there is no such batch.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn batch(&self, id: Ulid) -> Result<Option<(Origin, BatchProgress)>, StoreError> {
        let parameters = bind([("id", batch_id(id).into_value())]);
        let found: Vec<BatchRow> = self
            .select("read a batch", "SELECT * FROM $id", parameters)
            .await?;
        found.into_iter().next().map(BatchRow::into_domain).transpose()
    }

    /// The rejects of a batch behind row number `after`, at most `limit`, in order.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn rejects(
        &self,
        batch: Ulid,
        after: u64,
        limit: u64,
    ) -> Result<Vec<StoredReject>, StoreError> {
        let parameters = bind([
            ("batch", batch.to_string().into_value()),
            ("after", after.into_value()),
            ("limit", limit.min(REJECTS_PAGE_MAX).into_value()),
        ]);
        let found: Vec<RejectRow> = self.select("read rejects", REJECTS, parameters).await?;
        found.into_iter().map(stored_reject).collect()
    }
}

/// A batch's rejects are a range of keys.
const REJECTS: &str = "SELECT * FROM reject:[$batch, $after]>..[$batch, ..] LIMIT $limit";

fn stored_reject(row: RejectRow) -> Result<StoredReject, StoreError> {
    let number = match &row.id.key {
        RecordIdKey::Array(parts) => parts
            .get(1)
            .cloned()
            .and_then(|number| u64::from_value(number).ok()),
        _ => None,
    };
    let number = number.ok_or_else(|| StoreError::Corrupt("a reject's key has no row number".to_owned()))?;
    let reasons = row
        .reasons
        .into_iter()
        .map(|reason| (reason.field, reason.code, reason.message))
        .collect();
    Ok(StoredReject {
        row: RawRow {
            number,
            line: row.line,
            verbatim: row.verbatim,
        },
        reasons,
    })
}

fn batch_id(id: Ulid) -> RecordId {
    RecordId::new("batch", id.to_string())
}

fn reject_key(batch: Ulid, row: u64) -> Array {
    vec![batch.to_string().into_value(), row.into_value()].into()
}
