//! When a unit is asked next, and when a lost connection is tried again: pure. All times are of the
//! monotonic clock.

use telemetry::Backoff;
use telemetry::time::Span;

/// First polls are spread over this, or over the interval where that is shorter, so that neither a line nor
/// the county begins with all units at once and pages have something to show soon.
const FIRST_WITHIN: Span = Span::from_secs(10);
/// Failures in a row after which a unit is asked less often.
const FAILURES_BEFORE_BACKOFF: u32 = 2;
/// A unit that fails is left alone for so many times what its last turn took of the line: it costs its neighbours a
/// quarter of the line at most, however long it holds the line.
const REST: u64 = 3;

/// The turn of one group of reads of one unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    due: Span,
    every: Span,
}

impl Turn {
    /// From `now` on. `name` is the device: the same name always begins at the same place of its interval.
    pub(super) fn first(now: Span, every: Span, name: &str) -> Self {
        let every = Span::from_millis(every.millis().max(1));
        let spread = every.millis().min(FIRST_WITHIN.millis());
        let within = hash(name) % spread;
        Self {
            due: Span::from_millis(now.millis().saturating_add(within)),
            every,
        }
    }

    pub(super) fn due(&self) -> Span {
        self.due
    }

    /// The group was asked, though not before `held_until`. The next turn is the next whole interval that is
    /// not over yet. Answers how many turns the line was too slow for.
    pub(super) fn done(&mut self, now: Span, held_until: Span) -> u64 {
        let every = self.every.millis();
        let late = now.millis().saturating_sub(self.due.millis());
        let slow = now
            .millis()
            .saturating_sub(self.due.millis().max(held_until.millis()));
        let turns = late / every + 1;
        self.due = Span::from_millis(self.due.millis().saturating_add(every.saturating_mul(turns)));
        slow / every
    }
}

/// FNV-1a. Source: Fowler, Noll, Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>, 64 bit.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// How a unit has answered of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health {
    failures: u32,
    not_before: Span,
}

impl Health {
    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Before this it is not asked.
    pub(super) fn held_until(&self) -> Span {
        self.not_before
    }

    /// Whether it is asked less often than its groups are due.
    pub(super) fn is_held(&self, now: Span) -> bool {
        self.not_before > now
    }

    pub(super) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It did not answer. With `backoff_max` it is held from the second failure in a row on: for twice
    /// `every`, then twice as long each time, at most `backoff_max` (and never less than `every`, nor than three times
    /// the time that it `took` of the line).
    pub(super) fn failed(&mut self, now: Span, every: Span, took: Span, backoff_max: Option<Span>) {
        self.failures = self.failures.saturating_add(1);
        let Some(most) = backoff_max.filter(|_| self.failures >= FAILURES_BEFORE_BACKOFF) else {
            return;
        };
        let doublings = (self.failures - FAILURES_BEFORE_BACKOFF + 1).min(20);
        let wait = every
            .millis()
            .saturating_mul(1 << doublings)
            .min(most.millis().max(every.millis()))
            .max(took.millis().saturating_mul(REST));
        self.not_before = Span::from_millis(now.millis().saturating_add(wait));
    }
}

/// When a lost connection may be tried again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reconnect {
    not_before: Span,
    backoff: Backoff,
}

impl Reconnect {
    /// For the line of that name, which waits for `most` at most.
    pub(super) fn new(name: &str, most: Span) -> Self {
        Self {
            not_before: Span::ZERO,
            backoff: Backoff::new(hash(name), most),
        }
    }

    pub(super) fn may_try(&self, now: Span) -> bool {
        now >= self.not_before
    }

    /// Whether the last attempt to connect failed.
    pub(super) fn is_down(&self) -> bool {
        self.backoff.failures() > 0
    }

    /// An attempt failed. Answers whether it is the first failure in a row.
    pub(super) fn failed(&mut self, now: Span) -> bool {
        let wait = self.backoff.failed().millis();
        self.not_before = Span::from_millis(now.millis().saturating_add(wait));
        self.backoff.failures() == 1
    }

    /// A unit answered. Answers whether the line was down before.
    pub(super) fn succeeded(&mut self) -> bool {
        self.backoff.succeeded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Span {
        Span::from_millis(ms)
    }

    #[test]
    fn a_unit_always_begins_at_the_same_place_of_its_interval_and_units_are_spread() {
        let due = |name: &str| Turn::first(at(1000), at(1000), name).due().millis();
        assert_eq!(due("st-001"), due("st-001"));
        let mut tenths = [0; 10];
        for n in 0..1000 {
            let due = due(&format!("st-{n:04}"));
            assert!((1000..2000).contains(&due));
            tenths[usize::try_from((due - 1000) / 100).unwrap()] += 1;
        }
        // 1000 units over ten tenths of a second: none has fewer than 60 or more than 140.
        assert!(
            tenths.iter().all(|units| (60..=140).contains(units)),
            "{tenths:?}"
        );
    }

    #[test]
    fn a_slow_line_skips_turns_and_counts_them_and_keeps_its_beat() {
        let mut turn = Turn::first(at(0), at(1000), "x");
        let beat = turn.due().millis();
        assert_eq!(turn.done(at(beat + 10), Span::ZERO), 0);
        assert_eq!(turn.due(), at(beat + 1000));
        assert_eq!(
            turn.done(at(beat + 4500), Span::ZERO),
            3,
            "2, 3 and 4 s after the first are over"
        );
        assert_eq!(turn.due(), at(beat + 5000));
        // Turns that it was held for are not the line's fault.
        assert_eq!(turn.done(at(beat + 15_100), at(beat + 15_000)), 0);
        assert_eq!(turn.due(), at(beat + 16_000));
    }

    #[test]
    fn a_silent_unit_is_held_longer_and_longer_and_let_go_at_once_when_it_answers() {
        let mut health = Health::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            health.failed(at(10_000), at(1000), at(100), Some(at(30_000)));
            waits.push(health.held_until().millis().saturating_sub(10_000));
        }
        assert_eq!(waits, [0, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert!(health.is_held(at(39_999)) && !health.is_held(at(40_000)));
        health.answered();
        assert_eq!((health.failures(), health.held_until()), (0, Span::ZERO));
        // Alone on its line it is asked at every turn.
        health.failed(at(10_000), at(1000), at(100), None);
        health.failed(at(10_000), at(1000), at(100), None);
        assert!(!health.is_held(at(10_000)));
    }

    #[test]
    fn a_unit_that_holds_the_line_for_long_rests_for_three_times_as_long() {
        // Given a unit that is due every 100 ms, held for at most 400 ms, and takes 700 ms of the line each time,
        let mut health = Health::default();
        health.failed(at(700), at(100), at(700), Some(at(400)));
        assert!(!health.is_held(at(700)), "one failure may be chance");
        // then it has the line for a quarter of the time: 700 ms of 700 + 3 × 700.
        health.failed(at(1400), at(100), at(700), Some(at(400)));
        assert_eq!(health.held_until(), at(1400 + 2100));
    }
}
