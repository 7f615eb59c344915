//! How long a state held.

use std::ops::ControlFlow;

use telemetry::SeriesId;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use super::hold::Holding;
use crate::series::grid::{Cell, Grid};
use crate::series::reader::{SeriesError, SeriesReader};
use crate::series::sink::{Cancel, Sink};
use crate::series::window::Window;

/// Most different states of one window. More: [`SeriesError::TooManyStates`].
pub const STATES_MAX: usize = 64;

/// How long a signal was in each of its states in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Stay {
    /// The window.
    pub cell: Cell,
    /// State and for how long, ms, in the order in which they first came.
    pub states: Vec<(f64, i64)>,
    /// For how long nobody knows, ms. All of them together are the window's length.
    pub unknown_ms: i64,
}

impl Stay {
    /// For how long it was in the state `value`, ms.
    #[must_use]
    pub fn in_state(&self, value: f64) -> i64 {
        let of = |(state, ms): &(f64, i64)| (state.to_bits() == value.to_bits()).then_some(*ms);
        self.states.iter().find_map(of).unwrap_or(0)
    }
}

/// Computes how long states held.
#[derive(Clone, Debug)]
pub struct Stays<'a> {
    holding: Holding<'a>,
    states: Vec<Vec<(f64, i64)>>,
    is_overfull: bool,
}

impl<'a> Stays<'a> {
    /// `before` is the last sample before the grid.
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`].
    pub fn new(grid: &'a Grid, hold: Span, before: Option<Sample>) -> Result<Self, SeriesError> {
        grid.bounded()?;
        Ok(Self {
            holding: Holding::new(grid, hold, before),
            states: vec![Vec::new(); grid.len()],
            is_overfull: false,
        })
    }

    fn add(states: &mut [Vec<(f64, i64)>], is_overfull: &mut bool, cell: Cell, value: f64, ms: i64) {
        let Some(states) = states.get_mut(cell.place) else {
            return;
        };
        if let Some((_, sum)) = states
            .iter_mut()
            .find(|(state, _)| state.to_bits() == value.to_bits())
        {
            *sum += ms;
        } else if states.len() < STATES_MAX {
            states.push((value, ms));
        } else {
            *is_overfull = true;
        }
    }

    fn held_until(&mut self, until: Timestamp) -> ControlFlow<()> {
        let (states, is_overfull) = (&mut self.states, &mut self.is_overfull);
        self.holding.until(until, |cell, value, ms| {
            Self::add(states, is_overfull, cell, value, ms)
        });
        if self.is_overfull {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The times; nothing comes any more.
    ///
    /// # Errors
    /// [`SeriesError::TooManyStates`].
    pub fn finish(mut self) -> Result<Vec<Stay>, SeriesError> {
        if self.held_until(self.holding.grid.to()).is_break() {
            return Err(SeriesError::TooManyStates { limit: STATES_MAX });
        }
        let cells = self.holding.grid.cells().zip(self.states);
        let stays = cells.map(|(cell, states)| Stay {
            cell,
            unknown_ms: cell.millis() - states.iter().map(|(_, ms)| ms).sum::<i64>(),
            states,
        });
        Ok(stays.collect())
    }
}

impl Sink for Stays<'_> {
    fn serves(&self, stretch: &Window) -> bool {
        stretch.is_constant() && self.holding.serves(stretch)
    }

    fn summary(&mut self, stretch: &Window) -> ControlFlow<()> {
        self.held_until(stretch.heard_first)?;
        if let Some(cell) = self.holding.grid.cell(stretch.heard_first)
            && stretch.held.known_ms > 0
        {
            let (value, ms) = (stretch.min, stretch.held.known_ms);
            Self::add(&mut self.states, &mut self.is_overfull, cell, value, ms);
        }
        self.holding.set(stretch.holding());
        ControlFlow::Continue(())
    }

    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        for sample in samples {
            self.held_until(sample.time)?;
            self.holding.set(Some(*sample));
        }
        ControlFlow::Continue(())
    }
}

/// How long `series` was in each state in the windows of `grid`, each sample holding for at most `hold`. The state
/// from before the grid holds into it.
///
/// # Errors
/// [`SeriesError`] when there are too many windows or states, it is cancelled, or the store fails.
pub fn state_durations(
    reader: &dyn SeriesReader,
    series: SeriesId,
    grid: &Grid,
    hold: Span,
    cancel: &Cancel,
) -> Result<Vec<Stay>, SeriesError> {
    let mut stays = Stays::new(grid, hold, reader.last_before(series, grid.from())?)?;
    reader.scan(series, grid.from(), grid.to(), cancel, &mut stays)?;
    stays.finish()
}
