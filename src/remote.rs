//! Feeds the remote engine: follows the journal with a decoder of its own, so that an engine that is away for hours holds
//! up neither the alarms nor the local store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use ingest::{DecodeSettings, Decoder};
use store::journal::{Journal, JournalError};
use store::remote::{Remote, RemoteError, RemoteReader, RemoteStatus, Turn, Writer};
use store::state::State;
use telemetry::time::Span;
use telemetry::{Catalogue, Clock, Lsn, RawMessage, SeriesId};

use crate::server::SELF;

/// Most messages that are decoded at a time, as in the pipeline.
const MESSAGES_MAX: usize = 512;
/// Messages before the first one for the engine that are decoded again, so that the decoder knows the devices.
const WARM_UP: u64 = 50_000;
/// Longest wait for new messages.
const WAIT: Duration = Duration::from_millis(100);
/// The pause after a wait that brought nothing: a closed journal does not wait at all.
const PAUSE: Duration = Duration::from_millis(2);

/// The running feed. It stops when it is dropped.
pub(crate) struct RemoteFeed {
    stopping: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// What it has done.
    pub status: Arc<RemoteStatus>,
    /// Reads from the engine, where the configuration wants that.
    pub reader: Option<RemoteReader>,
}

/// What a feed is made of.
pub(crate) struct Parts {
    pub journal: Journal,
    pub state: Arc<State>,
    pub catalogue: Arc<Catalogue>,
    pub clock: Arc<dyn Clock>,
    pub decode: DecodeSettings,
    /// How long points are gathered for a request.
    pub gather: Span,
}

impl RemoteFeed {
    /// Starts it at the cursor of the state database; from now on the journal keeps what comes after that. With `read` its
    /// reader is there, too.
    ///
    /// # Errors
    /// [`RemoteError`] when the cursor cannot be read or there is no thread.
    pub(crate) fn start(remote: &Remote, parts: Parts, read: bool) -> Result<Self, RemoteError> {
        let Parts {
            journal,
            state,
            catalogue,
            clock,
            decode,
            gather,
        } = parts;
        let writer = remote.writer(state, Arc::clone(&catalogue), Arc::clone(&clock))?;
        journal.hold(writer.cursor());
        let stopping = Arc::new(AtomicBool::new(false));
        let status = remote.status();
        let own = catalogue.device(SELF).map(|entry| entry.series.clone());
        let mut feed = Feed {
            own: own.unwrap_or_default(),
            acknowledged: writer.acknowledged(),
            journal,
            catalogue: Arc::clone(&catalogue),
            clock: Arc::clone(&clock),
            decode,
            gather,
            writer,
            status: Arc::clone(&status),
            stopping: Arc::clone(&stopping),
        };
        let thread = Builder::new()
            .name("remote-feed".to_owned())
            .spawn(move || feed.run())
            .map_err(RemoteError::Thread)?;
        Ok(Self {
            stopping,
            thread: Mutex::new(Some(thread)),
            status,
            reader: read.then(|| remote.reader(catalogue, clock)),
        })
    }

    /// Stops at once; what is not acknowledged comes with the next start.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else {
            return;
        };
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("the feed of the remote engine has panicked");
        }
    }
}

impl Drop for RemoteFeed {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Feed {
    journal: Journal,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    decode: DecodeSettings,
    gather: Span,
    writer: Writer,
    status: Arc<RemoteStatus>,
    stopping: Arc<AtomicBool>,
    /// The server's own series. Every server of a fleet has them under the same names, so they stay at home.
    own: Vec<SeriesId>,
    /// The last message that the engine has acknowledged at any time. What is sent again does not wait.
    acknowledged: Lsn,
}

/// Says when the thread of the feed ends by itself.
struct Ended(Arc<RemoteStatus>, Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        if !self.1.load(Ordering::Acquire) {
            self.0.stopped.store(true, Ordering::Release);
        }
    }
}

impl Feed {
    fn run(&mut self) {
        let _ended = Ended(Arc::clone(&self.status), Arc::clone(&self.stopping));
        let newest = self.journal.newest();
        if self.writer.cursor() > newest {
            tracing::error!(
                cursor = self.writer.cursor().0,
                newest = newest.0,
                "the journal ends before what the remote engine has: it is not the journal of this data directory"
            );
            return;
        }
        while !self.is_stopping() {
            if let Err(error) = self.follow() {
                let error = telemetry::with_causes(&error);
                tracing::error!(
                    error,
                    "the journal cannot be read: the remote engine gets nothing any more"
                );
                return;
            }
        }
        self.writer.finish();
    }

    /// Sends everything after the cursor, until it is told to stop or has to go back to it.
    fn follow(&mut self) -> Result<(), JournalError> {
        let begin = self.writer.cursor();
        let mut decoder = Decoder::new(Arc::clone(&self.catalogue), self.decode);
        let readable_after = Lsn(self.journal.oldest().0.saturating_sub(1)).min(begin);
        let mut position = Lsn(begin.0.saturating_sub(WARM_UP)).max(readable_after);
        let mut turned_at = self.clock.monotonic();
        loop {
            if self.is_stopping() {
                return Ok(());
            }
            if self.journal.wait_beyond(position, WAIT) > position {
                let messages = self.read(position, begin)?;
                self.look_for_jump(position.max(begin), &messages);
                let mut batch = decoder.decode(&messages);
                position = batch.last.max(position);
                if position <= begin {
                    continue; // The decoder has only learnt from it.
                }
                batch.points.retain(|point| !self.own.contains(&point.series));
                self.note_waiting(&messages);
                self.writer.gather(&batch);
            } else {
                std::thread::park_timeout(PAUSE);
            }
            let caught_up = position >= self.journal.newest();
            let gathered = self.clock.monotonic().since(turned_at);
            if !self.writer.has_a_request() && gathered < self.gather && caught_up {
                continue;
            }
            if !self.writer.has_a_request() && !caught_up {
                continue;
            }
            turned_at = self.clock.monotonic();
            let stopping = Arc::clone(&self.stopping);
            let turn = self.writer.turn(&move || stopping.load(Ordering::Acquire));
            self.journal.hold(self.writer.cursor());
            match turn {
                Turn::Done => {
                    self.acknowledged = self.acknowledged.max(position);
                    self.status.set_waiting(None);
                }
                Turn::GoBack(_) | Turn::Stopped => return Ok(()),
            }
        }
    }

    /// The next messages; not across the cursor at which the first one for the engine stands.
    fn read(&self, after: Lsn, begin: Lsn) -> Result<Vec<(Lsn, RawMessage)>, JournalError> {
        let upto_begin = usize::try_from(begin.0.saturating_sub(after.0)).unwrap_or(MESSAGES_MAX);
        let most = if upto_begin == 0 {
            MESSAGES_MAX
        } else {
            MESSAGES_MAX.min(upto_begin)
        };
        self.journal.read(after, most)
    }

    fn note_waiting(&self, messages: &[(Lsn, RawMessage)]) {
        let first = messages.iter().find(|(lsn, _)| *lsn > self.acknowledged);
        if self.status.is_idle()
            && let Some((_, first)) = first
        {
            self.status.set_waiting(Some(first.arrived));
        }
    }

    fn look_for_jump(&self, after: Lsn, messages: &[(Lsn, RawMessage)]) {
        let Some((first, _)) = messages.first() else {
            return;
        };
        if after > Lsn::ZERO && *first > after.next() {
            let missed = first.0 - after.next().0;
            self.status.missed.fetch_add(missed, Ordering::Relaxed);
            tracing::error!(missed, "the journal was trimmed before the remote engine had it");
        }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
