//! How far the file of each day had come when the index was last written. An honest disk never shows less after a
//! restart; one that confirms what it has not written does.

use std::collections::BTreeMap;

use rusqlite::{Connection, Transaction, params};
use telemetry::Lsn;

use crate::series::extent::is_month;
use crate::series::partition::signed;

/// Made at every start: files of before it was thought of have the same version.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS reached (
    day         INTEGER PRIMARY KEY,
    flushed_lsn INTEGER NOT NULL    -- what the journal held up to here was in the day's file
)";

/// Notes that the files of those of `extents` that are days have come to `flushed`. Nothing is flushed into a month.
pub(super) fn note(tx: &Transaction<'_>, extents: &[i64], flushed: Lsn) -> rusqlite::Result<()> {
    let mut note = tx.prepare_cached("INSERT OR REPLACE INTO reached VALUES (?1, ?2)")?;
    for day in extents.iter().filter(|extent| !is_month(**extent)) {
        note.execute(params![day, signed(flushed.0)])?;
    }
    Ok(())
}

/// What was noted, by day.
pub(super) fn load(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, Lsn>> {
    if !connection.table_exists(None, "reached")? {
        return Ok(BTreeMap::new());
    }
    let mut select = connection.prepare("SELECT day, flushed_lsn FROM reached")?;
    let rows = select.query_map([], |row| {
        let flushed: i64 = row.get(1)?;
        Ok((row.get(0)?, Lsn(u64::try_from(flushed).unwrap_or(0))))
    })?;
    rows.collect()
}
