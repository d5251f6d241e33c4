//! Keeps what this process has in memory equal to the store: the rosters, who has changed, who is
//! suppressed. Its own commits it takes over before the answer is given. Where other servers share
//! the store, it looks twice a second at a few counters, and reads what they say has changed: of
//! the feed, the blocks that others wrote.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::changed::Changed;
use super::feed::{Feed, FeedError};
use super::ledger::{Ledger, News};
use super::rosters::Rosters;
use super::suppressed::Suppressed;
use crate::domain::change::Transition;
use crate::domain::cohort::CohortSlug;
use crate::domain::feed::Cursor;
use crate::domain::profile::ProfileId;
use crate::store::{Store, StoreError};

pub use crate::store::revisions::Revisions;

/// How often other servers are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What this process has in memory of the store's people.
pub struct Following {
    store: Store,
    rosters: Arc<Rosters>,
    changed: Arc<Changed>,
    feed: Arc<Feed>,
    suppressed: Arc<Suppressed>,
    // Held for a block's worth of steps and never over I/O, so a plain lock serves.
    ledger: Mutex<Ledger>,
    /// Who was erased by other servers.
    deleted: Mutex<BTreeSet<ProfileId>>,
    revisions: watch::Sender<Revisions>,
}

impl Following {
    /// Begins to follow behind a block of the feed, as of which the rosters were read or later.
    pub(super) fn start(
        store: &Store,
        followed: u64,
        rosters: &Arc<Rosters>,
        changed: &Arc<Changed>,
        feed: &Arc<Feed>,
        suppressed: &Arc<Suppressed>,
    ) -> Arc<Self> {
        let following = Arc::new(Self {
            store: store.clone(),
            rosters: Arc::clone(rosters),
            changed: Arc::clone(changed),
            feed: Arc::clone(feed),
            suppressed: Arc::clone(suppressed),
            ledger: Mutex::new(Ledger::new(followed)),
            deleted: Mutex::default(),
            revisions: watch::channel(Revisions::default()).0,
        });
        if store.is_shared() {
            tokio::spawn(follow(Arc::downgrade(&following)));
        }
        following
    }

    /// Takes over what a commit of this process did, whose block has this number.
    pub(super) fn own(&self, block: Option<u64>, transitions: &[Transition], changed: Vec<ProfileId>) {
        if self.store.is_shared() {
            let mut ledger = self.ledger();
            let Some(number) = block else { return };
            if !ledger.own(number, transitions) {
                return;
            }
            // Under the lock, so that a block of others that is read meanwhile comes before or after.
            self.rosters.follow(transitions);
        } else {
            self.rosters.follow(transitions);
        }
        self.publish(transitions);
        self.changed.note(changed);
    }

    /// Wakes whoever follows the feed, after a commit.
    pub(super) fn tell(&self) {
        self.feed.tell();
    }

    /// What changed in the store, for whoever has something of it in memory. In a store of one
    /// server nothing does that it has not changed itself.
    pub fn revisions(&self) -> watch::Receiver<Revisions> {
        self.revisions.subscribe()
    }

    /// Whom other servers have erased since this was last asked.
    pub fn take_deleted(&self) -> BTreeSet<ProfileId> {
        std::mem::take(&mut *self.deleted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, transitions: &[Transition]) {
        let moved: BTreeSet<&CohortSlug> = transitions.iter().map(|change| &change.cohort).collect();
        for cohort in moved {
            self.rosters.publish_size(cohort);
        }
    }

    async fn look(&self) -> Result<(), FeedError> {
        let before = *self.revisions.borrow();
        let now = self.store.revisions().await?;
        if now.suppressed != before.suppressed {
            self.suppressed.refresh(&self.store).await?;
        }
        if now.feed_rewritten != before.feed_rewritten {
            self.feed.forget().await;
        }
        self.feed.tell();
        self.catch_up(now.feed).await?;
        self.revisions.send_if_modified(|known| {
            let is_news = *known != now;
            *known = now;
            is_news
        });
        metrics::gauge!("cdp_follow_blocks_behind")
            .set(now.feed.saturating_sub(self.ledger().followed()) as f64);
        Ok(())
    }

    /// Takes over what others wrote, up to a block.
    async fn catch_up(&self, newest: u64) -> Result<(), FeedError> {
        loop {
            let followed = self.ledger().followed();
            if followed >= newest {
                return Ok(());
            }
            let blocks = match self.feed.read(Cursor::behind(followed)).await {
                Ok(stretch) => stretch.into_blocks(),
                Err(FeedError::Gone { .. }) => return Ok(self.begin_anew().await?),
                Err(error) => return Err(error),
            };
            if blocks.is_empty() {
                return Ok(());
            }
            let mut news = News::default();
            {
                let mut ledger = self.ledger();
                for block in &blocks {
                    ledger.read(block, &mut news);
                }
                self.rosters.follow(&news.transitions);
                self.rosters.drop_people(&news.deleted);
            }
            self.publish(&news.transitions);
            self.changed.note(news.changed);
            let mut deleted = self.deleted.lock().unwrap_or_else(PoisonError::into_inner);
            deleted.extend(news.deleted);
        }
    }

    /// Reads everything from the store: what followed was dropped before this process read it.
    async fn begin_anew(&self) -> Result<(), StoreError> {
        tracing::warn!("the feed was dropped before it was followed; everything is read anew");
        let newest = self.store.feed_extent().await?.newest;
        let members = Rosters::read_all(&self.store, &self.store.definitions().await?).await?;
        let end = self.store.next_profile_ordinal().await?;
        {
            let mut ledger = self.ledger();
            self.rosters.replace(members);
            self.rosters.follow(&ledger.begin_anew(newest));
        }
        self.changed.note((0..end).map(ProfileId));
        Ok(())
    }
}

async fn follow(following: Weak<Following>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(following) = following.upgrade() else {
            return;
        };
        // In a task of its own, so that one that panics is followed by the next.
        match tokio::spawn(async move { following.look().await }).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "other servers can't be followed for now"),
            Err(error) => tracing::error!(%error, "other servers can't be followed for now"),
        }
    }
}
