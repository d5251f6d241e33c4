//! What validation goes by: what can be wrong with a row, and what follows from that.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::settings::PlusAddresses;
use crate::domain::fact::Attribute;
use crate::domain::placeholder::Placeholders;
use crate::domain::quality::Field;

/// What follows from a finding, mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A warning: the value is stored as it was written.
    Keep,
    /// A warning: the row is stored without the value.
    Drop,
    /// The row is refused.
    Error,
}

use Severity::{Drop, Error, Keep};

/// One thing that can be wrong with a field.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The field.
    pub field: Field,
    /// The word for it.
    pub code: &'static str,
    /// What follows, unless the settings say otherwise.
    pub severity: Severity,
    /// The mildest that the settings may say: a value that can't be stored can't be kept.
    pub mildest: Severity,
}

const fn kind(field: Field, code: &'static str, severity: Severity, mildest: Severity) -> Kind {
    Kind {
        field,
        code,
        severity,
        mildest,
    }
}

const FIRST_NAME: Field = Field::Of(Attribute::FirstName);
const LAST_NAME: Field = Field::Of(Attribute::LastName);
const PHONE: Field = Field::Of(Attribute::Phone);
const CITY: Field = Field::Of(Attribute::City);
const STATE: Field = Field::Of(Attribute::State);
const COUNTRY: Field = Field::Of(Attribute::Country);
const AGE: Field = Field::Of(Attribute::Age);
const GENDER: Field = Field::Of(Attribute::Gender);
const EDUCATION: Field = Field::Of(Attribute::Education);
const INCOME: Field = Field::Of(Attribute::Income);

/// Everything that can be wrong. A value of the wrong kind is the fault of a program, and
/// refuses the row until that is mended; an answer that is not understood is a person's, and
/// costs no more than itself.
pub const FINDINGS: &[Kind] = &[
    kind(Field::Row, "wrong_type", Error, Error),
    kind(Field::Row, "too_long", Error, Error),
    kind(Field::Row, "syntax", Error, Error),
    kind(Field::Row, "wrong_length", Error, Error),
    kind(Field::Cookie, "required", Error, Error),
    kind(Field::Cookie, "empty", Error, Error),
    kind(Field::Cookie, "wrong_type", Error, Error),
    kind(Field::Cookie, "too_long", Error, Error),
    kind(Field::Cookie, "invalid", Error, Error),
    kind(Field::Cookie, "placeholder", Error, Error),
    kind(Field::Cookie, "duplicate", Error, Error),
    kind(Field::Email, "invalid", Error, Drop),
    kind(Field::Email, "too_long", Error, Drop),
    kind(Field::Email, "wrong_type", Error, Drop),
    kind(Field::Email, "duplicate", Error, Drop),
    kind(Field::Email, "placeholder", Drop, Drop),
    kind(Field::Timestamp, "invalid", Error, Drop),
    kind(Field::Timestamp, "wrong_type", Error, Drop),
    kind(Field::Timestamp, "future", Drop, Drop),
    kind(Field::MessageId, "wrong_type", Error, Drop),
    kind(Field::MessageId, "too_long", Error, Drop),
    kind(Field::MessageId, "duplicate", Error, Drop),
    kind(Field::Interests, "wrong_type", Error, Drop),
    kind(Field::Interests, "too_many", Error, Drop),
    kind(Field::Interests, "too_long", Error, Drop),
    kind(Field::Location, "wrong_type", Error, Drop),
    kind(Field::Location, "invalid", Error, Drop),
    kind(Field::Demographics, "wrong_type", Error, Drop),
    kind(Field::Properties, "wrong_type", Drop, Drop),
    kind(Field::Properties, "too_many", Drop, Drop),
    kind(Field::Properties, "too_long", Drop, Drop),
    kind(Field::Consent, "wrong_type", Error, Drop),
    kind(Field::Consent, "too_many", Error, Drop),
    kind(FIRST_NAME, "wrong_type", Error, Drop),
    kind(FIRST_NAME, "too_long", Error, Drop),
    kind(LAST_NAME, "wrong_type", Error, Drop),
    kind(LAST_NAME, "too_long", Error, Drop),
    kind(PHONE, "wrong_type", Error, Drop),
    kind(PHONE, "invalid", Drop, Drop),
    kind(PHONE, "no_region", Keep, Keep),
    kind(PHONE, "unlikely", Keep, Keep),
    kind(CITY, "wrong_type", Error, Drop),
    kind(CITY, "too_long", Error, Drop),
    kind(STATE, "wrong_type", Error, Drop),
    kind(STATE, "too_long", Error, Drop),
    kind(COUNTRY, "wrong_type", Error, Drop),
    kind(COUNTRY, "too_long", Error, Drop),
    kind(COUNTRY, "no_answer", Drop, Keep),
    kind(COUNTRY, "unknown", Keep, Keep),
    kind(AGE, "wrong_type", Error, Drop),
    kind(AGE, "out_of_range", Error, Drop),
    kind(AGE, "range", Drop, Drop),
    kind(GENDER, "wrong_type", Error, Drop),
    kind(GENDER, "too_long", Error, Drop),
    kind(GENDER, "no_answer", Drop, Keep),
    kind(GENDER, "unknown", Keep, Keep),
    kind(EDUCATION, "wrong_type", Error, Drop),
    kind(EDUCATION, "too_long", Error, Drop),
    kind(EDUCATION, "no_answer", Drop, Keep),
    kind(EDUCATION, "unknown", Keep, Keep),
    kind(INCOME, "wrong_type", Error, Drop),
    kind(INCOME, "too_long", Error, Drop),
    kind(INCOME, "no_answer", Drop, Keep),
    kind(INCOME, "unknown", Keep, Keep),
];

/// What validation goes by.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What is no identifier.
    pub placeholders: Placeholders,
    /// What follows from findings.
    pub severities: Severities,
    /// What becomes of `+shop` in an address.
    pub plus_addresses: PlusAddresses,
    /// The country of telephone numbers that come without one, in records without one, by its
    /// alpha-2 code; empty for none.
    pub phone_region: String,
}

/// What follows from findings, where it is not what [`FINDINGS`] say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Severities(BTreeMap<(Field, &'static str), Severity>);

/// Why severities can't be set like this.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeverityError {
    /// There is no such field or finding.
    #[error("`{0}` is neither a field nor a finding such as `phone_number.unlikely`")]
    Unknown(String),
    /// What is wrong can't be stored, or leaves no row to store.
    #[error("`{name}` can't be as mild as that: at least `{}`", word(*.mildest))]
    TooMild {
        /// The field or finding.
        name: String,
        /// The mildest there is.
        mildest: Severity,
    },
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Keep => "keep",
        Drop => "drop",
        Error => "error",
    }
}

impl Severities {
    /// Reads severities by field or by `field.code`; of the two the second one counts. What a
    /// field says is bounded for each of its findings by what that one allows.
    ///
    /// # Errors
    /// When there is no such field or finding, or it can't be so mild.
    pub fn new(table: &BTreeMap<String, Severity>) -> Result<Self, SeverityError> {
        let mut of_fields = BTreeMap::new();
        let mut of_findings = BTreeMap::new();
        for (name, severity) in table {
            let of_field = |kind: &&Kind| kind.field.name() == name && kind.field != Field::Row;
            let of_finding = |kind: &&Kind| {
                name.strip_suffix(kind.code)
                    .and_then(|name| name.strip_suffix('.'))
                    == Some(kind.field.name())
            };
            let (named, kinds): (_, Vec<&Kind>) = match FINDINGS.iter().find(of_finding) {
                Some(kind) => (&mut of_findings, vec![kind]),
                None => (&mut of_fields, FINDINGS.iter().filter(of_field).collect()),
            };
            let Some(mildest) = kinds.iter().map(|kind| kind.mildest).min() else {
                return Err(SeverityError::Unknown(name.clone()));
            };
            if *severity < mildest {
                let name = name.clone();
                return Err(SeverityError::TooMild { name, mildest });
            }
            named.extend(
                kinds
                    .into_iter()
                    .map(|kind| ((kind.field, kind.code), (*severity).max(kind.mildest))),
            );
        }
        of_fields.append(&mut of_findings);
        Ok(Self(of_fields))
    }

    /// What follows from a finding.
    #[must_use]
    pub fn of(&self, field: Field, code: &'static str) -> Severity {
        self.0.get(&(field, code)).copied().unwrap_or_else(|| {
            FINDINGS
                .iter()
                .find(|kind| kind.field == field && kind.code == code)
                .map_or(Error, |kind| kind.severity)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severities(table: &[(&str, Severity)]) -> Result<Severities, SeverityError> {
        Severities::new(
            &table
                .iter()
                .map(|(name, severity)| ((*name).to_owned(), *severity))
                .collect(),
        )
    }

    #[test]
    fn a_finding_counts_before_its_field_and_a_field_before_the_table() {
        let severities = severities(&[
            ("phone_number", Error),
            ("phone_number.no_region", Drop),
            ("demographics.age", Drop),
        ])
        .unwrap();
        assert_eq!(severities.of(PHONE, "invalid"), Error);
        assert_eq!(severities.of(PHONE, "unlikely"), Error);
        assert_eq!(severities.of(PHONE, "no_region"), Drop);
        assert_eq!(severities.of(AGE, "out_of_range"), Drop);
        assert_eq!(severities.of(COUNTRY, "unknown"), Keep);
        assert_eq!(severities.of(Field::Email, "invalid"), Error);
    }

    #[test]
    fn a_field_is_as_mild_as_each_of_its_findings_allows() {
        let severities = severities(&[("phone_number", Keep)]).unwrap();
        assert_eq!(severities.of(PHONE, "unlikely"), Keep);
        assert_eq!(severities.of(PHONE, "invalid"), Drop);
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for name in ["phone", "phone_number.wrong", "demographics.", ""] {
            assert_eq!(
                severities(&[(name, Drop)]),
                Err(SeverityError::Unknown(name.to_owned()))
            );
        }
        for (name, severity, mildest) in [
            ("cookie", Drop, Error),
            ("cookie.empty", Keep, Error),
            ("email.invalid", Keep, Drop),
            ("demographics.age", Keep, Drop),
        ] {
            let name = name.to_owned();
            assert_eq!(
                severities(&[(&name, severity)]),
                Err(SeverityError::TooMild {
                    name: name.clone(),
                    mildest
                })
            );
        }
    }

    /// The documentation is the contract of whoever reads the findings.
    #[test]
    fn every_finding_is_documented_with_its_severity() {
        let documented = include_str!("../../../docs/INGESTION.md");
        for kind in FINDINGS {
            let field = match kind.field {
                Field::Row => "the row".to_owned(),
                field => format!("`{}`", field.name()),
            };
            let row = format!(
                "| {field} | `{}` | {} | {} |",
                kind.code,
                word(kind.severity),
                word(kind.mildest)
            );
            assert!(documented.contains(&row), "docs/INGESTION.md lacks: {row}");
        }
    }
}
