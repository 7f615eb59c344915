//! The rules in force, written and read again.

use std::collections::BTreeMap;

use telemetry::profile::{Profile, Title};
use telemetry::registry::Registry;
use telemetry::{Bad, Lsn, Quality, Sample};

use super::*;
use crate::replay::Compiled;
use crate::rules::Condition;

const EVERY_KIND: &str = r#"
kind = "every-kind"
version = 1
title = { zh = "全", en = "every kind" }
domain = "gas"
report_interval = "10s"
life_safety = true
[[signal]]
name = "a"
title = { zh = "甲", en = "a" }
unit = "%"
range = [0, 100]
[[signal]]
name = "b"
title = { zh = "乙", en = "b" }
unit = "%"
[[rule]]
id = "HIGH"
title = { zh = "高", en = "high" }
signal = "a"
kind = "high"
limit = 24.9
deadband = 0.1
on_delay = "1min30s"
off_delay = "10s"
priority = "critical"
latching = true
re_alarm = "1h"
[[rule]]
id = "LOW"
title = { zh = "低", en = "low" }
signal = "b"
kind = "low"
limit = -1
priority = "low"
schedule = "22:00-06:30"
[[rule]]
id = "STATE"
title = { zh = "态", en = "state" }
signal = "b"
kind = "state"
values = [1, 2.5]
priority = "medium"
[[rule]]
id = "CHANGE"
title = { zh = "变", en = "change" }
signal = "b"
kind = "change"
values = [3]
priority = "medium"
[[rule]]
id = "RATE"
title = { zh = "率", en = "rate" }
signal = "a"
kind = "rate"
limit = 5
per = "30s"
max_gap = "2min"
priority = "medium"
[[rule]]
id = "STUCK"
title = { zh = "滞", en = "stuck" }
signal = "a"
kind = "stuck"
epsilon = 0.5
after = "1h"
samples = 7
priority = "medium"
[[rule]]
id = "COUNTER"
title = { zh = "计", en = "counter" }
signal = "b"
kind = "counter"
limit = 10
bits = 16
window = "1h"
priority = "medium"
[[rule]]
id = "DEVIATION"
title = { zh = "差", en = "deviation" }
signal = "a"
kind = "deviation"
other = "b"
limit = 3
priority = "medium"
[[rule]]
id = "CEL"
title = { zh = "式", en = "expression" }
kind = "cel"
expression = "a > 1.0 && b > 2.0"
priority = "medium"
[[rule]]
id = "SILENT-B"
title = { zh = "乙失联", en = "b silent" }
signal = "b"
kind = "silence"
after = "2min"
priority = "medium"
[[rule]]
id = "SILENT"
title = { zh = "失联", en = "silent" }
kind = "silence"
after = "1min"
priority = "medium"
active = "lighting_night"
"#;

/// One device of each built-in profile and of one with every kind of rule, two of whose names are the same as points.
fn catalogue() -> Catalogue {
    let mut profiles: BTreeMap<Box<str>, Arc<Profile>> = telemetry::profile::builtin().unwrap();
    let every = Profile::parse("every-kind.toml", EVERY_KIND).unwrap();
    profiles.insert(every.kind.clone(), Arc::new(every));
    let mut registry = String::from(
        "[county]\nname = { zh = \"县\", en = \"county\" }\nposition = { latitude = 27.5, longitude = 119.7 }\n\
         [[site]]\nid = \"s1\"\nkind = \"lpg_depot\"\nname = { zh = \"站\", en = \"depot\" }\norganisation = \"o\"\n\
         town = \"t\"\nposition = { latitude = 27.5, longitude = 119.7 }\n",
    );
    for kind in profiles.keys() {
        registry.push_str(&format!(
            "[[device]]\nid = \"1-{kind}\"\nsite = \"s1\"\nprofile = \"{kind}\"\n"
        ));
    }
    registry.push_str(
        "[[device]]\nid = \"1.every-kind\"\nsite = \"s1\"\nprofile = \"every-kind\"\ngateway = \"1-every-kind\"\n",
    );
    let registry: Registry = toml::from_str(&registry).unwrap();
    let mut next = 1000;
    Catalogue::build(registry, &profiles, |_, _| {
        next += 1;
        SeriesId(next)
    })
    .unwrap()
}

const LIGHTING: Lighting = Lighting {
    after_sunset: Span::from_secs(600),
    before_sunrise: Span::from_secs(900),
};

fn recorder(catalogue: &Catalogue) -> Recorder {
    Recorder::new(catalogue, &AlarmSettings::default(), LIGHTING, Timestamp::EPOCH).unwrap()
}

/// As a file says a rule: without what people call it, and with series by the names of points.
fn said(rule: &Rule, name: &impl Fn(SeriesId) -> String) -> (String, Rule, Vec<String>) {
    let mut series: Vec<SeriesId> = rule.series.into_iter().collect();
    let mut rule = Rule {
        title: Title {
            zh: "".into(),
            en: "".into(),
        },
        signal: None,
        series: None,
        ..rule.clone()
    };
    match &mut rule.condition {
        Condition::Deviation { other, .. } => {
            series.push(*other);
            *other = SeriesId(0);
        }
        Condition::Expression { inputs, .. } => {
            series.extend(inputs.iter());
            *inputs = [].into();
        }
        _ => {}
    }
    (rule.id.to_string(), rule, series.into_iter().map(name).collect())
}

#[test]
fn the_rules_of_a_file_are_those_in_force() {
    // Given the rules of every built-in profile and of every kind,
    let catalogue = catalogue();
    let recorder = recorder(&catalogue);
    let settings = AlarmSettings::default();
    let compiled = crate::rules::compile(
        &catalogue,
        &settings.book,
        Timestamp::EPOCH,
        settings.fault_off_delay,
    )
    .unwrap();
    let in_force = compiled.rules;
    // A file of rules names no places.
    let mut plant = compiled.plant;
    plant.devices.iter_mut().for_each(|device| device.place = None);
    // when they are written and read again,
    let read = Compiled::parse(recorder.rules()).unwrap();
    // then they are the same, and so is what stands behind them.
    let by_name = |series: SeriesId| recorder.names.get(&series).unwrap().to_string();
    let by_place = |series: SeriesId| {
        let mut points = read.points.iter();
        points
            .find(|(_, point)| point.series == series)
            .unwrap()
            .0
            .to_string()
    };
    assert_eq!(in_force.len(), read.rules.len());
    for (rule, again) in in_force.iter().zip(&read.rules) {
        assert_eq!(said(rule, &by_name), said(again, &by_place));
    }
    assert_eq!(plant, read.plant);
    assert_eq!(recorder.left_out(), [] as [String; 0]);
    // 27.5 °N at midsummer noon in Shanghai's zone: the sun shines; at midnight it does not.
    let sun = read.sun.unwrap();
    assert!(!sun.lights_due("2026-06-21T04:00:00Z".parse().unwrap()));
    assert!(sun.lights_due("2026-06-20T16:00:00Z".parse().unwrap()));
}

#[test]
fn names_that_would_be_the_same_are_told_apart() {
    let catalogue = catalogue();
    let recorder = recorder(&catalogue);
    // "1-every-kind" and "1.every-kind" have signals a and b; a name does not begin with a digit.
    for name in [
        "_1_every_kind_a",
        "_1_every_kind_a_2",
        "_1_every_kind_b",
        "_1_every_kind_b_2",
    ] {
        assert!(recorder.names.values().any(|known| **known == *name), "{name}");
    }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn lines_stand_in_order_of_their_time() {
    let catalogue = catalogue();
    let mut recorder = recorder(&catalogue);
    let device = catalogue.device_index("1-every-kind").unwrap();
    let series = catalogue.devices()[device].series[0];
    let point = |arrived, value, quality| Point {
        series,
        sample: Sample {
            time: at(arrived - 500),
            value,
            quality,
        },
        arrived: at(arrived),
        backfill: false,
    };
    recorder.start(AlarmStart {
        at: at(1000),
        lived: None,
    });
    recorder.start(AlarmStart {
        at: at(9000),
        lived: Some(at(4250)),
    });
    let body = r#"{"until":5000}"#.to_owned();
    recorder.log(&LogRow {
        seq: 1,
        at: at(3500),
        event: "shelved".into(),
        rule: "1-every-kind/LOW".into(),
        occurrence: 1,
        by: Some("li".into()),
        remark: Some("calibration".into()),
        body,
    });
    // The second message was committed before the first one.
    recorder.batch(&Batch {
        first: Lsn(1),
        last: Lsn(2),
        points: vec![
            point(3000, 0.1, Quality::Good),
            point(2000, f64::NAN, Quality::Bad(Bad::NotFinite)),
        ],
        heard: vec![(device, at(3000))],
        ..Batch::default()
    });
    let mut out = Vec::new();
    recorder.write(&mut out).unwrap();
    assert!(out.is_empty(), "nothing is a minute old");
    let recorded = recorder.finish(&mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"at\":1,\"clock\":true}\n\
         {\"at\":2,\"sample\":{\"point\":\"_1_every_kind_a\",\"quality\":\"bad_not_finite\",\"time\":1.5,\"value\":null}}\n\
         {\"at\":3,\"heard\":{\"device\":\"1-every-kind\"}}\n\
         {\"at\":3,\"sample\":{\"point\":\"_1_every_kind_a\",\"time\":2.5,\"value\":0.1}}\n\
         {\"at\":3.5,\"shelve\":{\"by\":\"li\",\"for\":1.5,\"reason\":\"calibration\",\"rule\":\"1-every-kind/LOW\"}}\n\
         {\"at\":4.251,\"restart\":{\"down_for\":4.749}}\n"
    );
    let expected = Recorded {
        readings: 2,
        heard: 1,
        acts: 1,
        starts: 2,
        moved: 0,
    };
    assert_eq!(recorded, expected);
}

#[test]
fn a_clock_that_steps_back_moves_lines_and_says_so() {
    let catalogue = catalogue();
    let mut recorder = recorder(&catalogue);
    let heard = |arrived| Batch {
        heard: vec![(0, at(arrived))],
        ..Batch::default()
    };
    let mut out = Vec::new();
    recorder.batch(&heard(0));
    // A minute and more later everything before it is settled,
    recorder.batch(&heard(100_000));
    recorder.write(&mut out).unwrap();
    // then an hour is taken back.
    recorder.batch(&heard(-3_600_000));
    recorder.write(&mut out).unwrap();
    let recorded = recorder.finish(&mut out).unwrap();
    assert_eq!(recorded.moved, 1);
    let times: Vec<f64> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["at"]
                .as_f64()
                .unwrap()
        })
        .collect();
    assert_eq!(times, [0.0, 0.0, 100.0]);
}

#[test]
fn every_number_reads_as_itself() {
    for number in [
        0.1,
        1.0 / 3.0,
        24.2,
        5e-324,
        f64::MAX,
        -0.0,
        123_456_789.123_456_79,
    ] {
        let read = match value(number) {
            Value::String(text) => text.parse().unwrap(),
            other => serde_json::from_str::<f64>(&other.to_string()).unwrap(),
        };
        assert_eq!(f64::to_bits(read), number.to_bits());
    }
}
