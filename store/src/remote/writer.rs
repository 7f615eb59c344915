//! Carries lines to the engine until it has acknowledged or refused every one, and keeps how far that is.

mod keeping;
mod watching;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use telemetry::time::Span;
use telemetry::{Backoff, Batch, Catalogue, Clock, DeadLetter, Lsn};

use super::answer::Answer;
use super::engine::Engine;
use super::hands::{Hands, NoAnswer};
use super::line::{Encoder, Lines};
use super::settings::{RemoteError, RemoteSettings};
use super::split::Work;
use super::status::RemoteStatus;
use super::trail::Trail;
use super::victoria::Vitals;
use crate::state::State;
use crate::state::remote::RemoteCursor;
use watching::Seen;

/// Most bytes of lines in one request, before compression; a longer line goes alone.
const REQUEST_BYTES_MAX: usize = 4 << 20;
/// From one look whether it shall stop to the next.
const STOP_LOOK_EVERY: Duration = Duration::from_millis(50);

/// The longest wait before a write is tried again, unless the engine asks for more.
const WAIT_MAX: Span = Span::from_secs(30);

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// All lines are acknowledged, or dead letters.
    Done,
    /// The engine was restarted and may have lost what it had acknowledged: go on after this message, with a new decoder.
    GoBack(Lsn),
    /// It was told to stop. What was not acknowledged comes with the next start.
    Stopped,
}

/// Writes to one engine. It belongs to one thread, which it blocks.
pub struct Writer {
    name: &'static str,
    identity: String,
    lines_max: usize,
    window: Span,
    engine: Engine,
    hands: Arc<Hands>,
    state: Arc<State>,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    status: Arc<RemoteStatus>,
    encoder: Encoder,
    lines: Lines,
    backoff: Backoff,
    trail: Trail,
    /// What the state database holds.
    kept: RemoteCursor,
    kept_at: Span,
    /// Lines of messages up to this one that were refused are dead letters already.
    buried_upto: Lsn,
    letters: Vec<DeadLetter>,
    /// What was seen of the engine's processes at the first look and at every one since.
    vitals: Option<Vitals>,
    looked_at: Option<Span>,
    /// When it was last certain that no process of the engine had been restarted.
    alive_at: Span,
    /// A connection failed since then.
    suspect: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("identity", &self.identity)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}

/// What a writer is made of.
pub(super) struct Parts {
    pub engine: Engine,
    pub hands: Arc<Hands>,
    pub state: Arc<State>,
    pub catalogue: Arc<Catalogue>,
    pub clock: Arc<dyn Clock>,
    pub status: Arc<RemoteStatus>,
}

impl Writer {
    pub(super) fn open(settings: &RemoteSettings, parts: Parts) -> Result<Self, RemoteError> {
        let identity = settings.identity();
        let kept = parts.state.remote_cursor(&identity)?;
        let Parts {
            engine,
            hands,
            state,
            catalogue,
            clock,
            status,
        } = parts;
        status.set_upto(kept.durable, kept.durable);
        let now = clock.monotonic();
        Ok(Self {
            name: settings.name(),
            encoder: Encoder::new(
                Arc::clone(&catalogue),
                &settings.measurement,
                &settings.tags,
                engine.quality_in(),
            ),
            backoff: Backoff::new(
                clock.now().millis().unsigned_abs() ^ u64::from(std::process::id()),
                WAIT_MAX,
            ),
            lines_max: settings.lines_max.max(1),
            window: settings.replay_window,
            trail: Trail::new(settings.replay_window, kept.durable),
            identity,
            engine,
            hands,
            state,
            catalogue,
            clock,
            status,
            lines: Lines::default(),
            kept,
            kept_at: now,
            buried_upto: kept.sent,
            letters: Vec::new(),
            vitals: None,
            looked_at: None,
            alive_at: now,
            suspect: false,
        })
    }

    /// The last message that is certainly on the engine's disk, as the state database has it: the journal has to keep what
    /// comes after, and a new decoder goes on from there.
    #[must_use]
    pub fn cursor(&self) -> Lsn {
        self.kept.durable
    }

    /// The last message that the engine has acknowledged, in this run or one before: what comes before it and after
    /// [`cursor`](Self::cursor) is sent again.
    #[must_use]
    pub fn acknowledged(&self) -> Lsn {
        self.trail.sent().max(self.buried_upto)
    }

    /// Takes the points of the next batch, to be sent with the next turn.
    pub fn gather(&mut self, batch: &Batch) {
        self.encoder.add(&batch.points, batch.last, &mut self.lines);
        let left_out = std::mem::take(&mut self.lines.left_out);
        self.status.left_out.fetch_add(left_out, Ordering::Relaxed);
    }

    /// Whether as many lines wait as make a request.
    #[must_use]
    pub fn has_a_request(&self) -> bool {
        self.lines.len() >= self.lines_max
    }

    /// Sends what was gathered, however long it takes, unless `stop` says so; looks at the engine; keeps the cursor.
    pub fn turn(&mut self, stop: &dyn Fn() -> bool) -> Turn {
        let lines = std::mem::take(&mut self.lines);
        let sent = if lines.last > self.trail.sent() {
            self.send_all(&lines, stop)
        } else {
            Turn::Done
        };
        match sent {
            Turn::Done => {}
            Turn::Stopped => {
                self.keep(stop, true);
                return Turn::Stopped;
            }
            Turn::GoBack(_) => return self.go_back(stop),
        }
        if self.is_look_due() && self.look(stop) == Seen::Restarted {
            return self.go_back(stop);
        }
        if self.keep(stop, false) {
            Turn::Done
        } else {
            Turn::Stopped
        }
    }

    /// Keeps the cursor before the end.
    pub fn finish(&mut self) {
        self.keep(&|| true, true);
    }

    fn send_all(&mut self, lines: &Lines, stop: &dyn Fn() -> bool) -> Turn {
        let mut work = Work::new(lines.len(), self.lines_max, REQUEST_BYTES_MAX, |range| {
            lines.bytes(range)
        });
        while let Some(range) = work.next() {
            if stop() {
                return Turn::Stopped;
            }
            // Before anything is sent it must be known which process will acknowledge it.
            let answer = if self.must_watch() && (self.suspect || self.vitals.is_none()) {
                match self.look(stop) {
                    Seen::Same => continue,
                    Seen::Restarted => return Turn::GoBack(self.kept.durable),
                    Seen::Nothing(why) => Some(Answer::Later {
                        why,
                        wait: None,
                        broken: false,
                    }),
                }
            } else {
                self.send(lines.text(&range), stop)
            };
            let Some(answer) = answer else {
                return Turn::Stopped;
            };
            let answered = !matches!(answer, Answer::Later { .. });
            if !self.judge(answer, lines, range, &mut work, stop) {
                return Turn::Stopped;
            }
            if answered && self.suspect {
                // Nobody says whether it was restarted while it could not be reached, so it has to be assumed.
                self.suspect = false;
                return Turn::GoBack(self.kept.durable);
            }
        }
        let now = self.clock.monotonic();
        if !self.must_watch() {
            self.alive_at = now;
        }
        self.trail.acknowledged(now, lines.last);
        self.status.set_upto(self.trail.sent(), self.kept.durable);
        Turn::Done
    }

    /// Does what an answer asks for. False when it was told to stop.
    fn judge(
        &mut self,
        answer: Answer,
        lines: &Lines,
        range: Range<usize>,
        work: &mut Work,
        stop: &dyn Fn() -> bool,
    ) -> bool {
        match answer {
            Answer::Taken => {
                work.taken();
                self.was_answered();
                self.status.requests.fetch_add(1, Ordering::Relaxed);
                self.status.sent.fetch_add(range.len() as u64, Ordering::Relaxed);
                true
            }
            Answer::Refused { reason, dropped } => {
                self.was_answered();
                self.status.halved.fetch_add(1, Ordering::Relaxed);
                if let Some(given_up) = work.refused(dropped) {
                    self.bury(lines, given_up, &reason);
                }
                true
            }
            Answer::Later { why, wait, broken } => {
                self.suspect |= broken && self.window != Span::ZERO;
                self.wait_after(why, wait, stop)
            }
        }
    }

    /// None when it was told to stop.
    fn send(&self, text: &str, stop: &dyn Fn() -> bool) -> Option<Answer> {
        let (engine, body) = (self.engine.clone(), Bytes::copy_from_slice(text.as_bytes()));
        match self.hands.run(async move { engine.write(body).await }, stop) {
            Ok(answer) => Some(answer),
            Err(NoAnswer::Panicked) => Some(Answer::broken("the client panicked over the answer".to_owned())),
            Err(NoAnswer::GivenUp) => None,
        }
    }

    fn was_answered(&mut self) {
        self.backoff.succeeded();
        if self.status.set_trouble(None) {
            tracing::info!(engine = self.name, "the remote engine answers again");
        }
    }

    /// False when it was told to stop.
    fn wait_after(&mut self, why: String, asked: Option<Duration>, stop: &dyn Fn() -> bool) -> bool {
        self.status.retried.fetch_add(1, Ordering::Relaxed);
        let wait = self.backoff.failed().duration().max(asked.unwrap_or_default());
        if self.status.set_trouble(Some(why.clone())) {
            tracing::warn!(
                engine = self.name,
                why,
                "the remote engine takes nothing; it is tried again, nothing is lost"
            );
        } else {
            let failures = self.backoff.failures();
            tracing::debug!(
                engine = self.name,
                why,
                failures,
                ?wait,
                "the remote engine takes nothing yet"
            );
        }
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let until = self.clock.monotonic().millis().saturating_add(wait_ms);
        while self.clock.monotonic().millis() < until {
            if stop() {
                return false;
            }
            std::thread::park_timeout(STOP_LOOK_EVERY);
        }
        true
    }

    /// Everything after the kept cursor is to be sent again.
    fn go_back(&mut self, stop: &dyn Fn() -> bool) -> Turn {
        if !self.keep(stop, true) {
            return Turn::Stopped;
        }
        let from = self.kept.durable;
        tracing::warn!(
            engine = self.name,
            from = from.0,
            upto = self.trail.sent().0,
            "the remote engine was restarted: what it had acknowledged lately is sent again"
        );
        self.status.replays.fetch_add(1, Ordering::Relaxed);
        self.trail = Trail::new(self.window, from);
        self.lines = Lines::default();
        self.status.set_upto(from, from);
        Turn::GoBack(from)
    }
}

#[cfg(test)]
mod tests;
