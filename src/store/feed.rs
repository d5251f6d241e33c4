//! The feed of changes: a block with each commit that did something to people, in its
//! transaction, numbered without a gap. One record a commit and not one an event, so that a
//! thousand rows cost one write.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use surrealdb::types::{Bytes, RecordId, RecordIdKey, SurrealValue};
use tokio::sync::Mutex;

use super::transaction::bind;
use super::{Store, StoreError};
use crate::domain::Timestamp;
use crate::domain::cohort::{CohortSlug, Reason};
use crate::domain::feed::{Block, Happening};
use crate::domain::profile::ProfileId;

/// zstd's level: 1 is its fastest, and a block is written within a commit.
const COMPRESSION_LEVEL: i32 = 1;

/// Blocks that are looked at, and dropped, at once.
const DROPPED_AT_ONCE: u64 = 200;

/// What a commit adds for its block.
pub(super) const ADD_BLOCK: &str = "INSERT INTO feed $feed RETURN NONE;
    UPDATE counter:feed SET value = $feed_number RETURN NONE;";

/// Tells other servers that what they have in memory of the feed was changed.
const COUNT_REWRITTEN: &str = "UPDATE counter:feed_rewritten SET value += 1 RETURN NONE";

const DROP_BLOCKS: &str = "BEGIN;
    UPDATE counter:feed_begin SET value = $to WHERE value = $from RETURN NONE;
    DELETE type::record('feed', $from..$to) RETURN NONE;
    COMMIT;";

/// Which number this process gives to its next block.
#[derive(Default)]
pub(super) struct Numbers {
    /// The next one, where it is known: nobody else can have taken it, or is told so by the store.
    /// Held over a commit, so that blocks get their numbers in the order of commits.
    pub(super) next: Mutex<Option<u64>>,
    /// The newest block that this process knows to be durable.
    newest: AtomicU64,
}

impl Numbers {
    pub(super) fn note(&self, number: u64) {
        self.newest.fetch_max(number, Ordering::AcqRel);
    }
}

/// The blocks that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The oldest that is still there; one more than the newest where there is none.
    pub begin: u64,
    /// The newest; 0 before the first.
    pub newest: u64,
}

/// One happening: JSON with a word of one letter, so that a thousand of them stay small.
#[derive(Serialize, Deserialize)]
enum HappeningDoc {
    /// Profile, revision, whether it is new.
    #[serde(rename = "c")]
    Changed(u32, u32, bool),
    /// Who was absorbed, and by whom.
    #[serde(rename = "m")]
    Merged(u32, u32),
    /// Cohort, profile, why.
    #[serde(rename = "e")]
    Entered(String, u32, ReasonDoc),
    /// The same.
    #[serde(rename = "l")]
    Left(String, u32, ReasonDoc),
    /// Who was erased.
    #[serde(rename = "d")]
    Deleted(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ReasonDoc {
    Interests(Vec<String>),
    /// The version of the rule.
    Rule(u32),
    Unknown(()),
}

impl From<Option<&Reason>> for ReasonDoc {
    fn from(why: Option<&Reason>) -> Self {
        match why {
            Some(Reason::Interests(interests)) => Self::Interests(interests.clone()),
            Some(Reason::Rule { version }) => Self::Rule(*version),
            None => Self::Unknown(()),
        }
    }
}

impl From<ReasonDoc> for Option<Reason> {
    fn from(doc: ReasonDoc) -> Self {
        match doc {
            ReasonDoc::Interests(interests) => Some(Reason::Interests(interests)),
            ReasonDoc::Rule(version) => Some(Reason::Rule { version }),
            ReasonDoc::Unknown(()) => None,
        }
    }
}

/// A block on its way into the store.
#[derive(SurrealValue)]
pub(super) struct FeedRow {
    id: RecordId,
    at: Timestamp,
    happenings: Bytes,
}

impl FeedRow {
    /// A block that has no number yet.
    pub(super) fn new(at: Timestamp, happenings: &[Happening]) -> Result<Self, StoreError> {
        let corrupt = |error: &dyn std::error::Error| {
            StoreError::Corrupt(format!("a block of the feed can't be packed: {error}"))
        };
        let docs: Vec<HappeningDoc> = happenings.iter().map(HappeningDoc::from).collect();
        let text = serde_json::to_vec(&docs).map_err(|error| corrupt(&error))?;
        let packed = zstd::encode_all(text.as_slice(), COMPRESSION_LEVEL).map_err(|error| corrupt(&error))?;
        Ok(Self {
            id: block_id(0),
            at,
            happenings: packed.into(),
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.happenings.len()
    }

    pub(super) fn numbered(&self, number: u64) -> Self {
        Self {
            id: block_id(number),
            at: self.at,
            happenings: self.happenings.clone(),
        }
    }

    fn into_domain(self) -> Result<Block, StoreError> {
        let corrupt = |error: &dyn std::error::Error| {
            StoreError::Corrupt(format!("a block of the feed is torn: {error}"))
        };
        let text = zstd::decode_all(self.happenings.as_ref()).map_err(|error| corrupt(&error))?;
        let docs: Vec<HappeningDoc> = serde_json::from_slice(&text).map_err(|error| corrupt(&error))?;
        Ok(Block {
            number: number_of(&self.id)?,
            at: self.at,
            happenings: docs.into_iter().map(Happening::from).collect(),
        })
    }
}

impl Store {
    /// The newest block that this process knows to be durable.
    #[must_use]
    pub fn known_feed_end(&self) -> u64 {
        self.numbers.newest.load(Ordering::Acquire)
    }

    /// The blocks that there are, also those of other processes.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn feed_extent(&self) -> Result<Extent, StoreError> {
        let text = "SELECT VALUE value FROM [counter:feed_begin, counter:feed]";
        let found: Vec<u64> = self.select("read where the feed ends", text, bind([])).await?;
        let [begin, newest] = found[..] else {
            return Err(StoreError::Corrupt("the feed has no counter".to_owned()));
        };
        self.numbers.note(newest);
        Ok(Extent { begin, newest })
    }

    /// The blocks of these numbers, in order; those that are gone are left out.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn feed_blocks(&self, from: u64, to: u64) -> Result<Vec<Block>, StoreError> {
        let parameters = bind([("from", from.into_value()), ("to", to.into_value())]);
        let text = "SELECT * FROM type::record('feed', $from..$to)";
        let found: Vec<FeedRow> = self.select("read the feed", text, parameters).await?;
        found.into_iter().map(FeedRow::into_domain).collect()
    }

    /// Drops some of the oldest blocks if they are older than a moment, and never the newest.
    /// Whether there may be more of them.
    ///
    /// # Errors
    /// When the store fails, or holds what it should not.
    pub async fn drop_feed_before(&self, moment: Timestamp) -> Result<bool, StoreError> {
        let Extent { begin, newest } = self.feed_extent().await?;
        let end = newest.min(begin.saturating_add(DROPPED_AT_ONCE));
        let parameters = bind([("from", begin.into_value()), ("to", end.into_value())]);
        let text = "SELECT VALUE at FROM type::record('feed', $from..$to)";
        let ages: Vec<Timestamp> = self
            .select("looked for what is old in the feed", text, parameters)
            .await?;
        let old = ages.iter().take_while(|at| **at < moment).count() as u64;
        if old == 0 {
            return Ok(false);
        }
        let parameters = bind([("from", begin.into_value()), ("to", (begin + old).into_value())]);
        self.run_again("dropped what is old in the feed", DROP_BLOCKS, parameters)
            .await?;
        Ok(old == end - begin && end < newest)
    }

    /// Says of these people, in some blocks, no more than that they were erased; in how many events.
    /// The block that tells of that, by its moment, stays: it says which cohorts they left.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another search changed one of them meanwhile.
    pub async fn forget_in_feed(
        &self,
        from: u64,
        to: u64,
        erased: &BTreeSet<ProfileId>,
        erased_at: Timestamp,
    ) -> Result<u64, StoreError> {
        let parameters = bind([("from", from.into_value()), ("to", to.into_value())]);
        let text = "SELECT * FROM type::record('feed', $from..$to)";
        let found: Vec<FeedRow> = self
            .select("looked for somebody in the feed", text, parameters)
            .await?;
        let mut events = 0;
        for row in found.into_iter().filter(|row| row.at != erased_at) {
            let old = row.happenings.clone();
            let mut block = row.into_domain()?;
            let mut changed = 0;
            for happening in &mut block.happenings {
                if let Some(left) = happening.without(erased) {
                    *happening = left;
                    changed += 1;
                }
            }
            if changed > 0 {
                let new = FeedRow::new(block.at, &block.happenings)?.happenings;
                let fields = (block_id(block.number), "happenings");
                self.replace_bytes(fields, old, new).await?;
                events += changed;
            }
        }
        if events > 0 {
            self.run_again("counted a change of the feed", COUNT_REWRITTEN, bind([]))
                .await?;
        }
        Ok(events)
    }

    /// The number of the next block, by the store.
    pub(super) async fn next_feed_number(&self) -> Result<u64, StoreError> {
        Ok(self.feed_extent().await?.newest + 1)
    }
}

/// A happening as the log of deliveries holds it.
pub(super) fn write_happening(happening: &Happening) -> Result<String, StoreError> {
    serde_json::to_string(&HappeningDoc::from(happening))
        .map_err(|error| StoreError::Corrupt(format!("an event can't be written: {error}")))
}

pub(super) fn read_happening(text: &str) -> Result<Happening, StoreError> {
    let doc: HappeningDoc = serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("an event is torn: {error}")))?;
    Ok(doc.into())
}

fn block_id(number: u64) -> RecordId {
    RecordId::new("feed", i64::try_from(number).unwrap_or(i64::MAX))
}

fn number_of(id: &RecordId) -> Result<u64, StoreError> {
    match &id.key {
        RecordIdKey::Number(number) => u64::try_from(*number).ok(),
        _ => None,
    }
    .ok_or_else(|| StoreError::Corrupt("a block of the feed has no number".to_owned()))
}

impl From<&Happening> for HappeningDoc {
    fn from(happening: &Happening) -> Self {
        match happening {
            Happening::Changed { profile, rev, is_new } => Self::Changed(profile.0, *rev, *is_new),
            Happening::Merged { absorbed, survivor } => Self::Merged(absorbed.0, survivor.0),
            Happening::Deleted { profile } => Self::Deleted(profile.0),
            Happening::Moved {
                cohort,
                profile,
                entered,
                why,
            } => {
                let (cohort, why) = (cohort.as_str().to_owned(), why.as_ref().into());
                if *entered {
                    Self::Entered(cohort, profile.0, why)
                } else {
                    Self::Left(cohort, profile.0, why)
                }
            }
        }
    }
}

impl From<HappeningDoc> for Happening {
    fn from(doc: HappeningDoc) -> Self {
        let moved = |cohort: &str, profile, entered, why: ReasonDoc| Self::Moved {
            cohort: CohortSlug::of(cohort),
            profile: ProfileId(profile),
            entered,
            why: why.into(),
        };
        match doc {
            HappeningDoc::Changed(profile, rev, is_new) => Self::Changed {
                profile: ProfileId(profile),
                rev,
                is_new,
            },
            HappeningDoc::Merged(absorbed, survivor) => Self::Merged {
                absorbed: ProfileId(absorbed),
                survivor: ProfileId(survivor),
            },
            HappeningDoc::Entered(cohort, profile, why) => moved(&cohort, profile, true, why),
            HappeningDoc::Left(cohort, profile, why) => moved(&cohort, profile, false, why),
            HappeningDoc::Deleted(profile) => Self::Deleted {
                profile: ProfileId(profile),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_happening_reads_back_and_is_short() {
        let moved = |entered, why| Happening::Moved {
            cohort: CohortSlug::of("sports"),
            profile: ProfileId(7),
            entered,
            why,
        };
        let interests = Some(Reason::Interests(vec!["cricket".to_owned()]));
        let rule = Some(Reason::Rule { version: 3 });
        let changed = Happening::Changed {
            profile: ProfileId(3),
            rev: 2,
            is_new: false,
        };
        let merged = Happening::Merged {
            absorbed: ProfileId(9),
            survivor: ProfileId(3),
        };
        for happening in [
            changed.clone(),
            merged,
            moved(true, interests),
            moved(false, rule),
            moved(true, None),
            Happening::Deleted {
                profile: ProfileId(3),
            },
        ] {
            assert_eq!(
                read_happening(&write_happening(&happening).unwrap()).unwrap(),
                happening
            );
        }
        assert_eq!(write_happening(&changed).unwrap(), r#"{"c":[3,2,false]}"#);
        assert!(read_happening("{}").is_err());
    }
}
