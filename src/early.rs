//! Readings that may save a life do not wait for the disk.
//!
//! Every message of a life-safety device stands here in line while the journal has it. When the journal answers within
//! [`PATIENCE`], that was all. When it takes longer, refuses or has stopped, or when the reader of the journal is behind
//! by more than that (a gateway back-fills days, everybody speaks at once), the message is decoded and judged from memory
//! ([`AlarmService::observe_early`]); nothing is acknowledged by that. One thread does it, in the order of arrival.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use alarms::AlarmService;
use ingest::{DecodeSettings, Decoder};
use telemetry::profile::Domain;
use telemetry::time::{Span, SystemClock};
use telemetry::{Catalogue, Clock, DeviceId, Lsn, RawMessage};

/// How long the journal may take before a message is judged from memory. Goal: a notice within two seconds.
const PATIENCE: Span = Span::from_millis(500);
/// Most messages that stand in line. Beyond, a message waits for the journal like any other, and is counted.
const LINE_MAX: usize = 65_536;
/// With so many behind it, a message that the journal has is not even decoded to keep the decoder up to date.
const LEARN_MAX: usize = 1_000;

const WAITING: u8 = 0;
const DURABLE: u8 = 1;
const REFUSED: u8 = 2;

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
}

#[derive(Default)]
struct Line {
    waiting: VecDeque<Entry>,
    closed: bool,
}

struct Entry {
    since: Span,
    messages: Vec<(Lsn, RawMessage)>,
    state: Arc<AtomicU8>,
}

/// The place in line of some messages. Whoever hands them to the journal says how that went; dropped without a word, the
/// messages are judged when their time is up.
pub(crate) struct Ticket {
    state: Arc<AtomicU8>,
    shared: Arc<Shared>,
}

impl Ticket {
    /// The journal has answered.
    pub(crate) fn answered(self, durable: bool) {
        let state = if durable { DURABLE } else { REFUSED };
        self.state.store(state, Ordering::Release);
        if !durable {
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
    /// Starts the thread. It judges for `service`, by the profiles of `catalogue`.
    pub(crate) fn start(
        catalogue: &Arc<Catalogue>,
        service: Arc<AlarmService>,
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
        let state = Arc::new(AtomicU8::new(WAITING));
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
            state: Arc::clone(&state),
        });
        drop(line);
        shared.moved.notify_one();
        let shared = Arc::clone(shared);
        Some(Ticket { state, shared })
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

    /// The first entry when its fate is known or its time is up, and how many stand behind it; none at the end.
    fn next(&self) -> Option<(Entry, usize)> {
        let mut line = self.line();
        loop {
            let pause = match line.waiting.front() {
                None if line.closed => return None,
                None => Duration::from_secs(3600),
                Some(first) => {
                    let waited = self
                        .clock
                        .monotonic()
                        .millis()
                        .saturating_sub(first.since.millis());
                    Duration::from_millis(PATIENCE.millis().saturating_sub(waited))
                }
            };
            let known = |entry: &Entry| entry.state.load(Ordering::Acquire) != WAITING;
            let due = pause.is_zero() || line.closed || line.waiting.front().is_some_and(known);
            if due && let Some(entry) = line.waiting.pop_front() {
                return Some((entry, line.waiting.len()));
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
    while let Some((entry, behind)) = shared.next() {
        let durable = entry.state.load(Ordering::Acquire) == DURABLE;
        if durable && behind > LEARN_MAX {
            continue;
        }
        // Also what the journal has is decoded, so that the decoder knows whose clock lies.
        let batch = decoder.decode(&entry.messages);
        if !durable || service.lag() > PATIENCE {
            shared
                .judged
                .fetch_add(entry.messages.len() as u64, Ordering::Relaxed);
            service.observe_early(&batch);
        }
    }
}
