//! Backup, restore and verify of a folder that is written to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use telemetry::time::{ManualClock, Span};
use telemetry::{DeviceId, Lsn, Origin, Point, Quality, RawMessage, Sample, SeriesId, Timestamp};

mod flips;
mod versions;

use super::backup::{Order, take};
use super::manifest::{MANIFEST_FILE, SUMS_FILE, UNFINISHED_FILE};
use super::restore::inspect;
use super::verify::{Part, Report, verify};
use super::*;
use crate::journal::{Journal, JournalConfig};
use crate::kept::{Change, Kept, KeptConfig};
use crate::series::{SeriesConfig, SeriesReader, SeriesStore};
use crate::state::State;
use crate::state::dead_letters::DeadLetterBounds;

/// Noon of 2026-11-23, UTC.
const NOW: i64 = 1_795_435_200_000;
const DAY: i64 = Timestamp::DAY_MS;

/// The files of a server, open.
struct House {
    clock: Arc<ManualClock>,
    journal: Journal,
    series: SeriesStore,
    state: State,
    kept: Kept,
}

impl House {
    fn open(dir: &Path) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
        Self {
            journal: Journal::open(dir, JournalConfig::default(), clock.clone()).unwrap(),
            series: SeriesStore::open(dir, SeriesConfig::default(), clock.clone()).unwrap(),
            state: State::open(&dir.join("state.db")).unwrap(),
            kept: Kept::open(&dir.join("mqtt.db"), KeptConfig::default(), clock.clone()).unwrap(),
            clock,
        }
    }

    /// One message with a point of series 1 and one of series 2 a day before; flushed and accounted for.
    async fn hear(&self, number: i64) {
        let message = RawMessage {
            arrived: Timestamp::from_millis(NOW + number),
            origin: Origin::Mqtt,
            sender: DeviceId::new("pump-1").unwrap(),
            topic: "tw/v1/pump-1/telemetry".into(),
            payload: Bytes::from(format!("{{\"seq\":{number}}}")),
        };
        let upto = self.journal.append(vec![message]).await.unwrap();
        let points = [(1, NOW + number), (2, NOW - DAY + number)].map(|(series, ms)| Point {
            series: SeriesId(series),
            sample: Sample {
                time: Timestamp::from_millis(ms),
                value: number as f64 / 8.0,
                quality: Quality::Good,
            },
            arrived: Timestamp::from_millis(NOW),
            backfill: false,
        });
        self.series.append(&points, upto).unwrap();
        self.state
            .add_account(&[], &[], upto, DeadLetterBounds::default())
            .unwrap();
        let change = Change::Put {
            room: 1,
            key: Bytes::from(number.to_string()),
            value: Bytes::from_static(b"value"),
        };
        self.kept.keep(vec![change]).await.unwrap();
    }

    fn values(&self, series: u32) -> Vec<i64> {
        let found = self
            .series
            .range(SeriesId(series), Timestamp::MIN, Timestamp::MAX, 100_000)
            .unwrap();
        found.iter().map(|sample| sample.time.millis()).collect()
    }
}

fn back_up(data: &Path, to: &Path) -> Result<Manifest, CareError> {
    let clock = ManualClock::at(Timestamp::from_millis(NOW));
    let order = Order {
        data,
        to,
        townwatch: "test",
    };
    take(&order, &clock, &mut |_| {})
}

fn restore(from: &Path, to: &Path) -> Result<Manifest, CareError> {
    let clock = ManualClock::at(Timestamp::from_millis(NOW));
    super::restore::restore(from, to, &clock, &mut |_| {})
}

fn look(folder: &Path) -> Report {
    verify(folder, &mut |_| {}).unwrap()
}

/// Changes one row behind the back of everybody.
fn change(data: &Path, file: &str, sql: &str) {
    let connection = rusqlite::Connection::open(data.join(file)).unwrap();
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
}

fn names(folder: &Path) -> Vec<String> {
    let listing = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = listing
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_backup_of_open_files_comes_back_as_they_were() {
    // Given files that are open, with points in blocks and points that only the journal has,
    let folder = tempfile::tempdir().unwrap();
    let (data, to, back) = (
        folder.path().join("a"),
        folder.path().join("b"),
        folder.path().join("c"),
    );
    std::fs::create_dir(&data).unwrap();
    let house = House::open(&data);
    for number in 0..50 {
        house.hear(number).await;
    }
    house.series.flush().unwrap();
    for number in 50..60 {
        house.hear(number).await;
    }
    // when they are backed up, and go on,
    let manifest = back_up(&data, &to).unwrap();
    for number in 60..70 {
        house.hear(number).await;
    }
    house.series.close().unwrap();
    drop(house);
    // then the backup says how far each had come, is sound, and nothing lies beside its files,
    assert_eq!(manifest.cursors.journal_newest, 60);
    assert_eq!((manifest.cursors.series, manifest.cursors.account), (50, 60));
    assert_eq!(manifest.points, 100);
    let report = look(&to);
    assert_eq!(report.findings, []);
    assert_eq!((report.points, report.messages, report.rows), (100, 60, 62));
    assert_eq!(
        names(&to),
        [
            "journal.db",
            "mqtt.db",
            "series-2026-11-22.db",
            "series-2026-11-23.db",
            "series.db",
            "state.db",
            MANIFEST_FILE,
            SUMS_FILE
        ]
    );
    // and what comes back holds everything before the moment: flushed points in days, the others in the journal.
    restore(&to, &back).unwrap();
    assert_eq!(look(&back).findings, []);
    let house = House::open(&back);
    assert_eq!(house.series.cursor(), Lsn(50));
    assert_eq!(house.values(1), (0..50).map(|n| NOW + n).collect::<Vec<_>>());
    assert_eq!(house.journal.newest(), Lsn(60));
    assert_eq!(house.journal.read(Lsn(50), 100).unwrap().len(), 10);
    house.hear(60).await;
    assert_eq!(house.journal.newest(), Lsn(61));
    house.clock.advance(Span::from_secs(1));
}

#[tokio::test]
async fn days_that_become_a_month_while_they_are_backed_up_are_in_the_backup_once() {
    // Given two days of November,
    let folder = tempfile::tempdir().unwrap();
    let (data, to, back) = (
        folder.path().join("a"),
        folder.path().join("b"),
        folder.path().join("c"),
    );
    std::fs::create_dir(&data).unwrap();
    let house = House::open(&data);
    for number in 0..10 {
        house.hear(number).await;
    }
    house.series.flush().unwrap();
    // when the month is made after the days were copied, while the index is,
    let clock = ManualClock::at(Timestamp::from_millis(NOW));
    let order = Order {
        data: &data,
        to: &to,
        townwatch: "test",
    };
    let mut is_made = false;
    let manifest = take(&order, &clock, &mut |progress| {
        if progress.file == crate::series::INDEX_FILE && !std::mem::replace(&mut is_made, true) {
            let december = Timestamp::from_millis(NOW + 8 * DAY);
            house.series.make_months(december).unwrap();
        }
    });
    // then the backup has the month and not its days, is sound, and comes back whole.
    assert!(is_made);
    assert_eq!(manifest.unwrap().points, 20);
    let days = |folder: &Path| {
        let mut names = names(folder);
        names.retain(|name| name.starts_with("series-"));
        names
    };
    assert_eq!(days(&to), ["series-2026-11.db"]);
    assert_eq!(look(&to).findings, []);
    restore(&to, &back).unwrap();
    let house = House::open(&back);
    assert_eq!(house.values(1), (0..10).map(|n| NOW + n).collect::<Vec<_>>());
    assert_eq!(
        house.values(2),
        (0..10).map(|n| NOW - DAY + n).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_under_load_never_have_a_cursor_ahead_of_the_journal() {
    // Given files that are written to all the time, with flushes and compactions,
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let house = Arc::new(House::open(&data));
    house.hear(0).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (house, asked) = (Arc::clone(&house), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut number = 0;
            while !asked.load(Ordering::Relaxed) {
                number += 1;
                house.hear(number).await;
                if number % 7 == 0 {
                    house.series.flush().unwrap();
                }
                if number % 50 == 0 {
                    house.series.compact_day(Timestamp::from_millis(NOW)).unwrap();
                }
            }
        })
    };
    // when they are backed up again and again,
    let mut newest = 0;
    for round in 0..4 {
        let (from, to) = (data.clone(), folder.path().join(round.to_string()));
        let back = folder.path().join(format!("back-{round}"));
        let manifest = tokio::task::spawn_blocking(move || {
            let manifest = back_up(&from, &to).unwrap();
            assert_eq!(look(&to).findings, [], "{manifest:?}");
            restore(&to, &back).unwrap()
        })
        .await
        .unwrap();
        // then each is sound, its cursors are not ahead, and journal and days together hold every point up to its moment.
        assert_eq!(manifest.cursors.ahead(), Vec::<&str>::new());
        newest = manifest.cursors.journal_newest;
        let back = House::open(&folder.path().join(format!("back-{round}")));
        let flushed = i64::try_from(back.series.cursor().0).unwrap();
        let all: Vec<i64> = (0..flushed).map(|n| NOW + n).collect();
        let found = back.values(1);
        assert_eq!(found.get(..all.len()), Some(&all[..]));
    }
    assert!(newest > 1);
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}

#[tokio::test]
async fn what_is_not_whole_or_not_empty_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("to"));
    std::fs::create_dir(&data).unwrap();
    let house = House::open(&data);
    house.hear(1).await;
    house.series.flush().unwrap();
    // A target that holds something; a folder without data.
    std::fs::create_dir(&to).unwrap();
    std::fs::write(to.join("holiday.jpg"), "x").unwrap();
    assert!(matches!(back_up(&data, &to), Err(CareError::NotEmpty { .. })));
    assert_eq!(names(&to), ["holiday.jpg"]);
    std::fs::remove_file(to.join("holiday.jpg")).unwrap();
    assert!(matches!(
        back_up(&to, &folder.path().join("x")),
        Err(CareError::NoData { .. })
    ));
    // A file of a later version is refused and no trace of the backup is left.
    let later = rusqlite::Connection::open(data.join("series-2026-11-24.db")).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(
        back_up(&data, &to),
        Err(CareError::Newer { found: 99, .. })
    ));
    assert_eq!(names(&to), Vec::<String>::new());
    std::fs::remove_file(data.join("series-2026-11-24.db")).unwrap();
    // One that was killed is marked; one byte less, one bit more, or a list that was edited are found.
    back_up(&data, &to).unwrap();
    let mark = to.join(UNFINISHED_FILE);
    std::fs::write(&mark, "").unwrap();
    assert!(matches!(inspect(&to), Err(CareError::NotWhole { .. })));
    std::fs::remove_file(&mark).unwrap();
    let back = folder.path().join("back");
    for name in ["journal.db", "series-2026-11-23.db", MANIFEST_FILE] {
        let sound = std::fs::read(to.join(name)).unwrap();
        let mut bytes = sound.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(to.join(name), &bytes).unwrap();
        assert!(
            matches!(restore(&to, &back), Err(CareError::Altered { .. })),
            "{name}"
        );
        assert_eq!(names(&back), Vec::<String>::new(), "{name}");
        std::fs::write(to.join(name), &sound[..sound.len() - 1]).unwrap();
        assert!(inspect(&to).is_err(), "{name}");
        std::fs::write(to.join(name), &sound).unwrap();
    }
    // A folder that holds something is not restored into.
    std::fs::write(back.join("journal.db"), "mine").unwrap();
    assert!(matches!(restore(&to, &back), Err(CareError::NotEmpty { .. })));
    assert_eq!(std::fs::read(back.join("journal.db")).unwrap(), b"mine");
}

#[tokio::test]
async fn damage_is_named_with_its_series_and_times() {
    // Given a folder at rest with two named series,
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let house = House::open(data);
    for number in 0..20 {
        house.hear(number).await;
    }
    house.series.close().unwrap();
    drop(house);
    let state = rusqlite::Connection::open(data.join("state.db")).unwrap();
    state
        .execute(
            "INSERT INTO series (id, device, signal) VALUES (1, 'pump-1', 'flow')",
            [],
        )
        .unwrap();
    drop(state);
    assert_eq!(look(data).findings, []);
    // when a bit of a block's body, of a batch, of a kept row and of a newest sample changes,
    change(
        data,
        "series-2026-11-23.db",
        "UPDATE block SET body = CAST(x'ff' || substr(body, 2) AS BLOB)",
    );
    change(
        data,
        "journal.db",
        "UPDATE batch SET blob = x'0102030405' WHERE first_lsn = 3",
    );
    change(data, "mqtt.db", "UPDATE kept SET value = x'00' WHERE key = x'35'");
    change(data, "series.db", "UPDATE latest SET value = 7 WHERE series = 1");
    // then each is named.
    let report = look(data);
    let parts: Vec<&Part> = report.findings.iter().map(|finding| &finding.what).collect();
    assert_eq!(parts.len(), 4, "{report:?}");
    assert_eq!(
        parts[2],
        &Part::Block {
            table: "block",
            key: (1 << 31) + (1 << 11),
            series: 1,
            device: Some("pump-1".to_owned()),
            signal: Some("flow".to_owned()),
            from: "2026-11-23T12:00:00.000Z".to_owned(),
            to: "2026-11-23T12:00:00.019Z".to_owned(),
            points: Some(20),
        }
    );
    assert!(
        matches!(
            parts[0],
            Part::Batch {
                first: 3,
                count: 1,
                ..
            }
        ),
        "{parts:?}"
    );
    assert!(
        matches!(parts[1], Part::Kept { room: 1, key } if key == "5"),
        "{parts:?}"
    );
    assert!(matches!(parts[3], Part::Latest { series: 1, .. }), "{parts:?}");
}

#[tokio::test]
async fn a_journal_that_is_behind_the_others_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let house = House::open(data);
    for number in 0..20 {
        house.hear(number).await;
    }
    house.series.close().unwrap();
    drop(house);
    change(data, "journal.db", "DELETE FROM batch WHERE first_lsn = 20");
    change(data, "journal.db", "UPDATE position SET next_lsn = 20");
    change(
        data,
        "journal.db",
        "UPDATE position SET stored_bytes = (SELECT sum(bytes) FROM batch)",
    );
    let report = look(data);
    let between = report
        .findings
        .iter()
        .filter(|finding| finding.what == Part::Between)
        .count();
    assert_eq!(between, 4, "series, account, and two days: {report:?}");
}

#[tokio::test]
async fn a_repair_sets_aside_what_is_damaged_and_the_journal_brings_points_back() {
    // Given a folder with a damaged block, a damaged last batch, a damaged kept row and newest sample,
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let house = House::open(data);
    for number in 0..20 {
        house.hear(number).await;
    }
    house.series.close().unwrap();
    drop(house);
    change(data, "series-2026-11-23.db", "UPDATE block SET body = x'00'");
    change(
        data,
        "journal.db",
        "UPDATE batch SET blob = x'0102030405' WHERE first_lsn = 20",
    );
    change(data, "mqtt.db", "UPDATE kept SET value = x'00' WHERE key = x'35'");
    change(data, "series.db", "UPDATE latest SET value = 7 WHERE series = 1");
    let clock = ManualClock::at(Timestamp::from_millis(NOW));
    // when it is repaired,
    let repaired = super::repair::repair(data, &clock, &mut |_| {}).unwrap();
    // then verify passes, and what was damaged lies in the quarantine,
    assert_eq!(
        (repaired.found.len(), repaired.left.len()),
        (4, 0),
        "{repaired:?}"
    );
    assert_eq!(look(data).findings, []);
    let aside = repaired.quarantine.unwrap();
    assert_eq!(
        names(&aside),
        [
            "journal.db",
            "mqtt.db",
            "report.json",
            "series-2026-11-23.db",
            "series.db"
        ]
    );
    let kept = rusqlite::Connection::open(aside.join("journal.db")).unwrap();
    let blob: Vec<u8> = kept
        .query_row("SELECT blob FROM batch WHERE first_lsn = 20", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(blob, [1, 2, 3, 4, 5]);
    // what is sound is as it was, the series asks the journal for everything again, and no number is given out twice,
    let house = House::open(data);
    assert_eq!(house.values(2).len(), 20);
    assert_eq!(house.values(1), Vec::<i64>::new());
    assert_eq!((house.series.cursor(), house.journal.newest()), (Lsn(0), Lsn(20)));
    // and when the journal brings it, the day that lost a block has its points again, the other leaves them out.
    for number in 0..20 {
        let points = [(1, NOW + number), (2, NOW - DAY + number)].map(|(series, ms)| Point {
            series: SeriesId(series),
            sample: Sample {
                time: Timestamp::from_millis(ms),
                value: number as f64 / 8.0,
                quality: Quality::Good,
            },
            arrived: Timestamp::from_millis(NOW),
            backfill: false,
        });
        let upto = Lsn(u64::try_from(number).unwrap() + 1);
        let appended = house.series.append(&points, upto).unwrap();
        assert_eq!((appended.stored, appended.replayed), (1, 1));
    }
    assert_eq!(house.values(1).len(), 20);
    house.series.close().unwrap();
    drop(house);
    assert_eq!(look(data).findings, []);
    // A second repair finds nothing and changes nothing.
    let again = super::repair::repair(data, &clock, &mut |_| {}).unwrap();
    assert_eq!(again, super::repair::Repaired::default());
}

#[tokio::test]
async fn cursors_beyond_the_journal_are_overtaken_by_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let house = House::open(data);
    for number in 0..20 {
        house.hear(number).await;
    }
    house.series.close().unwrap();
    drop(house);
    change(data, "journal.db", "DELETE FROM batch WHERE first_lsn = 20");
    change(data, "journal.db", "UPDATE position SET next_lsn = 20");
    let clock = ManualClock::at(Timestamp::from_millis(NOW));
    let repaired = super::repair::repair(data, &clock, &mut |_| {}).unwrap();
    assert_eq!(repaired.left, []);
    let house = House::open(data);
    house.hear(21).await;
    assert_eq!(
        house.journal.newest(),
        Lsn(21),
        "not 20 again: the cursors say that it was read"
    );
    assert_eq!(house.values(1).len(), 21);
}
