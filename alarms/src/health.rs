//! The health of the alarm system by ISA-18.2: how often people are called, in which floods, by which rules. Pure.
//!
//! What counts is a call, not a transition; what was a test, history or set aside does not. Source: `alarms.md` §1.3
//! (confidence M: bounds are settings). `replay` counts here what its engine does, the figures what the log holds.
//!
//! Start with [`happening`] (what counts).

pub mod aside;
pub mod calls;
pub mod chatter;
pub mod happening;
pub mod lasting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::profile::Priority;
use telemetry::time::Span;

use crate::engine::{Engine, Transition};
use crate::rules::condition::FloodLimits;

pub use happening::{Act, Counted, Happening, Left};

use chatter::{Chatter, ChatterLimits};

/// An alarm that has been active for longer stands, where no policy says otherwise. Source: `alarms.md` §1.3.
const STANDING: Span = Span::from_secs(86_400);
/// So many rules are the ones that called most.
pub const TOP: usize = 10;

/// Calls as they come; [`Self::report`] says how it is.
#[derive(Clone, Debug)]
pub struct Health {
    calls: Vec<(Timestamp, Arc<str>)>,
    by_priority: [u64; 4],
    /// A number of its own for each rule: their places change with the rules.
    numbers: BTreeMap<Arc<str>, u32>,
    chatter: Chatter,
    chattering: BTreeSet<Arc<str>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            calls: Vec::new(),
            by_priority: [0; 4],
            numbers: BTreeMap::new(),
            chatter: Chatter::new(ChatterLimits::default()),
            chattering: BTreeSet::new(),
        }
    }
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
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(Arc::clone(&rule.id)).or_insert(next);
        let happening = Happening::of(number, rule, transition);
        self.chatter.take(&happening);
        if self.chatter.found().contains_key(&number) {
            self.chattering.insert(Arc::clone(&rule.id));
        }
        if !happening.is_call() {
            return;
        }
        self.calls.push((happening.at, Arc::clone(&rule.id)));
        if let Some(count) = self.by_priority.get_mut(place(happening.priority)) {
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
        let times: Vec<Timestamp> = self.calls.iter().map(|(at, _)| *at).collect();
        let intervals = calls::intervals(times.iter().copied(), limits);
        let top10 = calls::top(self.calls.iter().map(|(_, rule)| Arc::clone(rule)), TOP);
        let total = self.calls.len() as u64;
        let top: u64 = top10.iter().map(|(_, count)| count).sum();
        let count = |wanted: fn(&calls::Interval) -> bool| {
            intervals.values().filter(|interval| wanted(interval)).count() as u64
        };
        HealthReport {
            annunciations: total,
            peak_10min: calls::peak(&times, limits.interval),
            windows_over_10: count(|interval| interval.over),
            flood_windows: count(|interval| interval.flood),
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
            top10,
        }
    }
}

/// The priorities by name, the least first.
pub const PRIORITIES: [&str; 4] = ["low", "medium", "high", "critical"];

/// The place of a priority in [`PRIORITIES`].
#[must_use]
pub const fn place(priority: Priority) -> usize {
    match priority {
        Priority::Low => 0,
        Priority::Medium => 1,
        Priority::High => 2,
        Priority::Critical => 3,
    }
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
