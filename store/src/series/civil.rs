//! Windows of civil time: the county's days, months and lighting nights, in its zone and with its clock changes.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use telemetry::time::Timestamp;

use super::grid::{Grid, WINDOWS_MAX};
use super::reader::SeriesError;

/// There is no time zone of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a time zone; give an IANA name, e.g. Asia/Shanghai")]
pub struct UnknownZone(pub String);

/// A time zone, for windows that begin where people's days do.
#[derive(Clone, Debug)]
pub struct Zone(TimeZone);

/// What civil time is cut into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CivilUnit {
    /// From midnight to midnight: 23 or 25 h where the clock changes. Where there is no midnight the day begins
    /// with its first instant.
    Day,
    /// From the midnight of the first to that of the next first.
    Month,
    /// From noon to noon, named after the evening: a whole night of street lights lies in one.
    LightingNight,
}

impl Zone {
    /// UTC, for those who live there.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The zone of that IANA name.
    ///
    /// # Errors
    /// [`UnknownZone`] when there is none.
    pub fn new(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name)
            .map(Self)
            .map_err(|_| UnknownZone(name.to_owned()))
    }

    /// The first instant of the unit that holds `at`. Times beyond the years −9999 to 9999 take the nearest.
    #[must_use]
    pub fn begin(&self, unit: CivilUnit, at: Timestamp) -> Timestamp {
        self.start(unit, self.first(unit, at))
    }

    /// The first instant of the unit after the one that holds `at`.
    #[must_use]
    pub fn end(&self, unit: CivilUnit, at: Timestamp) -> Timestamp {
        match next(unit, self.first(unit, at)) {
            Some(date) => self.start(unit, date),
            None => Timestamp::MAX,
        }
    }

    /// The units that overlap `from..to`; the first and the last are cut off there. Whoever wants whole units
    /// passes [`Zone::begin`] and [`Zone::end`].
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`] for more than [`WINDOWS_MAX`].
    pub fn grid(&self, unit: CivilUnit, from: Timestamp, to: Timestamp) -> Result<Grid, SeriesError> {
        let mut edges = vec![from, to.max(from)];
        let mut date = self.first(unit, from);
        while let Some(following) = next(unit, date) {
            let begin = self.start(unit, following);
            if begin >= to {
                break;
            }
            if edges.len() > WINDOWS_MAX {
                return Err(SeriesError::TooManyWindows { limit: WINDOWS_MAX });
            }
            if begin > from {
                edges.push(begin);
            }
            date = following;
        }
        Ok(Grid::between(edges))
    }

    /// The date after which the unit that holds `at` is named.
    fn first(&self, unit: CivilUnit, at: Timestamp) -> Date {
        let local = self.0.to_datetime(instant(at));
        match unit {
            CivilUnit::Day => local.date(),
            CivilUnit::Month => local.date().first_of_month(),
            // By the instant of noon, not by the hour that the clock shows: noon may be skipped.
            CivilUnit::LightingNight if self.start(unit, local.date()) <= at => local.date(),
            CivilUnit::LightingNight => local.date().yesterday().unwrap_or(local.date()),
        }
    }

    fn start(&self, unit: CivilUnit, date: Date) -> Timestamp {
        let hour = match unit {
            CivilUnit::Day | CivilUnit::Month => 0,
            CivilUnit::LightingNight => 12,
        };
        let zoned = date.at(hour, 0, 0, 0).to_zoned_datetime(self.0.clone());
        let zoned = match unit {
            CivilUnit::Day | CivilUnit::Month => zoned.and_then(|zoned| zoned.start_of_day()),
            CivilUnit::LightingNight => zoned,
        };
        zoned.map_or(Timestamp::MAX, |zoned| {
            Timestamp::from_millis(zoned.timestamp().as_millisecond())
        })
    }
}

fn next(unit: CivilUnit, date: Date) -> Option<Date> {
    match unit {
        CivilUnit::Day | CivilUnit::LightingNight => date.tomorrow().ok(),
        CivilUnit::Month => date.last_of_month().tomorrow().ok(),
    }
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    // Two days inside the ends, so that every zone can show it.
    let least = jiff::Timestamp::MIN.as_millisecond() + 2 * Timestamp::DAY_MS;
    let greatest = jiff::Timestamp::MAX.as_millisecond() - 2 * Timestamp::DAY_MS;
    jiff::Timestamp::from_millisecond(at.millis().clamp(least, greatest))
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cells(zone: &str, unit: CivilUnit, from: &str, to: &str) -> Vec<(String, i64)> {
        let grid = Zone::new(zone).unwrap().grid(unit, at(from), at(to)).unwrap();
        let cells = grid.cells();
        cells
            .map(|cell| (cell.from.to_rfc3339(), cell.millis() / 60_000))
            .collect()
    }

    /// Begin in UTC and minutes, as expected.
    fn expected(cells: &[(&str, i64)]) -> Vec<(String, i64)> {
        cells
            .iter()
            .map(|(begin, minutes)| (format!("{begin}:00.000Z"), *minutes))
            .collect()
    }

    #[test]
    fn a_day_is_shorter_or_longer_when_the_clock_changes() {
        // Berlin goes to summer time on 2026-03-29 at 01:00Z and back on 2026-10-25 at 01:00Z.
        let spring = cells(
            "Europe/Berlin",
            CivilUnit::Day,
            "2026-03-27T23:00Z",
            "2026-03-30T22:00Z",
        );
        let days = [
            ("2026-03-27T23:00", 1440),
            ("2026-03-28T23:00", 1380),
            ("2026-03-29T22:00", 1440),
        ];
        assert_eq!(spring, expected(&days));
        let autumn = cells(
            "Europe/Berlin",
            CivilUnit::Day,
            "2026-10-24T22:00Z",
            "2026-10-26T23:00Z",
        );
        assert_eq!(
            autumn,
            expected(&[("2026-10-24T22:00", 1500), ("2026-10-25T23:00", 1440)])
        );
    }

    #[test]
    fn a_day_without_a_midnight_begins_with_its_first_instant() {
        // Cairo's clock goes from 2026-04-24 00:00 (+02) straight to 01:00 (+03): 22:00Z is both.
        let days = cells(
            "Africa/Cairo",
            CivilUnit::Day,
            "2026-04-22T22:00Z",
            "2026-04-25T21:00Z",
        );
        let wanted = [
            ("2026-04-22T22:00", 1440),
            ("2026-04-23T22:00", 1380),
            ("2026-04-24T21:00", 1440),
        ];
        assert_eq!(days, expected(&wanted));
    }

    #[test]
    fn the_county_has_days_months_and_nights_of_its_own() {
        // Shanghai is at +08:00 all year: midnight is 16:00Z, noon 04:00Z. Ends are cut off.
        let zone = "Asia/Shanghai";
        let days = cells(zone, CivilUnit::Day, "2026-11-22T20:00Z", "2026-11-24T00:00Z");
        assert_eq!(
            days,
            expected(&[("2026-11-22T20:00", 1200), ("2026-11-23T16:00", 480)])
        );
        let months = cells(zone, CivilUnit::Month, "2026-01-31T16:00Z", "2026-03-31T16:00Z");
        let wanted = [("2026-01-31T16:00", 28 * 1440), ("2026-02-28T16:00", 31 * 1440)];
        assert_eq!(months, expected(&wanted));
        let nights = cells(
            zone,
            CivilUnit::LightingNight,
            "2026-11-22T03:00Z",
            "2026-11-23T04:00Z",
        );
        assert_eq!(
            nights,
            expected(&[("2026-11-22T03:00", 60), ("2026-11-22T04:00", 1440)])
        );
    }

    #[test]
    fn a_lighting_night_over_a_clock_change_runs_from_noon_to_noon() {
        let nights = cells(
            "Europe/Berlin",
            CivilUnit::LightingNight,
            "2026-03-28T11:00Z",
            "2026-03-30T10:00Z",
        );
        assert_eq!(
            nights,
            expected(&[("2026-03-28T11:00", 1380), ("2026-03-29T10:00", 1440)])
        );
    }

    #[test]
    fn what_is_no_zone_and_what_is_beyond_the_calendar_is_said() {
        assert_eq!(
            Zone::new("Mars/Olympus").unwrap_err(),
            UnknownZone("Mars/Olympus".to_owned())
        );
        let all = Zone::UTC.grid(CivilUnit::Day, Timestamp::MIN, Timestamp::MAX);
        assert!(matches!(all, Err(SeriesError::TooManyWindows { .. })));
        assert_eq!(
            Zone::UTC.begin(CivilUnit::Day, at("2026-11-23T12:00Z")),
            at("2026-11-23T00:00Z")
        );
        assert_eq!(
            Zone::UTC.end(CivilUnit::Month, at("2026-11-23T12:00Z")),
            at("2026-12-01T00:00Z")
        );
    }
}
