//! When a case is due: the time for the work, then the time for verification and closing, with the clock stopped while
//! it is suspended. Computed anew from what happened, so nothing is lost where a calendar was missing. Pure.

use serde::{Deserialize, Serialize};
use telemetry::Timestamp;
use telemetry::time::Span;

use super::calendar::NoYear;
use super::deadlines::Amount;
use super::worktime::{Pace, WorkTime};

/// When a case is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// Until when the work is to be done; none while the clock stands before it, or when it is not known.
    pub handle: Option<Timestamp>,
    /// Until when the case is to be closed; none likewise.
    pub close: Option<Timestamp>,
    /// The clock stands: the case is suspended.
    pub stopped: bool,
    /// A year that would be needed and that the calendar lacks; what is none for this reason is not known.
    pub unknown_year: Option<i16>,
    /// The calendar that was counted with has not been compared with the notice for that year.
    pub unconfirmed: bool,
}

/// A stretch of time in which the clock stands; without an end it still does.
pub type Pause = (Timestamp, Option<Timestamp>);

/// When a case that began at `begin` is due; `pauses` are in order and do not overlap.
#[must_use]
pub fn due(time: &WorkTime, begin: Timestamp, (handle, verify): (Amount, Amount), pauses: &[Pause]) -> Due {
    let stages = [handle, verify].map(|amount| (amount.kind.pace(), amount.span(&time.hours)));
    let mut walk = Walk {
        time,
        stages,
        ends: [None, None],
        stage: 0,
        at: begin,
    };
    let mut stopped = false;
    let mut walked = Ok(());
    for (from, until) in pauses {
        walked = walked.and_then(|()| walk.until(Some(*from)));
        match until {
            Some(until) => walk.at = walk.at.max(*until),
            None => stopped = true,
        }
    }
    if !stopped {
        walked = walked.and_then(|()| walk.until(None));
    }
    let [handle, close] = walk.ends;
    let working = stages.iter().any(|(pace, _)| *pace == Pace::Working);
    let mut years = [Some(begin), handle, close].into_iter().flatten();
    let doubtful = |at: Timestamp| time.calendar.is_unconfirmed(time.year(at));
    Due {
        handle,
        close,
        stopped,
        unknown_year: walked.err().map(|NoYear(year)| year),
        unconfirmed: working && years.any(doubtful),
    }
}

/// How far the clock has come.
struct Walk<'a> {
    time: &'a WorkTime,
    /// What is left of each.
    stages: [(Pace, Span); 2],
    ends: [Option<Timestamp>; 2],
    stage: usize,
    at: Timestamp,
}

impl Walk<'_> {
    /// Lets the clock run until that instant, or until every stage is over.
    fn until(&mut self, stop: Option<Timestamp>) -> Result<(), NoYear> {
        while let Some((pace, left)) = self.stages.get_mut(self.stage) {
            if stop.is_some_and(|stop| stop <= self.at) {
                return Ok(());
            }
            // Before the end is asked for: it may lie in a year that nobody needs, because the clock stops before it.
            if let Some(stop) = stop {
                let passed = self.time.between(*pace, self.at, stop)?;
                if passed < *left {
                    *left = Span::from_millis(left.millis() - passed.millis());
                    self.at = stop;
                    return Ok(());
                }
            }
            self.at = self.time.after(*pace, self.at, *left)?;
            if let Some(end) = self.ends.get_mut(self.stage) {
                *end = Some(self.at);
            }
            self.stage += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::deadlines::DeadlineKind;
    use super::super::worktime::tests::{at, county};
    use super::*;

    const fn amount(kind: DeadlineKind, amount: u32) -> Amount {
        Amount { kind, amount }
    }

    const DAY: Amount = amount(DeadlineKind::WorkingDays, 1);

    #[test]
    fn the_work_is_due_first_then_the_case() {
        // Given a lamp that is filed on Monday 30 November 2026, 16:00: 24 h for the work, a working day to verify,
        let day = amount(DeadlineKind::NaturalDays, 1);
        let found = due(&county(), at("2026-11-30T16:00"), (day, DAY), &[]);
        // then it is due on Tuesday 16:00, and closed by Wednesday 16:00: 2 h on Tuesday, 6 h on Wednesday.
        assert_eq!(found.handle, Some(at("2026-12-01T16:00")));
        assert_eq!(found.close, Some(at("2026-12-02T16:00")));
        assert!(found.unconfirmed, "the calendar of 2026 is from memory");
        assert_eq!((found.stopped, found.unknown_year), (false, None));
    }

    #[test]
    fn the_clock_stands_while_a_case_is_suspended() {
        let county = county();
        let three = amount(DeadlineKind::WorkingDays, 3);
        let begin = at("2026-11-30T10:00");
        // Given three working days from Monday 10:00: Thursday 10:00;
        assert_eq!(
            due(&county, begin, (three, DAY), &[]).handle,
            Some(at("2026-12-03T10:00"))
        );
        // when it is suspended from Monday 16:00 (4 h are used, 20 h are left),
        let from = at("2026-11-30T16:00");
        let found = due(&county, begin, (three, DAY), &[(from, None)]);
        assert_eq!((found.handle, found.close, found.stopped), (None, None, true));
        // until Saturday, then 20 h count from the Monday after: 8, 8, and 4 until Wednesday noon,
        let until = Some(at("2026-12-05T09:00"));
        let found = due(&county, begin, (three, DAY), &[(from, until)]);
        assert_eq!(found.handle, Some(at("2026-12-09T12:00")));
        // and a day later the case.
        assert_eq!(found.close, Some(at("2026-12-10T12:00")));
        // A continuous clock stands as well: 6 h of 24 are used by 16:00, and 18 left from Saturday 09:00.
        let day = amount(DeadlineKind::NaturalDays, 1);
        let found = due(&county, begin, (day, DAY), &[(from, until)]);
        assert_eq!(found.handle, Some(at("2026-12-06T03:00")));
    }

    #[test]
    fn what_was_overdue_before_the_suspension_stays_so() {
        let two = amount(DeadlineKind::UrgentHours, 2);
        let pause = (at("2026-11-30T14:00"), Some(at("2026-12-01T14:00")));
        let found = due(&county(), at("2026-11-30T08:00"), (two, DAY), &[pause]);
        assert_eq!(found.handle, Some(at("2026-11-30T10:00")));
        // Of the day to verify 2 h were used before it; 6 h from Tuesday 14:00: 4, and 2 on Wednesday.
        assert_eq!(found.close, Some(at("2026-12-02T10:00")));
    }

    #[test]
    fn a_year_that_the_calendar_lacks_leaves_open_only_what_needs_it() {
        let county = county();
        let two = amount(DeadlineKind::UrgentHours, 2);
        let begin = at("2026-12-31T17:00");
        let found = due(&county, begin, (two, DAY), &[]);
        assert_eq!(found.handle, Some(at("2026-12-31T19:00")));
        assert_eq!((found.close, found.unknown_year), (None, Some(2027)));
        // A clock that stands before the end of the year needs no other year.
        let three = amount(DeadlineKind::WorkingDays, 3);
        let found = due(&county, begin, (three, DAY), &[(at("2026-12-31T17:30"), None)]);
        assert_eq!(
            (found.handle, found.stopped, found.unknown_year),
            (None, true, None)
        );
    }
}
