//! A street lamp's controller: alive while its loop has power.

use super::{Moment, World};
use crate::fault::{FaultKind, Faults};
use crate::noise::{self, unit};
use crate::reading::Reading;
use crate::sun::Lighting;

/// What kind of road a lamp stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// 主干路: full light all night.
    Arterial,
    /// 支路: half light from midnight on.
    Branch,
}

/// Power factor of the driver.
const POWER_FACTOR: f64 = 0.96;
/// What a controller itself takes, W.
const OWN: f64 = 0.8;
/// One lamp in so many stays dark for a night, and is mended by day.
const NIGHTLY: f64 = 0.004;

/// Parameters of a lamp.
#[derive(Debug)]
pub(crate) struct Lamp {
    pub(crate) key: u64,
    /// W.
    pub(crate) rated: f64,
    pub(crate) road: Road,
    /// Dark for good.
    pub(crate) dead: bool,
    /// Place of its loop controller in the county.
    pub(crate) controller: usize,
    /// Which of the controller's six loops, 0..6.
    pub(crate) circuit: usize,
    /// 0 at the controller, towards 1 at the end of the loop.
    pub(crate) along: f64,
    /// Phase of the supply, 0..3.
    pub(crate) phase: usize,
}

impl Lamp {
    /// Light over full light that the schedule wants, 0..=1.
    pub(super) fn dim(&self, lighting: &Lighting) -> f64 {
        match (lighting.lit, self.road, lighting.late) {
            (false, _, _) => 0.0,
            (true, Road::Branch, true) => 0.5,
            (true, Road::Branch | Road::Arterial, _) => 1.0,
        }
    }

    /// Whether it has no light for a reason of its own.
    pub(super) fn dark(&self, faults: &Faults, place: usize, lighting: &Lighting, t: i64) -> bool {
        self.dead
            || unit(noise::key(self.key, 1), lighting.night) < NIGHTLY
            || faults.acting(place, FaultKind::LampOut, t).is_some()
    }

    /// Whether its loop has lost its power to a cut cable.
    pub(crate) fn cut_off(&self, faults: &Faults, t: i64) -> bool {
        self.circuit == 0
            && self.along > 0.1
            && faults.acting(self.controller, FaultKind::CableCut, t).is_some()
    }

    /// Power it draws, W.
    pub(super) fn power(&self, dim: f64, dark: bool, t: i64) -> f64 {
        let shimmer = 1.0 + 0.015 * noise::flicker(noise::key(self.key, 2), t, 60_000);
        if dark || dim <= 0.0 {
            OWN
        } else {
            self.rated * dim * shimmer + OWN
        }
    }

    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let lighting = world.sun.lighting(t);
        let (dim, dark) = (
            self.dim(&lighting),
            self.dark(moment.faults, moment.place, &lighting, t),
        );
        let volts = supply(world, self.controller, self.phase, t) * (1.0 - 0.02 * self.along);
        let power = self.power(dim, dark, t);
        let late = if self.road == Road::Branch { 0.5 } else { 1.0 };
        let burned = lighting.early_h + late * lighting.late_h;
        let share = if self.dead { 0.01 } else { 1.0 };
        out.number("voltage", volts, 1);
        out.number("current", power / (volts * POWER_FACTOR), 3);
        out.number("power", power, 1);
        out.number("dim", dim * 100.0, 0);
        out.flag("relay", lighting.lit);
        out.number(
            "energy",
            (6000.0 + share * self.rated / 1000.0 * burned).max(0.0),
            2,
        );
        let warm = if dark { 2.0 } else { 16.0 * dim };
        out.number("temperature", world.air(t) + warm, 1);
    }
}

/// Voltage of a phase at a cabinet, V: lower in the evening when everybody cooks.
pub(super) fn supply(world: &World, controller: usize, phase: usize, t: i64) -> f64 {
    let key = noise::key(world.seed, 1000 + (controller as u64) * 4 + phase as u64);
    let hour = super::clock_hour(t);
    let evening = (-(hour - 19.5).powi(2) / 8.0).exp();
    229.0 - 5.0 * evening + 3.0 * noise::smooth(key, t, 1_800_000) + 0.6 * noise::flicker(key, t, 60_000)
}

/// Current of a load, A.
pub(super) fn amperes(power: f64, volts: f64) -> f64 {
    power / (volts.max(1.0) * POWER_FACTOR)
}
