//! What the server has of a file already: an import that broke off goes on behind it, and one
//! that came to its end is not done again.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;

use super::ImportError;
use super::read::{PART_BYTES, PART_ROWS, Part};
use super::send::{Answer, RowError, Sender};
use crate::cli::quality_table::QualityReport;
use crate::cli::token::ServerError;
use crate::services::ingest::files::part_key;

/// What parts are cut by. Parts that are cut otherwise are others, so a change of how files are
/// read or cut is a change here.
const CUT: &str = "cdp import 1";

/// How many rejects are asked for at once.
const REJECTS_PAGE: usize = 1_000;

/// A file as the server knows it: the sha256 of its content, and of all that makes another
/// import of the same content.
#[derive(Debug, Clone)]
pub struct FileId(String);

impl FileId {
    /// Reads a file to its end. `options` are those of the import that change what its rows
    /// mean.
    pub fn of(path: &Path, options: &[String]) -> Result<Self, ImportError> {
        let failed = |source| ImportError::File {
            path: PathBuf::from(path),
            source,
        };
        let mut content = Sha256::new();
        let mut file = File::open(path).map_err(failed)?;
        std::io::copy(&mut file, &mut content).map_err(failed)?;
        let mut import = Sha256::new();
        import.update(format!("{CUT}\n{PART_ROWS} {PART_BYTES}\n"));
        for option in options {
            import.update((option.len() as u64).to_le_bytes());
            import.update(option);
        }
        import.update(content.finalize());
        Ok(Self(hex::encode(import.finalize())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the part that begins with a row.
    pub fn part_key(&self, first_row: u64) -> String {
        part_key(&self.0, first_row)
    }
}

/// What is stored of a file, all parts together.
#[derive(Debug, Deserialize)]
pub struct FileReport {
    pub last_received_at: Option<DateTime<Utc>>,
    pub quality: QualityReport,
}

#[derive(Debug, Deserialize)]
struct StoredPart {
    first_row: u64,
    batch_id: String,
    records_processed: u64,
    records_rejected: u64,
    duplicates: u64,
}

#[derive(Debug, Deserialize)]
struct PartsPage {
    parts: Vec<StoredPart>,
    next_after: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct RejectsPage {
    rejects: Vec<StoredReject>,
}

#[derive(Debug, Deserialize)]
struct StoredReject {
    row: u64,
    errors: Vec<RowError>,
}

/// What was found out so far of the parts that are stored.
#[derive(Default)]
struct Known {
    parts: BTreeMap<u64, StoredPart>,
    /// Parts with first rows up to this one are known.
    to: u64,
    /// Whether no part is stored behind that.
    is_all: bool,
}

/// The parts of a file that the server has already, asked for as far as they are needed.
pub struct Stored<'a> {
    sender: &'a Sender<'a>,
    pub file: FileId,
    known: Mutex<Known>,
}

impl<'a> Stored<'a> {
    pub fn new(sender: &'a Sender<'a>, file: FileId) -> Self {
        Self {
            sender,
            file,
            known: Mutex::default(),
        }
    }

    /// What the server says of a part, which is sent unless it is stored; and whether it was.
    pub async fn deliver(&self, part: &Part) -> Result<(Answer, bool), ServerError> {
        if part.rows.is_empty() {
            return Ok((Answer::default(), true));
        }
        if let Some(stored) = self.part(first_row(part)).await? {
            let errors = if stored.records_rejected > 0 {
                self.errors(&stored.batch_id).await?
            } else {
                Vec::new()
            };
            let answer = Answer {
                records_processed: stored.records_processed,
                records_rejected: stored.records_rejected,
                duplicates: stored.duplicates,
                errors,
            };
            return Ok((answer, true));
        }
        self.sender.send(part, &self.file.part_key(first_row(part))).await
    }

    /// The stored part that begins with a row.
    async fn part(&self, first_row: u64) -> Result<Option<StoredPart>, ServerError> {
        let mut known = self.known.lock().await;
        while !known.is_all && known.to < first_row {
            let after = known.to.to_string();
            let path = format!("/api/ingest/files/{}/parts", self.file.as_str());
            let page: Option<PartsPage> = self.sender.get(&path, &[("after", &after)]).await?;
            let next = page.as_ref().and_then(|page| page.next_after);
            known.is_all = next.is_none();
            known.to = next.unwrap_or(known.to);
            let parts = page.map(|page| page.parts).unwrap_or_default();
            known
                .parts
                .extend(parts.into_iter().map(|part| (part.first_row, part)));
        }
        Ok(known.parts.remove(&first_row))
    }

    /// Why rows of a stored part were refused.
    async fn errors(&self, batch: &str) -> Result<Vec<RowError>, ServerError> {
        let path = format!("/api/ingest/{batch}/rejects");
        let (mut errors, mut after) = (Vec::new(), 0);
        loop {
            let arguments = [("after", after.to_string()), ("limit", REJECTS_PAGE.to_string())];
            let arguments = arguments.each_ref().map(|(name, value)| (*name, value.as_str()));
            let page: Option<RejectsPage> = self.sender.get(&path, &arguments).await?;
            let rejects = page.map(|page| page.rejects).unwrap_or_default();
            let is_last = rejects.len() < REJECTS_PAGE;
            after = rejects.last().map_or(after, |reject| reject.row);
            errors.extend(rejects.into_iter().flat_map(|reject| reject.errors));
            if is_last {
                return Ok(errors);
            }
        }
    }

    /// What is stored of the file, all parts together; none if nothing is.
    pub async fn report(&self) -> Result<Option<FileReport>, ServerError> {
        let path = format!("/api/ingest/files/{}", self.file.as_str());
        self.sender.get(&path, &[]).await
    }
}

/// The number of a part's first row, read or not.
fn first_row(part: &Part) -> u64 {
    let read = part.rows.first().map(|row| row.number);
    let unreadable = part.unreadable.first().map(|(row, _)| row.number);
    read.into_iter().chain(unreadable).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_imported_otherwise_is_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let (one, same, other) = (
            path("a", "cookie\nc1\n"),
            path("b", "cookie\nc1\n"),
            path("c", "x"),
        );
        let id = |path: &Path, options: &[&str]| {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            FileId::of(path, &options).unwrap().0
        };
        assert_eq!(id(&one, &["shop", ""]), id(&same, &["shop", ""]));
        let different = [
            id(&one, &["shop", ""]),
            id(&other, &["shop", ""]),
            id(&one, &["app", ""]),
            id(&one, &["sho", "p"]),
        ];
        let distinct: std::collections::BTreeSet<&String> = different.iter().collect();
        assert_eq!(distinct.len(), different.len());
        assert!(different[0].len() == 64);
    }
}
