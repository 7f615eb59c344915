//! Whom a trial would have woken: each call by the recipient that it would have reached.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use telemetry::profile::Priority;

use crate::engine::{EventKind, Transition};
use crate::notify::failover;
use crate::rules::{Rule, Schedule};
use crate::settings::AlarmSettings;

/// What one recipient was called for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Called {
    /// The recipient, or a channel that stands in no recipient's list; where no channel is configured, the name in the route.
    pub to: Arc<str>,
    /// Calls. That an alarm is over is no call.
    pub calls: u64,
    /// Of them: because nobody had acknowledged.
    pub escalations: u64,
    /// Of them: at night.
    pub at_night: u64,
}

/// Counts the calls of one trial.
#[derive(Debug)]
pub(super) struct Told {
    settings: Arc<AlarmSettings>,
    night: Schedule,
    is_anybody: bool,
    /// Place in `called` of who is behind a name of the routes, for life safety and for each priority.
    behind: FxHashMap<(Arc<str>, bool, Priority), Arc<[usize]>>,
    called: Vec<Called>,
    /// Which call it is whose recipients come one after the other, and who has it already.
    call: Option<(u32, u32, Arc<str>, u32)>,
    reached: Vec<usize>,
}

impl Told {
    pub(super) fn new(settings: Arc<AlarmSettings>, night: Schedule) -> Self {
        let is_anybody = settings.wanted().next().is_some();
        Self {
            is_anybody,
            settings,
            night,
            behind: FxHashMap::default(),
            called: Vec::new(),
            call: None,
            reached: Vec::new(),
        }
    }

    /// Takes in that a recipient is told of `rule`: who it reaches that this call has not reached, and whether it is a step of the
    /// escalation. None for what is no call.
    pub(super) fn take(&mut self, rule: &Rule, transition: &Transition) -> Option<(Vec<Arc<str>>, bool)> {
        let extra = transition
            .extra
            .as_ref()
            .filter(|_| transition.event == EventKind::Notified)?;
        let (reason, to) = (extra.reason.as_ref()?, extra.to.as_ref()?);
        let escalated = **reason == *EventKind::Escalated.name();
        if !escalated && !CALLS.iter().any(|call| **reason == *call.name()) {
            return None;
        }
        let call = (
            transition.rule,
            transition.occurrence,
            Arc::clone(reason),
            extra.step,
        );
        if self.call.as_ref() != Some(&call) {
            self.call = Some(call);
            self.reached.clear();
        }
        let night = self.night.covers(transition.at, None);
        let mut reached = Vec::new();
        for place in self.behind(to, rule.life_safety, rule.priority).iter() {
            // Two routes to the same recipient are one notice: it has one key.
            if self.reached.contains(place) {
                continue;
            }
            self.reached.push(*place);
            if let Some(called) = self.called.get_mut(*place) {
                called.calls += 1;
                called.escalations += u64::from(escalated);
                called.at_night += u64::from(night);
                reached.push(Arc::clone(&called.to));
            }
        }
        Some((reached, escalated))
    }

    /// Everybody who was called, in order of their names.
    pub(super) fn all(mut self) -> Vec<Called> {
        self.called.retain(|called| called.calls > 0);
        self.called.sort_by(|a, b| a.to.cmp(&b.to));
        self.called
    }

    fn behind(&mut self, to: &Arc<str>, life_safety: bool, priority: Priority) -> Arc<[usize]> {
        let key = (Arc::clone(to), life_safety, priority);
        if let Some(known) = self.behind.get(&key) {
            return Arc::clone(known);
        }
        let names: Vec<Arc<str>> = if self.is_anybody {
            failover::legs_to(&self.settings, to, life_safety, priority)
                .into_iter()
                .map(|leg| Arc::from(leg.recipient.unwrap_or(leg.channel)))
                .collect()
        } else {
            vec![Arc::clone(to)]
        };
        let places: Arc<[usize]> = names.into_iter().map(|name| self.place_of(name)).collect();
        self.behind.insert(key, Arc::clone(&places));
        places
    }

    fn place_of(&mut self, name: Arc<str>) -> usize {
        let known = self.called.iter().position(|called| called.to == name);
        known.unwrap_or_else(|| {
            self.called.push(Called {
                to: name,
                calls: 0,
                escalations: 0,
                at_night: 0,
            });
            self.called.len() - 1
        })
    }
}

/// What calls people beside the escalation.
const CALLS: [EventKind; 5] = [
    EventKind::Raised,
    EventKind::ReAlarmed,
    EventKind::Unshelved,
    EventKind::Unsuppressed,
    EventKind::InService,
];
