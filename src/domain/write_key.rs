//! A [`WriteKey`] lets a program send records of one source, and do nothing else. Its text is
//! shown once; what is kept is a digest of it.

use std::fmt;
use std::str::FromStr;

use ulid::Ulid;

use super::Timestamp;

/// Who may use a key, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// A server, which keeps it secret. Refused where a browser sends it.
    Server,
    /// A website: everybody who looks may read it, so it is good from the site's origins only.
    Public,
}

impl KeyKind {
    /// The kind's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no kind of key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of key; the kinds are server and public")]
pub struct UnknownKind(String);

impl FromStr for KeyKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        [Self::Server, Self::Public]
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// Which origins a public key is good from: one (`https://shop.example`), all below a host
/// (`https://*.shop.example`), or any (`*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginPattern(String);

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin such as https://shop.example, https://*.shop.example or *")]
pub struct OriginError(String);

impl OriginPattern {
    /// Reads a pattern as somebody writes it; a `/` at its end is none of it.
    ///
    /// # Errors
    /// When it is neither `*` nor a scheme and a host, with a port or without, and no path.
    pub fn parse(written: &str) -> Result<Self, OriginError> {
        let origin = written.trim().trim_end_matches('/').to_ascii_lowercase();
        if origin == "*" {
            return Ok(Self(origin));
        }
        let wrong = || OriginError(written.to_owned());
        let (scheme, authority) = origin.split_once("://").ok_or_else(wrong)?;
        let host = authority.strip_prefix("*.").unwrap_or(authority);
        let (name, port) = host
            .split_once(':')
            .map_or((host, None), |(name, port)| (name, Some(port)));
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || ".-_[]".contains(c));
        let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
        if matches!(scheme, "http" | "https") && is_name && is_port {
            return Ok(Self(origin));
        }
        Err(wrong())
    }

    /// The pattern as it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a browser's `Origin` is one of these.
    #[must_use]
    pub fn admits(&self, origin: &str) -> bool {
        if self.0 == "*" {
            return true;
        }
        let origin = origin.to_ascii_lowercase();
        if self.0 == origin {
            return true;
        }
        let Some((scheme, below)) = self.0.split_once("://*") else {
            return false;
        };
        let host = origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"));
        // `below` begins with its dot, so a host that only ends alike is another one.
        host.is_some_and(|host| host.len() > below.len() && host.ends_with(below))
    }
}

/// A key, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteKey {
    /// Its id, which tells nothing of its text.
    pub id: Ulid,
    /// SHA-256 of its text, in hexadecimal digits.
    pub digest: String,
    /// The first characters of its text, by which people tell keys apart.
    pub hint: String,
    /// Who may use it.
    pub kind: KeyKind,
    /// The source of all that is sent with it.
    pub source: String,
    /// From where a public key is good; none for a server's.
    pub origins: Vec<OriginPattern>,
    /// What people call it.
    pub label: String,
    /// Whether everybody knows it, since a demo has it.
    pub demo: bool,
    /// Who made it.
    pub by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last used, if ever, to within some seconds.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is good for nothing any more.
    pub revoked_at: Option<Timestamp>,
}

impl WriteKey {
    /// Whether a browser may send with this key from a page of an origin.
    #[must_use]
    pub fn admits(&self, origin: &str) -> bool {
        self.kind == KeyKind::Public && self.origins.iter().any(|pattern| pattern.admits(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_those_below_a_host_or_any() {
        let admits = |pattern: &str, origin: &str| OriginPattern::parse(pattern).unwrap().admits(origin);
        for (pattern, origin) in [
            ("*", "https://anywhere.example"),
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.example/", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://*.shop.example", "https://www.shop.example"),
            ("https://*.shop.example", "https://a.b.shop.example"),
            ("http://*.localhost:81", "http://a.localhost:81"),
        ] {
            assert!(admits(pattern, origin), "{pattern} {origin}");
        }
        for (pattern, origin) in [
            ("https://shop.example", "http://shop.example"),
            ("https://shop.example", "https://shop.example:444"),
            ("https://shop.example", "https://shop.example.evil.example"),
            ("https://*.shop.example", "https://shop.example"),
            ("https://*.shop.example", "https://evilshop.example"),
            ("https://*.shop.example", "https://.shop.example"),
            ("https://shop.example", "null"),
        ] {
            assert!(!admits(pattern, origin), "{pattern} {origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for written in [
            "",
            "shop.example",
            "https://",
            "https://shop.example/path",
            "ftp://shop.example",
            "https://*",
            "https://a.*.example",
            "https://shop.example:port",
            "null",
        ] {
            assert!(OriginPattern::parse(written).is_err(), "{written}");
        }
    }

    #[test]
    fn a_kind_reads_back_by_its_name() {
        for kind in [KeyKind::Server, KeyKind::Public] {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("secret".parse::<KeyKind>().is_err());
    }
}
