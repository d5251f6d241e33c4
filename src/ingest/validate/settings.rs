//! The settings of validation, and what they mean.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::rules::{Rules, Severities, Severity, SeverityError};
use crate::domain::placeholder::Placeholders;
use crate::ingest::normalise::country::country;

/// What becomes of `+shop` in `ann+shop@example.com`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlusAddresses {
    /// It is a part of the address: the two are different addresses.
    #[default]
    Keep,
    /// It is left out: the two are one address.
    Strip,
}

/// A country by its alpha-2 code, or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Region(String);

/// A text that is no country.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a country")]
pub struct RegionError(String);

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(written: String) -> Result<Self, RegionError> {
        if written.is_empty() {
            return Ok(Self::default());
        }
        match country(&written) {
            Some(country) => Ok(Self(country.alpha2.to_owned())),
            None => Err(RegionError(written)),
        }
    }
}

/// How records are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What becomes of `+shop` in an address.
    pub plus_addresses: PlusAddresses,
    /// The country of telephone numbers that come without one, in records without one.
    pub phone_region: Region,
    /// What follows from what is wrong, where it is not what the table says.
    pub severity: SeveritySettings,
}

/// Severities by field or by `field.code`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Severity>")]
pub struct SeveritySettings(Severities);

impl TryFrom<BTreeMap<String, Severity>> for SeveritySettings {
    type Error = SeverityError;

    fn try_from(table: BTreeMap<String, Severity>) -> Result<Self, SeverityError> {
        Severities::new(&table).map(Self)
    }
}

impl Settings {
    /// What validation goes by.
    #[must_use]
    pub fn rules(&self, placeholders: Placeholders) -> Rules {
        Rules {
            placeholders,
            severities: self.severity.0.clone(),
            plus_addresses: self.plus_addresses,
            phone_region: self.phone_region.0.clone(),
        }
    }
}
