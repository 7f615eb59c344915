//! Leads each series and each device to its rules, once.

use telemetry::SeriesId;

use super::memory::PointMemory;
use super::{Engine, NO_POINT};
use crate::rules::Condition;

impl Engine {
    /// Leads each series to its rules, each gateway to what speaks through it, and arms every silence rule.
    pub(super) fn wire(&mut self) {
        let gateways: Vec<(usize, usize)> = (self.plant.devices.iter().enumerate())
            .filter_map(|(child, device)| Some((device.gateway?, child)))
            .collect();
        for (gateway, child) in gateways {
            if let Some(memory) = self.devices.get_mut(gateway) {
                memory.children.push(child);
            }
        }
        for place in 0..self.rules.len() {
            let Some(rule) = self.rules.get(place) else {
                continue;
            };
            let (device, series) = (rule.device, rule.series);
            let condition = rule.condition.clone();
            let number = u32::try_from(place).unwrap_or(NO_POINT);
            if let Condition::Flood(_) = condition {
                self.flood = Some(number);
            }
            if let Some(memory) = self.devices.get_mut(device) {
                memory.rules.push(number);
                if condition == Condition::Clock {
                    memory.clock_rule = Some(number);
                }
            }
            if let Some(series) = series.filter(|_| !condition.is_joint()) {
                let point = self.point_of(series, device);
                if let Some(point) = self.points.get_mut(point) {
                    if matches!(condition, Condition::Silence { .. }) {
                        point.silence_rules.push(number);
                    } else {
                        point.rules.push(number);
                    }
                }
            } else if matches!(condition, Condition::Silence { .. })
                && let Some(memory) = self.devices.get_mut(device)
            {
                memory.silence_rules.push(number);
            }
        }
        // Behind the others, so that most points are there with their devices.
        for number in 0..u32::try_from(self.rules.len()).unwrap_or(NO_POINT) {
            if self.rule(number).is_some_and(|rule| rule.condition.is_joint()) {
                self.wire_joint(number);
            }
        }
        self.arm_all_silence();
    }

    /// Leads every series that a joint rule looks at to that rule.
    fn wire_joint(&mut self, rule: u32) {
        let Some((condition, series, own)) =
            (self.rule(rule)).map(|rule| (rule.condition.clone(), rule.series, rule.device))
        else {
            return;
        };
        let inputs: Vec<SeriesId> = match &condition {
            Condition::Deviation { other, .. } => series.into_iter().chain([*other]).collect(),
            Condition::Vote { group, .. } | Condition::Protection { group } => {
                let group = self.plant.groups.get(*group);
                group.map_or_else(Vec::new, |group| {
                    group.members.iter().map(|(_, series)| *series).collect()
                })
            }
            Condition::Expression { inputs, .. } => inputs.to_vec(),
            _ => Vec::new(),
        };
        for series in inputs {
            let device = self.device_behind(series, own);
            let place = self.point_of(series, device);
            if let Some(point) = self.points.get_mut(place)
                && !point.joint.contains(&rule)
            {
                point.joint.push(rule);
            }
        }
    }

    /// Whose series it is: as another rule has it, or a group, or else the device of the joint rule itself.
    fn device_behind(&self, series: SeriesId, own: usize) -> usize {
        if let Some(point) = self.point(series) {
            return point.device;
        }
        let mut members = self.plant.groups.iter().flat_map(|group| &group.members);
        members
            .find(|(_, known)| *known == series)
            .map_or(own, |(device, _)| *device)
    }

    /// Arms every silence rule.
    pub(super) fn arm_all_silence(&mut self) {
        self.timers.forget_silence();
        for place in 0..self.rules.len() {
            let Ok(number) = u32::try_from(place) else { return };
            if matches!(
                self.rule(number).map(|rule| &rule.condition),
                Some(Condition::Silence { .. })
            ) {
                self.arm_silence(number, self.silence_due(number));
            }
        }
    }

    fn point_of(&mut self, series: SeriesId, device: usize) -> usize {
        let Ok(number) = usize::try_from(series.0) else {
            return usize::MAX;
        };
        if number >= self.by_series.len() {
            self.by_series.resize(number + 1, NO_POINT);
        }
        let Some(slot) = self.by_series.get_mut(number) else {
            return usize::MAX;
        };
        if *slot == NO_POINT {
            *slot = u32::try_from(self.points.len()).unwrap_or(NO_POINT);
            if let Some(memory) = self.devices.get_mut(device) {
                memory.points.push(*slot);
            }
            self.points.push(PointMemory::new(series, device));
        }
        usize::try_from(*slot).unwrap_or(usize::MAX)
    }
}
