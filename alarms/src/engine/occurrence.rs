//! An occurrence begins and ends; and how everything that happens is written down.

use telemetry::Timestamp;
use telemetry::time::Span;

use super::{Engine, EventKind, Extra, NO_RULE, RuleState, Tag, Tags, Transition};
use crate::lifecycle::{self, AlarmEvent, AlarmState, Row};
use crate::rules::Condition;

/// So many occurrences of a rule within [`CHATTER_WITHIN`] are chatter. Source: `alarms.md` §1.3 (confidence M).
const CHATTER_RAISES: usize = 3;
/// See [`CHATTER_RAISES`].
const CHATTER_WITHIN: Span = Span::from_secs(60);

impl Engine {
    /// Takes the life cycle one step on; the row of the table that was taken.
    pub(super) fn step(&mut self, rule: u32, event: AlarmEvent) -> Option<Row> {
        let state = self.state_mut(rule)?;
        let (after, row) = lifecycle::after(state.place(), event);
        state.alarm = after.alarm;
        state.suppressed = after.suppressed;
        state.occurrence = lifecycle::occurrence_after(state.occurrence, row);
        if row.is_some() {
            self.touch_rule(rule);
        }
        row
    }

    /// The condition of a rule is true since `since`: a new occurrence, or more of one that a latch held.
    pub(super) fn raise(&mut self, rule: u32, since: Timestamp, tags: Tags, out: &mut Vec<Transition>) {
        let Some(row) = self.step(rule, AlarmEvent::Raise) else {
            return;
        };
        let tags = tags.and(self.test_tag(rule));
        let latching = self.rule(rule).is_some_and(|rule| rule.latching);
        if row == Row::T10 {
            self.raise_again(rule, tags, out);
            return;
        }
        let now = self.now;
        let tags = tags.and(self.chatter(rule));
        // Where a life may be at stake an alarm that comes and goes, and that nobody acknowledges, is one escalation.
        let goes_on = row == Row::T6 && self.rule(rule).is_some_and(|rule| rule.life_safety);
        if let Some(state) = self.state_mut(rule) {
            state.pending = None;
            state.since = since;
            state.ended = None;
            state.raised_at = now;
            state.returned_at = None;
            state.acknowledged = None;
            state.stale = false;
            state.tags = tags;
            state.told = 0;
            state.called_at = None;
            state.owed_since = state.owed_since.filter(|_| goes_on);
            state.latch = state.latch || latching;
        }
        let (sensor, clock) = self.rule(rule).map_or((false, false), |rule| {
            (
                matches!(rule.condition, Condition::Fault { .. }),
                rule.condition == Condition::Clock,
            )
        });
        self.emit(rule, EventKind::Raised, tags, true, out);
        if sensor {
            self.emit(rule, EventKind::SensorFault, tags, false, out);
        } else if clock {
            let device_time = self.rare(rule).and_then(|rare| rare.device_time);
            let extra = Extra {
                device_time,
                ..Extra::default()
            };
            self.emit_with(rule, EventKind::ClockSkew, tags, false, extra, out);
        }
        self.graver(rule, out);
        self.status_changed(rule, out);
    }

    /// A graver level of the same point is reached: who has acknowledged the lesser one has not acknowledged this.
    /// Its own alarm calls; the lesser one is only owed again (T7).
    fn graver(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let Some(found) = self.rule(rule) else { return };
        let (Some(series), Some(limit)) = (found.series, found.condition.limit()) else {
            return;
        };
        let lesser = |other: &crate::rules::Rule| match (&found.condition, &other.condition) {
            (Condition::High { .. }, Condition::High { limit: other, .. }) => *other < limit,
            (Condition::Low { .. }, Condition::Low { limit: other, .. }) => *other > limit,
            _ => false,
        };
        let rules = self.point(series).map_or(&[][..], |point| &point.rules);
        let lesser: Vec<u32> = (rules.iter().copied())
            .filter(|other| self.rule(*other).is_some_and(lesser))
            .collect();
        for other in lesser {
            if self.step(other, AlarmEvent::ReAlarm).is_some() {
                if let Some(state) = self.state_mut(other) {
                    state.acknowledged = None;
                }
                let tags = state_tags(self.state_of(other)).only(Tags::of(Tag::Test));
                self.emit(other, EventKind::ReAlarmed, tags, false, out);
            }
        }
    }

    /// The condition is true again under a latch: the same occurrence, owed again.
    fn raise_again(&mut self, rule: u32, tags: Tags, out: &mut Vec<Transition>) {
        if let Some(state) = self.state_mut(rule) {
            state.pending = None;
            state.ended = None;
            state.returned_at = None;
            state.acknowledged = None;
            state.tags = state.tags.and(tags);
        }
        self.emit(rule, EventKind::ReAlarmed, tags, true, out);
    }

    /// The condition of a rule is over since `since`.
    pub(super) fn clear(&mut self, rule: u32, since: Timestamp, tags: Tags, out: &mut Vec<Transition>) {
        let Some(state) = self.state_of(rule) else { return };
        let latch = state.latch;
        // Over in the same instant in which it was found: its one message says so.
        let at_once = tags.has(Tag::Momentary) && state.raised_at == self.now;
        let told = state.called_at.is_some();
        let event = if latch {
            AlarmEvent::Latch
        } else {
            AlarmEvent::Clear
        };
        if self.step(rule, event).is_none() {
            return;
        }
        let tags = tags.and(state_tags(self.state_of(rule)).only(Tags::of(Tag::Test)));
        let now = self.now;
        if let Some(state) = self.state_mut(rule) {
            state.pending = None;
            state.ended = Some(since);
            state.returned_at = Some(now);
            state.stale = false;
        }
        let kind = if latch {
            EventKind::Latched
        } else {
            EventKind::Cleared
        };
        self.emit(rule, kind, tags, told && !at_once, out);
        if let Some(state) = self.state_mut(rule) {
            state.latch = latch && state.alarm.is_latched();
        }
        if self
            .rule(rule)
            .is_some_and(|rule| matches!(rule.condition, Condition::Fault { .. }))
        {
            self.emit(rule, EventKind::SensorOk, tags, false, out);
        }
        self.status_changed(rule, out);
    }

    /// A rule that tells of a sensor or of silence changes what its point is worth to others.
    fn status_changed(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let Some(found) = self.rule(rule) else { return };
        if matches!(
            found.condition,
            Condition::Fault { .. } | Condition::Silence { .. }
        ) {
            let device = found.device;
            self.joint_of_device(device, out);
        }
    }

    fn test_tag(&self, rule: u32) -> Tags {
        if self.is_in_test(rule) {
            Tags::of(Tag::Test)
        } else {
            Tags::NONE
        }
    }

    pub(super) fn is_in_test(&self, rule: u32) -> bool {
        self.rule(rule)
            .and_then(|rule| self.devices.get(rule.device))
            .is_some_and(|device| device.test_until.is_some())
    }

    /// Remembers a raise, and whether it is one too many in a short time.
    fn chatter(&mut self, rule: u32) -> Tags {
        let now = self.now;
        let Some(rare) = self.rare_mut(rule) else {
            return Tags::NONE;
        };
        rare.raises
            .retain(|at| now.millis_since(*at) <= CHATTER_WITHIN.millis_i64());
        let over = rare.raises.len().saturating_sub(CHATTER_RAISES - 1);
        rare.raises.drain(..over);
        rare.raises.push(now);
        if rare.raises.len() >= CHATTER_RAISES {
            Tags::of(Tag::Chattering)
        } else {
            Tags::NONE
        }
    }

    /// Writes down what happened to a rule, with the state as it is now; `tell`: people are told, unless the alarm is set aside.
    pub(super) fn emit(
        &mut self,
        rule: u32,
        event: EventKind,
        tags: Tags,
        tell: bool,
        out: &mut Vec<Transition>,
    ) {
        self.emit_with(rule, event, tags, tell, Extra::default(), out);
    }

    /// The same, with what only some transitions have.
    pub(super) fn emit_with(
        &mut self,
        rule: u32,
        event: EventKind,
        tags: Tags,
        tell: bool,
        extra: Extra,
        out: &mut Vec<Transition>,
    ) {
        self.seq += 1;
        let (seq, at) = (self.seq, self.now);
        let Some(state) = self.state_mut(rule) else { return };
        state.seq = seq;
        if event == EventKind::Raised {
            state.raised_seq = seq;
        }
        let tell = tell && !state.suppressed.any();
        let since = if matches!(
            event,
            EventKind::Cleared | EventKind::PendingOff | EventKind::Latched
        ) {
            state.ended.unwrap_or(state.since)
        } else {
            state.since
        };
        let state = state.clone();
        let extra = self.with_area(rule, event, extra);
        out.push(Transition {
            seq,
            at,
            event,
            rule,
            occurrence: state.occurrence,
            since,
            value: state.value,
            quality: state.quality,
            state: state.shown(),
            tags,
            page: tell,
            extra: (extra != Extra::default()).then(|| Box::new(extra)),
            after: state,
        });
        self.touch_rule(rule);
        if tell {
            self.call(rule, event, tags, out);
        }
    }

    /// How many alarms of the rule's group are active, the version of the rules, and the points behind a gateway.
    fn with_area(&self, rule: u32, event: EventKind, mut extra: Extra) -> Extra {
        if self.version > 1 {
            extra.version = Some(self.version);
        }
        if !matches!(event, EventKind::Raised | EventKind::Cleared | EventKind::Latched) {
            return extra;
        }
        let Some(found) = self.rule(rule) else {
            return extra;
        };
        let device = self.plant.devices.get(found.device);
        match (&found.condition, device.and_then(|device| device.group)) {
            (Condition::Silence { .. }, _) if self.is_gateway(found.device) => {
                let (points, lost) = self.lost_behind(found.device);
                extra.points = points;
                extra.active = Some(lost);
            }
            (Condition::Vote { group, .. } | Condition::Protection { group }, _) => {
                extra.active = Some(self.active_in(*group));
            }
            (_, Some(group)) => extra.active = Some(self.active_in(group)),
            (_, None) => {}
        }
        extra
    }

    /// Writes down what happened to a device, or to nobody.
    pub(super) fn emit_plain(&mut self, event: EventKind, extra: Extra, out: &mut Vec<Transition>) {
        self.seq += 1;
        out.push(Transition {
            seq: self.seq,
            at: self.now,
            event,
            rule: NO_RULE,
            occurrence: 0,
            since: self.now,
            value: None,
            quality: telemetry::Quality::Good,
            state: AlarmState::Normal,
            tags: Tags::NONE,
            page: false,
            extra: Some(Box::new(extra)),
            after: RuleState::default(),
        });
    }
}

fn state_tags(state: Option<&RuleState>) -> Tags {
    state.map_or(Tags::NONE, |state| state.tags)
}
