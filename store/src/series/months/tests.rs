//! Months against the model, and what happens on the way there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use telemetry::time::{ManualClock, Span};
use telemetry::{Lsn, Point, Quality, Sample, SeriesId, Timestamp};

use super::super::tests::eventually;
use super::super::{Outside, SeriesConfig, SeriesReader, SeriesStore, ShortLived};
use crate::testkit::{MemorySeries, agree};

/// Noon of 2026-11-03, UTC: October is over.
const NOW: i64 = 1_793_707_200_000;
const DAY: i64 = Timestamp::DAY_MS;
/// Ten days before: 2026-10-24.
const BEGIN: i64 = NOW - 10 * DAY;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn point(series: u32, ms: i64, value: f64) -> Point {
    let quality = if ms % 17 == 3 {
        Quality::Bad(telemetry::quality::Bad::OutOfRange)
    } else {
        Quality::Good
    };
    let time = at(ms);
    Point {
        series: SeriesId(series),
        sample: Sample { time, value, quality },
        arrived: at(NOW),
        backfill: false,
    }
}

/// The store, what the model has, and the messages that stand in for the journal.
struct Pair {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    model: MemorySeries,
    journal: Vec<Vec<Point>>,
}

impl Pair {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(at(NOW))),
            model: MemorySeries::default(),
            journal: Vec::new(),
        }
    }

    fn open(&self) -> SeriesStore {
        SeriesStore::open(self.dir.path(), SeriesConfig::default(), self.clock.clone()).unwrap()
    }

    /// Ten days of two series, one value a minute and one an hour, day by day.
    fn fill(&mut self, store: &SeriesStore) {
        for day in 0..10 {
            let begin = BEGIN + day * DAY;
            let minutes = (0..1440).map(|n| point(1, begin + n * 60_000, (n % 91) as f64 / 4.0));
            let hours = (0..24).map(|n| point(2, begin + n * 3_600_000 + day, (n * day) as f64));
            self.append(store, minutes.chain(hours).collect());
            store.flush().unwrap();
        }
    }

    fn append(&mut self, store: &SeriesStore, points: Vec<Point>) {
        self.journal.push(points);
        let points = self.journal.last().unwrap();
        store.append(points, Lsn(self.journal.len() as u64)).unwrap();
        points
            .iter()
            .for_each(|point| self.model.insert(point.series, point.sample));
    }

    fn agree(&self, store: &SeriesStore) {
        // The suite asks about six days around an instant: before, at, and after the turn of the month.
        for now in [BEGIN + 4 * DAY, BEGIN + 8 * DAY, NOW] {
            let all = [1, 2, 3].map(SeriesId);
            agree(store, &self.model, &all, at(now)).unwrap();
        }
    }

    fn files(&self) -> Vec<String> {
        files(self.dir.path())
    }
}

/// The databases of days and months, by name.
fn files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| {
        let name = entry.unwrap().file_name();
        name.into_string().unwrap()
    });
    let mut names: Vec<String> = names
        .filter(|name| name.starts_with("series-") && name.ends_with(".db"))
        .collect();
    names.sort();
    names
}

const NOVEMBER: [&str; 3] = [
    "series-2026-11-01.db",
    "series-2026-11-02.db",
    "series-2026-11-03.db",
];

#[test]
fn the_days_of_a_month_that_is_over_become_one_file_and_every_answer_stays() {
    // Given ten days around the turn of a month,
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    assert_eq!(pair.files().len(), 11);
    // when the month is over,
    store.make_months(at(NOW)).unwrap();
    // then its eight days are one file with what all of them had,
    let files = [&["series-2026-10.db"][..], &NOVEMBER].concat();
    assert_eq!(pair.files(), files);
    let stats = store.stats().unwrap();
    assert_eq!((stats.block_points, stats.partitions), (10 * 1464, 4));
    // with the few blocks that it takes (7.5 days × 1,440 in two, and one),
    let month = super::Partition::open(pair.dir.path(), super::month_of(at(BEGIN).utc_day())).unwrap();
    assert_eq!(month.facts().unwrap().blocks, 3);
    assert!(month.is_whole().unwrap());
    // and every answer stays, after a restart too.
    pair.agree(&store);
    store.close().unwrap();
    drop(store);
    let store = pair.open();
    assert_eq!(pair.files(), files);
    pair.agree(&store);
}

#[test]
fn late_points_of_a_month_are_a_day_beside_it_until_they_are_taken_in() {
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    store.make_months(at(NOW)).unwrap();
    // When late points come, of which one replaces a value of the month, and one is of a series that is new there,
    let late = vec![
        point(1, BEGIN + 2 * DAY, 99.5),
        point(1, BEGIN + 2 * DAY + 1, 98.5),
        point(3, BEGIN + DAY, 3.0),
    ];
    pair.append(&store, late);
    store.flush().unwrap();
    pair.agree(&store);
    assert_eq!(pair.files().len(), 6);
    // then they go into the month,
    store.make_months(at(NOW)).unwrap();
    pair.agree(&store);
    assert_eq!(pair.files().len(), 4);
    assert_eq!(store.stats().unwrap().block_points, 10 * 1464 + 2);
    // and a day that holds an older value of a time than its month does not come to be.
    pair.append(&store, vec![point(1, BEGIN + 2 * DAY, 1.25)]);
    store.flush().unwrap();
    pair.agree(&store);
}

#[test]
fn after_a_crash_on_the_way_it_begins_anew_and_finds_the_same() {
    // Given the days, kept aside,
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    store.close().unwrap();
    drop(store);
    let aside = tempfile::tempdir().unwrap();
    for name in pair.files() {
        std::fs::copy(pair.dir.path().join(&name), aside.path().join(&name)).unwrap();
    }
    let store = pair.open();
    store.make_months(at(NOW)).unwrap();
    drop(store);
    // when the crash came before the days were deleted: the index does not know them any more, or still does,
    for known in [false, true] {
        for name in files(aside.path()) {
            std::fs::copy(aside.path().join(&name), pair.dir.path().join(&name)).unwrap();
        }
        if known {
            let index = rusqlite::Connection::open(pair.dir.path().join("series.db")).unwrap();
            for day in at(BEGIN).utc_day()..at(NOW).utc_day() {
                index
                    .execute("INSERT OR IGNORE INTO partition VALUES (?1)", [day])
                    .unwrap();
            }
        }
        // then both are read, and it is done again.
        let store = pair.open();
        assert_eq!(pair.files().len(), 12);
        pair.agree(&store);
        store.make_months(at(NOW)).unwrap();
        assert_eq!(pair.files().len(), 4);
        assert_eq!(store.stats().unwrap().block_points, 10 * 1464);
        pair.agree(&store);
    }
}

#[test]
fn a_missing_index_is_made_anew_out_of_months_too() {
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    store.make_months(at(NOW)).unwrap();
    // Series 3 has its newest sample in the month.
    pair.append(&store, vec![point(3, BEGIN, 1.0)]);
    store.flush().unwrap();
    store.make_months(at(NOW)).unwrap();
    store.close().unwrap();
    drop(store);
    for name in ["series.db", "series.db-wal", "series.db-shm"] {
        std::fs::remove_file(pair.dir.path().join(name)).ok();
    }
    let store = pair.open();
    // The journal brings everything again, at once; what the month has is left out, the two days and a half after it are not.
    let appended = store.append(&pair.journal.concat(), Lsn(11)).unwrap();
    assert_eq!((appended.stored, appended.replayed), (3660, 10_980 + 1));
    pair.agree(&store);
}

#[test]
fn a_month_goes_when_its_last_day_does_and_hides_what_is_expired_before() {
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    store.make_months(at(NOW)).unwrap();
    // When the first days of the month expire, they are not shown any more,
    let third = at(BEGIN + 3 * DAY).utc_day() * DAY;
    store.expire(at(third)).unwrap();
    let samples = |store: &SeriesStore| {
        let samples = store.range(SeriesId(1), Timestamp::MIN, Timestamp::MAX, 100_000);
        samples.unwrap()
    };
    let wanted = pair.model.range(SeriesId(1), at(third), Timestamp::MAX, 100_000);
    assert_eq!(samples(&store), wanted.unwrap());
    assert_eq!(pair.files().len(), 4);
    assert_eq!(store.last_before(SeriesId(1), at(third)).unwrap(), None);
    // and a late point of them is not taken.
    let late = store.append(&[point(1, BEGIN, 1.0)], Lsn(11)).unwrap();
    assert_eq!((late.stored, late.too_old), (0, 1));
    // When the last one expires, the file is deleted.
    let november = at(NOW).utc_day() - 2;
    store.expire(at(november * DAY)).unwrap();
    assert_eq!(pair.files(), NOVEMBER);
    let wanted = pair
        .model
        .range(SeriesId(1), at(november * DAY), Timestamp::MAX, 100_000);
    assert_eq!(samples(&store), wanted.unwrap());
}

#[test]
fn a_series_by_day_is_answered_from_the_roll_up_of_its_month() {
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    store.make_months(at(NOW)).unwrap();
    // The body of the first block is damaged: who answers by day from the roll-up does not look at it.
    let file = pair.dir.path().join("series-2026-10.db");
    let month = rusqlite::Connection::open(&file).unwrap();
    month.execute("UPDATE packed SET body = x'00'", []).unwrap();
    drop(month);
    let begin = at(BEGIN).utc_day() * DAY;
    let days = |reader: &dyn SeriesReader| {
        let windows = reader.windows(
            SeriesId(1),
            at(begin),
            at(begin + 8 * DAY),
            Span::from_millis(DAY as u64),
        );
        windows.unwrap()
    };
    assert_eq!(days(&store), days(&pair.model));
    assert!(store.range(SeriesId(1), at(begin), at(NOW), 100_000).is_err());
}

#[test]
fn readers_and_late_points_go_on_while_days_become_a_month() {
    // Given the days, and a reader that asks all the time,
    let mut pair = Pair::new();
    let store = Arc::new(pair.open());
    pair.fill(&store);
    let done = Arc::new(AtomicBool::new(false));
    let wanted = pair
        .model
        .range(SeriesId(2), Timestamp::MIN, Timestamp::MAX, 1000)
        .unwrap();
    let asked = {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                let found = store
                    .range(SeriesId(2), Timestamp::MIN, Timestamp::MAX, 1000)
                    .unwrap();
                assert_eq!(found, wanted);
                let before = store.last_before(SeriesId(2), at(BEGIN + 5 * DAY)).unwrap();
                assert_eq!(
                    before.map(|sample| sample.time),
                    Some(at(BEGIN + 5 * DAY - 3_600_000 + 4))
                );
                asked += 1;
            }
            asked
        })
    };
    // when late points come to the month, which is made again and again,
    for n in 0..40i64 {
        let late = point(1, BEGIN + (n % 7) * DAY + n, 7.25);
        pair.append(&store, vec![late]);
        store.flush().unwrap();
        store.make_months(at(NOW)).unwrap();
    }
    done.store(true, Ordering::SeqCst);
    // then the reader always had the same answer, and nothing of what came is missing.
    assert!(asked.join().unwrap() > 0);
    pair.agree(&store);
}

#[test]
fn the_store_does_it_by_itself_two_days_after_the_month() {
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    pair.clock.advance(SeriesConfig::default().care_every);
    eventually("a month", || pair.files().len() <= 4);
    pair.agree(&store);
}

#[test]
fn who_reads_the_folder_beside_the_server_finds_what_has_moved() {
    // Given a reader of the folder that has looked up the days, but opened none,
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    let clock: Arc<ManualClock> = pair.clock.clone();
    let beside = Outside::open(pair.dir.path(), clock).unwrap();
    // when the server makes a month of them,
    store.make_months(at(NOW)).unwrap();
    // then it answers all the same.
    for series in [1, 2].map(SeriesId) {
        let wanted = pair.model.range(series, Timestamp::MIN, Timestamp::MAX, 100_000);
        let found = beside.range(series, Timestamp::MIN, Timestamp::MAX, 100_000);
        assert_eq!(found.unwrap(), wanted.unwrap());
        let wanted = pair.model.last_before(series, at(BEGIN + 3 * DAY));
        let found = beside.last_before(series, at(BEGIN + 3 * DAY));
        assert_eq!(found.unwrap(), wanted.unwrap());
    }
}

#[test]
fn series_that_are_kept_for_less_are_let_go_of_in_a_month_that_is_past_for_them() {
    // Given a month, and then a server that keeps series 2 for a day,
    let mut pair = Pair::new();
    let store = pair.open();
    pair.fill(&store);
    store.make_months(at(NOW)).unwrap();
    drop(store);
    let config = SeriesConfig {
        short_lived: vec![ShortLived::new(Span::from_millis(DAY as u64), [SeriesId(2)])],
        ..SeriesConfig::default()
    };
    let store = SeriesStore::open(pair.dir.path(), config, pair.clock.clone()).unwrap();
    // when it takes care of itself, then nothing of series 2 is left but the last two days, and all of series 1.
    store.let_go().unwrap();
    let second = (at(NOW).utc_day() - 1) * DAY;
    for (series, from) in [(2, at(second)), (1, Timestamp::MIN)] {
        let wanted = pair.model.range(SeriesId(series), from, Timestamp::MAX, 100_000);
        let found = store.range(SeriesId(series), Timestamp::MIN, Timestamp::MAX, 100_000);
        assert_eq!(found.unwrap(), wanted.unwrap());
    }
}
