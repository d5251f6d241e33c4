//! Writes an embedded store anew, with no server beside it.
//!
//! The engine appends: what is deleted or replaced stays in its files until it merges them, some
//! day, as many writes later as its levels have room for; and nobody can ask it to. A copy of
//! what can be read has nothing of that. It is made in a folder beside the store, compared with
//! it, and put in its place, in steps of which each leaves a whole store to be found: see
//! [`settle`]. That is surrealkv's way; RocksDB merges all its files when it is asked to.

use std::fs;
use std::io;
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

/// As the engine's own layer over these files has it (`surrealdb-kvs-surrealkv`).
const VALUE_LOG_BYTES_MIN: usize = 4 * 1024;

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
    /// A folder can't be made, moved or removed.
    #[error("the folder `{}` can't be used", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
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
    if !settings.is_rocksdb() {
        settle(folder)?;
    }
    if !folder.is_dir() {
        return Err(CompactError::NoStore(folder.to_owned()));
    }
    let before = size(folder);
    if settings.is_rocksdb() {
        let keys = merge(settings).await.map_err(CompactError::Merge)?;
        // Logs of what has long been in the tables, which the engine keeps for a while.
        remove(&folder.join("archive"))?;
        return Ok(Compacted {
            keys,
            before,
            after: size(folder),
        });
    }
    log::seal(folder).map_err(at(folder))?;
    let copying = beside(folder, "copying");
    remove(&copying)?;
    let keys = copy(folder, &copying, settings).await?;
    let copied = beside(folder, "copied");
    fs::rename(&copying, &copied).map_err(at(&copied))?;
    sync_parent(folder)?;
    let old = beside(folder, "old");
    fs::rename(folder, &old).map_err(at(&old))?;
    settle(folder)?;
    Ok(Compacted {
        keys,
        before,
        after: size(folder),
    })
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

/// Ends what an interrupted [`compact`] began: a whole copy takes the place of a store that was
/// moved away, and what was moved away goes.
///
/// # Errors
/// When a folder can't be moved or removed.
pub(super) fn settle(folder: &Path) -> Result<(), CompactError> {
    let (copied, old) = (beside(folder, "copied"), beside(folder, "old"));
    if copied.is_dir() && !folder.exists() {
        fs::rename(&copied, folder).map_err(at(folder))?;
        sync_parent(folder)?;
    }
    if folder.is_dir() {
        // A copy that is not in place by now is of an older state.
        for left in [copied, old, beside(folder, "copying")] {
            remove(&left)?;
        }
    }
    Ok(())
}

async fn copy(from: &Path, to: &Path, settings: &Settings) -> Result<u64, CompactError> {
    let (source, target) = (open(from, settings)?, open(to, settings)?);
    let copied = copy_keys(&source, &target).await;
    // Closed before their folders are moved, whatever came of it.
    let closed = [end(target).await, end(source).await];
    let content = copied?;
    for closed in closed {
        closed?;
    }
    let target = open(to, settings)?;
    let written = read_all(&target);
    end(target).await?;
    if written? != content {
        remove(to)?;
        return Err(CompactError::Differs);
    }
    Ok(content.keys)
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

/// `data/cdp` → `data/cdp.copying`.
fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    folder.with_file_name(name)
}

fn remove(folder: &Path) -> Result<(), CompactError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        _ => Ok(()),
    }
}

/// The new name of a folder is durable once the one around it is.
fn sync_parent(folder: &Path) -> Result<(), CompactError> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let opened = fs::File::open(parent).and_then(|parent| parent.sync_all());
    opened.map_err(at(parent))
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

fn at(folder: &Path) -> impl Fn(io::Error) -> CompactError {
    let folder = folder.to_owned();
    move |source| CompactError::Folder {
        folder: folder.clone(),
        source,
    }
}

fn engine(doing: &'static str) -> impl Fn(surrealkv::Error) -> CompactError + Copy {
    move |source| CompactError::Engine { doing, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(folder: &Path) {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("file"), folder.to_string_lossy().as_bytes()).unwrap();
    }

    #[test]
    fn wherever_it_was_interrupted_a_whole_store_is_found() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cdp");
        let of = |ending| beside(&folder, ending);
        let is_left = || -> Vec<String> {
            let entries = fs::read_dir(place.path()).unwrap();
            let mut names: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            names.sort();
            names
        };
        // Nothing was begun.
        settle(&folder).unwrap();
        assert!(is_left().is_empty());
        // The copy is not whole; it is, and the store is in its place; that one was moved away;
        // the copy is in place.
        for (begun, store_is_old) in [
            (vec![folder.clone(), of("copying")], true),
            (vec![folder.clone(), of("copied")], true),
            (vec![of("old"), of("copied")], false),
            (vec![folder.clone(), of("old")], true),
        ] {
            for folder in &begun {
                make(folder);
            }
            settle(&folder).unwrap();
            assert_eq!(is_left(), ["cdp"]);
            let said = fs::read_to_string(folder.join("file")).unwrap();
            assert_eq!(said == folder.to_string_lossy(), store_is_old, "{begun:?}");
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}
