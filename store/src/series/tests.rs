//! The series store against the model: same calls, same answers.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use telemetry::quality::{Bad, Uncertain};
use telemetry::time::{Clock, ManualClock, Span, SystemClock};
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

/// Waits until the store's own thread has come so far.
pub(super) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Span::from_secs(60);
    let clock = SystemClock::new();
    while !is_so() {
        assert!(clock.monotonic() < deadline, "not in time: {what}");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
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
    /// The days so far become a month.
    Months,
    Expire(i64),
    /// The clock goes on by a day, and the store lets go of what short-lived series no longer keep.
    Tomorrow,
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
        1 => Just(Step::Months),
        1 => (1i64..5).prop_map(Step::Expire),
        1 => Just(Step::Tomorrow),
        2 => (1usize..4).prop_map(Step::Reopen),
    ]
}

/// Is kept for two days, the others for three years.
const SHORT_LIVED: SeriesId = SeriesId(2);

/// Store, model, and the batches that stand in for the journal.
struct Pair {
    dir: tempfile::TempDir,
    store: Option<SeriesStore>,
    journal: Vec<Vec<Point>>,
    expired_before: Timestamp,
    clock: Arc<ManualClock>,
}

impl Pair {
    fn new() -> Self {
        let mut pair = Self {
            dir: tempfile::tempdir().unwrap(),
            store: None,
            journal: Vec::new(),
            expired_before: Timestamp::MIN,
            clock: clock(),
        };
        pair.open();
        pair
    }

    fn open(&mut self) {
        let config = SeriesConfig {
            short_lived: vec![ShortLived::new(Span::from_secs(2 * 86_400), [SHORT_LIVED])],
            ..SeriesConfig::default()
        };
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        self.store = Some(SeriesStore::open(self.dir.path(), config, clock).unwrap());
    }

    /// From when on the series keeps its points.
    fn kept_from(&self, series: SeriesId) -> Timestamp {
        let days = if series == SHORT_LIVED { 2 } else { 1098 };
        let day = self.clock.now().utc_day() - days;
        at(day * DAY).max(self.expired_before)
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
            Step::Months => self.store().make_months(at(NOW + 30 * DAY)).unwrap(),
            Step::Expire(ago) => {
                let before = at(NOW - ago * DAY);
                self.store().expire(before).unwrap();
                let midnight = at(before.utc_day() * DAY);
                self.expired_before = self.expired_before.max(midnight);
            }
            Step::Tomorrow => {
                self.clock.advance(Span::from_secs(86_400));
                self.store().let_go().unwrap();
            }
            Step::Reopen(batch) => {
                self.store = None;
                self.open();
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
            if point.sample.time >= self.kept_from(point.series) {
                model.insert(point.series, point.sample);
            }
        }
        model
    }

    fn compare(&self) {
        let (model, store) = (self.model(), self.store());
        let all: Vec<SeriesId> = (0..4).map(SeriesId).collect();
        crate::testkit::agree(store, &model, &all, at(NOW)).unwrap();
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
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_like_the_model_whatever_happens(steps in prop::collection::vec(step(), 1..25)) {
        let mut pair = Pair::new();
        for step in steps {
            pair.step(step);
            pair.compare();
        }
    }
}

#[test]
fn what_comes_twice_is_counted_and_kept_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = store
        .append(&[point(1, NOW, 1.0), point(1, NOW, 1.0)], Lsn(2))
        .unwrap();
    assert_eq!((first.stored, first.duplicates, first.replaced), (1, 1, 0));
    let other = store.append(&[point(1, NOW, 2.0)], Lsn(3)).unwrap();
    assert_eq!((other.stored, other.duplicates, other.replaced), (0, 0, 1));
    assert_eq!(values(&store, 1), [(NOW, 2.0)]);
    // A batch of which everything was there before changes nothing.
    let again = store.append(&[point(1, NOW, 1.0)], Lsn(3)).unwrap();
    assert_eq!((again.replayed, again.replaced), (1, 0));
    assert_eq!(values(&store, 1), [(NOW, 2.0)]);
}

#[test]
fn a_value_of_another_quality_is_another_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut doubtful = point(1, NOW, 1.0);
    doubtful.sample.quality = Quality::Uncertain(Uncertain::ClockSkew);
    store.append(&[point(1, NOW, 1.0)], Lsn(1)).unwrap();
    store.flush().unwrap();
    store.append(&[doubtful], Lsn(2)).unwrap();
    assert_eq!(
        store.range(SeriesId(1), at(NOW), at(NOW + 1), 9).unwrap(),
        [doubtful.sample]
    );
}

#[test]
fn points_older_than_what_is_kept_are_counted_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let config = SeriesConfig {
        keep: Span::from_secs(30 * 86_400),
        ..SeriesConfig::default()
    };
    let store = SeriesStore::open(dir.path(), config, clock()).unwrap();
    let points = [
        point(1, NOW - 29 * DAY, 1.0),
        point(1, NOW - 31 * DAY, 2.0),
        point(1, -5, 3.0),
        point(1, i64::MAX, 4.0),
    ];
    let appended = store.append(&points, Lsn(1)).unwrap();
    assert_eq!((appended.stored, appended.too_old), (1, 3));
    assert_eq!(values(&store, 1), [(NOW - 29 * DAY, 1.0)]);
}

#[test]
fn a_series_that_is_kept_for_less_leaves_its_old_days_and_the_others_stay() {
    // Given two series over five days, one of them kept for two, some of it compacted, some not, some in memory,
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let config = SeriesConfig {
        short_lived: vec![ShortLived::new(Span::from_secs(2 * 86_400), [SeriesId(1)])],
        ..SeriesConfig::default()
    };
    let open = || SeriesStore::open(dir.path(), config.clone(), clock.clone()).unwrap();
    let store = open();
    let days = |series, of: std::ops::Range<i64>| -> Vec<Point> {
        of.map(|day| point(series, NOW - day * DAY, day as f64)).collect()
    };
    let appended = store
        .append(&[days(1, 0..5), days(2, 0..5)].concat(), Lsn(1))
        .unwrap();
    assert_eq!((appended.stored, appended.too_old), (8, 2), "3 and 4 days ago");
    store.flush().unwrap();
    store.compact().unwrap();
    store.append(&[point(1, NOW - 2 * DAY + 1, 9.0)], Lsn(2)).unwrap();
    // when two days pass and the store lets go,
    clock.advance(Span::from_secs(2 * 86_400));
    let before = store.stats().unwrap().block_points;
    store.let_go().unwrap();
    // then only today's points of the one are there, in files and memory, and all of the other.
    assert_eq!(values(&store, 1), [(NOW, 0.0)]);
    assert_eq!(values(&store, 2).len(), 5);
    let stats = store.stats().unwrap();
    assert_eq!((before - stats.block_points, stats.head_points), (2, 0));
    let hour = Span::from_secs(3600);
    let windows = store.windows(SeriesId(1), at(NOW - 4 * DAY), at(NOW + DAY), hour);
    assert_eq!(windows.unwrap().len(), 1, "roll-ups too");
    // Letting go again finds nothing to do, after a restart too; and what comes late is too old.
    store.let_go().unwrap();
    drop(store);
    let store = open();
    store.let_go().unwrap();
    assert_eq!(store.stats().unwrap().block_points, stats.block_points);
    let late = store.append(&days(1, 1..3), Lsn(3)).unwrap();
    assert_eq!((late.too_old, late.stored), (2, 0));
    // When nothing at all is left of it, it has no newest sample, and its place is free.
    clock.advance(Span::from_secs(5 * 86_400));
    assert_eq!(store.stats().unwrap().series, 2);
    store.let_go().unwrap();
    assert_eq!(store.latest(SeriesId(1)).unwrap(), None);
    assert_eq!(store.stats().unwrap().series, 1);
    store.close().unwrap();
    drop(store);
    assert_eq!(open().latest(SeriesId(1)).unwrap(), None);
}

#[test]
fn expired_days_are_gone_from_the_disk_and_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let points = [
        point(1, NOW - 3 * DAY, 1.0),
        point(1, NOW, 2.0),
        point(2, NOW - 3 * DAY, 3.0),
    ];
    store.append(&points, Lsn(1)).unwrap();
    store.flush().unwrap();
    assert!(dir.path().join("series-2026-11-20.db").exists());
    store.expire(at(NOW - DAY)).unwrap();
    assert!(!dir.path().join("series-2026-11-20.db").exists());
    let late = store.append(&[point(1, NOW - 3 * DAY, 1.0)], Lsn(2)).unwrap();
    assert_eq!(late.too_old, 1);
    assert_eq!(values(&store, 1), [(NOW, 2.0)]);
    assert_eq!(store.latest(SeriesId(2)).unwrap(), None);
    drop(store);
    let store = open(dir.path());
    assert_eq!(values(&store, 1), [(NOW, 2.0)]);
    assert_eq!(
        store
            .append(&[point(1, NOW - 3 * DAY, 1.0)], Lsn(2))
            .unwrap()
            .too_old,
        1
    );
}

#[test]
fn a_crash_between_the_days_and_the_cursor_doubles_nothing() {
    // Given a flush after which the index is as it was before: the crash came just then,
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let first = [point(1, NOW - DAY, 1.0), point(1, NOW, 2.0)];
    let second = [point(1, NOW, 2.5), point(1, NOW + 1000, 3.0)];
    store.append(&[], Lsn(1)).unwrap();
    store.flush().unwrap();
    let index = std::fs::read(dir.path().join("series.db")).unwrap();
    store.append(&first, Lsn(4)).unwrap();
    store.append(&second, Lsn(6)).unwrap();
    store.flush().unwrap();
    drop(store);
    std::fs::write(dir.path().join("series.db"), index).unwrap();
    // when the journal brings it all again,
    let store = open(dir.path());
    assert_eq!(store.cursor(), Lsn(1));
    let again = store.append(&first, Lsn(4)).unwrap();
    assert_eq!((again.replayed, again.stored), (2, 0));
    let again = store.append(&second, Lsn(6)).unwrap();
    assert_eq!((again.replayed, again.stored), (2, 0));
    // then there are as many blocks as before, and everything is there once, the newest sample too.
    store.flush().unwrap();
    assert_eq!(store.cursor(), Lsn(6));
    assert_eq!(store.stats().unwrap().block_points, 3);
    let expected = [(NOW - DAY, 1.0), (NOW, 2.5), (NOW + 1000, 3.0)];
    assert_eq!(values(&store, 1), expected);
    assert_eq!(store.latest(SeriesId(1)).unwrap(), Some(second[1].sample));
}

#[test]
fn compaction_leaves_one_block_per_series_and_the_same_samples() {
    // Given 30 flushes of a point of each of 100 series, yesterday,
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut expected = Vec::new();
    for n in 0..30 {
        let (ms, value) = (NOW - DAY + n * 1000, n as f64 * 0.5);
        let points: Vec<Point> = (0..100).map(|series| point(series, ms, value)).collect();
        store.append(&points, Lsn(n.cast_unsigned() + 1)).unwrap();
        store.flush().unwrap();
        expected.push((ms, value));
    }
    let before = store.stats().unwrap();
    assert_eq!((before.blocks, before.block_points), (3000, 3000));
    // when the day is compacted, then a block of each is left, in far fewer bytes, with the same samples.
    store.compact().unwrap();
    let after = store.stats().unwrap();
    assert_eq!((after.blocks, after.block_points), (100, 3000));
    assert!(after.disk_bytes * 3 < before.disk_bytes, "{before:?} {after:?}");
    for series in [0, 50, 99] {
        assert_eq!(values(&store, series), expected);
    }
}

#[test]
fn a_window_over_whole_blocks_does_not_open_them() {
    // Given a block whose body is destroyed,
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let points: Vec<Point> = (0..100).map(|n| point(1, NOW + n * 1000, n as f64)).collect();
    store.append(&points, Lsn(1)).unwrap();
    store.close().unwrap();
    rusqlite::Connection::open(dir.path().join("series-2026-11-23.db"))
        .unwrap()
        .execute("UPDATE block SET body = X'00'", [])
        .unwrap();
    // when an hour is asked for that holds all of it, then the summary answers: the numbers 0 to 99;
    let hour = Span::from_secs(3600);
    let windows = store.windows(SeriesId(1), at(NOW), at(NOW + DAY), hour).unwrap();
    let [window] = windows.as_slice() else {
        panic!("{windows:?}")
    };
    assert_eq!(
        (window.count, window.min, window.max, window.sum),
        (100, 0.0, 99.0, 4950.0)
    );
    assert_eq!(window.last, points[99].sample);
    // and when minutes are asked for, then the damage is named, with file, series and times.
    let minute = Span::from_secs(60);
    let error = store
        .windows(SeriesId(1), at(NOW), at(NOW + DAY), minute)
        .unwrap_err();
    let text = error.to_string();
    for part in [
        "series-2026-11-23.db",
        "series 1,",
        "2026-11-23T12:00:00.000Z to 2026-11-23T12:01:39.000Z",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(matches!(error, SeriesError::Damaged(_)));
}

#[test]
fn more_than_the_limit_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let points: Vec<Point> = (0..10).map(|n| point(1, NOW + n, 1.0)).collect();
    store.append(&points, Lsn(1)).unwrap();
    assert_eq!(
        store.range(SeriesId(1), at(NOW), at(NOW + 99), 10).unwrap().len(),
        10
    );
    let refused = store.range(SeriesId(1), at(NOW), at(NOW + 99), 9);
    assert!(matches!(refused, Err(SeriesError::TooMany { limit: 9, .. })));
}

#[test]
fn a_missing_day_and_a_mixed_up_one_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store
        .append(&[point(1, NOW, 1.0), point(1, NOW - DAY, 2.0)], Lsn(1))
        .unwrap();
    store.close().unwrap();
    drop(store);
    let file = |day| dir.path().join(format!("series-2026-11-{day}.db"));
    let refused = || {
        SeriesStore::open(dir.path(), SeriesConfig::default(), clock())
            .unwrap_err()
            .to_string()
    };
    std::fs::copy(file(22), file(23)).unwrap();
    assert!(refused().contains("series-2026-11-23.db holds the blocks of series-2026-11-22.db"));
    std::fs::remove_file(file(23)).unwrap();
    assert!(refused().contains("series-2026-11-23.db is missing"));
}

#[test]
fn the_head_goes_to_disk_by_itself_when_it_is_large_or_old() {
    // Given a store that flushes at 100 points,
    let dir = tempfile::tempdir().unwrap();
    let config = SeriesConfig {
        flush_points: 100,
        ..SeriesConfig::default()
    };
    let hour = config.flush_age;
    let time = clock();
    let store = SeriesStore::open(dir.path(), config, time.clone()).unwrap();
    // when more than twice as many come one by one, then it has flushed and kept its bound;
    for n in 0..250 {
        store
            .append(&[point(1, NOW + n, 1.0)], Lsn(n.cast_unsigned() + 1))
            .unwrap();
        assert!(store.stats().unwrap().head_points <= 300);
    }
    eventually("a flush at 100 points", || store.cursor() >= Lsn(100));
    assert_eq!(values(&store, 1).len(), 250);
    // and when the rest has become an hour old, then it goes, too, without anybody's doing.
    time.advance(hour);
    eventually("a flush of the last hour", || store.cursor() >= Lsn(250));
}

#[test]
fn readers_see_every_point_while_flushes_run() {
    // Given a reader that reads all the time,
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let written = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let reader = {
        let (store, done, written) = (Arc::clone(&store), Arc::clone(&done), Arc::clone(&written));
        std::thread::spawn(move || {
            let mut reads = 0;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let at_least = written.load(std::sync::atomic::Ordering::SeqCst);
                let found = values(&store, 1);
                // then it never misses one that was there before it asked, nor sees a wrong one.
                assert!(found.len() >= at_least, "{} of {at_least}", found.len());
                assert!(
                    found
                        .iter()
                        .enumerate()
                        .all(|(n, (ms, _))| usize::try_from(*ms - NOW) == Ok(n))
                );
                reads += 1;
            }
            reads
        })
    };
    // when points come and are flushed and compacted,
    for n in 0..300usize {
        let time = NOW + i64::try_from(n).unwrap();
        store.append(&[point(1, time, 1.0)], Lsn(n as u64 + 1)).unwrap();
        written.store(n + 1, std::sync::atomic::Ordering::SeqCst);
        if n % 10 == 9 {
            store.flush().unwrap();
        }
        if n % 100 == 99 {
            store.compact_day(at(NOW)).unwrap();
        }
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(reader.join().unwrap() > 0);
}

#[test]
fn appends_and_queries_go_on_while_days_are_compacted_and_roll_ups_answer_like_samples() {
    // Given four days of a value a minute in three series,
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(open(dir.path()));
    let model = MemorySeries::default();
    let begin = NOW - 4 * DAY;
    let points: Vec<Point> = (0..4 * 1440)
        .flat_map(|n| (0..3).map(move |series| (n, series)))
        .map(|(n, series)| {
            point(
                series,
                begin + n * 60_000,
                f64::from(i32::try_from(n).unwrap() % 37) / 4.0,
            )
        })
        .collect();
    store.append(&points, Lsn(1)).unwrap();
    store.flush().unwrap();
    points
        .iter()
        .for_each(|point| model.insert(point.series, point.sample));
    let all: Vec<SeriesId> = (0..3).map(SeriesId).collect();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let compactor = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        std::thread::spawn(move || {
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                store.compact().unwrap();
            }
        })
    };
    // when late points come and are flushed while the days are compacted again and again,
    for n in 0..20i64 {
        let late = point(1, begin + n * 7_000_000 + 1, 50.0);
        store.append(&[late], Lsn(n.cast_unsigned() + 2)).unwrap();
        model.insert(late.series, late.sample);
        if n % 5 == 4 {
            store.flush().unwrap();
        }
        // then every answer is the model's,
        crate::testkit::agree(&*store, &model, &all, at(NOW)).unwrap();
    }
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    compactor.join().unwrap();
    // and in the end every day is compacted, and the roll-ups answer.
    store.flush().unwrap();
    store.compact().unwrap();
    crate::testkit::agree(&*store, &model, &all, at(NOW)).unwrap();
    let rolled: i64 = rusqlite::Connection::open(dir.path().join("series-2026-11-20.db"))
        .unwrap()
        .query_row(
            "SELECT count(*) FROM packed WHERE rollup IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(rolled, 3);
}

#[test]
fn a_series_too_many_is_refused_and_counted_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = SeriesConfig {
        series_max: 2,
        ..SeriesConfig::default()
    };
    let store = SeriesStore::open(dir.path(), config.clone(), clock()).unwrap();
    let three = [point(1, NOW, 1.0), point(2, NOW, 2.0), point(3, NOW, 3.0)];
    let appended = store.append(&three, Lsn(1)).unwrap();
    assert_eq!((appended.stored, appended.refused), (2, 1));
    store.close().unwrap();
    drop(store);
    // A restart counts them again.
    let store = SeriesStore::open(dir.path(), config, clock()).unwrap();
    let next = [point(2, NOW + 1, 2.0), point(3, NOW + 1, 3.0)];
    let appended = store.append(&next, Lsn(2)).unwrap();
    assert_eq!((appended.stored, appended.refused), (1, 1));
    let stats = store.stats().unwrap();
    assert_eq!((stats.series, stats.refused), (2, 1));
    assert_eq!(store.latest(SeriesId(3)).unwrap(), None);
}

#[test]
fn a_past_day_is_compacted_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let time = clock();
    let store = SeriesStore::open(dir.path(), SeriesConfig::default(), time.clone()).unwrap();
    for n in 0..3i64 {
        store
            .append(&[point(1, NOW - DAY + n, 1.0)], Lsn(n.cast_unsigned() + 1))
            .unwrap();
        store.flush().unwrap();
    }
    assert_eq!(store.stats().unwrap().blocks, 3);
    time.advance(SeriesConfig::default().care_every);
    eventually("one block of a past day", || store.stats().unwrap().blocks == 1);
}

#[test]
fn the_bytes_of_a_series_are_those_of_its_columns() {
    // Given a day with a thousand equal values a minute apart of one series, and one point of another, compacted,
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let begin = NOW - 2 * DAY - DAY / 2;
    let mut points: Vec<Point> = (0..1000).map(|n| point(1, begin + n * 60_000, 7.0)).collect();
    points.push(point(2, begin, 1.5));
    store.append(&points, Lsn(1)).unwrap();
    store.close().unwrap();
    let store = open(dir.path());
    // when their bytes are told,
    let mut told = std::collections::BTreeMap::<SeriesId, Usage>::new();
    store
        .usage(at(begin), at(NOW), &mut |series, usage| {
            told.entry(series).or_default().add(usage)
        })
        .unwrap();
    // then each has its points; equal values are one kind byte and one varint of the integer 7 (2 bytes), equal steps one
    // kind byte and a varint of 60,000 (3 bytes), and equal qualities 2 bytes beside the checksum's 4: counted by hand.
    let many = told[&SeriesId(1)];
    assert_eq!((many.points, many.values, many.qualities), (1000, 2, 6));
    assert_eq!(many.times, 4);
    assert_eq!(told[&SeriesId(2)].points, 1);
    // And of days without points nothing is told.
    store
        .usage(at(NOW + DAY), at(NOW + 2 * DAY), &mut |series, _| {
            panic!("{series:?}")
        })
        .unwrap();
}
