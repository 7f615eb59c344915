//! F26: files of an earlier version are brought up to date, those of a later one are refused by everybody and left alone.

use super::*;
use crate::series::Outside;

/// A data folder that Townwatch of 2026-11-22 wrote (commit 0192fb0^: version 1 of every file), from a test of its store.
const VERSION_1: [(&str, &[u8]); 6] = [
    ("journal.db", include_bytes!("version-1/journal.db")),
    ("mqtt.db", include_bytes!("version-1/mqtt.db")),
    ("series.db", include_bytes!("version-1/series.db")),
    (
        "series-2026-11-22.db",
        include_bytes!("version-1/series-2026-11-22.db"),
    ),
    (
        "series-2026-11-23.db",
        include_bytes!("version-1/series-2026-11-23.db"),
    ),
    ("state.db", include_bytes!("version-1/state.db")),
];

/// What it was given: message n brought ten samples, on the one day or the other.
fn written() -> Vec<Sample> {
    let sample = |n: i64, m: i64| Sample {
        time: Timestamp::from_millis(NOW - DAY * (n % 2) + (n * 10 + m) * 1000),
        value: (n * 10 + m) as f64 / 8.0,
        quality: if m == 3 {
            Quality::from_code(129)
        } else {
            Quality::Good
        },
    };
    let mut all: Vec<Sample> = (0..20).flat_map(|n| (0..10).map(move |m| sample(n, m))).collect();
    all.sort_by_key(|sample| sample.time);
    all
}

fn version_of(file: &Path) -> i64 {
    let connection = rusqlite::Connection::open(file).unwrap();
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn a_folder_of_the_first_version_is_upgraded_and_reads_as_it_was_written() {
    // Given such a folder, of which every file has version 1,
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for (name, bytes) in VERSION_1 {
        std::fs::write(data.join(name), bytes).unwrap();
        assert_eq!(version_of(&data.join(name)), 1, "{name}");
    }
    // `verify` can look at it as it is, and an export says that a server has to start on it first.
    assert_eq!(look(data).findings, []);
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
    let refused = Outside::open(data, clock).unwrap_err();
    assert!(
        telemetry::with_causes(&refused).contains("it has version 1"),
        "{refused:?}"
    );
    // when a server opens it, twice,
    for _ in 0..2 {
        let house = House::open(data);
        // then everything is there as it was written, under its name,
        let named = house.state.numbered_series().unwrap();
        let (.., level) = named.iter().find(|(_, signal, _)| signal == "level").unwrap();
        let found = house
            .series
            .range(*level, Timestamp::MIN, Timestamp::MAX, 1000)
            .unwrap();
        assert_eq!(found, written());
        assert_eq!(house.journal.read(Lsn(0), 100).unwrap().len(), 20);
        let registry = house.state.load_registry().unwrap().unwrap();
        assert_eq!(registry.devices[0].id.as_str(), "d1");
        let mut rows = 0;
        house.kept.load(&mut |_, _, _| rows += 1).unwrap();
        assert_eq!(rows, 20);
        // and goes on.
        house.series.compact().unwrap();
        house.series.close().unwrap();
    }
    assert_eq!(
        version_of(&data.join("series-2026-11-22.db")),
        crate::series::DAY_VERSION
    );
    assert_eq!(version_of(&data.join("state.db")), crate::state::VERSION);
    assert_eq!(look(data).findings, []);
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_by_everybody_and_left_as_it_is() {
    // Given a folder at rest,
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let house = House::open(&data);
    for number in 0..20 {
        house.hear(number).await;
    }
    house.series.close().unwrap();
    drop(house);
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(NOW)));
    for name in [
        "journal.db",
        "mqtt.db",
        "series.db",
        "series-2026-11-23.db",
        "state.db",
    ] {
        // when one file of it is of version 99,
        let file = data.join(name);
        let known = version_of(&file);
        let set = |version: i64| {
            let connection = rusqlite::Connection::open(&file).unwrap();
            connection.pragma_update(None, "user_version", version).unwrap();
        };
        set(99);
        let before = std::fs::read(&file).unwrap();
        // then the part that it belongs to does not open, and says why,
        let opened: Result<(), String> = match name {
            "journal.db" => Journal::open(&data, JournalConfig::default(), clock.clone())
                .map(drop)
                .map_err(|error| telemetry::with_causes(&error)),
            "mqtt.db" => Kept::open(&file, KeptConfig::default(), clock.clone())
                .map(drop)
                .map_err(|error| telemetry::with_causes(&error)),
            "state.db" => State::open(&file)
                .map(drop)
                .map_err(|error| telemetry::with_causes(&error)),
            _ => SeriesStore::open(&data, SeriesConfig::default(), clock.clone())
                .map(drop)
                .map_err(|error| telemetry::with_causes(&error)),
        };
        let why = opened.unwrap_err();
        assert!(why.contains(name) && why.contains("version 99"), "{name}: {why}");
        // and nobody reads, copies or repairs it.
        let finding = look(&data).findings;
        assert!(
            finding
                .iter()
                .any(|finding| finding.file == name && finding.what == Part::Newer),
            "{finding:?}"
        );
        let to = folder.path().join(format!("backup-of-{name}"));
        assert!(
            matches!(back_up(&data, &to), Err(CareError::Newer { found: 99, .. })),
            "{name}"
        );
        let repaired = super::super::repair::repair(&data, &*clock, &mut |_| {});
        assert!(
            matches!(repaired, Err(CareError::Unknown { .. })),
            "{name}: {repaired:?}"
        );
        if name.starts_with("series") {
            assert!(Outside::open(&data, clock.clone()).is_err(), "{name}");
        }
        assert!(std::fs::read(&file).unwrap() == before, "{name} was changed");
        set(known);
    }
    // Nothing was lost by all that.
    assert_eq!(look(&data).findings, []);
    let house = House::open(&data);
    assert_eq!((house.values(1).len(), house.values(2).len()), (20, 20));
    assert_eq!(house.journal.newest(), Lsn(20));
}
