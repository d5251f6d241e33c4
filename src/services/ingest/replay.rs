//! Judges refused rows again: as they were kept, after a change of settings, or as somebody
//! mended them. They go down the one road as a batch of their own, as if they had come when
//! their batch did. What is accepted is marked in the same transaction, and never replayed
//! again; what is refused once more stays where it was, with the reasons of today.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use ulid::Ulid;

use super::Renames;
use super::batch::Batch;
use super::chunks::{Bridge, CHUNK_BYTES, CHUNK_ROWS, Reading, Skip, decode_chunks};
use super::claims::{Claim, Held};
use super::rejects::{ERRORS, LINE, REST, ROW, VERBATIM, fields_of};
use super::report::{ERRORS_LISTED_MAX, Report, RowError, Status};
use super::{Format, Ingest};
use crate::activation::csv::unguarded;
use crate::domain::error::Error;
use crate::domain::record::{Finding, Origin, RawRow};
use crate::ingest::decode::Row;
use crate::ingest::fields::Fields;
use crate::ingest::normalise::stored;
use crate::store::commit::BatchProgress;
use crate::store::journal::Replay;
use crate::store::rejects::StoredReject;

/// What became of rejects that were judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayReport {
    /// The batch that they were replayed as; none when there was nothing to replay.
    pub batch: Option<Ulid>,
    /// The batch that they are of.
    pub replay_of: Ulid,
    /// Rows that were judged.
    pub processed: u64,
    /// Rows that were refused again.
    pub rejected: u64,
    /// Rows whose message id had come before.
    pub duplicates: u64,
    /// Rows that an earlier replay had accepted.
    pub replayed_before: u64,
    /// Rows that could not be decoded, and are to be mended before they can be judged.
    pub undecodable: u64,
    /// What is wrong: the first [`ERRORS_LISTED_MAX`].
    pub errors: Vec<RowError>,
}

impl ReplayReport {
    /// Rows that were accepted.
    #[must_use]
    pub const fn accepted(&self) -> u64 {
        self.processed - self.rejected
    }

    /// How they fared.
    #[must_use]
    pub const fn status(&self) -> Status {
        Status::of(self.processed, self.rejected)
    }
}

/// A replay on its way.
struct Replaying<'a> {
    ingest: &'a Ingest,
    origin: Origin,
    batch: Option<Batch<'a>>,
    /// The rows that are sent next: not before it is known whether they are the last.
    pending: Option<Vec<(u32, Row)>>,
    report: ReplayReport,
    /// Rows that were named, so that none is judged twice.
    seen: BTreeSet<u64>,
}

impl Ingest {
    /// Judges the rejects of a batch again as they were kept.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch, conflict while
    /// another replay of it is under way.
    pub async fn replay(&self, id: &str) -> Result<ReplayReport, Error> {
        let (origin, progress) = self.batch(id).await?;
        let claim = self.claims.take(Held::Rejects(origin.batch))?;
        let mut replaying = Replaying::new(self, origin);
        let mut windows = self.windows(progress, 0);
        while let Some(found) = windows.next().await? {
            let mut rows = Vec::with_capacity(found.len());
            for reject in found {
                if reject.replayed.is_some() {
                    replaying.report.replayed_before += 1;
                } else if let Some(fields) = fields_of(&reject) {
                    rows.push((reject.rev, row_of(reject.row, fields)));
                } else {
                    replaying.report.undecodable += 1;
                }
            }
            replaying.judge(rows, &claim).await?;
        }
        replaying.finish(&claim).await
    }

    /// Judges rows that somebody mended, in the place of the rejects whose number they name in
    /// their field `row`. The table of [`Ingest::rejects_csv`] is such a payload.
    ///
    /// # Errors
    /// As [`Ingest::replay`], and as [`Ingest::ingest`] when the payload can't be read.
    pub async fn replay_mended(
        &self,
        id: &str,
        format: Format,
        bytes_max: u64,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<ReplayReport, Error> {
        let (mut origin, _) = self.batch(id).await?;
        let claim = self.claims.take(Held::Rejects(origin.batch))?;
        format.media_type().clone_into(&mut origin.content_type);
        let mut replaying = Replaying::new(self, origin);
        let reading = Reading {
            format,
            names: self.names(&replaying.origin.source, &Renames::default()),
            bytes_max,
            identity: None,
            skip: Skip::default(),
        };
        let body = Bridge {
            runtime: Handle::current(),
            body,
        };
        let (sender, mut pieces) = mpsc::channel(1);
        let decoding = tokio::task::spawn_blocking(move || decode_chunks(&reading, body, &sender));
        while let Some(piece) = pieces.recv().await {
            let rows = replaying.match_rows(piece.rows).await?;
            replaying.judge(rows, &claim).await?;
        }
        let decoded = decoding.await?;
        let report = replaying.finish(&claim).await?;
        match decoded.failure {
            None => Ok(report),
            Some(failure) if report.processed == 0 => Err(Error::new(failure.code, failure.message)),
            Some(failure) => {
                let message = format!(
                    "{}; the {} rows before it were judged, and need not be sent again",
                    failure.message, report.processed
                );
                Err(Error::new(failure.code, message))
            }
        }
    }
}

impl<'a> Replaying<'a> {
    fn new(ingest: &'a Ingest, origin: Origin) -> Self {
        let report = ReplayReport {
            batch: None,
            replay_of: origin.batch,
            processed: 0,
            rejected: 0,
            duplicates: 0,
            replayed_before: 0,
            undecodable: 0,
            errors: Vec::new(),
        };
        Self {
            ingest,
            origin,
            batch: None,
            pending: None,
            report,
            seen: BTreeSet::new(),
        }
    }

    /// Finds the reject of each mended row; what names none is an error of its own.
    async fn match_rows(&mut self, mended: Vec<Row>) -> Result<Vec<(u32, Row)>, Error> {
        let mut named: BTreeMap<u64, (RawRow, Fields)> = BTreeMap::new();
        for row in mended {
            let RawRow { number, line, .. } = row.raw;
            match row.content.and_then(named_row) {
                Ok((of, fields)) if self.seen.insert(of) => {
                    named.insert(of, (row.raw, fields));
                }
                Ok((of, _)) => {
                    let message = format!("the row {of} comes twice");
                    self.complain(number, line, finding(ROW, "duplicate", message));
                }
                Err(finding) => self.complain(number, line, finding),
            }
        }
        let numbers: Vec<u64> = named.keys().copied().collect();
        let found = self
            .ingest
            .store
            .rejects_of_rows(self.origin.batch, &numbers)
            .await?;
        let mut rows = Vec::with_capacity(found.len());
        for StoredReject {
            row, rev, replayed, ..
        } in found
        {
            let Some((mended, fields)) = named.remove(&row.number) else {
                continue;
            };
            if replayed.is_some() {
                self.report.replayed_before += 1;
                continue;
            }
            let raw = RawRow {
                verbatim: mended.verbatim,
                ..row
            };
            rows.push((rev, row_of(raw, fields)));
        }
        for (number, (mended, _)) in named {
            let message = format!("no row {number} of the batch was refused");
            self.complain(number, mended.line, finding(ROW, "unknown", message));
        }
        Ok(rows)
    }

    fn complain(&mut self, number: u64, line: u64, finding: Finding) {
        if self.report.errors.len() < ERRORS_LISTED_MAX {
            self.report.errors.push(RowError::of(number, line, finding));
        }
    }

    /// Sends rows down the road, each with the revision of its reject.
    async fn judge(&mut self, rows: Vec<(u32, Row)>, claim: &Arc<Claim>) -> Result<(), Error> {
        // The road takes so many rows at once.
        for chunk in in_chunks(rows) {
            if let Some(before) = self.pending.replace(chunk) {
                self.send(before, false, claim).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, rows: Vec<(u32, Row)>, is_last: bool, claim: &Arc<Claim>) -> Result<(), Error> {
        let (ingest, origin) = (self.ingest, &self.origin);
        let batch = self.batch.get_or_insert_with(|| {
            // The rows came when they came first; only the batch's id tells when this was.
            let id = Ulid::from_datetime(stored(Utc::now()).into());
            let origin = Origin {
                batch: id,
                ..origin.clone()
            };
            Batch::new(ingest, origin, BatchProgress::new(id)).holding(vec![Arc::clone(claim)])
        });
        let mut before = batch.progress.clone();
        before.journal.rows += rows.len() as u64;
        before.journal.replay = Some(Replay {
            of: self.origin.batch,
            rows: rows.iter().map(|(rev, row)| (row.raw.number, *rev)).collect(),
        });
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        batch.send(rows, before, is_last).await
    }

    async fn finish(mut self, claim: &Arc<Claim>) -> Result<ReplayReport, Error> {
        if let Some(last) = self.pending.take() {
            self.send(last, true, claim).await?;
        }
        let Some(batch) = self.batch else {
            return Ok(self.report);
        };
        let Report {
            batch,
            processed,
            rejected,
            duplicates,
            errors,
            ..
        } = batch.report().await?;
        let mut report = ReplayReport {
            batch: Some(batch),
            processed,
            rejected,
            duplicates,
            ..self.report
        };
        report.errors.extend(errors);
        report.errors.truncate(ERRORS_LISTED_MAX);
        Ok(report)
    }
}

/// Rows in groups that one transaction takes.
fn in_chunks(rows: Vec<(u32, Row)>) -> Vec<Vec<(u32, Row)>> {
    let mut chunks = Vec::new();
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for row in rows {
        bytes += row.1.raw.verbatim.len();
        chunk.push(row);
        if chunk.len() >= CHUNK_ROWS || bytes >= CHUNK_BYTES {
            chunks.push(std::mem::take(&mut chunk));
            bytes = 0;
        }
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    chunks
}

const fn row_of(raw: RawRow, fields: Fields) -> Row {
    Row {
        raw,
        content: Ok(fields),
    }
}

fn finding(field: &str, code: &'static str, message: String) -> Finding {
    Finding {
        field: field.to_owned(),
        code,
        message,
    }
}

/// Which reject a mended row is, and its fields: without the columns that only explain it, and
/// with those that had no column of their own.
fn named_row(fields: Fields) -> Result<(u64, Fields), Finding> {
    let mut number = None;
    let mut mended = Fields::with_capacity(fields.len());
    for (name, value) in fields {
        match (name.as_str(), value) {
            (ROW, value) => number = row_number(&value),
            (LINE | ERRORS | VERBATIM, _) => {}
            (REST, value) => mended.extend(rest(value)?),
            (_, Value::String(text)) => mended.push((name, unguarded(&text).into())),
            (_, value) => mended.push((name, value)),
        }
    }
    let missing = || finding(ROW, "required", "names the refused row that this is".to_owned());
    number.map(|number| (number, mended)).ok_or_else(missing)
}

fn row_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The fields of the column that holds the rest: a JSON object, or in CSV the text of one.
fn rest(value: Value) -> Result<Fields, Finding> {
    let value = match value {
        Value::String(text) if text.trim().is_empty() => return Ok(Fields::new()),
        Value::String(text) => serde_json::from_str(unguarded(&text)).unwrap_or(Value::String(text)),
        Value::Null => return Ok(Fields::new()),
        value => value,
    };
    match value {
        Value::Object(rest) => Ok(rest.into_iter().collect()),
        _ => Err(finding(REST, "wrong_type", "is a JSON object".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mended_row_names_its_reject_and_keeps_what_is_a_field() {
        let row = vec![
            ("row".to_owned(), json!("7")),
            ("line".to_owned(), json!("8")),
            ("errors".to_owned(), json!("email invalid: …")),
            ("cookie".to_owned(), json!("c1")),
            ("phone_number".to_owned(), json!("'+1555")),
            ("rest".to_owned(), json!("{\"plan\":\"gold\"}")),
            ("verbatim".to_owned(), json!("x")),
        ];
        let (number, fields) = named_row(row).unwrap();
        assert_eq!(number, 7);
        let expected = [
            ("cookie", json!("c1")),
            ("phone_number", json!("+1555")),
            ("plan", json!("gold")),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value)));
    }

    #[test]
    fn a_row_that_names_no_reject_is_told_so() {
        for row in [json!(null), json!("x"), json!(-1)] {
            let finding = named_row(vec![("row".to_owned(), row)]).unwrap_err();
            assert_eq!((finding.field.as_str(), finding.code), ("row", "required"));
        }
        let rest = vec![("row".to_owned(), json!(1)), ("rest".to_owned(), json!("oops"))];
        assert_eq!(named_row(rest).unwrap_err().code, "wrong_type");
    }
}
