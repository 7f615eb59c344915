//! What flowed through a meter, from the readings of its totaliser. Pure.

use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use super::policy::{OnReset, VolumePolicy};

/// The resolution of a totaliser, m³: how far two readings may be off. Source: uint32 of 0.1 m³.
const RESOLUTION_M3: f64 = 0.1;
const HOUR_MS: f64 = 3_600_000.0;

/// What happened between two readings that follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    /// Time of the earlier reading.
    pub(super) from: Timestamp,
    /// Time of the later reading. What flowed counts where this lies.
    pub(super) to: Timestamp,
    /// What flowed, m³; none where it cannot be known.
    pub(super) volume_m3: Option<f64>,
    /// What was odd about it.
    pub(super) oddity: Option<Oddity>,
}

/// What was odd between two readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Oddity {
    /// The totaliser passed the end of its range and went on from 0: all is counted.
    RollOver,
    /// It started again from 0 (a new or restarted meter): only what it shows since is counted.
    Reset,
    /// It moved as no water can: nothing is counted.
    Jump,
}

/// What flowed in a period, and in how much of it nobody knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metered {
    /// The steps whose later reading lies in the period.
    pub(super) steps: Vec<Step>,
    /// Time without knowledge: at the edges, and in steps that cannot be known.
    pub(super) unknown: Span,
    /// Whether any reading lies in the period.
    pub(super) heard: bool,
}

impl Metered {
    /// All that is known to have flowed, m³.
    pub(super) fn volume_m3(&self) -> f64 {
        self.steps
            .iter()
            .filter_map(|step| step.volume_m3)
            .fold(0.0, |sum, m3| sum + m3)
    }

    /// How often each oddity happened.
    pub(super) fn count(&self, oddity: Oddity) -> usize {
        self.steps
            .iter()
            .filter(|step| step.oddity == Some(oddity))
            .count()
    }
}

/// What flowed in `from..to`. `samples` come in order of time and begin at least the policy's
/// `edge_gap_max` before `from`; bad ones are passed over. `rate_max_m3_h` is the top of the flow's
/// range; without it no rise is a jump.
///
/// A step counts wholly where its later reading lies, so that periods that follow each other add up.
/// A step over the start of the period counts only when it is no longer than `edge_gap_max`; the time
/// before the first and after the last reading is unknown when it is longer than that. A gap inside
/// costs nothing: the totaliser counted on.
pub(super) fn meter(
    samples: &[Sample],
    from: Timestamp,
    to: Timestamp,
    rate_max_m3_h: Option<f64>,
    policy: &VolumePolicy,
) -> Metered {
    let mut metered = Metered::default();
    let mut unknown_ms = 0;
    let edge_ms = policy.edge_gap_max.millis_i64();
    let mut before: Option<Sample> = None;
    for sample in samples.iter().filter(|s| !s.quality.is_bad() && s.time < to) {
        if sample.time >= from {
            metered.heard = true;
            match before {
                Some(earlier)
                    if earlier.time >= from || sample.time.millis_since(earlier.time) <= edge_ms =>
                {
                    let step = step(&earlier, sample, rate_max_m3_h, policy);
                    if step.volume_m3.is_none() || step.oddity == Some(Oddity::Reset) {
                        unknown_ms += step.to.millis_since(step.from.max(from));
                    }
                    metered.steps.push(step);
                }
                Some(_) | None => {
                    unknown_ms += beyond(sample.time.millis_since(from), edge_ms, before.is_some())
                }
            }
        }
        before = Some(*sample);
    }
    let last = before.map_or(from, |last| last.time.max(from));
    unknown_ms += beyond(to.millis_since(last), edge_ms, !metered.heard);
    metered.unknown = Span::from_millis(u64::try_from(unknown_ms).unwrap_or_default());
    metered
}

/// The time at an edge, when it is too long to be taken as observed.
fn beyond(ms: i64, edge_ms: i64, always: bool) -> i64 {
    if ms > edge_ms || always { ms } else { 0 }
}

fn step(earlier: &Sample, later: &Sample, rate_max_m3_h: Option<f64>, policy: &VolumePolicy) -> Step {
    let hours = later.time.millis_since(earlier.time) as f64 / HOUR_MS;
    let most = rate_max_m3_h.map_or(f64::INFINITY, |rate| {
        rate * policy.jump_factor * hours + 2.0 * RESOLUTION_M3
    });
    let (rise, modulus) = (later.value - earlier.value, policy.totaliser_modulus_m3);
    let band = modulus * policy.rollover_band;
    let (volume_m3, oddity) = if rise >= 0.0 {
        (rise, None)
    } else if earlier.value >= modulus - band && later.value <= band {
        (rise + modulus, Some(Oddity::RollOver))
    } else {
        (later.value, Some(Oddity::Reset))
    };
    let counts = volume_m3 <= most && volume_m3 >= 0.0;
    let counts = counts && (oddity != Some(Oddity::Reset) || policy.on_reset == OnReset::FromZero);
    Step {
        from: earlier.time,
        to: later.time,
        volume_m3: counts.then_some(volume_m3),
        oddity: if counts || oddity == Some(Oddity::Reset) {
            oddity
        } else {
            Some(Oddity::Jump)
        },
    }
}

#[cfg(test)]
mod tests;
