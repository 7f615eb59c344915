//! A sample that came out of order: it may raise, extend or annotate, start or move a delay, and never clears.

use telemetry::Timestamp;

use super::memory::Seen;
use super::state::Pending;
use super::{Engine, EventKind, Side, Tag, Tags, Transition};
use crate::rules::Verdict;

/// What the remembered samples of a point say when they are read backwards from the newest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    /// Event time of its first sample on its own side.
    first: Seen,
    /// Its last.
    last: Seen,
    /// The earliest arrival in it.
    arrived: Timestamp,
    /// Nothing contrary is remembered before it: it may have begun earlier.
    reaches_back: bool,
}

impl Run {
    const fn of(seen: Seen) -> Self {
        Self {
            first: seen,
            last: seen,
            arrived: seen.arrived,
            reaches_back: true,
        }
    }

    /// Takes in a sample that is earlier than the rest.
    fn extend_back(&mut self, seen: Seen) {
        self.first = seen;
        self.arrived = self.arrived.min(seen.arrived);
    }
}

impl Engine {
    /// Judges a sample that is not the newest of its point by one of its rules.
    pub(super) fn late_sample(&mut self, rule: u32, place: usize, seen: Seen, out: &mut Vec<Transition>) {
        let Some(found) = self.rule(rule) else { return };
        // A late bad sample says nothing about the sensor as it is now.
        if matches!(found.condition, crate::rules::Condition::Fault { .. }) || !self.looks(rule, seen.time) {
            return;
        }
        let verdict = self.verdict(rule, &seen);
        if self.state_of(rule).is_some_and(|state| state.alarm.is_active()) {
            self.late_while_active(rule, place, verdict, seen, out);
        } else if verdict == Verdict::Violates {
            if self.contrary_after(rule, place, seen.time).is_some() {
                self.momentary(rule, place, seen, out);
            } else {
                self.restart_on(rule, place, true, out);
            }
        } else if verdict.is_contrary() && self.state_of(rule).is_some_and(|state| state.pending.is_some()) {
            self.restart_on(rule, place, false, out);
        }
    }

    fn late_while_active(
        &mut self,
        rule: u32,
        place: usize,
        verdict: Verdict,
        seen: Seen,
        out: &mut Vec<Transition>,
    ) {
        let Some(state) = self.state_of(rule) else { return };
        let (since, pending) = (state.since, state.pending);
        let on_delay = self.rule(rule).map_or(0, |rule| rule.on_delay.millis_i64());
        match verdict {
            Verdict::Violates if seen.time < since => {
                let alone = self
                    .contrary_after(rule, place, seen.time)
                    .is_some_and(|at| at < since);
                if let Some(state) = self.state_mut(rule).filter(|_| !alone) {
                    state.since = seen.time;
                }
                self.emit(
                    rule,
                    self.now,
                    EventKind::Annotated,
                    Tags::of(Tag::Late),
                    false,
                    out,
                );
            }
            Verdict::Violates | Verdict::Between { .. } => {
                if pending.is_some_and(|pending| seen.time >= pending.start) {
                    self.restart_off(rule, place, out);
                }
            }
            Verdict::Clears { good: true } => {
                if seen.time >= since && seen.time.millis_since(since) < on_delay {
                    let tags = Tags::of(Tag::Late).and(Tags::of(Tag::Contradicted));
                    if let Some(state) = self.state_mut(rule) {
                        state.tags = state.tags.and(Tags::of(Tag::Contradicted));
                    }
                    self.emit(rule, self.now, EventKind::Annotated, tags, false, out);
                }
                self.restart_off(rule, place, out);
            }
            Verdict::Clears { good: false } | Verdict::Nothing => {}
        }
    }

    /// A violation with something contrary after it: an occurrence of its own that is over already, or more of the one
    /// that was.
    fn momentary(&mut self, rule: u32, place: usize, seen: Seen, out: &mut Vec<Transition>) {
        let Some(contrary) = self.contrary_after(rule, place, seen.time) else {
            return;
        };
        let run = self.run_before(rule, place, contrary, seen);
        let Some(state) = self.state_of(rule) else { return };
        let at = self.now;
        if let Some(ended) = state.ended
            && run.first.time < ended
            && contrary > state.since
        {
            if run.first.time < state.since {
                if let Some(state) = self.state_mut(rule) {
                    state.since = run.first.time;
                }
                self.emit(rule, at, EventKind::Annotated, Tags::of(Tag::Late), false, out);
            }
            return;
        }
        let delay = self.rule(rule).map_or(0, |rule| rule.on_delay.millis_i64());
        if run.last.time.millis_since(run.first.time) < delay {
            return;
        }
        let tags = Tags::of(Tag::Late).and(Tags::of(Tag::Momentary));
        self.set_value(rule, seen);
        self.raise(rule, run.first.time, at, tags, out);
        self.restart_off(rule, place, out);
    }

    /// Computes the on-delay anew from what is remembered.
    fn restart_on(&mut self, rule: u32, place: usize, late: bool, out: &mut Vec<Transition>) {
        let Some(run) = self.run_of(rule, place, Side::On) else {
            self.drop_pending(rule);
            return;
        };
        let Some(delay) = self.rule(rule).map(|rule| rule.on_delay) else {
            return;
        };
        let before = self.state_of(rule).and_then(|state| state.pending);
        let (mut start, mut deadline) = (run.first.time, run.arrived.plus(delay));
        if let Some(before) = before.filter(|before| run.reaches_back && before.start < start) {
            start = before.start;
            deadline = deadline.min(before.deadline);
        }
        let late = late && before.is_none_or(|before| before.start != start || before.late);
        let at = self.now;
        let tags = if late { Tags::of(Tag::Late) } else { Tags::NONE };
        if run.last.time.millis_since(start) >= delay.millis_i64() || deadline <= at {
            self.set_value(rule, run.last);
            self.raise(rule, start, at, tags, out);
        } else {
            self.set_value(rule, run.last);
            self.begin(
                rule,
                Pending {
                    side: Side::On,
                    start,
                    deadline,
                    frozen: false,
                    waits: false,
                    late,
                    cites: None,
                },
                out,
            );
        }
    }

    /// Computes the off-delay anew from what is remembered.
    pub(super) fn restart_off(&mut self, rule: u32, place: usize, out: &mut Vec<Transition>) {
        let Some(run) = self.run_of(rule, place, Side::Off) else {
            self.drop_pending(rule);
            return;
        };
        let Some(delay) = self.rule(rule).map(|rule| rule.off_delay) else {
            return;
        };
        let Some(state) = self.state_of(rule) else { return };
        let tags = Tags::from_bits(state.tags.bits() & Tags::of(Tag::Momentary).bits());
        let (mut start, mut deadline) = (run.first.time, run.arrived.plus(delay));
        if let Some(before) = state
            .pending
            .filter(|before| run.reaches_back && before.start < start)
        {
            start = before.start;
            deadline = deadline.min(before.deadline);
        }
        let at = self.now;
        let bad = self
            .points
            .get(place)
            .and_then(|memory| memory.newest())
            .is_some_and(|seen| seen.quality.is_bad());
        if run.last.time.millis_since(start) >= delay.millis_i64() || (deadline <= at && !bad) {
            self.set_value(rule, run.last);
            self.clear(rule, start, at, tags, out);
        } else {
            let pending = Pending {
                side: Side::Off,
                start,
                deadline,
                frozen: false,
                waits: deadline <= at,
                late: false,
                cites: Some(run.first.value),
            };
            self.begin(rule, pending, out);
        }
    }

    fn verdict(&self, rule: u32, seen: &Seen) -> Verdict {
        self.rule(rule).map_or(Verdict::Nothing, |rule| {
            rule.condition.judge(seen.value, seen.quality)
        })
    }

    /// Event time of the first remembered sample after `time` that without doubt does not violate.
    fn contrary_after(&self, rule: u32, place: usize, time: Timestamp) -> Option<Timestamp> {
        let window = &self.points.get(place)?.window;
        window
            .iter()
            .find(|seen| seen.time > time && self.verdict(rule, seen).is_contrary())
            .map(|seen| seen.time)
    }

    /// The stretch of violations around `seen` that ends before `end`.
    fn run_before(&self, rule: u32, place: usize, end: Timestamp, seen: Seen) -> Run {
        let mut run = Run::of(seen);
        let window = self.points.get(place).map_or(&[][..], |memory| &memory.window);
        for other in window.iter().rev().filter(|other| other.time < end) {
            let verdict = self.verdict(rule, other);
            if verdict.is_contrary() {
                break;
            }
            if verdict == Verdict::Violates {
                if other.time < run.first.time {
                    run.extend_back(*other);
                } else if other.time > run.last.time {
                    run.last = *other;
                }
            }
        }
        run
    }

    /// The run of one side that ends with the newest sample; none when the newest speaks for the other.
    fn run_of(&self, rule: u32, place: usize, side: Side) -> Option<Run> {
        let window = &self.points.get(place)?.window;
        let mut run: Option<Run> = None;
        for seen in window.iter().rev() {
            let verdict = self.verdict(rule, seen);
            let (own, stop) = match side {
                Side::On => (verdict == Verdict::Violates, verdict.is_contrary()),
                Side::Off => (
                    verdict == Verdict::Clears { good: true },
                    matches!(verdict, Verdict::Violates | Verdict::Between { .. }),
                ),
            };
            if stop {
                if let Some(run) = &mut run {
                    run.reaches_back = false;
                }
                break;
            }
            if own {
                match &mut run {
                    Some(run) => run.extend_back(*seen),
                    None => run = Some(Run::of(*seen)),
                }
            }
        }
        run
    }
}
