//! A state database in memory, for a server whose disk fails: it begins as a copy of what can still be read.

use std::path::Path;
use std::sync::{Mutex, OnceLock};

use rusqlite::{Connection, OpenFlags};

use super::{SCHEMAS, State, StateError};

/// What the copy takes over: all that alarms and catalogue need. Dead letters and ledgers stay where they are.
const TABLES: [&str; 8] = [
    "alarm_state",
    "alarm_memory",
    "alarm_occurrence",
    "alarm_cursor",
    "alarm_log",
    "registry",
    "series",
    "meta",
];

impl State {
    /// A state database that lies in memory alone and is gone with the process. It holds what of `file` can be
    /// read without writing a byte; what cannot is logged and left out. Notices that wait in `file` stay there.
    ///
    /// # Errors
    /// [`StateError::Engine`] when there is no memory for it.
    pub fn in_memory_like(file: &Path) -> Result<Self, StateError> {
        let failed = |source| StateError::Engine {
            file: "in memory".to_owned(),
            doing: "making its tables",
            source,
        };
        let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_URI;
        let memory = Connection::open_in_memory_with_flags(flags).map_err(failed)?;
        for schema in SCHEMAS {
            memory.execute_batch(schema).map_err(failed)?;
        }
        if file.exists() {
            copy(&memory, file);
        }
        Ok(Self {
            file: "in memory".into(),
            writer: Mutex::new(memory),
            reader: None,
            reserve: OnceLock::new(),
            stopped: OnceLock::new(),
        })
    }
}

/// As much as can be read: with the log of the last commits, or else without it.
fn copy(memory: &Connection, file: &Path) {
    for mode in ["mode=ro", "immutable=1"] {
        match copy_tables(memory, file, mode) {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(file = %file.display(), mode, %error, "the state database cannot be read")
            }
        }
    }
}

fn copy_tables(memory: &Connection, file: &Path, mode: &str) -> rusqlite::Result<()> {
    let path = file
        .display()
        .to_string()
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    memory.execute("ATTACH DATABASE ?1 AS disk", [format!("file:{path}?{mode}")])?;
    let copied = TABLES.iter().try_for_each(|table| {
        memory
            .execute(
                &format!("INSERT OR REPLACE INTO main.{table} SELECT * FROM disk.{table}"),
                [],
            )
            .map(|_| ())
    });
    let detached = memory.execute_batch("DETACH DATABASE disk");
    copied.and(detached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_in_memory_knows_what_the_file_held_and_leaves_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        let on_disk = State::open(&file).unwrap();
        on_disk.set_meta("county", "small").unwrap();
        // Given a copy beside the open file,
        let copy = State::in_memory_like(&file).unwrap();
        assert_eq!(copy.meta("county").unwrap().as_deref(), Some("small"));
        // when something is written to it, then the file knows nothing of it.
        copy.set_meta("county", "other").unwrap();
        assert_eq!(copy.meta("county").unwrap().as_deref(), Some("other"));
        assert_eq!(on_disk.meta("county").unwrap().as_deref(), Some("small"));
    }

    #[test]
    fn without_a_readable_file_the_copy_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.db");
        std::fs::write(&file, "no database").unwrap();
        let copy = State::in_memory_like(&file).unwrap();
        assert_eq!(copy.meta("county").unwrap(), None);
    }
}
