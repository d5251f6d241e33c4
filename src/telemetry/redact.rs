//! Takes out of a text what tells who somebody is, or lets one be somebody: addresses, telephone
//! numbers with a country's code, and tokens. It looks for what such things look like, since what
//! failed quotes what it failed on in anybody's words.

use std::borrow::Cow;
use std::fmt;

/// The fewest digits of a telephone number with its country's code.
const PHONE_DIGITS_MIN: usize = 7;

/// How every JSON Web Token begins: `{"` in base64.
const TOKEN_START: &str = "eyJ";

/// What is shown of a telephone number, and of a token.
const PHONE_SHOWN: &str = "+…";
const TOKEN_SHOWN: &str = "eyJ…";

/// Shorter than any token is, longer than a word that begins like one.
const TOKEN_CHARS_MIN: usize = 20;

/// A text with whatever looks like an address, a telephone number or a token redacted.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for (sign, redacted) in [
        ("@", addresses as fn(&str) -> String),
        ("+", phones),
        (TOKEN_START, tokens),
    ] {
        if shown.contains(sign) {
            shown = Cow::Owned(redacted(&shown));
        }
    }
    shown
}

/// A text with whatever looks like a telephone number redacted: a plus that begins a word, and
/// enough digits behind it.
fn phones(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('+') {
        let (before, number) = rest.split_at(at);
        shown.push_str(before);
        let of_number = |c: char| c.is_ascii_digit() || " -./()".contains(c);
        let end = 1 + number[1..].find(|c| !of_number(c)).unwrap_or(number.len() - 1);
        let end = number[..end]
            .trim_end_matches(|c: char| !c.is_ascii_digit())
            .len()
            .max(1);
        let digits = number[..end].chars().filter(char::is_ascii_digit).count();
        let begins_a_word = !shown.ends_with(|c: char| c.is_alphanumeric() || c == '+');
        let is_phone = begins_a_word
            && digits >= PHONE_DIGITS_MIN
            && number[1..].starts_with(|c: char| c.is_ascii_digit() || c == '(');
        shown.push_str(if is_phone { PHONE_SHOWN } else { &number[..end] });
        rest = &number[end..];
    }
    shown.push_str(rest);
    shown
}

/// A text with whatever looks like a token redacted.
fn tokens(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(TOKEN_START) {
        let (before, token) = rest.split_at(at);
        shown.push_str(before);
        let of_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let end = token.find(|c| !of_token(c)).unwrap_or(token.len());
        let is_token = end >= TOKEN_CHARS_MIN;
        shown.push_str(if is_token { TOKEN_SHOWN } else { &token[..end] });
        rest = &token[end..];
    }
    shown.push_str(rest);
    shown
}

/// A text with whatever looks like an address redacted.
fn addresses(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('@') {
        let start = rest[..at].trim_end_matches(is_of_address).len();
        let domain = &rest[at + 1..];
        let domain = domain.len() - domain.trim_start_matches(is_of_address).len();
        let end = at + 1 + domain;
        shown.push_str(&rest[..start]);
        shown.push_str(&Redacted(&rest[start..end]).to_string());
        rest = &rest[end..];
    }
    shown.push_str(rest);
    shown
}

/// Whether a character may be of an address, and is not one that quotes, lists or brackets are
/// made of. Wider than the syntax of addresses, since too much redacted does no harm.
fn is_of_address(c: char) -> bool {
    let ends = c.is_whitespace() || c.is_control() || "\"'`<>()[]{},;:=\\/|⟨⟩@".contains(c);
    !ends
}

/// An address as a log may show it: enough to tell two apart while one reads, too little to
/// know whose it is. It keeps its first letters and its top domain: `j…@e….com`.
struct Redacted<'a>(&'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
        let (local, domain) = self.0.rsplit_once('@').unwrap_or((self.0, ""));
        write!(f, "{}…@{}…", first(local), first(domain))?;
        match domain.rsplit_once('.') {
            Some((_, top)) => write!(f, ".{top}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_outline_only() {
        for (address, shown) in [
            ("john.smith@example.com", "j…@e….com"),
            ("zoë@bücher.example.co.uk", "z…@b….uk"),
            ("a@localhost", "a…@l…"),
            ("@", "…@…"),
        ] {
            assert_eq!(Redacted(address).to_string(), shown, "{address}");
        }
    }

    #[test]
    fn addresses_are_redacted_wherever_they_stand_in_a_line() {
        for (line, shown) in [
            ("nothing to hide\n", "nothing to hide\n"),
            (
                "ERROR failed causes=\"record `email:⟨ann@example.com⟩` exists: 'bob@x.org'\"\n",
                "ERROR failed causes=\"record `email:⟨a…@e….com⟩` exists: 'b…@x….org'\"\n",
            ),
            (
                r#"{"causes":"a\"ann@example.com\",zoë@bücher.example"}"#,
                r#"{"causes":"a\"a…@e….com\",z…@b….example"}"#,
            ),
            ("ann@example.com", "a…@e….com"),
            // The second sign begins an address without a name.
            ("ann@b@c.de x @ y", "a…@b……@c….de x …@… y"),
        ] {
            assert_eq!(redact(line), shown);
        }
    }

    #[test]
    fn numbers_and_tokens_are_redacted_and_what_only_resembles_them_stays() {
        let token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm4ifQ.c2ln";
        for (text, shown) in [
            ("found '+49 170 1234567', not an int", "found '+…', not an int"),
            ("+1 (555) 123-4567.", "+…."),
            ("+(44)2079460958", "+…"),
            (
                "at 2026-11-27T07:18:08+00:00 1234567",
                "at 2026-11-27T07:18:08+00:00 1234567",
            ),
            ("+491701234567 2026-11-27 12", "+…"),
            (
                "a+1234567 ++1234567 +123456 + +",
                "a+1234567 ++1234567 +123456 + +",
            ),
            ("dGVzdA+1234567==", "dGVzdA+1234567=="),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
        assert_eq!(redact(&format!("Bearer {token}\"")), "Bearer eyJ…\"");
        assert_eq!(redact("eyJ is short"), "eyJ is short");
    }
}
