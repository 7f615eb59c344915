//! Room on the data disk that is kept for alarms, acknowledgements and audit.
//!
//! A file of some MiB lies in the data folder and holds nothing. When the disk is full the state database gives it
//! up ([`Reserve::release`]) and goes on in the room that is free then; the journal, which is refused first, takes
//! nothing while the reserve is in use. When there is room again [`Reserve::restore`] makes the file anew. Whatever
//! filled the disk, also another program, cannot take this room before we do.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FallocateFlags, StatVfs};

/// The name of the file in the data directory.
pub const RESERVE_FILE: &str = "reserve";
/// The reserve of a large disk. Source: assumed; some thousand alarms with their log and their notices.
pub const RESERVE_BYTES: u64 = 16 << 20;
/// On a small disk it is this part of it.
const PART_OF_DISK: u64 = 16;

/// The reserve of one data directory.
#[derive(Debug)]
pub struct Reserve {
    file: PathBuf,
    size_bytes: u64,
    held: AtomicBool,
}

/// How full a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that this program may still use.
    pub free_bytes: u64,
    /// Bytes of the whole disk.
    pub total_bytes: u64,
}

impl DiskSpace {
    /// The space of the disk that holds `path`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(path: &Path) -> io::Result<Self> {
        let StatVfs {
            f_frsize,
            f_bavail,
            f_blocks,
            ..
        } = rustix::fs::statvfs(path)?;
        Ok(Self {
            free_bytes: f_bavail.saturating_mul(f_frsize),
            total_bytes: f_blocks.saturating_mul(f_frsize),
        })
    }

    /// The free part, 0 to 100.
    #[must_use]
    pub fn free_percent(&self) -> f64 {
        if self.total_bytes == 0 {
            return 0.0;
        }
        self.free_bytes as f64 * 100.0 / self.total_bytes as f64
    }
}

impl Reserve {
    /// Takes the reserve of the data directory `dir`, [`RESERVE_BYTES`] or a sixteenth of the disk. When there is
    /// no room for it now it counts as being in use.
    ///
    /// # Errors
    /// The size of the disk cannot be read.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let part = DiskSpace::of(dir)?.total_bytes / PART_OF_DISK;
        let reserve = Self {
            file: dir.join(RESERVE_FILE),
            size_bytes: part.clamp(4096, RESERVE_BYTES),
            held: AtomicBool::new(false),
        };
        match reserve.allocate() {
            Ok(()) => reserve.held.store(true, Ordering::Release),
            Err(error) => {
                tracing::warn!(%error, "no room for the reserve of disk space: messages are refused until there is");
                reserve.give_up();
            }
        }
        Ok(reserve)
    }

    /// Whether the room is still kept.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Gives the room up, for the state database to go on. Whether there was any.
    pub fn release(&self) -> bool {
        let held = self.held.swap(false, Ordering::AcqRel);
        if held {
            tracing::error!(
                bytes = self.size_bytes,
                "the disk is full: the reserve is used for alarms and acknowledgements, messages are refused"
            );
            self.give_up();
        }
        held
    }

    /// Takes the room again when twice as much is free; whether it is held now.
    pub fn restore(&self) -> bool {
        if self.is_held() {
            return true;
        }
        let room = self.file.parent().and_then(|dir| DiskSpace::of(dir).ok());
        if room.is_none_or(|room| room.free_bytes < self.size_bytes.saturating_mul(2)) {
            return false;
        }
        match self.allocate() {
            Ok(()) => {
                self.held.store(true, Ordering::Release);
                tracing::warn!("there is room again: the reserve of disk space is kept, messages are taken");
                true
            }
            Err(error) => {
                tracing::debug!(%error, "the reserve of disk space could not be taken");
                self.give_up();
                false
            }
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.file)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.size_bytes) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.fill(&mut file),
            outcome => Ok(outcome?),
        }
    }

    /// Where the file system cannot reserve blocks, they are written.
    fn fill(&self, file: &mut File) -> io::Result<()> {
        let block = vec![0u8; 64 << 10];
        let mut left = self.size_bytes;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            file.write_all(block.get(..length).unwrap_or_default())?;
            left -= length as u64;
        }
        Ok(())
    }

    fn give_up(&self) {
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the reserve of disk space could not be given up");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_takes_room_gives_it_up_once_and_takes_it_again() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(folder.path()).unwrap();
        let size = || std::fs::metadata(folder.path().join(RESERVE_FILE)).map_or(0, |file| file.len());
        assert!(reserve.is_held());
        assert!(size() > 0);
        assert!(reserve.release());
        assert!(!reserve.release(), "it was given up already");
        assert_eq!(size(), 0);
        assert!(!reserve.is_held());
        assert!(reserve.restore());
        assert!(reserve.is_held() && size() > 0);
    }

    #[test]
    fn the_free_part_of_a_disk_is_a_percentage() {
        let space = DiskSpace {
            free_bytes: 1,
            total_bytes: 8,
        };
        assert!((space.free_percent() - 12.5).abs() < 1e-9);
        assert!(DiskSpace::of(Path::new("/")).unwrap().total_bytes > 0);
    }
}
