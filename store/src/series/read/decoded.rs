//! Blocks that were decoded for a part of them, kept for a while: who asks for one night of a month asks for the next one soon,
//! and each is a thirtieth of the same block.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

use crate::series::block::Summary;
use crate::series::column::Column;
use crate::series::partition::Row;

/// Bytes of a sample in a column.
const SAMPLE_BYTES: usize = 17;
/// What an entry needs besides its samples, about.
const ENTRY_BYTES: usize = 256;

/// The most recently asked for, up to a number of bytes.
///
/// A block never changes under its key, but its file may be deleted and made anew: whoever deletes one calls
/// [`Blocks::forget`], and the summary, which is read from the file each time, has to be the same.
#[derive(Debug)]
pub(in crate::series) struct Blocks {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Kept {
    /// By day or month, and key.
    blocks: LruCache<(i64, i64), (Summary, Arc<Column>)>,
    bytes: usize,
}

impl Blocks {
    /// At most `bytes_max`; 0: none.
    pub(in crate::series) fn new(bytes_max: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                blocks: LruCache::new_unbounded(),
                bytes: 0,
            }),
            bytes_max,
        }
    }

    /// The samples of the block that the file of `extent` has now, if they are here.
    pub(super) fn get(&self, extent: i64, row: &Row) -> Option<Arc<Column>> {
        let mut kept = self.kept();
        let (summary, column) = kept.blocks.get(&(extent, row.key))?;
        (*summary == row.summary).then(|| Arc::clone(column))
    }

    /// Keeps the samples of a block.
    pub(super) fn put(&self, extent: i64, row: &Row, column: &Arc<Column>) {
        let bytes = bytes_of(column);
        // One that would drive out most of the others is decoded each time.
        if bytes > self.bytes_max / 16 {
            return;
        }
        let mut kept = self.kept();
        let entry = (row.summary, Arc::clone(column));
        if let Some((_, before)) = kept.blocks.insert((extent, row.key), entry) {
            kept.bytes -= bytes_of(&before);
        }
        kept.bytes += bytes;
        while kept.bytes > self.bytes_max {
            let Some((_, (_, oldest))) = kept.blocks.remove_lru() else {
                break;
            };
            kept.bytes -= bytes_of(&oldest);
        }
    }

    /// Lets go of the blocks of files that are to be deleted, or whose samples were let go.
    pub(in crate::series) fn forget(&self, extents: &[i64]) {
        let mut kept = self.kept();
        kept.blocks.retain(|(extent, _), _| !extents.contains(extent));
        kept.bytes = kept.blocks.iter().map(|(_, (_, column))| bytes_of(column)).sum();
    }

    /// Lets go of all.
    pub(in crate::series) fn clear(&self) {
        let mut kept = self.kept();
        kept.blocks.clear();
        kept.bytes = 0;
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes_of(column: &Column) -> usize {
    column.len() * SAMPLE_BYTES + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use telemetry::{Quality, Sample, Timestamp};

    use super::*;
    use crate::series::window::Window;

    fn row(key: i64, samples: usize) -> Row {
        let first = Timestamp::from_millis(key);
        Row {
            key,
            summary: Summary {
                first,
                last: first,
                samples,
                window: Window::empty(first),
                complete: true,
                scale: 0,
            },
            is_packed: true,
        }
    }

    fn column(samples: i64) -> Arc<Column> {
        let sample = |n| Sample {
            time: Timestamp::from_millis(n),
            value: 1.0,
            quality: Quality::Good,
        };
        Arc::new((0..samples).map(sample).collect())
    }

    #[test]
    fn the_least_recently_asked_for_goes_first_and_nothing_is_given_for_another() {
        // Given room for 20 blocks of 100 samples: 100 * 17 + 256 = 1,956 bytes each,
        let blocks = Blocks::new(20 * 1_956);
        for key in 0..20 {
            blocks.put(7, &row(key, 100), &column(100));
        }
        assert!(blocks.get(7, &row(0, 100)).is_some());
        // when one more comes, then the one that was asked for longest ago goes.
        blocks.put(7, &row(20, 100), &column(100));
        assert!(blocks.get(7, &row(0, 100)).is_some());
        assert!(blocks.get(7, &row(1, 100)).is_none());
        // The same one again takes no more room,
        blocks.put(7, &row(20, 100), &column(100));
        assert!(blocks.get(7, &row(2, 100)).is_some());
        assert_eq!(blocks.kept().bytes, 20 * 1_956);
        // another file, or another block under the same key, is not this one,
        assert!(blocks.get(8, &row(0, 100)).is_none());
        assert!(blocks.get(7, &row(0, 99)).is_none());
        // one that is too large is not kept,
        blocks.put(7, &row(30, 200), &column(200));
        assert!(blocks.get(7, &row(30, 200)).is_none());
        // and those of a deleted file are gone.
        blocks.put(8, &row(0, 100), &column(100));
        blocks.forget(&[7]);
        assert_eq!(blocks.kept().bytes, 1_956);
        assert!(blocks.get(8, &row(0, 100)).is_some());
        blocks.clear();
        assert!(blocks.get(8, &row(0, 100)).is_none());
    }
}
