//! How long a lamp was due, lit, dark and unknown. Pure.

use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

use super::sun::Night;

/// What a lamp was asked and said, in order of time; readings from before the night count as long as they hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readings<'a> {
    /// 1 on, 0 off.
    pub(super) relay: &'a [Sample],
    /// W.
    pub(super) power: &'a [Sample],
    /// Dimming level, %. Without any usable reading the lamp counts as not dimmable: 100.
    pub(super) dim: &'a [Sample],
}

/// The lamp and the rule by which it is judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lamp {
    /// W, above 0.
    pub(super) rated_w: f64,
    /// Least share of rated power × dimming level that is lit.
    pub(super) lit_share: f64,
    /// How long a reading counts.
    pub(super) hold: Span,
}

/// Milliseconds of lamp time: `due` = `lit` + `dark` + `unknown`; `excluded` is beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LampTime {
    pub(super) lit: i64,
    pub(super) dark: i64,
    pub(super) unknown: i64,
    /// Dimmed to 0: lit by nobody's wish.
    pub(super) excluded: i64,
}

impl LampTime {
    pub(super) fn due(self) -> i64 {
        self.lit + self.dark + self.unknown
    }

    pub(super) fn add(&mut self, other: Self) {
        self.lit += other.lit;
        self.dark += other.dark;
        self.unknown += other.unknown;
        self.excluded += other.excluded;
    }
}

/// Lit: relay on and P ≥ `lit_share` × rated × dim. A reading counts until the next of its signal, at most
/// for `hold`; then, or when it is bad, the signal is unknown. Source: domain.md §3.1, (assumed).
pub(super) fn lamp_time(night: Night, readings: Readings<'_>, lamp: &Lamp) -> LampTime {
    let undimmed = readings.dim.iter().all(|sample| sample.quality.is_bad());
    let mut relay = Held::new(readings.relay, lamp.hold);
    let mut power = Held::new(readings.power, lamp.hold);
    let mut dim = Held::new(readings.dim, lamp.hold);
    let mut time = LampTime::default();
    let mut now = night.from;
    while now < night.to {
        let (relay_on, relay_until) = relay.at(now);
        let (power_w, power_until) = power.at(now);
        let (dim_percent, dim_until) = dim.at(now);
        let dim_percent = if undimmed { Some(100.0) } else { dim_percent };
        let next = relay_until.min(power_until).min(dim_until).min(night.to);
        let ms = next.millis_since(now);
        match judge(relay_on, power_w, dim_percent, lamp) {
            State::Lit => time.lit += ms,
            State::Dark => time.dark += ms,
            State::Unknown => time.unknown += ms,
            State::NotDue => time.excluded += ms,
        }
        now = next;
    }
    time
}

enum State {
    Lit,
    Dark,
    Unknown,
    NotDue,
}

fn judge(relay: Option<f64>, power_w: Option<f64>, dim_percent: Option<f64>, lamp: &Lamp) -> State {
    let Some(dim) = dim_percent else {
        return State::Unknown;
    };
    if dim <= 0.0 {
        return State::NotDue;
    }
    let least_w = lamp.lit_share * lamp.rated_w * dim / 100.0;
    let relay = relay.map(|relay| relay >= 0.5);
    let drawing = power_w.map(|power_w| power_w >= least_w);
    match (relay, drawing) {
        (Some(true), Some(true)) => State::Lit,
        (Some(false), _) | (_, Some(false)) => State::Dark,
        (None, _) | (_, None) => State::Unknown,
    }
}

/// A signal as a step function, walked forward in time.
struct Held<'a> {
    samples: &'a [Sample],
    hold: Span,
    /// The first sample after the instant last asked for.
    next: usize,
}

impl<'a> Held<'a> {
    fn new(samples: &'a [Sample], hold: Span) -> Self {
        Self {
            samples,
            hold,
            next: 0,
        }
    }

    /// The value at `now` and until when it stays so. `now` never goes back.
    fn at(&mut self, now: Timestamp) -> (Option<f64>, Timestamp) {
        while self
            .samples
            .get(self.next)
            .is_some_and(|sample| sample.time <= now)
        {
            self.next += 1;
        }
        let following = self
            .samples
            .get(self.next)
            .map_or(Timestamp::MAX, |sample| sample.time);
        let current = self.next.checked_sub(1).and_then(|place| self.samples.get(place));
        match current {
            Some(current) if !current.quality.is_bad() && now < current.time.plus(self.hold) => {
                (Some(current.value), following.min(current.time.plus(self.hold)))
            }
            Some(_) | None => (None, following),
        }
    }
}

#[cfg(test)]
mod tests;
