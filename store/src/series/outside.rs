//! The series of a data folder, for reading only: beside a server that writes to it, or without one.
//!
//! Nothing is made, upgraded or deleted. What the server has only in memory is not in its files: the reader brings it
//! out of the journal, by decoding every message after [`Outside::cursor`] and handing the points to [`Outside::take`].
//! The cursor is read before the days are, so a flush in between shows points twice, which the merge undoes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use telemetry::time::Span;
use telemetry::{Clock, Lsn, Point, Sample, SeriesId, Timestamp};

use super::engine::Engine;
use super::extent;
use super::index::Index;
use super::partition::{Facts, Partition, failed};
use super::reader::{SeriesError, SeriesReader};
use super::sink::{Cancel, Sink, Sinks};
use super::{SeriesConfig, SeriesStats};

/// Most points of the journal that are not in days yet: 17 bytes each in memory. A server holds fewer by its own bounds.
pub const TAIL_POINTS_MAX: usize = 8_000_000;

/// The series of a data folder, read from outside of the server.
pub struct Outside {
    engine: Engine,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside")
            .field("dir", &self.engine.dir)
            .finish_non_exhaustive()
    }
}

impl Outside {
    /// Opens the series of the data folder `dir`.
    ///
    /// # Errors
    /// [`SeriesError`] when a file is damaged or missing, or of another version: an earlier one is upgraded when a
    /// server starts on it.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, SeriesError> {
        // First how far the days are, then which there are: the other way round a flush between the two would hide points.
        let index = Index::reading(dir)?;
        let loaded = index.load()?;
        let partitions = list(dir, loaded.expired_day)?;
        let config = SeriesConfig {
            // What is there is shown; the server decides how long it stays.
            keep: Span::from_millis(u64::MAX),
            series_max: usize::MAX,
            ..SeriesConfig::default()
        };
        Ok(Self {
            engine: Engine::with(dir, config, clock, index, loaded, partitions).beside_a_server(),
        })
    }

    /// Up to here the journal is in the days.
    #[must_use]
    pub fn cursor(&self) -> Lsn {
        self.engine.memory().cursor
    }

    /// Takes what the journal has beyond the days, in order, up to `upto`.
    ///
    /// # Errors
    /// [`SeriesError::TooMany`] when that is more than [`TAIL_POINTS_MAX`] points.
    pub fn take(&self, points: &[Point], upto: Lsn) -> Result<(), SeriesError> {
        self.engine.append(points, upto)?;
        if self.engine.memory().head.points() > TAIL_POINTS_MAX {
            return Err(SeriesError::TooMany {
                limit: TAIL_POINTS_MAX,
                from: Timestamp::MIN,
                to: Timestamp::MAX,
            });
        }
        Ok(())
    }

    /// The UTC months that hold anything, in order: beginning and end of each.
    #[must_use]
    pub fn months(&self) -> Vec<(Timestamp, Timestamp)> {
        let memory = self.engine.memory();
        let mut months = BTreeSet::new();
        for extent in memory.partitions.keys() {
            months.insert(extent::month_of(extent::days(*extent).start));
        }
        for (_, column) in memory.head.columns() {
            months.extend(column.pieces(usize::MAX).map(|(day, _)| extent::month_of(day)));
        }
        let bounds = |month| {
            (
                Timestamp::from_millis(extent::begin_ms(month)),
                Timestamp::from_millis(extent::end_ms(month)),
            )
        };
        months.into_iter().map(bounds).collect()
    }

    /// How much it holds.
    ///
    /// # Errors
    /// [`SeriesError::Engine`] when the size of a file cannot be read.
    pub fn stats(&self) -> Result<SeriesStats, SeriesError> {
        self.engine.stats()
    }
}

/// The files of days and months that are not expired, with what they say of themselves.
pub(super) fn list(dir: &Path, expired_day: i64) -> Result<BTreeMap<i64, Facts>, SeriesError> {
    let listing = |source| failed(dir, "listing the days", source);
    let mut partitions = BTreeMap::new();
    for entry in std::fs::read_dir(dir).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(extent) = name.and_then(extent::named) else {
            continue;
        };
        if extent::days(extent).end > expired_day {
            match Partition::open(dir, extent).and_then(|partition| partition.facts()) {
                Ok(facts) => drop(partitions.insert(extent, facts)),
                // Gone into its month, or for ever, since it was listed.
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(partitions)
}

impl SeriesReader for Outside {
    fn latest(&self, series: SeriesId) -> Result<Option<Sample>, SeriesError> {
        Ok(self.engine.latest(series))
    }

    fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError> {
        self.engine.last_before(series, at)
    }

    fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError> {
        self.engine.scan(series, from, to, cancel, sink)
    }

    fn scan_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<(), SeriesError> {
        self.engine.scan_many(series, from, to, cancel, sinks)
    }
}
