//! How the platform fares.

use async_graphql::{Enum, SimpleObject};

use super::change::CohortChange;
use crate::domain::Timestamp;
use crate::domain::tally::Counts;
use crate::services::analytics::{CohortFigures, History, Named, Point, Step, Summary};

/// What is counted over time.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub enum AnalyticsSubject {
    /// All people.
    People,
    /// The members of a cohort.
    Cohort,
    /// What a source has sent.
    Source,
    /// What was wrong with records.
    Finding,
}

impl AnalyticsSubject {
    pub(in crate::api::graphql) const fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Cohort => "cohort",
            Self::Source => "source",
            Self::Finding => "finding",
        }
    }
}

/// How wide a point is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
pub enum AnalyticsStep {
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

impl From<AnalyticsStep> for Step {
    fn from(step: AnalyticsStep) -> Self {
        match step {
            AnalyticsStep::Hour => Self::Hour,
            AnalyticsStep::Day => Self::Day,
        }
    }
}

/// What was counted.
#[derive(SimpleObject)]
pub struct AnalyticsCounts {
    /// By how much the number of people grew, or shrank.
    people: i64,
    /// Profiles that came to be.
    created: i64,
    /// Profiles that were there, and were written.
    changed: i64,
    /// Profiles that were absorbed by others.
    merged: i64,
    /// People who entered the cohort.
    entered: i64,
    /// People who left it.
    left: i64,
    /// Records that were accepted.
    accepted: i64,
    /// Records that were refused.
    rejected: i64,
    /// Records that had come before.
    duplicates: i64,
    /// Records with the finding.
    found: i64,
}

/// A cohort and how it moves.
#[derive(SimpleObject)]
pub struct CohortFigure {
    /// The slug.
    slug: String,
    /// The name.
    name: String,
    /// How many members there are.
    size: u64,
    /// How many entered within a day.
    entered_day: i64,
    /// How many left within a day.
    left_day: i64,
    /// How many entered within a week.
    entered_week: i64,
    /// How many left within a week.
    left_week: i64,
}

/// Something with all that was counted of it.
#[derive(SimpleObject)]
pub struct NamedCounts {
    /// The name.
    name: String,
    /// What was counted.
    counts: AnalyticsCounts,
}

/// How the platform fares.
#[derive(SimpleObject)]
pub struct AnalyticsSummary {
    /// How many people there are.
    people: i64,
    /// The share of profiles that were absorbed among all that ever came to be, 0 to 1.
    merge_rate: f64,
    /// All that was counted of people and records.
    counts: AnalyticsCounts,
    /// Every cohort, by name.
    cohorts: Vec<CohortFigure>,
    /// Every source, by name; its `people` are those of whom it has sent something.
    sources: Vec<NamedCounts>,
    /// What was wrong with records, the most frequent first, named `field.code`.
    findings: Vec<NamedCounts>,
}

/// What was counted in a stretch of time.
#[derive(SimpleObject)]
pub struct AnalyticsPoint {
    /// When it begins.
    at: Timestamp,
    /// How many people or members there were at its end.
    size: i64,
    /// What was counted in it.
    counts: AnalyticsCounts,
}

/// An interest and how many people have it.
#[derive(SimpleObject)]
pub struct FrequentInterest {
    /// The interest in canonical form.
    pub interest: String,
    /// How many people have it.
    pub people: u64,
}

/// Who entered a cohort and who left it.
#[derive(SimpleObject)]
pub struct CohortHistory {
    /// The latest first.
    changes: Vec<CohortChange>,
    /// The `before` of the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<Counts> for AnalyticsCounts {
    fn from(counts: Counts) -> Self {
        Self {
            people: counts.people,
            created: counts.created,
            changed: counts.changed,
            merged: counts.merged,
            entered: counts.entered,
            left: counts.left,
            accepted: counts.accepted,
            rejected: counts.rejected,
            duplicates: counts.duplicates,
            found: counts.found,
        }
    }
}

impl From<Named> for NamedCounts {
    fn from(named: Named) -> Self {
        Self {
            name: named.name,
            counts: named.counts.into(),
        }
    }
}

impl From<CohortFigures> for CohortFigure {
    fn from(figures: CohortFigures) -> Self {
        Self {
            slug: figures.slug,
            name: figures.name,
            size: figures.size,
            entered_day: figures.day.0,
            left_day: figures.day.1,
            entered_week: figures.week.0,
            left_week: figures.week.1,
        }
    }
}

impl From<Summary> for AnalyticsSummary {
    fn from(summary: Summary) -> Self {
        Self {
            people: summary.people.people,
            merge_rate: summary.merge_rate,
            counts: summary.people.into(),
            cohorts: summary.cohorts.into_iter().map(CohortFigure::from).collect(),
            sources: summary.sources.into_iter().map(NamedCounts::from).collect(),
            findings: summary.findings.into_iter().map(NamedCounts::from).collect(),
        }
    }
}

impl From<Point> for AnalyticsPoint {
    fn from(point: Point) -> Self {
        Self {
            at: point.at,
            size: point.size,
            counts: point.counts.into(),
        }
    }
}

impl From<History> for CohortHistory {
    fn from(history: History) -> Self {
        Self {
            changes: history.changes.into_iter().filter_map(CohortChange::of).collect(),
            next_cursor: history.next_cursor,
        }
    }
}
