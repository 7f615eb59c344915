//! What stands in the county: the models that turn seed, device and time into a reading.
//!
//! Every model is a pure function of its parameters, the world, the faults and the time: no state, so
//! history and live are one curve and a restart changes nothing.

mod city;
mod cover;
mod depot;
mod lamp;
mod loop_controller;
mod sewage;
mod tank;

pub(crate) use city::{Bin, Bridge, DeliveryPoint, Dust};
pub(crate) use cover::Cover;
pub(crate) use depot::{Panel, Valves, channels};
pub(crate) use lamp::{Lamp, Road};
pub(crate) use loop_controller::LoopController;
pub(crate) use sewage::Sewage;
pub(crate) use tank::Tank;

use crate::county::County;
use crate::fault::{FaultKind, Faults};
use crate::influent::Influent;
use crate::noise;
use crate::num::{hours, real};
use crate::reading::Reading;
use crate::sun::{DAY, Sun, ZONE};

/// What all devices share: sun and weather.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) sun: Sun,
    pub(crate) influent: Influent,
}

impl World {
    /// Air temperature in °C: coldest about 20 January, warmest at half past two in the afternoon.
    pub(crate) fn air(&self, t: i64) -> f64 {
        let year = real(t - 20 * DAY) / (365.2425 * real(DAY));
        let seasonal = -10.0 * (std::f64::consts::TAU * year).cos();
        let clock = hours((t + ZONE).rem_euclid(DAY));
        let daily = 4.0 * (std::f64::consts::TAU * (clock - 14.5) / 24.0).cos();
        let weather = 2.5 * noise::smooth(noise::key(self.seed, 1), t, 2 * DAY);
        17.5 + seasonal + daily - 2.0 * self.influent.rain(t) + weather
    }
}

/// Hour of the day in China, 0..24.
pub(crate) fn clock_hour(t: i64) -> f64 {
    hours((t + ZONE).rem_euclid(DAY))
}

/// One instant at one place.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) world: &'a World,
    pub(crate) county: &'a County,
    pub(crate) faults: &'a Faults,
    /// The device's place in the county.
    pub(crate) place: usize,
    /// ms.
    pub(crate) t: i64,
}

impl Moment<'_> {
    /// Milliseconds since a fault of that kind began, while it acts.
    pub(crate) fn since(&self, kind: FaultKind) -> Option<i64> {
        (self.faults.acting(self.place, kind, self.t)).map(|event| self.t - event.start)
    }
}

/// What a device is, with its parameters.
#[derive(Debug)]
pub(crate) enum Model {
    Sewage(Sewage),
    Tank(Tank),
    Panel(Panel),
    Valves(Valves),
    Cover(Cover),
    Lamp(Lamp),
    Loop(LoopController),
    DeliveryPoint(DeliveryPoint),
    Bin(Bin),
    Dust(Dust),
    Bridge(Bridge),
}

impl Model {
    /// The profile that it speaks by.
    pub(crate) const fn profile(&self) -> &'static str {
        match self {
            Self::Sewage(sewage) if sewage.large => "sewage-station",
            Self::Sewage(_) => "sewage-station-small",
            Self::Tank(_) => "lpg-tank",
            Self::Panel(_) => "gas-detector-panel",
            Self::Valves(_) => "lpg-depot-valves",
            Self::Cover(_) => "manhole-cover",
            Self::Lamp(_) => "street-lamp",
            Self::Loop(_) => "loop-controller",
            Self::DeliveryPoint(_) => "lpg-delivery-point",
            Self::Bin(_) => "waste-bin",
            Self::Dust(_) => "dust-station",
            Self::Bridge(_) => "bridge-edge",
        }
    }

    /// What it measures at that moment, into `out`.
    pub(crate) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        out.clear();
        match self {
            Self::Sewage(sewage) => sewage.read(moment, out),
            Self::Tank(tank) => tank.read(moment, out),
            Self::Panel(panel) => panel.read(moment, out),
            Self::Valves(valves) => valves.read(moment, out),
            Self::Cover(cover) => cover.read(moment, out),
            Self::Lamp(lamp) => lamp.read(moment, out),
            Self::Loop(controller) => controller.read(moment, out),
            Self::DeliveryPoint(point) => point.read(moment, out),
            Self::Bin(bin) => bin.read(moment, out),
            Self::Dust(dust) => dust.read(moment, out),
            Self::Bridge(bridge) => bridge.read(moment, out),
        }
    }
}

#[cfg(test)]
mod tests;
