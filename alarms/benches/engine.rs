//! The alarm engine alone: evaluations a second on one core, from a reading to its transition, and what it writes down and reads again.
//!
//! `cargo bench -p townwatch-alarms --bench engine` prints the table for `docs/performance.md`.

#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::sync::Arc;
use std::time::Instant;

use alarms::Daylight;
use alarms::engine::{Engine, RuleState, Spans, Transition};
use alarms::rules::{Condition, Plant, PlantDevice, Rule};
use alarms::settings::AlarmSettings;
use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;
use telemetry::{Point, Quality, Sample, SeriesId, Timestamp};

/// Readings of each series while the rate is measured.
const ROUNDS: i64 = 10;
/// One series in so many is over its limit in the last round.
const VIOLATING: u32 = 1000;

struct Always;

impl Daylight for Always {
    fn lights_due(&self, _at: Timestamp) -> bool {
        true
    }
}

fn main() {
    println!(
        "| series | rules | evaluations/s, million | reading to transition p50, µs | p99, µs | written down, MiB | taking, s | restoring, s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for series in [10_000, 100_000, 1_000_000] {
        row(series);
    }
}

fn row(series: u32) {
    let (plant, rules) = county(series);
    let count = rules.len();
    let fresh = || {
        let spans = Spans::from(&AlarmSettings::default());
        let start = Timestamp::from_millis(0);
        Engine::new(
            plant.clone(),
            rules.clone(),
            spans,
            Arc::new(Always),
            Arc::default(),
            start,
        )
    };
    let mut engine = fresh();
    let mut out = Vec::new();
    // Every series has spoken before the clock runs.
    round(&mut engine, series, 0, &mut out);
    let begun = now();
    for number in 1..=ROUNDS {
        round(&mut engine, series, number, &mut out);
    }
    let took = begun.elapsed().as_secs_f64();
    assert!(out.is_empty(), "nothing is over its limit");
    let evaluations = f64::from(series) * 3.0 * ROUNDS as f64 / took;
    let mut latencies = last_round(&mut engine, series, &mut out);
    latencies.sort_unstable();
    let quantile = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a list"
        )]
        let place = (latencies.len() as f64 * share) as usize;
        latencies.get(place).copied().unwrap_or_default() as f64 / 1e3
    };
    let begun = now();
    let (states, devices) = engine.take_changes().expect("every state is finite");
    let taking = begun.elapsed().as_secs_f64();
    let bytes: usize = states
        .iter()
        .filter_map(|rule| rule.body.as_ref())
        .map(String::len)
        .sum::<usize>()
        + devices.iter().map(|device| device.body.len()).sum::<usize>();
    let places: std::collections::HashMap<&str, usize> = rules
        .iter()
        .enumerate()
        .map(|(place, rule)| (&*rule.id, place))
        .collect();
    let mut next = fresh();
    let begun = now();
    for device in &devices {
        next.restore_device(device.device, &device.body)
            .expect("just written");
    }
    for rule in &states {
        if let (Some(place), Some(body)) = (places.get(&*rule.id), &rule.body) {
            next.restore_rule(*place, RuleState::from_body(body).expect("just written"));
        }
    }
    next.restored(engine.now(), engine.seq(), engine.now());
    let restoring = begun.elapsed().as_secs_f64();
    println!(
        "| {series} | {count} | {:.1} | {:.2} | {:.2} | {:.0} | {taking:.2} | {restoring:.2} |",
        evaluations / 1e6,
        quantile(0.5),
        quantile(0.99),
        bytes as f64 / f64::from(1 << 20)
    );
}

/// A reading of each series, ten seconds after the one before, below every limit.
fn round(engine: &mut Engine, series: u32, number: i64, out: &mut Vec<Transition>) {
    for id in 0..series {
        let value = 5.0 + f64::from(id % 7);
        engine.sample(&reading(id, number, value), out);
    }
}

/// One in many is over its limit: how long each of those took, ns.
fn last_round(engine: &mut Engine, series: u32, out: &mut Vec<Transition>) -> Vec<u128> {
    let mut latencies = Vec::new();
    for id in 0..series {
        let over = id % VIOLATING == 0;
        let point = reading(id, ROUNDS + 1, if over { 60.0 } else { 6.0 });
        let begun = now();
        engine.sample(&point, out);
        if over {
            latencies.push(begun.elapsed().as_nanos());
        }
    }
    assert!(out.len() >= latencies.len(), "each of them is a transition");
    latencies
}

fn reading(id: u32, number: i64, value: f64) -> Point {
    let time = Timestamp::from_millis(number * 10_000);
    Point {
        series: SeriesId(id),
        sample: Sample {
            time,
            value,
            quality: Quality::Good,
        },
        arrived: time,
        backfill: false,
    }
}

/// Points of their own devices, each with a high, a higher and a low limit.
fn county(series: u32) -> (Plant, Vec<Rule>) {
    let devices = (0..series)
        .map(|id| PlantDevice {
            name: format!("P{id}").into(),
            life_safety: true,
            period: Some(Span::from_secs(10)),
            ..PlantDevice::default()
        })
        .collect();
    let plant = Plant {
        devices,
        groups: Vec::new(),
    };
    let high = |limit| Condition::High {
        limit,
        deadband: 5.0,
        over_range: Some(100.0),
    };
    let low = Condition::Low {
        limit: -5.0,
        deadband: 1.0,
    };
    let rules = (0..series)
        .flat_map(|id| {
            [("high", high(25.0)), ("higher", high(50.0)), ("low", low.clone())]
                .map(|(name, condition)| rule(id, name, condition))
        })
        .collect();
    (plant, rules)
}

fn rule(id: u32, name: &str, condition: Condition) -> Rule {
    Rule {
        id: format!("P{id}/{name}").into(),
        title: Title {
            zh: name.into(),
            en: name.into(),
        },
        device: usize::try_from(id).expect("32 bits fit"),
        shown_at: usize::try_from(id).expect("32 bits fit"),
        signal: None,
        series: Some(SeriesId(id)),
        condition,
        on_delay: Span::ZERO,
        off_delay: Span::from_secs(10),
        priority: Priority::Critical,
        active: Active::Always,
        schedule: None,
        life_safety: true,
        latching: false,
        re_alarm: None,
        system: false,
        changed: None,
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    Instant::now()
}
