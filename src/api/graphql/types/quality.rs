//! How good records were.

use async_graphql::SimpleObject;

use crate::services::quality::{BadValueReport, FieldReport, FindingReport, QualityReport};

/// How good the records of a batch were.
#[derive(SimpleObject)]
pub struct BatchQuality {
    /// Records that were read, good or bad.
    rows: u64,
    /// Records that were refused.
    rejected: u64,
    /// Records that had come before, by their `message_id`.
    duplicates: u64,
    /// Findings for which no record was refused.
    warnings: u64,
    /// The fields that were filled or found wrong.
    fields: Vec<FieldQuality>,
    /// What was wrong, most frequent first.
    findings: Vec<FindingCount>,
    /// The values that were wrong most often.
    bad_values: Vec<BadValue>,
    /// By how much the counts of bad values may be too low: 0 while there are few.
    bad_values_missed: u64,
}

/// What is counted of one field.
#[derive(SimpleObject)]
pub struct FieldQuality {
    /// Its name, for example `demographics.age`; empty for the record as a whole.
    field: &'static str,
    /// Records that have a value for it.
    filled: u64,
    /// Records with something wrong in it, refused or not.
    invalid: u64,
    /// Stored records whose value was brought to another form.
    repaired: u64,
    /// Records that are stored without the value they have for it.
    dropped: u64,
}

/// How often something was wrong.
#[derive(SimpleObject)]
pub struct FindingCount {
    /// The field; empty for the record as a whole.
    field: &'static str,
    /// A word to match on, for example `out_of_range`.
    code: String,
    /// How often.
    count: u64,
}

/// How often a value was wrong.
#[derive(SimpleObject)]
pub struct BadValue {
    /// The field.
    field: &'static str,
    /// What is wrong with it.
    code: String,
    /// The value, cut; only its shape where it may tell who somebody is.
    value: String,
    /// How often, at least.
    count: u64,
}

impl From<QualityReport> for BatchQuality {
    fn from(report: QualityReport) -> Self {
        Self {
            rows: report.rows,
            rejected: report.rejected,
            duplicates: report.duplicates,
            warnings: report.warnings,
            fields: report.fields.into_iter().map(FieldQuality::from).collect(),
            findings: report.findings.into_iter().map(FindingCount::from).collect(),
            bad_values: report.bad_values.into_iter().map(BadValue::from).collect(),
            bad_values_missed: report.bad_values_missed,
        }
    }
}

impl From<FieldReport> for FieldQuality {
    fn from(report: FieldReport) -> Self {
        Self {
            field: report.field,
            filled: report.filled,
            invalid: report.invalid,
            repaired: report.repaired,
            dropped: report.dropped,
        }
    }
}

impl From<FindingReport> for FindingCount {
    fn from(report: FindingReport) -> Self {
        Self {
            field: report.field,
            code: report.code,
            count: report.count,
        }
    }
}

impl From<BadValueReport> for BadValue {
    fn from(report: BadValueReport) -> Self {
        Self {
            field: report.field,
            code: report.code,
            value: report.value,
            count: report.count,
        }
    }
}
