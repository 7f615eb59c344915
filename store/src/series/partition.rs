//! The SQLite file of one UTC day, `series-2026-11-23.db`, or of a month that is over, `series-2026-11.db`
//! ([`super::extent`]).
//!
//! A row is a block ([`super::block`]). Its key is series × 2^31 + number, so the blocks of a series lie
//! together, in the order in which they were written: of two, the later is the newer arrival. Flushes write into
//! the table `block`, from which a compaction moves everything into `packed` ([`super::compaction`]): its rows are
//! written in order of their keys, so its pages are full, and no rewriting of the whole file is needed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use telemetry::{Lsn, Sample, SeriesId, Timestamp};

use super::block::{self, Encoded, Place, Summary};
use super::column::{Column, Slice};
use super::extent::{self, file_name};
use super::reader::SeriesError;

/// The version of the tables. A file of a later version is refused, never touched.
pub(super) const VERSION: i64 = 2;

/// Bytes of a page of a new file: several compacted blocks go on one.
const PAGE_BYTES: i64 = 8192;
/// The same of a month, whose blocks are larger: SQLite's greatest.
const MONTH_PAGE_BYTES: i64 = 65_536;
/// KiB of pages that a reading connection keeps: hundreds of them may be open.
const READ_CACHE_KIB: i64 = 128;
/// The same of a month, of which there are fewer.
const MONTH_READ_CACHE_KIB: i64 = 512;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS block (
    key     INTEGER PRIMARY KEY,    -- series * 2^31 + generation * 2^11 + number within it
    summary BLOB NOT NULL,          -- series/block.rs
    body    BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS packed (
    key     INTEGER PRIMARY KEY,    -- as in block; a key is in one of the two
    summary BLOB NOT NULL,
    rollup  BLOB,                   -- series/rollup.rs; none where it is not worth it
    body    BLOB                    -- none once the samples were let go
);
CREATE TABLE IF NOT EXISTS position (
    only        INTEGER PRIMARY KEY CHECK (only = 0),
    day         INTEGER NOT NULL,   -- days since 1970; of a month: series/extent.rs
    flushed_lsn INTEGER NOT NULL,   -- what the journal held up to here is in this file
    generation  INTEGER NOT NULL,   -- of the last flush or compaction
    loose       INTEGER NOT NULL,   -- flushes since the last compaction; 0: the table block is empty
    points      INTEGER NOT NULL,   -- in all blocks
    blocks      INTEGER NOT NULL
);
";

/// Bits of the key below the series.
const SERIES_SHIFT: u32 = 31;
/// Bits of the key below the generation.
const GENERATION_SHIFT: u32 = 11;
/// Blocks of a series in one generation.
pub(super) const NUMBERS: usize = 1 << GENERATION_SHIFT;
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
    /// Of the last flush or compaction: as long as it stays, so does what is in the file.
    pub(super) generation: i64,
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
    /// Whether it is in the table `packed`.
    pub(super) is_packed: bool,
}

impl Row {
    /// Of two of a series, the one of higher rank was written later. Below 2^31.
    pub(super) const fn rank(&self) -> u64 {
        (self.key & ((1 << SERIES_SHIFT) - 1)).cast_unsigned()
    }

    /// The flush or compaction that wrote it.
    pub(super) const fn generation(&self) -> i64 {
        (self.key & ((1 << SERIES_SHIFT) - 1)) >> GENERATION_SHIFT
    }
}

/// The file of one day, on one connection.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) path: PathBuf,
    pub(super) day: i64,
    pub(super) connection: Connection,
}

impl Partition {
    /// Opens the file of `day` for writing, making it when it is missing and upgrading it when it is older.
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
            let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if found == 0 {
                let page_bytes = if extent::is_month(day) {
                    MONTH_PAGE_BYTES
                } else {
                    PAGE_BYTES
                };
                connection.pragma_update(None, "page_size", page_bytes)?;
                connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            }
            configure(&connection)?;
            if found < VERSION {
                let tx = connection.transaction()?;
                tx.execute_batch(SCHEMA)?;
                // Version 1 had one table for all; the next compaction moves everything into the other.
                tx.execute("UPDATE position SET loose = max(loose, 1)", [])?;
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

    /// Opens the file of `day`, which is there, and upgrades it when it is of an earlier version.
    pub(super) fn upgraded(dir: &Path, day: i64) -> Result<Self, SeriesError> {
        let partition = Self::connect(dir, day)?;
        if partition.version()? >= VERSION {
            return partition.checked();
        }
        drop(partition);
        Self::create(dir, day)
    }

    /// Opens the file of `day`, which is there, for reading.
    pub(super) fn open(dir: &Path, day: i64) -> Result<Self, SeriesError> {
        Self::connect(dir, day)?.checked()
    }

    fn connect(dir: &Path, day: i64) -> Result<Self, SeriesError> {
        let path = dir.join(file_name(day));
        let make = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(BUSY)?;
            let kib = if extent::is_month(day) {
                MONTH_READ_CACHE_KIB
            } else {
                READ_CACHE_KIB
            };
            connection.pragma_update(None, "cache_size", -kib)?;
            Ok(connection)
        };
        let connection =
            make().map_err(|source: rusqlite::Error| failed(&path, "opening it for reading", source))?;
        Ok(Self {
            path,
            day,
            connection,
        })
    }

    fn version(&self) -> Result<i64, SeriesError> {
        self.connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|source| failed(&self.path, "reading its version", source))
    }

    fn checked(self) -> Result<Self, SeriesError> {
        let version = self.version()?;
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
                "SELECT flushed_lsn, loose, points, blocks, generation FROM position",
                [],
                |row| {
                    let number = |place| row.get(place).map(|n: i64| u64::try_from(n).unwrap_or(0));
                    Ok(Facts {
                        flushed: Lsn(number(0)?),
                        loose: number(1)?,
                        points: number(2)?,
                        blocks: number(3)?,
                        generation: row.get(4)?,
                    })
                },
            )
            .map_err(|source| failed(&self.path, "reading its position", source))
    }

    /// The blocks of `series`, in the order in which they were written.
    pub(super) fn rows(&self, series: SeriesId) -> Result<Vec<Row>, SeriesError> {
        let first = first_key(series);
        let mut rows = Vec::new();
        let mut damage = None;
        let mut read = || {
            let mut select = self.connection.prepare_cached(
                "SELECT key, summary, 1 FROM packed WHERE key BETWEEN ?1 AND ?2
                 UNION ALL SELECT key, summary, 0 FROM block WHERE key BETWEEN ?1 AND ?2",
            )?;
            let mut found = select.query([first, first + (1 << SERIES_SHIFT) - 1])?;
            while let Some(row) = found.next()? {
                let key = row.get(0)?;
                let bytes = row.get_ref(1)?.as_blob()?;
                match block::decode_summary(self.place(key), bytes) {
                    Ok(summary) => rows.push(Row {
                        key,
                        summary,
                        is_packed: row.get(2)?,
                    }),
                    Err(what) => damage = Some((key, what)),
                }
            }
            Ok(())
        };
        read().map_err(|source: rusqlite::Error| {
            failed(&self.path, "reading the blocks of a series", source)
        })?;
        if let Some((key, what)) = damage {
            let file = self.path.display();
            return Err(SeriesError::Damaged(format!(
                "{file}, a block of series {} (row {key}): {what}",
                series.0
            )));
        }
        rows.sort_unstable_by_key(|row| row.key);
        Ok(rows)
    }

    const fn place(&self, key: i64) -> Place {
        Place { key, day: self.day }
    }

    /// The bytes of the body of a block; none when its samples were let go, or a compaction has replaced it
    /// meanwhile.
    pub(super) fn raw(&self, row: &Row) -> Result<Option<Vec<u8>>, SeriesError> {
        let select = if row.is_packed {
            "SELECT body FROM packed WHERE key = ?1"
        } else {
            "SELECT body FROM block WHERE key = ?1"
        };
        self.blob(select, row, "reading a block")
    }

    /// The bytes of the roll-up of a block; none when it has none.
    pub(super) fn rollup(&self, row: &Row) -> Result<Option<Vec<u8>>, SeriesError> {
        if !row.is_packed {
            return Ok(None);
        }
        self.blob(
            "SELECT rollup FROM packed WHERE key = ?1",
            row,
            "reading a roll-up",
        )
    }

    fn blob(&self, select: &str, row: &Row, doing: &str) -> Result<Option<Vec<u8>>, SeriesError> {
        self.connection
            .prepare_cached(select)
            .and_then(|mut select| {
                select
                    .query_row([row.key], |found| found.get::<_, Option<Vec<u8>>>(0))
                    .optional()
            })
            .map(Option::flatten)
            .map_err(|source| failed(&self.path, doing, source))
    }

    /// The samples of a block whose body was read.
    pub(super) fn decode(&self, row: &Row, bytes: &[u8]) -> Result<Column, SeriesError> {
        Origin::of(self).decode(row, bytes)
    }

    /// The samples of a block; none when they were let go, or a compaction has replaced it meanwhile.
    pub(super) fn body(&self, row: &Row) -> Result<Option<Column>, SeriesError> {
        let bytes = self.raw(row)?;
        bytes.map(|bytes| self.decode(row, &bytes)).transpose()
    }

    /// Runs `read` so that everything it reads is of one moment.
    pub(super) fn at_once<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, SeriesError>,
    ) -> Result<T, SeriesError> {
        Self::all_at_once(&[self], || read(self))
    }

    /// Runs `read` so that everything it reads of each of the files is of one moment: that at which the file is first
    /// asked.
    pub(super) fn all_at_once<T>(
        partitions: &[&Self],
        read: impl FnOnce() -> Result<T, SeriesError>,
    ) -> Result<T, SeriesError> {
        let mut open = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let tx = partition.connection.unchecked_transaction();
            let tx = tx.map_err(|source| failed(&partition.path, "reading it", source))?;
            open.push((tx, partition));
        }
        let answer = read()?;
        for (tx, partition) in open {
            tx.finish()
                .map_err(|source| failed(&partition.path, "reading it", source))?;
        }
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
                        let Encoded { summary, body, .. } = block::encode(Place { key, day }, *slice, level);
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

    /// Copies the log into the file and empties it, as far as no reader holds it; nobody is waited for.
    pub(super) fn checkpoint(&self) -> Result<(), SeriesError> {
        let copy = || {
            self.connection.busy_timeout(Duration::ZERO)?;
            self.connection
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            self.connection.busy_timeout(BUSY)
        };
        copy().map_err(|source| failed(&self.path, "copying its log into it", source))
    }

    /// Whether the file's own structure is whole and it has as many blocks as it says.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> Result<bool, SeriesError> {
        let facts = self.facts()?;
        let read = || {
            let checked: String = self
                .connection
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
            let blocks: i64 = self.connection.query_row(
                "SELECT (SELECT count(*) FROM block) + (SELECT count(*) FROM packed)",
                [],
                |row| row.get(0),
            )?;
            Ok(checked == "ok" && u64::try_from(blocks) == Ok(facts.blocks))
        };
        read().map_err(|source: rusqlite::Error| failed(&self.path, "checking it", source))
    }

    /// The newest sample of each series.
    pub(super) fn newest(&self) -> Result<Vec<(SeriesId, Sample)>, SeriesError> {
        let mut newest = Vec::new();
        let mut at = Some(SeriesId(0));
        while let Some(from) = at {
            let Some(series) = self.first_from(from)? else {
                break;
            };
            if let Some(sample) = super::read::last_of_partition(self, series, Timestamp::MAX)? {
                newest.push((series, sample));
            }
            at = series.0.checked_add(1).map(SeriesId);
        }
        Ok(newest)
    }

    /// The first series from `from` on that has a block.
    pub(super) fn first_from(&self, from: SeriesId) -> Result<Option<SeriesId>, SeriesError> {
        let key: Option<i64> = self
            .connection
            .prepare_cached(
                "SELECT min(key) FROM (SELECT min(key) AS key FROM packed WHERE key >= ?1
                 UNION ALL SELECT min(key) FROM block WHERE key >= ?1)",
            )
            .and_then(|mut select| select.query_row([first_key(from)], |row| row.get(0)))
            .map_err(|source| failed(&self.path, "looking for a series", source))?;
        Ok(key.map(series_of))
    }

    /// The first series from `from` on of which a block is in the table `block`.
    pub(super) fn loose_from(&self, from: SeriesId) -> Result<Option<SeriesId>, SeriesError> {
        let key: Option<i64> = self
            .connection
            .prepare_cached("SELECT key FROM block WHERE key >= ?1 ORDER BY key LIMIT 1")
            .and_then(|mut select| select.query_row([first_key(from)], |row| row.get(0)).optional())
            .map_err(|source| failed(&self.path, "looking for a series", source))?;
        Ok(key.map(series_of))
    }

    /// Notes that what the journal held up to `upto` is in the file, as far as it falls into it.
    pub(super) fn reach(&mut self, upto: Lsn) -> Result<(), SeriesError> {
        let reached = self.write(|tx| {
            tx.execute(
                "UPDATE position SET flushed_lsn = max(flushed_lsn, ?1)",
                [signed(upto.0)],
            )
        });
        reached
            .map(|_| ())
            .map_err(|source| failed(&self.path, "noting how far it is", source))
    }

    pub(super) fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let tx = self.connection.transaction()?;
        let answer = change(&tx)?;
        tx.commit()?;
        Ok(answer)
    }
}

/// Where a block came from, for the words about its damage.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    path: PathBuf,
    day: i64,
}

impl Origin {
    pub(super) fn of(partition: &Partition) -> Self {
        Self {
            path: partition.path.clone(),
            day: partition.day,
        }
    }

    /// Day or month of the file.
    pub(super) const fn day(&self) -> i64 {
        self.day
    }

    pub(super) const fn place(&self, row: &Row) -> Place {
        Place {
            key: row.key,
            day: self.day,
        }
    }

    /// The samples of a block.
    pub(super) fn decode(&self, row: &Row, bytes: &[u8]) -> Result<Column, SeriesError> {
        block::decode(self.place(row), &row.summary, bytes).map_err(|what| self.damaged(row, what))
    }

    pub(super) fn damaged(&self, row: &Row, what: &str) -> SeriesError {
        SeriesError::Damaged(format!(
            "{}, series {}, {} to {} (row {}): {what}",
            self.path.display(),
            series_of(row.key).0,
            row.summary.first,
            row.summary.last,
            row.key
        ))
    }
}

pub(super) fn next_generation(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.query_row("SELECT generation + 1 FROM position", [], |row| row.get(0))
}

/// The key of a block. There are no more than a million generations of a day, and 2048 blocks of a
/// series in one: more is refused rather than mixed up.
pub(super) fn key(series: SeriesId, generation: i64, number: i64) -> rusqlite::Result<i64> {
    if generation >= GENERATION_MAX || number >= 1 << GENERATION_SHIFT {
        return Err(rusqlite::Error::IntegralValueOutOfRange(0, generation));
    }
    Ok(first_key(series) + (generation << GENERATION_SHIFT) + number)
}

/// How long a connection waits for another one's write.
const BUSY: Duration = Duration::from_secs(10);

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
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
