//! From the forms of a file to what the engine watches: rules with their names resolved. `devices.rs` makes what they look at,
//! `system.rs` the engine's own rules beside those of the file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::SeriesId;
use telemetry::profile::Priority;
use telemetry::time::Span;

use super::form::{DeviceForm, Kind, PointForm, RuleForm};
use super::system::named;
use super::{ReplayPoint, RulesError, refused};
use crate::rules::condition::FloodLimits;
use crate::rules::expression::Expression;
use crate::rules::{Condition, NO_DEVICE, Plant, Rule, Schedule};

/// Makes points and rules of the forms, one after the other.
pub(super) struct Maker {
    zone: TimeZone,
    flood: FloodLimits,
    pub(super) plant: Plant,
    pub(super) points: HashMap<Arc<str>, ReplayPoint>,
    /// Devices that the file names.
    pub(super) devices: HashMap<Arc<str>, usize>,
    /// Full scale by number of the point's series.
    pub(super) ranges: Vec<Option<[f64; 2]>>,
    pub(super) groups: BTreeMap<Box<str>, usize>,
    pub(super) voting: HashSet<usize>,
    /// Devices that a silence rule of the file watches.
    watched: HashSet<usize>,
    pub(super) rules: Vec<Rule>,
    ids: HashSet<Box<str>>,
}

/// What a rule looks at.
#[derive(Clone, Copy)]
struct Own {
    device: usize,
    series: Option<SeriesId>,
}

impl Maker {
    pub(super) fn new(
        devices: &[DeviceForm],
        points: &[PointForm],
        zone: TimeZone,
        flood: FloodLimits,
    ) -> Result<Self, RulesError> {
        let mut maker = Self {
            zone,
            flood,
            plant: Plant::default(),
            points: HashMap::new(),
            devices: HashMap::new(),
            ranges: Vec::new(),
            groups: BTreeMap::new(),
            voting: HashSet::new(),
            watched: HashSet::new(),
            rules: Vec::new(),
            ids: HashSet::new(),
        };
        maker.declare(devices)?;
        for form in points {
            maker
                .point(form)
                .map_err(|why| refused(format!("[[point]] {}: {why}", form.name)))?;
        }
        maker.gateways(points)?;
        Ok(maker)
    }

    /// Every rule of the file, in its order.
    pub(super) fn rules(&mut self, forms: &[RuleForm]) -> Result<(), RulesError> {
        for form in forms {
            if form.kind == Kind::Silence
                && let Some(device) = form.device.as_deref().and_then(|name| self.devices.get(name))
            {
                self.watched.insert(*device);
            }
        }
        for form in forms {
            self.rule(form)
                .map_err(|why| refused(format!("[[rule]] {}: {why}", form.id)))?;
        }
        Ok(())
    }

    fn known(&self, name: &str) -> Result<(usize, SeriesId), String> {
        let point = self
            .points
            .get(name)
            .ok_or_else(|| format!("there is no point {name:?}"))?;
        Ok((point.device, point.series))
    }

    fn own(&self, form: &RuleForm) -> Result<Option<Own>, String> {
        if let Some(name) = &form.point {
            if form.device.is_some() {
                return Err("point and device: one of them is expected".to_owned());
            }
            let (device, series) = self.known(name)?;
            let series = Some(series);
            return Ok(Some(Own { device, series }));
        }
        let Some(name) = &form.device else { return Ok(None) };
        let device = self.devices.get(&**name).copied();
        let device = device.ok_or_else(|| format!("there is no device {name:?}"))?;
        Ok(Some(Own { device, series: None }))
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
        let own = self.own(form)?;
        let (condition, devices) = self.condition(form, own)?;
        let life_safety = devices.iter().any(|device| {
            self.plant
                .devices
                .get(*device)
                .is_some_and(|device| device.life_safety)
        });
        let schedule = match &form.schedule {
            Some(text) => {
                let schedule = Schedule::parse(text, self.zone.clone())?;
                if schedule.needs_sun() {
                    return Err("schedule: a file of rules names no place, so nobody knows its dusk and dawn; HH:MM-HH:MM is expected".to_owned());
                }
                Some(schedule)
            }
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
            device: own.map_or(NO_DEVICE, |own| own.device),
            shown_at: own.map_or(NO_DEVICE, |own| own.device),
            signal: None,
            series: own.and_then(|own| own.series),
            condition,
            on_delay: form.on_delay,
            off_delay: form.off_delay,
            priority: form.priority.unwrap_or(default),
            active: form.active,
            schedule,
            life_safety,
            latching: form.latching,
            re_alarm: form.re_alarm.filter(|span| *span != Span::ZERO),
            system: form.kind.is_system(),
            changed: None,
        });
        Ok(())
    }

    /// The condition, and the devices that it looks at.
    fn condition(&mut self, form: &RuleForm, own: Option<Own>) -> Result<(Condition, Vec<usize>), String> {
        let point = own.filter(|own| own.series.is_some());
        match form.kind {
            Kind::Silence | Kind::Clock => {
                let Own { device, .. } = own.ok_or("point or device is missing")?;
                Ok((form.of_one(None, false)?, vec![device]))
            }
            Kind::Fault => {
                let Own { device, .. } = point.ok_or("point is missing")?;
                let silence_watched = self.watched.contains(&device);
                Ok((Condition::Fault { silence_watched }, vec![device]))
            }
            Kind::Flood => Ok((
                Condition::Flood(self.flood),
                own.map(|own| own.device).into_iter().collect(),
            )),
            Kind::Vote => self.vote(form),
            Kind::Cel => self.expression(form, own),
            Kind::Deviation => {
                let Own { device, .. } = point.ok_or("point is missing")?;
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
                let Own { device, series } = point.ok_or("point is missing")?;
                let range = series
                    .and_then(|series| self.ranges.get(usize::try_from(series.0).ok()?))
                    .copied()
                    .flatten();
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

    fn expression(&self, form: &RuleForm, own: Option<Own>) -> Result<(Condition, Vec<usize>), String> {
        let text = form.expression.as_deref().ok_or("expression is missing")?;
        let point = |name: &str| -> Box<str> {
            let called = form.names.get(name);
            called.map_or_else(|| name.into(), Clone::clone)
        };
        let expression = Expression::compile(text, |name| self.points.contains_key(&*point(name)))?;
        let mut inputs = Vec::with_capacity(expression.names().len());
        let mut devices = Vec::with_capacity(expression.names().len());
        for name in expression.names() {
            let (device, series) = self.known(&point(name))?;
            inputs.push(series);
            devices.push(device);
        }
        if let Some(own) = own {
            devices.push(own.device);
        }
        let condition = Condition::Expression {
            expression: Arc::new(expression),
            inputs: inputs.into(),
        };
        Ok((condition, devices))
    }
}
