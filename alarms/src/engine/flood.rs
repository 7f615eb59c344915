//! More calls than a person can take in: the flood alarm, raised by a sliding count and ended by an aligned interval. Pure of clocks: the
//! engine's timers tell when an interval is over.

use telemetry::Timestamp;
use telemetry::time::Span;

use super::state::Memory;
use super::timers::What;
use super::{Engine, Tags, Transition};
use crate::rules::Condition;
use crate::rules::condition::FloodLimits;

impl Engine {
    fn flood_limits(&self) -> Option<(u32, FloodLimits)> {
        let rule = self.flood?;
        match self.rule(rule)?.condition {
            Condition::Flood(limits) => Some((rule, limits)),
            _ => None,
        }
    }

    /// People were called for a rule.
    pub(super) fn count_call(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let Some((flood, limits)) = self.flood_limits().filter(|(flood, _)| *flood != rule) else {
            return;
        };
        let now = self.now;
        let kept = now.minus(limits.interval);
        let begins_above = usize::try_from(limits.begins_above).unwrap_or(usize::MAX);
        let Some(rare) = self.rare_mut(flood) else { return };
        let mut calls = match std::mem::take(&mut rare.memory) {
            Memory::Calls(calls) => calls,
            _ => Vec::new(),
        };
        calls.retain(|at| *at > kept);
        calls.push(now);
        let count = calls.len();
        let since = calls.first().copied().unwrap_or(now);
        rare.memory = Memory::Calls(calls);
        self.touch_rule(flood);
        if count > begins_above && !self.is_active(flood) {
            self.raise(flood, since, Tags::NONE, out);
            self.arm_interval(flood, limits.interval);
        }
    }

    /// Sets the timer for the end of the aligned interval that runs.
    fn arm_interval(&mut self, flood: u32, interval: Span) {
        let ms = interval.millis_i64().max(1);
        let end = (self.now.millis().div_euclid(ms) + 1).saturating_mul(ms);
        self.timers
            .push(Timestamp::from_millis(end), What::Interval, flood);
    }

    pub(super) fn arm_flood(&mut self) {
        if let Some((flood, limits)) = self.flood_limits()
            && self.is_active(flood)
        {
            self.arm_interval(flood, limits.interval);
        }
    }

    /// An interval is over: with few calls in it the flood is over too.
    pub(super) fn interval_ends(&mut self, flood: u32, at: Timestamp, out: &mut Vec<Transition>) {
        let Some((_, limits)) = self.flood_limits().filter(|(rule, _)| *rule == flood) else {
            return;
        };
        if !self.is_active(flood) {
            return;
        }
        let begun = at.minus(limits.interval);
        let count = match self.rare(flood).map(|rare| &rare.memory) {
            Some(Memory::Calls(calls)) => calls.iter().filter(|call| **call >= begun && **call < at).count(),
            _ => 0,
        };
        if count < usize::try_from(limits.ends_below).unwrap_or(usize::MAX) {
            self.clear(flood, at, Tags::NONE, out);
        } else {
            self.arm_interval(flood, limits.interval);
        }
    }
}
