//! Axes: a range of numbers with the places that are marked and what is written there. Pure.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use telemetry::profile::{Signal, SignalKind};

use crate::text::Lang;

/// One axis, for plotters.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    from: f64,
    to: f64,
    /// Where a mark stands and what is written there, in order.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis over `from..to` with those marks; marks outside are left out.
    #[must_use]
    pub fn new(from: f64, to: f64, mut ticks: Vec<(f64, String)>) -> Self {
        ticks.retain(|(at, _)| (from..=to).contains(at));
        Self { from, to, ticks }
    }

    /// The axis of the values of `signal` between `extent`, with about `count` marks at round numbers, or
    /// with the names of its states.
    #[must_use]
    pub fn of_values(signal: &Signal, extent: (f64, f64), count: u32, lang: Lang) -> Self {
        if matches!(signal.kind, SignalKind::Bool | SignalKind::State) && !signal.states.is_empty() {
            return Self::of_states(signal, lang);
        }
        let (least, greatest) = widened(extent);
        let step = round_step((greatest - least) / f64::from(count.max(1)));
        let first = (least / step).floor();
        let last = (greatest / step).ceil();
        let decimals = decimals_of(step);
        let mut ticks = Vec::new();
        let mut place = first;
        while place <= last && ticks.len() < 50 {
            let at = place * step;
            ticks.push((at, crate::unit::number(at, decimals)));
            place += 1.0;
        }
        Self::new(first * step, last * step, ticks)
    }

    fn of_states(signal: &Signal, lang: Lang) -> Self {
        let mut ticks: Vec<(f64, String)> = signal
            .states
            .iter()
            .filter_map(|(number, title)| Some((number.parse().ok()?, lang.of(title).to_owned())))
            .collect();
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let least = ticks.first().map_or(0.0, |(at, _)| *at);
        let greatest = ticks.last().map_or(1.0, |(at, _)| *at);
        Self::new(least - 0.25, greatest + 0.25, ticks)
    }

    /// What is written at the mark `at`.
    #[must_use]
    pub fn label(&self, at: f64) -> String {
        let near = |tick: &&(f64, String)| (tick.0 - at).abs() <= (self.to - self.from).abs() * 1e-9;
        self.ticks
            .iter()
            .find(near)
            .map(|(_, label)| label.clone())
            .unwrap_or_default()
    }
}

/// Room above and below, so that a flat line does not lie on the frame.
fn widened((least, greatest): (f64, f64)) -> (f64, f64) {
    let height = greatest - least;
    if height > least.abs().max(greatest.abs()) * 1e-9 {
        (
            least - if least > 0.0 && least < height { least } else { 0.0 },
            greatest,
        )
    } else {
        let room = (least.abs() * 0.1).max(0.5);
        (least - room, greatest + room)
    }
}

/// The next greater of 1, 2, 5 times a power of ten.
fn round_step(raw: f64) -> f64 {
    let power = 10f64.powf(raw.max(1e-9).log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= raw * 0.999_999);
    factor.unwrap_or(10.0) * power
}

fn decimals_of(step: f64) -> u8 {
    (0..9u8)
        .find(|places| step * 10f64.powi(i32::from(*places)) >= 0.999_999)
        .unwrap_or(9)
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from).max(f64::MIN_POSITIVE);
        let place = f64::from(limit.0) + share.clamp(-1.0, 2.0) * f64::from(limit.1 - limit.0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the share is clamped, so the place is within three widths of the picture"
        )]
        let place = place.round() as i32;
        place
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        self.label(*value)
    }
}
