//! A row becomes a [`Fact`], or every reason why it does not: all findings of a row are
//! told at once, so that it is mended once.
//!
//! What follows from a finding is the [`rules`]' to say: it refuses the row, or the row is
//! stored without the value, or with the value as it was written. [`identifiers`] reads what
//! says who, and when; [`attributes`] and [`properties`] what is said of them.

mod attributes;
mod identifiers;
mod properties;
mod rules;
mod settings;
mod shown;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value as Json;

use super::fields::{self, Fields, kind};
use crate::domain::Timestamp;
use crate::domain::conflict::Refused;
use crate::domain::fact::{Attribute, Fact, Value};
use crate::domain::identifier::{Cookie, Email};
use crate::domain::interest::{Interest, InterestKey};
use crate::domain::property::PropertyValue;
use crate::domain::quality::{BadValue, Field, FieldSet, Observation};
use crate::domain::record::{Finding, Origin, RawId};

pub use rules::{FINDINGS, Kind, Rules, Severities, Severity, SeverityError};
pub use settings::{PlusAddresses, Region, RegionError, Settings, SeveritySettings};

/// The most interests one record may name.
pub const INTERESTS_MAX: usize = 200;

/// Longest message id that is kept, in bytes.
pub const MESSAGE_ID_BYTES_MAX: usize = 200;

/// How far a sender's clock may be ahead. An event from further in the future is taken to
/// have happened when it arrived, since otherwise it would win over all that follows.
pub const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// A row that was judged.
#[derive(Debug)]
pub struct Judged {
    /// The fact; or every finding that keeps the row from being one, at least one.
    pub fact: Result<Fact, Vec<Finding>>,
    /// What is wrong and refuses no row.
    pub warnings: Vec<Finding>,
    /// What was noted for the report: what is filled, wrong, repaired and left out.
    pub seen: Observation,
    /// Values in the place of identifiers that many strangers share.
    pub refused: Vec<Refused>,
}

impl Judged {
    /// A row that could not be read as fields at all.
    #[must_use]
    pub fn unreadable(finding: Finding) -> Self {
        let bad = BadValue {
            field: Field::named(&finding.field).unwrap_or(Field::Row),
            code: finding.code.into(),
            value: None,
        };
        Self {
            fact: Err(vec![finding]),
            warnings: Vec::new(),
            seen: Observation {
                bad: vec![bad],
                is_refused: true,
                ..Observation::default()
            },
            refused: Vec::new(),
        }
    }
}

/// Reads a row as a fact. Placeholders are no identifiers: without its cookie a row is
/// nobody's, and without its address it is still a visit.
pub fn validate(fields: &Fields, origin: &Origin, raw: RawId, rules: &Rules) -> Judged {
    let mut draft = Draft::new(origin.received_at, rules);
    for (name, value) in fields {
        draft.read(name, value);
    }
    draft.finish(origin, raw)
}

struct Draft<'r> {
    received_at: Timestamp,
    rules: &'r Rules,
    cookie: Option<Cookie>,
    email: Option<Email>,
    at: Option<Timestamp>,
    message_id: Option<String>,
    attributes: BTreeMap<Attribute, Value>,
    interests: BTreeMap<InterestKey, Interest>,
    properties: BTreeMap<String, PropertyValue>,
    consent: BTreeMap<String, bool>,
    /// The country's alpha-2 code: what telephone numbers and states mean depends on it.
    country: Option<&'static str>,
    /// As it was written, until the country is known.
    phone: Option<String>,
    /// Identifiers with two values, of which neither can be trusted.
    unclear: FieldSet,
    findings: Vec<Finding>,
    warnings: Vec<Finding>,
    seen: Observation,
    refused: Vec<Refused>,
}

impl<'r> Draft<'r> {
    fn new(received_at: Timestamp, rules: &'r Rules) -> Self {
        Self {
            received_at,
            rules,
            cookie: None,
            email: None,
            at: None,
            message_id: None,
            attributes: BTreeMap::new(),
            interests: BTreeMap::new(),
            properties: BTreeMap::new(),
            consent: BTreeMap::new(),
            country: None,
            phone: None,
            unclear: FieldSet::default(),
            findings: Vec::new(),
            warnings: Vec::new(),
            seen: Observation::default(),
            refused: Vec::new(),
        }
    }

    /// Notes that something is wrong, and tells what follows from it. `shown` is the value as
    /// reports may show it.
    fn find(
        &mut self,
        field: Field,
        code: &'static str,
        message: impl Into<String>,
        shown: Option<String>,
    ) -> Severity {
        let severity = self.rules.severities.of(field, code);
        let finding = Finding {
            field: field.name().to_owned(),
            code,
            message: message.into(),
        };
        self.seen.bad.push(BadValue {
            field,
            code: code.into(),
            value: shown,
        });
        match severity {
            Severity::Error => self.findings.push(finding),
            Severity::Drop => {
                self.warnings.push(finding);
                self.seen.dropped.insert(field);
            }
            Severity::Keep => self.warnings.push(finding),
        }
        severity
    }

    /// The same for a value that is there as JSON.
    fn find_in(
        &mut self,
        field: Field,
        code: &'static str,
        message: impl Into<String>,
        value: &Json,
    ) -> Severity {
        self.find(field, code, message, shown::json(field, value))
    }

    /// Reads one field. Fields that mean nothing to us stay in the raw row, and only there.
    fn read(&mut self, name: &str, value: &Json) {
        if is_absent(value) && name != fields::COOKIE {
            return;
        }
        match name {
            fields::COOKIE => self.read_cookie(value),
            fields::EMAIL => self.read_email(value),
            fields::TIMESTAMP => self.read_timestamp(value),
            fields::MESSAGE_ID => self.read_message_id(value),
            fields::INTERESTS => self.read_interests(value),
            fields::LOCATION => self.read_location(value),
            fields::PROPERTIES => self.read_properties(value),
            fields::CONSENT => self.read_consents(value),
            "demographics" => {
                self.seen.filled.insert(Field::Demographics);
                let message = format!("is an object, not {}", kind(value));
                self.find_in(Field::Demographics, "wrong_type", message, value);
            }
            _ => {
                if let Some(attribute) = Attribute::named(name) {
                    self.read_attribute(attribute, value);
                } else if let Some(("properties", property)) = name.split_once('.') {
                    self.read_property(property, value);
                } else if let Some(("consent", purpose)) = name.split_once('.') {
                    self.read_consent(purpose, value);
                }
            }
        }
    }

    /// The text of a value.
    fn text<'v>(&mut self, field: Field, value: &'v Json) -> Option<&'v str> {
        if let Json::String(text) = value {
            return Some(text);
        }
        let message = format!("is a text, not {}", kind(value));
        self.find_in(field, "wrong_type", message, value);
        None
    }

    /// Reads what depends on other fields, and judges the row as a whole.
    fn finish(mut self, origin: &Origin, raw: RawId) -> Judged {
        self.settle_state();
        self.settle_phone();
        let is_told = |finding: &Finding| finding.field == fields::COOKIE;
        if self.cookie.is_none() && !self.findings.iter().any(is_told) {
            self.find(Field::Cookie, "required", "is missing", None);
        }
        let is_clear = |field| !self.unclear.contains(field);
        let (has_email, has_message_id) = (is_clear(Field::Email), is_clear(Field::MessageId));
        let fact = match self.cookie {
            Some(cookie) if self.findings.is_empty() => Ok(Fact {
                cookie,
                email: self.email.filter(|_| has_email),
                at: self.at.unwrap_or(origin.received_at),
                source: origin.source.clone(),
                raw,
                message_id: self.message_id.filter(|_| has_message_id),
                attributes: self.attributes,
                interests: self.interests,
                properties: self.properties,
                consent: self.consent,
            }),
            _ => Err(self.findings),
        };
        self.seen.is_refused = fact.is_err();
        Judged {
            fact,
            warnings: self.warnings,
            seen: self.seen,
            refused: self.refused,
        }
    }
}

/// Null, and the empty cell of a table.
fn is_absent(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
