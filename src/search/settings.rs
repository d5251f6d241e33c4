//! Where the index lies, and what writing it may cost.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The least memory with which tantivy's writer starts, in MiB, rounded up.
const WRITER_MIB_MIN: usize = 15;

/// Where the index lies, and what writing it may cost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The index's folder; unset, it is beside a store on disk, and in memory for any other.
    pub folder: Option<PathBuf>,
    /// Memory of the writer, in MiB: what it gathers before it writes a part of the index.
    pub writer_mib: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folder: None,
            writer_mib: 48,
        }
    }
}

impl Settings {
    /// The folder of the index over a store, which lies in `store` if it is on disk; none for
    /// an index in memory.
    #[must_use]
    pub fn place(&self, store: Option<&Path>) -> Option<PathBuf> {
        self.folder.clone().or_else(|| store.map(beside))
    }

    /// Memory of the writer, in bytes.
    #[must_use]
    pub const fn writer_bytes(&self) -> usize {
        let mib = if self.writer_mib < WRITER_MIB_MIN {
            WRITER_MIB_MIN
        } else {
            self.writer_mib
        };
        mib * 1024 * 1024
    }
}

/// `data/cdp` → `data/cdp-search`: not inside, since the engine owns its folder.
fn beside(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_os_string();
    name.push("-search");
    store.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_lies_beside_a_store_on_disk() {
        let settings = Settings::default();
        assert_eq!(
            settings.place(Some(Path::new("data/cdp"))),
            Some("data/cdp-search".into())
        );
        assert_eq!(settings.place(None), None);
        let elsewhere = Settings {
            folder: Some("/srv/index".into()),
            ..Settings::default()
        };
        assert_eq!(
            elsewhere.place(Some(Path::new("data/cdp"))),
            Some("/srv/index".into())
        );
    }
}
