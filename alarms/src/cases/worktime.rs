//! Deadline arithmetic: how far an amount of time reaches, in continuous time or in working hours. Pure.
//!
//! Source: `domain.md` §5: 紧急工作时 and 自然日 run on continuously, 工作时 and 工作日 only in the working hours of days
//! that are worked on.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;
use telemetry::Timestamp;
use telemetry::time::Span;

use super::calendar::{Calendar, NoYear};

/// Days that are looked at from the beginning of a deadline. Beyond, it counts as one of an unknown year.
const DAYS_MAX: usize = 4000;
/// Windows of working hours in a day.
const WINDOWS_MAX: usize = 4;

/// How the clock of a deadline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pace {
    /// Always.
    Continuous,
    /// In working hours.
    Working,
}

/// The working hours of a day: windows in order, e.g. 08:00–12:00 and 14:00–18:00. A window that ends at 24:00 is not
/// allowed for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<Box<str>>")]
pub struct WorkingHours(Vec<(Time, Time)>);

impl WorkingHours {
    /// How much of a day they are.
    #[must_use]
    pub fn of_a_day(&self) -> Span {
        let minutes = |time: &Time| {
            u64::from(time.hour().unsigned_abs()) * 60 + u64::from(time.minute().unsigned_abs())
        };
        let windows = self.0.iter();
        Span::from_secs(windows.map(|(from, to)| (minutes(to) - minutes(from)) * 60).sum())
    }
}

impl TryFrom<Vec<Box<str>>> for WorkingHours {
    type Error = String;

    fn try_from(texts: Vec<Box<str>>) -> Result<Self, String> {
        let mut windows: Vec<(Time, Time)> = Vec::new();
        for text in &texts {
            let wrong = || format!("working hours {text:?}; a window is written \"08:00-12:00\"");
            let (from, to) = text.split_once('-').ok_or_else(wrong)?;
            let read = |text: &str| Time::strptime("%H:%M", text.trim()).map_err(|_| wrong());
            let (from, to) = (read(from)?, read(to)?);
            if from >= to || windows.last().is_some_and(|(_, before)| *before > from) {
                return Err(format!(
                    "working hours {text:?}: windows are not empty, and in order"
                ));
            }
            windows.push((from, to));
        }
        if windows.is_empty() || windows.len() > WINDOWS_MAX {
            return Err(format!(
                "{} windows of working hours; 1 to {WINDOWS_MAX} are allowed",
                windows.len()
            ));
        }
        Ok(Self(windows))
    }
}

/// Everything that the arithmetic needs to know of the county.
#[derive(Clone, Debug)]
pub struct WorkTime {
    /// Which days are worked on.
    pub calendar: Calendar,
    /// When on such a day.
    pub hours: WorkingHours,
    /// The county's zone.
    pub zone: TimeZone,
}

impl WorkTime {
    /// The instant at which `amount` has passed since `from`. An amount that is used up at the end of a window ends
    /// there, not at the beginning of the next.
    ///
    /// # Errors
    /// [`NoYear`] when it reaches into a year that the calendar lacks.
    pub fn after(&self, pace: Pace, from: Timestamp, amount: Span) -> Result<Timestamp, NoYear> {
        if pace == Pace::Continuous || amount == Span::ZERO {
            return Ok(from.plus(amount));
        }
        let mut left = i64::try_from(amount.millis()).unwrap_or(i64::MAX);
        for day in self.days(from) {
            for (begin, end) in self.windows(day)? {
                let begin = begin.max(from);
                let room = end.millis_since(begin);
                if room >= left {
                    return Ok(Timestamp::from_millis(begin.millis().saturating_add(left)));
                }
                left -= room.max(0);
            }
        }
        Err(NoYear(self.date(from).year()))
    }

    /// How much time passed between `from` and `to`; nothing when `to` is not later.
    ///
    /// # Errors
    /// [`NoYear`] when a day of it lies in a year that the calendar lacks.
    pub fn between(&self, pace: Pace, from: Timestamp, to: Timestamp) -> Result<Span, NoYear> {
        if to <= from {
            return Ok(Span::ZERO);
        }
        let span = |ms: i64| Span::from_millis(u64::try_from(ms).unwrap_or(0));
        if pace == Pace::Continuous {
            return Ok(span(to.millis_since(from)));
        }
        let last = self.date(to);
        let mut sum = 0;
        for day in self.days(from).take_while(|day| *day <= last) {
            for (begin, end) in self.windows(day)? {
                sum += end.min(to).millis_since(begin.max(from)).max(0);
            }
        }
        Ok(span(sum))
    }

    /// The county's civil year at `at`.
    #[must_use]
    pub fn year(&self, at: Timestamp) -> i16 {
        self.date(at).year()
    }

    fn days(&self, from: Timestamp) -> impl Iterator<Item = Date> {
        let days = self.date(from).series(jiff::Span::new().days(1));
        days.take(DAYS_MAX)
    }

    fn date(&self, at: Timestamp) -> Date {
        let instant = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default();
        self.zone.to_datetime(instant).date()
    }

    /// The windows of a day as instants; none when it is not worked on.
    fn windows(&self, day: Date) -> Result<Vec<(Timestamp, Timestamp)>, NoYear> {
        if !self.calendar.is_worked(day)? {
            return Ok(Vec::new());
        }
        let instant = |time: Time| {
            let zoned = day.to_datetime(time).to_zoned_datetime(self.zone.clone());
            zoned.map(|zoned| Timestamp::from_millis(zoned.timestamp().as_millisecond()))
        };
        let windows = self.hours.0.iter();
        // A time that no zone can place is left out: only days at the very ends of the calendar have such times.
        Ok(windows
            .filter_map(|(from, to)| Some((instant(*from).ok()?, instant(*to).ok()?)))
            .collect())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn at(text: &str) -> Timestamp {
        format!("{text}:00+08:00").parse().unwrap()
    }

    pub(crate) fn county() -> WorkTime {
        WorkTime {
            calendar: Calendar::builtin().unwrap(),
            hours: WorkingHours::try_from(vec!["08:00-12:00".into(), "14:00-18:00".into()]).unwrap(),
            zone: TimeZone::get("Asia/Shanghai").unwrap(),
        }
    }

    fn hours(count: u64) -> Span {
        Span::from_secs(count * 3600)
    }

    /// From, hours, until: counted by hand on a calendar of 2026. 30 November 2026 is a Monday.
    const WORKED: [(&str, u64, &str); 12] = [
        // within a window, and to its very end
        ("2026-11-30T09:00", 2, "2026-11-30T11:00"),
        ("2026-11-30T09:00", 3, "2026-11-30T12:00"),
        // over lunch, from within lunch
        ("2026-11-30T11:00", 2, "2026-11-30T15:00"),
        ("2026-11-30T12:30", 1, "2026-11-30T15:00"),
        // over the night, from before the day begins
        ("2026-11-30T17:00", 2, "2026-12-01T09:00"),
        ("2026-12-01T03:00", 8, "2026-12-01T18:00"),
        // over the weekend, and from within it
        ("2026-11-27T17:00", 2, "2026-11-30T09:00"),
        ("2026-11-28T10:00", 1, "2026-11-30T09:00"),
        // over the spring festival, 15 to 23 February; Saturday the 14th and the 28th are worked on
        ("2026-02-13T17:00", 2, "2026-02-14T09:00"),
        ("2026-02-14T17:00", 2, "2026-02-24T09:00"),
        ("2026-02-27T17:00", 2, "2026-02-28T09:00"),
        // three working days over the national holiday: half of 30 September, then the 8th and 9th, then half of
        // Saturday the 10th, which is made up for
        ("2026-09-30T14:00", 24, "2026-10-10T12:00"),
    ];

    #[test]
    fn working_hours_pass_over_lunch_night_weekend_holiday_and_in_make_up_days() {
        let county = county();
        for (from, amount, until) in WORKED {
            let found = county.after(Pace::Working, at(from), hours(amount)).unwrap();
            assert_eq!(found, at(until), "{amount} h from {from}");
            let back = county.between(Pace::Working, at(from), at(until)).unwrap();
            assert_eq!(back, hours(amount), "from {from} to {until}");
        }
    }

    #[test]
    fn continuous_time_passes_over_everything() {
        let county = county();
        let from = at("2026-02-14T17:00");
        let until = at("2026-02-15T17:00");
        assert_eq!(county.after(Pace::Continuous, from, hours(24)), Ok(until));
        assert_eq!(county.between(Pace::Continuous, from, until), Ok(hours(24)));
        // It needs no calendar.
        let from = at("2031-01-01T00:00");
        assert_eq!(
            county.after(Pace::Continuous, from, hours(1)),
            Ok(at("2031-01-01T01:00"))
        );
        assert_eq!(
            county.between(Pace::Continuous, until, from).unwrap().millis() % 1000,
            0
        );
        assert_eq!(county.between(Pace::Working, until, until), Ok(Span::ZERO));
    }

    #[test]
    fn a_year_that_the_calendar_lacks_is_not_guessed() {
        // Given a Thursday, the last day of 2026,
        let county = county();
        let from = at("2026-12-31T14:00");
        // then four working hours end on it, and five would need the year after.
        assert_eq!(
            county.after(Pace::Working, from, hours(4)),
            Ok(at("2026-12-31T18:00"))
        );
        assert_eq!(county.after(Pace::Working, from, hours(5)), Err(NoYear(2027)));
        assert_eq!(
            county.between(Pace::Working, from, at("2027-01-04T09:00")),
            Err(NoYear(2027))
        );
    }

    #[test]
    fn working_hours_are_windows_in_order() {
        assert_eq!(county().hours.of_a_day(), hours(8));
        let read = |windows: &[&str]| {
            WorkingHours::try_from(windows.iter().map(|text| (*text).into()).collect::<Vec<_>>())
        };
        for wrong in [
            &[][..],
            &["8-12"],
            &["12:00-08:00"],
            &["08:00-12:00", "11:00-13:00"],
            &[
                "01:00-02:00",
                "03:00-04:00",
                "05:00-06:00",
                "07:00-08:00",
                "09:00-10:00",
            ],
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(
            read(&["08:30-12:00", "13:30-17:30"]).unwrap().of_a_day(),
            Span::from_secs(27_000)
        );
    }
}
