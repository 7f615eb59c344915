//! What a sample says about a rule, with what the rule remembers of those before it.

use telemetry::Timestamp;
use telemetry::time::Span;

use super::memory::Seen;
use super::state::Memory;
use super::{Engine, EventKind, Tag, Tags, Transition};
use crate::rules::condition::{above, hours, is_one_of, level};
use crate::rules::{Condition, Verdict};

/// How near to both ends of its range the fall of a counter must be to be a roll-over: share of the range. As in the
/// figures' own counters.
const ROLLOVER_BAND: f64 = 0.25;
/// Most steps of a counter that are remembered for its window. Beyond, those of one slice of the window become one.
const STEPS_MAX: usize = 64;
/// Slices of a window.
const SLICES: i64 = 32;
const HOUR_MS: f64 = 3_600_000.0;

/// A time, and what the counter showed or grew by then.
type Step = (Timestamp, f64);

impl Engine {
    /// What the newest sample says about a rule: the verdict, the sample with the value that decides, and marks.
    pub(super) fn judge_newest(&mut self, rule: u32, place: usize, seen: Seen) -> (Verdict, Seen, Tags) {
        let Some(condition) = self.rule(rule).map(|rule| &rule.condition) else {
            return (Verdict::Nothing, seen, Tags::NONE);
        };
        match condition {
            Condition::Stuck {
                epsilon,
                after,
                samples,
                zero_exempt,
            } => {
                let still = Still {
                    epsilon: *epsilon,
                    after: *after,
                    samples: *samples,
                    zero_exempt: *zero_exempt,
                };
                self.judge_still(rule, still, seen)
            }
            Condition::Counter { .. } => self.judge_counter(rule, seen),
            Condition::RunTime { .. } => self.judge_run_time(rule, seen),
            _ => {
                let index = self.points.get(place).map_or(0, |memory| memory.window.len());
                let (verdict, value) = self.judge_at(rule, place, seen, index.checked_sub(1));
                (verdict, Seen { value, ..seen }, Tags::NONE)
            }
        }
    }

    /// What a remembered sample at `index` of its point's window says, and the value that decides. Of a condition that is not of samples
    /// alone: nothing.
    pub(super) fn judge_at(
        &self,
        rule: u32,
        place: usize,
        seen: Seen,
        index: Option<usize>,
    ) -> (Verdict, f64) {
        let Some(found) = self.rule(rule) else {
            return (Verdict::Nothing, seen.value);
        };
        if !matches!(found.condition, Condition::Rate { .. } | Condition::Change { .. }) {
            return (found.condition.judge(seen.value, seen.quality), seen.value);
        }
        let before = index
            .and_then(|index| self.points.get(place)?.before(index))
            .map(|before| (before.value, before.quality, seen.time.millis_since(before.time)));
        found.condition.judge_after((seen.value, seen.quality), before)
    }

    fn judge_still(&mut self, rule: u32, rules: Still, seen: Seen) -> (Verdict, Seen, Tags) {
        if !seen.quality.is_good() {
            return (Verdict::Nothing, seen, Tags::NONE);
        }
        let before = self
            .rare(rule)
            .map(|rare| rare.memory.clone())
            .unwrap_or_default();
        let (memory, since, verdict) = still(&before, rules, seen);
        if memory != before {
            if let Some(rare) = self.rare_mut(rule) {
                rare.memory = memory;
            }
            self.touch_rule(rule);
        }
        let time = if verdict == Verdict::Violates {
            since
        } else {
            seen.time
        };
        (verdict, Seen { time, ..seen }, Tags::NONE)
    }

    fn judge_counter(&mut self, rule: u32, seen: Seen) -> (Verdict, Seen, Tags) {
        let Some(Condition::Counter {
            modulus,
            limit,
            deadband,
            window,
            reset_from_zero,
        }) = self.rule(rule).map(|rule| rule.condition.clone())
        else {
            return (Verdict::Nothing, seen, Tags::NONE);
        };
        let Some((last, mut grown)) = self.counted_before(rule, seen) else {
            return (Verdict::Nothing, seen, Tags::NONE);
        };
        let (step, tags) = counted(last.1, seen.value, modulus, reset_from_zero);
        let total = add_up(&mut grown, (seen.time, step), window);
        self.remember_counter(rule, seen, grown);
        let verdict = above(total, limit, deadband, seen.quality.is_good());
        (verdict, Seen { value: total, ..seen }, tags)
    }

    /// For how many hours it has run within the window. From a sample to the next it is as the first one says.
    fn judge_run_time(&mut self, rule: u32, seen: Seen) -> (Verdict, Seen, Tags) {
        let Some(Condition::RunTime {
            values,
            limit,
            window,
            max_gap,
        }) = self.rule(rule).map(|rule| rule.condition.clone())
        else {
            return (Verdict::Nothing, seen, Tags::NONE);
        };
        let Some((last, mut grown)) = self.counted_before(rule, seen) else {
            return (Verdict::Nothing, seen, Tags::NONE);
        };
        let gap_ms = seen.time.millis_since(last.0);
        let known = gap_ms <= max_gap.millis_i64();
        let ran_ms = if known && is_one_of(&values, last.1) {
            gap_ms as f64
        } else {
            0.0
        };
        let total = add_up(&mut grown, (seen.time, ran_ms), Some(window)) / HOUR_MS;
        self.remember_counter(rule, seen, grown);
        let verdict = above(total, hours(limit), 0.0, seen.quality.is_good());
        (verdict, Seen { value: total, ..seen }, Tags::NONE)
    }

    /// A counter that passed its end or began again is said, also where that raises nothing.
    pub(super) fn note_counter(&mut self, rule: u32, seen: Seen, tags: Tags, out: &mut Vec<Transition>) {
        let said = out
            .last()
            .is_some_and(|last| last.rule == rule && last.tags.only(tags) != Tags::NONE);
        if tags == Tags::NONE || said {
            return;
        }
        self.emit(rule, EventKind::Annotated, tags, false, out);
        if let Some(transition) = out.last_mut() {
            transition.since = seen.time;
            transition.value = Some(seen.value);
            transition.quality = seen.quality;
        }
    }

    /// The sample before `seen` and the steps up to it, where one comes of both: `seen` is usable and newer. The first sample is only remembered.
    fn counted_before(&mut self, rule: u32, seen: Seen) -> Option<(Step, Vec<Step>)> {
        if seen.quality.is_bad() {
            return None;
        }
        let memory = self.rare(rule).map(|rare| rare.memory.clone());
        let Memory::Counter { last, grown } = memory.unwrap_or_default() else {
            self.remember_counter(rule, seen, Vec::new());
            return None;
        };
        (seen.time > last.0).then_some((last, grown))
    }

    fn remember_counter(&mut self, rule: u32, seen: Seen, grown: Vec<(Timestamp, f64)>) {
        if let Some(rare) = self.rare_mut(rule) {
            rare.memory = Memory::Counter {
                last: (seen.time, seen.value),
                grown,
            };
        }
        self.touch_rule(rule);
    }
}

/// Adds a step to those of the window that ends with it; the sum. Without a window the step alone counts.
fn add_up(grown: &mut Vec<(Timestamp, f64)>, step: (Timestamp, f64), window: Option<Span>) -> f64 {
    let (now, amount) = step;
    grown.push(step);
    let Some(window) = window else {
        *grown = vec![step];
        return amount;
    };
    let oldest = now.minus(window).plus(Span::from_millis(1));
    grown.retain(|(time, _)| *time >= oldest);
    if grown.len() > STEPS_MAX {
        // Neighbours become one, at the time of the later: what they are worth leaves the window at most one slice late.
        let slice_ms = (window.millis_i64() / SLICES).max(1);
        let mut merged: Vec<(Timestamp, f64)> = Vec::with_capacity(STEPS_MAX);
        for (time, amount) in grown.drain(..) {
            let slice = time.millis().div_euclid(slice_ms);
            match merged.last_mut() {
                Some(last) if last.0.millis().div_euclid(slice_ms) == slice => {
                    *last = (time, last.1 + amount);
                }
                _ => merged.push((time, amount)),
            }
        }
        *grown = merged;
    }
    grown.iter().map(|(_, amount)| amount).sum()
}

/// The settings of a condition that looks for a value that does not move.
#[derive(Clone, Copy, Debug)]
struct Still {
    epsilon: f64,
    after: Span,
    samples: u32,
    zero_exempt: bool,
}

/// What is remembered after a good sample, since when the value stands still, and what that says.
fn still(before: &Memory, rules: Still, seen: Seen) -> (Memory, Timestamp, Verdict) {
    let exempt = rules.zero_exempt && seen.value == 0.0;
    let (since, value, samples) = match before {
        Memory::Still {
            since,
            value,
            samples,
        } if !exempt && (seen.value - value).abs() <= rules.epsilon => {
            (*since, *value, samples.saturating_add(1))
        }
        _ => (seen.time, seen.value, 1),
    };
    let stuck =
        !exempt && samples >= rules.samples && seen.time.millis_since(since) >= rules.after.millis_i64();
    // A value that stands still, but not yet for long enough, is no sign that it moves.
    let moved = samples == 1;
    let memory = Memory::Still {
        since,
        value,
        samples,
    };
    (memory, since, level(stuck, moved, true))
}

/// By how much a counter grew from one reading to the next, and how.
fn counted(before: f64, value: f64, modulus: Option<f64>, reset_from_zero: bool) -> (f64, Tags) {
    if value >= before {
        return (value - before, Tags::NONE);
    }
    match modulus {
        Some(modulus) if before >= modulus * (1.0 - ROLLOVER_BAND) && value <= modulus * ROLLOVER_BAND => {
            (modulus - before + value, Tags::of(Tag::Rollover))
        }
        Some(_) | None => {
            let step = if reset_from_zero { value } else { 0.0 };
            (step, Tags::of(Tag::CounterReset))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::Quality;

    #[test]
    fn a41_a_counter_of_16_bits_passes_its_end() {
        // 65530 → 65536 are 6, and 5 more.
        assert_eq!(
            counted(65530.0, 5.0, Some(65536.0), true),
            (11.0, Tags::of(Tag::Rollover))
        );
    }

    #[test]
    fn a42_a_counter_that_falls_in_the_middle_of_its_range_was_reset() {
        let modulus = Some(4_294_967_296.0);
        let reset = Tags::of(Tag::CounterReset);
        assert_eq!(counted(40_000.0, 3.0, modulus, true), (3.0, reset));
        assert_eq!(counted(40_000.0, 3.0, modulus, false), (0.0, reset));
        assert_eq!(counted(40_000.0, 3.0, None, true), (3.0, reset));
    }

    #[test]
    fn a_long_window_forgets_what_has_left_it() {
        // A step of 1 every minute. In a window of 24 h there are 1440 of them; a slice of 45 min may still count.
        let minute = |n: i64| Timestamp::from_millis(n * 60_000);
        let day = Some(Span::from_secs(86_400));
        let mut grown = Vec::new();
        let mut total = 0.0;
        for n in 1..=10_000 {
            total = add_up(&mut grown, (minute(n), 1.0), day);
        }
        assert!((1440.0..=1485.0).contains(&total), "{total}");
        assert!(grown.len() <= STEPS_MAX, "{}", grown.len());
        // Nothing for a day: only the new step is left.
        let later = [(20_000, 1.0, day), (20_001, 3.0, None)];
        let sums = later.map(|(n, step, window)| Some(add_up(&mut grown, (minute(n), step), window)));
        assert_eq!(sums, [Some(1.0), Some(3.0)]);
    }

    #[test]
    fn a44_a_value_is_stuck_after_its_time_and_its_samples() {
        let rules = Still {
            epsilon: 0.0,
            after: Span::from_secs(60),
            samples: 3,
            zero_exempt: true,
        };
        let at = |seconds: i64, value| {
            let time = Timestamp::from_millis(seconds * 1000);
            Seen {
                time,
                arrived: time,
                value,
                quality: Quality::Good,
                late: false,
            }
        };
        let mut memory = Memory::Nothing;
        let mut say = |sample: Seen| {
            let (after, since, verdict) = still(&memory, rules, sample);
            memory = after;
            (since.millis() / 1000, verdict)
        };
        assert_eq!(say(at(0, 7.0)), (0, Verdict::Clears { good: true }));
        assert_eq!(say(at(50, 7.0)), (0, Verdict::Between { good: true }));
        assert_eq!(say(at(60, 7.0)), (0, Verdict::Violates));
        assert_eq!(say(at(70, 7.1)), (70, Verdict::Clears { good: true }));
        assert_eq!(say(at(80, 0.0)).1, Verdict::Clears { good: true });
        assert_eq!(say(at(200, 0.0)).1, Verdict::Clears { good: true });
        assert_eq!(say(at(400, 0.0)).1, Verdict::Clears { good: true });
    }
}
