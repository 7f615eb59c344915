//! Every function against numbers that were computed by hand.

use telemetry::quality::{Bad, Quality};

use super::*;
use crate::series::{Cancel, Grid};
use crate::testkit::MemorySeries;
use telemetry::SeriesId;
use telemetry::sample::Sample;
use telemetry::time::{Span, Timestamp};

const ONE: SeriesId = SeriesId(1);

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_795_435_200_000 + minute * 60_000)
}

/// Minute and value; `None` is a bad sample.
fn series(samples: &[(i64, Option<f64>)]) -> MemorySeries {
    let memory = MemorySeries::default();
    for (at, value) in samples {
        let sample = Sample {
            time: minute(*at),
            value: value.unwrap_or(99.0),
            quality: value.map_or(Quality::Bad(Bad::SensorFault), |_| Quality::Good),
        };
        memory.insert(ONE, sample);
    }
    memory
}

fn minutes(count: u64) -> Span {
    Span::from_secs(count * 60)
}

#[test]
fn a_value_counts_for_as_long_as_it_holds() {
    // Given 2 from before, 4 from minute 10 on, a bad one at 20, 6 at 50; windows of 30 min; a hold of 15 min:
    let reader = series(&[(-5, Some(2.0)), (10, Some(4.0)), (20, None), (50, Some(6.0))]);
    let grid = Grid::every(minute(0), minute(90), minutes(30));
    let means = time_weighted_means(&reader, ONE, &grid, minutes(15), &Cancel::never()).unwrap();
    // then the first has 2 for 10 min and 4 for 10: 3 over 20 min; the second 6 for 10; the third 6 for 5 more.
    let found: Vec<_> = means.iter().map(|m| (m.mean, m.known_ms / 60_000)).collect();
    assert_eq!(found, [(Some(3.0), 20), (Some(6.0), 10), (Some(6.0), 5)]);
    // And a value that holds for ever is only ended by the bad one.
    let ever = Span::from_millis(u64::MAX);
    let means = time_weighted_means(&reader, ONE, &grid, ever, &Cancel::never()).unwrap();
    let known: Vec<_> = means.iter().map(|m| m.known_ms / 60_000).collect();
    assert_eq!(known, [20, 10, 30]);
    let none = time_weighted_means(&series(&[]), ONE, &grid, ever, &Cancel::never()).unwrap();
    assert!(none.iter().all(|m| m.mean.is_none() && m.known_ms == 0));
}

#[test]
fn a_state_held_for_the_time_to_the_next_sample_and_no_longer_than_it_may() {
    let reader = series(&[(0, Some(1.0)), (5, Some(0.0)), (12, Some(1.0)), (50, None)]);
    let grid = Grid::every(minute(0), minute(60), minutes(30));
    let stays = state_durations(&reader, ONE, &grid, minutes(20), &Cancel::never()).unwrap();
    // On 0–5 and 12–30, off 5–12; then on until 32, when 20 min are over; the rest is unknown.
    let of = |place: usize, state| stays[place].in_state(state) / 60_000;
    assert_eq!((of(0, 1.0), of(0, 0.0), stays[0].unknown_ms), (23, 7, 0));
    assert_eq!((of(1, 1.0), of(1, 0.0), stays[1].unknown_ms / 60_000), (2, 0, 28));
    let many: Vec<_> = (0..70).map(|n| (n, Some(n as f64))).collect();
    let whole = Grid::whole(minute(0), minute(100));
    let refused = state_durations(&series(&many), ONE, &whole, minutes(9), &Cancel::never());
    assert!(matches!(
        refused,
        Err(crate::series::SeriesError::TooManyStates { limit: STATES_MAX })
    ));
}

const COUNTER: Counter = Counter {
    modulus: Some(1000.0),
    rollover_band: 0.1,
    on_reset: OnReset::FromZero,
    rate_max_per_h: None,
    slack: 0.0,
    gap_max: Span::from_secs(3600),
};

fn grown(reader: &MemorySeries, counter: Counter) -> Vec<Increase> {
    let grid = Grid::every(minute(0), minute(600), minutes(300));
    increases(reader, ONE, &grid, counter, &Cancel::never()).unwrap()
}

#[test]
fn a_counter_grows_over_its_modulus_and_from_zero_after_a_reset() {
    let reader = series(&[
        (-10, Some(950.0)),
        (20, Some(990.0)),
        (50, None),
        (60, Some(15.0)),
        (290, Some(500.0)),
        (310, Some(510.0)),
        (320, Some(30.0)),
        (590, Some(40.0)),
    ]);
    // 40 from before; 25 over the end of the range (15 + 1000 − 990); 485. Then 10, 30 since the reset, 10.
    let found = grown(&reader, COUNTER);
    assert_eq!(
        (found[0].increase, found[0].roll_overs, found[0].resets),
        (550.0, 1, 0)
    );
    assert_eq!(
        (found[1].increase, found[1].roll_overs, found[1].resets),
        (50.0, 0, 1)
    );
    assert_eq!(
        (found[0].unknown_ms, found[1].unknown_ms / 60_000),
        (0, 10),
        "what it counted until the reset"
    );
    // Without a modulus the fall to 15 is a reset, too; and when resets count nothing, neither does.
    let plain = Counter {
        modulus: None,
        on_reset: OnReset::Unknown,
        ..COUNTER
    };
    let found = grown(&reader, plain);
    assert_eq!((found[0].increase, found[0].resets), (525.0, 1));
    assert_eq!((found[1].increase, found[1].resets), (20.0, 1));
}

#[test]
fn gaps_at_the_ends_are_unknown_and_a_long_step_over_an_edge_is_undated() {
    // Given a last reading 7 h before, one at minute 120 and one at 500:
    let found = grown(
        &series(&[(-420, Some(80.0)), (120, Some(100.0)), (500, Some(110.0))]),
        COUNTER,
    );
    // then minute 0–120 and 500–600 are unknown, and the 10 of a step of 380 min belong to no window.
    assert_eq!((found[0].increase, found[0].unknown_ms / 60_000), (0.0, 120));
    let second = (found[1].increase, found[1].undated, found[1].unknown_ms / 60_000);
    assert_eq!(second, (0.0, 10.0, 100));
    let none = grown(&series(&[]), COUNTER);
    assert!(
        none.iter()
            .all(|window| window.unknown_ms == 300 * 60_000 && !window.is_heard)
    );
}

#[test]
fn a_jump_counts_nothing() {
    // At most 20 an hour with a slack of 0.3: 15 in half an hour is a jump, 10.2 is not.
    let counter = Counter {
        rate_max_per_h: Some(20.0),
        slack: 0.3,
        ..COUNTER
    };
    let found = grown(
        &series(&[
            (0, Some(100.0)),
            (30, Some(115.0)),
            (60, Some(125.2)),
            (290, Some(130.0)),
        ]),
        counter,
    );
    assert_eq!(found[0].jumps, 1);
    assert!((found[0].increase - 15.0).abs() < 1e-9);
    // Those 30 min, and from the last reading to the end of the window.
    assert_eq!(found[0].unknown_ms / 60_000, 30 + 10);
}

#[test]
fn a_curve_keeps_every_peak_and_a_cancelled_one_ends() {
    let mut samples: Vec<(i64, Option<f64>)> = (0..6000).map(|n| (n, Some(1.0))).collect();
    samples[3333].1 = Some(77.0);
    samples[4444].1 = Some(-5.0);
    let reader = series(&samples);
    let drawn = |pixels| curve(&reader, ONE, minute(0), minute(6000), pixels, &Cancel::never()).unwrap();
    let Curve::Windows { windows, width } = drawn(100) else {
        panic!("samples")
    };
    // 100 h on 100 pixels: hours of the clock, the first at noon sharp.
    assert_eq!(
        (windows.len(), width, windows[0].start),
        (100, minutes(60), minute(0))
    );
    let most = windows.iter().map(|window| window.max).fold(0.0, f64::max);
    let least = windows.iter().map(|window| window.min).fold(0.0, f64::min);
    assert_eq!((most, least), (77.0, -5.0));
    assert!(matches!(drawn(1500), Curve::Samples(samples) if samples.len() == 6000));
    let cancel = Cancel::new();
    cancel.cancel();
    let ended = curve(&reader, ONE, minute(0), minute(6000), 100, &cancel);
    assert!(matches!(ended, Err(crate::series::SeriesError::Cancelled)));
}
