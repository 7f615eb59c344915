//! Devices: heard or silent, and whether their clock can be believed.

use telemetry::profile::Active;
use telemetry::time::Span;
use telemetry::{Quality, Timestamp, Uncertain};

use super::memory::Seen;
use super::state::Pending;
use super::timers::{Timer, What};
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
                What::Silence => self.silence_fires(timer.place, timer.at, out),
            }
        }
    }

    /// A message of the device arrived, whatever was in it.
    pub fn hear(&mut self, device: usize, arrived: Timestamp, out: &mut Vec<Transition>) {
        let arrived = self.on_axis(arrived);
        self.fire(arrived, false, out);
        self.now = self.now.max(arrived);
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
        let (silent, rules) = (memory.silent, memory.silence_rules.len());
        self.touch_device(device);
        if !silent && !first {
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
            self.timers.push(Timer {
                at,
                what: What::Silence,
                place: rule,
            });
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
        if armed != Some(&at) || self.state_of(rule).is_some_and(|state| state.alarm.is_active()) {
            return;
        }
        let due = self.silence_due(rule);
        let due = if due > at {
            due
        } else {
            self.due_by_daylight(rule, at).unwrap_or(at)
        };
        if due > at {
            self.arm_silence(rule, due);
            return;
        }
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
        self.raise(rule, since, at, Tags::NONE, out);
        if let Some(device) = self.rule(rule).map(|rule| rule.device) {
            self.fall_silent(device, rule, at, out);
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

    /// Holds and marks every alarm of the device, and freezes its delays.
    fn fall_silent(&mut self, device: usize, silence: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let series = self.rule(silence).and_then(|rule| rule.series);
        let Some(memory) = self.devices.get_mut(device) else {
            return;
        };
        if series.is_none() {
            memory.silent = true;
        }
        for index in 0..memory.rules.len() {
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
            let Some(state) = self.state_mut(rule) else {
                continue;
            };
            let frozen = state.pending.is_some();
            if let Some(pending) = &mut state.pending {
                pending.frozen = true;
            }
            let held = state.alarm.is_active() && !state.stale;
            state.stale = state.stale || held;
            if held {
                self.emit(rule, at, EventKind::Stale, Tags::NONE, false, out);
            } else if frozen {
                self.touch_rule(rule);
            }
        }
    }

    /// What a silence rule waited for has come, for the first time ever or again.
    pub(super) fn silence_over(
        &mut self,
        rule: u32,
        first: bool,
        arrived: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let Some(state) = self.state_of(rule) else { return };
        if !state.alarm.is_active() {
            if first {
                self.arm_silence(rule, self.silence_due(rule));
            }
            return;
        }
        let Some((device, series)) = self.rule(rule).map(|rule| (rule.device, rule.series)) else {
            return;
        };
        self.clear(rule, arrived, self.now, Tags::NONE, out);
        let due = self.silence_due(rule);
        self.arm_silence(rule, due);
        if series.is_none() {
            let still = self.devices.get(device).is_some_and(|memory| {
                memory
                    .silence_rules
                    .iter()
                    .any(|rule| self.state_of(*rule).is_some_and(|state| state.alarm.is_active()))
            });
            if let Some(memory) = self.devices.get_mut(device) {
                memory.silent = still;
            }
        }
    }

    /// Whether the clock of the device lied in this sample.
    pub(super) fn clock_seen(&mut self, device: usize, seen: &Seen, out: &mut Vec<Transition>) {
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
                if let Some(state) = self.state_mut(rule) {
                    state.value = None;
                }
                self.raise(rule, at, self.now, Tags::NONE, out);
            }
        } else if active && !seen.quality.is_bad() && pending.is_none_or(|pending| pending.frozen) {
            let Some(delay) = self.rule(rule).map(|rule| rule.off_delay) else {
                return;
            };
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
