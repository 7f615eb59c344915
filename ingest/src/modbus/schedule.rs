//! When a unit is asked next, and when a lost connection is tried again: pure.

use telemetry::time::Span;

/// The first wait before a lost connection is tried again.
const RECONNECT_FIRST: Span = Span::from_millis(250);
/// First polls are spread over this, or over the interval where that is shorter, so that a line does
/// not begin with all units at once and pages have something to show soon.
const FIRST_WITHIN: Span = Span::from_secs(10);
/// Failures in a row after which a unit is asked less often.
const FAILURES_BEFORE_BACKOFF: u32 = 2;

/// The turn of one unit. All times are of the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    due: Span,
    every: Span,
    failures: u32,
}

impl Turn {
    /// The unit number `place` of `of` on its line, from `now` on.
    pub(super) fn first(now: Span, every: Span, place: usize, of: usize) -> Self {
        let every = Span::from_millis(every.millis().max(1));
        let (place, of) = (place as u64, of.max(1) as u64);
        let spread = every.millis().min(FIRST_WITHIN.millis());
        Self {
            due: Span::from_millis(now.millis().saturating_add(spread.saturating_mul(place) / of)),
            every,
            failures: 0,
        }
    }

    pub(super) fn due(&self) -> Span {
        self.due
    }

    /// The unit was asked. The next turn is the next whole interval that is not over yet, or later when
    /// the unit is silent and `backoff_max` is given. Answers how many turns the line was too slow for.
    pub(super) fn done(&mut self, now: Span, answered: bool, backoff_max: Option<Span>) -> u64 {
        self.failures = if answered {
            0
        } else {
            self.failures.saturating_add(1)
        };
        let every = self.every.millis();
        let late = now.millis().saturating_sub(self.due.millis());
        let skipped = late / every;
        let mut due = self
            .due
            .millis()
            .saturating_add(every.saturating_mul(skipped + 1));
        if let Some(most) = backoff_max
            && self.failures >= FAILURES_BEFORE_BACKOFF
        {
            let doublings = (self.failures - FAILURES_BEFORE_BACKOFF + 1).min(20);
            let wait = every.saturating_mul(1 << doublings).min(most.millis().max(every));
            due = due.max(now.millis().saturating_add(wait));
        }
        self.due = Span::from_millis(due);
        skipped
    }
}

/// When a lost connection may be tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reconnect {
    not_before: Span,
    failures: u32,
    /// A small generator of its own: the jitter only has to differ between gateways.
    random: u64,
}

impl Reconnect {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            not_before: Span::ZERO,
            failures: 0,
            random: seed | 1,
        }
    }

    pub(super) fn may_try(&self, now: Span) -> bool {
        now >= self.not_before
    }

    /// Whether the last attempt to connect failed.
    pub(super) fn is_down(&self) -> bool {
        self.failures > 0
    }

    /// An attempt failed: waits twice as long as before, at most `most`, less up to half of it at random.
    /// Answers whether it is the first failure in a row.
    pub(super) fn failed(&mut self, now: Span, most: Span) -> bool {
        let doubled = RECONNECT_FIRST
            .millis()
            .saturating_mul(1 << self.failures.min(20));
        let wait = doubled.min(most.millis());
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let less = self.random % (wait / 2 + 1);
        self.not_before = Span::from_millis(now.millis().saturating_add(wait - less));
        self.failures = self.failures.saturating_add(1);
        self.failures == 1
    }

    /// A unit answered. Answers whether the line was down before.
    pub(super) fn succeeded(&mut self) -> bool {
        let was_down = self.failures > 0;
        self.failures = 0;
        was_down
    }
}
