//! Decoding ahead: the blocks of many series on several cores, before they are handed on one after the other.
//!
//! It is done where it pays and where the samples do not need much memory; else each block is decoded when its turn
//! comes.

use std::sync::OnceLock;
use std::thread;

use telemetry::Timestamp;

use super::{Blocks, Bytes, Part};
use crate::series::reader::SeriesError;

/// Below so many samples the threads cost more than they save: decoding takes about 10 ns a sample, a thread 30 µs.
const SAMPLES_MIN: usize = 32_768;
/// Above so many samples, 17 bytes each, they are not held all at once.
const SAMPLES_MAX: usize = 1 << 20;
/// Cores that one question may use.
const WORKERS_MAX: usize = 4;

/// The parts of many series, with their samples decoded where it pays.
pub(super) fn decoded(
    mut loaded: Vec<Vec<Part>>,
    range: (Timestamp, Timestamp),
    kept: &Blocks,
) -> Result<Vec<Vec<Part>>, SeriesError> {
    let samples = loaded.iter().flatten().map(samples).sum();
    let workers = workers().min(loaded.len());
    if workers < 2 || !(SAMPLES_MIN..=SAMPLES_MAX).contains(&samples) {
        return Ok(loaded);
    }
    let decode = |piece: &mut [Vec<Part>]| decode(piece, range, kept);
    let each = loaded.len().div_ceil(workers);
    thread::scope(|scope| {
        let mut pieces = loaded.chunks_mut(each);
        let own = pieces.next();
        let others: Vec<_> = pieces.map(|piece| scope.spawn(move || decode(piece))).collect();
        let mut outcome = own.map_or(Ok(()), decode);
        for other in others {
            let decoded = other
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome = outcome.and(decoded);
        }
        outcome
    })?;
    Ok(loaded)
}

fn workers() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX)))
}

/// How many samples have to be decoded.
fn samples(part: &Part) -> usize {
    let Part::Samples(places) = part else { return 0 };
    let of = |bytes: &Bytes| match bytes {
        Bytes::Block(_, row, _) => row.summary.samples,
        Bytes::Kept(_) | Bytes::Memory(_) => 0,
    };
    places.iter().map(of).sum()
}

fn decode(loaded: &mut [Vec<Part>], range: (Timestamp, Timestamp), kept: &Blocks) -> Result<(), SeriesError> {
    for part in loaded.iter_mut().flatten() {
        if let Part::Samples(places) = part {
            *part = Part::Decoded(super::decode(std::mem::take(places), range, kept)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use telemetry::time::ManualClock;
    use telemetry::{Lsn, Point, Quality, Sample, SeriesId, Timestamp};

    use super::SAMPLES_MIN;
    use crate::series::reader::{SeriesError, SeriesReader};
    use crate::series::sink::Cancel;
    use crate::series::{SeriesConfig, SeriesStore};
    use crate::testkit::MemorySeries;

    /// Midnight of 2026-11-23, UTC.
    const BEGIN: i64 = 1_795_392_000_000;
    const SERIES: u32 = 80;
    /// Of each series; all of them in one block.
    const SAMPLES: i64 = 600;

    fn open(dir: &Path) -> SeriesStore {
        let now = Timestamp::from_millis(BEGIN + Timestamp::DAY_MS);
        SeriesStore::open(dir, SeriesConfig::default(), Arc::new(ManualClock::at(now))).unwrap()
    }

    fn points(series: u32) -> Vec<Point> {
        let point = |n: i64| Point {
            series: SeriesId(series),
            sample: Sample {
                time: Timestamp::from_millis(BEGIN + n * 60_000),
                value: f64::from(u32::try_from(n * 7919 % 1009).unwrap() + series) / 4.0,
                quality: Quality::Good,
            },
            arrived: Timestamp::from_millis(BEGIN),
            backfill: false,
        };
        (0..SAMPLES).map(point).collect()
    }

    #[test]
    fn many_series_are_read_as_each_alone_and_a_damaged_one_is_named() {
        // Given so much that it is decoded ahead,
        const { assert!(80 * 600 > SAMPLES_MIN) };
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let model = MemorySeries::default();
        let all: Vec<SeriesId> = (0..SERIES).map(SeriesId).collect();
        for series in 0..SERIES {
            let points = points(series);
            for point in &points {
                model.insert(point.series, point.sample);
            }
            store.append(&points, Lsn(u64::from(series) + 1)).unwrap();
        }
        store.close().unwrap();
        drop(store);
        // when all are asked for at once, then each has its own samples;
        let store = open(dir.path());
        let (from, to) = (
            Timestamp::from_millis(BEGIN + 15_000_000),
            Timestamp::from_millis(BEGIN + 30_000_000),
        );
        let ask = |reader: &dyn SeriesReader| reader.range_many(&all, from, to, usize::MAX, &Cancel::never());
        let found = ask(&store).unwrap();
        assert_eq!(found.iter().map(Vec::len).sum::<usize>(), 80 * 250);
        assert_eq!(found, ask(&model).unwrap());
        drop(store);
        // and when a block of the second half is damaged, the answer is an error.
        let file = dir.path().join("series-2026-11-23.db");
        let connection = rusqlite::Connection::open(&file).unwrap();
        let damaged = connection.execute(
            "UPDATE block SET body = zeroblob(9) WHERE key / (1 << 31) = 77",
            [],
        );
        assert_eq!(damaged.unwrap(), 1);
        drop(connection);
        match ask(&open(dir.path())) {
            Err(SeriesError::Damaged(what)) => assert!(what.contains("series 77"), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}
