//! Whether the disk takes what an embedded store writes.
//!
//! A commit that the disk refuses may leave half of itself in the engine's log, or all of it, to be
//! found at the next start: what is written behind it could be lost, or rest on what nobody was
//! told. So from the first refusal on nothing more is written, and reads go on. Once the disk takes
//! bytes again, the store must be opened anew, which settles its log.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::sleep;

/// How many bytes must fit before the disk is taken to have room.
const ROOM_BYTES: usize = 1024 * 1024;

/// How many bytes must fit while nothing is wrong: the engine writes now and then of itself, and
/// what does not fit stays in its hands.
const RESERVE_BYTES: usize = 64 * 1024;

/// How often is looked whether the disk takes bytes: while nothing is known to be wrong, and while
/// something is.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// The file by which is looked, within the store's folder.
const PROBE_FILE: &str = "disk.probe";

/// What the engine says of an error of the disk, in one of these words.
const DISK_TEXTS: [&str; 3] = ["WAL error", "IO error", "os error"];

/// What is wrong with the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has no room.
    Full,
    /// It takes no writes at all.
    ReadOnly,
    /// It failed in another way.
    Failing,
}

impl Fault {
    /// What is wrong, for people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Full => "the store's disk is full: nothing is stored until there is room",
            Self::ReadOnly => "the store's disk is read-only: nothing is stored until it can be written to",
            Self::Failing => "the store's disk fails: nothing is stored until it can be written to",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Self::Full,
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Failing,
        }
    }
}

/// What is known of the disk below a store.
#[derive(Debug)]
pub(super) struct Disk {
    /// The folder of a store on disk; any other has no disk to speak of.
    folder: Option<PathBuf>,
    fault: OnceLock<Fault>,
}

impl Disk {
    /// The disk below a folder, of which nothing is known to be wrong.
    pub(super) fn of(folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            fault: OnceLock::new(),
        }
    }

    /// What is wrong. It stays so until the store is opened anew.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }

    /// Whether an error of the engine is one of the disk; of a transaction that could not be
    /// written it says no more than that.
    pub(super) fn is_to_blame(&self, message: &str, is_echo: bool) -> bool {
        self.folder.is_some() && (is_echo || DISK_TEXTS.iter().any(|text| message.contains(text)))
    }

    /// Notes that the disk refused something, and finds out why.
    pub(super) async fn refused(&self) -> Fault {
        let found = self.look(ROOM_BYTES).await.unwrap_or(Fault::Failing);
        self.note(found)
    }

    fn note(&self, found: Fault) -> Fault {
        *self.fault.get_or_init(|| {
            tracing::error!(disk.fault = ?found, "{}; the server starts anew by itself then", found.sentence());
            found
        })
    }

    /// Waits until something was wrong with the disk and is no more; without a disk, for ever.
    pub(super) async fn mended(&self) {
        if self.folder.is_none() {
            return std::future::pending().await;
        }
        while self.fault().is_none() {
            sleep(LOOK_EVERY).await;
            if let Some(found) = self.look(RESERVE_BYTES).await {
                self.note(found);
            }
        }
        loop {
            sleep(LOOK_AGAIN_EVERY).await;
            if self.look(ROOM_BYTES).await.is_none() {
                return;
            }
        }
    }

    /// Writes bytes and takes them away again; none if that works.
    async fn look(&self, bytes: usize) -> Option<Fault> {
        let folder = self.folder.clone()?;
        let looking = tokio::task::spawn_blocking(move || probe(&folder, bytes));
        match looking.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(Fault::of(&error)),
            // The process is stopping.
            Err(_) => Some(Fault::Failing),
        }
    }
}

fn probe(folder: &Path, bytes: usize) -> io::Result<()> {
    let path = folder.join(PROBE_FILE);
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![0; bytes])?;
        file.sync_data()
    });
    let removed = fs::remove_file(&path);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_stays_and_is_mended_once_bytes_fit() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("cdp");
        let disk = Disk::of(Some(&store));
        assert_eq!(disk.fault(), None);
        assert_eq!(
            disk.look(ROOM_BYTES).await,
            Some(Fault::Failing),
            "there is no folder"
        );
        assert_eq!(disk.refused().await, Fault::Failing);
        fs::create_dir(&store).unwrap();
        disk.mended().await;
        assert_eq!(
            disk.fault(),
            Some(Fault::Failing),
            "until the store is opened anew"
        );
        assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (kind, fault) in [
            (ErrorKind::StorageFull, Fault::Full),
            (ErrorKind::FileTooLarge, Fault::Full),
            (ErrorKind::ReadOnlyFilesystem, Fault::ReadOnly),
            (ErrorKind::TimedOut, Fault::Failing),
        ] {
            assert_eq!(Fault::of(&kind.into()), fault, "{kind:?}");
        }
    }

    #[test]
    fn only_a_store_on_disk_has_one_to_blame() {
        let disk = Disk::of(Some(Path::new("data/cdp")));
        assert!(disk.is_to_blame("There was a problem: WAL error: IO error", false));
        assert!(disk.is_to_blame("The query was not executed due to a failed transaction", true));
        assert!(!disk.is_to_blame("no such field", false));
        assert!(!Disk::of(None).is_to_blame("WAL error", true));
    }
}
