//! Hours of the civil day, e.g. `22:00-06:00`, `dusk-dawn` or `dusk-23:00`.

use jiff::civil;
use jiff::tz::TimeZone;
use telemetry::Timestamp;

use super::Daylight;

/// A stretch of each civil day of a zone, from a time on and before another. It may go over midnight; from a time to the same time is the
/// whole day.
///
/// It is decided by the civil time that the clock of the zone shows. So when the clock goes back an hour and shows a time twice,
/// it covers both; when it skips the time that begins it, it covers what comes after. Two stretches that fill the day
/// cover every instant, each exactly once.
///
/// Either end may be `dusk` or `dawn` 日落、日出: sunset in the evening and sunrise in the morning of that civil day, at
/// the county's position. Where the sun does neither (within the polar circles) such a schedule covers everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    from: Edge,
    to: Edge,
    zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Edge {
    Clock(civil::Time),
    Dusk,
    Dawn,
}

impl Edge {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "dusk" => Ok(Self::Dusk),
            "dawn" => Ok(Self::Dawn),
            clock => clock
                .parse::<civil::Time>()
                .map(Self::Clock)
                .map_err(|_| format!("{text:?} is no time of the day; HH:MM, dusk or dawn is expected")),
        }
    }

    /// The civil time of it on a day whose sun sets and rises then.
    const fn on(self, sun: Option<(civil::Time, civil::Time)>) -> Option<civil::Time> {
        match (self, sun) {
            (Self::Clock(time), _) => Some(time),
            (Self::Dusk, Some((dusk, _))) => Some(dusk),
            (Self::Dawn, Some((_, dawn))) => Some(dawn),
            (Self::Dusk | Self::Dawn, None) => None,
        }
    }
}

impl Schedule {
    /// From two civil times, `HH:MM` or `HH:MM:SS`.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub fn new(from: &str, to: &str, zone: TimeZone) -> Result<Self, String> {
        Ok(Self {
            from: Edge::parse(from)?,
            to: Edge::parse(to)?,
            zone,
        })
    }

    /// From `HH:MM-HH:MM`; either end may be `dusk` or `dawn`.
    ///
    /// # Errors
    /// A sentence that says what cannot be read.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, String> {
        let Some((from, to)) = text.split_once('-') else {
            return Err(format!("{text:?} is no schedule; HH:MM-HH:MM is expected"));
        };
        Self::new(from, to, zone)
    }

    /// Whether it goes by the sun, so that somebody has to know where the county is.
    #[must_use]
    pub const fn needs_sun(&self) -> bool {
        !matches!((self.from, self.to), (Edge::Clock(_), Edge::Clock(_)))
    }

    /// Whether that instant lies in it. Without a sun a schedule that needs one covers everything.
    #[must_use]
    pub fn covers(&self, at: Timestamp, sun: Option<&dyn Daylight>) -> bool {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.millis()) else {
            return true;
        };
        let local = self.zone.to_datetime(instant);
        let sun = if self.needs_sun() {
            sun.and_then(|sun| sun.dusk_and_dawn(local.date()))
                .and_then(|(dusk, dawn)| Some((self.clock(dusk)?, self.clock(dawn)?)))
        } else {
            None
        };
        let (Some(from), Some(to)) = (self.from.on(sun), self.to.on(sun)) else {
            return true;
        };
        let time = local.time();
        if from < to {
            from <= time && time < to
        } else {
            from <= time || time < to
        }
    }

    fn clock(&self, at: Timestamp) -> Option<civil::Time> {
        let instant = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
        Some(self.zone.to_datetime(instant).time())
    }
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clock(time) => write!(f, "{time}"),
            Self::Dusk => f.write_str("dusk"),
            Self::Dawn => f.write_str("dawn"),
        }
    }
}

impl std::fmt::Display for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
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
            assert_eq!(night.covers(at(instant), None), covered, "{instant}");
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
                    early.covers(instant, None) != late.covers(instant, None),
                    "{day} + {minute} min"
                );
            }
        }
    }

    #[test]
    fn a_schedule_of_the_sun_follows_it_from_dusk_to_dawn() {
        struct Sun;
        impl Daylight for Sun {
            fn lights_due(&self, _at: Timestamp) -> bool {
                false
            }
            // Sunset 17:10, sunrise 06:50 in Shanghai (8 h east): 09:10 and 22:50 UTC of the day before.
            fn dusk_and_dawn(&self, date: civil::Date) -> Option<(Timestamp, Timestamp)> {
                let eve = date.yesterday().ok()?;
                Some((at(&format!("{date}T09:10:00Z")), at(&format!("{eve}T22:50:00Z"))))
            }
        }
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let night = Schedule::parse("dusk-dawn", zone.clone()).unwrap();
        let evening = Schedule::parse("dusk-23:00", zone).unwrap();
        assert!(night.needs_sun());
        for (instant, in_night, in_evening) in [
            ("2026-01-01T09:09:59Z", false, false),
            ("2026-01-01T09:10:00Z", true, true),
            // 23:00 in Shanghai.
            ("2026-01-01T15:00:00Z", true, false),
            ("2026-01-01T22:49:59Z", true, false),
            ("2026-01-01T22:50:00Z", false, false),
        ] {
            assert_eq!(night.covers(at(instant), Some(&Sun)), in_night, "{instant}");
            assert_eq!(evening.covers(at(instant), Some(&Sun)), in_evening, "{instant}");
        }
        // Nobody knows where the sun is: better to raise.
        assert!(night.covers(at("2026-01-01T04:00:00Z"), None));
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for text in ["22:00", "25:00-06:00", "a-b"] {
            let refusal = Schedule::parse(text, TimeZone::UTC).unwrap_err();
            assert!(refusal.contains("HH:MM"), "{refusal}");
        }
    }
}
