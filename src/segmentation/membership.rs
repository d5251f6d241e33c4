//! Before and after → who entered what, and left what.

use std::collections::BTreeSet;

use crate::domain::cohort::{CohortSlug, Membership};

/// The cohorts that a person entered and left, each in the order of slugs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transitions {
    /// In after, not in before.
    pub entered: Vec<CohortSlug>,
    /// In before, not in after.
    pub left: Vec<CohortSlug>,
}

/// What changed between two sets of memberships; a changed score is no transition.
#[must_use]
pub fn transitions(before: &[Membership], after: &[Membership]) -> Transitions {
    let (before, after) = (slugs(before), slugs(after));
    Transitions {
        entered: after.difference(&before).map(|slug| (*slug).clone()).collect(),
        left: before.difference(&after).map(|slug| (*slug).clone()).collect(),
    }
}

fn slugs(memberships: &[Membership]) -> BTreeSet<&CohortSlug> {
    memberships.iter().map(|membership| &membership.cohort).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::cohort::Reason;

    fn members(slugs: &[&str], score: f32) -> Vec<Membership> {
        let member = |slug: &&str| Membership {
            cohort: CohortSlug::of(slug),
            score,
            reason: Reason::Interests(Vec::new()),
            since: DateTime::UNIX_EPOCH,
        };
        slugs.iter().map(member).collect()
    }

    #[test]
    fn entering_and_leaving_are_told_and_staying_is_not() {
        let before = members(&["travel", "music", "sports"], 0.6);
        let after = members(&["sports", "gaming", "fashion"], 0.9);
        let slugs = |names: &[&str]| names.iter().map(|name| CohortSlug::of(name)).collect::<Vec<_>>();
        let found = transitions(&before, &after);
        assert_eq!(found.entered, slugs(&["fashion", "gaming"]));
        assert_eq!(found.left, slugs(&["music", "travel"]));
        assert_eq!(transitions(&after, &after), Transitions::default());
    }
}
