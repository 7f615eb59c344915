//! The thread that writes: one commit at a time, each with everything that has come up since the last one began.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustc_hash::FxHashSet;
use store::state::State;
use store::state::alarms::{AlarmCommit, AlarmCursor, Notice};
use telemetry::time::SystemClock;
use telemetry::{Catalogue, Clock};
use tokio::sync::{Notify, broadcast};

use super::Inner;
use super::commit::{Unwritten, bound_volatile, gather};
use crate::notify::status::NotifyStatus;
use crate::view::AlarmChange;

/// What steps and the writing thread share.
pub(super) struct Shared {
    pub(super) state: Arc<State>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) inner: Mutex<Inner>,
    /// Somebody wants an attempt, or the end.
    pub(super) wanted: Condvar,
    /// An attempt has ended.
    pub(super) settled: Condvar,
    pub(super) changes: broadcast::Sender<Arc<AlarmChange>>,
    pub(super) outbox: Notify,
    pub(super) notify: Arc<NotifyStatus>,
}

/// The attempts to write, numbered from 1.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The last that is wanted, …
    pub(super) wanted: u64,
    /// … that has begun, …
    pub(super) started: u64,
    /// … and that has ended.
    pub(super) done: u64,
    /// How long a step waits; none: for as long as it takes.
    pub(super) patience: Option<Duration>,
    /// The last one took longer than that: nobody waits for the next.
    slow: bool,
    /// What the attempt under way writes.
    writing: Option<Unwritten>,
    /// Rules that changed since the last commit, with the number of their last transition.
    pub(super) unsaved: BTreeMap<usize, u64>,
    pub(super) closing: bool,
}

impl Attempts {
    /// Asks for an attempt that writes everything there is now; its number.
    pub(super) const fn want(&mut self) -> u64 {
        self.wanted = self.started + 1;
        self.wanted
    }
}

/// What is told when an attempt has ended.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) attempt: u64,
    pub(super) changes: Vec<AlarmChange>,
    /// Notices that the sender takes from memory when they are not on disk.
    pub(super) notices: Vec<Notice>,
    /// There are notices, sent or kept.
    pub(super) any_notice: bool,
}

impl Pending {
    pub(super) fn says_something(&self) -> bool {
        self.any_notice || !self.changes.is_empty()
    }
}

impl Inner {
    /// Rows of the log that are not on disk.
    pub(super) fn log_rows(&self) -> u64 {
        let writing = self.attempts.writing.as_ref().map_or(0, Unwritten::log_rows);
        self.unwritten.log_rows() + writing
    }
}

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("alarm-writer".to_owned())
        .spawn(move || shared.run())
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until that attempt has ended, or for as long as there is patience; then people are told from memory.
    pub(super) fn await_attempt<'a>(
        &self,
        inner: MutexGuard<'a, Inner>,
        attempt: u64,
    ) -> MutexGuard<'a, Inner> {
        let waiting = |inner: &mut Inner| inner.attempts.done < attempt && !inner.attempts.closing;
        let patience = match inner.attempts.patience {
            None => {
                let settled = self.settled.wait_while(inner, waiting);
                return settled.unwrap_or_else(PoisonError::into_inner);
            }
            Some(_) if inner.attempts.slow => Duration::ZERO,
            Some(patience) => patience,
        };
        let settled = self.settled.wait_timeout_while(inner, patience, waiting);
        let (mut inner, _) = settled.unwrap_or_else(PoisonError::into_inner);
        if inner.attempts.done < attempt {
            inner.attempts.slow = true;
            self.tell(&mut inner, attempt, false);
        }
        inner
    }

    /// Tells everybody what waited for the attempts up to that one; from memory when it is not `written`.
    fn tell(&self, inner: &mut Inner, attempt: u64, written: bool) {
        let after = inner
            .pending
            .partition_point(|pending| pending.attempt <= attempt);
        let ready: Vec<Pending> = inner.pending.drain(..after).collect();
        let mut notices = false;
        for pending in ready {
            notices |= pending.any_notice;
            if !written {
                inner.volatile.extend(pending.notices);
                bound_volatile(&mut inner.volatile);
            }
            for change in pending.changes {
                let durable = change.durable && written;
                // Nobody listening is no fault.
                drop(self.changes.send(Arc::new(AlarmChange { durable, ..change })));
            }
        }
        if notices {
            self.outbox.notify_one();
        }
    }

    fn run(&self) {
        let clock = SystemClock::new();
        let mut inner = self.lock();
        loop {
            let idle = |inner: &mut Inner| {
                inner.attempts.wanted <= inner.attempts.started && !inner.attempts.closing
            };
            inner = self
                .wanted
                .wait_while(inner, idle)
                .unwrap_or_else(PoisonError::into_inner);
            if inner.attempts.closing {
                self.settled.notify_all();
                return;
            }
            inner.attempts.started = inner.attempts.wanted;
            let attempt = inner.attempts.started;
            let began = clock.monotonic();
            let written = match gather(&mut inner) {
                Ok(()) => {
                    let commit = self.take_up(&mut inner);
                    drop(inner);
                    let outcome = self.state.commit_alarms(&commit);
                    inner = self.lock();
                    self.put_down(&mut inner, &commit, outcome)
                }
                Err(error) => {
                    tracing::error!(%error, "an alarm state cannot be written");
                    false
                }
            };
            let took = clock.monotonic().duration().saturating_sub(began.duration());
            inner.attempts.slow = inner.attempts.patience.is_some_and(|patience| took >= patience);
            inner.attempts.done = attempt;
            self.tell(&mut inner, attempt, written);
            self.settled.notify_all();
        }
    }

    /// Everything that is to be written now.
    fn take_up(&self, inner: &mut Inner) -> AlarmCommit {
        let cursor = AlarmCursor {
            lsn: inner.judged,
            seq: inner.engine.seq(),
            now: inner.engine.now(),
        };
        let dropped = inner.unwritten.dropped;
        let job = std::mem::take(&mut inner.unwritten);
        inner.unwritten.dropped = dropped;
        let fates = inner.fates.values().cloned().collect();
        let commit = job.commit(&self.catalogue, cursor, fates);
        inner.attempts.writing = Some(job);
        commit
    }

    /// What became of it; whether it is on disk.
    fn put_down(
        &self,
        inner: &mut Inner,
        commit: &AlarmCommit,
        outcome: Result<(), store::state::StateError>,
    ) -> bool {
        let job = inner.attempts.writing.take().unwrap_or_default();
        match outcome {
            Ok(()) => {
                inner.durable = commit.cursor.lsn;
                if !inner.volatile.is_empty() {
                    let written: FxHashSet<&str> = commit.notices.iter().map(|notice| &*notice.key).collect();
                    inner.volatile.retain(|notice| !written.contains(&*notice.key));
                }
                for fate in &commit.fates {
                    if inner.fates.get(&fate.key) == Some(fate) {
                        inner.fates.remove(&fate.key);
                    }
                }
                inner.attempts.unsaved.retain(|_, seq| *seq > commit.cursor.seq);
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, rows = job.log_rows(), "alarms are not on disk");
                let dropped = inner.unwritten.dropped;
                inner.unwritten.dropped = 0;
                inner.unwritten.put_back(Unwritten { dropped, ..job });
                false
            }
        }
    }
}
