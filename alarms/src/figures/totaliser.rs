//! What flowed through a meter by civil day, from the readings of its totaliser.

use store::series::query::{self, Counter, Increase, increases};
use store::series::{Cancel, Grid, SeriesError, SeriesReader};
use telemetry::SeriesId;
use telemetry::time::Span;

use super::policy::{OnReset, VolumePolicy};

/// The resolution of a totaliser, m³: how far two readings may be off. Source: uint32 of 0.1 m³.
const RESOLUTION_M3: f64 = 0.1;

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
    /// By window of the period. What flowed in a step too long to belong to one of them is apart.
    pub(super) days: Vec<Increase>,
    /// Time without knowledge: at the edges, and in steps that cannot be known.
    pub(super) unknown: Span,
    /// Whether any reading lies in the period.
    pub(super) heard: bool,
}

impl Metered {
    /// All that is known to have flowed, m³.
    pub(super) fn volume_m3(&self) -> f64 {
        (self.days.iter()).fold(0.0, |sum, day| sum + day.increase + day.undated)
    }

    /// How often each oddity happened.
    pub(super) fn count(&self, oddity: Oddity) -> u64 {
        let times = self.days.iter().map(|day| match oddity {
            Oddity::RollOver => day.roll_overs,
            Oddity::Reset => day.resets,
            Oddity::Jump => day.jumps,
        });
        times.map(u64::from).sum()
    }
}

/// What flowed in the windows of `period`, m³; see [`query::increases`] for gaps, roll-overs and resets. `rate_max_m3_h` is
/// the top of the flow's range; without it no rise is a jump.
pub(super) fn meter(
    reader: &dyn SeriesReader,
    total: SeriesId,
    period: &Grid,
    rate_max_m3_h: Option<f64>,
    policy: &VolumePolicy,
) -> Result<Metered, SeriesError> {
    let counter = Counter {
        modulus: Some(policy.totaliser_modulus_m3),
        rollover_band: policy.rollover_band,
        on_reset: match policy.on_reset {
            OnReset::FromZero => query::OnReset::FromZero,
            OnReset::Unknown => query::OnReset::Unknown,
        },
        rate_max_per_h: rate_max_m3_h.map(|rate| rate * policy.jump_factor),
        slack: 2.0 * RESOLUTION_M3,
        gap_max: policy.edge_gap_max,
    };
    let days = increases(reader, total, period, counter, &Cancel::never())?;
    let unknown_ms: i64 = days.iter().map(|day| day.unknown_ms).sum();
    Ok(Metered {
        unknown: Span::from_millis(u64::try_from(unknown_ms).unwrap_or_default()),
        heard: days.iter().any(|day| day.is_heard),
        days,
    })
}

#[cfg(test)]
mod tests;
