//! What happened to a person.

use async_graphql::{ID, SimpleObject};

use super::judgement::{Decision, Merge};
use crate::domain::Timestamp;
use crate::services::timeline::{Entry, Event, Page, RecordView};

/// A page of a timeline.
#[derive(SimpleObject)]
pub struct Timeline {
    /// The entries of this page, latest first.
    #[graphql(complexity = "child_complexity")]
    entries: Vec<TimelineEntry>,
    /// Give it as `before` to get the next page; null behind the last.
    #[graphql(complexity = 0)]
    next_cursor: Option<String>,
}

/// Something that happened: one of `record`, `merge` and `decision` says what.
#[derive(SimpleObject)]
pub struct TimelineEntry {
    /// `record`, `merge`, or what was decided: `undo`, `cut`, `allow` or `keep_apart`.
    kind: &'static str,
    /// Give it as `before` to get what was earlier.
    cursor: String,
    /// When, by the clock of arrival.
    at: Timestamp,
    /// The record that arrived.
    record: Option<TimelineRecord>,
    /// The profiles that became one.
    merge: Option<Merge>,
    /// What somebody decided.
    decision: Option<Decision>,
}

/// A record as it arrived.
#[derive(SimpleObject)]
pub struct TimelineRecord {
    /// The row's address, for `rawRow`.
    raw: String,
    /// The cookie that it is of.
    cookie: String,
    /// Who sent it.
    source: String,
    /// The batch that brought it.
    batch: ID,
    /// When the batch arrived.
    received_at: Timestamp,
    /// Its number within the batch, from 1; a CSV header is not counted.
    number: u64,
    /// The line of the payload where it begins, from 1.
    line: u64,
    /// Its own bytes as text.
    verbatim: String,
}

impl From<Page> for Timeline {
    fn from(page: Page) -> Self {
        Self {
            entries: page.entries.into_iter().map(TimelineEntry::from).collect(),
            next_cursor: page.next_cursor,
        }
    }
}

impl From<Entry> for TimelineEntry {
    fn from(entry: Entry) -> Self {
        let mut shown = Self {
            kind: entry.event.kind(),
            cursor: entry.cursor,
            at: entry.at,
            record: None,
            merge: None,
            decision: None,
        };
        match entry.event {
            Event::Record(record) => shown.record = Some(record.into()),
            Event::Merge(merge) => shown.merge = Some(merge.into()),
            Event::Decision(decision) => shown.decision = Some(decision.into()),
        }
        shown
    }
}

impl From<RecordView> for TimelineRecord {
    fn from(view: RecordView) -> Self {
        Self {
            raw: view.raw,
            cookie: view.cookie,
            source: view.source,
            batch: view.batch.into(),
            received_at: view.received_at,
            number: view.number,
            line: view.line,
            verbatim: view.verbatim,
        }
    }
}
