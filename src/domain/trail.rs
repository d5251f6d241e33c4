//! A cookie's [`Trail`]: the latest rows that came under it, and which messages they were. It
//! stands in the cookie's own record, which each visit writes anyway, so that a visit costs no
//! records of its own; what a trail grows out of is shed into these.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::record::RawId;

/// How many rows a cookie remembers itself.
pub const TRAIL_ROWS_MAX: usize = 16;

/// What a sender's own id of a record is remembered by: 64 bits of a hash of the source and
/// the id. Only those of one cookie are compared, so that two ids are not taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageMark(pub u64);

impl MessageMark {
    /// The mark of a source's message.
    #[must_use]
    pub fn of(source: &str, message_id: &str) -> Self {
        // A source holds no control character, so no two pairs are one text.
        let hash = Sha256::new()
            .chain_update(source)
            .chain_update([0])
            .chain_update(message_id)
            .finalize();
        let first = hash.first_chunk().copied().unwrap_or_default();
        Self(u64::from_be_bytes(first))
    }
}

/// What is remembered of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Which message it was, if its sender told.
    pub message: Option<MessageMark>,
    /// Whether it speaks of its address, and not of the cookie that it came under.
    pub is_of_email: bool,
}

/// The latest rows of a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    steps: BTreeMap<RawId, Step>,
    /// Whether these are all the rows that there ever were.
    pub is_complete: bool,
}

impl Default for Trail {
    /// Of a cookie that is new.
    fn default() -> Self {
        Self {
            steps: BTreeMap::new(),
            is_complete: true,
        }
    }
}

impl Trail {
    /// Of a cookie whose rows stand elsewhere.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            steps: BTreeMap::new(),
            is_complete: false,
        }
    }

    /// Notes a row. What was noted of it before stays.
    pub fn note(&mut self, raw: RawId, step: Step) {
        self.steps.entry(raw).or_insert(step);
    }

    /// Whether a message is among the rows.
    #[must_use]
    pub fn has(&self, message: MessageMark) -> bool {
        self.steps.values().any(|step| step.message == Some(message))
    }

    /// Every row, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (RawId, Step)> {
        self.steps.iter().map(|(raw, step)| (*raw, *step))
    }

    /// This trail, and what another adds to it.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        for (raw, step) in other.steps {
            self.note(raw, step);
        }
        self.is_complete &= other.is_complete;
        self
    }

    /// Gives away all rows once they are too many: many at once, so that they are few records.
    pub fn shed(&mut self) -> BTreeMap<RawId, Step> {
        if self.steps.len() <= TRAIL_ROWS_MAX {
            return BTreeMap::new();
        }
        self.is_complete = false;
        std::mem::take(&mut self.steps)
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn row(number: u16) -> RawId {
        RawId {
            block: Ulid::from_parts(1, 1),
            row: number,
        }
    }

    #[test]
    fn a_message_is_told_by_its_source_and_its_id() {
        let mark = MessageMark::of("shop", "m1");
        assert_eq!(mark, MessageMark::of("shop", "m1"));
        assert_ne!(mark, MessageMark::of("app", "m1"));
        assert_ne!(mark, MessageMark::of("shop", "m2"));
        assert_ne!(MessageMark::of("a", "bc"), MessageMark::of("ab", "c"));
    }

    #[test]
    fn a_trail_keeps_every_row_until_it_sheds_them_all() {
        let step = |number: u16| Step {
            message: Some(MessageMark(u64::from(number))),
            is_of_email: false,
        };
        let mut trail = Trail::default();
        for number in 0..16 {
            trail.note(row(number), step(number));
            assert!(trail.shed().is_empty());
        }
        assert!(trail.is_complete && trail.has(MessageMark(0)));
        trail.note(row(16), step(16));
        assert_eq!(trail.shed().len(), 17);
        assert!(!trail.is_complete && !trail.has(MessageMark(16)));
    }
}
