//! Lists cohorts and pages through their members.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checked_limit;
use super::view::UserProfile;
use crate::domain::cohort::{Cohort, CohortSlug};
use crate::domain::error::Error;
use crate::domain::profile::ProfileId;
use crate::pipeline::Pipeline;
use crate::store::Store;

/// The most members that one page holds.
pub const PAGE_MAX: u32 = 1_000;

/// The members of a page when nobody says how many.
pub const PAGE_DEFAULT: u32 = 50;

/// What each cohort is called.
pub struct Names {
    names: BTreeMap<CohortSlug, String>,
}

impl Names {
    pub(super) fn of(cohorts: &[Cohort]) -> Self {
        Self {
            names: cohorts
                .iter()
                .map(|cohort| (cohort.slug.clone(), cohort.name.clone()))
                .collect(),
        }
    }

    /// The name of a cohort; its slug for one that is gone.
    #[must_use]
    pub fn name<'a>(&'a self, slug: &'a CohortSlug) -> &'a str {
        self.names.get(slug).map_or(slug.as_str(), String::as_str)
    }

    /// The same by the slug's text.
    pub(super) fn name_of<'a>(&'a self, slug: &'a str) -> &'a str {
        self.names.get(&CohortSlug::of(slug)).map_or(slug, String::as_str)
    }

    /// The cohort of a name or slug in any case.
    ///
    /// # Errors
    /// Not found, naming the cohorts there are.
    pub fn find(&self, name_or_slug: &str) -> Result<CohortSlug, Error> {
        let slug = CohortSlug::of(name_or_slug);
        if self.names.contains_key(&slug) {
            return Ok(slug);
        }
        let known = self
            .names
            .values()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        Err(Error::not_found(format!("there is no such cohort; there are: {known}")).with_field("cohort"))
    }
}

/// A cohort with its size.
#[derive(Debug, Clone)]
pub struct SizedCohort {
    /// The definition.
    pub cohort: Cohort,
    /// How many people are in it.
    pub size: u64,
}

/// Where a page begins.
#[derive(Debug, Clone)]
pub enum From {
    /// Behind so many members.
    Offset(u64),
    /// Where a page before ended; its `next_cursor`.
    Cursor(String),
}

/// A page of a cohort's members, in a stable order.
#[derive(Debug)]
pub struct MemberPage {
    /// The cohort's name.
    pub cohort: String,
    /// How many members there are.
    pub total: u64,
    /// How many stand before the page.
    pub offset: u64,
    /// The members.
    pub users: Vec<UserProfile>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

/// Lists and pages cohorts.
pub struct Cohorts {
    store: Store,
    pipeline: Pipeline,
    names: Arc<Names>,
}

impl Cohorts {
    pub(super) const fn new(store: Store, pipeline: Pipeline, names: Arc<Names>) -> Self {
        Self {
            store,
            pipeline,
            names,
        }
    }

    /// Every cohort, by name.
    #[must_use]
    pub fn all(&self) -> Vec<SizedCohort> {
        let cohorts = self.pipeline.scores().classifier().cohorts();
        let mut all: Vec<SizedCohort> = cohorts.iter().map(|cohort| self.sized(cohort)).collect();
        all.sort_by(|a, b| a.cohort.name.cmp(&b.cohort.name));
        all
    }

    /// The cohort of a name or slug in any case.
    ///
    /// # Errors
    /// Not found, naming the cohorts there are.
    pub fn one(&self, name_or_slug: &str) -> Result<SizedCohort, Error> {
        let slug = self.names.find(name_or_slug)?;
        let cohorts = self.pipeline.scores().classifier().cohorts();
        let found = cohorts.iter().find(|cohort| cohort.slug == slug);
        found
            .map(|cohort| self.sized(cohort))
            .ok_or_else(|| Error::not_found("the cohort is gone"))
    }

    /// A page of the members of a cohort. Each costs the same, however far from the start.
    ///
    /// # Errors
    /// Not found for an unknown cohort; bad request for a limit out of range or a cursor
    /// that no page gave.
    pub async fn members(&self, cohort: &str, from: &From, limit: u32) -> Result<MemberPage, Error> {
        let slug = self.names.find(cohort)?;
        checked_limit(limit, PAGE_MAX)?;
        let page = match from {
            From::Offset(offset) => self.pipeline.rosters().page(&slug, *offset, limit),
            From::Cursor(cursor) => self.pipeline.rosters().page_after(&slug, after(cursor)?, limit),
        };
        let profiles = self.store.profiles(&page.members).await?;
        let is_last = page.offset + page.members.len() as u64 >= page.total;
        let last = page.members.last().filter(|_| !is_last);
        Ok(MemberPage {
            cohort: self.names.name(&slug).to_owned(),
            total: page.total,
            offset: page.offset,
            users: profiles
                .iter()
                .map(|profile| UserProfile::of(profile, &self.names))
                .collect(),
            next_cursor: last.map(ToString::to_string),
        })
    }

    fn sized(&self, cohort: &Cohort) -> SizedCohort {
        SizedCohort {
            cohort: cohort.clone(),
            size: self.pipeline.rosters().size(&cohort.slug),
        }
    }
}

fn after(cursor: &str) -> Result<ProfileId, Error> {
    cursor
        .parse()
        .map_err(|_| Error::bad_request("cursor", "is not the `next_cursor` of a page"))
}
