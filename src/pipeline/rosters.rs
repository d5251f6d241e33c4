//! Who is in which cohort, in memory: for each cohort a compressed bitmap of profile
//! ordinals, loaded from the store and following each commit; those of other servers by the feed
//! ([`super::following`]).
//!
//! The store's key ranges are the truth. But the engine reads a range from its start
//! however small the page is, while the n-th member of a bitmap is one step away: any page
//! costs what the first does, and sizes are free.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use roaring::RoaringBitmap;

use crate::domain::change::Transition;
use crate::domain::cohort::{CohortSlug, Definition};
use crate::domain::profile::ProfileId;
use crate::store::{Store, StoreError};

/// Whoever is in each cohort.
pub(super) type Members = BTreeMap<CohortSlug, RoaringBitmap>;

/// The members of every cohort.
#[derive(Default)]
pub struct Rosters {
    // Held for a page's worth of steps and never over I/O, so a plain lock serves.
    members: RwLock<Members>,
}

/// Cohorts put together: who is in all of some, in any of others, and in none of the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Combination {
    /// In each of these.
    pub all: Vec<CohortSlug>,
    /// In at least one of these, if there is any.
    pub any: Vec<CohortSlug>,
    /// In none of these.
    pub none: Vec<CohortSlug>,
}

/// A stretch of a cohort's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterPage {
    /// How many members there are.
    pub total: u64,
    /// How many stand before this page.
    pub offset: u64,
    /// The members of the page, in the order of their ids.
    pub members: Vec<ProfileId>,
}

impl Rosters {
    pub(super) async fn load(store: &Store, cohorts: &[Definition]) -> Result<Self, StoreError> {
        let rosters = Self {
            members: RwLock::new(Self::read_all(store, cohorts).await?),
        };
        for cohort in cohorts {
            rosters.publish_size(cohort.slug());
        }
        Ok(rosters)
    }

    /// The members of cohorts as they are stored.
    pub(super) async fn read_all(store: &Store, cohorts: &[Definition]) -> Result<Members, StoreError> {
        let mut members = BTreeMap::new();
        for cohort in cohorts {
            let ids = store.members(cohort.slug()).await?;
            let bitmap: RoaringBitmap = ids.into_iter().map(|id| id.0).collect();
            members.insert(cohort.slug().clone(), bitmap);
        }
        Ok(members)
    }

    /// Takes over what was read.
    pub(super) fn replace(&self, members: Members) {
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
    }

    /// Takes people out of every cohort.
    pub(super) fn drop_people(&self, people: &BTreeSet<ProfileId>) {
        if people.is_empty() {
            return;
        }
        let gone: RoaringBitmap = people.iter().map(|id| id.0).collect();
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        for roster in members.values_mut() {
            *roster -= &gone;
        }
    }

    /// Tells the metrics how many members a cohort has, as `cdp_cohort_members`.
    pub(super) fn publish_size(&self, cohort: &CohortSlug) {
        let labels = [("cohort", cohort.to_string())];
        metrics::gauge!("cdp_cohort_members", &labels).set(self.size(cohort) as f64);
    }

    /// Takes over what a commit changed.
    pub fn follow(&self, transitions: &[Transition]) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        for change in transitions {
            let roster = members.entry(change.cohort.clone()).or_default();
            if change.entered {
                roster.insert(change.profile.0);
            } else {
                roster.remove(change.profile.0);
            }
        }
    }

    /// How many members a cohort has.
    #[must_use]
    pub fn size(&self, cohort: &CohortSlug) -> u64 {
        self.read(cohort, RoaringBitmap::len)
    }

    /// The members from the `offset`-th on, at most `limit`.
    #[must_use]
    pub fn page(&self, cohort: &CohortSlug, offset: u64, limit: u32) -> RosterPage {
        self.read(cohort, |roster| page(roster, offset, limit))
    }

    /// The members behind a profile, at most `limit`; the profile itself may have left.
    #[must_use]
    pub fn page_after(&self, cohort: &CohortSlug, after: ProfileId, limit: u32) -> RosterPage {
        self.read(cohort, |roster| page(roster, roster.rank(after.0), limit))
    }

    /// A page of those who are in a combination. Costs what the bitmaps cost, whoever is in them.
    /// One of exclusions alone has nobody: everybody is no cohort.
    #[must_use]
    pub fn combined(&self, of: &Combination, offset: u64, limit: u32) -> RosterPage {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let roster = |slug: &CohortSlug| members.get(slug).cloned().unwrap_or_default();
        let any =
            (!of.any.is_empty()).then(|| of.any.iter().map(roster).fold(RoaringBitmap::new(), |a, b| a | b));
        let inside = of.all.iter().map(roster).chain(any).reduce(|a, b| a & b);
        let outside = of.none.iter().map(roster);
        page(
            &outside.fold(inside.unwrap_or_default(), |a, b| a - b),
            offset,
            limit,
        )
    }

    /// How many people two cohorts share.
    #[must_use]
    pub fn shared(&self, one: &CohortSlug, other: &CohortSlug) -> u64 {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        match (members.get(one), members.get(other)) {
            (Some(one), Some(other)) => one.intersection_len(other),
            _ => 0,
        }
    }

    fn read<T>(&self, cohort: &CohortSlug, read: impl FnOnce(&RoaringBitmap) -> T) -> T {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        match members.get(cohort) {
            Some(roster) => read(roster),
            None => read(&RoaringBitmap::new()),
        }
    }
}

fn page(roster: &RoaringBitmap, offset: u64, limit: u32) -> RosterPage {
    let first = u32::try_from(offset)
        .ok()
        .and_then(|offset| roster.select(offset));
    let mut members = Vec::new();
    if let Some(first) = first {
        let mut from = roster.iter();
        from.advance_to(first);
        members.extend(from.take(limit as usize).map(ProfileId));
    }
    RosterPage {
        total: roster.len(),
        offset,
        members,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rosters(members: &[u32]) -> (Rosters, CohortSlug) {
        let cohort = CohortSlug::of("sports");
        let rosters = Rosters::default();
        let entered = |id: &u32| Transition {
            cohort: cohort.clone(),
            profile: ProfileId(*id),
            entered: true,
            why: None,
        };
        rosters.follow(&members.iter().map(entered).collect::<Vec<_>>());
        (rosters, cohort)
    }

    #[test]
    fn who_left_is_not_on_the_page() {
        let (rosters, cohort) = rosters(&[3, 5, 9]);
        rosters.follow(&[Transition {
            cohort: cohort.clone(),
            profile: ProfileId(5),
            entered: false,
            why: None,
        }]);
        let page = rosters.page(&cohort, 0, 10);
        assert_eq!((page.total, page.members), (2, vec![ProfileId(3), ProfileId(9)]));
        assert_eq!(
            rosters.page_after(&cohort, ProfileId(5), 10).members,
            [ProfileId(9)]
        );
    }

    #[test]
    fn an_unknown_cohort_has_no_members() {
        let (rosters, _) = rosters(&[1]);
        assert_eq!(rosters.size(&CohortSlug::of("nobody")), 0);
        assert_eq!(rosters.page(&CohortSlug::of("nobody"), u64::MAX, 5).members, []);
    }

    proptest! {
        #[test]
        fn walking_page_by_page_meets_everyone_once(
            members in prop::collection::btree_set(0_u32..200_000, 0..300),
            limit in 1_u32..40,
        ) {
            let all: Vec<u32> = members.into_iter().collect();
            let (rosters, cohort) = rosters(&all);
            let (mut by_offset, mut by_cursor) = (Vec::new(), Vec::new());
            let mut page = rosters.page(&cohort, 0, limit);
            while let Some(last) = page.members.last().copied() {
                by_cursor.extend(page.members.iter().map(|id| id.0));
                by_offset.extend(rosters.page(&cohort, page.offset, limit).members.iter().map(|id| id.0));
                page = rosters.page_after(&cohort, last, limit);
            }
            prop_assert_eq!(&by_cursor, &all);
            prop_assert_eq!(&by_offset, &all);
        }
    }
}
