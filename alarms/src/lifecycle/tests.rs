//! The table of `alarms.md` §1.2, written down pair by pair, and what holds for every pair.

use super::*;
use AlarmEvent::{Acknowledge, Clear, Close, Latch, Raise, ReAlarm, Reset, Resume, Suppress};
use AlarmState::{
    Acknowledged, LatchedAcknowledged, LatchedUnacknowledged, Normal, ReturnedUnacknowledged, Unacknowledged,
};

/// Every pair of the first region that changes something, nothing setting the alarm aside.
const TABLE: [(AlarmState, AlarmEvent, AlarmState, Row); 13] = [
    (Normal, Raise, Unacknowledged, Row::T1),
    (Unacknowledged, Acknowledge, Acknowledged, Row::T2),
    (Unacknowledged, Clear, ReturnedUnacknowledged, Row::T3),
    (Acknowledged, Clear, Normal, Row::T4),
    (ReturnedUnacknowledged, Acknowledge, Normal, Row::T5),
    (ReturnedUnacknowledged, Raise, Unacknowledged, Row::T6),
    (Acknowledged, ReAlarm, Unacknowledged, Row::T7),
    (Unacknowledged, Latch, LatchedUnacknowledged, Row::T8),
    (Acknowledged, Latch, LatchedAcknowledged, Row::T8),
    (LatchedUnacknowledged, Acknowledge, LatchedAcknowledged, Row::T9),
    (LatchedAcknowledged, Reset, Normal, Row::T9),
    (LatchedUnacknowledged, Raise, Unacknowledged, Row::T10),
    (LatchedAcknowledged, Raise, Unacknowledged, Row::T10),
];

/// Every combination of suppressions.
fn suppressions() -> [Suppressions; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(Suppressions)
}

fn places() -> impl Iterator<Item = Place> {
    AlarmState::INNER.into_iter().flat_map(|alarm| {
        suppressions()
            .into_iter()
            .map(move |suppressed| Place { alarm, suppressed })
    })
}

#[test]
fn every_pair_of_the_first_region_goes_where_the_table_says_whatever_sets_the_alarm_aside() {
    let mut seen = 0;
    for place in places() {
        for event in [Raise, Clear, Latch, Acknowledge, Reset, ReAlarm] {
            let row = TABLE
                .iter()
                .find(|(from, what, ..)| *from == place.alarm && *what == event);
            let (alarm, row) = row.map_or((place.alarm, None), |(.., to, row)| (*to, Some(*row)));
            let suppressed = place.suppressed;
            assert_eq!(
                after(place, event),
                (Place { alarm, suppressed }, row),
                "{place:?} {event:?}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 6 * 8 * 6);
}

#[test]
fn what_is_set_aside_keeps_its_first_region_and_is_shown_by_the_strongest_reason() {
    for place in places() {
        for suppression in Suppression::ALL {
            let (to, row) = after(place, Suppress(suppression));
            assert_eq!(to.alarm, place.alarm);
            assert!(to.suppressed.has(suppression));
            assert_eq!(row, (!place.suppressed.has(suppression)).then_some(Row::T11));
            assert!(!AlarmState::INNER.contains(&to.shown()));
        }
    }
    let all = Place {
        alarm: Normal,
        suppressed: Suppressions(7),
    };
    assert_eq!(all.shown(), AlarmState::OutOfService);
    let two = Place {
        alarm: Normal,
        suppressed: Suppressions(3),
    };
    assert_eq!(two.shown(), AlarmState::Shelved);
}

#[test]
fn when_the_last_reason_is_over_what_is_active_is_owed_and_what_is_over_is_normal() {
    for place in places() {
        for suppression in Suppression::ALL {
            let (to, row) = after(place, Resume(suppression));
            if !place.suppressed.has(suppression) {
                assert_eq!((to, row), (place, None));
                continue;
            }
            assert_eq!(row, Some(Row::T12));
            assert_eq!(to.suppressed, place.suppressed.without(suppression));
            let computed = match place.alarm {
                Unacknowledged | Acknowledged => Unacknowledged,
                Normal | ReturnedUnacknowledged => Normal,
                latched => latched,
            };
            let expected = if to.suppressed.any() {
                place.alarm
            } else {
                computed
            };
            assert_eq!(to.alarm, expected, "{place:?} {suppression:?}");
        }
    }
}

#[test]
fn closing_ends_everything_and_is_a_row_where_there_was_anything() {
    for place in places() {
        let (to, row) = after(place, Close);
        assert_eq!(to, Place::default());
        assert_eq!(row, (place != Place::default()).then_some(Row::T13));
    }
}

#[test]
fn only_raising_out_of_normal_or_returned_begins_an_occurrence() {
    for (from, event, _, row) in TABLE {
        let grown = occurrence_after(7, Some(row)) == 8;
        let begins = event == Raise && matches!(from, Normal | ReturnedUnacknowledged);
        assert_eq!(grown, begins, "{from:?} {event:?}");
    }
}

#[test]
fn there_is_no_event_that_the_tests_forget() {
    assert_eq!(AlarmEvent::ALL.len(), 6 + 3 + 3 + 1);
    let mut seen = AlarmEvent::ALL.to_vec();
    seen.dedup();
    assert_eq!(seen.len(), AlarmEvent::ALL.len());
}
