//! What the file of a day says of itself.

use std::path::Path;

use rusqlite::Connection;

use super::CareError;
use super::manifest::DayFacts;

/// Reads it.
pub(super) fn facts(connection: &Connection, path: &Path) -> Result<DayFacts, CareError> {
    connection
        .query_row(
            "SELECT flushed_lsn, generation, loose, points, blocks FROM position",
            [],
            |row| {
                let count = |place| row.get(place).map(|n: i64| u64::try_from(n).unwrap_or(0));
                Ok(DayFacts {
                    flushed_lsn: count(0)?,
                    generation: row.get(1)?,
                    loose: row.get(2)?,
                    points: count(3)?,
                    blocks: count(4)?,
                })
            },
        )
        .map_err(CareError::engine(path, "reading its position"))
}
