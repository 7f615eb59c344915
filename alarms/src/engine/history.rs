//! Back-fill, and what is older than the live age and not the newest: recorded, nobody is paged.
//!
//! A back-filled sample that is the newest of its point waits until nothing newer has come for the lateness L, then it
//! is judged like any other: history that ends in a violation is a violation now. What else history had to tell is told at once, in a
//! digest for each recipient, when it has come to rest.

use telemetry::Timestamp;
use telemetry::time::Span;

use super::memory::Seen;
use super::state::Pending;
use super::timers::What;
use super::{Engine, EventKind, Side, Tag, Tags, Transition};
use crate::rules::Verdict;

impl Engine {
    pub(super) fn history(
        &mut self,
        place: usize,
        seen: Seen,
        backfill: bool,
        newest: bool,
        out: &mut Vec<Transition>,
    ) {
        let (lateness, live_age) = (self.spans.lateness, self.spans.live_age);
        if self
            .points
            .get_mut(place)
            .is_some_and(|memory| memory.records_again(&seen))
        {
            return;
        }
        // What is no older than a report of the device may be is no past: it is judged at once.
        let period = (self.points.get(place))
            .and_then(|memory| self.plant.devices.get(memory.device))
            .and_then(|device| device.period)
            .unwrap_or(Span::ZERO);
        let young = self.wall().millis_since(seen.time) <= period.millis_i64();
        if newest && backfill {
            let settles_at = self.now.plus(lateness);
            if let Some(memory) = self.points.get_mut(place) {
                memory.insert(seen);
                memory.forget(lateness, live_age);
                let waits = memory.settles_at.replace(settles_at).is_some();
                if !waits {
                    let place = u32::try_from(place).unwrap_or(u32::MAX);
                    self.timers.push(settles_at, What::Settle, place);
                }
            }
        }
        self.each_rule(place, |engine, rule| engine.record(rule, seen, out));
        if newest && backfill && young {
            self.settle(place, out);
        }
    }

    /// Gathers a run of violations in history; a contrary sample ends it.
    fn record(&mut self, rule: u32, seen: Seen, out: &mut Vec<Transition>) {
        let Some(found) = self.rule(rule) else { return };
        if !found.condition.is_of_samples() || self.is_out_of_force(rule) {
            return;
        }
        let verdict = found.condition.judge(seen.value, seen.quality);
        let run = self.state_of(rule).and_then(|state| state.run);
        if verdict == Verdict::Violates && self.looks(rule, seen.time) {
            let run = run.map_or((seen.time, seen.time, seen.value), |(first, last, worst)| {
                let worst = self.worse(rule, worst, seen.value);
                (first.min(seen.time), last.max(seen.time), worst)
            });
            if let Some(state) = self.state_mut(rule) {
                state.run = Some(run);
            }
            self.touch_rule(rule);
        } else if run.is_some() && verdict.is_contrary() {
            self.end_run(rule, out);
        }
        self.put_off_digest(rule);
    }

    /// Writes down a run of violations in history, when it lasted as long as the rule asks.
    pub(super) fn end_run(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let delay = self.rule(rule).map_or(0, |rule| rule.on_delay.millis_i64());
        let Some(state) = self.state_mut(rule) else { return };
        let Some((first, last, worst)) = state.run.take() else {
            return;
        };
        self.touch_rule(rule);
        let covered = self.state_of(rule).is_some_and(|state| {
            state.occurrence > 0 && first >= state.since && state.ended.is_none_or(|ended| last < ended)
        });
        if last.millis_since(first) < delay || covered {
            return;
        }
        self.emit(rule, EventKind::Recorded, Tags::of(Tag::Historical), false, out);
        if let Some(transition) = out.last_mut() {
            transition.since = first;
            transition.value = Some(worst);
            transition.quality = telemetry::Quality::Good;
        }
        self.note_excursion(rule, first, worst);
    }

    pub(super) fn worse(&self, rule: u32, one: f64, other: f64) -> f64 {
        match self.rule(rule) {
            Some(found) if found.condition.is_worse(other, one) => other,
            Some(_) | None => one,
        }
    }

    /// A run of violations that goes on to the newest sample is no history any more, but where the alarm begins.
    fn hand_over_run(&mut self, rule: u32, newest: Seen) {
        let delay = self.rule(rule).map_or(Span::ZERO, |rule| rule.on_delay);
        let Some(state) = self.state_mut(rule) else { return };
        let Some((first, last, _)) = state.run else { return };
        if last != newest.time || state.alarm.is_active() || state.pending.is_some() {
            return;
        }
        state.run = None;
        let deadline = newest.arrived.plus(delay);
        state.pending = Some(Pending {
            side: Side::On,
            start: first,
            deadline,
            frozen: false,
            waits: true,
            late: true,
            cites: None,
        });
        self.touch_rule(rule);
    }

    /// The timer of a point whose newest sample is back-fill.
    pub(super) fn settle_due(&mut self, point: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let Ok(place) = usize::try_from(point) else { return };
        let Some(memory) = self.points.get_mut(place) else {
            return;
        };
        match memory.settles_at {
            None => {}
            Some(later) if later > at => {
                self.timers.push(later, What::Settle, point);
            }
            Some(_) => self.settle(place, out),
        }
    }

    /// The newest sample of a point, which is back-fill, is judged like any other.
    fn settle(&mut self, place: usize, out: &mut Vec<Transition>) {
        let Some(memory) = self.points.get_mut(place) else {
            return;
        };
        memory.settles_at = None;
        let (device, newest) = (memory.device, memory.newest().copied());
        self.touch_device(device);
        if let Some(newest) = newest {
            self.each_rule(place, |engine, rule| {
                if engine.is_out_of_force(rule) {
                    return;
                }
                engine.hand_over_run(rule, newest);
                engine.end_run(rule, out);
                let (verdict, decides, tags) = engine.judge_newest(rule, place, newest);
                engine.newest_sample(rule, verdict, decides, tags, out);
            });
            self.joint_of_point(place, newest.time, out);
        }
    }
}
