//! Readings that may save a life do not wait for the disk.
//!
//! Every message of a life-safety device stands here in line until the alarms have judged it on its way through the journal.
//! When that takes longer than [`PATIENCE`] (a slow disk, a gateway that back-fills days, everybody speaks at once), or when the
//! journal refuses or has stopped, the message is decoded and judged from memory ([`AlarmService::observe_early`]); nothing is
//! acknowledged by that. One thread does it, in the order of arrival.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use alarms::AlarmService;
use ingest::{DecodeSettings, Decoder};
use telemetry::profile::Domain;
use telemetry::time::{Span, SystemClock};
use telemetry::{Catalogue, Clock, DeviceId, Lsn, RawMessage};

use crate::backlog::Backlog;

/// How long a message may take until it is judged, before it is judged from memory. Goal: a notice within the second.
const PATIENCE: Span = Span::from_millis(500);
/// Most messages that stand in line. Beyond, a message waits for the journal like any other, and is counted.
const LINE_MAX: usize = 65_536;
/// With so many behind it, a message that was judged is not even decoded to keep the decoder up to date.
const LEARN_MAX: usize = 1_000;

/// The journal has not answered, or has refused. Anything else: the number of the last message.
const WAITING: u64 = 0;
const REFUSED: u64 = u64::MAX;

/// The line. Dropping the last handle ends the thread.
#[derive(Clone)]
pub(crate) struct Early {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// Whose messages stand in line, and the gateways that speak for them.
    senders: HashSet<DeviceId>,
    line: Mutex<Line>,
    moved: Condvar,
    judged: AtomicU64,
    left_out: AtomicU64,
    clock: SystemClock,
    backlog: Backlog,
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Entry>,
    closed: bool,
}

struct Entry {
    since: Span,
    messages: Vec<(Lsn, RawMessage)>,
    said: Arc<AtomicU64>,
}

impl Entry {
    /// The number of the last message, as far as the journal has told one.
    fn last(&self) -> Lsn {
        match self.said.load(Ordering::Acquire) {
            WAITING | REFUSED => Lsn::ZERO,
            last => Lsn(last),
        }
    }
}

/// What is to become of the first in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is judged from memory.
    Judge,
    /// The alarms have it, or will have it after the next start.
    Learn,
}

/// What becomes of a message that has waited for so long, when the alarms have judged up to `taken`; none while it waits.
fn verdict(said: u64, waited: Span, taken: Lsn) -> Option<Verdict> {
    match said {
        REFUSED => Some(Verdict::Judge),
        last if last != WAITING && Lsn(last) <= taken => Some(Verdict::Learn),
        _ => (waited >= PATIENCE).then_some(Verdict::Judge),
    }
}

/// The place in line of some messages. Whoever hands them to the journal says how that went; dropped without a word, the
/// messages are judged when their time is up.
pub(crate) struct Ticket {
    said: Arc<AtomicU64>,
    shared: Arc<Shared>,
}

impl Ticket {
    /// The journal has answered: the number of the last message, or none when it did not take them.
    pub(crate) fn answered(self, last: Option<Lsn>) {
        let said = last.map_or(REFUSED, |last| last.0);
        self.said.store(said, Ordering::Release);
        if last.is_none() {
            drop(self.shared.line());
            self.shared.moved.notify_one();
        }
    }
}

impl std::fmt::Debug for Early {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Early").finish_non_exhaustive()
    }
}

impl Early {
    /// Starts the thread. It judges for `service`, by the profiles of `catalogue`; `backlog` knows what the alarms have judged.
    pub(crate) fn start(
        catalogue: &Arc<Catalogue>,
        service: Arc<AlarmService>,
        backlog: Backlog,
        settings: DecodeSettings,
    ) -> std::io::Result<Self> {
        let watched = catalogue
            .devices()
            .iter()
            .filter(|entry| entry.profile.life_safety || entry.profile.domain == Domain::Server);
        let senders = watched
            .flat_map(|entry| [Some(entry.device.id.clone()), entry.device.gateway.clone()])
            .flatten()
            .collect();
        let shared = Arc::new(Shared {
            senders,
            line: Mutex::default(),
            moved: Condvar::new(),
            judged: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            clock: SystemClock::new(),
            backlog,
        });
        let decoder = Decoder::new(Arc::clone(catalogue), settings);
        let of = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("early-alarms".to_owned())
            .spawn(move || judge(&of, decoder, &service))?;
        let thread = Mutex::new(Some(thread));
        Ok(Self {
            handle: Arc::new(Handle { shared, thread }),
        })
    }

    /// Puts those messages of `batch` in line that may save a life; none when there are none, which is the rule.
    pub(crate) fn watch(&self, batch: &[RawMessage]) -> Option<Ticket> {
        let shared = &self.handle.shared;
        let messages: Vec<(Lsn, RawMessage)> = batch
            .iter()
            .filter(|message| shared.senders.contains(&message.sender))
            .map(|message| (Lsn::ZERO, message.clone()))
            .collect();
        if messages.is_empty() {
            return None;
        }
        let said = Arc::new(AtomicU64::new(WAITING));
        let mut line = shared.line();
        if line.waiting.len() >= LINE_MAX || line.closed {
            shared
                .left_out
                .fetch_add(messages.len() as u64, Ordering::Relaxed);
            return None;
        }
        line.waiting.push_back(Entry {
            since: shared.clock.monotonic(),
            messages,
            said: Arc::clone(&said),
        });
        drop(line);
        shared.moved.notify_one();
        let shared = Arc::clone(shared);
        Some(Ticket { said, shared })
    }

    /// Messages judged from memory since the start.
    pub(crate) fn judged(&self) -> u64 {
        self.handle.shared.judged.load(Ordering::Relaxed)
    }

    /// Messages that found no place in line.
    pub(crate) fn left_out(&self) -> u64 {
        self.handle.shared.left_out.load(Ordering::Relaxed)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.line().closed = true;
        self.shared.moved.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that judges from memory has panicked");
        }
    }
}

impl Shared {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first entry when its fate is known, what that is, and how many stand behind it; none at the end.
    fn next(&self) -> Option<(Entry, Verdict, usize)> {
        let mut line = self.line();
        loop {
            let mut pause = Duration::from_secs(3600);
            match line.waiting.front() {
                None if line.closed => return None,
                None => {}
                Some(first) => {
                    let said = first.said.load(Ordering::Acquire);
                    let waited = self.clock.monotonic().since(first.since);
                    let at_the_end = match said {
                        WAITING => Verdict::Judge,
                        _ => Verdict::Learn,
                    };
                    let verdict = verdict(said, waited, self.backlog.judged())
                        .or_else(|| line.closed.then_some(at_the_end));
                    if let Some(verdict) = verdict
                        && let Some(entry) = line.waiting.pop_front()
                    {
                        return Some((entry, verdict, line.waiting.len()));
                    }
                    pause = PATIENCE.since(waited).duration();
                }
            }
            line = self
                .moved
                .wait_timeout(line, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Runs until the line is closed and empty.
fn judge(shared: &Shared, mut decoder: Decoder, service: &AlarmService) {
    while let Some((entry, verdict, behind)) = shared.next() {
        if verdict == Verdict::Learn && behind > LEARN_MAX {
            continue;
        }
        // Also what the alarms have is decoded, so that the decoder knows whose clock lies.
        let mut batch = decoder.decode(&entry.messages);
        if verdict == Verdict::Judge {
            shared
                .judged
                .fetch_add(entry.messages.len() as u64, Ordering::Relaxed);
            batch.last = entry.last();
            service.observe_early(&batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_waits_for_the_alarms_and_not_for_the_journal() {
        let (soon, late) = (Span::from_millis(499), PATIENCE);
        let alarms_at = Lsn(10);
        for (said, waited, expected) in [
            (WAITING, soon, None),
            (WAITING, late, Some(Verdict::Judge)),
            (REFUSED, Span::ZERO, Some(Verdict::Judge)),
            // Judged on its way through the journal, however late that was seen.
            (10, soon, Some(Verdict::Learn)),
            (10, late, Some(Verdict::Learn)),
            // In the journal, and the alarms are behind.
            (11, soon, None),
            (11, late, Some(Verdict::Judge)),
        ] {
            assert_eq!(verdict(said, waited, alarms_at), expected, "{said} {waited:?}");
        }
    }
}
