//! What is asked of an engine, one request at a time, through the code that the server uses.

use std::sync::Arc;

use store::remote::{Credentials, EngineSettings, Remote, RemoteSettings, Secret, Turn};
use store::series::SeriesReader;
use store::state::State;
use telemetry::time::{Clock, Span, SystemClock};
use telemetry::{Batch, Catalogue, Lsn, Point, Quality, Sample, SeriesId, Timestamp};

use crate::support::county;
use crate::support::engines::{Influx, TOKEN, Victoria};

const DAY_MS: u64 = 86_400_000;

fn catalogue() -> Arc<Catalogue> {
    catalogue_of(&format!(
        "{}{}",
        county::one_station(),
        county::mqtt_device("station.2", "sewage-station-small")
    ))
}

fn catalogue_of(registry: &str) -> Arc<Catalogue> {
    let mut next = 0;
    let catalogue = Catalogue::build(
        toml::from_str(registry).unwrap(),
        &telemetry::profile::builtin().unwrap(),
        |_, _| {
            next += 1;
            SeriesId(next)
        },
    );
    Arc::new(catalogue.unwrap())
}

fn settings(engine: EngineSettings, url: String, credentials: Credentials, window_s: u64) -> RemoteSettings {
    RemoteSettings {
        engine,
        url,
        credentials,
        ca: None,
        measurement: "townwatch".to_owned(),
        tags: vec![("county".to_owned(), "庆元 1".to_owned())],
        timeout: Span::from_secs(10),
        lines_max: 150,
        replay_window: Span::from_secs(window_s),
    }
}

/// Writes, reads and prints.
pub(crate) fn run() {
    let catalogue = catalogue();
    let mut engines: Vec<(&str, Remote, Option<&Victoria>)> = Vec::new();
    let influx = Influx::start();
    if let Some(influx) = &influx {
        let engine = EngineSettings::Influx {
            organisation: "county".to_owned(),
            bucket: "townwatch".to_owned(),
        };
        let credentials = Credentials::Token(Secret::new(TOKEN.to_owned()));
        let url = format!("http://{}", influx.address);
        let mut settings = settings(engine, url, credentials, 0);
        settings.lines_max = 10_000;
        engines.push(("InfluxDB 2.7.12", Remote::open(settings).unwrap(), None));
    }
    let victoria = Victoria::start("", "", &[]);
    let engine = EngineSettings::Victoria {
        query_url: None,
        tenant: None,
        watch: Vec::new(),
    };
    let mut settings = settings(
        engine,
        format!("http://{}", victoria.address),
        Credentials::None,
        300,
    );
    settings.lines_max = 10_000;
    engines.push((
        "VictoriaMetrics 1.79",
        Remote::open(settings).unwrap(),
        Some(&victoria),
    ));
    let lamps: String = (0..1000)
        .map(|place| county::mqtt_device(&format!("lamp-{place}"), "street-lamp"))
        .collect();
    let lamps = catalogue_of(&format!("{}{lamps}", county::HEAD));
    let clock = Arc::new(SystemClock::new());
    let all: Vec<SeriesId> = (catalogue.devices().iter())
        .flat_map(|entry| entry.series.iter().copied())
        .collect();
    for (name, remote, victoria) in &engines {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        let mut writer = remote
            .writer(state, Arc::clone(&catalogue), clock.clone())
            .unwrap();
        // A year of one series at a minute, then a day of all of them at 10 s.
        let minutes = 525_600;
        let start = clock.now().minus(Span::from_millis(minutes * 60_000));
        let mut lsn = 0;
        let mut sent = 0;
        let mut send = |points: Vec<Point>| {
            lsn += 1;
            sent += points.len();
            writer.gather(&Batch {
                points,
                last: Lsn(lsn),
                ..Batch::default()
            });
            assert_eq!(writer.turn(&|| false), Turn::Done);
        };
        let point = |series: SeriesId, at: Timestamp, step: u64| Point {
            series,
            sample: Sample {
                time: at,
                value: f64::from(u32::try_from(step * 7919 % 401).unwrap()) / 100.0,
                quality: Quality::Good,
            },
            arrived: at,
            backfill: false,
        };
        let begun = clock.monotonic();
        for first in (0..minutes).step_by(10_000) {
            let steps = first..minutes.min(first + 10_000);
            let at = |step| start.plus(Span::from_millis(step * 60_000));
            send(steps.map(|step| point(all[0], at(step), step)).collect());
        }
        let day = clock.now().minus(Span::from_millis(DAY_MS));
        for first in (0..8640).step_by(500) {
            let at = |step| day.plus(Span::from_millis(step * 10_000));
            let steps = first..8640.min(first + 500);
            send(
                steps
                    .flat_map(|step| all[1..].iter().map(move |series| point(*series, at(step), step)))
                    .collect(),
            );
        }
        let passed = |since: Span| clock.monotonic().millis() - since.millis();
        let ms = passed(begun);
        println!("{name}: {sent} points of {} series written in {ms} ms", all.len());
        victoria.inspect(|victoria| victoria.flush().unwrap());
        let reader = remote.reader(Arc::clone(&catalogue), clock.clone());
        for (question, days) in [("a year, at a minute", 366u64), ("30 days, at a minute", 30)] {
            let begun = clock.monotonic();
            let from = clock.now().minus(Span::from_millis(days * DAY_MS));
            let found = reader.range(all[0], from, clock.now(), 10_000_000).unwrap().len();
            println!("{name}: {question}: {found} samples in {} ms", passed(begun));
        }
        let begun = clock.monotonic();
        let found = reader.latest_many(&all).unwrap().iter().flatten().count();
        println!("{name}: newest values of {found} series in {} ms", passed(begun));
        // One reading of a thousand lamps.
        let of_lamps: Vec<SeriesId> = (lamps.devices().iter())
            .flat_map(|entry| entry.series.iter().copied())
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&folder.path().join("state.db")).unwrap());
        let mut writer = remote.writer(state, Arc::clone(&lamps), clock.clone()).unwrap();
        writer.gather(&Batch {
            points: of_lamps
                .iter()
                .map(|series| point(*series, clock.now(), 1))
                .collect(),
            last: Lsn(1),
            ..Batch::default()
        });
        assert_eq!(writer.turn(&|| false), Turn::Done);
        victoria.inspect(|victoria| victoria.flush().unwrap());
        let begun = clock.monotonic();
        let reader_of_lamps = remote.reader(Arc::clone(&lamps), clock.clone());
        let found = reader_of_lamps
            .latest_many(&of_lamps)
            .unwrap()
            .iter()
            .flatten()
            .count();
        println!("{name}: newest values of {found} series in {} ms", passed(begun));
        let begun = clock.monotonic();
        let never = store::series::Cancel::never();
        let found = reader
            .range_many(&all[1..], day, clock.now(), 10_000, &never)
            .unwrap();
        let count: usize = found.iter().map(Vec::len).sum();
        println!(
            "{name}: a day of {} series: {count} samples in {} ms",
            found.len(),
            passed(begun)
        );
    }
}
