//! What was refused of a file, kept beside it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ImportError;
use super::send::RowError;
use crate::domain::record::{Finding, RawRow};

/// A refused row, as the rejects file holds it.
#[derive(Serialize)]
struct Reject<'a> {
    row: u64,
    line: u64,
    verbatim: &'a str,
    errors: Vec<RowError>,
}

/// The rejected rows of a file, one JSON object a line; made when there is one.
pub struct RejectsFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl RejectsFile {
    pub fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".rejects.ndjson");
        Self {
            path: name.into(),
            file: None,
        }
    }

    /// Writes what the server refused of the rows that it was sent, and what it was not
    /// sent, in the file's order.
    pub fn write(
        &mut self,
        sent: &[RawRow],
        errors: Vec<RowError>,
        unreadable: &[(RawRow, Finding)],
    ) -> Result<(), ImportError> {
        let mut by_row: BTreeMap<u64, (&RawRow, Vec<RowError>)> = BTreeMap::new();
        for error in errors {
            // The server counts the rows of the part, from 1.
            let at = usize::try_from(error.row.saturating_sub(1)).unwrap_or(usize::MAX);
            let Some(row) = sent.get(at) else { continue };
            by_row
                .entry(row.number)
                .or_insert((row, Vec::new()))
                .1
                .push(error);
        }
        for (row, finding) in unreadable {
            by_row.insert(row.number, (row, vec![RowError::of(row, finding)]));
        }
        for (row, errors) in by_row.into_values() {
            let reject = Reject {
                row: row.number,
                line: row.line,
                verbatim: &row.verbatim,
                errors,
            };
            self.append(&reject).map_err(|source| ImportError::File {
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn append(&mut self, reject: &Reject<'_>) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(File::create(&self.path)?)),
        };
        serde_json::to_writer(&mut *file, reject)?;
        file.write_all(b"\n")
    }

    pub fn finish(self) -> Result<Option<PathBuf>, ImportError> {
        let Some(mut file) = self.file else {
            return Ok(None);
        };
        file.flush().map_err(|source| ImportError::File {
            path: self.path.clone(),
            source,
        })?;
        Ok(Some(self.path))
    }
}
