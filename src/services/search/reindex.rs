//! Builds the index anew, with no server beside it: in a folder of its own, which takes the
//! other's place once it is whole. Whoever interrupts it leaves the old index as it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::indexer::{Indexer, IndexingError};
use crate::search::index::{put_in_place, remove};
use crate::search::{Mark, SearchError, SearchIndex, Settings};
use crate::store::{self, Store, StoreError};

/// People between two commits: what is lost when a build is interrupted is all of it, so commits
/// only keep the writer's memory bounded.
const COMMIT_EVERY: u32 = 200_000;

/// Why there is no new index.
#[derive(Debug, thiserror::Error)]
pub enum ReindexError {
    /// There is nothing at the place.
    #[error("there is no store at `{}`", .0.display())]
    NoStore(PathBuf),
    /// The index of this store would be in memory.
    #[error(
        "the index of a store that is not on this disk is in memory, unless `search.folder` names a folder"
    )]
    InMemory,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index failed.
    #[error(transparent)]
    Indexing(#[from] IndexingError),
}

impl From<SearchError> for ReindexError {
    fn from(error: SearchError) -> Self {
        Self::Indexing(error.into())
    }
}

/// What was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Living people.
    pub profiles: u64,
    /// Documents of people and of interests.
    pub documents: u64,
}

/// Hears how many of how many ids were met.
pub type Listener<'a> = &'a (dyn Fn(u32, u32) + Send + Sync);

/// Builds the index of a store anew.
///
/// # Errors
/// When there is no store, a server has it or the index open, or one of the two fails.
pub async fn reindex(
    settings: &Settings,
    store: &store::Settings,
    listener: Listener<'_>,
) -> Result<Rebuilt, ReindexError> {
    if let Some(folder) = store.missing() {
        return Err(ReindexError::NoStore(folder.to_owned()));
    }
    let place = settings.place(store.folder()).ok_or(ReindexError::InMemory)?;
    let store = Store::connect(store).await?;
    // Held until the end, so that no server opens the one that is about to go.
    let (old, _) = SearchIndex::open(Some(&place), settings)?;
    let building = beside(&place);
    remove(&building)?;
    let rebuilt = build(&store, &building, settings, listener).await?;
    drop(old);
    put_in_place(&building, &place)?;
    Ok(rebuilt)
}

async fn build(
    store: &Store,
    folder: &Path,
    settings: &Settings,
    listener: Listener<'_>,
) -> Result<Rebuilt, ReindexError> {
    let (index, _) = SearchIndex::open(Some(folder), settings)?;
    let index = Arc::new(index);
    let mut indexer = Indexer::new(store.clone(), Arc::clone(&index)).await?;
    let mut walk = indexer.walk(0).await?;
    let mut committed = 0;
    while !walk.is_done() {
        indexer.step(&mut walk).await?;
        let (met, of) = walk.progress();
        listener(met, of);
        if met - committed >= COMMIT_EVERY {
            indexer.commit(Mark::Following).await?;
            committed = met;
        }
    }
    let end = store.next_profile_ordinal().await?;
    indexer.commit(Mark::Equal { end }).await?;
    Ok(Rebuilt {
        profiles: walk.differing(),
        documents: index.documents(),
    })
}

/// Says that an index may differ from its store, which was mended behind its back: the next start
/// compares the two. Does nothing where there is no index.
///
/// # Errors
/// When another process has the index open, or its folder can't be used.
pub fn doubt(settings: &Settings, store: &store::Settings) -> Result<(), SearchError> {
    let place = settings.place(store.folder());
    let Some(place) = place.filter(|place| place.is_dir()) else {
        return Ok(());
    };
    let (index, _) = SearchIndex::open(Some(&place), settings)?;
    index.commit(Mark::Following)
}

fn beside(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    place.with_file_name(name)
}
