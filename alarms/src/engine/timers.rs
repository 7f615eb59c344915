//! What falls due when. A timer is never taken out of the heap: one whose reason has gone does nothing when it fires.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use telemetry::Timestamp;

/// What fires. The order is the order at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A delay of a rule; `place` is the rule.
    Delay,
    /// Back-fill has come to rest; `place` is the point.
    Settle,
    /// A person set a rule aside until now; `place` is the rule.
    Unshelve,
    /// Maintenance or test of a device ends; `place` is the device.
    Permit,
    /// Nobody has acknowledged; `place` is the rule.
    Escalate,
    /// An acknowledged alarm is owed again; `place` is the rule.
    ReAlarm,
    /// An interval in which calls are counted ends.
    Interval,
    /// History may have come to rest.
    Digest,
    /// A silence rule; `place` is the rule.
    Silence,
    /// A rule that was suppressed for its gateway's sake stands for itself again; `place` is the rule.
    Behind,
}

impl What {
    /// Whether it comes after the input of its instant.
    const fn is_after_input(self) -> bool {
        matches!(self, Self::Silence | Self::Behind)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timer {
    pub(super) at: Timestamp,
    pub(super) what: What,
    pub(super) place: u32,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<Timer>>);

impl Timers {
    pub(super) fn push(&mut self, at: Timestamp, what: What, place: u32) {
        self.0.push(Reverse(Timer { at, what, place }));
    }

    /// The next timer due by `to`; one that comes after the input only before `to`, or when `silence_too`.
    pub(super) fn pop(&mut self, to: Timestamp, silence_too: bool) -> Option<Timer> {
        let Reverse(next) = self.0.peek()?;
        let due = next.at < to || (next.at == to && (silence_too || !next.what.is_after_input()));
        if due {
            self.0.pop().map(|Reverse(timer)| timer)
        } else {
            None
        }
    }

    pub(super) fn forget_silence(&mut self) {
        self.0.retain(|Reverse(timer)| timer.what != What::Silence);
    }
}
