//! How often each may come: a token bucket for each key.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use telemetry::time::Span;

use crate::limits::PUSH_BUCKETS_MAX;

/// A bucket that holds a thousandth of a token for each of its units.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    milli_tokens: u64,
    at: Span,
}

/// Buckets by key. A key that is not known has a full one; at [`PUSH_BUCKETS_MAX`] those that are full again are
/// forgotten, and when all are in use, a new key is refused.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    per_s: u64,
    /// What a full bucket holds.
    full: u64,
    by_key: Mutex<BTreeMap<K, Bucket>>,
}

impl<K: Ord> Buckets<K> {
    /// Buckets that hold `burst` tokens and get `per_s` of them back each second; both at least 1.
    pub(crate) fn new(per_s: u32, burst: u32) -> Self {
        Self {
            per_s: u64::from(per_s.max(1)),
            full: u64::from(burst.max(1)) * 1000,
            by_key: Mutex::default(),
        }
    }

    /// Takes a token; else in how many seconds there will be one, at least 1.
    pub(crate) fn take(&self, key: K, now: Span) -> Result<(), u64> {
        self.at(key, now, |bucket| {
            bucket.milli_tokens = bucket.milli_tokens.saturating_sub(1000);
        })
    }

    /// Whether there is a token, without taking it.
    pub(crate) fn check(&self, key: K, now: Span) -> Result<(), u64> {
        self.at(key, now, |_| {})
    }

    fn at(&self, key: K, now: Span, then: impl FnOnce(&mut Bucket)) -> Result<(), u64> {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.len() >= PUSH_BUCKETS_MAX && !by_key.contains_key(&key) {
            by_key.retain(|_, bucket| self.filled(*bucket, now).milli_tokens < self.full);
            if by_key.len() >= PUSH_BUCKETS_MAX {
                return Err(1);
            }
        }
        let bucket = by_key.entry(key).or_insert(Bucket {
            milli_tokens: self.full,
            at: now,
        });
        *bucket = self.filled(*bucket, now);
        if bucket.milli_tokens >= 1000 {
            then(bucket);
            return Ok(());
        }
        let missing = 1000 - bucket.milli_tokens;
        Err(missing.div_ceil(self.per_s * 1000).max(1))
    }

    fn filled(&self, bucket: Bucket, now: Span) -> Bucket {
        let passed_ms = now.millis().saturating_sub(bucket.at.millis());
        Bucket {
            milli_tokens: bucket
                .milli_tokens
                .saturating_add(passed_ms.saturating_mul(self.per_s))
                .min(self.full),
            at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Span {
        Span::from_millis(ms)
    }

    #[test]
    fn a_burst_passes_then_the_rate_and_each_key_has_its_own() {
        // Given two tokens a second and three at once,
        let buckets = Buckets::new(2, 3);
        // when four come at once, then three pass;
        let passed = (0..4).filter(|_| buckets.take("a", at(0)).is_ok()).count();
        assert_eq!(passed, 3);
        assert_eq!(buckets.take("a", at(499)), Err(1));
        // half a second later one more, and another key is not concerned.
        assert_eq!(buckets.take("a", at(500)), Ok(()));
        assert_eq!(buckets.take("a", at(501)), Err(1));
        assert_eq!(buckets.take("b", at(501)), Ok(()));
    }

    #[test]
    fn many_keys_take_a_bounded_room_and_those_at_rest_are_forgotten() {
        let buckets = Buckets::new(1, 1);
        for key in 0..PUSH_BUCKETS_MAX {
            assert_eq!(buckets.take(key, at(0)), Ok(()));
        }
        assert_eq!(buckets.take(PUSH_BUCKETS_MAX, at(0)), Err(1));
        assert_eq!(buckets.take(PUSH_BUCKETS_MAX, at(1000)), Ok(()));
        assert_eq!(buckets.by_key.lock().unwrap().len(), 1);
    }
}
