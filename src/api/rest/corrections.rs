//! `/api/corrections`: what people say of single interests; `/api/backfills`: what becomes of
//! everybody who has them.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use super::body::Body;
use crate::api::error::ApiError;
use crate::api::guard::{MayClassify, MayRead};
use crate::domain::Timestamp;
use crate::services::Services;
use crate::services::backfill::BackfillView;
use crate::services::corrections::CorrectionView;

/// Correcting the classifier.
pub struct CorrectionsApi;

/// Where an interest belongs.
#[derive(Object)]
pub struct CorrectionRequest {
    /// The interest, in any spelling of case and spaces.
    interest: String,
    /// The names or slugs of its cohorts; none when it belongs nowhere.
    cohorts: Vec<String>,
}

/// What somebody said of an interest.
#[derive(Object)]
pub struct CorrectionBody {
    /// The interest in canonical form.
    interest: String,
    /// The names of its cohorts; none when it belongs nowhere.
    cohorts: Vec<String>,
    /// Who said so.
    by: String,
    /// When.
    at: Timestamp,
}

/// Corrections, by interest.
#[derive(Object)]
pub struct CorrectionsBody {
    /// All of them.
    corrections: Vec<CorrectionBody>,
}

/// A walk over all profiles, whose memberships are made anew.
#[derive(Object)]
pub struct BackfillBody {
    /// Its id.
    id: String,
    /// Why: `correction` of an interest, another `model`, or a `cohort` that was defined,
    /// changed or dropped.
    cause: String,
    /// The interest, the model or the cohort.
    subject: String,
    /// Who brought it about.
    by: String,
    /// How much of it is done, 0 to 1.
    progress: f64,
    /// How many people's memberships it changed.
    changed: u64,
    /// When it began.
    started_at: Timestamp,
    /// When it last got on.
    updated_at: Timestamp,
    /// When it ended; null while it is under way.
    finished_at: Option<Timestamp>,
}

/// Backfills, the latest first.
#[derive(Object)]
pub struct BackfillsBody {
    /// All of them.
    backfills: Vec<BackfillBody>,
}

/// A correction that was taken, and what follows from it.
#[derive(Object)]
pub struct Corrected {
    /// The correction.
    correction: CorrectionBody,
    /// Gives everybody who has the interest the cohorts that follow.
    backfill: BackfillBody,
}

impl From<CorrectionView> for CorrectionBody {
    fn from(view: CorrectionView) -> Self {
        Self {
            interest: view.interest,
            cohorts: view.cohorts,
            by: view.by,
            at: view.at,
        }
    }
}

impl From<BackfillView> for BackfillBody {
    fn from(view: BackfillView) -> Self {
        Self {
            id: view.id,
            cause: view.cause.to_owned(),
            subject: view.subject,
            by: view.by,
            progress: view.progress,
            changed: view.changed,
            started_at: view.started_at,
            updated_at: view.updated_at,
            finished_at: view.finished_at,
        }
    }
}

#[OpenApi]
impl CorrectionsApi {
    /// List corrections
    #[oai(
        path = "/corrections",
        method = "get",
        tag = "Tag::Classify",
        operation_id = "listCorrections"
    )]
    async fn list(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<CorrectionsBody>, ApiError> {
        let corrections = services.corrections.list().await?;
        Ok(Json(CorrectionsBody {
            corrections: corrections.into_iter().map(CorrectionBody::from).collect(),
        }))
    }

    /// Say where an interest belongs
    ///
    /// It is certain, goes before what the model says, and counts as an example from then on.
    /// Everybody who has the interest gets the cohorts that follow, in the background.
    #[oai(
        path = "/corrections",
        method = "put",
        tag = "Tag::Classify",
        operation_id = "correctInterest"
    )]
    async fn put(
        &self,
        caller: MayClassify,
        services: Data<&Arc<Services>>,
        request: Body<CorrectionRequest>,
    ) -> Result<Json<Corrected>, ApiError> {
        let Body(CorrectionRequest { interest, cohorts }) = request;
        let (correction, backfill) = services
            .corrections
            .put(&interest, &cohorts, &caller.0.name)
            .await?;
        Ok(Json(Corrected {
            correction: correction.into(),
            backfill: backfill.into(),
        }))
    }

    /// Leave an interest to the model again
    #[oai(
        path = "/corrections",
        method = "delete",
        tag = "Tag::Classify",
        operation_id = "withdrawCorrection"
    )]
    async fn withdraw(
        &self,
        caller: MayClassify,
        services: Data<&Arc<Services>>,
        /// The interest.
        interest: Query<String>,
    ) -> Result<Json<BackfillBody>, ApiError> {
        let backfill = services.corrections.withdraw(&interest, &caller.0.name).await?;
        Ok(Json(backfill.into()))
    }

    /// List backfills
    #[oai(
        path = "/backfills",
        method = "get",
        tag = "Tag::Classify",
        operation_id = "listBackfills"
    )]
    async fn backfills(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
    ) -> Result<Json<BackfillsBody>, ApiError> {
        let backfills = services.backfills.list().await?;
        Ok(Json(BackfillsBody {
            backfills: backfills.into_iter().map(BackfillBody::from).collect(),
        }))
    }

    /// Watch a backfill
    #[oai(
        path = "/backfills/:id",
        method = "get",
        tag = "Tag::Classify",
        operation_id = "getBackfill"
    )]
    async fn backfill(
        &self,
        _caller: MayRead,
        services: Data<&Arc<Services>>,
        /// The backfill's id.
        id: Path<String>,
    ) -> Result<Json<BackfillBody>, ApiError> {
        Ok(Json(services.backfills.get(&id).await?.into()))
    }
}
