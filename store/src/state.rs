//! Everything durable that is neither a raw message nor a point: registry, credentials, audit, alarms, outbox,
//! cases, dead letters, ledgers. One SQLite file, one writer; what belongs together is written in one transaction.
//!
//! Each table belongs to one module below, which is the only place that knows its columns.

pub mod access;
pub mod alarms;
pub mod cases;
pub mod dead_letters;
pub mod ledger;
mod registry;
pub mod remote;
mod restored;

mod copy;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::reserve::Reserve;

pub use restored::Restore;

/// The version of the tables. A file of a later version is refused, never touched: version 1 knew no revocation, and
/// would let in who was sent away; version 2 knew no cases, and would leave their cursor behind.
pub(crate) const VERSION: i64 = 3;

/// The tables of every module. Those of the cases look at the log of the alarms when they are made, so they come after it.
const SCHEMAS: [&str; 7] = [
    access::SCHEMA,
    alarms::SCHEMA,
    cases::SCHEMA,
    dead_letters::SCHEMA,
    ledger::SCHEMA,
    registry::SCHEMA,
    remote::SCHEMA,
];

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
    /// An earlier write failed in a way after which nobody knows what is on the disk. Check the disk, then restart.
    #[error("the state database {file} has stopped: {why}")]
    Stopped {
        /// Which file.
        file: String,
        /// What SQLite said at the time.
        why: String,
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
///
/// On a full disk a write takes the [`Reserve`] and is tried once more. After any other I/O error of a write, a
/// failed fsync above all, nothing is written any more in this process ([`State::stopped`]); reading goes on.
pub struct State {
    file: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    reserve: OnceLock<Arc<Reserve>>,
    stopped: OnceLock<String>,
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
        // Immediate: another process that writes is waited for, instead of failing at the first table.
        let tx = writer
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(failed("making its tables"))?;
        for schema in SCHEMAS {
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
            reserve: OnceLock::new(),
            stopped: OnceLock::new(),
        })
    }

    /// Opens `file`, which is there, for reading only: beside the server that writes it, or without one. Writing fails.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be opened, is damaged, or is of a later version.
    pub fn open_read_only(file: &Path) -> Result<Self, StateError> {
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((connection, found))
        };
        let failed = |source| StateError::Engine {
            file: file.display().to_string(),
            doing: "opening it for reading",
            source,
        };
        let ((reader, found), (writer, _)) = (open().map_err(failed)?, open().map_err(failed)?);
        if found > VERSION {
            return Err(StateError::Newer {
                file: file.display().to_string(),
                found,
            });
        }
        Ok(Self {
            file: file.to_owned(),
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            reserve: OnceLock::new(),
            stopped: OnceLock::new(),
        })
    }

    /// Gives it the room that it may use when the disk is full. The first one counts.
    pub fn use_reserve(&self, reserve: Arc<Reserve>) {
        if self.reserve.set(reserve).is_err() {
            tracing::warn!("the state database has a reserve already");
        }
    }

    /// Why nothing is written any more; none while all is well.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.stopped.get().cloned()
    }

    /// Runs `change` in one transaction: all of it is on disk after `Ok`, none of it after `Err`. It may be run twice.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        change: impl Fn(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.refuse_when_stopped()?;
        let mut run = || {
            let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = change(&tx)?;
            tx.commit()?;
            Ok(answer)
        };
        let mut outcome = run();
        let reserve = self.reserve.get();
        if outcome.as_ref().is_err_and(is_full) && reserve.is_some_and(|reserve| reserve.release()) {
            outcome = run();
        }
        if let Err(error) = &outcome {
            self.stop_after(doing, error);
        }
        outcome.map_err(|source| self.failed(doing, source))
    }

    fn refuse_when_stopped(&self) -> Result<(), StateError> {
        match self.stopped.get() {
            None => Ok(()),
            Some(why) => Err(StateError::Stopped {
                file: self.file.display().to_string(),
                why: why.clone(),
            }),
        }
    }

    /// Stops for good when `error` says that the disk failed.
    fn stop_after(&self, doing: &'static str, error: &rusqlite::Error) {
        if is_io(error) && self.stopped.set(format!("{doing}: {error}")).is_ok() {
            tracing::error!(file = %self.file.display(), doing, %error, "the state database has stopped: nothing is written to it any more");
        }
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

/// The disk is full and nothing else is wrong: SQLite has rolled the transaction back.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        error.code == rusqlite::ErrorCode::DiskFull
            || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}

/// The disk failed: nobody knows what is on it.
fn is_io(error: &rusqlite::Error) -> bool {
    !is_full(error)
        && error
            .sqlite_error()
            .is_some_and(|error| error.code == rusqlite::ErrorCode::SystemIoFailure)
}
