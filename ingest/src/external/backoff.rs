//! When a lost connection is tried again. Pure.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);

/// Waits that double, less up to half of each at random, so that many clients do not come back at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    failures: u32,
    most: Duration,
    random: u64,
}

impl Backoff {
    /// `seed` tells one client from another.
    pub(super) fn new(seed: u64, most: Duration) -> Self {
        Self {
            failures: 0,
            most,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// A connection was made and worked.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// One failed: how long to wait, and whether it is the first in a row.
    pub(super) fn failed(&mut self) -> (Duration, bool) {
        let wait = FIRST.saturating_mul(1 << self.failures.min(20)).min(self.most);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let half_ms = u64::try_from(wait.as_millis() / 2).unwrap_or(u64::MAX);
        let less = Duration::from_millis(self.random % half_ms.saturating_add(1));
        self.failures = self.failures.saturating_add(1);
        (wait.saturating_sub(less), self.failures == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_differ_between_clients() {
        let most = Duration::from_secs(10);
        let waits = |seed| {
            let mut backoff = Backoff::new(seed, most);
            std::iter::repeat_with(|| backoff.failed())
                .take(12)
                .collect::<Vec<_>>()
        };
        let first = waits(1);
        for (place, (wait, is_first)) in first.iter().enumerate() {
            let full = FIRST.saturating_mul(1 << place).min(most);
            assert!(
                *wait <= full && *wait >= full / 2,
                "{place}: {wait:?} of {full:?}"
            );
            assert_eq!(*is_first, place == 0);
        }
        assert_ne!(first, waits(2));
        let mut backoff = Backoff::new(1, most);
        backoff.failed();
        backoff.succeeded();
        assert!(backoff.failed().1);
    }
}
