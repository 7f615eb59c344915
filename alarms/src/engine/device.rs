//! Devices: heard or silent, and whether their clock can be believed.

use telemetry::profile::Active;
use telemetry::time::Span;
use telemetry::{Quality, Timestamp, Uncertain};

use super::gateway::Gateway;
use super::memory::Seen;
use super::state::Pending;
use super::timers::What;
use super::{Engine, EventKind, Side, Tags, Transition};
use crate::rules::Condition;

/// How often a silence rule that is not looked at by day asks whether night has come.
const DAYLIGHT_POLL: Span = Span::from_secs(600);

impl Engine {
    /// Fires what is due by `to`, each at its own deadline and in order.
    pub(super) fn fire(&mut self, to: Timestamp, silence_too: bool, out: &mut Vec<Transition>) {
        while let Some(timer) = self.timers.pop(to, silence_too) {
            self.now = self.now.max(timer.at);
            match timer.what {
                What::Delay => self.delay_due(timer.place, timer.at, out),
                What::Settle => self.settle_due(timer.place, timer.at, out),
                What::Unshelve => self.shelf_fires(timer.place, timer.at, out),
                What::Permit => self.permit_fires(timer.place, timer.at, out),
                What::Escalate => self.escalation_fires(timer.place, timer.at, out),
                What::ReAlarm => self.re_alarm_fires(timer.place, timer.at, out),
                What::Interval => self.interval_ends(timer.place, timer.at, out),
                What::Digest => self.digest_fires(timer.at, out),
                What::Silence => self.silence_fires(timer.place, timer.at, out),
                What::Behind => self.behind_fires(timer.place, timer.at, out),
            }
        }
    }

    /// A message of the device arrived, whatever was in it.
    pub fn hear(&mut self, device: usize, arrived: Timestamp, out: &mut Vec<Transition>) {
        let arrived = self.on_axis(arrived);
        self.advance_before_input(arrived, out);
        self.heard(device, arrived, out);
    }

    pub(super) fn heard(&mut self, device: usize, arrived: Timestamp, out: &mut Vec<Transition>) {
        let Some(memory) = self.devices.get_mut(device) else {
            return;
        };
        if memory.heard.is_some_and(|before| before >= arrived) {
            return;
        }
        let first = memory.heard.replace(arrived).is_none();
        memory.held = false;
        let (attention, rules) = (memory.silent || memory.behind, memory.silence_rules.len());
        self.touch_device(device);
        if let Some(gateway) = self.plant.devices.get(device).and_then(|device| device.gateway) {
            if self
                .plant
                .devices
                .get(gateway)
                .is_some_and(|gateway| gateway.mute)
            {
                self.heard(gateway, arrived, out);
            }
            self.release_held(gateway);
        }
        if !attention && !first {
            return;
        }
        for index in 0..rules {
            let rule = self
                .devices
                .get(device)
                .and_then(|memory| memory.silence_rules.get(index).copied());
            if let Some(rule) = rule {
                self.silence_over(rule, first, arrived, out);
            }
        }
    }

    /// From now on the timer at `at` counts, and no other of the rule.
    pub(super) fn arm_silence(&mut self, rule: u32, at: Timestamp) {
        if let Some(armed) = usize::try_from(rule)
            .ok()
            .and_then(|place| self.armed.get_mut(place))
        {
            *armed = at;
            self.timers.push(at, What::Silence, rule);
        }
    }

    /// When a silence rule falls due as far as is known now, leaving daylight aside.
    pub(super) fn silence_due(&self, rule: u32) -> Timestamp {
        let Some(found) = self.rule(rule) else {
            return Timestamp::MAX;
        };
        let Condition::Silence { after } = found.condition else {
            return Timestamp::MAX;
        };
        let from = self.silence_base(rule);
        from.plus(after).max(self.silence_from)
    }

    /// Since when it counts: the last message, or for a point that was never seen the end of its grace.
    fn silence_base(&self, rule: u32) -> Timestamp {
        let Some(found) = self.rule(rule) else {
            return Timestamp::MAX;
        };
        let Some(device) = self.devices.get(found.device) else {
            return Timestamp::MAX;
        };
        let heard = match found.series {
            Some(series) => self.fresh(series),
            None => device.heard,
        };
        heard.unwrap_or(device.provisioned.plus(self.spans.grace))
    }

    fn fresh(&self, series: telemetry::SeriesId) -> Option<Timestamp> {
        self.point(series)?.fresh
    }

    fn silence_fires(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let armed = usize::try_from(rule).ok().and_then(|place| self.armed.get(place));
        if armed != Some(&at) || self.is_active(rule) || self.is_out_of_force(rule) {
            return;
        }
        let due = self.silence_due(rule);
        let later = if due > at {
            Some(due)
        } else {
            self.due_by_daylight(rule, at)
        };
        if let Some(later) = later.filter(|later| *later > at) {
            self.arm_silence(rule, later);
            return;
        }
        let Some(device) = self.rule(rule).map(|rule| rule.device) else {
            return;
        };
        match self.gateway_at(device, due) {
            Gateway::Speaks => {}
            Gateway::Silent => self.gateway_falls_silent(device, out),
            Gateway::Doubtful(until) => {
                if let Some(memory) = self.devices.get_mut(device) {
                    memory.held = true;
                }
                self.arm_silence(rule, until);
                return;
            }
        }
        self.raise_silence(rule, out);
    }

    /// Raises a silence rule: since the last message, or for what was never heard since it was provisioned.
    pub(super) fn raise_silence(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let base = self.silence_base(rule);
        let grace = self.spans.grace;
        let since = match self.rule(rule).and_then(|rule| self.devices.get(rule.device)) {
            Some(device) if base == device.provisioned.plus(grace) => device.provisioned,
            Some(_) | None => base,
        };
        if let Some(state) = self.state_mut(rule) {
            state.value = None;
            state.quality = Quality::Good;
        }
        let Some(device) = self.rule(rule).map(|rule| rule.device) else {
            return;
        };
        let whole = self.rule(rule).is_some_and(|rule| rule.series.is_none());
        if let Some(memory) = self.devices.get_mut(device) {
            memory.held = false;
            memory.silent = memory.silent || whole;
        }
        self.raise(rule, since, Tags::NONE, out);
        self.fall_silent(device, rule, out);
        if self.is_gateway(device) {
            self.suppress_children(device, out);
        }
    }

    /// A rule that is looked at only part of the day counts silence from the switch on.
    fn due_by_daylight(&self, rule: u32, at: Timestamp) -> Option<Timestamp> {
        let found = self.rule(rule)?;
        let Condition::Silence { after } = found.condition else {
            return None;
        };
        if found.active == Active::Always {
            return None;
        }
        if !self.looks(rule, at) {
            return Some(at.plus(DAYLIGHT_POLL));
        }
        // Night and day last longer than any poll, so one switch at most lies in a step.
        let mut off = at;
        let floor = at.minus(after);
        while off > floor && self.looks(rule, off) {
            off = off.minus(DAYLIGHT_POLL).max(floor);
        }
        if self.looks(rule, off) {
            return None;
        }
        let mut on = at.min(off.plus(DAYLIGHT_POLL));
        while on.millis_since(off) > 1 {
            let middle = off.plus(Span::from_millis(on.millis_since(off).unsigned_abs() / 2));
            if self.looks(rule, middle) {
                on = middle;
            } else {
                off = middle;
            }
        }
        Some(on.plus(after))
    }

    /// Holds and marks every alarm of the device, and freezes its delays. Where none is active the silence itself bears the mark.
    fn fall_silent(&mut self, device: usize, silence: u32, out: &mut Vec<Transition>) {
        let series = self.rule(silence).and_then(|rule| rule.series);
        let mut any = false;
        let rules = self.devices.get(device).map_or(0, |memory| memory.rules.len());
        for index in 0..rules {
            let rule = self
                .devices
                .get(device)
                .and_then(|memory| memory.rules.get(index).copied());
            let Some(rule) = rule.filter(|rule| *rule != silence) else {
                continue;
            };
            let Some(found) = self.rule(rule) else { continue };
            if matches!(found.condition, Condition::Silence { .. })
                || (series.is_some() && found.series != series)
            {
                continue;
            }
            any |= self.hold(rule, out);
        }
        if !any {
            self.emit(silence, EventKind::Stale, Tags::NONE, false, out);
        }
    }

    /// Marks an active alarm as stale, and freezes a delay; whether it was active.
    fn hold(&mut self, rule: u32, out: &mut Vec<Transition>) -> bool {
        let Some(state) = self.state_mut(rule) else {
            return false;
        };
        let frozen = state.pending.is_some();
        if let Some(pending) = &mut state.pending {
            pending.frozen = true;
        }
        let held = state.alarm.is_active() && !state.stale;
        state.stale = state.stale || held;
        if held {
            self.emit(rule, EventKind::Stale, Tags::NONE, false, out);
        } else if frozen {
            self.touch_rule(rule);
        }
        held
    }

    /// What a silence rule waited for has come, for the first time ever or again.
    pub(super) fn silence_over(
        &mut self,
        rule: u32,
        first: bool,
        arrived: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        if !self.is_active(rule) {
            if first {
                self.arm_silence(rule, self.silence_due(rule));
            }
            self.resume_behind(rule, out);
            return;
        }
        let Some((device, series)) = self.rule(rule).map(|rule| (rule.device, rule.series)) else {
            return;
        };
        // Before anybody asks what the device is worth it is not silent any more.
        if series.is_none() {
            let still = self.devices.get(device).is_some_and(|memory| {
                let mut others = memory.silence_rules.iter().filter(|other| **other != rule);
                others.any(|other| self.is_active(*other))
            });
            if let Some(memory) = self.devices.get_mut(device) {
                memory.silent = still;
            }
        }
        self.mark_gap(device, series, arrived);
        self.clear(rule, arrived, Tags::NONE, out);
        self.resume_behind(rule, out);
        if !self.any_stale(device) {
            self.emit(rule, EventKind::Fresh, Tags::NONE, false, out);
        }
        let due = self.silence_due(rule);
        self.arm_silence(rule, due);
        if self.is_gateway(device) {
            self.gateway_returns(device);
        }
    }

    /// A silence is over: a delay does not reach back beyond it.
    fn mark_gap(&mut self, device: usize, series: Option<telemetry::SeriesId>, arrived: Timestamp) {
        let Some(points) = self.devices.get(device).map(|memory| memory.points.clone()) else {
            return;
        };
        for place in points {
            let point = usize::try_from(place)
                .ok()
                .and_then(|place| self.points.get_mut(place));
            if let Some(point) = point
                && series.is_none_or(|series| series == point.series)
            {
                point.resumed = Some(arrived);
            }
        }
        self.touch_device(device);
    }

    fn any_stale(&self, device: usize) -> bool {
        let rules = self.devices.get(device).map_or(&[][..], |memory| &memory.rules);
        rules
            .iter()
            .any(|rule| self.state_of(*rule).is_some_and(|state| state.stale))
    }

    /// Whether the clock of the device lied in this sample.
    pub(super) fn clock_seen(
        &mut self,
        device: usize,
        seen: &Seen,
        device_time: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let lies = seen.quality == Quality::Uncertain(Uncertain::ClockSkew);
        let Some(rule) = self.devices.get(device).and_then(|memory| memory.clock_rule) else {
            return;
        };
        let Some(state) = self.state_of(rule) else { return };
        let (active, pending) = (state.alarm.is_active(), state.pending);
        let at = seen.arrived;
        if lies {
            self.drop_pending(rule);
            if !active {
                self.set_value(rule, *seen);
                if let Some(rare) = self.rare_mut(rule) {
                    rare.device_time = Some(device_time);
                }
                self.raise(rule, at, Tags::NONE, out);
            }
        } else if active && !seen.quality.is_bad() && pending.is_none_or(|pending| pending.frozen) {
            let Some(delay) = self.rule(rule).map(|rule| rule.off_delay) else {
                return;
            };
            if delay == Span::ZERO {
                self.clear(rule, at, Tags::NONE, out);
                return;
            }
            let deadline = at.plus(delay).max(self.now);
            let off = Pending {
                side: Side::Off,
                start: at,
                deadline,
                frozen: false,
                waits: false,
                late: false,
                cites: None,
            };
            self.begin(rule, off, out);
        }
    }
}
