use telemetry::{Bad, Quality};

use super::*;

/// Minutes after an arbitrary start, which is also the start of the night.
fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minutes * 60_000)
}

fn every_quarter(from: i64, to: i64, value: f64) -> Vec<Sample> {
    (from..to)
        .filter(|minutes| minutes.rem_euclid(15) == 0)
        .map(|minutes| Sample {
            time: minute(minutes),
            value,
            quality: Quality::Good,
        })
        .collect()
}

/// A night of ten hours; a lamp of 100 W that reports each 15 min, so a report holds for 45.
fn judged(relay: &[Sample], power: &[Sample], dim: &[Sample]) -> [i64; 4] {
    let night = Night {
        from: minute(0),
        to: minute(600),
    };
    let lamp = Lamp {
        rated_w: 100.0,
        lit_share: 0.3,
        hold: Span::from_secs(45 * 60),
    };
    let time = lamp_time(night, Readings { relay, power, dim }, &lamp);
    assert_eq!(time.due() + time.excluded, 600 * 60_000);
    [time.lit, time.dark, time.unknown, time.excluded].map(|ms| ms / 60_000)
}

#[test]
fn a_lamp_that_burns_all_night_is_lit_all_night() {
    let on = every_quarter(0, 600, 1.0);
    assert_eq!(
        judged(&on, &every_quarter(0, 600, 98.0), &every_quarter(0, 600, 100.0)),
        [600, 0, 0, 0]
    );
    // Also one that says nothing of dimming.
    assert_eq!(judged(&on, &every_quarter(0, 600, 98.0), &[]), [600, 0, 0, 0]);
}

#[test]
fn thirty_per_cent_of_rated_times_dim_is_lit_and_less_is_dark() {
    let on = every_quarter(0, 600, 1.0);
    let half = every_quarter(0, 600, 50.0);
    assert_eq!(judged(&on, &every_quarter(0, 600, 15.0), &half), [600, 0, 0, 0]);
    assert_eq!(judged(&on, &every_quarter(0, 600, 14.9), &half), [0, 600, 0, 0]);
    assert_eq!(
        judged(&every_quarter(0, 600, 0.0), &every_quarter(0, 600, 98.0), &half),
        [0, 600, 0, 0]
    );
}

/// Dark from minute 120 to 300 (relay on, 0 W), then mended: 600 − 180 lit.
#[test]
fn a_lamp_that_is_dead_for_three_hours_is_dark_for_three_hours() {
    let power = [
        every_quarter(0, 120, 98.0),
        every_quarter(120, 300, 0.0),
        every_quarter(300, 600, 98.0),
    ]
    .concat();
    assert_eq!(judged(&every_quarter(0, 600, 1.0), &power, &[]), [420, 180, 0, 0]);
}

/// Silent after the report of minute 105 until that of minute 300: lit to 150, then 150 min unknown.
#[test]
fn a_report_holds_for_three_intervals_and_then_nobody_knows() {
    let talks = |value| [every_quarter(0, 120, value), every_quarter(300, 600, value)].concat();
    assert_eq!(judged(&talks(1.0), &talks(98.0), &[]), [450, 0, 150, 0]);
    assert_eq!(judged(&[], &[], &[]), [0, 0, 600, 0]);
}

/// A report of 30 minutes before the night still holds for its first 15.
#[test]
fn a_report_from_before_the_night_counts_while_it_holds() {
    assert_eq!(
        judged(&every_quarter(-30, -15, 1.0), &every_quarter(-30, -15, 98.0), &[]),
        [15, 0, 585, 0]
    );
}

/// Half-night lamp: dimmed to 0 from minute 300 on.
#[test]
fn time_dimmed_to_nothing_is_excluded_not_dark() {
    let dim = [every_quarter(0, 300, 100.0), every_quarter(300, 600, 0.0)].concat();
    let power = [every_quarter(0, 300, 98.0), every_quarter(300, 600, 0.0)].concat();
    assert_eq!(
        judged(&every_quarter(0, 600, 1.0), &power, &dim),
        [300, 0, 0, 300]
    );
}

/// The power reading of minute 60 is bad: nobody knows until that of minute 75.
#[test]
fn a_bad_reading_is_unknown_and_not_dark() {
    let mut power = every_quarter(0, 600, 98.0);
    power[4].value = 0.0;
    power[4].quality = Quality::Bad(Bad::SensorFault);
    assert_eq!(judged(&every_quarter(0, 600, 1.0), &power, &[]), [585, 0, 15, 0]);
}
