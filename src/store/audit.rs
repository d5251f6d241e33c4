//! The audit log: a block for the calls of each moment. One record a moment and not one a call,
//! so that reading a profile costs no write of its own.

use std::sync::Arc;

use chrono::{Duration, SubsecRound};
use serde::{Deserialize, Serialize};
use surrealdb::types::{Bytes, RecordId, SurrealValue};
use tokio::task::spawn_blocking;

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::audit::{Door, Entry, Subject};

/// zstd's level: entries are much alike, and packed off the way of any request.
const COMPRESSION_LEVEL: i32 = 1;

/// How many bits of a block's number tell blocks of one millisecond apart.
const CHANCE_BITS: u32 = 20;

/// Calls so far from the one that was told first may be in its block, which is numbered by the earliest.
pub const BLOCK_SPAN: Duration = Duration::seconds(5);

/// How far from its number the calls of a block may lie, either way: blocks from before were numbered
/// by when they were written.
const BESIDE_NUMBER_MAX: Duration = Duration::seconds(10);

/// The longest span whose blocks are dropped at once.
const DROPPED_AT_ONCE: Duration = Duration::hours(1);

const DROP_BLOCKS: &str = "BEGIN;
    UPDATE counter:audit_begin SET value = $begin RETURN NONE;
    DELETE type::record('audit', $newest..=$oldest) RETURN NONE;
    COMMIT;";

#[derive(SurrealValue)]
struct AuditRow {
    id: RecordId,
    at: Timestamp,
    entries: Bytes,
}

/// An entry in short words: door, caller, role, action, subjects, status, request, address.
#[derive(Serialize, Deserialize)]
struct EntryDoc {
    t: i64,
    d: u8,
    c: String,
    r: String,
    a: String,
    s: Vec<(String, String)>,
    n: u16,
    q: String,
    i: String,
}

impl Store {
    /// Keeps entries, each within [`BLOCK_SPAN`] of the first, as one block.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_audit(&self, entries: &Arc<[Entry]>) -> Result<(), StoreError> {
        let Some(at) = entries.iter().map(|entry| entry.at).min() else {
            return Ok(());
        };
        // Hundreds of entries take half a millisecond, for which no other task is to wait.
        let packing = Arc::clone(entries);
        let packed = spawn_blocking(move || pack(&packing)).await;
        let row = AuditRow {
            id: block_id(number_of(at) - i64::from(rand::random::<u32>() >> (u32::BITS - CHANCE_BITS))),
            at,
            entries: packed.map_err(|error| unpackable(&error))??.into(),
        };
        let text = "INSERT INTO audit $row RETURN NONE";
        self.run_again("kept the audit log", text, bind([("row", row.into_value())]))
            .await
    }

    /// The entries from a moment until before another, the newest first. Moments are kept to the
    /// microsecond, and looked for as they are kept.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn audit_between(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Entry>, StoreError> {
        let (from, until) = (from.trunc_subsecs(6), until.trunc_subsecs(6));
        let parameters = bind([
            ("newest", number_of(until + BESIDE_NUMBER_MAX).into_value()),
            ("oldest", number_of(from - BESIDE_NUMBER_MAX).into_value()),
        ]);
        let text = "SELECT * FROM type::record('audit', $newest..=$oldest)";
        let found: Vec<AuditRow> = self.select("read the audit log", text, parameters).await?;
        let mut entries = Vec::new();
        for row in found {
            entries.extend(unpack(&row.entries)?.into_iter().rev());
        }
        entries.retain(|entry| (from..until).contains(&entry.at));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
        Ok(entries)
    }

    /// The moment before which nothing is kept.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn audit_begin(&self) -> Result<Timestamp, StoreError> {
        let begin: Option<i64> = self
            .counter("read where the audit log begins", "audit_begin")
            .await?;
        let begin = begin.and_then(Timestamp::from_timestamp_millis);
        begin.ok_or_else(|| StoreError::Corrupt("the audit log has no beginning".to_owned()))
    }

    /// Drops what is older than a moment, from the oldest on, an hour at a time; whether there may
    /// be more of it.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn drop_audit_before(&self, moment: Timestamp) -> Result<bool, StoreError> {
        let begin = self.audit_begin().await?;
        if begin >= moment {
            return Ok(false);
        }
        let until = moment.min(begin + DROPPED_AT_ONCE);
        let parameters = bind([
            ("newest", number_of(until).into_value()),
            ("oldest", number_of(begin).into_value()),
            ("begin", until.timestamp_millis().into_value()),
        ]);
        self.run_again("dropped what is old in the audit log", DROP_BLOCKS, parameters)
            .await?;
        Ok(until < moment)
    }
}

fn block_id(number: i64) -> RecordId {
    RecordId::new("audit", number)
}

/// The number of the first block of a millisecond; that of a later one is smaller.
fn number_of(at: Timestamp) -> i64 {
    i64::MAX - (at.timestamp_millis().max(0) << CHANCE_BITS)
}

fn pack(entries: &[Entry]) -> Result<Vec<u8>, StoreError> {
    let docs: Vec<EntryDoc> = entries.iter().map(EntryDoc::from).collect();
    let text = serde_json::to_vec(&docs).map_err(|error| unpackable(&error))?;
    zstd::encode_all(text.as_slice(), COMPRESSION_LEVEL).map_err(|error| unpackable(&error))
}

fn unpackable(error: &dyn std::error::Error) -> StoreError {
    StoreError::Corrupt(format!("a block of the audit log can't be packed: {error}"))
}

fn unpack(packed: &Bytes) -> Result<Vec<Entry>, StoreError> {
    let corrupt = |error: &dyn std::error::Error| {
        StoreError::Corrupt(format!("a block of the audit log is torn: {error}"))
    };
    let text = zstd::decode_all(packed.as_ref()).map_err(|error| corrupt(&error))?;
    let docs: Vec<EntryDoc> = serde_json::from_slice(&text).map_err(|error| corrupt(&error))?;
    Ok(docs.into_iter().map(Entry::from).collect())
}

impl From<&Entry> for EntryDoc {
    fn from(entry: &Entry) -> Self {
        let subjects = entry.subjects.iter();
        Self {
            t: entry.at.timestamp_micros(),
            d: u8::from(entry.door == Door::GraphQl),
            c: entry.caller.clone(),
            r: entry.role.clone(),
            a: entry.action.clone(),
            s: subjects
                .map(|subject| (subject.kind.clone(), subject.value.clone()))
                .collect(),
            n: entry.status,
            q: entry.request_id.clone(),
            i: entry.address.clone(),
        }
    }
}

impl From<EntryDoc> for Entry {
    fn from(doc: EntryDoc) -> Self {
        let subjects = doc.s.into_iter();
        Self {
            at: Timestamp::from_timestamp_micros(doc.t).unwrap_or_default(),
            caller: doc.c,
            role: doc.r,
            door: if doc.d == 0 { Door::Rest } else { Door::GraphQl },
            action: doc.a,
            subjects: subjects.map(|(kind, value)| Subject { kind, value }).collect(),
            status: doc.n,
            request_id: doc.q,
            address: doc.i,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(door: Door) -> Entry {
        Entry {
            at: Timestamp::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            caller: "ann".to_owned(),
            role: "analyst".to_owned(),
            door,
            action: "Query.profile".to_owned(),
            subjects: vec![Subject {
                kind: "cookie".to_owned(),
                value: "ab".to_owned(),
            }],
            status: 404,
            request_id: "r".to_owned(),
            address: "::1".to_owned(),
        }
    }

    #[test]
    fn a_block_reads_back() {
        let entries = [entry(Door::Rest), entry(Door::GraphQl)];
        let packed = Bytes::from(pack(&entries).unwrap());
        assert_eq!(unpack(&packed).unwrap(), entries);
        assert!(unpack(&Bytes::from(vec![1, 2, 3])).is_err());
    }

    #[tokio::test]
    async fn what_is_old_is_dropped_from_the_beginning_on() {
        let store = Store::in_memory().await;
        let begin = entry(Door::Rest).at;
        let text = "UPDATE counter:audit_begin SET value = $begin";
        let parameters = bind([("begin", begin.timestamp_millis().into_value())]);
        store.run("set the beginning", text, parameters).await.unwrap();
        for hours in [0, 3, 5] {
            let at = begin + Duration::hours(hours);
            let one = Entry {
                at,
                ..entry(Door::Rest)
            };
            store.keep_audit(&Arc::from([one])).await.unwrap();
        }
        while store.drop_audit_before(begin + Duration::hours(4)).await.unwrap() {}
        let all = store
            .audit_between(begin, begin + Duration::days(1))
            .await
            .unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(
            store.audit_begin().await.unwrap().timestamp(),
            (begin + Duration::hours(4)).timestamp()
        );
    }

    #[tokio::test]
    async fn what_came_within_the_microsecond_asked_from_is_found() {
        let store = Store::in_memory().await;
        let at = entry(Door::Rest).at + Duration::nanoseconds(400);
        let one = Entry {
            at,
            ..entry(Door::Rest)
        };
        store.keep_audit(&Arc::from([one])).await.unwrap();
        let later = at + Duration::seconds(1);
        assert_eq!(store.audit_between(at, later).await.unwrap().len(), 1);
        let before = at - Duration::seconds(1);
        assert_eq!(store.audit_between(before, at).await.unwrap().len(), 0);
    }

    #[test]
    fn a_later_block_has_a_smaller_number() {
        let at = |millis| Timestamp::from_timestamp_millis(millis).unwrap();
        let most_of_chance = (1 << CHANCE_BITS) - 1;
        assert!(number_of(at(1_001)) < number_of(at(1_000)) - most_of_chance);
        assert!(number_of(at(4_000_000_000_000)) > 0);
    }
}
