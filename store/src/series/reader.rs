//! The seam through which points are read, whatever engine keeps them.

use telemetry::sample::{Sample, SeriesId};
use telemetry::time::{Span, Timestamp};

use super::grid::Grid;
use super::sink::{Cancel, Collect, Gather, Sink, Sinks};
use super::window::Window;

/// Why points could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The answer would hold more than the bound. Ask for a shorter time, or for windows.
    #[error("more than {limit} points between {from} and {to}")]
    TooMany {
        /// The bound.
        limit: usize,
        /// From when.
        from: Timestamp,
        /// Until when.
        to: Timestamp,
    },
    /// The answer would hold more windows than the bound. Ask for a shorter time, or for longer windows.
    #[error("more than {limit} windows")]
    TooManyWindows {
        /// The bound.
        limit: usize,
    },
    /// A signal was asked how long it was in each of its states, and has more different values than states can be.
    #[error("more than {limit} different values: this is no state")]
    TooManyStates {
        /// The bound.
        limit: usize,
    },
    /// The one who asked does not wait any more.
    #[error("the question was cancelled")]
    Cancelled,
    /// The disk or the database failed.
    #[error("the series store failed while {doing}")]
    Engine {
        /// What was being done, to which file.
        doing: String,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was read is not what was written. `townwatch verify` tells the extent.
    #[error("damaged block: {0}")]
    Damaged(String),
}

/// Reads points. All times are event times; `from` is included, `to` is not.
///
/// The calls block on disk: call them from a blocking thread. An engine has to bring the first three; the rest
/// is made of them, and is brought by an engine that can do it faster. What is computed from points
/// (time-weighted means, increases of counters, times in states, curves) is in [`super::query`], for every engine.
/// `store::testkit::MemorySeries` is the model that every engine is compared with.
pub trait SeriesReader: Send + Sync {
    /// The sample with the greatest time, of any quality.
    ///
    /// # Errors
    /// [`SeriesError`] when the store fails.
    fn latest(&self, series: SeriesId) -> Result<Option<Sample>, SeriesError>;

    /// The last sample before `at`, of any quality.
    ///
    /// # Errors
    /// [`SeriesError`] when the store fails.
    fn last_before(&self, series: SeriesId, at: Timestamp) -> Result<Option<Sample>, SeriesError>;

    /// Hands what `series` holds in `from..to` to `sink`, in order of time, piece by piece, until it has enough;
    /// of several samples with equal times the newest arrival. Memory is bounded by the samples of a block (8,192),
    /// or by a UTC day of the series where late points overlap. No lock is held while the sink works.
    ///
    /// # Errors
    /// [`SeriesError::Cancelled`]; else when the store fails. The sink may have taken some by then.
    fn scan(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sink: &mut dyn Sink,
    ) -> Result<(), SeriesError>;

    /// As [`SeriesReader::scan`] of many series at once; the pieces of one are in order, the series take turns. An
    /// engine may decode up to 2^20 samples ahead, on several cores.
    ///
    /// # Errors
    /// As [`SeriesReader::scan`].
    fn scan_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        cancel: &Cancel,
        sinks: &mut dyn Sinks,
    ) -> Result<(), SeriesError> {
        for (place, series) in series.iter().enumerate() {
            if let Some(sink) = sinks.sink(place) {
                self.scan(*series, from, to, cancel, sink)?;
            }
        }
        Ok(())
    }

    /// The newest samples of many series, in the order of the question.
    ///
    /// # Errors
    /// [`SeriesError`] when the store fails.
    fn latest_many(&self, series: &[SeriesId]) -> Result<Vec<Option<Sample>>, SeriesError> {
        series.iter().map(|series| self.latest(*series)).collect()
    }

    /// Every sample of `from..to` in order of time; of several with equal times the newest arrival.
    ///
    /// # Errors
    /// [`SeriesError::TooMany`] when there are more than `limit`; else when the store fails.
    fn range(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        limit: usize,
    ) -> Result<Vec<Sample>, SeriesError> {
        let mut sink = Collect::up_to(limit);
        self.scan(series, from, to, &Cancel::never(), &mut sink)?;
        if sink.is_overfull() {
            Err(SeriesError::TooMany { limit, from, to })
        } else {
            Ok(sink.found)
        }
    }

    /// The samples of many series, in the order of the question, each at most `limit_each`.
    ///
    /// # Errors
    /// [`SeriesError::TooMany`] when one has more; [`SeriesError::Cancelled`]; else when the store fails.
    fn range_many(
        &self,
        series: &[SeriesId],
        from: Timestamp,
        to: Timestamp,
        limit_each: usize,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Sample>>, SeriesError> {
        let mut sinks = vec![Collect::up_to(limit_each); series.len()];
        self.scan_many(series, from, to, cancel, &mut sinks)?;
        let limit = limit_each;
        let found = sinks.into_iter().map(|sink| {
            if sink.is_overfull() {
                Err(SeriesError::TooMany { limit, from, to })
            } else {
                Ok(sink.found)
            }
        });
        found.collect()
    }

    /// The windows of `grid` that hold a sample, in order. Where samples were let go, a stretch of which only the
    /// summary is left counts in the window in which it begins.
    ///
    /// # Errors
    /// [`SeriesError::Cancelled`]; else when the store fails.
    fn windows_in(&self, series: SeriesId, grid: &Grid, cancel: &Cancel) -> Result<Vec<Window>, SeriesError> {
        let mut sink = Gather::over(grid);
        self.scan(series, grid.from(), grid.to(), cancel, &mut sink)?;
        Ok(sink.found)
    }

    /// [`SeriesReader::windows_in`] of many series, in the order of the question.
    ///
    /// # Errors
    /// As [`SeriesReader::windows_in`].
    fn windows_many(
        &self,
        series: &[SeriesId],
        grid: &Grid,
        cancel: &Cancel,
    ) -> Result<Vec<Vec<Window>>, SeriesError> {
        let mut sinks = vec![Gather::over(grid); series.len()];
        self.scan_many(series, grid.from(), grid.to(), cancel, &mut sinks)?;
        Ok(sinks.into_iter().map(|sink| sink.found).collect())
    }

    /// The windows of length `every` (not 0) that hold a sample of `from..to`, in order; the first
    /// starts at `from`.
    ///
    /// # Errors
    /// [`SeriesError`] when the store fails.
    fn windows(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        every: Span,
    ) -> Result<Vec<Window>, SeriesError> {
        self.windows_in(series, &Grid::every(from, to, every), &Cancel::never())
    }
}
