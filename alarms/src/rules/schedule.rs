//! Hours of the civil day, e.g. `22:00-06:00`.

use jiff::civil;
use jiff::tz::TimeZone;
use telemetry::Timestamp;

/// A stretch of each civil day of a zone, from a time on and before another. It may go over midnight; from a time to the same time is the
/// whole day.
///
/// It is decided by the civil time that the clock of the zone shows. So when the clock goes back an hour and shows a time twice,
/// it covers both; when it skips the time that begins it, it covers what comes after. Two stretches that fill the day
/// cover every instant, each exactly once.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    from: civil::Time,
    to: civil::Time,
    zone: TimeZone,
}

impl Schedule {
    /// From two civil times, `HH:MM` or `HH:MM:SS`.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub fn new(from: &str, to: &str, zone: TimeZone) -> Result<Self, String> {
        let time = |text: &str| {
            text.trim()
                .parse::<civil::Time>()
                .map_err(|_| format!("{text:?} is no time of the day; HH:MM is expected"))
        };
        Ok(Self {
            from: time(from)?,
            to: time(to)?,
            zone,
        })
    }

    /// From `HH:MM-HH:MM`.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, String> {
        let Some((from, to)) = text.split_once('-') else {
            return Err(format!("{text:?} is no schedule; HH:MM-HH:MM is expected"));
        };
        Self::new(from, to, zone)
    }

    /// Whether that instant lies in it.
    #[must_use]
    pub fn covers(&self, at: Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.millis()) else {
            return true;
        };
        let time = self.zone.to_datetime(instant).time();
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        let instant: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_millis(instant.as_millisecond())
    }

    #[test]
    fn a_schedule_over_midnight_covers_the_night() {
        // Shanghai is 8 h east: 22:00 there is 14:00 UTC.
        let night = Schedule::parse("22:00-06:00", TimeZone::get("Asia/Shanghai").unwrap()).unwrap();
        for (instant, covered) in [
            ("2026-01-01T13:59:59.999Z", false),
            ("2026-01-01T14:00:00Z", true),
            ("2026-01-01T21:59:59.999Z", true),
            ("2026-01-01T22:00:00Z", false),
        ] {
            assert_eq!(night.covers(at(instant)), covered, "{instant}");
        }
    }

    #[test]
    fn two_halves_of_a_day_cover_every_instant_once_when_the_clock_changes() {
        // Berlin, 2026: 29 March 02:00 becomes 03:00 (01:00 UTC); 25 October 03:00 becomes 02:00 (01:00 UTC).
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let early = Schedule::parse("14:30-02:30", zone.clone()).unwrap();
        let late = Schedule::parse("02:30-14:30", zone).unwrap();
        for day in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
            for minute in 0..240 {
                let instant = at(day).plus(telemetry::time::Span::from_secs(minute * 60));
                assert!(
                    early.covers(instant) != late.covers(instant),
                    "{day} + {minute} min"
                );
            }
        }
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for text in ["22:00", "25:00-06:00", "a-b"] {
            let refusal = Schedule::parse(text, TimeZone::UTC).unwrap_err();
            assert!(refusal.contains("HH:MM"), "{refusal}");
        }
    }
}
