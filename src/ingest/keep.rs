//! How the fields of a refused row are kept, so that it can be shown, mended and judged again
//! without the payload that it came in: a JSON array of pairs. An object would forget that two
//! names of one field came with different values, which is a reason to refuse a row.

use super::fields::Fields;

/// The text that keeps fields; none where they can't be written.
#[must_use]
pub fn to_text(fields: &Fields) -> Option<String> {
    serde_json::to_string(fields).ok()
}

/// The fields that a text keeps; none where it is no such text.
#[must_use]
pub fn of_text(text: &str) -> Option<Fields> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn kept_fields_read_back(fields in prop::collection::vec((".*", ".*".prop_map(Value::String)), 0..5)) {
            prop_assert_eq!(of_text(&to_text(&fields).unwrap()), Some(fields));
        }
    }

    #[test]
    fn a_field_that_came_twice_stays_two() {
        let fields = vec![("cookie".to_owned(), json!("a")), ("cookie".to_owned(), json!(7))];
        assert_eq!(of_text(&to_text(&fields).unwrap()), Some(fields));
        assert_eq!(of_text("{}"), None);
    }
}
