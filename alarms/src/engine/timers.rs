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
    /// A silence rule; `place` is the rule.
    Silence,
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
    pub(super) fn push(&mut self, timer: Timer) {
        self.0.push(Reverse(timer));
    }

    /// The next timer due by `to`; one of silence due exactly at `to` only when `silence_too`.
    pub(super) fn pop(&mut self, to: Timestamp, silence_too: bool) -> Option<Timer> {
        let Reverse(next) = self.0.peek()?;
        let due = next.at < to || (next.at == to && (silence_too || next.what != What::Silence));
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
