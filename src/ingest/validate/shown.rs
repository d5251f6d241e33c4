//! How a report shows a bad value. A report is read by more people than the records are, so
//! of what may tell who somebody is it shows no more than the shape.

use serde_json::Value as Json;

use crate::domain::fact::Attribute;
use crate::domain::quality::{Field, VALUE_CHARS_MAX};
use crate::ingest::fields::kind;

/// Digits beyond which a text may be somebody's number.
const DIGITS_MAX: usize = 8;

/// A JSON value as reports show it; none if there is nothing to show.
pub fn json(field: Field, value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(written) if written.trim().is_empty() => None,
        Json::String(written) => Some(text(field, written)),
        Json::Number(number) => Some(text(field, &number.to_string())),
        other => Some(kind(other).to_owned()),
    }
}

/// A text as reports show it: cut, and where it may tell who somebody is, letters and digits
/// hidden.
pub fn text(field: Field, written: &str) -> String {
    let mask = if is_private(field, written) {
        |c: char| match c {
            c if c.is_numeric() => '9',
            c if c.is_uppercase() => 'A',
            c if c.is_alphabetic() => 'a',
            c => c,
        }
    } else {
        |c| c
    };
    let mut left = written.trim().chars();
    let mut shown: String = left.by_ref().take(VALUE_CHARS_MAX - 1).map(mask).collect();
    if let Some(next) = left.next() {
        shown.push(if left.next().is_some() { '…' } else { mask(next) });
    }
    shown
}

fn is_private(field: Field, written: &str) -> bool {
    match field {
        Field::Cookie
        | Field::Email
        | Field::MessageId
        | Field::Of(Attribute::FirstName | Attribute::LastName | Attribute::Phone) => true,
        Field::Timestamp | Field::Of(Attribute::Age | Attribute::Income) => written.contains('@'),
        _ => written.contains('@') || written.chars().filter(char::is_ascii_digit).count() > DIGITS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn of_what_tells_who_somebody_is_the_shape_is_shown() {
        let phone = Field::Of(Attribute::Phone);
        let gender = Field::Of(Attribute::Gender);
        for (field, written, expected) in [
            (Field::Email, value!(" Ann.Lee7@ "), Some("Aaa.Aaa9@")),
            (phone, value!("call +1 55"), Some("aaaa +9 99")),
            (phone, value!(12), Some("99")),
            (gender, value!("attack helicopter"), Some("attack helicopter")),
            (gender, value!("ann@example.com"), Some("aaa@aaaaaaa.aaa")),
            (gender, value!("call 0718-555-0143"), Some("aaaa 9999-999-9999")),
            (gender, value!({"a": 1}), Some("an object")),
            (gender, value!(null), None),
            (Field::Cookie, value!("  "), None),
            (
                Field::Timestamp,
                value!("2026-13-01T00:00"),
                Some("2026-13-01T00:00"),
            ),
        ] {
            assert_eq!(json(field, &written).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn a_long_value_is_cut() {
        let field = Field::Location;
        assert_eq!(
            text(field, &"é".repeat(VALUE_CHARS_MAX)),
            "é".repeat(VALUE_CHARS_MAX)
        );
        let cut = text(field, &"é".repeat(VALUE_CHARS_MAX + 1));
        assert_eq!(cut, "é".repeat(VALUE_CHARS_MAX - 1) + "…");
    }
}
