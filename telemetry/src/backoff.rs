//! How long to wait before something that failed is tried again. Pure.

use crate::time::Span;

/// The first wait.
const FIRST: Span = Span::from_millis(250);
/// Doublings after which a wait no longer grows: 250 ms doubled twenty times are three days.
const DOUBLINGS_MAX: u32 = 20;

/// Waits that double from 250 ms on, less up to half of each at random, so that many who lost the same peer do not
/// come back to it at once.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    failures: u32,
    most: Span,
    /// A small generator of its own (xorshift): the waits only have to differ between those who wait.
    random: u64,
}

impl Backoff {
    /// `seed` tells one who waits from another; no wait is longer than `most`.
    #[must_use]
    pub const fn new(seed: u64, most: Span) -> Self {
        Self {
            failures: 0,
            most,
            // Spreads small seeds over all bits; xorshift must not begin at zero.
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// An attempt failed: how long to wait before the next.
    pub fn failed(&mut self) -> Span {
        let doubled = FIRST.millis() << self.failures.min(DOUBLINGS_MAX);
        let wait = doubled.min(self.most.millis());
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.failures = self.failures.saturating_add(1);
        Span::from_millis(wait - self.random % (wait / 2 + 1))
    }

    /// An attempt succeeded: the next failure waits shortly again. Answers whether the last one had failed.
    pub fn succeeded(&mut self) -> bool {
        std::mem::take(&mut self.failures) > 0
    }

    /// Failures in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ_between_those_who_wait() {
        // Given two who lost the same peer, when each fails forty times,
        let most = Span::from_secs(30);
        let waits = |seed| {
            let mut backoff = Backoff::new(seed, most);
            std::iter::repeat_with(|| backoff.failed().millis())
                .take(40)
                .collect::<Vec<_>>()
        };
        let first = waits(1);
        // then each wait lies between half of the doubled one and the whole,
        let full = [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        for (place, wait) in first.iter().enumerate() {
            let full = full.get(place).copied().unwrap_or(30_000);
            assert!(
                (full / 2..=full).contains(wait),
                "{place}: {wait} ms of {full} ms"
            );
        }
        // and they do not wait alike.
        assert_ne!(first, waits(2));
    }

    #[test]
    fn after_a_success_the_waits_begin_anew_and_it_is_told_that_it_was_down() {
        let mut backoff = Backoff::new(7, Span::from_secs(10));
        assert!(!backoff.succeeded(), "it never failed");
        for failures in 1..=5 {
            backoff.failed();
            assert_eq!(backoff.failures(), failures);
        }
        assert!(backoff.succeeded() && !backoff.succeeded());
        assert!(backoff.failed() <= FIRST);
    }

    #[test]
    fn with_no_time_to_wait_it_does_not_wait() {
        let mut backoff = Backoff::new(0, Span::ZERO);
        assert_eq!(backoff.failed(), Span::ZERO);
    }
}
