//! Values that trackers and forms send when they know nothing. As identifiers they would tie
//! strangers together, so none of them is one.

use std::collections::BTreeSet;

/// What is no identifier: a list, and one character repeated (`0000-0000`, `xxxx`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholders {
    known: BTreeSet<String>,
}

impl Placeholders {
    /// The list of a platform that has no other.
    pub const DEFAULT: &[&str] = &[
        "null",
        "undefined",
        "none",
        "nan",
        "n/a",
        "na",
        "unknown",
        "anonymous",
        "guest",
        "(not set)",
        "not set",
        "nil",
        "true",
        "false",
        "[object object]",
        "cookie",
        "email",
        "test",
        "test@test.com",
        "test@example.com",
        "a@a.com",
        "none@none.com",
        "no@email.com",
        "noemail@noemail.com",
        "null@null.com",
        "email@email.com",
        "user@example.com",
        "unknown@unknown.com",
        "na@na.com",
        "noreply@noreply.com",
    ];

    /// A list of values, in any case of letters.
    #[must_use]
    pub fn new<T: AsRef<str>>(known: &[T]) -> Self {
        Self {
            known: known
                .iter()
                .map(|text| text.as_ref().trim().to_lowercase())
                .collect(),
        }
    }

    /// Whether a value is shared by many strangers.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        let lower = text.trim().to_lowercase();
        self.known.contains(&lower) || repeats_itself(&lower)
    }
}

impl Default for Placeholders {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// One letter or digit repeated, separators aside, or nothing but separators.
fn repeats_itself(text: &str) -> bool {
    let mut letters = text.chars().filter(|c| c.is_alphanumeric());
    let Some(first) = letters.next() else { return true };
    let mut rest = 0;
    let repeats = letters.all(|c| {
        rest += 1;
        c == first
    });
    // A single letter may be a real (test) id; zeros and runs of one letter are not.
    repeats && (rest > 2 || first == '0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_share_is_no_identifier() {
        let placeholders = Placeholders::default();
        for text in [
            "undefined",
            "NULL",
            " Test@Test.com ",
            "00000000-0000-0000-0000-000000000000",
            "xxxx",
            "---",
        ] {
            assert!(placeholders.contains(text), "{text:?}");
        }
        for text in ["dk5h2P", "a", "11", "jo@test.com", "0a0"] {
            assert!(!placeholders.contains(text), "{text:?}");
        }
    }

    #[test]
    fn the_list_is_the_operators() {
        let placeholders = Placeholders::new(&["Kiosk-1"]);
        assert!(placeholders.contains("kiosk-1"));
        assert!(!placeholders.contains("undefined"));
    }
}
