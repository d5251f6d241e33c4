//! The store: SurrealDB, and the only SurrealQL there is. It reads what a decision rests
//! on and applies plans in one transaction; it never decides.
//!
//! [`connect`] opens it by URL, [`remote`] stays connected to a server, [`migrations`] bring its
//! schema up to date, [`transaction`] tells a conflict from a failure, [`disk`] says whether there is
//! room, [`place`] locks its folder and knows what lies beside it, [`compact`] writes its files anew,
//! [`commit`] writes what one chunk changes, [`journal`] says how a batch is carried on, [`feed`] keeps
//! what commits did to people, and [`webhooks`] where that is sent, [`spool`] holds payloads that wait,
//! [`graph`] reads the identity graph, [`survey`] walks all of it, [`repair`] mends it, and the
//! others read one kind of record each, people [`by_key`] where the engine is in the process.
//! [`erasures`] takes somebody out, and [`suppressions`] say of whom nothing more is taken in.
//! [`leases`] say which of several servers does what, and [`revisions`] what the others have to
//! read again. [`rows`] are the twins of the domain's types as records hold them.

pub mod accounts;
pub mod audit;
pub mod backup;
pub mod batches;
mod by_key;
pub mod cohorts;
pub mod commit;
pub mod compact;
pub mod conflicts;
pub mod connect;
mod corrections;
mod count;
mod counters;
pub mod decisions;
pub mod disk;
mod due;
pub mod erasures;
mod facets;
pub mod feed;
pub mod graph;
pub mod interests;
pub mod journal;
pub mod keys;
pub mod leases;
mod log;
pub mod members;
mod migrations;
mod place;
pub mod profiles;
mod quality;
pub mod raw;
pub mod rejects;
mod remote;
pub mod repair;
pub mod revisions;
mod rows;
mod secrets;
pub mod sessions;
pub mod sightings;
pub mod spool;
pub mod suppressions;
pub mod survey;
mod tally;
mod transaction;
pub mod webhooks;
pub mod write_keys;

use std::sync::Arc;
use std::time::Duration;

pub use connect::Settings;
pub use count::{counted, inherited};

/// A handle to the store; clones share one connection.
#[derive(Clone)]
pub struct Store {
    connection: Arc<connect::Connection>,
    disk: Arc<disk::Disk>,
    /// The numbers of the feed's blocks.
    numbers: Arc<feed::Numbers>,
    /// Whether other processes may have it open too.
    is_shared: bool,
    /// How long a server that shares it is taken at its word.
    lease: Duration,
    /// The most bytes that one transaction may write. The engine logs a transaction before it
    /// finds that its write buffer can't hold it, and could not be opened again after a crash
    /// at that moment; so it is never asked to.
    transaction_bytes_max: usize,
}

impl Store {
    /// Whether other processes may have the store open too: a server's store is shared, and an
    /// embedded one never.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// What is wrong with the store's disk; nothing is written while something is.
    #[must_use]
    pub fn disk_fault(&self) -> Option<disk::Fault> {
        self.disk.fault()
    }

    /// Waits until the disk refused something, takes bytes again, and has room for the store to be
    /// opened anew, which is due then. A store that has no disk of its own lets wait for ever.
    pub async fn disk_mended(&self) {
        // A transaction may be half as large as the write buffer.
        let write_buffer_bytes = self.transaction_bytes_max.saturating_mul(2) as u64;
        self.disk.mended(write_buffer_bytes).await;
    }

    /// How long a server has what it works on before another takes it over, unless it says again
    /// that it is alive.
    #[must_use]
    pub const fn lease_ttl(&self) -> Duration {
        self.lease
    }

    /// The same store as another server has it open, as if it were one of a server's: numbers that
    /// a process keeps are not shared. Tests put two servers on one store in memory with this.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self {
            numbers: Arc::default(),
            is_shared: true,
            ..self.clone()
        }
    }
}

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Someone else wrote what this write rests on: read again, decide again.
    #[error("another write came first")]
    Conflict,
    /// What a write rests on is not this server's any more, or was changed by hand.
    #[error("another server has taken over, or somebody has changed what this rests on")]
    Lost,
    /// More than one transaction may write.
    #[error("a transaction of {bytes} bytes is too large; at most {most} are written at once")]
    TooLarge {
        /// How large it would be.
        bytes: usize,
        /// The bound.
        most: usize,
    },
    /// The store can't be opened.
    #[error("the store at `{url}` can't be opened")]
    Open {
        /// The connection string, without credentials.
        url: String,
        /// The engine's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A migration failed, or the store was written by a newer version.
    #[error("migration {number} can't be applied: {reason}")]
    Migration {
        /// The migration's number.
        number: u32,
        /// What is wrong.
        reason: String,
    },
    /// The store's server went away, or can't be reached. Whether this was stored is not known.
    #[error("the store's server is out of reach; it did not say that it {doing}")]
    Unreachable {
        /// What it was asked for.
        doing: &'static str,
        /// The client's own words.
        #[source]
        source: Box<surrealdb::Error>,
    },
    /// The store's server is there, and takes too long. Whether this was stored is not known.
    #[error("the store's server takes too long; it did not say that it {doing}")]
    Late {
        /// What it was asked for.
        doing: &'static str,
    },
    /// The engine refused or failed a query.
    #[error("the store failed while it {doing}")]
    Query {
        /// What the query was for.
        doing: &'static str,
        /// The engine's own words.
        #[source]
        source: Box<surrealdb::Error>,
    },
    /// The engine's keys can't be read or written.
    #[error("the store failed while it {doing}")]
    Keys {
        /// What they were wanted for.
        doing: &'static str,
        /// The engine's own words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk takes nothing. Whether this was stored is only known once the store is opened anew.
    #[error("{}", .0.sentence())]
    Unwritable(disk::Fault),
    /// The process ends. Whether this was stored is only known once the store is opened anew.
    #[error("the process ended in the midst of a transaction")]
    CutOff,
    /// What only an embedded store can do.
    #[error("a SurrealDB server is backed up by its own means")]
    NotEmbedded,
    /// A record does not hold what its table holds.
    #[error("a record can't be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// What a failure is counted as: another writer came first, which is tried again, or not.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Unwritable(_) => "unwritable",
            _ => "failed",
        }
    }

    /// Whether the store's server is out of reach, which is no fault of what it was asked for.
    pub const fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Says of the engine's keys what they were wanted for.
fn keys<E: Into<Box<dyn std::error::Error + Send + Sync>>>(doing: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Keys {
        doing,
        source: error.into(),
    }
}
