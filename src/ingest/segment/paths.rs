//! Values inside an event, by names joined by dots.

use serde_json::{Map, Value};

/// All values that a path leads to; a list on the way, or at its end, stands for each of its
/// items.
pub fn values<'v>(of: &'v Map<String, Value>, path: &str) -> Vec<&'v Value> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let mut found = Vec::new();
    if let Some(value) = of.get(first) {
        gather(value, rest, &mut found);
    }
    found
}

fn gather<'v>(value: &'v Value, path: Option<&str>, found: &mut Vec<&'v Value>) {
    match (value, path) {
        (Value::Array(items), path) => {
            for item in items {
                gather(item, path, found);
            }
        }
        (value, None) => found.push(value),
        (Value::Object(inner), Some(path)) => found.extend(values(inner, path)),
        (_, Some(_)) => {}
    }
}

/// The one value that a path leads to, whatever it is.
pub fn value<'v>(of: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    let mut parts = path.split('.');
    let first = of.get(parts.next()?)?;
    parts.try_fold(first, |value, name| value.get(name))
}

/// An identifier, which libraries in some languages send as a number.
pub fn identifier(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let event = json!({
            "properties": { "products": [{ "category": "a" }, { "category": ["b", "c"] }, 7], "x": null },
        });
        let event = event.as_object().unwrap();
        assert_eq!(values(event, "properties.products.category"), ["a", "b", "c"]);
        assert!(values(event, "properties.nothing").is_empty());
        assert!(values(event, "properties.x.y").is_empty());
        assert_eq!(values(event, "properties.x"), [&Value::Null]);
        assert_eq!(value(event, "properties.products.0"), None);
        assert_eq!(value(event, "properties.x"), Some(&Value::Null));
    }
}
