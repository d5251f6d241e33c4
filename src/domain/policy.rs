//! How far a record may tie people together: which [`Policy`] a source has, and how large
//! one person may grow.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a record with a cookie and an address says about who is who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Policy {
    /// The cookie and the address are one person, for good.
    #[default]
    Union,
    /// An address is a person, and two addresses never are one. The record is the address's;
    /// the cookie belongs to whoever used it last.
    EmailIsPerson,
}

impl Policy {
    /// The policy's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Union => "union",
            Self::EmailIsPerson => "email_is_person",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a policy; the policies are union and email_is_person")]
pub struct UnknownPolicy(String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        [Self::Union, Self::EmailIsPerson]
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

/// The most identifiers that one person may have. A link that would exceed it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caps {
    /// Cookies.
    pub cookies: u32,
    /// Addresses.
    pub emails: u32,
}

impl Caps {
    /// No bound at all, for a link that somebody has judged.
    pub const NONE: Self = Self {
        cookies: u32::MAX,
        emails: u32::MAX,
    };
}

/// All that identity resolution goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The policy of sources that are not named.
    pub policy: Policy,
    /// The policies of sources that have one of their own.
    pub sources: BTreeMap<String, Policy>,
    /// How large one person may grow.
    pub caps: Caps,
}

impl Rules {
    /// The policy for what a source sends.
    #[must_use]
    pub fn policy_of(&self, source: &str) -> Policy {
        self.sources.get(source).copied().unwrap_or(self.policy)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            policy: Policy::Union,
            sources: BTreeMap::new(),
            caps: Caps {
                cookies: 2_000,
                emails: 10,
            },
        }
    }
}
