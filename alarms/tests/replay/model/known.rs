//! The model against the acceptance cases of the semantics, with results worked out by hand.

use super::{Model, Plan, Point, Quality, Rule, Sample};

/// G1 and L1 as the acceptance cases define them; N1 and S1, normal and life-safety, have delays longer than the
/// silence that makes them stale.
fn plan(name: &str) -> Plan {
    let (limit, on_delay, off_delay) = match name {
        "G1" => (25.0, 0, 10_000),
        "L1" => (80.0, 10_000, 20_000),
        _ => (25.0, 90_000, 90_000),
    };
    let rule = Rule {
        low: false,
        limit,
        deadband: 5.0,
        on_delay,
        off_delay,
    };
    let point = Point {
        name: name.to_owned(),
        stale_after: Some(60_000),
        life_safety: ["G1", "S1"].contains(&name),
        rules: vec![rule],
    };
    Plan {
        lateness: 30_000,
        live_age: 900_000,
        grace: 60_000,
        points: vec![point],
    }
}

/// What the model says to a script of `AT` (a tick), `AT:VALUE` and `AT:VALUE@TIME` in whole seconds, with `u` or
/// `b` behind a value that is uncertain or bad. One text a line: rule, event, at, since.
fn told(name: &str, script: &str) -> Vec<String> {
    let seconds = |text: &str| text.parse::<i64>().unwrap() * 1000;
    let mut model = Model::new(&plan(name), 0);
    for step in script.split_whitespace() {
        let (at, reading) = step.split_once(':').unwrap_or((step, ""));
        let (value, time) = reading.split_once('@').unwrap_or((reading, at));
        let quality = match value.chars().last() {
            Some('u') => Quality::Uncertain,
            Some('b') => Quality::Bad,
            _ => Quality::Good,
        };
        let sample = Sample {
            time: seconds(time),
            value: value.trim_end_matches(['u', 'b']).parse().ok(),
            quality,
            backfill: false,
        };
        if reading.is_empty() {
            model.advance(seconds(at), true);
        } else {
            assert!(model.take(seconds(at), 0, sample), "{step} is certain");
        }
    }
    let line = |(at, event, rule, _, since, _): &super::Line| {
        let rule = rule.rsplit('.').next().unwrap();
        let since = since.map_or(String::new(), |since| format!(" since {}", since / 1000));
        format!("{} {rule} {event}{since}", at / 1000)
    };
    model.lines.iter().map(line).collect()
}

/// Name, point, script, and what the model tells.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);

const CASES: [Case; 18] = [
    (
        "A01",
        "G1",
        "0:24.9 10:25 20:21 30:20 40:19.9 50",
        &["10 high raised since 10", "50 high cleared since 40"],
    ),
    ("A03", "L1", "0:85 10", &["10 high raised since 0"]),
    ("A04", "L1", "0:85 5:79 60", &[]),
    ("A05", "L1", "0:85 10:86 12:70@5 13", &["10 high raised since 0"]),
    ("A06", "L1", "0:70 12:86 13:85@1", &["13 high raised since 1"]),
    (
        "A07",
        "L1",
        "80:85 90:85 100:70 110:81 130",
        &["90 high raised since 80"],
    ),
    (
        "A08",
        "G1",
        "0:5 20:5 25:40@10 30",
        &["25 high raised since 10", "30 high cleared since 20"],
    ),
    ("A09", "G1", "0:5 20:40 25:5@10 60", &["20 high raised since 20"]),
    (
        "A15",
        "L1",
        "0:85 1:85@0 2:85@0 3:85@0 10",
        &["10 high raised since 0"],
    ),
    ("A17", "G1", "0:5 61", &["60 silence raised"]),
    (
        "A18",
        "G1",
        "0:40 3600",
        &["0 high raised since 0", "60 silence raised"],
    ),
    ("A19", "G1", "121", &["120 silence raised"]),
    (
        "A21",
        "G1",
        "0:5 500:5",
        &["60 silence raised", "500 silence cleared"],
    ),
    ("A22", "G1", "0:40u", &["0 high raised since 0"]),
    (
        "A24",
        "G1",
        "0:40 10:0b 30",
        &["0 high raised since 0", "10 fault raised since 10"],
    ),
    (
        "an off-delay waits while the newest sample is bad",
        "G1",
        "0:40 10:5 15:0b 25 26:5",
        &[
            "0 high raised since 0",
            "15 fault raised since 15",
            "26 fault cleared since 26",
            "26 high cleared since 10",
        ],
    ),
    (
        "a normal on-delay begins anew behind a gap",
        "N1",
        "0:40 10:40 71:40 80:40 130:40 161",
        &[
            "70 silence raised",
            "71 silence cleared",
            "161 high raised since 71",
        ],
    ),
    (
        "a life-safety on-delay counts through a gap, an off-delay begins anew",
        "S1",
        "0:40 10:40 71:40 90 100:5 161:5 200:5 251",
        &[
            "70 silence raised",
            "71 silence cleared",
            "90 high raised since 0",
            "160 silence raised",
            "161 silence cleared",
            "251 high cleared since 161",
        ],
    ),
];

#[test]
fn the_model_tells_the_acceptance_cases() {
    for (case, point, script, expected) in CASES {
        assert_eq!(told(point, script), expected, "{case}");
    }
}

#[test]
fn the_dead_band_holds_a_chattering_alarm_in_the_model() {
    // Given case A02: 30 samples above the limit and within the dead band in turn,
    let script: String = (0..30)
        .map(|n| format!("{}:{} ", n * 10, if n % 2 == 0 { 25.1 } else { 24.0 }))
        .collect();
    // then the alarm is raised once.
    assert_eq!(told("G1", &script), ["0 high raised since 0"]);
}
