//! The feed of changes for whoever asks: in pages, and as a stream that goes on as they happen.
//! Both begin behind a cursor, so whoever was away goes on where they were.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::time::{Instant, sleep_until};

use super::streams::{Open, Streams};
use super::view::ChangeView;
use crate::domain::error::Error;
use crate::domain::feed::{Cursor, EventKind, Filter};
use crate::pipeline::feed::{Feed, FeedError};
use crate::services::checked_limit;
use crate::services::cohorts::NameBook;

/// The most changes that one page holds.
pub const PAGE_MAX: u32 = 1_000;

/// The changes of a page when nobody says how many.
pub const PAGE_DEFAULT: u32 = 100;

/// Changes that a stream takes from the feed at once.
const TAKEN_AT_ONCE: usize = 256;

/// A stream on which nothing happens says so this often, and how far it is.
const MARK_EVERY: Duration = Duration::from_secs(15);

/// How many stretches of the feed are looked at for a page. Whoever asks for what is rare gets
/// less than a page, and goes on behind what was looked at.
const STRETCHES_MAX: usize = 32;

/// Hands out changes.
pub struct Changes {
    feed: Arc<Feed>,
    names: NameBook,
    streams: Arc<Streams>,
}

/// A page of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePage {
    /// The changes, in the order in which they happened.
    pub changes: Vec<ChangeView>,
    /// Where the next page begins, now or later.
    pub next_cursor: String,
    /// Whether there is more by now.
    pub has_more: bool,
}

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// A change.
    Change(Box<ChangeView>),
    /// Nothing, up to this cursor.
    Mark(String),
}

impl Changes {
    pub(super) const fn new(feed: Arc<Feed>, names: NameBook, streams: Arc<Streams>) -> Self {
        Self { feed, names, streams }
    }

    /// Reads which changes are asked for: kinds by their names, separated by commas, and a cohort
    /// by its name or slug. Without kinds, all; with a cohort and without kinds, who enters and
    /// leaves it.
    ///
    /// # Errors
    /// Bad request for an unknown kind, not found for an unknown cohort.
    pub fn filter(&self, kinds: Option<&str>, cohort: Option<&str>) -> Result<Filter, Error> {
        let cohorts: BTreeSet<_> = cohort
            .map(|cohort| self.names.now().find(cohort))
            .transpose()?
            .into_iter()
            .collect();
        let kinds = match kinds {
            Some(kinds) => read_kinds("kinds", kinds.split(',').map(str::trim))?,
            None if cohorts.is_empty() => EventKind::ALL.into(),
            None => BTreeSet::from([EventKind::CohortEntered, EventKind::CohortLeft]),
        };
        Ok(Filter { kinds, cohorts })
    }

    /// A page of the changes behind a cursor; without one, where the next page begins from now on.
    ///
    /// # Errors
    /// Bad request for what is no cursor, gone for one behind which changes were dropped.
    pub async fn page(&self, after: Option<&str>, filter: &Filter, limit: u32) -> Result<ChangePage, Error> {
        let limit = checked_limit(limit, PAGE_MAX)?;
        let (names, mut end) = (self.names.now(), self.place(after)?);
        let mut changes = Vec::new();
        let mut has_more = true;
        for _ in 0..STRETCHES_MAX {
            let stretch = self.feed.read(end).await?;
            let picked = stretch.pick(limit - changes.len(), |event| filter.asks_for(event));
            changes.extend((picked.events.iter()).map(|event| ChangeView::of(event, &names)));
            (end, has_more) = (picked.end, picked.has_more);
            if changes.len() >= limit || !has_more {
                break;
            }
        }
        Ok(ChangePage {
            changes,
            next_cursor: end.to_string(),
            has_more,
        })
    }

    /// Whether a text is a cursor.
    ///
    /// # Errors
    /// Bad request for what is none.
    pub fn check(&self, cursor: Option<&str>) -> Result<(), Error> {
        self.place(cursor).map(drop)
    }

    /// The changes behind a cursor, and from then on as they happen; without a cursor from now
    /// on. Ends when the server does, and when the feed can't be read on: whoever comes again
    /// with the last cursor is told why.
    ///
    /// # Errors
    /// As [`Changes::page`], and rate limited when too many streams are open.
    pub async fn follow(
        &self,
        after: Option<&str>,
        filter: Filter,
    ) -> Result<impl Stream<Item = Followed> + Send + use<>, Error> {
        let cursor = self.place(after)?;
        let open = self.streams.open()?;
        // Said now, while there is somebody to hear it.
        self.feed.read(cursor).await?;
        let following = Following {
            feed: Arc::clone(&self.feed),
            names: self.names.clone(),
            filter,
            cursor,
            waiting: VecDeque::new(),
            mark_at: Instant::now() + MARK_EVERY,
            open,
        };
        Ok(stream::unfold(following, |mut following| async move {
            let next = following.next().await?;
            Some((next, following))
        }))
    }

    /// The end of the feed, as a cursor.
    #[must_use]
    pub fn end(&self) -> String {
        self.feed.end().to_string()
    }

    fn place(&self, after: Option<&str>) -> Result<Cursor, Error> {
        match after {
            Some(after) => read_cursor("cursor", after),
            None => Ok(self.feed.end()),
        }
    }
}

/// Somebody's way along the feed.
struct Following {
    feed: Arc<Feed>,
    names: NameBook,
    filter: Filter,
    /// Behind all that was taken from the feed.
    cursor: Cursor,
    waiting: VecDeque<ChangeView>,
    mark_at: Instant,
    open: Open,
}

impl Following {
    /// What comes next; none at the end.
    async fn next(&mut self) -> Option<Followed> {
        loop {
            if let Some(change) = self.waiting.pop_front() {
                self.mark_at = Instant::now() + MARK_EVERY;
                return Some(Followed::Change(Box::new(change)));
            }
            if self.take().await.ok()? {
                continue;
            }
            tokio::select! {
                () = self.open.closed() => return None,
                () = self.feed.wait(self.cursor) => {}
                () = sleep_until(self.mark_at) => {
                    self.mark_at = Instant::now() + MARK_EVERY;
                    return Some(Followed::Mark(self.cursor.to_string()));
                }
            }
        }
    }

    /// Takes what there is from the feed. Whether there may be more.
    async fn take(&mut self) -> Result<bool, FeedError> {
        let stretch = self.feed.read(self.cursor).await?;
        let picked = stretch.pick(TAKEN_AT_ONCE, |event| self.filter.asks_for(event));
        self.cursor = picked.end;
        let names = self.names.now();
        self.waiting
            .extend((picked.events.iter()).map(|event| ChangeView::of(event, &names)));
        Ok(picked.has_more || !self.waiting.is_empty())
    }
}

/// Reads a cursor as an argument.
pub(in crate::services) fn read_cursor(field: &str, cursor: &str) -> Result<Cursor, Error> {
    cursor
        .parse()
        .map_err(|error: crate::domain::feed::CursorError| Error::bad_request(field, error.to_string()))
}

/// Reads kinds by their names.
pub(super) fn read_kinds<'a>(
    field: &str,
    kinds: impl Iterator<Item = &'a str>,
) -> Result<BTreeSet<EventKind>, Error> {
    let read = |name: &str| {
        let known = EventKind::ALL.map(EventKind::name).join(", ");
        let wrong = || {
            Error::bad_request(
                field,
                format!("`{name}` is no kind of change; there are: {known}"),
            )
        };
        EventKind::named(name).ok_or_else(wrong)
    };
    kinds.map(read).collect()
}
