//! How much one client may say in a second, over all its connections.

use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use super::bucket::Bucket;
use crate::config::Allowance;
use crate::limits::{BURST, PACES_MAX};

/// The paces of all who are connected, and of those who left in debt.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    buckets: FxHashMap<Box<str>, Arc<Mutex<Buckets>>>,
    /// How many were in use when it was last swept.
    in_use: usize,
}

impl Known {
    /// Forgets those who are not connected: first those without debt, then, if that was not enough, all. Done
    /// once in [`PACES_MAX`] newcomers.
    fn sweep(&mut self, now: Instant) {
        if self.buckets.len() < self.in_use + 2 * PACES_MAX {
            return;
        }
        self.buckets
            .retain(|_, buckets| Arc::strong_count(buckets) > 1 || !lock(buckets).is_full(now));
        self.in_use = self.buckets.values().filter(|b| Arc::strong_count(b) > 1).count();
        if self.buckets.len() > self.in_use + PACES_MAX {
            self.buckets.retain(|_, buckets| Arc::strong_count(buckets) > 1);
        }
    }
}

#[derive(Debug)]
struct Buckets {
    messages: Bucket,
    bytes: Bucket,
}

impl Buckets {
    fn is_full(&mut self, now: Instant) -> bool {
        self.messages.is_full(now) && self.bytes.is_full(now)
    }
}

impl Paces {
    /// The pace of the client `name`: as it left it, when it was here a moment ago.
    pub(crate) fn of(&self, name: &str, allowance: &Allowance) -> Pace {
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.sweep(now);
        let fresh = || {
            Arc::new(Mutex::new(Buckets {
                messages: Bucket::new(allowance.messages_per_s, BURST, now),
                bytes: Bucket::new(allowance.bytes_per_s, BURST, now),
            }))
        };
        let buckets = Arc::clone(known.buckets.entry(name.into()).or_insert_with(fresh));
        Pace { buckets, until: None }
    }
}

fn lock(buckets: &Mutex<Buckets>) -> std::sync::MutexGuard<'_, Buckets> {
    buckets.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pace of one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    buckets: Arc<Mutex<Buckets>>,
    until: Option<Instant>,
}

impl Pace {
    /// One message of `bytes` came.
    pub(crate) fn spend(&mut self, bytes: usize) {
        let now = Instant::now();
        let mut buckets = lock(&self.buckets);
        buckets.messages.spend(1, now);
        buckets.bytes.spend(u32::try_from(bytes).unwrap_or(u32::MAX), now);
        self.until = buckets.messages.paid_at().max(buckets.bytes.paid_at());
    }

    /// Until when the client is left unread; none when it may speak.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.until.filter(|&until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Allowance = Allowance {
        packet_bytes_max: 1000,
        messages_per_s: 1,
        bytes_per_s: 0,
    };

    #[test]
    fn a_client_that_comes_back_finds_its_debt() {
        // Given a client that has spent its burst of ten messages and one more,
        let paces = Paces::default();
        let mut first = paces.of("pump", &SLOW);
        (0..10).for_each(|_| first.spend(9));
        assert_eq!(first.held_until(), None);
        first.spend(9);
        assert!(first.held_until().is_some());
        // when it connects again, then its next message is held too; another's is not.
        drop(first);
        let (mut again, mut other) = (paces.of("pump", &SLOW), paces.of("lamp", &SLOW));
        again.spend(9);
        other.spend(9);
        assert!(again.held_until().is_some() && other.held_until().is_none());
    }

    #[test]
    fn those_who_left_without_debt_are_forgotten_and_the_list_stays_bounded() {
        // Given many who came and left, half of them in debt,
        let paces = Paces::default();
        let connected = paces.of("here", &SLOW);
        for client in 0..4 * PACES_MAX {
            let mut pace = paces.of(&client.to_string(), &SLOW);
            (0..12 * (client % 2)).for_each(|_| pace.spend(1));
            // then the list is never longer than twice the bound and those who are here,
            assert!(paces.known.lock().unwrap().buckets.len() <= 2 * PACES_MAX + 2);
        }
        // and those who are here stand in it.
        assert_eq!(Arc::strong_count(&connected.buckets), 2);
    }
}
