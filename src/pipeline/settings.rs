//! The settings of identity resolution, and what they mean.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::placeholder::Placeholders;
use crate::domain::policy::{Caps, Policy, Rules};

/// A policy, as settings write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySetting {
    /// A cookie and an address that came together are one person.
    Union,
    /// An address is a person; a cookie belongs to the last one that logged in.
    EmailIsPerson,
}

/// How records are told to be of one person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The policy of sources that are not named below.
    pub policy: PolicySetting,
    /// The most cookies of one person.
    pub cookies_max: u32,
    /// The most addresses of one person.
    pub emails_max: u32,
    /// Values that are no identifiers, in any case of letters.
    pub placeholders: Vec<String>,
    /// Sources with a policy of their own.
    pub sources: BTreeMap<String, PolicySetting>,
}

impl From<PolicySetting> for Policy {
    fn from(setting: PolicySetting) -> Self {
        match setting {
            PolicySetting::Union => Self::Union,
            PolicySetting::EmailIsPerson => Self::EmailIsPerson,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let rules = Rules::default();
        Self {
            policy: PolicySetting::Union,
            cookies_max: rules.caps.cookies,
            emails_max: rules.caps.emails,
            placeholders: Placeholders::DEFAULT
                .iter()
                .map(|text| (*text).to_owned())
                .collect(),
            sources: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// What identity resolution goes by.
    #[must_use]
    pub fn rules(&self) -> Rules {
        let sources = self.sources.iter();
        Rules {
            policy: self.policy.into(),
            sources: sources
                .map(|(source, policy)| (source.clone(), (*policy).into()))
                .collect(),
            caps: Caps {
                cookies: self.cookies_max,
                emails: self.emails_max,
            },
        }
    }

    /// What is no identifier.
    #[must_use]
    pub fn placeholders(&self) -> Placeholders {
        Placeholders::new(&self.placeholders)
    }
}
