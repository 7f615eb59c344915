//! What is asked of each file.

use std::collections::HashMap;

use rusqlite::Connection;
use telemetry::SeriesId;

/// Most lines of SQLite's own check of one file; a file with so many is damaged all over.
const LINES_MAX: usize = 20;

/// What SQLite finds wrong with the pages of a file; nothing: empty.
pub(super) fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({LINES_MAX})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    let mut wrong = Vec::new();
    for line in lines {
        let line = line?;
        // "*** in database main ***" stands before what follows.
        if line != "ok" {
            wrong.extend(
                line.lines()
                    .filter(|line| !line.starts_with("***"))
                    .map(str::to_owned),
            );
        }
    }
    wrong.truncate(LINES_MAX);
    Ok(wrong)
}

/// Device and signal of each series.
pub(super) fn series_names(connection: &Connection) -> rusqlite::Result<HashMap<SeriesId, (String, String)>> {
    connection
        .prepare("SELECT id, device, signal FROM series")?
        .query_map([], |row| Ok((SeriesId(row.get(0)?), (row.get(1)?, row.get(2)?))))?
        .collect()
}

/// The day before which all have expired, and the days whose files must be there.
pub(super) fn days_of_index(connection: &Connection) -> rusqlite::Result<(i64, Vec<i64>)> {
    let expired = connection.query_row("SELECT expired_day FROM position", [], |row| row.get(0))?;
    let days = connection
        .prepare("SELECT day FROM partition ORDER BY day")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    Ok((expired, days))
}
