//! Back-pressure 背压: who sends faster than the alarms judge is acknowledged when they have caught up.
//!
//! The journal takes messages several times faster than they can be judged: without a bound everybody's alarms would wait
//! behind a gateway that tells its last days. So while the alarms are behind by more than [`BEHIND_MAX`], what is durable
//! is not acknowledged yet, and a sender stands still once its window of unacknowledged messages is full. Life-safety
//! devices 生命安全设备 are never kept waiting, and nobody for longer than [`HELD_MAX`].

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetry::time::Span;
use telemetry::{Clock, DeviceId, Lsn, RawMessage};
use tokio::sync::watch;

/// So far the alarms may be behind before anybody waits. Below the half second after which `early.rs` judges from memory.
const BEHIND_MAX: Span = Span::from_millis(250);
/// So near they must be before those who waited go on.
const CAUGHT_UP: Span = Span::from_millis(125);
/// Longest time for which an acknowledgement is held back. Clients give up after ten seconds or more, and send again.
const HELD_MAX: Duration = Duration::from_secs(5);
/// Appends within this time are one mark.
const MARK_EVERY: Span = Span::from_millis(20);
/// Most marks. Beyond, the newest stands for all that follows; it is the oldest that counts.
const MARKS_MAX: usize = 4_096;

/// How far the alarms are behind the journal, and who waits for them. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Backlog {
    shared: Arc<Shared>,
}

struct Shared {
    life_safety: HashSet<DeviceId>,
    clock: Arc<dyn Clock>,
    unread: Mutex<Unread>,
    behind: watch::Sender<bool>,
    held: AtomicU64,
}

/// What the journal has and the alarms have not. Pure.
#[derive(Debug, Default)]
struct Unread {
    taken: Lsn,
    marks: VecDeque<Mark>,
}

/// Messages up to `last`, the first of which is in the journal since `since`.
#[derive(Debug)]
struct Mark {
    since: Span,
    last: Lsn,
}

impl Unread {
    fn appended(&mut self, last: Lsn, now: Span) {
        if last <= self.taken {
            return;
        }
        let full = self.marks.len() >= MARKS_MAX;
        match self.marks.back_mut() {
            Some(mark) if full || now.since(mark.since) < MARK_EVERY => mark.last = mark.last.max(last),
            _ => self.marks.push_back(Mark { since: now, last }),
        }
    }

    fn taken(&mut self, last: Lsn) {
        self.taken = self.taken.max(last);
        while self.marks.front().is_some_and(|mark| mark.last <= self.taken) {
            self.marks.pop_front();
        }
    }

    /// For how long the oldest unread message has been in the journal.
    fn age(&self, now: Span) -> Span {
        self.marks
            .front()
            .map_or(Span::ZERO, |mark| now.since(mark.since))
    }
}

impl std::fmt::Debug for Backlog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backlog")
            .field("age", &self.age())
            .finish_non_exhaustive()
    }
}

impl Backlog {
    /// With nothing unread. Devices of `life_safety` are never kept waiting; `clock` runs in real time.
    pub(crate) fn new(life_safety: HashSet<DeviceId>, clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                life_safety,
                clock,
                unread: Mutex::default(),
                behind: watch::Sender::new(false),
                held: AtomicU64::new(0),
            }),
        }
    }

    /// Whether those who sent `batch` are never kept waiting.
    pub(crate) fn is_urgent(&self, batch: &[RawMessage]) -> bool {
        batch
            .iter()
            .any(|message| self.shared.life_safety.contains(&message.sender))
    }

    /// The journal has everything up to `last`.
    pub(crate) fn appended(&self, last: Lsn) {
        let now = self.shared.clock.monotonic();
        let mut unread = self.shared.unread();
        unread.appended(last, now);
        self.shared.say(&unread, now);
    }

    /// The alarms have judged everything up to `last`.
    pub(crate) fn taken(&self, last: Lsn) {
        let now = self.shared.clock.monotonic();
        let mut unread = self.shared.unread();
        unread.taken(last);
        self.shared.say(&unread, now);
    }

    /// The last message that the alarms have judged.
    pub(crate) fn judged(&self) -> Lsn {
        self.shared.unread().taken
    }

    /// Answers when the alarms are near enough, at once as a rule, and in any case after [`HELD_MAX`].
    pub(crate) async fn caught_up(&self) {
        if !*self.shared.behind.borrow() {
            return;
        }
        self.shared.held.fetch_add(1, Ordering::Relaxed);
        let mut behind = self.shared.behind.subscribe();
        // Time up, or the program ends: the messages are durable either way.
        drop(tokio::time::timeout(HELD_MAX, behind.wait_for(|behind| !behind)).await);
    }

    /// Batches whose acknowledgement waited, since the start.
    pub(crate) fn held(&self) -> u64 {
        self.shared.held.load(Ordering::Relaxed)
    }

    /// For how long the oldest message that the alarms have not judged has been in the journal.
    pub(crate) fn age(&self) -> Span {
        self.shared.unread().age(self.shared.clock.monotonic())
    }
}

impl Shared {
    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait, within the lock, so that the last word is the right one.
    fn say(&self, unread: &Unread, now: Span) {
        let age = unread.age(now);
        self.behind.send_if_modified(|behind| {
            let is = if *behind {
                age >= CAUGHT_UP
            } else {
                age > BEHIND_MAX
            };
            std::mem::replace(behind, is) != is
        });
    }
}

#[cfg(test)]
mod tests;
