//! A copy of everything, while the store goes on: the engine's keys as one transaction sees them,
//! in order, in a file of our own. It knows nothing of tables, so that nothing can be left out.
//!
//! The file: [`MAGIC`], a line of JSON that says what it is, and then, packed with zstd, the pairs:
//! the lengths of key and value (little-endian, 32 bits each), key, value. It ends with [`END`] and
//! how many pairs there were (64 bits), so that one that was cut short can't be taken for whole.

use std::fs;
use std::io::{BufRead, ErrorKind, Read, Write as _};
use std::path::{Path, PathBuf};

use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use surrealdb_core::kvs::Datastore;
use surrealdb_core::kvs::copy::{KeyRole, KeyspaceVersion, key_role, keyspace};
use surrealdb_kvs::TransactionType;
use surrealdb_kvs::key::RawRange;
use zstd::stream::write::Encoder;

use super::connect::{Connection, cannot_open, engine};
use super::place::{self, Lock, LockError, Mark, PlaceError, RESTORING, at, beside};
use super::{Settings, Store, StoreError, compact, keys};
use crate::domain::Timestamp;

/// What a file begins with.
const MAGIC: &[u8] = b"cdp backup 1\n";

/// What stands where a key's length would, behind the last pair.
const END: u32 = u32::MAX;

/// How many keys are read at once.
const KEYS_AT_ONCE: u32 = 500;

/// The longest key or value that is believed to be one.
const BYTES_MAX: u32 = 1 << 30;

/// Bytes that one transaction of a restore writes, about.
const WRITTEN_AT_ONCE: usize = 4 << 20;

/// zstd's level: what is stored is packed already where it is large.
const COMPRESSION_LEVEL: i32 = 1;

/// What a file says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    made_at: Timestamp,
    program: String,
    keyspace: KeyspaceVersion,
}

/// What a file held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// When it was made.
    pub made_at: Timestamp,
    /// How many keys there were.
    pub keys: u64,
}

/// Why a file can't be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file can't be read.
    #[error("the file can't be read")]
    Read(#[from] std::io::Error),
    /// It is no backup.
    #[error("the file is no backup of this program")]
    NotOne,
    /// It ends before its end, or holds what no backup does.
    #[error("the backup is torn: {0}")]
    Torn(&'static str),
    /// A folder can't be made, moved or removed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// There is something already.
    #[error("there is a store already; restore into a folder that is empty or not there")]
    NotEmpty,
    /// The store is not on this disk.
    #[error("only a store on disk (surrealkv://path, rocksdb://path) can be restored into")]
    NotOnDisk,
    /// The engine that wrote it is another one.
    #[error("this version of the engine can't start from the backup")]
    Version(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The engine failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Pair = (Vec<u8>, Vec<u8>);

impl Store {
    /// A backup, piece by piece, of what is stored at this moment.
    ///
    /// # Errors
    /// When the store is not embedded; a piece is an error when the engine fails, and then there
    /// is no further one.
    pub async fn back_up(
        &self,
        made_at: Timestamp,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, StoreError>> + Send + use<>, StoreError> {
        let Connection::Embedded(embedded) = self.connection.as_ref() else {
            return Err(StoreError::NotEmbedded);
        };
        let doing = "read everything for a backup";
        let snapshot = embedded
            .engine
            .transaction(TransactionType::Read)
            .await
            .map_err(keys(doing))?;
        let header = Header {
            made_at,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            keyspace: KeyspaceVersion::read(&snapshot).await.map_err(keys(doing))?,
        };
        let packer = Packer::new(&header)?;
        let state = (snapshot, keyspace(), Some(packer));
        Ok(stream::try_unfold(
            state,
            async move |(snapshot, range, packer)| {
                let Some(mut packer) = packer else {
                    return Ok(None);
                };
                let pairs = snapshot.scan_raw(range, KEYS_AT_ONCE, 0, None).await;
                let pairs: Vec<Pair> = pairs.map_err(keys(doing))?;
                let Some((last, _)) = pairs.last() else {
                    let piece = packer.finish()?;
                    snapshot.cancel().await.map_err(keys(doing))?;
                    return Ok(Some((piece, (snapshot, keyspace(), None))));
                };
                let rest = RawRange::every_key_after(&last.as_slice().into());
                let piece = packer.pack(&pairs)?;
                Ok(Some((piece, (snapshot, rest, Some(packer)))))
            },
        ))
    }
}

/// Writes pairs as the file has them.
struct Packer {
    encoder: Encoder<'static, Vec<u8>>,
    keys: u64,
}

impl Packer {
    fn new(header: &Header) -> Result<Self, StoreError> {
        let mut begin = MAGIC.to_vec();
        serde_json::to_writer(&mut begin, header).map_err(|error| packing(error.into()))?;
        begin.push(b'\n');
        let mut encoder = Encoder::new(begin, COMPRESSION_LEVEL).map_err(packing)?;
        encoder.include_checksum(true).map_err(packing)?;
        Ok(Self { encoder, keys: 0 })
    }

    fn pack(&mut self, pairs: &[Pair]) -> Result<Vec<u8>, StoreError> {
        for (key, value) in pairs.iter().filter(|(key, _)| key_role(key) != KeyRole::Skipped) {
            for part in [key, value] {
                let length = u32::try_from(part.len()).unwrap_or(BYTES_MAX);
                self.encoder.write_all(&length.to_le_bytes()).map_err(packing)?;
            }
            self.encoder.write_all(key).map_err(packing)?;
            self.encoder.write_all(value).map_err(packing)?;
            self.keys += 1;
        }
        Ok(std::mem::take(self.encoder.get_mut()))
    }

    fn finish(mut self) -> Result<Vec<u8>, StoreError> {
        self.encoder.write_all(&END.to_le_bytes()).map_err(packing)?;
        self.encoder
            .write_all(&self.keys.to_le_bytes())
            .map_err(packing)?;
        self.encoder.finish().map_err(packing)
    }
}

/// Makes a store of a backup, where there is none yet. It is made beside its place, and moved there once
/// it is whole: one that fails leaves nothing, and what one leaves that is killed, the next deletes.
///
/// # Errors
/// When the file is no whole backup, there is a store already, or the engine fails.
pub async fn restore(
    settings: &Settings,
    file: impl BufRead + Send,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Restored, RestoreError> {
    let folder = place::without_link(settings.folder().ok_or(RestoreError::NotOnDisk)?);
    check_empty(&folder)?;
    let mut file = file;
    let header = read_header(&mut file)?;
    header
        .keyspace
        .check()
        .map_err(|error| RestoreError::Version(error.into()))?;
    place::make_parent(&folder)?;
    let _lock = Lock::take(&folder).map_err(|error| cannot_open(settings)(error.into()))?;
    if !settings.is_rocksdb() {
        compact::settle(&folder).map_err(|error| cannot_open(settings)(error.into()))?;
    }
    check_empty(&folder)?;
    let (mark, half) = (Mark::of(&folder, RESTORING), half(&folder));
    if mark.is_set() {
        mark.clear(&[&half])?;
    }
    mark.set(&[&half])?;
    match make(settings, &folder, &half, file, progress).await {
        Ok(keys) => {
            mark.clear(&[])?;
            Ok(Restored {
                made_at: header.made_at,
                keys,
            })
        }
        Err(error) => {
            // Half a store is of no use. If it can't be deleted now, the next restore does.
            if let Err(left) = mark.clear(&[&half]) {
                tracing::warn!(error = %left, "what there is of a store can't be deleted");
            }
            Err(error)
        }
    }
}

/// Makes the store in one folder, and moves it to another; how many keys it has.
async fn make(
    settings: &Settings,
    folder: &Path,
    half: &Path,
    file: impl BufRead + Send,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, RestoreError> {
    fs::create_dir(half).map_err(at(half))?;
    if let Ok(empty) = fs::metadata(folder) {
        // Found out now, and not at the end: a folder that something is mounted at is no place to move to.
        fs::remove_dir(folder).map_err(at(folder))?;
        fs::set_permissions(half, empty.permissions()).map_err(at(half))?;
    }
    let keys = Box::pin(fill(&settings.in_folder(half), file, progress)).await?;
    place::rename(half, folder)?;
    Ok(keys)
}

/// Writes a file into a store, which is closed then; how many keys there were.
async fn fill(
    settings: &Settings,
    file: impl BufRead + Send,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, RestoreError> {
    let engine = engine(settings).await.map_err(|source| StoreError::Keys {
        doing: "opened a store for a restore",
        source,
    })?;
    let written = write_all(&engine, file, progress).await;
    let closed = engine.shutdown().await.map_err(keys("closed a restored store"));
    let keys = written?;
    closed?;
    Ok(keys)
}

/// Where a store is made of a backup, until it is whole.
fn half(folder: &Path) -> PathBuf {
    beside(folder, "restoring-new")
}

/// Refuses a store that is being restored, or of which there is half.
///
/// # Errors
/// When another process restores it, or did and was interrupted.
pub(super) fn check_restoring(folder: &Path) -> Result<(), LockError> {
    if Mark::of(folder, RESTORING).is_set() {
        drop(Lock::take(folder)?);
    }
    check_half(folder)
}

/// Refuses to make an empty store where one was to be restored. Its caller has the store's lock.
///
/// # Errors
/// When a restore was interrupted.
pub(super) fn check_half(folder: &Path) -> Result<(), LockError> {
    let (half, mark) = (half(folder), Mark::of(folder, RESTORING));
    if folder.exists() || !half.is_dir() || !mark.is_set() {
        return Ok(());
    }
    let mark = mark.path().to_owned();
    Err(LockError::Half { half, mark })
}

/// Writes all pairs of a file; how many there were.
async fn write_all(
    engine: &Datastore,
    file: impl BufRead,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, RestoreError> {
    let mut pairs = Pairs::new(file)?;
    let mut last = Vec::new();
    loop {
        let (written, is_end) = pairs.some(WRITTEN_AT_ONCE)?;
        let is_version = |(key, _): &Pair| key_role(key) == KeyRole::Version;
        let (version, data): (Vec<Pair>, Vec<Pair>) = written.into_iter().partition(is_version);
        last.extend(version);
        write(engine, data).await?;
        progress(pairs.keys);
        if is_end {
            break;
        }
    }
    // With it the engine takes the store for one.
    write(engine, last).await?;
    Ok(pairs.keys)
}

async fn write(engine: &Datastore, pairs: Vec<Pair>) -> Result<(), StoreError> {
    let doing = "wrote a backup back";
    let transaction = engine
        .transaction(TransactionType::Write)
        .await
        .map_err(keys(doing))?;
    for (key, value) in pairs {
        transaction.set(key.into(), value).await.map_err(keys(doing))?;
    }
    transaction.commit().await.map_err(keys(doing))
}

/// Refuses a folder that has anything in it.
fn check_empty(folder: &Path) -> Result<(), RestoreError> {
    let mut entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(folder)(error).into()),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(RestoreError::NotEmpty),
    }
}

fn read_header(file: &mut impl BufRead) -> Result<Header, RestoreError> {
    let mut magic = [0; MAGIC.len()];
    let read = file.read_exact(&mut magic);
    if read.is_err() || magic != MAGIC {
        return Err(RestoreError::NotOne);
    }
    let mut line = String::new();
    file.read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|_| RestoreError::NotOne)
}

/// Reads pairs as the file has them.
struct Pairs<R: BufRead> {
    decoder: zstd::stream::read::Decoder<'static, R>,
    keys: u64,
}

impl<R: BufRead> Pairs<R> {
    fn new(file: R) -> Result<Self, RestoreError> {
        let decoder = zstd::stream::read::Decoder::with_buffer(file)?;
        Ok(Self { decoder, keys: 0 })
    }

    /// The next pairs, of so many bytes about; whether they are the last ones.
    fn some(&mut self, bytes: usize) -> Result<(Vec<Pair>, bool), RestoreError> {
        let (mut pairs, mut read) = (Vec::new(), 0);
        while read < bytes {
            let key = self.number()?;
            if key == END {
                return self.check_end().map(|()| (pairs, true));
            }
            let value = self.number()?;
            let pair = (self.bytes(key)?, self.bytes(value)?);
            read += pair.0.len() + pair.1.len();
            self.keys += 1;
            pairs.push(pair);
        }
        Ok((pairs, false))
    }

    fn check_end(&mut self) -> Result<(), RestoreError> {
        let mut count = [0; 8];
        self.read(&mut count)?;
        if u64::from_le_bytes(count) != self.keys {
            return Err(RestoreError::Torn("it does not hold what it says at its end"));
        }
        let mut behind = [0];
        // Also reads the checksum.
        match self.decoder.read(&mut behind) {
            Ok(0) => Ok(()),
            Ok(_) => Err(RestoreError::Torn("there is something behind its end")),
            Err(_) => Err(RestoreError::Torn("its checksum is another one")),
        }
    }

    fn number(&mut self) -> Result<u32, RestoreError> {
        let mut bytes = [0; 4];
        self.read(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn bytes(&mut self, length: u32) -> Result<Vec<u8>, RestoreError> {
        if length > BYTES_MAX {
            return Err(RestoreError::Torn("a key or a value is too long to be one"));
        }
        let mut bytes = Vec::new();
        let read = (&mut self.decoder)
            .take(u64::from(length))
            .read_to_end(&mut bytes);
        match read {
            Ok(read) if read == length as usize => Ok(bytes),
            _ => Err(RestoreError::Torn("it breaks off")),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<(), RestoreError> {
        let read = self.decoder.read_exact(bytes);
        read.map_err(|_| RestoreError::Torn("it breaks off"))
    }
}

fn packing(error: std::io::Error) -> StoreError {
    keys("packed a backup")(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            made_at: Timestamp::UNIX_EPOCH,
            program: "1".to_owned(),
            keyspace: KeyspaceVersion::default(),
        }
    }

    fn file(pairs: &[Pair]) -> Vec<u8> {
        let mut packer = Packer::new(&header()).unwrap();
        let mut file = packer.pack(pairs).unwrap();
        file.extend(packer.finish().unwrap());
        file
    }

    fn read(mut file: &[u8]) -> Result<Vec<Pair>, RestoreError> {
        read_header(&mut file)?;
        let mut pairs = Pairs::new(file)?;
        let mut all = Vec::new();
        loop {
            let (some, is_end) = pairs.some(10)?;
            all.extend(some);
            if is_end {
                return Ok(all);
            }
        }
    }

    fn pairs() -> Vec<Pair> {
        let pair = |number: u8| (vec![b'k', number], vec![number; usize::from(number)]);
        (0..100).map(pair).collect()
    }

    #[test]
    fn a_file_reads_back() {
        assert_eq!(read(&file(&pairs())).unwrap(), pairs());
        assert_eq!(read(&file(&[])).unwrap(), []);
    }

    #[test]
    fn a_file_that_was_cut_short_or_changed_is_refused() {
        let whole = file(&pairs());
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        let begin = whole.len() - 200;
        for at in begin..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            assert!(
                read(&changed).is_err() || read(&changed).unwrap() == pairs(),
                "{at}"
            );
        }
        assert!(matches!(read(b"something else"), Err(RestoreError::NotOne)));
    }

    #[test]
    fn what_the_engine_must_not_be_given_is_left_out() {
        let bootstrap = (surrealdb_core::kvs::copy::BOOTSTRAP_KEY.to_vec(), vec![1]);
        assert_eq!(read(&file(&[bootstrap])).unwrap(), []);
    }
}
