//! Who hears of an alarm: each call and what follows from it, until somebody acknowledges.

use std::sync::Arc;

use telemetry::Timestamp;

use super::timers::What;
use super::{Engine, EventKind, Extra, Tag, Tags, Transition};
use crate::lifecycle::AlarmState;
use crate::telling::Subject;

impl Engine {
    /// People are told of the transition that was written down last.
    pub(super) fn call(&mut self, rule: u32, event: EventKind, tags: Tags, out: &mut Vec<Transition>) {
        let owed = matches!(
            event,
            EventKind::Raised
                | EventKind::ReAlarmed
                | EventKind::Unshelved
                | EventKind::Unsuppressed
                | EventKind::InService
        );
        let (now, seq) = (self.now, self.seq);
        let repeats = event.may_repeat();
        let Some(state) = self.state_mut(rule) else { return };
        if repeats {
            state.told = state.told.saturating_add(1);
        }
        let step = if repeats { state.told } else { 0 };
        if owed {
            state.called_at = Some(now);
            state.called_seq = seq;
            if state.owed_since.is_none() {
                state.owed_since = Some(now);
                state.steps = 0;
            }
        }
        let to = self.recipients(rule, tags.has(Tag::Test));
        self.notify(rule, event, step, tags, to, out);
        if owed {
            self.await_acknowledgement(rule);
            let counts = !tags.has(Tag::Test) && !tags.has(Tag::Historical);
            if counts {
                self.count_call(rule, out);
            }
        }
    }

    /// One transition for each recipient.
    fn notify(
        &mut self,
        rule: u32,
        event: EventKind,
        step: u32,
        tags: Tags,
        to: Vec<Arc<str>>,
        out: &mut Vec<Transition>,
    ) {
        let Some(id) = self.rule(rule).map(|rule| Arc::clone(&rule.id)) else {
            return;
        };
        let occurrence = self.state_of(rule).map_or(0, |state| state.occurrence);
        for to in to {
            let key = match step {
                0 => format!("{id}#{occurrence}.{}.{to}", event.name()),
                _ => format!("{id}#{occurrence}.{}.{step}.{to}", event.name()),
            };
            let extra = Extra {
                key: Some(key.into()),
                to: Some(to),
                reason: Some(event.name().into()),
                step,
                ..Extra::default()
            };
            self.emit_with(rule, EventKind::Notified, tags, false, extra, out);
        }
    }

    /// Who hears of the rule now. Whoever hears of a point's rules hears of what the engine finds out about that point.
    pub(super) fn recipients(&self, rule: u32, test: bool) -> Vec<Arc<str>> {
        let mut subjects = vec![self.subject(rule)];
        if let Some(found) = self.rule(rule).filter(|rule| rule.system) {
            let own = self
                .devices
                .get(found.device)
                .map_or(&[][..], |device| &device.rules);
            subjects.extend(
                own.iter()
                    .filter(|other| self.rule(**other).is_some_and(|rule| !rule.system))
                    .map(|other| self.subject(*other)),
            );
            for child in self
                .devices
                .get(found.device)
                .into_iter()
                .flat_map(|device| &device.children)
            {
                let rules = self.devices.get(*child).map_or(&[][..], |device| &device.rules);
                subjects.extend(rules.iter().map(|other| self.subject(*other)));
            }
        }
        self.telling.recipients(&subjects, test, self.wall())
    }

    fn subject(&self, rule: u32) -> Subject<'_> {
        let Some(found) = self.rule(rule) else {
            return Subject::default();
        };
        let device = self.plant.devices.get(found.device);
        let group = match found.condition {
            crate::rules::Condition::Vote { group, .. } | crate::rules::Condition::Protection { group } => {
                Some(group)
            }
            _ => device.and_then(|device| device.group),
        };
        let group = group.and_then(|group| self.plant.groups.get(group));
        let shown = self.plant.devices.get(found.shown_at);
        Subject {
            priority: Some(found.priority),
            group: group.map(|group| &*group.name),
            kind: shown.map(|device| &*device.kind).filter(|kind| !kind.is_empty()),
            place: shown.and_then(|device| device.place.as_deref()),
        }
    }

    /// Sets the timers of what comes if nobody acknowledges.
    fn await_acknowledgement(&mut self, rule: u32) {
        self.arm_escalation(rule);
        let re_alarm = self.rule(rule).and_then(|rule| rule.re_alarm);
        if let Some(re_alarm) = re_alarm {
            self.arm_re_alarm(rule, self.now.plus(re_alarm));
        }
    }

    fn arm_re_alarm(&mut self, rule: u32, at: Timestamp) {
        if let Some(rare) = self.rare_mut(rule) {
            rare.re_alarm_at = Some(at);
        }
        self.timers.push(at, What::ReAlarm, rule);
        self.touch_rule(rule);
    }

    pub(super) fn arm_escalation(&mut self, rule: u32) {
        if let Some(due) = self.escalation_due(rule) {
            self.timers.push(due, What::Escalate, rule);
        }
    }

    fn escalation_due(&self, rule: u32) -> Option<Timestamp> {
        let state = self.state_of(rule)?;
        let after = self.telling.step_after(usize::try_from(state.steps).ok()?)?;
        Some(state.owed_since?.plus(after))
    }

    /// A step of the escalation falls due.
    pub(super) fn escalation_fires(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        if self.escalation_due(rule) != Some(at) || !self.is_owed(rule) {
            return;
        }
        let Some(state) = self.state_mut(rule) else { return };
        let place = state.steps;
        state.steps += 1;
        state.told = state.told.saturating_add(1);
        let (step, tags) = (state.told, state.tags);
        let extra = Extra {
            step: place + 1,
            ..Extra::default()
        };
        self.emit_with(rule, EventKind::Escalated, tags, false, extra, out);
        let to = self
            .telling
            .step(usize::try_from(place).unwrap_or(usize::MAX), self.wall());
        self.notify(rule, EventKind::Escalated, step, tags, to, out);
        self.arm_escalation(rule);
    }

    /// Whether somebody still has to acknowledge, so that more people are told. That the condition is over stops that,
    /// but not where a life may be at stake. Source: `alarms.md` §1.6.
    fn is_owed(&self, rule: u32) -> bool {
        let Some(state) = self.state_of(rule) else {
            return false;
        };
        let life_safety = self.rule(rule).is_some_and(|rule| rule.life_safety);
        let owed = match state.alarm {
            AlarmState::Unacknowledged | AlarmState::LatchedUnacknowledged => true,
            AlarmState::ReturnedUnacknowledged => life_safety,
            AlarmState::Normal
            | AlarmState::Acknowledged
            | AlarmState::LatchedAcknowledged
            | AlarmState::Shelved
            | AlarmState::SuppressedByDesign
            | AlarmState::OutOfService => false,
        };
        owed && !state.suppressed.any() && !state.tags.has(Tag::Test)
    }

    /// The time after which an alarm that is still active is owed again is over.
    pub(super) fn re_alarm_fires(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        if self.rare(rule).and_then(|rare| rare.re_alarm_at) != Some(at) || !self.is_active(rule) {
            return;
        }
        let again = self.rule(rule).and_then(|rule| rule.re_alarm);
        if self.step(rule, crate::lifecycle::AlarmEvent::ReAlarm).is_none() {
            // Nobody has acknowledged yet: it is owed already.
            if let Some(again) = again {
                self.arm_re_alarm(rule, self.now.plus(again));
            }
            return;
        }
        if let Some(state) = self.state_mut(rule) {
            state.acknowledged = None;
        }
        let tags = self
            .state_of(rule)
            .map_or(Tags::NONE, |state| state.tags.only(Tags::of(Tag::Test)));
        self.emit(rule, EventKind::ReAlarmed, tags, true, out);
        let told = self
            .state_of(rule)
            .is_some_and(|state| state.called_at == Some(self.now));
        if let Some(again) = again.filter(|_| !told) {
            self.arm_re_alarm(rule, self.now.plus(again));
        }
    }
}
