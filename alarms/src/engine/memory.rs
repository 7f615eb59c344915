//! The short memory of a point and of a device.

use std::collections::VecDeque;

use telemetry::time::Span;
use telemetry::{Quality, SeriesId, Timestamp};

/// Most samples remembered of one point; beyond, the oldest is forgotten when it has been judged.
pub(super) const WINDOW_MAX: usize = 32;
/// Most samples of one point that are remembered only to know them again; beyond, the oldest is forgotten, and judged again
/// if it comes again.
const KNOWN_MAX: usize = 128;

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

impl Seen {
    fn is_again(&self, other: &Self) -> bool {
        self.time == other.time
            && self.value.to_bits() == other.value.to_bits()
            && self.quality == other.quality
    }

    /// What tells two samples of one time apart.
    fn fingerprint(&self) -> u64 {
        self.value.to_bits() ^ (u64::from(self.quality.code()) << 1)
    }
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
    /// Rules that look at this and other points.
    pub(super) joint: Vec<u32>,
    /// Recent samples in order of event time; the last is the newest of the point, however old.
    pub(super) window: Vec<Seen>,
    /// The newest sample without doubt of those that `window` has forgotten.
    pub(super) good: Option<Seen>,
    /// Event time and fingerprint of those that `window` has forgotten and that are young enough to be judged if they came
    /// again, in the order in which they were forgotten.
    pub(super) known: VecDeque<(Timestamp, u64)>,
    /// The same of the last samples that came as history.
    pub(super) recorded: VecDeque<(Timestamp, u64)>,
    /// Arrival of the first sample after the last silence: what arrived before it lies beyond a gap.
    pub(super) resumed: Option<Timestamp>,
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
            joint: Vec::new(),
            window: Vec::new(),
            good: None,
            known: VecDeque::new(),
            recorded: VecDeque::new(),
            resumed: None,
            fresh: None,
            settles_at: None,
        }
    }

    pub(super) fn newest(&self) -> Option<&Seen> {
        self.window.last()
    }

    /// Whether the very sample was seen before.
    pub(super) fn knows(&self, seen: &Seen) -> bool {
        let remembered = self
            .window
            .iter()
            .rev()
            .take_while(|known| known.time >= seen.time)
            .any(|known| known.is_again(seen));
        let oldest = self.window.first().map_or(Timestamp::MAX, |seen| seen.time);
        remembered
            || (seen.time <= oldest
                && self
                    .known
                    .iter()
                    .any(|known| *known == (seen.time, seen.fingerprint())))
    }

    /// Remembers a sample that came as history; whether it had come before.
    pub(super) fn records_again(&mut self, seen: &Seen) -> bool {
        let mark = (seen.time, seen.fingerprint());
        if self.recorded.contains(&mark) {
            return true;
        }
        if self.recorded.len() >= KNOWN_MAX {
            self.recorded.pop_front();
        }
        self.recorded.push_back(mark);
        false
    }

    /// The last sample before place `index` that is not bad.
    pub(super) fn before(&self, index: usize) -> Option<&Seen> {
        let earlier = self.window.get(..index)?;
        let usable = earlier.iter().rev().find(|seen| !seen.quality.is_bad());
        let time = self.window.get(index).map(|seen| seen.time);
        usable.or_else(|| self.good.as_ref().filter(|good| Some(good.time) < time))
    }

    /// Puts a sample in its place, which is the answer; of two with one time the newer arrival stays. Whoever has judged it lets
    /// the memory [forget](Self::forget).
    pub(super) fn insert(&mut self, seen: Seen) -> usize {
        let place = self.window.partition_point(|known| known.time < seen.time);
        match self.window.get_mut(place) {
            Some(known) if known.time == seen.time => *known = seen,
            Some(_) | None => self.window.insert(place, seen),
        }
        place
    }

    /// Forgets what is older than the newest by more than `lateness`; of what could come again while it is younger than
    /// `live_age` a mark stays.
    pub(super) fn forget(&mut self, lateness: Span, live_age: Span) {
        let Some(newest) = self.window.last().map(|newest| newest.time) else {
            return;
        };
        let oldest = newest.minus(lateness);
        // One sample before the window stays, so that a late one knows what stood before it.
        let forget = self
            .window
            .partition_point(|known| known.time < oldest)
            .saturating_sub(1)
            .max(self.window.len().saturating_sub(WINDOW_MAX));
        for gone in self.window.drain(..forget) {
            if gone.quality.is_good() && self.good.is_none_or(|good| good.time <= gone.time) {
                self.good = Some(gone);
            }
            self.known.push_back((gone.time, gone.fingerprint()));
        }
        let young = newest.minus(live_age);
        while self.known.len() > KNOWN_MAX || self.known.front().is_some_and(|(time, _)| *time < young) {
            self.known.pop_front();
        }
    }

    /// The newest sample without doubt.
    pub(super) fn newest_good(&self) -> Option<&Seen> {
        let good = self.window.iter().rev().find(|seen| seen.quality.is_good());
        good.or(self.good.as_ref())
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
    /// What speaks through it.
    pub(super) children: Vec<usize>,
    /// One of its rules is suppressed for its gateway's sake.
    pub(super) behind: bool,
    /// Its silence waits for what its gateway turns out to be.
    pub(super) held: bool,
    /// It is being tested until then.
    pub(super) test_until: Option<Timestamp>,
    /// It is under maintenance until then.
    pub(super) out_until: Option<Timestamp>,
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
            children: Vec::new(),
            behind: false,
            held: false,
            test_until: None,
            out_until: None,
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
            memory.insert(seen(time, 1.0));
            memory.forget(Span::from_secs(30), Span::from_secs(900));
        }
        // 60 - 30 = 30: 40 and 60 stay, and 20 as the one before.
        assert_eq!(times(&memory), [20, 40, 60]);
    }

    #[test]
    fn of_two_samples_of_one_time_the_newer_arrival_stays() {
        let mut memory = PointMemory::new(SeriesId(1), 0);
        memory.insert(seen(10, 1.0));
        assert!(memory.knows(&seen(10, 1.0)));
        assert!(!memory.knows(&seen(10, 2.0)));
        memory.insert(seen(10, 2.0));
        assert_eq!(memory.window, [seen(10, 2.0)]);
    }

    #[test]
    fn the_memory_of_a_point_is_bounded() {
        let mut memory = PointMemory::new(SeriesId(1), 0);
        for time in 0..1000 {
            memory.insert(Seen {
                time: Timestamp::from_millis(time),
                ..seen(0, 1.0)
            });
            memory.forget(Span::from_secs(30), Span::from_secs(900));
        }
        assert_eq!(memory.window.len(), WINDOW_MAX);
        assert_eq!(memory.known.len(), KNOWN_MAX);
    }
}
