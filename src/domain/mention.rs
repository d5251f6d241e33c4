//! Whether a text names somebody. Rows that came under an identifier are known by it; what was
//! refused, repeated, or speaks of somebody in passing is found by reading it.
//!
//! A text is read as it was meant: the escapes of JSON and of addresses of pages are undone. An
//! address is found in any case of letters; an identifier counts where it stands by itself, so
//! that `c-12` is not found in `c-123`. A cookie that is short, or made of a few digits, says
//! nothing by itself: it is not looked for in texts.

use std::borrow::Cow;

use super::identifier::{Cookie, Email};

/// The shortest cookie that is looked for in texts, in characters.
const COOKIE_CHARS_MIN: usize = 6;

/// The same for one that is made of digits alone: shorter ones are ages and amounts.
const DIGITS_MIN: usize = 10;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Needles {
    emails: Vec<String>,
    cookies: Vec<String>,
}

impl Needles {
    /// Looks for these.
    #[must_use]
    pub fn new<'a>(
        cookies: impl IntoIterator<Item = &'a Cookie>,
        emails: impl IntoIterator<Item = &'a Email>,
    ) -> Self {
        let tells = |cookie: &&Cookie| is_distinctive(cookie.as_str());
        Self {
            emails: emails.into_iter().map(ToString::to_string).collect(),
            cookies: cookies
                .into_iter()
                .filter(tells)
                .map(ToString::to_string)
                .collect(),
        }
    }

    /// Whether a text names any of them.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        let text = plain(text);
        let has_cookie = |cookie: &String| stands_in(&text, cookie, is_of_word);
        if self.cookies.iter().any(has_cookie) {
            return true;
        }
        if self.emails.is_empty() || !text.contains('@') {
            return false;
        }
        let lower = text.to_lowercase();
        self.emails
            .iter()
            .any(|email| stands_in(&lower, email, is_of_address))
    }
}

/// The words of a text that may be identifiers: at most `most` of them.
pub fn words(text: &str, most: usize) -> Vec<String> {
    let text = plain(text);
    let words = text.split(|c: char| !(is_of_address(c) || c == '@' || c == ':'));
    let words = words.filter(|word| word.len() > 1);
    words.take(most).map(str::to_owned).collect()
}

fn is_distinctive(cookie: &str) -> bool {
    let chars = cookie.chars().count();
    let is_number = cookie.chars().all(|c| c.is_ascii_digit());
    chars >= if is_number { DIGITS_MIN } else { COOKIE_CHARS_MIN }
}

const fn is_ascii_mark(c: char) -> bool {
    matches!(c, '_' | '-')
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || is_ascii_mark(c)
}

fn is_of_address(c: char) -> bool {
    is_of_word(c) || matches!(c, '.' | '+' | '%')
}

/// Whether a text has a needle with nothing before or behind it that would belong to it. A full
/// stop behind it ends a sentence, unless the word goes on.
fn stands_in(text: &str, needle: &str, belongs: fn(char) -> bool) -> bool {
    text.match_indices(needle).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut behind = text[at + needle.len()..].chars();
        let next = match behind.next() {
            Some('.') => behind.next(),
            next => next,
        };
        !before.is_some_and(belongs) && !next.is_some_and(is_of_word)
    })
}

/// A text without the escapes of JSON and of addresses of pages.
fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(['\\', '%']) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '%']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        let (escaped, behind) = unescaped(rest);
        shown.push(escaped);
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// What a text that begins with an escape begins with, and what follows.
fn unescaped(text: &str) -> (char, &str) {
    let first = text.chars().next().unwrap_or(' ');
    let behind = &text[first.len_utf8()..];
    let coded = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    if first == '%' {
        let byte = behind.get(..2).and_then(coded).filter(char::is_ascii);
        return byte.map_or((first, behind), |byte| (byte, &behind[2..]));
    }
    if let Some(digits) = behind.strip_prefix('u')
        && let Some(c) = digits.get(..4).and_then(coded)
    {
        return (c, &digits[4..]);
    }
    match behind.chars().next() {
        Some(c @ ('"' | '\\' | '/')) => (c, &behind[1..]),
        Some('n' | 'r' | 't' | 'b' | 'f') => (' ', &behind[1..]),
        _ => (first, behind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles() -> Needles {
        let cookies =
            ["c-shop-12", "ab", "4711", "0123456789", "an\"odd"].map(|text| Cookie::parse(text).unwrap());
        let emails = [Email::parse("ann@example.com").unwrap()];
        Needles::new(&cookies, &emails)
    }

    #[test]
    fn somebody_is_named_however_it_is_written() {
        for text in [
            r#"{"email":"Ann@Example.COM","age":4}"#,
            r#"{"email":"ann\u0040example.com"}"#,
            "https://example.org/?from=ann%40example.com&x=1",
            "c,ann@example.com,42",
            "write to ann@example.com.",
            r#"{"cookie":"c-shop-12"}"#,
            "x,c-shop-12\n",
            "id=0123456789",
            r#"{"cookie":"an\"odd"}"#,
        ] {
            assert!(needles().are_in(text), "{text}");
        }
    }

    #[test]
    fn nobody_else_is() {
        for text in [
            "joann@example.com",
            "ann@example.com.au",
            "ann@example.community",
            "c-shop-123",
            "x-c-shop-12",
            "ab,4711",
            "90123456789",
            "100% \\",
            "",
        ] {
            assert!(!needles().are_in(text), "{text}");
        }
    }

    #[test]
    fn the_words_of_a_text_may_be_identifiers() {
        let words = words(r#"{"a":"ann\u0040example.com","b":[c-1]}"#, 3);
        assert_eq!(words, ["ann@example.com", "c-1"]);
    }
}
