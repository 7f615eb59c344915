//! One cause, one call: what speaks through a gateway falls silent with it.
//!
//! When a child's silence falls due and its gateway may be the cause, the child waits for it, 30 s at most. The gateway is silent when
//! nothing has come through it for the longest silence of its children, or when every child has missed two reports and
//! nothing came while one waited. Its children's silence is then suppressed by design. After its return a child that stays silent
//! stands for itself one silence later. Source: `alarms.md` §2.1 and A52, A54.

use std::sync::Arc;

use telemetry::Timestamp;
use telemetry::time::Span;

use super::timers::What;
use super::{Engine, EventKind, Extra, Tags, Transition};
use crate::lifecycle::{AlarmEvent, Suppression};
use crate::rules::Condition;

/// How long a child's silence waits for its gateway's. Source: `alarms.md` §2.1: within W + 30 s.
const WAIT_MAX: Span = Span::from_secs(30);

/// What a gateway is when a child's silence falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gateway {
    /// The child is silent by itself.
    Speaks,
    /// Nobody knows until then.
    Doubtful(Timestamp),
    /// It is silent: its own alarm tells.
    Silent,
}

impl Engine {
    pub(super) fn is_gateway(&self, device: usize) -> bool {
        self.devices
            .get(device)
            .is_some_and(|memory| !memory.children.is_empty())
    }

    fn gateway_of(&self, device: usize) -> Option<usize> {
        self.plant.devices.get(device)?.gateway
    }

    /// The silence rule of a gateway.
    fn gateway_rule(&self, gateway: usize) -> Option<u32> {
        self.devices.get(gateway)?.silence_rules.first().copied()
    }

    /// What the gateway of a child is, whose silence was due at `due`.
    pub(super) fn gateway_at(&self, child: usize, due: Timestamp) -> Gateway {
        let Some(gateway) = self.gateway_of(child) else {
            return Gateway::Speaks;
        };
        let Some(rule) = self.gateway_rule(gateway) else {
            return Gateway::Speaks;
        };
        if self.is_active(rule) || self.silence_due(rule) <= self.now {
            return Gateway::Silent;
        }
        let heard = self.devices.get(gateway).and_then(|memory| memory.heard);
        if heard.is_some_and(|heard| heard > due) {
            return Gateway::Speaks;
        }
        let own = self.silence_due(rule);
        let close = own.millis_since(due) <= WAIT_MAX.millis_i64();
        if !close && !self.all_overdue(gateway) {
            return Gateway::Speaks;
        }
        let until = own.min(due.plus(WAIT_MAX));
        if until <= self.now {
            Gateway::Silent
        } else {
            Gateway::Doubtful(until)
        }
    }

    /// Whether every child that reports evenly has missed two reports.
    fn all_overdue(&self, gateway: usize) -> bool {
        let children = self
            .devices
            .get(gateway)
            .map_or(&[][..], |memory| &memory.children);
        children.iter().all(|child| {
            let period = self.plant.devices.get(*child).and_then(|device| device.period);
            let heard = self.devices.get(*child).and_then(|memory| memory.heard);
            match (period, heard) {
                (Some(period), Some(heard)) => {
                    self.now.millis_since(heard) >= period.millis_i64().saturating_mul(2)
                }
                _ => false,
            }
        })
    }

    /// The gateway of a child is silent: its alarm is raised, and its children's silence is suppressed by design.
    pub(super) fn gateway_falls_silent(&mut self, child: usize, out: &mut Vec<Transition>) {
        if let Some(rule) = self
            .gateway_of(child)
            .and_then(|gateway| self.gateway_rule(gateway))
            && !self.is_active(rule)
        {
            self.raise_silence(rule, out);
        }
    }

    /// Suppresses the silence of every child that has not been reported by itself.
    pub(super) fn suppress_children(&mut self, gateway: usize, out: &mut Vec<Transition>) {
        let Some(cause) = self
            .gateway_rule(gateway)
            .and_then(|rule| self.rule(rule))
            .map(|rule| Arc::clone(&rule.id))
        else {
            return;
        };
        for rule in self.silence_behind(gateway) {
            if self.is_active(rule) || self.is_out_of_force(rule) {
                continue;
            }
            if let Some(rare) = self.rare_mut(rule) {
                rare.cause = Some(Arc::clone(&cause));
                rare.resumes_at = None;
            }
            if let Some(device) = self.rule(rule).map(|rule| rule.device)
                && let Some(memory) = self.devices.get_mut(device)
            {
                memory.behind = true;
            }
            if self
                .step(rule, AlarmEvent::Suppress(Suppression::ByDesign))
                .is_some()
            {
                let extra = Extra {
                    reason: Some(Arc::clone(&cause)),
                    ..Extra::default()
                };
                self.emit_with(rule, EventKind::Suppressed, Tags::NONE, false, extra, out);
            }
        }
    }

    /// The gateway speaks again: a child that stays silent stands for itself one silence later.
    pub(super) fn gateway_returns(&mut self, gateway: usize) {
        for rule in self.silence_behind(gateway) {
            let Some(Condition::Silence { after }) = self.rule(rule).map(|rule| rule.condition.clone())
            else {
                continue;
            };
            let at = self.now.plus(after);
            if let Some(rare) = self.rare_mut(rule).filter(|rare| rare.cause.is_some()) {
                rare.resumes_at = Some(at);
                self.timers.push(at, What::Behind, rule);
                self.touch_rule(rule);
            }
        }
    }

    /// A child stands for itself again: it was heard, or it has been silent for too long after its gateway's return.
    pub(super) fn resume_behind(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let Some(rare) = self.rare_mut(rule).filter(|rare| rare.cause.is_some()) else {
            return;
        };
        rare.cause = None;
        rare.resumes_at = None;
        if let Some(device) = self.rule(rule).map(|rule| rule.device) {
            let rules = self
                .devices
                .get(device)
                .map_or(&[][..], |memory| &memory.silence_rules);
            let behind = rules
                .iter()
                .any(|rule| self.rare(*rule).is_some_and(|rare| rare.cause.is_some()));
            if let Some(memory) = self.devices.get_mut(device) {
                memory.behind = behind;
            }
        }
        self.resume(
            rule,
            Suppression::ByDesign,
            EventKind::Unsuppressed,
            Extra::default(),
            out,
        );
    }

    pub(super) fn behind_fires(&mut self, rule: u32, at: Timestamp, out: &mut Vec<Transition>) {
        if self.rare(rule).and_then(|rare| rare.resumes_at) == Some(at) {
            self.resume_behind(rule, out);
        }
    }

    /// Something came through a gateway: whoever waits for its silence need not wait any more.
    pub(super) fn release_held(&mut self, gateway: usize) {
        let Some(children) = self.devices.get(gateway).map(|memory| memory.children.clone()) else {
            return;
        };
        let now = self.now;
        for child in children {
            let Some(memory) = self.devices.get_mut(child).filter(|memory| memory.held) else {
                continue;
            };
            memory.held = false;
            for rule in memory.silence_rules.clone() {
                self.arm_silence(rule, now);
            }
        }
    }

    /// The silence rules of everything behind a gateway.
    fn silence_behind(&self, gateway: usize) -> Vec<u32> {
        let children = self
            .devices
            .get(gateway)
            .map_or(&[][..], |memory| &memory.children);
        children
            .iter()
            .filter_map(|child| self.devices.get(*child))
            .flat_map(|memory| memory.silence_rules.iter().copied())
            .collect()
    }

    /// The points that are lost with a gateway, those that may save a life first and, where there are any, alone; and how
    /// many are lost in all.
    pub(super) fn lost_behind(&self, gateway: usize) -> (Vec<Arc<str>>, u32) {
        let children = self
            .devices
            .get(gateway)
            .map_or(&[][..], |memory| &memory.children);
        let devices: Vec<_> = children
            .iter()
            .filter_map(|child| self.plant.devices.get(*child))
            .collect();
        let vital = devices.iter().any(|device| device.life_safety);
        let listed = devices
            .iter()
            .filter(|device| device.life_safety || !vital)
            .map(|device| Arc::clone(&device.name))
            .collect();
        (listed, u32::try_from(devices.len()).unwrap_or(u32::MAX))
    }
}
