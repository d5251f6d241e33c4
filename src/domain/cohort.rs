//! A [`Cohort`] is a named set of people; a [`Membership`] says who is in it, how
//! surely, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::Timestamp;

/// The key of a cohort: lower case, `[a-z0-9-]`, for example `food-drink`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CohortSlug(Arc<str>);

impl CohortSlug {
    /// The slug of a name or of a slug in any case: `Food & Drink` → `food-drink`.
    /// Empty when the name has neither letters nor digits.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let words = name
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty());
        let slug = words.map(str::to_lowercase).collect::<Vec<_>>().join("-");
        Self(slug.into())
    }

    /// The slug's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The cohort that a name or a slug leads to, in any case: the one of that slug, or else the one whose
/// name makes it, which may have changed since its own slug was made.
pub fn find<'a, T>(
    cohorts: &'a BTreeMap<CohortSlug, T>,
    name_of: impl Fn(&T) -> &str,
    name_or_slug: &str,
) -> Option<(&'a CohortSlug, &'a T)> {
    let wanted = CohortSlug::of(name_or_slug);
    cohorts.get_key_value(&wanted).or_else(|| {
        let is_named = |(_, one): &(&CohortSlug, &T)| CohortSlug::of(name_of(one)) == wanted;
        cohorts.iter().find(is_named)
    })
}

impl fmt::Display for CohortSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A cohort of people by interest.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// The key.
    pub slug: CohortSlug,
    /// The name to show, for example `Food & Drink`.
    pub name: String,
    /// One sentence that says what belongs here; the classifier reads it.
    pub description: String,
    /// Typical interests; the classifier reads them too.
    pub examples: Vec<String>,
    /// The least score, 0 to 1, with which a profile is a member.
    pub threshold: f32,
    /// Grows with each change of the definition.
    pub version: u32,
}

/// A cohort of people by a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCohort {
    /// The key.
    pub slug: CohortSlug,
    /// The name to show.
    pub name: String,
    /// What it is for, in words; may be empty.
    pub description: String,
    /// The rule, in CEL.
    pub expression: String,
    /// Grows with each change of the definition.
    pub version: u32,
}

/// What makes a cohort.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// What people care about.
    Interest(Cohort),
    /// A rule.
    Rule(RuleCohort),
}

impl Definition {
    /// The key.
    #[must_use]
    pub const fn slug(&self) -> &CohortSlug {
        match self {
            Self::Interest(cohort) => &cohort.slug,
            Self::Rule(cohort) => &cohort.slug,
        }
    }

    /// The name to show.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Interest(cohort) => &cohort.name,
            Self::Rule(cohort) => &cohort.name,
        }
    }

    /// What it is for, or what belongs there.
    #[must_use]
    pub fn description(&self) -> &str {
        match self {
            Self::Interest(cohort) => &cohort.description,
            Self::Rule(cohort) => &cohort.description,
        }
    }

    /// Grows with each change of the definition.
    #[must_use]
    pub const fn version(&self) -> u32 {
        match self {
            Self::Interest(cohort) => cohort.version,
            Self::Rule(cohort) => cohort.version,
        }
    }

    /// The same in another version.
    #[must_use]
    pub fn in_version(mut self, version: u32) -> Self {
        match &mut self {
            Self::Interest(cohort) => cohort.version = version,
            Self::Rule(cohort) => cohort.version = version,
        }
        self
    }

    /// `interest` or `rule`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Interest(_) => "interest",
            Self::Rule(_) => "rule",
        }
    }
}

/// Why someone is in a cohort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// These interests say so, strongest first, by canonical form.
    Interests(Vec<String>),
    /// The rule of this version holds for them.
    Rule {
        /// The cohort's version.
        version: u32,
    },
}

/// A place in a cohort that somebody has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMembership {
    /// The cohort.
    pub cohort: CohortSlug,
    /// When they entered.
    pub since: Timestamp,
    /// When they left.
    pub until: Timestamp,
}

/// Someone's place in a cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Membership {
    /// The cohort.
    pub cohort: CohortSlug,
    /// How surely, 0 to 1.
    pub score: f32,
    /// Why.
    pub reason: Reason,
    /// When the profile entered, by the clock of arrival.
    pub since: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_comes_from_a_name_in_any_form() {
        for name in ["Food & Drink", "food-drink", " FOOD  drink ", "Food/Drink"] {
            assert_eq!(CohortSlug::of(name).as_str(), "food-drink", "{name:?}");
        }
        assert_eq!(CohortSlug::of("&&").as_str(), "");
    }
}
