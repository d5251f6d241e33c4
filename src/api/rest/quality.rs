//! `GET /api/ingest/{batch}/quality`: how good the rows of a batch were.

use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use super::Tag;
use crate::api::error::ApiError;
use crate::api::guard::MayIngest;
use crate::services::Services;
use crate::services::quality::{BadValueReport, FieldReport, FindingReport, QualityReport};

/// How good records were.
pub struct QualityApi;

/// What is counted of one field.
#[derive(Object)]
pub struct FieldQualityBody {
    /// Its name; empty for the row as a whole.
    field: String,
    /// Rows that have a value for it.
    filled: u64,
    /// Rows with something wrong in it, refused or not.
    invalid: u64,
    /// Stored rows whose value was brought to another form.
    repaired: u64,
    /// Rows that are stored without the value they have for it.
    dropped: u64,
}

/// One thing that was wrong.
#[derive(Object)]
pub struct FindingBody {
    /// The field; empty for the row as a whole.
    field: String,
    /// A stable word for programs, for example `out_of_range`.
    code: String,
    /// How often.
    count: u64,
}

/// One value that was wrong.
#[derive(Object)]
pub struct BadValueBody {
    /// The field.
    field: String,
    /// What is wrong with it.
    code: String,
    /// The value, cut. Of what may tell who somebody is only the shape is shown, such as
    /// `aaa@` or `+9 999`.
    value: String,
    /// How often, at least.
    count: u64,
}

/// How good the rows of a batch were, or of all parts of a file.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub struct QualityBody {
    /// The batch; none of a file.
    batch_id: Option<String>,
    /// Rows that were read, good or bad.
    rows: u64,
    /// Rows that were refused.
    rejected: u64,
    /// Rows whose message id had come before.
    duplicates: u64,
    /// Findings for which no row was refused.
    warnings: u64,
    /// The fields that were filled or found wrong.
    fields: Vec<FieldQualityBody>,
    /// What was wrong, most frequent first.
    findings: Vec<FindingBody>,
    /// The values that were wrong most often.
    bad_values: Vec<BadValueBody>,
    /// By how much the counts of bad values may be too low: 0 while there are few.
    bad_values_missed: u64,
}

#[OpenApi]
impl QualityApi {
    /// How good the rows of a batch were
    ///
    /// As far as the batch has come. Of one that was stored before there were such reports
    /// only the numbers of rows are known.
    #[oai(
        path = "/ingest/:batch/quality",
        method = "get",
        tag = "Tag::Ingest",
        operation_id = "quality"
    )]
    async fn quality(
        &self,
        _caller: MayIngest,
        services: Data<&Arc<Services>>,
        batch: Path<String>,
    ) -> Result<Json<QualityBody>, ApiError> {
        let (_, progress) = services.ingest.batch(&batch.0).await?;
        Ok(Json(QualityReport::of(&progress).into()))
    }
}

impl From<QualityReport> for QualityBody {
    fn from(report: QualityReport) -> Self {
        Self {
            batch_id: report.batch,
            rows: report.rows,
            rejected: report.rejected,
            duplicates: report.duplicates,
            warnings: report.warnings,
            fields: report.fields.into_iter().map(FieldQualityBody::from).collect(),
            findings: report.findings.into_iter().map(FindingBody::from).collect(),
            bad_values: report.bad_values.into_iter().map(BadValueBody::from).collect(),
            bad_values_missed: report.bad_values_missed,
        }
    }
}

impl From<FieldReport> for FieldQualityBody {
    fn from(report: FieldReport) -> Self {
        Self {
            field: report.field.to_owned(),
            filled: report.filled,
            invalid: report.invalid,
            repaired: report.repaired,
            dropped: report.dropped,
        }
    }
}

impl From<FindingReport> for FindingBody {
    fn from(report: FindingReport) -> Self {
        Self {
            field: report.field.to_owned(),
            code: report.code,
            count: report.count,
        }
    }
}

impl From<BadValueReport> for BadValueBody {
    fn from(report: BadValueReport) -> Self {
        Self {
            field: report.field.to_owned(),
            code: report.code,
            value: report.value,
            count: report.count,
        }
    }
}
