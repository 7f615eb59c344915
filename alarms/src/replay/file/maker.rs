//! From the forms of a file to what the engine watches: names resolved, and the engine's own rules beside those of the file.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::SeriesId;
use telemetry::profile::{Active, Priority};
use telemetry::time::Span;

use super::form::{Class, Kind, PointForm, RuleForm, SignalForm};
use super::system::named;
use super::{ReplayPoint, RulesError, refused};
use crate::rules::expression::Expression;
use crate::rules::{Condition, NO_DEVICE, Plant, PlantDevice, PlantGroup, Rule, Schedule};

/// Makes points and rules of the forms, one after the other.
pub(super) struct Maker {
    zone: TimeZone,
    pub(super) plant: Plant,
    pub(super) points: HashMap<Arc<str>, ReplayPoint>,
    /// Full scale by place of the point.
    ranges: Vec<Option<[f64; 2]>>,
    groups: BTreeMap<Box<str>, usize>,
    pub(super) voting: HashSet<usize>,
    pub(super) rules: Vec<Rule>,
    ids: HashSet<Box<str>>,
}

impl Maker {
    pub(super) fn new(forms: &[PointForm], zone: TimeZone) -> Result<Self, RulesError> {
        let mut maker = Self {
            zone,
            plant: Plant::default(),
            points: HashMap::new(),
            ranges: Vec::new(),
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
        self.ranges.push(point.range);
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
            place: None,
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

    pub(super) fn rule(&mut self, form: &RuleForm) -> Result<(), String> {
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
            device: own.map_or(NO_DEVICE, |(device, _)| device),
            shown_at: own.map_or(NO_DEVICE, |(device, _)| device),
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
            changed: None,
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
                let (device, _) = own.ok_or("point is missing")?;
                let range = self.ranges.get(device).copied().flatten();
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
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name.len() <= 64
}
