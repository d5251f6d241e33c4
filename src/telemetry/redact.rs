//! Takes out of a text what tells who somebody is, or lets one be somebody: addresses, telephone
//! numbers with a country's code, and tokens. It looks for what such things look like, since what
//! failed quotes what it failed on in anybody's words. A cookie or a name looks like nothing; of these
//! it knows where they stand in the words of the engine ([`keys`]) and of the reader of what is stored
//! ([`values`]).

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// The fewest digits of a telephone number with its country's code.
const PHONE_DIGITS_MIN: usize = 7;

/// How every JSON Web Token begins: `{"` in base64.
const TOKEN_START: &str = "eyJ";

/// What is shown of a telephone number.
const PHONE_SHOWN: &str = "+…";

/// Shorter than any token is, longer than a word that begins like one.
const TOKEN_CHARS_MIN: usize = 20;

/// What stands in the words of the engine before a record's key that tells of somebody, by itself or
/// in a list with others, and before a value that its field does not take.
const KEY_STARTS: [&str; 6] = [
    "cookie:",
    "email:",
    "seen_with:[",
    "sighting:[",
    "message:[",
    "but found `",
];

/// What stands before a text that was found in the place of something else, in the words of whoever
/// reads JSON.
const VALUE_STARTS: [&str; 2] = ["invalid type: string ", "invalid value: string "];

/// What is shown of a key, of a text, and of a token behind its start.
const HIDDEN: &str = "…";

/// Signs by which something is found, and what takes it out.
type Pass<'a> = (&'a [&'a str], fn(&str) -> String);

/// A text with whatever tells of somebody redacted.
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    // What hides most comes first.
    let passes: [Pass<'_>; 5] = [
        (&KEY_STARTS, keys),
        (&VALUE_STARTS, values),
        (&["@"], addresses),
        (&["+"], phones),
        (&[TOKEN_START], tokens),
    ];
    let mut shown = Cow::Borrowed(text);
    for (signs, redacted) in passes {
        if signs.iter().any(|sign| shown.contains(sign)) {
            shown = Cow::Owned(redacted(&shown));
        }
    }
    shown
}

/// A text with the keys of records redacted by which somebody is known, as the engine quotes them, and
/// with values: `cookie:⟨visitor-1⟩`, the same between backticks, `cookie:visitor1`,
/// `seen_with:['visitor-1', …]`.
fn keys(text: &str) -> String {
    let is_json = text.starts_with('{');
    hide(text, &KEY_STARTS, |start, key| {
        let field = || if is_json { field(key) } else { line(key) };
        // Too much redacted does no harm.
        let all_before = |last| {
            let field = field();
            0..field.rfind(last).unwrap_or(field.len())
        };
        match start.chars().next_back() {
            Some('[') => return all_before(']'),
            Some('`') => return all_before('`'),
            _ => {}
        }
        let opening = key.chars().next().filter(|sign| "`⟨".contains(*sign));
        let Some(opening) = opening else {
            let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            return 0..key.find(|c| !is_of_word(c)).unwrap_or(key.len());
        };
        let closing = if opening == '⟨' { '⟩' } else { opening };
        let from = opening.len_utf8();
        let within = &field()[from..];
        // Escaped by a backslash that is one of the key's, and doubled where the line escapes it.
        let mut ends = within.match_indices(closing).map(|(at, _)| at);
        let end = ends.find(|at| backslashes(&within[..*at]).is_multiple_of(4));
        from..from + end.unwrap_or(within.len())
    })
}

/// A text with those texts redacted that were found in the place of something else.
fn values(text: &str) -> String {
    let is_json = text.starts_with('{');
    hide(text, &VALUE_STARTS, |_, value| {
        // None, or the one of a line that escapes what it quotes, as JSON does.
        let depth = value.find(|c| c != '\\').unwrap_or(value.len());
        let within = value[depth..].strip_prefix('"');
        let Some(within) = within.filter(|_| depth % 2 == 1 || !is_json) else {
            return 0..0;
        };
        let (from, within) = (depth + 1, field(within));
        let mut ends = within.match_indices('"').map(|(at, _)| at);
        let end = ends.find(|at| backslashes(&within[..*at]) % (2 * from) == depth);
        from..from + end.map_or(within.len(), |at| at - depth)
    })
}

/// A text with something hidden behind each of some signs: whatever of the rest is found there.
fn hide(text: &str, signs: &[&str], found: impl Fn(&str, &str) -> Range<usize>) -> String {
    let next = |sign: &str, from: usize| Some(from + text[from..].find(sign)?);
    let mut places: Vec<_> = signs.iter().map(|sign| (next(sign, 0), *sign)).collect();
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    loop {
        // Only what was passed is looked for again: a long text is gone through once for each sign.
        for (place, sign) in &mut places {
            if place.is_some_and(|at| at < from) {
                *place = next(sign, from);
            }
        }
        let found_at = places.iter().filter_map(|(place, sign)| Some(((*place)?, *sign)));
        let Some((at, sign)) = found_at.min() else { break };
        let behind = at + sign.len();
        let hidden = found(sign, &text[behind..]);
        shown.push_str(&text[from..behind + hidden.start]);
        shown.push_str(if hidden.is_empty() { "" } else { HIDDEN });
        from = behind + hidden.end;
    }
    shown.push_str(&text[from..]);
    shown
}

/// As much as is of the line in whose midst it begins.
fn line(rest: &str) -> &str {
    rest.split('\n').next().unwrap_or(rest)
}

/// As much of a line of JSON as is of the field in whose midst it begins: what a quote or the line ends.
fn field(rest: &str) -> &str {
    let mut quotes = rest.match_indices('"').map(|(at, _)| at);
    let end = quotes.find(|at| backslashes(&rest[..*at]).is_multiple_of(2));
    &rest[..end.unwrap_or(rest.trim_end_matches('\n').len())]
}

/// How many backslashes a text ends with.
fn backslashes(text: &str) -> usize {
    text.len() - text.trim_end_matches('\\').len()
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
    hide(text, &[TOKEN_START], |start, rest| {
        let of_token = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let end = rest.find(|c| !of_token(c)).unwrap_or(rest.len());
        let is_token = start.len() + end >= TOKEN_CHARS_MIN;
        0..if is_token { end } else { 0 }
    })
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
                "ERROR failed causes=\"record `email:⟨…⟩` exists: 'b…@x….org'\"\n",
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
    fn keys_by_which_somebody_is_known_are_redacted_however_they_are_quoted() {
        for (line, shown) in [
            (
                "field `rev` of `cookie:`visitor-1``: Expected `int` but found `'Ada'`\n",
                "field `rev` of `cookie:`…``: Expected `int` but found `…`\n",
            ),
            (
                "Database record `cookie:visitor_1` already exists",
                "Database record `cookie:…` already exists",
            ),
            ("email:`o'brien@x.org`", "email:`…`"),
            // A line that is no JSON escapes no quotes.
            ("cookie:`a\"b`", "cookie:`…`"),
            ("but found `\"O'Brien\"`\nnext", "but found `…`\nnext"),
            ("`seen_with:[\"o'brien-1\", '01']`", "`seen_with:[…]`"),
            ("cookie:⟨visitor-1⟩, cookie:⟨visitor-2⟩", "cookie:⟨…⟩, cookie:⟨…⟩"),
            (r"of `cookie:`a\`b`` and `c`", "of `cookie:`…`` and `c`"),
            (
                r#"{"causes":"of `cookie:`a\\`\"b`` and `c`","d":"`"}"#,
                r#"{"causes":"of `cookie:`…`` and `c`","d":"`"}"#,
            ),
            // Cut short.
            (
                r#"{"causes":"of `cookie:`visitor-1","d":"`"}"#,
                r#"{"causes":"of `cookie:`…","d":"`"}"#,
            ),
            (
                "`seen_with:['visitor-1', 'ann@example.com']` is not a relation",
                "`seen_with:[…]` is not a relation",
            ),
            (
                r#"{"causes":"`email_sighting:[\"o'brien@x.org\", '01']`","d":[]}"#,
                r#"{"causes":"`email_sighting:[…]`","d":[]}"#,
            ),
        ] {
            assert_eq!(redact(line), shown);
        }
        let harmless = "a cookie: too long; no email:, `profile:12`, `counter:profile`";
        assert_eq!(redact(harmless), harmless);
    }

    #[test]
    fn texts_that_were_found_in_the_place_of_something_else_are_redacted() {
        for (line, shown) in [
            (
                "torn: invalid type: string \"Ada\", expected a list at line 1\n",
                "torn: invalid type: string \"…\", expected a list at line 1\n",
            ),
            (
                r#"invalid value: string "Ada \"A\" L\\", expected \"a\""#,
                r#"invalid value: string "…", expected \"a\""#,
            ),
            (
                r#"{"causes":"invalid type: string \"Ada \\\"A\\\" L\\\\\", expected a list","b":"c"}"#,
                r#"{"causes":"invalid type: string \"…\", expected a list","b":"c"}"#,
            ),
            // Cut short.
            (
                r#"{"causes":"invalid type: string \"Ada","b":"c"}"#,
                r#"{"causes":"invalid type: string \"…","b":"c"}"#,
            ),
        ] {
            assert_eq!(redact(line), shown);
        }
        for harmless in [
            "invalid type: integer `7`, expected a string; invalid type: string ",
            r#"{"a":"invalid type: string ","b":"c"}"#,
        ] {
            assert_eq!(redact(harmless), harmless);
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
