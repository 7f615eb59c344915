//! The instruments that an LPG depot has besides its tanks: detector panel, valves.

use super::{Model, Moment, clock_hour};
use crate::county::County;
use crate::fault::{Event, FaultKind, Faults};
use crate::noise::{self, smooth, unit};
use crate::num::{place, real};
use crate::reading::Reading;
use crate::sun::DAY;

const SECOND: i64 = 1000;
/// Channels of a panel.
pub(crate) const CHANNELS: usize = 16;
/// Where a panel's own contacts close, %LEL. Source: `domain.md` §2.3.
const LEVEL_1: f64 = 20.0;
const LEVEL_2: f64 = 50.0;

/// Names of the signals of the channels, in the order of the profile.
const NAMES: [(&str, &str, &str, &str); CHANNELS] = [
    ("gas_01", "alarm1_01", "alarm2_01", "status_01"),
    ("gas_02", "alarm1_02", "alarm2_02", "status_02"),
    ("gas_03", "alarm1_03", "alarm2_03", "status_03"),
    ("gas_04", "alarm1_04", "alarm2_04", "status_04"),
    ("gas_05", "alarm1_05", "alarm2_05", "status_05"),
    ("gas_06", "alarm1_06", "alarm2_06", "status_06"),
    ("gas_07", "alarm1_07", "alarm2_07", "status_07"),
    ("gas_08", "alarm1_08", "alarm2_08", "status_08"),
    ("gas_09", "alarm1_09", "alarm2_09", "status_09"),
    ("gas_10", "alarm1_10", "alarm2_10", "status_10"),
    ("gas_11", "alarm1_11", "alarm2_11", "status_11"),
    ("gas_12", "alarm1_12", "alarm2_12", "status_12"),
    ("gas_13", "alarm1_13", "alarm2_13", "status_13"),
    ("gas_14", "alarm1_14", "alarm2_14", "status_14"),
    ("gas_15", "alarm1_15", "alarm2_15", "status_15"),
    ("gas_16", "alarm1_16", "alarm2_16", "status_16"),
];

/// The signals of each channel: concentration, level 1 contact, level 2 contact, status.
pub(crate) fn channels() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    NAMES.into_iter()
}

/// Concentration near a leak, %LEL: it climbs for half a minute to 60 and thins out when it is stopped.
pub(super) fn leak(events: &[Event], t: i64) -> f64 {
    (events
        .iter()
        .filter(|event| event.kind == FaultKind::GasLeak && event.start <= t))
    .map(|event| {
        let climbed = (real(t.min(event.end) - event.start) / real(30 * SECOND)).min(1.0) * 60.0;
        climbed * (-real((t - event.end).max(0)) / real(20 * SECOND)).exp()
    })
    .fold(0.0, f64::max)
}

/// Parameters of a panel.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) key: u64,
}

impl Panel {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let events = moment.faults.of(moment.place);
        let leak = leak(events, moment.t);
        let near = place(unit(self.key, 1) * 16.0);
        let concentrations: Vec<f64> = (0_u64..16).map(|n| self.background(n, moment.t)).collect();
        let concentration = |n: usize, background: f64| {
            // The neighbours of the nearest detector smell it too.
            let share = match n.abs_diff(near) {
                0 => 1.0,
                1 => 0.35,
                _ => 0.0,
            };
            (background + leak * share).clamp(0.0, 100.0)
        };
        let values: Vec<f64> = concentrations
            .iter()
            .enumerate()
            .map(|(n, c)| concentration(n, *c))
            .collect();
        for ((gas, ..), value) in channels().zip(&values) {
            out.number(gas, *value, 1);
        }
        for ((_, first, second, _), value) in channels().zip(&values) {
            out.flag(first, *value >= LEVEL_1);
            out.flag(second, *value >= LEVEL_2);
        }
        for (.., status) in channels() {
            out.number(status, 0.0, 0);
        }
    }

    /// A catalytic detector's zero wanders and flickers between 0 and 3 %LEL.
    fn background(&self, channel: u64, t: i64) -> f64 {
        let key = noise::key(self.key, 10 + channel);
        let zero = 0.9 + 0.8 * unit(key, 0);
        (zero + 0.5 * smooth(key, t, DAY / 4) + 0.2 * noise::flicker(noise::key(key, 1), t, 5000))
            .clamp(0.0, 3.0)
    }
}

/// Parameters of a depot's valve controller, with its neighbours' places.
#[derive(Debug)]
pub(crate) struct Valves {
    pub(crate) key: u64,
    pub(crate) panel: usize,
    pub(crate) tanks: Vec<usize>,
}

impl Valves {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment {
            county, faults, t, ..
        } = moment;
        // Cause and effect of the depot's own safety system: level 2 gas closes the valves within 10 s.
        let tripped = self.gas_tripped(faults, t);
        let filling = self.filling(county, t);
        let open = (7.5..18.0).contains(&clock_hour(t));
        let bottling = open && noise::flicker(noise::key(self.key, 1), t, 20 * 60 * SECOND) > -0.3;
        out.flag("inlet_valve", filling && !tripped);
        out.flag("outlet_valve", open && !tripped);
        out.flag("esd_trip", false);
        out.flag("fire_alarm", false);
        out.flag("pump_run", bottling && !tripped);
        out.flag("compressor_run", filling && !tripped);
        out.number(
            "fire_water_level",
            92.0 + 2.5 * smooth(noise::key(self.key, 2), t, 2 * DAY),
            1,
        );
        out.flag("mains", true);
    }

    fn gas_tripped(&self, faults: &Faults, t: i64) -> bool {
        let events = faults.of(self.panel);
        leak(events, t) >= 5.0 && (0..=10).any(|n| leak(events, t - n * 10 * SECOND) >= LEVEL_2)
    }

    fn filling(&self, county: &County, t: i64) -> bool {
        (self.tanks.iter()).any(
            |place| match county.devices().get(*place).map(|device| &device.model) {
                Some(Model::Tank(tank)) => tank.filling(t),
                _ => false,
            },
        )
    }
}
