//! Back-fill, and what is older than the live age and not the newest: recorded, nobody is paged.
//!
//! A back-filled sample that is the newest of its point waits until nothing newer has come for the lateness L, then it
//! is judged like any other: history that ends in a violation is a violation now. What else history had to tell is told at once, in a
//! digest for each recipient, when it has come to rest.

use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::time::Span;

use super::memory::Seen;
use super::state::{Excursion, Pending};
use super::timers::What;
use super::{DigestItem, Engine, EventKind, Extra, Side, Tag, Tags, Transition};
use crate::rules::Verdict;

/// A digest waits this long at most for history to come to rest.
const DIGEST_WAIT_MAX: Span = Span::from_secs(900);
/// Most lines of a digest; the log has the others.
const DIGEST_ITEMS_MAX: usize = 1000;

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
                let _: Option<usize> = memory.insert(seen, lateness, live_age);
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
    fn end_run(&mut self, rule: u32, out: &mut Vec<Transition>) {
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

    fn worse(&self, rule: u32, one: f64, other: f64) -> f64 {
        match self.rule(rule) {
            Some(found) if found.condition.is_worse(other, one) => other,
            Some(_) | None => one,
        }
    }

    /// The next digest tells of it.
    fn note_excursion(&mut self, rule: u32, since: Timestamp, worst: f64) {
        let due_max = self.now.plus(DIGEST_WAIT_MAX);
        let before = self.rare(rule).and_then(|rare| rare.excursion);
        let excursion = before.map_or(
            Excursion {
                since,
                worst,
                due_max,
            },
            |before| Excursion {
                since: before.since.min(since),
                worst: self.worse(rule, before.worst, worst),
                ..before
            },
        );
        if let Some(rare) = self.rare_mut(rule) {
            rare.excursion = Some(excursion);
        }
        self.touch_rule(rule);
    }

    /// More history has come: what there is to be told waits until no more comes for the lateness L.
    fn put_off_digest(&mut self, rule: u32) {
        let rests_at = self.now.plus(self.spans.lateness);
        let tells = self.state_of(rule).is_some_and(|state| {
            let excursion = state.rare.as_ref().is_some_and(|rare| rare.excursion.is_some());
            state.run.is_some() || excursion
        });
        if !tells {
            return;
        }
        if let Some(rare) = self.rare_mut(rule) {
            rare.rests_at = Some(rests_at);
        }
        self.touch_rule(rule);
        if self.resting.insert(rule) {
            self.timers.push(rests_at, What::Digest, rule);
        }
    }

    /// A rule's history may have come to rest: when that of all has, each recipient gets one digest.
    pub(super) fn digest_fires(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let rests_at = |engine: &Self, rule: u32| engine.rare(rule).and_then(|rare| rare.rests_at);
        let excursion = |engine: &Self, rule: u32| engine.rare(rule).and_then(|rare| rare.excursion);
        if let Some(later) = rests_at(self, rule).filter(|rests_at| *rests_at > at) {
            self.timers.push(later, What::Digest, rule);
        }
        let resting: Vec<u32> = self.resting.iter().copied().collect();
        let rests = resting
            .iter()
            .all(|rule| rests_at(self, *rule).is_none_or(|rests_at| rests_at <= at));
        let overdue = resting
            .iter()
            .any(|rule| excursion(self, *rule).is_some_and(|excursion| excursion.due_max <= at));
        if resting.is_empty() || !(rests || overdue) {
            return;
        }
        for rule in &resting {
            if rests_at(self, *rule).is_some_and(|rests_at| rests_at <= at) {
                self.end_run(*rule, out);
                self.resting.remove(rule);
                if let Some(rare) = self.rare_mut(*rule) {
                    rare.rests_at = None;
                }
                self.touch_rule(*rule);
            }
        }
        self.tell_digest(&resting, out);
    }

    fn tell_digest(&mut self, rules: &[u32], out: &mut Vec<Transition>) {
        let mut by_recipient: Vec<(Arc<str>, Vec<DigestItem>)> = Vec::new();
        for rule in rules.iter().copied() {
            let excursion = self.rare_mut(rule).and_then(|rare| rare.excursion.take());
            let Some(Excursion { since, worst, .. }) = excursion else {
                continue;
            };
            self.touch_rule(rule);
            for to in self.recipients(rule, self.is_in_test(rule)) {
                let item = DigestItem { rule, since, worst };
                match by_recipient.iter_mut().find(|(known, _)| *known == to) {
                    Some((_, items)) if items.len() < DIGEST_ITEMS_MAX => items.push(item),
                    Some(_) => {}
                    None => by_recipient.push((to, vec![item])),
                }
            }
        }
        for (to, items) in by_recipient {
            let extra = Extra {
                key: Some(format!("digest#{}.{to}", self.seq + 1).into()),
                to: Some(to),
                items,
                ..Extra::default()
            };
            self.emit_plain(EventKind::Digest, extra, out);
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
