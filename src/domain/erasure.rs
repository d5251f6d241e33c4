//! Somebody is erased ([`Erasure`]), and nothing more is taken in of them ([`Suppression`]).

use std::collections::BTreeSet;

use ulid::Ulid;

use super::Timestamp;
use super::identifier::{Cookie, Email};
use super::profile::ProfileId;
use super::record::RawId;

/// What a pseudonym stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// A cookie.
    Cookie,
    /// An address.
    Email,
}

impl IdentifierKind {
    /// A stable word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Email => "email",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Cookie, Self::Email]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Nothing more is taken in of whoever has an identifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// What stands for the identifier.
    pub pseudonym: String,
    /// What it is.
    pub kind: IdentifierKind,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The erasure that it came with.
    pub erasure: Option<Ulid>,
}

/// How many records are gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Verbatim rows that were emptied.
    pub raw_rows: u64,
    /// Refused rows.
    pub rejects: u64,
    /// Cookies, with all that was observed under them.
    pub cookies: u64,
    /// Addresses.
    pub emails: u64,
    /// Edges between the two.
    pub links: u64,
    /// Profiles: theirs, and those that it had absorbed.
    pub profiles: u64,
    /// Merges, and what was decided about who they are.
    pub judgements: u64,
    /// Links that a guard refused.
    pub conflicts: u64,
    /// Cohorts that they were in.
    pub cohorts: u64,
    /// Events of the feed that told of them.
    pub events: u64,
    /// Deliveries of webhooks that did.
    pub deliveries: u64,
}

/// Where the search for what is left of somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// At the rows that are known to be theirs.
    Rows,
    /// At all rows, for those that name them.
    Raw,
    /// At the refused ones.
    Rejects,
    /// At the feed.
    Feed,
    /// At what webhooks delivered.
    Deliveries,
    /// At payloads that wait.
    Queue,
    /// At the search index.
    Index,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 7] = [
        Self::Rows,
        Self::Raw,
        Self::Rejects,
        Self::Feed,
        Self::Deliveries,
        Self::Queue,
        Self::Index,
    ];

    /// A stable word for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Raw => "raw",
            Self::Rejects => "rejects",
            Self::Feed => "feed",
            Self::Deliveries => "deliveries",
            Self::Queue => "queue",
            Self::Index => "index",
        }
    }

    /// The step of a word.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }

    /// The one behind it; none behind the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step > self)
    }
}

/// What is still to be looked for. It names whom, and is forgotten at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Their cookies.
    pub cookies: Vec<Cookie>,
    /// Their addresses.
    pub emails: Vec<Email>,
    /// Their profile, and those that it had absorbed.
    pub profiles: BTreeSet<ProfileId>,
    /// Rows that are theirs.
    pub rows: BTreeSet<RawId>,
    /// Payloads that waited when it began.
    pub queued: Vec<Ulid>,
    /// Where it is.
    pub step: Step,
    /// Whether everything is looked through for them. Of whoever was only kept for too long, what is
    /// known to be theirs is all.
    pub is_thorough: bool,
    /// Where it is within the step: going back in time, a moment in milliseconds; of the feed, a
    /// block.
    pub position: Option<u64>,
}

/// Somebody who was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: Ulid,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// Whose; none where nobody was known by the identifier.
    pub profile: Option<ProfileId>,
    /// What is gone so far.
    pub erased: Erased,
    /// What is still to be looked for; none at its end.
    pub search: Option<Search>,
    /// When they were erased: from then on nobody is shown them.
    pub at: Timestamp,
    /// When it last got on.
    pub updated_at: Timestamp,
    /// When nothing was left.
    pub finished_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_leads_to_the_next_and_reads_back() {
        let mut step = Step::Rows;
        let mut met = vec![step];
        while let Some(next) = step.next() {
            step = next;
            met.push(step);
        }
        assert_eq!(met, Step::ALL);
        assert!(
            Step::ALL
                .iter()
                .all(|step| Step::named(step.name()) == Some(*step))
        );
    }
}
