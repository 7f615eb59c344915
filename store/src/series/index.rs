//! `series.db`: how far the series store has come, which days it has, and the newest sample of each series.

mod reached;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, params};
use rustc_hash::FxHashMap;
use telemetry::{Lsn, Quality, Sample, SeriesId, Timestamp};

use super::partition::{failed, signed};
use super::reader::SeriesError;
use crate::form::checksum;

/// The name of the index in the data directory.
pub(super) const INDEX_FILE: &str = "series.db";

/// The version of the tables. A file of a later version is refused, never touched.
///
/// Version 2 has months in the table `partition`; else it is as version 1.
pub(super) const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS position (
    only        INTEGER PRIMARY KEY CHECK (only = 0),
    cursor_lsn  INTEGER NOT NULL,   -- what the journal held up to here is in the partitions
    expired_day INTEGER NOT NULL    -- days before this one are gone and stay so
);
CREATE TABLE IF NOT EXISTS partition (
    day INTEGER PRIMARY KEY         -- days since 1970 whose file must be there; months: series/extent.rs
);
CREATE TABLE IF NOT EXISTS latest (
    series  INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL,       -- ms since 1970
    value   REAL NOT NULL,
    quality INTEGER NOT NULL,       -- its code
    crc     INTEGER NOT NULL        -- CRC-32C over the four before it
);
";

/// What the index says when the store is opened.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Whether there was no index yet.
    pub(super) is_new: bool,
    pub(super) cursor: Lsn,
    pub(super) expired_day: i64,
    /// Days and months.
    pub(super) extents: Vec<i64>,
    pub(super) latest: FxHashMap<SeriesId, Sample>,
    /// How far the file of a day had come.
    pub(super) reached: BTreeMap<i64, Lsn>,
}

/// The index, on its only connection.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    connection: Connection,
    is_new: bool,
}

impl Index {
    pub(super) fn open(dir: &Path) -> Result<Self, SeriesError> {
        let path = dir.join(INDEX_FILE);
        let make = || {
            let mut connection = Connection::open(&path)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "wal_autocheckpoint", 0)?;
            let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if found < VERSION {
                let tx = connection.transaction()?;
                tx.execute_batch(SCHEMA)?;
                tx.execute("INSERT OR IGNORE INTO position VALUES (0, 0, ?1)", [i64::MIN])?;
                tx.pragma_update(None, "user_version", VERSION)?;
                tx.commit()?;
            }
            if found <= VERSION {
                connection.execute_batch(reached::TABLE)?;
            }
            Ok((connection, found))
        };
        let (connection, found) =
            make().map_err(|source: rusqlite::Error| failed(&path, "opening it", source))?;
        if found > VERSION {
            let why = format!("it has version {found}; this program knows {VERSION}");
            return Err(failed(&path, "opening it", why));
        }
        Ok(Self {
            path,
            connection,
            is_new: found == 0,
        })
    }

    /// The index as it is, for reading beside the server that writes it; an empty one where there is none yet.
    pub(super) fn reading(dir: &Path) -> Result<Self, SeriesError> {
        let path = dir.join(INDEX_FILE);
        let empty = || {
            let connection = Connection::open_in_memory()?;
            connection.execute_batch(SCHEMA)?;
            connection.execute("INSERT INTO position VALUES (0, 0, ?1)", [i64::MIN])?;
            Ok((connection, 0))
        };
        let make = || {
            if !path.exists() {
                return empty();
            }
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&path, flags)?;
            connection.busy_timeout(Duration::from_secs(10))?;
            let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if found == 0 {
                empty()
            } else {
                Ok((connection, found))
            }
        };
        let (connection, found) =
            make().map_err(|source: rusqlite::Error| failed(&path, "opening it for reading", source))?;
        if found > VERSION {
            let why = format!("it has version {found}; this program knows {VERSION}");
            return Err(failed(&path, "opening it for reading", why));
        }
        Ok(Self {
            path,
            connection,
            is_new: found == 0,
        })
    }

    pub(super) fn load(&self) -> Result<Loaded, SeriesError> {
        let read = || {
            let (cursor, expired_day) =
                self.connection
                    .query_row("SELECT cursor_lsn, expired_day FROM position", [], |row| {
                        Ok((row.get::<_, i64>(0)?, row.get(1)?))
                    })?;
            let extents = self
                .connection
                .prepare("SELECT day FROM partition ORDER BY day")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<i64>>>()?;
            let latest = self
                .connection
                .prepare("SELECT series, time, value, quality, crc FROM latest")?
                .query_map([], |row| {
                    let series = SeriesId(row.get(0)?);
                    let sample = Sample {
                        time: Timestamp::from_millis(row.get(1)?),
                        value: row.get(2)?,
                        quality: Quality::from_code(row.get(3)?),
                    };
                    Ok((series, sample, row.get::<_, u32>(4)?))
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok((
                cursor,
                expired_day,
                extents,
                latest,
                reached::load(&self.connection)?,
            ))
        };
        let (cursor, expired_day, extents, rows, reached) =
            read().map_err(|source: rusqlite::Error| failed(&self.path, "reading it", source))?;
        let mut latest = FxHashMap::default();
        for (series, sample, sum) in rows {
            if sum != latest_sum(series, sample) {
                return Err(SeriesError::Damaged(format!(
                    "{}, the newest sample of series {}: its checksum does not fit",
                    self.path.display(),
                    series.0
                )));
            }
            latest.insert(series, sample);
        }
        Ok(Loaded {
            is_new: self.is_new,
            cursor: Lsn(u64::try_from(cursor).unwrap_or(0)),
            expired_day,
            extents,
            latest,
            reached,
        })
    }

    /// Notes that the journal up to `cursor` is in the partitions, which now are those of `extents` besides
    /// the ones before, and that `latest` are the newest samples of their series.
    pub(super) fn advance(
        &mut self,
        cursor: Lsn,
        extents: &[i64],
        latest: &[(SeriesId, Sample)],
    ) -> Result<(), SeriesError> {
        let mut write = || {
            let tx = self.connection.transaction()?;
            tx.execute("UPDATE position SET cursor_lsn = ?1", [signed(cursor.0)])?;
            reached::note(&tx, extents, cursor)?;
            {
                let mut partition = tx.prepare_cached("INSERT OR IGNORE INTO partition VALUES (?1)")?;
                for extent in extents {
                    partition.execute([extent])?;
                }
                let mut newest =
                    tx.prepare_cached("INSERT OR REPLACE INTO latest VALUES (?1, ?2, ?3, ?4, ?5)")?;
                for (series, sample) in latest {
                    let sum = latest_sum(*series, *sample);
                    let (time, code) = (sample.time.millis(), sample.quality.code());
                    newest.execute(params![series.0, time, sample.value, code, sum])?;
                }
            }
            tx.commit()
        };
        write().map_err(|source| failed(&self.path, "writing the cursor", source))?;
        self.checkpoint()
    }

    /// Notes that the days before `day` are gone, and `extents`, which end before; afterwards their files may be deleted.
    pub(super) fn expire(&mut self, day: i64, extents: &[i64]) -> Result<(), SeriesError> {
        let mut write = || {
            let tx = self.connection.transaction()?;
            tx.execute("UPDATE position SET expired_day = max(expired_day, ?1)", [day])?;
            remove(&tx, extents)?;
            let begin = day.saturating_mul(Timestamp::DAY_MS);
            tx.execute("DELETE FROM latest WHERE time < ?1", [begin])?;
            tx.commit()
        };
        write().map_err(|source| failed(&self.path, "expiring days", source))?;
        self.checkpoint()
    }

    /// Forgets the newest samples of `series` that are older than `before`.
    pub(super) fn forget(&mut self, series: &[SeriesId], before: Timestamp) -> Result<(), SeriesError> {
        let mut write = || {
            let tx = self.connection.transaction()?;
            {
                let mut forget = tx.prepare_cached("DELETE FROM latest WHERE series = ?1 AND time < ?2")?;
                for series in series {
                    forget.execute(params![series.0, before.millis()])?;
                }
            }
            tx.commit()
        };
        write().map_err(|source| failed(&self.path, "forgetting newest samples", source))?;
        self.checkpoint()
    }

    /// Notes that all that was in `extents` is in other files; afterwards they may be deleted.
    pub(super) fn forget_files(&mut self, extents: &[i64]) -> Result<(), SeriesError> {
        let mut write = || {
            let tx = self.connection.transaction()?;
            remove(&tx, extents)?;
            tx.commit()
        };
        write().map_err(|source| failed(&self.path, "forgetting days", source))?;
        self.checkpoint()
    }

    fn checkpoint(&self) -> Result<(), SeriesError> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(|source| failed(&self.path, "copying its log into it", source))
    }
}

fn remove(tx: &Transaction<'_>, extents: &[i64]) -> rusqlite::Result<()> {
    let mut delete = tx.prepare_cached("DELETE FROM partition WHERE day = ?1")?;
    for extent in extents {
        delete.execute([extent])?;
    }
    Ok(())
}

pub(super) fn latest_sum(series: SeriesId, sample: Sample) -> u32 {
    checksum(&[
        &series.0.to_le_bytes(),
        &sample.time.millis().to_le_bytes(),
        &sample.value.to_bits().to_le_bytes(),
        &[sample.quality.code()],
    ])
}
