//! When a rule is violated, and what a value says about it. Pure.

use std::sync::Arc;

use telemetry::time::Span;
use telemetry::{Bad, Quality, SeriesId};

use super::expression::Expression;

/// When a rule is violated. Conditions of one value are judged by [`Condition::judge`]; the others by the engine, which
/// remembers what they need.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// At or above `limit`; clear below `limit - deadband`.
    High {
        /// In the signal's unit.
        limit: f64,
        /// In the signal's unit, 0 or more.
        deadband: f64,
        /// The end of the range: a value at or beyond it is over-range. It raises, also where it is out of the valid range, and its alarm
        /// latches, because a detector that is over its range has most likely met gas. Source: `alarms.md`, sentence 5.
        over_range: Option<f64>,
    },
    /// At or below `limit`; clear above `limit + deadband`.
    Low {
        /// In the signal's unit.
        limit: f64,
        /// In the signal's unit, 0 or more.
        deadband: f64,
    },
    /// The value is one of these.
    State(Box<[f64]>),
    /// The value has changed: from one of the first to one of the second; empty means any.
    Change {
        /// What it was.
        from: Box<[f64]>,
        /// What it is.
        to: Box<[f64]>,
    },
    /// It moves by `limit` or more in `per`, between two samples that are not further apart than `max_gap`.
    Rate {
        /// In the signal's unit.
        limit: f64,
        /// What the limit is per.
        per: Span,
        /// In the signal's unit.
        deadband: f64,
        /// Between samples that are further apart nothing is known.
        max_gap: Span,
        /// Which way it moves.
        direction: Direction,
    },
    /// It has not moved by more than `epsilon` for `after`, over `samples` good samples.
    Stuck {
        /// In the signal's unit.
        epsilon: f64,
        /// For how long.
        after: Span,
        /// How many samples at least.
        samples: u32,
        /// A reading of 0 is what the sensor shows all its life: it does not count.
        zero_exempt: bool,
    },
    /// A counter has grown by `limit` or more in `window`, or from one sample to the next without it.
    Counter {
        /// Where it starts again at 0; none: every fall is a reset.
        modulus: Option<f64>,
        /// In the signal's unit.
        limit: f64,
        /// In the signal's unit.
        deadband: f64,
        /// Over how long it is added up.
        window: Option<Span>,
        /// A reset counts what the counter shows after it; else nothing.
        reset_from_zero: bool,
    },
    /// It has been in one of `values` for `limit` or more within `window`, all stretches added up.
    RunTime {
        /// The states that count as running.
        values: Box<[f64]>,
        /// How long.
        limit: Span,
        /// Over how long it is added up.
        window: Span,
        /// Between samples that are further apart nobody knows.
        max_gap: Span,
    },
    /// Two signals are `limit` or more apart.
    Deviation {
        /// The other.
        other: SeriesId,
        /// In the signal's unit.
        limit: f64,
        /// In the signal's unit.
        deadband: f64,
    },
    /// `votes` points of a group are at or above `limit`. A voter that is lost lowers the votes needed, never below one.
    Vote {
        /// Place of the group.
        group: usize,
        /// How many.
        votes: usize,
        /// In the signals' unit.
        limit: f64,
        /// In the signals' unit.
        deadband: f64,
    },
    /// An expression over several points is true.
    Expression {
        /// What is asked.
        expression: Arc<Expression>,
        /// The series behind its names, in their order.
        inputs: Arc<[SeriesId]>,
    },
    /// Every point of a group is lost: silent, faulted or inhibited.
    Protection {
        /// Place of the group.
        group: usize,
    },
    /// Nothing has come for that long.
    Silence {
        /// The longest silence.
        after: Span,
    },
    /// The newest sample is bad. No answer does not count where a silence rule watches the device.
    Fault {
        /// Whether a silence rule watches the device.
        silence_watched: bool,
    },
    /// The device's clock lies.
    Clock,
    /// More annunciations than a person can take in.
    Flood(FloodLimits),
}

/// Which way a value moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Up or down.
    #[default]
    Both,
    /// Up.
    Rise,
    /// Down.
    Fall,
}

/// When a flood begins and ends. Source: ISA-18.2 by secondary copies (`alarms.md` §1.3, confidence M): settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FloodLimits {
    /// It begins with more annunciations than this within `interval`. Default 10.
    pub begins_above: u32,
    /// It ends with the first aligned interval of fewer than this. Default 5.
    pub ends_below: u32,
    /// Default 10 minutes.
    pub interval: Span,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self {
            begins_above: 10,
            ends_below: 5,
            interval: Span::from_secs(600),
        }
    }
}

/// What a sample says about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The condition is true.
    Violates,
    /// Between the limit and the end of the dead band: not enough to raise, not enough to clear.
    Between {
        /// Without doubt.
        good: bool,
    },
    /// The condition is false.
    Clears {
        /// Without doubt: only then it may clear.
        good: bool,
    },
    /// It says nothing.
    Nothing,
}

impl Verdict {
    /// Whether it speaks against a violation that is not yet an alarm: without doubt not violating.
    #[must_use]
    pub const fn is_contrary(self) -> bool {
        matches!(self, Self::Between { good: true } | Self::Clears { good: true })
    }
}

impl Condition {
    /// What a value of that quality says by itself. Pure and total; nothing where a condition needs more than one value.
    #[must_use]
    pub fn judge(&self, value: f64, quality: Quality) -> Verdict {
        let good = quality.is_good();
        if let Self::Fault { silence_watched } = self {
            return judge_fault(quality, *silence_watched);
        }
        if quality == Quality::Bad(Bad::OutOfRange) && self.is_over_range(value, quality) {
            return Verdict::Violates;
        }
        if quality.is_bad() {
            return Verdict::Nothing;
        }
        match self {
            Self::High { limit, deadband, .. } => above(value, *limit, *deadband, good),
            Self::Low { limit, deadband } => level(value <= *limit, value > limit + deadband, good),
            Self::State(values) => {
                let violates = is_one_of(values, value);
                level(violates, !violates, good)
            }
            Self::Change { .. }
            | Self::Rate { .. }
            | Self::Stuck { .. }
            | Self::Counter { .. }
            | Self::RunTime { .. }
            | Self::Deviation { .. }
            | Self::Vote { .. }
            | Self::Expression { .. }
            | Self::Protection { .. }
            | Self::Silence { .. }
            | Self::Fault { .. }
            | Self::Clock
            | Self::Flood(_) => Verdict::Nothing,
        }
    }

    /// What a value says after the one before it, `gap_ms` earlier in event time; the value that decides. For conditions of
    /// one value the value itself.
    #[must_use]
    pub fn judge_after(
        &self,
        (value, quality): (f64, Quality),
        before: Option<(f64, Quality, i64)>,
    ) -> (Verdict, f64) {
        match self {
            Self::Rate {
                limit,
                per,
                deadband,
                max_gap,
                direction,
            } => {
                let Some((earlier, earlier_quality, gap_ms)) = before else {
                    return (Verdict::Nothing, value);
                };
                let quality = quality.worse(earlier_quality);
                if quality.is_bad() || gap_ms <= 0 || gap_ms > max_gap.millis_i64() {
                    return (Verdict::Nothing, value);
                }
                let rate = (value - earlier) / gap_ms as f64 * per.millis_i64() as f64;
                let counted = match direction {
                    Direction::Both => rate.abs(),
                    Direction::Rise => rate,
                    Direction::Fall => -rate,
                };
                (above(counted, *limit, *deadband, quality.is_good()), rate)
            }
            Self::Change { from, to } => {
                let Some((earlier, earlier_quality, _)) = before else {
                    return (Verdict::Nothing, value);
                };
                let quality = quality.worse(earlier_quality);
                if quality.is_bad() {
                    return (Verdict::Nothing, value);
                }
                let violates = !same(earlier, value)
                    && (from.is_empty() || is_one_of(from, earlier))
                    && (to.is_empty() || is_one_of(to, value));
                (level(violates, !violates, quality.is_good()), value)
            }
            Self::High { .. }
            | Self::Low { .. }
            | Self::State(_)
            | Self::Stuck { .. }
            | Self::Counter { .. }
            | Self::RunTime { .. }
            | Self::Deviation { .. }
            | Self::Vote { .. }
            | Self::Expression { .. }
            | Self::Protection { .. }
            | Self::Silence { .. }
            | Self::Fault { .. }
            | Self::Clock
            | Self::Flood(_) => (self.judge(value, quality), value),
        }
    }

    /// Whether a value is at or beyond the end of its range: most likely gas, whatever its quality says.
    #[must_use]
    pub fn is_over_range(&self, value: f64, quality: Quality) -> bool {
        let Self::High {
            over_range: Some(end),
            ..
        } = self
        else {
            return false;
        };
        value >= *end && (!quality.is_bad() || quality == Quality::Bad(Bad::OutOfRange))
    }

    /// Whether it looks at more than one point, so that no single sample decides.
    #[must_use]
    pub const fn is_joint(&self) -> bool {
        matches!(
            self,
            Self::Deviation { .. } | Self::Vote { .. } | Self::Expression { .. } | Self::Protection { .. }
        )
    }

    /// Whether what it remembers of earlier samples decides with the newest.
    #[must_use]
    pub const fn remembers(&self) -> bool {
        matches!(
            self,
            Self::Stuck { .. } | Self::Counter { .. } | Self::RunTime { .. }
        )
    }

    /// Whether a stretch of samples, each with the one before it, is all that it needs: its past can be computed anew.
    #[must_use]
    pub const fn is_of_samples(&self) -> bool {
        matches!(
            self,
            Self::High { .. } | Self::Low { .. } | Self::State(_) | Self::Rate { .. } | Self::Change { .. }
        )
    }

    /// Whether there is no one value that decides.
    #[must_use]
    pub const fn is_without_value(&self) -> bool {
        matches!(
            self,
            Self::Expression { .. }
                | Self::Protection { .. }
                | Self::Silence { .. }
                | Self::Clock
                | Self::Flood(_)
        )
    }

    /// What it compares, in one word: as a rule's `kind` names it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::High { .. } => "high",
            Self::Low { .. } => "low",
            Self::State(_) => "state",
            Self::Change { .. } => "change",
            Self::Rate { .. } => "rate",
            Self::Stuck { .. } => "stuck",
            Self::Counter { .. } => "counter",
            Self::RunTime { .. } => "run_time",
            Self::Deviation { .. } => "deviation",
            Self::Vote { .. } => "vote",
            Self::Expression { .. } => "cel",
            Self::Protection { .. } => "protection",
            Self::Silence { .. } => "silence",
            Self::Fault { .. } => "fault",
            Self::Clock => "clock",
            Self::Flood(_) => "flood",
        }
    }

    /// The limit, where there is one number; of a run time in hours.
    #[must_use]
    pub fn limit(&self) -> Option<f64> {
        match self {
            Self::High { limit, .. }
            | Self::Low { limit, .. }
            | Self::Rate { limit, .. }
            | Self::Counter { limit, .. }
            | Self::Deviation { limit, .. }
            | Self::Vote { limit, .. } => Some(*limit),
            Self::RunTime { limit, .. } => Some(hours(*limit)),
            Self::State(_)
            | Self::Change { .. }
            | Self::Stuck { .. }
            | Self::Expression { .. }
            | Self::Protection { .. }
            | Self::Silence { .. }
            | Self::Fault { .. }
            | Self::Clock
            | Self::Flood(_) => None,
        }
    }

    /// Whether `new` is worse than `old`.
    #[must_use]
    pub fn is_worse(&self, new: f64, old: f64) -> bool {
        if matches!(self, Self::Low { .. }) {
            new < old
        } else {
            new > old
        }
    }
}

/// At or above `limit` violates, below `limit - deadband` clears.
pub(crate) fn above(value: f64, limit: f64, deadband: f64, good: bool) -> Verdict {
    level(value >= limit, value < limit - deadband, good)
}

pub(crate) fn level(violates: bool, clears: bool, good: bool) -> Verdict {
    if violates {
        Verdict::Violates
    } else if clears {
        Verdict::Clears { good }
    } else {
        Verdict::Between { good }
    }
}

/// A run time is shown in hours.
pub(crate) fn hours(span: Span) -> f64 {
    span.millis() as f64 / 3_600_000.0
}

pub(crate) fn is_one_of(values: &[f64], value: f64) -> bool {
    values.iter().any(|state| same(*state, value))
}

/// States are whole numbers; a device that sends 0.9999999 for 1 means 1.
fn same(state: f64, value: f64) -> bool {
    (state - value).abs() < 1e-6
}

fn judge_fault(quality: Quality, silence_watched: bool) -> Verdict {
    match quality {
        Quality::Good => Verdict::Clears { good: true },
        Quality::Uncertain(_) => Verdict::Nothing,
        Quality::Bad(Bad::NoAnswer) if silence_watched => Verdict::Nothing,
        Quality::Bad(_) => Verdict::Violates,
    }
}

#[cfg(test)]
mod tests;
