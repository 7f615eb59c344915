//! Means in which a value counts for as long as it held.

use std::ops::ControlFlow;

use telemetry::SeriesId;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use super::hold::Holding;
use crate::series::grid::{Cell, Grid};
use crate::series::reader::{SeriesError, SeriesReader};
use crate::series::sink::{Cancel, Sink};
use crate::series::window::Window;

/// The time-weighted mean of one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeWeighted {
    /// The window.
    pub cell: Cell,
    /// Σ value × time held / `known_ms`, in the signal's unit; none when nothing was known.
    pub mean: Option<f64>,
    /// For how long a value held, ms; the rest of the window is unknown.
    pub known_ms: i64,
}

/// Computes time-weighted means.
#[derive(Clone, Debug)]
pub struct Means<'a> {
    holding: Holding<'a>,
    /// Integral and known ms of each window.
    sums: Vec<(f64, i64)>,
}

impl<'a> Means<'a> {
    /// `before` is the last sample before the grid.
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`].
    pub fn new(grid: &'a Grid, hold: Span, before: Option<Sample>) -> Result<Self, SeriesError> {
        grid.bounded()?;
        Ok(Self {
            holding: Holding::new(grid, hold, before),
            sums: vec![(0.0, 0); grid.len()],
        })
    }

    fn held_until(&mut self, until: Timestamp) {
        let sums = &mut self.sums;
        self.holding.until(until, |cell, value, ms| {
            if let Some((integral, known)) = sums.get_mut(cell.place) {
                *integral += value * ms as f64;
                *known += ms;
            }
        });
    }

    /// The means; nothing comes any more.
    #[must_use]
    pub fn finish(mut self) -> Vec<TimeWeighted> {
        self.held_until(self.holding.grid.to());
        let cells = self.holding.grid.cells().zip(self.sums);
        cells
            .map(|(cell, (integral, known_ms))| TimeWeighted {
                cell,
                mean: (known_ms > 0).then(|| integral / known_ms as f64),
                known_ms,
            })
            .collect()
    }
}

impl Sink for Means<'_> {
    fn serves(&self, stretch: &Window) -> bool {
        self.holding.serves(stretch)
    }

    fn summary(&mut self, stretch: &Window) -> ControlFlow<()> {
        self.held_until(stretch.heard_first);
        let cell = self.holding.grid.cell(stretch.heard_first);
        if let Some((integral, known)) = cell.and_then(|cell| self.sums.get_mut(cell.place)) {
            *integral += stretch.held.integral;
            *known += stretch.held.known_ms;
        }
        self.holding.set(stretch.holding());
        ControlFlow::Continue(())
    }

    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        for sample in samples {
            self.held_until(sample.time);
            self.holding.set(Some(*sample));
        }
        ControlFlow::Continue(())
    }
}

/// The time-weighted means of `series` in the windows of `grid`, each value holding for at most `hold`. The value
/// from before the grid holds into it.
///
/// # Errors
/// [`SeriesError`] when there are too many windows, it is cancelled, or the store fails.
pub fn time_weighted_means(
    reader: &dyn SeriesReader,
    series: SeriesId,
    grid: &Grid,
    hold: Span,
    cancel: &Cancel,
) -> Result<Vec<TimeWeighted>, SeriesError> {
    let mut means = Means::new(grid, hold, reader.last_before(series, grid.from())?)?;
    reader.scan(series, grid.from(), grid.to(), cancel, &mut means)?;
    Ok(means.finish())
}
