//! A token bucket: pure.

use std::time::Duration;

use tokio::time::Instant;

/// Fills at a steady rate up to a burst. What is spent may go below zero once; then nothing more may be
/// spent until the debt is paid. So nothing is ever too large for it, only later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    /// Tokens each second; 0 is no limit.
    rate_per_s: f64,
    burst: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket that holds what comes in `burst`; a rate of 0 is no limit.
    pub(crate) fn new(rate_per_s: u32, burst: Duration, now: Instant) -> Self {
        let rate_per_s = f64::from(rate_per_s);
        let burst = (rate_per_s * burst.as_secs_f64()).max(1.0);
        Self {
            rate_per_s,
            burst,
            level: burst,
            at: now,
        }
    }

    /// Takes `tokens` out.
    pub(crate) fn spend(&mut self, tokens: u32, now: Instant) {
        if self.rate_per_s > 0.0 {
            self.fill(now);
            self.level -= f64::from(tokens);
        }
    }

    /// Takes one out when there is one; whether there was.
    pub(crate) fn try_one(&mut self, now: Instant) -> bool {
        self.fill(now);
        let there = self.rate_per_s <= 0.0 || self.level >= 1.0;
        if there {
            self.spend(1, now);
        }
        there
    }

    /// When the debt is paid; none when there is no debt.
    pub(crate) fn paid_at(&self) -> Option<Instant> {
        (self.level < 0.0).then(|| self.at + Duration::from_secs_f64(-self.level / self.rate_per_s))
    }

    /// When the next whole token is there; none when it is there already.
    pub(crate) fn next_at(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        let missing = 1.0 - self.level;
        (self.rate_per_s > 0.0 && missing > 0.0)
            .then(|| now + Duration::from_secs_f64(missing / self.rate_per_s))
    }

    /// Whether nothing would be forgotten if it were made anew.
    pub(crate) fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.level >= self.burst
    }

    fn fill(&mut self, now: Instant) {
        let gone = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + gone * self.rate_per_s).min(self.burst);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        // Given ten a second, for two seconds at once,
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 2 * SECOND, start);
        // when 25 come at once, then 20 were there, and five are owed: half a second.
        bucket.spend(20, start);
        assert_eq!(bucket.paid_at(), None);
        bucket.spend(5, start);
        assert_eq!(bucket.paid_at(), Some(start + SECOND / 2));
        // A second later five are there again, and no more than twenty ever.
        assert!((0..5).all(|_| bucket.try_one(start + SECOND)));
        assert!(!bucket.try_one(start + SECOND));
        assert!(!bucket.is_full(start + SECOND));
        assert!(bucket.is_full(start + 3 * SECOND));
        assert_eq!(
            (0..100).filter(|_| bucket.try_one(start + 60 * SECOND)).count(),
            20
        );
    }

    #[test]
    fn one_larger_than_the_burst_passes_and_is_paid_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1000, SECOND, start);
        bucket.spend(61_000, start);
        assert_eq!(bucket.paid_at(), Some(start + 60 * SECOND));
    }

    #[test]
    fn a_clock_that_stands_or_a_rate_of_zero_does_no_harm() {
        let start = Instant::now();
        let mut bucket = Bucket::new(1, SECOND, start + SECOND);
        bucket.spend(1, start);
        assert_eq!(bucket.next_at(start), Some(start + SECOND));
        let mut free = Bucket::new(0, SECOND, start);
        free.spend(u32::MAX, start);
        assert!(free.paid_at().is_none() && free.try_one(start) && free.next_at(start).is_none());
    }
}
