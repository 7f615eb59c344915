//! From transitions to occurrences: when each began and ended, its worst value, and how often people were called for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use telemetry::profile::Priority;
use telemetry::{SeriesId, Timestamp};

use crate::engine::{Engine, EventKind, Transition};
use crate::rules::Rule;

/// Most occurrences of one set of rules, about 150 bytes each. More: [`TooMany`], the trial ends.
pub const OCCURRENCES_MAX: usize = 1_000_000;

/// The rules raise more than can be held, and more than anybody wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {OCCURRENCES_MAX} alarms are raised; mend the rules, or try a shorter time")]
pub struct TooMany;

/// One life of an alarm.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// Since when the condition held.
    pub since: Timestamp,
    /// When it was raised: `since` and the on-delay.
    pub raised: Timestamp,
    /// Since when the condition was over; none: it still held at the end.
    pub over_since: Option<Timestamp>,
    /// When it cleared: `over_since` and the off-delay.
    pub cleared: Option<Timestamp>,
    /// The worst value from the raise to the end, in the unit of the signal; of a rate or a growth, that. None for what has no value.
    pub worst: Option<f64>,
    /// Its rule's.
    pub priority: Priority,
    /// It was raised before the stretch of history began: it is known, and not counted as raised.
    pub standing: bool,
    /// How often people were called for it within the stretch, the escalation's steps among them.
    pub calls: u32,
    /// How many of them were steps of the escalation.
    pub escalations: u32,
    /// Who was called, each once.
    pub to: Vec<Arc<str>>,
}

impl Occurrence {
    fn is_over_at(&self, from: Timestamp) -> bool {
        self.cleared.is_some_and(|cleared| cleared <= from)
    }
}

/// Gathers the occurrences of one trial.
#[derive(Debug)]
pub(super) struct Occurrences {
    from: Timestamp,
    count: usize,
    /// By rule, in order; only the last may still be open.
    of: FxHashMap<u32, Vec<Occurrence>>,
    /// Rules with an active alarm, by the series that they look at: whose values may be the worst.
    active: FxHashMap<SeriesId, Vec<u32>>,
}

impl Occurrences {
    pub(super) fn since(from: Timestamp) -> Self {
        Self {
            from,
            count: 0,
            of: FxHashMap::default(),
            active: FxHashMap::default(),
        }
    }

    /// Takes in a transition of `rule`.
    pub(super) fn take(&mut self, rule: &Rule, transition: &Transition) -> Result<(), TooMany> {
        let place = transition.rule;
        match transition.event {
            EventKind::Raised => {
                self.begin(rule, transition)?;
                self.watch(rule, place);
            }
            EventKind::ReAlarmed if transition.after.alarm.is_active() => {
                // True again under a latch: the same occurrence goes on.
                let again = self.last(place).filter(|last| last.cleared.is_some());
                if let Some(last) = again {
                    last.over_since = None;
                    last.cleared = None;
                    self.watch(rule, place);
                }
            }
            EventKind::Cleared | EventKind::Latched | EventKind::Closed => {
                if let Some(last) = self.last(place).filter(|last| last.cleared.is_none()) {
                    last.over_since = Some(transition.since);
                    last.cleared = Some(transition.at);
                }
                self.unwatch(rule, place);
            }
            _ => {}
        }
        Ok(())
    }

    /// People were called for the last occurrence of a rule: `to`, in a step of the escalation or not.
    pub(super) fn called(&mut self, place: u32, to: &[Arc<str>], escalated: bool) {
        let Some(last) = self.last(place) else { return };
        let calls = u32::try_from(to.len()).unwrap_or(u32::MAX);
        last.calls = last.calls.saturating_add(calls);
        if escalated {
            last.escalations = last.escalations.saturating_add(calls);
        }
        for name in to {
            if !last.to.contains(name) {
                last.to.push(Arc::clone(name));
            }
        }
    }

    /// A value of `series` was judged: it may be the worst of what is active.
    pub(super) fn judged(&mut self, series: SeriesId, engine: &Engine) {
        if self.active.is_empty() {
            return;
        }
        let Some(rules) = self.active.get(&series) else {
            return;
        };
        for place in rules {
            let at = usize::try_from(*place).unwrap_or(usize::MAX);
            let (Some(rule), Some(state)) = (engine.rules().get(at), engine.state(at)) else {
                continue;
            };
            let last = self.of.get_mut(place).and_then(|all| all.last_mut());
            if let (Some(last), Some(value)) = (last, state.value)
                && last
                    .worst
                    .is_none_or(|worst| rule.condition.is_worse(value, worst))
            {
                last.worst = Some(value);
            }
        }
    }

    /// All that are not over when the stretch begins, by the name of their rule and in order.
    pub(super) fn all(self, rules: &[Rule]) -> BTreeMap<Arc<str>, Vec<Occurrence>> {
        let mut all = BTreeMap::new();
        for (place, mut occurrences) in self.of {
            occurrences.retain(|occurrence| !occurrence.is_over_at(self.from));
            let rule = usize::try_from(place).ok().and_then(|place| rules.get(place));
            if let Some(rule) = rule.filter(|_| !occurrences.is_empty()) {
                all.insert(Arc::clone(&rule.id), occurrences);
            }
        }
        all
    }

    fn begin(&mut self, rule: &Rule, transition: &Transition) -> Result<(), TooMany> {
        let from = self.from;
        let known = self.of.entry(transition.rule).or_default();
        // What was over before the stretch is of no interest, and need not be held.
        if known.last().is_some_and(|last| last.is_over_at(from)) {
            known.pop();
            self.count -= 1;
        }
        known.push(Occurrence {
            since: transition.since,
            raised: transition.at,
            over_since: None,
            cleared: None,
            worst: transition.value,
            priority: rule.priority,
            standing: transition.at < from,
            calls: 0,
            escalations: 0,
            to: Vec::new(),
        });
        self.count += 1;
        if self.count > OCCURRENCES_MAX {
            return Err(TooMany);
        }
        Ok(())
    }

    fn last(&mut self, place: u32) -> Option<&mut Occurrence> {
        self.of.get_mut(&place)?.last_mut()
    }

    fn watch(&mut self, rule: &Rule, place: u32) {
        if let Some(series) = rule.series {
            let active = self.active.entry(series).or_default();
            if !active.contains(&place) {
                active.push(place);
            }
        }
    }

    fn unwatch(&mut self, rule: &Rule, place: u32) {
        let Some(series) = rule.series else { return };
        if let Some(active) = self.active.get_mut(&series) {
            active.retain(|other| *other != place);
            if active.is_empty() {
                self.active.remove(&series);
            }
        }
    }
}
