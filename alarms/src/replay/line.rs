//! One line of output: a transition as JSON, its keys always in the same order.

use serde_json::{Map, Number, Value, json};
use telemetry::{Quality, Timestamp};

use crate::engine::{DigestItem, EventKind, NO_RULE, Transition};
use crate::rules::{Plant, Rule};

/// Seconds, whole where they are.
pub(super) fn seconds(at: Timestamp) -> Value {
    let ms = at.millis();
    if ms % 1000 == 0 {
        Value::from(ms / 1000)
    } else {
        Value::from(ms as f64 / 1000.0)
    }
}

/// A number as people write it: 30, not 30.0.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        #[expect(clippy::cast_possible_truncation, reason = "whole and bounded")]
        Value::from(value as i64)
    } else {
        Number::from_f64(value).map_or(Value::Null, Value::Number)
    }
}

const fn level(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "good",
        Quality::Uncertain(_) => "uncertain",
        Quality::Bad(_) => "bad",
    }
}

/// The transition as one JSON object.
pub(super) fn line(transition: &Transition, rules: &[Rule], plant: &Plant) -> Value {
    let mut line = Map::new();
    line.insert("at".into(), seconds(transition.at));
    line.insert("seq".into(), transition.seq.into());
    line.insert("event".into(), transition.event.name().into());
    let rule = usize::try_from(transition.rule)
        .ok()
        .and_then(|place| rules.get(place));
    if let Some(rule) = rule.filter(|_| transition.rule != NO_RULE) {
        of_rule(&mut line, transition, rule, plant);
    }
    of_extra(&mut line, transition, rules, plant);
    Value::Object(line)
}

fn of_rule(line: &mut Map<String, Value>, transition: &Transition, rule: &Rule, plant: &Plant) {
    line.insert("rule".into(), (&*rule.id).into());
    let device = plant.devices.get(rule.device);
    if let Some(device) = device.filter(|device| !device.mute) {
        line.insert("point".into(), (&*device.name).into());
    }
    line.insert("occurrence".into(), transition.occurrence.into());
    if transition.event != EventKind::Notified {
        line.insert("since".into(), seconds(transition.since));
        line.insert("value".into(), transition.value.map_or(Value::Null, number));
        line.insert("quality".into(), level(transition.quality).into());
    }
    line.insert("state".into(), transition.state.name().into());
    line.insert("priority".into(), json!(rule.priority));
    line.insert("tags".into(), json!(transition.tags.list()));
    if let Some(aside) = transition
        .after
        .shelved()
        .filter(|_| transition.event == EventKind::Shelved)
    {
        line.insert("until".into(), seconds(aside.until));
    }
}

fn of_extra(line: &mut Map<String, Value>, transition: &Transition, rules: &[Rule], plant: &Plant) {
    let Some(extra) = transition.extra.as_deref() else {
        return;
    };
    for (key, text) in [
        ("by", &extra.by),
        ("reason", &extra.reason),
        ("key", &extra.key),
        ("to", &extra.to),
    ] {
        if let Some(text) = text {
            line.insert(key.into(), (&**text).into());
        }
    }
    if let Some(time) = extra.device_time {
        line.insert("device_time".into(), seconds(time));
    }
    if matches!(transition.event, EventKind::TestOn | EventKind::TestOff) {
        if let Some(point) = extra.points.first() {
            line.insert("point".into(), (&**point).into());
        }
    } else if !extra.points.is_empty() {
        let points: Vec<&str> = extra.points.iter().map(|point| &**point).collect();
        line.insert("points".into(), points.into());
    }
    if let Some(active) = extra.active {
        line.insert("active".into(), active.into());
    }
    if extra.step > 0 {
        line.insert("step".into(), extra.step.into());
    }
    if !extra.items.is_empty() {
        let items: Vec<Value> = extra
            .items
            .iter()
            .map(|item| digest_item(item, rules, plant))
            .collect();
        line.insert("items".into(), items.into());
    }
    if let Some(version) = extra.version {
        line.insert("version".into(), version.into());
    }
}

fn digest_item(item: &DigestItem, rules: &[Rule], plant: &Plant) -> Value {
    let rule = usize::try_from(item.rule).ok().and_then(|place| rules.get(place));
    let point = rule.and_then(|rule| plant.devices.get(rule.device));
    json!({
        "rule": rule.map(|rule| &*rule.id),
        "point": point.map(|point| &*point.name),
        "since": seconds(item.since),
        "worst": number(item.worst),
    })
}
