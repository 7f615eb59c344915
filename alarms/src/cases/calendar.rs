//! Which civil days are worked on: weekends, statutory holidays and make-up days 调休, as dated data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Weekday};
use serde::Deserialize;
use telemetry::profile::Title;

/// The calendar that comes with the program: `alarms/policies/calendar-cn-2026.toml`.
const BUILTIN: (&str, &str) = (
    "calendar-cn-2026.toml",
    include_str!("../../policies/calendar-cn-2026.toml"),
);
/// Longest holiday, in days. Longer: refused, because it is a slip of the pen.
const HOLIDAY_DAYS_MAX: i32 = 31;

/// Why a calendar was refused.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    /// Not TOML, an unknown or a missing key, or a value of the wrong type. Mend the named line.
    #[error("calendar {file} cannot be read")]
    Syntax {
        /// Which file.
        file: String,
        /// Line, column and what was expected.
        source: toml::de::Error,
    },
    /// A day that makes no sense.
    #[error("calendar {file}: {what}")]
    Day {
        /// Which file.
        file: String,
        /// Which day, and what is wrong with it.
        what: String,
    },
}

/// The calendar says nothing of this year: whether one of its days is worked on is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the calendar has no year {0}")]
pub struct NoYear(pub i16);

/// Which days are worked on, year by year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Name, e.g. `cn-2026`.
    pub id: Box<str>,
    /// Grows with each change.
    pub version: u32,
    years: BTreeMap<i16, Year>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Year {
    confirmed: bool,
    holidays: BTreeSet<Date>,
    make_up: BTreeSet<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: Box<str>,
    version: u32,
    #[serde(default, rename = "year")]
    years: Vec<YearOfFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct YearOfFile {
    year: i16,
    confirmed: bool,
    #[expect(dead_code, reason = "for who reads the file; that it is there is checked")]
    source: String,
    #[serde(default, rename = "holiday")]
    holidays: Vec<Holiday>,
    #[serde(default)]
    make_up: Vec<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holiday {
    #[expect(dead_code, reason = "for who reads the file; that it is there is checked")]
    name: Title,
    first: Date,
    last: Date,
}

impl Calendar {
    /// The calendar that comes with the program.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn builtin() -> Result<Self, CalendarError> {
        Self::parse(BUILTIN.0, BUILTIN.1)
    }

    /// Reads a calendar; `file` is its name in errors.
    ///
    /// # Errors
    /// [`CalendarError`] when it cannot be read, or a day stands in the wrong year or twice.
    pub fn parse(file: &str, text: &str) -> Result<Self, CalendarError> {
        let read: File = toml::from_str(text).map_err(|source| CalendarError::Syntax {
            file: file.to_owned(),
            source,
        })?;
        let wrong = |what: String| CalendarError::Day {
            file: file.to_owned(),
            what,
        };
        let mut years = BTreeMap::new();
        for of_file in read.years {
            let year = of_file.year;
            if years.insert(year, check(of_file).map_err(wrong)?).is_some() {
                return Err(wrong(format!("the year {year} stands there twice")));
            }
        }
        Ok(Self {
            id: read.id,
            version: read.version,
            years,
        })
    }

    /// Whether people work on that day: a make-up day, or a weekday that is no holiday.
    ///
    /// # Errors
    /// [`NoYear`] when the calendar says nothing of its year.
    pub fn is_worked(&self, day: Date) -> Result<bool, NoYear> {
        let year = self.years.get(&day.year()).ok_or(NoYear(day.year()))?;
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        Ok(year.make_up.contains(&day) || !(weekend || year.holidays.contains(&day)))
    }

    /// The years in it that nobody has compared with the notice of the State Council.
    pub fn unconfirmed(&self) -> impl Iterator<Item = i16> {
        let years = self.years.iter();
        years
            .filter(|(_, year)| !year.confirmed)
            .map(|(number, _)| *number)
    }

    /// Whether it has that year, and nobody has compared it with the notice.
    #[must_use]
    pub fn is_unconfirmed(&self, year: i16) -> bool {
        self.years.get(&year).is_some_and(|year| !year.confirmed)
    }
}

fn check(of_file: YearOfFile) -> Result<Year, String> {
    let mut year = Year {
        confirmed: of_file.confirmed,
        ..Year::default()
    };
    let own = |day: Date| {
        if day.year() == of_file.year {
            Ok(day)
        } else {
            Err(format!("{day} stands in the year {}", of_file.year))
        }
    };
    for holiday in of_file.holidays {
        let (first, last) = (own(holiday.first)?, own(holiday.last)?);
        let days = (last - first).get_days();
        if !(0..HOLIDAY_DAYS_MAX).contains(&days) {
            return Err(format!("a holiday from {first} to {last}"));
        }
        for day in first
            .series(jiff::Span::new().days(1))
            .take_while(|day| *day <= last)
        {
            if !year.holidays.insert(day) {
                return Err(format!("{day} is a holiday twice"));
            }
        }
    }
    for day in of_file.make_up {
        if year.holidays.contains(&own(day)?) || !year.make_up.insert(day) {
            return Err(format!(
                "{day} is a holiday and a make-up day, or stands there twice"
            ));
        }
    }
    Ok(year)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_calendar_of_the_program_knows_weekends_holidays_and_make_up_days() {
        // Given the notices of the State Council for 2025 and 2026, from memory,
        let calendar = Calendar::builtin().unwrap();
        for (day, worked) in [
            (date(2026, 1, 1), false),  // 元旦, a Thursday
            (date(2026, 1, 4), true),   // a Sunday, made up for
            (date(2026, 2, 23), false), // the last day of the spring festival, a Monday
            (date(2026, 2, 24), true),
            (date(2026, 2, 28), true),   // a Saturday, made up for
            (date(2026, 11, 28), false), // a Saturday
            (date(2026, 11, 30), true),  // a Monday
            (date(2025, 10, 8), false),
            (date(2025, 10, 11), true), // a Saturday, made up for
        ] {
            assert_eq!(calendar.is_worked(day), Ok(worked), "{day}");
        }
        // then none of it counts as confirmed, and other years are not guessed.
        assert_eq!(calendar.unconfirmed().collect::<Vec<_>>(), [2025, 2026]);
        assert_eq!(calendar.is_worked(date(2027, 1, 4)), Err(NoYear(2027)));
    }

    #[test]
    fn a_day_that_makes_no_sense_is_refused_by_name() {
        let head = "id = \"x\"\nversion = 1\n[[year]]\nyear = 2026\nconfirmed = true\nsource = \"s\"\n";
        let holiday = |first: &str, last: &str| {
            format!(
                "[[year.holiday]]\nname = {{ zh = \"节\", en = \"h\" }}\nfirst = \"{first}\"\nlast = \"{last}\"\n"
            )
        };
        for (rest, why) in [
            (
                holiday("2025-12-31", "2026-01-01"),
                "2025-12-31 stands in the year 2026",
            ),
            (
                holiday("2026-05-03", "2026-05-01"),
                "from 2026-05-03 to 2026-05-01",
            ),
            (
                "make_up = [\"2026-01-04\", \"2026-01-04\"]\n".to_owned(),
                "2026-01-04",
            ),
        ] {
            let error = Calendar::parse("f", &format!("{head}{rest}")).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let unknown = format!("{head}holidys = []\n");
        assert!(matches!(
            Calendar::parse("f", &unknown),
            Err(CalendarError::Syntax { .. })
        ));
    }
}
