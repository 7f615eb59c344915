//! The seam through which points are read, whatever engine keeps them.

use telemetry::quality::Quality;
use telemetry::sample::{Sample, SeriesId};
use telemetry::time::{Span, Timestamp};

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

/// The summary of the samples in one stretch of time, `start..start + every`.
///
/// Samples of bad quality are counted in `bad` and otherwise left out: a failed sensor's 0 is no minimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its first instant.
    pub start: Timestamp,
    /// Samples that are not bad; at least one of `count` and `bad` is not 0.
    pub count: u64,
    /// Samples of bad quality.
    pub bad: u64,
    /// Least value; 0 when `count` is 0, as are the following.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Earliest sample.
    pub first: Sample,
    /// Latest sample.
    pub last: Sample,
}

impl Window {
    /// A window that holds nothing yet.
    #[must_use]
    pub const fn empty(start: Timestamp) -> Self {
        let none = Sample {
            time: start,
            value: 0.0,
            quality: Quality::Good,
        };
        Self {
            start,
            count: 0,
            bad: 0,
            min: 0.0,
            max: 0.0,
            sum: 0.0,
            first: none,
            last: none,
        }
    }

    /// Takes in the next sample; samples come in order of time.
    pub fn push(&mut self, sample: Sample) {
        if sample.quality.is_bad() {
            self.bad += 1;
            return;
        }
        if self.count == 0 {
            self.min = sample.value;
            self.max = sample.value;
            self.first = sample;
        } else {
            self.min = self.min.min(sample.value);
            self.max = self.max.max(sample.value);
        }
        self.count += 1;
        self.sum += sample.value;
        self.last = sample;
    }

    /// Arithmetic mean of the values; none when there are none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        if self.count == 0 {
            None
        } else {
            Some(self.sum / self.count as f64)
        }
    }
}

/// Reads points. All times are event times; `from` is included, `to` is not.
///
/// The calls block on disk: call them from a blocking thread. `store::testkit::MemorySeries` is the
/// model that every engine is compared with.
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
    ) -> Result<Vec<Sample>, SeriesError>;

    /// The windows of length `every` (not 0) that hold a sample of `from..to`, in order; the first
    /// starts at `from`, so a caller that wants civil days passes civil midnights.
    ///
    /// # Errors
    /// [`SeriesError`] when the store fails.
    fn windows(
        &self,
        series: SeriesId,
        from: Timestamp,
        to: Timestamp,
        every: Span,
    ) -> Result<Vec<Window>, SeriesError>;
}

/// Gathers samples, which come in order of time, into windows.
#[must_use]
pub fn gather(samples: impl IntoIterator<Item = Sample>, from: Timestamp, every: Span) -> Vec<Window> {
    let width = every.millis_i64().max(1);
    let mut windows: Vec<Window> = Vec::new();
    for sample in samples {
        let steps = sample.time.millis_since(from).div_euclid(width);
        let start = Timestamp::from_millis(from.millis().saturating_add(steps.saturating_mul(width)));
        match windows.last_mut() {
            Some(window) if window.start == start => window.push(sample),
            _ => {
                let mut window = Window::empty(start);
                window.push(sample);
                windows.push(window);
            }
        }
    }
    windows
}
