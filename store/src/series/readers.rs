//! The open connections for reading, one per day, the least recently used closed first.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::partition::Partition;
use super::reader::SeriesError;

/// Connections held open, three file descriptors each: enough for a year by day. A reader of more days than this
/// opens and closes some each time, which takes some 0.2 ms per day.
const OPEN_MAX: usize = 400;

/// Open connections, the most recently used last.
#[derive(Debug)]
pub(super) struct Readers {
    dir: PathBuf,
    open: Mutex<Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    day: i64,
    partition: Arc<Mutex<Partition>>,
    /// Whether it was used since the last [`Readers::close_idle`].
    is_used: bool,
}

impl Readers {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            open: Mutex::new(Vec::new()),
        }
    }

    /// Runs `read` on the partition of `day`, which is there.
    pub(super) fn with<T>(
        &self,
        day: i64,
        read: impl FnOnce(&Partition) -> Result<T, SeriesError>,
    ) -> Result<T, SeriesError> {
        let partition = self.get(day)?;
        let partition = partition.lock().unwrap_or_else(PoisonError::into_inner);
        partition.at_once(read)
    }

    fn get(&self, day: i64) -> Result<Arc<Mutex<Partition>>, SeriesError> {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = open.iter().rposition(|entry| entry.day == day) {
                let mut entry = open.remove(place);
                let partition = Arc::clone(&entry.partition);
                entry.is_used = true;
                open.push(entry);
                return Ok(partition);
            }
        }
        let partition = Arc::new(Mutex::new(Partition::open(&self.dir, day)?));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|entry| entry.day != day);
        if open.len() >= OPEN_MAX {
            open.remove(0);
        }
        open.push(Entry {
            day,
            partition: Arc::clone(&partition),
            is_used: true,
        });
        Ok(partition)
    }

    /// Closes the connections to days before `day`.
    pub(super) fn forget_before(&self, day: i64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|entry| entry.day >= day);
    }

    /// Closes the connections that nobody used since the last call.
    pub(super) fn close_idle(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain_mut(|entry| std::mem::take(&mut entry.is_used));
    }
}
