//! A rural sewage station: influent, regulating tank, pumps, aeration, effluent.

use super::{Moment, World};
use crate::fault::{Event, FaultKind};
use crate::noise::{self, smooth, unit};
use crate::num::{hours, real};
use crate::reading::Reading;
use crate::sun::DAY;

const MINUTE: i64 = 60_000;
/// A lift pump's cycle: on, off, on again.
const CYCLE: i64 = 24 * MINUTE;
/// The blowers take turns.
const TURN: i64 = 6 * 60 * MINUTE;
/// An analyser measures once in so long and shows the result until the next.
const ANALYSIS: i64 = 2 * 60 * MINUTE;
/// Mean COD and NH3-N of the dry influent of a village, mg/L; a town's is stronger (assumed).
const COD_MEAN: f64 = 210.0;
const NH3N_MEAN: f64 = 30.0;
/// Tank levels between which the lift pump works, m.
const LOW: f64 = 1.1;
const HIGH: f64 = 1.9;
/// How fast the tank rises when nothing is pumped, m/h.
const RISE: f64 = 2.4;

/// Parameters of a station.
#[derive(Debug)]
pub(crate) struct Sewage {
    pub(crate) key: u64,
    /// 30 t/d and more: the full set of signals, two pumps.
    pub(crate) large: bool,
    /// Design capacity, t/d.
    pub(crate) capacity: f64,
    /// Mean load over capacity.
    pub(crate) load: f64,
    /// How far the sewers delay the flow, ms.
    pub(crate) delay: i64,
    /// What the totaliser showed at the beginning of the influent's cycle, m³.
    pub(crate) total: f64,
    /// 1 removes as it should, below it does not.
    pub(crate) treatment: f64,
    /// Overflow sill, m.
    pub(crate) sill: f64,
    /// Never any outflow, as registered.
    pub(crate) no_outflow: bool,
}

impl Sewage {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let (flow, total) = self.outflow(moment);
        let mut tank = self.tank(moment, flow);
        if let Some(since) = moment.since(FaultKind::PumpTrip) {
            // The second pump of a large station keeps up, a bit higher; a small one has none.
            let rise = if self.large { 0.3 } else { RISE };
            tank.level = (tank.level + rise * hours(since)).min(self.sill + 0.03);
        } else if let Some((age, lasted)) = self.recovering(moment) {
            let risen = (RISE * hours(lasted)).min(self.sill + 0.03 - LOW);
            let rest = if self.large {
                0.0
            } else {
                risen * (1.0 - real(age) / real(40 * MINUTE))
            };
            tank.level = (tank.level + rest.max(0.0)).min(self.sill + 0.03);
        }
        out.number("flow", flow, 2);
        out.number("total", total, 1);
        out.number("level", tank.level, 2);
        let tripped = moment.since(FaultKind::PumpTrip).is_some();
        if self.large {
            self.read_process(moment, out, flow);
            self.read_machines(moment, out, &tank, tripped, total);
        } else {
            out.flag("pump_1_run", tank.pumping && !tripped);
            out.flag("pump_1_fault", tripped);
            out.flag("mains", true);
        }
    }

    /// Flow in m³/h and total in m³. What a trip held back comes later, so the total catches up.
    fn outflow(&self, moment: Moment<'_>) -> (f64, f64) {
        if self.no_outflow {
            return (0.0, self.total);
        }
        let influent = &moment.world.influent;
        let mean = self.capacity * self.load / 24.0;
        let at = |t: i64| mean * influent.volume(t - self.delay);
        let (mut flow, mut total) = (
            mean * influent.flow(moment.t - self.delay),
            self.total + at(moment.t),
        );
        if !self.large {
            for event in trips(moment) {
                let held = at(moment.t.min(event.end)) - at(event.start);
                if moment.t < event.end {
                    flow = 0.0;
                    total -= held;
                } else {
                    let tau = real((event.end - event.start).max(60 * MINUTE) * 2);
                    let rest = held * (-real(moment.t - event.end) / tau).exp();
                    flow += rest / (tau / 3_600_000.0);
                    total -= rest;
                }
            }
        }
        let shimmer = 1.0 + 0.02 * noise::flicker(noise::key(self.key, 1), moment.t, 10_000);
        (
            (flow * shimmer).clamp(0.0, if self.large { 20.0 } else { 5.0 }),
            total.max(0.0),
        )
    }

    /// The level between the pump's switching points, and whether it runs.
    fn tank(&self, moment: Moment<'_>, flow: f64) -> Tank {
        if self.no_outflow {
            let level = 0.6 + 0.05 * smooth(noise::key(self.key, 2), moment.t, DAY);
            return Tank {
                level,
                pumping: false,
                first: true,
            };
        }
        let duty = (0.12 + 0.7 * flow / (self.capacity / 24.0 * 2.4)).clamp(0.1, 0.9);
        let since = moment.t + self.delay * 7;
        let phase = real(since.rem_euclid(CYCLE)) / real(CYCLE);
        let pumping = phase < duty;
        let part = if pumping {
            1.0 - phase / duty
        } else {
            (phase - duty) / (1.0 - duty)
        };
        Tank {
            level: LOW + (HIGH - LOW) * part,
            pumping,
            first: since.div_euclid(CYCLE) % 2 == 0,
        }
    }

    fn recovering(&self, moment: Moment<'_>) -> Option<(i64, i64)> {
        trips(moment)
            .map(|event| (moment.t - event.end, event.end - event.start))
            .find(|(age, _)| (0..40 * MINUTE).contains(age))
    }

    fn read_process(&self, moment: Moment<'_>, out: &mut Reading, flow: f64) {
        let Moment { world, t, .. } = moment;
        let strain = flow / (self.capacity / 24.0);
        let wander = |stream: u64, step: i64| smooth(noise::key(self.key, stream), t, step);
        let oxygen = 3.4 - 0.8 * strain * (2.0 - self.treatment) + 0.5 * wander(3, 90 * MINUTE);
        out.number("dissolved_oxygen", oxygen.clamp(0.2, 9.0), 2);
        out.number("ph", 7.15 + 0.2 * wander(4, 5 * 60 * MINUTE), 2);
        out.number(
            "temperature",
            6.0 + 0.68 * world.air(t - DAY / 4) + 0.2 * wander(5, DAY),
            1,
        );
    }

    fn read_machines(&self, moment: Moment<'_>, out: &mut Reading, tank: &Tank, tripped: bool, total: f64) {
        let t = moment.t;
        let first = tank.pumping && tank.first && !tripped;
        let second = tank.pumping && (!tank.first || tripped);
        let blower = t.div_euclid(TURN) % 2 == 0;
        out.flag("pump_1_run", first);
        out.flag("pump_1_fault", tripped);
        out.flag("pump_2_run", second);
        out.flag("pump_2_fault", false);
        out.flag("blower_1_run", blower);
        out.flag("blower_1_fault", false);
        out.flag("blower_2_run", !blower);
        out.flag("blower_2_fault", false);
        out.flag("mains", true);
        self.read_analysers(moment, out);
        // Rated currents of a 1.1 kW and a 1.5 kW motor, a bit more for larger stations [assumed].
        let size = 0.7 + self.capacity / 100.0;
        let draw = |on: bool, amperes: f64, stream: u64| {
            let shimmer = 1.0 + 0.03 * noise::flicker(noise::key(self.key, stream), t, 5000);
            if on { amperes * size * shimmer } else { 0.0 }
        };
        out.number("pump_1_current", draw(first, 2.6, 10), 2);
        out.number("pump_2_current", draw(second, 2.6, 11), 2);
        out.number("blower_1_current", draw(blower, 3.4, 12), 2);
        let pumps = if tank.pumping { 1.1 * size } else { 0.0 };
        let shimmer = 1.0 + 0.02 * noise::flicker(noise::key(self.key, 13), t, 5000);
        out.number("power", (0.25 + pumps + 1.5 * size) * shimmer, 2);
        // Base load by the hour, pumping by the cubic metre.
        let base = (0.25 + 1.5 * size) * hours(t - 20_089 * DAY).max(-8000.0);
        out.number("energy", 40_000.0 + base + 0.22 * total, 2);
    }

    fn read_analysers(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let shift = self.delay * 3;
        let cycle = (t + shift).div_euclid(ANALYSIS);
        let measured = cycle * ANALYSIS - shift;
        let error = |stream: u64| 1.0 + 0.04 * noise::spread(noise::key(self.key, stream), cycle);
        let strength = 0.8 + 0.4 * unit(self.key, 6);
        let cod_in = COD_MEAN * strength * world.influent.cod(measured - self.delay);
        let nh3n_in = NH3N_MEAN * strength * world.influent.nh3n(measured - self.delay);
        let (cod_day, nh3n_day) = self.day_mean(world, measured);
        let left = 0.1 + 0.22 * (1.0 - self.treatment);
        out.number("cod_in", (cod_in * error(20)).clamp(0.0, 2000.0), 1);
        out.number(
            "cod_out",
            COD_MEAN * strength * cod_day * left * error(21) + 3.0,
            1,
        );
        out.number("nh3n_in", (nh3n_in * error(22)).clamp(0.0, 300.0), 2);
        out.number(
            "nh3n_out",
            NH3N_MEAN * strength * nh3n_day * left * 0.8 * error(23) + 0.2,
            2,
        );
    }

    /// The treatment evens a day out: the mean of the last day's influent in six steps.
    fn day_mean(&self, world: &World, t: i64) -> (f64, f64) {
        let mean = |of: fn(&crate::influent::Influent, i64) -> f64| {
            (0..6)
                .map(|n| of(&world.influent, t - self.delay - n * DAY / 6))
                .sum::<f64>()
                / 6.0
        };
        (
            mean(crate::influent::Influent::cod),
            mean(crate::influent::Influent::nh3n),
        )
    }
}

struct Tank {
    level: f64,
    pumping: bool,
    first: bool,
}

fn trips(moment: Moment<'_>) -> impl Iterator<Item = Event> {
    (moment.faults.of(moment.place).iter().copied())
        .filter(move |event| event.kind == FaultKind::PumpTrip && event.start <= moment.t)
}
