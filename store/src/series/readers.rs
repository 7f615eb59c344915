//! The open connections for reading, one per file, the least recently used closed first.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::partition::Partition;
use super::read::Blocks;
use super::reader::SeriesError;

/// Connections held open, three file descriptors each: enough for a year by day. A reader of more days than this
/// opens and closes some each time, which takes some 0.2 ms per day.
const OPEN_MAX: usize = 400;

/// Open connections, the most recently used last.
#[derive(Debug)]
pub(super) struct Readers {
    dir: PathBuf,
    open: Mutex<Vec<Entry>>,
    /// Decoded for somebody who wanted a part of them.
    pub(super) blocks: Blocks,
}

#[derive(Debug)]
struct Entry {
    extent: i64,
    partition: Arc<Mutex<Partition>>,
    /// Whether it was used since the last [`Readers::close_idle`].
    is_used: bool,
}

impl Readers {
    pub(super) fn new(dir: &Path, blocks_bytes: usize) -> Self {
        Self {
            dir: dir.to_owned(),
            open: Mutex::new(Vec::new()),
            blocks: Blocks::new(blocks_bytes),
        }
    }

    /// Runs `read` on the partitions of `extents`, which are there, in this order. Everybody names them in ascending order,
    /// so that no two wait for each other.
    pub(super) fn with<T>(
        &self,
        extents: &[i64],
        read: impl FnOnce(&[&Partition]) -> Result<T, SeriesError>,
    ) -> Result<T, SeriesError> {
        let open = extents.iter().map(|extent| self.get(*extent));
        let open = open.collect::<Result<Vec<_>, _>>()?;
        let lock = |partition| Mutex::lock(partition).unwrap_or_else(PoisonError::into_inner);
        let locked: Vec<_> = open.iter().map(|partition| lock(partition)).collect();
        let partitions: Vec<&Partition> = locked.iter().map(|partition| &**partition).collect();
        Partition::all_at_once(&partitions, || read(&partitions))
    }

    fn get(&self, extent: i64) -> Result<Arc<Mutex<Partition>>, SeriesError> {
        {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(place) = open.iter().rposition(|entry| entry.extent == extent) {
                let mut entry = open.remove(place);
                let partition = Arc::clone(&entry.partition);
                entry.is_used = true;
                open.push(entry);
                return Ok(partition);
            }
        }
        let partition = Arc::new(Mutex::new(Partition::open(&self.dir, extent)?));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|entry| entry.extent != extent);
        if open.len() >= OPEN_MAX {
            open.remove(0);
        }
        open.push(Entry {
            extent,
            partition: Arc::clone(&partition),
            is_used: true,
        });
        Ok(partition)
    }

    /// Closes the connections to files that are to be deleted.
    pub(super) fn forget(&self, extents: &[i64]) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|entry| !extents.contains(&entry.extent));
        self.blocks.forget(extents);
    }

    /// Closes the connections that nobody used since the last call, and lets go of the decoded blocks.
    pub(super) fn close_idle(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain_mut(|entry| std::mem::take(&mut entry.is_used));
        self.blocks.clear();
    }
}
