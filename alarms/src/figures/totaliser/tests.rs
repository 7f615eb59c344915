use store::testkit::MemorySeries;
use telemetry::sample::Sample;
use telemetry::time::Timestamp;
use telemetry::{Bad, Quality};

use super::*;
use crate::figures::Policy;

fn policy() -> VolumePolicy {
    Policy::builtin().unwrap().sewage_volume
}

/// Minutes after an arbitrary start.
fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + minutes * 60_000)
}

fn readings(all: &[(i64, f64)]) -> Vec<Sample> {
    let sample = |(time, value): &(i64, f64)| Sample {
        time: minute(*time),
        value: *value,
        quality: Quality::Good,
    };
    all.iter().map(sample).collect()
}

/// The period is minute 0 to 600; edges up to an hour are taken as observed; the flow's range ends at 20 m³/h.
fn metered(samples: &[Sample]) -> Metered {
    between(samples, 0, 600, &policy())
}

/// Windows of three hours, so that nothing depends on where a day ends.
fn between(samples: &[Sample], from: i64, to: i64, policy: &VolumePolicy) -> Metered {
    let memory = MemorySeries::default();
    for sample in samples {
        memory.insert(SeriesId(1), *sample);
    }
    let grid = Grid::every(minute(from), minute(to), Span::from_secs(3 * 3600));
    meter(&memory, SeriesId(1), &grid, Some(20.0), policy).unwrap()
}

fn unknown_minutes(metered: &Metered) -> u64 {
    metered.unknown.millis() / 60_000
}

#[track_caller]
fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-6, "{found} is not {wanted}");
}

#[test]
fn volume_is_the_rise_of_the_totaliser_from_the_reading_before_the_period() {
    // Given readings of 10 m³ each, the one before the period half an hour early:
    let all = metered(&readings(&[
        (-30, 100.0),
        (20, 110.0),
        (570, 120.0),
        (870, 130.0),
    ]));
    // then 110 − 100 + 120 − 110 = 20, and the reading after the period is the next period's.
    close(all.volume_m3(), 20.0);
    assert_eq!(all.unknown, Span::ZERO);
}

#[test]
fn periods_that_follow_each_other_add_up() {
    let samples = readings(&[
        (-30, 100.0),
        (110, 104.0),
        (299, 110.0),
        (310, 111.0),
        (590, 118.5),
    ]);
    let half = |from, to| between(&samples, from, to, &policy()).volume_m3();
    close(half(0, 300) + half(300, 600), metered(&samples).volume_m3());
}

#[test]
fn a_gap_inside_the_period_costs_nothing() {
    let all = metered(&readings(&[(0, 100.0), (10, 101.0), (590, 130.0)]));
    close(all.volume_m3(), 30.0);
    assert_eq!(all.unknown, Span::ZERO);
}

#[test]
fn a_gap_at_an_edge_is_unknown_and_not_estimated() {
    // Given no reading until minute 120 and none after 500 (the reading before is 9 h old):
    let all = metered(&readings(&[(-420, 80.0), (120, 100.0), (500, 110.0)]));
    // then the 20 m³ that flowed at some time in those 9 h do not count: 120 + 100 minutes are unknown.
    close(all.volume_m3(), 10.0);
    assert_eq!(unknown_minutes(&all), 220);
    // And with no reading at all everything is.
    let none = metered(&readings(&[(-420, 80.0)]));
    assert!(!none.heard);
    assert_eq!(unknown_minutes(&none), 600);
    assert_eq!(unknown_minutes(&metered(&[])), 600);
}

#[test]
fn a_totaliser_that_passes_its_end_goes_on() {
    // Given 429 496 729.1 and, half an hour later, 2.4: the modulus is 429 496 729.6, so 0.5 + 2.4 flowed.
    let all = metered(&readings(&[(0, 429_496_729.1), (30, 2.4), (580, 3.0)]));
    close(all.volume_m3(), 3.5);
    assert_eq!((all.count(Oddity::RollOver), unknown_minutes(&all)), (1, 0));
}

#[test]
fn a_reset_counts_what_the_new_reading_shows_and_says_so() {
    // Given a meter replaced between minute 100 and 130: 5000 → 4, then on to 24.
    let samples = readings(&[(0, 4990.0), (100, 5000.0), (130, 4.0), (580, 24.0)]);
    let all = metered(&samples);
    // then 10 + 4 + 20; what flowed before the exchange is unknown for those 30 minutes.
    close(all.volume_m3(), 34.0);
    assert_eq!((all.count(Oddity::Reset), unknown_minutes(&all)), (1, 30));
    // By the other rule the 4 do not count.
    let mut strict = policy();
    strict.on_reset = OnReset::Unknown;
    close(between(&samples, 0, 600, &strict).volume_m3(), 30.0);
}

#[test]
fn a_reading_that_falls_to_zero_and_comes_back_is_no_water() {
    // Given 1000, a glitch of 0, then 1001, in 5 minutes each (at most 2 · 20/12 + 0.2 = 3.53 m³ can flow):
    let all = metered(&readings(&[(0, 1000.0), (5, 0.0), (10, 1001.0), (590, 1010.0)]));
    // then 0 + nothing + 9: the jump of 1001 is not counted, and its time is unknown.
    close(all.volume_m3(), 9.0);
    assert_eq!(
        (
            all.count(Oddity::Reset),
            all.count(Oddity::Jump),
            unknown_minutes(&all)
        ),
        (1, 1, 10)
    );
}

#[test]
fn a_bad_reading_is_passed_over() {
    let mut samples = readings(&[(0, 100.0), (5, 0.0), (590, 110.0)]);
    samples[1].quality = Quality::Bad(Bad::NoAnswer);
    close(metered(&samples).volume_m3(), 10.0);
}
