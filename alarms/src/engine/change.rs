//! New rules take the place of the old: what is named in both goes on, what is gone is closed, and a changed limit is judged by the last
//! good, fresh value. Source: `alarms.md` §2.1 and T13.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use telemetry::SeriesId;

use super::memory::Seen;
use super::{Engine, Extra, RuleState, Tags, Transition};
use crate::rules::{Plant, Rule};
use crate::telling::Telling;

impl Engine {
    /// Closes every rule that `next` does not name, in the name of `by`: the first half of a change, said with the rules that were.
    pub fn retire_rules(&mut self, next: &[Rule], by: &str, out: &mut Vec<Transition>) {
        let named: HashSet<&str> = next.iter().map(|rule| &*rule.id).collect();
        let gone: Vec<u32> = (0_u32..)
            .zip(&self.rules)
            .filter(|(_, rule)| !named.contains(&*rule.id))
            .map(|(number, _)| number)
            .collect();
        self.version += 1;
        for rule in gone {
            let extra = Extra {
                by: Some(by.into()),
                reason: Some("its rule or point is gone".into()),
                ..Extra::default()
            };
            self.close(rule, extra, out);
        }
    }

    /// Puts new rules of a new plant in force, after [`Self::retire_rules`]. Devices go by their names, series by their numbers.
    ///
    /// # Errors
    /// [`super::DamagedState`] when a state cannot be written down, which no finite state can cause.
    pub fn replace_rules(
        &mut self,
        plant: Plant,
        rules: Vec<Rule>,
        telling: Arc<Telling>,
        spans: super::Spans,
        out: &mut Vec<Transition>,
    ) -> Result<(), super::DamagedState> {
        let kept: HashMap<Arc<str>, Rule> = (self.rules.iter())
            .map(|rule| (Arc::clone(&rule.id), rule.clone()))
            .collect();
        let daylight = Arc::clone(&self.daylight);
        let mut next = Self::new(plant, rules, spans, daylight, telling, self.now);
        self.hand_over(&mut next)?;
        let changed: Vec<u32> = (0_u32..)
            .zip(&next.rules)
            .filter(|(_, rule)| kept.get(&rule.id).is_none_or(|before| before != *rule))
            .map(|(number, _)| number)
            .collect();
        *self = next;
        for rule in changed {
            self.judge_anew(rule, out);
        }
        Ok(())
    }

    /// Moves states, memories and the engine's time over to `next`.
    fn hand_over(&mut self, next: &mut Self) -> Result<(), super::DamagedState> {
        let places: HashMap<Arc<str>, usize> = next
            .rules
            .iter()
            .enumerate()
            .map(|(place, rule)| (Arc::clone(&rule.id), place))
            .collect();
        let devices: HashMap<Arc<str>, usize> = next
            .plant
            .devices
            .iter()
            .enumerate()
            .map(|(place, device)| (Arc::clone(&device.name), place))
            .collect();
        next.version = self.version;
        next.shift_ms = self.shift_ms;
        next.now = self.now;
        next.seq = self.seq;
        for (place, device) in self.plant.devices.iter().enumerate() {
            if let (Some(body), Some(to)) = (self.pack(place), devices.get(&device.name)) {
                next.restore_device(*to, &body)?;
                next.touch_device(*to);
            }
        }
        let of_rules = self.rules.iter().map(|rule| Arc::clone(&rule.id));
        let states = of_rules.zip(std::mem::take(&mut self.states));
        for (id, state) in std::mem::take(&mut self.retired).into_iter().chain(states) {
            match places.get(&id) {
                Some(place) => next.restore_rule(*place, state),
                None => next.retire(id, state),
            }
        }
        next.silence_from = self.silence_from;
        next.arm_all_silence();
        next.arm_flood();
        for rule in 0..u32::try_from(next.rules.len()).unwrap_or(u32::MAX) {
            if let Some(state) = next.state_mut(rule) {
                state.dirty = false;
            }
            next.touch_rule(rule);
        }
        Ok(())
    }

    /// Remembers the state of a rule that is no longer, so that no occurrence gets a number twice when it comes back.
    pub fn retire(&mut self, id: Arc<str>, state: RuleState) {
        if state.occurrence > 0 {
            self.retired.insert(id, state);
        }
    }

    /// Judges a new or changed rule by the last value without doubt, while that is fresh.
    fn judge_anew(&mut self, rule: u32, out: &mut Vec<Transition>) {
        let Some(found) = self.rule(rule) else { return };
        let Some((series, device)) = found.series.map(|series| (series, found.device)) else {
            return;
        };
        let of_samples = found.condition.is_of_samples();
        if !of_samples || self.is_silent(device) || self.is_out_of_force(rule) {
            return;
        }
        let Some(place) = self.place_of(series) else {
            return;
        };
        let Some(good) = self
            .points
            .get(place)
            .and_then(|point| point.newest_good())
            .copied()
        else {
            return;
        };
        // The delay of the new rule begins now.
        let seen = Seen {
            arrived: self.now,
            ..good
        };
        self.drop_pending(rule);
        let index = self
            .points
            .get(place)
            .and_then(|point| point.window.iter().position(|known| known.time == good.time));
        let (verdict, value) = self.judge_at(rule, place, seen, index);
        self.newest_sample(rule, verdict, Seen { value, ..seen }, Tags::NONE, out);
    }

    fn place_of(&self, series: SeriesId) -> Option<usize> {
        let place = self.by_series.get(usize::try_from(series.0).ok()?)?;
        usize::try_from(*place)
            .ok()
            .filter(|place| *place < self.points.len())
    }
}
