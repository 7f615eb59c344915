//! Finds a clock that runs well but is wrong: hours behind, always by the same.

use telemetry::time::{Span, Timestamp};

/// A device that is no further behind than this is only slow.
const BEHIND: Span = Span::from_secs(15 * 60);
/// Offsets of one wrong clock differ by no more than this.
const STEADY: Span = Span::from_secs(60);
/// Messages in a row that show the same offset before the clock is held to lie.
const MESSAGES: u32 = 3;

/// Watches how far the live messages of one device lag behind their arrival.
///
/// A clock lies when at least three messages in a row, of three different times, are more than 15 min
/// behind by the same offset: within 60 s, and with no more drift than half of the time that passed on
/// the device's clock. The second condition keeps a gateway that empties its buffer without marking it as
/// back-fill apart: there the offset shrinks as fast as the times advance.
///
/// Limits: the first two messages of a wrong clock are stored as they are dated. A device that honestly
/// reports each value more than 15 min late, evenly, is taken for one with a wrong clock; marking its
/// messages as back-fill prevents that. A clock ahead needs no watch: what is more than 60 s in the
/// future cannot be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClockWatch {
    run: Option<Run>,
    lies_by_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    offset_ms: i64,
    first: Timestamp,
    last: Timestamp,
    messages: u32,
}

impl ClockWatch {
    /// How much is to be added to the device's times; none when its clock is believed.
    pub(crate) fn lies_by_ms(&self) -> Option<i64> {
        self.lies_by_ms
    }

    /// A live message whose latest reading is of `event` by the device's clock.
    pub(crate) fn observe(&mut self, arrived: Timestamp, event: Timestamp) {
        let offset_ms = arrived.millis_since(event);
        if let Some(known) = self.lies_by_ms {
            if offset_ms.abs_diff(known) <= STEADY.millis() {
                self.lies_by_ms = Some(offset_ms); // Follows a slow drift.
                return;
            }
            *self = Self::default();
        }
        if offset_ms <= BEHIND.millis_i64() {
            self.run = None;
            return;
        }
        let mut run = match self.run {
            Some(run) if run.continues(offset_ms, event) => run,
            _ => Run {
                offset_ms,
                first: event,
                last: event,
                messages: 1,
            },
        };
        if event > run.last {
            run.last = event;
            run.messages += 1;
        }
        self.run = Some(run);
        if run.messages >= MESSAGES {
            *self = Self {
                run: None,
                lies_by_ms: Some(offset_ms),
            };
        }
    }
}

impl Run {
    fn continues(&self, offset_ms: i64, event: Timestamp) -> bool {
        let drift = offset_ms.abs_diff(self.offset_ms);
        let passed = u64::try_from(event.millis_since(self.first)).unwrap_or(0);
        event >= self.last && drift <= STEADY.millis() && drift <= passed / 2
    }
}
