//! The names that fields go by: a row of any format becomes a list of canonical names
//! and JSON values, nested objects written with dots.

use serde_json::Value;

use crate::domain::record::Finding;

/// A row's fields, by canonical name: those of CSV in the order of the columns, those of
/// JSON in that of their names as written. Two names of one field are two entries.
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

/// The canonical name of a field or column as senders write it; none for an empty one. A
/// part of a group, such as `location.region`, goes by its synonyms as well.
#[must_use]
pub fn canonical_name(written: &str) -> Option<String> {
    let folded = written.trim().to_lowercase().replace([' ', '-'], "_");
    if folded.is_empty() {
        return None;
    }
    let canonical = synonym(&folded).or_else(|| synonym_in_group(&folded));
    Some(canonical.map_or(folded, str::to_owned))
}

fn synonym(folded: &str) -> Option<&'static str> {
    SYNONYMS
        .iter()
        .find(|(from, _)| *from == folded)
        .map(|(_, to)| *to)
}

/// `location.region` is `location.state`; but `location.age` is no age.
fn synonym_in_group(folded: &str) -> Option<&'static str> {
    let (group, part) = folded.split_once('.')?;
    let canonical = synonym(part)?;
    let (of, _) = canonical.split_once('.')?;
    (of == group).then_some(canonical)
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
                fields.extend(parts.into_iter().filter_map(|(part, value)| {
                    canonical_name(&format!("{name}.{}", part.trim())).map(|name| (name, value))
                }));
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_names(object: Value, expected: &[&str]) {
        let names: Vec<_> = of_json(object)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_field_goes_by_its_synonyms() {
        check_names(
            json!({"Cookie-ID": 1, "E Mail": 1, "x": 1}),
            &["cookie", "email", "x"],
        );
        check_names(json!({"": 1, "  ": 1}), &[]);
    }

    #[test]
    fn a_part_of_a_group_goes_by_its_synonyms_too() {
        check_names(
            json!({"location": {"Region": 1, "age": 1, "city": 1}}),
            &["location.state", "location.age", "location.city"],
        );
        check_names(json!({"demographics": {"Age": 1}}), &["demographics.age"]);
        check_names(json!({"location.region": 1}), &["location.state"]);
    }
}
