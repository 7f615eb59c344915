//! The rest of a model county: delivery points, bins, dust stations, bridges.

use super::{Moment, clock_hour, depot};
use crate::noise::{self, flicker, smooth, unit};
use crate::num::real;
use crate::reading::Reading;
use crate::sun::{DAY, ZONE};

const MINUTE: i64 = 60_000;

/// An LPG delivery point.
#[derive(Debug)]
pub(crate) struct DeliveryPoint {
    pub(crate) key: u64,
    /// Full cylinders after the morning's lorry.
    pub(crate) stock: f64,
}

impl DeliveryPoint {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let zero = 1.0 + 0.6 * smooth(self.key, t, DAY / 5) + 0.2 * flicker(self.key, t, 5000);
        let gas = zero.max(0.0) + depot::leak(moment.faults.of(moment.place), t);
        let hour = clock_hour(t);
        let sold = ((hour - 8.0) / 10.0).clamp(0.0, 1.0);
        let full = if hour < 7.5 {
            self.stock * 0.4
        } else {
            self.stock * (1.0 - 0.6 * sold)
        };
        let open = (8.0..18.0).contains(&hour) && flicker(noise::key(self.key, 1), t, 10 * MINUTE) > 0.2;
        out.number("gas_01", gas.clamp(0.0, 100.0), 1);
        out.number("status_01", 0.0, 0);
        out.number("temperature", 4.0 + 0.8 * world.air(t - 60 * MINUTE), 1);
        out.number("full_cylinders", full, 0);
        out.flag("door_open", open);
    }
}

/// A waste bin.
#[derive(Debug)]
pub(crate) struct Bin {
    pub(crate) key: u64,
    /// How full it gets until the morning's lorry, %.
    pub(crate) fills: f64,
}

impl Bin {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        // Emptied at five in the morning, give or take an hour.
        let emptied = 4 * 60 * MINUTE + crate::num::whole(120.0 * unit(self.key, 0)) * MINUTE;
        let since = real((t + ZONE - emptied).rem_euclid(DAY)) / real(DAY);
        let day = (t + ZONE - emptied).div_euclid(DAY);
        let fill = (self.fills * (0.8 + 0.3 * unit(self.key, day)) * since.powf(0.8)).clamp(0.0, 100.0);
        out.number("fill", fill, 0);
        out.number("weight", fill * 1.4, 1);
        out.number("temperature", world.air(t) + 4.0 * since, 1);
        out.flag("smoke", false);
        out.flag("lid_open", flicker(noise::key(self.key, 1), t, MINUTE) > 0.97);
        out.flag("door_open", since < 0.004);
        out.number("battery", 82.0 + 15.0 * noise::spread(self.key, -1), 0);
        out.number(
            "rsrp",
            -95.0 + 8.0 * noise::spread(self.key, -2) + 3.0 * flicker(self.key, t, 600_000),
            0,
        );
    }
}

/// A dust station.
#[derive(Debug)]
pub(crate) struct Dust {
    pub(crate) key: u64,
}

impl Dust {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let rain = world.influent.rain(t);
        let hour = clock_hour(t);
        let works = if (7.0..18.0).contains(&hour) { 1.0 } else { 0.3 };
        let wander = |stream: u64, step: i64| smooth(noise::key(self.key, stream), t, step);
        let site = (35.0 + 35.0 * works + 20.0 * wander(1, 40 * MINUTE)) * (1.0 - 0.7 * rain);
        let pm10 = (site + 4.0 * flicker(self.key, t, MINUTE)).max(4.0);
        out.number("pm25", pm10 * 0.48, 0);
        out.number("pm10", pm10, 0);
        out.number("tsp", pm10 * 1.7, 0);
        out.number("noise", 46.0 + 14.0 * works + 4.0 * wander(2, 5 * MINUTE), 1);
        out.number("wind_speed", (2.2 + 1.8 * wander(3, 30 * MINUTE)).max(0.0), 1);
        out.number(
            "wind_direction",
            (180.0 + 170.0 * wander(4, DAY / 2)).clamp(0.0, 360.0),
            0,
        );
        let air = world.air(t);
        out.number("temperature", air, 1);
        out.number(
            "humidity",
            (70.0 - 1.2 * (air - 17.0) + 25.0 * rain).clamp(15.0, 100.0),
            0,
        );
        out.number(
            "pressure",
            962.0 + 9.0 * smooth(noise::key(world.seed, 5), t, 3 * DAY),
            1,
        );
        out.number("rain", 6.0 * rain, 1);
    }
}

/// A bridge or tunnel with its sensors.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) key: u64,
}

const STRAIN: [&str; 12] = [
    "strain_01",
    "strain_02",
    "strain_03",
    "strain_04",
    "strain_05",
    "strain_06",
    "strain_07",
    "strain_08",
    "strain_09",
    "strain_10",
    "strain_11",
    "strain_12",
];
const DEFLECTION: [&str; 6] = [
    "deflection_1",
    "deflection_2",
    "deflection_3",
    "deflection_4",
    "deflection_5",
    "deflection_6",
];
const TILT: [&str; 4] = ["tilt_1", "tilt_2", "tilt_3", "tilt_4"];
const CRACK: [&str; 4] = ["crack_1", "crack_2", "crack_3", "crack_4"];

impl Bridge {
    pub(super) fn read(&self, moment: Moment<'_>, out: &mut Reading) {
        let Moment { world, t, .. } = moment;
        let hour = clock_hour(t);
        let traffic = 0.25
            + 0.75
                * (-(hour - 8.0).powi(2) / 6.0)
                    .exp()
                    .max((-(hour - 17.5).powi(2) / 6.0).exp());
        let load = traffic * (25.0 + 20.0 * flicker(self.key, t, MINUTE));
        let warm = world.air(t) - 17.5;
        let each = |stream: u64| noise::key(self.key, stream);
        for (n, name) in (0_u64..).zip(STRAIN) {
            let gain = 0.6 + 0.8 * unit(each(n), 0);
            out.number(
                name,
                gain * (1.1 * load + 4.0 * warm) + 2.0 * flicker(each(n), t, MINUTE),
                1,
            );
        }
        for (n, name) in (20_u64..).zip(DEFLECTION) {
            let gain = 0.5 + 0.5 * unit(each(n), 0);
            out.number(name, gain * (0.18 * load + 0.25 * warm), 2);
        }
        for (n, name) in (30_u64..).zip(TILT) {
            out.number(name, 0.02 * noise::spread(each(n), 0) + 0.001 * warm, 3);
        }
        for (n, name) in (40_u64..).zip(CRACK) {
            out.number(name, (0.15 + 0.1 * unit(each(n), 0) - 0.002 * warm).max(0.0), 2);
        }
        out.number("acceleration_1", (0.03 + 0.002 * load).max(0.0), 3);
        out.number("acceleration_2", (0.02 + 0.0015 * load).max(0.0), 3);
        out.number("temperature", world.air(t - 60 * MINUTE), 1);
        out.number("load", load.max(0.0), 1);
    }
}
