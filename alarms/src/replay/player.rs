//! Plays input into the engine, line by line, and writes down what it says.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use telemetry::time::Span;
use telemetry::{Bad, Point, Quality, Sample, SeriesId, Timestamp};

use super::ReplayError;
use super::file::{Compiled, ReplayPoint};
use super::input::{AckForm, Input, InputError, InputLine, PointForm, SampleForm, ShelveForm};
use super::line::{line, seconds};
use crate::condition_history::{Known, intervals};
use crate::engine::{Acknowledgement, Engine, Operator, Refusal, RuleState, Transition};
use crate::health::Health;
use crate::rules::Daylight;
use crate::rules::condition::FloodLimits;

/// Without another word a test lasts this long. Source: `alarms.md` §1.6.
const TEST_DEFAULT: Span = Span::from_secs(3600);
/// Without another word maintenance lasts this long.
const SERVICE_DEFAULT: Span = Span::from_secs(8 * 3600);

/// Files of rules that do not say where the sun shines know no street lights.
struct NoLamps;

impl Daylight for NoLamps {
    fn lights_due(&self, _at: Timestamp) -> bool {
        true
    }
}

/// What is stored of a point.
#[derive(Default)]
struct Stored {
    samples: BTreeMap<Timestamp, (f64, Quality)>,
    duplicates: u64,
    conflicts: u64,
}

/// What went wrong with a line.
pub(super) enum Failure {
    Input(InputError),
    Write(std::io::Error),
}

impl Failure {
    pub(super) fn at(self, refused: impl FnOnce(InputError) -> ReplayError) -> ReplayError {
        match self {
            Self::Input(error) => refused(error),
            Self::Write(error) => ReplayError::Write(error),
        }
    }
}

impl From<InputError> for Failure {
    fn from(error: InputError) -> Self {
        Self::Input(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

pub(super) struct Player {
    compiled: Compiled,
    folder: PathBuf,
    /// None before the first line.
    engine: Option<Engine>,
    at: Timestamp,
    /// The process is down until then.
    ready: Timestamp,
    shift_ms: i64,
    by_rule: HashMap<Arc<str>, usize>,
    stored: BTreeMap<Arc<str>, Stored>,
    health: Health,
    /// What would be on disk.
    rules_on_disk: BTreeMap<Box<str>, Option<String>>,
    devices_on_disk: BTreeMap<usize, Vec<u8>>,
    out: Vec<Transition>,
    lines: Vec<Value>,
}

fn secs(at: Timestamp) -> f64 {
    at.millis() as f64 / 1000.0
}

impl Player {
    pub(super) fn new(compiled: Compiled, folder: PathBuf) -> Self {
        let mut player = Self {
            compiled,
            folder,
            engine: None,
            at: Timestamp::from_millis(i64::MIN),
            ready: Timestamp::from_millis(i64::MIN),
            shift_ms: 0,
            by_rule: HashMap::new(),
            stored: BTreeMap::new(),
            health: Health::default(),
            rules_on_disk: BTreeMap::new(),
            devices_on_disk: BTreeMap::new(),
            out: Vec::new(),
            lines: Vec::new(),
        };
        player.index();
        player
    }

    fn index(&mut self) {
        self.by_rule = self
            .compiled
            .rules
            .iter()
            .enumerate()
            .map(|(place, rule)| (Arc::clone(&rule.id), place))
            .collect();
    }

    fn fresh_engine(&self, start: Timestamp) -> Engine {
        let Compiled {
            plant,
            rules,
            telling,
            spans,
            sun,
            ..
        } = &self.compiled;
        let daylight: Arc<dyn Daylight> = match sun {
            Some(sun) => Arc::clone(sun) as Arc<dyn Daylight>,
            None => Arc::new(NoLamps),
        };
        Engine::new(
            plant.clone(),
            rules.clone(),
            *spans,
            daylight,
            Arc::clone(telling),
            start,
        )
    }

    /// Plays one line.
    pub(super) fn play(&mut self, line: InputLine, out: &mut impl Write) -> Result<(), Failure> {
        let InputLine { at, what } = line;
        if at < self.at {
            return Err(InputError::Order {
                at: secs(at),
                before: secs(self.at),
            }
            .into());
        }
        if at < self.ready {
            return Err(InputError::Down {
                at: secs(at),
                ready: secs(self.ready),
            }
            .into());
        }
        self.at = at;
        let mut engine = match self.engine.take() {
            Some(engine) => engine,
            None => self.fresh_engine(at),
        };
        engine.advance_before_input(at, &mut self.out);
        let done = self.apply(&mut engine, what);
        // What came before a refused line stands.
        let written = self.print(&engine, out);
        self.engine = Some(engine);
        written?;
        done.map_err(Into::into)
    }

    fn apply(&mut self, engine: &mut Engine, what: Input) -> Result<(), InputError> {
        match what {
            Input::Sample(sample) => self.sample(engine, &sample),
            Input::Heard { device } => self.heard(engine, &device),
            Input::Clock => Ok(()),
            Input::ClockStep { by_ms } => {
                self.shift_ms = self.shift_ms.saturating_add(by_ms);
                engine.set_shift(self.shift_ms);
                Ok(())
            }
            Input::Ack(ack) => self.acknowledge(engine, &ack),
            Input::Reset(form) => {
                let operator = operator(&form.by, form.reason.as_deref(), None);
                self.on_rule(engine, &form.rule, &form.by, |engine, rule, out| {
                    engine.reset(rule, operator, out)
                })
            }
            Input::Shelve(form) => self.shelve(engine, &form),
            Input::Unshelve(form) => {
                let operator = operator(&form.by, form.reason.as_deref(), None);
                self.on_rule(engine, &form.rule, &form.by, |engine, rule, out| {
                    engine.unshelve(rule, operator, out)
                })
            }
            Input::Disable(form) => {
                let operator = operator(&form.by, form.reason.as_deref(), None);
                self.on_rule(engine, &form.rule, &form.by, |engine, rule, out| {
                    engine.disable(rule, operator, out)
                })
            }
            Input::OutOfService(form) => {
                let time = form.time.map_or(SERVICE_DEFAULT, |time| time.span());
                self.on_point(engine, &form, |engine, device, operator, out| {
                    engine.take_out_of_service(device, time, operator, out)
                })
            }
            Input::ReturnToService(form) => self.on_point(engine, &form, Engine::return_to_service),
            Input::TestMode(form) => {
                let time = form.time.map_or(TEST_DEFAULT, |time| time.span());
                self.on_point(engine, &form, |engine, device, operator, out| {
                    engine.test(device, time, operator, out)
                })
            }
            Input::EndTest(form) => self.on_point(engine, &form, Engine::end_test),
            Input::Rules { file, by } => self.change_rules(engine, &file, &by),
            Input::Restart { down_for } => self.restart(engine, down_for),
        }
    }

    fn heard(&mut self, engine: &mut Engine, name: &str) -> Result<(), InputError> {
        let device = self.device(name)?;
        let arrived = Timestamp::from_millis(self.at.millis().saturating_add(self.shift_ms));
        engine.hear(device, arrived, &mut self.out);
        Ok(())
    }

    /// The device of a point, or the device itself where the file names it.
    fn device(&self, name: &str) -> Result<usize, InputError> {
        let point = self.compiled.points.get(name).map(|point| point.device);
        let device = point.or_else(|| self.compiled.devices.get(name).copied());
        device.ok_or_else(|| InputError::Unknown {
            what: "point",
            name: name.to_owned(),
        })
    }

    fn sample(&mut self, engine: &mut Engine, form: &SampleForm) -> Result<(), InputError> {
        let Some((name, point)) = self.compiled.points.get_key_value(form.point.as_str()) else {
            return Err(InputError::Unknown {
                what: "point",
                name: form.point.clone(),
            });
        };
        let (value, quality) = reading(form, *point);
        let arrived = Timestamp::from_millis(self.at.millis().saturating_add(self.shift_ms));
        let point = Point {
            series: point.series,
            sample: Sample {
                time: form.time.timestamp(),
                value,
                quality,
            },
            arrived,
            backfill: form.backfill,
        };
        let (time, quality) = engine.taken(&point);
        let stored = self.stored.entry(Arc::clone(name)).or_default();
        match stored.samples.insert(time, (value, quality)) {
            Some((before, trust)) if before.to_bits() == value.to_bits() && trust == quality => {
                stored.duplicates += 1;
            }
            Some(_) => stored.conflicts += 1,
            None => {}
        }
        engine.sample(&point, &mut self.out);
        Ok(())
    }

    fn acknowledge(&mut self, engine: &mut Engine, form: &AckForm) -> Result<(), InputError> {
        let places: Vec<usize> = match &form.rule {
            Some(rule) => match self.by_rule.get(rule.as_str()) {
                Some(place) => vec![*place],
                None => {
                    self.no_such_rule(engine, rule, &form.by);
                    return Ok(());
                }
            },
            None => (0..self.compiled.rules.len())
                .filter(|place| {
                    let state = engine.state(*place);
                    state.is_some_and(|state| state.alarm.wants_acknowledgement() && !state.suppressed.any())
                })
                .collect(),
        };
        for place in places {
            let newest = engine.state(place).map_or(0, |state| state.occurrence);
            let acknowledgement = Acknowledgement {
                by: form.by.as_str().into(),
                remark: form.remark.as_str().into(),
                at: engine.now(),
            };
            let occurrence = form.occurrence.unwrap_or(newest);
            let done = engine.acknowledge(place, occurrence, acknowledgement, form.seen, &mut self.out);
            if let Err(refusal) = done {
                engine.refused(Some(place), &form.by, &refusal.to_string(), &mut self.out);
            }
        }
        Ok(())
    }

    fn shelve(&mut self, engine: &mut Engine, form: &ShelveForm) -> Result<(), InputError> {
        let time = form
            .time
            .map_or(self.compiled.spans.shelve_max, |time| time.span());
        let operator = operator(&form.by, form.reason.as_deref(), form.second.as_deref());
        self.on_rule(engine, &form.rule, &form.by, |engine, rule, out| {
            engine.shelve(rule, time, operator, out)
        })
    }

    fn on_rule(
        &mut self,
        engine: &mut Engine,
        rule: &str,
        by: &str,
        act: impl FnOnce(&mut Engine, usize, &mut Vec<Transition>) -> Result<(), Refusal>,
    ) -> Result<(), InputError> {
        let Some(place) = self.by_rule.get(rule).copied() else {
            self.no_such_rule(engine, rule, by);
            return Ok(());
        };
        if let Err(refusal) = act(engine, place, &mut self.out) {
            engine.refused(Some(place), by, &refusal.to_string(), &mut self.out);
        }
        Ok(())
    }

    fn on_point(
        &mut self,
        engine: &mut Engine,
        form: &PointForm,
        act: impl FnOnce(&mut Engine, usize, Operator<'_>, &mut Vec<Transition>) -> Result<(), Refusal>,
    ) -> Result<(), InputError> {
        let device = self.device(&form.point)?;
        let operator = operator(&form.by, form.permit.as_deref(), None);
        if let Err(refusal) = act(engine, device, operator, &mut self.out) {
            engine.refused(None, &form.by, &refusal.to_string(), &mut self.out);
        }
        Ok(())
    }

    /// People may ask for a rule that new rules have taken away: refused, as in a running system.
    fn no_such_rule(&mut self, engine: &mut Engine, rule: &str, by: &str) {
        let why = format!("there is no rule {rule:?}");
        engine.refused(None, by, &why, &mut self.out);
    }

    fn change_rules(&mut self, engine: &mut Engine, file: &str, by: &str) -> Result<(), InputError> {
        let refused = |error: &dyn std::error::Error| {
            let cause = error
                .source()
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            InputError::Rules(format!("{error}{cause}"))
        };
        let compiled = super::compile(&self.folder.join(file)).map_err(|error| refused(&error))?;
        engine.retire_rules(&compiled.rules, by, &mut self.out);
        // Places in the engine change: what was said so far is written down with the old ones.
        self.write_down(engine);
        engine
            .replace_rules(
                compiled.plant.clone(),
                compiled.rules.clone(),
                Arc::clone(&compiled.telling),
                compiled.spans,
                &mut self.out,
            )
            .map_err(InputError::Restart)?;
        self.compiled = compiled;
        self.index();
        self.rules_on_disk.clear();
        self.devices_on_disk.clear();
        Ok(())
    }

    /// The process dies and starts again from what it had written down.
    fn restart(&mut self, engine: &mut Engine, down_for: Span) -> Result<(), InputError> {
        self.commit(engine)?;
        let ready = self.at.plus(down_for);
        let mut next = self.fresh_engine(ready);
        next.restore_version(engine.version());
        for (device, body) in &self.devices_on_disk {
            next.restore_device(*device, body).map_err(InputError::Restart)?;
        }
        for (rule, body) in &self.rules_on_disk {
            let (Some(place), Some(body)) = (self.by_rule.get(&**rule), body) else {
                continue;
            };
            let state = RuleState::from_body(body).map_err(|error| {
                InputError::Restart(crate::engine::DamagedState {
                    of: rule.to_string(),
                    what: error.to_string(),
                })
            })?;
            next.restore_rule(*place, state);
        }
        next.set_shift(self.shift_ms);
        next.restored(engine.now(), engine.seq(), ready);
        next.wake(ready);
        self.ready = ready;
        *engine = next;
        Ok(())
    }

    /// What a commit writes.
    fn commit(&mut self, engine: &mut Engine) -> Result<(), InputError> {
        let (rules, devices) = engine.take_changes().map_err(InputError::Restart)?;
        self.rules_on_disk
            .extend(rules.into_iter().map(|rule| (rule.id, rule.body)));
        self.devices_on_disk
            .extend(devices.into_iter().map(|device| (device.device, device.body)));
        Ok(())
    }

    /// Turns what was said into lines.
    fn write_down(&mut self, engine: &Engine) {
        for transition in std::mem::take(&mut self.out) {
            self.health.take(engine, &transition);
            self.lines.push(line(&transition, engine.rules(), engine.plant()));
        }
    }

    fn print(&mut self, engine: &Engine, out: &mut impl Write) -> std::io::Result<()> {
        self.write_down(engine);
        for line in self.lines.drain(..) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Ends the run at the last line, or at `until`.
    pub(super) fn end(mut self, until: Option<Timestamp>, out: &mut impl Write) -> std::io::Result<()> {
        let Some(mut engine) = self
            .engine
            .take()
            .or_else(|| until.map(|at| self.fresh_engine(at)))
        else {
            return Ok(());
        };
        let to = until.unwrap_or(self.at).max(self.ready).max(self.at);
        engine.advance(to, &mut self.out);
        self.print(&engine, out)?;
        let line = json!({
            "at": seconds(to),
            "seq": engine.seq() + 1,
            "event": "end",
            "open": open(&engine),
            "history": self.history(to),
            "points": self.points(),
            "areas": areas(&engine),
            "health": self.health.report(&engine, FloodLimits::default()),
        });
        writeln!(out, "{line}")
    }

    fn history(&self, to: Timestamp) -> Vec<Value> {
        let names: HashMap<SeriesId, &Arc<str>> = self
            .compiled
            .points
            .iter()
            .map(|(name, point)| (point.series, name))
            .collect();
        let mut found = Vec::new();
        for rule in &self.compiled.rules {
            let Some(stored) = rule
                .series
                .and_then(|series| names.get(&series))
                .and_then(|name| self.stored.get(*name))
            else {
                continue;
            };
            let samples = stored
                .samples
                .iter()
                .map(|(time, (value, quality))| -> Known { (*time, *value, *quality) });
            for interval in intervals(rule, samples, to) {
                found.push((Arc::clone(&rule.id), interval));
            }
        }
        found.sort_by(|a, b| (&a.0, a.1.from).cmp(&(&b.0, b.1.from)));
        found
            .into_iter()
            .map(|(rule, interval)| {
                json!({
                    "rule": &*rule,
                    "from": seconds(interval.from),
                    "to": interval.to.map_or(Value::Null, seconds),
                })
            })
            .collect()
    }

    fn points(&self) -> Vec<Value> {
        let mut names: Vec<&Arc<str>> = self.compiled.points.keys().collect();
        names.sort();
        let none = Stored::default();
        names
            .into_iter()
            .map(|name| {
                let stored = self.stored.get(name).unwrap_or(&none);
                json!({
                    "point": &**name,
                    "stored": stored.samples.len(),
                    "duplicates": stored.duplicates,
                    "conflicts": stored.conflicts,
                })
            })
            .collect()
    }
}

const fn operator<'a>(by: &'a str, reason: Option<&'a str>, second: Option<&'a str>) -> Operator<'a> {
    Operator { by, reason, second }
}

/// The value of a sample in the point's unit: a current is scaled, and what lies below the range is bad.
fn reading(form: &SampleForm, point: ReplayPoint) -> (f64, Quality) {
    let (value, quality) = form.reading();
    if let Some(range) = point.milliamperes {
        let (value, found) = telemetry::namur::read(value, range);
        return (value, quality.worse(found));
    }
    let below = point.range.is_some_and(|[low, _]| value < low);
    if below && !quality.is_bad() {
        (value, Quality::Bad(Bad::OutOfRange))
    } else {
        (value, quality)
    }
}

/// Every rule that is not normal, by its name.
fn open(engine: &Engine) -> Vec<Value> {
    let mut open: Vec<(&str, u32, &'static str)> = engine
        .rules()
        .iter()
        .enumerate()
        .filter_map(|(place, rule)| {
            let state = engine.state(place)?;
            let shown = state.shown();
            shown
                .is_open()
                .then_some((&*rule.id, state.occurrence, shown.name()))
        })
        .collect();
    open.sort_unstable();
    open.into_iter()
        .map(|(rule, occurrence, state)| json!({"rule": rule, "occurrence": occurrence, "state": state}))
        .collect()
}

/// How each group is: how many of its alarms are active, and the gravest.
fn areas(engine: &Engine) -> Vec<Value> {
    let mut areas: Vec<Value> = Vec::new();
    for (place, group) in engine.plant().groups.iter().enumerate() {
        let gravest = engine.gravest_in(place);
        areas.push(json!({
            "group": &*group.name,
            "points": group.members.len(),
            "active": engine.active_in(place),
            "worst": gravest,
        }));
    }
    areas
}
