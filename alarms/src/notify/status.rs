//! How the channels are: what the program raises its own alarm from, and shows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use telemetry::time::Span;
use telemetry::{Clock, Timestamp};

use super::attempt::Outcome;
use super::render::cut;

/// A channel that has failed for so long is failed. Source: `alarms.md` case A34.
pub const FAILED_AFTER: Span = Span::from_secs(60);
/// The worker looks at the outbox every five seconds at least; after so long in real time without a look it stands still.
const STANDS_STILL_AFTER: Duration = Duration::from_secs(30);
/// Most bytes that are kept of why a channel failed.
const WHY_BYTES_MAX: usize = 300;

/// How one channel is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// Its name; `heartbeat` for the sign of life.
    pub name: Box<str>,
    /// Its kind, e.g. `email`.
    pub kind: &'static str,
    /// Notices that wait for it, those under way among them.
    pub queued: u64,
    /// When the first attempt failed since the last success; none while it works.
    pub failing_since: Option<Timestamp>,
    /// Why the last attempt failed; none while it works.
    pub last_error: Option<String>,
    /// When it took something last, since the start.
    pub delivered_at: Option<Timestamp>,
    /// A life-safety notice has gone on to another channel since it failed.
    pub passed_over: bool,
}

impl ChannelState {
    /// Whether it counts as failed: it has failed for a minute, or was passed over.
    #[must_use]
    pub fn is_failed(&self, now: Timestamp) -> bool {
        let long = |since: Timestamp| now.millis_since(since) >= FAILED_AFTER.millis_i64();
        self.passed_over || self.failing_since.is_some_and(long)
    }
}

#[derive(Debug, Default)]
struct Inner {
    channels: BTreeMap<Box<str>, ChannelState>,
    /// The last look at the outbox, on the clock that never steps; none while no worker runs.
    looked: Option<Span>,
}

/// How all channels are, and the worker. Share it behind an `Arc`.
#[derive(Debug, Default)]
pub struct NotifyStatus {
    inner: Mutex<Inner>,
}

impl NotifyStatus {
    /// Every channel, by name.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelState> {
        self.lock().channels.values().cloned().collect()
    }

    /// How many channels have failed; a worker that stands still counts as one, and the heartbeat is one.
    #[must_use]
    pub fn failed(&self, clock: &dyn Clock) -> usize {
        let now = clock.now();
        let still = usize::from(self.stands_still(clock));
        let inner = self.lock();
        let failed = inner.channels.values().filter(|channel| channel.is_failed(now));
        failed.count() + still
    }

    /// Whether the worker has not looked at the outbox for long, although it runs.
    #[must_use]
    pub fn stands_still(&self, clock: &dyn Clock) -> bool {
        let mono = clock.monotonic();
        let gone = |looked: Span| {
            let passed = mono.since(looked);
            clock.real(passed) > STANDS_STILL_AFTER
        };
        self.lock().looked.is_some_and(gone)
    }

    /// The worker begins, with these channels and their kinds.
    pub(super) fn begin(&self, channels: impl Iterator<Item = (Box<str>, &'static str)>, mono: Span) {
        let state = |(name, kind): (Box<str>, &'static str)| {
            let state = ChannelState {
                name: name.clone(),
                kind,
                ..ChannelState::default()
            };
            (name, state)
        };
        let mut inner = self.lock();
        inner.channels = channels.map(state).collect();
        inner.looked = Some(mono);
    }

    /// The worker ends in order.
    pub(super) fn end(&self) {
        self.lock().looked = None;
    }

    /// The worker has looked at the outbox.
    pub(super) fn looked(&self, mono: Span, queued: impl Fn(&str) -> u64) {
        let mut inner = self.lock();
        inner.looked = Some(mono);
        for channel in inner.channels.values_mut() {
            channel.queued = queued(&channel.name);
        }
    }

    /// An attempt has ended.
    pub(super) fn attempted(&self, name: &str, outcome: &Outcome, now: Timestamp) {
        let mut inner = self.lock();
        let Some(channel) = inner.channels.get_mut(name) else {
            return;
        };
        match outcome.why() {
            None => {
                channel.failing_since = None;
                channel.last_error = None;
                channel.passed_over = false;
                channel.delivered_at = Some(now);
            }
            Some(why) => {
                channel.failing_since.get_or_insert(now);
                channel.last_error = Some(cut(why, WHY_BYTES_MAX));
            }
        }
    }

    /// A life-safety notice has gone on to another channel.
    pub(super) fn pass_over(&self, name: &str, now: Timestamp) {
        if let Some(channel) = self.lock().channels.get_mut(name) {
            channel.failing_since.get_or_insert(now);
            channel.passed_over = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use telemetry::time::ManualClock;

    use super::*;

    #[test]
    fn a_channel_has_failed_after_a_minute_and_works_again_with_the_first_success() {
        // Given a channel that fails,
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let status = NotifyStatus::default();
        status.begin([("a".into(), "sms")].into_iter(), clock.monotonic());
        let failed = Outcome::Failed("no".to_owned());
        status.attempted("a", &failed, clock.now());
        assert_eq!(status.failed(&clock), 0);
        // when it still does after a minute, then it counts;
        clock.advance(Span::from_secs(60));
        status.looked(clock.monotonic(), |_| 3);
        status.attempted("a", &failed, clock.now());
        assert_eq!(status.failed(&clock), 1);
        let state = status.channels().remove(0);
        assert_eq!((state.queued, state.last_error.as_deref()), (3, Some("no")));
        assert_eq!(state.failing_since, Some(Timestamp::from_millis(0)));
        // when it takes something, it does not.
        status.attempted("a", &Outcome::Delivered, clock.now());
        assert_eq!(status.failed(&clock), 0);
        // A channel that was passed over counts at once.
        status.pass_over("a", clock.now());
        assert_eq!(status.failed(&clock), 1);
    }

    #[test]
    fn a_worker_that_stands_still_counts_and_one_that_has_ended_does_not() {
        let clock = ManualClock::at(Timestamp::from_millis(0));
        let status = NotifyStatus::default();
        clock.advance(Span::from_secs(999));
        assert_eq!(status.failed(&clock), 0, "no worker was begun");
        status.begin(std::iter::empty(), clock.monotonic());
        clock.advance(Span::from_secs(31));
        assert_eq!((status.failed(&clock), status.stands_still(&clock)), (1, true));
        status.end();
        assert_eq!(status.failed(&clock), 0);
    }
}
