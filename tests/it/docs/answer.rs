//! An answer as a page shows it, held against what came: `…` stands for whatever is there.

use serde_json::{Deserializer, Value};

/// Stands for any value, for the rest of a list or of an object, and for a part of a text.
const ANYTHING: &str = "…";

/// JSON as a page shows it, one value behind the other; `…` may stand where a value, or a field
/// with its value, would.
pub fn shown(text: &str) -> Result<Vec<Value>, String> {
    came(&with_quotes(text))
}

/// The values that came, one behind the other.
pub fn came(text: &str) -> Result<Vec<Value>, String> {
    let values = Deserializer::from_str(text).into_iter::<Value>();
    values
        .collect::<Result<_, _>>()
        .map_err(|error| format!("is no JSON ({error}):\n{text}"))
}

/// Makes a value of each `…` outside of texts, and a field where a field belongs.
fn with_quotes(text: &str) -> String {
    let mut out = String::new();
    // For each bracket that is open, whether it is an object's.
    let mut open: Vec<bool> = Vec::new();
    let mut is_key = false;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                out.push(c);
                copy_text(&mut characters, &mut out);
                continue;
            }
            '…' if is_key => out.push_str("\"…\":\"…\""),
            '…' => out.push_str("\"…\""),
            _ => out.push(c),
        }
        match c {
            '{' | '[' => open.push(c == '{'),
            '}' | ']' => {
                open.pop();
            }
            _ => {}
        }
        is_key = match c {
            '{' | ',' => open.last() == Some(&true),
            ':' | '[' | ']' | '}' => false,
            _ => is_key,
        };
    }
    out
}

/// Copies the rest of a text, its closing quote included.
fn copy_text(characters: &mut std::str::Chars<'_>, out: &mut String) {
    while let Some(c) = characters.next() {
        out.push(c);
        match c {
            '\\' => out.extend(characters.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Where what came differs from what is shown, and how; none if it does not.
pub fn difference(shown: &Value, came: &Value) -> Option<String> {
    compare(shown, came, "")
}

fn compare(shown: &Value, came: &Value, place: &str) -> Option<String> {
    match (shown, came) {
        (Value::String(text), _) if text == ANYTHING => None,
        (Value::String(text), Value::String(found)) if is_like(text, found) => None,
        (Value::Object(fields), Value::Object(found)) => {
            let is_open = fields.contains_key(ANYTHING);
            let known = fields.iter().filter(|(name, _)| *name != ANYTHING);
            for (name, value) in known {
                let place = format!("{place}.{name}");
                let Some(found) = found.get(name) else {
                    return Some(format!("{place} is shown and did not come"));
                };
                if let Some(difference) = compare(value, found, &place) {
                    return Some(difference);
                }
            }
            let more = found.keys().find(|name| !fields.contains_key(*name));
            more.filter(|_| !is_open)
                .map(|name| format!("{place}.{name} came and is not shown"))
        }
        (Value::Array(items), Value::Array(found)) => {
            let is_open = items.last().is_some_and(|last| last == ANYTHING);
            let known = items.len() - usize::from(is_open);
            if found.len() < known || (found.len() > known && !is_open) {
                return Some(format!("{place} has {} items, {known} are shown", found.len()));
            }
            let mut pairs = items[..known].iter().zip(found).enumerate();
            pairs.find_map(|(at, (item, found))| compare(item, found, &format!("{place}[{at}]")))
        }
        _ if shown == came => None,
        _ => Some(format!("{place} is {came}, shown is {shown}")),
    }
}

/// Whether a text is as shown, `…` being any part of it.
pub fn is_like(shown: &str, came: &str) -> bool {
    let mut parts = shown.split(ANYTHING);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = came.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether lines are as shown; a line with `…` alone is any number of lines.
pub fn are_lines_like(shown: &[&str], came: &[&str]) -> bool {
    match shown {
        [] => came.is_empty(),
        [ANYTHING, rest @ ..] => (0..=came.len()).any(|skipped| are_lines_like(rest, &came[skipped..])),
        [line, rest @ ..] => {
            came.first().is_some_and(|first| is_like(line, first)) && are_lines_like(rest, &came[1..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(text: &str, came: &str) -> bool {
        difference(&shown(text).unwrap()[0], &serde_json::from_str(came).unwrap()).is_some()
    }

    #[test]
    fn what_is_left_out_may_be_anything_and_the_rest_may_not() {
        let came = r#"{"a": 1, "b": ["x", "y"], "c": {"id": "p42"}}"#;
        assert!(!differs(r#"{"a":1,…}"#, came));
        assert!(!differs(r#"{"a":…,"b":["x",…],"c":{"id":"p…"}}"#, came));
        assert!(!differs(r#"{…,"b":[…],"c":{…}}"#, came));
        assert!(differs(r#"{"a":1}"#, came), "fields that are not shown");
        assert!(differs(r#"{"a":2,…}"#, came), "another value");
        assert!(differs(r#"{"d":…,…}"#, came), "a field that did not come");
        assert!(differs(r#"{"b":["x"],…}"#, came), "another length");
        assert!(differs(r#"{"c":{"id":"q…"},…}"#, came), "another text");
    }

    #[test]
    fn lines_may_be_left_out() {
        assert!(are_lines_like(&["a", "…", "z …"], &["a", "b", "c", "z 1"]));
        assert!(!are_lines_like(&["a", "…", "z"], &["a", "b"]));
        assert!(!are_lines_like(&["a"], &["a", "b"]));
    }
}
