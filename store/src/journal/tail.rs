//! Reading a journal beside the process that writes it.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use telemetry::{Lsn, RawMessage};

use super::{JOURNAL_FILE, JournalError, VERSION, file, record};

/// Hands every message of the journal in `dir` after `after` to `each`, a batch at a time in order, until it breaks:
/// what was durable at the moment of the call. Nothing without a journal. Where messages were let go, the numbers jump.
///
/// # Errors
/// [`JournalError`] when the file is of a later version, damaged, or cannot be read.
pub fn tail(
    dir: &Path,
    after: Lsn,
    mut each: impl FnMut(&[(Lsn, RawMessage)]) -> ControlFlow<()>,
) -> Result<(), JournalError> {
    let path = dir.join(JOURNAL_FILE);
    if !path.exists() {
        return Ok(());
    }
    let failed = |doing| {
        let path = path.clone();
        move |source| JournalError::engine(&path, doing, source)
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed("opening it for reading"))?;
    connection
        .busy_timeout(Duration::from_secs(10))
        .map_err(failed("opening it for reading"))?;
    let found: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed("reading its version"))?;
    if found > VERSION {
        let file = path.display().to_string();
        return Err(JournalError::Newer { file, found });
    }
    if found == 0 {
        return Ok(()); // Being made: there is nothing in it yet.
    }
    let outcome = file::rows_from(&connection, after.next(), |row| {
        let first = row.first;
        let messages = record::decode(first, row.count, row.blob).map_err(|what| JournalError::Damaged {
            file: path.display().to_string(),
            lsn: first,
            what,
        })?;
        let numbered: Vec<(Lsn, RawMessage)> = (first.0..)
            .map(Lsn)
            .zip(messages)
            .filter(|(lsn, _)| *lsn > after)
            .collect();
        Ok(numbered.is_empty() || each(&numbered).is_continue())
    });
    outcome.map_err(failed("reading it"))?
}
