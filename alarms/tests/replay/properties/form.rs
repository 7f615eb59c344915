//! The forms of a replay, written and read: a plan as a rules file, inputs as JSON lines, and what comes out.

use std::fmt::Write as _;

use serde_json::{Value, json};
use telemetry::time::Span;

use crate::model::{Line, Plan, Quality, Sample};

/// One line of the input; `at` in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) at: i64,
    pub(crate) what: What,
}

/// What a line of the input says.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Sample(usize, Sample),
    Clock,
    Ack { rule: String, occurrence: u64 },
    Reset { rule: String },
    Restart,
}

/// What a rules file says beside its plan.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra {
    /// Every rule latches.
    pub(crate) latching: bool,
    /// There are two recipients, one of them for critical alarms; the rules are critical.
    pub(crate) routed: bool,
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// The rules file of `plan`.
pub(crate) fn rules(plan: &Plan, extra: Extra) -> String {
    let mut text = format!(
        "[settings]\nlateness = \"{}ms\"\nlive_age = \"{}ms\"\nfuture_tolerance = \"60s\"\ngrace = \"{}ms\"\n",
        plan.lateness, plan.live_age, plan.grace
    );
    for point in &plan.points {
        let (name, class) = (
            &point.name,
            if point.life_safety {
                "life-safety"
            } else {
                "normal"
            },
        );
        let stale = point
            .stale_after
            .map_or(String::new(), |ms| format!("stale_after = \"{ms}ms\"\n"));
        write!(
            text,
            "\n[[point]]\nname = \"{name}\"\nkind = \"level\"\nperiod = \"5s\"\n{stale}class = \"{class}\"\n"
        )
        .unwrap();
        for rule in &point.rules {
            let (kind, limit, deadband) = (rule.kind(), rule.limit, rule.deadband);
            let (on, off, latching) = (rule.on_delay, rule.off_delay, extra.latching);
            write!(
                text,
                "\n[[rule]]\nid = \"{name}.{kind}\"\npoint = \"{name}\"\nkind = \"{kind}\"\nlimit = {limit:?}\n\
                 deadband = {deadband:?}\non_delay = \"{on}ms\"\noff_delay = \"{off}ms\"\npriority = \"critical\"\n\
                 latching = {latching}\n"
            )
            .unwrap();
        }
    }
    text.push_str("\n[[escalation]]\nafter = \"60s\"\nto = [\"second\"]\n");
    if extra.routed {
        text.push_str(
            "\n[[route]]\nto = \"inspectors\"\npriority = \"critical\"\n\n[[route]]\nto = \"duty\"\n",
        );
    }
    text
}

/// One line of the input as it is written.
pub(crate) fn written(plan: &Plan, told: &Told) -> Value {
    let at = seconds(told.at);
    match &told.what {
        What::Clock => json!({"at": at, "clock": true}),
        What::Restart => json!({"at": at, "restart": {"down_for": 0.001}}),
        What::Reset { rule } => json!({"at": at, "reset": {"rule": rule, "by": "li"}}),
        What::Ack { rule, occurrence } => {
            json!({"at": at, "ack": {"rule": rule, "occurrence": occurrence, "seen": 1_000_000, "by": "li"}})
        }
        What::Sample(index, sample) => {
            let point = plan.points.get(*index).map_or("", |point| &point.name);
            let quality = match sample.quality {
                Quality::Good => "good",
                Quality::Uncertain => "uncertain",
                Quality::Bad => "bad",
            };
            json!({"at": at, "sample": {
                "point": point, "time": seconds(sample.time), "value": sample.value,
                "quality": quality, "backfill": sample.backfill,
            }})
        }
    }
}

/// What the engine says to `told` under the rules file `rules`, up to `until` or the last line.
pub(crate) fn replay(rules: &str, plan: &Plan, told: &[Told], until: Option<i64>) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (rules_file, input_file) = (
        folder.path().join("rules.toml"),
        folder.path().join("input.jsonl"),
    );
    std::fs::write(&rules_file, rules).unwrap();
    std::fs::write(&input_file, input(plan, told)).unwrap();
    let until = until.map(|ms| Span::from_millis(ms.unsigned_abs()));
    let mut out = Vec::new();
    if let Err(error) = alarms::replay::run(&rules_file, &input_file, until, &mut out) {
        panic!("the replay ended with {error}\n{rules}\n{}", input(plan, told));
    }
    let lines = String::from_utf8(out).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The lines of the input, to be replayed by hand when a property fails.
pub(crate) fn input(plan: &Plan, told: &[Told]) -> String {
    told.iter().fold(String::new(), |text, told| {
        text + &written(plan, told).to_string() + "\n"
    })
}

/// The text at `key`, empty where there is none.
pub(crate) fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The time at `key` in milliseconds.
pub(crate) fn ms(line: &Value, key: &str) -> Option<i64> {
    let seconds = line.get(key)?.as_f64()?;
    Some(format!("{:.0}", seconds * 1000.0).parse().unwrap())
}

/// The number at `key`.
pub(crate) fn number(line: &Value, key: &str) -> u64 {
    line.get(key).and_then(Value::as_u64).unwrap_or_default()
}

/// The entries of the list at `key`.
pub(crate) fn list<'a>(line: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    line.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// The lines whose event is `event`.
pub(crate) fn events<'a>(lines: &'a [Value], event: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| text(line, "event") == event)
}

/// The part of a line of the output that the model predicts, if it predicts any.
pub(crate) fn predicted(line: &Value) -> Option<Line> {
    let (event, rule) = (text(line, "event"), text(line, "rule"));
    if !["raised", "cleared", "acknowledged"].contains(&event) || rule.starts_with("system.") {
        return None;
    }
    let timed = event != "acknowledged" && !rule.ends_with(".silence");
    let since = ms(line, "since").filter(|_| timed);
    let (at, occurrence) = (ms(line, "at")?, number(line, "occurrence"));
    Some((
        at,
        event.to_owned(),
        rule.to_owned(),
        occurrence,
        since,
        text(line, "state").to_owned(),
    ))
}

/// Everything that happened, without the numbers that count what arrived: no `seq`, and of the last line only what
/// is open and the condition history.
pub(crate) fn story(lines: &[Value]) -> Vec<Value> {
    let told = |line: &Value| {
        let kept = |key: &str| match text(line, "event") {
            "end" => ["event", "at", "open", "history"].contains(&key),
            _ => key != "seq",
        };
        let entries = line.as_object().into_iter().flatten();
        entries
            .filter(|(key, _)| kept(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    lines.iter().map(told).collect()
}
