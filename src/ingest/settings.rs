//! The settings of ingestion.

use std::path::PathBuf;

use serde::Deserialize;

use super::validate;

/// How records are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Files of transforms, and folders of such files.
    pub transforms: Vec<PathBuf>,
    /// How they are judged.
    pub quality: validate::Settings,
}
