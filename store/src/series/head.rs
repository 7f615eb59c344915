//! The head: the points that are not yet on disk as blocks. After a crash the journal brings them again.

use rustc_hash::FxHashMap;
use telemetry::time::Span;
use telemetry::{Lsn, Sample, SeriesId, Timestamp};

use super::column::{Column, Inserted};

/// Points in memory, by series. While it is filled it is the head; while it is written to disk nobody
/// changes it any more.
#[derive(Debug, Default)]
pub(super) struct Head {
    columns: FxHashMap<SeriesId, Column>,
    /// The newest sample of each series that was appended since this head began; also of samples
    /// that are not in it because their partition has them already.
    latest: FxHashMap<SeriesId, Sample>,
    points: usize,
    /// Everything of the journal up to here is in this head or on disk.
    pub(super) upto: Lsn,
    /// When its first point came.
    pub(super) since: Option<Span>,
}

impl Head {
    /// An empty head that goes on after `upto`.
    pub(super) fn after(upto: Lsn) -> Self {
        Self {
            upto,
            ..Self::default()
        }
    }

    pub(super) const fn points(&self) -> usize {
        self.points
    }

    /// Puts a sample in its place.
    pub(super) fn insert(&mut self, series: SeriesId, sample: Sample) -> Inserted {
        let inserted = self.columns.entry(series).or_default().insert(sample);
        if inserted == Inserted::New {
            self.points += 1;
        }
        inserted
    }

    /// Takes note of a sample that may be the newest of its series; `known` is the newest so far.
    pub(super) fn note_latest(&mut self, series: SeriesId, sample: Sample, known: Option<Sample>) {
        if known.is_none_or(|known| known.time <= sample.time) {
            self.latest.insert(series, sample);
        }
    }

    pub(super) fn latest(&self, series: SeriesId) -> Option<Sample> {
        self.latest.get(&series).copied()
    }

    /// Every newest sample, in order of series.
    pub(super) fn all_latest(&self) -> Vec<(SeriesId, Sample)> {
        let mut all: Vec<_> = self
            .latest
            .iter()
            .map(|(series, sample)| (*series, *sample))
            .collect();
        all.sort_unstable_by_key(|(series, _)| *series);
        all
    }

    pub(super) fn column(&self, series: SeriesId) -> Option<&Column> {
        self.columns.get(&series)
    }

    /// The columns, in order of series.
    pub(super) fn columns(&self) -> Vec<(SeriesId, &Column)> {
        let mut all: Vec<_> = self
            .columns
            .iter()
            .map(|(series, column)| (*series, column))
            .collect();
        all.sort_unstable_by_key(|(series, _)| *series);
        all
    }

    /// Forgets all samples before `time`.
    pub(super) fn forget_before(&mut self, time: Timestamp) {
        self.columns.retain(|_, column| {
            self.points -= column.forget_before(time);
            !column.is_empty()
        });
        self.latest.retain(|_, sample| sample.time >= time);
    }
}
