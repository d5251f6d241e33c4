//! How the platform fares: how many people there are, where they come from, how cohorts grow,
//! how good the records are. All of it is counted as it happens; nothing here walks over people.

use chrono::{DateTime, TimeDelta, Utc};

use super::activation::changes::read_cursor;
use super::activation::view::ChangeView;
use super::checked_limit;
use super::cohorts::NameBook;
use crate::domain::Timestamp;
use crate::domain::cohort::CohortSlug;
use crate::domain::error::Error;
use crate::domain::feed::{Cursor, Event};
use crate::domain::property::hour_of;
use crate::domain::tally::{Counts, Subject};
use crate::pipeline::Pipeline;
use crate::store::Store;

/// The most points of a series.
pub const POINTS_MAX: usize = 2_000;
/// The most changes of a page of a cohort's history.
pub const HISTORY_MAX: u32 = 200;

/// Blocks of the feed that are read at once for a history.
const HISTORY_BLOCKS_AT_ONCE: u64 = 32;
/// And that are looked at for one page.
const HISTORY_BLOCKS_MAX: u64 = 1_024;

const HOURS_A_DAY: u32 = 24;
const HOUR_SECONDS: i64 = 3_600;

/// How wide a point of a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An hour.
    Hour,
    /// A day in UTC.
    Day,
}

impl Step {
    /// The step of a word.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    const fn hours(self) -> u32 {
        match self {
            Self::Hour => 1,
            Self::Day => HOURS_A_DAY,
        }
    }
}

/// What was counted in a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When it begins.
    pub at: Timestamp,
    /// How many there were at its end: people, or members of a cohort; 0 for what has no size.
    pub size: i64,
    /// What was counted in it.
    pub counts: Counts,
}

/// A cohort and how it moves.
#[derive(Debug, Clone, PartialEq)]
pub struct CohortFigures {
    /// The slug.
    pub slug: String,
    /// The name.
    pub name: String,
    /// How many members there are.
    pub size: u64,
    /// How many entered and left within a day, to the hour.
    pub day: (i64, i64),
    /// How many entered and left within a week, to the hour.
    pub week: (i64, i64),
}

/// Something by name, with all that was counted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What was counted.
    pub counts: Counts,
}

/// How the platform fares.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// All that was counted of people and records.
    pub people: Counts,
    /// The share of profiles that were absorbed among all that ever came to be, 0 to 1.
    pub merge_rate: f64,
    /// Every cohort, by name.
    pub cohorts: Vec<CohortFigures>,
    /// Every source, by name.
    pub sources: Vec<Named>,
    /// What was wrong with records, the most frequent first.
    pub findings: Vec<Named>,
}

/// A page of who entered a cohort and who left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The latest first.
    pub changes: Vec<ChangeView>,
    /// Where the next page begins; none at the end.
    pub next_cursor: Option<String>,
}

/// Answers how the platform fares.
pub struct Analytics {
    store: Store,
    pipeline: Pipeline,
    names: NameBook,
}

impl Analytics {
    pub(super) fn new(store: Store, pipeline: Pipeline) -> Self {
        Self {
            names: NameBook::of(&pipeline),
            store,
            pipeline,
        }
    }

    /// How the platform fares now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn summary(&self) -> Result<Summary, Error> {
        let people = self.store.totals(Subject::People.kind()).await?;
        let people = people
            .into_iter()
            .next()
            .map(|(_, counts)| counts)
            .unwrap_or_default();
        let named = |(name, counts)| Named { name, counts };
        let sources = self
            .store
            .totals("source")
            .await?
            .into_iter()
            .map(named)
            .collect();
        let mut findings: Vec<Named> = self
            .store
            .totals("finding")
            .await?
            .into_iter()
            .map(named)
            .collect();
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.counts.found));
        let cohorts = self.cohorts(hour_of(Utc::now())).await?;
        Ok(Summary {
            merge_rate: share(people.merged, people.created),
            people,
            cohorts,
            sources,
            findings,
        })
    }

    async fn cohorts(&self, now: u32) -> Result<Vec<CohortFigures>, Error> {
        let catalogue = self.pipeline.catalogue();
        let slugs = catalogue.all().map(|cohort| cohort.slug().to_string());
        let from = now.saturating_sub(7 * HOURS_A_DAY - 1);
        let mut tallies = self
            .store
            .tallies("cohort", slugs.collect(), from, now + 1)
            .await?;
        let mut cohorts = Vec::new();
        for cohort in catalogue.all() {
            let slug = cohort.slug().clone();
            let hours = tallies.remove(slug.as_str()).unwrap_or_default();
            let since = |first: u32| {
                let counts = hours
                    .iter()
                    .filter(|(hour, _)| *hour >= first)
                    .map(|(_, counts)| *counts);
                let sum = counts.fold(Counts::default(), Counts::plus);
                (sum.entered, sum.left)
            };
            cohorts.push(CohortFigures {
                size: self.pipeline.rosters().size(&slug),
                day: since(now.saturating_sub(HOURS_A_DAY - 1)),
                week: since(from),
                name: cohort.name().to_owned(),
                slug: slug.to_string(),
            });
        }
        cohorts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(cohorts)
    }

    /// What was counted of something over time, each stretch once, in order. `of` is `people`,
    /// or one of `cohort`, `source` and `finding` with a name.
    ///
    /// # Errors
    /// Bad request for what is not counted, or too many points; not found for an unknown cohort.
    pub async fn series(
        &self,
        of: &str,
        name: Option<&str>,
        span: (Option<Timestamp>, Option<Timestamp>),
        step: Step,
    ) -> Result<Vec<Point>, Error> {
        let subject = self.subject(of, name)?;
        let end = span.1.unwrap_or_else(Utc::now);
        let week_before = || end.checked_sub_signed(TimeDelta::days(7)).unwrap_or(end);
        let begin = span.0.unwrap_or_else(week_before);
        let (from, to) = (hour_of(begin) / step.hours(), hour_of(end) / step.hours() + 1);
        if begin > end || (to - from) as usize > POINTS_MAX {
            let message = format!("lies before `to`, with at most {POINTS_MAX} points between");
            return Err(Error::bad_request("from", message));
        }
        // Sizes are told backwards from today's.
        let now = hour_of(Utc::now()) + 1;
        let first = from * step.hours();
        let names = vec![subject.name().to_owned()];
        let mut tallies = self
            .store
            .tallies(subject.kind(), names, first, now.max(to * step.hours()))
            .await?;
        let hours = tallies.remove(subject.name()).unwrap_or_default();
        let mut size = self.size_now(&subject).await?;
        let mut points = Vec::with_capacity((to - from) as usize);
        let mut rest = hours.as_slice();
        let later = rest.partition_point(|(hour, _)| *hour < to * step.hours());
        size -= rest[later..]
            .iter()
            .map(|(_, counts)| grown(&subject, *counts))
            .sum::<i64>();
        rest = &rest[..later];
        for stretch in (from..to).rev() {
            let start = rest.partition_point(|(hour, _)| *hour < stretch * step.hours());
            let counts = rest[start..].iter().map(|(_, counts)| *counts);
            let counts = counts.fold(Counts::default(), Counts::plus);
            rest = &rest[..start];
            points.push(Point {
                at: moment(stretch * step.hours()),
                size,
                counts,
            });
            size -= grown(&subject, counts);
        }
        points.reverse();
        Ok(points)
    }

    /// Who entered a cohort and who left it, when and why, the latest first; behind a page, where
    /// the next one begins. As far back as the feed is kept.
    ///
    /// # Errors
    /// Not found for an unknown cohort; bad request for a limit out of range or what is no cursor.
    pub async fn history(&self, cohort: &str, before: Option<&str>, limit: u32) -> Result<History, Error> {
        let limit = checked_limit(limit, HISTORY_MAX)?;
        let names = self.names.now();
        let slug = names.find(cohort)?;
        let before = before.map(|before| read_cursor("before", before)).transpose()?;
        let extent = self.store.feed_extent().await?;
        let mut block = before.map_or(extent.newest, |before| before.block.min(extent.newest));
        let mut changes = Vec::new();
        let mut looked_at = 0;
        while block >= extent.begin && looked_at < HISTORY_BLOCKS_MAX {
            let from = block.saturating_sub(HISTORY_BLOCKS_AT_ONCE - 1).max(extent.begin);
            for block in self.store.feed_blocks(from, block + 1).await?.iter().rev() {
                let events: Vec<Event> = block.events_after(Cursor::behind(block.number - 1)).collect();
                let is_asked_for = |event: &&Event| {
                    event.happening.cohort() == Some(&slug)
                        && before.is_none_or(|before| event.cursor < before)
                };
                for event in events.iter().rev().filter(is_asked_for) {
                    if changes.len() == limit {
                        let next_cursor = changes.last().map(|change: &ChangeView| change.cursor.clone());
                        return Ok(History { changes, next_cursor });
                    }
                    changes.push(ChangeView::of(event, &names));
                }
            }
            looked_at += HISTORY_BLOCKS_AT_ONCE;
            block = from - 1;
        }
        // Of a long feed a part was looked at: the page goes on behind it, even if it is empty.
        let next_cursor = (block >= extent.begin).then(|| Cursor::behind(block).to_string());
        Ok(History { changes, next_cursor })
    }

    fn subject(&self, of: &str, name: Option<&str>) -> Result<Subject, Error> {
        let named = || name.ok_or_else(|| Error::bad_request("name", format!("says which {of}")));
        match of {
            "people" => Ok(Subject::People),
            "cohort" => Ok(Subject::Cohort(self.names.now().find(named()?)?)),
            "source" => Ok(Subject::Source(named()?.to_owned())),
            "finding" => Ok(Subject::Finding(named()?.to_owned())),
            _ => Err(Error::bad_request(
                "of",
                "is `people`, `cohort`, `source` or `finding`",
            )),
        }
    }

    async fn size_now(&self, subject: &Subject) -> Result<i64, Error> {
        let of_roster = |slug: &CohortSlug| i64::try_from(self.pipeline.rosters().size(slug));
        if let Subject::Cohort(slug) = subject {
            return Ok(of_roster(slug).unwrap_or(i64::MAX));
        }
        let totals = self.store.totals(subject.kind()).await?;
        let own = totals.into_iter().find(|(name, _)| name == subject.name());
        Ok(own.map_or(0, |(_, counts)| counts.people))
    }
}

/// By how much a subject's size grew.
const fn grown(subject: &Subject, counts: Counts) -> i64 {
    match subject {
        Subject::Cohort(_) => counts.entered - counts.left,
        Subject::People | Subject::Source(_) | Subject::Finding(_) => counts.people,
    }
}

fn share(part: i64, whole: i64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

fn moment(hour: u32) -> Timestamp {
    DateTime::from_timestamp(i64::from(hour) * HOUR_SECONDS, 0).unwrap_or(DateTime::UNIX_EPOCH)
}
