//! What one device said before, as far as the next message must be compared with it: pure, and bounded
//! to about 900 bytes a device.

pub(crate) mod clock_watch;
pub(crate) mod seen;
pub(crate) mod seq_watch;

use telemetry::time::{Span, Timestamp};

use crate::decode::DeviceTime;
use clock_watch::ClockWatch;
use seen::Seen;
use seq_watch::SeqWatch;

/// How far a device's time may lie ahead of the arrival. Source: `alarms.md` §2.1, F = 60 s.
const FUTURE_TOLERANCE: Span = Span::from_secs(60);
/// A reading older than this on arrival is late. Source: `alarms.md` §2.1, live age P = 900 s.
const LIVE_AGE: Span = Span::from_secs(900);
/// 2020-01-01T00:00:00Z: no reading is older than this system; a clock that says so is dead.
const DEAD_BEFORE: Timestamp = Timestamp::from_millis(1_577_836_800_000);
/// How often the silence of a unit is written down while it lasts.
const NO_ANSWER_EVERY: Span = Span::from_secs(60);

/// The memory of one device.
#[derive(Debug, Default)]
pub(crate) struct DeviceState {
    pub(crate) seen: Seen,
    pub(crate) seq: SeqWatch,
    clock: ClockWatch,
    /// Latest event time of all that was stored.
    newest: Option<Timestamp>,
    /// When the silence of a polled unit was last written down.
    no_answer: Option<Timestamp>,
}

/// When a reading was, and what was found out about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    pub(crate) time: Timestamp,
    /// The device's clock lies: `time` is made from the time of arrival.
    pub(crate) skewed: bool,
}

/// The corrections that hold for all records of one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dating {
    arrived: Timestamp,
    /// What is added to times that cannot be: the latest of them falls on the arrival.
    dead_shift_ms: i64,
    /// What is added to times that can be; none when the clock is believed.
    lie_ms: Option<i64>,
}

/// Whether a device's time can be, seen from the time of arrival. Where our own clock shows a year before
/// 2020 it is the one that lies, and every time of a device is believed.
fn is_credible(time: Timestamp, arrived: Timestamp) -> bool {
    arrived < DEAD_BEFORE || (time >= DEAD_BEFORE && time <= arrived.plus(FUTURE_TOLERANCE))
}

/// Whether a reading says by itself which one it is, so that an equal one is the same once more: it has a
/// credible time, or a sequence number other than those that every restart begins with.
pub(crate) fn has_identity(time: DeviceTime, seq: Option<u64>, arrived: Timestamp) -> bool {
    match time {
        DeviceTime::At(time) if is_credible(time, arrived) => true,
        _ => seq.is_some_and(|seq| seq >= 2),
    }
}

impl DeviceState {
    /// Looks at the times of a message, given as (time, back-fill), and says how to date its records.
    pub(crate) fn date(
        &mut self,
        arrived: Timestamp,
        records: impl Iterator<Item = (DeviceTime, bool)>,
    ) -> Dating {
        let (mut latest_dead, mut latest_live): (Option<Timestamp>, Option<Timestamp>) = (None, None);
        for (time, backfill) in records {
            match time {
                DeviceTime::At(time) if !is_credible(time, arrived) => {
                    latest_dead = latest_dead.max(Some(time))
                }
                DeviceTime::At(time) if !backfill => latest_live = latest_live.max(Some(time)),
                DeviceTime::At(_) | DeviceTime::None | DeviceTime::Unreadable => {}
            }
        }
        if let Some(live) = latest_live {
            self.clock.observe(arrived, live);
        }
        Dating {
            arrived,
            dead_shift_ms: latest_dead.map_or(0, |latest| arrived.millis_since(latest)),
            lie_ms: self.clock.lies_by_ms(),
        }
    }

    /// Whether `time` is later than that of everything stored before.
    pub(crate) fn is_newer(&self, time: Timestamp) -> bool {
        self.newest.is_none_or(|newest| time > newest)
    }

    /// Whether a reading of `time` came out of order or too long after it was taken, and whether it is
    /// news: not history behind what is already known. Remembers it.
    pub(crate) fn place(&mut self, time: Timestamp, arrived: Timestamp) -> Placed {
        let out_of_order = self.newest.is_some_and(|newest| time < newest);
        let old = arrived.millis_since(time) > LIVE_AGE.millis_i64();
        self.newest = self.newest.max(Some(time));
        Placed {
            late: out_of_order || old,
            news: !(out_of_order && old),
        }
    }

    /// Whether the silence of a polled unit is to be written down now: when it begins, and then at most
    /// once a minute. `silent`: some read of this poll brought nothing.
    pub(crate) fn record_no_answer(&mut self, silent: bool, arrived: Timestamp) -> bool {
        if !silent {
            self.no_answer = None;
            return false;
        }
        let due = self
            .no_answer
            .is_none_or(|last| arrived >= last.plus(NO_ANSWER_EVERY) || arrived < last);
        if due {
            self.no_answer = Some(arrived);
        }
        due
    }
}

/// See [`DeviceState::place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) late: bool,
    pub(crate) news: bool,
}

impl Dating {
    /// When a record of the message was. Never later than the arrival, where the clock lies.
    pub(crate) fn of(&self, time: DeviceTime) -> Dated {
        let lied = |time: Timestamp, by_ms: i64| Dated {
            time: Timestamp::from_millis(time.millis().saturating_add(by_ms)).min(self.arrived),
            skewed: true,
        };
        match time {
            DeviceTime::None => Dated {
                time: self.arrived,
                skewed: false,
            },
            DeviceTime::Unreadable => lied(self.arrived, 0),
            DeviceTime::At(time) if !is_credible(time, self.arrived) => {
                let shifted = lied(time, self.dead_shift_ms);
                if is_credible(shifted.time, self.arrived) {
                    shifted
                } else {
                    lied(self.arrived, 0)
                }
            }
            DeviceTime::At(time) => match self.lie_ms {
                Some(by_ms) => lied(time, by_ms),
                None => Dated { time, skewed: false },
            },
        }
    }
}
