//! What somebody must not forget across a restart: an ordered map on disk, changed in transactions.
//!
//! The map's keys are a room (a number that the owner gives a meaning) and bytes; its values are bytes that
//! this module never looks into. The MQTT gate keeps sessions, subscriptions, queued and retained messages here.
//!
//! One SQLite file, one thread that writes it ([`committer`]): it takes all calls that wait, commits them in
//! one transaction with one fsync, then answers them. Reading happens once, at the start ([`Kept::load`]):
//! who uses this holds in memory what it needs and writes the changes behind it.
//!
//! # What happens at the bounds
//! - The rows hold [`KeptConfig::size_bytes_max`]: a call that would make them larger is refused whole with
//!   [`KeptError::Full`]; calls that free room are always taken.
//! - [`KeptConfig::queue_bytes_max`] bytes wait for their commit: further calls are refused with [`KeptError::Busy`].
//! - The disk is full: the calls are refused with [`KeptError::DiskFull`] and leave no trace. The next call
//!   tries again, so it recovers by itself when there is space.
//! - Any other error of a commit, a failed fsync above all: it stops for good in this process and every
//!   call gets [`KeptError::Stopped`].

mod committer;
pub(crate) mod file;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use bytes::Bytes;
use rusqlite::Connection;
use telemetry::Clock;
use telemetry::time::Span;
use tokio::sync::oneshot;

use crate::durable::file::OpenError;
use committer::{Committer, Request, Shared};
use file::KeptFile;

pub(crate) const VERSION: i64 = file::VERSION;

/// What a row costs beside its key and its value, in bytes, as the bounds count it.
pub const ROW_BYTES: u64 = 32;

/// How much is kept.
#[derive(Clone, Debug)]
pub struct KeptConfig {
    /// Most bytes of all rows: keys, values and [`ROW_BYTES`] for each. Default 4 GiB.
    pub size_bytes_max: u64,
    /// Most bytes that wait for their commit. Default 256 MiB.
    pub queue_bytes_max: u64,
}

impl Default for KeptConfig {
    fn default() -> Self {
        Self {
            size_bytes_max: 4 << 30,
            queue_bytes_max: 256 << 20,
        }
    }
}

/// One change of the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key has this value from now on.
    Put {
        /// Room of the key.
        room: u8,
        /// The key in its room; keys are ordered byte by byte.
        key: Bytes,
        /// Its value.
        value: Bytes,
    },
    /// The key is gone from now on; it need not have been there.
    Delete {
        /// Room of the key.
        room: u8,
        /// The key in its room.
        key: Bytes,
    },
    /// Every key of the room that begins with these bytes is gone; with none, the whole room.
    DeletePrefix {
        /// The room.
        room: u8,
        /// How the keys begin.
        prefix: Bytes,
    },
}

impl Change {
    /// As the bounds count it.
    fn size_bytes(&self) -> u64 {
        let len = match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete { key, .. } => key.len(),
            Self::DeletePrefix { prefix, .. } => prefix.len(),
        };
        len as u64 + ROW_BYTES
    }
}

/// Why changes could not be kept, or the map could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The bound on the size is reached. Refused, nothing stored; it passes when something is deleted.
    #[error("{file} holds its most, {size_bytes_max} bytes; the change was refused")]
    Full {
        /// Which file.
        file: String,
        /// The bound.
        size_bytes_max: u64,
    },
    /// Too much waits for its commit: the disk does not keep up. Refused, nothing stored; try later.
    #[error("{queue_bytes_max} bytes wait for {file}; the change was refused")]
    Busy {
        /// Which file.
        file: String,
        /// The bound.
        queue_bytes_max: u64,
    },
    /// The disk is full. Refused, nothing stored; the next call tries again.
    #[error("the disk is full: {file} could not grow; the change was refused")]
    DiskFull {
        /// Which file.
        file: String,
    },
    /// An earlier commit failed in a way after which nobody knows what is on the disk. Check the disk, then restart.
    #[error("{file} has stopped: {why}")]
    Stopped {
        /// Which file.
        file: String,
        /// What SQLite said at the time.
        why: String,
    },
    /// It was closed: the program is stopping.
    #[error("{file} is closed")]
    Closed {
        /// Which file.
        file: String,
    },
    /// SQLite failed.
    #[error("{file} failed while {doing}")]
    Engine {
        /// Which file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// The file is gone while its log is still there. It is not made anew: find out who moved it.
    #[error("{file} is missing, but {beside} is there")]
    Missing {
        /// Which file.
        file: String,
        /// What says that it was there.
        beside: String,
    },
    /// The file was written by a later version of Townwatch. Use that version, or another data directory.
    #[error("{file} has version {found}, which this program does not know")]
    Newer {
        /// Which file.
        file: String,
        /// Its version.
        found: i64,
    },
    /// The system gave no thread.
    #[error("the thread that writes {file} could not be started")]
    Thread {
        /// Which file.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl KeptError {
    fn open(path: &Path, error: OpenError) -> Self {
        let file = path.display().to_string();
        match error {
            OpenError::Engine(doing, source) => Self::Engine { file, doing, source },
            OpenError::Missing { beside } => Self::Missing { file, beside },
            OpenError::Newer { found } => Self::Newer { file, found },
        }
    }
}

/// What it did since it was opened. Times are those of its clock, in whole milliseconds (right on average).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptStats {
    /// Rows there are.
    pub rows: u64,
    /// Their bytes, as the bound counts them.
    pub stored_bytes: u64,
    /// Transactions, each with one fsync.
    pub commits: u64,
    /// Calls made durable.
    pub calls: u64,
    /// Changes made durable.
    pub changes: u64,
    /// Time spent in commits, fsync included.
    pub commit_time: Span,
    /// The longest commit.
    pub commit_time_max: Span,
    /// Calls refused because the bound on the size was reached.
    pub refused_full: u64,
    /// Calls refused because too much waited.
    pub refused_busy: u64,
    /// Calls refused because the disk was full.
    pub refused_disk_full: u64,
    /// The last call was refused for want of room.
    pub refusing: bool,
}

/// Takes a row: room, key, value.
pub type EachRow<'a> = dyn FnMut(u8, &[u8], &[u8]) + 'a;

/// What [`Kept::load`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Rows handed out.
    pub rows: u64,
    /// Rows that are not what was written and were left out, each logged by name.
    pub damaged: u64,
}

/// The answer to [`Kept::keep`] that is still to come. Dropping it does not take the changes back.
#[derive(Debug)]
pub struct Keeping(Answer);

#[derive(Debug)]
enum Answer {
    Now(Option<Result<(), KeptError>>),
    Later(oneshot::Receiver<Result<(), KeptError>>, Arc<Shared>),
}

impl Future for Keeping {
    type Output = Result<(), KeptError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            Answer::Now(answer) => match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending,
            },
            Answer::Later(receiver, shared) => Pin::new(receiver)
                .poll(context)
                .map(|answer| answer.unwrap_or_else(|_gone| Err(shared.refusal()))),
        }
    }
}

/// The map. Clones are handles of the same one; the last one closes it.
#[derive(Clone)]
pub struct Kept {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    reader: Mutex<Connection>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("file", &self.handle.shared.file)
            .finish_non_exhaustive()
    }
}

impl Kept {
    /// Opens the file at `path`, making it when there is none, and starts its thread. Only one process at a
    /// time may do so; the data directory's lock sees to that.
    ///
    /// # Errors
    /// [`KeptError`] when the file cannot be opened or is of a later version.
    pub fn open(path: &Path, config: KeptConfig, clock: Arc<dyn Clock>) -> Result<Self, KeptError> {
        Self::start(KeptFile::open(path)?, config, clock)
    }

    fn start(file: KeptFile, config: KeptConfig, clock: Arc<dyn Clock>) -> Result<Self, KeptError> {
        let extent = file.extent()?;
        let reader = file.reader()?;
        let shared = Arc::new(Shared::new(file.name(), config, clock, extent));
        let committer = Committer {
            shared: Arc::clone(&shared),
            file,
            extent,
        };
        let thread = std::thread::Builder::new()
            .name("kept".to_owned())
            .spawn(move || committer.run())
            .map_err(|source| KeptError::Thread {
                file: shared.file.clone(),
                source,
            })?;
        let handle = Handle {
            shared,
            reader: Mutex::new(reader),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self {
            handle: Arc::new(handle),
        })
    }

    /// Hands every row (room, key, value) to `each`, ordered by room and key. A row that is not what was
    /// written is left out, logged by name and counted; it stays in the file. Blocks on disk.
    ///
    /// # Errors
    /// [`KeptError::Engine`] when the file cannot be read.
    pub fn load(&self, each: &mut EachRow<'_>) -> Result<Loaded, KeptError> {
        let file = &self.handle.shared.file;
        let reader = self.handle.reader.lock().unwrap_or_else(PoisonError::into_inner);
        file::load(&reader, file, each).map_err(|source| KeptError::Engine {
            file: file.clone(),
            doing: "reading it",
            source,
        })
    }

    /// Makes `changes` durable, all or none of them, after those of every earlier call. The order is that
    /// of the calls, not of the polls; the answer comes after the fsync. No changes: answered at once.
    ///
    /// The answer is an error when nothing was kept: [`KeptError::Full`], [`KeptError::Busy`],
    /// [`KeptError::DiskFull`]: try later; [`KeptError::Stopped`], [`KeptError::Closed`]: for good.
    #[must_use = "nothing is known to be durable before the answer"]
    pub fn keep(&self, changes: Vec<Change>) -> Keeping {
        if changes.is_empty() {
            return Keeping(Answer::Now(Some(Ok(()))));
        }
        let shared = &self.handle.shared;
        let size_bytes = changes.iter().map(Change::size_bytes).sum();
        if !shared.enter(size_bytes) {
            return Keeping(Answer::Now(Some(Err(KeptError::Busy {
                file: shared.file.clone(),
                queue_bytes_max: shared.config.queue_bytes_max,
            }))));
        }
        let (reply, answer) = oneshot::channel();
        let request = Request {
            changes,
            size_bytes,
            reply,
        };
        match shared.line.push(request) {
            Ok(()) => Keeping(Answer::Later(answer, Arc::clone(shared))),
            Err(_shut) => Keeping(Answer::Now(Some(Err(shared.refusal())))),
        }
    }

    /// What it did since it was opened.
    #[must_use]
    pub fn stats(&self) -> KeptStats {
        self.handle.shared.published().stats
    }

    /// Why it has stopped; none while it runs or when it was closed in order.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        self.handle
            .shared
            .published()
            .stopped
            .as_deref()
            .map(str::to_owned)
    }

    /// Takes no more changes, commits those that wait, and ends the thread. Blocks for as long as one or
    /// two commits take.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        self.shared.line.shut();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(file = self.shared.file, "the thread that writes it has panicked");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
