//! The SQLite file of the journal: what is done to the disk, and by which statements.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use telemetry::{Lsn, Timestamp};

use super::JournalError;
use super::record::Encoder;
use crate::durable::file::DurableFile;

/// The version of the tables. A file of a later version is refused, never touched.
pub(super) const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS batch (
    first_lsn   INTEGER PRIMARY KEY,
    count       INTEGER NOT NULL,
    arrived_min INTEGER NOT NULL,   -- ms since 1970, as is
    arrived_max INTEGER NOT NULL,
    bytes       INTEGER NOT NULL,   -- of the blob
    blob        BLOB NOT NULL       -- journal/record.rs
);
CREATE TABLE IF NOT EXISTS position (
    only         INTEGER PRIMARY KEY CHECK (only = 0),
    oldest_lsn   INTEGER NOT NULL,  -- of the oldest batch, or next_lsn
    next_lsn     INTEGER NOT NULL,  -- never goes back, so that no number is given out twice
    stored_bytes INTEGER NOT NULL   -- sum of batch.bytes
);
INSERT OR IGNORE INTO position VALUES (0, 1, 1, 0);
";

/// What the table `position` says, and the oldest row: all the committer needs to know between commits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// The number that the next message gets.
    pub(super) next: Lsn,
    pub(super) stored_bytes: u64,
    pub(super) oldest: Option<RowHead>,
}

/// A row without its blob.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowHead {
    pub(super) first: Lsn,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) arrived_max: Timestamp,
}

impl RowHead {
    pub(super) const fn last(&self) -> Lsn {
        Lsn(self.first.0 + self.count - 1)
    }
}

/// A row with its blob.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) first: Lsn,
    pub(super) count: u32,
    pub(super) blob: Vec<u8>,
}

/// Which released rows may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrimPlan {
    /// Nothing after this number.
    pub(super) released: Lsn,
    /// Rows whose last message arrived before this instant go.
    pub(super) horizon: Timestamp,
    /// More rows go until at most this many bytes are left.
    pub(super) bytes_max: u64,
}

/// The writing connection.
#[derive(Debug)]
pub(super) struct JournalFile {
    pub(super) file: DurableFile,
}

impl JournalFile {
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        DurableFile::open(path, VERSION, SCHEMA)
            .map(|file| Self { file })
            .map_err(|error| JournalError::open(path, error))
    }

    /// A second connection, for readers.
    pub(super) fn reader(&self) -> Result<Connection, JournalError> {
        let path = self.file.path();
        self.file
            .reader()
            .map_err(|error| JournalError::open(path, error))
    }

    pub(super) fn position(&self) -> Result<Position, JournalError> {
        let failed = |source| JournalError::engine(self.file.path(), "reading its position", source);
        let (first, next, stored): (i64, i64, i64) = self
            .file
            .connection()
            .query_row(
                "SELECT oldest_lsn, next_lsn, stored_bytes FROM position",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(failed)?;
        let oldest = oldest_row(self.file.connection()).map_err(failed)?;
        let after_newest: Option<i64> = self
            .file
            .connection()
            .query_row(
                "SELECT first_lsn + count FROM batch ORDER BY first_lsn DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()
            .map_err(failed)?;
        let fits = oldest.map_or(next, |row| signed(row.first.0)) == first
            && after_newest.unwrap_or(first) == next
            && next >= 1;
        if !fits {
            return Err(JournalError::Damaged {
                file: self.file.path().display().to_string(),
                lsn: Lsn(unsigned(first)),
                what: "the batches do not begin or end where the position says",
            });
        }
        Ok(Position {
            next: Lsn(unsigned(next)),
            stored_bytes: unsigned(stored),
            oldest,
        })
    }

    /// Trims by `plan` and appends `batches`, in one transaction; the new position after its fsync.
    pub(super) fn commit(
        &mut self,
        plan: Option<TrimPlan>,
        batches: Vec<Encoder>,
        before: Position,
    ) -> rusqlite::Result<Position> {
        let mut after = before;
        let tx = self.file.transaction()?;
        if let Some(plan) = plan {
            let freed = trim(&tx, plan, before.stored_bytes)?;
            after.stored_bytes = after.stored_bytes.saturating_sub(freed);
        }
        {
            let mut insert = tx.prepare_cached("INSERT INTO batch VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
            for batch in batches {
                let (first, count) = (batch.first, batch.count);
                let (min, max) = (batch.arrived_min.millis(), batch.arrived_max.millis());
                let blob = batch.finish();
                let bytes = blob.len() as u64;
                insert.execute(params![signed(first.0), count, min, max, signed(bytes), blob])?;
                after.next = Lsn(first.0 + u64::from(count));
                after.stored_bytes += bytes;
            }
        }
        if plan.is_some() || after.oldest.is_none() {
            after.oldest = oldest_row(&tx)?;
        }
        let first = after.oldest.map_or(after.next, |row| row.first);
        tx.prepare_cached("UPDATE position SET oldest_lsn = ?1, next_lsn = ?2, stored_bytes = ?3")?
            .execute([first.0, after.next.0, after.stored_bytes].map(signed))?;
        tx.commit()?;
        Ok(after)
    }
}

/// Rows looked at in one go while trimming.
const TRIM_ROWS: i64 = 512;

/// Deletes the oldest rows that `plan` lets go; the bytes of their blobs.
///
/// By age at most [`TRIM_ROWS`] rows go in one commit, so that nobody waits long for an acknowledgement;
/// the next commit takes more. By size as many as it takes.
fn trim(tx: &Transaction<'_>, plan: TrimPlan, stored_bytes: u64) -> rusqlite::Result<u64> {
    let mut freed = 0;
    loop {
        let mut select = tx.prepare_cached(
            "SELECT first_lsn, count, bytes, arrived_max FROM batch ORDER BY first_lsn LIMIT ?1",
        )?;
        let heads: Vec<RowHead> = select
            .query_map([TRIM_ROWS], row_head)?
            .collect::<rusqlite::Result<_>>()?;
        let mut upto = None;
        let looked_at = heads.len();
        let mut going = 0;
        for head in heads {
            let too_many = stored_bytes.saturating_sub(freed) > plan.bytes_max;
            if head.last() > plan.released || !(too_many || head.arrived_max < plan.horizon) {
                break;
            }
            freed += head.bytes;
            going += 1;
            upto = Some(head.first);
        }
        if let Some(upto) = upto {
            tx.prepare_cached("DELETE FROM batch WHERE first_lsn <= ?1")?
                .execute([signed(upto.0)])?;
        }
        let more = going > 0 && going == looked_at && stored_bytes.saturating_sub(freed) > plan.bytes_max;
        if !more {
            return Ok(freed);
        }
    }
}

fn oldest_row(connection: &Connection) -> rusqlite::Result<Option<RowHead>> {
    connection
        .prepare_cached("SELECT first_lsn, count, bytes, arrived_max FROM batch ORDER BY first_lsn LIMIT 1")?
        .query_row([], row_head)
        .optional()
}

fn row_head(row: &rusqlite::Row<'_>) -> rusqlite::Result<RowHead> {
    Ok(RowHead {
        first: Lsn(unsigned(row.get(0)?)),
        count: unsigned(row.get(1)?),
        bytes: unsigned(row.get(2)?),
        arrived_max: Timestamp::from_millis(row.get(3)?),
    })
}

/// The rows from the one that holds `from` on, handed to `each` until it has enough (`false`).
pub(super) fn rows_from(
    connection: &Connection,
    from: Lsn,
    mut each: impl FnMut(Row) -> Result<bool, JournalError>,
) -> rusqlite::Result<Result<(), JournalError>> {
    let mut select = connection.prepare_cached(
        "SELECT first_lsn, count, blob FROM batch
         WHERE first_lsn >= coalesce((SELECT max(first_lsn) FROM batch WHERE first_lsn <= ?1), 0)
         ORDER BY first_lsn",
    )?;
    let mut rows = select.query([signed(from.0)])?;
    while let Some(row) = rows.next()? {
        let row = Row {
            first: Lsn(unsigned(row.get(0)?)),
            count: row.get(1)?,
            blob: row.get(2)?,
        };
        match each(row) {
            Ok(true) => {}
            Ok(false) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// SQLite's integers are signed; ours stay far below 2^63.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
