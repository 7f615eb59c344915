//! The data folder: made, writable, and held by one process at a time.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

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
        let lock_file = path.join("townwatch.lock");
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
