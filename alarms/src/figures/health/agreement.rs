//! The figures and the health that `replay` prints agree: both count the transitions of one engine, here through the very form in
//! which they are written down.

use std::sync::Arc;

use proptest::prelude::*;
use store::state::alarms::LogRow;
use telemetry::time::Span;
use telemetry::{Catalogue, Point, Quality, Sample, Timestamp};

use crate::engine::tests::{catalogue, night};
use crate::engine::{Acknowledgement, Engine, Operator, Spans, Tag, Transition};
use crate::figures::testkit::health_figures;
use crate::figures::{Figure, Figures, LogFacts, LogRule, Scope};
use crate::health::lasting::Active;
use crate::health::{Happening, Health, HealthReport, Left};
use crate::rules::condition::FloodLimits;
use crate::rules::{self};
use crate::service::log_row::{happening, log_row};
use crate::settings::AlarmSettings;

/// What comes next, so many seconds later.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A value of the gas detector: 40 is a violation, 5 is none.
    Gas(f64),
    /// A value of the level sensor: 85 is a violation, 10 is none.
    Level(f64),
    Acknowledge,
    Shelve,
    Test,
    OutOfService,
    /// A day and a half of silence.
    Silence,
}

fn steps() -> impl Strategy<Value = Vec<(u8, Next)>> {
    let next = prop_oneof![
        12 => Just(Next::Gas(40.0)),
        12 => Just(Next::Gas(5.0)),
        4 => Just(Next::Level(85.0)),
        4 => Just(Next::Level(10.0)),
        3 => Just(Next::Acknowledge),
        1 => Just(Next::Shelve),
        1 => Just(Next::Test),
        1 => Just(Next::OutOfService),
        1 => Just(Next::Silence),
    ];
    // Gas that comes and goes each quarter of a minute for a while chatters, and is a flood.
    let noise = (20_usize..80).prop_map(|count| {
        let beat = |number: usize| (11, Next::Gas(if number.is_multiple_of(2) { 40.0 } else { 5.0 }));
        (0..count).map(beat).collect::<Vec<_>>()
    });
    let some = prop::collection::vec((1u8..20, next), 1..60);
    (some.clone(), prop::option::of(noise), some).prop_map(|(first, noise, last)| {
        first
            .into_iter()
            .chain(noise.into_iter().flatten())
            .chain(last)
            .collect()
    })
}

struct Played {
    catalogue: Catalogue,
    engine: Engine,
    health: Health,
    log: Vec<(LogRow, u32)>,
    out: Vec<Transition>,
}

impl Played {
    fn new() -> Self {
        let catalogue = catalogue();
        let book = rules::RuleBook::default();
        let compiled = rules::compile(&catalogue, &book, Timestamp::EPOCH, Span::from_secs(60)).unwrap();
        let spans = Spans::from(&AlarmSettings::default());
        let (plant, rules) = (compiled.plant, compiled.rules);
        let engine = Engine::new(plant, rules, spans, night(), Arc::default(), Timestamp::EPOCH);
        Self {
            catalogue,
            engine,
            health: Health::default(),
            log: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Both take in what the engine said.
    fn note(&mut self) {
        for transition in self.out.drain(..) {
            self.health.take(&self.engine, &transition);
            let rule = self.engine.rules().get(transition.rule as usize);
            if let Some(rule) = rule.filter(|_| transition.event.is_logged()) {
                let row = log_row(&rule.id, Some(rule), &transition);
                self.log.push((row, transition.rule));
            }
        }
    }

    fn play(&mut self, at: Timestamp, next: Next) {
        let operator = Operator {
            by: "li",
            reason: Some("permit 7"),
            second: Some("wang"),
        };
        let hour = Span::from_secs(3600);
        let gas = self.catalogue.device_index("G1").unwrap();
        self.engine.advance(at, &mut self.out);
        match next {
            Next::Gas(value) => self.hear("G1", "gas", at, value),
            Next::Level(value) => self.hear("L1", "level", at, value),
            Next::Acknowledge => self.acknowledge(),
            Next::Shelve => {
                let rule = self
                    .engine
                    .rules()
                    .iter()
                    .position(|rule| &*rule.id == "G1/HI")
                    .unwrap();
                self.engine.shelve(rule, hour, operator, &mut self.out).unwrap();
            }
            Next::Test => self.engine.test(gas, hour, operator, &mut self.out).unwrap(),
            Next::OutOfService => {
                let level = self.catalogue.device_index("L1").unwrap();
                self.engine
                    .take_out_of_service(level, hour, operator, &mut self.out)
                    .unwrap();
            }
            Next::Silence => {}
        }
        self.note();
    }

    fn hear(&mut self, device: &str, signal: &str, at: Timestamp, value: f64) {
        let sample = Sample {
            time: at,
            value,
            quality: Quality::Good,
        };
        let point = Point {
            series: self.catalogue.series_id(device, signal).unwrap(),
            sample,
            arrived: at,
            backfill: false,
        };
        self.engine.sample(&point, &mut self.out);
    }

    fn acknowledge(&mut self) {
        for place in 0..self.engine.rules().len() {
            let state = self.engine.state(place).unwrap();
            if state.alarm.wants_acknowledgement() {
                let by = Acknowledgement {
                    by: "li".into(),
                    remark: "".into(),
                    at: self.engine.now(),
                };
                let occurrence = state.occurrence;
                self.engine
                    .acknowledge(place, occurrence, by, None, &mut self.out)
                    .unwrap();
            }
        }
    }

    /// What the log says, read back from how it is written.
    fn facts(&self) -> LogFacts {
        let rules = self.engine.rules().iter().map(|rule| LogRule {
            id: Arc::clone(&rule.id),
            title: Some(rule.title.clone()),
            device: Some(rule.device),
        });
        let rows = self
            .log
            .iter()
            .map(|(row, rule)| happening(row, *rule, false).unwrap());
        let active = (0..self.engine.rules().len()).filter_map(|place| {
            let state = self.engine.state(place).unwrap();
            state.alarm.is_active().then(|| Active {
                rule: u32::try_from(place).unwrap(),
                occurrence: state.occurrence,
                raised_at: state.raised_at,
                until: None,
                alone: false,
                momentary: false,
                left: state.suppressed.any().then_some(Left::Shelved),
            })
        });
        LogFacts {
            rules: rules.collect(),
            rows: rows.collect(),
            active: active.collect(),
            down: Vec::new(),
        }
    }
}

fn variant(figure: &Figure, name: &str) -> Option<f64> {
    let found = figure.variants.iter().find(|variant| variant.name == name);
    found.unwrap().numerator
}

fn agree(figures: &Figures, to: Timestamp, report: &HealthReport) -> Result<(), TestCaseError> {
    let figure = |name: &str| {
        let period = (Some(Timestamp::EPOCH), Some(to));
        figures.compute(name, period.0, period.1, &Scope::County).unwrap()
    };
    let number = |count: u64| Some(count as f64);
    let rate = figure("alarm_rate");
    prop_assert_eq!(rate.numerator, number(report.annunciations));
    prop_assert_eq!(variant(&rate, "peak_10min"), number(report.peak_10min));
    let course = rate.course.unwrap().steps;
    let course: f64 = course.iter().filter_map(|step| step.value).sum();
    prop_assert_eq!(Some(course), number(report.annunciations));
    let flood = figure("alarm_flood");
    prop_assert_eq!(flood.numerator, number(report.flood_windows));
    prop_assert_eq!(variant(&flood, "over"), number(report.windows_over_10));
    prop_assert_eq!(figure("alarm_chattering").value, number(report.chattering));
    let top = figure("alarm_top_ten");
    let share = top.value.map_or(0.0, |percent| percent / 100.0);
    prop_assert!((share - report.top10_share).abs() < 1e-12);
    let most: Vec<_> = top.parts.iter().map(|part| part.numerator).collect();
    let wanted: Vec<_> = report.top10.iter().map(|(_, calls)| number(*calls)).collect();
    prop_assert_eq!(most, wanted);
    let mix = figure("alarm_priority_mix");
    for (name, calls) in &report.by_priority {
        prop_assert_eq!(variant(&mix, name), number(*calls));
    }
    prop_assert_eq!(variant(&figure("alarm_stale"), "at_end"), number(report.stale));
    // The engine allows nothing that is not allowed.
    let aside = figure("alarm_unauthorised_suppression");
    prop_assert_eq!(aside.value, Some(0.0), "{:?}", aside.parts);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn figures_and_replay_count_the_same_transitions_alike(steps in steps()) {
        let mut played = Played::new();
        let mut at = 0_i64;
        for (gap, next) in steps {
            at += if matches!(next, Next::Silence) { 130_000 } else { i64::from(gap) };
            played.play(Timestamp::from_millis(at * 1000), next);
        }
        // The period ends with an interval; nothing happens in its last instant.
        let to = Timestamp::from_millis((at / 600 + 1) * 600_000);
        played.engine.advance(Timestamp::from_millis(to.millis() - 1), &mut played.out);
        played.note();
        let report = played.health.report(&played.engine, FloodLimits::default());
        let facts = played.facts();
        let figures = health_figures(Arc::new(played.catalogue), facts, to);
        agree(&figures, to, &report)?;
    }
}

/// What is written down is read back as it was: transition, row and happening say the same.
#[test]
fn a_row_of_the_log_says_what_its_transition_said() {
    let mut played = Played::new();
    let story = [
        (0, Next::Gas(40.0)),
        (5, Next::Acknowledge),
        (10, Next::Shelve),
        (20, Next::OutOfService),
        (30, Next::Test),
        (40, Next::Level(85.0)),
        (60, Next::Level(86.0)),
        (70, Next::Gas(5.0)),
        (90, Next::Gas(5.0)),
    ];
    let mut wanted = Vec::new();
    for (at, next) in story {
        let at = Timestamp::from_millis(at * 1000);
        played.engine.advance(at, &mut played.out);
        played.note();
        let before = played.log.len();
        played.play(at, next);
        assert!(played.log.len() > before || matches!(next, Next::Gas(_) | Next::Level(_) | Next::Test));
    }
    for (row, place) in &played.log {
        let rule = &played.engine.rules()[*place as usize];
        let read = happening(row, *place, false).unwrap();
        assert_eq!((read.seq, read.at, read.rule), (row.seq, row.at, *place));
        if row.event.as_ref() != "notified" {
            assert_eq!(
                (read.priority, read.life_safety),
                (rule.priority, rule.life_safety)
            );
        }
        wanted.push((row.event.to_string(), read));
    }
    let find = |event: &str| -> &Happening { &wanted.iter().find(|(name, _)| name == event).unwrap().1 };
    let raised = find("raised");
    assert!(raised.page && raised.is_call() && !raised.acknowledged && raised.raised_at == raised.at);
    let acknowledged = find("acknowledged");
    assert!(acknowledged.acknowledged && !acknowledged.page);
    let shelved = find("shelved").act.as_deref().unwrap();
    assert_eq!(
        (
            shelved.by.as_deref(),
            shelved.reason.as_deref(),
            shelved.second.as_deref()
        ),
        (Some("li"), Some("permit 7"), Some("wang"))
    );
    assert_eq!(shelved.until, Some(Timestamp::from_millis(10_000 + 3_600_000)));
    let out = find("out_of_service").act.as_deref().unwrap();
    assert_eq!(out.until, Some(Timestamp::from_millis(20_000 + 3_600_000)));
    // The level rises while its sensor is out of service: nobody is called, and it is left out.
    let level = wanted
        .iter()
        .filter(|(name, row)| name == "raised" && row.priority == telemetry::profile::Priority::High);
    let level: Vec<_> = level.map(|(_, row)| row.counted()).collect();
    assert_eq!(level, [crate::health::Counted::Left(Left::OutOfService)]);
    assert!(!wanted.iter().any(|(_, row)| row.tags.has(Tag::Historical)));
}
