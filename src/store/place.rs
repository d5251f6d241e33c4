//! What this program puts beside the folder of a store on this disk: a lock, and what `compact` and
//! `restore` work on until it takes the store's place.
//!
//! The engine locks its folder by a file within it. That lock moves along when the folder does, and
//! nobody holds it before the engine is open: whoever moves and deletes folders needs one that
//! stays where it is. And a name proves nothing of who made a folder: what lies beside a store is
//! deleted only while a [`Mark`], which is set before it is made, says that it is this program's.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What is at work on a store, by what its mark's name ends with.
pub(super) const COMPACTING: &str = "compacting";
pub(super) const RESTORING: &str = "restoring";

/// The file that is locked. It is never deleted: whoever holds the lock of a file without a name
/// would hold one beside whoever locks the next of that name.
const LOCK: &str = "lock";

/// Something beside a store that can't be made, read, moved or removed.
#[derive(Debug, thiserror::Error)]
#[error("`{}` can't be used", path.display())]
pub struct PlaceError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Why a store is not this process's.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody has it open, compacts it, or restores it.
    #[error("the store in `{}` is already locked by another process", .0.display())]
    Held(PathBuf),
    /// What there is of it is half of a backup.
    #[error("a restore was interrupted here: run it again, or delete `{}` and `{}`", half.display(), mark.display())]
    Half {
        /// What there is.
        half: PathBuf,
        /// What says that a restore made it.
        mark: PathBuf,
    },
    /// The lock can't be tried.
    #[error(transparent)]
    Place(#[from] PlaceError),
}

/// The lock of a store, until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closing it lets go of the lock. There is none where nothing can be locked.
    _file: Option<File>,
}

impl Lock {
    /// Takes the lock beside a store's folder. Where the disk or its rights allow for none, the
    /// engine's own has to do.
    ///
    /// # Errors
    /// When another process has it, or this one.
    pub(super) fn take(folder: &Path) -> Result<Self, LockError> {
        let path = beside(folder, LOCK);
        let file = match open_lock(&path) {
            Ok(file) => file,
            Err(error) if is_refused(&error) => return Ok(Self::none(&path, &error)),
            Err(error) => return Err(at(&path)(error).into()),
        };
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: Some(file) }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held(folder.to_owned())),
            Err(TryLockError::Error(error)) => Ok(Self::none(&path, &error)),
        }
    }

    fn none(path: &Path, error: &io::Error) -> Self {
        tracing::debug!(lock.path = %path.display(), %error, "a store is used without a lock beside it");
        Self { _file: None }
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let opened = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    match opened {
        // Another user's, or on a disk that is read-only: it can be locked all the same.
        Err(error) if is_refused(&error) => File::open(path).map_err(|_| error),
        opened => opened,
    }
}

fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::Unsupported
    )
}

/// A file beside a store that is there while folders of some work may be.
pub(super) struct Mark {
    path: PathBuf,
    work: &'static str,
}

impl Mark {
    /// That of some work on a store.
    pub(super) fn of(folder: &Path, work: &'static str) -> Self {
        Self {
            path: beside(folder, work),
            work,
        }
    }

    /// Whether the work is under way, or was interrupted.
    pub(super) fn is_set(&self) -> bool {
        self.path.is_file()
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets it, before the first of the work's folders is made.
    ///
    /// # Errors
    /// When one of these is there, which then is somebody else's; or the mark can't be written.
    pub(super) fn set(&self, folders: &[&Path]) -> Result<(), PlaceError> {
        for folder in folders {
            if fs::symlink_metadata(folder).is_ok() {
                return Err(at(folder)(ErrorKind::AlreadyExists.into()));
            }
        }
        let told = format!(
            "`cdp` is {} the store beside this file, or was interrupted and sees to it later: leave it here\n",
            self.work
        );
        let written = File::create(&self.path).and_then(|mut file| {
            file.write_all(told.as_bytes())?;
            file.sync_all()
        });
        written.map_err(at(&self.path))?;
        sync_parent(&self.path)
    }

    /// Deletes what is left of the work's folders, and then the mark.
    ///
    /// # Errors
    /// When one of them can't be deleted.
    pub(super) fn clear(&self, folders: &[&Path]) -> Result<(), PlaceError> {
        for folder in folders {
            if remove(folder)? {
                tracing::info!(
                    folder.path = %folder.display(),
                    "a folder was deleted that was left of {} a store",
                    self.work
                );
            }
        }
        // A mark that goes before they do would leave them to nobody.
        sync_parent(&self.path)?;
        fs::remove_file(&self.path).map_err(at(&self.path))
    }
}

/// `data/cdp` → `data/cdp.lock`.
pub(super) fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    folder.with_file_name(name)
}

/// Where a store's folder is that may be named by a link: what is moved is the folder, and what
/// lies beside it is beside that.
pub(super) fn without_link(folder: &Path) -> PathBuf {
    let Ok(target) = fs::read_link(folder) else {
        return folder.to_owned();
    };
    // A link leads nowhere while its folder is moved.
    fs::canonicalize(folder).unwrap_or_else(|_| parent(folder).join(target))
}

/// Makes the folder around a store's, as the engine does.
///
/// # Errors
/// When it can't be made.
pub(super) fn make_parent(folder: &Path) -> Result<(), PlaceError> {
    let parent = parent(folder);
    fs::create_dir_all(parent).map_err(at(parent))
}

/// Moves a folder, durably.
///
/// # Errors
/// When there is something at the new place, or either can't be written to.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), PlaceError> {
    fs::rename(from, to).map_err(at(to))?;
    sync_parent(to)
}

/// Deletes a folder with all that is in it; whether there was one.
///
/// # Errors
/// When it can't be deleted.
pub(super) fn remove(folder: &Path) -> Result<bool, PlaceError> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(folder)(error)),
    }
}

/// The new name of a folder is durable once the one around it is.
fn sync_parent(path: &Path) -> Result<(), PlaceError> {
    let parent = parent(path);
    let synced = File::open(parent).and_then(|parent| parent.sync_all());
    synced.map_err(at(parent))
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Says where something failed.
pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> PlaceError {
    let path = path.to_owned();
    move |source| PlaceError {
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_one_holders_until_it_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cdp");
        let held = Lock::take(&folder).unwrap();
        let refused = Lock::take(&folder).unwrap_err();
        assert!(matches!(refused, LockError::Held(_)), "{refused:?}");
        let other = Lock::take(&place.path().join("other"));
        other.unwrap();
        drop(held);
        Lock::take(&folder).unwrap();
        assert!(place.path().join("cdp.lock").is_file());
    }

    #[test]
    fn only_what_a_mark_was_set_for_is_deleted() {
        let place = tempfile::tempdir().unwrap();
        let (store, made) = (place.path().join("cdp"), place.path().join("cdp.made"));
        let mark = Mark::of(&store, RESTORING);
        fs::create_dir(&made).unwrap();
        assert!(mark.set(&[&made]).is_err());
        assert!(!mark.is_set() && made.is_dir());
        fs::remove_dir(&made).unwrap();
        mark.set(&[&made]).unwrap();
        fs::create_dir(&made).unwrap();
        assert!(mark.is_set());
        mark.clear(&[&made]).unwrap();
        assert!(!mark.is_set() && !made.exists());
    }

    #[test]
    fn a_folder_that_a_link_leads_to_has_its_neighbours_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (link, folder) = (place.path().join("link"), elsewhere.path().join("cdp"));
        assert_eq!(without_link(&folder), folder);
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        assert_eq!(without_link(&link), folder);
        fs::create_dir(&folder).unwrap();
        assert_eq!(without_link(&link), folder.canonicalize().unwrap());
    }
}
