//! The newest sample of a point, and the delays that it starts, matures or stops.

use telemetry::Timestamp;

use super::memory::Seen;
use super::state::Pending;
use super::timers::What;
use super::{Engine, EventKind, Side, Tags, Transition};
use crate::rules::Verdict;

impl Engine {
    /// Takes in what the newest sample says about a rule; `tags` are those of what it found out.
    pub(super) fn newest_sample(
        &mut self,
        rule: u32,
        verdict: Verdict,
        seen: Seen,
        tags: Tags,
        out: &mut Vec<Transition>,
    ) {
        let Some(state) = self.state_of(rule) else { return };
        let active = state.alarm.is_active();
        if !active && state.pending.is_none() && verdict != Verdict::Violates {
            return;
        }
        // Outside of its hours a rule raises nothing; what it raised may still clear by the clock's hours.
        if !self.looks(rule, seen.time) && !self.may_clear_outside(rule, verdict) {
            return;
        }
        self.freshen(rule, out);
        if active {
            self.newest_while_active(rule, verdict, seen, out);
        } else {
            self.newest_while_normal(rule, verdict, seen, tags, out);
        }
    }

    /// A schedule says when a rule may raise. That a lamp is off by day, in contrast, is no end of its fault.
    fn may_clear_outside(&self, rule: u32, verdict: Verdict) -> bool {
        let scheduled = self.rule(rule).is_some_and(|rule| rule.schedule.is_some());
        scheduled && verdict != Verdict::Violates
    }

    fn newest_while_normal(
        &mut self,
        rule: u32,
        verdict: Verdict,
        seen: Seen,
        tags: Tags,
        out: &mut Vec<Transition>,
    ) {
        if verdict.is_contrary() {
            self.break_pending(rule, seen.time);
        }
        if verdict != Verdict::Violates {
            return;
        }
        self.set_value(rule, seen);
        let life_safety = self.rule(rule).is_some_and(|rule| rule.life_safety);
        let pending = self.state_of(rule).and_then(|state| state.pending);
        let delay = self.rule(rule).map_or(0, |rule| rule.on_delay.millis_i64());
        let pending = match pending {
            // A normal timer restarts after a gap, a life-safety timer counts through it.
            Some(pending) if !pending.frozen || life_safety => pending,
            Some(_) | None => {
                let begun = Pending {
                    side: Side::On,
                    start: seen.time,
                    deadline: Timestamp::from_millis(seen.arrived.millis().saturating_add(delay)),
                    frozen: false,
                    waits: false,
                    late: seen.late,
                    cites: None,
                };
                if delay > 0 {
                    self.begin(rule, begun, out);
                }
                begun
            }
        };
        let matured = seen.time.millis_since(pending.start) >= delay;
        if matured {
            let tags = tags.and(Tags::late(pending.late));
            self.raise(rule, pending.start, tags, out);
        } else if pending.frozen || pending.waits {
            self.go_on(rule, pending);
        }
    }

    fn newest_while_active(&mut self, rule: u32, verdict: Verdict, seen: Seen, out: &mut Vec<Transition>) {
        match verdict {
            Verdict::Violates | Verdict::Between { .. } => {
                self.drop_pending(rule);
                if verdict == Verdict::Violates {
                    self.set_value(rule, seen);
                }
            }
            Verdict::Clears { good: true } => {
                let pending = self.state_of(rule).and_then(|state| state.pending);
                let delay = self.rule(rule).map_or(0, |rule| rule.off_delay.millis_i64());
                // An off-delay that meets a gap begins anew.
                let pending = pending.filter(|pending| !pending.frozen).unwrap_or(Pending {
                    side: Side::Off,
                    start: seen.time,
                    deadline: Timestamp::from_millis(seen.arrived.millis().saturating_add(delay)),
                    frozen: false,
                    waits: false,
                    late: false,
                    cites: Some(seen.value),
                });
                if seen.time.millis_since(pending.start) >= delay {
                    self.set_value(rule, seen);
                    self.clear(rule, pending.start, Tags::NONE, out);
                } else if self.state_of(rule).and_then(|state| state.pending) != Some(pending) {
                    self.begin(rule, pending, out);
                } else if pending.waits {
                    self.go_on(rule, pending);
                }
            }
            Verdict::Clears { good: false } | Verdict::Nothing => {}
        }
    }

    /// Starts a delay and its timer.
    pub(super) fn begin(&mut self, rule: u32, pending: Pending, out: &mut Vec<Transition>) {
        let kind = match pending.side {
            Side::On => EventKind::PendingOn,
            Side::Off => EventKind::PendingOff,
        };
        let pending = Pending {
            deadline: pending.deadline.max(self.now),
            ..pending
        };
        let moved = self.state_of(rule).is_some_and(|state| state.pending.is_some());
        let Some(state) = self.state_mut(rule) else { return };
        state.pending = Some(pending);
        self.timers.push(pending.deadline, What::Delay, rule);
        self.touch_rule(rule);
        if !moved {
            // A delay that begins to run is shown with its own start.
            self.emit(rule, kind, Tags::NONE, false, out);
            if let Some(transition) = out.last_mut() {
                transition.since = pending.start;
            }
        }
    }

    /// A delay that was held up goes on: it matures at its deadline, or now.
    fn go_on(&mut self, rule: u32, pending: Pending) {
        let at = pending.deadline.max(self.now);
        if let Some(state) = self.state_mut(rule) {
            state.pending = Some(Pending {
                frozen: false,
                waits: false,
                deadline: at,
                ..pending
            });
        }
        self.timers.push(at, What::Delay, rule);
        self.touch_rule(rule);
    }

    /// A contrary sample ends an on-delay. A late violation before it may still show that it had lasted, so where its beginning is
    /// no longer among the remembered samples it is kept.
    fn break_pending(&mut self, rule: u32, at: Timestamp) {
        let begun = (self.state_of(rule).and_then(|state| state.pending))
            .filter(|pending| pending.side == Side::On && !pending.frozen)
            .map(|pending| pending.start);
        let series = self.rule(rule).and_then(|rule| rule.series);
        let oldest = (series.and_then(|series| self.point(series)))
            .and_then(|point| point.window.first())
            .map(|seen| seen.time);
        let begun = begun.filter(|start| Some(*start) < oldest);
        self.drop_pending(rule);
        if let Some(start) = begun
            && let Some(rare) = self.rare_mut(rule)
        {
            rare.broken = Some((start, at));
        }
    }

    pub(super) fn drop_pending(&mut self, rule: u32) {
        let Some(state) = self.state_mut(rule) else { return };
        if state.pending.take().is_some() {
            state.latch = state.latch && state.alarm.is_active();
            if state.occurrence == 0 {
                // As if nothing had been.
                state.value = None;
                state.quality = telemetry::Quality::Good;
            }
            self.touch_rule(rule);
        }
    }

    /// The deadline of a delay has come.
    pub(super) fn delay_due(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let Some(pending) = self.state_of(rule).and_then(|state| state.pending) else {
            return;
        };
        if pending.deadline != at || pending.frozen || pending.waits {
            return;
        }
        let unknown = self.is_unknown(rule);
        match pending.side {
            Side::On if !self.looks(rule, at) => self.drop_pending(rule),
            Side::On if !unknown => self.raise(rule, pending.start, Tags::late(pending.late), out),
            Side::Off if !unknown && !self.newest_is_bad(rule) => {
                self.note_end(rule, pending);
                self.clear(rule, pending.start, Tags::NONE, out);
            }
            Side::On | Side::Off => {
                if let Some(state) = self.state_mut(rule) {
                    state.pending = Some(Pending {
                        waits: true,
                        ..pending
                    });
                }
                self.touch_rule(rule);
            }
        }
    }

    fn newest_is_bad(&self, rule: u32) -> bool {
        let series = self.rule(rule).and_then(|rule| rule.series);
        series
            .and_then(|series| self.newest(series))
            .is_some_and(|seen| seen.quality.is_bad())
    }

    /// The newest value that clears without doubt is what an end by the clock cites.
    fn note_end(&mut self, rule: u32, pending: Pending) {
        let Some(found) = self.rule(rule) else { return };
        let window = found
            .series
            .and_then(|series| self.point(series))
            .map_or(&[][..], |point| &point.window);
        let clears =
            |seen: &&Seen| found.condition.judge(seen.value, seen.quality) == Verdict::Clears { good: true };
        let newest = window.iter().rev().find(clears).map(|seen| seen.value);
        let Some(cited) = newest.or(pending.cites) else {
            return;
        };
        if let Some(state) = self.state_mut(rule) {
            state.value = Some(cited);
            state.quality = telemetry::Quality::Good;
        }
    }

    pub(super) fn set_value(&mut self, rule: u32, seen: Seen) {
        let Some(condition) = self.rule(rule).map(|rule| &rule.condition) else {
            return;
        };
        let over = condition.is_over_range(seen.value, seen.quality);
        let shown = !condition.is_without_value();
        if let Some(state) = self.state_mut(rule) {
            state.value = shown.then_some(seen.value);
            state.quality = seen.quality;
            // Over-range latches by itself, whatever the rule says.
            state.latch = state.latch || over;
        }
        self.touch_rule(rule);
    }

    /// The device speaks again; a back-filled value that is judged under its silence does not mean that.
    pub(super) fn freshen(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let silent = self.rule(rule).is_some_and(|rule| self.is_silent(rule.device));
        let Some(state) = self.state_mut(rule).filter(|state| state.stale && !silent) else {
            return;
        };
        state.stale = false;
        self.emit(rule, EventKind::Fresh, Tags::NONE, false, out);
    }
}
