//! The settings of ingestion.

use serde::Deserialize;

use super::validate;

/// How records are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How they are judged.
    pub quality: validate::Settings,
}
