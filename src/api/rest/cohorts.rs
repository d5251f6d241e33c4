//! `GET /api/cohort/users`, and what a cohort looks like.

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::users::UserProfileBody;
use crate::api::error::ApiError;
use crate::api::guard::MayRead;
use crate::domain::cohort::Definition;
use crate::domain::error::Error;
use crate::services::Services;
use crate::services::cohorts::{From as PageFrom, PAGE_DEFAULT, SizedCohort};

/// Cohorts and their members.
pub struct CohortsApi;

/// A cohort.
#[derive(Object)]
pub struct CohortBody {
    /// The key, for example `food-drink`.
    slug: String,
    /// The name, for example `Food & Drink`.
    name: String,
    /// What belongs here.
    description: String,
    /// `interest`: people are in it by what they care about; `rule`: a rule holds for them.
    kind: String,
    /// The least score with which a person is a member; of a cohort by rule, 1.
    threshold: f32,
    /// Typical interests, of a cohort by interest.
    #[oai(skip_serializing_if_is_empty, default)]
    examples: Vec<String>,
    /// The rule, of a cohort by rule.
    #[oai(skip_serializing_if_is_none)]
    expression: Option<String>,
    /// Grows with each change of the definition.
    version: u32,
    /// How many people are in it.
    size: u64,
}

/// Every cohort.
#[derive(Object)]
pub struct CohortsBody {
    /// The cohorts, by name.
    cohorts: Vec<CohortBody>,
}

/// A page of a cohort's members.
#[derive(Object)]
pub struct CohortUsersBody {
    /// The cohort's name.
    cohort: String,
    /// How many members there are.
    total: u64,
    /// How many a page holds.
    limit: u32,
    /// How many stand before the page.
    offset: u64,
    /// The members, in a stable order.
    users: Vec<UserProfileBody>,
    /// Where the next page begins; null behind the last.
    next_cursor: Option<String>,
}

#[OpenApi]
impl CohortsApi {
    /// The members of a cohort
    ///
    /// Any page costs what the first does. `cursor` goes on where a page ended, also when
    /// members came and went meanwhile; `offset` counts from the start.
    #[oai(
        path = "/cohort/users",
        method = "get",
        tag = "Tag::Cohorts",
        operation_id = "cohortUsers"
    )]
    async fn users(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug, in any case.
        cohort: Query<String>,
        /// How many members a page holds.
        #[oai(
            validator(minimum(value = "1"), maximum(value = "1000")),
            default = "default_limit"
        )]
        limit: Query<u32>,
        /// How many members to pass over.
        offset: Query<Option<u64>>,
        /// The `next_cursor` of the page before.
        cursor: Query<Option<String>>,
    ) -> Result<Json<CohortUsersBody>, ApiError> {
        let from = match (offset.0, cursor.0) {
            (Some(_), Some(_)) => {
                return Err(Error::bad_request("cursor", "give `offset` or `cursor`, not both").into());
            }
            (None, Some(cursor)) => PageFrom::Cursor(cursor),
            (offset, None) => PageFrom::Offset(offset.unwrap_or_default()),
        };
        let sight = services.sights.of(caller.0.role);
        let page = services.cohorts.members(&cohort.0, &from, limit.0, sight).await?;
        let no_detail = BTreeSet::new();
        Ok(Json(CohortUsersBody {
            cohort: page.cohort,
            total: page.total,
            limit: limit.0,
            offset: page.offset,
            users: page
                .users
                .into_iter()
                .map(|user| UserProfileBody::of(user, &no_detail))
                .collect(),
            next_cursor: page.next_cursor,
        }))
    }
}

const fn default_limit() -> u32 {
    PAGE_DEFAULT
}

impl CohortsBody {
    /// These cohorts.
    pub(super) fn of(cohorts: impl IntoIterator<Item = SizedCohort>) -> Self {
        Self {
            cohorts: cohorts.into_iter().map(CohortBody::from).collect(),
        }
    }
}

impl From<SizedCohort> for CohortBody {
    fn from(sized: SizedCohort) -> Self {
        let (kind, version) = (sized.cohort.kind().to_owned(), sized.cohort.version());
        let (examples, threshold, expression) = match &sized.cohort {
            Definition::Interest(cohort) => (cohort.examples.clone(), cohort.threshold, None),
            Definition::Rule(rule) => (Vec::new(), 1.0, Some(rule.expression.clone())),
        };
        Self {
            slug: sized.cohort.slug().to_string(),
            name: sized.cohort.name().to_owned(),
            description: sized.cohort.description().to_owned(),
            kind,
            threshold,
            examples,
            expression,
            version,
            size: sized.size,
        }
    }
}
