//! The form that Alertmanager sends to its webhooks, version 4, for receivers that know it. Pure.
//!
//! Source: `users.md` §3 for the keys. Alarms are grouped by rule and site.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use store::state::alarms::Notice;
use telemetry::Timestamp;

use super::digest::{Parcel, hash};
use super::render::Told;

/// The time of an end that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// What names the group of a notice.
pub(super) fn group(notice: &Notice) -> String {
    let told = Told::read(notice);
    format!("{}\n{}", told.rule_name(), told.alarm.site)
}

/// The body for a group of notices.
pub(super) fn body(channel: &str, parcel: &Parcel, public_url: Option<&str>) -> String {
    // Of an occurrence that was raised and cleared meanwhile, the last word counts.
    let mut last: BTreeMap<String, (u64, Told)> = BTreeMap::new();
    for notice in &parcel.members {
        let told = Told::read(notice);
        let known = last.get(&told.alarm.id);
        if known.is_none_or(|(seq, _)| *seq <= notice.seq) {
            last.insert(told.alarm.id.clone(), (notice.seq, told));
        }
    }
    let told: Vec<&Told> = last.values().map(|(_, told)| told).collect();
    let labels: Vec<BTreeMap<&str, String>> = told.iter().map(|told| labels(told)).collect();
    let notes: Vec<BTreeMap<&str, String>> = told.iter().map(|told| annotations(told)).collect();
    let alerts: Vec<Value> = told
        .iter()
        .zip(labels.iter().zip(&notes))
        .map(|(told, (labels, notes))| alert(told, labels, notes))
        .collect();
    let firing = told.iter().any(|told| !told.is_over());
    let (rule, site) = told
        .first()
        .map(|told| (told.rule_name(), told.alarm.site.as_str()))
        .unwrap_or_default();
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{alertname={rule:?}, site={site:?}}}"),
        "truncatedAlerts": parcel.left,
        "status": if firing { "firing" } else { "resolved" },
        "receiver": channel,
        "groupLabels": { "alertname": rule, "site": site },
        "commonLabels": common(&labels),
        "commonAnnotations": common(&notes),
        "externalURL": public_url.unwrap_or_default(),
        "alerts": alerts,
    })
    .to_string()
}

/// The body of a sign of life: the alert `Watchdog`, which fires since `since`.
pub(super) fn watchdog(since: Timestamp, public_url: Option<&str>) -> String {
    let labels = json!({ "alertname": "Watchdog", "severity": "none" });
    let notes = json!({ "summary": "always fires: call people when it no longer comes" });
    json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"Watchdog\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "heartbeat",
        "groupLabels": { "alertname": "Watchdog" },
        "commonLabels": labels,
        "commonAnnotations": notes,
        "externalURL": public_url.unwrap_or_default(),
        "alerts": [{
            "status": "firing",
            "labels": labels,
            "annotations": notes,
            "startsAt": since.to_rfc3339(),
            "endsAt": NEVER,
            "generatorURL": public_url.unwrap_or_default(),
            "fingerprint": fingerprint("Watchdog"),
        }],
    })
    .to_string()
}

fn alert(told: &Told, labels: &BTreeMap<&str, String>, notes: &BTreeMap<&str, String>) -> Value {
    let rfc3339 = |ms| Timestamp::from_millis(ms).to_rfc3339();
    let alarm = &told.alarm;
    let end = alarm.ended.or(alarm.returned_at).filter(|_| told.is_over());
    json!({
        "status": if told.is_over() { "resolved" } else { "firing" },
        "labels": labels,
        "annotations": notes,
        "startsAt": rfc3339(told.since),
        "endsAt": end.map_or_else(|| NEVER.to_owned(), rfc3339),
        "generatorURL": told.acknowledge,
        "fingerprint": fingerprint(&alarm.id),
    })
}

/// 16 hexadecimal digits that stand for an occurrence.
fn fingerprint(id: &str) -> String {
    hash(id).chars().take(16).collect()
}

fn labels(told: &Told) -> BTreeMap<&'static str, String> {
    let alarm = &told.alarm;
    let mut labels = BTreeMap::from([
        ("alertname", told.rule_name().to_owned()),
        ("severity", alarm.priority.clone()),
        ("site", alarm.site.clone()),
        ("town", alarm.town.clone()),
        ("device", alarm.device.clone()),
        ("domain", alarm.domain.clone()),
        ("occurrence", alarm.id.clone()),
    ]);
    if let Some(signal) = &alarm.signal {
        labels.insert("signal", signal.clone());
    }
    if !told.tags.is_empty() {
        labels.insert("tags", told.tags.join(","));
    }
    labels.retain(|_, value| !value.is_empty());
    labels
}

fn annotations(told: &Told) -> BTreeMap<&'static str, String> {
    let subject = told.subject();
    let mut notes = BTreeMap::from([
        ("summary", subject.en),
        ("summary_zh", subject.zh),
        ("description", told.text.en.clone()),
        ("description_zh", told.text.zh.clone()),
        ("quality", told.alarm.quality.clone()),
        ("event", told.event.clone()),
    ]);
    for (name, number) in [("value", told.alarm.value), ("limit", told.alarm.limit)] {
        if let Some(number) = number {
            notes.insert(name, number.to_string());
        }
    }
    notes
}

/// What all of them share.
fn common(maps: &[BTreeMap<&'static str, String>]) -> BTreeMap<&'static str, String> {
    let Some((first, others)) = maps.split_first() else {
        return BTreeMap::new();
    };
    let mut shared = first.clone();
    shared.retain(|name, value| others.iter().all(|map| map.get(name) == Some(value)));
    shared
}
