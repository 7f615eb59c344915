//! An alarm as people and other programs see it.

use serde::{Deserialize, Serialize};
use telemetry::profile::{Domain, Priority, Title};
use telemetry::{Catalogue, Timestamp};

use crate::engine::{Acknowledgement, EventKind, RuleState, Tag};
use crate::lifecycle::AlarmState;
use crate::rules::{Condition, Rule};

/// One occurrence of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmView {
    /// `DEVICE~RULE-ID~OCCURRENCE`: safe in a URL as it stands. [`parse_id`] leads back.
    pub id: String,
    /// `DEVICE/RULE-ID`, `DEVICE/SIGNAL.fault` or `DEVICE.clock`.
    pub rule: String,
    /// Number of the occurrence, from 1.
    pub occurrence: u32,
    /// What people call the rule.
    pub title: Title,
    /// Which device.
    pub device: String,
    /// What people call it.
    pub device_name: Title,
    /// Where it stands.
    pub site: String,
    /// What people call the place.
    pub site_name: Title,
    /// Town or street.
    pub town: String,
    /// Which part of the county's life.
    pub domain: Domain,
    /// Which signal; none for silence and clock.
    pub signal: Option<String>,
    /// What people call it.
    pub signal_title: Option<Title>,
    /// UCUM code of its unit.
    pub unit: Option<String>,
    /// Decimals that its value is shown with.
    pub decimals: u8,
    /// The limit, where there is one.
    pub limit: Option<f64>,
    /// How much it matters.
    pub priority: Priority,
    /// Whether it may save a life.
    pub life_safety: bool,
    /// Where in the life cycle.
    pub state: AlarmState,
    /// Event time at which the violation began.
    pub since: Timestamp,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// Event time at which its end began.
    pub ended: Option<Timestamp>,
    /// When it cleared.
    pub returned_at: Option<Timestamp>,
    /// Who acknowledged it.
    pub acknowledged: Option<Acknowledgement>,
    /// The value that decided last; none for silence and clock.
    pub value: Option<f64>,
    /// Its quality, e.g. `good`.
    pub quality: String,
    /// The device is silent: nobody knows how it is now.
    pub stale: bool,
    /// Whether it, and the readings behind it, are on disk. When not, the disk is slow or fails, and after a crash it
    /// may be decided again.
    #[serde(default = "yes")]
    pub durable: bool,
    /// Marks.
    pub tags: Vec<Tag>,
    /// Number of its last transition.
    pub seq: u64,
    /// Number of the transition that raised it: what paging goes by.
    pub raised_seq: u64,
}

fn yes() -> bool {
    true
}

impl AlarmView {
    /// Whether somebody has still to do with it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.state.is_open()
    }

    /// The last occurrence of a rule; none when it never raised.
    #[must_use]
    pub fn of(catalogue: &Catalogue, rule: &Rule, state: &RuleState) -> Option<Self> {
        if state.occurrence == 0 {
            return None;
        }
        let entry = catalogue.devices().get(rule.shown_at)?;
        let site = catalogue.site_of(entry)?;
        let signal = rule.signal.and_then(|place| entry.profile.signals.get(place));
        // A run time is in hours, whatever the signal is in.
        let run_time = matches!(rule.condition, Condition::RunTime { .. });
        let unit = signal.map(|signal| signal.unit.to_string());
        let plain = || Title {
            zh: entry.device.id.as_str().into(),
            en: entry.device.id.as_str().into(),
        };
        Some(Self {
            id: id(&rule.id, state.occurrence),
            rule: rule.id.to_string(),
            occurrence: state.occurrence,
            title: rule.title.clone(),
            device: entry.device.id.to_string(),
            device_name: entry.device.name.clone().unwrap_or_else(plain),
            site: site.id.to_string(),
            site_name: site.name.clone(),
            town: site.town.to_string(),
            domain: entry.profile.domain,
            signal: signal.map(|signal| signal.name.to_string()),
            signal_title: signal.map(|signal| signal.title.clone()),
            unit: if run_time { Some("h".to_owned()) } else { unit },
            decimals: if run_time {
                1
            } else {
                signal.map_or(0, |signal| signal.decimals)
            },
            limit: rule.condition.limit(),
            priority: rule.priority,
            life_safety: rule.life_safety,
            state: state.shown(),
            since: state.since,
            raised_at: state.raised_at,
            ended: state.ended,
            returned_at: state.returned_at,
            acknowledged: state.acknowledged.clone(),
            value: state.value,
            quality: state.quality.name().to_owned(),
            stale: state.stale,
            durable: true,
            tags: state.tags.list(),
            seq: state.seq,
            raised_seq: state.raised_seq,
        })
    }
}

/// One change of one alarm, as it is broadcast.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmChange {
    /// What happened.
    pub event: EventKind,
    /// When, on the engine's time.
    pub at: Timestamp,
    /// Number of the transition.
    pub seq: u64,
    /// Marks of the transition.
    pub tags: Vec<Tag>,
    /// The alarm after it.
    pub alarm: AlarmView,
    /// Whether it is on disk. When not, the disk failed, and the same change is decided again after a crash.
    pub durable: bool,
}

/// One row of the log, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogView {
    /// Its number.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What, e.g. `raised`.
    pub event: String,
    /// Which rule.
    pub rule: String,
    /// Which occurrence.
    pub occurrence: u32,
    /// Who, for what a person did.
    pub by: Option<String>,
    /// What they said.
    pub remark: Option<String>,
    /// Whether the figures of alarm health count it as a call; set where the log is asked by time.
    pub call: bool,
    /// `since`, `value`, `quality`, `state`, `tags`; where it applies `page`, `priority`, `life_safety`, `raised_at`, `acknowledged`,
    /// `second`, `until`.
    pub detail: serde_json::Value,
}

/// The id of an occurrence in a URL.
#[must_use]
pub fn id(rule: &str, occurrence: u32) -> String {
    format!("{}~{occurrence}", rule.replace('/', "~"))
}

/// Rule and occurrence behind an id; also of the form `DEVICE/RULE#OCCURRENCE`.
#[must_use]
pub fn parse_id(id: &str) -> Option<(String, u32)> {
    let (rule, occurrence) = id.rsplit_once(['~', '#'])?;
    Some((rule.replacen('~', "/", 1), occurrence.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_rule_and_occurrence() {
        for (rule, text) in [("g-1/GAS-L1-03", "g-1~GAS-L1-03~2"), ("g-1.clock", "g-1.clock~2")] {
            assert_eq!(id(rule, 2), text);
            assert_eq!(parse_id(text), Some((rule.to_owned(), 2)));
        }
        assert_eq!(parse_id("g-1/GAS-L1-03#2"), Some(("g-1/GAS-L1-03".to_owned(), 2)));
        assert_eq!(parse_id("nonsense"), None);
        assert_eq!(parse_id("a~b~x"), None);
    }
}
