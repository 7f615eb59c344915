//! When the county's street lights are due: from 15 min after sunset to 15 min before sunrise.
//!
//! Source: `domain.md` §3.2, with the sun from the NREL Solar Position Algorithm (crate `solar-positioning`).

use std::sync::RwLock;

use solar_positioning::{Horizon, Location, SolarEvents};

use crate::num::{hours, real, whole};

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;
/// China Standard Time is UTC+8 all the year.
pub(crate) const ZONE: i64 = 8 * 3_600_000;
/// From sunset to switching on, and from switching off to sunrise.
const OFFSET: i64 = 15 * 60_000;
/// The controllers put the lamps out; the loop's contactor opens so much later.
pub(crate) const RUN_DOWN: i64 = 2 * 60_000;
/// The first evening whose burning hours are counted: 2025-01-01 local, in days from 1970-01-01.
const FIRST: i64 = 20_089;
/// Terrestrial minus universal time, in seconds; some seconds wrong move a sunset by nothing.
const DELTA_T: f64 = 69.0;

/// One lighting night.
#[derive(Clone, Copy, Debug)]
struct Night {
    on: i64,
    middle: i64,
    off: i64,
    /// Milliseconds that all nights before this one lasted, before and after midnight.
    before: (i64, i64),
}

/// The lights at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lighting {
    /// Whether they are due.
    pub(crate) lit: bool,
    /// Whether the loops have power: while the lights are due and 2 min longer.
    pub(crate) powered: bool,
    /// When the lights last went off, ms.
    pub(crate) last_off: i64,
    /// Whether midnight has passed in this night.
    pub(crate) late: bool,
    /// Hours that they have burned before midnights since the beginning of 2025.
    pub(crate) early_h: f64,
    /// The same after midnights.
    pub(crate) late_h: f64,
    /// When this night's (by day: the next night's) lights go on, ms.
    pub(crate) on: i64,
    /// When they go off again, ms.
    pub(crate) off: i64,
    /// The number of the night: its evening, in days from 1970-01-01 local.
    pub(crate) night: i64,
}

/// The sun over the county.
#[derive(Debug)]
pub(crate) struct Sun {
    location: Location,
    nights: RwLock<Vec<Night>>,
}

impl Sun {
    pub(crate) fn new(latitude: f64, longitude: f64) -> Self {
        Self {
            location: Location { latitude, longitude },
            nights: RwLock::new(Vec::new()),
        }
    }

    /// The lights at `t`.
    pub(crate) fn lighting(&self, t: i64) -> Lighting {
        let today = (t + ZONE).div_euclid(DAY);
        let last = self.night(today - 1);
        let (number, night, last_off) = if t < last.off {
            (today - 1, last, self.night(today - 2).off)
        } else {
            (today, self.night(today), last.off)
        };
        let lit = (night.on..night.off).contains(&t);
        let early = (t.min(night.middle) - night.on).max(0);
        let late = (t.min(night.off) - night.middle).max(0);
        Lighting {
            lit,
            powered: lit || t < last_off + RUN_DOWN,
            last_off,
            late: lit && t >= night.middle,
            early_h: hours(night.before.0 + early),
            late_h: hours(night.before.1 + late),
            on: night.on,
            off: night.off,
            night: number,
        }
    }

    fn night(&self, day: i64) -> Night {
        let Ok(place) = usize::try_from(day - FIRST) else {
            // Before the count begins, meters show less than at its beginning, by half of the time.
            let mut night = self.compute(day);
            let gap = (day - FIRST) * DAY / 4;
            night.before = (gap, gap);
            return night;
        };
        if let Some(night) = self.known(place) {
            return night;
        }
        let mut nights = self
            .nights
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while nights.len() <= place + 30 {
            let mut night = self.compute(FIRST + i64::try_from(nights.len()).unwrap_or(0));
            night.before = nights.last().map_or((0, 0), |last| {
                (
                    last.before.0 + last.middle - last.on,
                    last.before.1 + last.off - last.middle,
                )
            });
            nights.push(night);
        }
        nights.get(place).copied().unwrap_or_else(|| self.compute(day))
    }

    fn known(&self, place: usize) -> Option<Night> {
        let nights = self
            .nights
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        nights.get(place).copied()
    }

    fn compute(&self, day: i64) -> Night {
        let midnight = day * DAY - ZONE;
        let noon = midnight + DAY / 2;
        let events = SolarEvents::new();
        let set = events.next_set_from_julian(
            julian(noon),
            julian(noon + DAY / 2),
            self.location,
            DELTA_T,
            Horizon::SunriseSunset,
        );
        let rise = events.next_rise_from_julian(
            julian(midnight + DAY),
            julian(noon + DAY),
            self.location,
            DELTA_T,
            Horizon::SunriseSunset,
        );
        // Where the sun does not set or rise (never at this latitude) the night is 18:00 to 06:00.
        let set = set.ok().flatten().map_or(midnight + 18 * 3_600_000, millis);
        let rise = rise.ok().flatten().map_or(midnight + 30 * 3_600_000, millis);
        Night {
            on: set + OFFSET,
            middle: midnight + DAY,
            off: rise - OFFSET,
            before: (0, 0),
        }
    }
}

/// Source: the Unix epoch is Julian date 2440587.5.
fn julian(ms: i64) -> f64 {
    real(ms) / real(DAY) + 2_440_587.5
}

fn millis(julian: f64) -> i64 {
    whole((julian - 2_440_587.5) * real(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<telemetry::Timestamp>().unwrap().millis()
    }

    #[test]
    fn the_lights_follow_the_sun_of_the_longest_day() {
        // Given the sunset 18:59 and sunrise 05:06 of domain.md §3.2 (NOAA formula, ±1 min; 2021-06-21),
        let sun = Sun::new(27.56, 119.72);
        // when the lights of that evening are asked for at noon,
        let lighting = sun.lighting(at("2021-06-21T12:00:00+08:00"));
        // then they go on 15 min after the one and off 15 min before the other.
        assert!(!lighting.lit);
        assert!((lighting.on - at("2021-06-21T19:14:00+08:00")).abs() < 120_000);
        assert!((lighting.off - at("2021-06-22T04:51:00+08:00")).abs() < 120_000);
    }

    #[test]
    fn burning_hours_grow_by_night_only() {
        let sun = Sun::new(27.56, 119.72);
        let (mut last, start) = (0.0, at("2026-11-20T00:00:00+08:00"));
        for t in (start..start + 3 * DAY).step_by(60_000) {
            let now = sun.lighting(t);
            let total = now.early_h + now.late_h;
            assert!(total >= last);
            if last > 0.0 && !now.lit {
                assert!(total - last < 1.0 / 60.0 + 1e-9);
            }
            last = total;
        }
    }
}
