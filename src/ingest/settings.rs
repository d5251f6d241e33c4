//! The settings of ingestion.

use std::path::PathBuf;

use serde::Deserialize;

use super::{segment, validate};

/// How records are read and judged, and what may wait to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Files of transforms, and folders of such files.
    pub transforms: Vec<PathBuf>,
    /// The most bytes that payloads may take in the store while they wait to be worked off, packed
    /// as they are; beyond that, further ones are refused.
    pub queue_bytes_max: u64,
    /// How events of Segment's libraries are read.
    pub segment: segment::Settings,
    /// How records are judged.
    pub quality: validate::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            transforms: Vec::new(),
            queue_bytes_max: 1024 * 1024 * 1024,
            segment: segment::Settings::default(),
            quality: validate::Settings::default(),
        }
    }
}
