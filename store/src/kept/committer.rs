//! The one thread that writes: takes all calls that wait, commits them with one fsync, answers them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use telemetry::Clock;
use telemetry::time::Span;
use tokio::sync::oneshot;

use super::file::{Extent, KeptFile};
use super::{Change, KeptConfig, KeptError, KeptStats};
use crate::durable::file::is_full;
use crate::durable::line::{Line, Waiting};

/// What one commit takes at most; the rest waits for the next.
const COMMIT_BYTES_MAX: usize = 8 << 20;
/// A change writes a page into the log, whatever its size. Source: the page size of SQLite, and its frame header.
const PAGE_BYTES: u64 = 4096 + 24;

/// A call that waits for its fsync.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) changes: Vec<Change>,
    pub(super) size_bytes: u64,
    pub(super) reply: oneshot::Sender<Result<(), KeptError>>,
}

impl Waiting for Request {
    fn size_bytes(&self) -> usize {
        usize::try_from(self.size_bytes).unwrap_or(usize::MAX)
    }
}

/// What others see of the committer.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub(super) stopped: Option<Arc<str>>,
    pub(super) stats: KeptStats,
}

/// What the committer shares with the handles.
pub(super) struct Shared {
    pub(super) file: String,
    pub(super) config: KeptConfig,
    pub(super) line: Line<Request>,
    clock: Arc<dyn Clock>,
    waiting_bytes: AtomicU64,
    published: Mutex<Published>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(file: String, config: KeptConfig, clock: Arc<dyn Clock>, extent: Extent) -> Self {
        let stats = KeptStats {
            rows: extent.rows,
            stored_bytes: extent.bytes,
            ..KeptStats::default()
        };
        Self {
            file,
            config,
            line: Line::new(),
            clock,
            waiting_bytes: AtomicU64::new(0),
            published: Mutex::new(Published { stopped: None, stats }),
        }
    }

    pub(super) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room in the line; `false` and counted when there is none. A call larger than all of it gets
    /// in when nothing else waits.
    pub(super) fn enter(&self, size_bytes: u64) -> bool {
        let before = self.waiting_bytes.fetch_add(size_bytes, Ordering::Relaxed);
        let fits = before == 0 || before.saturating_add(size_bytes) <= self.config.queue_bytes_max;
        if !fits {
            self.waiting_bytes.fetch_sub(size_bytes, Ordering::Relaxed);
            let mut published = self.published();
            published.stats.refused_busy += 1;
            published.stats.refusing = true;
        }
        fits
    }

    /// Why a call cannot be taken any more.
    pub(super) fn refusal(&self) -> KeptError {
        let file = self.file.clone();
        match &self.published().stopped {
            Some(why) => KeptError::Stopped {
                file,
                why: why.to_string(),
            },
            None => KeptError::Closed { file },
        }
    }

    fn answer(&self, request: Request, outcome: Result<(), KeptError>) {
        self.waiting_bytes
            .fetch_sub(request.size_bytes, Ordering::Relaxed);
        // Whoever asked may have gone away; there is nobody else to tell.
        drop(request.reply.send(outcome));
    }
}

/// The committer. It alone owns the writing connection.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) file: KeptFile,
    pub(super) extent: Extent,
}

impl Committer {
    /// Commits until it is closed or stops.
    pub(super) fn run(mut self) {
        while let Some(group) = self.shared.line.next_group(COMMIT_BYTES_MAX) {
            let outcome = self.commit(group).and_then(|()| {
                let idle = self.shared.line.is_empty();
                self.file.file.checkpoint_when_due(idle)
            });
            if let Err(error) = outcome {
                self.stop(&error);
                return;
            }
        }
    }

    /// One group: write what fits, answer everybody.
    fn commit(&mut self, group: Vec<Request>) -> rusqlite::Result<()> {
        let before = self.shared.clock.monotonic();
        let calls = group.iter().map(|request| request.changes.as_slice());
        match self
            .file
            .commit(calls, self.extent, self.shared.config.size_bytes_max)
        {
            Ok((after, taken)) => {
                let took = self.shared.clock.monotonic().since(before);
                self.extent = after;
                self.publish(group, &taken, took);
                Ok(())
            }
            Err(error) if is_full(&error) => {
                self.refuse_disk_full(group);
                // The log may hold what was already copied, and begin again from its start.
                self.file.file.checkpoint()
            }
            Err(error) => {
                let (file, why) = (&self.shared.file, error.to_string());
                for request in group {
                    let (file, why) = (file.clone(), why.clone());
                    self.shared.answer(request, Err(KeptError::Stopped { file, why }));
                }
                Err(error)
            }
        }
    }

    fn publish(&mut self, group: Vec<Request>, taken: &[bool], took: Span) {
        let mut log_bytes = PAGE_BYTES;
        let mut refused = 0;
        let mut published = self.shared.published();
        let stats = &mut published.stats;
        for (request, taken) in group.iter().zip(taken) {
            if *taken {
                let changes = request.changes.len() as u64;
                stats.calls += 1;
                stats.changes += changes;
                log_bytes += request.size_bytes + changes * PAGE_BYTES;
            } else {
                refused += 1;
            }
        }
        stats.refused_full += refused;
        stats.refusing = refused > 0;
        stats.rows = self.extent.rows;
        stats.stored_bytes = self.extent.bytes;
        stats.commits += 1;
        stats.commit_time = Span::from_millis(stats.commit_time.millis() + took.millis());
        stats.commit_time_max = stats.commit_time_max.max(took);
        drop(published);
        self.file.file.logged(log_bytes);
        for (request, taken) in group.into_iter().zip(taken) {
            let outcome = if *taken {
                Ok(())
            } else {
                Err(KeptError::Full {
                    file: self.shared.file.clone(),
                    size_bytes_max: self.shared.config.size_bytes_max,
                })
            };
            self.shared.answer(request, outcome);
        }
    }

    fn refuse_disk_full(&self, group: Vec<Request>) {
        tracing::error!(
            file = self.shared.file,
            "disk full: changes refused, none acknowledged"
        );
        let mut published = self.shared.published();
        published.stats.refused_disk_full += group.len() as u64;
        published.stats.refusing = true;
        drop(published);
        for request in group {
            let file = self.shared.file.clone();
            self.shared.answer(request, Err(KeptError::DiskFull { file }));
        }
    }

    /// After an I/O error nothing is written or acknowledged any more in this process: nobody knows
    /// what is on the disk, and a second fsync may claim success for pages that the first one lost.
    fn stop(&self, error: &rusqlite::Error) {
        tracing::error!(
            file = self.shared.file,
            error = error as &dyn std::error::Error,
            "it has stopped: nothing that it should keep is acknowledged any more"
        );
        self.shared.published().stopped = Some(error.to_string().into());
        self.shared.line.shut();
        self.file.file.leave_alone();
        for request in self.shared.line.drain() {
            let refusal = self.shared.refusal();
            self.shared.answer(request, Err(refusal));
        }
    }
}
