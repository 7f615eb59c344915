//! Calls over time: aligned intervals, floods, the most within any interval, the rules that called most. Pure.

use std::collections::BTreeMap;

use telemetry::Timestamp;
use telemetry::time::Span;

use crate::rules::condition::FloodLimits;

/// One aligned interval with calls in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Calls in it.
    pub calls: u64,
    /// More than a flood begins with.
    pub over: bool,
    /// In a flood: from one interval over the limit on, before one of few.
    pub flood: bool,
}

/// The number of the aligned interval that holds `at`, counted from 1970 UTC.
#[must_use]
pub fn number(at: Timestamp, interval: Span) -> i64 {
    at.millis().div_euclid(interval.millis_i64().max(1))
}

/// The intervals with calls, by their number; `calls` in any order. An interval without any ends a flood.
#[must_use]
pub fn intervals(calls: impl IntoIterator<Item = Timestamp>, limits: FloodLimits) -> BTreeMap<i64, Interval> {
    let mut intervals: BTreeMap<i64, Interval> = BTreeMap::new();
    for at in calls {
        intervals.entry(number(at, limits.interval)).or_default().calls += 1;
    }
    let mut flood = false;
    let mut previous: Option<i64> = None;
    for (number, interval) in &mut intervals {
        flood = flood && previous.is_none_or(|previous| previous + 1 == *number);
        previous = Some(*number);
        if interval.calls > u64::from(limits.begins_above) {
            interval.over = true;
            flood = true;
        } else if interval.calls < u64::from(limits.ends_below) {
            flood = false;
        }
        interval.flood = flood;
    }
    intervals
}

/// Most calls within any stretch that is shorter than `interval`; `calls` in order.
#[must_use]
pub fn peak(calls: &[Timestamp], interval: Span) -> u64 {
    let (mut first, mut peak) = (0_usize, 0_usize);
    for (last, at) in calls.iter().enumerate() {
        while calls
            .get(first)
            .is_some_and(|begun| at.millis_since(*begun) >= interval.millis_i64())
        {
            first += 1;
        }
        peak = peak.max(last + 1 - first);
    }
    peak as u64
}

/// The `most` rules that called most, the most first, of equals the lesser name; with their calls.
#[must_use]
pub fn top<Name: Ord>(calls: impl IntoIterator<Item = Name>, most: usize) -> Vec<(Name, u64)> {
    let mut by_rule: BTreeMap<Name, u64> = BTreeMap::new();
    for rule in calls {
        *by_rule.entry(rule).or_default() += 1;
    }
    let mut counts: Vec<(Name, u64)> = by_rule.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.truncate(most);
    counts
}
