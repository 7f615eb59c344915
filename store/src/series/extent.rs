//! What the file of a partition covers: one UTC day, or a UTC month once it is over.
//!
//! An extent is one number, as it stands in the files: the days since 1970 for a day, [`MONTHS`] and the months since
//! 1970 for a month. Points are flushed into days; [`super::months`] moves days that are long over into their
//! month, where a series has few large blocks instead of many small ones. Of two that hold the same time, the day is
//! the newer arrival: points come to a month only out of its days.

use std::collections::BTreeMap;
use std::ops::Range;

use telemetry::Timestamp;

/// The number of the month that begins 1970. Days beyond the year 9999 have no file, so no day reaches it.
pub(super) const MONTHS: i64 = 10_000_000;

/// Months and days of 400 years of the Gregorian calendar.
const CYCLE_MONTHS: i64 = 4800;
const CYCLE_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

pub(super) const fn is_month(extent: i64) -> bool {
    extent >= MONTHS
}

/// Days since 1970 of the first day of the month that is `month` months after January 1970. Years are counted from
/// March, so that the leap day is the last. Source: Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*,
/// `days_from_civil`; held against jiff in a test.
const fn first_day(month: i64) -> i64 {
    // March of the year 0 is month -(1970 × 12) + 2.
    let since_march = month + 1970 * 12 - 2;
    let cycle = since_march.div_euclid(CYCLE_MONTHS);
    let in_cycle = since_march.rem_euclid(CYCLE_MONTHS);
    let (year, month) = (in_cycle / 12, in_cycle % 12);
    let day = year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5;
    cycle * CYCLE_DAYS + day - EPOCH
}

/// The month that holds `day`.
pub(super) const fn month_of(day: i64) -> i64 {
    // At most two off; put right below.
    let mut month = day.saturating_mul(CYCLE_MONTHS).div_euclid(CYCLE_DAYS);
    while first_day(month) > day {
        month -= 1;
    }
    while first_day(month + 1) <= day {
        month += 1;
    }
    MONTHS + month
}

/// The days that it covers.
pub(super) const fn days(extent: i64) -> Range<i64> {
    if is_month(extent) {
        first_day(extent - MONTHS)..first_day(extent - MONTHS + 1)
    } else {
        extent..extent + 1
    }
}

/// Its beginning, ms since 1970.
pub(super) const fn begin_ms(extent: i64) -> i64 {
    days(extent).start.saturating_mul(Timestamp::DAY_MS)
}

/// The end of it, ms since 1970: the first instant after it.
pub(super) const fn end_ms(extent: i64) -> i64 {
    days(extent).end.saturating_mul(Timestamp::DAY_MS)
}

/// The name of its file: `series-2026-11-23.db` or `series-2026-11.db`.
pub(super) fn file_name(extent: i64) -> String {
    let begin = Timestamp::from_millis(begin_ms(extent)).to_rfc3339();
    let len = if is_month(extent) { 7 } else { 10 };
    let date = begin.get(..len).unwrap_or(&begin);
    format!("series-{date}.db")
}

/// What the file `name` covers; none when it is no partition.
pub(super) fn named(name: &str) -> Option<i64> {
    let date = name.strip_prefix("series-")?.strip_suffix(".db")?;
    let of = |date: &str| -> Option<Timestamp> { format!("{date}T00:00:00Z").parse().ok() };
    let extent = match of(date) {
        Some(begin) => begin.utc_day(),
        None => month_of(of(&format!("{date}-01"))?.utc_day()),
    };
    (file_name(extent) == name).then_some(extent)
}

/// Days that are read together, because a month has some of their points: one, or those of a month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) days: Range<i64>,
    /// The files, the month after its days: what is moved while they are read is then seen twice, which the merge
    /// undoes, and not missed.
    pub(super) extents: Vec<i64>,
}

impl Unit {
    pub(super) const fn begin(&self) -> Timestamp {
        Timestamp::from_millis(self.days.start.saturating_mul(Timestamp::DAY_MS))
    }

    pub(super) const fn end(&self) -> Timestamp {
        Timestamp::from_millis(self.days.end.saturating_mul(Timestamp::DAY_MS))
    }
}

/// The units of what is `on_disk`, in ascending order, and of the days that memory has besides, by time.
pub(super) fn units(on_disk: &[i64], in_memory: impl Iterator<Item = i64>) -> Vec<Unit> {
    let mut units: BTreeMap<i64, Unit> = BTreeMap::new();
    // Months come last in the order of numbers, but first here: their days join them.
    let months = on_disk.iter().rev().take_while(|extent| is_month(**extent));
    for extent in months {
        let days = days(*extent);
        let extents = vec![*extent];
        units.insert(days.start, Unit { days, extents });
    }
    let mut join = |day: i64, is_file: bool| {
        let known = units.range_mut(..=day).next_back().map(|(_, unit)| unit);
        let unit = match known.filter(|unit| unit.days.contains(&day)) {
            Some(unit) => unit,
            None => units.entry(day).or_insert(Unit {
                days: days(day),
                extents: Vec::new(),
            }),
        };
        if is_file {
            unit.extents.push(day);
        }
    };
    let files = on_disk.iter().take_while(|extent| !is_month(**extent));
    files.for_each(|day| join(*day, true));
    in_memory.for_each(|day| join(day, false));
    let mut units: Vec<Unit> = units.into_values().collect();
    units.iter_mut().for_each(|unit| unit.extents.sort_unstable());
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVEMBER: i64 = MONTHS + 56 * 12 + 10;

    #[test]
    fn months_are_those_of_the_calendar() {
        // jiff tells the first days of 9,000 months from 1600 on.
        let mut date = jiff::civil::date(1600, 1, 1);
        for month in -370 * 12..-370 * 12 + 9000 {
            let days = date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days();
            assert_eq!(first_day(month), i64::from(days), "{date}");
            for day in [first_day(month), first_day(month + 1) - 1] {
                assert_eq!(month_of(day), MONTHS + month, "{date}");
            }
            date = date.saturating_add(jiff::Span::new().months(1));
        }
    }

    #[test]
    fn a_file_is_named_after_its_day_or_month_and_found_by_it() {
        for (extent, name) in [
            (0, "series-1970-01-01.db"),
            (20_780, "series-2026-11-23.db"),
            (MONTHS, "series-1970-01.db"),
            (NOVEMBER, "series-2026-11.db"),
        ] {
            assert_eq!(file_name(extent), name);
            assert_eq!(named(name), Some(extent));
        }
        for name in [
            "series.db",
            "series-2026-11-23.db-wal",
            "series-2026-13-01.db",
            "series-2026-13.db",
            "series-2026.db",
            "series-x.db",
        ] {
            assert_eq!(named(name), None, "{name}");
        }
    }

    #[test]
    fn days_of_a_month_with_a_file_are_read_with_it_and_others_alone() {
        // 2026-11-01 is day 20,758; the 20,757th is the last of October.
        let unit = |days: Range<i64>, extents: &[i64]| Unit {
            days,
            extents: extents.to_vec(),
        };
        let found = units(
            &[20_756, 20_760, 20_770, NOVEMBER],
            [20_757, 20_760, 20_771, 20_790].into_iter(),
        );
        assert_eq!(
            found,
            [
                unit(20_756..20_757, &[20_756]),
                unit(20_757..20_758, &[]),
                unit(20_758..20_788, &[20_760, 20_770, NOVEMBER]),
                unit(20_790..20_791, &[]),
            ]
        );
        assert_eq!(found[2].begin().to_rfc3339(), "2026-11-01T00:00:00.000Z");
        assert_eq!(found[2].end().to_rfc3339(), "2026-12-01T00:00:00.000Z");
    }
}
