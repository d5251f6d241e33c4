//! Writes an embedded store anew, with no server beside it.
//!
//! The engine appends: what is deleted or replaced stays in its files until it merges them, some
//! day, as many writes later as its levels have room for; and nobody can ask it to. A copy of
//! what can be read has nothing of that. It is made in a folder beside the store, compared with
//! it, and put in its place, in steps of which each leaves a whole store to be found: see
//! [`settle`]. That is surrealkv's way; RocksDB merges all its files when it is asked to.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use surrealdb_cnf::ConfigMap;
use surrealdb_core::kvs::Datastore;
use surrealdb_core::kvs::copy::keyspace;
use surrealdb_kvs::TransactionType;
use surrealdb_kvs::key::RawRange;
use surrealkv::{LSMIterator as _, Mode, Tree, TreeBuilder};

use super::connect::{BLOCK_BYTES, Settings, engine_with};
use super::log;
use super::place::{self, COMPACTING, Lock, LockError, Mark, PlaceError, at, beside};

/// As the engine's own layer over these files has it (`surrealdb-kvs-surrealkv`).
const VALUE_LOG_BYTES_MIN: usize = 4 * 1024;

/// The file that the engine locks, within the folder of the store.
const ENGINE_LOCK: &str = "LOCK";

/// What a copy was called that was whole, before it had to be this program's beyond doubt.
const COPIED_ONCE: &str = "copied";

/// All that earlier versions left beside a store, if they were interrupted.
const LEFT_ONCE: [&str; 3] = ["copying", COPIED_ONCE, "old"];

const MIB: usize = 1024 * 1024;

/// What goes into one transaction of the copy.
const BATCH_BYTES: usize = 4 * MIB;
const BATCH_KEYS: usize = 10_000;

/// The whole range of the engine's keys (`surrealdb_core::kvs::copy`).
const FIRST_KEY: &[u8] = &[0x00];
const BEHIND_LAST_KEY: &[u8] = &[0xff];

/// Why a store could not be written anew. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// There is nothing to be written anew here.
    #[error("only a store on this disk can be written anew: a server's is its own to compact")]
    NotOnDisk,
    /// There is nothing at the place.
    #[error("there is no store at `{}`", .0.display())]
    NoStore(PathBuf),
    /// Another process has it.
    #[error("the store at `{}` can't be opened", folder.display())]
    Locked {
        /// The folder of the store.
        folder: PathBuf,
        /// What was found.
        #[source]
        source: LockError,
    },
    /// A folder can't be made, moved or removed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// What lies beside the store is nothing that an interruption leaves.
    #[error(
        "no interrupted `cdp compact` leaves {found} as they are: give the one that is the store the name `{}`, move others away, and delete `{}`",
        folder.display(),
        mark.display()
    )]
    Unclear {
        /// The folder of the store.
        folder: PathBuf,
        /// Which folders are there.
        found: String,
        /// What says that something was interrupted.
        mark: PathBuf,
    },
    /// There is no store, but what an interruption by an earlier version may have left.
    #[error(
        "there is no store at `{}`, but `{}`, which may be what a `cdp compact` of an earlier version left: if it is the store, give it that name, and if not, another",
        folder.display(),
        copied.display()
    )]
    OfEarlier {
        /// The folder of the store.
        folder: PathBuf,
        /// What is there.
        copied: PathBuf,
    },
    /// The engine failed, or a server has the store open.
    #[error("the engine failed while it {doing}")]
    Engine {
        /// What it did.
        doing: &'static str,
        /// The engine's own words.
        #[source]
        source: surrealkv::Error,
    },
    /// RocksDB failed, was not built in, or a server has the store open.
    #[error("the engine failed while it merged its files")]
    Merge(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The copy is not what was copied.
    #[error("the copy differs from the store, and was thrown away")]
    Differs,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    /// Keys that there are.
    pub keys: u64,
    /// Bytes of the files before.
    pub before: u64,
    /// And after.
    pub after: u64,
}

/// What a store holds: how many keys, and a digest of all keys and values.
#[derive(PartialEq, Eq)]
struct Content {
    keys: u64,
    digest: [u8; 32],
}

/// Writes the store of these settings anew.
///
/// # Errors
/// When it is not on this disk, a server has it open, or the copy can't be written.
pub async fn compact(settings: &Settings) -> Result<Compacted, CompactError> {
    let folder = settings.folder().ok_or(CompactError::NotOnDisk)?;
    if settings.is_rocksdb() {
        if !folder.is_dir() {
            return Err(CompactError::NoStore(folder.to_owned()));
        }
        let before = size(folder);
        let keys = merge(settings).await.map_err(CompactError::Merge)?;
        // Logs of what has long been in the tables, which the engine keeps for a while.
        place::remove(&folder.join("archive"))?;
        return Ok(Compacted {
            keys,
            before,
            after: size(folder),
        });
    }
    let folder = place::without_link(folder);
    let way = Way::beside(&folder);
    // Before anything is made where there may be nothing.
    if !folder.is_dir() && !way.mark.is_set() {
        check_earlier(&folder)?;
        return Err(CompactError::NoStore(folder));
    }
    // Nobody else opens the store until its copy is in its place.
    let _lock = Lock::take(&folder).map_err(locked(&folder))?;
    check_engine(&folder)?;
    settle(&folder)?;
    if !folder.is_dir() {
        return Err(CompactError::NoStore(folder));
    }
    let before = size(&folder);
    log::seal(&folder).map_err(at(&folder))?;
    way.mark.set(&way.folders())?;
    let copied = way.write(&folder, settings).await;
    // Also if that failed: what there is of a copy goes.
    let settled = way.settle(&folder);
    let keys = copied?;
    settled?;
    Ok(Compacted {
        keys,
        before,
        after: size(&folder),
    })
}

/// The way of a copy into the place of a store.
struct Way {
    /// Set before the first step, and cleared after the last.
    mark: Mark,
    /// The copy, until it is whole and was compared.
    new: PathBuf,
    /// The copy from then on.
    done: PathBuf,
    /// The store, once it was moved out of the way.
    old: PathBuf,
}

impl Way {
    fn beside(folder: &Path) -> Self {
        Self {
            mark: Mark::of(folder, COMPACTING),
            new: beside(folder, "compacting-new"),
            done: beside(folder, "compacting-done"),
            old: beside(folder, "compacting-old"),
        }
    }

    fn folders(&self) -> [&Path; 3] {
        [&self.new, &self.done, &self.old]
    }

    /// Makes a copy, and moves the store away; how many keys there are.
    async fn write(&self, folder: &Path, settings: &Settings) -> Result<u64, CompactError> {
        // Whoever could not look into the store can't look into its copy.
        let rights = fs::metadata(folder).map_err(at(folder))?.permissions();
        let made = fs::create_dir(&self.new).and_then(|()| fs::set_permissions(&self.new, rights));
        made.map_err(at(&self.new))?;
        let keys = copy(folder, &self.new, settings).await?;
        place::rename(&self.new, &self.done)?;
        place::rename(folder, &self.old)?;
        Ok(keys)
    }

    /// Goes on from wherever the way was left, to a store in its place and nothing beside it.
    fn settle(&self, folder: &Path) -> Result<(), CompactError> {
        match [folder, &self.done, &self.old].map(Path::is_dir) {
            // Between the two renames.
            [false, true, true] => {
                place::rename(&self.done, folder)?;
                tracing::info!(store.folder = %folder.display(), "a compacted copy took the place of its store");
            }
            // Somebody was at these.
            [true, true, true] | [false, true, false] | [false, false, true] => {
                return Err(self.unclear(folder));
            }
            // A copy that is not in place by now is of an older state, and a store that was moved away
            // has its copy in its place; or there was neither yet.
            [true, ..] | [false, false, false] => {}
        }
        Ok(self.mark.clear(&self.folders())?)
    }

    fn unclear(&self, folder: &Path) -> CompactError {
        let all = [folder, &self.new, &self.done, &self.old];
        let found = all.into_iter().filter(|folder| folder.is_dir());
        let found: Vec<String> = found.map(|folder| format!("`{}`", folder.display())).collect();
        CompactError::Unclear {
            folder: folder.to_owned(),
            found: found.join(", "),
            mark: self.mark.path().to_owned(),
        }
    }
}

/// Ends what an interrupted [`compact`] began: a whole copy takes the place of a store that was
/// moved away, and what was moved away goes. Its caller has the store's lock.
///
/// # Errors
/// When a folder can't be moved or removed, an engine has the store open all the same, or it can't be
/// told which folder is the store.
pub(super) fn settle(folder: &Path) -> Result<(), CompactError> {
    let way = Way::beside(folder);
    if !way.mark.is_set() {
        return check_earlier(folder);
    }
    check_engine(folder)?;
    way.settle(folder)
}

/// Refuses to make a store where one of an earlier version may have been left under another name.
/// Whether it is one, and not what somebody called so, is not known.
fn check_earlier(folder: &Path) -> Result<(), CompactError> {
    let copied = beside(folder, COPIED_ONCE);
    if folder.exists() || !copied.is_dir() {
        return Ok(());
    }
    Err(CompactError::OfEarlier {
        folder: folder.to_owned(),
        copied,
    })
}

/// Says what lies beside a store that an interrupted compaction of an earlier version may have left,
/// with what was erased since.
pub(super) fn warn_of_earlier(folder: &Path) {
    for left in LEFT_ONCE.map(|ending| beside(folder, ending)) {
        if left.is_dir() {
            tracing::warn!(
                folder.path = %left.display(),
                "beside the store lies what an earlier version may have left of compacting it: delete it, unless it is yours"
            );
        }
    }
}

/// Refuses a store that an engine has open: one of a version that knew of no lock beside it, or one
/// that was let go of, and still writes what it has in memory.
fn check_engine(folder: &Path) -> Result<(), CompactError> {
    let Ok(file) = File::open(folder.join(ENGINE_LOCK)) else {
        return Ok(());
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(locked(folder)(LockError::Held(folder.to_owned()))),
        _ => Ok(()),
    }
}

fn locked(folder: &Path) -> impl Fn(LockError) -> CompactError {
    move |source| CompactError::Locked {
        folder: folder.to_owned(),
        source,
    }
}

/// Lets RocksDB write all its files anew, which it does as it ends; and counts the keys.
async fn merge(settings: &Settings) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let told = ConfigMap::empty()
        .with_key_value("rocksdb_compact_on_shutdown", "true")
        // Large values lie in files of their own: in all of them, and not in the older half.
        .with_key_value("rocksdb_blob_gc_age_cutoff", "1.0")
        // However long it takes.
        .with_key_value("rocksdb_shutdown_wait_for_compact_seconds", "0");
    let engine = engine_with(settings, told).await?;
    let keys = count_keys(&engine).await;
    engine.shutdown().await?;
    keys
}

async fn count_keys(engine: &Datastore) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
    let reading = engine.transaction(TransactionType::Read).await?;
    let (mut range, mut keys) = (keyspace(), 0);
    loop {
        let limit = u32::try_from(BATCH_KEYS).unwrap_or(u32::MAX);
        let found: Vec<Entry> = reading.scan_raw(range, limit, 0, None).await?;
        let Some((last, _)) = found.last() else { break };
        keys += found.len() as u64;
        range = RawRange::every_key_after(&last.as_slice().into());
    }
    reading.cancel().await?;
    Ok(keys)
}

/// Copies a store, and compares the two; how many keys there are.
async fn copy(from: &Path, to: &Path, settings: &Settings) -> Result<u64, CompactError> {
    let source = open(from, settings)?;
    // Open, and by that locked, until the copy is known to be whole.
    let copied = copy_of(&source, to, settings).await;
    // Closed before the folder is moved, whatever came of it.
    let closed = end(source).await;
    let keys = copied?;
    closed?;
    Ok(keys)
}

async fn copy_of(source: &Tree, to: &Path, settings: &Settings) -> Result<u64, CompactError> {
    let target = open(to, settings)?;
    let copied = copy_keys(source, &target).await;
    let closed = end(target).await;
    let content = copied?;
    closed?;
    let target = open(to, settings)?;
    let written = read_all(&target);
    end(target).await?;
    if written? == content {
        Ok(content.keys)
    } else {
        Err(CompactError::Differs)
    }
}

fn open(folder: &Path, settings: &Settings) -> Result<Tree, CompactError> {
    let buffer = usize::try_from(settings.write_buffer_mib).unwrap_or(usize::MAX);
    TreeBuilder::new()
        .with_path(folder.to_owned())
        .with_enable_vlog(true)
        .with_vlog_value_threshold(VALUE_LOG_BYTES_MIN)
        .with_block_size(BLOCK_BYTES)
        .with_max_memtable_size(buffer.saturating_mul(MIB))
        .with_block_cache_capacity(settings.cache_mib.saturating_mul(1024 * 1024))
        .build()
        .map_err(engine("opened a store"))
}

/// Closes a store. Dropped, it would close itself once more, in the background, and tidy up in
/// whatever lies at its path by then; so what is left of it in memory stays until the process ends.
async fn end(tree: Tree) -> Result<(), CompactError> {
    let closed = tree.close().await;
    std::mem::forget(tree);
    closed.map_err(engine("closed a store"))
}

async fn copy_keys(source: &Tree, target: &Tree) -> Result<Content, CompactError> {
    let mut walk = Walk::default();
    loop {
        let batch = walk.next(source)?;
        if batch.is_empty() {
            return Ok(walk.content());
        }
        let mut writing = target.begin().map_err(engine("began to write the copy"))?;
        for (key, value) in batch {
            writing.set(key, value).map_err(engine("wrote the copy"))?;
        }
        writing.commit().await.map_err(engine("wrote the copy"))?;
    }
}

fn read_all(tree: &Tree) -> Result<Content, CompactError> {
    let mut walk = Walk::default();
    while !walk.next(tree)?.is_empty() {}
    Ok(walk.content())
}

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// A way through all keys, in order.
struct Walk {
    next: Vec<u8>,
    keys: u64,
    digest: Sha256,
}

impl Default for Walk {
    fn default() -> Self {
        Self {
            next: FIRST_KEY.to_vec(),
            keys: 0,
            digest: Sha256::new(),
        }
    }
}

impl Walk {
    fn next(&mut self, tree: &Tree) -> Result<Vec<Entry>, CompactError> {
        let failed = engine("read a store");
        let reading = tree.begin_with_mode(Mode::ReadOnly).map_err(failed)?;
        let mut entries = reading
            .range(self.next.clone(), BEHIND_LAST_KEY.to_vec())
            .map_err(failed)?;
        entries.seek_first().map_err(failed)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while entries.valid() && bytes < BATCH_BYTES && batch.len() < BATCH_KEYS {
            let key = entries.key().user_key().to_vec();
            let value = entries.value().map_err(failed)?;
            for part in [&key, &value] {
                self.digest.update((part.len() as u64).to_le_bytes());
                self.digest.update(part);
            }
            self.keys += 1;
            bytes += key.len() + value.len();
            batch.push((key, value));
            entries.next().map_err(failed)?;
        }
        if let Some((last, _)) = batch.last() {
            // The first key that can follow it.
            self.next.clone_from(last);
            self.next.push(0);
        }
        Ok(batch)
    }

    fn content(self) -> Content {
        Content {
            keys: self.keys,
            digest: self.digest.finalize().into(),
        }
    }
}

fn size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(known) if known.is_dir() => size(&entry.path()),
        Ok(known) => known.len(),
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

fn engine(doing: &'static str) -> impl Fn(surrealkv::Error) -> CompactError + Copy {
    move |source| CompactError::Engine { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a folder, which says its own name.
    fn make(folder: &Path) {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), folder.to_string_lossy().as_bytes()).unwrap();
    }

    fn name_in(folder: &Path) -> PathBuf {
        fs::read_to_string(folder.join("file")).unwrap().into()
    }

    fn names(place: &Path) -> Vec<String> {
        let entries = fs::read_dir(place).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn wherever_it_was_interrupted_a_whole_store_is_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cdp");
        let way = Way::beside(&folder);
        // Nothing was begun.
        settle(&folder).unwrap();
        assert!(names(place.path()).is_empty());
        // Nothing is made yet; the copy is not whole; it is, and the store is in its place; that one
        // was moved away; the copy is in place.
        for (begun, store) in [
            (vec![&folder], &folder),
            (vec![&folder, &way.new], &folder),
            (vec![&folder, &way.done], &folder),
            (vec![&way.old, &way.done], &way.done),
            (vec![&folder, &way.old], &folder),
        ] {
            way.mark.set(&way.folders()).unwrap();
            for folder in &begun {
                make(folder);
            }
            settle(&folder).unwrap();
            assert_eq!(names(place.path()), ["cdp"], "{begun:?}");
            assert_eq!(&name_in(&folder), store, "{begun:?}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn what_no_interruption_leaves_is_left_to_people() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cdp");
        let way = Way::beside(&folder);
        for begun in [
            vec![&folder, &way.done, &way.old],
            vec![&way.done],
            vec![&way.new, &way.old],
        ] {
            way.mark.set(&way.folders()).unwrap();
            for folder in &begun {
                make(folder);
            }
            let error = settle(&folder).unwrap_err().to_string();
            for folder in &begun {
                assert!(error.contains(&*folder.to_string_lossy()), "{error}");
                assert_eq!(&&name_in(folder), folder);
                fs::remove_dir_all(folder).unwrap();
            }
            assert!(way.mark.is_set());
        }
    }

    #[test]
    fn folders_that_it_did_not_make_stay() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cdp");
        let endings = ["old", "copied", "copying", "compacting-old", "compacting-done"];
        for ending in endings {
            make(&beside(&folder, ending));
        }
        let nowhere = settle(&folder).unwrap_err();
        assert!(matches!(nowhere, CompactError::OfEarlier { .. }), "{nowhere:?}");
        make(&folder);
        settle(&folder).unwrap();
        assert_eq!(names(place.path()).len(), endings.len() + 1);
    }

    #[test]
    fn a_store_that_an_engine_has_open_is_left_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cdp");
        let way = Way::beside(&folder);
        way.mark.set(&way.folders()).unwrap();
        make(&folder);
        make(&way.new);
        let held = File::create(folder.join(ENGINE_LOCK)).unwrap();
        held.lock().unwrap();
        let refused = settle(&folder).unwrap_err();
        assert!(matches!(refused, CompactError::Locked { .. }), "{refused:?}");
        assert!(way.new.is_dir());
        drop(held);
        settle(&folder).unwrap();
        assert_eq!(names(place.path()), ["cdp"]);
    }
}
