//! What was stored is looked through by windows of time: wider ones while they hold little, narrower
//! ones where they hold much.

use std::ops::Range;

use ulid::Ulid;

use crate::store::rejects::StoredReject;
use crate::store::{Store, StoreError};

/// How much time the first window spans, in milliseconds.
const FIRST_MS: u64 = 60_000;

/// Blocks, and refused rows, of one window, unless whoever looks through it wants fewer.
pub(super) const BLOCKS_MAX: usize = 256;
pub(super) const REJECTS_MAX: usize = 2_048;

/// How wide the next window is.
pub(super) struct Width {
    /// In milliseconds.
    span: u64,
    /// How much a window may hold; one of a single millisecond may hold more.
    most: usize,
}

/// So far the clocks of servers may be ahead of this one, in milliseconds.
const AHEAD_MS: u64 = 10 * 60_000;

/// A moment that nothing was stored at yet, by the clock of any server.
pub(super) fn end() -> u64 {
    Ulid::new().timestamp_ms() + AHEAD_MS
}

impl Width {
    /// The width of the first of windows that hold so much at the most.
    pub const fn new(most: usize) -> Self {
        Self { span: FIRST_MS, most }
    }

    /// The window that ends before a moment; none at the beginning of time.
    pub fn before(&self, to: u64) -> Option<Range<u64>> {
        (to > 0).then(|| to.saturating_sub(self.span)..to)
    }

    /// The window that begins at a moment, and ends before another; none when it has come.
    pub fn after(&self, from: u64, until: u64) -> Option<Range<u64>> {
        (from < until).then(|| from..from.saturating_add(self.span).min(until))
    }

    /// The blocks of raw rows in a window of this width. None where they are too many: try again
    /// with the width that the next one has now.
    pub async fn blocks(
        &mut self,
        store: &Store,
        window: &Range<u64>,
    ) -> Result<Option<Vec<Ulid>>, StoreError> {
        let found = store
            .raw_blocks_between(window.start, window.end, self.bound())
            .await?;
        self.adapt(found.as_ref().map(Vec::len));
        Ok(found)
    }

    /// The refused rows in a window of this width, each with its batch; none as with
    /// [`blocks`](Self::blocks).
    pub async fn rejects(
        &mut self,
        store: &Store,
        window: &Range<u64>,
    ) -> Result<Option<Vec<(Ulid, StoredReject)>>, StoreError> {
        let found = store
            .rejects_between(window.start, window.end, self.bound())
            .await?;
        self.adapt(found.as_ref().map(Vec::len));
        Ok(found)
    }

    /// How much is read of a window: of a millisecond all there is, for nothing is narrower.
    const fn bound(&self) -> usize {
        if self.span == 1 {
            u32::MAX as usize
        } else {
            self.most
        }
    }

    /// Makes of what a window held, none if too much, the width of the next one.
    const fn adapt(&mut self, held: Option<usize>) {
        match held {
            None if self.span > 1 => self.span /= 2,
            Some(held) if held <= self.most / 4 => self.span = self.span.saturating_mul(4),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_within_the_time_that_is_looked_through() {
        let width = Width::new(100);
        assert_eq!(width.before(100_000), Some(40_000..100_000));
        assert_eq!(width.before(1_000), Some(0..1_000));
        assert_eq!(width.before(0), None);
        assert_eq!(width.after(100_000, 170_000), Some(100_000..160_000));
        assert_eq!(width.after(160_000, 170_000), Some(160_000..170_000));
        assert_eq!(width.after(170_000, 170_000), None);
    }

    #[test]
    fn windows_widen_where_there_is_little_and_narrow_where_there_is_much() {
        let mut width = Width::new(100);
        for (held, span) in [
            (Some(25), 240_000),
            (Some(26), 240_000),
            (Some(0), 960_000),
            (None, 480_000),
            (None, 240_000),
        ] {
            width.adapt(held);
            assert_eq!(width.after(0, u64::MAX), Some(0..span), "{held:?}");
        }
    }

    #[test]
    fn the_narrowest_window_takes_all_there_is() {
        let mut width = Width::new(100);
        assert_eq!(width.bound(), 100);
        for _ in 0..100 {
            width.adapt(None);
        }
        assert_eq!(width.before(5), Some(4..5));
        assert_eq!(width.bound(), u32::MAX as usize);
    }
}
