use proptest::prelude::*;
use telemetry::Sample;
use telemetry::quality::{Bad, Uncertain};

use super::*;

const PLACE: Place = Place { key: 77, day: 20_000 };

fn column(samples: &[(i64, f64, Quality)]) -> Column {
    samples
        .iter()
        .map(|(offset, value, quality)| Sample {
            time: Timestamp::from_millis(PLACE.begin_ms() + offset),
            value: *value,
            quality: *quality,
        })
        .collect()
}

fn whole(column: &Column) -> Slice<'_> {
    Slice {
        times: &column.times,
        values: &column.values,
        qualities: &column.qualities,
    }
}

fn round_trip(column: &Column) -> (Encoded, Summary) {
    let encoded = encode(PLACE, whole(column), 8);
    let summary = decode_summary(PLACE, &encoded.summary).unwrap();
    let back = decode(PLACE, &summary, &encoded.body).unwrap();
    assert_eq!(back.times, column.times);
    assert_eq!(back.qualities, column.qualities);
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&back.values), bits(&column.values));
    (encoded, summary)
}

#[test]
fn a_summary_says_what_the_samples_say() {
    // Given samples of which the first and the greatest are bad,
    let bad = Quality::Bad(Bad::OutOfRange);
    let doubtful = Quality::Uncertain(Uncertain::Reported);
    let column = column(&[
        (1_000, 9_999.0, bad),
        (2_000, 12.5, Quality::Good),
        (3_000, 10.25, doubtful),
        (4_000, 11.0, Quality::Good),
    ]);
    let (_, summary) = round_trip(&column);
    // then the block lasts from the first to the last, and its figures leave the bad one out.
    assert_eq!(summary.first.millis(), PLACE.begin_ms() + 1_000);
    assert_eq!(summary.last.millis(), PLACE.begin_ms() + 4_000);
    let window = summary.window;
    assert_eq!((window.count, window.bad), (3, 1));
    assert_eq!((window.min, window.max, window.sum), (10.25, 12.5, 33.75));
    assert_eq!(window.first, column.get(1).unwrap());
    assert_eq!(window.last, column.get(3).unwrap());
}

#[test]
fn a_steady_day_takes_a_few_bytes_and_meter_values_about_one_each() {
    let steady: Vec<_> = (0..1440).map(|n| (n * 60_000, 0.37, Quality::Good)).collect();
    let (encoded, summary) = round_trip(&column(&steady));
    assert!(encoded.summary.len() + encoded.body.len() <= 40, "{encoded:?}");
    assert_eq!(summary.window.first, column(&steady).get(0).unwrap());
    // A level that wanders by up to 0.15 in steps of 0.01.
    let mut level = 300i64;
    let wander: Vec<_> = (0..1440)
        .map(|n| {
            level += n * 7919 % 31 - 15;
            (n * 60_000, level as f64 / 100.0, Quality::Good)
        })
        .collect();
    let (encoded, _) = round_trip(&column(&wander));
    assert!(encoded.body.len() < 1440, "{} bytes", encoded.body.len());
}

#[test]
fn awkward_values_come_back_to_the_bit() {
    let values = [
        0.0,
        -0.0,
        f64::MIN_POSITIVE,
        f64::MAX,
        0.1 + 0.2,
        1e300,
        -1.0 / 3.0,
        5e-324,
    ];
    for value in values {
        round_trip(&column(&[(0, value, Quality::Good)]));
        round_trip(&column(&[(0, 1.5, Quality::Good), (1, value, Quality::Good)]));
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let samples: Vec<_> = (0..50)
        .map(|n| (n * 977, n as f64 * 0.1, Quality::Good))
        .collect();
    let column = column(&samples);
    let (encoded, summary) = round_trip(&column);
    for bit in 0..encoded.summary.len() * 8 {
        let mut bytes = encoded.summary.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode_summary(PLACE, &bytes).is_err(), "summary bit {bit}");
    }
    for bit in 0..encoded.body.len() * 8 {
        let mut bytes = encoded.body.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(PLACE, &summary, &bytes).is_err(), "body bit {bit}");
    }
    let elsewhere = Place { key: 78, ..PLACE };
    assert!(decode_summary(elsewhere, &encoded.summary).is_err());
}

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        8 => Just(Quality::Good),
        1 => Just(Quality::Uncertain(Uncertain::Warming)),
        1 => Just(Quality::Bad(Bad::NoAnswer)),
    ]
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-10_000i32..10_000).prop_map(|n| f64::from(n) / 100.0),
        (0i32..2).prop_map(f64::from),
        any::<f64>().prop_filter("sums must stay finite", |v| v.abs() < 1e300),
    ]
}

proptest! {
    #[test]
    fn any_samples_come_back_and_are_summed_up_right(
        samples in prop::collection::btree_map(0i64..86_400_000, (value(), quality()), 1..300)
    ) {
        let samples: Vec<_> = samples.into_iter().map(|(at, (value, quality))| (at, value, quality)).collect();
        let column = column(&samples);
        let (_, summary) = round_trip(&column);
        let mut window = Window::empty(summary.window.start);
        whole(&column).samples().for_each(|sample| window.push(sample));
        let difference = (summary.window.sum - window.sum).abs();
        prop_assert!(difference <= 1e-9 * window.sum.abs() || !window.sum.is_finite());
        // What cancels out may be off by as much as adding up the amounts is.
        let most = window.min.abs().max(window.max.abs()) * window.held.known_ms as f64;
        let difference = (summary.window.held.integral - window.held.integral).abs();
        prop_assert!(difference <= 1e-9 * most || !most.is_finite() || !window.held.integral.is_finite());
        let (mut found, mut wanted) = (summary.window, window);
        for window in [&mut found, &mut wanted] {
            window.sum = 0.0;
            window.held.integral = 0.0;
        }
        prop_assert_eq!(found, wanted);
    }
}
