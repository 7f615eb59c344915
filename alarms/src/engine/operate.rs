//! What people do: acknowledge, reset, shelve, take out of service, test, take out of force. Whatever is not allowed is refused, and
//! nothing has changed then.

use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::time::Span;

use super::timers::What;
use super::{Acknowledgement, Engine, EventKind, Extra, SetAside, Tag, Tags, Transition};
use crate::lifecycle::{AlarmEvent, Suppression};

/// The longest test and the longest maintenance of a point. Longer: refused; it ends by itself, and can be renewed.
pub(super) const PERMIT_MAX: Span = Span::from_secs(30 * 86_400);

/// Who does something, and why.
#[derive(Clone, Copy, Debug)]
pub struct Operator<'a> {
    /// Name of the person.
    pub by: &'a str,
    /// Why: required to shelve.
    pub reason: Option<&'a str>,
    /// Another person who agrees: required to shelve what may save a life.
    pub second: Option<&'a str>,
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The rule never raised that occurrence, or there is no such rule or point.
    #[error("there is no such alarm")]
    Unknown,
    /// A newer occurrence has taken its place.
    #[error("a newer occurrence took its place")]
    Superseded,
    /// It is acknowledged already, or over.
    #[error("it is acknowledged, or over")]
    NotOwed,
    /// It called after what the person had seen.
    #[error("it called after what was seen; read the list again")]
    Unseen,
    /// A latch that is not there, or that holds an alarm which is active or not acknowledged.
    #[error("only a latched alarm that is over and acknowledged can be reset")]
    NotLatched,
    /// A person has to say why.
    #[error("a reason is required")]
    NoReason,
    /// Two persons have to agree.
    #[error("life-safety: a second person has to agree")]
    TwoPersons,
    /// Longer than the bound.
    #[error("that is longer than is allowed")]
    TooLong,
    /// It is not set aside.
    #[error("it is not shelved, out of service or in test")]
    NotAside,
}

impl Engine {
    /// A person acknowledges an occurrence. `seen` is the greatest number of a transition that the person had seen.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn acknowledge(
        &mut self,
        rule: usize,
        occurrence: u32,
        acknowledgement: Acknowledgement,
        seen: Option<u64>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let state = self.states.get(rule).ok_or(Refusal::Unknown)?;
        if occurrence == 0 || occurrence > state.occurrence {
            return Err(Refusal::Unknown);
        }
        if occurrence < state.occurrence {
            return Err(Refusal::Superseded);
        }
        if !state.alarm.wants_acknowledgement() {
            return Err(Refusal::NotOwed);
        }
        if seen.is_some_and(|seen| state.called_seq.max(state.raised_seq) > seen) {
            return Err(Refusal::Unseen);
        }
        let number = u32::try_from(rule).map_err(|_| Refusal::Unknown)?;
        self.step(number, AlarmEvent::Acknowledge);
        let by = Arc::from(&*acknowledgement.by);
        let tags = Tags::of(Tag::Test).only(state_tags(self, number));
        if let Some(state) = self.states.get_mut(rule) {
            state.acknowledged = Some(acknowledgement);
            state.owed_since = None;
        }
        let extra = Extra {
            by: Some(by),
            ..Extra::default()
        };
        self.emit_with(number, EventKind::Acknowledged, tags, false, extra, out);
        Ok(())
    }

    /// A person lets go of a latch.
    ///
    /// # Errors
    /// [`Refusal`] when nothing is latched, or it is active or owed.
    pub fn reset(
        &mut self,
        rule: usize,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let number = self.number(rule)?;
        self.step(number, AlarmEvent::Reset).ok_or(Refusal::NotLatched)?;
        if let Some(state) = self.states.get_mut(rule) {
            state.latch = false;
        }
        self.emit_with(number, EventKind::Reset, Tags::NONE, false, said(operator), out);
        Ok(())
    }

    /// A person sets an alarm aside for a time.
    ///
    /// # Errors
    /// [`Refusal`] without a reason, for longer than allowed, or for what may save a life without a second person.
    pub fn shelve(
        &mut self,
        rule: usize,
        time: Span,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let number = self.number(rule)?;
        let reason = operator.reason.filter(|reason| !reason.trim().is_empty());
        let reason = reason.ok_or(Refusal::NoReason)?;
        let life_safety = self.rules.get(rule).is_some_and(|rule| rule.life_safety);
        let agreed = operator
            .second
            .is_some_and(|second| !second.trim().is_empty() && second != operator.by);
        if life_safety && !agreed {
            return Err(Refusal::TwoPersons);
        }
        if time == Span::ZERO || time > self.spans.shelve_max {
            return Err(Refusal::TooLong);
        }
        let until = self.now.plus(time);
        if let Some(rare) = self.rare_mut(number) {
            rare.shelved = Some(SetAside {
                until,
                by: operator.by.into(),
                reason: reason.into(),
            });
        }
        self.timers.push(until, What::Unshelve, number);
        self.touch_rule(number);
        self.step(number, AlarmEvent::Suppress(Suppression::Shelved));
        self.emit_with(
            number,
            EventKind::Shelved,
            Tags::NONE,
            false,
            until_then(operator, until),
            out,
        );
        Ok(())
    }

    /// A person takes an alarm off the shelf.
    ///
    /// # Errors
    /// [`Refusal::NotAside`] when it is not on it.
    pub fn unshelve(
        &mut self,
        rule: usize,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let number = self.number(rule)?;
        self.rare_mut(number)
            .and_then(|rare| rare.shelved.take())
            .ok_or(Refusal::NotAside)?;
        self.resume(
            number,
            Suppression::Shelved,
            EventKind::Unshelved,
            said(operator),
            out,
        );
        Ok(())
    }

    pub(super) fn shelf_fires(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let until = self
            .rare(rule)
            .and_then(|rare| rare.shelved.as_ref().map(|aside| aside.until));
        if until != Some(at) {
            return;
        }
        if let Some(rare) = self.rare_mut(rule) {
            rare.shelved = None;
        }
        let extra = Extra {
            reason: Some("expired".into()),
            ..Extra::default()
        };
        self.resume(rule, Suppression::Shelved, EventKind::Unshelved, extra, out);
    }

    /// One reason to set an alarm aside is over: what is active then is owed and told.
    pub(super) fn resume(
        &mut self,
        rule: u32,
        suppression: Suppression,
        event: EventKind,
        extra: Extra,
        out: &mut Vec<Transition>,
    ) {
        if self.step(rule, AlarmEvent::Resume(suppression)).is_none() {
            return;
        }
        let Some(state) = self.state_mut(rule) else { return };
        let owed = state.alarm.is_active() && !state.suppressed.any();
        state.owed_since = None;
        if owed {
            state.acknowledged = None;
        }
        let tags = state.tags.only(Tags::of(Tag::Test));
        self.emit_with(rule, event, tags, owed, extra, out);
    }

    /// A point is taken out of service by a permit: all its alarms are set aside.
    ///
    /// # Errors
    /// [`Refusal`] without a permit, or for longer than thirty days.
    pub fn take_out_of_service(
        &mut self,
        device: usize,
        time: Span,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        if operator.reason.is_none_or(|reason| reason.trim().is_empty()) {
            return Err(Refusal::NoReason);
        }
        let until = self.permit_until(time)?;
        let memory = self.devices.get_mut(device).ok_or(Refusal::Unknown)?;
        memory.out_until = Some(until);
        let rules = memory.rules.clone();
        self.arm_permit(device, until);
        let before = out.len();
        for rule in rules {
            if !self.is_out_of_force(rule)
                && self
                    .step(rule, AlarmEvent::Suppress(Suppression::OutOfService))
                    .is_some()
            {
                self.emit_with(
                    rule,
                    EventKind::OutOfService,
                    Tags::NONE,
                    false,
                    until_then(operator, until),
                    out,
                );
            }
        }
        if out.len() == before {
            // They all were set aside: that the permit has another end is told of the device.
            let extra = self.of_device(device, until_then(operator, until));
            self.emit_plain(EventKind::OutOfService, extra, out);
        }
        self.joint_of_device(device, out);
        Ok(())
    }

    /// A point is back in service.
    ///
    /// # Errors
    /// [`Refusal::NotAside`] when it never was out of it.
    pub fn return_to_service(
        &mut self,
        device: usize,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let memory = self.devices.get(device).ok_or(Refusal::Unknown)?;
        memory.out_until.ok_or(Refusal::NotAside)?;
        self.in_service(device, said(operator), out);
        Ok(())
    }

    fn in_service(&mut self, device: usize, extra: Extra, out: &mut Vec<Transition>) {
        let Some(memory) = self.devices.get_mut(device) else {
            return;
        };
        memory.out_until = None;
        let rules = memory.rules.clone();
        self.touch_device(device);
        for rule in rules {
            self.resume(
                rule,
                Suppression::OutOfService,
                EventKind::InService,
                extra.clone(),
                out,
            );
        }
        self.joint_of_device(device, out);
    }

    /// A point is tested: its alarms go to testers only, and count nowhere.
    ///
    /// # Errors
    /// [`Refusal`] for longer than thirty days.
    pub fn test(
        &mut self,
        device: usize,
        time: Span,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let until = self.permit_until(time)?;
        let memory = self.devices.get_mut(device).ok_or(Refusal::Unknown)?;
        memory.test_until = Some(until);
        self.arm_permit(device, until);
        let extra = self.of_device(device, until_then(operator, until));
        self.emit_plain(EventKind::TestOn, extra, out);
        self.joint_of_device(device, out);
        Ok(())
    }

    /// A person ends a test.
    ///
    /// # Errors
    /// [`Refusal::NotAside`] when there is none.
    pub fn end_test(
        &mut self,
        device: usize,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let memory = self.devices.get(device).ok_or(Refusal::Unknown)?;
        memory.test_until.ok_or(Refusal::NotAside)?;
        self.test_ends(device, said(operator), out);
        Ok(())
    }

    /// What is still active when a test ends is no test any more.
    fn test_ends(&mut self, device: usize, extra: Extra, out: &mut Vec<Transition>) {
        let Some(memory) = self.devices.get_mut(device) else {
            return;
        };
        memory.test_until = None;
        let rules = memory.rules.clone();
        self.touch_device(device);
        let extra = self.of_device(device, extra);
        self.emit_plain(EventKind::TestOff, extra, out);
        for rule in rules {
            let Some(state) = self.state_mut(rule) else {
                continue;
            };
            // What was over before the test was stays a test: nobody else is called for it, now or after a restart.
            if !state.tags.has(Tag::Test) || !state.alarm.is_active() {
                continue;
            }
            state.tags = state.tags.without(Tag::Test);
            self.step(rule, AlarmEvent::ReAlarm);
            if let Some(state) = self.state_mut(rule) {
                state.acknowledged = None;
            }
            self.emit(rule, EventKind::ReAlarmed, Tags::NONE, true, out);
        }
        self.joint_of_device(device, out);
    }

    pub(super) fn permit_fires(&mut self, device: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let Ok(device) = usize::try_from(device) else {
            return;
        };
        let expired = || Extra {
            reason: Some("expired".into()),
            ..Extra::default()
        };
        let (test, service) = self
            .devices
            .get(device)
            .map_or((None, None), |memory| (memory.test_until, memory.out_until));
        if test == Some(at) {
            self.test_ends(device, expired(), out);
        }
        if service == Some(at) {
            self.in_service(device, expired(), out);
        }
    }

    /// A rule is taken out of force by a person: its alarm is closed, never silently.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when there is no such rule, or it is out of force already.
    pub fn disable(
        &mut self,
        rule: usize,
        operator: Operator<'_>,
        out: &mut Vec<Transition>,
    ) -> Result<(), Refusal> {
        let number = self.number(rule)?;
        if self.is_out_of_force(number) {
            return Err(Refusal::Unknown);
        }
        let extra = Extra {
            reason: Some(operator.reason.unwrap_or("disabled").into()),
            ..said(operator)
        };
        self.close(number, extra, out);
        if let Some(rare) = self.rare_mut(number) {
            rare.disabled = true;
        }
        Ok(())
    }

    /// Closes whatever is open of a rule. People are told where anything was open, and of a rule that somebody wrote always where a
    /// life may be at stake. What the engine itself watches for goes with its point, without a word where nothing was open.
    pub(super) fn close(&mut self, rule: u32, extra: Extra, out: &mut Vec<Transition>) {
        let open = self.step(rule, AlarmEvent::Close).is_some();
        let (life_safety, system) = self
            .rule(rule)
            .map_or((false, false), |rule| (rule.life_safety, rule.system));
        let now = self.now;
        if let Some(state) = self.state_mut(rule) {
            state.pending = None;
            state.run = None;
            state.latch = false;
            state.stale = false;
            state.rare = None;
            if open {
                state.returned_at = Some(now);
            }
        }
        if system && !open {
            self.touch_rule(rule);
            return;
        }
        let tags = Tags::of(Tag::Test).only(state_tags(self, rule));
        self.emit_with(rule, EventKind::Closed, tags, open || life_safety, extra, out);
    }

    /// Writes down that a person was refused.
    pub fn refused(&mut self, rule: Option<usize>, by: &str, why: &str, out: &mut Vec<Transition>) {
        let extra = Extra {
            by: Some(by.into()),
            reason: Some(why.into()),
            ..Extra::default()
        };
        match rule.and_then(|rule| self.number(rule).ok()) {
            Some(rule) => self.emit_with(rule, EventKind::Refused, Tags::NONE, false, extra, out),
            None => self.emit_plain(EventKind::Refused, extra, out),
        }
    }

    fn number(&self, rule: usize) -> Result<u32, Refusal> {
        let known = rule < self.rules.len();
        u32::try_from(rule).ok().filter(|_| known).ok_or(Refusal::Unknown)
    }

    fn permit_until(&self, time: Span) -> Result<Timestamp, Refusal> {
        if time == Span::ZERO || time > PERMIT_MAX {
            return Err(Refusal::TooLong);
        }
        Ok(self.now.plus(time))
    }

    pub(super) fn arm_permit(&mut self, device: usize, until: Timestamp) {
        if let Ok(number) = u32::try_from(device) {
            self.timers.push(until, What::Permit, number);
        }
        self.touch_device(device);
    }

    fn of_device(&self, device: usize, extra: Extra) -> Extra {
        let name = self
            .plant
            .devices
            .get(device)
            .map(|device| Arc::clone(&device.name));
        Extra {
            points: name.into_iter().collect(),
            ..extra
        }
    }
}

fn state_tags(engine: &Engine, rule: u32) -> Tags {
    engine.state_of(rule).map_or(Tags::NONE, |state| state.tags)
}

fn until_then(operator: Operator<'_>, until: Timestamp) -> Extra {
    Extra {
        until: Some(until),
        ..said(operator)
    }
}

fn said(operator: Operator<'_>) -> Extra {
    Extra {
        by: Some(operator.by.into()),
        reason: operator.reason.map(Arc::from),
        second: operator.second.map(Arc::from),
        ..Extra::default()
    }
}
