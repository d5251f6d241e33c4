//! What is counted as it happens: an hour's counts of each subject, and their sums.

use std::collections::BTreeMap;

use surrealdb::types::{Array, RecordId, RecordIdKey, SurrealValue, Value};

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::tally::{Counts, Subject, Tally};

/// Adds to what was counted before. The texts of the two tables differ, since a table's name
/// can't be bound.
pub(super) const ADD: &str = "
    FOR $row IN $tally {
        FOR $id IN [$row.hour, $row.total] {
            UPSERT $id SET
                people = (people ?? 0) + $row.people, created = (created ?? 0) + $row.created,
                changed = (changed ?? 0) + $row.changed, merged = (merged ?? 0) + $row.merged,
                entered = (entered ?? 0) + $row.entered, `left` = (`left` ?? 0) + $row.`left`,
                accepted = (accepted ?? 0) + $row.accepted, rejected = (rejected ?? 0) + $row.rejected,
                duplicates = (duplicates ?? 0) + $row.duplicates, found = (found ?? 0) + $row.found
                RETURN NONE
        }
    };
";

/// Each subject's hours are a range of keys; one range for each, in one question.
const HOURS: &str = "
    RETURN array::flatten($names.map(|$name|
        (SELECT * FROM tally:[$kind, $name, $from]..[$kind, $name, $to])));
";

/// What one commit adds.
#[derive(SurrealValue)]
pub(super) struct TallyRow {
    hour: RecordId,
    total: RecordId,
    people: i64,
    created: i64,
    changed: i64,
    merged: i64,
    entered: i64,
    left: i64,
    accepted: i64,
    rejected: i64,
    duplicates: i64,
    found: i64,
}

#[derive(SurrealValue)]
struct CountsRow {
    id: RecordId,
    people: i64,
    created: i64,
    changed: i64,
    merged: i64,
    entered: i64,
    left: i64,
    accepted: i64,
    rejected: i64,
    duplicates: i64,
    found: i64,
}

impl TallyRow {
    /// The rows of a tally of an hour since 1970.
    pub(super) fn all(tally: &Tally, hour: u32) -> Vec<Self> {
        let row = |(subject, counts): (&Subject, Counts)| {
            let parts = |hour: Option<u32>| -> Array {
                let texts = [subject.kind(), subject.name()].map(|text| text.to_owned().into_value());
                let hour = hour.map(|hour| i64::from(hour).into_value());
                texts.into_iter().chain(hour).collect::<Vec<Value>>().into()
            };
            Self {
                hour: RecordId::new("tally", parts(Some(hour))),
                total: RecordId::new("total", parts(None)),
                people: counts.people,
                created: counts.created,
                changed: counts.changed,
                merged: counts.merged,
                entered: counts.entered,
                left: counts.left,
                accepted: counts.accepted,
                rejected: counts.rejected,
                duplicates: counts.duplicates,
                found: counts.found,
            }
        };
        tally.iter().map(row).collect()
    }
}

impl Store {
    /// What was counted of subjects of one kind in each hour since 1970 from one to before another,
    /// by their names; hours in which nothing was are left out, and so are subjects without any.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn tallies(
        &self,
        kind: &'static str,
        names: Vec<String>,
        from: u32,
        to: u32,
    ) -> Result<BTreeMap<String, Vec<(u32, Counts)>>, StoreError> {
        let parameters = bind([
            ("kind", kind.to_owned().into_value()),
            ("names", names.into_value()),
            ("from", i64::from(from).into_value()),
            ("to", i64::from(to).into_value()),
        ]);
        let found: Vec<CountsRow> = self.select("read tallies", HOURS, parameters).await?;
        let mut tallies: BTreeMap<String, Vec<(u32, Counts)>> = BTreeMap::new();
        for row in found {
            let name = part(&row.id, 1).and_then(|value| String::from_value(value).ok());
            let hour = part(&row.id, 2).and_then(|value| i64::from_value(value).ok());
            let hour = hour.and_then(|hour| u32::try_from(hour).ok());
            let (name, hour) = name.zip(hour).ok_or_else(corrupt)?;
            tallies.entry(name).or_default().push((hour, row.into()));
        }
        Ok(tallies)
    }

    /// All that was ever counted of each subject of a kind, by name.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn totals(&self, kind: &'static str) -> Result<Vec<(String, Counts)>, StoreError> {
        let parameters = bind([("kind", kind.to_owned().into_value())]);
        let text = "SELECT * FROM total:[$kind]..[$kind, ..]";
        let found: Vec<CountsRow> = self.select("read totals", text, parameters).await?;
        found
            .into_iter()
            .map(|row| {
                let name = part(&row.id, 1).and_then(|value| String::from_value(value).ok());
                Ok((name.ok_or_else(corrupt)?, row.into()))
            })
            .collect()
    }
}

fn part(id: &RecordId, index: usize) -> Option<Value> {
    match &id.key {
        RecordIdKey::Array(parts) => parts.get(index).cloned(),
        _ => None,
    }
}

fn corrupt() -> StoreError {
    StoreError::Corrupt("the key of a tally names no subject or hour".to_owned())
}

impl From<CountsRow> for Counts {
    fn from(row: CountsRow) -> Self {
        Self {
            people: row.people,
            created: row.created,
            changed: row.changed,
            merged: row.merged,
            entered: row.entered,
            left: row.left,
            accepted: row.accepted,
            rejected: row.rejected,
            duplicates: row.duplicates,
            found: row.found,
        }
    }
}
