//! What a person is known by: [`Cookie`] and [`Email`]. `parse` is the only door
//! to either, so that holding one is the proof that it is valid and canonical.

use std::fmt;

/// Longest cookie that is accepted, in bytes. Browsers keep a whole cookie below
/// 4,096 bytes (RFC 6265, section 6.1); real visitor ids stay far below this bound.
pub const COOKIE_BYTES_MAX: usize = 256;

/// Longest email address that is accepted, in bytes (RFC 5321, section 4.5.3.1.3).
pub const EMAIL_BYTES_MAX: usize = 254;

/// Values that trackers and forms send when they know nothing. As identifiers they
/// would tie strangers together, so none of them is one. Compared in lower case.
const PLACEHOLDERS: &[&str] = &[
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
    "-",
];

/// Addresses that are typed to get past a form. Compared after normalisation.
const PLACEHOLDER_EMAILS: &[&str] = &[
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

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// Longer than the bound of its kind.
    #[error("is longer than {max} bytes")]
    TooLong {
        /// The bound, in bytes.
        max: usize,
    },
    /// A cookie with control characters or line breaks inside.
    #[error("contains control characters")]
    Characters,
    /// A value such as `null` or `test@test.com` that many strangers share.
    #[error("is a placeholder that many people share")]
    Placeholder,
    /// Not an address by RFC 5322.
    #[error("is not an email address")]
    Syntax,
}

/// A visitor id: opaque, case-sensitive, trimmed, not a placeholder. Blanks inside are the
/// sender's business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(String);

impl Cookie {
    /// Reads a cookie.
    ///
    /// # Errors
    /// When it is empty, longer than [`COOKIE_BYTES_MAX`], has control characters or line
    /// breaks inside, or is a placeholder (`null`, all zeros, …).
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if text.len() > COOKIE_BYTES_MAX {
            return Err(IdentifierError::TooLong {
                max: COOKIE_BYTES_MAX,
            });
        }
        if is_placeholder(text) {
            return Err(IdentifierError::Placeholder);
        }
        if text
            .chars()
            .any(|c| c.is_control() || (c.is_whitespace() && c != ' '))
        {
            return Err(IdentifierError::Characters);
        }
        Ok(Self(text.to_owned()))
    }

    /// The cookie's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An email address: syntactically valid, lower case, not a placeholder.
///
/// The whole address is folded, not only its domain: RFC 5321 lets a host tell
/// `John@` from `john@`, no mail provider of note does, and people type both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address and brings it to its canonical form.
    ///
    /// # Errors
    /// When it is empty, longer than [`EMAIL_BYTES_MAX`], not an address with a dotted
    /// domain, or a placeholder (`test@test.com`, …).
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if text.len() > EMAIL_BYTES_MAX {
            return Err(IdentifierError::TooLong { max: EMAIL_BYTES_MAX });
        }
        let address = text.to_lowercase();
        if is_placeholder(&address) || PLACEHOLDER_EMAILS.contains(&address.as_str()) {
            return Err(IdentifierError::Placeholder);
        }
        let options = email_address::Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        email_address::EmailAddress::parse_with_options(&address, options)
            .map_err(|_| IdentifierError::Syntax)?;
        Ok(Self(address))
    }

    /// The canonical address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What many strangers share: a known placeholder, or one character repeated
/// (`0000-0000`, `xxxx`), separators aside.
fn is_placeholder(text: &str) -> bool {
    let lower = text.to_lowercase();
    if PLACEHOLDERS.contains(&lower.as_str()) {
        return true;
    }
    let mut letters = lower.chars().filter(|c| c.is_alphanumeric());
    let Some(first) = letters.next() else { return true };
    let mut rest = 0;
    let repeats = letters.all(|c| {
        rest += 1;
        c == first
    });
    // A single letter may be a real (test) id; zeros and runs of one letter are not.
    repeats && (rest > 2 || first == '0')
}

impl fmt::Display for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_trimmed_and_kept_as_it_is() {
        assert_eq!(Cookie::parse(" dk5h2P ").unwrap().as_str(), "dk5h2P");
        assert_eq!(
            Cookie::parse("x'; REMOVE TABLE profile;").unwrap().as_str(),
            "x'; REMOVE TABLE profile;"
        );
    }

    #[test]
    fn a_cookie_that_names_nobody_is_refused() {
        for (text, why) in [
            ("", IdentifierError::Empty),
            ("  \t", IdentifierError::Empty),
            ("undefined", IdentifierError::Placeholder),
            ("NULL", IdentifierError::Placeholder),
            (
                "00000000-0000-0000-0000-000000000000",
                IdentifierError::Placeholder,
            ),
            ("xxxx", IdentifierError::Placeholder),
            ("---", IdentifierError::Placeholder),
            ("a\nb", IdentifierError::Characters),
        ] {
            assert_eq!(Cookie::parse(text), Err(why), "{text:?}");
        }
        let long = "c1".repeat(COOKIE_BYTES_MAX);
        assert_eq!(
            Cookie::parse(&long),
            Err(IdentifierError::TooLong {
                max: COOKIE_BYTES_MAX
            })
        );
    }

    #[test]
    fn an_address_has_one_form() {
        assert_eq!(
            Email::parse(" John.Smith@Example.COM ").unwrap().as_str(),
            "john.smith@example.com"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, why) in [
            ("", IdentifierError::Empty),
            ("foo@", IdentifierError::Syntax),
            ("foo", IdentifierError::Syntax),
            ("@example.com", IdentifierError::Syntax),
            ("a b@example.com", IdentifierError::Syntax),
            ("john@localhost", IdentifierError::Syntax),
            ("Jo <jo@example.com>", IdentifierError::Syntax),
            ("test@test.com", IdentifierError::Placeholder),
            ("none", IdentifierError::Placeholder),
        ] {
            assert_eq!(Email::parse(text), Err(why), "{text:?}");
        }
    }
}
