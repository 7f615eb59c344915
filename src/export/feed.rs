//! From a scan to a file: every sample on its way, and what was counted.

use std::io::Write;
use std::ops::ControlFlow;

use store::series::{Sink, Sinks, Window};
use telemetry::{Sample, Timestamp};

use super::folder::Named;
use super::table::Table;

/// Points after which it is told how far the work has come.
const TOLD_EVERY: u64 = 1_000_000;

/// Takes the samples of all series.
pub(super) struct Feed<'a> {
    series: &'a [Named],
    table: &'a mut dyn Table,
    /// Told how far the work has come: points written, and up to when.
    tell: fn(u64, Timestamp),
    /// Whose samples come now.
    place: usize,
    /// Points written.
    pub(super) points: u64,
    /// Stretches of which only the summaries are left.
    pub(super) thinned: u64,
    /// Why writing ended.
    pub(super) failed: Option<std::io::Error>,
}

impl<'a> Feed<'a> {
    pub(super) fn new(series: &'a [Named], table: &'a mut dyn Table, tell: fn(u64, Timestamp)) -> Self {
        Self {
            series,
            table,
            tell,
            place: 0,
            points: 0,
            thinned: 0,
            failed: None,
        }
    }
}

/// Tells it on standard error.
pub(super) fn tell(points: u64, at: Timestamp) {
    // Who closes standard error does not want to know.
    let _closed = writeln!(std::io::stderr(), "{points} points written, up to {at}");
}

impl Sinks for Feed<'_> {
    fn sink(&mut self, place: usize) -> Option<&mut dyn Sink> {
        self.place = place;
        Some(self)
    }
}

impl Sink for Feed<'_> {
    fn samples(&mut self, samples: &[Sample]) -> ControlFlow<()> {
        let Some(named) = self.series.get(self.place) else {
            return ControlFlow::Break(());
        };
        if self.failed.is_some() {
            return ControlFlow::Break(());
        }
        if let Err(error) = self.table.rows(named, samples) {
            self.failed = Some(error);
            return ControlFlow::Break(());
        }
        let before = self.points / TOLD_EVERY;
        self.points += samples.len() as u64;
        if let Some(last) = samples.last()
            && self.points / TOLD_EVERY > before
        {
            (self.tell)(self.points, last.time);
        }
        ControlFlow::Continue(())
    }

    fn thinned(&mut self, _: &Window) -> ControlFlow<()> {
        self.thinned += 1;
        ControlFlow::Continue(())
    }
}
