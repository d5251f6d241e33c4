//! Vectors of texts on disk, so that thousands of terms are embedded once and not at each
//! start. Whatever is wrong with the file, it is made anew: nothing is lost but a minute.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use ulid::Ulid;

use super::encoder::{EncodeError, Encoder};
use crate::domain::interest::Embedding;

/// How many texts are embedded between two lines of the log.
const LOGGED_EACH: usize = 2_048;

/// What a text is known by: a part of its sha256.
type Mark = [u8; 16];

/// The vectors of one model, in one file: a mark, then the vector, for each text.
pub struct VectorFile {
    path: Option<PathBuf>,
    known: HashMap<Mark, Embedding>,
}

impl VectorFile {
    /// Opens the file of a model in a folder, which need not be there. Without a folder nothing
    /// is kept.
    pub fn open(folder: Option<&Path>, encoder: &dyn Encoder) -> Self {
        let path = folder.map(|folder| folder.join(format!("{}.vectors", encoder.identity())));
        let bytes = path.as_ref().and_then(|path| std::fs::read(path).ok());
        let bytes = bytes.unwrap_or_default();
        let entry = size_of::<Mark>() + size_of::<f32>() * encoder.width();
        let is_whole = bytes.len().is_multiple_of(entry);
        let entries = bytes.chunks_exact(entry).filter(|_| is_whole);
        let read = |entry: &[u8]| {
            let (mark, numbers) = entry.split_first_chunk::<16>()?;
            let numbers = numbers.as_chunks::<4>().0.iter();
            Some((*mark, numbers.map(|bytes| f32::from_le_bytes(*bytes)).collect()))
        };
        Self {
            path,
            known: entries.filter_map(read).collect(),
        }
    }

    /// The vectors of texts: those that are kept, and the others from the model, to be kept.
    ///
    /// # Errors
    /// When the model fails. A file that can't be written is told in the log only.
    pub fn encode(&mut self, encoder: &dyn Encoder, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
        let missing: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|text| !self.known.contains_key(&mark(text)))
            .collect();
        for (number, some) in missing.chunks(LOGGED_EACH).enumerate() {
            if missing.len() > LOGGED_EACH {
                let done = number * LOGGED_EACH;
                tracing::info!(done, of = missing.len(), "embedding known terms, once");
            }
            let vectors = encoder.encode(some)?;
            self.known.extend(some.iter().map(|text| mark(text)).zip(vectors));
        }
        if !missing.is_empty()
            && let Some(path) = &self.path
            && let Err(error) = self.write(path)
        {
            let path = path.display();
            tracing::warn!(%error, "can't keep vectors in `{path}`; the next start takes as long");
        }
        Ok(texts
            .iter()
            .filter_map(|text| self.known.get(&mark(text)).cloned())
            .collect())
    }

    /// Replaces the file whole, so that processes that start together find it so.
    fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut bytes = Vec::new();
        for (mark, vector) in &self.known {
            bytes.extend_from_slice(mark);
            bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
        }
        let own = path.with_extension(format!("{}.new", Ulid::new()));
        std::fs::write(&own, bytes)?;
        std::fs::rename(&own, path)
    }
}

fn mark(text: &str) -> Mark {
    let hash = Sha256::digest(text);
    let mut mark = Mark::default();
    mark.copy_from_slice(&hash[..size_of::<Mark>()]);
    mark
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Counts what it is asked for.
    #[derive(Default)]
    struct Toy(Mutex<Vec<String>>);

    impl Encoder for Toy {
        fn identity(&self) -> &'static str {
            "toy"
        }

        fn width(&self) -> usize {
            2
        }

        fn encode(&self, texts: &[&str]) -> Result<Vec<Embedding>, EncodeError> {
            self.0
                .lock()
                .unwrap()
                .extend(texts.iter().map(|text| (*text).to_owned()));
            Ok(texts.iter().map(|text| [text.len() as f32, 0.5].into()).collect())
        }
    }

    impl Toy {
        fn asked(&self) -> Vec<String> {
            std::mem::take(&mut *self.0.lock().unwrap())
        }
    }

    #[test]
    fn a_text_is_embedded_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("not/yet/there");
        let toy = Toy::default();
        let first = VectorFile::open(Some(&folder), &toy)
            .encode(&toy, &["a", "bcd"])
            .unwrap();
        assert_eq!(toy.asked(), ["a", "bcd"]);
        let again = VectorFile::open(Some(&folder), &toy)
            .encode(&toy, &["bcd", "ef", "a"])
            .unwrap();
        assert_eq!(toy.asked(), ["ef"]);
        assert_eq!((&again[0], &again[2]), (&first[1], &first[0]));
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let toy = Toy::default();
        std::fs::write(folder.path().join("toy.vectors"), b"not whole").unwrap();
        for expect in [1, 0] {
            let vectors = VectorFile::open(Some(folder.path()), &toy)
                .encode(&toy, &["a"])
                .unwrap();
            assert_eq!(vectors.len(), 1);
            assert_eq!(toy.asked().len(), expect);
        }
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let toy = Toy::default();
        for _ in 0..2 {
            VectorFile::open(None, &toy).encode(&toy, &["a"]).unwrap();
            assert_eq!(toy.asked(), ["a"]);
        }
    }
}
