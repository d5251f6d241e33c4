//! A [`Decision`] is what somebody judged about who is who, by hand: kept with their name,
//! so that a person's history can be told.

use super::conflict::Verdict;
use super::identifier::{Cookie, Email};
use super::profile::ProfileId;

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecisionKind {
    /// A merge was wrong.
    Undo {
        /// The merge's id.
        merge: String,
    },
    /// Links were wrong.
    Cut,
    /// A refused link is right after all.
    Allow {
        /// The conflict's id.
        conflict: String,
    },
    /// A refused link is wrong for good.
    KeepApart {
        /// The conflict's id.
        conflict: String,
    },
}

impl DecisionKind {
    /// A stable word for programs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Undo { .. } => "undo",
            Self::Cut => "cut",
            Self::Allow { .. } => "allow",
            Self::KeepApart { .. } => "keep_apart",
        }
    }

    /// The merge or conflict that was judged.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Undo { merge: subject }
            | Self::Allow { conflict: subject }
            | Self::KeepApart { conflict: subject } => Some(subject),
            Self::Cut => None,
        }
    }
}

/// A decision, and whom it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub kind: DecisionKind,
    /// The profiles that it touched.
    pub profiles: Vec<ProfileId>,
    /// The links that it cut or made.
    pub links: Vec<(Cookie, Email)>,
    /// Who decided.
    pub by: String,
}

impl Decision {
    /// What becomes of the conflict that it judges, if it judges one.
    #[must_use]
    pub const fn verdict(&self) -> Option<Verdict> {
        match self.kind {
            DecisionKind::Allow { .. } => Some(Verdict::Allowed),
            DecisionKind::KeepApart { .. } => Some(Verdict::KeptApart),
            DecisionKind::Undo { .. } | DecisionKind::Cut => None,
        }
    }
}
