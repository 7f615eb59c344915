//! A cabinet with six lighting loops: what its meters show is the sum of its lamps.

use super::lamp::{amperes, supply};
use super::{Model, Moment, clock_hour};
use crate::fault::FaultKind;
use crate::noise::{self, smooth};
use crate::num::real;
use crate::reading::Reading;
use crate::sun::DAY;

/// Parameters of a controller.
#[derive(Debug)]
pub(crate) struct LoopController {
    pub(crate) key: u64,
    /// Places of its lamps in the county.
    pub(crate) lamps: std::ops::Range<usize>,
    /// Mean of the lamps' rated power, for the energy meter, W × lamps.
    pub(crate) rated: f64,
    /// Share of full power after midnight.
    pub(crate) late: f64,
}

/// Sums over the lamps.
#[derive(Default)]
struct Sums {
    /// W by phase.
    power: [f64; 3],
    /// W by loop.
    circuit: [f64; 6],
}

impl LoopController {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let lighting = world.sun.lighting(t);
        let volts = [0, 1, 2].map(|phase| supply(world, moment.place, phase, t));
        let sums = self.sums(moment);
        for (name, volts) in ["voltage_a", "voltage_b", "voltage_c"].into_iter().zip(volts) {
            out.number(name, volts, 1);
        }
        for ((name, power), volts) in ["current_a", "current_b", "current_c"]
            .into_iter()
            .zip(sums.power)
            .zip(volts)
        {
            out.number(name, amperes(power, volts), 2);
        }
        for (name, power) in ["power_a", "power_b", "power_c"].into_iter().zip(sums.power) {
            out.number(name, power, 0);
        }
        let factor = if lighting.powered { 0.96 } else { 1.0 };
        for name in ["power_factor_a", "power_factor_b", "power_factor_c"] {
            out.number(name, factor, 3);
        }
        let burned = lighting.early_h + self.late * lighting.late_h;
        out.number("energy", (150_000.0 + self.rated / 1000.0 * burned).max(0.0), 2);
        let leakage = 7.0 + 3.0 * smooth(noise::key(self.key, 1), t, DAY / 8) + 6.0 * world.influent.rain(t);
        let cut = moment.since(FaultKind::CableCut).is_some();
        out.number(
            "leakage",
            if cut && lighting.lit {
                leakage + 45.0
            } else {
                leakage
            },
            0,
        );
        let mean = volts.iter().sum::<f64>() / 3.0;
        for (name, power) in CURRENTS.into_iter().zip(sums.circuit) {
            out.number(name, amperes(power, mean), 2);
        }
        for name in CONTACTORS {
            out.flag(name, lighting.powered);
        }
        out.flag("door_open", false);
        out.flag("flooded", false);
        out.number("lux", self.lux(moment, lighting.lit), 0);
        out.number(
            "temperature",
            world.air(t) + if lighting.lit { 6.0 } else { 3.0 },
            1,
        );
    }

    fn sums(&self, moment: Moment<'_>) -> Sums {
        let Moment {
            world,
            county,
            faults,
            t,
            ..
        } = moment;
        let lighting = world.sun.lighting(t);
        let mut sums = Sums::default();
        if !lighting.powered {
            return sums;
        }
        for (n, device) in county
            .devices()
            .get(self.lamps.clone())
            .unwrap_or_default()
            .iter()
            .enumerate()
        {
            let Model::Lamp(lamp) = &device.model else {
                continue;
            };
            if lamp.cut_off(faults, t) {
                continue;
            }
            let dark = lamp.dark(faults, self.lamps.start + n, &lighting, t);
            let power = lamp.power(lamp.dim(&lighting), dark, t);
            if let Some(sum) = sums.power.get_mut(lamp.phase) {
                *sum += power;
            }
            if let Some(sum) = sums.circuit.get_mut(lamp.circuit) {
                *sum += power;
            }
        }
        sums
    }

    fn lux(&self, moment: Moment<'_>, lit: bool) -> f64 {
        if lit {
            return 2.0 + noise::flicker(self.key, moment.t, 60_000);
        }
        let height = (std::f64::consts::TAU * (clock_hour(moment.t) - 12.0) / 24.0)
            .cos()
            .max(0.005);
        let clouds = 0.7 + 0.3 * smooth(noise::key(moment.world.seed, 9), moment.t, DAY / 6);
        real(60_000) * height * clouds * (1.0 - 0.7 * moment.world.influent.rain(moment.t))
    }
}

const CURRENTS: [&str; 6] = [
    "loop_1_current",
    "loop_2_current",
    "loop_3_current",
    "loop_4_current",
    "loop_5_current",
    "loop_6_current",
];
const CONTACTORS: [&str; 6] = [
    "contactor_1",
    "contactor_2",
    "contactor_3",
    "contactor_4",
    "contactor_5",
    "contactor_6",
];
