//! From the head to the disk, and tidying up there.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use telemetry::{Lsn, SeriesId, Timestamp};

use super::block::COUNT_MAX;
use super::column::Slice;
use super::engine::{Engine, Writer, delete_partition};
use super::extent::{self, MONTHS};
use super::head::Head;
use super::partition::{Facts, Partition};
use super::reader::SeriesError;

/// pco's level for a flush: the blocks are small and are compacted later anyway.
pub(super) const FLUSH_LEVEL: usize = 4;
/// Points that one turn of a compaction rewrites; between two of them a flush may come.
pub(super) const COMPACT_POINTS: usize = 250_000;
/// Pages that are given back in one turn: 8 MiB.
pub(super) const FREE_PAGES: u32 = 1024;

impl Engine {
    /// Writes everything that was appended before the call to disk and moves the cursor.
    pub(super) fn flush(&self) -> Result<(), SeriesError> {
        let mut writer = self.writer();
        self.memory().check()?;
        // What an earlier, failed flush left over goes first.
        let left_over = self.memory().flushing.clone();
        if let Some(head) = left_over {
            self.write_down(&mut writer, &head)?;
        }
        let head = {
            let mut memory = self.memory();
            if memory.head.upto == memory.cursor {
                return Ok(());
            }
            let next = Head::after(memory.head.upto);
            let head = Arc::new(std::mem::replace(&mut memory.head, next));
            memory.flushing = Some(Arc::clone(&head));
            head
        };
        self.write_down(&mut writer, &head)
    }

    /// Writes a head to disk: first each day with the position that it reaches, then the cursor. A crash
    /// between the two makes the journal bring points again that a day already has; they are left out.
    fn write_down(&self, writer: &mut Writer, head: &Head) -> Result<(), SeriesError> {
        let outcome = self.write_days(head).and_then(|written| {
            let days: Vec<i64> = written.keys().copied().collect();
            writer.index.advance(head.upto, &days, &head.all_latest())?;
            Ok(written)
        });
        match outcome {
            Ok(written) => {
                let mut memory = self.memory();
                memory.partitions.extend(written);
                memory.latest.extend(head.all_latest());
                memory.cursor = head.upto;
                memory.flushing = None;
                memory.flushes += 1;
                Ok(())
            }
            Err(error) => {
                if !is_full(&error) {
                    self.break_down(&error);
                }
                Err(error)
            }
        }
    }

    fn write_days(&self, head: &Head) -> Result<BTreeMap<i64, Facts>, SeriesError> {
        let columns = head.columns();
        let mut by_day: BTreeMap<i64, Vec<(SeriesId, Slice<'_>)>> = BTreeMap::new();
        for (series, column) in &columns {
            for (day, slice) in column.pieces(COUNT_MAX) {
                by_day.entry(day).or_default().push((*series, slice));
            }
        }
        let expired_day = self.memory().expired_day;
        let mut written = BTreeMap::new();
        for (day, slices) in by_day {
            if day >= expired_day {
                written.insert(day, self.write_day(day, &slices, head.upto)?);
            }
        }
        Ok(written)
    }

    fn write_day(&self, day: i64, slices: &[(SeriesId, Slice<'_>)], upto: Lsn) -> Result<Facts, SeriesError> {
        let mut partition = Partition::create(&self.dir, day)?;
        // A flush that failed later than here has done this day already.
        if partition.facts()?.flushed < upto {
            partition.flush(slices, upto, FLUSH_LEVEL)?;
        }
        partition.checkpoint()?;
        partition.facts()
    }

    /// Merges the blocks of each series of `day` into as few as possible.
    pub(super) fn compact_day(&self, day: i64) -> Result<(), SeriesError> {
        let Some(facts) = self.memory().partitions.get(&day).copied() else {
            return Ok(());
        };
        let outcome = self.compact_partition(day, facts);
        if let Err(error) = &outcome
            && !is_full(error)
            && !matches!(error, SeriesError::Damaged(_))
        {
            self.break_down(error);
        }
        outcome
    }

    fn compact_partition(&self, day: i64, before: Facts) -> Result<(), SeriesError> {
        // One at a time: two would prepare the same blocks.
        let _turns = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(generation) = self.change(day, Partition::reserve)? else {
            return Ok(());
        };
        let mut next = Some(SeriesId(0));
        while let Some(from) = next {
            // What was prepared is written in a turn of its own; flushes and readers go on meanwhile.
            let turn = Partition::open(&self.dir, day)?.prepare(from, generation, COMPACT_POINTS)?;
            next = turn.next;
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(());
            }
            if turn.is_empty() {
                continue;
            }
            if self.change(day, |partition| partition.apply(&turn))?.is_none() {
                return Ok(());
            }
        }
        if self
            .change(day, |partition| partition.settle(before.loose))?
            .is_none()
        {
            return Ok(());
        }
        while self.change(day, |partition| partition.give_back(FREE_PAGES))? == Some(true) {}
        Ok(())
    }

    /// Runs one change of a file while no flush runs; none when it has expired.
    pub(super) fn change<T>(
        &self,
        extent: i64,
        change: impl FnOnce(&mut Partition) -> Result<T, SeriesError>,
    ) -> Result<Option<T>, SeriesError> {
        let _turn = self.writer();
        if !self.memory().partitions.contains_key(&extent) {
            return Ok(None);
        }
        let mut partition = Partition::create(&self.dir, extent)?;
        let answer = change(&mut partition)?;
        partition.checkpoint()?;
        let facts = partition.facts()?;
        self.memory().partitions.insert(extent, facts);
        Ok(Some(answer))
    }

    /// Compacts the days before today that were flushed since.
    pub(super) fn compact_past(&self) -> Result<(), SeriesError> {
        let today = self.clock.now().utc_day();
        let due: Vec<i64> = {
            let memory = self.memory();
            let past = memory.partitions.range(..today.min(MONTHS));
            past.filter(|(_, facts)| facts.loose > 0)
                .map(|(day, _)| *day)
                .collect()
        };
        due.into_iter().try_for_each(|day| self.compact_day(day))
    }

    /// What the store needs from time to time: days that are over their time are deleted, months that are over made one
    /// file, past days compacted, and files that nobody reads closed.
    pub(super) fn care(&self) -> Result<(), SeriesError> {
        self.readers.close_idle();
        self.expire(self.clock.now().minus(self.config.keep))?;
        self.let_go()?;
        self.make_months_due()?;
        self.compact_past()
    }

    /// Deletes the days and months that end before or at `before`.
    pub(super) fn expire(&self, before: Timestamp) -> Result<(), SeriesError> {
        let day = before.utc_day();
        let mut writer = self.writer();
        if day <= self.memory().expired_day {
            return Ok(());
        }
        let gone: Vec<i64> = {
            let memory = self.memory();
            let known = memory.partitions.keys().copied();
            known.filter(|extent| extent::days(*extent).end <= day).collect()
        };
        let noted = writer.index.expire(day, &gone);
        if let Err(error) = noted {
            if !is_full(&error) {
                self.break_down(&error);
            }
            return Err(error);
        }
        {
            let mut memory = self.memory();
            memory.expired_day = day;
            let begin = memory.kept_from();
            memory.head.forget_before(begin);
            memory.latest.retain(|_, sample| sample.time >= begin);
            memory.partitions.retain(|extent, _| !gone.contains(extent));
            memory.recount(self.config.series_max);
        }
        self.readers.forget(&gone);
        gone.into_iter()
            .try_for_each(|extent| delete_partition(&self.dir, extent))
    }
}

/// Whether the disk is full and nothing else is wrong: SQLite has rolled back, and trying again is safe.
pub(super) fn is_full(error: &SeriesError) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<rusqlite::Error>())
        .is_some_and(|source| {
            source.sqlite_error().is_some_and(|e| {
                e.code == rusqlite::ErrorCode::DiskFull
                    || e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
            })
        })
}
