//! A SQLite file with one writer, whose commits are on the disk when they return.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};

/// The log is copied into the file when nobody waits and it has this many bytes,
const CHECKPOINT_IDLE_BYTES: u64 = 2 << 20;
/// and at this many bytes even when somebody waits.
const CHECKPOINT_FORCED_BYTES: u64 = 32 << 20;

/// Why a file could not be opened. Each owner has words of its own for it.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// SQLite failed while doing this.
    Engine(&'static str, rusqlite::Error),
    /// The file is gone while its log is still there.
    Missing {
        /// The log.
        beside: String,
    },
    /// The file is of a later version.
    Newer {
        /// Its version.
        found: i64,
    },
}

/// The writing connection of a file.
#[derive(Debug)]
pub(crate) struct DurableFile {
    path: PathBuf,
    connection: Connection,
    /// Bytes that went into the log since it was last copied into the file.
    log_bytes: u64,
}

impl DurableFile {
    /// Opens the file at `path` and, when it is older than `version`, makes the tables of `schema`.
    pub(crate) fn open(path: &Path, version: i64, schema: &str) -> Result<Self, OpenError> {
        let failed = |doing| move |source| OpenError::Engine(doing, source);
        let wal = path.with_extension("db-wal");
        if !path.exists() && wal.exists() {
            return Err(OpenError::Missing {
                beside: wal.display().to_string(),
            });
        }
        let mut connection = Connection::open(path).map_err(failed("opening it"))?;
        configure(&connection).map_err(failed("configuring it"))?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed("reading its version"))?;
        if found > version {
            return Err(OpenError::Newer { found });
        }
        if found < version {
            let tx = connection.transaction().map_err(failed("making its tables"))?;
            tx.execute_batch(schema).map_err(failed("making its tables"))?;
            tx.pragma_update(None, "user_version", version)
                .map_err(failed("writing its version"))?;
            tx.commit().map_err(failed("making its tables"))?;
        }
        Ok(Self {
            path: path.to_owned(),
            connection,
            log_bytes: 0,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// For reading on the writing connection.
    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A second connection, for readers.
    pub(crate) fn reader(&self) -> Result<Connection, OpenError> {
        let failed = |source| OpenError::Engine("opening it for reading", source);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags).map_err(failed)?;
        reader.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
        Ok(reader)
    }

    /// Begins a transaction; dropped without its commit it leaves nothing behind.
    pub(crate) fn transaction(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.connection.transaction()
    }

    /// Notes that a commit put about so many bytes into the log.
    pub(crate) const fn logged(&mut self, bytes: u64) {
        self.log_bytes = self.log_bytes.saturating_add(bytes);
    }

    /// Copies the log into the file when it has grown; sooner when nobody waits (`idle`). On a full disk
    /// it warns and goes on: the log still holds everything.
    ///
    /// We call this ourselves because SQLite's own automatic checkpoint swallows its errors: a failed
    /// fsync of the file would go unseen and be tried again.
    pub(crate) fn checkpoint_when_due(&mut self, idle: bool) -> rusqlite::Result<()> {
        let due = if idle {
            CHECKPOINT_IDLE_BYTES
        } else {
            CHECKPOINT_FORCED_BYTES
        };
        if self.log_bytes < due {
            return Ok(());
        }
        self.checkpoint()
    }

    /// Copies the log into the file, so that it starts over and needs no more room.
    pub(crate) fn checkpoint(&mut self) -> rusqlite::Result<()> {
        self.log_bytes = 0;
        let outcome = self
            .connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        match outcome {
            Err(error) if is_full(&error) => {
                tracing::warn!(
                    file = %self.path.display(),
                    "disk full: the log could not be copied into the file"
                );
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Keeps the connection from touching the file when it is closed: after a failed fsync nobody
    /// knows what is on the disk.
    pub(crate) fn leave_alone(&self) {
        let set = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = set {
            tracing::warn!(file = %self.path.display(), %error, "the last checkpoint could not be turned off");
        }
    }

    /// Lets the file grow to so many pages and no further: a full disk for tests.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: i64) {
        self.connection
            .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
            .unwrap();
    }
}

/// WAL and `synchronous=FULL`: a committed transaction survives power loss. Source: `design.md` §5.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)
}

/// Whether the disk is full and nothing else is wrong: SQLite has rolled the transaction back.
///
/// Besides `SQLITE_FULL` this is the case when the shared-memory file of the log could not grow.
pub(crate) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| {
        e.code == ErrorCode::DiskFull || e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}
