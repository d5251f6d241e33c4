//! What a sender says in words of their own: properties, and what somebody agrees to.

use serde_json::Value as Json;

use super::{Draft, shown};
use crate::domain::property::{Number, PropertyValue};
use crate::domain::quality::Field;
use crate::ingest::fields::kind;

/// The most properties that one record may have.
pub const PROPERTIES_A_RECORD_MAX: usize = 64;

/// The longest name of a property or purpose, in characters.
pub const NAME_CHARS_MAX: usize = 64;

/// The longest text of a property, in characters.
pub const VALUE_CHARS_MAX: usize = 256;

/// The most purposes that consent is given to.
pub const PURPOSES_MAX: usize = 16;

/// How deep objects may stand in each other; the names of their parts are joined by dots.
const DEPTH_MAX: usize = 3;

impl Draft<'_> {
    pub(super) fn read_properties(&mut self, value: &Json) {
        let Json::Object(parts) = value else {
            let message = format!("is an object, not {}", kind(value));
            self.seen.filled.insert(Field::Properties);
            self.find_in(Field::Properties, "wrong_type", message, value);
            return;
        };
        for (name, part) in parts {
            self.read_property(name, part);
        }
    }

    pub(super) fn read_property(&mut self, name: &str, value: &Json) {
        self.read_part(name, value, DEPTH_MAX);
    }

    fn read_part(&mut self, name: &str, value: &Json, depth: usize) {
        let name = name.trim();
        let read = match value {
            Json::Null => return,
            Json::Object(parts) if depth > 1 => {
                for (part, value) in parts {
                    self.read_part(&format!("{name}.{}", part.trim()), value, depth - 1);
                }
                return;
            }
            Json::Bool(flag) => PropertyValue::Flag(*flag),
            Json::Number(number) => PropertyValue::Number(Number(number.as_f64().unwrap_or(f64::MAX))),
            Json::String(text) if text.trim().is_empty() => return,
            Json::String(text) => PropertyValue::Text(text.trim().to_owned()),
            Json::Array(_) | Json::Object(_) => {
                self.seen.filled.insert(Field::Properties);
                let message = format!(
                    "`{}` is a text, a number or a truth value, not {}",
                    short(name),
                    kind(value)
                );
                self.find(Field::Properties, "wrong_type", message, None);
                return;
            }
        };
        self.keep_property(name, read);
    }

    fn keep_property(&mut self, name: &str, value: PropertyValue) {
        self.seen.filled.insert(Field::Properties);
        let is_too_long = |text: &str, most: usize| text.len() > most && text.chars().count() > most;
        let too_long = match &value {
            _ if name.is_empty() || is_too_long(name, NAME_CHARS_MAX) => Some(format!(
                "has a name that is empty or longer than {NAME_CHARS_MAX} characters"
            )),
            PropertyValue::Text(text) if is_too_long(text, VALUE_CHARS_MAX) => Some(format!(
                "`{}` is longer than {VALUE_CHARS_MAX} characters",
                short(name)
            )),
            _ => None,
        };
        if let Some(message) = too_long {
            let shown = shown::text(Field::Properties, &value.to_string());
            self.find(Field::Properties, "too_long", message, Some(shown));
        } else if self.properties.len() >= PROPERTIES_A_RECORD_MAX && !self.properties.contains_key(name) {
            let message = format!("are more than {PROPERTIES_A_RECORD_MAX}");
            self.find(Field::Properties, "too_many", message, None);
        } else {
            self.properties.insert(name.to_owned(), value);
        }
    }

    pub(super) fn read_consents(&mut self, value: &Json) {
        let Json::Object(parts) = value else {
            self.seen.filled.insert(Field::Consent);
            let message = format!("is an object of purposes, not {}", kind(value));
            self.find_in(Field::Consent, "wrong_type", message, value);
            return;
        };
        for (purpose, said) in parts {
            self.read_consent(purpose, said);
        }
    }

    pub(super) fn read_consent(&mut self, purpose: &str, value: &Json) {
        self.seen.filled.insert(Field::Consent);
        let purpose = purpose.trim().to_lowercase();
        let Some(said) = answer(value) else {
            let message = format!("to `{}` is yes or no", short(&purpose));
            self.find_in(Field::Consent, "wrong_type", message, value);
            return;
        };
        let is_known = self.consent.contains_key(&purpose);
        if purpose.is_empty()
            || purpose.chars().count() > NAME_CHARS_MAX
            || (self.consent.len() >= PURPOSES_MAX && !is_known)
        {
            let message = format!("names more than {PURPOSES_MAX} purposes, or one that is no name");
            self.find(Field::Consent, "too_many", message, None);
            return;
        }
        self.consent.insert(purpose, said);
    }
}

/// Yes or no, as programs and tables write it.
fn answer(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(said) => Some(*said),
        Json::Number(number) => match number.as_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Json::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "granted" | "opted_in" => Some(true),
            "false" | "no" | "n" | "0" | "denied" | "opted_out" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// A name that may be anything, as messages show it.
fn short(name: &str) -> &str {
    let end = name
        .char_indices()
        .nth(NAME_CHARS_MAX)
        .map_or(name.len(), |(at, _)| at);
    &name[..end]
}
