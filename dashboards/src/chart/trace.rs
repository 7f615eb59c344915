//! What the line of a chart is: where it runs, where it is broken, how wide its band is and which
//! samples are only marked. Pure.

use store::series::Window;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

/// Report intervals that may pass between two samples before the line is broken.
pub const GAP_INTERVALS: u64 = 3;

/// One point of the line with the least and greatest value around it (all three equal for a raw sample).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// When.
    pub time: Timestamp,
    /// The value of the line: the sample's, or the window's mean.
    pub value: f64,
    /// Least value here.
    pub min: f64,
    /// Greatest value here.
    pub max: f64,
}

/// A chart's content, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Unbroken stretches of the line, in order; none is empty.
    pub segments: Vec<Vec<Mark>>,
    /// When samples of bad quality came; they have no value to draw.
    pub bad: Vec<Timestamp>,
    /// Samples of uncertain quality: part of the line, and marked.
    pub uncertain: Vec<(Timestamp, f64)>,
    /// Whether windows stand in for the samples.
    pub summarised: bool,
}

impl Trace {
    /// The trace of single samples, in order of time, of a device that reports every `every`.
    #[must_use]
    pub fn of_samples(samples: &[Sample], every: Span) -> Self {
        let mut trace = Self::default();
        for sample in samples {
            if sample.quality.is_bad() {
                trace.bad.push(sample.time);
                continue;
            }
            if !sample.quality.is_good() {
                trace.uncertain.push((sample.time, sample.value));
            }
            let Sample { time, value, .. } = *sample;
            trace.push(
                Mark {
                    time,
                    value,
                    min: value,
                    max: value,
                },
                longest(every),
            );
        }
        trace
    }

    /// The trace of windows of length `width`, in order, of a device that reports every `every`. What a first window
    /// holds from before `from` is drawn at `from`.
    #[must_use]
    pub fn of_windows(windows: &[Window], from: Timestamp, width: Span, every: Span) -> Self {
        let mut trace = Self {
            summarised: true,
            ..Self::default()
        };
        let longest = longest(every).max(width.millis_i64().saturating_mul(2));
        for window in windows {
            if window.bad > 0 {
                trace.bad.push(window.start.max(from));
            }
            if let Some(value) = window.mean() {
                let time = Timestamp::from_millis(i64::midpoint(
                    window.first.time.millis(),
                    window.last.time.millis(),
                ))
                .max(from);
                trace.push(
                    Mark {
                        time,
                        value,
                        min: window.min,
                        max: window.max,
                    },
                    longest,
                );
            }
        }
        trace
    }

    /// The trace of counts over steps that follow each other: each as a level from its beginning to its end; none breaks the line.
    #[must_use]
    pub fn of_steps(steps: impl IntoIterator<Item = (Timestamp, Timestamp, Option<f64>)>) -> Self {
        let mut trace = Self::default();
        let mut broken = true;
        for (from, to, value) in steps {
            let Some(value) = value else {
                broken = true;
                continue;
            };
            let mark = |time| Mark {
                time,
                value,
                min: value,
                max: value,
            };
            match trace.segments.last_mut().filter(|_| !broken) {
                Some(segment) => segment.extend([mark(from), mark(to)]),
                None => trace.segments.push(vec![mark(from), mark(to)]),
            }
            broken = false;
        }
        trace
    }

    fn push(&mut self, mark: Mark, longest_ms: i64) {
        match self.segments.last_mut() {
            Some(segment)
                if segment
                    .last()
                    .is_some_and(|last| mark.time.millis_since(last.time) <= longest_ms) =>
            {
                segment.push(mark);
            }
            _ => self.segments.push(vec![mark]),
        }
    }

    /// Least and greatest value of the whole; none without a value.
    #[must_use]
    pub fn extent(&self) -> Option<(f64, f64)> {
        let marks = self.segments.iter().flatten();
        marks.fold(None, |extent: Option<(f64, f64)>, mark| {
            let (least, greatest) = extent.unwrap_or((mark.min, mark.max));
            Some((least.min(mark.min), greatest.max(mark.max)))
        })
    }

    /// The newest mark; none without a value.
    #[must_use]
    pub fn last(&self) -> Option<Mark> {
        self.segments.last()?.last().copied()
    }

    /// The same as steps: each value holds until the next one. For states.
    #[must_use]
    pub fn stepped(&self) -> Self {
        let segments = self.segments.iter().map(|segment| {
            let mut steps: Vec<Mark> = Vec::with_capacity(segment.len() * 2);
            for mark in segment {
                if let Some(last) = steps.last().copied() {
                    steps.push(Mark {
                        time: mark.time,
                        ..last
                    });
                }
                steps.push(*mark);
            }
            steps
        });
        Self {
            segments: segments.collect(),
            ..self.clone()
        }
    }
}

fn longest(every: Span) -> i64 {
    Span::from_millis(every.millis().saturating_mul(GAP_INTERVALS)).millis_i64()
}
