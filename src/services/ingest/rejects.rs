//! What was refused of a batch: a page of it, or all of it as a table that a spreadsheet opens
//! and [`super::replay`] reads back.

use futures_util::stream::{self, Stream};
use serde_json::{Map, Value};

use super::Ingest;
use super::report::stored_errors;
use crate::activation::csv::guarded;
use crate::domain::error::Error;
use crate::domain::fact::Attribute;
use crate::ingest::fields::{self, Fields};
use crate::ingest::keep;
use crate::services::sight::Sight;
use crate::store::commit::BatchProgress;
use crate::store::rejects::StoredReject;

/// The most rejects that one page holds.
pub const REJECTS_PAGE_MAX: u64 = 1_000;

/// Row numbers that are read at first in one question.
const WINDOW_ROWS: u64 = 256;

/// Row numbers that are read in one question where few rows are refused.
const WINDOW_ROWS_MAX: u64 = 16 * 1024;

/// Rejects in one question beyond which the next one asks for fewer row numbers.
const WINDOW_REJECTS: usize = 128;

/// The table's own columns: before the fields, and behind them.
pub(super) const ROW: &str = "row";
pub(super) const LINE: &str = "line";
pub(super) const ERRORS: &str = "errors";
pub(super) const REST: &str = "rest";
pub(super) const VERBATIM: &str = "verbatim";

/// Reads the rejects of a batch by windows of row numbers, since the engine reads a range of
/// keys to its end.
pub(super) struct Windows<'a> {
    ingest: &'a Ingest,
    progress: BatchProgress,
    after: u64,
    rows: u64,
}

impl Windows<'_> {
    /// The rejects of the next window that has any; none behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredReject>>, Error> {
        while self.after < self.progress.processed {
            let to = self.after.saturating_add(self.rows);
            let found = self
                .ingest
                .store
                .rejects(self.progress.id, self.after, to)
                .await?;
            self.after = to;
            self.rows = if found.len() > WINDOW_REJECTS {
                WINDOW_ROWS
            } else {
                (self.rows * 2).min(WINDOW_ROWS_MAX)
            };
            if !found.is_empty() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl Ingest {
    /// The rejects of a batch behind row number `after`, in order: at most `limit`, and at most
    /// [`REJECTS_PAGE_MAX`].
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch.
    pub async fn rejects(
        &self,
        id: &str,
        after: u64,
        limit: u64,
        sight: Sight,
    ) -> Result<Vec<StoredReject>, Error> {
        let (_, progress) = self.batch(id).await?;
        let page = self.rejects_page(&progress, after, limit).await?;
        Ok(page.into_iter().map(|reject| sight.reject(reject)).collect())
    }

    pub(super) async fn rejects_page(
        &self,
        progress: &BatchProgress,
        after: u64,
        limit: u64,
    ) -> Result<Vec<StoredReject>, Error> {
        let limit = usize::try_from(limit.min(REJECTS_PAGE_MAX)).unwrap_or(usize::MAX);
        let mut windows = self.windows(progress.clone(), after);
        let mut page = Vec::new();
        while page.len() < limit
            && let Some(found) = windows.next().await?
        {
            page.extend(found);
        }
        page.truncate(limit);
        Ok(page)
    }

    pub(super) const fn windows(&self, progress: BatchProgress, after: u64) -> Windows<'_> {
        Windows {
            ingest: self,
            progress,
            after,
            rows: WINDOW_ROWS,
        }
    }

    /// The rejects of a batch that were not replayed, as CSV with a header, piece by piece: the
    /// row's number and line, its reasons, a column for each field that means something here,
    /// the other fields as one JSON object, and the row as it came.
    ///
    /// # Errors
    /// Bad request when it is no batch id, not found when there is no such batch; each piece may
    /// fail too.
    pub async fn rejects_csv(
        self: std::sync::Arc<Self>,
        id: &str,
        sight: Sight,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, Error>> + Send + 'static, Error> {
        let (_, progress) = self.batch(id).await?;
        let columns: Vec<&'static str> = columns().collect();
        let header = line(&columns)?;
        let state = ((self, sight), progress, 0, WINDOW_ROWS, Some(header));
        Ok(stream::try_unfold(
            state,
            async |((ingest, sight), progress, after, rows, header)| {
                if let Some(header) = header {
                    return Ok(Some((header, ((ingest, sight), progress, after, rows, None))));
                }
                let mut windows = Windows {
                    ingest: &ingest,
                    progress: progress.clone(),
                    after,
                    rows,
                };
                let Some(found) = windows.next().await? else {
                    return Ok(None);
                };
                let (after, rows) = (windows.after, windows.rows);
                let mut piece = Vec::new();
                for reject in found.into_iter().filter(|reject| reject.replayed.is_none()) {
                    piece.extend(line(&cells(&sight.reject(reject)))?);
                }
                Ok(Some((piece, ((ingest, sight), progress, after, rows, None))))
            },
        ))
    }
}

/// The fields that mean something here, in the order of the columns.
fn field_columns() -> impl Iterator<Item = &'static str> {
    let identity = [
        fields::COOKIE,
        fields::EMAIL,
        fields::TIMESTAMP,
        fields::MESSAGE_ID,
    ];
    let attributes = Attribute::ALL.into_iter().map(Attribute::name);
    identity
        .into_iter()
        .chain(attributes)
        .chain([fields::LOCATION, fields::INTERESTS])
}

fn columns() -> impl Iterator<Item = &'static str> {
    [ROW, LINE, ERRORS]
        .into_iter()
        .chain(field_columns())
        .chain([REST, VERBATIM])
}

fn cells(reject: &StoredReject) -> Vec<String> {
    let mut fields = fields_of(reject).unwrap_or_default();
    let mut cells = vec![
        reject.row.number.to_string(),
        reject.row.line.to_string(),
        reasons(reject),
    ];
    for column in field_columns() {
        let at = fields.iter().position(|(name, _)| name == column);
        cells.push(at.map_or_else(String::new, |at| cell(fields.remove(at).1)));
    }
    // A field that came twice is here, too, so that nothing of the row is hidden.
    let rest: Map<String, Value> = fields.into_iter().collect();
    cells.push(if rest.is_empty() {
        String::new()
    } else {
        Value::Object(rest).to_string()
    });
    cells.push(reject.row.verbatim.clone());
    // Anybody may have sent it, and somebody opens it in a spreadsheet.
    cells.iter().map(|cell| guarded(cell)).collect()
}

/// The fields of a reject; none if it could not be decoded.
pub(super) fn fields_of(reject: &StoredReject) -> Option<Fields> {
    reject.fields.as_deref().and_then(keep::of_text)
}

/// The reasons of a reject as one text.
fn reasons(reject: &StoredReject) -> String {
    let reasons: Vec<String> = stored_errors(reject)
        .into_iter()
        .map(|error| match error.field.as_str() {
            "" => format!("{}: {}", error.code, error.message),
            field => format!("{field} {}: {}", error.code, error.message),
        })
        .collect();
    reasons.join("; ")
}

fn cell(value: Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn line(cells: &[impl AsRef<str>]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    writer
        .write_record(cells.iter().map(|cell| cell.as_ref().as_bytes()))
        .map_err(Error::internal)?;
    writer
        .into_inner()
        .map_err(|error| Error::internal(error.to_string()))
}

/// The fields of a reject as an object; none if it could not be decoded.
#[must_use]
pub fn fields_of_reject(reject: &StoredReject) -> Option<Map<String, Value>> {
    Some(fields_of(reject)?.into_iter().collect())
}
