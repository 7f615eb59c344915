//! The health of the alarm system by ISA-18.2: how often people are called, in which floods, by which rules. Pure.
//!
//! What counts is a call, not a transition; what was a test, history or set aside does not. Source: `alarms.md` §1.3
//! (confidence M: bounds are settings).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::profile::Priority;
use telemetry::time::Span;

use crate::engine::{Engine, EventKind, Tag, Transition};
use crate::rules::Condition;
use crate::rules::condition::FloodLimits;

/// An alarm that has been active for longer stands. Source: `alarms.md` §1.3.
const STANDING: Span = Span::from_secs(86_400);

/// Calls as they come; [`Self::report`] says how it is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    calls: Vec<(Timestamp, Arc<str>)>,
    by_priority: [u64; 4],
    chattering: BTreeSet<Arc<str>>,
}

/// The figures.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct HealthReport {
    /// Calls.
    pub annunciations: u64,
    /// Most calls within any interval of ten minutes.
    pub peak_10min: u64,
    /// Aligned intervals with more calls than a flood begins with.
    pub windows_over_10: u64,
    /// Aligned intervals in a flood.
    pub flood_windows: u64,
    /// Rules that were raised three times within a minute.
    pub chattering: u64,
    /// Alarms that have been active for more than a day.
    pub stale: u64,
    /// Share of the calls that came of the ten rules that called most, 0 to 1.
    pub top10_share: f64,
    /// Calls by priority.
    pub by_priority: BTreeMap<&'static str, u64>,
    /// The ten rules that called most, with their calls; the most first.
    pub top10: Vec<(Arc<str>, u64)>,
}

impl Health {
    /// Takes in a transition of `engine`.
    pub fn take(&mut self, engine: &Engine, transition: &Transition) {
        let rule = usize::try_from(transition.rule)
            .ok()
            .and_then(|place| engine.rules().get(place));
        let Some(rule) = rule else { return };
        if transition.tags.has(Tag::Chattering) && transition.event == EventKind::Raised {
            self.chattering.insert(Arc::clone(&rule.id));
        }
        let calls = transition.page
            && matches!(
                transition.event,
                EventKind::Raised
                    | EventKind::ReAlarmed
                    | EventKind::Unshelved
                    | EventKind::Unsuppressed
                    | EventKind::InService
            );
        let counts = calls && !transition.tags.has(Tag::Test) && !transition.tags.has(Tag::Historical);
        if !counts || matches!(rule.condition, Condition::Flood(_)) {
            return;
        }
        self.calls.push((transition.at, Arc::clone(&rule.id)));
        if let Some(count) = self.by_priority.get_mut(place(rule.priority)) {
            *count += 1;
        }
    }

    /// The rules that were raised three times within a minute, in order.
    pub fn chattering(&self) -> impl Iterator<Item = &Arc<str>> {
        self.chattering.iter()
    }

    /// Takes in what another engine has told: one that watches other devices of the same county.
    pub fn absorb(&mut self, other: Self) {
        self.calls.extend(other.calls);
        self.calls.sort();
        for (count, more) in self.by_priority.iter_mut().zip(other.by_priority) {
            *count += more;
        }
        self.chattering.extend(other.chattering);
    }

    /// How it is by now.
    #[must_use]
    pub fn report(&self, engine: &Engine, limits: FloodLimits) -> HealthReport {
        self.report_with(standing(engine), limits)
    }

    /// How it is, with that many alarms that stand.
    #[must_use]
    pub fn report_with(&self, stale: u64, limits: FloodLimits) -> HealthReport {
        let ms = limits.interval.millis_i64().max(1);
        let mut windows: BTreeMap<i64, u64> = BTreeMap::new();
        for (at, _) in &self.calls {
            *windows.entry(at.millis().div_euclid(ms)).or_default() += 1;
        }
        let (over, flooded) = floods(&windows, limits);
        let mut by_rule: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
        for (_, rule) in &self.calls {
            *by_rule.entry(rule).or_default() += 1;
        }
        let mut counts: Vec<(&Arc<str>, u64)> = by_rule.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.truncate(10);
        let total = self.calls.len() as u64;
        let top: u64 = counts.iter().map(|(_, count)| count).sum();
        HealthReport {
            annunciations: total,
            peak_10min: self.peak(limits.interval),
            windows_over_10: over,
            flood_windows: flooded,
            chattering: self.chattering.len() as u64,
            stale,
            top10_share: if total == 0 {
                0.0
            } else {
                top as f64 / total as f64
            },
            by_priority: PRIORITIES
                .iter()
                .zip(self.by_priority)
                .map(|(name, count)| (*name, count))
                .collect(),
            top10: counts
                .into_iter()
                .map(|(rule, count)| (Arc::clone(rule), count))
                .collect(),
        }
    }

    /// Most calls within any stretch that is shorter than `interval`.
    fn peak(&self, interval: Span) -> u64 {
        let (mut first, mut peak) = (0_usize, 0_usize);
        for (last, (at, _)) in self.calls.iter().enumerate() {
            while self
                .calls
                .get(first)
                .is_some_and(|(begun, _)| at.millis_since(*begun) >= interval.millis_i64())
            {
                first += 1;
            }
            peak = peak.max(last + 1 - first);
        }
        peak as u64
    }
}

const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];

const fn place(priority: Priority) -> usize {
    match priority {
        Priority::Low => 0,
        Priority::Medium => 1,
        Priority::High => 2,
        Priority::Critical => 3,
    }
}

/// Aligned intervals over the limit, and those in a flood: from one over it on, before one of few.
fn floods(windows: &BTreeMap<i64, u64>, limits: FloodLimits) -> (u64, u64) {
    let (mut over, mut flooded, mut flood) = (0, 0, false);
    let mut previous: Option<i64> = None;
    for (number, count) in windows {
        // An interval without any call ended it.
        flood = flood && previous.is_none_or(|previous| previous + 1 == *number);
        previous = Some(*number);
        if *count > u64::from(limits.begins_above) {
            over += 1;
            flood = true;
        } else if *count < u64::from(limits.ends_below) {
            flood = false;
        }
        flooded += u64::from(flood);
    }
    (over, flooded)
}

/// How many alarms have been active for more than a day, and are not set aside.
pub(crate) fn standing(engine: &Engine) -> u64 {
    let now = engine.now();
    let states = (0..engine.rules().len()).filter_map(|rule| engine.state(rule));
    let standing = states.filter(|state| {
        state.alarm.is_active()
            && !state.suppressed.any()
            && now.millis_since(state.raised_at) > STANDING.millis_i64()
    });
    standing.count() as u64
}
