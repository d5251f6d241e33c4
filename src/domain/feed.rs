//! The feed of changes: what each commit did to people, in the order of commits, for whoever
//! follows the platform from outside. An [`Event`] has an address, its [`Cursor`], behind which a
//! follower goes on.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::Timestamp;
use super::change::Transition;
use super::cohort::{CohortSlug, Reason};
use super::graph::Plan;
use super::profile::ProfileId;

/// A place in the feed: behind an event, or behind all of a block. Opaque to whoever is given
/// one; written `block-place`, or `block` alone for behind all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The block's number, from 1.
    pub block: u64,
    /// The event's place in it, from 0; [`Cursor::ALL`] for behind all of them.
    pub place: u32,
}

impl Cursor {
    /// Behind every event of a block.
    pub const ALL: u32 = u32::MAX;

    /// Before the first event ever.
    pub const START: Self = Self::behind(0);

    /// Behind all of a block.
    #[must_use]
    pub const fn behind(block: u64) -> Self {
        Self {
            block,
            place: Self::ALL,
        }
    }

    /// The block in which what follows begins.
    #[must_use]
    pub const fn next_block(self) -> u64 {
        if self.place == Self::ALL {
            self.block.saturating_add(1)
        } else {
            self.block
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Self::ALL => write!(f, "{}", self.block),
            place => write!(f, "{}-{place}", self.block),
        }
    }
}

/// A text that is no place in the feed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cursor of the feed")]
pub struct CursorError(String);

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let wrong = || CursorError(text.chars().take(40).collect());
        let number = |digits: &str| digits.parse::<u64>().ok().filter(|_| is_digits(digits));
        let (block, place) = match text.split_once('-') {
            Some((block, place)) => {
                let place = number(place).and_then(|place| u32::try_from(place).ok());
                (block, place.ok_or_else(wrong)?)
            }
            None => (text, Self::ALL),
        };
        let block = number(block)
            // Numbers that the store can hold.
            .filter(|block| i64::try_from(*block).is_ok_and(|block| block < i64::MAX))
            .ok_or_else(wrong)?;
        Ok(Self { block, place })
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What kind of change an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// Somebody came to be, or changed.
    ProfileChanged,
    /// Somebody was found to be somebody else.
    ProfileMerged,
    /// Somebody entered a cohort.
    CohortEntered,
    /// Somebody left a cohort.
    CohortLeft,
    /// Somebody was erased.
    ProfileDeleted,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::ProfileChanged,
        Self::ProfileMerged,
        Self::CohortEntered,
        Self::CohortLeft,
        Self::ProfileDeleted,
    ];

    /// The word that programs match on.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProfileChanged => "profile.changed",
            Self::ProfileMerged => "profile.merged",
            Self::CohortEntered => "cohort.entered",
            Self::CohortLeft => "cohort.left",
            Self::ProfileDeleted => "profile.deleted",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happened to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// They came to be, or changed.
    Changed {
        /// Who.
        profile: ProfileId,
        /// Their revision from then on.
        rev: u32,
        /// Whether they came to be.
        is_new: bool,
    },
    /// Their id leads to somebody else from then on.
    Merged {
        /// Whose id.
        absorbed: ProfileId,
        /// Where it leads.
        survivor: ProfileId,
    },
    /// They entered or left a cohort.
    Moved {
        /// Which.
        cohort: CohortSlug,
        /// Who.
        profile: ProfileId,
        /// Whether they entered, else left.
        entered: bool,
        /// What says so, or of somebody who left, what had said so.
        why: Option<Reason>,
    },
    /// They were erased: whoever was told of them forgets them.
    Deleted {
        /// Who.
        profile: ProfileId,
    },
}

impl Happening {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Changed { .. } => EventKind::ProfileChanged,
            Self::Merged { .. } => EventKind::ProfileMerged,
            Self::Moved { entered: true, .. } => EventKind::CohortEntered,
            Self::Moved { entered: false, .. } => EventKind::CohortLeft,
            Self::Deleted { .. } => EventKind::ProfileDeleted,
        }
    }

    /// To whom it happened.
    #[must_use]
    pub const fn profile(&self) -> ProfileId {
        match self {
            Self::Changed { profile, .. } | Self::Moved { profile, .. } | Self::Deleted { profile } => {
                *profile
            }
            Self::Merged { absorbed, .. } => *absorbed,
        }
    }

    /// The other person whom it concerns: whose events must keep their order with it, too.
    #[must_use]
    pub const fn other(&self) -> Option<ProfileId> {
        match self {
            Self::Merged { survivor, .. } => Some(*survivor),
            Self::Changed { .. } | Self::Moved { .. } | Self::Deleted { .. } => None,
        }
    }

    /// What is left of it once these were erased: that they were, in its place, so that the
    /// places of others stay. None where it tells of nobody among them.
    #[must_use]
    pub fn without(&self, erased: &BTreeSet<ProfileId>) -> Option<Self> {
        let other = self.other().is_some_and(|other| erased.contains(&other));
        let deleted = Self::Deleted {
            profile: self.profile(),
        };
        ((other || erased.contains(&self.profile())) && *self != deleted).then_some(deleted)
    }

    /// The cohort that it is about, if it is about one.
    #[must_use]
    pub const fn cohort(&self) -> Option<&CohortSlug> {
        match self {
            Self::Moved { cohort, .. } => Some(cohort),
            Self::Changed { .. } | Self::Merged { .. } | Self::Deleted { .. } => None,
        }
    }
}

/// Something that happened, with its place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place: give it to go on behind it.
    pub cursor: Cursor,
    /// When, by the clock of arrival.
    pub at: Timestamp,
    /// What.
    pub happening: Happening,
}

/// Which events somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of these kinds.
    pub kinds: BTreeSet<EventKind>,
    /// Of these cohorts, where an event is about one; none for all.
    pub cohorts: BTreeSet<CohortSlug>,
}

impl Filter {
    /// Whether an event is asked for.
    #[must_use]
    pub fn asks_for(&self, event: &Event) -> bool {
        let happening = &event.happening;
        let is_of_cohort = |cohort| self.cohorts.is_empty() || self.cohorts.contains(cohort);
        self.kinds.contains(&happening.kind()) && happening.cohort().is_none_or(is_of_cohort)
    }
}

/// What one commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its number; the first one is 1, and none is left out.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What, in order.
    pub happenings: Vec<Happening>,
}

impl Block {
    /// Its events behind a place in the feed.
    pub fn events_after(&self, after: Cursor) -> impl Iterator<Item = Event> {
        let passed = if after.block < self.number {
            0
        } else if after.block > self.number || after.place == Cursor::ALL {
            self.happenings.len()
        } else {
            after.place as usize + 1
        };
        let places = (0_u32..).zip(&self.happenings).skip(passed);
        places.map(|(place, happening)| Event {
            cursor: Cursor {
                block: self.number,
                place,
            },
            at: self.at,
            happening: happening.clone(),
        })
    }
}

/// What a commit does to people: who changes, who becomes somebody else, who enters and leaves.
#[must_use]
pub fn happenings(plan: &Plan, transitions: &[Transition]) -> Vec<Happening> {
    let changed = plan.profiles.iter().map(|(id, write)| Happening::Changed {
        profile: *id,
        rev: write.record.rev,
        is_new: write.new,
    });
    let absorbed = plan.merges.iter().map(|merge| (merge.absorbed, merge.survivor));
    // Ids that were absorbed before, and lead elsewhere from now on.
    let led_elsewhere = plan.redirects.iter().map(|redirect| (redirect.id, redirect.to));
    let merged = absorbed
        .chain(led_elsewhere)
        .map(|(absorbed, survivor)| Happening::Merged { absorbed, survivor });
    let moved = transitions.iter().map(|change| Happening::Moved {
        cohort: change.cohort.clone(),
        profile: change.profile,
        entered: change.entered,
        why: change.why.clone(),
    });
    changed.chain(merged).chain(moved).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_reads() {
        for cursor in [
            Cursor::START,
            Cursor::behind(7),
            Cursor { block: 7, place: 0 },
            Cursor {
                block: u64::from(u32::MAX),
                place: 1_999,
            },
        ] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in [
            "",
            "-",
            "1-",
            "-1",
            "1--1",
            "+1",
            "1-+1",
            "a",
            "1-2-3",
            "1 ",
            "١",
            "1-99999999999",
            "9223372036854775807",
            "18446744073709551616",
        ] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_cursor_stands_behind_its_event_and_before_the_next() {
        let event = Cursor { block: 3, place: 9 };
        assert!(Cursor::behind(2) < event && event < Cursor::behind(3));
        assert_eq!((event.next_block(), Cursor::behind(3).next_block()), (3, 4));
    }

    #[test]
    fn a_kind_reads_back_by_its_name() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::named(kind.name()), Some(kind));
        }
        assert_eq!(EventKind::named("profile_changed"), None);
    }

    #[test]
    fn only_events_of_these_kinds_and_cohorts_are_asked_for() {
        use EventKind::{CohortEntered, ProfileChanged};
        let event = |happening| Event {
            cursor: Cursor::START,
            at: DateTime::UNIX_EPOCH,
            happening,
        };
        let entered = |cohort| {
            event(Happening::Moved {
                cohort: CohortSlug::of(cohort),
                profile: ProfileId(1),
                entered: true,
                why: None,
            })
        };
        let changed = event(Happening::Changed {
            profile: ProfileId(1),
            rev: 1,
            is_new: true,
        });
        let filter = |kinds: &[EventKind], cohorts: &[&str]| Filter {
            kinds: kinds.iter().copied().collect(),
            cohorts: cohorts.iter().map(|name| CohortSlug::of(name)).collect(),
        };
        let both = filter(&[CohortEntered, ProfileChanged], &["Sports"]);
        assert!(both.asks_for(&entered("sports")) && !both.asks_for(&entered("music")));
        assert!(both.asks_for(&changed), "it is about no cohort");
        let all_cohorts = filter(&[CohortEntered], &[]);
        assert!(all_cohorts.asks_for(&entered("music")) && !all_cohorts.asks_for(&changed));
    }

    fn blocks(sizes: &[usize]) -> Vec<Block> {
        let happening = |profile| Happening::Changed {
            profile: ProfileId(profile),
            rev: 1,
            is_new: true,
        };
        let mut next = 0..;
        (1..)
            .zip(sizes)
            .map(|(number, size)| Block {
                number,
                at: DateTime::UNIX_EPOCH,
                happenings: next.by_ref().take(*size).map(happening).collect(),
            })
            .collect()
    }

    proptest! {
        #[test]
        fn reading_on_behind_each_page_meets_each_event_once(
            sizes in prop::collection::vec(1_usize..6, 0..12),
            pages in prop::collection::vec(1_usize..9, 1..8),
        ) {
            let blocks = blocks(&sizes);
            let all: Vec<Event> = blocks.iter().flat_map(|block| block.events_after(Cursor::START)).collect();
            let (mut met, mut after) = (Vec::new(), Cursor::START);
            for size in pages.iter().cycle() {
                // As a client sends it back.
                after = after.to_string().parse().unwrap();
                let page: Vec<Event> = blocks.iter().flat_map(|block| block.events_after(after)).take(*size).collect();
                let Some(last) = page.last() else { break };
                after = last.cursor;
                met.extend(page);
            }
            prop_assert_eq!(met, all);
        }
    }
}
