//! Opens the store by its connection string: `surrealkv://path` on disk, or `rocksdb://path` where
//! that engine was built in; `mem://` for tests, `ws://` or `wss://` for a SurrealDB server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use surrealdb::engine::local::Db;
use surrealdb::types::Variables;
use surrealdb::{IndexedResults, Surreal};
use surrealdb_catalog::providers::DatabaseProvider as _;
use surrealdb_catalog::{DatabaseId, NamespaceId};
use surrealdb_cnf::ConfigMap;
use surrealdb_core::kvs::Datastore;
use surrealdb_kvs::TransactionType;

use super::by_key::Decoded;
use super::disk::Disk;
use super::place::{self, COMPACTING, Lock, Mark};
use super::remote::Remote;
use super::{Store, StoreError, backup, compact, log, migrations};

/// Namespace and database that hold the platform's records.
pub(super) const NAMESPACE: &str = "cdp";
pub(super) const DATABASE: &str = "cdp";

const MIB: u64 = 1024 * 1024;

/// What the connection strings of stores on this disk begin with.
const SURREALKV: &str = "surrealkv://";
const ROCKSDB: &str = "rocksdb://";

/// What `surrealkv` reads at once. Most reads here are of single keys, all over the store: what is not in
/// the cache costs as much as its block is large. The engine's own 64 KiB are for who reads along.
pub(super) const BLOCK_BYTES: usize = 4 * 1024;

/// The part of the cache that holds profiles decoded instead of blocks.
const DECODED_SHARE: u64 = 8;

/// How many write buffers RocksDB fills and empties in turn; together they are as large as the
/// setting says.
const ROCKSDB_WRITE_BUFFERS: u64 = 2;

/// How many records the engine keeps at hand within a transaction. A commit compares the
/// revisions of profiles and then writes them, thousands at a time; with the engine's own 512 it
/// would read and decode each of them twice.
const TRANSACTION_RECORDS: u32 = 16_384;

/// The shortest lease, in seconds: it is renewed three times until it ends, and a store may take a
/// moment to answer.
const LEASE_S_MIN: u64 = 3;

/// How to reach the store.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The connection string.
    pub url: String,
    /// The user of a SurrealDB server; embedded stores have none.
    pub username: Option<String>,
    /// That user's password.
    pub password: Option<secrecy::SecretString>,
    /// How much memory the embedded engine's block cache may take, and profiles that are kept
    /// decoded, in MiB. Either engine's own default is half of the machine.
    pub cache_mib: u64,
    /// The size of the embedded engine's write buffer, in MiB; half of it bounds a
    /// transaction.
    pub write_buffer_mib: u64,
    /// Of several servers on one store: how many seconds after one was last heard of another takes
    /// over what it worked on.
    pub lease_s: u64,
}

impl Settings {
    /// The folder of a store on disk; none of any other.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        let mut schemes = [SURREALKV, ROCKSDB].into_iter();
        let path = schemes.find_map(|scheme| self.url.strip_prefix(scheme))?;
        Some(Path::new(path.split('?').next().unwrap_or(path)))
    }

    /// The folder of a store on this disk where there is none, nor what an interrupted `compact` left
    /// of one.
    #[must_use]
    pub fn missing(&self) -> Option<&Path> {
        let is_left = |folder| Mark::of(&place::without_link(folder), COMPACTING).is_set();
        self.folder()
            .filter(|folder| !folder.is_dir() && !is_left(folder))
    }

    /// The same for a store in another folder.
    pub(super) fn in_folder(&self, folder: &Path) -> Self {
        let (scheme, place) = self.url.split_once("://").unwrap_or_default();
        let options = place.find('?').map_or("", |start| &place[start..]);
        Self {
            url: format!("{scheme}://{}{options}", folder.display()),
            ..self.clone()
        }
    }

    /// What profiles that are kept decoded may take of the cache.
    fn decoded_bytes(&self) -> u64 {
        self.cache_mib * MIB / DECODED_SHARE
    }

    /// Whether the store's files are those of RocksDB.
    pub(super) fn is_rocksdb(&self) -> bool {
        self.url.starts_with(ROCKSDB)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "surrealkv://data/cdp?sync=every".to_owned(),
            username: None,
            password: None,
            cache_mib: 256,
            write_buffer_mib: 64,
            lease_s: 10,
        }
    }
}

/// One connection, shared: a clone of the SDK's client would open a session of its own.
pub(super) enum Connection {
    Embedded(Embedded),
    Remote(Remote),
}

/// An engine in the process: itself beside its client, for what no query can do, or none as fast.
pub(super) struct Embedded {
    client: Surreal<Db>,
    pub(super) engine: Arc<Datastore>,
    /// What its keys say instead of the names of namespace and database.
    pub(super) home: (NamespaceId, DatabaseId),
    pub(super) decoded: Decoded,
    /// Let go of with the last clone of the store; the engine's own lock follows in the background.
    _lock: Option<Lock>,
}

impl Connection {
    pub(super) async fn query(
        &self,
        text: &str,
        variables: Variables,
    ) -> Result<IndexedResults, surrealdb::Error> {
        match self {
            Self::Embedded(embedded) => embedded.client.query(text).bind(variables).await,
            Self::Remote(remote) => remote.query(text, variables).await,
        }
    }
}

#[cfg(test)]
impl Store {
    /// An empty store in memory.
    pub(crate) async fn in_memory() -> Self {
        let settings = Settings {
            url: "mem://".to_owned(),
            ..Settings::default()
        };
        Self::connect(&settings).await.unwrap()
    }

    /// A transaction that is written step by step, while others come and go.
    pub(super) async fn begin(&self) -> surrealdb::method::Transaction<Db> {
        let Connection::Embedded(embedded) = self.connection.as_ref() else {
            panic!("a store in memory is embedded")
        };
        embedded.client.clone().begin().await.unwrap()
    }
}

impl Store {
    /// Opens the store and brings its schema up to date.
    ///
    /// # Errors
    /// When it can't be reached, is locked by another process, or can't be migrated.
    pub async fn connect(settings: &Settings) -> Result<Self, StoreError> {
        let failed = cannot_open(settings);
        let is_remote = ["ws://", "wss://"]
            .iter()
            .any(|scheme| settings.url.starts_with(scheme));
        let connection = if is_remote {
            let opened = Remote::open(settings).await;
            Connection::Remote(opened.map_err(|error| failed(error.into()))?)
        } else {
            Connection::Embedded(open_embedded(settings).await.map_err(failed)?)
        };
        // Half, since keys, links and the engine's own marks come on top of what is counted.
        let transaction_bytes_max =
            usize::try_from(settings.write_buffer_mib * MIB / 2).unwrap_or(usize::MAX);
        let store = Self {
            connection: Arc::new(connection),
            disk: Arc::new(Disk::of(settings.folder())),
            numbers: Arc::default(),
            is_shared: is_remote,
            lease: Duration::from_secs(settings.lease_s.max(LEASE_S_MIN)),
            transaction_bytes_max,
        };
        migrations::apply(&store).await?;
        Ok(store)
    }
}

pub(super) type OpenError = Box<dyn std::error::Error + Send + Sync>;

/// Says of which store it is that it can't be opened.
pub(super) fn cannot_open(settings: &Settings) -> impl Fn(OpenError) -> StoreError {
    let url = without_credentials(&settings.url);
    move |source| StoreError::Open {
        url: url.clone(),
        source,
    }
}

/// Builds the engine here instead of letting the SDK do it, because only so can its memory
/// be bounded: the SDK passes no configuration on, and an embedded engine reads no
/// environment.
async fn open_embedded(settings: &Settings) -> Result<Embedded, OpenError> {
    let lock = match settings.folder() {
        Some(folder) => prepare(folder, settings)?,
        None => None,
    };
    // The version must be stamped before anything else is written, so the maintenance
    // tasks are started by hand, last.
    let datastore = engine(settings).await?;
    datastore.check_version().await?;
    datastore.bootstrap().await?;
    datastore.start_maintenance_tasks();
    let client = Surreal::<Db>::unstable_from_datastore(Arc::clone(&datastore), None).await?;
    client.use_ns(NAMESPACE).use_db(DATABASE).await?;
    let home = home(&datastore).await?;
    Ok(Embedded {
        client,
        engine: datastore,
        home,
        decoded: Decoded::new(settings.decoded_bytes()),
        _lock: lock,
    })
}

/// Locks the folder of a store, and ends what was interrupted there.
fn prepare(folder: &Path, settings: &Settings) -> Result<Option<Lock>, OpenError> {
    let folder = place::without_link(folder);
    if settings.is_rocksdb() {
        // It takes its own lock before it does anything, and only a restore works beside its folder.
        backup::check_restoring(&folder)?;
        return Ok(None);
    }
    place::make_parent(&folder)?;
    let lock = Lock::take(&folder)?;
    compact::settle(&folder)?;
    compact::warn_of_earlier(&folder);
    backup::check_half(&folder)?;
    log::seal(&folder)?;
    Ok(Some(lock))
}

async fn home(engine: &Datastore) -> Result<(NamespaceId, DatabaseId), OpenError> {
    let reading = engine.transaction(TransactionType::Read).await?;
    let database = reading.expect_db_by_name(NAMESPACE, DATABASE).await?;
    reading.cancel().await?;
    Ok((database.namespace_id, database.database_id))
}

/// What is said of a store that this program can't open.
#[derive(Debug, thiserror::Error)]
#[error("this program was built without RocksDB; `cargo build --release --features rocksdb` builds it in")]
struct NoRocksDb;

/// The engine over a store's files, of which it has read nothing yet.
pub(super) async fn engine(settings: &Settings) -> Result<Arc<Datastore>, OpenError> {
    engine_with(settings, ConfigMap::empty()).await
}

/// The same, told more.
pub(super) async fn engine_with(settings: &Settings, more: ConfigMap) -> Result<Arc<Datastore>, OpenError> {
    if settings.is_rocksdb() && !cfg!(feature = "rocksdb") {
        return Err(NoRocksDb.into());
    }
    let datastore = Datastore::builder()
        .with_config(bounded(settings, more))
        .without_maintenance_tasks()
        .build_with_path(&settings.url)
        .await?;
    Ok(datastore)
}

/// The bounds of memory, for whichever engine it is: each reads its own, and passes over others'.
fn bounded(settings: &Settings, config: ConfigMap) -> ConfigMap {
    let cache = settings.cache_mib * MIB - settings.decoded_bytes();
    let buffer = settings.write_buffer_mib * MIB;
    config
        .with_key_value("transaction_cache_size", TRANSACTION_RECORDS.to_string())
        .with_key_value("surrealkv_block_cache_capacity", cache.to_string())
        .with_key_value("surrealkv_max_memtable_size", buffer.to_string())
        .with_key_value("surrealkv_block_size", BLOCK_BYTES.to_string())
        .with_key_value("rocksdb_block_cache_size", cache.to_string())
        .with_key_value(
            "rocksdb_write_buffer_size",
            (buffer / ROCKSDB_WRITE_BUFFERS).to_string(),
        )
        .with_key_value(
            "rocksdb_max_write_buffer_number",
            ROCKSDB_WRITE_BUFFERS.to_string(),
        )
}

/// The connection string as it may be shown: whatever stands before an `@` is left out.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    format!("{scheme}://{place}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Settings {
        Settings {
            url: url.to_owned(),
            ..Settings::default()
        }
    }

    #[test]
    fn a_store_on_disk_has_a_folder_whichever_engine_it_is_of() {
        for (url, folder) in [
            ("surrealkv://data/cdp?sync=every", Some("data/cdp")),
            ("rocksdb:///var/cdp?sync=every", Some("/var/cdp")),
            ("rocksdb://cdp", Some("cdp")),
            ("mem://", None),
            ("wss://host:8000", None),
        ] {
            assert_eq!(at(url).folder(), folder.map(Path::new), "{url}");
        }
    }

    #[test]
    fn a_store_in_another_folder_is_of_the_same_engine_and_options() {
        for (url, moved) in [
            (
                "surrealkv://data/cdp?sync=every",
                "surrealkv:///srv/new?sync=every",
            ),
            ("rocksdb:///var/cdp", "rocksdb:///srv/new"),
        ] {
            assert_eq!(at(url).in_folder(Path::new("/srv/new")).url, moved);
        }
    }

    #[cfg(not(feature = "rocksdb"))]
    #[tokio::test]
    async fn without_rocksdb_its_stores_are_refused_and_it_is_said_how_to_have_it() {
        use std::error::Error as _;
        let opened = Store::connect(&at("rocksdb:///nowhere/cdp")).await;
        let error = opened.err().unwrap();
        let cause = error.source().unwrap().to_string();
        assert!(cause.contains("--features rocksdb"), "{cause}");
    }
}
