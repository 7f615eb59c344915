//! One bit that changes in a file at rest: it is found, or it changes nothing that anybody reads.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::series::Window;

/// Flips of the test; a larger number may be asked for by hand.
const FLIPS: usize = 500;
/// Series with a day of samples, 50 s apart.
const SERIES: std::ops::Range<u32> = 10..22;

/// All that can be read of a folder.
#[derive(Debug, PartialEq)]
struct Truth {
    samples: Vec<Vec<Sample>>,
    hours: Vec<Vec<Window>>,
    latest: Vec<Option<Sample>>,
    messages: Vec<(Lsn, RawMessage)>,
    kept: BTreeMap<(u8, Vec<u8>), Vec<u8>>,
}

/// Messages, kept rows, a compacted day with roll-ups, and loose blocks.
async fn furnish(data: &Path) {
    let house = House::open(data);
    for number in 0..40 {
        house.hear(number).await;
    }
    let begin = NOW - DAY - NOW % DAY;
    let samples = |series| {
        (0..1700i32).map(move |n| Point {
            series: SeriesId(series),
            sample: Sample {
                time: Timestamp::from_millis(begin + i64::from(n) * 50_000),
                value: f64::from(n * 7919 % 500) / 4.0,
                quality: if n % 90 == 7 {
                    Quality::from_code(129)
                } else {
                    Quality::Good
                },
            },
            arrived: Timestamp::from_millis(NOW),
            backfill: true,
        })
    };
    let points: Vec<Point> = SERIES.flat_map(samples).collect();
    house.series.import(&points).unwrap();
    house.series.flush().unwrap();
    house.series.compact().unwrap();
    let late: Vec<Point> = points.iter().step_by(400).copied().collect();
    house.series.import(&late).unwrap();
    house.series.close().unwrap();
}

/// Opens everything as a server does and reads all of it.
fn read(data: &Path) -> Result<Truth, Box<dyn std::error::Error>> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
    let journal = Journal::open(data, JournalConfig::default(), clock.clone())?;
    let series = SeriesStore::open(data, SeriesConfig::default(), clock.clone())?;
    let kept = Kept::open(&data.join("mqtt.db"), KeptConfig::default(), clock)?;
    let (from, to) = (
        Timestamp::from_millis(NOW - 2 * DAY),
        Timestamp::from_millis(NOW + DAY),
    );
    let ids: Vec<SeriesId> = [1, 2].into_iter().chain(SERIES).map(SeriesId).collect();
    let mut truth = Truth {
        samples: Vec::new(),
        hours: Vec::new(),
        latest: Vec::new(),
        messages: journal.read(Lsn(0), 1000)?,
        kept: BTreeMap::new(),
    };
    for id in ids {
        truth.samples.push(series.range(id, from, to, 100_000)?);
        truth
            .hours
            .push(series.windows(id, from, to, Span::from_secs(3600))?);
        truth.latest.push(series.latest(id)?);
    }
    kept.load(&mut |room, key, value| {
        truth.kept.insert((room, key.to_vec()), value.to_vec());
    })?;
    Ok(truth)
}

fn copy(from: &Path, to: &Path) {
    for name in names(from) {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn flip(file: &Path, random: &mut Pcg64Mcg) -> usize {
    let mut bytes = std::fs::read(file).unwrap();
    let place = random.random_range(0..bytes.len() * 8);
    bytes[place / 8] ^= 1 << (place % 8);
    std::fs::write(file, bytes).unwrap();
    place
}

#[tokio::test]
async fn a_flipped_bit_in_any_file_is_found_or_changes_nothing_that_is_read() {
    // Given a folder at rest, without the state database, whose rows bear no checksums,
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path()).await;
    assert_eq!(look(folder.path()).findings, []);
    let truth = read(folder.path()).unwrap();
    assert_eq!((truth.messages.len(), truth.kept.len()), (40, 40));
    let files = [
        "series-2026-11-22.db",
        "series-2026-11-23.db",
        "series.db",
        "journal.db",
        "mqtt.db",
    ];
    let mut random = Pcg64Mcg::seed_from_u64(20_261_124);
    let mut found = BTreeMap::from(files.map(|file| (file, (0, 0))));
    // when any one bit of any file is flipped,
    for _ in 0..FLIPS {
        let file = files[random.random_range(0..files.len())];
        let hurt = tempfile::tempdir().unwrap();
        copy(folder.path(), hurt.path());
        let place = flip(&hurt.path().join(file), &mut random);
        let count = found.get_mut(file).unwrap();
        count.1 += 1;
        // then `verify` finds it, or a server does not start or answers with an error, or every answer is right.
        if verify(hurt.path(), &mut |_| {}).map_or(true, |report| !report.findings.is_empty()) {
            count.0 += 1;
        } else if let Ok(answer) = read(hurt.path()) {
            assert!(answer == truth, "{file}, bit {place}");
        }
    }
    // The rest lies in what SQLite does not use: most of the smaller files.
    println!("F13: found by verify, of how many flips: {found:?}");
    let by_verify: usize = found.values().map(|(found, _)| found).sum();
    assert!(by_verify * 12 > FLIPS, "{found:?}");
}

#[tokio::test]
async fn every_flipped_bit_of_a_backup_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (data, to) = (folder.path().join("data"), folder.path().join("backup"));
    std::fs::create_dir(&data).unwrap();
    furnish(&data).await;
    back_up(&data, &to).unwrap();
    assert_eq!(look(&to).findings, []);
    let all = names(&to);
    let mut random = Pcg64Mcg::seed_from_u64(20_261_125);
    for _ in 0..200 {
        let file = to.join(&all[random.random_range(0..all.len())]);
        let whole = std::fs::read(&file).unwrap();
        let place = flip(&file, &mut random);
        let is_found = verify(&to, &mut |_| {}).map_or(true, |report| !report.findings.is_empty());
        assert!(is_found, "{}, bit {place}", file.display());
        std::fs::write(&file, whole).unwrap();
    }
}

#[tokio::test]
async fn a_bit_of_a_body_a_summary_and_a_rollup_names_the_series_and_its_times() {
    // Given a compacted day of named series,
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path()).await;
    let state = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    for series in SERIES {
        let insert = "INSERT INTO series (id, device, signal) VALUES (?1, 'pump-' || ?1, 'flow')";
        state.execute(insert, [series]).unwrap();
    }
    drop(state);
    let day = "series-2026-11-22.db";
    // The second byte of a body or roll-up is in the middle of columns; that of a summary tells its times.
    let sql = |column: &str, byte: u8| {
        format!(
            "UPDATE packed SET {column} = CAST(substr({column}, 1, 1) || x'{byte:02x}' || substr({column}, 3) AS BLOB)
             WHERE key >> 31 = 15"
        )
    };
    for (column, from, to, points) in [
        (
            "body",
            "2026-11-22T00:00:00.000Z",
            "2026-11-22T23:35:50.000Z",
            Some(1700),
        ),
        (
            "rollup",
            "2026-11-22T00:00:00.000Z",
            "2026-11-22T23:35:50.000Z",
            Some(1700),
        ),
        // Not even its times can be read: somewhere on the day.
        (
            "summary",
            "2026-11-22T00:00:00.000Z",
            "2026-11-22T23:59:59.999Z",
            None,
        ),
    ] {
        let hurt = tempfile::tempdir().unwrap();
        copy(folder.path(), hurt.path());
        let connection = rusqlite::Connection::open(hurt.path().join(day)).unwrap();
        let read = format!("SELECT {column} FROM packed WHERE key >> 31 = 15");
        let bytes: Vec<u8> = connection.query_row(&read, [], |row| row.get(0)).unwrap();
        drop(connection);
        // when one bit of it is flipped,
        change(hurt.path(), day, &sql(column, bytes[1] ^ 4));
        // then `verify` names it.
        let report = look(hurt.path());
        let [finding] = report.findings.as_slice() else {
            panic!("{column}: {report:?}");
        };
        let Part::Block {
            table,
            device,
            signal,
            from: first,
            to: last,
            points: held,
            ..
        } = &finding.what
        else {
            panic!("{column}: {finding:?}");
        };
        assert_eq!(
            (*table, device.as_deref(), signal.as_deref()),
            ("packed", Some("pump-15"), Some("flow"))
        );
        assert_eq!(
            (first.as_str(), last.as_str(), *held),
            (from, to, points),
            "{column}"
        );
    }
}

#[tokio::test]
async fn a_rollup_that_is_whole_but_of_another_series_is_found() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path()).await;
    let connection = rusqlite::Connection::open(folder.path().join("series-2026-11-22.db")).unwrap();
    let other =
        "UPDATE packed SET rollup = (SELECT rollup FROM packed WHERE key >> 31 = 16) WHERE key >> 31 = 15";
    assert_eq!(connection.execute(other, []).unwrap(), 1);
    drop(connection);
    assert_eq!(look(folder.path()).findings.len(), 1);
}
