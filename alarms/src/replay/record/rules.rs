//! The rules in force as a file of rules: every device, every signal that a rule looks at, every rule with its limit resolved,
//! those of the engine itself included.

use std::collections::HashSet;
use std::fmt::{Display, Write};

use rustc_hash::FxHashMap;
use serde::Serialize;
use telemetry::profile::Active;
use telemetry::{Catalogue, DeviceEntry, SeriesId};

use super::Lighting;
use crate::rules::condition::Direction;
use crate::rules::{Condition, NO_DEVICE, Rule, Schedule};
use crate::settings::AlarmSettings;

/// Longest name of a point.
const NAME_CHARS_MAX: usize = 64;

type Names = FxHashMap<SeriesId, Box<str>>;

/// What each signal that a rule looks at is called: its device and its name, as CEL writes names.
pub(super) fn names(catalogue: &Catalogue, rules: &[Rule]) -> Names {
    let mut looked_at: HashSet<SeriesId> = HashSet::new();
    for rule in rules {
        looked_at.extend(rule.series);
        match &rule.condition {
            Condition::Deviation { other, .. } => looked_at.extend([*other]),
            Condition::Expression { inputs, .. } => looked_at.extend(inputs.iter()),
            _ => {}
        }
    }
    let (mut names, mut taken) = (Names::default(), HashSet::new());
    for entry in catalogue.devices() {
        for (series, signal) in entry.series.iter().zip(&entry.profile.signals) {
            if looked_at.contains(series) {
                let name = free_name(&format!("{}_{}", entry.device.id, signal.name), &taken);
                taken.insert(name.clone());
                names.insert(*series, name);
            }
        }
    }
    names
}

/// A name that nobody has yet: letters, digits and `_`, with a number behind it where another would be the same.
fn free_name(wanted: &str, taken: &HashSet<Box<str>>) -> Box<str> {
    let first = wanted.chars().next().filter(|first| !first.is_ascii_digit());
    let letters = (first.is_none().then_some('_').into_iter()).chain(wanted.chars());
    let plain: String = letters
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let mut name: String = plain.chars().take(NAME_CHARS_MAX).collect();
    let mut number = 2_u32;
    while taken.contains(name.as_str()) {
        let end = format!("_{number}");
        name = plain.chars().take(NAME_CHARS_MAX - end.len()).collect::<String>() + &end;
        number += 1;
    }
    name.into()
}

/// Whether the form of a file of rules has words for it.
pub(super) fn can_be_said(rule: &Rule) -> bool {
    let condition = !matches!(
        rule.condition,
        Condition::Vote { .. } | Condition::Protection { .. } | Condition::RunTime { .. }
    );
    let by_the_sun = rule.schedule.as_ref().is_some_and(Schedule::needs_sun);
    condition && rule.device != NO_DEVICE && !by_the_sun
}

/// The file.
pub(super) fn text(
    catalogue: &Catalogue,
    settings: &AlarmSettings,
    lighting: Lighting,
    rules: &[Rule],
    names: &Names,
) -> String {
    let mut file = File::default();
    head(&mut file, catalogue, settings);
    if rules.iter().any(|rule| rule.active != Active::Always) {
        let position = catalogue.registry().county.position;
        file.table("settings.sun");
        file.number("latitude", position.latitude);
        file.number("longitude", position.longitude);
        file.text("after_sunset", lighting.after_sunset);
        file.text("before_sunrise", lighting.before_sunrise);
    }
    for entry in catalogue.devices() {
        device(&mut file, entry, names);
    }
    let name = |place: usize| {
        let entry = catalogue.devices().get(place);
        entry.map_or("", |entry| entry.device.id.as_str())
    };
    for found in rules {
        file.list("rule");
        file.text("id", &found.id);
        match found.series.and_then(|series| names.get(&series)) {
            Some(point) => file.text("point", point),
            None => file.text("device", name(found.device)),
        }
        rule(&mut file, found, names);
    }
    for route in settings.routes.iter().filter(|route| !route.asks_for_place()) {
        file.list("route");
        file.form(route);
    }
    for step in &settings.escalation {
        file.list("escalation");
        file.form(step);
    }
    for duty in &settings.roster {
        file.list("roster");
        file.form(duty);
    }
    file.0
}

fn head(file: &mut File, catalogue: &Catalogue, settings: &AlarmSettings) {
    file.table("settings");
    file.text("zone", &catalogue.registry().county.zone);
    file.text("lateness", settings.lateness);
    file.text("live_age", settings.live_age);
    file.text("future_tolerance", settings.future_tolerance);
    file.text("grace", settings.grace);
    file.text("shelve_max", settings.shelve_max);
    file.plain("own_alarms", false);
}

fn device(file: &mut File, entry: &DeviceEntry, names: &Names) {
    let life_safety = entry.profile.life_safety;
    file.list("device");
    file.text("name", &entry.device.id);
    file.text("kind", &entry.profile.kind);
    file.text("period", entry.profile.report_interval);
    if life_safety {
        file.text("class", "life-safety");
    }
    if let Some(gateway) = &entry.device.gateway {
        file.text("gateway", gateway);
    }
    for (series, signal) in entry.series.iter().zip(&entry.profile.signals) {
        let Some(name) = names.get(series) else { continue };
        file.list("point");
        file.text("name", name);
        file.text("device", &entry.device.id);
        // Only where a life may be at stake an end of the range is gas, and not a fault.
        if let Some([low, high]) = signal.range.filter(|_| life_safety) {
            file.plain("range", format!("[{}, {}]", float(low), float(high)));
        }
    }
}

fn rule(file: &mut File, rule: &Rule, names: &Names) {
    condition(file, &rule.condition, names);
    file.text("on_delay", rule.on_delay);
    file.text("off_delay", rule.off_delay);
    file.name("priority", rule.priority);
    if rule.latching {
        file.plain("latching", true);
    }
    if let Some(span) = rule.re_alarm {
        file.text("re_alarm", span);
    }
    if let Some(schedule) = &rule.schedule {
        file.text("schedule", schedule);
    }
    match rule.active {
        Active::Always => {}
        Active::LightingNight => file.text("active", "lighting_night"),
        Active::LightingDay => file.text("active", "lighting_day"),
    }
}

fn condition(file: &mut File, condition: &Condition, names: &Names) {
    let point = |series: &SeriesId| names.get(series).map_or("", |name| name);
    match condition {
        Condition::High { limit, deadband, .. } => file.limit("high", *limit, *deadband),
        Condition::Low { limit, deadband } => file.limit("low", *limit, *deadband),
        Condition::State(values) => {
            file.text("kind", "state");
            file.numbers("values", values);
        }
        Condition::Change { from, to } => {
            file.text("kind", "change");
            file.numbers("from", from);
            file.numbers("to", to);
        }
        Condition::Rate { .. } | Condition::Stuck { .. } | Condition::Counter { .. } => {
            of_several_samples(file, condition);
        }
        Condition::Deviation {
            other,
            limit,
            deadband,
        } => {
            file.limit("deviation", *limit, *deadband);
            file.text("other", point(other));
        }
        Condition::Expression { expression, inputs } => {
            file.text("kind", "cel");
            file.text("expression", expression.text());
            let called = expression.names().iter().zip(inputs.iter());
            let called: Vec<String> = called
                .map(|(name, series)| format!("{name} = {}", quoted(point(series))))
                .collect();
            file.plain("names", format!("{{ {} }}", called.join(", ")));
        }
        Condition::Silence { after } => {
            file.text("kind", "silence");
            file.text("for", after);
        }
        Condition::Fault { .. } => file.text("kind", "fault"),
        Condition::Clock => file.text("kind", "clock"),
        Condition::Flood(_) => file.text("kind", "flood"),
        // [`can_be_said`] leaves them out.
        Condition::Vote { .. } | Condition::Protection { .. } | Condition::RunTime { .. } => {}
    }
}

/// A condition for which one sample is not enough.
fn of_several_samples(file: &mut File, condition: &Condition) {
    match condition {
        Condition::Rate {
            limit,
            per,
            deadband,
            max_gap,
            direction,
        } => {
            file.limit("rate", *limit, *deadband);
            file.text("per", per);
            file.text("max_gap", max_gap);
            match direction {
                Direction::Both => {}
                Direction::Rise => file.text("direction", "rise"),
                Direction::Fall => file.text("direction", "fall"),
            }
        }
        Condition::Stuck {
            epsilon,
            after,
            samples,
            zero_exempt,
        } => {
            file.text("kind", "stuck");
            file.number("epsilon", *epsilon);
            file.text("for", after);
            file.plain("samples", samples);
            file.plain("zero_exempt", zero_exempt);
        }
        Condition::Counter {
            modulus,
            limit,
            deadband,
            window,
            reset_from_zero,
        } => {
            file.limit("counter", *limit, *deadband);
            if let Some(modulus) = modulus {
                // 2 to a power of 1 to 64.
                file.plain("bits", modulus.log2());
            }
            if let Some(window) = window {
                file.text("window", window);
            }
            if !reset_from_zero {
                file.text("on_reset", "unknown");
            }
        }
        _ => {}
    }
}

/// TOML, line by line.
#[derive(Default)]
struct File(String);

impl File {
    fn line(&mut self, line: impl Display) {
        // Writing to a text does not fail.
        let _written = writeln!(self.0, "{line}");
    }

    fn table(&mut self, name: &str) {
        self.line(format_args!("[{name}]"));
    }

    fn list(&mut self, name: &str) {
        self.line(format_args!("[[{name}]]"));
    }

    fn plain(&mut self, key: &str, value: impl Display) {
        self.line(format_args!("{key} = {value}"));
    }

    fn text(&mut self, key: &str, value: impl Display) {
        self.plain(key, quoted(&value.to_string()));
    }

    fn number(&mut self, key: &str, value: f64) {
        self.plain(key, float(value));
    }

    fn numbers(&mut self, key: &str, values: &[f64]) {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| float(*value)).collect();
            self.plain(key, format!("[{}]", values.join(", ")));
        }
    }

    fn limit(&mut self, kind: &str, limit: f64, deadband: f64) {
        self.text("kind", kind);
        self.number("limit", limit);
        if deadband > 0.0 {
            self.number("deadband", deadband);
        }
    }

    /// A value that is written as a word.
    fn name(&mut self, key: &str, value: impl Serialize) {
        if let Ok(value) = toml::Value::try_from(value) {
            self.plain(key, value);
        }
    }

    /// A form that can be written as it is read.
    fn form(&mut self, form: &impl Serialize) {
        if let Ok(text) = toml::to_string(form) {
            self.0.push_str(&text);
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn float(value: f64) -> String {
    toml::Value::Float(value).to_string()
}
