//! A cohort, and from there its members.

use async_graphql::{Context, Object};

use super::rounded;
use crate::api::graphql::error::Result;
use crate::api::graphql::page::{self, MemberConnection};
use crate::api::graphql::{loader, people, services, sight};
use crate::domain::cohort::Definition;
use crate::services::cohorts::SizedCohort;

/// A named set of people.
pub struct Cohort(SizedCohort);

impl From<SizedCohort> for Cohort {
    fn from(sized: SizedCohort) -> Self {
        Self(sized)
    }
}

/// A named set of people.
#[Object]
impl Cohort {
    /// The key, for example `food-drink`.
    async fn slug(&self) -> &str {
        self.0.cohort.slug().as_str()
    }

    /// The name to show, for example `Food & Drink`.
    async fn name(&self) -> &str {
        self.0.cohort.name()
    }

    /// One sentence that says what belongs here; the classifier reads it.
    async fn description(&self) -> &str {
        self.0.cohort.description()
    }

    /// Typical interests; the classifier reads them too.
    async fn examples(&self) -> &[String] {
        match &self.0.cohort {
            Definition::Interest(cohort) => &cohort.examples,
            Definition::Rule(_) => &[],
        }
    }

    /// `interest`: people are in it by what they care about; `rule`: a rule holds for them.
    async fn kind(&self) -> &str {
        self.0.cohort.kind()
    }

    /// The rule, in CEL; null for a cohort by interest.
    async fn expression(&self) -> Option<&str> {
        match &self.0.cohort {
            Definition::Interest(_) => None,
            Definition::Rule(rule) => Some(&rule.expression),
        }
    }

    /// The least score, 0 to 1, with which somebody is a member.
    async fn threshold(&self) -> f64 {
        match &self.0.cohort {
            Definition::Interest(cohort) => rounded(cohort.threshold),
            Definition::Rule(_) => 1.0,
        }
    }

    /// Grows with each change of the definition.
    async fn version(&self) -> u32 {
        self.0.cohort.version()
    }

    /// How many people are in it.
    async fn size(&self) -> u64 {
        self.0.size
    }

    /// The people in it, in a stable order.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 1000.", default_with = "page::first_default()")] first: Option<i32>,
        #[graphql(desc = "A cursor of this list.")] after: Option<String>,
    ) -> Result<MemberConnection> {
        let (limit, start) = (page::limit(first)?, page::start(after));
        let slug = self.0.cohort.slug().as_str();
        let page = services(ctx)?.cohorts.member_ids(slug, &start, limit);
        let page = page.map_err(page::blame_after)?;
        let users = loader::load(people(ctx)?, &page.members, sight(ctx)?).await?;
        Ok(page.with(users).into())
    }
}
