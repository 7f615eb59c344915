//! Groups of points of the county, and rules that look at several of them: votes, expressions, deviations, and whether a
//! group still protects.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;
use telemetry::{Catalogue, SeriesId, Timestamp};

use super::{Group, Kind, RuleBook, Several, holds};
use crate::rules::expression::Expression;
use crate::rules::{Condition, NO_DEVICE, PlantGroup, Rule, RuleError, Schedule};

/// A point of the county: places of device and signal, and the series.
#[derive(Clone, Copy, Debug)]
struct Spot {
    device: usize,
    signal: usize,
    series: SeriesId,
}

/// The groups of a book and its rules over several points that hold at `at`.
///
/// # Errors
/// [`RuleError`] with the line of what cannot be.
pub(in crate::rules) fn rules_of_several(
    book: &RuleBook,
    catalogue: &Catalogue,
    at: Timestamp,
    zone: &TimeZone,
) -> Result<(Vec<PlantGroup>, Vec<Rule>), RuleError> {
    let mut maker = Maker {
        catalogue,
        zone,
        groups: HashMap::new(),
        members: Vec::new(),
        voting: HashSet::new(),
    };
    let mut plant = Vec::with_capacity(book.groups.len());
    for (line, form) in &book.groups {
        let group = maker
            .group(form)
            .map_err(|why| book.refusal(*line, format!("[[group]] {}: {why}", form.id)))?;
        plant.push(group);
    }
    let mut ids = HashSet::new();
    let mut rules = Vec::with_capacity(book.rules.len());
    for (line, form) in &book.rules {
        let refused = |why: String| book.refusal(*line, format!("[[rule]] {}: {why}", form.id));
        // Also what does not hold today is looked at, so that it is not refused in the night in which it begins.
        let rule = maker.rule(form).map_err(refused)?;
        if holds(form.from.as_deref(), form.until.as_deref(), at, zone) {
            if !ids.insert(Arc::clone(&rule.id)) {
                return Err(refused(format!("{} stands there twice", rule.id)));
            }
            rules.push(rule);
        }
    }
    for (place, (_, form)) in book.groups.iter().enumerate() {
        rules.extend(maker.protection(place, form));
    }
    Ok((plant, rules))
}

struct Maker<'a> {
    catalogue: &'a Catalogue,
    zone: &'a TimeZone,
    groups: HashMap<&'a str, usize>,
    members: Vec<Vec<Spot>>,
    voting: HashSet<usize>,
}

impl<'a> Maker<'a> {
    fn group(&mut self, form: &'a Group) -> Result<PlantGroup, String> {
        if form.id.is_empty() || self.groups.insert(&form.id, self.members.len()).is_some() {
            return Err("an id is not empty, and stands there once".to_owned());
        }
        let mut spots: Vec<Spot> = Vec::new();
        for name in &form.members {
            for spot in self.spots(name)? {
                if spots.iter().any(|known| known.series == spot.series) {
                    return Err(format!("{name} stands there twice"));
                }
                spots.push(spot);
            }
        }
        if spots.is_empty() {
            return Err("members is empty: \"DEVICE/SIGNAL\" is expected".to_owned());
        }
        let members = spots.iter().map(|spot| (spot.device, spot.series)).collect();
        self.members.push(spots);
        Ok(PlantGroup {
            name: Arc::from(&*form.id),
            members,
        })
    }

    /// The points of a name: one, or with a `*` at its end all signals of the device that begin so.
    fn spots(&self, name: &str) -> Result<Vec<Spot>, String> {
        let wrong = || format!("{name:?} is no point; \"DEVICE/SIGNAL\" is expected");
        let (device, signal) = name.split_once('/').ok_or_else(wrong)?;
        let place = self
            .catalogue
            .device_index(device)
            .ok_or_else(|| format!("there is no device {device:?}"))?;
        let entry = self.catalogue.devices().get(place).ok_or_else(wrong)?;
        let beginning = signal.strip_suffix('*');
        let wanted = |known: &str| match beginning {
            Some(beginning) => known.starts_with(beginning),
            None => known == signal,
        };
        let signals = entry.profile.signals.iter().zip(&entry.series).enumerate();
        let spots: Vec<Spot> = signals
            .filter(|(_, (known, _))| wanted(known.name.as_str()))
            .map(|(signal, (_, series))| Spot {
                device: place,
                signal,
                series: *series,
            })
            .collect();
        if spots.is_empty() {
            return Err(format!("device {device} has no signal {signal:?}"));
        }
        Ok(spots)
    }

    fn spot(&self, key: &str, name: Option<&str>) -> Result<Spot, String> {
        let name = name.ok_or_else(|| format!("{key} is missing: \"DEVICE/SIGNAL\""))?;
        match self.spots(name)?.as_slice() {
            [spot] => Ok(*spot),
            _ => Err(format!("{key} = {name:?} is more than one point")),
        }
    }

    fn rule(&mut self, form: &Several) -> Result<Rule, String> {
        let numbers = [Some(form.deadband), form.limit];
        if form.deadband < 0.0 || numbers.iter().flatten().any(|number| !number.is_finite()) {
            return Err("limit and deadband are numbers, deadband 0 or more".to_owned());
        }
        form.check_keys()?;
        let (condition, spots) = match form.kind {
            Kind::Vote => self.vote(form)?,
            Kind::Cel => self.expression(form)?,
            Kind::Deviation => self.deviation(form)?,
        };
        let schedule = match &form.schedule {
            Some(text) => Some(Schedule::parse(text, self.zone.clone())?),
            None => None,
        };
        let shown_at = match form.device.as_deref() {
            Some(name) => self
                .catalogue
                .device_index(name)
                .ok_or_else(|| format!("there is no device {name:?}"))?,
            None => spots.first().map_or(NO_DEVICE, |spot| spot.device),
        };
        let entry = self
            .catalogue
            .devices()
            .get(shown_at)
            .ok_or("it looks at no point")?;
        if entry.profile.rules.iter().any(|spec| spec.id == form.id) {
            return Err(format!(
                "profile {} of {} has a rule of that id",
                entry.profile.kind, entry.device.id
            ));
        }
        let life_safety = spots.iter().any(|spot| self.may_save_a_life(spot));
        let default = if life_safety {
            Priority::Critical
        } else {
            Priority::Medium
        };
        // Its value is in the unit of the points that it compares.
        let unit = spots
            .iter()
            .find(|spot| spot.device == shown_at && form.kind != Kind::Cel);
        let series = match form.kind {
            Kind::Deviation => spots.first().map(|spot| spot.series),
            Kind::Vote | Kind::Cel => None,
        };
        Ok(Rule {
            id: format!("{}/{}", entry.device.id, form.id).into(),
            title: form.title.clone(),
            device: NO_DEVICE,
            shown_at,
            signal: unit.map(|spot| spot.signal),
            series,
            condition,
            on_delay: form.on_delay,
            off_delay: form.off_delay,
            priority: form.priority.unwrap_or(default),
            active: form.active,
            schedule,
            life_safety,
            latching: form.latching,
            re_alarm: form.re_alarm.filter(|span| *span != Span::ZERO),
            system: false,
            changed: None,
        })
    }

    fn may_save_a_life(&self, spot: &Spot) -> bool {
        let entry = self.catalogue.devices().get(spot.device);
        entry.is_some_and(|entry| entry.profile.life_safety)
    }

    fn vote(&mut self, form: &Several) -> Result<(Condition, Vec<Spot>), String> {
        let name = form.group.as_deref().ok_or("group is missing")?;
        let group = *(self.groups.get(name)).ok_or_else(|| format!("there is no group {name:?}"))?;
        let spots = self.members.get(group).cloned().unwrap_or_default();
        let votes = form.votes.ok_or("votes is missing")?;
        if votes == 0 || votes > spots.len() {
            return Err(format!(
                "votes = {votes} of {} points; 1 to that many are allowed",
                spots.len()
            ));
        }
        self.voting.insert(group);
        let condition = Condition::Vote {
            group,
            votes,
            limit: form.limit.ok_or("limit is missing")?,
            deadband: form.deadband,
        };
        Ok((condition, spots))
    }

    fn expression(&self, form: &Several) -> Result<(Condition, Vec<Spot>), String> {
        let text = form.expression.as_deref().ok_or("expression is missing")?;
        let expression = Expression::compile(text, |name| form.points.contains_key(name))?;
        let mut spots = Vec::with_capacity(expression.names().len());
        for name in expression.names() {
            spots.push(self.spot(name, form.points.get(&**name).map(|point| &**point))?);
        }
        if let Some(idle) =
            (form.points.keys()).find(|name| !expression.names().iter().any(|used| **used == ***name))
        {
            return Err(format!("points.{idle} does not stand in the expression"));
        }
        let condition = Condition::Expression {
            expression: Arc::new(expression),
            inputs: spots.iter().map(|spot| spot.series).collect(),
        };
        Ok((condition, spots))
    }

    fn deviation(&self, form: &Several) -> Result<(Condition, Vec<Spot>), String> {
        let one = self.spot("point", form.point.as_deref())?;
        let other = self.spot("other", form.other.as_deref())?;
        if one.series == other.series {
            return Err("point and other are the same".to_owned());
        }
        let condition = Condition::Deviation {
            other: other.series,
            limit: form.limit.ok_or("limit is missing")?,
            deadband: form.deadband,
        };
        Ok((condition, vec![one, other]))
    }

    /// That every point of a group that votes, or of one with two or more that may save a life, is lost.
    fn protection(&self, group: usize, form: &Group) -> Option<Rule> {
        let spots = self.members.get(group)?;
        let vital = spots.iter().filter(|spot| self.may_save_a_life(spot)).count();
        if vital < 2 && !self.voting.contains(&group) {
            return None;
        }
        let shown_at = spots.first()?.device;
        let entry = self.catalogue.devices().get(shown_at)?;
        Some(Rule {
            id: format!("{}/{}.protection", entry.device.id, form.id).into(),
            title: Title {
                zh: format!("{}：全部探测点失效", form.title.zh).into(),
                en: format!("{}: protection lost", form.title.en).into(),
            },
            device: NO_DEVICE,
            shown_at,
            signal: None,
            series: None,
            condition: Condition::Protection { group },
            on_delay: Span::ZERO,
            off_delay: Span::ZERO,
            priority: Priority::Critical,
            active: Active::Always,
            schedule: None,
            life_safety: vital > 0,
            latching: false,
            re_alarm: None,
            system: true,
            changed: None,
        })
    }
}

impl Several {
    /// A key that means nothing for its kind is most likely a mistake.
    fn check_keys(&self) -> Result<(), String> {
        let only: [(&str, bool, &[Kind]); 7] = [
            ("group", self.group.is_some(), &[Kind::Vote]),
            ("votes", self.votes.is_some(), &[Kind::Vote]),
            ("limit", self.limit.is_some(), &[Kind::Vote, Kind::Deviation]),
            ("expression", self.expression.is_some(), &[Kind::Cel]),
            ("points", !self.points.is_empty(), &[Kind::Cel]),
            ("point", self.point.is_some(), &[Kind::Deviation]),
            ("other", self.other.is_some(), &[Kind::Deviation]),
        ];
        match only
            .iter()
            .find(|(_, there, kinds)| *there && !kinds.contains(&self.kind))
        {
            Some((key, ..)) => Err(format!("{key} means nothing for a rule of this kind")),
            None => Ok(()),
        }
    }
}
