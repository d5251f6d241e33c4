//! How good the rows of a batch were, as both APIs show it.

use super::ingest::files::FileReport;
use crate::domain::quality::{BadValue, Field, Quality};
use crate::store::commit::BatchProgress;

/// The most bad values that a report lists.
pub const VALUES_SHOWN_MAX: usize = 20;

/// How good the rows of a batch were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QualityReport {
    /// The batch; none of several together.
    pub batch: Option<String>,
    /// Rows that were read, good or bad.
    pub rows: u64,
    /// Rows that were refused.
    pub rejected: u64,
    /// Rows whose message id had come before.
    pub duplicates: u64,
    /// Findings for which no row was refused.
    pub warnings: u64,
    /// The fields of which there is anything to say, in a fixed order.
    pub fields: Vec<FieldReport>,
    /// What was wrong, most frequent first.
    pub findings: Vec<FindingReport>,
    /// The values that were wrong most often: at most [`VALUES_SHOWN_MAX`].
    pub bad_values: Vec<BadValueReport>,
    /// By how much the counts of bad values may be too low.
    pub bad_values_missed: u64,
}

/// What is counted of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldReport {
    /// Its name; empty for the row as a whole.
    pub field: &'static str,
    /// Rows that have a value.
    pub filled: u64,
    /// Rows with something wrong in it.
    pub invalid: u64,
    /// Stored rows whose value was brought to another form.
    pub repaired: u64,
    /// Rows that are stored without the value they have.
    pub dropped: u64,
}

/// One thing that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingReport {
    /// The field.
    pub field: &'static str,
    /// The word for it.
    pub code: String,
    /// How often.
    pub count: u64,
}

/// One value that was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadValueReport {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub code: String,
    /// The value, cut; of what may tell who somebody is, its shape.
    pub value: String,
    /// How often.
    pub count: u64,
}

impl QualityReport {
    /// The report of a batch, as far as it has come.
    #[must_use]
    pub fn of(progress: &BatchProgress) -> Self {
        Self {
            batch: Some(progress.id.to_string()),
            rows: progress.processed,
            rejected: progress.rejected,
            duplicates: progress.duplicates,
            ..Self::of_quality(&progress.quality)
        }
    }

    /// The report of a file, all parts together.
    #[must_use]
    pub fn of_file(file: &FileReport) -> Self {
        Self {
            rows: file.processed,
            rejected: file.rejected,
            duplicates: file.duplicates,
            ..Self::of_quality(&file.quality)
        }
    }

    fn of_quality(quality: &Quality) -> Self {
        Self {
            batch: None,
            rows: 0,
            rejected: 0,
            duplicates: 0,
            warnings: quality.warnings,
            fields: fields(quality),
            findings: findings(quality),
            bad_values: bad_values(quality),
            bad_values_missed: quality.values.missed(),
        }
    }
}

fn fields(quality: &Quality) -> Vec<FieldReport> {
    let report = |field: Field| {
        let counts = quality.of(field);
        (counts.filled + counts.invalid > 0).then_some(FieldReport {
            field: field.name(),
            filled: counts.filled,
            invalid: counts.invalid,
            repaired: counts.repaired,
            dropped: counts.dropped,
        })
    };
    Field::all().filter_map(report).collect()
}

fn findings(quality: &Quality) -> Vec<FindingReport> {
    let report = |((field, code), count): (&(Field, _), &u64)| FindingReport {
        field: field.name(),
        code: ToString::to_string(code),
        count: *count,
    };
    let mut findings: Vec<_> = quality.findings.iter().map(report).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.count));
    findings
}

fn bad_values(quality: &Quality) -> Vec<BadValueReport> {
    let report = |(bad, count): (&BadValue, u64)| {
        Some(BadValueReport {
            field: bad.field.name(),
            code: bad.code.to_string(),
            value: bad.value.clone()?,
            count,
        })
    };
    let mut values: Vec<_> = quality.values.iter().filter_map(report).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.count));
    values.truncate(VALUES_SHOWN_MAX);
    values
}
