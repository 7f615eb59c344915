//! By how much a counter grew, with its roll-overs, resets, jumps and gaps.

use std::ops::ControlFlow;

use telemetry::SeriesId;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use crate::series::grid::{Cell, Grid};
use crate::series::reader::{SeriesError, SeriesReader};
use crate::series::sink::{Cancel, Sink};
use crate::series::window::Window;

const HOUR_MS: f64 = 3_600_000.0;

/// What a reset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReset {
    /// The reading after it: the counter began again at 0. What it counted before that is unknown.
    FromZero,
    /// Nothing.
    Unknown,
}

/// How a counter is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter {
    /// Where it starts again at 0, in the signal's unit; none when it never does, and every fall is a reset.
    pub modulus: Option<f64>,
    /// How near to both ends of its range a fall must be to be a roll-over: share of the modulus, 0 to 0.5.
    pub rollover_band: f64,
    /// What a reset counts.
    pub on_reset: OnReset,
    /// The most by which it can grow in an hour; a greater step is a jump and counts nothing. Without: no step is.
    pub rate_max_per_h: Option<f64>,
    /// How far a step may be off, in the signal's unit; allowed on top of the rate.
    pub slack: f64,
    /// Longest time without a reading at an end of the grid that is taken as observed, and longest step over the edge
    /// of a window that counts where it ends.
    pub gap_max: Span,
}

/// By how much a counter grew in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Increase {
    /// The window.
    pub cell: Cell,
    /// The sum of the steps whose later reading lies in it, in the signal's unit. A gap inside a window costs nothing:
    /// the counter counted on.
    pub increase: f64,
    /// The sum of those steps that began before the window and are longer than `gap_max`: known, but not when.
    pub undated: f64,
    /// Time without knowledge, ms: before the first and after the last reading of the grid when longer than
    /// `gap_max`, and in steps that are resets or jumps.
    pub unknown_ms: i64,
    /// How often it passed the end of its range: all is counted.
    pub roll_overs: u32,
    /// How often it began again at 0.
    pub resets: u32,
    /// How often it moved as it cannot: nothing is counted.
    pub jumps: u32,
    /// Whether a reading that is not bad lies in it.
    pub is_heard: bool,
}

/// Computes increases.
#[derive(Clone, Debug)]
pub struct Increases<'a> {
    grid: &'a Grid,
    counter: Counter,
    before: Option<Sample>,
    is_heard: bool,
    found: Vec<Increase>,
}

impl<'a> Increases<'a> {
    /// `before` is the last reading before the grid that is not bad, within `gap_max` at least.
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`].
    pub fn new(grid: &'a Grid, counter: Counter, before: Option<Sample>) -> Result<Self, SeriesError> {
        grid.bounded()?;
        let nothing = |cell| Increase {
            cell,
            increase: 0.0,
            undated: 0.0,
            unknown_ms: 0,
            roll_overs: 0,
            resets: 0,
            jumps: 0,
            is_heard: false,
        };
        Ok(Self {
            grid,
            counter,
            before,
            is_heard: false,
            found: grid.cells().map(nothing).collect(),
        })
    }

    fn take(&mut self, sample: Sample) {
        let Some(cell) = self.grid.cell(sample.time) else {
            return;
        };
        let edge_ms = self.counter.gap_max.millis_i64();
        match self.before {
            Some(earlier)
                if earlier.time >= self.grid.from() || sample.time.millis_since(earlier.time) <= edge_ms =>
            {
                self.step(earlier, sample, cell);
            }
            before => {
                let from = self.grid.from();
                if before.is_some() || sample.time.millis_since(from) > edge_ms {
                    self.unknown(from, sample.time);
                }
            }
        }
        self.is_heard = true;
        if let Some(found) = self.found.get_mut(cell.place) {
            found.is_heard = true;
        }
        self.before = Some(sample);
    }

    fn step(&mut self, earlier: Sample, later: Sample, cell: Cell) {
        let Counter {
            modulus,
            rollover_band,
            on_reset,
            rate_max_per_h,
            slack,
            gap_max,
        } = self.counter;
        let Some(found) = self.found.get_mut(cell.place) else {
            return;
        };
        let ms = later.time.millis_since(earlier.time);
        let most = rate_max_per_h.map_or(f64::INFINITY, |rate| rate * (ms as f64 / HOUR_MS) + slack);
        let rise = later.value - earlier.value;
        let is_rollover = |modulus: &f64| {
            let band = modulus * rollover_band;
            earlier.value >= modulus - band && later.value <= band
        };
        let rolled = modulus.filter(|modulus| rise < 0.0 && is_rollover(modulus));
        let is_reset = rise < 0.0 && rolled.is_none();
        let grown = match rolled {
            Some(modulus) => rise + modulus,
            None if is_reset => later.value,
            None => rise,
        };
        let counts = (0.0..=most).contains(&grown) && (!is_reset || on_reset == OnReset::FromZero);
        found.resets += u32::from(is_reset);
        found.roll_overs += u32::from(counts && rolled.is_some());
        found.jumps += u32::from(!counts && !is_reset);
        if counts && earlier.time < cell.from && ms > gap_max.millis_i64() {
            found.undated += grown;
        } else if counts {
            found.increase += grown;
        }
        if is_reset || !counts {
            self.unknown(earlier.time.max(self.grid.from()), later.time);
        }
    }

    /// Nobody knows about `from..to`: each window has its part.
    fn unknown(&mut self, from: Timestamp, to: Timestamp) {
        let mut at = from;
        while at < to {
            let Some(cell) = self.grid.cell(at) else { return };
            let next = cell.to.min(to);
            if let Some(found) = self.found.get_mut(cell.place) {
                found.unknown_ms += next.millis_since(at);
            }
            at = next;
        }
    }

    /// The increases; nothing comes any more.
    #[must_use]
    pub fn finish(mut self) -> Vec<Increase> {
        let last = self.before.map_or(self.grid.from(), |last| last.time);
        let last = last.max(self.grid.from());
        let left_ms = self.grid.to().millis_since(last);
        if !self.is_heard || left_ms > self.counter.gap_max.millis_i64() {
            self.unknown(last, self.grid.to());
        }
        self.found
    }
}

impl Sink for Increases<'_> {
    /// A stretch that only rises is one step from its first reading to its last; not when each step has to be looked at.
    fn serves(&self, stretch: &Window) -> bool {
        stretch.falls == 0
            && self.counter.rate_max_per_h.is_none()
            && self
                .grid
                .cell(stretch.heard_first)
                .is_some_and(|cell| cell.holds(stretch.heard_last))
    }

    fn summary(&mut self, stretch: &Window) -> ControlFlow<()> {
        if stretch.count > 0 {
            self.take(stretch.first);
        }
        if stretch.count > 1 {
            self.take(stretch.last);
        }
        ControlFlow::Continue(())
    }

    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        for sample in samples.iter().filter(|sample| !sample.quality.is_bad()) {
            self.take(*sample);
        }
        ControlFlow::Continue(())
    }
}

/// Keeps the last reading that is not bad.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastUsable(Option<Sample>);

impl LastUsable {
    /// The last reading that is not bad; none when there was none.
    #[must_use]
    pub const fn found(self) -> Option<Sample> {
        self.0
    }
}

impl Sink for LastUsable {
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        let usable = samples.iter().rev().find(|sample| !sample.quality.is_bad());
        self.0 = usable.copied().or(self.0);
        ControlFlow::Continue(())
    }
}

/// By how much the counter `series` grew in the windows of `grid`. A step counts wholly where its later reading lies,
/// so that windows and grids that follow each other add up; a step over the beginning of the grid counts only when it
/// is no longer than `gap_max`. Bad readings are passed over.
///
/// # Errors
/// [`SeriesError`] when there are too many windows, it is cancelled, or the store fails.
pub fn increases(
    reader: &dyn SeriesReader,
    series: SeriesId,
    grid: &Grid,
    counter: Counter,
    cancel: &Cancel,
) -> Result<Vec<Increase>, SeriesError> {
    let mut before = LastUsable::default();
    let early = grid.from().minus(counter.gap_max);
    reader.scan(series, early, grid.from(), cancel, &mut before)?;
    let mut increases = Increases::new(grid, counter, before.0)?;
    reader.scan(series, grid.from(), grid.to(), cancel, &mut increases)?;
    Ok(increases.finish())
}
