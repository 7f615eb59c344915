//! The short memory of a point and of a device.

use telemetry::time::Span;
use telemetry::{Quality, SeriesId, Timestamp};

/// Most samples remembered of one point; beyond, the oldest is forgotten, and a sample that is later still is
/// judged as if it stood alone.
pub(super) const WINDOW_MAX: usize = 32;

/// A sample as it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Event time.
    pub time: Timestamp,
    /// When it arrived, on the engine's time.
    pub arrived: Timestamp,
    /// Its value.
    pub value: f64,
    /// How far it may be trusted.
    pub quality: Quality,
    /// It was older than the lateness L when it arrived.
    pub late: bool,
}

/// A series that rules look at.
#[derive(Clone, Debug)]
pub(super) struct PointMemory {
    pub(super) series: SeriesId,
    pub(super) device: usize,
    /// Rules on its values, with its sensor fault.
    pub(super) rules: Vec<u32>,
    /// Silence rules on this very signal.
    pub(super) silence_rules: Vec<u32>,
    /// Recent samples in order of event time; the last is the newest of the point, however old.
    pub(super) window: Vec<Seen>,
    /// Arrival of the last evaluated sample.
    pub(super) fresh: Option<Timestamp>,
    /// When the newest sample, which is back-fill, will be judged if nothing newer comes.
    pub(super) settles_at: Option<Timestamp>,
}

impl PointMemory {
    pub(super) const fn new(series: SeriesId, device: usize) -> Self {
        Self {
            series,
            device,
            rules: Vec::new(),
            silence_rules: Vec::new(),
            window: Vec::new(),
            fresh: None,
            settles_at: None,
        }
    }

    pub(super) fn newest(&self) -> Option<&Seen> {
        self.window.last()
    }

    /// Whether the very sample was seen before.
    pub(super) fn knows(&self, seen: &Seen) -> bool {
        self.window
            .iter()
            .rev()
            .take_while(|known| known.time >= seen.time)
            .any(|known| {
                known.time == seen.time
                    && known.value.to_bits() == seen.value.to_bits()
                    && known.quality == seen.quality
            })
    }

    /// Puts a sample in its place; of two with one time the newer arrival stays. Forgets what is older than the newest
    /// by more than `lateness`.
    pub(super) fn insert(&mut self, seen: Seen, lateness: Span) {
        let place = self.window.partition_point(|known| known.time < seen.time);
        match self.window.get_mut(place) {
            Some(known) if known.time == seen.time => *known = seen,
            Some(_) | None => self.window.insert(place, seen),
        }
        let Some(oldest) = self.window.last().map(|newest| newest.time.minus(lateness)) else {
            return;
        };
        let mut forget = self.window.partition_point(|known| known.time < oldest);
        // One sample before the window stays, so that a late one knows what stood before it.
        forget = forget
            .saturating_sub(1)
            .max(self.window.len().saturating_sub(WINDOW_MAX));
        self.window.drain(..forget);
    }
}

/// A device.
#[derive(Clone, Debug)]
pub(super) struct DeviceMemory {
    /// When it was first known.
    pub(super) provisioned: Timestamp,
    /// Arrival of its last message.
    pub(super) heard: Option<Timestamp>,
    /// A silence rule is active.
    pub(super) silent: bool,
    pub(super) rules: Vec<u32>,
    /// Silence rules on the device as a whole.
    pub(super) silence_rules: Vec<u32>,
    pub(super) clock_rule: Option<u32>,
    pub(super) points: Vec<u32>,
    pub(super) dirty: bool,
}

impl DeviceMemory {
    pub(super) const fn new(provisioned: Timestamp) -> Self {
        Self {
            provisioned,
            heard: None,
            silent: false,
            rules: Vec::new(),
            silence_rules: Vec::new(),
            clock_rule: None,
            points: Vec::new(),
            dirty: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(time: i64, value: f64) -> Seen {
        let time = Timestamp::from_millis(time * 1000);
        Seen {
            time,
            arrived: time,
            value,
            quality: Quality::Good,
            late: false,
        }
    }

    fn times(memory: &PointMemory) -> Vec<i64> {
        memory
            .window
            .iter()
            .map(|seen| seen.time.millis() / 1000)
            .collect()
    }

    #[test]
    fn samples_stand_in_order_of_their_time_and_the_old_are_forgotten() {
        let mut memory = PointMemory::new(SeriesId(1), 0);
        for time in [0, 10, 40, 20, 60] {
            memory.insert(seen(time, 1.0), Span::from_secs(30));
        }
        // 60 - 30 = 30: 40 and 60 stay, and 20 as the one before.
        assert_eq!(times(&memory), [20, 40, 60]);
    }

    #[test]
    fn of_two_samples_of_one_time_the_newer_arrival_stays() {
        let mut memory = PointMemory::new(SeriesId(1), 0);
        memory.insert(seen(10, 1.0), Span::from_secs(30));
        assert!(memory.knows(&seen(10, 1.0)));
        assert!(!memory.knows(&seen(10, 2.0)));
        memory.insert(seen(10, 2.0), Span::from_secs(30));
        assert_eq!(memory.window, [seen(10, 2.0)]);
    }

    #[test]
    fn the_memory_of_a_point_is_bounded() {
        let mut memory = PointMemory::new(SeriesId(1), 0);
        for time in 0..1000 {
            memory.insert(
                Seen {
                    time: Timestamp::from_millis(time),
                    ..seen(0, 1.0)
                },
                Span::from_secs(30),
            );
        }
        assert_eq!(memory.window.len(), WINDOW_MAX);
    }
}
