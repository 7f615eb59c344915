//! What takes the samples of a scan: the seam between reading (which is the engine's) and computing (which is pure).

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use telemetry::sample::Sample;
use telemetry::time::Timestamp;

use super::grid::{Cell, Grid};
use super::window::Window;

/// Takes what one series holds, piece by piece, in order of time. No piece overlaps another.
pub trait Sink {
    /// Whether the summary of a stretch that lies wholly in what was asked for serves as well as its samples; if so
    /// it comes through [`Sink::summary`]. The answer depends on the stretch alone, not on what came before: it is
    /// asked for a day in advance.
    fn serves(&self, stretch: &Window) -> bool {
        let _ = stretch;
        false
    }

    /// Takes a stretch of which only the summary was read.
    fn summary(&mut self, stretch: &Window) -> ControlFlow<()> {
        let _ = stretch;
        ControlFlow::Continue(())
    }

    /// Takes samples; `Break` when there are enough, and nothing more comes.
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()>;

    /// Takes a stretch of which only the summary is left in the file, because its samples were let go, and which
    /// [`Sink::serves`] refused. Default: it is passed over.
    fn thinned(&mut self, stretch: &Window) -> ControlFlow<()> {
        let _ = stretch;
        ControlFlow::Continue(())
    }
}

/// The sinks of a scan of many series, by the place of the series in the question.
pub trait Sinks {
    /// The sink of the series at `place`.
    fn sink(&mut self, place: usize) -> Option<&mut dyn Sink>;
}

impl<S: Sink> Sinks for Vec<S> {
    fn sink(&mut self, place: usize) -> Option<&mut dyn Sink> {
        self.get_mut(place).map(|sink| sink as &mut dyn Sink)
    }
}

/// Says to a question that nobody waits for its answer any more. Clones are the same token; it is looked at between
/// blocks, so an answer ends within the time that one block takes.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Option<Arc<AtomicBool>>);

impl Cancel {
    /// A token that can be cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self(Some(Arc::default()))
    }

    /// A token that nobody cancels.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// Ends the question with [`super::SeriesError::Cancelled`].
    pub fn cancel(&self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

/// Collects the samples themselves, up to a bound.
#[derive(Clone, Debug, Default)]
pub struct Collect {
    /// What came, at most one more than the bound.
    pub found: Vec<Sample>,
    limit: usize,
}

impl Collect {
    /// At most `limit` samples.
    #[must_use]
    pub const fn up_to(limit: usize) -> Self {
        Self {
            found: Vec::new(),
            limit,
        }
    }

    /// Whether more than the bound came.
    #[must_use]
    pub const fn is_overfull(&self) -> bool {
        self.found.len() > self.limit
    }
}

impl Sink for Collect {
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        let room = self.limit.saturating_add(1) - self.found.len();
        let taken = samples.get(..room).unwrap_or(samples);
        self.found.extend_from_slice(taken);
        if self.is_overfull() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

/// Collects the windows of a grid that hold anything.
#[derive(Clone, Debug)]
pub struct Gather<'a> {
    grid: &'a Grid,
    cell: Option<Cell>,
    /// What came.
    pub found: Vec<Window>,
}

impl<'a> Gather<'a> {
    /// Into the windows of `grid`.
    #[must_use]
    pub const fn over(grid: &'a Grid) -> Self {
        Self {
            grid,
            cell: None,
            found: Vec::new(),
        }
    }

    /// The window that holds `time`, made when it is new.
    fn at(&mut self, time: Timestamp) -> Option<&mut Window> {
        if !self.cell.is_some_and(|cell| cell.holds(time)) {
            let cell = self.grid.cell(time)?;
            self.cell = Some(cell);
            self.found.push(Window::empty(cell.from));
        }
        self.found.last_mut()
    }
}

impl Sink for Gather<'_> {
    fn serves(&self, stretch: &Window) -> bool {
        let cell = self
            .cell
            .filter(|cell| cell.holds(stretch.heard_first))
            .or_else(|| self.grid.cell(stretch.heard_first));
        cell.is_some_and(|cell| cell.holds(stretch.heard_last))
    }

    fn summary(&mut self, stretch: &Window) -> ControlFlow<()> {
        if let Some(window) = self.at(stretch.heard_first) {
            window.absorb(stretch);
        }
        ControlFlow::Continue(())
    }

    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        for sample in samples {
            if let Some(window) = self.at(sample.time) {
                window.push(*sample);
            }
        }
        ControlFlow::Continue(())
    }

    /// Counted where it begins: the edges are as sharp as what is left allows.
    fn thinned(&mut self, stretch: &Window) -> ControlFlow<()> {
        self.summary(stretch)
    }
}

/// Gathers samples, which come in order of time, into windows of the length `every` from `from` on.
#[must_use]
pub fn gather(
    samples: impl IntoIterator<Item = Sample>,
    from: Timestamp,
    every: telemetry::time::Span,
) -> Vec<Window> {
    let grid = Grid::every(from, Timestamp::MAX, every);
    let mut sink = Gather::over(&grid);
    for sample in samples {
        if sink.samples(&[sample]).is_break() {
            break;
        }
    }
    sink.found
}
