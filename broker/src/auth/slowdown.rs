//! Slows down whoever guesses passwords: pure, the time comes in.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::limits::{
    FAILED_LOGIN_FORGOTTEN_AFTER, FAILED_LOGIN_PAUSE_MAX, FAILED_LOGINS_FREE, FAILED_LOGINS_KEPT_MAX,
};

/// From where, and as whom: the user as a keyed hash, so that an endless one takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    from: IpAddr,
    user: u64,
}

impl Who {
    /// Of IPv6 the first 64 bits count: one customer usually has them all.
    pub(super) fn new(from: IpAddr, user: u64) -> Self {
        let from = match from.to_canonical() {
            v4 @ IpAddr::V4(_) => v4,
            IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        };
        Self { from, user }
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    /// When the next password may be tried: at once for the first few, then 1 s, 2 s, 4 s … later.
    fn open_from(self) -> Instant {
        let beyond = match self.count.checked_sub(FAILED_LOGINS_FREE) {
            None => return self.last,
            Some(beyond) => beyond,
        };
        let pause = Duration::from_secs(1).saturating_mul(1_u32.checked_shl(beyond).unwrap_or(u32::MAX));
        self.last + pause.min(FAILED_LOGIN_PAUSE_MAX)
    }
}

/// The latest failed logins, of at most [`FAILED_LOGINS_KEPT_MAX`] places and users.
#[derive(Debug, Default)]
pub(super) struct SlowDown(FxHashMap<Who, Failures>);

impl SlowDown {
    /// Whether a password may be tried now.
    pub(super) fn is_open(&self, who: Who, now: Instant) -> bool {
        self.0
            .get(&who)
            .is_none_or(|failures| now >= failures.open_from())
    }

    /// A password was wrong.
    pub(super) fn failed(&mut self, who: Who, now: Instant) {
        if let Some(failures) = self.0.get_mut(&who) {
            if now.saturating_duration_since(failures.last) > FAILED_LOGIN_FORGOTTEN_AFTER {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last = now;
            return;
        }
        if self.0.len() >= FAILED_LOGINS_KEPT_MAX {
            self.make_room(now);
        }
        self.0.insert(who, Failures { count: 1, last: now });
    }

    /// A password was right.
    pub(super) fn succeeded(&mut self, who: Who) {
        self.0.remove(&who);
    }

    /// Forgets what is old, or else the oldest.
    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, failures| {
            now.saturating_duration_since(failures.last) <= FAILED_LOGIN_FORGOTTEN_AFTER
        });
        if self.0.len() >= FAILED_LOGINS_KEPT_MAX {
            let oldest = self.0.iter().min_by_key(|(_, failures)| failures.last);
            if let Some(oldest) = oldest.map(|(who, _)| *who) {
                self.0.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(user: u64) -> Who {
        Who::new("192.0.2.1".parse().unwrap(), user)
    }

    #[tokio::test]
    async fn the_first_guesses_are_free_and_each_later_one_costs_twice_the_time() {
        // Given five wrong passwords,
        let (mut slow, start) = (SlowDown::default(), Instant::now());
        for _ in 0..4 {
            slow.failed(who(1), start);
            assert!(slow.is_open(who(1), start));
        }
        let mut now = start;
        for pause_s in [1, 2, 4, 8, 16, 30, 30] {
            slow.failed(who(1), now);
            // then the door stays shut for that user from that address as long as the table says,
            let pause = Duration::from_secs(pause_s);
            assert!(
                !slow.is_open(who(1), now + pause - Duration::from_millis(1)),
                "{pause_s}"
            );
            now += pause;
            assert!(slow.is_open(who(1), now), "{pause_s}");
        }
        // and nobody else has to wait.
        assert!(slow.is_open(who(2), start));
        assert!(slow.is_open(Who::new("192.0.2.2".parse().unwrap(), 1), start));
        // A right password wipes the slate, and so does time.
        slow.failed(who(1), now);
        slow.succeeded(who(1));
        assert!(slow.is_open(who(1), now));
    }

    #[tokio::test]
    async fn one_customer_of_ipv6_is_one_address() {
        let a = Who::new("2001:db8::1".parse().unwrap(), 1);
        assert_eq!(a, Who::new("2001:db8::ffff:1".parse().unwrap(), 1));
        assert_ne!(a, Who::new("2001:db8:0:1::1".parse().unwrap(), 1));
        assert_eq!(who(1), Who::new("::ffff:192.0.2.1".parse().unwrap(), 1));
    }

    #[tokio::test]
    async fn guesses_from_everywhere_take_a_bounded_amount_of_memory() {
        let (mut slow, start) = (SlowDown::default(), Instant::now());
        for user in 0..u64::try_from(FAILED_LOGINS_KEPT_MAX + 50).unwrap() {
            slow.failed(who(user), start + Duration::from_millis(user));
        }
        assert_eq!(slow.0.len(), FAILED_LOGINS_KEPT_MAX);
        assert!(
            !slow.0.contains_key(&who(49)) && slow.0.contains_key(&who(50)),
            "the oldest go first"
        );
    }
}
