//! What is said of somebody: interests, places, and what else is known of a person.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Draft, INTERESTS_MAX, Severity, shown};
use crate::domain::fact::{Attribute, Value};
use crate::domain::interest::{Interest, InterestKey};
use crate::domain::quality::Field;
use crate::ingest::normalise::age::{self, AgeError};
use crate::ingest::normalise::country::country;
use crate::ingest::normalise::phone::{PhoneError, phone};
use crate::ingest::normalise::state::state_of_usa;
use crate::ingest::normalise::vocabulary::{self, Meaning};
use crate::ingest::normalise::{self, TEXT_CHARS_MAX, income};

impl Draft<'_> {
    pub(super) fn read_interests(&mut self, value: &Json) {
        self.seen.filled.insert(Field::Interests);
        let Some(texts) = interest_texts(value) else {
            let message = "is a list of texts, or one text split by `;` or `|`";
            self.find_in(Field::Interests, "wrong_type", message, value);
            return;
        };
        if texts.len() > INTERESTS_MAX {
            let message = format!("names more than {INTERESTS_MAX} interests");
            self.find(Field::Interests, "too_many", message, None);
            return;
        }
        for written in texts {
            let (Some(display), Some(key)) = (normalise::text(&written), InterestKey::parse(&written)) else {
                continue;
            };
            if display.chars().count() > TEXT_CHARS_MAX {
                let message = format!("holds a text of more than {TEXT_CHARS_MAX} characters");
                let shown = shown::text(Field::Interests, &display);
                self.find(Field::Interests, "too_long", message, Some(shown));
                continue;
            }
            if self.interests.contains_key(&key) || display != written {
                self.seen.repaired.insert(Field::Interests);
            }
            self.interests.entry(key).or_insert(Interest { display });
        }
    }

    /// A place in one text. What is said of its parts by their own names counts before it.
    pub(super) fn read_location(&mut self, value: &Json) {
        self.seen.filled.insert(Field::Location);
        let Some(text) = self.text(Field::Location, value) else {
            return;
        };
        let Some(place) = normalise::place(text) else {
            let message = "is `city, state, country`, or an object with these";
            self.find_in(Field::Location, "invalid", message, value);
            return;
        };
        for (attribute, part) in [Attribute::City, Attribute::State, Attribute::Country]
            .into_iter()
            .zip(place)
        {
            if let Some(part) = part
                && !self.attributes.contains_key(&attribute)
            {
                self.read_attribute(attribute, &Json::String(part));
            }
        }
    }

    pub(super) fn read_attribute(&mut self, attribute: Attribute, value: &Json) {
        self.seen.filled.insert(Field::Of(attribute));
        let read = match attribute {
            Attribute::Age => self.read_age(value),
            Attribute::Phone => return self.read_phone(value),
            Attribute::Income => self.read_income(value),
            Attribute::Country => self.read_country(value),
            Attribute::Gender => self.read_answer(attribute, value, vocabulary::gender),
            Attribute::Education => self.read_answer(attribute, value, vocabulary::education),
            Attribute::FirstName | Attribute::LastName | Attribute::City | Attribute::State => {
                self.read_text(attribute, value).map(Value::Text)
            }
        };
        if let Some(value) = read {
            self.attributes.insert(attribute, value);
        }
    }

    fn read_age(&mut self, value: &Json) -> Option<Value> {
        let field = Field::Of(Attribute::Age);
        let written = match value {
            Json::Number(number) => Cow::Owned(number.to_string()),
            Json::String(text) => Cow::Borrowed(text.as_str()),
            _ => Cow::Borrowed(""),
        };
        let (code, message) = match age::age(&written) {
            Ok(age) => {
                if age.to_string() != written.trim() {
                    self.seen.repaired.insert(field);
                }
                return Some(Value::Integer(age));
            }
            Err(AgeError::OutOfRange(age)) => {
                let (least, most) = (age::YEARS.start(), age::YEARS.end());
                ("out_of_range", format!("{age} is not between {least} and {most}"))
            }
            Err(AgeError::Range) => ("range", "is a bracket, which does not tell the age".to_owned()),
            Err(AgeError::NoNumber) => ("wrong_type", "is a whole number of years".to_owned()),
        };
        self.find_in(field, code, message, value);
        None
    }

    fn read_phone(&mut self, value: &Json) {
        self.phone = match value {
            Json::Number(number) => Some(number.to_string()),
            _ => self.text(Field::Of(Attribute::Phone), value).map(str::to_owned),
        };
    }

    fn read_income(&mut self, value: &Json) -> Option<Value> {
        let attribute = Attribute::Income;
        if let Json::Number(number) = value {
            return match income::of_number(number) {
                Some(form) => Some(Value::Text(form)),
                None => self.unknown(attribute, number.to_string(), "is not understood as an income"),
            };
        }
        let written = self.read_text(attribute, value)?;
        match income::income(&written) {
            Some(form) => Some(self.repaired(attribute, &written, form)),
            None => self.unknown(attribute, written, "is not understood as an income"),
        }
    }

    fn read_country(&mut self, value: &Json) -> Option<Value> {
        let written = self.read_text(Attribute::Country, value)?;
        let Some(country) = country(&written) else {
            return self.unknown(Attribute::Country, written, "is no country that is known");
        };
        self.country = Some(country.alpha2);
        Some(self.repaired(Attribute::Country, &written, country.name.to_owned()))
    }

    fn read_answer(
        &mut self,
        attribute: Attribute,
        value: &Json,
        meaning: fn(&str) -> Meaning,
    ) -> Option<Value> {
        let written = self.read_text(attribute, value)?;
        match meaning(&written) {
            Meaning::Term(term) => Some(self.repaired(attribute, &written, term.to_owned())),
            Meaning::NoAnswer | Meaning::Unknown => {
                self.unknown(attribute, written, "is none of the answers that are known")
            }
        }
    }

    /// A text in which no sense could be made.
    fn unknown(&mut self, attribute: Attribute, written: String, message: &str) -> Option<Value> {
        let field = Field::Of(attribute);
        let (code, message) = if vocabulary::is_no_answer(&written) {
            ("no_answer", "says that nothing is said")
        } else {
            ("unknown", message)
        };
        let shown = shown::text(field, &written);
        (self.find(field, code, message, Some(shown)) == Severity::Keep).then_some(Value::Text(written))
    }

    fn repaired(&mut self, attribute: Attribute, written: &str, form: String) -> Value {
        if form != written {
            self.seen.repaired.insert(Field::Of(attribute));
        }
        Value::Text(form)
    }

    fn read_text(&mut self, attribute: Attribute, value: &Json) -> Option<String> {
        let field = Field::Of(attribute);
        let text = normalise::text(self.text(field, value)?)?;
        if text.len() > TEXT_CHARS_MAX && text.chars().count() > TEXT_CHARS_MAX {
            let message = format!("is longer than {TEXT_CHARS_MAX} characters");
            self.find_in(field, "too_long", message, value);
            return None;
        }
        Some(text)
    }

    /// Writes out the two letters of a state, where these are two letters of a state.
    pub(super) fn settle_state(&mut self) {
        if self.country == Some("US")
            && let Some(Value::Text(state)) = self.attributes.get_mut(&Attribute::State)
            && let Some(name) = state_of_usa(state)
        {
            name.clone_into(state);
            self.seen.repaired.insert(Field::Of(Attribute::State));
        }
    }

    /// Reads the telephone number, which may be of the record's country.
    pub(super) fn settle_phone(&mut self) {
        let Some(written) = self.phone.take() else {
            return;
        };
        let attribute = Attribute::Phone;
        let field = Field::Of(attribute);
        let (code, message, as_written) =
            match phone(&written, self.country.unwrap_or(&self.rules.phone_region)) {
                Ok(number) => {
                    let number = self.repaired(attribute, &written, number);
                    self.attributes.insert(attribute, number);
                    return;
                }
                Err(PhoneError::Invalid) => ("invalid", "is not a telephone number of 7 to 15 digits", None),
                Err(PhoneError::NoRegion(text)) => {
                    let message = "has no country's code, such as +1, and nothing tells the country";
                    ("no_region", message, Some(text))
                }
                Err(PhoneError::Unlikely(text)) => {
                    ("unlikely", "is like no number of its country", Some(text))
                }
            };
        let shown = shown::text(field, &written);
        let severity = self.find(field, code, message, Some(shown));
        if let Some(text) = as_written.filter(|_| severity == Severity::Keep) {
            self.attributes.insert(attribute, Value::Text(text));
        }
    }
}

/// The texts of a list, of a JSON list written into a table's cell, or of a text that is
/// split by `;` or `|`.
fn interest_texts(value: &Json) -> Option<Vec<Cow<'_, str>>> {
    match value {
        Json::Array(items) => items
            .iter()
            .filter(|item| !item.is_null())
            .map(|item| item.as_str().map(Cow::Borrowed))
            .collect(),
        Json::String(text) if text.trim_start().starts_with('[') => {
            let list: Vec<Option<String>> = serde_json::from_str(text).ok()?;
            Some(list.into_iter().flatten().map(Cow::Owned).collect())
        }
        Json::String(text) => Some(
            text.split([';', '|'])
                .map(|text| Cow::Borrowed(text.trim()))
                .collect(),
        ),
        _ => None,
    }
}
