//! The quality of a batch, as its record holds it: one JSON text, since it is read and written
//! as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::domain::quality::{BadValue, Field, FieldCounts, Quality, TopValues};

#[derive(Serialize, Deserialize)]
struct Document {
    warnings: u64,
    /// Filled, invalid, repaired and dropped, by the field's name.
    fields: BTreeMap<String, [u64; 4]>,
    /// Field, code, and how often.
    findings: Vec<(String, String, u64)>,
    /// Field, code, value, and how often at least.
    values: Vec<(String, String, String, u64)>,
    /// By how much these may be too low.
    missed: u64,
}

/// A quality as a text; none if it says nothing.
pub(super) fn quality_text(quality: &Quality) -> Option<String> {
    if *quality == Quality::default() {
        return None;
    }
    let counts = |field: Field| {
        let counts = quality.of(field);
        let counts = [counts.filled, counts.invalid, counts.repaired, counts.dropped];
        (counts != [0; 4]).then(|| (field.name().to_owned(), counts))
    };
    let finding = |((field, code), count): (&(Field, _), &u64)| {
        (field.name().to_owned(), ToString::to_string(code), *count)
    };
    let value = |(bad, count): (&BadValue, u64)| {
        let value = bad.value.clone()?;
        Some((bad.field.name().to_owned(), bad.code.to_string(), value, count))
    };
    let document = Document {
        warnings: quality.warnings,
        fields: Field::all().filter_map(counts).collect(),
        findings: quality.findings.iter().map(finding).collect(),
        values: quality.values.iter().filter_map(value).collect(),
        missed: quality.values.missed(),
    };
    serde_json::to_string(&document).ok()
}

/// The quality in a text. What it says of fields that are no more is left out.
pub(super) fn quality_of(text: &str) -> Result<Quality, StoreError> {
    let document: Document = serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("a batch's quality is torn: {error}")))?;
    let mut quality = Quality::default();
    quality.warnings = document.warnings;
    for (name, [filled, invalid, repaired, dropped]) in document.fields {
        if let Some(field) = Field::named(&name) {
            *quality.of_mut(field) = FieldCounts {
                filled,
                invalid,
                repaired,
                dropped,
            };
        }
    }
    for (name, code, count) in document.findings {
        if let Some(field) = Field::named(&name) {
            quality.findings.insert((field, code.into()), count);
        }
    }
    let values = document
        .values
        .into_iter()
        .filter_map(|(name, code, value, count)| {
            let bad = BadValue {
                field: Field::named(&name)?,
                code: code.into(),
                value: Some(value),
            };
            Some((bad, count))
        });
    quality.values = TopValues::new(values, document.missed);
    Ok(quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quality::Observation;

    #[test]
    fn a_quality_reads_back() {
        let mut quality = Quality::default();
        assert_eq!(quality_text(&quality), None);
        for field in Field::all() {
            let mut row = Observation::default();
            row.filled.insert(field);
            row.repaired.insert(field);
            row.dropped.insert(field);
            row.bad = ["1", "2"]
                .map(|value| BadValue {
                    field,
                    code: "invalid".into(),
                    value: Some(value.to_owned()),
                })
                .into();
            quality.observe(row);
        }
        let text = quality_text(&quality).unwrap();
        assert_eq!(quality_of(&text).unwrap(), quality);
        assert!(quality_of("{").is_err());
    }
}
