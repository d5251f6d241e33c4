//! The transforms of a platform, as files on its disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::ingest::transform::{Transform, TransformError, Transforms};

/// How the endings of transforms in a folder are written.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// A file that is no transform, or that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file or folder can't be read.
    #[error("the transform `{}` can't be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is no transform.
    #[error("the transform `{}` can't be used", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and where.
        #[source]
        source: TransformError,
    },
    /// Two files are for one source.
    #[error("the transform `{}` is a second one for the source `{origin}`", path.display())]
    Twice {
        /// The later one.
        path: PathBuf,
        /// The source of the records.
        origin: String,
    },
}

/// Reads all transforms: files, and folders of such files.
///
/// # Errors
/// When one can't be read or used, or a source has two.
pub fn load(paths: &[PathBuf]) -> Result<Transforms, LoadError> {
    let mut transforms = Transforms::default();
    for path in paths {
        for path in files(path)? {
            let failed = |source| LoadError::Read {
                path: path.clone(),
                source,
            };
            let text = fs::read_to_string(&path).map_err(failed)?;
            let transform = Transform::parse(&text).map_err(|source| LoadError::Unusable {
                path: path.clone(),
                source,
            })?;
            tracing::info!(source = transform.source(), path = %path.display(), "loaded a transform");
            transforms
                .add(transform)
                .map_err(|origin| LoadError::Twice { path, origin })?;
        }
    }
    Ok(transforms)
}

/// The file itself; or the transforms in a folder, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let entries = fs::read_dir(path).map_err(failed)?;
    let entries = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut found: Vec<_> = entries.collect::<Result<_, _>>().map_err(failed)?;
    found.retain(|path| {
        path.extension()
            .is_some_and(|is| ENDINGS.iter().any(|ending| is == *ending))
    });
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(paths: &[&Path]) -> Vec<PathBuf> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn transforms_are_read_from_files_and_folders_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.yaml"), "source: a\nfields: []").unwrap();
        fs::write(path("b.yml"), "source: b\nfields: []").unwrap();
        fs::write(path("notes.txt"), "no transform").unwrap();
        let all = load(&paths(&[folder.path()])).unwrap();
        assert_eq!(all.sources().collect::<Vec<_>>(), ["a", "b"]);

        let twice = load(&paths(&[folder.path(), &path("b.yml")])).unwrap_err();
        assert!(
            twice
                .to_string()
                .ends_with("b.yml` is a second one for the source `b`"),
            "{twice}"
        );
        let unusable = load(&paths(&[&path("notes.txt")])).unwrap_err();
        assert!(matches!(unusable, LoadError::Unusable { .. }), "{unusable}");
        let missing = load(&paths(&[&path("nowhere.yaml")])).unwrap_err();
        assert!(
            missing.to_string().ends_with("nowhere.yaml` can't be read"),
            "{missing}"
        );
    }
}
