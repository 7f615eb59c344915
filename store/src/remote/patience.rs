//! How long to wait before a write is tried again. Pure.

use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(250);
/// The longest, unless the engine asks for more.
const MOST: Duration = Duration::from_secs(30);

/// Waits that double, less up to half of each at random, so that many writers do not come back at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    failures: u32,
    random: u64,
}

impl Patience {
    /// `seed` tells one writer from another.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            failures: 0,
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        }
    }

    /// A write was answered with yes or no.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// A write was not: how long to wait, at least what the engine asked for.
    pub(super) fn failed(&mut self, asked: Option<Duration>) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let half_ms = u64::try_from(wait.as_millis() / 2).unwrap_or(u64::MAX);
        let less = Duration::from_millis(self.random % half_ms.saturating_add(1));
        self.failures = self.failures.saturating_add(1);
        wait.saturating_sub(less).max(asked.unwrap_or_default())
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_with_jitter_and_never_undercut_the_engine() {
        let waits = |seed| {
            let mut patience = Patience::new(seed);
            std::iter::repeat_with(|| patience.failed(None))
                .take(40)
                .collect::<Vec<_>>()
        };
        let first = waits(1);
        for (place, wait) in first.iter().enumerate() {
            let full = FIRST.saturating_mul(1 << place.min(16)).min(MOST);
            assert!(
                *wait <= full && *wait >= full / 2,
                "{place}: {wait:?} of {full:?}"
            );
        }
        assert_ne!(first, waits(2));
        let mut patience = Patience::new(1);
        assert_eq!(
            patience.failed(Some(Duration::from_secs(90))),
            Duration::from_secs(90)
        );
        assert_eq!(patience.failures(), 1);
        patience.answered();
        assert!(patience.failed(None) <= FIRST);
    }
}
