//! A sample that came out of order: it may raise, extend or annotate, start or move a delay, and never clears.

use telemetry::Timestamp;

use super::memory::Seen;
use super::state::Pending;
use super::{Engine, EventKind, Side, Tag, Tags, Transition};
use crate::rules::{Condition, Verdict};

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
    /// Judges a sample that is not the newest of its point by one of its rules; `index` is its place among those remembered.
    pub(super) fn late_sample(
        &mut self,
        rule: u32,
        place: usize,
        seen: Seen,
        index: usize,
        out: &mut Vec<Transition>,
    ) {
        let Some(found) = self.rule(rule) else { return };
        // A memory of samples in order says nothing about the past. A late bad sample is a fault that is over, most likely: whoever
        // would have heard of its value hears of it (P6).
        let judged = found.condition.is_of_samples() || matches!(found.condition, Condition::Fault { .. });
        if !judged || !self.looks(rule, seen.time) {
            return;
        }
        let (verdict, value) = self.judge_at(rule, place, seen, Some(index));
        let seen = Seen { value, ..seen };
        if self.is_active(rule) {
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
                    .separated_after(rule, place, seen.time)
                    .is_some_and(|end| end.time < since);
                if let Some(state) = self.state_mut(rule).filter(|_| !alone) {
                    state.since = seen.time;
                }
                self.emit(rule, EventKind::Annotated, Tags::of(Tag::Late), false, out);
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
                    self.emit(rule, EventKind::Annotated, tags, false, out);
                }
                self.restart_off(rule, place, out);
            }
            Verdict::Clears { good: false } | Verdict::Nothing => {}
        }
    }

    /// A violation with something contrary after it: an occurrence of its own, most likely over already, or more of the one that was.
    fn momentary(&mut self, rule: u32, place: usize, seen: Seen, out: &mut Vec<Transition>) {
        let Some((first, over)) = self.occurrence_around(rule, place, seen.time) else {
            return;
        };
        let Some(state) = self.state_of(rule) else { return };
        if let Some(ended) = state.ended
            && first < ended
            && over.is_none_or(|end| end.time > state.since)
        {
            if first < state.since {
                if let Some(state) = self.state_mut(rule) {
                    state.since = first;
                }
                self.emit(rule, EventKind::Annotated, Tags::of(Tag::Late), false, out);
            }
            return;
        }
        let momentary = over.map_or(Tags::NONE, |_| Tags::of(Tag::Momentary));
        self.set_value(rule, seen);
        self.raise(rule, first, Tags::of(Tag::Late).and(momentary), out);
        let again = over.filter(|end| {
            let mut verdicts = self.verdicts(rule, place);
            verdicts.any(|(seen, verdict)| seen.time > end.time && verdict == Verdict::Violates)
        });
        if let Some(end) = again {
            // What came after it is known already: it ended where the first sample of its end stands.
            self.set_value(rule, end);
            self.clear(rule, end.time, momentary, out);
        } else {
            self.restart_off(rule, place, out);
        }
    }

    /// The occurrence that holds a violation at `time`, by the samples that are remembered: where it begins, and the sample that
    /// ends it. None where the violations around it do not last as long as the rule asks. Once they have, the dead band is in
    /// force, and only what lies beyond it ends the occurrence.
    fn occurrence_around(
        &self,
        rule: u32,
        place: usize,
        time: Timestamp,
    ) -> Option<(Timestamp, Option<Seen>)> {
        let delay = self.rule(rule)?.on_delay.millis_i64();
        let gap = self.gap_in_delays(rule, place, Side::On);
        let oldest = self.verdicts(rule, place).next().map(|(seen, _)| seen.time);
        // A run that a contrary sample broke, and whose beginning is no longer remembered.
        let mut run = (self.rare(rule).and_then(|rare| rare.broken))
            .filter(|(start, end)| *start < time && time < *end && Some(*start) < oldest)
            .map(|(start, _)| (start, start));
        let mut before = None;
        for (seen, verdict) in self.verdicts(rule, place) {
            let lasts = |(first, last): (Timestamp, Timestamp)| last.millis_since(first) >= delay;
            let alarm = run.is_some_and(lasts);
            let parted = gap.is_some_and(|gap| before.is_some_and(|at| at < gap) && seen.arrived >= gap);
            run = run.filter(|_| alarm || !parted);
            before = Some(seen.arrived);
            match verdict {
                Verdict::Violates => {
                    run = Some((run.map_or(seen.time, |(first, _)| first), seen.time));
                }
                Verdict::Clears { good: true } | Verdict::Between { good: true }
                    if !alarm || verdict == (Verdict::Clears { good: true }) =>
                {
                    if let Some((first, _)) = run.filter(|_| seen.time > time) {
                        return alarm.then_some((first, Some(seen)));
                    }
                    run = None;
                }
                Verdict::Clears { .. } | Verdict::Between { .. } | Verdict::Nothing => {}
            }
        }
        let (first, last) = run?;
        (last.millis_since(first) >= delay).then_some((first, None))
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
        let tags = Tags::late(late);
        if run.last.time.millis_since(start) >= delay.millis_i64() || deadline <= at {
            self.set_value(rule, run.last);
            self.raise(rule, start, tags, out);
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
        let tags = state.tags.only(Tags::of(Tag::Momentary));
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
            self.clear(rule, start, tags, out);
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

    /// The remembered samples of a point, each with what it says about the rule.
    fn verdicts(&self, rule: u32, place: usize) -> impl DoubleEndedIterator<Item = (Seen, Verdict)> {
        let window = self.points.get(place).map_or(&[][..], |memory| &memory.window);
        window.iter().enumerate().map(move |(index, seen)| {
            let (verdict, value) = self.judge_at(rule, place, *seen, Some(index));
            (Seen { value, ..*seen }, verdict)
        })
    }

    /// Event time of the first remembered sample after `time` that without doubt does not violate.
    fn contrary_after(&self, rule: u32, place: usize, time: Timestamp) -> Option<Timestamp> {
        self.verdicts(rule, place)
            .find(|(seen, verdict)| seen.time > time && verdict.is_contrary())
            .map(|(seen, _)| seen.time)
    }

    /// The first remembered sample after `time` that without doubt lies beyond the dead band: it parts an occurrence before it
    /// from one after it.
    fn separated_after(&self, rule: u32, place: usize, time: Timestamp) -> Option<Seen> {
        self.verdicts(rule, place)
            .find(|(seen, verdict)| seen.time > time && *verdict == Verdict::Clears { good: true })
            .map(|(seen, _)| seen)
    }

    /// The end of the last silence, beyond which a delay does not reach back; that towards a life-safety alarm counts through it.
    fn gap_in_delays(&self, rule: u32, place: usize, side: Side) -> Option<Timestamp> {
        let life_safety = self.rule(rule).is_some_and(|rule| rule.life_safety);
        let resumed = self.points.get(place).and_then(|point| point.resumed);
        resumed.filter(|_| side == Side::Off || !life_safety)
    }

    /// The run of one side that ends with the newest sample; none when the newest speaks for the other.
    fn run_of(&self, rule: u32, place: usize, side: Side) -> Option<Run> {
        let mut run: Option<Run> = None;
        let gap = self.gap_in_delays(rule, place, side);
        for (seen, verdict) in self.verdicts(rule, place).rev() {
            if gap.is_some_and(|gap| seen.arrived < gap) {
                if let Some(run) = &mut run {
                    run.reaches_back = false;
                }
                break;
            }
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
                    Some(run) => run.extend_back(seen),
                    None => run = Some(Run::of(seen)),
                }
            }
        }
        run
    }
}
