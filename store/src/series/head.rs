//! The head: the points that are not yet on disk as blocks. After a crash the journal brings them again.

use std::collections::hash_map::Entry as MapEntry;

use rustc_hash::FxHashMap;
use telemetry::time::Span;
use telemetry::{Lsn, Sample, SeriesId, Timestamp};

use super::column::{Column, Inserted, same};

/// One series of a head.
#[derive(Debug)]
struct Entry {
    column: Column,
    /// The newest sample of the series anywhere: from before this head, or of it, or left out of it
    /// because its partition has it already.
    latest: Option<Sample>,
    /// Whether `latest` came since this head began.
    is_new: bool,
}

/// Points in memory, by series. While it is filled it is the head; while it is written to disk nobody
/// changes it any more.
#[derive(Debug, Default)]
pub(super) struct Head {
    entries: FxHashMap<SeriesId, Entry>,
    points: usize,
    /// Everything of the journal up to here is in this head or on disk.
    pub(super) upto: Lsn,
    /// When its first point came.
    pub(super) since: Option<Span>,
}

/// What is known of a series outside the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before<'a> {
    pub(super) flushing: Option<&'a Head>,
    pub(super) flushed: &'a FxHashMap<SeriesId, Sample>,
}

impl Before<'_> {
    fn latest(self, series: SeriesId) -> Option<Sample> {
        self.flushing
            .and_then(|head| head.latest(series))
            .or_else(|| self.flushed.get(&series).copied())
    }

    fn at(self, series: SeriesId, time: Timestamp) -> Option<Sample> {
        self.flushing?.column(series)?.at(time)
    }
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

    /// The entry of `series`; none when the series is new and there is no room for one.
    fn entry(&mut self, series: SeriesId, before: Before<'_>, room: &mut usize) -> Option<&mut Entry> {
        Some(match self.entries.entry(series) {
            MapEntry::Occupied(entry) => entry.into_mut(),
            MapEntry::Vacant(entry) => {
                let latest = before.latest(series);
                if latest.is_none() {
                    *room = room.checked_sub(1)?;
                }
                entry.insert(Entry {
                    column: Column::default(),
                    latest,
                    is_new: false,
                })
            }
        })
    }

    /// How many of its series are known nowhere else.
    pub(super) fn new_series(&self, before: Before<'_>) -> usize {
        let known = |series: &&SeriesId| before.latest(**series).is_none();
        self.entries.keys().filter(known).count()
    }

    /// Takes note of a sample that the disk has already.
    pub(super) fn note(&mut self, series: SeriesId, sample: Sample, before: Before<'_>) {
        // It is on disk: a series that is there was not refused.
        let mut room = usize::MAX;
        if let Some(entry) = self.entry(series, before, &mut room) {
            entry.note(sample);
        }
    }

    /// Puts a sample in its place. It is new when neither this head nor the one before has its time. None when its
    /// series is new and there is no `room` for one more.
    pub(super) fn insert(
        &mut self,
        series: SeriesId,
        sample: Sample,
        before: Before<'_>,
        room: &mut usize,
    ) -> Option<Inserted> {
        let entry = self.entry(series, before, room)?;
        if entry.note(sample) {
            entry.column.push(sample);
            self.points += 1;
            return Some(Inserted::New);
        }
        if entry.column.at(sample.time).is_some() {
            return Some(entry.column.insert(sample));
        }
        Some(match before.at(series, sample.time) {
            Some(known) if same(known, sample) => Inserted::Same,
            known => {
                entry.column.insert(sample);
                self.points += 1;
                known.map_or(Inserted::New, |_| Inserted::Replaced)
            }
        })
    }

    pub(super) fn latest(&self, series: SeriesId) -> Option<Sample> {
        self.entries.get(&series)?.latest
    }

    /// Every newest sample that came since this head began, in order of series.
    pub(super) fn all_latest(&self) -> Vec<(SeriesId, Sample)> {
        let new = self.entries.iter().filter(|(_, entry)| entry.is_new);
        let mut all: Vec<_> = new
            .filter_map(|(series, entry)| Some((*series, entry.latest?)))
            .collect();
        all.sort_unstable_by_key(|(series, _)| *series);
        all
    }

    pub(super) fn column(&self, series: SeriesId) -> Option<&Column> {
        Some(&self.entries.get(&series)?.column)
    }

    /// The columns, in order of series.
    pub(super) fn columns(&self) -> Vec<(SeriesId, &Column)> {
        let mut all: Vec<_> = self
            .entries
            .iter()
            .map(|(series, entry)| (*series, &entry.column))
            .collect();
        all.sort_unstable_by_key(|(series, _)| *series);
        all
    }

    /// Forgets all samples before `time`.
    pub(super) fn forget_before(&mut self, time: Timestamp) {
        self.entries.retain(|_, entry| {
            self.points -= entry.column.forget_before(time);
            entry.latest.is_some_and(|sample| sample.time >= time)
        });
    }
}

impl Head {
    /// Forgets the samples of `series` before `time`.
    pub(super) fn forget_of(&mut self, series: &[SeriesId], time: Timestamp) {
        for series in series {
            if let MapEntry::Occupied(mut entry) = self.entries.entry(*series) {
                self.points -= entry.get_mut().column.forget_before(time);
                if entry.get().latest.is_none_or(|sample| sample.time < time) {
                    entry.remove();
                }
            }
        }
    }
}

impl Entry {
    /// Takes note of a sample that may be the newest; whether it is later than all others.
    fn note(&mut self, sample: Sample) -> bool {
        match self.latest {
            Some(latest) if latest.time > sample.time => false,
            latest => {
                self.latest = Some(sample);
                self.is_new = true;
                latest.is_none_or(|latest| latest.time < sample.time)
            }
        }
    }
}
