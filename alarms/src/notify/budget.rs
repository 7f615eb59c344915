//! How many messages a channel may take now: windows of a second and of a minute over what was sent. Pure.
//!
//! A quarter of what a channel takes is kept for life-safety notices, so that a flood of others never makes them wait.

use std::collections::VecDeque;

use telemetry::time::Span;

const SECOND: Span = Span::from_secs(1);
const MINUTE: Span = Span::from_secs(60);
/// While the other side says "too fast", a life-safety notice asks again after so long.
const PROBE: Span = Span::from_secs(60);
/// The longest time that a channel is shut, whatever the other side asks for.
const SHUT_MAX: Span = Span::from_secs(900);

/// How many messages may go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// Life-safety notices, and all others with them.
    pub all: usize,
    /// Others.
    pub others: usize,
}

/// What one channel may take. Times are of a clock that never steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Budget {
    per_second: usize,
    per_minute: usize,
    /// When messages were sent, the newest last: those of the last minute, and no more than a minute holds.
    sent: VecDeque<Span>,
    /// From when on life-safety notices may go again, and all others.
    shut: Option<(Span, Span)>,
}

impl Budget {
    /// Bounds for a second and a minute; 0 is none.
    #[must_use]
    pub(super) fn new(per_second: u32, per_minute: u32) -> Self {
        let size = |rate: u32| usize::try_from(rate).unwrap_or(usize::MAX);
        Self {
            per_second: size(per_second),
            per_minute: size(per_minute),
            ..Self::default()
        }
    }

    /// How many messages may go at `now`.
    #[must_use]
    pub(super) fn room(&self, now: Span) -> Room {
        let (urgent_from, others_from) = self.shut.unwrap_or_default();
        let left = |most: usize, window: Span| match most {
            0 => usize::MAX,
            most => most.saturating_sub(self.sent_since(now, window)),
        };
        let all = left(self.per_second, SECOND).min(left(self.per_minute, MINUTE));
        let others = left(open(self.per_second), SECOND).min(left(open(self.per_minute), MINUTE));
        Room {
            all: if now < urgent_from { 0 } else { all },
            others: if now < others_from { 0 } else { others.min(all) },
        }
    }

    /// A message goes now.
    pub(super) fn take(&mut self, now: Span) {
        self.sent.push_back(now);
        let window = if self.per_minute == 0 { SECOND } else { MINUTE };
        let kept = self.per_minute.max(self.per_second);
        while self.sent.len() > kept || self.sent.front().is_some_and(|at| gone(*at, window, now)) {
            self.sent.pop_front();
        }
    }

    /// The other side says that it was too fast, and to wait for `pause`.
    pub(super) fn shut(&mut self, now: Span, pause: Span) {
        let pause = pause.min(SHUT_MAX);
        let urgent = plus(now, pause.min(PROBE));
        self.shut = Some((urgent, plus(now, pause)));
    }

    /// From when on there is room where there is none now: for a life-safety notice, or for others.
    #[must_use]
    pub(super) fn opens_at(&self, now: Span, life_safety: bool) -> Span {
        let (urgent_from, others_from) = self.shut.unwrap_or_default();
        let (from, second, minute) = if life_safety {
            (urgent_from, self.per_second, self.per_minute)
        } else {
            (others_from, open(self.per_second), open(self.per_minute))
        };
        let leaves = |most: usize, window: Span| {
            let place = self.sent.len().checked_sub(most).filter(|_| most > 0)?;
            self.sent.get(place).map(|at| plus(*at, window))
        };
        [Some(from), leaves(second, SECOND), leaves(minute, MINUTE)]
            .into_iter()
            .flatten()
            .fold(now, Span::max)
    }

    fn sent_since(&self, now: Span, window: Span) -> usize {
        let counts = |at: &&Span| !gone(**at, window, now);
        self.sent.iter().rev().take_while(counts).count()
    }
}

/// What is left of a bound for notices that are not life-safety; no bound stays none.
fn open(most: usize) -> usize {
    if most < 2 { most } else { most - most.div_ceil(4) }
}

fn gone(at: Span, window: Span, now: Span) -> bool {
    plus(at, window) <= now
}

fn plus(at: Span, span: Span) -> Span {
    Span::from_millis(at.millis().saturating_add(span.millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Span {
        Span::from_millis(ms)
    }

    #[test]
    fn twenty_a_minute_leave_five_for_what_saves_lives() {
        // Given a robot that takes 20 a minute,
        let mut budget = Budget::new(0, 20);
        assert_eq!(budget.room(at(0)), Room { all: 20, others: 15 });
        // when fifteen others have gone, one every 100 ms,
        for number in 0..15 {
            budget.take(at(number * 100));
        }
        // then no other one fits until the first is a minute old, and five of the urgent kind do.
        assert_eq!(budget.room(at(2000)), Room { all: 5, others: 0 });
        assert_eq!(budget.opens_at(at(2000), false), at(60_000));
        assert_eq!(budget.opens_at(at(2000), true), at(2000));
        assert_eq!(budget.room(at(59_999)).others, 0);
        assert_eq!(budget.room(at(60_000)).others, 1);
        // When those five have gone too, nothing fits.
        for _ in 0..5 {
            budget.take(at(2000));
        }
        assert_eq!(budget.room(at(3000)), Room { all: 0, others: 0 });
        assert_eq!(budget.opens_at(at(3000), true), at(60_000));
    }

    #[test]
    fn the_window_of_a_second_counts_beside_that_of_a_minute() {
        let mut budget = Budget::new(5, 100);
        for _ in 0..5 {
            budget.take(at(10_000));
        }
        assert_eq!(budget.room(at(10_999)), Room { all: 0, others: 0 });
        assert_eq!(budget.opens_at(at(10_500), true), at(11_000));
        assert_eq!(budget.room(at(11_000)), Room { all: 5, others: 3 });
    }

    #[test]
    fn in_no_window_of_a_minute_is_more_sent_than_fits() {
        // Given a sender that takes every place at once, at odd times,
        let mut budget = Budget::new(5, 20);
        let mut sent: Vec<u64> = Vec::new();
        let mut now = 0;
        while now < 600_000 {
            for _ in 0..budget.room(at(now)).all {
                budget.take(at(now));
                sent.push(now);
            }
            now += 137;
        }
        // then no minute and no second holds more than its bound, and the bound is used.
        for (window, most) in [(60_000, 20), (1000, 5)] {
            let fullest = sent
                .iter()
                .map(|from| {
                    sent.iter()
                        .filter(|at| (*from..from + window).contains(*at))
                        .count()
                })
                .max();
            assert_eq!(fullest, Some(most), "{window}");
        }
        assert!(sent.len() >= 190, "{}", sent.len());
    }

    #[test]
    fn without_bounds_there_is_always_room() {
        let mut budget = Budget::new(0, 0);
        for _ in 0..1000 {
            budget.take(at(5));
        }
        assert_eq!(budget.room(at(5)).others, usize::MAX);
        assert!(budget.sent.len() <= 1);
    }

    #[test]
    fn a_channel_that_says_too_fast_is_shut_and_life_safety_asks_once_a_minute() {
        let mut budget = Budget::new(0, 20);
        budget.shut(at(1000), Span::from_secs(600));
        assert_eq!(budget.room(at(60_999)), Room { all: 0, others: 0 });
        assert_eq!(budget.opens_at(at(2000), true), at(61_000));
        assert_eq!(budget.room(at(61_000)), Room { all: 20, others: 0 });
        assert_eq!(budget.opens_at(at(2000), false), at(601_000));
        assert_eq!(budget.room(at(601_000)).others, 15);
    }
}
