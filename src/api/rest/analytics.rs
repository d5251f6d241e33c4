//! `/api/analytics…`: how the platform fares, and a cohort's history.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};

use super::Tag;
use super::changes::ChangeBody;
use crate::api::error::ApiError;
use crate::api::guard::MayRead;
use crate::domain::Timestamp;
use crate::domain::tally::Counts;
use crate::services::Services;
use crate::services::analytics::{CohortFigures, Named, Point, Step, Summary};

/// How the platform fares.
pub struct AnalyticsApi;

/// What is counted over time.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum SubjectParam {
    /// All people.
    People,
    /// The members of a cohort.
    Cohort,
    /// What a source has sent.
    Source,
    /// What was wrong with records.
    Finding,
}

/// How wide a point is.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum StepParam {
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

/// What was counted.
#[derive(Object)]
pub struct CountsBody {
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
#[derive(Object)]
pub struct CohortFiguresBody {
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
#[derive(Object)]
pub struct NamedCountsBody {
    /// The name.
    name: String,
    /// What was counted.
    counts: CountsBody,
}

/// How the platform fares.
#[derive(Object)]
pub struct SummaryBody {
    /// How many people there are.
    people: i64,
    /// The share of profiles that were absorbed among all that ever came to be, 0 to 1.
    merge_rate: f64,
    /// All that was counted of people and records.
    counts: CountsBody,
    /// Every cohort, by name.
    cohorts: Vec<CohortFiguresBody>,
    /// Every source, by name; its `people` are those of whom it has sent something.
    sources: Vec<NamedCountsBody>,
    /// What was wrong with records, the most frequent first, named `field.code`.
    findings: Vec<NamedCountsBody>,
}

/// What was counted in a stretch of time.
#[derive(Object)]
pub struct PointBody {
    /// When it begins.
    at: Timestamp,
    /// How many people or members there were at its end.
    size: i64,
    /// What was counted in it.
    counts: CountsBody,
}

/// What was counted over time.
#[derive(Object)]
pub struct SeriesBody {
    /// Each stretch, in order.
    points: Vec<PointBody>,
}

/// An interest and how many people have it.
#[derive(Object)]
pub struct FrequentInterestBody {
    /// The interest in canonical form.
    interest: String,
    /// How many people have it.
    people: u64,
}

/// The interests that most people have.
#[derive(Object)]
pub struct FrequentInterestsBody {
    /// The most frequent first.
    interests: Vec<FrequentInterestBody>,
}

/// Who entered a cohort and who left it.
#[derive(Object)]
pub struct HistoryBody {
    /// The latest first.
    changes: Vec<ChangeBody>,
    /// The `before` of the next page; null at the end.
    next_cursor: Option<String>,
}

#[OpenApi]
impl AnalyticsApi {
    /// How the platform fares
    ///
    /// Counted as it happens: the answer walks over nobody.
    #[oai(
        path = "/analytics/summary",
        method = "get",
        tag = "Tag::Analytics",
        operation_id = "analyticsSummary"
    )]
    async fn summary(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<SummaryBody>, ApiError> {
        Ok(Json(services.analytics.summary().await?.into()))
    }

    /// What was counted over time
    ///
    /// With the sizes of a cohort, or of all people, at the end of each stretch.
    #[oai(
        path = "/analytics/series",
        method = "get",
        tag = "Tag::Analytics",
        operation_id = "analyticsSeries"
    )]
    #[expect(clippy::too_many_arguments, reason = "one a parameter of the route")]
    async fn series(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// Of what.
        of: Query<SubjectParam>,
        /// Which one: a cohort's name or slug, a source, or a finding such as `email.invalid`.
        name: Query<Option<String>>,
        /// From when on; a week before `to` if it is missing.
        from: Query<Option<Timestamp>>,
        /// Until when; now if it is missing.
        to: Query<Option<Timestamp>>,
        /// How wide a point is.
        #[oai(default = "default_step")]
        step: Query<StepParam>,
    ) -> Result<Json<SeriesBody>, ApiError> {
        let of = match of.0 {
            SubjectParam::People => "people",
            SubjectParam::Cohort => "cohort",
            SubjectParam::Source => "source",
            SubjectParam::Finding => "finding",
        };
        let step = match step.0 {
            StepParam::Hour => Step::Hour,
            StepParam::Day => Step::Day,
        };
        let points = services
            .analytics
            .series(of, name.0.as_deref(), (from.0, to.0), step)
            .await?;
        Ok(Json(SeriesBody {
            points: points.into_iter().map(PointBody::from).collect(),
        }))
    }

    /// The interests that most people have
    #[oai(
        path = "/analytics/interests",
        method = "get",
        tag = "Tag::Analytics",
        operation_id = "analyticsInterests"
    )]
    async fn interests(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// How many.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "200")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<FrequentInterestsBody>, ApiError> {
        let interests = services.search.frequent(limit.0).await?.into_iter();
        let interests = interests.map(|(interest, people)| FrequentInterestBody { interest, people });
        Ok(Json(FrequentInterestsBody {
            interests: interests.collect(),
        }))
    }

    /// Who entered a cohort and who left it
    ///
    /// When and why, the latest first, as far back as the feed of changes is kept. Of a long feed
    /// a page looks at a part, and may be empty: go on until `next_cursor` is null.
    #[oai(
        path = "/cohorts/:cohort/history",
        method = "get",
        tag = "Tag::Analytics",
        operation_id = "cohortHistory"
    )]
    async fn history(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug, in any case.
        cohort: Path<String>,
        /// The `next_cursor` of the page before.
        before: Query<Option<String>>,
        /// How many.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "200")),
            default = "default_limit"
        )]
        limit: Query<u32>,
    ) -> Result<Json<HistoryBody>, ApiError> {
        let history = services
            .analytics
            .history(&cohort, before.0.as_deref(), limit.0)
            .await?;
        Ok(Json(HistoryBody {
            changes: history.changes.into_iter().map(ChangeBody::from).collect(),
            next_cursor: history.next_cursor,
        }))
    }
}

const fn default_limit() -> u32 {
    50
}

const fn default_step() -> StepParam {
    StepParam::Hour
}

impl From<Counts> for CountsBody {
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

impl From<Named> for NamedCountsBody {
    fn from(named: Named) -> Self {
        Self {
            name: named.name,
            counts: named.counts.into(),
        }
    }
}

impl From<CohortFigures> for CohortFiguresBody {
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

impl From<Summary> for SummaryBody {
    fn from(summary: Summary) -> Self {
        Self {
            people: summary.people.people,
            merge_rate: summary.merge_rate,
            counts: summary.people.into(),
            cohorts: summary.cohorts.into_iter().map(CohortFiguresBody::from).collect(),
            sources: summary.sources.into_iter().map(NamedCountsBody::from).collect(),
            findings: summary.findings.into_iter().map(NamedCountsBody::from).collect(),
        }
    }
}

impl From<Point> for PointBody {
    fn from(point: Point) -> Self {
        Self {
            at: point.at,
            size: point.size,
            counts: point.counts.into(),
        }
    }
}
