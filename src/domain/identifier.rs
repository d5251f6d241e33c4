//! What a person is known by: [`Cookie`] and [`Email`]. `parse` is the only door
//! to either, so that holding one is the proof that it is valid and canonical. Whether a valid
//! one is shared by strangers is for [`placeholder`](super::placeholder) to say.

use std::fmt;

/// Longest cookie that is accepted, in bytes. Browsers keep a whole cookie below
/// 4,096 bytes (RFC 6265, section 6.1); real visitor ids stay far below this bound.
pub const COOKIE_BYTES_MAX: usize = 256;

/// Longest email address that is accepted, in bytes (RFC 5321, section 4.5.3.1.3).
pub const EMAIL_BYTES_MAX: usize = 254;

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
    /// Not an address by RFC 5322.
    #[error("is not an email address")]
    Syntax,
}

/// A visitor id: opaque, case-sensitive, trimmed. Blanks inside are the sender's business.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(String);

impl Cookie {
    /// Reads a cookie.
    ///
    /// # Errors
    /// When it is empty, longer than [`COOKIE_BYTES_MAX`], or has control characters or line
    /// breaks inside.
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

/// An email address: syntactically valid, lower case.
///
/// The whole address is folded, not only its domain: RFC 5321 lets a host tell
/// `John@` from `john@`, no mail provider of note does, and people type both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address and brings it to its canonical form.
    ///
    /// # Errors
    /// When it is empty, longer than [`EMAIL_BYTES_MAX`], or not an address with a dotted
    /// domain.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(IdentifierError::Empty);
        }
        if text.len() > EMAIL_BYTES_MAX {
            return Err(IdentifierError::TooLong { max: EMAIL_BYTES_MAX });
        }
        let address = text.to_lowercase();
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
        ] {
            assert_eq!(Email::parse(text), Err(why), "{text:?}");
        }
    }
}
