//! The series store against the model: same calls, same answers.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use telemetry::quality::{Bad, Uncertain};
use telemetry::time::{ManualClock, Span};
use telemetry::{Lsn, Point, Quality, Sample, SeriesId, Timestamp};

use super::*;
use crate::testkit::MemorySeries;

/// Noon of 2026-11-23, UTC.
const NOW: i64 = 1_795_435_200_000;
const DAY: i64 = Timestamp::DAY_MS;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn point(series: u32, ms: i64, value: f64) -> Point {
    Point {
        series: SeriesId(series),
        sample: Sample {
            time: at(ms),
            value,
            quality: Quality::Good,
        },
        arrived: at(NOW),
        backfill: false,
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(at(NOW)))
}

fn open(dir: &Path) -> SeriesStore {
    SeriesStore::open(dir, SeriesConfig::default(), clock()).unwrap()
}

fn values(store: &SeriesStore, series: u32) -> Vec<(i64, f64)> {
    let samples = store
        .range(SeriesId(series), Timestamp::MIN, Timestamp::MAX, 1_000_000)
        .unwrap();
    samples
        .iter()
        .map(|sample| (sample.time.millis(), sample.value))
        .collect()
}

#[test]
fn points_are_read_back_before_and_after_a_flush_and_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let points = [point(1, NOW, 1.5), point(1, NOW - DAY, 0.5), point(2, NOW, 7.0)];
    let appended = store.append(&points, Lsn(3)).unwrap();
    assert_eq!(appended.stored, 3);
    let expected = [(NOW - DAY, 0.5), (NOW, 1.5)];
    assert_eq!(values(&store, 1), expected);
    assert_eq!(store.cursor(), Lsn(0));
    store.flush().unwrap();
    assert_eq!(store.cursor(), Lsn(3));
    assert_eq!(values(&store, 1), expected);
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.cursor(), Lsn(3));
    assert_eq!(values(&store, 1), expected);
    assert_eq!(
        store.latest(SeriesId(2)).unwrap(),
        Some(point(2, NOW, 7.0).sample)
    );
    assert_eq!(store.latest(SeriesId(3)).unwrap(), None);
    let stats = store.stats().unwrap();
    assert_eq!((stats.blocks, stats.block_points, stats.partitions), (3, 3, 2));
}

/// What a test does to the store and to the model.
#[derive(Clone, Debug)]
enum Step {
    /// Points of one batch: series, minutes before now, value in quarters, quality.
    Append(Vec<(u32, i64, i32, Quality)>),
    Flush,
    CompactDay(i64),
    CompactPast,
    Expire(i64),
    /// Crash and replay in batches of so many messages.
    Reopen(usize),
}

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![
        6 => Just(Quality::Good),
        1 => Just(Quality::Uncertain(Uncertain::Reported)),
        1 => Just(Quality::Bad(Bad::OutOfRange)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let single = (0u32..3, 0i64..60, -8i32..8, quality());
    // Every 97 minutes: a few points per day over four days, so that equal times are common.
    let single = single.prop_map(|(series, slot, value, quality)| (series, slot * 97, value, quality));
    prop_oneof![
        8 => prop::collection::vec(single, 0..12).prop_map(Step::Append),
        3 => Just(Step::Flush),
        1 => (0i64..5).prop_map(Step::CompactDay),
        1 => Just(Step::CompactPast),
        1 => (1i64..5).prop_map(Step::Expire),
        2 => (1usize..4).prop_map(Step::Reopen),
    ]
}

/// Store, model, and the batches that stand in for the journal.
struct Pair {
    dir: tempfile::TempDir,
    store: Option<SeriesStore>,
    journal: Vec<Vec<Point>>,
    expired_before: Timestamp,
}

impl Pair {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        Self {
            dir,
            store: Some(store),
            journal: Vec::new(),
            expired_before: Timestamp::MIN,
        }
    }

    fn store(&self) -> &SeriesStore {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append(points) => {
                let points: Vec<Point> = points
                    .into_iter()
                    .map(|(series, minutes, value, quality)| {
                        let mut point = point(series, NOW - minutes * 60_000, f64::from(value) * 0.25);
                        point.sample.quality = quality;
                        point
                    })
                    .collect();
                self.journal.push(points.clone());
                let appended = self.store().append(&points, self.newest()).unwrap();
                let sum = appended.stored + appended.duplicates + appended.replaced + appended.too_old;
                assert_eq!((sum, appended.replayed), (points.len() as u64, 0));
            }
            Step::Flush => {
                self.store().flush().unwrap();
                assert_eq!(self.store().cursor(), self.newest());
            }
            Step::CompactDay(ago) => self.store().compact_day(at(NOW - ago * DAY)).unwrap(),
            Step::CompactPast => self.store().compact().unwrap(),
            Step::Expire(ago) => {
                let before = at(NOW - ago * DAY);
                self.store().expire(before).unwrap();
                let midnight = at(before.utc_day() * DAY);
                self.expired_before = self.expired_before.max(midnight);
            }
            Step::Reopen(batch) => {
                self.store = None;
                self.store = Some(open(self.dir.path()));
                let cursor = usize::try_from(self.store().cursor().0).unwrap();
                let mut upto = cursor;
                for batches in self.journal[cursor..].chunks(batch) {
                    upto += batches.len();
                    self.store().append(&batches.concat(), Lsn(upto as u64)).unwrap();
                }
            }
        }
    }

    fn newest(&self) -> Lsn {
        Lsn(self.journal.len() as u64)
    }

    /// The model after all batches; expired points never were.
    fn model(&self) -> MemorySeries {
        let model = MemorySeries::default();
        for point in self.journal.iter().flatten() {
            if point.sample.time >= self.expired_before {
                model.insert(point.series, point.sample);
            }
        }
        model
    }

    fn compare(&self) {
        let (model, store) = (self.model(), self.store());
        for series in (0..4).map(SeriesId) {
            assert_eq!(
                store.latest(series).unwrap(),
                model.latest(series).unwrap(),
                "latest"
            );
            for (from, to) in [
                (Timestamp::MIN, Timestamp::MAX),
                (at(NOW - 2 * DAY), at(NOW - DAY / 3)),
                (at(NOW - 97 * 60_000), at(NOW)),
                (at(NOW), at(NOW - DAY)),
            ] {
                let found = store.range(series, from, to, 10_000).unwrap();
                assert_eq!(found, model.range(series, from, to, 10_000).unwrap(), "range");
                if from == Timestamp::MIN {
                    continue;
                }
                for every in [60_000, 3 * 3_600_000, 86_400_000, 40 * 86_400_000] {
                    let every = Span::from_millis(every);
                    let found = store.windows(series, from, to, every).unwrap();
                    assert_eq!(
                        found,
                        model.windows(series, from, to, every).unwrap(),
                        "windows of {every}"
                    );
                }
            }
            for minutes in [-1, 0, 97, 500, 3000, 5000, 9000] {
                let time = at(NOW - minutes * 60_000);
                let found = store.last_before(series, time).unwrap();
                assert_eq!(
                    found,
                    model.last_before(series, time).unwrap(),
                    "last before {time}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_like_the_model_whatever_happens(steps in prop::collection::vec(step(), 1..25)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
            pair.compare();
        }
    }
}
