//! The journal: every message as it came, in order, on disk before anybody is told so.
//!
//! One SQLite file, `journal.db`, whose rows are batches of messages ([`record`]). One thread writes it
//! ([`committer`]): it takes all appends that wait, commits them in one transaction with one fsync, then
//! wakes them. Nothing is delayed on purpose: while one commit runs the next group gathers by itself.
//! The newest messages stay in memory ([`ring`]), so a reader that keeps up never reads the file.
//!
//! # What happens at the bounds
//! - [`JournalConfig::queue_bytes_max`] bytes wait for their commit: further appends wait for room.
//! - The file holds [`JournalConfig::size_bytes_max`]: released batches go, the oldest first, even when
//!   they are younger than [`JournalConfig::keep`]. Batches that are not released never go; when they alone
//!   fill the journal, appends are refused with [`JournalError::Full`] until something is released.
//! - The disk is full: the append is refused with [`JournalError::DiskFull`] and leaves no trace. The
//!   next append tries again, so the journal recovers by itself when there is space.
//! - Any other error of a commit, a failed fsync above all: the journal stops for good in this process and every
//!   append gets [`JournalError::Stopped`]. Messages of the refused commit may turn up after a restart; their
//!   senders, who got no acknowledgement, send them again, and equal points are stored once.

pub(crate) mod check;
mod committer;
mod file;
mod record;
mod ring;
mod tail;
#[cfg(test)]
mod tests;
mod usage;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use telemetry::time::Span;
use telemetry::{Clock, Lsn, RawMessage};
use tokio::sync::{Semaphore, oneshot};

use crate::reserve::Reserve;

pub use tail::tail;

use committer::{Committer, Published, Request, Shared};
use file::JournalFile;
use ring::Ring;
use usage::Usage;

use crate::durable::file::OpenError;
use crate::durable::line::Line;

/// The version of its tables.
pub(crate) const VERSION: i64 = file::VERSION;

/// The name of the journal's file in the data directory.
pub const JOURNAL_FILE: &str = "journal.db";

/// How much the journal keeps and holds.
#[derive(Clone, Debug)]
pub struct JournalConfig {
    /// How long released messages are kept, so that a corrected profile can decode them again.
    /// Default 2 days.
    pub keep: Span,
    /// Most bytes of stored batches; the file is a little larger, and keeps its greatest size. Default 4 GiB.
    pub size_bytes_max: u64,
    /// Most bytes that wait for their commit; further appends wait. Default 64 MiB.
    pub queue_bytes_max: usize,
    /// Most bytes of committed messages kept in memory for readers; who is further behind reads the
    /// file. Default 32 MiB.
    pub memory_bytes_max: usize,
    /// Room that only alarms and acknowledgements may use: while it is in use, appends are refused with
    /// [`JournalError::DiskFull`]. Default none.
    pub reserve: Option<Arc<Reserve>>,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            keep: Span::from_secs(2 * 86_400),
            size_bytes_max: 4 << 30,
            queue_bytes_max: 64 << 20,
            memory_bytes_max: 32 << 20,
            reserve: None,
        }
    }
}

/// Why the journal could not take or give messages.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The bound on the size is reached by messages that some consumer still needs. Refused, nothing
    /// stored. It passes when the consumers catch up; if none does, look at why they stand still.
    #[error("the journal holds {size_bytes_max} bytes that are not yet processed; the message was refused")]
    Full {
        /// The bound.
        size_bytes_max: u64,
    },
    /// The disk is full. Refused, nothing stored; the next append tries again.
    #[error("the disk is full: {file} could not grow; the message was refused")]
    DiskFull {
        /// Which file.
        file: String,
    },
    /// An earlier commit failed in a way after which nobody knows what is on the disk. Check the disk, then restart.
    #[error("the journal {file} has stopped: {why}")]
    Stopped {
        /// Which file.
        file: String,
        /// What SQLite said at the time.
        why: String,
    },
    /// The journal was closed: the program is stopping.
    #[error("the journal is closed")]
    Closed,
    /// SQLite failed.
    #[error("the journal {file} failed while {doing}")]
    Engine {
        /// Which file.
        file: String,
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: rusqlite::Error,
    },
    /// A batch is not what was written. Restore from a backup, or move the file away and lose what it holds.
    #[error("the journal {file} is damaged at message {}: {what}", lsn.0)]
    Damaged {
        /// Which file.
        file: String,
        /// The first message of the batch.
        lsn: Lsn,
        /// What is wrong.
        what: &'static str,
    },
    /// The file is gone while its log is still there. It is not made anew: find out who moved it.
    #[error("the journal {file} is missing, but {beside} is there")]
    Missing {
        /// Which file.
        file: String,
        /// What says that it was there.
        beside: String,
    },
    /// The file was written by a later version of Townwatch. Use that version, or another data directory.
    #[error("the journal {file} has version {found}, which this program does not know")]
    Newer {
        /// Which file.
        file: String,
        /// Its version.
        found: i64,
    },
    /// The system gave no thread.
    #[error("the journal's thread could not be started")]
    Thread(#[source] std::io::Error),
}

impl JournalError {
    fn engine(file: &Path, doing: &'static str, source: rusqlite::Error) -> Self {
        Self::Engine {
            file: file.display().to_string(),
            doing,
            source,
        }
    }

    fn open(path: &Path, error: OpenError) -> Self {
        let file = path.display().to_string();
        match error {
            OpenError::Engine(doing, source) => Self::Engine { file, doing, source },
            OpenError::Missing { beside } => Self::Missing { file, beside },
            OpenError::Newer { found } => Self::Newer { file, found },
        }
    }
}

/// What the journal did since it was opened. Times are those of its clock, added up in whole
/// milliseconds (right on average).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Transactions, each with one fsync.
    pub commits: u64,
    /// Messages made durable.
    pub messages: u64,
    /// Their bytes, as [`RawMessage::size_bytes`] counts them.
    pub bytes: u64,
    /// Bytes of the batches in the file, trimmed ones left out.
    pub stored_bytes: u64,
    /// Bytes that are not released: about what the bound on the size is compared with.
    pub unreleased_bytes: u64,
    /// Those of them that a consumer has yet to release; the others are only held ([`Journal::hold`]).
    pub awaited_bytes: u64,
    /// Time spent in commits, fsync included.
    pub commit_time: Span,
    /// The longest commit.
    pub commit_time_max: Span,
    /// The longest time from an append to its answer.
    pub wait_max: Span,
    /// Appends refused because the bound on the size was reached.
    pub refused_full: u64,
    /// Appends refused because the disk was full.
    pub refused_disk_full: u64,
    /// The last append was refused for want of room: nothing is acknowledged now.
    pub refusing: bool,
}

/// The journal of one data directory. Clones are handles of the same journal; the last one closes it.
#[derive(Clone)]
pub struct Journal {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    reader: Mutex<Connection>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("file", &self.handle.shared.file)
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal of the data directory `dir`, making it when there is none, and starts its thread.
    /// Only one process at a time may do so; the data directory's lock sees to that.
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be opened, is damaged, or is of a later version.
    pub fn open(dir: &Path, config: JournalConfig, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        let path = dir.join(JOURNAL_FILE);
        let file = JournalFile::open(&path)?;
        Self::start(file, &path, config, clock)
    }

    fn start(
        file: JournalFile,
        path: &Path,
        config: JournalConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        let position = file.position()?;
        let reader = file.reader()?;
        let newest = Lsn(position.next.0 - 1);
        let oldest = position.oldest.map_or(position.next, |row| row.first);
        let mut usage = Usage::new(config.size_bytes_max);
        if oldest <= newest {
            usage.add(oldest, newest, position.stored_bytes);
        }
        let published = Published {
            ring: Ring::new(config.memory_bytes_max),
            usage,
            oldest,
            newest,
            released: Lsn::ZERO,
            wished: Lsn::ZERO,
            held: Lsn(u64::MAX),
            hold_bytes_max: config.size_bytes_max / 4 * 3,
            stopped: None,
            committing_since: None,
            commit_max: Span::ZERO,
            stats: JournalStats {
                stored_bytes: position.stored_bytes,
                ..JournalStats::default()
            },
        };
        let room = config.queue_bytes_max.clamp(1, Semaphore::MAX_PERMITS);
        let shared = Arc::new(Shared {
            file: path.display().to_string(),
            config,
            clock,
            room: Arc::new(Semaphore::new(room)),
            line: Line::new(),
            published: Mutex::new(published),
            progressed: Condvar::new(),
        });
        let committer = Committer {
            shared: Arc::clone(&shared),
            file,
            position,
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run())
            .map_err(JournalError::Thread)?;
        let handle = Handle {
            shared,
            reader: Mutex::new(reader),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Self {
            handle: Arc::new(handle),
        })
    }

    /// Makes `messages` durable, in this order and without others between them; the number of the last
    /// one. After `Ok` they outlive `kill -9` and power loss. Waits while too much waits already.
    /// No messages: answers at once with the newest number.
    ///
    /// Dropping the future does not take the messages back.
    ///
    /// # Errors
    /// [`JournalError::Full`], [`JournalError::DiskFull`]: refused, try later. [`JournalError::Stopped`],
    /// [`JournalError::Closed`]: refused for good. None of the messages may be acknowledged.
    pub async fn append(&self, messages: Vec<RawMessage>) -> Result<Lsn, JournalError> {
        let shared = &self.handle.shared;
        if messages.is_empty() {
            return Ok(self.newest());
        }
        let since = shared.clock.monotonic();
        let size_bytes: usize = messages.iter().map(RawMessage::size_bytes).sum();
        // An append larger than the whole queue takes all of it.
        let whole = shared.config.queue_bytes_max.clamp(1, Semaphore::MAX_PERMITS);
        let wanted = u32::try_from(size_bytes.clamp(1, whole)).unwrap_or(u32::MAX);
        let room = match Arc::clone(&shared.room).acquire_many_owned(wanted).await {
            Ok(room) => room,
            Err(_closed) => return Err(shared.refusal()),
        };
        let (reply, answer) = oneshot::channel();
        let request = Request {
            messages,
            size_bytes,
            since,
            reply,
            room,
        };
        if shared.line.push(request).is_err() {
            return Err(shared.refusal());
        }
        match answer.await {
            Ok(outcome) => outcome,
            Err(_gone) => Err(shared.refusal()),
        }
    }

    /// The messages after `after`, in order, at most `messages_max` of them. Empty when there are none.
    /// When the first of them was trimmed already, the answer begins with the oldest that is left: the
    /// jump shows in the numbers. Blocks on disk when `after` is far behind.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] when a batch is not what was written; [`JournalError::Engine`] when the
    /// file cannot be read.
    pub fn read(&self, after: Lsn, messages_max: usize) -> Result<Vec<(Lsn, RawMessage)>, JournalError> {
        let (after, chunks, newest) = {
            let published = self.handle.shared.published();
            let after = after.max(Lsn(published.oldest.0 - 1));
            if after >= published.newest || messages_max == 0 {
                return Ok(Vec::new());
            }
            (after, published.ring.after(after, messages_max), published.newest)
        };
        match chunks {
            Some(chunks) => Ok(chunks
                .iter()
                .flat_map(|chunk| number(chunk.first, &chunk.messages))
                .filter(|(lsn, _)| *lsn > after)
                .take(messages_max)
                .map(|(lsn, message)| (lsn, message.clone()))
                .collect()),
            None => self.read_file(after, newest, messages_max),
        }
    }

    fn read_file(
        &self,
        after: Lsn,
        newest: Lsn,
        messages_max: usize,
    ) -> Result<Vec<(Lsn, RawMessage)>, JournalError> {
        let file = &self.handle.shared.file;
        let damaged = |lsn, what| JournalError::Damaged {
            file: file.clone(),
            lsn,
            what,
        };
        let mut found: Vec<(Lsn, RawMessage)> = Vec::new();
        let mut expected: Option<Lsn> = None;
        let reader = self.handle.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = file::rows_from(&reader, after.next(), |row| {
            let fits = match expected {
                Some(expected) => row.first == expected,
                // Beyond what was asked for it may only lie when the rest was trimmed since then.
                None => row.first <= after.next() || row.first <= self.oldest(),
            };
            if !fits {
                return Err(damaged(row.first, "the batch before it is missing"));
            }
            let messages =
                record::decode(row.first, row.count, row.blob).map_err(|what| damaged(row.first, what))?;
            expected = Some(Lsn(row.first.0 + u64::from(row.count)));
            let wanted = (row.first.0..)
                .map(Lsn)
                .zip(messages)
                .filter(|(lsn, _)| *lsn > after);
            let room = messages_max - found.len();
            found.extend(wanted.take(room).take_while(|(lsn, _)| *lsn <= newest));
            Ok(found.len() < messages_max)
        });
        outcome.map_err(|source| JournalError::Engine {
            file: file.clone(),
            doing: "reading it",
            source,
        })??;
        if found.is_empty() {
            return Err(damaged(after.next(), "its batches are missing"));
        }
        Ok(found)
    }

    /// Waits until there is a message after `after`, at most for `timeout` of real time, or until the
    /// journal is closed or stops. The number of the newest durable message. Blocks the thread.
    #[must_use]
    pub fn wait_beyond(&self, after: Lsn, timeout: Duration) -> Lsn {
        let shared = &self.handle.shared;
        let published = shared.published();
        let (published, _) = shared
            .progressed
            .wait_timeout_while(published, timeout, |published| {
                published.newest <= after && published.stopped.is_none() && shared.line.is_open()
            })
            .unwrap_or_else(PoisonError::into_inner);
        published.newest
    }

    /// The number of the newest durable message; 0 when there never was one.
    #[must_use]
    pub fn newest(&self) -> Lsn {
        self.handle.shared.published().newest
    }

    /// The number of the oldest message that can be read; that of the next message when there is none.
    #[must_use]
    pub fn oldest(&self) -> Lsn {
        self.handle.shared.published().oldest
    }

    /// No consumer needs the messages up to `upto` any more: they may be trimmed when age or size
    /// say so, which happens with one of the next commits. Never goes back.
    pub fn release(&self, upto: Lsn) {
        let mut published = self.handle.shared.published();
        let upto = upto.min(published.newest);
        published.wished = published.wished.max(upto);
        published.release();
    }

    /// Whatever is released, the messages after `after` stay until this is said again with a later one: somebody who does
    /// not keep pace with the consumers, such as a remote engine that is away, needs them. When they come to three quarters
    /// of [`JournalConfig::size_bytes_max`] they may go like all others, the oldest first, when room is needed: nobody
    /// is refused for the sake of one who is away.
    pub fn hold(&self, after: Lsn) {
        let mut published = self.handle.shared.published();
        published.held = after;
        published.release();
    }

    /// What it did since it was opened.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let published = self.handle.shared.published();
        JournalStats {
            unreleased_bytes: published.usage.unreleased_bytes(),
            awaited_bytes: published.awaited_bytes(),
            ..published.stats
        }
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

    /// The longest commit since this was last asked, the one under way included: how slow the disk is now.
    #[must_use]
    pub fn take_commit_max(&self) -> Span {
        let shared = &self.handle.shared;
        let now = shared.clock.monotonic();
        let mut published = shared.published();
        let running = published.committing_since.map_or(Span::ZERO, |from| {
            Span::from_millis(now.millis().saturating_sub(from.millis()))
        });
        std::mem::replace(&mut published.commit_max, Span::ZERO).max(running)
    }

    /// Takes no more appends, commits those that wait, and ends the thread. Reading goes on. Blocks for
    /// as long as one or two commits take.
    pub fn close(&self) {
        self.handle.close();
    }
}

impl Handle {
    fn close(&self) {
        self.shared.shut();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(file = self.shared.file, "the journal's thread has panicked");
        }
        // Between the look and the sleep of a waiter lies this lock: without it the call could come too early.
        drop(self.shared.published());
        self.shared.progressed.notify_all();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

fn number(first: Lsn, messages: &[RawMessage]) -> impl Iterator<Item = (Lsn, &RawMessage)> {
    (first.0..).map(Lsn).zip(messages)
}
