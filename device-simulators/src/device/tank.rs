//! An LPG tank: lorries fill it, cylinders empty it, the sun warms it.

use super::{Moment, World};
use crate::noise::{self, smooth, unit};
use crate::num::real;
use crate::reading::Reading;
use crate::sun::{DAY, ZONE};

const MINUTE: i64 = 60_000;
/// A lorry unloads in so long.
const UNLOADING: i64 = 80 * MINUTE;

/// Parameters of a tank.
#[derive(Debug)]
pub(crate) struct Tank {
    pub(crate) key: u64,
    /// Days from lorry to lorry.
    pub(crate) days: i64,
    /// Level before and after a lorry, %.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Share of propane in the liquid.
    pub(crate) propane: f64,
}

impl Tank {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let shimmer = noise::flicker(noise::key(self.key, 1), t, 5000);
        let level = (self.level(t) + 0.08 * shimmer).clamp(0.0, 100.0);
        let celsius = self.liquid(world, t);
        out.number("level", level, 1);
        out.number("pressure", self.pressure(celsius) + 0.001 * shimmer, 3);
        out.number("temperature", celsius, 1);
        out.flag("contact_h", level >= 85.0);
        out.flag("contact_hh", level >= 90.0);
        out.flag("contact_l", level <= 15.0);
        out.flag("contact_ll", level <= 10.0);
    }

    /// Milliseconds since the last lorry began to unload: it comes in working hours, on its day.
    fn since_lorry(&self, t: i64) -> i64 {
        let cycle = self.days * DAY;
        let hour = 8 * 60 * MINUTE + crate::num::whole(unit(self.key, 2) * 6.0 * 60.0) * MINUTE;
        let day = crate::num::whole(unit(self.key, 3) * real(self.days)) * DAY;
        (t + ZONE - hour - day).rem_euclid(cycle)
    }

    /// Whether a lorry unloads into it.
    pub(crate) fn filling(&self, t: i64) -> bool {
        self.since_lorry(t) < UNLOADING
    }

    fn level(&self, t: i64) -> f64 {
        let since = self.since_lorry(t);
        let span = self.high - self.low;
        if since < UNLOADING {
            return self.low + span * real(since) / real(UNLOADING);
        }
        // Bottling goes on by day: the curve of what is gone has a wave of one day in it.
        let gone = |ms: i64| {
            let days = real(ms) / real(DAY);
            days - 0.14 * ((std::f64::consts::TAU * (days + 0.3)).sin() - (std::f64::consts::TAU * 0.3).sin())
        };
        let (from, to) = (gone(UNLOADING), gone(self.days * DAY));
        self.high - span * ((gone(since) - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// The liquid follows the air by hours, and the sun a little.
    fn liquid(&self, world: &World, t: i64) -> f64 {
        let air = (0..4).map(|n| world.air(t - n * 2 * 60 * MINUTE)).sum::<f64>() / 4.0;
        let clock = super::clock_hour(t);
        let sun =
            (std::f64::consts::TAU * (clock - 15.0) / 24.0).cos().max(0.0) * (1.0 - world.influent.rain(t));
        (air + 2.0 * sun + 0.15 * smooth(noise::key(self.key, 4), t, 20 * MINUTE)).clamp(-15.0, 39.0)
    }

    /// Gauge pressure over the liquid in MPa: Raoult's law over propane and n-butane.
    /// Source: Antoine parameters of the NIST Chemistry WebBook (log10 p/bar = A − B / (T/K + C)).
    fn pressure(&self, celsius: f64) -> f64 {
        let kelvin = celsius + 273.15;
        let propane = 10_f64.powf(4.536_78 - 1149.36 / (kelvin + 24.906));
        let butane = 10_f64.powf(4.355_76 - 1175.581 / (kelvin - 2.071));
        let bar = self.propane * propane + (1.0 - self.propane) * butane;
        (bar * 0.1 - 0.101_325).clamp(0.01, 2.4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pressure_is_that_of_the_mixture() {
        // 25 °C: propane 0.953 MPa, n-butane 0.243 MPa (NIST), half and half 0.598 MPa, gauge 0.497.
        let tank = Tank {
            key: 1,
            days: 5,
            low: 25.0,
            high: 80.0,
            propane: 0.5,
        };
        assert!(
            (tank.pressure(25.0) - 0.497).abs() < 0.01,
            "{}",
            tank.pressure(25.0)
        );
    }

    #[test]
    fn the_level_has_no_jump_and_falls_but_for_lorries() {
        let tank = Tank {
            key: 9,
            days: 4,
            low: 22.0,
            high: 82.0,
            propane: 0.6,
        };
        let mut last = tank.level(0);
        for t in (0..9 * DAY).step_by(60_000) {
            let now = tank.level(t);
            assert!((now - last).abs() < 1.0, "{t}: {last} to {now}");
            assert!(
                tank.filling(t - 60_000) || now <= last + 1e-6,
                "{t}: {last} to {now}"
            );
            last = now;
        }
    }
}
