//! What a state database takes over from another one whose disk fails.

use std::path::Path;

use rusqlite::Connection;

use super::{State, StateError};

/// All that alarms, catalogue and credentials need: who was sent away stays away. Dead letters, ledgers and waiting notices stay where they are.
const TABLES: [&str; 16] = [
    "access",
    "added_device",
    "access_revision",
    "alarm_state",
    "alarm_memory",
    "alarm_occurrence",
    "alarm_cursor",
    "alarm_log",
    "alarm_down",
    "case_record",
    "case_event",
    "case_alarm",
    "case_cursor",
    "registry",
    "series",
    "meta",
];

impl State {
    /// Takes over the registry, the numbers of the series and the alarms of another state database, as far as it can be
    /// read without writing a byte to it: with the log of its last commits, or else without it. Cursors are set to
    /// the beginning: the journal that they count is another one.
    ///
    /// # Errors
    /// [`StateError::Engine`] when nothing of `file` can be read, or this database cannot be written.
    pub fn take_over(&self, file: &Path) -> Result<(), StateError> {
        let failed = |source| StateError::Engine {
            file: file.display().to_string(),
            doing: "taking over its alarms",
            source,
        };
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        copy(&writer, file, "mode=ro")
            .or_else(|error| {
                tracing::error!(file = %file.display(), %error, "the last commits cannot be read; without them");
                copy(&writer, file, "immutable=1")
            })
            .map_err(failed)
    }
}

fn copy(into: &Connection, file: &Path, mode: &str) -> rusqlite::Result<()> {
    let path = file.display().to_string();
    let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    into.execute("ATTACH DATABASE ?1 AS disk", [format!("file:{path}?{mode}")])?;
    let copied = take(into);
    let detached = into.execute_batch("DETACH DATABASE disk");
    copied.and(detached)
}

fn take(into: &Connection) -> rusqlite::Result<()> {
    // A database of an earlier version, whose disk failed before it was upgraded, lacks the tables of the cases, or
    // the times in which the engine did not run.
    let has = |table: &str| {
        let sql = "SELECT COUNT(*) FROM disk.sqlite_master WHERE type = 'table' AND name = ?1";
        into.query_row(sql, [table], |row| Ok(row.get::<_, i64>(0)? > 0))
    };
    for table in TABLES {
        if (table.starts_with("case_") || table == "alarm_down") && !has(table)? {
            continue;
        }
        let sql = format!("INSERT OR REPLACE INTO main.{table} SELECT * FROM disk.{table}");
        into.execute(&sql, [])?;
    }
    if !has("case_cursor")? {
        // As at an upgrade: nobody files cases for the alarms of long ago.
        let end = "UPDATE case_cursor SET seq = (SELECT COALESCE(MAX(seq), 0) FROM alarm_log)";
        into.execute(end, [])?;
    }
    into.execute("UPDATE alarm_cursor SET lsn = 0", []).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_is_taken_over_and_left_alone() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = one.path().join("state.db");
        let on_disk = State::open(&file).unwrap();
        on_disk.set_meta("county", "small").unwrap();
        // Given a second database that has taken the open first one over,
        let copy = State::open(&two.path().join("state.db")).unwrap();
        copy.take_over(&file).unwrap();
        assert_eq!(copy.meta("county").unwrap().as_deref(), Some("small"));
        // when something is written to it, then the first knows nothing of it.
        copy.set_meta("county", "other").unwrap();
        assert_eq!(copy.meta("county").unwrap().as_deref(), Some("other"));
        assert_eq!(on_disk.meta("county").unwrap().as_deref(), Some("small"));
    }

    #[test]
    fn a_database_that_knew_no_cases_is_taken_over_without_them() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = one.path().join("state.db");
        let on_disk = State::open(&file).unwrap();
        on_disk.set_meta("county", "small").unwrap();
        let log = "INSERT INTO alarm_log VALUES (7, 0, 'raised', 'a/B', 1, NULL, NULL, '{}')";
        let older = format!("{log}; DROP TABLE case_alarm; DROP TABLE case_cursor;");
        on_disk.write("a test", |tx| tx.execute_batch(&older)).unwrap();
        let copy = State::open(&two.path().join("state.db")).unwrap();
        copy.take_over(&file).unwrap();
        assert_eq!(copy.meta("county").unwrap().as_deref(), Some("small"));
        // Its cases begin behind the alarms that it brought.
        assert_eq!(copy.case_cursor().unwrap(), 7);
    }

    #[test]
    fn what_is_no_database_is_an_error_and_harms_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nonsense.db");
        std::fs::write(&file, "no database at all, but some text").unwrap();
        let copy = State::open(&folder.path().join("state.db")).unwrap();
        assert!(copy.take_over(&file).is_err());
        copy.set_meta("county", "small").unwrap();
    }
}
