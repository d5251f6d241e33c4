//! What this process has taken over of the feed, block by block: its own commits at once, those
//! of other servers when their blocks are read. The two meet in no order; the ledger says what of
//! each is still news, so that the state of the latest block stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::change::Transition;
use crate::domain::cohort::CohortSlug;
use crate::domain::feed::{Block, Happening};
use crate::domain::profile::ProfileId;

/// How far the feed was followed, and what is known of blocks behind that.
#[derive(Debug, Default)]
pub struct Ledger {
    /// All blocks up to this one were taken over.
    followed: u64,
    /// This process's own blocks behind it, taken over when they were committed.
    own: BTreeSet<u64>,
    /// Who was last moved by one of these, by which, and whether they entered.
    moved: BTreeMap<(CohortSlug, ProfileId), (u64, bool)>,
}

/// What is to be taken over of blocks of others.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Who entered and left which cohort, in order.
    pub transitions: Vec<Transition>,
    /// Who has changed in any way.
    pub changed: BTreeSet<ProfileId>,
    /// Who was erased, and so is in no cohort.
    pub deleted: BTreeSet<ProfileId>,
}

impl Ledger {
    /// Begins behind a block.
    pub const fn new(followed: u64) -> Self {
        Self {
            followed,
            own: BTreeSet::new(),
            moved: BTreeMap::new(),
        }
    }

    /// All blocks up to this one were taken over.
    pub const fn followed(&self) -> u64 {
        self.followed
    }

    /// Notes a block that this process has committed. Whether it is news: it is not where it was
    /// read meanwhile, like one of others.
    pub fn own(&mut self, number: u64, transitions: &[Transition]) -> bool {
        if number <= self.followed {
            return false;
        }
        self.own.insert(number);
        for change in transitions {
            let moved = self
                .moved
                .entry((change.cohort.clone(), change.profile))
                .or_insert((number, change.entered));
            if moved.0 <= number {
                *moved = (number, change.entered);
            }
        }
        self.pass();
        true
    }

    /// Takes over a block that was read: the one that follows, or one of before, which is no news.
    pub fn read(&mut self, block: &Block, news: &mut News) {
        if block.number <= self.followed {
            return;
        }
        let is_own = self.own.contains(&block.number);
        for happening in block.happenings.iter().filter(|_| !is_own) {
            self.take_over(block.number, happening, news);
        }
        self.own.insert(block.number);
        self.pass();
    }

    fn take_over(&self, number: u64, happening: &Happening, news: &mut News) {
        news.changed.insert(happening.profile());
        news.changed.extend(happening.other());
        match happening {
            Happening::Moved {
                cohort,
                profile,
                entered,
                why,
            } => {
                let later = self.moved.get(&(cohort.clone(), *profile));
                if later.is_none_or(|(later, _)| *later < number) {
                    news.transitions.push(Transition {
                        cohort: cohort.clone(),
                        profile: *profile,
                        entered: *entered,
                        why: why.clone(),
                    });
                }
            }
            Happening::Deleted { profile } => {
                news.deleted.insert(*profile);
            }
            Happening::Changed { .. } | Happening::Merged { .. } => {}
        }
    }

    /// Goes on over blocks that are known.
    fn pass(&mut self) {
        while self.own.remove(&(self.followed + 1)) {
            self.followed += 1;
        }
        let followed = self.followed;
        self.moved.retain(|_, (number, _)| *number > followed);
    }

    /// Begins anew behind a block up to which everything was read from elsewhere; who was moved by
    /// own blocks behind it, in the end.
    pub fn begin_anew(&mut self, followed: u64) -> Vec<Transition> {
        self.followed = followed;
        self.own.retain(|number| *number > followed);
        self.pass();
        let moved = self.moved.iter();
        moved
            .map(|((cohort, profile), (_, entered))| Transition {
                cohort: cohort.clone(),
                profile: *profile,
                entered: *entered,
                why: None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn moved(profile: u32, entered: bool) -> Transition {
        Transition {
            cohort: CohortSlug::of("sports"),
            profile: ProfileId(profile),
            entered,
            why: None,
        }
    }

    fn block(number: u64, transitions: &[Transition]) -> Block {
        let happening = |change: &Transition| Happening::Moved {
            cohort: change.cohort.clone(),
            profile: change.profile,
            entered: change.entered,
            why: None,
        };
        Block {
            number,
            at: DateTime::UNIX_EPOCH,
            happenings: transitions.iter().map(happening).collect(),
        }
    }

    fn apply(members: &mut BTreeSet<ProfileId>, transitions: &[Transition]) {
        for change in transitions {
            if change.entered {
                members.insert(change.profile);
            } else {
                members.remove(&change.profile);
            }
        }
    }

    #[test]
    fn what_another_server_did_before_undoes_nothing_of_one_s_own() {
        let (mut ledger, mut members) = (Ledger::new(0), BTreeSet::new());
        assert!(ledger.own(2, &[moved(1, true)]));
        apply(&mut members, &[moved(1, true)]);
        let mut news = News::default();
        ledger.read(&block(1, &[moved(1, false), moved(2, true)]), &mut news);
        assert_eq!(news.transitions, [moved(2, true)]);
        assert_eq!(ledger.followed(), 2);
        // A block that was read before its own commit was told is no news any more.
        ledger.read(&block(3, &[moved(1, false)]), &mut news);
        assert!(!ledger.own(3, &[moved(1, false)]));
    }

    #[test]
    fn whoever_was_erased_is_told_even_where_the_block_was_written_anew() {
        let mut ledger = Ledger::new(0);
        let deleted = Happening::Deleted {
            profile: ProfileId(7),
        };
        let block = Block {
            number: 1,
            at: DateTime::UNIX_EPOCH,
            happenings: vec![deleted.clone(), deleted],
        };
        let mut news = News::default();
        ledger.read(&block, &mut news);
        assert_eq!(news.deleted, BTreeSet::from([ProfileId(7)]));
        assert_eq!(news.changed, news.deleted);
    }

    /// One block of the feed: whether it is one's own, and who is moved.
    type Blocks = Vec<(bool, Vec<(u32, bool)>)>;

    fn blocks() -> impl Strategy<Value = Blocks> {
        let one = prop::collection::vec((0_u32..4, any::<bool>()), 1..4);
        prop::collection::vec((any::<bool>(), one), 1..30)
    }

    proptest! {
        /// However reading and one's own commits take turns, the end is that of the feed in order.
        #[test]
        fn the_end_is_that_of_the_feed_in_order(
            blocks in blocks(),
            turns in prop::collection::vec(any::<bool>(), 0..90),
            anew_at in prop::option::of(0_usize..20),
        ) {
            let feed: Vec<Block> = (1..)
                .zip(&blocks)
                .map(|(number, (_, moves))| {
                    let moves: Vec<Transition> = moves.iter().map(|(who, entered)| moved(*who, *entered)).collect();
                    block(number, &moves)
                })
                .collect();
            let told: Vec<(u64, Vec<Transition>)> = (1..)
                .zip(&blocks)
                .filter(|(_, (is_own, _))| *is_own)
                .map(|(number, (_, moves))| {
                    (number, moves.iter().map(|(who, entered)| moved(*who, *entered)).collect())
                })
                .collect();
            let (mut ledger, mut members) = (Ledger::new(0), BTreeSet::new());
            let (mut told, mut turns) = (told.into_iter().peekable(), turns.into_iter());
            // What is durable: up to whichever block was last told or read.
            for turn in 0.. {
                let goes_on = ledger.followed() < feed.len() as u64 || told.peek().is_some();
                if !goes_on { break }
                if Some(turn) == anew_at {
                    // As after it fell behind: all members as of some later block, read from the store.
                    let newest = ledger.followed().max(told.peek().map_or(feed.len() as u64, |(number, _)| number - 1));
                    members = BTreeSet::new();
                    for block in feed.iter().take(usize::try_from(newest).unwrap()) {
                        let mut all = News::default();
                        Ledger::new(block.number - 1).read(block, &mut all);
                        apply(&mut members, &all.transitions);
                    }
                    apply(&mut members, &ledger.begin_anew(newest));
                    continue;
                }
                let tells = turns.next().unwrap_or(true);
                if tells && let Some((number, transitions)) = told.next() {
                    if ledger.own(number, &transitions) {
                        apply(&mut members, &transitions);
                    }
                } else if let Some(block) = feed.get(usize::try_from(ledger.followed()).unwrap()) {
                    let mut news = News::default();
                    ledger.read(block, &mut news);
                    apply(&mut members, &news.transitions);
                }
            }
            let mut expected = BTreeSet::new();
            for (_, moves) in &blocks {
                let moves: Vec<Transition> = moves.iter().map(|(who, entered)| moved(*who, *entered)).collect();
                apply(&mut expected, &moves);
            }
            prop_assert_eq!(members, expected);
            prop_assert!(ledger.own.is_empty() && ledger.moved.is_empty());
        }
    }
}
