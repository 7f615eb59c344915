//! A month that is over becomes one file.
//!
//! A day's block of one series holds what it sent that day: 73 samples of a lamp, for which a summary, checksums and
//! the heads of columns cost as much as the samples. A month's holds up to [`COUNT_MAX`], and costs less than half
//! a point; a year is twelve files to open instead of 365.
//!
//! The samples of the days are written into the file of their month in turns, as those of a compaction: prepared on
//! reading connections, written while no flush runs. Until all are there the days stay, and a reader sees both,
//! which comes to the same. After a crash in between it begins anew and finds the same. A day that was flushed
//! to meanwhile stays, and is newer than its month.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use telemetry::{SeriesId, Timestamp};

use super::block::{self, COUNT_MAX, Place};
use super::column::Column;
use super::compaction::{LEVEL, Turn};
use super::engine::{Engine, delete_partition};
use super::extent::{MONTHS, end_ms, file_name, month_of};
use super::flush::{COMPACT_POINTS, is_full};
use super::merge::merge;
use super::partition::{NUMBERS, Partition, failed, key};
use super::reader::SeriesError;

/// The days of a month that are to go into it.
struct Days {
    /// Each with the generation that it had before anything was read.
    sources: Vec<(Partition, i64)>,
    /// Of which samples were let go: they stay.
    kept: BTreeSet<i64>,
}

impl Engine {
    /// Makes one file of every month that is over for long enough, each once a day at most.
    pub(super) fn make_months_due(&self) -> Result<(), SeriesError> {
        let now = self.clock.now();
        let today = now.utc_day();
        for month in self.months_over(now.minus(self.config.month_after)) {
            let looked_at = self
                .looked_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(month, today);
            if looked_at != Some(today) {
                self.make_month(month)?;
            }
        }
        Ok(())
    }

    /// Makes one file of every month that is over at `before`.
    pub(super) fn make_months(&self, before: Timestamp) -> Result<(), SeriesError> {
        let months = self.months_over(before);
        months.into_iter().try_for_each(|month| self.make_month(month))
    }

    /// The months that are over at `before` and have days with files of their own.
    fn months_over(&self, before: Timestamp) -> BTreeSet<i64> {
        let memory = self.memory();
        let months = memory.partitions.range(..MONTHS).map(|(day, _)| month_of(*day));
        months.filter(|month| end_ms(*month) <= before.millis()).collect()
    }

    fn make_month(&self, month: i64) -> Result<(), SeriesError> {
        let outcome = self.move_days(month);
        match &outcome {
            Err(error @ SeriesError::Damaged(_)) => {
                let why = telemetry::with_causes(error);
                tracing::error!(
                    why,
                    file = file_name(month),
                    "the days of a month stay as they are"
                );
                // The other months are not kept waiting.
                return Ok(());
            }
            Err(error) if !is_full(error) => self.break_down(error),
            _ => {}
        }
        outcome
    }

    fn move_days(&self, month: i64) -> Result<(), SeriesError> {
        let _turns = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut days = Days {
            sources: Vec::new(),
            kept: BTreeSet::new(),
        };
        let files: Vec<i64> = self.memory().days_of(month);
        for day in files {
            let partition = Partition::open(&self.dir, day)?;
            let generation = partition.facts()?.generation;
            days.sources.push((partition, generation));
        }
        self.begin_month(month)?;
        let Some(generation) = self.change(month, Partition::reserve)? else {
            return Ok(());
        };
        let mut next = Some(SeriesId(0));
        while let Some(from) = next {
            let target = Partition::open(&self.dir, month)?;
            let turn = days.prepare(&target, from, generation)?;
            drop(target);
            next = turn.next;
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            if turn.is_empty() {
                continue;
            }
            if self.change(month, |partition| partition.apply(&turn))?.is_none() {
                return Ok(());
            }
        }
        self.delete_days(month, days)
    }

    /// The file of the month is there and known before anything is in it.
    fn begin_month(&self, month: i64) -> Result<(), SeriesError> {
        let mut writer = self.writer();
        if self.memory().partitions.contains_key(&month) {
            return Ok(());
        }
        let facts = Partition::create(&self.dir, month)?.facts()?;
        let cursor = self.memory().cursor;
        writer.index.advance(cursor, &[month], &[])?;
        self.memory().partitions.insert(month, facts);
        Ok(())
    }

    /// Deletes the days of which all is in their month.
    fn delete_days(&self, month: i64, days: Days) -> Result<(), SeriesError> {
        // From here on no flush comes in between.
        let mut writer = self.writer();
        let cursor = self.memory().cursor;
        let mut gone = Vec::new();
        for (partition, generation) in days.sources {
            let facts = partition.facts()?;
            let is_same = facts.generation == generation && facts.flushed <= cursor;
            if is_same && !days.kept.contains(&partition.day) {
                gone.push(partition.day);
            }
        }
        let mut partition = Partition::create(&self.dir, month)?;
        partition.reach(cursor)?;
        partition.checkpoint()?;
        let facts = partition.facts()?;
        writer.index.forget_files(&gone)?;
        {
            let mut memory = self.memory();
            memory.partitions.insert(month, facts);
            memory.partitions.retain(|extent, _| !gone.contains(extent));
        }
        self.readers.forget(&gone);
        gone.into_iter()
            .try_for_each(|day| delete_partition(&self.dir, day))
    }
}

impl Days {
    /// Merges what `target` and the days have of the series from `from` on that are in a day, as many as hold about
    /// [`COMPACT_POINTS`] points. Nothing is written.
    fn prepare(&mut self, target: &Partition, from: SeriesId, generation: i64) -> Result<Turn, SeriesError> {
        let mut turn = Turn::default();
        let mut heads = Vec::with_capacity(self.sources.len());
        for (day, _) in &self.sources {
            heads.push(day.first_from(from)?);
        }
        let mut points = 0;
        while let Some(series) = heads.iter().flatten().min().copied() {
            if points >= COMPACT_POINTS {
                turn.next = Some(series);
                break;
            }
            points += self.merge_series(target, series, generation, &mut turn)?;
            let after = series.0.checked_add(1).map(SeriesId);
            for ((day, _), head) in self.sources.iter().zip(&mut heads) {
                if *head == Some(series) {
                    *head = after.map_or(Ok(None), |after| day.first_from(after))?;
                }
            }
        }
        Ok(turn)
    }

    fn merge_series(
        &mut self,
        target: &Partition,
        series: SeriesId,
        generation: i64,
        turn: &mut Turn,
    ) -> Result<usize, SeriesError> {
        let mut columns: Vec<Column> = Vec::new();
        for row in target.at_once(|target| target.rows(series))? {
            if let Some(column) = target.body(&row)? {
                columns.push(column);
                turn.gone.push(row);
            }
        }
        for (day, _) in &self.sources {
            // A flush adds blocks to a day and takes none away: what is read here is all of one moment or newer.
            for row in day.rows(series)? {
                match day.body(&row)? {
                    Some(column) => columns.push(column),
                    None => {
                        self.kept.insert(day.day);
                    }
                }
            }
        }
        let merged = merge(columns);
        // A series that sends many times a second has larger blocks rather than more than there are numbers for.
        let len_max = COUNT_MAX.max(merged.len().div_ceil(NUMBERS));
        for (slice, number) in merged.chunks(len_max).zip(0i64..) {
            let key = key(series, generation, number)
                .map_err(|source| failed(&target.path, "numbering its blocks", source))?;
            let place = Place { key, day: target.day };
            let encoded = block::encode_rolled(place, slice, LEVEL);
            turn.made.push((key, slice.times.len() as u64, encoded));
        }
        Ok(merged.len())
    }
}

#[cfg(test)]
mod tests;
