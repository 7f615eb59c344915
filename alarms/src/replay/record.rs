//! What a server judged, in the forms of `replay`: its rules in force as a file of rules, its messages, its people's acts and its
//! starts as input. Pure; `townwatch record` reads them where they lie and writes the files.
//!
//! What is played then is what the server did, as far as its rules did not change meanwhile, nothing was open before, and
//! its wall clock did not step.

#[cfg(test)]
mod live;
mod order;
mod rules;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use store::state::alarms::{AlarmStart, LogRow};
use telemetry::time::Span;
use telemetry::{Batch, Catalogue, Point, SeriesId, Timestamp};

use super::line::seconds;
use crate::engine::EventKind;
use crate::rules::{Rule, RuleError};
use crate::settings::AlarmSettings;
use order::{InOrder, Kind};

/// When the county's lights are due, beside its position.
#[derive(Clone, Copy, Debug)]
pub struct Lighting {
    /// So long after sunset.
    pub after_sunset: Span,
    /// Until so long before sunrise.
    pub before_sunrise: Span,
}

/// How much a recording holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Recorded {
    /// Readings of signals that rules look at.
    pub readings: u64,
    /// Messages by which devices were heard.
    pub heard: u64,
    /// What people did.
    pub acts: u64,
    /// Times at which the server began to judge.
    pub starts: u64,
    /// Lines whose time lies before that of a line already written, because the clock stepped back: they stand at that line's time.
    pub moved: u64,
}

/// Writes down what a server judged. Feed it in order of the journal; it sorts by time of arrival.
#[derive(Debug)]
pub struct Recorder {
    text: String,
    left_out: Vec<String>,
    names: FxHashMap<SeriesId, Box<str>>,
    devices: Vec<Arc<str>>,
    /// The device of each rule.
    owners: FxHashMap<Arc<str>, usize>,
    lines: InOrder,
    /// The act on a device that was written last: its rows in the log are many.
    last_act: Option<(Timestamp, Box<str>, Arc<str>)>,
    recorded: Recorded,
}

impl Recorder {
    /// A recorder of the rules that are in force on `catalogue` at `at`.
    ///
    /// # Errors
    /// [`RuleError`] where the server would not start with them either.
    pub fn new(
        catalogue: &Catalogue,
        settings: &AlarmSettings,
        lighting: Lighting,
        at: Timestamp,
    ) -> Result<Self, RuleError> {
        let compiled = crate::rules::compile(catalogue, &settings.book, at, settings.fault_off_delay)?;
        let (rules, unsaid): (Vec<Rule>, Vec<Rule>) =
            compiled.rules.into_iter().partition(rules::can_be_said);
        let mut left_out: Vec<String> = unsaid.iter().map(|rule| format!("rule {}", rule.id)).collect();
        let of_places = settings.routes.iter().filter(|route| route.asks_for_place());
        left_out.extend(of_places.map(|route| format!("a route to {} by its place", route.to)));
        let names = rules::names(catalogue, &rules);
        let text = rules::text(catalogue, settings, lighting, &rules, &names);
        let devices = catalogue.devices().iter();
        Ok(Self {
            text,
            left_out,
            names,
            devices: devices.map(|entry| entry.device.id.as_str().into()).collect(),
            owners: rules
                .iter()
                .map(|Rule { id, device, .. }| (Arc::clone(id), *device))
                .collect(),
            lines: InOrder::default(),
            last_act: None,
            recorded: Recorded::default(),
        })
    }

    /// The file of rules.
    #[must_use]
    pub fn rules(&self) -> &str {
        &self.text
    }

    /// What the form of replay has no words for: rules over several devices, of run time or by the sun, and routes by place.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The server began to judge.
    pub fn start(&mut self, start: AlarmStart) {
        self.recorded.starts += 1;
        self.lines.start(start);
    }

    /// A stretch of the journal, decoded.
    pub fn batch(&mut self, batch: &Batch) {
        for (device, arrived) in &batch.heard {
            if let Some(name) = self.devices.get(*device) {
                self.recorded.heard += 1;
                let heard = json!({ "device": &**name });
                self.lines.push(*arrived, Kind::Heard, one("heard", heard));
            }
        }
        for point in &batch.points {
            if let Some(name) = self.names.get(&point.series) {
                self.recorded.readings += 1;
                self.lines
                    .push(point.arrived, Kind::Sample, one("sample", sample(name, point)));
            }
        }
    }

    /// A row of the log of the alarms: only what a person did is taken. Rows come in their order.
    pub fn log(&mut self, row: &LogRow) {
        let Some(by) = &row.by else { return };
        let detail: Value = serde_json::from_str(&row.body).unwrap_or_default();
        let is = |event: EventKind| &*row.event == event.name();
        let reason = row.remark.as_deref().unwrap_or_default();
        let of_rule = is(EventKind::Acknowledged)
            || is(EventKind::Reset)
            || is(EventKind::Shelved)
            || is(EventKind::Unshelved);
        let mut act = Map::new();
        let what = if of_rule {
            act.insert("rule".to_owned(), json!(row.rule));
            if is(EventKind::Acknowledged) {
                act.insert("occurrence".to_owned(), json!(row.occurrence));
                act.insert("remark".to_owned(), json!(reason));
                "ack"
            } else if is(EventKind::Reset) {
                "reset"
            } else if is(EventKind::Shelved) {
                act.insert("reason".to_owned(), json!(reason));
                "shelve"
            } else {
                "unshelve"
            }
        } else {
            let Some(what) = [
                (EventKind::OutOfService, "out_of_service"),
                (EventKind::InService, "return_to_service"),
                (EventKind::TestOn, "test_mode"),
                (EventKind::TestOff, "end_test"),
            ]
            .into_iter()
            .find_map(|(event, what)| is(event).then_some(what)) else {
                return;
            };
            let Some(device) = self.device_of(row, &detail) else {
                return;
            };
            let act_of_device = Some((row.at, row.event.clone(), Arc::clone(&device)));
            if self.last_act == act_of_device {
                return;
            }
            self.last_act = act_of_device;
            act.insert("point".to_owned(), json!(&*device));
            if is(EventKind::OutOfService) {
                act.insert("permit".to_owned(), json!(reason));
            }
            what
        };
        if let Some(until) = detail.get("until").and_then(Value::as_i64) {
            let time = Timestamp::from_millis(until.saturating_sub(row.at.millis()));
            act.insert("for".to_owned(), seconds(time));
        }
        act.insert("by".to_owned(), json!(by));
        self.recorded.acts += 1;
        self.lines.push(row.at, Kind::Act, one(what, Value::Object(act)));
    }

    /// The device that a person did something to.
    fn device_of(&self, row: &LogRow, detail: &Value) -> Option<Arc<str>> {
        let named = detail.get("device").and_then(Value::as_str).map(Arc::from);
        named.or_else(|| {
            let place = self.owners.get(&*row.rule)?;
            self.devices.get(*place).cloned()
        })
    }

    /// Writes the lines that nothing can come before any more.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        let moved = self.lines.write_settled(out)?;
        self.recorded.moved += moved;
        Ok(())
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self, out: &mut impl Write) -> std::io::Result<Recorded> {
        self.recorded.moved += self.lines.write_all(out)?;
        Ok(self.recorded)
    }
}

fn one(what: &str, body: Value) -> Map<String, Value> {
    let mut line = Map::new();
    line.insert(what.to_owned(), body);
    line
}

fn sample(name: &str, point: &Point) -> Value {
    let sample = point.sample;
    let mut body = Map::new();
    body.insert("point".to_owned(), json!(name));
    body.insert("time".to_owned(), seconds(sample.time));
    body.insert("value".to_owned(), value(sample.value));
    if !sample.quality.is_good() {
        body.insert("quality".to_owned(), json!(sample.quality.name()));
    }
    if point.backfill {
        body.insert("backfill".to_owned(), json!(true));
    }
    Value::Object(body)
}

/// A number that reads as the very same number; as text where only text does. What is none is null.
fn value(value: f64) -> Value {
    let number = json!(value);
    let same =
        serde_json::from_str::<f64>(&number.to_string()).is_ok_and(|read| read.to_bits() == value.to_bits());
    if same || !value.is_finite() {
        number
    } else {
        json!(value.to_string())
    }
}
