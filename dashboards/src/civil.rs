//! Civil time: instants as the people of the county read them, in the county's time zone.

use jiff::tz::TimeZone;
use store::series::{CivilUnit, Grid, SeriesError, Zone};
use telemetry::time::Timestamp;

/// The county's calendar and clock.
#[derive(Clone, Debug)]
pub struct Civil {
    zone: TimeZone,
    units: Zone,
}

impl Civil {
    /// The zone of that IANA name; UTC, with a warning in the log, when there is none of that name.
    #[must_use]
    pub fn new(zone: &str) -> Self {
        let zone = TimeZone::get(zone).unwrap_or_else(|error| {
            tracing::warn!(zone, %error, "unknown time zone, pages show UTC");
            TimeZone::UTC
        });
        let units = zone.iana_name().and_then(|name| Zone::new(name).ok());
        Self {
            zone,
            units: units.unwrap_or(Zone::UTC),
        }
    }

    /// The days, months or lighting nights that overlap `from..to`; the first and the last are cut off there.
    ///
    /// # Errors
    /// [`SeriesError::TooManyWindows`] for more than a million.
    pub fn grid(&self, unit: CivilUnit, from: Timestamp, to: Timestamp) -> Result<Grid, SeriesError> {
        self.units.grid(unit, from, to)
    }

    fn zoned(&self, at: Timestamp) -> Option<jiff::ZonedDateTime> {
        let instant = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
        Some(instant.to_zoned_datetime(self.zone.clone()))
    }

    fn print(&self, at: Timestamp, pattern: &str) -> String {
        match self.zoned(at) {
            Some(zoned) => zoned.strftime(pattern).to_string(),
            None => at.to_rfc3339(),
        }
    }

    /// Date and time to the minute, e.g. `2026-11-23 20:00`.
    #[must_use]
    pub fn minute(&self, at: Timestamp) -> String {
        self.print(at, "%Y-%m-%d %H:%M")
    }

    /// Month, day and time; midnight is written as the day alone.
    #[must_use]
    pub fn short(&self, at: Timestamp) -> String {
        self.print(at, "%m-%d %H:%M")
            .trim_end_matches(" 00:00")
            .to_owned()
    }

    /// Time of day to the second, e.g. `20:00:05`.
    #[must_use]
    pub fn clock(&self, at: Timestamp) -> String {
        self.print(at, "%H:%M:%S")
    }

    /// Date and time to the second, e.g. `2026-11-23 20:00:05`.
    #[must_use]
    pub fn second(&self, at: Timestamp) -> String {
        self.print(at, "%Y-%m-%d %H:%M:%S")
    }

    /// The marks of a time axis over `from..=to`, at most `count_max` of them, each with its label: a
    /// date at midnight, else the time of day. They stand on civil midnights and whole parts of the day.
    #[must_use]
    pub fn ticks(&self, from: Timestamp, to: Timestamp, count_max: usize) -> Vec<(Timestamp, String)> {
        const MINUTE: i64 = 60_000;
        const STEPS_MIN: [i64; 15] = [
            1, 5, 15, 30, 60, 180, 360, 720, 1440, 2880, 7200, 10_080, 20_160, 43_200, 129_600,
        ];
        let count_max = i64::try_from(count_max.max(2)).unwrap_or(i64::MAX);
        let span_min = to.millis_since(from).max(0) / MINUTE;
        let step = STEPS_MIN
            .into_iter()
            .find(|step| span_min / step < count_max)
            .unwrap_or_else(|| (span_min / count_max / 1440 + 1) * 1440);
        let mut marks = Vec::new();
        let Some(first) = self.zoned(from) else {
            return marks;
        };
        let mut day = first.date();
        let epoch = jiff::civil::date(1970, 1, 1);
        for _ in 0..4000 {
            let Ok(midnight) = day.to_zoned_datetime(self.zone.clone()) else {
                break;
            };
            if Timestamp::from_millis(midnight.timestamp().as_millisecond()) > to {
                break;
            }
            let number = i64::from((day - epoch).get_days());
            if step >= 1440 {
                if number.rem_euclid(step / 1440) == 0 {
                    push(&mut marks, &midnight, from, to);
                }
            } else {
                for place in 0..1440 / step {
                    let minute = i32::try_from(place * step).unwrap_or(0);
                    let at = day.at(0, 0, 0, 0).checked_add(jiff::Span::new().minutes(minute));
                    if let Ok(Ok(at)) = at.map(|at| at.to_zoned_datetime(self.zone.clone())) {
                        push(&mut marks, &at, from, to);
                    }
                }
            }
            let Ok(next) = day.tomorrow() else { break };
            day = next;
        }
        marks
    }
}

fn push(marks: &mut Vec<(Timestamp, String)>, at: &jiff::ZonedDateTime, from: Timestamp, to: Timestamp) {
    let instant = Timestamp::from_millis(at.timestamp().as_millisecond());
    if instant < from || instant > to {
        return;
    }
    let midnight = at.hour() == 0 && at.minute() == 0;
    let label = at.strftime(if midnight { "%m-%d" } else { "%H:%M" }).to_string();
    marks.push((instant, label));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_marked_every_three_hours_of_the_county_and_midnight_by_its_date() {
        let civil = Civil::new("Asia/Shanghai");
        let marks = civil.ticks(
            at("2026-11-22T20:30:00+08:00"),
            at("2026-11-23T20:30:00+08:00"),
            9,
        );
        let labels: Vec<&str> = marks.iter().map(|(_, label)| label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "21:00", "11-23", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00"
            ]
        );
        assert_eq!(marks[1].0, at("2026-11-23T00:00:00+08:00"));
    }

    #[test]
    fn a_week_is_marked_at_midnights() {
        let civil = Civil::new("Asia/Shanghai");
        let marks = civil.ticks(at("2026-11-16T12:00:00Z"), at("2026-11-23T12:00:00Z"), 8);
        assert_eq!(marks.len(), 7);
        assert_eq!(marks[0].1, "11-17");
    }

    #[test]
    fn an_unknown_zone_shows_utc_and_times_out_of_the_calendar_still_print() {
        let civil = Civil::new("Mars/Olympus");
        assert_eq!(civil.minute(at("2026-11-23T12:00:00Z")), "2026-11-23 12:00");
        assert_eq!(civil.minute(Timestamp::MAX), Timestamp::MAX.to_rfc3339());
    }
}
