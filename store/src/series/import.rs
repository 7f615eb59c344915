//! History that comes from a file instead of a device: straight into the days, past the journal.

use std::collections::BTreeMap;

use telemetry::{Point, SeriesId, Timestamp};

use super::block::COUNT_MAX;
use super::column::{Column, Inserted, Slice};
use super::engine::{DAYS, Engine};
use super::flush::{FLUSH_LEVEL, is_full};
use super::partition::{Facts, Partition};
use super::reader::SeriesError;
use super::{Appended, SeriesStore};

impl SeriesStore {
    /// Writes `points` to disk, each as the newest arrival of its time: they outlive `kill -9` and power loss after `Ok`,
    /// each day all or nothing. The cursor stays: they never were in the journal. In the answer, `stored` are those whose
    /// time stands once in `points`; the disk is not asked.
    ///
    /// # Errors
    /// [`SeriesError`] when the disk fails or is full; some days may be written by then, and may be written again.
    pub fn import(&self, points: &[Point]) -> Result<Appended, SeriesError> {
        self.engine.import(points)
    }
}

impl Engine {
    fn import(&self, points: &[Point]) -> Result<Appended, SeriesError> {
        let mut writer = self.writer();
        let mut appended = Appended::default();
        let columns = self.sort(points, &mut appended)?;
        let mut by_day: BTreeMap<i64, Vec<(SeriesId, Slice<'_>)>> = BTreeMap::new();
        for (series, column) in &columns {
            for (day, slice) in column.pieces(COUNT_MAX) {
                by_day.entry(day).or_default().push((*series, slice));
            }
        }
        let mut written = BTreeMap::new();
        for (day, slices) in &by_day {
            let facts = self.import_day(*day, slices).inspect_err(|error| {
                if !is_full(error) {
                    self.break_down(error);
                }
            })?;
            written.insert(*day, facts);
        }
        let newest: Vec<_> = {
            let memory = self.memory();
            let newer = columns.iter().filter_map(|(series, column)| {
                let last = column.last_before(Timestamp::MAX)?;
                let known = memory.latest.get(series);
                known
                    .is_none_or(|known| known.time <= last.time)
                    .then_some((*series, last))
            });
            newer.collect()
        };
        let days: Vec<i64> = written.keys().copied().collect();
        let cursor = self.memory().cursor;
        writer.index.advance(cursor, &days, &newest)?;
        let mut memory = self.memory();
        memory.partitions.extend(written);
        memory.latest.extend(newest);
        memory.recount(self.config.series_max);
        Ok(appended)
    }

    /// The points by series, in order of time; what may not be kept is counted.
    fn sort(
        &self,
        points: &[Point],
        appended: &mut Appended,
    ) -> Result<BTreeMap<SeriesId, Column>, SeriesError> {
        let keep_from = self.clock.now().minus(self.config.keep).utc_day();
        let memory = self.memory();
        memory.check()?;
        let kept = keep_from.max(memory.expired_day);
        let mut room = memory.room;
        let mut columns: BTreeMap<SeriesId, Column> = BTreeMap::new();
        for Point { series, sample, .. } in points {
            let day = sample.time.utc_day();
            if day < kept || !DAYS.contains(&day) {
                appended.too_old += 1;
                continue;
            }
            if !columns.contains_key(series) && memory.latest(*series).is_none() {
                let Some(rest) = room.checked_sub(1) else {
                    appended.refused += 1;
                    continue;
                };
                room = rest;
            }
            match columns.entry(*series).or_default().insert(*sample) {
                Inserted::New => appended.stored += 1,
                Inserted::Same => appended.duplicates += 1,
                Inserted::Replaced => appended.replaced += 1,
            }
        }
        Ok(columns)
    }

    fn import_day(&self, day: i64, slices: &[(SeriesId, Slice<'_>)]) -> Result<Facts, SeriesError> {
        let mut partition = Partition::create(&self.dir, day)?;
        let flushed = partition.facts()?.flushed;
        partition.flush(slices, flushed, FLUSH_LEVEL)?;
        partition.checkpoint()?;
        partition.facts()
    }
}
