//! The condition history: when the condition of a rule was true by the samples that are known now, corrected by late data.
//! The log says what people were told and is never rewritten; this is computed anew. Pure.
//!
//! Source: `alarms.md` §2.1. A violation that is over before the on-delay is none, and a dip that is over before the off-delay
//! ends none, so the log never holds fewer occurrences than the history.

use telemetry::{Quality, Timestamp};

use crate::rules::{Rule, Verdict};

/// When a condition was true: from the first sample that violated to the first that cleared; no end where it is true still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Event time of the first violation.
    pub from: Timestamp,
    /// Event time of the first sample of its end.
    pub to: Option<Timestamp>,
}

/// A sample of the history: event time, value, quality.
pub type Known = (Timestamp, f64, Quality);

/// A stretch of violations as it is found.
#[derive(Clone, Copy, Debug)]
struct Open {
    from: Timestamp,
    /// The last sample that spoke for it.
    last: Timestamp,
    /// The first sample of what may be its end.
    end: Option<Timestamp>,
}

/// The intervals of `rule` over `samples`, which stand in order of their event time, each time once. `to` is how far time has
/// come: what has lasted for its delay by then counts. Empty for a rule whose condition is not of samples.
#[must_use]
pub fn intervals(rule: &Rule, samples: impl IntoIterator<Item = Known>, to: Timestamp) -> Vec<Interval> {
    let mut found = Vec::new();
    if !rule.condition.is_of_samples() {
        return found;
    }
    let mut before: Option<Known> = None;
    let mut open: Option<Open> = None;
    for sample in samples {
        let (time, value, quality) = sample;
        let earlier = before.map(|(at, value, quality)| (value, quality, time.millis_since(at)));
        let (verdict, _) = rule.condition.judge_after((value, quality), earlier);
        if !quality.is_bad() {
            before = Some(sample);
        }
        open = step(rule, open, verdict, time, &mut found);
    }
    if let Some(last) = open {
        end(rule, last, to, &mut found);
    }
    found
}

fn step(
    rule: &Rule,
    open: Option<Open>,
    verdict: Verdict,
    time: Timestamp,
    found: &mut Vec<Interval>,
) -> Option<Open> {
    let Some(mut open) = open else {
        return (verdict == Verdict::Violates).then_some(Open {
            from: time,
            last: time,
            end: None,
        });
    };
    let on_delay = rule.on_delay.millis_i64();
    // Only a sample of its own side confirms a run before the clock does.
    let is_alarm = open.last.millis_since(open.from) >= on_delay;
    let over = open
        .end
        .is_some_and(|end| time.millis_since(end) >= rule.off_delay.millis_i64());
    match verdict {
        Verdict::Violates if over => {
            close(rule, open, found);
            Some(Open {
                from: time,
                last: time,
                end: None,
            })
        }
        Verdict::Violates => {
            open.last = time;
            open.end = None;
            Some(open)
        }
        // Before it is an alarm the dead band is not in force: anything good that does not violate ends the run.
        Verdict::Between { good: true } | Verdict::Clears { good: true } if !is_alarm => None,
        Verdict::Between { .. } => {
            if over {
                close(rule, open, found);
                return None;
            }
            open.end = None;
            Some(open)
        }
        Verdict::Clears { good: true } => {
            open.end = open.end.or(Some(time));
            if over || rule.off_delay.millis() == 0 {
                close(rule, open, found);
                return None;
            }
            Some(open)
        }
        Verdict::Clears { good: false } | Verdict::Nothing => Some(open),
    }
}

fn close(rule: &Rule, open: Open, found: &mut Vec<Interval>) {
    if open.last.millis_since(open.from) >= rule.on_delay.millis_i64() {
        found.push(Interval {
            from: open.from,
            to: open.end,
        });
    }
}

/// What is open at the end of time.
fn end(rule: &Rule, open: Open, to: Timestamp, found: &mut Vec<Interval>) {
    let cleared = open
        .end
        .filter(|end| to.millis_since(*end) >= rule.off_delay.millis_i64());
    let lasted = if open.end.is_some() { open.last } else { to }.millis_since(open.from);
    if lasted >= rule.on_delay.millis_i64() {
        found.push(Interval {
            from: open.from,
            to: cleared,
        });
    }
}
