//! Alarms that were set aside in a way that the rules do not allow. The goal is none. Pure.
//!
//! The engine refuses most of this (a shelf without a reason, life-safety by one person); the figure proves it of the log.

use std::collections::BTreeMap;

use telemetry::Timestamp;
use telemetry::time::Span;

use super::{Act, Happening};
use crate::engine::EventKind;

/// For how long an alarm may be set aside. Source: `alarms.md` §1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsideLimits {
    /// On the shelf without a break, renewals included.
    pub shelve_max: Span,
    /// Out of service by one permit.
    pub out_of_service_max: Span,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Nobody is named.
    NoName,
    /// No reason, no permit, no alarm of the cause.
    NoReason,
    /// What may save a life was shelved without a second person.
    OnePerson,
    /// For longer than allowed, or without an end.
    TooLong,
    /// The rule was taken out of force: the engine knows no permission for that.
    OutOfForce,
}

impl Fault {
    /// The fault as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoName => "no_name",
            Self::NoReason => "no_reason",
            Self::OnePerson => "one_person",
            Self::TooLong => "too_long",
            Self::OutOfForce => "out_of_force",
        }
    }
}

/// Looks at everything that sets alarms aside, in order of time.
#[derive(Clone, Debug)]
pub struct Asides {
    limits: AsideLimits,
    /// Since when and until when a rule has been on the shelf without a break.
    shelves: BTreeMap<u32, (Timestamp, Timestamp)>,
}

impl Asides {
    /// Nothing is on the shelf.
    #[must_use]
    pub const fn new(limits: AsideLimits) -> Self {
        Self {
            limits,
            shelves: BTreeMap::new(),
        }
    }

    /// What is wrong with what happened, worst last; empty where all is well, none where nothing was set aside.
    pub fn judge(&mut self, happening: &Happening) -> Option<Vec<Fault>> {
        if matches!(happening.event, EventKind::Unshelved | EventKind::Closed) {
            self.shelves.remove(&happening.rule);
        }
        let act = happening.act.as_deref()?;
        let shelved_for = (happening.event == EventKind::Shelved).then(|| self.on_the_shelf(happening, act));
        let mut faults = Vec::new();
        match happening.event {
            EventKind::Shelved => {
                faults.extend(unsigned(act));
                let one = happening.life_safety && !agreed(act);
                faults.extend(one.then_some(Fault::OnePerson));
                faults.extend(too_long(shelved_for.flatten(), self.limits.shelve_max));
            }
            EventKind::OutOfService => {
                faults.extend(unsigned(act));
                let time = act.until.map(|until| until.millis_since(happening.at));
                faults.extend(too_long(time, self.limits.out_of_service_max));
            }
            EventKind::Suppressed => faults.extend(blank(&act.reason).then_some(Fault::NoReason)),
            EventKind::Closed => {
                faults.extend(unsigned(act));
                faults.push(Fault::OutOfForce);
            }
            _ => return None,
        }
        Some(faults)
    }

    /// For how long the rule will have been on the shelf without a break, in ms; none without an end.
    fn on_the_shelf(&mut self, happening: &Happening, act: &Act) -> Option<i64> {
        let until = act.until?;
        let before = self.shelves.get(&happening.rule);
        let since = before
            .filter(|(_, ends)| *ends >= happening.at)
            .map_or(happening.at, |(since, _)| *since);
        self.shelves.insert(happening.rule, (since, until));
        Some(until.millis_since(since))
    }
}

fn blank(text: &Option<Box<str>>) -> bool {
    text.as_deref().is_none_or(|text| text.trim().is_empty())
}

fn unsigned(act: &Act) -> impl Iterator<Item = Fault> {
    let name = blank(&act.by).then_some(Fault::NoName);
    let reason = blank(&act.reason).then_some(Fault::NoReason);
    name.into_iter().chain(reason)
}

fn agreed(act: &Act) -> bool {
    !blank(&act.second) && act.second != act.by
}

fn too_long(time_ms: Option<i64>, most: Span) -> Option<Fault> {
    time_ms
        .is_none_or(|time| time > most.millis_i64())
        .then_some(Fault::TooLong)
}
