//! The one thread that writes: takes all appends that wait, commits them with one fsync, wakes them.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use telemetry::time::Span;
use telemetry::{Clock, Lsn, RawMessage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::file::{JournalFile, Position, TrimPlan};
use super::record::Encoder;
use super::ring::{Chunk, Ring};
use super::usage::Usage;
use super::{JournalConfig, JournalError, JournalStats};
use crate::durable::file::is_full;
use crate::durable::line::{Line, Waiting};

/// A row of the journal is closed when its blob has this many bytes, so that a reader need not decode
/// a whole group to get at its end.
const ROW_BYTES: usize = 256 * 1024;
/// What one commit takes at most; the rest waits for the next.
const COMMIT_BYTES_MAX: usize = 8 << 20;

/// An append that waits for its fsync.
pub(super) struct Request {
    pub(super) messages: Vec<RawMessage>,
    pub(super) size_bytes: usize,
    pub(super) since: Span,
    pub(super) reply: oneshot::Sender<Result<Lsn, JournalError>>,
    /// Its place in the queue; the bytes become free when the request is answered.
    pub(super) room: OwnedSemaphorePermit,
}

impl Waiting for Request {
    fn size_bytes(&self) -> usize {
        self.size_bytes
    }
}

/// What readers see.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) ring: Ring,
    pub(super) usage: Usage,
    pub(super) oldest: Lsn,
    pub(super) newest: Lsn,
    /// What nobody needs any more: the lesser of the next two.
    pub(super) released: Lsn,
    /// What the consumers have released.
    pub(super) wished: Lsn,
    /// What somebody has to have after this is not released,
    pub(super) held: Lsn,
    /// unless that is more than so many bytes.
    pub(super) hold_bytes_max: u64,
    pub(super) stopped: Option<Arc<str>>,
    /// Since when a commit is under way.
    pub(super) committing_since: Option<Span>,
    /// The longest commit since somebody asked.
    pub(super) commit_max: Span,
    pub(super) stats: JournalStats,
}

impl Published {
    /// Releases what both the consumers and the holder let go; what the consumers alone let go, when the rest is too much.
    /// Never goes back.
    pub(super) fn release(&mut self) {
        self.release_upto(self.wished.min(self.held));
        if self.usage.unreleased_bytes() > self.hold_bytes_max {
            self.release_upto(self.wished);
        }
    }

    fn release_upto(&mut self, upto: Lsn) {
        let upto = upto.min(self.newest);
        if upto > self.released {
            self.released = upto;
            self.usage.release(upto);
        }
    }

    /// Bytes that the consumers have not released, whatever is held beside them.
    pub(super) fn awaited_bytes(&self) -> u64 {
        let messages = u128::from(self.newest.0.saturating_sub(self.released.0)).max(1);
        let awaited = u128::from(self.newest.0.saturating_sub(self.wished.max(self.released).0));
        let bytes = u128::from(self.usage.unreleased_bytes()) * awaited / messages;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// What the committer shares with the handles.
pub(super) struct Shared {
    pub(super) file: String,
    pub(super) config: JournalConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) room: Arc<Semaphore>,
    /// The appends that wait. Bounded by `room`.
    pub(super) line: Line<Request>,
    pub(super) published: Mutex<Published>,
    pub(super) progressed: Condvar,
}

impl Shared {
    pub(super) fn published(&self) -> MutexGuard<'_, Published> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No more appends are taken; those that wait are still committed.
    pub(super) fn shut(&self) {
        self.line.shut();
        self.room.close();
    }

    /// Why an append cannot be taken any more.
    pub(super) fn refusal(&self) -> JournalError {
        match &self.published().stopped {
            Some(why) => JournalError::Stopped {
                file: self.file.clone(),
                why: why.to_string(),
            },
            None => JournalError::Closed,
        }
    }
}

/// The committer. It alone owns the writing connection.
pub(super) struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) file: JournalFile,
    pub(super) position: Position,
}

impl Committer {
    /// Commits until the journal is closed or stops.
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

    /// There is no room on the disk for these: their senders keep them.
    fn refuse_full(&self, group: Vec<Request>) {
        let mut published = self.shared.published();
        published.stats.refused_disk_full += group.len() as u64;
        let first = !std::mem::replace(&mut published.stats.refusing, true);
        drop(published);
        if first {
            tracing::error!(
                file = self.shared.file,
                "disk full: messages are refused, none acknowledged, until there is room"
            );
        }
        for request in group {
            let file = self.shared.file.clone();
            answer(request, Err(JournalError::DiskFull { file }));
        }
    }

    /// One group: refuse what does not fit, write the rest, answer everybody.
    fn commit(&mut self, group: Vec<Request>) -> rusqlite::Result<()> {
        if self
            .shared
            .config
            .reserve
            .as_ref()
            .is_some_and(|reserve| !reserve.is_held())
        {
            self.refuse_full(group);
            return Ok(());
        }
        let group = self.refuse_beyond_bound(group);
        if group.is_empty() {
            return Ok(());
        }
        let incoming: usize = group.iter().map(|request| request.size_bytes).sum();
        let plan = self.trim_plan(incoming as u64);
        let before = self.shared.clock.monotonic();
        let rows = encode(self.position.next, &group);
        self.shared.published().committing_since = Some(before);
        let outcome = self.file.commit(plan, rows, self.position);
        let now = self.shared.clock.monotonic();
        let mut published = self.shared.published();
        published.committing_since = None;
        published.commit_max = longer(published.commit_max, now.since(before));
        drop(published);
        match outcome {
            Ok(after) => {
                self.publish(after, group, before, now);
                Ok(())
            }
            Err(error) if is_full(&error) => {
                self.refuse_full(group);
                Ok(())
            }
            Err(error) => {
                for request in group {
                    let refusal = JournalError::Stopped {
                        file: self.shared.file.clone(),
                        why: error.to_string(),
                    };
                    answer(request, Err(refusal));
                }
                Err(error)
            }
        }
    }

    /// Answers those requests with `Full` for which there would be no room even after trimming.
    fn refuse_beyond_bound(&self, group: Vec<Request>) -> Vec<Request> {
        let mut needed = self.shared.published().usage.unreleased_bytes();
        let limit = self.shared.config.size_bytes_max;
        let (taken, refused): (Vec<_>, Vec<_>) = group.into_iter().partition(|request| {
            let with_this = needed + request.size_bytes as u64;
            let fits = with_this <= limit;
            if fits {
                needed = with_this;
            }
            fits
        });
        if !refused.is_empty() {
            let mut published = self.shared.published();
            published.stats.refused_full += refused.len() as u64;
            published.stats.refusing = true;
        }
        for request in refused {
            let error = JournalError::Full {
                size_bytes_max: limit,
            };
            answer(request, Err(error));
        }
        taken
    }

    /// What may go before `incoming` more bytes come; none when nothing is due.
    fn trim_plan(&self, incoming: u64) -> Option<TrimPlan> {
        let oldest = self.position.oldest?;
        let plan = TrimPlan {
            released: self.shared.published().released,
            horizon: self.shared.clock.now().minus(self.shared.config.keep),
            bytes_max: self.shared.config.size_bytes_max.saturating_sub(incoming),
        };
        let due = oldest.arrived_max < plan.horizon || self.position.stored_bytes > plan.bytes_max;
        (due && oldest.last() <= plan.released).then_some(plan)
    }

    /// Makes a committed group visible to readers and wakes those who wait for it.
    fn publish(&mut self, after: Position, group: Vec<Request>, before: Span, now: Span) {
        let first = self.position.next;
        let newest = Lsn(after.next.0 - 1);
        self.position = after;
        let mut next = first;
        let mut done = Vec::with_capacity(group.len());
        let mut published = self.shared.published();
        published.stats.refusing = false;
        let mut bytes = 0;
        for request in group {
            let chunk = Chunk {
                first: next,
                size_bytes: request.size_bytes,
                messages: request.messages,
            };
            bytes += request.size_bytes as u64;
            next = chunk.last().next();
            published.stats.messages += chunk.messages.len() as u64;
            published.stats.wait_max = longer(published.stats.wait_max, now.since(request.since));
            done.push((request.reply, chunk.last(), request.room));
            published.ring.push(chunk);
        }
        published.newest = newest;
        published.oldest = after.oldest.map_or(newest.next(), |row| row.first);
        published.usage.add(first, newest, bytes);
        let released = published.released;
        published.usage.release(released);
        let took = now.since(before);
        let stats = &mut published.stats;
        stats.commits += 1;
        stats.bytes += bytes;
        stats.stored_bytes = after.stored_bytes;
        stats.commit_time = Span::from_millis(stats.commit_time.millis() + took.millis());
        stats.commit_time_max = longer(stats.commit_time_max, took);
        drop(published);
        self.file.file.logged(bytes + 16 * 1024);
        self.shared.progressed.notify_all();
        for (reply, lsn, room) in done {
            drop(room);
            // Whoever asked may have gone away; the message is durable all the same.
            drop(reply.send(Ok(lsn)));
        }
    }

    /// After an I/O error nothing is written or acknowledged any more in this process: nobody knows
    /// what is on the disk, and a second fsync may claim success for pages that the first one lost.
    fn stop(&self, error: &rusqlite::Error) {
        tracing::error!(
            file = self.shared.file,
            error = error as &dyn std::error::Error,
            "the journal has stopped: nothing is acknowledged any more"
        );
        self.shared.published().stopped = Some(error.to_string().into());
        self.shared.shut();
        self.file.file.leave_alone();
        for request in self.shared.line.drain() {
            answer(request, Err(self.shared.refusal()));
        }
        // Between the look and the sleep of a waiter lies this lock: without it the call could come too early.
        drop(self.shared.published());
        self.shared.progressed.notify_all();
    }
}

fn answer(request: Request, outcome: Result<Lsn, JournalError>) {
    drop(request.room);
    // Whoever asked may have gone away; there is nobody else to tell.
    drop(request.reply.send(outcome));
}

/// The rows for the messages of a group, numbered from `next` on.
fn encode(next: Lsn, group: &[Request]) -> Vec<Encoder> {
    let mut rows = Vec::new();
    let mut row = Encoder::new(next);
    for message in group.iter().flat_map(|request| &request.messages) {
        if row.len_bytes() >= ROW_BYTES {
            let after = Lsn(row.first.0 + u64::from(row.count));
            rows.push(std::mem::replace(&mut row, Encoder::new(after)));
        }
        row.push(message);
    }
    rows.push(row);
    rows
}

fn longer(a: Span, b: Span) -> Span {
    if b > a { b } else { a }
}
