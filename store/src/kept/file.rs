//! The SQLite file of the map: its table, and by which statements it changes.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Change, EachRow, KeptError, Loaded, ROW_BYTES};
use crate::durable::file::DurableFile;
use crate::form::checksum;

/// The version of the tables. A file of a later version is refused, never touched.
pub(crate) const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS kept (
    room  INTEGER NOT NULL,   -- 0..=255
    key   BLOB NOT NULL,
    value BLOB NOT NULL,
    sum   INTEGER NOT NULL,   -- CRC-32C of room, length of key, key, value
    PRIMARY KEY (room, key)
) WITHOUT ROWID;
";

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) rows: u64,
    /// Keys, values and [`ROW_BYTES`] for each.
    pub(super) bytes: u64,
}

impl Extent {
    fn grow(&mut self, bytes: u64) {
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(bytes).saturating_add(ROW_BYTES);
    }

    fn shrink(&mut self, rows: u64, bytes: u64) {
        self.rows = self.rows.saturating_sub(rows);
        self.bytes = self.bytes.saturating_sub(bytes.saturating_add(rows * ROW_BYTES));
    }
}

/// The writing connection.
#[derive(Debug)]
pub(super) struct KeptFile {
    pub(super) file: DurableFile,
}

impl KeptFile {
    pub(super) fn open(path: &Path) -> Result<Self, KeptError> {
        DurableFile::open(path, VERSION, SCHEMA)
            .map(|file| Self { file })
            .map_err(|error| KeptError::open(path, error))
    }

    pub(super) fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    /// A second connection, for readers.
    pub(super) fn reader(&self) -> Result<Connection, KeptError> {
        let path = self.file.path();
        self.file.reader().map_err(|error| KeptError::open(path, error))
    }

    /// Counts what there is.
    pub(super) fn extent(&self) -> Result<Extent, KeptError> {
        let sums = "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM kept";
        let (rows, bytes): (i64, i64) = self
            .file
            .connection()
            .query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|source| KeptError::Engine {
                file: self.name(),
                doing: "counting its rows",
                source,
            })?;
        let mut extent = Extent::default();
        extent.rows = unsigned(rows);
        extent.bytes = unsigned(bytes).saturating_add(extent.rows * ROW_BYTES);
        Ok(extent)
    }

    /// Makes the changes of `calls` in one transaction. For each call whether it was taken: not when it
    /// would make the rows grow beyond `bytes_max`; it then leaves no trace.
    pub(super) fn commit<'a>(
        &mut self,
        calls: impl Iterator<Item = &'a [Change]>,
        before: Extent,
        bytes_max: u64,
    ) -> rusqlite::Result<(Extent, Vec<bool>)> {
        let mut extent = before;
        let mut taken = Vec::new();
        let mut tx = self.file.transaction()?;
        for call in calls {
            let upper: u64 = call.iter().map(Change::size_bytes).sum();
            if extent.bytes.saturating_add(upper) <= bytes_max {
                extent = apply(&tx, call, extent)?;
                taken.push(true);
                continue;
            }
            // It may free as much as it takes: try, and take it back when it does not.
            let mut savepoint = tx.savepoint()?;
            let after = apply(&savepoint, call, extent)?;
            let fits = after.bytes <= bytes_max || after.bytes <= extent.bytes;
            if fits {
                extent = after;
            } else {
                savepoint.rollback()?;
            }
            savepoint.commit()?;
            taken.push(fits);
        }
        tx.commit()?;
        Ok((extent, taken))
    }
}

/// Makes the changes of one call; what there is after them.
fn apply(tx: &Connection, call: &[Change], mut extent: Extent) -> rusqlite::Result<Extent> {
    for change in call {
        match change {
            Change::Put { room, key, value } => {
                forget(tx, *room, key, &mut extent)?;
                tx.prepare_cached("INSERT INTO kept VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![room, &key[..], &value[..], sum(*room, key, value)])?;
                extent.grow((key.len() + value.len()) as u64);
            }
            Change::Delete { room, key } => forget(tx, *room, key, &mut extent)?,
            Change::DeletePrefix { room, prefix } => forget_prefix(tx, *room, prefix, &mut extent)?,
        }
    }
    Ok(extent)
}

fn forget(tx: &Connection, room: u8, key: &[u8], extent: &mut Extent) -> rusqlite::Result<()> {
    let gone: Option<i64> = tx
        .prepare_cached(
            "DELETE FROM kept WHERE room = ?1 AND key = ?2 RETURNING length(key) + length(value)",
        )?
        .query_row(params![room, key], |row| row.get(0))
        .optional()?;
    if let Some(bytes) = gone {
        extent.shrink(1, unsigned(bytes));
    }
    Ok(())
}

fn forget_prefix(tx: &Connection, room: u8, prefix: &[u8], extent: &mut Extent) -> rusqlite::Result<()> {
    // One more than its last byte that is not 255: the first key that is not below it.
    let mut end = prefix.to_vec();
    while end.pop_if(|byte| *byte == u8::MAX).is_some() {}
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    let whole = end.is_empty();
    let range = "room = ?1 AND key >= ?2 AND (?4 OR key < ?3)";
    let (rows, bytes): (i64, i64) = tx
        .prepare_cached(&format!(
            "SELECT count(*), coalesce(sum(length(key) + length(value)), 0) FROM kept WHERE {range}"
        ))?
        .query_row(params![room, prefix, end, whole], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if rows > 0 {
        tx.prepare_cached(&format!("DELETE FROM kept WHERE {range}"))?
            .execute(params![room, prefix, end, whole])?;
        extent.shrink(unsigned(rows), unsigned(bytes));
    }
    Ok(())
}

/// Hands every sound row to `each`, in order, and names the others.
pub(super) fn load(reader: &Connection, file: &str, each: &mut EachRow<'_>) -> rusqlite::Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut select = reader.prepare("SELECT room, key, value, sum FROM kept ORDER BY room, key")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (room, key, value) = (row.get_ref(0)?, row.get_ref(1)?, row.get_ref(2)?);
        match sound(room, key, value, row.get_ref(3)?) {
            Some((room, key, value)) => {
                loaded.rows += 1;
                each(room, key, value);
            }
            None => {
                loaded.damaged += 1;
                tracing::error!(
                    file,
                    ?room,
                    key = %key.as_bytes_or_null().ok().flatten().unwrap_or_default().escape_ascii(),
                    "a row is not what was written; it is left out"
                );
            }
        }
    }
    Ok(loaded)
}

fn sound<'a>(
    room: ValueRef<'a>,
    key: ValueRef<'a>,
    value: ValueRef<'a>,
    expected: ValueRef<'a>,
) -> Option<(u8, &'a [u8], &'a [u8])> {
    let room = u8::try_from(room.as_i64().ok()?).ok()?;
    let (key, value) = (key.as_blob().ok()?, value.as_blob().ok()?);
    (expected.as_i64().ok()? == i64::from(sum(room, key, value))).then_some((room, key, value))
}

fn sum(room: u8, key: &[u8], value: &[u8]) -> u32 {
    // usize is at most 64 bits wide on every platform that Rust has.
    checksum(&[&[room], &(key.len() as u64).to_le_bytes(), key, value])
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Room and key of a row.
pub(crate) type RowKey = (i64, Vec<u8>);

/// How many rows there are in all, and those that are not what was written.
pub(crate) fn damaged(reader: &Connection) -> rusqlite::Result<(u64, Vec<RowKey>)> {
    let mut all = 0;
    let mut bad = Vec::new();
    let mut select = reader.prepare("SELECT room, key, value, sum FROM kept")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        all += 1;
        let (room, key) = (row.get_ref(0)?, row.get_ref(1)?);
        if sound(room, key, row.get_ref(2)?, row.get_ref(3)?).is_none() {
            bad.push((
                row.get(0).unwrap_or(-1),
                key.as_bytes().unwrap_or_default().to_vec(),
            ));
        }
    }
    Ok((all, bad))
}
