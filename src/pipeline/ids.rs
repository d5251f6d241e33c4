//! Profile ids that this process has reserved and not yet used.

use std::collections::VecDeque;
use std::ops::Range;

use crate::domain::profile::ProfileId;
use crate::store::{Store, StoreError};

/// How many profile ids are reserved at once; what is left at the end of the process is
/// never used.
const IDS_RESERVED: u32 = 1_000;

/// The ids.
#[derive(Default)]
pub struct IdPool {
    free: VecDeque<Range<u32>>,
}

impl IdPool {
    /// Sees to it that `count` ids can be taken.
    pub async fn reserve(&mut self, store: &Store, count: usize) -> Result<(), StoreError> {
        let free: usize = self.free.iter().map(ExactSizeIterator::len).sum();
        if free < count {
            let missing = u32::try_from(count - free).unwrap_or(u32::MAX).max(IDS_RESERVED);
            let first = store.reserve_profile_ids(missing).await?.0;
            self.free.push_back(first..first + missing);
        }
        Ok(())
    }

    /// The next id. What was not reserved is never handed out, so this asks for no more than
    /// [`IdPool::reserve`] was told.
    pub fn take(&mut self) -> ProfileId {
        while let Some(range) = self.free.front_mut() {
            if let Some(id) = range.next() {
                return ProfileId(id);
            }
            self.free.pop_front();
        }
        unreachable!("more ids were taken than were reserved")
    }
}
