//! The rules that the engine makes by itself: silence, faults, clocks, lost protection, floods.

use std::collections::HashMap;

use telemetry::SeriesId;
use telemetry::profile::{Active, Priority, Title};
use telemetry::time::Span;

use super::form::{Class, PointForm, Settings};
use super::maker::Maker;
use crate::rules::condition::FloodLimits;
use crate::rules::{Condition, NO_DEVICE, Rule};

impl Maker {
    /// What the engine finds out by itself: silence, faults, clocks, lost protection, floods.
    pub(super) fn system_rules(&mut self, forms: &[PointForm], settings: &Settings, flood: FloodLimits) {
        let gravest = self.gravest();
        let mut silences: Vec<(usize, Priority, Span)> = Vec::new();
        for (device, form) in forms.iter().enumerate() {
            let vital = form.class == Class::LifeSafety;
            let series = u32::try_from(device).ok().map(SeriesId);
            let gravest = gravest.get(&device).copied();
            let plain = |id: String, condition, priority| Rule {
                title: named(&id),
                id: id.into(),
                device,
                shown_at: device,
                condition,
                priority,
                life_safety: vital,
                ..mould()
            };
            if let Some(after) = form.stale_after {
                let default = if vital {
                    Priority::Critical
                } else {
                    Priority::Medium
                };
                let priority = gravest.unwrap_or(default);
                silences.push((device, priority, after));
                let id = format!("{}.silence", form.name);
                self.rules.push(plain(id, Condition::Silence { after }, priority));
            }
            let fault = Condition::Fault {
                silence_watched: false,
            };
            let priority = match gravest {
                _ if vital => Priority::High,
                Some(gravest) => gravest.min(Priority::High),
                None => Priority::Medium,
            };
            self.rules.push(Rule {
                series,
                off_delay: settings.fault_off_delay,
                ..plain(format!("{}.fault", form.name), fault, priority)
            });
            let priority = if vital { Priority::Medium } else { Priority::Low };
            self.rules.push(Rule {
                off_delay: settings.fault_off_delay,
                ..plain(format!("{}.clock", form.name), Condition::Clock, priority)
            });
        }
        self.gateway_rules(&silences);
        self.group_rules();
        self.rules.push(Rule {
            id: "system.flood".into(),
            title: named("system.flood"),
            condition: Condition::Flood(flood),
            priority: Priority::High,
            ..mould()
        });
    }

    /// The gravest priority of the file's own rules on each point that has any.
    fn gravest(&self) -> HashMap<usize, Priority> {
        let mut gravest = HashMap::new();
        for rule in &self.rules {
            let worst = gravest.entry(rule.device).or_insert(rule.priority);
            *worst = rule.priority.max(*worst);
        }
        gravest
    }

    fn gateway_rules(&mut self, silences: &[(usize, Priority, Span)]) {
        for gateway in 0..self.plant.devices.len() {
            let behind = || {
                silences.iter().filter(|(child, ..)| {
                    self.plant
                        .devices
                        .get(*child)
                        .is_some_and(|child| child.gateway == Some(gateway))
                })
            };
            let Some(device) = self.plant.devices.get(gateway).filter(|device| device.mute) else {
                continue;
            };
            let (Some(priority), Some(after)) = (
                behind().map(|(_, priority, _)| *priority).max(),
                behind().map(|(.., after)| *after).max(),
            ) else {
                continue;
            };
            let id = format!("{}.silence", device.name);
            let rule = Rule {
                title: named(&id),
                id: id.into(),
                device: gateway,
                shown_at: gateway,
                condition: Condition::Silence { after },
                priority,
                life_safety: device.life_safety,
                ..mould()
            };
            self.rules.push(rule);
        }
    }

    /// Protection is lost where points vote, or where several that may save a life stand together.
    fn group_rules(&mut self) {
        for (group, found) in self.plant.groups.iter().enumerate() {
            let vital = found
                .members
                .iter()
                .filter(|(device, _)| {
                    self.plant
                        .devices
                        .get(*device)
                        .is_some_and(|device| device.life_safety)
                })
                .count();
            if vital < 2 && !self.voting.contains(&group) {
                continue;
            }
            let id = format!("{}.protection", found.name);
            self.rules.push(Rule {
                title: named(&id),
                id: id.into(),
                condition: Condition::Protection { group },
                priority: Priority::Critical,
                life_safety: vital > 0,
                ..mould()
            });
        }
    }
}

/// A rule of the engine's own, to be filled in.
fn mould() -> Rule {
    Rule {
        id: "".into(),
        title: named(""),
        device: NO_DEVICE,
        shown_at: NO_DEVICE,
        signal: None,
        series: None,
        condition: Condition::Clock,
        on_delay: Span::ZERO,
        off_delay: Span::ZERO,
        priority: Priority::Low,
        active: Active::Always,
        schedule: None,
        life_safety: false,
        latching: false,
        re_alarm: None,
        system: true,
        changed: None,
    }
}

pub(super) fn named(id: &str) -> Title {
    Title {
        zh: id.into(),
        en: id.into(),
    }
}
