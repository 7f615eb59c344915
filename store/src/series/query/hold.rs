//! Which value holds, and in which windows.

use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use crate::series::grid::{Cell, Grid};
use crate::series::window::Window;

/// The value that holds since the last sample.
#[derive(Clone, Debug)]
pub(super) struct Holding<'a> {
    pub(super) grid: &'a Grid,
    hold_ms: i64,
    holding: Option<Sample>,
}

impl<'a> Holding<'a> {
    pub(super) fn new(grid: &'a Grid, hold: Span, before: Option<Sample>) -> Self {
        Self {
            grid,
            hold_ms: hold.millis_i64(),
            holding: before.filter(|sample| !sample.quality.is_bad()),
        }
    }

    /// The next sample is at `until`: tells how long the value held in which windows.
    pub(super) fn until(&self, until: Timestamp, mut each: impl FnMut(Cell, f64, i64)) {
        let Some(holding) = self.holding else { return };
        let end = Timestamp::from_millis(holding.time.millis().saturating_add(self.hold_ms));
        let end = end.min(until).min(self.grid.to());
        let mut at = holding.time.max(self.grid.from());
        while at < end {
            let Some(cell) = self.grid.cell(at) else { return };
            let next = cell.to.min(end);
            each(cell, holding.value, next.millis_since(at));
            at = next;
        }
    }

    pub(super) fn set(&mut self, sample: Option<Sample>) {
        self.holding = sample.filter(|sample| !sample.quality.is_bad());
    }

    /// Whether the stretch lies in one window, and no value of it held for longer than is let.
    pub(super) fn serves(&self, stretch: &Window) -> bool {
        stretch.held.longest_ms <= self.hold_ms
            && self
                .grid
                .cell(stretch.heard_first)
                .is_some_and(|cell| cell.holds(stretch.heard_last))
    }
}
