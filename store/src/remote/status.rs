//! What the writer of a remote engine has done, for metrics and readiness.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use telemetry::{Lsn, Timestamp};

/// Nothing waits.
const NOTHING: i64 = i64::MIN;

/// Shared by the writer and whoever looks at it.
#[derive(Debug, Default)]
pub struct RemoteStatus {
    /// Lines that the engine has acknowledged; those that came again count again.
    pub sent: AtomicU64,
    /// Requests that it has acknowledged.
    pub requests: AtomicU64,
    /// Lines that it refused: they are dead letters.
    pub refused: AtomicU64,
    /// Requests that it refused in part or whole, to be halved.
    pub halved: AtomicU64,
    /// Requests that were not answered, or with "later".
    pub retried: AtomicU64,
    /// Points that were left out: not finite, or of a series that is not registered any more.
    pub left_out: AtomicU64,
    /// How often it was gone back to the durable cursor, because the engine was restarted.
    pub replays: AtomicU64,
    /// Messages that the journal had dropped before they were sent: it had no more room for them.
    pub missed: AtomicU64,
    /// Rows that the engine itself says it left out since it was started (VictoriaMetrics only).
    pub ignored_by_engine: AtomicU64,
    /// The writer has stopped by itself: a mistake, or the disk.
    pub stopped: AtomicBool,
    sent_upto: AtomicU64,
    durable_upto: AtomicU64,
    /// When the oldest message that waits has arrived, in ms; 0 before the first look.
    waiting_since: AtomicI64,
    trouble: Mutex<Option<String>>,
}

impl RemoteStatus {
    /// The last message that the engine has acknowledged.
    #[must_use]
    pub fn sent_upto(&self) -> Lsn {
        Lsn(self.sent_upto.load(Ordering::Acquire))
    }

    /// The last message that is certainly on its disk.
    #[must_use]
    pub fn durable_upto(&self) -> Lsn {
        Lsn(self.durable_upto.load(Ordering::Acquire))
    }

    pub(super) fn set_upto(&self, sent: Lsn, durable: Lsn) {
        self.sent_upto.store(sent.0, Ordering::Release);
        self.durable_upto.store(durable.0, Ordering::Release);
    }

    /// How long the oldest message that was read for the engine and is not acknowledged waits, in ms; 0 when none does.
    #[must_use]
    pub fn waits_ms(&self, now: Timestamp) -> i64 {
        match self.waiting_since.load(Ordering::Acquire) {
            0 | NOTHING => 0,
            since => now.millis().saturating_sub(since).max(0),
        }
    }

    /// Whether no message waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.waiting_since.load(Ordering::Acquire), 0 | NOTHING)
    }

    /// The oldest message that waits has arrived then; none waits.
    pub fn set_waiting(&self, since: Option<Timestamp>) {
        let since = since.map_or(NOTHING, Timestamp::millis);
        self.waiting_since.store(since, Ordering::Release);
    }

    /// Why nothing is acknowledged now; none while all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether this changes anything.
    pub(super) fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut now = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = now.is_some() != trouble.is_some();
        *now = trouble;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_told_by_the_age_of_the_oldest_and_nothing_by_none() {
        let status = RemoteStatus::default();
        let at = Timestamp::from_millis;
        assert!(status.is_idle() && status.waits_ms(at(9000)) == 0);
        status.set_waiting(Some(at(4000)));
        assert!(!status.is_idle());
        assert_eq!((status.waits_ms(at(9000)), status.waits_ms(at(3000))), (5000, 0));
        status.set_waiting(None);
        assert!(status.is_idle() && status.waits_ms(at(9000)) == 0);
    }

    #[test]
    fn trouble_is_news_when_it_begins_and_when_it_ends() {
        let status = RemoteStatus::default();
        assert!(!status.set_trouble(None));
        assert!(status.set_trouble(Some("401".to_owned())));
        assert!(!status.set_trouble(Some("503".to_owned())));
        assert_eq!(status.trouble().as_deref(), Some("503"));
        assert!(status.set_trouble(None));
    }
}
