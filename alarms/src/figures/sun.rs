//! When the sun rises and sets over the county, and so when its lights are due.

use std::sync::{Mutex, PoisonError};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use solar_positioning::events::HorizonState;
use solar_positioning::{Horizon, Location, SolarEvents};
use store::series::{CivilUnit, Grid, SeriesError, Zone};
use telemetry::registry::Position;
use telemetry::time::{Span, Timestamp};

/// Nights kept in memory. When there are more, all are forgotten and computed again as they are asked for.
const NIGHTS_MAX: usize = 1024;
/// Julian date of 1970-01-01T00:00Z. Source: Reda and Andreas 2003, §3.1.
const JULIAN_EPOCH: f64 = 2_440_587.5;

/// Why there is no sun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SunError {
    /// The county's time zone has no such name. Mend the registry.
    #[error("{0:?} is not a time zone; give an IANA name, e.g. Asia/Shanghai")]
    Zone(String),
    /// The county's position is not on Earth. Mend the registry.
    #[error("{latitude}°N {longitude}°E is not on Earth")]
    Position {
        /// As given.
        latitude: String,
        /// As given.
        longitude: String,
    },
}

/// The stretch of one night in which lights are due: `from` is included, `to` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Night {
    /// Sunset plus its offset.
    pub from: Timestamp,
    /// Sunrise minus its offset.
    pub to: Timestamp,
}

/// The sun over one county: civil days of its zone, sunset, sunrise and lighting nights.
///
/// Sunrise and sunset are the instants at which the sun's upper limb touches a level horizon with
/// standard refraction (centre at −0.8333°), at sea level. Source: NREL SPA, Reda and Andreas 2003.
#[derive(Debug)]
pub struct Sun {
    location: Location,
    zone: TimeZone,
    civil: Zone,
    after_sunset: Span,
    before_sunrise: Span,
    nights: Mutex<FxHashMap<Date, Option<Night>>>,
    /// Sunset and sunrise of civil days.
    days: Mutex<FxHashMap<Date, Option<(Timestamp, Timestamp)>>>,
}

impl Sun {
    /// The sun at `position`; lights are due from `after_sunset` after sunset to `before_sunrise` before sunrise.
    ///
    /// # Errors
    /// [`SunError`] when zone or position do not exist.
    pub fn new(
        position: Position,
        zone: &str,
        after_sunset: Span,
        before_sunrise: Span,
    ) -> Result<Self, SunError> {
        let Position { latitude, longitude } = position;
        if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) {
            return Err(SunError::Position {
                latitude: latitude.to_string(),
                longitude: longitude.to_string(),
            });
        }
        Ok(Self {
            location: Location { latitude, longitude },
            zone: TimeZone::get(zone).map_err(|_| SunError::Zone(zone.to_owned()))?,
            civil: Zone::new(zone).map_err(|_| SunError::Zone(zone.to_owned()))?,
            after_sunset,
            before_sunrise,
            nights: Mutex::default(),
            days: Mutex::default(),
        })
    }

    /// The county's civil date at `at`. Times beyond the years −9999 to 9999 take the nearest.
    #[must_use]
    pub fn date(&self, at: Timestamp) -> Date {
        self.zone.to_datetime(instant(at)).date()
    }

    /// The first instant of a civil day.
    #[must_use]
    pub fn midnight(&self, date: Date) -> Timestamp {
        self.at_hour(date, 0)
    }

    /// The civil days of `from..to`; the first and the last are cut off there.
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`] for more than a million.
    pub fn days(&self, from: Timestamp, to: Timestamp) -> Result<Grid, SeriesError> {
        self.civil.grid(CivilUnit::Day, from, to)
    }

    /// RFC 3339 with the county's offset, in whole seconds.
    #[must_use]
    pub fn text(&self, at: Timestamp) -> String {
        let instant = instant(at);
        let offset = self.zone.to_offset(instant);
        instant.display_with_offset(offset).to_string()
    }

    /// The first rise and the first set between the noon of `evening` and the next: sunset, sunrise.
    /// None where the sun does not do so in that time.
    #[must_use]
    pub fn sunset_and_sunrise(&self, evening: Date) -> (Option<Timestamp>, Option<Timestamp>) {
        let events = self.events(evening);
        let first = |times: &[f64]| times.first().copied().and_then(from_julian);
        events.map_or((None, None), |events| (first(&events.sets), first(&events.rises)))
    }

    /// When lights are due in the night that begins on the evening of `evening`. None where there is
    /// no such time: the sun does not set, or the night is shorter than both offsets. Where the sun
    /// does not rise either, lights are due from noon to noon.
    #[must_use]
    pub fn lighting_night(&self, evening: Date) -> Option<Night> {
        let mut nights = self.nights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(night) = nights.get(&evening) {
            return *night;
        }
        let night = self.compute(evening);
        if nights.len() >= NIGHTS_MAX {
            nights.clear();
        }
        nights.insert(evening, night);
        night
    }

    /// The evening to whose night `at` belongs: its own date from noon on, before noon the day before.
    #[must_use]
    pub fn evening(&self, at: Timestamp) -> Date {
        let local = self.zone.to_datetime(instant(at));
        if local.hour() >= 12 {
            local.date()
        } else {
            local.date().yesterday().unwrap_or(local.date())
        }
    }

    /// Whether lights are due at `at`.
    #[must_use]
    pub fn lights_due(&self, at: Timestamp) -> bool {
        self.lighting_night(self.evening(at))
            .is_some_and(|night| night.from <= at && at < night.to)
    }

    fn compute(&self, evening: Date) -> Option<Night> {
        let events = self.events(evening)?;
        let sunset = events.sets.first().copied().and_then(from_julian);
        let dark = events.state_at_start == HorizonState::Below;
        let from = match sunset {
            Some(sunset) => sunset.plus(self.after_sunset),
            None if dark => self.at_hour(evening, 12),
            None => return None,
        };
        let noon = self.at_hour(evening.tomorrow().ok()?, 12);
        let to = (events.rises.iter().copied().filter_map(from_julian))
            .find(|rise| *rise > from)
            .map_or(noon, |rise| rise.minus(self.before_sunrise));
        (from < to).then_some(Night { from, to })
    }

    fn events(&self, evening: Date) -> Option<solar_positioning::Events<f64>> {
        let start = self.at_hour(evening, 12);
        let end = self.at_hour(evening.tomorrow().ok()?, 12);
        let month = evening.month().unsigned_abs().into();
        let delta_t = solar_positioning::delta_t::estimate_from_date(evening.year().into(), month).ok()?;
        SolarEvents::new()
            .for_interval_from_julian(
                to_julian(start),
                to_julian(end),
                self.location,
                delta_t,
                Horizon::SunriseSunset,
            )
            .ok()
    }

    fn at_hour(&self, date: Date, hour: i8) -> Timestamp {
        let local = date.at(hour, 0, 0, 0);
        self.zone
            .to_ambiguous_timestamp(local)
            .compatible()
            .map_or(Timestamp::MAX, |t| Timestamp::from_millis(t.as_millisecond()))
    }
}

impl crate::Daylight for Sun {
    fn lights_due(&self, at: Timestamp) -> bool {
        Self::lights_due(self, at)
    }

    fn dusk_and_dawn(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(day) = days.get(&date) {
            return *day;
        }
        let (dusk, _) = self.sunset_and_sunrise(date);
        let (_, dawn) = date
            .yesterday()
            .map_or((None, None), |eve| self.sunset_and_sunrise(eve));
        let day = dusk.zip(dawn);
        if days.len() >= NIGHTS_MAX {
            days.clear();
        }
        days.insert(date, day);
        day
    }
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    // One day inside the ends, so that every zone can show it.
    let least = jiff::Timestamp::MIN.as_millisecond() + 2 * Timestamp::DAY_MS;
    let greatest = jiff::Timestamp::MAX.as_millisecond() - 2 * Timestamp::DAY_MS;
    jiff::Timestamp::from_millisecond(at.millis().clamp(least, greatest))
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

fn to_julian(at: Timestamp) -> f64 {
    at.millis() as f64 / Timestamp::DAY_MS as f64 + JULIAN_EPOCH
}

fn from_julian(julian: f64) -> Option<Timestamp> {
    let ms = ((julian - JULIAN_EPOCH) * Timestamp::DAY_MS as f64).round();
    if ms.abs() < 1e15 {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 10^15")]
        let ms = ms as i64;
        Some(Timestamp::from_millis(ms))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
