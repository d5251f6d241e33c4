//! A row becomes a [`Fact`], or every reason why it does not: all findings of a row are
//! told at once, so that it is mended once.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::Value as Json;

use super::fields::{self, Fields, kind};
use super::normalise;
use crate::domain::Timestamp;
use crate::domain::conflict::Refused;
use crate::domain::fact::{Attribute, Fact, Value};
use crate::domain::identifier::{COOKIE_BYTES_MAX, Cookie, Email, IdentifierError};
use crate::domain::interest::{Interest, InterestKey};
use crate::domain::placeholder::Placeholders;
use crate::domain::record::{Finding, Origin, RawId};

/// Ages that are believed, in years: the oldest person on record reached 122.
pub const AGE_YEARS: std::ops::RangeInclusive<i64> = 0..=122;

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
    /// Values in the place of identifiers that many strangers share.
    pub refused: Vec<Refused>,
}

/// Reads a row as a fact. Placeholders are no identifiers: without its cookie a row is
/// nobody's, and without its address it is still a visit.
pub fn validate(fields: Fields, origin: &Origin, raw: RawId, placeholders: &Placeholders) -> Judged {
    let mut draft = Draft {
        received_at: origin.received_at,
        cookie: None,
        email: None,
        at: None,
        message_id: None,
        attributes: BTreeMap::new(),
        interests: BTreeMap::new(),
        findings: Vec::new(),
        placeholders,
        refused: Vec::new(),
    };
    for (name, value) in fields {
        draft.read(&name, value);
    }
    if draft.cookie.is_none()
        && !draft
            .findings
            .iter()
            .any(|finding| finding.field == fields::COOKIE)
    {
        draft.find(fields::COOKIE, "required", "is missing");
    }
    let refused = std::mem::take(&mut draft.refused);
    let fact = match draft.cookie {
        Some(cookie) if draft.findings.is_empty() => Ok(Fact {
            cookie,
            email: draft.email,
            at: draft.at.unwrap_or(origin.received_at),
            source: origin.source.clone(),
            raw,
            message_id: draft.message_id,
            attributes: draft.attributes,
            interests: draft.interests,
        }),
        _ => Err(draft.findings),
    };
    Judged { fact, refused }
}

struct Draft<'p> {
    received_at: Timestamp,
    cookie: Option<Cookie>,
    email: Option<Email>,
    at: Option<Timestamp>,
    message_id: Option<String>,
    attributes: BTreeMap<Attribute, Value>,
    interests: BTreeMap<InterestKey, Interest>,
    findings: Vec<Finding>,
    placeholders: &'p Placeholders,
    refused: Vec<Refused>,
}

impl Draft<'_> {
    fn find(&mut self, field: &str, code: &'static str, message: impl Into<String>) {
        self.findings.push(Finding {
            field: field.to_owned(),
            code,
            message: message.into(),
        });
    }

    /// Reads one field. Fields that mean nothing to us stay in the raw row, and only there.
    fn read(&mut self, name: &str, value: Json) {
        if is_absent(&value) && name != fields::COOKIE {
            return;
        }
        match name {
            fields::COOKIE => self.read_cookie(&value),
            fields::EMAIL => self.read_email(&value),
            fields::TIMESTAMP => self.read_timestamp(&value),
            fields::MESSAGE_ID => self.read_message_id(&value),
            fields::INTERESTS => self.read_interests(value),
            fields::LOCATION => self.read_location(&value),
            "demographics" => self.find(name, "wrong_type", format!("is an object, not {}", kind(&value))),
            _ => {
                if let Some(attribute) = Attribute::named(name) {
                    self.read_attribute(attribute, &value);
                }
            }
        }
    }

    /// Two names of one identifier must not tell two people.
    fn find_if_other<T: PartialEq>(&mut self, field: &str, before: Option<&T>, now: &T) {
        if before.is_some_and(|before| before != now) {
            self.find(field, "duplicate", "comes under two names, with different values");
        }
    }

    fn read_cookie(&mut self, value: &Json) {
        if value.is_null() {
            return;
        }
        let Some(text) = self.text(fields::COOKIE, value) else {
            return;
        };
        if self.placeholders.contains(&text) && !text.trim().is_empty() {
            self.refused.push(Refused::PlaceholderCookie(shown(&text)));
            return self.find(
                fields::COOKIE,
                "placeholder",
                "is a placeholder that many people share",
            );
        }
        match Cookie::parse(&text) {
            Ok(cookie) => {
                let before = self.cookie.replace(cookie.clone());
                self.find_if_other(fields::COOKIE, before.as_ref(), &cookie);
            }
            Err(error) => self.find(fields::COOKIE, identifier_code(error), error.to_string()),
        }
    }

    /// A placeholder such as `test@test.com` is no address, and no fault of the row's either.
    fn read_email(&mut self, value: &Json) {
        let Some(text) = self.text(fields::EMAIL, value) else {
            return;
        };
        if self.placeholders.contains(&text) {
            if !text.trim().is_empty() {
                self.refused.push(Refused::PlaceholderEmail(shown(&text)));
            }
            return;
        }
        match Email::parse(&text) {
            Ok(email) => {
                let before = self.email.replace(email.clone());
                self.find_if_other(fields::EMAIL, before.as_ref(), &email);
            }
            Err(IdentifierError::Empty) => {}
            Err(error) => self.find(fields::EMAIL, identifier_code(error), error.to_string()),
        }
    }

    fn read_timestamp(&mut self, value: &Json) {
        let moment = match value {
            Json::String(text) => normalise::moment(text),
            Json::Number(number) => number.as_i64().and_then(normalise::moment_of_epoch),
            _ => {
                return self.find(
                    fields::TIMESTAMP,
                    "wrong_type",
                    format!("is a time, not {}", kind(value)),
                );
            }
        };
        match moment {
            Some(at) if at <= self.received_at + CLOCK_SKEW => self.at = Some(at),
            Some(_) => self.at = Some(self.received_at),
            None => self.find(
                fields::TIMESTAMP,
                "invalid",
                "is neither an RFC 3339 time such as 2026-03-01T12:00:00Z nor seconds since 1970",
            ),
        }
    }

    fn read_message_id(&mut self, value: &Json) {
        let Some(text) = self.text(fields::MESSAGE_ID, value) else {
            return;
        };
        if text.len() > MESSAGE_ID_BYTES_MAX {
            return self.find(
                fields::MESSAGE_ID,
                "too_long",
                format!("is longer than {MESSAGE_ID_BYTES_MAX} bytes"),
            );
        }
        let Some(message_id) = normalise::text(&text) else {
            return;
        };
        let before = self.message_id.replace(message_id.clone());
        self.find_if_other(fields::MESSAGE_ID, before.as_ref(), &message_id);
    }

    fn read_interests(&mut self, value: Json) {
        let Some(texts) = interest_texts(value) else {
            return self.find(
                fields::INTERESTS,
                "wrong_type",
                "is a list of texts, or one text split by `;` or `|`",
            );
        };
        if texts.len() > INTERESTS_MAX {
            return self.find(
                fields::INTERESTS,
                "too_many",
                format!("names more than {INTERESTS_MAX} interests"),
            );
        }
        for written in texts {
            let (Some(display), Some(key)) = (normalise::text(&written), InterestKey::parse(&written)) else {
                continue;
            };
            if display.chars().count() > normalise::TEXT_CHARS_MAX {
                self.find(
                    fields::INTERESTS,
                    "too_long",
                    "holds a text of more than 200 characters",
                );
                continue;
            }
            self.interests.entry(key).or_insert(Interest { display });
        }
    }

    fn read_location(&mut self, value: &Json) {
        let Some(text) = self.text(fields::LOCATION, value) else {
            return;
        };
        let Some(place) = normalise::place(&text) else {
            return self.find(
                fields::LOCATION,
                "invalid",
                "is `city, state, country`, or an object with these",
            );
        };
        for (attribute, part) in [Attribute::City, Attribute::State, Attribute::Country]
            .into_iter()
            .zip(place)
        {
            if let Some(part) = part {
                self.attributes.entry(attribute).or_insert(Value::Text(part));
            }
        }
    }

    fn read_attribute(&mut self, attribute: Attribute, value: &Json) {
        let read = match attribute {
            Attribute::Age => self.read_age(value),
            Attribute::Phone => self.read_phone(value),
            Attribute::Income if value.is_number() => Some(Value::Text(value.to_string())),
            _ => self.read_text(attribute.name(), value),
        };
        if let Some(value) = read {
            self.attributes.insert(attribute, value);
        }
    }

    fn read_age(&mut self, value: &Json) -> Option<Value> {
        let field = Attribute::Age.name();
        let age = match value {
            Json::Number(number) => number.as_i64(),
            Json::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match age {
            Some(age) if AGE_YEARS.contains(&age) => return Some(Value::Integer(age)),
            Some(age) => {
                let (least, most) = (AGE_YEARS.start(), AGE_YEARS.end());
                self.find(
                    field,
                    "out_of_range",
                    format!("{age} is not between {least} and {most}"),
                );
            }
            None => self.find(field, "wrong_type", "is a whole number of years"),
        }
        None
    }

    fn read_phone(&mut self, value: &Json) -> Option<Value> {
        let field = Attribute::Phone.name();
        let written = match value {
            Json::Number(number) => number.to_string(),
            _ => self.text(field, value)?,
        };
        let phone = normalise::phone(&written);
        if phone.is_none() {
            self.find(field, "invalid", "is not a telephone number of 7 to 15 digits");
        }
        phone.map(Value::Text)
    }

    fn read_text(&mut self, field: &str, value: &Json) -> Option<Value> {
        let text = normalise::text(&self.text(field, value)?)?;
        if text.chars().count() > normalise::TEXT_CHARS_MAX {
            self.find(
                field,
                "too_long",
                format!("is longer than {} characters", normalise::TEXT_CHARS_MAX),
            );
            return None;
        }
        Some(Value::Text(text))
    }

    fn text(&mut self, field: &str, value: &Json) -> Option<String> {
        if let Json::String(text) = value {
            return Some(text.clone());
        }
        self.find(field, "wrong_type", format!("is a text, not {}", kind(value)));
        None
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

/// The texts of a list, of a JSON list written into a table's cell, or of a text that is
/// split by `;` or `|`.
fn interest_texts(value: Json) -> Option<Vec<String>> {
    match value {
        Json::Array(items) => items
            .into_iter()
            .filter(|item| !item.is_null())
            .map(|item| {
                if let Json::String(text) = item {
                    Some(text)
                } else {
                    None
                }
            })
            .collect(),
        Json::String(text) if text.trim_start().starts_with('[') => serde_json::from_str(&text)
            .ok()
            .and_then(|list: Json| match list {
                Json::Array(_) => interest_texts(list),
                _ => None,
            }),
        Json::String(text) => Some(text.split([';', '|']).map(str::to_owned).collect()),
        _ => None,
    }
}

/// A placeholder as it is kept, cut to what an identifier may have.
fn shown(placeholder: &str) -> String {
    let mut text = placeholder.trim().to_lowercase();
    text.truncate(text.floor_char_boundary(COOKIE_BYTES_MAX));
    text
}

const fn identifier_code(error: IdentifierError) -> &'static str {
    match error {
        IdentifierError::Empty => "empty",
        IdentifierError::TooLong { .. } => "too_long",
        IdentifierError::Characters | IdentifierError::Syntax => "invalid",
    }
}

#[cfg(test)]
mod tests;
