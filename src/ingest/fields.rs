//! The names that fields go by: a row of any format becomes a list of canonical names
//! and JSON values, nested objects written with dots.

use serde_json::Value;

use crate::domain::record::Finding;

/// A row's fields, by canonical name, in the order in which they came.
pub type Fields = Vec<(String, Value)>;

/// The identifier that every record carries.
pub const COOKIE: &str = "cookie";
/// The address.
pub const EMAIL: &str = "email";
/// When it happened.
pub const TIMESTAMP: &str = "timestamp";
/// The sender's own id of the record.
pub const MESSAGE_ID: &str = "message_id";
/// What the person was seen to care about.
pub const INTERESTS: &str = "interests";
/// A place as one text, or an object of its parts.
pub const LOCATION: &str = "location";

/// Other spellings that senders use, in lower case with `_` for space and hyphen.
const SYNONYMS: &[(&str, &str)] = &[
    ("cookie_id", COOKIE),
    ("cookieid", COOKIE),
    ("anonymous_id", COOKIE),
    ("anonymousid", COOKIE),
    ("e_mail", EMAIL),
    ("email_address", EMAIL),
    ("mail", EMAIL),
    ("phone", "phone_number"),
    ("telephone", "phone_number"),
    ("mobile", "phone_number"),
    ("firstname", "first_name"),
    ("given_name", "first_name"),
    ("lastname", "last_name"),
    ("family_name", "last_name"),
    ("surname", "last_name"),
    ("city", "location.city"),
    ("state", "location.state"),
    ("region", "location.state"),
    ("country", "location.country"),
    ("age", "demographics.age"),
    ("gender", "demographics.gender"),
    ("education", "demographics.education"),
    ("income", "demographics.income"),
    ("interest", INTERESTS),
    ("time", TIMESTAMP),
    ("event_time", TIMESTAMP),
    ("messageid", MESSAGE_ID),
];

/// The canonical name of a field or column as senders write it; none for an empty one.
#[must_use]
pub fn canonical_name(written: &str) -> Option<String> {
    let folded = written.trim().to_lowercase().replace([' ', '-'], "_");
    if folded.is_empty() {
        return None;
    }
    let synonym = SYNONYMS.iter().find(|(from, _)| *from == folded);
    Some(synonym.map_or(folded, |(_, to)| (*to).to_owned()))
}

/// The fields of a JSON value, which must be an object.
///
/// # Errors
/// A finding when it is something else.
pub fn of_json(value: Value) -> Result<Fields, Finding> {
    let Value::Object(object) = value else {
        return Err(Finding {
            field: String::new(),
            code: "wrong_type",
            message: format!("a record is an object, not {}", kind(&value)),
        });
    };
    let mut fields = Fields::with_capacity(object.len() + 6);
    for (name, value) in object {
        let Some(name) = canonical_name(&name) else {
            continue;
        };
        match value {
            Value::Object(parts) if is_group(&name) => {
                fields.extend(
                    parts
                        .into_iter()
                        .map(|(part, value)| (format!("{name}.{}", part.to_lowercase()), value)),
                );
            }
            value => fields.push((name, value)),
        }
    }
    Ok(fields)
}

/// What a JSON value is, in words.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The objects whose parts are fields of their own.
fn is_group(name: &str) -> bool {
    matches!(name, LOCATION | "demographics")
}
