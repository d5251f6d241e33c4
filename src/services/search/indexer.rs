//! Takes people from the store into the index: those who changed, or everybody, stretch by
//! stretch. Whoever is there by the revision they have in the store is passed over, so that a
//! walk over an index that lacks little costs little more than reading.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use tokio::task::{JoinError, spawn_blocking};

use crate::domain::interest::InterestKey;
use crate::domain::profile::{Profile, ProfileId};
use crate::pipeline::timed;
use crate::search::{Mark, SearchError, SearchIndex};
use crate::services::background::Panicked;
use crate::store::{Store, StoreError};

/// People of one read of a walk.
const STRETCH: u32 = 1_000;

/// The index can't take in what the store has.
#[derive(Debug, thiserror::Error)]
pub enum IndexingError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index failed.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The process is stopping, or a part of it panicked.
    #[error("indexing was cut short")]
    Stopped(#[from] JoinError),
    /// The program has a fault.
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// Takes people in. There is one for an index.
pub(super) struct Indexer {
    store: Store,
    index: Arc<SearchIndex>,
    /// The interests that the index has.
    interests: HashSet<InterestKey>,
    /// Those that it got and nobody asked for yet.
    new_interests: Vec<InterestKey>,
    is_dirty: bool,
}

/// A walk over everybody.
pub(super) struct Walk {
    /// What the index had when it began.
    known: BTreeMap<ProfileId, u32>,
    next: u32,
    end: u32,
    /// How many were not as the store has them.
    differing: u64,
}

impl Walk {
    /// Whether everybody was met.
    pub(super) const fn is_done(&self) -> bool {
        self.next >= self.end
    }

    /// How many were met, out of how many; numbers that nobody has count.
    pub(super) const fn progress(&self) -> (u32, u32) {
        (self.next, self.end)
    }

    /// How many were not in the index as the store has them.
    pub(super) const fn differing(&self) -> u64 {
        self.differing
    }
}

impl Indexer {
    /// Over an index as it is.
    ///
    /// # Errors
    /// When the index can't be read.
    pub(super) async fn new(store: Store, index: Arc<SearchIndex>) -> Result<Self, IndexingError> {
        let read = Arc::clone(&index);
        let interests = spawn_blocking(move || read.interests()).await??;
        Ok(Self {
            store,
            index,
            new_interests: interests.clone(),
            interests: interests.into_iter().collect(),
            is_dirty: false,
        })
    }

    /// Whether something waits for a commit.
    pub(super) const fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// The interests that came to be in the index since the last call; at first, all it has.
    pub(super) fn take_new_interests(&mut self) -> Vec<InterestKey> {
        std::mem::take(&mut self.new_interests)
    }

    /// Takes in these people as the store has them now; of those it has no more, the index lets go.
    ///
    /// # Errors
    /// When the store or the index fails; then they are to be taken in again.
    pub(super) async fn take_in(&mut self, ids: &[ProfileId]) -> Result<(), IndexingError> {
        let profiles = self.store.profiles(ids).await?;
        let found: BTreeSet<ProfileId> = profiles.iter().map(|profile| profile.id).collect();
        let gone = ids.iter().filter(|id| !found.contains(id)).copied().collect();
        self.replace(profiles, gone).await
    }

    /// Begins a walk over everybody, or over those from a number on.
    ///
    /// # Errors
    /// When the store or the index can't be read.
    pub(super) async fn walk(&self, from: u32) -> Result<Walk, IndexingError> {
        let index = Arc::clone(&self.index);
        let mut known = spawn_blocking(move || index.revisions()).await??;
        let known = known.split_off(&ProfileId(from));
        let last = known.last_key_value().map_or(0, |(id, _)| id.0.saturating_add(1));
        Ok(Walk {
            // Ghosts of a store that was there before may stand behind the last.
            end: self.store.next_profile_ordinal().await?.max(last),
            known,
            next: from,
            differing: 0,
        })
    }

    /// Takes a walk one stretch further.
    ///
    /// # Errors
    /// When the store or the index fails; the walk stands where it stood.
    pub(super) async fn step(&mut self, walk: &mut Walk) -> Result<(), IndexingError> {
        let ids = walk.next..walk.next.saturating_add(STRETCH).min(walk.end);
        let stretch = self.store.stretch(ids.clone()).await?;
        let found: BTreeSet<ProfileId> = stretch.profiles.iter().map(|profile| profile.id).collect();
        let gone: Vec<ProfileId> = within(&walk.known, &ids)
            .filter(|id| !found.contains(id))
            .collect();
        let differs = |profile: &Profile| walk.known.get(&profile.id) != Some(&profile.rev);
        let changed = stretch.profiles.into_iter().filter(differs);
        let changed: Vec<Arc<Profile>> = changed.map(Arc::new).collect();
        let differing = changed.len() + gone.len();
        if differing > 0 {
            self.replace(changed, gone).await?;
        }
        walk.differing += differing as u64;
        walk.next = ids.end;
        Ok(())
    }

    /// Makes durable and visible what was taken in.
    ///
    /// # Errors
    /// When the index fails; then a walk tells what it lacks.
    pub(super) async fn commit(&mut self, mark: Mark) -> Result<(), IndexingError> {
        let index = Arc::clone(&self.index);
        timed("index_commit", spawn_blocking(move || index.commit(mark))).await??;
        self.is_dirty = false;
        metrics::gauge!("cdp_search_documents").set(self.index.documents() as f64);
        Ok(())
    }

    async fn replace(
        &mut self,
        profiles: Vec<Arc<Profile>>,
        gone: Vec<ProfileId>,
    ) -> Result<(), IndexingError> {
        let named = profiles.iter().flat_map(|profile| profile.facet.interests.keys());
        let new: BTreeSet<&InterestKey> = named.filter(|key| !self.interests.contains(*key)).collect();
        let new: Vec<InterestKey> = new.into_iter().cloned().collect();
        let (index, interests) = (Arc::clone(&self.index), new.clone());
        let replacing = spawn_blocking(move || index.replace(&profiles, &gone, &interests));
        timed("index", replacing).await??;
        self.is_dirty = true;
        self.interests.extend(new.iter().cloned());
        self.new_interests.extend(new);
        Ok(())
    }
}

fn within<'a>(
    known: &'a BTreeMap<ProfileId, u32>,
    ids: &Range<u32>,
) -> impl Iterator<Item = ProfileId> + use<'a> {
    let ids = ProfileId(ids.start)..ProfileId(ids.end);
    known.range(ids).map(|(id, _)| *id)
}
