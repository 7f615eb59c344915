//! A file of rules: TOML in, what the engine watches for out. Every refusal says where and why.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;
use telemetry::SeriesId;
use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;

use crate::engine::Spans;
use crate::rules::condition::{Direction, FloodLimits};
use crate::rules::expression::Expression;
use crate::rules::{Condition, NO_DEVICE, Plant, PlantDevice, PlantGroup, Rule, Schedule};
use crate::telling::{Duty, Route, Step, Telling};

/// Most points and most rules. More: refused.
const ENTRIES_MAX: usize = 1_000_000;

/// Why a file of rules is refused: where and what, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RulesError(String);

fn refused(what: impl Into<String>) -> RulesError {
    RulesError(what.into())
}

/// A file of rules, compiled.
#[derive(Debug)]
pub struct Compiled {
    /// What stands behind the rules.
    pub plant: Plant,
    /// Every rule, those of the engine last.
    pub rules: Vec<Rule>,
    /// Who is told.
    pub telling: Arc<Telling>,
    /// The spans of the semantics.
    pub spans: Spans,
    /// The points by name.
    pub points: HashMap<Arc<str>, ReplayPoint>,
}

/// What a sample of a point is.
#[derive(Clone, Copy, Debug)]
pub struct ReplayPoint {
    /// Its series; its device has the same number.
    pub series: SeriesId,
    /// Full scale, where it comes as milliamperes.
    pub milliamperes: Option<[f64; 2]>,
    /// Full scale, where the file says it.
    pub range: Option<[f64; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    zone: Box<str>,
    lateness: Span,
    live_age: Span,
    future_tolerance: Span,
    grace: Span,
    fault_off_delay: Span,
    shelve_max: Span,
    flood_begins_above: u32,
    flood_ends_below: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let flood = FloodLimits::default();
        Self {
            zone: "Asia/Shanghai".into(),
            lateness: Span::from_secs(30),
            live_age: Span::from_secs(900),
            future_tolerance: Span::from_secs(60),
            grace: Span::from_secs(60),
            fault_off_delay: Span::ZERO,
            shelve_max: Span::from_secs(8 * 3600),
            flood_begins_above: flood.begins_above,
            flood_ends_below: flood.ends_below,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    settings: Settings,
    #[serde(default)]
    point: Vec<PointForm>,
    #[serde(default)]
    rule: Vec<RuleForm>,
    #[serde(default)]
    escalation: Vec<Step>,
    #[serde(default)]
    route: Vec<Route>,
    #[serde(default)]
    roster: Vec<Duty>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Class {
    LifeSafety,
    Normal,
}

#[derive(Clone, Copy, Deserialize)]
enum SignalForm {
    #[serde(rename = "4-20mA")]
    FourToTwenty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PointForm {
    name: Box<str>,
    #[serde(default)]
    kind: Box<str>,
    period: Option<Span>,
    stale_after: Option<Span>,
    #[serde(default = "normal")]
    class: Class,
    group: Option<Box<str>>,
    gateway: Option<Box<str>>,
    signal: Option<SignalForm>,
    range: Option<[f64; 2]>,
}

const fn normal() -> Class {
    Class::Normal
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    High,
    Low,
    State,
    Change,
    Rate,
    Stuck,
    Counter,
    Deviation,
    Vote,
    Cel,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnReset {
    FromZero,
    Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleForm {
    id: Box<str>,
    point: Option<Box<str>>,
    kind: Kind,
    limit: Option<f64>,
    #[serde(default)]
    deadband: f64,
    #[serde(default)]
    on_delay: Span,
    #[serde(default)]
    off_delay: Span,
    priority: Option<Priority>,
    #[serde(default)]
    latching: bool,
    re_alarm: Option<Span>,
    schedule: Option<Box<str>>,
    value: Option<f64>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    from: Vec<f64>,
    #[serde(default)]
    to: Vec<f64>,
    per: Option<Span>,
    max_gap: Option<Span>,
    #[serde(default)]
    direction: Direction,
    #[serde(default)]
    epsilon: f64,
    #[serde(rename = "for")]
    time: Option<Span>,
    samples: Option<u32>,
    bits: Option<u32>,
    window: Option<Span>,
    on_reset: Option<OnReset>,
    other: Option<Box<str>>,
    group: Option<Box<str>>,
    votes: Option<usize>,
    expression: Option<Box<str>>,
}

impl Compiled {
    /// Compiles the text of a file.
    ///
    /// # Errors
    /// [`RulesError`] that says where and why: a line of the file, or the point or rule.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let file: File =
            toml::from_str(text).map_err(|error| refused(error.to_string().trim().to_owned()))?;
        let Settings { zone, .. } = &file.settings;
        let zone =
            TimeZone::get(zone).map_err(|_| refused(format!("[settings] there is no zone {zone:?}")))?;
        let telling = Telling::new(file.route, &file.escalation, &file.roster, &zone).map_err(refused)?;
        for (what, count) in [("point", file.point.len()), ("rule", file.rule.len())] {
            if count > ENTRIES_MAX {
                return Err(refused(format!(
                    "{count} entries of [[{what}]]; at most {ENTRIES_MAX} are allowed"
                )));
            }
        }
        let mut maker = Maker::new(&file.point, zone)?;
        for form in &file.rule {
            maker
                .rule(form)
                .map_err(|why| refused(format!("[[rule]] {}: {why}", form.id)))?;
        }
        maker.system_rules(&file.point, &file.settings);
        let settings = &file.settings;
        Ok(Self {
            plant: maker.plant,
            rules: maker.rules,
            telling: Arc::new(telling),
            spans: Spans {
                lateness: settings.lateness,
                live_age: settings.live_age,
                future_tolerance: settings.future_tolerance,
                grace: settings.grace,
                shelve_max: settings.shelve_max,
            },
            points: maker.points,
        })
    }
}

struct Maker {
    zone: TimeZone,
    plant: Plant,
    points: HashMap<Arc<str>, ReplayPoint>,
    groups: BTreeMap<Box<str>, usize>,
    voting: HashSet<usize>,
    rules: Vec<Rule>,
    ids: HashSet<Box<str>>,
}

impl Maker {
    fn new(forms: &[PointForm], zone: TimeZone) -> Result<Self, RulesError> {
        let mut maker = Self {
            zone,
            plant: Plant::default(),
            points: HashMap::new(),
            groups: BTreeMap::new(),
            voting: HashSet::new(),
            rules: Vec::new(),
            ids: HashSet::new(),
        };
        for form in forms {
            maker
                .point(form)
                .map_err(|why| refused(format!("[[point]] {}: {why}", form.name)))?;
        }
        maker.gateways(forms)?;
        Ok(maker)
    }

    fn point(&mut self, form: &PointForm) -> Result<(), String> {
        if !is_identifier(&form.name) {
            return Err("a name is a letter or _, then letters, digits and _".to_owned());
        }
        if let Some([low, high]) = form.range
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(format!("range = [{low}, {high}]: the lower end comes first"));
        }
        for (what, span) in [("period", form.period), ("stale_after", form.stale_after)] {
            if span == Some(Span::ZERO) {
                return Err(format!("{what} is 0"));
            }
        }
        let name: Arc<str> = Arc::from(&*form.name);
        let device = self.plant.devices.len();
        let series = SeriesId(u32::try_from(device).map_err(|_| "too many points".to_owned())?);
        let milliamperes = form
            .signal
            .map(|SignalForm::FourToTwenty| form.range.unwrap_or([0.0, 100.0]));
        let point = ReplayPoint {
            series,
            milliamperes,
            range: form.range.or(milliamperes),
        };
        if self.points.insert(Arc::clone(&name), point).is_some() {
            return Err("the name stands there twice".to_owned());
        }
        let group = form.group.as_ref().map(|name| self.group(name));
        if let Some(group) = group.and_then(|group| self.plant.groups.get_mut(group)) {
            group.members.push((device, series));
        }
        self.plant.devices.push(PlantDevice {
            name,
            kind: Arc::from(&*form.kind),
            gateway: None,
            group,
            life_safety: form.class == Class::LifeSafety,
            period: form.period,
            mute: false,
        });
        Ok(())
    }

    fn group(&mut self, name: &str) -> usize {
        if let Some(place) = self.groups.get(name) {
            return *place;
        }
        let place = self.plant.groups.len();
        self.plant.groups.push(PlantGroup {
            name: name.into(),
            members: Vec::new(),
        });
        self.groups.insert(name.into(), place);
        place
    }

    /// Each gateway is a device without a voice of its own.
    fn gateways(&mut self, forms: &[PointForm]) -> Result<(), RulesError> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (device, form) in forms.iter().enumerate() {
            let Some(gateway) = form.gateway.as_deref() else {
                continue;
            };
            if self.points.contains_key(gateway) || gateway.is_empty() {
                return Err(refused(format!(
                    "[[point]] {}: gateway {gateway:?} needs a name of its own, which no point has",
                    form.name
                )));
            }
            let place = *places.entry(gateway).or_insert_with(|| {
                self.plant.devices.push(PlantDevice {
                    name: gateway.into(),
                    kind: "gateway".into(),
                    mute: true,
                    ..PlantDevice::default()
                });
                self.plant.devices.len() - 1
            });
            let vital = form.class == Class::LifeSafety;
            if let Some(device) = self.plant.devices.get_mut(place) {
                device.life_safety = device.life_safety || vital;
            }
            if let Some(device) = self.plant.devices.get_mut(device) {
                device.gateway = Some(place);
            }
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(usize, SeriesId), String> {
        let point = self
            .points
            .get(name)
            .ok_or_else(|| format!("there is no point {name:?}"))?;
        let device = usize::try_from(point.series.0).unwrap_or(NO_DEVICE);
        Ok((device, point.series))
    }

    fn rule(&mut self, form: &RuleForm) -> Result<(), String> {
        if form.id.is_empty() || !self.ids.insert(form.id.clone()) {
            return Err("an id is not empty, and stands there once".to_owned());
        }
        for (what, number) in [
            ("limit", form.limit),
            ("deadband", Some(form.deadband)),
            ("epsilon", Some(form.epsilon)),
        ] {
            if number.is_some_and(|number| !number.is_finite() || (what != "limit" && number < 0.0)) {
                return Err(format!("{what} is no number of 0 or more"));
            }
        }
        form.check_keys()?;
        let own = match &form.point {
            Some(name) => Some(self.known(name)?),
            None => None,
        };
        let (condition, devices) = self.condition(form, own)?;
        let life_safety = devices.iter().any(|device| {
            self.plant
                .devices
                .get(*device)
                .is_some_and(|device| device.life_safety)
        });
        let schedule = match &form.schedule {
            Some(text) => Some(Schedule::parse(text, self.zone.clone())?),
            None => None,
        };
        let default = if life_safety {
            Priority::Critical
        } else {
            Priority::Medium
        };
        self.rules.push(Rule {
            id: Arc::from(&*form.id),
            title: named(&form.id),
            device: own.map_or(NO_DEVICE, |(device, _)| device),
            signal: None,
            series: own.map(|(_, series)| series),
            condition,
            on_delay: form.on_delay,
            off_delay: form.off_delay,
            priority: form.priority.unwrap_or(default),
            active: Active::Always,
            schedule,
            life_safety,
            latching: form.latching,
            re_alarm: form.re_alarm.filter(|span| *span != Span::ZERO),
            system: false,
        });
        Ok(())
    }

    /// The condition, and the devices that it looks at.
    fn condition(
        &mut self,
        form: &RuleForm,
        own: Option<(usize, SeriesId)>,
    ) -> Result<(Condition, Vec<usize>), String> {
        match form.kind {
            Kind::Vote => self.vote(form),
            Kind::Cel => self.expression(form),
            Kind::Deviation => {
                let (device, _) = own.ok_or("point is missing")?;
                let other = form
                    .other
                    .as_deref()
                    .ok_or("other is missing: the point it is compared with")?;
                let (second, other) = self.known(other)?;
                let condition = Condition::Deviation {
                    other,
                    limit: form.limit()?,
                    deadband: form.deadband,
                };
                Ok((condition, vec![device, second]))
            }
            Kind::High
            | Kind::Low
            | Kind::State
            | Kind::Change
            | Kind::Rate
            | Kind::Stuck
            | Kind::Counter => {
                let (device, series) = own.ok_or("point is missing")?;
                let range = self
                    .points
                    .values()
                    .find(|point| point.series == series)
                    .and_then(|point| point.range);
                let gas = self
                    .plant
                    .devices
                    .get(device)
                    .is_some_and(|device| &*device.kind == "gas");
                Ok((form.of_one(range, gas)?, vec![device]))
            }
        }
    }

    fn vote(&mut self, form: &RuleForm) -> Result<(Condition, Vec<usize>), String> {
        let name = form.group.as_deref().ok_or("group is missing")?;
        let group = *self
            .groups
            .get(name)
            .ok_or_else(|| format!("there is no group {name:?}"))?;
        let members = self
            .plant
            .groups
            .get(group)
            .map_or(&[][..], |group| &group.members);
        let votes = form.votes.ok_or("votes is missing")?;
        if votes == 0 || votes > members.len() {
            return Err(format!(
                "votes = {votes} of {} points; 1 to that many are allowed",
                members.len()
            ));
        }
        self.voting.insert(group);
        let condition = Condition::Vote {
            group,
            votes,
            limit: form.limit()?,
            deadband: form.deadband,
        };
        Ok((condition, members.iter().map(|(device, _)| *device).collect()))
    }

    fn expression(&self, form: &RuleForm) -> Result<(Condition, Vec<usize>), String> {
        let text = form.expression.as_deref().ok_or("expression is missing")?;
        let expression = Expression::compile(text, |name| self.points.contains_key(name))?;
        let mut inputs = Vec::with_capacity(expression.names().len());
        let mut devices = Vec::with_capacity(expression.names().len());
        for name in expression.names() {
            let (device, series) = self.known(name)?;
            inputs.push(series);
            devices.push(device);
        }
        let condition = Condition::Expression {
            expression: Arc::new(expression),
            inputs: inputs.into(),
        };
        Ok((condition, devices))
    }

    /// What the engine finds out by itself: silence, faults, clocks, lost protection, floods.
    fn system_rules(&mut self, forms: &[PointForm], settings: &Settings) {
        let mut silences: Vec<(usize, Priority, Span)> = Vec::new();
        for (device, form) in forms.iter().enumerate() {
            let vital = form.class == Class::LifeSafety;
            let series = u32::try_from(device).ok().map(SeriesId);
            let gravest = self.gravest(device);
            let plain = |id: String, condition, priority| Rule {
                title: named(&id),
                id: id.into(),
                device,
                condition,
                priority,
                life_safety: vital,
                ..mould()
            };
            if let Some(after) = form.stale_after {
                let default = if vital {
                    Priority::Critical
                } else {
                    Priority::Medium
                };
                let priority = gravest.unwrap_or(default);
                silences.push((device, priority, after));
                let id = format!("{}.silence", form.name);
                self.rules.push(plain(id, Condition::Silence { after }, priority));
            }
            let fault = Condition::Fault {
                silence_watched: false,
            };
            let priority = match gravest {
                _ if vital => Priority::High,
                Some(gravest) => gravest.min(Priority::High),
                None => Priority::Medium,
            };
            self.rules.push(Rule {
                series,
                off_delay: settings.fault_off_delay,
                ..plain(format!("{}.fault", form.name), fault, priority)
            });
            let priority = if vital { Priority::Medium } else { Priority::Low };
            self.rules.push(Rule {
                off_delay: settings.fault_off_delay,
                ..plain(format!("{}.clock", form.name), Condition::Clock, priority)
            });
        }
        self.gateway_rules(&silences);
        self.group_rules();
        self.rules.push(Rule {
            id: "system.flood".into(),
            title: named("system.flood"),
            condition: Condition::Flood(FloodLimits {
                begins_above: settings.flood_begins_above,
                ends_below: settings.flood_ends_below,
                ..FloodLimits::default()
            }),
            priority: Priority::High,
            ..mould()
        });
    }

    /// The gravest priority of the file's own rules on a point.
    fn gravest(&self, device: usize) -> Option<Priority> {
        let own = self
            .rules
            .iter()
            .filter(|rule| rule.device == device && !rule.system);
        own.map(|rule| rule.priority).max()
    }

    fn gateway_rules(&mut self, silences: &[(usize, Priority, Span)]) {
        for gateway in 0..self.plant.devices.len() {
            let behind = || {
                silences.iter().filter(|(child, ..)| {
                    self.plant
                        .devices
                        .get(*child)
                        .is_some_and(|child| child.gateway == Some(gateway))
                })
            };
            let Some(device) = self.plant.devices.get(gateway).filter(|device| device.mute) else {
                continue;
            };
            let (Some(priority), Some(after)) = (
                behind().map(|(_, priority, _)| *priority).max(),
                behind().map(|(.., after)| *after).max(),
            ) else {
                continue;
            };
            let id = format!("{}.silence", device.name);
            let rule = Rule {
                title: named(&id),
                id: id.into(),
                device: gateway,
                condition: Condition::Silence { after },
                priority,
                life_safety: device.life_safety,
                ..mould()
            };
            self.rules.push(rule);
        }
    }

    /// Protection is lost where points vote, or where several that may save a life stand together.
    fn group_rules(&mut self) {
        for (group, found) in self.plant.groups.iter().enumerate() {
            let vital = found
                .members
                .iter()
                .filter(|(device, _)| {
                    self.plant
                        .devices
                        .get(*device)
                        .is_some_and(|device| device.life_safety)
                })
                .count();
            if vital < 2 && !self.voting.contains(&group) {
                continue;
            }
            let id = format!("{}.protection", found.name);
            self.rules.push(Rule {
                title: named(&id),
                id: id.into(),
                condition: Condition::Protection { group },
                priority: Priority::Critical,
                life_safety: vital > 0,
                ..mould()
            });
        }
    }
}

impl RuleForm {
    fn limit(&self) -> Result<f64, String> {
        self.limit.ok_or_else(|| "limit is missing".to_owned())
    }

    /// A key that means nothing for its kind is most likely a mistake.
    fn check_keys(&self) -> Result<(), String> {
        let only: [(&str, bool, &[Kind]); 14] = [
            ("value", self.value.is_some(), &[Kind::State]),
            ("values", !self.values.is_empty(), &[Kind::State]),
            ("from", !self.from.is_empty(), &[Kind::Change]),
            ("to", !self.to.is_empty(), &[Kind::Change]),
            ("per", self.per.is_some(), &[Kind::Rate]),
            ("max_gap", self.max_gap.is_some(), &[Kind::Rate]),
            ("for", self.time.is_some(), &[Kind::Stuck]),
            ("samples", self.samples.is_some(), &[Kind::Stuck]),
            ("bits", self.bits.is_some(), &[Kind::Counter]),
            ("window", self.window.is_some(), &[Kind::Counter]),
            ("on_reset", self.on_reset.is_some(), &[Kind::Counter]),
            ("other", self.other.is_some(), &[Kind::Deviation]),
            ("votes", self.votes.is_some(), &[Kind::Vote]),
            ("expression", self.expression.is_some(), &[Kind::Cel]),
        ];
        match only
            .iter()
            .find(|(_, there, kinds)| *there && !kinds.contains(&self.kind))
        {
            Some((key, ..)) => Err(format!("{key} means nothing for a rule of this kind")),
            None => Ok(()),
        }
    }

    /// The condition of a rule that looks at one point.
    fn of_one(&self, range: Option<[f64; 2]>, gas: bool) -> Result<Condition, String> {
        let deadband = self.deadband;
        Ok(match self.kind {
            Kind::High => Condition::High {
                limit: self.limit()?,
                deadband,
                over_range: range.map(|[_, end]| end),
            },
            Kind::Low => Condition::Low {
                limit: self.limit()?,
                deadband,
            },
            Kind::State => {
                let values: Vec<f64> = self
                    .value
                    .into_iter()
                    .chain(self.values.iter().copied())
                    .collect();
                if values.is_empty() {
                    return Err("values is missing: the states that raise".to_owned());
                }
                Condition::State(values.into())
            }
            Kind::Change => Condition::Change {
                from: self.from.clone().into(),
                to: self.to.clone().into(),
            },
            Kind::Rate => Condition::Rate {
                limit: self.limit()?,
                per: self
                    .per
                    .filter(|per| *per != Span::ZERO)
                    .unwrap_or(Span::from_secs(60)),
                deadband,
                max_gap: self.max_gap.unwrap_or(Span::from_secs(300)),
                direction: self.direction,
            },
            Kind::Stuck => Condition::Stuck {
                epsilon: self.epsilon,
                after: self.time.unwrap_or(Span::from_secs(86_400)),
                samples: self.samples.unwrap_or(100),
                zero_exempt: gas,
            },
            Kind::Counter => {
                let modulus = match self.bits {
                    None => None,
                    Some(bits @ 1..=64) => Some(f64::from(2_u32).powi(i32::try_from(bits).unwrap_or(0))),
                    Some(bits) => return Err(format!("bits = {bits}; 1 to 64 are allowed")),
                };
                Condition::Counter {
                    modulus,
                    limit: self.limit()?,
                    deadband,
                    window: self.window,
                    reset_from_zero: self.on_reset != Some(OnReset::Unknown),
                }
            }
            Kind::Deviation | Kind::Vote | Kind::Cel => return Err("it looks at several points".to_owned()),
        })
    }
}

/// A rule of the engine's own, to be filled in.
fn mould() -> Rule {
    Rule {
        id: "".into(),
        title: named(""),
        device: NO_DEVICE,
        signal: None,
        series: None,
        condition: Condition::Clock,
        on_delay: Span::ZERO,
        off_delay: Span::ZERO,
        priority: Priority::Low,
        active: Active::Always,
        schedule: None,
        life_safety: false,
        latching: false,
        re_alarm: None,
        system: true,
    }
}

fn named(id: &str) -> Title {
    Title {
        zh: id.into(),
        en: id.into(),
    }
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Compiled::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_refused_file_says_where_and_why() {
        let point = "[[point]]\nname = \"A\"\n";
        for (text, words) in [
            (
                "[settings]\nzone = \"Nowhere\"\n".to_owned(),
                ["[settings]", "Nowhere"],
            ),
            ("[[point]]\nname = \"1\"\n".to_owned(), ["[[point]] 1", "letter"]),
            (format!("{point}{point}"), ["A", "twice"]),
            (
                "[[rule]]\nid = \"x\"\nkind = \"high\"\n".to_owned(),
                ["x", "point is missing"],
            ),
            (
                format!("{point}[[rule]]\nid = \"x\"\npoint = \"A\"\nkind = \"high\"\n"),
                ["x", "limit is missing"],
            ),
            (
                format!(
                    "{point}[[rule]]\nid = \"x\"\npoint = \"A\"\nkind = \"high\"\nlimit = 1\nvotes = 2\n"
                ),
                ["x", "votes"],
            ),
            (
                format!("{point}[[rule]]\nid = \"x\"\nkind = \"cel\"\nexpression = \"B > 1\"\n"),
                ["x", "B is no point"],
            ),
            (
                format!("{point}[[rule]]\nid = \"x\"\npoint = \"A\"\nkind = \"high\"\nlimt = 1\n"),
                ["line", "limt"],
            ),
        ] {
            let refusal = refusal(&text);
            for word in words {
                assert!(refusal.contains(word), "{text}: {refusal}");
            }
        }
    }

    #[test]
    fn every_point_gets_the_alarms_that_the_engine_finds_out_by_itself() {
        let text = "[[point]]\nname = \"A\"\nstale_after = \"60s\"\nclass = \"life-safety\"\ngroup = \"farm\"\ngateway = \"GW\"\n\
                    [[point]]\nname = \"B\"\nclass = \"life-safety\"\ngroup = \"farm\"\n";
        let compiled = Compiled::parse(text).unwrap();
        let ids: Vec<&str> = compiled.rules.iter().map(|rule| &*rule.id).collect();
        assert_eq!(
            ids,
            [
                "A.silence",
                "A.fault",
                "A.clock",
                "B.fault",
                "B.clock",
                "GW.silence",
                "farm.protection",
                "system.flood"
            ]
        );
    }
}
