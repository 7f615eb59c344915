//! The SQLite file of one UTC day: `series-2026-11-23.db`.
//!
//! A row is a block ([`super::block`]). Its key is series × 2^31 + number, so the blocks of a series lie
//! together, in the order in which they were written: of two, the later is the newer arrival.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use telemetry::{Lsn, SeriesId, Timestamp};

use super::block::{self, COUNT_MAX, Encoded, Place, Summary};
use super::column::{Column, Slice};
use super::merge::merge;
use super::reader::SeriesError;

/// The version of the tables. A file of a later version is refused, never touched.
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS block (
    key     INTEGER PRIMARY KEY,    -- series * 2^31 + generation * 2^11 + number within it
    summary BLOB NOT NULL,          -- series/block.rs
    body    BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS position (
    only        INTEGER PRIMARY KEY CHECK (only = 0),
    day         INTEGER NOT NULL,   -- days since 1970
    flushed_lsn INTEGER NOT NULL,   -- what the journal held up to here is in this file
    generation  INTEGER NOT NULL,   -- of the last flush or compaction
    loose       INTEGER NOT NULL,   -- flushes since the last compaction
    points      INTEGER NOT NULL,   -- in all blocks
    blocks      INTEGER NOT NULL
);
";

/// Bits of the key below the series.
const SERIES_SHIFT: u32 = 31;
/// Bits of the key below the generation.
const GENERATION_SHIFT: u32 = 11;
/// Generations are numbered below this.
const GENERATION_MAX: i64 = 1 << (SERIES_SHIFT - GENERATION_SHIFT);

const fn first_key(series: SeriesId) -> i64 {
    (series.0 as i64) << SERIES_SHIFT
}

/// The series that a key belongs to.
pub(super) fn series_of(key: i64) -> SeriesId {
    SeriesId(u32::try_from(key >> SERIES_SHIFT).unwrap_or(u32::MAX))
}

/// What the table `position` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What the journal held up to here is in the file, as far as it falls on this day.
    pub(super) flushed: Lsn,
    /// Flushes since the last compaction.
    pub(super) loose: u64,
    pub(super) points: u64,
    pub(super) blocks: u64,
}

/// A block without its body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) key: i64,
    pub(super) summary: Summary,
}

/// The file of one day, on one connection.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) path: PathBuf,
    day: i64,
    connection: Connection,
}

/// The name of the file of `day`.
pub(super) fn file_name(day: i64) -> String {
    let begin = Timestamp::from_millis(day.saturating_mul(Timestamp::DAY_MS)).to_rfc3339();
    let date = begin.get(..10).unwrap_or(&begin);
    format!("series-{date}.db")
}

/// The day of the file `name`; none when it is no partition.
pub(super) fn day_of(name: &str) -> Option<i64> {
    let date = name.strip_prefix("series-")?.strip_suffix(".db")?;
    let begin: Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
    (file_name(begin.utc_day()) == name).then(|| begin.utc_day())
}

impl Partition {
    /// Opens the file of `day` for writing, making it when it is missing.
    pub(super) fn create(dir: &Path, day: i64) -> Result<Self, SeriesError> {
        let path = dir.join(file_name(day));
        let wal = path.with_extension("db-wal");
        if !path.exists() && wal.exists() {
            return Err(SeriesError::Damaged(format!(
                "{} is missing, but {} is there",
                path.display(),
                wal.display()
            )));
        }
        let make = || {
            let mut connection = Connection::open(&path)?;
            configure(&connection)?;
            let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if found < VERSION {
                let tx = connection.transaction()?;
                tx.execute_batch(SCHEMA)?;
                tx.execute(
                    "INSERT OR IGNORE INTO position VALUES (0, ?1, 0, 0, 0, 0, 0)",
                    [day],
                )?;
                tx.pragma_update(None, "user_version", VERSION)?;
                tx.commit()?;
            }
            Ok(connection)
        };
        let connection = make().map_err(|source: rusqlite::Error| failed(&path, "opening it", source))?;
        Self {
            path,
            day,
            connection,
        }
        .checked()
    }

    /// Opens the file of `day`, which is there, for reading.
    pub(super) fn open(dir: &Path, day: i64) -> Result<Self, SeriesError> {
        let path = dir.join(file_name(day));
        let make = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            Ok(connection)
        };
        let connection =
            make().map_err(|source: rusqlite::Error| failed(&path, "opening it for reading", source))?;
        Self {
            path,
            day,
            connection,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, SeriesError> {
        let version: i64 = self
            .connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|source| failed(&self.path, "reading its version", source))?;
        if version != VERSION {
            let why = format!("it has version {version}; this program knows {VERSION}");
            return Err(failed(&self.path, "opening it", why));
        }
        let day: i64 = self
            .connection
            .query_row("SELECT day FROM position", [], |row| row.get(0))
            .map_err(|source| failed(&self.path, "reading its day", source))?;
        if day == self.day {
            Ok(self)
        } else {
            Err(SeriesError::Damaged(format!(
                "{} holds the blocks of {}",
                self.path.display(),
                file_name(day)
            )))
        }
    }

    pub(super) fn facts(&self) -> Result<Facts, SeriesError> {
        self.connection
            .query_row(
                "SELECT flushed_lsn, loose, points, blocks FROM position",
                [],
                |row| {
                    let number = |place| row.get(place).map(|n: i64| u64::try_from(n).unwrap_or(0));
                    Ok(Facts {
                        flushed: Lsn(number(0)?),
                        loose: number(1)?,
                        points: number(2)?,
                        blocks: number(3)?,
                    })
                },
            )
            .map_err(|source| failed(&self.path, "reading its position", source))
    }

    /// The blocks of `series`, in the order in which they were written.
    pub(super) fn rows(&self, series: SeriesId) -> Result<Vec<Row>, SeriesError> {
        let read = || {
            let mut select = self
                .connection
                .prepare_cached("SELECT key, summary FROM block WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
            let first = first_key(series);
            select
                .query_map([first, first + (1 << SERIES_SHIFT) - 1], |row| {
                    Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()
        };
        let rows = read().map_err(|source| failed(&self.path, "reading the blocks of a series", source))?;
        rows.into_iter()
            .map(|(key, bytes)| {
                let place = Place { key, day: self.day };
                let summary = block::decode_summary(place, &bytes).map_err(|what| {
                    SeriesError::Damaged(format!(
                        "{}, a block of series {} (row {key}): {what}",
                        self.path.display(),
                        series.0
                    ))
                })?;
                Ok(Row { key, summary })
            })
            .collect()
    }

    /// The samples of a block; none when a compaction has replaced it meanwhile.
    pub(super) fn body(&self, row: &Row) -> Result<Option<Column>, SeriesError> {
        let read = || {
            self.connection
                .prepare_cached("SELECT body FROM block WHERE key = ?1")?
                .query_row([row.key], |found| found.get::<_, Vec<u8>>(0))
                .optional()
        };
        let Some(bytes) = read().map_err(|source| failed(&self.path, "reading a block", source))? else {
            return Ok(None);
        };
        let place = Place {
            key: row.key,
            day: self.day,
        };
        let column = block::decode(place, &row.summary, &bytes).map_err(|what| {
            SeriesError::Damaged(format!(
                "{}, series {}, {} to {} (row {}): {what}",
                self.path.display(),
                series_of(row.key).0,
                row.summary.first,
                row.summary.last,
                row.key
            ))
        })?;
        Ok(Some(column))
    }

    /// Runs `read` so that everything it reads is of one moment.
    pub(super) fn at_once<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, SeriesError>,
    ) -> Result<T, SeriesError> {
        let tx = self
            .connection
            .unchecked_transaction()
            .map_err(|source| failed(&self.path, "reading it", source))?;
        let answer = read(self)?;
        tx.finish()
            .map_err(|source| failed(&self.path, "reading it", source))?;
        Ok(answer)
    }

    /// Writes the slices, in order of series, as blocks of a new generation, together with the position
    /// that they reach. On disk after `Ok`, no trace after `Err`.
    pub(super) fn flush(
        &mut self,
        slices: &[(SeriesId, Slice<'_>)],
        upto: Lsn,
        level: usize,
    ) -> Result<(), SeriesError> {
        let day = self.day;
        let write = |tx: &Transaction<'_>| {
            let generation = next_generation(tx)?;
            let mut points = 0u64;
            {
                let mut insert = tx.prepare_cached("INSERT INTO block VALUES (?1, ?2, ?3)")?;
                for of_series in slices.chunk_by(|a, b| a.0 == b.0) {
                    for ((series, slice), number) in of_series.iter().zip(0i64..) {
                        let key = key(*series, generation, number)?;
                        let Encoded { summary, body } = block::encode(Place { key, day }, *slice, level);
                        insert.execute(params![key, summary, body])?;
                        points += slice.times.len() as u64;
                    }
                }
            }
            tx.execute(
                "UPDATE position SET flushed_lsn = ?1, generation = ?2, loose = loose + 1,
                 points = points + ?3, blocks = blocks + ?4",
                params![
                    signed(upto.0),
                    generation,
                    signed(points),
                    signed(slices.len() as u64)
                ],
            )?;
            Ok(())
        };
        let outcome = self.write(write);
        outcome.map_err(|source| failed(&self.path, "writing blocks", source))
    }

    /// Merges the blocks of every series from `from` on, as many series as hold about `points_max`
    /// points, in one transaction; the series to go on with, or none at the end.
    pub(super) fn compact(
        &mut self,
        from: SeriesId,
        points_max: usize,
        level: usize,
    ) -> Result<Option<SeriesId>, SeriesError> {
        let mut at = from;
        let mut points = 0;
        let mut merged: Vec<(SeriesId, Vec<Row>, Column)> = Vec::new();
        let next = loop {
            let Some(series) = self.series_from(at)? else {
                break None;
            };
            if points >= points_max {
                break Some(series);
            }
            let rows = self.rows(series)?;
            points += rows.iter().map(|row| row.summary.samples).sum::<usize>();
            if needs_merging(&rows) {
                let columns: Vec<Column> = rows
                    .iter()
                    .filter_map(|row| self.body(row).transpose())
                    .collect::<Result<_, _>>()?;
                merged.push((series, rows, merge(columns)));
            }
            match series.0.checked_add(1) {
                Some(after) => at = SeriesId(after),
                None => break None,
            }
        };
        if !merged.is_empty() {
            let day = self.day;
            let outcome = self.write(|tx| replace(tx, day, &merged, level));
            outcome.map_err(|source| failed(&self.path, "compacting it", source))?;
        }
        Ok(next)
    }

    /// Notes that `flushes` of the loose flushes are compacted, and gives free pages back.
    pub(super) fn settle(&mut self, flushes: u64) -> Result<(), SeriesError> {
        let outcome = self.write(|tx| {
            tx.execute(
                "UPDATE position SET loose = max(loose - ?1, 0)",
                [signed(flushes)],
            )?;
            Ok(())
        });
        outcome
            .and_then(|()| self.connection.execute_batch("VACUUM"))
            .map_err(|source| failed(&self.path, "compacting it", source))?;
        self.checkpoint()
    }

    /// Copies the log into the file and empties it, as far as no reader holds it.
    pub(super) fn checkpoint(&self) -> Result<(), SeriesError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|source| failed(&self.path, "copying its log into it", source))
    }

    /// The first series from `from` on that has a block.
    fn series_from(&self, from: SeriesId) -> Result<Option<SeriesId>, SeriesError> {
        let key: Option<i64> = self
            .connection
            .prepare_cached("SELECT key FROM block WHERE key >= ?1 ORDER BY key LIMIT 1")
            .and_then(|mut select| select.query_row([first_key(from)], |row| row.get(0)).optional())
            .map_err(|source| failed(&self.path, "looking for a series", source))?;
        Ok(key.map(series_of))
    }

    fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx = self.connection.transaction()?;
        let answer = change(&tx)?;
        tx.commit()?;
        Ok(answer)
    }
}

/// Several blocks of a series are worth merging when they overlap or are not full.
fn needs_merging(rows: &[Row]) -> bool {
    let samples: usize = rows.iter().map(|row| row.summary.samples).sum();
    let in_order = rows
        .iter()
        .zip(rows.iter().skip(1))
        .all(|(a, b)| a.summary.last < b.summary.first);
    rows.len() > samples.div_ceil(COUNT_MAX) || !in_order
}

/// Puts merged columns in the place of their rows.
fn replace(
    tx: &Transaction<'_>,
    day: i64,
    merged: &[(SeriesId, Vec<Row>, Column)],
    level: usize,
) -> rusqlite::Result<()> {
    let generation = next_generation(tx)?;
    let mut delete = tx.prepare_cached("DELETE FROM block WHERE key = ?1")?;
    let mut insert = tx.prepare_cached("INSERT INTO block VALUES (?1, ?2, ?3)")?;
    let (mut points, mut blocks) = (0i64, 0i64);
    for (series, rows, column) in merged {
        for row in rows {
            delete.execute([row.key])?;
            blocks -= 1;
            points -= signed(row.summary.samples as u64);
        }
        for ((_, slice), number) in column.pieces(COUNT_MAX).zip(0i64..) {
            let key = key(*series, generation, number)?;
            let Encoded { summary, body } = block::encode(Place { key, day }, slice, level);
            insert.execute(params![key, summary, body])?;
            blocks += 1;
            points += signed(slice.times.len() as u64);
        }
    }
    tx.execute(
        "UPDATE position SET generation = ?1, points = points + ?2, blocks = blocks + ?3",
        [generation, points, blocks],
    )?;
    Ok(())
}

fn next_generation(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row("SELECT generation + 1 FROM position", [], |row| row.get(0))
}

/// The key of a block. There are no more than a million generations of a day, and 2048 blocks of a
/// series in one: more is refused rather than mixed up.
fn key(series: SeriesId, generation: i64, number: i64) -> rusqlite::Result<i64> {
    if generation >= GENERATION_MAX || number >= 1 << GENERATION_SHIFT {
        return Err(rusqlite::Error::IntegralValueOutOfRange(0, generation));
    }
    Ok(first_key(series) + (generation << GENERATION_SHIFT) + number)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

/// SQLite's integers are signed; ours stay far below 2^63.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(super) fn failed(
    path: &Path,
    doing: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> SeriesError {
    SeriesError::Engine {
        doing: format!("{doing}: {}", path.display()),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_day_and_found_by_it() {
        for (day, name) in [(0, "series-1970-01-01.db"), (20_780, "series-2026-11-23.db")] {
            assert_eq!(file_name(day), name);
            assert_eq!(day_of(name), Some(day));
        }
        for name in [
            "series.db",
            "series-2026-11-23.db-wal",
            "series-2026-13-01.db",
            "series-x.db",
        ] {
            assert_eq!(day_of(name), None, "{name}");
        }
    }

    #[test]
    fn the_keys_of_a_series_lie_together_in_order_of_generation() {
        let keys = [
            key(SeriesId(1), 5, 3).unwrap(),
            key(SeriesId(1), 6, 0).unwrap(),
            key(SeriesId(2), 1, 0).unwrap(),
            key(SeriesId(u32::MAX), GENERATION_MAX - 1, 2047).unwrap(),
        ];
        assert!(keys.is_sorted());
        assert_eq!(keys.map(series_of), [1, 1, 2, u32::MAX].map(SeriesId));
        assert!(key(SeriesId(1), GENERATION_MAX, 0).is_err());
    }
}
