//! Series that are kept for less than the others, e.g. the signal strength of a modem.
//!
//! A day's file is deleted when nothing of it is kept any more ([`super::SeriesConfig::keep`]). Before that, blocks of
//! short-lived series are deleted out of it, whole UTC days of a series at once, or months once days are months; a roll-up is a part of its block, so
//! it goes with it. The file notes for which series that is done, so that a start does not look for them again.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use rusqlite::{OptionalExtension, params};
use telemetry::time::Span;
use telemetry::{Point, SeriesId, Timestamp};

use super::compaction::Turn;
use super::engine::Engine;
use super::extent;
use super::flush::{FREE_PAGES, is_full};
use super::partition::{Partition, failed};
use super::reader::SeriesError;
use crate::form::checksum;

/// Blocks that are deleted in one turn; between two of them a flush may come.
const BLOCKS_AT_ONCE: usize = 10_000;

/// In the file of a day or month, beside the tables of [`super::partition`].
const NOTES: &str = "CREATE TABLE IF NOT EXISTS let_go (
    keep_ms INTEGER PRIMARY KEY,    -- series that are kept for so long
    sum     INTEGER NOT NULL        -- CRC-32C over the series whose blocks are gone
)";

/// Some series and how long they are kept.
#[derive(Clone, Debug)]
pub struct ShortLived {
    keep: Span,
    /// In order.
    series: Arc<[SeriesId]>,
    sum: u32,
}

impl ShortLived {
    /// These `series` are kept for `keep`, by whole UTC days, and by whole months where those have a file.
    #[must_use]
    pub fn new(keep: Span, series: impl IntoIterator<Item = SeriesId>) -> Self {
        let ordered: BTreeSet<SeriesId> = series.into_iter().collect();
        let series: Arc<[SeriesId]> = ordered.into_iter().collect();
        let bytes: Vec<u8> = series.iter().flat_map(|series| series.0.to_le_bytes()).collect();
        Self {
            keep,
            series,
            sum: checksum(&[&bytes]),
        }
    }

    /// The first UTC day of which something is kept.
    fn cut(&self, now: Timestamp) -> i64 {
        now.minus(self.keep).utc_day()
    }

    fn keep_ms(&self) -> i64 {
        self.keep.millis_i64()
    }
}

/// From which day on short-lived series are kept now.
#[derive(Debug)]
pub(super) struct Cuts<'a> {
    cuts: Vec<(i64, &'a ShortLived)>,
    /// On this day and later everything is kept: most points need no second look.
    latest: i64,
}

impl<'a> Cuts<'a> {
    pub(super) fn at(now: Timestamp, short_lived: &'a [ShortLived]) -> Self {
        let cuts: Vec<_> = short_lived.iter().map(|short| (short.cut(now), short)).collect();
        let latest = cuts.iter().map(|(cut, _)| *cut).max().unwrap_or(i64::MIN);
        Self { cuts, latest }
    }

    /// Whether the point is older than its series is kept.
    pub(super) fn are_past(&self, point: &Point) -> bool {
        let day = point.sample.time.utc_day();
        day < self.latest
            && (self.cuts.iter())
                .any(|(cut, short)| day < *cut && short.series.binary_search(&point.series).is_ok())
    }
}

/// Days and months, and places in [`super::SeriesConfig::short_lived`] of which nothing is left.
pub(super) type Settled = BTreeSet<(i64, usize)>;

impl Engine {
    /// Lets go of what short-lived series no longer keep.
    pub(super) fn let_go(&self) -> Result<(), SeriesError> {
        let now = self.clock.now();
        for (place, short) in self.config.short_lived.iter().enumerate() {
            let outcome = self.let_go_of(place, short, short.cut(now));
            if let Err(error) = &outcome
                && !is_full(error)
                && !matches!(error, SeriesError::Damaged(_))
            {
                self.break_down(error);
            }
            outcome?;
        }
        Ok(())
    }

    /// Nothing of the series before this instant is shown, whatever the files still hold.
    pub(super) fn begin_of(&self, series: SeriesId) -> Timestamp {
        let now = self.clock.now();
        let of = self.config.short_lived.iter();
        let cuts = of.filter(|short| short.series.binary_search(&series).is_ok());
        let cut = cuts.map(|short| short.cut(now)).max();
        cut.map_or(Timestamp::MIN, |cut| {
            Timestamp::from_millis(cut.saturating_mul(Timestamp::DAY_MS))
        })
    }

    fn let_go_of(&self, place: usize, short: &ShortLived, cut: i64) -> Result<(), SeriesError> {
        let begin = Timestamp::from_millis(cut.saturating_mul(Timestamp::DAY_MS));
        {
            // No flush is under way, so what the head forgets is nowhere else.
            let _turn = self.writer();
            self.memory().head.forget_of(&short.series, begin);
        }
        let days: Vec<(i64, bool)> = {
            let memory = self.memory();
            let past = (memory.partitions.iter()).filter(|(file, _)| extent::days(**file).end <= cut);
            past.map(|(file, facts)| (*file, facts.loose > 0)).collect()
        };
        for (day, is_loose) in days {
            let mut settled = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
            // A flush after it was settled, of a head that had waited for the disk, may have brought more.
            if is_loose || !settled.contains(&(day, place)) {
                if !self.let_go_of_day(day, is_loose, short, begin)? {
                    return Ok(());
                }
                self.readers.blocks.forget(&[day]);
                settled.insert((day, place));
            }
        }
        self.forget_newest(short, begin)
    }

    /// Whether it came to its end; not when the store is being closed.
    fn let_go_of_day(
        &self,
        day: i64,
        is_loose: bool,
        short: &ShortLived,
        begin: Timestamp,
    ) -> Result<bool, SeriesError> {
        let reader = Partition::open(&self.dir, day)?;
        if !is_loose && reader.has_let_go(short)? {
            return Ok(true);
        }
        let mut rest = short.series.iter().copied().peekable();
        while rest.peek().is_some() {
            let mut gone = Vec::new();
            while gone.len() < BLOCKS_AT_ONCE
                && let Some(series) = rest.next()
            {
                let rows = reader.rows(series)?;
                gone.extend(rows.into_iter().filter(|row| row.summary.last < begin));
            }
            if self.stopping.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let turn = Turn::without(gone);
            if !turn.is_empty() {
                self.change(day, |partition| partition.apply(&turn))?;
            }
        }
        self.change(day, |partition| partition.note_let_go(short))?;
        while self.change(day, |partition| partition.give_back(FREE_PAGES))? == Some(true) {}
        Ok(true)
    }

    /// A series of which nothing is left has no newest sample either.
    fn forget_newest(&self, short: &ShortLived, begin: Timestamp) -> Result<(), SeriesError> {
        let mut writer = self.writer();
        let gone: Vec<SeriesId> = {
            let memory = self.memory();
            let is_old = |series: &&SeriesId| {
                let newest = memory.latest.get(*series);
                newest.is_some_and(|sample| sample.time < begin)
            };
            short.series.iter().filter(is_old).copied().collect()
        };
        if gone.is_empty() {
            return Ok(());
        }
        writer.index.forget(&gone, begin)?;
        let mut memory = self.memory();
        for series in &gone {
            memory.latest.remove(series);
        }
        memory.recount(self.config.series_max);
        Ok(())
    }
}

impl Partition {
    /// Whether it notes that the blocks of exactly these series are gone.
    fn has_let_go(&self, short: &ShortLived) -> Result<bool, SeriesError> {
        let read = || {
            if !self.connection.table_exists(None, "let_go")? {
                return Ok(false);
            }
            let select = "SELECT sum FROM let_go WHERE keep_ms = ?1";
            let found: Option<u32> = self
                .connection
                .query_row(select, [short.keep_ms()], |row| row.get(0))
                .optional()?;
            Ok(found == Some(short.sum))
        };
        read().map_err(|source: rusqlite::Error| failed(&self.path, "reading what was let go of", source))
    }

    fn note_let_go(&mut self, short: &ShortLived) -> Result<(), SeriesError> {
        let noted = self.write(|tx| {
            tx.execute_batch(NOTES)?;
            tx.execute(
                "INSERT OR REPLACE INTO let_go VALUES (?1, ?2)",
                params![short.keep_ms(), short.sum],
            )
        });
        noted
            .map(|_| ())
            .map_err(|source| failed(&self.path, "noting what was let go of", source))
    }
}
