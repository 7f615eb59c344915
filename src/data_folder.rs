//! The data folder: made, writable, and held by one process at a time.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use store::care::folder::{LOCK_FILE, RESTORING_FILE};

use crate::exit::Failure;

/// A data folder that this process holds. The lock ends with the process, however it ends.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes `path` when it is missing, takes its lock and tries to write to it.
    pub(crate) fn hold(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        std::fs::create_dir_all(path)
            .map_err(|error| Failure::data(&format!("cannot make the data folder {shown}"), &error))?;
        let lock_file = path.join(LOCK_FILE);
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_file)
            .map_err(|error| Failure::data(&format!("the data folder {shown} is not writable"), &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::Data(format!(
                    "the data folder {shown} is in use by another townwatch; stop that one, or choose another folder"
                )));
            }
            Err(TryLockError::Error(error)) => {
                return Err(Failure::data(
                    &format!("cannot lock the data folder {shown}"),
                    &error,
                ));
            }
        }
        if path.join(RESTORING_FILE).exists() {
            return Err(Failure::Data(format!(
                "the data folder {shown} holds a restore that was not finished; empty it and restore again"
            )));
        }
        let noted = lock
            .set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .and_then(|()| lock.sync_all());
        match noted {
            Ok(()) => {}
            // The number is for people; there may be room for what matters.
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                tracing::warn!(%error, "the number of the process could not be written to the data folder");
            }
            Err(error) => {
                return Err(Failure::data(
                    &format!("cannot write to the data folder {shown}"),
                    &error,
                ));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Takes the lock of a folder that a server has used before, without writing to it; none for a folder without a
    /// lock, a backup for example.
    pub(crate) fn hold_if_used(path: &Path) -> Result<Option<File>, Failure> {
        let Ok(lock) = File::open(path.join(LOCK_FILE)) else {
            return Ok(None);
        };
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Err(Failure::Data(format!(
                "the data folder {} is in use by a townwatch: stop it, or make a backup and look at that",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(Failure::data(
                &format!("cannot lock the data folder {}", path.display()),
                &error,
            )),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one_at_a_time_and_free_after_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let held = DataFolder::hold(folder.path()).unwrap();
        let refused = DataFolder::hold(folder.path()).unwrap_err();
        assert_eq!(refused.code(), 5);
        drop(held);
        assert!(DataFolder::hold(folder.path()).is_ok());
    }
}
