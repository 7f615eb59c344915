//! Looks whether the engine's processes are those that have acknowledged what was sent.

use std::sync::atomic::Ordering;

use telemetry::time::Span;

use super::Writer;
use crate::remote::hands::NoAnswer;

/// From one look at the engine's processes to the next.
const LOOK_EVERY: Span = Span::from_secs(5);

impl Writer {
    /// Whether what the engine acknowledges depends on which of its processes live.
    pub(super) fn must_watch(&self) -> bool {
        self.window != Span::ZERO && self.engine.is_watched()
    }

    pub(super) fn is_look_due(&self) -> bool {
        let since = |at: Span| self.clock.monotonic().millis().saturating_sub(at.millis());
        self.must_watch() && self.looked_at.is_none_or(|at| since(at) >= LOOK_EVERY.millis())
    }

    /// Looks whether the engine's processes are those that were there before.
    pub(super) fn look(&mut self, stop: &dyn Fn() -> bool) -> Seen {
        let now = self.clock.monotonic();
        self.looked_at = Some(now);
        let engine = self.engine.clone();
        let seen = match self.hands.run(async move { engine.vitals().await }, stop) {
            Ok(Ok(seen)) => seen,
            Ok(Err(error)) => return Seen::Nothing(telemetry::with_causes(&error)),
            Err(NoAnswer::Panicked) => return Seen::Nothing("the client panicked".to_owned()),
            Err(NoAnswer::GivenUp) => return Seen::Nothing("it was told to stop".to_owned()),
        };
        let restarted = self
            .vitals
            .as_ref()
            .is_some_and(|before| seen.shows_restart_since(before));
        if seen.just_started && !restarted {
            return Seen::Nothing("it was started less than a second ago".to_owned());
        }
        self.count_ignored(seen.ignored);
        // Nothing is sent to a process that is too young to be told from the next one.
        self.suspect = seen.just_started;
        self.vitals = Some(seen);
        if restarted {
            return Seen::Restarted;
        }
        // Asked before: what was acknowledged until then was acknowledged by the process that lives.
        self.alive_at = now;
        Seen::Same
    }

    fn count_ignored(&self, ignored: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of rows; the conversion stays within the type's range"
        )]
        let rows = ignored.max(0.0) as u64;
        let before = self.status.ignored_by_engine.swap(rows, Ordering::Relaxed);
        if rows > before {
            tracing::warn!(
                engine = self.name,
                rows = rows - before,
                "the remote engine says that it leaves out rows: older than its retention, or with too many tags"
            );
        }
    }
}

/// What a look at the engine has shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The processes of before, or none were known before.
    Same,
    /// One of them has been started anew.
    Restarted,
    /// They could not be asked, for this reason.
    Nothing(String),
}
