//! Whether the disk takes what an embedded store writes.
//!
//! A commit that the disk refuses may leave half of itself in the engine's log, or all of it, to be
//! found at the next start: what is written behind it could be lost, or rest on what nobody was
//! told. So from the first refusal on nothing more is written, and reads go on. Once the disk takes
//! bytes again, the store must be opened anew, which settles its log: and that takes room, without
//! which the server would end at its start, and be gone for whoever reads as well.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rand::Rng as _;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use tokio::time::sleep;

const MIB: u64 = 1024 * 1024;

/// How many bytes are written to find out what is wrong, and whether it still is.
const ROOM_BYTES: u64 = MIB;

/// How many bytes must fit while nothing is wrong: the engine writes now and then of itself, and
/// what does not fit stays in its hands.
const RESERVE_BYTES: u64 = 64 * 1024;

/// What a start writes beside what the log makes it write: the engine's list of its tables, records
/// of its own, and what the search index has not taken in. Much more than was seen.
const START_BYTES: u64 = 16 * MIB;

/// Where engines keep their logs within the store's folder, and how the names of these files end:
/// `surrealkv`, and RocksDB.
const LOGS: [(&str, &str); 2] = [("wal", "wal"), (".", "log")];

/// How often is looked whether the disk takes bytes: while nothing is known to be wrong, and while
/// something is.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);

/// How many times as long as a look took the next one is waited for: where it has to write all that
/// must fit, the disk has other things to do as well.
const PAUSE_PER_LOOK: u32 = 10;

/// The file by which is looked, within the store's folder.
const PROBE_FILE: &str = "disk.probe";

/// How many bytes are written to it at once.
const PART_BYTES: usize = 1024 * 1024;

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

/// Why the store is not opened anew yet.
#[derive(Debug, thiserror::Error)]
enum NotYet {
    /// There is too little room.
    #[error(
        "the server starts anew once {} MiB fit on the store's disk, which settling its log may take",
        .needed.div_ceil(MIB)
    )]
    NoRoom {
        /// How many bytes must fit.
        needed: u64,
        /// How many are free, if the file system says so; a quota may leave less.
        free: Option<u64>,
    },
    /// The disk still refuses what is written.
    #[error("the store's disk still refuses what is written")]
    Refused(#[from] io::Error),
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

    /// Waits until something was wrong with the disk and is no more, and there is room to open the
    /// store anew with a write buffer of so many bytes; without a disk, for ever.
    pub(super) async fn mended(&self, write_buffer_bytes: u64) {
        if self.folder.is_none() {
            return std::future::pending().await;
        }
        while self.fault().is_none() {
            sleep(LOOK_EVERY).await;
            if let Some(found) = self.look(RESERVE_BYTES).await {
                self.note(found);
            }
        }
        let mut pause = LOOK_AGAIN_EVERY;
        let mut is_told = false;
        loop {
            sleep(pause).await;
            let began = Instant::now();
            let Err(why) = self.look_for_room(write_buffer_bytes).await else {
                return;
            };
            if let NotYet::NoRoom { needed, free } = why
                && !is_told
            {
                tracing::info!(disk.needed_bytes = needed, disk.free_bytes = free, "{why}");
                is_told = true;
            }
            pause = LOOK_AGAIN_EVERY.max(began.elapsed().saturating_mul(PAUSE_PER_LOOK));
        }
    }

    /// Whether the store can be opened anew.
    async fn look_for_room(&self, write_buffer_bytes: u64) -> Result<(), NotYet> {
        let Some(folder) = self.folder.clone() else {
            return Ok(());
        };
        let looking = tokio::task::spawn_blocking(move || find_room(&folder, write_buffer_bytes));
        // It fails when the process is stopping.
        looking.await.map_err(io::Error::from)?
    }

    /// Writes bytes and takes them away again; none if that works.
    async fn look(&self, bytes: u64) -> Option<Fault> {
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

/// Looks whether so much room is there as opening the store anew takes.
fn find_room(folder: &Path, write_buffer_bytes: u64) -> Result<(), NotYet> {
    let needed = needed_bytes(log_bytes(folder)?, write_buffer_bytes);
    // Some file systems say that they have no blocks at all.
    let said = statvfs(folder).ok().filter(|said| said.f_blocks > 0);
    let no_room = NotYet::NoRoom {
        needed,
        free: said
            .as_ref()
            .map(|said| said.f_bavail.saturating_mul(said.f_frsize)),
    };
    // An administrator's server may also write where the system holds room back.
    let is_root = rustix::process::geteuid().is_root();
    let blocks = said.map(|said| (if is_root { said.f_bfree } else { said.f_bavail }, said.f_frsize));
    if blocks.is_some_and(|(free, bytes)| free.saturating_mul(bytes) < needed) {
        return Err(no_room);
    }
    // That was cheap, but says nothing of quotas, of limits of files, and of a disk that takes no
    // bytes though it has room.
    let fits = probe(folder, ROOM_BYTES).and_then(|()| allocate(folder, needed, write_buffer_bytes));
    fits.map_err(|error| match Fault::of(&error) {
        Fault::Full => no_room,
        Fault::ReadOnly | Fault::Failing => error.into(),
    })
}

/// How many bytes must fit before the store is opened anew.
///
/// The log once more: it stays until all that it holds is in tables, and one of its files that ends
/// in half a record is copied before. One write buffer, for the log that is begun then, or a table
/// that the process which ends leaves half written. And what a start writes besides.
const fn needed_bytes(log_bytes: u64, write_buffer_bytes: u64) -> u64 {
    log_bytes
        .saturating_add(write_buffer_bytes)
        .saturating_add(START_BYTES)
}

/// How long the log of a store is, whichever engine's it is.
fn log_bytes(store: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for (folder, ending) in LOGS {
        let entries = match fs::read_dir(store.join(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            if entry.path().extension().is_some_and(|found| found == ending) {
                bytes += entry.metadata()?.len();
            }
        }
    }
    Ok(bytes)
}

/// Writes bytes and takes them away again.
fn probe(folder: &Path, bytes: u64) -> io::Result<()> {
    write(&mut nameless(folder)?, bytes)
}

/// Has so many bytes set aside for files, and gives them back.
///
/// No file becomes longer than the write buffer, since how long one may be can be limited, and no
/// file of the log becomes much longer, nor a table that is made of one.
fn allocate(folder: &Path, bytes: u64, write_buffer_bytes: u64) -> io::Result<()> {
    let longest = write_buffer_bytes.max(ROOM_BYTES);
    // Each holds its bytes until the last has its own.
    let mut files = Vec::new();
    let mut left = bytes;
    while left > 0 {
        let length = left.min(longest);
        let mut file = nameless(folder)?;
        match fallocate(&file, FallocateFlags::empty(), 0, length) {
            Ok(()) => {}
            Err(refused @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(refused.into()),
            // Not every file system can set bytes aside.
            Err(_) => write(&mut file, length)?,
        }
        files.push(file);
        left -= length;
    }
    Ok(())
}

/// A file that is gone once it is closed, whatever happens until then: its name is taken away first.
fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(PROBE_FILE);
    let file = File::create(&path)?;
    match fs::remove_file(&path) {
        // Somebody looks at the same time, and was first.
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(file),
    }
}

/// Writes what no file system can pack, and sees it to the disk.
fn write(file: &mut File, bytes: u64) -> io::Result<()> {
    let mut part = vec![0; PART_BYTES];
    rand::rng().fill(part.as_mut_slice());
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(PART_BYTES, |left| left.min(PART_BYTES));
        file.write_all(&part[..length])?;
        left -= length as u64;
    }
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small write buffer.
    const BUFFER_BYTES: u64 = 2 * MIB;

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
        disk.mended(BUFFER_BYTES).await;
        assert_eq!(
            disk.fault(),
            Some(Fault::Failing),
            "until the store is opened anew"
        );
        assert_eq!(fs::read_dir(&store).unwrap().count(), 0);
    }

    #[test]
    fn a_start_needs_room_for_the_log_a_write_buffer_and_what_it_writes_itself() {
        for (log, buffer, needed) in [
            (0, 0, START_BYTES),
            (0, 64 * MIB, 64 * MIB + START_BYTES),
            (200 * MIB + 1, 64 * MIB, 264 * MIB + START_BYTES + 1),
            (u64::MAX, 64 * MIB, u64::MAX),
        ] {
            assert_eq!(needed_bytes(log, buffer), needed, "{log} {buffer}");
        }
    }

    #[test]
    fn a_log_is_as_long_as_its_files_whichever_engine_it_is_of() {
        let store = tempfile::tempdir().unwrap();
        assert_eq!(log_bytes(store.path()).unwrap(), 0);
        let write = |name: &str, bytes| fs::write(store.path().join(name), vec![0; bytes]).unwrap();
        for folder in ["wal", "wal/repair_temp", "archive"] {
            fs::create_dir(store.path().join(folder)).unwrap();
        }
        write("LOG", 1_000);
        write("archive/000003.log", 1_000);
        write("wal/repair_temp/00000000000000000000.wal", 1_000);
        assert_eq!(log_bytes(store.path()).unwrap(), 0, "none of it is replayed");
        write("000005.log", 10);
        assert_eq!(log_bytes(store.path()).unwrap(), 10);
        write("wal/00000000000000000007.wal", 200);
        write("wal/00000000000000000008.wal", 3);
        assert_eq!(log_bytes(store.path()).unwrap(), 213);
    }

    #[test]
    fn what_does_not_fit_is_told_and_what_was_set_aside_is_given_back() {
        let store = tempfile::tempdir().unwrap();
        allocate(store.path(), 3 * BUFFER_BYTES + 1, BUFFER_BYTES).unwrap();
        find_room(store.path(), BUFFER_BYTES).unwrap();
        // More than any disk has.
        let refused = find_room(store.path(), u64::MAX).unwrap_err();
        let NotYet::NoRoom { needed, free } = refused else {
            panic!("{refused}");
        };
        assert_eq!(needed, u64::MAX);
        assert!(free.is_some_and(|free| free > 0));
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);
        let nowhere = store.path().join("nowhere");
        let refused = find_room(&nowhere, BUFFER_BYTES).unwrap_err();
        assert!(matches!(refused, NotYet::Refused(_)), "{refused}");
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
