//! Lists cohorts and pages through their members.

use std::sync::Arc;

use super::checked_limit;
use super::sight::Sight;
use super::view::UserProfile;
use crate::domain::cohort::{CohortSlug, Definition, Membership, Reason};
use crate::domain::error::Error;
use crate::domain::profile::{Profile, ProfileId};
use crate::pipeline::Pipeline;
use crate::pipeline::catalogue::Catalogue;
use crate::pipeline::segmented::Scores;
use crate::store::Store;

/// The most members that one page holds.
pub const PAGE_MAX: u32 = 1_000;

/// The members of a page when nobody says how many.
pub const PAGE_DEFAULT: u32 = 50;

/// What each cohort is called at a moment.
#[derive(Clone)]
pub struct Names(Arc<Catalogue>);

impl Names {
    /// The name of a cohort; its slug for one that is gone.
    #[must_use]
    pub fn name<'a>(&'a self, slug: &'a CohortSlug) -> &'a str {
        self.0.get(slug).map_or(slug.as_str(), Definition::name)
    }

    /// The same by the slug's text.
    pub(super) fn name_of<'a>(&'a self, slug: &'a str) -> &'a str {
        self.0.get(&CohortSlug::of(slug)).map_or(slug, Definition::name)
    }

    /// Why somebody is in a cohort, in words: the interests that say so, or the rule.
    #[must_use]
    pub fn reason(&self, membership: &Membership) -> Vec<String> {
        self.reason_of(&membership.cohort, &membership.reason)
    }

    /// The same of a cohort and a reason.
    #[must_use]
    pub fn reason_of(&self, cohort: &CohortSlug, reason: &Reason) -> Vec<String> {
        match reason {
            Reason::Interests(interests) => interests.clone(),
            Reason::Rule { version } => match self.0.get(cohort) {
                Some(Definition::Rule(rule)) if rule.version == *version => vec![rule.expression.clone()],
                _ => vec![format!("version {version} of its rule")],
            },
        }
    }

    /// The cohort of a name or slug in any case.
    ///
    /// # Errors
    /// Not found, naming the cohorts there are.
    pub fn find(&self, name_or_slug: &str) -> Result<CohortSlug, Error> {
        if let Some(found) = self.0.find(name_or_slug) {
            return Ok(found.slug().clone());
        }
        let known = self.0.all().map(Definition::name).collect::<Vec<_>>().join(", ");
        Err(Error::not_found(format!("there is no such cohort; there are: {known}")).with_field("cohort"))
    }
}

/// Where names are looked up: cohorts come and go while the server runs.
#[derive(Clone)]
pub struct NameBook(Arc<Scores>);

impl NameBook {
    pub(super) fn of(pipeline: &Pipeline) -> Self {
        Self(Arc::clone(pipeline.scores()))
    }

    /// What cohorts are called now.
    #[must_use]
    pub fn now(&self) -> Names {
        Names(self.0.catalogue())
    }
}

/// A cohort with its size.
#[derive(Debug, Clone)]
pub struct SizedCohort {
    /// The definition.
    pub cohort: Definition,
    /// How many people are in it.
    pub size: u64,
}

impl SizedCohort {
    const fn is_by_rule(&self) -> bool {
        matches!(self.cohort, Definition::Rule(_))
    }
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

/// Who stands on a page of a cohort's members, by id only.
#[derive(Debug)]
pub struct MemberIds {
    /// The cohort's name.
    pub cohort: String,
    /// How many members there are.
    pub total: u64,
    /// How many stand before the page.
    pub offset: u64,
    /// The members.
    pub members: Vec<ProfileId>,
    /// Where the next page begins; none behind the last.
    pub next_cursor: Option<String>,
}

impl MemberIds {
    /// The page with what is known of its members.
    #[must_use]
    pub fn with(self, users: Vec<UserProfile>) -> MemberPage {
        MemberPage {
            cohort: self.cohort,
            total: self.total,
            offset: self.offset,
            users,
            next_cursor: self.next_cursor,
        }
    }
}

/// Lists and pages cohorts.
pub struct Cohorts {
    store: Store,
    pipeline: Pipeline,
    names: NameBook,
}

impl Cohorts {
    pub(super) const fn new(store: Store, pipeline: Pipeline, names: NameBook) -> Self {
        Self {
            store,
            pipeline,
            names,
        }
    }

    /// Every cohort, by name.
    #[must_use]
    pub fn all(&self) -> Vec<SizedCohort> {
        let catalogue = self.pipeline.catalogue();
        let mut all: Vec<SizedCohort> = catalogue.all().map(|cohort| self.sized(cohort)).collect();
        all.sort_by(|a, b| a.cohort.name().cmp(b.cohort.name()));
        all
    }

    /// The cohort of a name or slug in any case.
    ///
    /// # Errors
    /// Not found, naming the cohorts there are.
    pub fn one(&self, name_or_slug: &str) -> Result<SizedCohort, Error> {
        let catalogue = self.pipeline.catalogue();
        let slug = Names(Arc::clone(&catalogue)).find(name_or_slug)?;
        catalogue
            .get(&slug)
            .map(|cohort| self.sized(cohort))
            .ok_or_else(|| Error::not_found("the cohort is gone"))
    }

    /// Every cohort by rule, by name.
    #[must_use]
    pub fn rules(&self) -> Vec<SizedCohort> {
        let mut all = self.all();
        all.retain(SizedCohort::is_by_rule);
        all
    }

    /// The cohort by rule of a name or slug in any case.
    ///
    /// # Errors
    /// Not found, naming the cohorts there are, or saying that it is none by rule.
    pub fn rule(&self, name_or_slug: &str) -> Result<SizedCohort, Error> {
        let found = self.one(name_or_slug)?;
        if found.is_by_rule() {
            return Ok(found);
        }
        let message = format!("`{}` is no cohort by rule", found.cohort.name());
        Err(Error::not_found(message).with_field("rule"))
    }

    /// A page of the members of a cohort. Each costs the same, however far from the start.
    ///
    /// # Errors
    /// Not found for an unknown cohort; bad request for a limit out of range or a cursor
    /// that no page gave.
    pub async fn members(
        &self,
        cohort: &str,
        from: &From,
        limit: u32,
        sight: Sight,
    ) -> Result<MemberPage, Error> {
        let page = self.member_ids(cohort, from, limit)?;
        let users = self.users(&page.members).await?;
        Ok(page.with(users.into_iter().map(|(_, user)| sight.user(user)).collect()))
    }

    /// Who stands on such a page, without asking the store.
    ///
    /// # Errors
    /// As [`Cohorts::members`].
    pub fn member_ids(&self, cohort: &str, from: &From, limit: u32) -> Result<MemberIds, Error> {
        let names = self.names.now();
        let slug = names.find(cohort)?;
        checked_limit(limit, PAGE_MAX)?;
        let page = match from {
            From::Offset(offset) => self.pipeline.rosters().page(&slug, *offset, limit),
            From::Cursor(cursor) => self.pipeline.rosters().page_after(&slug, after(cursor)?, limit),
        };
        let is_last = page.offset + page.members.len() as u64 >= page.total;
        let last = page.members.last().filter(|_| !is_last);
        Ok(MemberIds {
            cohort: names.name(&slug).to_owned(),
            total: page.total,
            offset: page.offset,
            next_cursor: last.map(ToString::to_string),
            members: page.members,
        })
    }

    /// What is known of people, in the order asked, by one question to the store; those who are
    /// gone are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users(&self, ids: &[ProfileId]) -> Result<Vec<(ProfileId, UserProfile)>, Error> {
        let names = self.names.now();
        let profiles = self.store.profiles(ids).await?;
        let user = |profile: &Arc<Profile>| (profile.id, UserProfile::of(profile, &names));
        Ok(profiles.iter().map(user).collect())
    }

    fn sized(&self, cohort: &Definition) -> SizedCohort {
        SizedCohort {
            cohort: cohort.clone(),
            size: self.pipeline.rosters().size(cohort.slug()),
        }
    }
}

fn after(cursor: &str) -> Result<ProfileId, Error> {
    cursor
        .parse()
        .map_err(|_| Error::bad_request("cursor", "is not the `next_cursor` of a page"))
}
