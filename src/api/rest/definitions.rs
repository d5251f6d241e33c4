//! `/api/cohorts…` and `/api/rules…`: defining cohorts, by interest, by a rule, by others.

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use super::Tag;
use super::body::Body;
use super::cohorts::{CohortBody, CohortsBody};
use super::corrections::BackfillBody;
use super::users::UserProfileBody;
use crate::api::error::ApiError;
use crate::api::guard::{MayDefine, MayRead};
use crate::domain::Timestamp;
use crate::domain::cohort::Definition;
use crate::services::Services;
use crate::services::definitions::{Combined, Defined, Draft, Overlap, Parts, Preview, VersionView};

/// Defining cohorts.
pub struct DefinitionsApi;

/// A cohort as somebody defines it. With an `expression` it is by rule; with `all`, `any` or
/// `none` it is made of other cohorts; else it is by interest.
#[derive(Object)]
struct CohortRequest {
    /// The name; of a new cohort also its slug.
    #[oai(validator(max_length = "80", min_length = "1"))]
    name: String,
    /// One sentence that says what belongs there. The classifier reads it, so a cohort by
    /// interest needs one.
    #[oai(validator(max_length = "500"))]
    description: Option<String>,
    /// Typical interests, of a cohort by interest.
    #[oai(validator(max_items = "200"))]
    examples: Option<Vec<String>>,
    /// The least score, 0 to 1, with which somebody is a member of a cohort by interest.
    threshold: Option<f32>,
    /// The rule, in CEL: `profile.age >= 25 && "Sports" in cohorts`.
    expression: Option<String>,
    /// Members are in each of these cohorts,
    all: Option<Vec<String>>,
    /// in at least one of these,
    any: Option<Vec<String>>,
    /// and in none of these.
    none: Option<Vec<String>>,
}

/// A rule, whose members form a cohort of its name.
#[derive(Object)]
struct RuleRequest {
    /// The name; of a new rule also the slug of its cohort.
    #[oai(validator(max_length = "80", min_length = "1"))]
    name: String,
    /// The rule, in CEL.
    #[oai(validator(max_length = "2000", min_length = "1"))]
    expression: String,
    /// What it is for.
    #[oai(validator(max_length = "500"))]
    description: Option<String>,
}

/// A rule to be tried.
#[derive(Object)]
struct PreviewRequest {
    /// The rule, in CEL.
    #[oai(validator(max_length = "2000", min_length = "1"))]
    expression: String,
    /// How many members to show, 1 to 50.
    #[oai(
        validator(minimum(value = "1"), maximum(value = "50")),
        default = "default_sample"
    )]
    limit: u32,
}

/// Cohorts to be put together.
#[derive(Object)]
struct CombineRequest {
    /// In each of these,
    #[oai(default)]
    all: Vec<String>,
    /// in at least one of these,
    #[oai(default)]
    any: Vec<String>,
    /// and in none of these.
    #[oai(default)]
    none: Vec<String>,
    /// How many people to show, 1 to 50.
    #[oai(
        validator(minimum(value = "1"), maximum(value = "50")),
        default = "default_sample"
    )]
    limit: u32,
}

/// Which version to go back to.
#[derive(Object)]
struct RollbackRequest {
    /// Its number.
    version: u32,
}

/// What became of a definition.
#[derive(Object)]
struct DefinedBody {
    /// The cohort as it is now; null if it is gone.
    cohort: Option<CohortBody>,
    /// Gives everybody the memberships that follow.
    backfill: BackfillBody,
}

#[derive(ApiResponse)]
enum Created {
    /// It is there, and its members are being found.
    #[oai(status = 201)]
    Created(Json<DefinedBody>),
}

/// How many people a rule would have.
#[derive(Object)]
struct PreviewBody {
    /// How many people were looked at, spread over all.
    examined: u64,
    /// How many of these would be members.
    matched: u64,
    /// Of how many of these it asks what is not known; these would be none.
    undecided: u64,
    /// How many people there are, about.
    people: u64,
    /// How many members there would be, about.
    estimate: u64,
    /// Whether everybody was looked at, and the numbers are exact.
    exact: bool,
    /// Some who would be members.
    sample: Vec<UserProfileBody>,
}

/// Cohorts put together.
#[derive(Object)]
struct CombinedBody {
    /// How many people are in it, exactly.
    size: u64,
    /// The rule that says the same.
    expression: String,
    /// Some of them.
    sample: Vec<UserProfileBody>,
}

/// How many people two cohorts share.
#[derive(Object)]
struct OverlapBody {
    /// The names of the two.
    cohorts: Vec<String>,
    /// How many are in both.
    shared: u64,
    /// The share of these among all who are in either, 0 to 1.
    likeness: f64,
}

/// Each two of some cohorts.
#[derive(Object)]
struct OverlapsBody {
    /// The pairs.
    overlaps: Vec<OverlapBody>,
}

/// A definition that there is or was.
#[derive(Object)]
struct VersionBody {
    /// Its number.
    version: u32,
    /// The name.
    name: String,
    /// What belongs there.
    description: String,
    /// `interest` or `rule`.
    kind: String,
    /// Typical interests.
    examples: Vec<String>,
    /// The least score of a member, of a cohort by interest.
    threshold: Option<f32>,
    /// The rule, of a cohort by rule.
    expression: Option<String>,
    /// Who made it.
    by: String,
    /// When.
    at: Timestamp,
}

/// The versions of a cohort, the latest first.
#[derive(Object)]
struct VersionsBody {
    /// All of them.
    versions: Vec<VersionBody>,
}

/// A rule that may be saved.
#[derive(Object)]
struct CheckedBody {
    /// Always true: what is wrong is an error that tells where.
    ok: bool,
}

#[expect(clippy::unused_async, reason = "the framework awaits every handler")]
#[OpenApi]
impl DefinitionsApi {
    /// Every cohort with its size
    #[oai(
        path = "/cohorts",
        method = "get",
        tag = "Tag::Cohorts",
        operation_id = "cohorts"
    )]
    async fn cohorts(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<CohortsBody>, ApiError> {
        Ok(Json(CohortsBody::of(services.cohorts.all())))
    }

    /// Define a cohort
    ///
    /// By interest (`description`, `examples`, `threshold`), by a rule (`expression`), or by other
    /// cohorts (`all`, `any`, `none`). Its members are found in the background; who comes from
    /// now on is judged by it at once.
    #[oai(
        path = "/cohorts",
        method = "post",
        tag = "Tag::Cohorts",
        operation_id = "createCohort"
    )]
    async fn create(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        request: Body<CohortRequest>,
    ) -> Result<Created, ApiError> {
        let defined = services
            .definitions
            .create(request.0.into(), &caller.0.name)
            .await?;
        Ok(Created::Created(Json(defined.into())))
    }

    /// One cohort
    #[oai(
        path = "/cohorts/:cohort",
        method = "get",
        tag = "Tag::Cohorts",
        operation_id = "cohort"
    )]
    async fn cohort(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug, in any case.
        cohort: Path<String>,
    ) -> Result<Json<CohortBody>, ApiError> {
        Ok(Json(services.cohorts.one(&cohort)?.into()))
    }

    /// Define a cohort anew
    ///
    /// It keeps its slug, and becomes what the request says as a whole.
    #[oai(
        path = "/cohorts/:cohort",
        method = "put",
        tag = "Tag::Cohorts",
        operation_id = "changeCohort"
    )]
    async fn replace(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug, in any case.
        cohort: Path<String>,
        request: Body<CohortRequest>,
    ) -> Result<Json<DefinedBody>, ApiError> {
        let defined = services
            .definitions
            .replace(&cohort, request.0.into(), &caller.0.name)
            .await?;
        Ok(Json(defined.into()))
    }

    /// Drop a cohort
    ///
    /// Whoever is in it leaves it. A cohort that rules name can't be dropped.
    #[oai(
        path = "/cohorts/:cohort",
        method = "delete",
        tag = "Tag::Cohorts",
        operation_id = "deleteCohort"
    )]
    async fn delete(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug, in any case.
        cohort: Path<String>,
    ) -> Result<Json<DefinedBody>, ApiError> {
        let defined = services.definitions.drop_cohort(&cohort, &caller.0.name).await?;
        Ok(Json(defined.into()))
    }

    /// The versions of a cohort
    #[oai(
        path = "/cohorts/:cohort/versions",
        method = "get",
        tag = "Tag::Cohorts",
        operation_id = "cohortVersions"
    )]
    async fn versions(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug; also of one that was dropped.
        cohort: Path<String>,
    ) -> Result<Json<VersionsBody>, ApiError> {
        let versions = services.definitions.versions(&cohort).await?;
        Ok(Json(VersionsBody {
            versions: versions.into_iter().map(VersionBody::from).collect(),
        }))
    }

    /// Go back to a version
    ///
    /// What it was becomes a version of its own. A cohort that was dropped comes back.
    #[oai(
        path = "/cohorts/:cohort/rollback",
        method = "post",
        tag = "Tag::Cohorts",
        operation_id = "rollBackCohort"
    )]
    async fn roll_back(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        /// The cohort's name or slug; also of one that was dropped.
        cohort: Path<String>,
        request: Body<RollbackRequest>,
    ) -> Result<Json<DefinedBody>, ApiError> {
        let definitions = &services.definitions;
        let defined = definitions
            .roll_back(&cohort, request.0.version, &caller.0.name)
            .await?;
        Ok(Json(defined.into()))
    }

    /// Try a rule
    ///
    /// Says how many people it would have, and shows some, before anything is saved. Of a large
    /// platform it looks at a part, for two seconds, and estimates.
    #[oai(
        path = "/cohorts/preview",
        method = "post",
        tag = "Tag::Cohorts",
        operation_id = "previewCohort"
    )]
    async fn preview(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        request: Body<PreviewRequest>,
    ) -> Result<Json<PreviewBody>, ApiError> {
        let sight = services.sights.of(caller.0.role);
        let preview = services
            .definitions
            .preview(&request.expression, request.limit, sight)
            .await?;
        Ok(Json(preview.into()))
    }

    /// Put cohorts together
    ///
    /// Union, intersection and difference at once and exactly, without defining anything. The
    /// rule that says the same comes along, to be saved.
    #[oai(
        path = "/cohorts/combine",
        method = "post",
        tag = "Tag::Cohorts",
        operation_id = "combineCohorts"
    )]
    async fn combine(
        &self,
        caller: MayRead,
        services: Data<&Arc<Services>>,
        request: Body<CombineRequest>,
    ) -> Result<Json<CombinedBody>, ApiError> {
        let CombineRequest {
            all,
            any,
            none,
            limit,
        } = request.0;
        let sight = services.sights.of(caller.0.role);
        let combined = services
            .definitions
            .combine(&Parts { all, any, none }, limit, sight)
            .await?;
        Ok(Json(combined.into()))
    }

    /// What cohorts share
    ///
    /// Each two of the named ones, of all if none are named.
    #[oai(
        path = "/cohorts/overlap",
        method = "get",
        tag = "Tag::Cohorts",
        operation_id = "cohortOverlap"
    )]
    async fn overlap(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// Names or slugs, with commas between.
        cohorts: Query<Option<String>>,
    ) -> Result<Json<OverlapsBody>, ApiError> {
        let named = cohorts.0.as_deref().unwrap_or_default();
        let named: Vec<String> = (named.split(',').map(str::trim))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let overlaps = services.definitions.overlaps(&named)?;
        Ok(Json(OverlapsBody {
            overlaps: overlaps.into_iter().map(OverlapBody::from).collect(),
        }))
    }

    /// Every cohort by rule
    #[oai(path = "/rules", method = "get", tag = "Tag::Cohorts", operation_id = "rules")]
    async fn rules(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<CohortsBody>, ApiError> {
        Ok(Json(CohortsBody::of(services.cohorts.rules())))
    }

    /// Save a rule
    ///
    /// Its members form a cohort of its name.
    #[oai(
        path = "/rules",
        method = "post",
        tag = "Tag::Cohorts",
        operation_id = "createRule"
    )]
    async fn create_rule(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        request: Body<RuleRequest>,
    ) -> Result<Created, ApiError> {
        let defined = services
            .definitions
            .create(request.0.into(), &caller.0.name)
            .await?;
        Ok(Created::Created(Json(defined.into())))
    }

    /// One cohort by rule
    #[oai(
        path = "/rules/:rule",
        method = "get",
        tag = "Tag::Cohorts",
        operation_id = "rule"
    )]
    async fn rule(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The name or slug of its cohort, in any case.
        rule: Path<String>,
    ) -> Result<Json<CohortBody>, ApiError> {
        Ok(Json(services.cohorts.rule(&rule)?.into()))
    }

    /// Change a rule
    #[oai(
        path = "/rules/:rule",
        method = "put",
        tag = "Tag::Cohorts",
        operation_id = "changeRule"
    )]
    async fn replace_rule(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        /// The name or slug of its cohort, in any case.
        rule: Path<String>,
        request: Body<RuleRequest>,
    ) -> Result<Json<DefinedBody>, ApiError> {
        let defined = services
            .definitions
            .replace(&rule, request.0.into(), &caller.0.name)
            .await?;
        Ok(Json(defined.into()))
    }

    /// Drop a rule
    #[oai(
        path = "/rules/:rule",
        method = "delete",
        tag = "Tag::Cohorts",
        operation_id = "deleteRule"
    )]
    async fn delete_rule(
        &self,
        caller: MayDefine,
        services: Data<&Arc<Services>>,
        /// The name or slug of its cohort, in any case.
        rule: Path<String>,
    ) -> Result<Json<DefinedBody>, ApiError> {
        let defined = services.definitions.drop_cohort(&rule, &caller.0.name).await?;
        Ok(Json(defined.into()))
    }

    /// Check a rule
    ///
    /// What is wrong is an error that says where, and what would be right.
    #[oai(
        path = "/rules/check",
        method = "post",
        tag = "Tag::Cohorts",
        operation_id = "checkRule"
    )]
    async fn check(
        &self,
        _caller: MayDefine,
        services: Data<&Arc<Services>>,
        request: Body<PreviewRequest>,
    ) -> Result<Json<CheckedBody>, ApiError> {
        services.definitions.check(&request.expression)?;
        Ok(Json(CheckedBody { ok: true }))
    }
}

const fn default_sample() -> u32 {
    10
}

impl From<CohortRequest> for Draft {
    fn from(request: CohortRequest) -> Self {
        let CohortRequest { all, any, none, .. } = request;
        let is_combined = all.is_some() || any.is_some() || none.is_some();
        Self {
            name: request.name,
            description: request.description.unwrap_or_default(),
            examples: request.examples.unwrap_or_default(),
            threshold: request.threshold,
            expression: request.expression,
            combination: is_combined.then(|| Parts {
                all: all.unwrap_or_default(),
                any: any.unwrap_or_default(),
                none: none.unwrap_or_default(),
            }),
        }
    }
}

impl From<RuleRequest> for Draft {
    fn from(request: RuleRequest) -> Self {
        Self {
            name: request.name,
            description: request.description.unwrap_or_default(),
            expression: Some(request.expression),
            ..Self::default()
        }
    }
}

impl From<Defined> for DefinedBody {
    fn from(defined: Defined) -> Self {
        Self {
            cohort: defined.cohort.map(CohortBody::from),
            backfill: defined.backfill.into(),
        }
    }
}

impl From<Preview> for PreviewBody {
    fn from(preview: Preview) -> Self {
        Self {
            examined: preview.examined,
            matched: preview.matched,
            undecided: preview.undecided,
            people: preview.people,
            estimate: preview.estimate,
            exact: preview.is_exact,
            sample: plain(preview.sample),
        }
    }
}

impl From<Combined> for CombinedBody {
    fn from(combined: Combined) -> Self {
        Self {
            size: combined.size,
            expression: combined.expression,
            sample: plain(combined.sample),
        }
    }
}

fn plain(users: Vec<crate::services::view::UserProfile>) -> Vec<UserProfileBody> {
    let no_detail = BTreeSet::new();
    users
        .into_iter()
        .map(|user| UserProfileBody::of(user, &no_detail))
        .collect()
}

impl From<Overlap> for OverlapBody {
    fn from(overlap: Overlap) -> Self {
        Self {
            cohorts: overlap.cohorts.into(),
            shared: overlap.shared,
            likeness: overlap.likeness,
        }
    }
}

impl From<VersionView> for VersionBody {
    fn from(view: VersionView) -> Self {
        let definition = view.definition;
        let (version, kind) = (definition.version(), definition.kind().to_owned());
        let (name, description) = (definition.name().to_owned(), definition.description().to_owned());
        let (examples, threshold, expression) = match definition {
            Definition::Interest(cohort) => (cohort.examples, Some(cohort.threshold), None),
            Definition::Rule(rule) => (Vec::new(), None, Some(rule.expression)),
        };
        Self {
            version,
            name,
            description,
            kind,
            examples,
            threshold,
            expression,
            by: view.by,
            at: view.at,
        }
    }
}
