//! Who is told: routes, escalation steps and the on-call roster. Pure: an alarm and the time in, recipients out.
//!
//! Nobody is ever left without: where no route wants an alarm, or nobody is on duty, everybody is told. Source:
//! `alarms.md` §1.6 and P6.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use telemetry::Timestamp;
use telemetry::profile::Priority;
use telemetry::time::Span;

use crate::rules::{Place, Schedule};

/// Where there is no route at all, everything goes to this recipient.
pub const EVERYBODY: &str = "all";
/// A route that names this recipient goes to those of the roster that are on duty.
pub const ON_CALL: &str = "on-call";
/// Most routes, steps and persons each. More: refused.
pub const ENTRIES_MAX: usize = 1000;

/// One `[[route]]`: which alarms a recipient hears of. What is absent asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The recipient.
    pub to: Box<str>,
    /// Only alarms of points in test mode, which go nowhere else. Default false.
    #[serde(default)]
    pub test: bool,
    /// Only alarms of that priority, or of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priorities>,
    /// Only points of this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<str>>,
    /// Only points of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Box<str>>,
    /// Only points of this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Box<str>>,
    /// Only points of this town or street.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub town: Option<Box<str>>,
    /// Only points of sites that this organisation runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<Box<str>>,
    /// Only what calls in these hours of the civil day, `"HH:MM-HH:MM"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Box<str>>,
}

impl Route {
    /// Whether it asks where something stands.
    #[must_use]
    pub const fn asks_for_place(&self) -> bool {
        self.site.is_some() || self.town.is_some() || self.organisation.is_some()
    }
}

/// Which priorities a route asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Priorities {
    /// That one.
    One(Priority),
    /// Those.
    Some(Vec<Priority>),
}

/// One `[[escalation]]`: who is told as well when nobody has acknowledged an alarm for `after`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// From the call on. Range `"1s"` to `"7d"`.
    pub after: Span,
    /// Who.
    pub to: Vec<Box<str>>,
}

/// One `[[roster]]`: when a person is on duty, every day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// Who.
    pub person: Box<str>,
    /// IANA name of the zone of `from` and `to`. Default: the county's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Box<str>>,
    /// From that civil time on, `"HH:MM"`.
    pub from: Box<str>,
    /// Until before that civil time; the same as `from` means the whole day.
    pub to: Box<str>,
}

/// What routes ask of an alarm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Group of its point.
    pub group: Option<&'a str>,
    /// Kind of its point.
    pub kind: Option<&'a str>,
    /// Where its point stands.
    pub place: Option<&'a Place>,
}

/// Who is told of what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telling {
    routes: Vec<(Route, Option<Schedule>)>,
    steps: Vec<(Span, Vec<Arc<str>>)>,
    roster: Vec<(Arc<str>, Schedule)>,
}

impl Telling {
    /// Of routes, steps and roster; `zone` is where no other is named.
    ///
    /// # Errors
    /// A sentence that names the entry and what is wrong with it.
    pub fn new(
        routes: Vec<Route>,
        escalation: &[Step],
        roster: &[Duty],
        zone: &TimeZone,
    ) -> Result<Self, String> {
        for (what, count) in [
            ("route", routes.len()),
            ("escalation", escalation.len()),
            ("roster", roster.len()),
        ] {
            if count > ENTRIES_MAX {
                return Err(format!(
                    "{count} entries of [[{what}]]; at most {ENTRIES_MAX} are allowed"
                ));
            }
        }
        if let Some(route) = routes.iter().find(|route| route.to.is_empty()) {
            return Err(format!(
                "[[route]] {route:?}: to is empty; a recipient is expected"
            ));
        }
        let mut timed = Vec::with_capacity(routes.len());
        for route in routes {
            let refused = |why: String| format!("[[route]] to {}: hours: {why}", route.to);
            let hours = match &route.hours {
                Some(text) => Some(clock_hours(text, zone).map_err(refused)?),
                None => None,
            };
            timed.push((route, hours));
        }
        let mut steps = Vec::with_capacity(escalation.len());
        for step in escalation {
            let range = Span::from_secs(1)..=Span::from_secs(7 * 86_400);
            if !range.contains(&step.after) || step.to.is_empty() {
                return Err(format!(
                    "[[escalation]] after {} to {:?}: 1s to 7d and somebody to tell are expected",
                    step.after, step.to
                ));
            }
            let to = step.to.iter().map(|to| Arc::from(&**to)).collect();
            steps.push((step.after, to));
        }
        steps.sort_by_key(|(after, _)| *after);
        let mut duties = Vec::with_capacity(roster.len());
        for duty in roster {
            let refused = |why: String| format!("[[roster]] {}: {why}", duty.person);
            let zone = match &duty.zone {
                Some(name) => {
                    TimeZone::get(name).map_err(|_| refused(format!("there is no zone {name:?}")))?
                }
                None => zone.clone(),
            };
            let hours = Schedule::new(&duty.from, &duty.to, zone).map_err(refused)?;
            if hours.needs_sun() {
                return Err(refused(
                    "a roster goes by the clock: HH:MM is expected".to_owned(),
                ));
            }
            duties.push((Arc::from(&*duty.person), hours));
        }
        Ok(Self {
            routes: timed,
            steps,
            roster: duties,
        })
    }

    /// Who hears of an alarm at that time: each name once. `subjects` are the alarm itself and, for what the engine found
    /// out about a point, the rules of that point: whoever hears of its gas hears of its fault.
    #[must_use]
    pub fn recipients(&self, subjects: &[Subject<'_>], test: bool, at: Timestamp) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        if self.routes.is_empty() {
            let default = if self.roster.is_empty() {
                EVERYBODY
            } else {
                ON_CALL
            };
            self.add(default, at, &mut found);
        }
        let due = |hours: &Option<Schedule>| hours.as_ref().is_none_or(|hours| hours.covers(at, None));
        for (route, hours) in &self.routes {
            if route.test != test || !due(hours) {
                continue;
            }
            if subjects.iter().any(|subject| route.wants(*subject)) {
                self.add(&route.to, at, &mut found);
            }
        }
        // Testers test; but an alarm that may be real is told, and nobody being wanted is no reason not to.
        if found.is_empty() && !test {
            found = self.everybody();
        }
        found
    }

    /// The recipients of one step of the escalation.
    #[must_use]
    pub fn step(&self, step: usize, at: Timestamp) -> Vec<Arc<str>> {
        let mut found = Vec::new();
        for to in self.steps.get(step).map_or(&[][..], |(_, to)| to) {
            self.add(to, at, &mut found);
        }
        if found.is_empty() {
            found = self.everybody();
        }
        found
    }

    /// How long after the call a step falls due; none after the last.
    #[must_use]
    pub fn step_after(&self, step: usize) -> Option<Span> {
        self.steps.get(step).map(|(after, _)| *after)
    }

    /// A name stands for itself, a person of the roster only while on duty.
    fn add(&self, to: &str, at: Timestamp, found: &mut Vec<Arc<str>>) {
        let on_duty = |(person, hours): &&(Arc<str>, Schedule)| {
            (to == ON_CALL || **person == *to) && hours.covers(at, None)
        };
        let persons: Vec<&Arc<str>> = self
            .roster
            .iter()
            .filter(on_duty)
            .map(|(person, _)| person)
            .collect();
        let is_person = to == ON_CALL || self.roster.iter().any(|(person, _)| **person == *to);
        if is_person && !self.roster.is_empty() {
            for person in persons {
                push_once(found, person);
            }
            // A hole in the roster leaves nobody uncovered.
            if to == ON_CALL && found.is_empty() {
                for (person, _) in &self.roster {
                    push_once(found, person);
                }
            }
        } else {
            push_once(found, &Arc::from(to));
        }
    }

    fn everybody(&self) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        for (person, _) in &self.roster {
            push_once(&mut all, person);
        }
        if all.is_empty() {
            all.push(Arc::from(EVERYBODY));
        }
        all
    }
}

impl Route {
    fn wants(&self, subject: Subject<'_>) -> bool {
        let priority = match (&self.priority, subject.priority) {
            (None, _) => true,
            (Some(Priorities::One(wanted)), Some(priority)) => priority == *wanted,
            (Some(Priorities::Some(wanted)), Some(priority)) => wanted.contains(&priority),
            (Some(_), None) => false,
        };
        let group = self
            .group
            .as_deref()
            .is_none_or(|group| subject.group == Some(group));
        let kind = self.kind.as_deref().is_none_or(|kind| subject.kind == Some(kind));
        let at = |wanted: Option<&str>, of: fn(&Place) -> &str| {
            wanted.is_none_or(|wanted| subject.place.is_some_and(|place| of(place) == wanted))
        };
        let place = at(self.site.as_deref(), |place| &place.site)
            && at(self.town.as_deref(), |place| &place.town)
            && at(self.organisation.as_deref(), |place| &place.organisation);
        priority && group && kind && place
    }
}

fn clock_hours(text: &str, zone: &TimeZone) -> Result<Schedule, String> {
    let hours = Schedule::parse(text, zone.clone())?;
    if hours.needs_sun() {
        return Err("a route goes by the clock: HH:MM-HH:MM is expected".to_owned());
    }
    Ok(hours)
}

fn push_once(found: &mut Vec<Arc<str>>, name: &Arc<str>) {
    if !found.contains(name) {
        found.push(Arc::clone(name));
    }
}

#[cfg(test)]
mod tests;
