//! Keeps a copy of everything, and makes a store of one.

use std::sync::Arc;

use chrono::Utc;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::Semaphore;

use crate::domain::Timestamp;
use crate::domain::error::{Error, ErrorCode};
use crate::services::jobs::Running;
use crate::store::{Store, StoreError};

pub use crate::store::backup::{RestoreError, Restored, restore};

/// Backups that may run at once: each holds a snapshot, for which the engine keeps what was
/// overwritten since.
const AT_ONCE: usize = 1;

/// After how many seconds another backup may find its place.
const BUSY_RETRY_AFTER_S: u64 = 60;

/// Makes backups.
pub struct Backups {
    store: Store,
    places: Arc<Semaphore>,
}

/// A backup on its way.
pub struct Backup<S> {
    /// What it holds is what was stored then.
    pub made_at: Timestamp,
    /// Its bytes; an error is the last piece, and such a file is refused when it is restored.
    pub pieces: S,
}

impl Backups {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Begins a backup.
    ///
    /// # Errors
    /// Rate limited while another runs; conflict where the store is a SurrealDB server, which has
    /// means of its own.
    pub async fn begin(
        &self,
    ) -> Result<Backup<impl Stream<Item = Result<Vec<u8>, Error>> + Send + 'static + use<>>, Error> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let error = Error::new(ErrorCode::RateLimited, "a backup is being made already");
            return Err(error.with_retry_after(BUSY_RETRY_AFTER_S));
        };
        let running = Running::begin("backup");
        let made_at = Utc::now();
        let pieces = self.store.back_up(made_at).await.map_err(|error| match error {
            StoreError::NotEmbedded => Error::new(ErrorCode::Conflict, error.to_string()),
            error => error.into(),
        })?;
        let pieces = pieces.map(move |piece| {
            let _ = (&place, &running);
            piece.map_err(|error| {
                tracing::error!(%error, "a backup broke off");
                Error::from(error)
            })
        });
        Ok(Backup { made_at, pieces })
    }
}
