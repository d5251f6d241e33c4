//! Seals the embedded engine's log before it is opened.
//!
//! A process that is killed while it writes may leave half a record at the end of the log.
//! The engine passes over it, and appends behind it. At the start after that it finds the
//! half record in the middle, takes all that follows for damage, and drops it: what was
//! acknowledged in between would be lost (surrealkv 0.21.4, `wal::Wal::create_writer` and
//! `wal::recovery::repair_corrupted_wal_segment`). But it appends to the newest segment only.
//! So there is a fresh one whenever the newest has anything in it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The folder of the log, within that of the store.
const LOG_FOLDER: &str = "wal";

/// The ending of a segment's name; before it stands its number, in this many digits.
const SEGMENT_ENDING: &str = "wal";
const SEGMENT_DIGITS: usize = 20;

/// Sees to it that nothing will be appended to a segment of the log that is there already.
/// Does nothing to a store that does not exist yet.
///
/// # Errors
/// When the folder can't be read, or written to.
pub(super) fn seal(store: &Path) -> io::Result<()> {
    let folder = store.join(LOG_FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut newest: Option<(u64, u64)> = None;
    for entry in entries {
        let entry = entry?;
        let number = segment_number(&entry.file_name().to_string_lossy());
        if let Some(number) = number {
            newest = newest.max(Some((number, entry.metadata()?.len())));
        }
    }
    match newest {
        None | Some((_, 0)) => Ok(()),
        Some((number, _)) => {
            let name = format!("{:0SEGMENT_DIGITS$}.{SEGMENT_ENDING}", number + 1);
            File::create_new(folder.join(name))?.sync_all()?;
            // The name of a new file is durable once its folder is.
            File::open(&folder)?.sync_all()
        }
    }
}

fn segment_number(name: &str) -> Option<u64> {
    let (number, ending) = name.split_once('.')?;
    (ending == SEGMENT_ENDING).then(|| number.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_used_segment_gets_a_fresh_one_behind_it_and_an_unused_one_does_not() {
        let store = tempfile::tempdir().unwrap();
        seal(store.path()).unwrap();
        let log = store.path().join(LOG_FOLDER);
        fs::create_dir(&log).unwrap();
        fs::write(log.join("00000000000000000007.wal"), "used").unwrap();
        fs::write(log.join("00000000000000000007.wal.repair"), "other").unwrap();
        for _ in 0..2 {
            seal(store.path()).unwrap();
            assert_eq!(
                names(&log),
                [
                    "00000000000000000007.wal",
                    "00000000000000000007.wal.repair",
                    "00000000000000000008.wal"
                ]
            );
        }
    }
}
