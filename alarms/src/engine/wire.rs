//! Leads each series and each device to its rules, once.

use telemetry::SeriesId;

use super::memory::PointMemory;
use super::{Engine, NO_POINT};
use crate::rules::Condition;

impl Engine {
    /// Leads each series to its rules, and arms every silence rule.
    pub(super) fn wire(&mut self) {
        for place in 0..self.rules.len() {
            let Some(rule) = self.rules.get(place) else {
                continue;
            };
            let (device, series) = (rule.device, rule.series);
            let condition = rule.condition.clone();
            let number = u32::try_from(place).unwrap_or(NO_POINT);
            if let Some(memory) = self.devices.get_mut(device) {
                memory.rules.push(number);
                if condition == Condition::Clock {
                    memory.clock_rule = Some(number);
                }
            }
            if let Some(series) = series {
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
        self.arm_all_silence();
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
