//! What a stretch of samples comes to: counts, ends, extremes, sums, and what is needed to put two stretches
//! that follow each other together as if they had been one.

use telemetry::quality::Quality;
use telemetry::sample::Sample;
use telemetry::time::Timestamp;

/// The summary of the samples in one stretch of time.
///
/// Samples of bad quality are counted in `bad`, end the hold of the value before them, and are otherwise left
/// out: a failed sensor's 0 is no minimum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// Its first instant.
    pub start: Timestamp,
    /// Samples that are not bad; at least one of `count` and `bad` is not 0.
    pub count: u64,
    /// Those of `count` whose quality is good; the others are uncertain.
    pub good: u64,
    /// Samples of bad quality.
    pub bad: u64,
    /// Least value; 0 when `count` is 0, as are the following.
    pub min: f64,
    /// Greatest value.
    pub max: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Earliest sample that is not bad.
    pub first: Sample,
    /// Latest sample that is not bad.
    pub last: Sample,
    /// Time of the earliest sample of any quality.
    pub heard_first: Timestamp,
    /// Time of the latest sample of any quality.
    pub heard_last: Timestamp,
    /// What held between `heard_first` and `heard_last`.
    pub held: Held,
    /// How often a value was below the one before it. With none, a counter's increase is `last` less `first`.
    pub falls: u64,
}

/// What held between samples: every value that is not bad until the next sample, however long that took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Σ value × time until the next sample, in the signal's unit × ms.
    pub integral: f64,
    /// The times of that sum together, ms.
    pub known_ms: i64,
    /// The longest of them, ms: whoever lets a value hold for less has to look at the samples.
    pub longest_ms: i64,
}

impl Held {
    const fn add(&mut self, value: f64, ms: i64) {
        self.integral += value * ms as f64;
        self.known_ms += ms;
        if ms > self.longest_ms {
            self.longest_ms = ms;
        }
    }
}

impl Window {
    /// A window that holds nothing yet.
    #[must_use]
    pub const fn empty(start: Timestamp) -> Self {
        let none = Sample {
            time: start,
            value: 0.0,
            quality: Quality::Good,
        };
        Self {
            start,
            count: 0,
            good: 0,
            bad: 0,
            min: 0.0,
            max: 0.0,
            sum: 0.0,
            first: none,
            last: none,
            heard_first: start,
            heard_last: start,
            held: Held {
                integral: 0.0,
                known_ms: 0,
                longest_ms: 0,
            },
            falls: 0,
        }
    }

    /// Samples of any quality.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        self.count + self.bad
    }

    /// The value that holds from the latest sample on; none when that one is bad.
    #[must_use]
    pub fn holding(&self) -> Option<Sample> {
        (self.count > 0 && self.last.time == self.heard_last).then_some(self.last)
    }

    /// Takes in the next sample; samples come in order of time.
    pub fn push(&mut self, sample: Sample) {
        if self.samples() == 0 {
            self.heard_first = sample.time;
        } else if let Some(holding) = self.holding() {
            self.held
                .add(holding.value, sample.time.millis_since(holding.time));
        }
        self.heard_last = sample.time;
        if sample.quality.is_bad() {
            self.bad += 1;
            return;
        }
        if self.count == 0 {
            self.min = sample.value;
            self.max = sample.value;
            self.first = sample;
        } else {
            self.min = self.min.min(sample.value);
            self.max = self.max.max(sample.value);
            self.falls += u64::from(sample.value < self.last.value);
        }
        self.count += 1;
        self.good += u64::from(sample.quality.is_good());
        self.sum += sample.value;
        self.last = sample;
    }

    /// Takes in all that `later` holds, every sample of which is later than all before.
    pub fn absorb(&mut self, later: &Self) {
        if later.samples() == 0 {
            return;
        }
        if self.samples() == 0 {
            let start = self.start;
            *self = Self { start, ..*later };
            if self.count == 0 {
                self.first.time = start;
                self.last.time = start;
            }
            return;
        }
        if let Some(holding) = self.holding() {
            self.held
                .add(holding.value, later.heard_first.millis_since(holding.time));
        }
        self.held.integral += later.held.integral;
        self.held.known_ms += later.held.known_ms;
        self.held.longest_ms = self.held.longest_ms.max(later.held.longest_ms);
        self.heard_last = later.heard_last;
        self.bad += later.bad;
        if later.count == 0 {
            return;
        }
        if self.count == 0 {
            self.min = later.min;
            self.max = later.max;
            self.first = later.first;
        } else {
            self.min = self.min.min(later.min);
            self.max = self.max.max(later.max);
            self.falls += u64::from(later.first.value < self.last.value);
        }
        self.falls += later.falls;
        self.count += later.count;
        self.good += later.good;
        self.sum += later.sum;
        self.last = later.last;
    }

    /// Arithmetic mean of the values; none when there are none.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// Share of the samples whose quality is good, 0 to 1; none without samples. Of 8 samples, of which 1 is
    /// uncertain and 1 is bad, it is 0.75.
    #[must_use]
    pub fn good_share(&self) -> Option<f64> {
        (self.samples() > 0).then(|| self.good as f64 / self.samples() as f64)
    }

    /// Whether every sample is of the same value and none is bad.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.bad == 0 && self.count > 0 && self.min.to_bits() == self.max.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use telemetry::quality::{Bad, Uncertain};

    use super::*;

    fn sample(ms: i64, value: f64, quality: Quality) -> Sample {
        Sample {
            time: Timestamp::from_millis(ms),
            value,
            quality,
        }
    }

    fn all() -> Vec<Sample> {
        vec![
            sample(0, 2.0, Quality::Good),
            sample(10, 4.0, Quality::Good),
            sample(30, 9.0, Quality::Bad(Bad::OutOfRange)),
            sample(40, 1.0, Quality::Uncertain(Uncertain::Reported)),
            sample(45, 5.0, Quality::Good),
        ]
    }

    fn of(samples: &[Sample]) -> Window {
        let mut window = Window::empty(Timestamp::EPOCH);
        samples.iter().for_each(|sample| window.push(*sample));
        window
    }

    #[test]
    fn a_window_says_what_held_and_for_how_long() {
        let window = of(&all());
        assert_eq!((window.count, window.good, window.bad), (4, 3, 1));
        assert_eq!((window.min, window.max, window.sum), (1.0, 5.0, 12.0));
        // 2 for 10 ms, 4 for 20 ms, then nothing for 10 ms, 1 for 5 ms: 20 + 80 + 5 over 35 ms.
        let held = Held {
            integral: 105.0,
            known_ms: 35,
            longest_ms: 20,
        };
        assert_eq!(window.held, held);
        assert_eq!(window.falls, 1, "from 4 to 1, past the bad one");
        assert_eq!(window.good_share(), Some(0.6));
        assert_eq!(window.mean(), Some(3.0));
        assert_eq!(Window::empty(Timestamp::EPOCH).good_share(), None);
    }

    #[test]
    fn two_stretches_put_together_are_the_whole() {
        let all = all();
        let whole = of(&all);
        for middle in 0..=all.len() {
            let (before, after) = all.split_at(middle);
            let mut joined = of(before);
            joined.absorb(&of(after));
            assert_eq!(joined, whole, "cut at {middle}");
        }
    }
}
