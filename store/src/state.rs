//! Everything durable that is neither a raw message nor a point: registry, credentials, audit, alarms, outbox,
//! dead letters, ledgers. One SQLite file, one writer; what belongs together is written in one transaction.
//!
//! Each table belongs to one module below, which is the only place that knows its columns.

pub mod access;
pub mod alarms;
pub mod dead_letters;
pub mod ledger;
mod registry;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

/// The version of the tables. A file of a later version is refused, never touched: version 1 knew no revocation, and
/// would let in who was sent away.
const VERSION: i64 = 2;

/// Why the state database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// SQLite failed: a full disk, a damaged or an unreadable file.
    #[error("the state database {file} failed while {doing}")]
    Engine {
        /// Which file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The file was written by a later version of Townwatch. Use that version, or another data directory.
    #[error("the state database {file} has version {found}; this program knows {VERSION}")]
    Newer {
        /// Which file.
        file: String,
        /// Its version.
        found: i64,
    },
    /// A row does not hold what it should.
    #[error("the state database holds a damaged row in {table}: {what}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The registry does not fit together.
    #[error("the registry does not fit together")]
    Catalogue(#[from] telemetry::catalogue::CatalogueError),
}

/// The state database of one data directory.
pub struct State {
    file: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl State {
    /// Opens `file`, making it when it is missing.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be opened, is damaged, or is of a later version.
    pub fn open(file: &Path) -> Result<Self, StateError> {
        let failed = |doing| {
            move |source| StateError::Engine {
                file: file.display().to_string(),
                doing,
                source,
            }
        };
        let mut writer = Connection::open(file).map_err(failed("opening it"))?;
        configure(&writer).map_err(failed("configuring it"))?;
        let found: i64 = writer
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed("reading its version"))?;
        if found > VERSION {
            return Err(StateError::Newer {
                file: file.display().to_string(),
                found,
            });
        }
        let tx = writer.transaction().map_err(failed("making its tables"))?;
        for schema in [
            access::SCHEMA,
            alarms::SCHEMA,
            dead_letters::SCHEMA,
            ledger::SCHEMA,
            registry::SCHEMA,
        ] {
            tx.execute_batch(schema).map_err(failed("making its tables"))?;
        }
        tx.pragma_update(None, "user_version", VERSION)
            .map_err(failed("writing its version"))?;
        tx.commit().map_err(failed("making its tables"))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(file, flags).map_err(failed("opening it for reading"))?;
        reader
            .busy_timeout(std::time::Duration::from_secs(10))
            .map_err(failed("configuring it"))?;
        Ok(Self {
            file: file.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
        })
    }

    /// Runs `change` in one transaction: all of it is on disk after `Ok`, none of it after `Err`.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = change(&tx)?;
            tx.commit()?;
            Ok(answer)
        };
        run().map_err(|source| self.failed(doing, source))
    }

    /// Runs `query` on a connection that sees the last committed state.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        query(&reader).map_err(|source| self.failed(doing, source))
    }

    fn failed(&self, doing: &'static str, source: rusqlite::Error) -> StateError {
        StateError::Engine {
            file: self.file.display().to_string(),
            doing,
            source,
        }
    }
}

/// WAL and `synchronous=FULL`: a committed transaction survives power loss. Source: `design.md` §5.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")
}
