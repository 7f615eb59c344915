//! From the start of the process to a ready server whose database holds a million rule states.

use std::sync::Arc;
use std::time::Duration;

use alarms::engine::{Acknowledgement, Engine, Spans, StoredDevice, StoredRule};
use alarms::rules::Daylight;
use alarms::{AlarmSettings, rules};
use store::state::State;
use store::state::alarms::{AlarmCommit, AlarmCursor};
use telemetry::time::Span;
use telemetry::{Catalogue, Lsn, Point, Quality, Sample, Timestamp};

use crate::county::{self, SIGNALS};
use crate::process;
use crate::support::http;
use crate::support::program::Setup;

/// Three limits a series, and what the engine watches for by itself.
const SERIES: [usize; 2] = [33_340, 333_340];
/// One alarm in so many is still open; the others were acknowledged and are over.
const OPEN: usize = 100;
/// Rows of one transaction.
const ROWS: usize = 50_000;

struct Always;

impl Daylight for Always {
    fn lights_due(&self, _at: Timestamp) -> bool {
        true
    }
}

/// Prints the table.
pub(crate) fn run() {
    println!(
        "\nstart of the process until /readyz answers 200, every rule once raised and over, one in {OPEN} still open\n"
    );
    println!(
        "| devices | rules | states on disk | state.db MiB | filled, s | first start, s | start, s | memory MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for series in SERIES {
        row(series);
    }
}

fn row(series: usize) {
    let setup = county::setup(series, "");
    // The first start registers every device and every series.
    let (first, _) = start(&setup);
    let begun = process::now();
    let (devices, rules, states) = fill(&setup);
    let filled = begun.elapsed();
    let size = std::fs::metadata(setup.data().join("state.db")).map_or(0, |facts| facts.len());
    let (again, memory) = start(&setup);
    println!(
        "| {devices} | {rules} | {states} | {:.0} | {:.1} | {:.1} | {:.1} | {memory:.0} |",
        size as f64 / f64::from(1 << 20),
        filled.as_secs_f64(),
        first.as_secs_f64(),
        again.as_secs_f64(),
    );
}

/// How long a start takes, and the memory in MiB when it is ready. It is ended in order.
fn start(setup: &Setup) -> (Duration, f64) {
    let begun = process::now();
    let server = setup.start();
    while http::get(server.web, "/readyz").map_or(true, |answer| answer.status != 200) {
        assert!(
            begun.elapsed() < Duration::from_secs(300),
            "ready within five minutes"
        );
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let took = begun.elapsed();
    let (_, memory) = process::cost(server.pid());
    assert!(server.stop().success());
    (took, memory)
}

/// Writes what an engine has after every rule was raised and nearly every alarm is acknowledged and over: how many devices,
/// rules and states there are.
fn fill(setup: &Setup) -> (usize, usize, usize) {
    let state = State::open(&setup.data().join("state.db")).unwrap();
    let registry = state.load_registry().unwrap().unwrap();
    let mut profiles = telemetry::profile::builtin().unwrap();
    let text = std::fs::read_to_string(setup.path().join("profiles/bench.toml")).unwrap();
    let profile = telemetry::profile::Profile::parse("bench.toml", &text).unwrap();
    profiles.insert(profile.kind.clone(), Arc::new(profile));
    let catalogue = state.catalogue(registry, &profiles).unwrap();
    let settings = AlarmSettings::default();
    let compiled = rules::compile(
        &catalogue,
        &settings.book,
        Timestamp::EPOCH,
        settings.fault_off_delay,
    )
    .unwrap();
    let count = compiled.rules.len();
    let cursor = state.alarm_cursor().unwrap().unwrap();
    let mut engine = Engine::new(
        compiled.plant,
        compiled.rules,
        Spans::from(&settings),
        Arc::new(Always),
        Arc::default(),
        cursor.now,
    );
    live(&mut engine, &catalogue, cursor.now);
    let (rules, devices) = engine.take_changes().unwrap();
    let states = rules.iter().filter(|rule| rule.body.is_some()).count();
    write(&state, &catalogue, (&rules, &devices), (&engine, cursor));
    (catalogue.devices().len(), count, states)
}

/// Every series is over its limits, then under them, then well.
fn live(engine: &mut Engine, catalogue: &Catalogue, start: Timestamp) {
    let mut out = Vec::new();
    for (round, value) in [95.5, 2.5, 50.5].into_iter().enumerate() {
        let time = start.plus(Span::from_secs(10 * (round as u64 + 1)));
        for entry in catalogue
            .devices()
            .iter()
            .filter(|entry| entry.series.len() == SIGNALS)
        {
            for series in &entry.series {
                let sample = Sample {
                    time,
                    value,
                    quality: Quality::Good,
                };
                let point = Point {
                    series: *series,
                    sample,
                    arrived: time,
                    backfill: false,
                };
                engine.sample(&point, &mut out);
                out.clear();
            }
        }
    }
    for place in 0..engine.rules().len() {
        let owed = engine
            .state(place)
            .is_some_and(|state| state.alarm.wants_acknowledgement());
        if owed && place % OPEN != 0 {
            let occurrence = engine.state(place).map_or(0, |state| state.occurrence);
            let acknowledgement = Acknowledgement {
                by: "li".into(),
                remark: "seen".into(),
                at: engine.now(),
            };
            engine
                .acknowledge(place, occurrence, acknowledgement, None, &mut out)
                .unwrap();
            out.clear();
        }
    }
}

fn write(
    state: &State,
    catalogue: &Catalogue,
    (rules, devices): (&[StoredRule], &[StoredDevice]),
    (engine, cursor): (&Engine, AlarmCursor),
) {
    let cursor = AlarmCursor {
        lsn: Lsn(cursor.lsn.0),
        seq: engine.seq(),
        now: engine.now(),
    };
    for rules in rules.chunks(ROWS) {
        let rules = rules.iter().map(|rule| (Box::from(&*rule.id), rule.body.clone()));
        let commit = AlarmCommit {
            cursor,
            rules: rules.collect(),
            ..AlarmCommit::default()
        };
        state.commit_alarms(&commit).unwrap();
    }
    for devices in devices.chunks(ROWS) {
        let named = devices.iter().map(|device| {
            let entry = &catalogue.devices()[device.device];
            (entry.device.id.as_str().into(), device.body.clone())
        });
        let commit = AlarmCommit {
            cursor,
            devices: named.collect(),
            ..AlarmCommit::default()
        };
        state.commit_alarms(&commit).unwrap();
    }
}
