//! Finds people and interests by what is typed, by what they have in common, and by meaning.
//!
//! The index says who may be meant, and the store who they are: hits are read from it by their
//! ids in one query, and whoever is gone meanwhile is left out. [`follower`] keeps the index up
//! to date through the [`indexer`], [`standing`] is what it has reached, [`reindex`] builds the
//! index with no server beside it; [`users`] and [`interests`] answer, [`likeness`] weighs what
//! people share.

mod follower;
mod indexer;
pub mod interests;
mod likeness;
pub mod reindex;
mod standing;
pub mod users;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use super::background::Background;
use super::cohorts::NameBook;
use crate::domain::error::Error;
use crate::domain::interest::{ClassifiedInterest, InterestKey};
use crate::domain::profile::ProfileId;
use crate::pipeline::Pipeline;
use crate::pipeline::changed::Changed;
use crate::pipeline::segmented::Scores;
use crate::search::{Found, SearchIndex, Settings};
use crate::store::{Store, StoreError};
use follower::Parts;
use standing::Standing;

pub use crate::search::SearchError;
pub use indexer::IndexingError;

/// The longest question, in characters.
pub const TEXT_CHARS_MAX: usize = 256;

/// The most hits of one answer.
pub const HITS_MAX: u32 = 100;

/// The hits of an answer when nobody says how many.
pub const HITS_DEFAULT: u32 = 20;

/// How long the index may take, when the server stops, to become equal to the store. A start
/// after a stop that took longer compares the two.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// How often, and how many times, it is looked whether the index has let go of somebody: it does
/// within a second, unless it is being built.
const PURGE_LOOK_EVERY: Duration = Duration::from_millis(50);
const PURGE_LOOKS: u32 = 200;

/// An index that was opened, for [`Search`] to follow with.
pub struct OpenIndex {
    index: SearchIndex,
    found: Found,
}

/// Opens the index of a store, or makes one. Blocks.
///
/// # Errors
/// When another process has it, or its folder can't be used.
pub fn open(settings: &Settings, store: &crate::store::Settings) -> Result<OpenIndex, SearchError> {
    let place = settings.place(store.folder());
    let (index, found) = SearchIndex::open(place.as_deref(), settings)?;
    Ok(OpenIndex { index, found })
}

/// Finds people and interests.
pub struct Search {
    store: Store,
    scores: Arc<Scores>,
    names: NameBook,
    index: Arc<SearchIndex>,
    standing: Arc<Standing>,
    following: Mutex<Option<JoinHandle<()>>>,
}

impl Search {
    /// Lets the index follow the store, until the writer ends.
    pub(super) fn new(
        store: Store,
        pipeline: &Pipeline,
        names: NameBook,
        opened: OpenIndex,
        background: &Background,
    ) -> Self {
        let index = Arc::new(opened.index);
        let standing = Arc::new(Standing::default());
        let scores = Arc::clone(pipeline.scores());
        let parts = Parts {
            store: store.clone(),
            scores: Arc::clone(&scores),
            changed: Arc::clone(pipeline.changed()),
            index: Arc::clone(&index),
            standing: Arc::clone(&standing),
        };
        let following = background.spawn(follower::follow(parts, opened.found));
        Self {
            store,
            scores,
            names,
            index,
            standing,
            following: Mutex::new(Some(following)),
        }
    }

    /// What takes the last traces of somebody out of the index.
    pub(super) fn purger(&self, pipeline: &Pipeline) -> Purger {
        Purger {
            index: Arc::clone(&self.index),
            changed: Arc::clone(pipeline.changed()),
        }
    }

    /// Waits until the index equals the store, after the writer has ended.
    pub(super) async fn finish(&self) {
        let following = self
            .following
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(following) = following else { return };
        if tokio::time::timeout(FINISH_MAX, following).await.is_err() {
            tracing::warn!("the search index is behind; the next start compares it with the store");
        }
    }

    /// Whether the index has everybody, but for those who changed just now. It has not while it
    /// is built, or compared with the store after a crash.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.standing.is_complete()
    }

    /// Asks the index on a thread that may block.
    async fn asked<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&SearchIndex, &Standing) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, Error> {
        let (index, standing) = (Arc::clone(&self.index), Arc::clone(&self.standing));
        let asking = spawn_blocking(move || ask(&index, &standing));
        let answer = crate::pipeline::timed("search", asking).await;
        Ok(answer.map_err(Error::internal)??)
    }
}

/// Takes the last traces of people out of the index, whose files keep what is gone until they are
/// written anew.
#[derive(Clone)]
pub struct Purger {
    index: Arc<SearchIndex>,
    changed: Arc<Changed>,
}

impl Purger {
    /// Waits until the index has let go of these people, for ten seconds at most, and writes anew
    /// all of its files that hold something gone. Whether it has; if not, ask again later.
    ///
    /// # Errors
    /// When the index fails.
    pub async fn purge(&self, gone: Vec<ProfileId>) -> Result<bool, IndexingError> {
        for _ in 0..PURGE_LOOKS {
            let (index, asked) = (Arc::clone(&self.index), gone.clone());
            // Of somebody who came just now the index may be told yet what is gone by now.
            let is_told = !self.changed.has_any(&gone);
            if is_told && !spawn_blocking(move || index.has_any(&asked)).await?? {
                let index = Arc::clone(&self.index);
                spawn_blocking(move || index.purge()).await??;
                return Ok(true);
            }
            tokio::time::sleep(PURGE_LOOK_EVERY).await;
        }
        Ok(false)
    }
}

/// What interests mean to today's model and cohorts: as at hand, else as kept. Those of another
/// model, and those that nobody classified, are left out.
async fn meanings(
    store: &Store,
    scores: &Scores,
    keys: &[InterestKey],
) -> Result<Vec<ClassifiedInterest>, StoreError> {
    let classifier = scores.classifier();
    let (mut meant, mut unknown) = (Vec::new(), Vec::new());
    for key in keys {
        match classifier.cached(key) {
            Some(answer) => meant.push(answer),
            None => unknown.push(key.clone()),
        }
    }
    if !unknown.is_empty() {
        let reviewed = classifier.review(store.interests(&unknown).await?);
        meant.extend(reviewed.current);
        meant.extend(reviewed.rescored);
    }
    Ok(meant)
}

/// A question, if it is not too long.
fn checked_text<'a>(field: &str, text: &'a str) -> Result<&'a str, Error> {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return Ok(text);
    }
    Err(Error::bad_request(
        field,
        format!("is longer than {TEXT_CHARS_MAX} characters"),
    ))
}

impl From<SearchError> for Error {
    fn from(error: SearchError) -> Self {
        Self::internal(error)
    }
}
