//! The acceptance cases of `alarms.md` §2.2 in a small timeline notation, and the properties.

mod cases;
mod device;
mod late;
mod properties;
mod restart;
mod run_time;

use std::collections::BTreeMap;
use std::sync::Arc;

use telemetry::registry::Registry;
use telemetry::time::Span;
use telemetry::{Bad, Catalogue, Point, Profile, Quality, Sample, SeriesId, Timestamp, Uncertain};

use super::*;
use crate::lifecycle::AlarmState;
use crate::rules;

/// G1 and L1 as `alarms.md` §2.1 defines them, R1 that G1 stands beside with everything delayed, and N1, a lamp.
const PROFILES: [&str; 4] = [
    r#"
kind = "gas"
version = 1
title = { zh = "气", en = "gas" }
domain = "gas"
report_interval = "10s"
life_safety = true
[[signal]]
name = "gas"
title = { zh = "浓度", en = "gas" }
unit = "%{LEL}"
range = [0, 100]
[[rule]]
id = "HI"
title = { zh = "高", en = "high" }
signal = "gas"
kind = "high"
limit = 25
deadband = 5
off_delay = "10s"
priority = "critical"
[[rule]]
id = "silence"
title = { zh = "失联", en = "silent" }
kind = "silence"
after = "60s"
priority = "critical"
"#,
    r#"
kind = "level"
version = 1
title = { zh = "液位", en = "level" }
domain = "sewage"
report_interval = "5s"
[[signal]]
name = "level"
title = { zh = "液位", en = "level" }
unit = "m"
[[rule]]
id = "HI"
title = { zh = "高", en = "high" }
signal = "level"
kind = "high"
limit = 80
deadband = 5
on_delay = "10s"
off_delay = "20s"
priority = "high"
[[rule]]
id = "silence"
title = { zh = "失联", en = "silent" }
kind = "silence"
after = "60s"
priority = "medium"
"#,
    r#"
kind = "pump"
version = 1
title = { zh = "泵", en = "pump" }
domain = "gas"
report_interval = "10s"
life_safety = true
[[signal]]
name = "fault"
title = { zh = "故障", en = "fault" }
unit = "1"
type = "bool"
[[rule]]
id = "FAULT"
title = { zh = "故障", en = "fault" }
signal = "fault"
kind = "state"
values = [1]
on_delay = "100s"
off_delay = "100s"
priority = "high"
[[rule]]
id = "silence"
title = { zh = "失联", en = "silent" }
kind = "silence"
after = "60s"
priority = "medium"
"#,
    r#"
kind = "lamp"
version = 1
title = { zh = "灯", en = "lamp" }
domain = "lighting"
report_interval = "15min"
[[signal]]
name = "power"
title = { zh = "功率", en = "power" }
unit = "W"
[[rule]]
id = "OUT"
title = { zh = "灭", en = "out" }
signal = "power"
kind = "low"
limit = 20
deadband = 5
priority = "medium"
active = "lighting_night"
[[rule]]
id = "silence"
title = { zh = "失联", en = "silent" }
kind = "silence"
after = "45min"
priority = "low"
active = "lighting_night"
"#,
];

const REGISTRY: &str = r#"
[county]
name = { zh = "县", en = "county" }
position = { latitude = 27.5, longitude = 119.7 }
[[site]]
id = "s1"
kind = "lpg_depot"
name = { zh = "站", en = "depot" }
organisation = "o"
town = "t"
position = { latitude = 27.5, longitude = 119.7 }
[[device]]
id = "G1"
site = "s1"
profile = "gas"
[[device]]
id = "L1"
site = "s1"
profile = "level"
[[device]]
id = "N1"
site = "s1"
profile = "lamp"
[[device]]
id = "P1"
site = "s1"
profile = "pump"
"#;

/// Night from 10,000 s on, until 50,000 s.
struct Night;

impl crate::rules::Daylight for Night {
    fn lights_due(&self, at: Timestamp) -> bool {
        (10_000_000..50_000_000).contains(&at.millis())
    }
}

pub(crate) fn catalogue() -> Catalogue {
    let registry: Registry = toml::from_str(REGISTRY).unwrap();
    let profiles: BTreeMap<Box<str>, Arc<Profile>> = PROFILES
        .iter()
        .map(|text| {
            let profile = Profile::parse("test.toml", text).unwrap();
            (profile.kind.clone(), Arc::new(profile))
        })
        .collect();
    let mut next = 0;
    Catalogue::build(registry, &profiles, |_, _| {
        next += 1;
        SeriesId(next)
    })
    .unwrap()
}

pub(crate) fn night() -> Arc<dyn crate::rules::Daylight> {
    Arc::new(Night)
}

fn s(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "tests use small numbers")]
    Timestamp::from_millis((seconds * 1000.0) as i64)
}

/// One sample on the timeline: of whom, event time, value.
#[derive(Clone, Copy, Debug, PartialEq)]
struct At {
    who: &'static str,
    event: f64,
    value: f64,
    quality: Quality,
    arrived: f64,
    backfill: bool,
}

/// `s(e,v)` of `alarms.md`.
fn of(who: &'static str, event: f64, value: f64) -> At {
    At {
        who,
        event,
        value,
        quality: Quality::Good,
        arrived: event,
        backfill: false,
    }
}

fn g1(event: f64, value: f64) -> At {
    of("G1", event, value)
}

fn l1(event: f64, value: f64) -> At {
    of("L1", event, value)
}

impl At {
    /// `@a`
    fn at(self, arrived: f64) -> Self {
        Self { arrived, ..self }
    }

    fn doubtful(self) -> Self {
        Self {
            quality: Quality::Uncertain(Uncertain::Reported),
            ..self
        }
    }

    fn bad(self) -> Self {
        Self {
            quality: Quality::Bad(Bad::SensorFault),
            ..self
        }
    }

    fn backfill(self) -> Self {
        Self {
            backfill: true,
            ..self
        }
    }
}

/// An engine that is told a story and writes down what it said: `at event rule since`, with tags and a `!` for a page.
struct Story {
    catalogue: Catalogue,
    engine: Engine,
    said: Vec<String>,
    out: Vec<Transition>,
    everything: Vec<Transition>,
    heard: std::collections::BTreeSet<&'static str>,
}

fn spans() -> Spans {
    Spans::from(&AlarmSettings::default())
}

fn compiled(catalogue: &Catalogue) -> rules::Compiled {
    let book = rules::RuleBook::default();
    rules::compile(catalogue, &book, Timestamp::EPOCH, Span::from_secs(60)).unwrap()
}

fn engine(catalogue: &Catalogue) -> Engine {
    let compiled = compiled(catalogue);
    Engine::new(
        compiled.plant,
        compiled.rules,
        spans(),
        night(),
        Arc::default(),
        Timestamp::EPOCH,
    )
}

impl Story {
    fn new() -> Self {
        let catalogue = catalogue();
        let engine = engine(&catalogue);
        Self {
            catalogue,
            engine,
            said: Vec::new(),
            out: Vec::new(),
            everything: Vec::new(),
            heard: std::collections::BTreeSet::new(),
        }
    }

    fn hears(mut self, samples: impl IntoIterator<Item = At>) -> Self {
        for sample in samples {
            self.hear(sample);
        }
        self
    }

    fn hear(&mut self, sample: At) {
        self.heard.insert(sample.who);
        let signal = match sample.who {
            "G1" => "gas",
            "L1" => "level",
            "N1" => "power",
            _ => "fault",
        };
        let point = Point {
            series: self.catalogue.series_id(sample.who, signal).unwrap(),
            sample: Sample {
                time: s(sample.event),
                value: sample.value,
                quality: sample.quality,
            },
            arrived: s(sample.arrived),
            backfill: sample.backfill,
        };
        self.engine.sample(&point, &mut self.out);
        self.note();
    }

    fn clock(mut self, to: f64) -> Self {
        self.engine.advance(s(to), &mut self.out);
        self.note();
        self
    }

    fn acknowledges(mut self, rule: &str, occurrence: u32) -> Self {
        let place = self.place(rule);
        let by = Acknowledgement {
            by: "li".into(),
            remark: "".into(),
            at: self.engine.now(),
        };
        self.engine
            .acknowledge(place, occurrence, by, None, &mut self.out)
            .unwrap();
        self.note();
        self
    }

    /// Stops and starts again: the engine is built anew from what it would have on disk.
    fn restarts(mut self, ready: f64) -> Self {
        let (rules, devices) = self.engine.take_changes().unwrap();
        let mut stored: BTreeMap<usize, RuleState> = BTreeMap::new();
        for (place, rule) in self.engine.rules().iter().enumerate() {
            if let Some(body) = rules
                .iter()
                .find(|stored| *stored.id == *rule.id)
                .and_then(|stored| stored.body.as_ref())
            {
                stored.insert(place, RuleState::from_body(body).unwrap());
            }
        }
        let (now, seq) = (self.engine.now(), self.engine.seq());
        let rules::Compiled { plant, rules } = compiled(&self.catalogue);
        self.engine = Engine::new(plant, rules, spans(), night(), Arc::default(), s(ready));
        for device in devices {
            self.engine.restore_device(device.device, &device.body).unwrap();
        }
        for (place, state) in stored {
            self.engine.restore_rule(place, state);
        }
        self.engine.restored(now, seq, s(ready));
        self
    }

    fn note(&mut self) {
        for transition in self.out.drain(..) {
            let Some(rule) = self.engine.rules().get(transition.rule as usize) else {
                self.everything.push(transition);
                continue;
            };
            let seconds = |at: Timestamp| at.millis() as f64 / 1000.0;
            let mut line = format!(
                "{} {} {} since {}",
                seconds(transition.at),
                transition.event.name(),
                rule.id,
                seconds(transition.since)
            );
            for tag in transition.tags.list() {
                line.push_str(&format!(" {tag:?}").to_lowercase());
            }
            if transition.page {
                line.push('!');
            }
            // Who is told is shown by the mark; that a silence or a fault has begun, by its alarm.
            let silence = matches!(rule.condition, rules::Condition::Silence { .. });
            let shown = match transition.event {
                EventKind::Notified | EventKind::SensorFault | EventKind::SensorOk | EventKind::ClockSkew => {
                    false
                }
                EventKind::Stale | EventKind::Fresh => !silence,
                _ => true,
            };
            if shown && transition.event.is_logged() {
                self.said.push(line);
            }
            self.everything.push(transition);
        }
    }

    /// What was said of all devices that were heard.
    #[track_caller]
    fn says(self, said: &[&str]) -> Self {
        let of = |line: &&String| {
            let rule = line.split(' ').nth(2).unwrap();
            self.heard.contains(rule.split(['/', '.']).next().unwrap())
        };
        assert_eq!(self.said.iter().filter(of).collect::<Vec<_>>(), said);
        self
    }

    /// What was said of one rule.
    #[track_caller]
    fn says_of(self, rule: &str, said: &[&str]) -> Self {
        let of: Vec<&String> = self
            .said
            .iter()
            .filter(|line| line.split(' ').nth(2) == Some(rule))
            .collect();
        assert_eq!(of, said, "{:#?}", self.said);
        self
    }

    #[track_caller]
    fn is(self, rule: &str, state: AlarmState) -> Self {
        assert_eq!(self.state(rule).alarm, state);
        self
    }

    fn state(&self, rule: &str) -> &RuleState {
        self.engine.state(self.place(rule)).unwrap()
    }

    fn place(&self, rule: &str) -> usize {
        self.engine
            .rules()
            .iter()
            .position(|found| &*found.id == rule)
            .unwrap()
    }
}
