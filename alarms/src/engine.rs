//! The alarm engine: samples, heard devices, what people do and the clock in, transitions out. It opens no file and no
//! socket, reads no clock and allocates nothing for a sample that changes nothing.
//!
//! Its time is one axis, [`Engine::now`]: it never goes back, and every timer fires at its own deadline. At one
//! instant a delay matures first, then comes the input, then silence. Source: `alarms.md` §2.1.
//!
//! Start with [`Engine::sample`], then `judge.rs` (what a sample says), `evaluate.rs` (the newest sample), `late.rs` (the
//! others), `occurrence.rs` (raise and clear), `tell.rs` (who hears of it).

mod change;
mod device;
mod digest;
mod evaluate;
mod event;
mod flood;
mod gateway;
mod history;
mod joint;
mod judge;
mod late;
mod memory;
mod occurrence;
mod operate;
mod persist;
mod state;
mod tell;
#[cfg(test)]
pub(crate) mod tests;
mod timers;
mod wire;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use telemetry::profile::Active;
use telemetry::time::Span;
use telemetry::{Bad, Point, Quality, SeriesId, Timestamp, Uncertain};

use crate::rules::{Daylight, Plant, Rule};
use crate::settings::AlarmSettings;
use crate::telling::Telling;

pub use event::{DigestItem, EventKind, Extra, NO_RULE, Tag, Tags, Transition};
pub use memory::Seen;
pub use operate::{Operator, Refusal};
pub use persist::{DamagedState, StoredDevice, StoredRule};
pub use state::{Acknowledgement, RuleState, SetAside, Side};

use memory::{DeviceMemory, PointMemory};
use state::Rare;
use timers::Timers;

/// A sample that is older than this on arrival, and not back-fill, comes of a clock that was never set: its time of arrival is
/// taken. Source: `alarms.md` §2.1: a clock is dead when it is years off.
const DEAD_CLOCK: Span = Span::from_secs(365 * 86_400);

/// The spans that the semantics name.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// L.
    pub lateness: Span,
    /// P.
    pub live_age: Span,
    /// F.
    pub future_tolerance: Span,
    /// After start-up or provisioning.
    pub grace: Span,
    /// The longest time for which a person may shelve an alarm.
    pub shelve_max: Span,
}

impl From<&AlarmSettings> for Spans {
    fn from(settings: &AlarmSettings) -> Self {
        Self {
            lateness: settings.lateness,
            live_age: settings.live_age,
            future_tolerance: settings.future_tolerance,
            grace: settings.grace,
            shelve_max: settings.shelve_max,
        }
    }
}

/// The engine: every rule with its state. One owner; see the module.
pub struct Engine {
    spans: Spans,
    daylight: Arc<dyn Daylight>,
    telling: Arc<Telling>,
    plant: Plant,
    rules: Vec<Rule>,
    states: Vec<RuleState>,
    points: Vec<PointMemory>,
    devices: Vec<DeviceMemory>,
    /// Place in `points` by series number; [`NO_POINT`] where no rule looks.
    by_series: Vec<u32>,
    timers: Timers,
    /// When the one timer of each silence rule fires that counts.
    armed: Vec<Timestamp>,
    /// The rule that tells of floods.
    flood: Option<u32>,
    now: Timestamp,
    /// How far the wall clock stands from the engine's time, in ms.
    shift_ms: i64,
    /// Nothing is silent before: start-up + grace.
    silence_from: Timestamp,
    seq: u64,
    /// Of the rules, from 1.
    version: u32,
    dirty_rules: Vec<u32>,
    dirty_devices: Vec<u32>,
    /// Rules whose history has yet to come to rest.
    resting: BTreeSet<u32>,
    /// When that is looked at next.
    digest_at: Option<Timestamp>,
    /// States of rules that are no longer: one that comes back goes on with its next occurrence.
    retired: HashMap<Arc<str>, RuleState>,
}

const NO_POINT: u32 = u32::MAX;

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("rules", &self.rules.len())
            .field("now", &self.now)
            .field("seq", &self.seq)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine for `rules` of `plant` that starts at `start`, where every device counts as provisioned.
    #[must_use]
    pub fn new(
        plant: Plant,
        rules: Vec<Rule>,
        spans: Spans,
        daylight: Arc<dyn Daylight>,
        telling: Arc<Telling>,
        start: Timestamp,
    ) -> Self {
        let mut engine = Self {
            spans,
            daylight,
            telling,
            states: vec![RuleState::default(); rules.len()],
            points: Vec::new(),
            devices: plant.devices.iter().map(|_| DeviceMemory::new(start)).collect(),
            by_series: Vec::new(),
            timers: Timers::default(),
            armed: vec![Timestamp::MAX; rules.len()],
            flood: None,
            now: start,
            shift_ms: 0,
            silence_from: start,
            seq: 0,
            version: 1,
            dirty_rules: Vec::new(),
            dirty_devices: Vec::new(),
            resting: BTreeSet::new(),
            digest_at: None,
            retired: HashMap::new(),
            rules,
            plant,
        };
        engine.wire();
        for device in 0..engine.devices.len() {
            engine.touch_device(device);
        }
        engine
    }

    /// Every rule.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What stands behind the rules.
    #[must_use]
    pub const fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The state of a rule, by its place in [`Self::rules`].
    #[must_use]
    pub fn state(&self, rule: usize) -> Option<&RuleState> {
        self.states.get(rule)
    }

    /// The newest sample of a series that a rule looks at.
    #[must_use]
    pub fn newest(&self, series: SeriesId) -> Option<&Seen> {
        self.point(series)?.newest()
    }

    fn point(&self, series: SeriesId) -> Option<&PointMemory> {
        let place = self.by_series.get(usize::try_from(series.0).ok()?)?;
        self.points.get(usize::try_from(*place).ok()?)
    }

    /// Whether one of its silence rules counts the device as silent.
    #[must_use]
    pub fn is_silent(&self, device: usize) -> bool {
        self.devices.get(device).is_some_and(|memory| memory.silent)
    }

    /// How far the engine's time has come.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The number of the last transition.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Lets the time pass until `to`; what falls due is appended to `out` in order.
    pub fn advance(&mut self, to: Timestamp, out: &mut Vec<Transition>) {
        self.fire(to, true, out);
        self.now = self.now.max(to);
    }

    /// Lets the time pass up to the input that comes at `to`: silence that falls due at that very instant comes after it.
    pub fn advance_before_input(&mut self, to: Timestamp, out: &mut Vec<Transition>) {
        self.fire(to, false, out);
        self.now = self.now.max(to);
    }

    /// The process was down until `ready`: what fell due meanwhile is told as of then.
    pub fn wake(&mut self, ready: Timestamp) {
        self.now = self.now.max(ready);
    }

    /// Nothing counts as silent before `until`.
    pub fn pardon(&mut self, until: Timestamp) {
        self.silence_from = self.silence_from.max(until);
    }

    /// Tells how far the wall clock, in which arrivals are given, now stands from the engine's time, which never steps.
    pub const fn set_shift(&mut self, shift_ms: i64) {
        self.shift_ms = shift_ms;
    }

    /// An arrival, on the engine's time.
    fn on_axis(&self, arrived: Timestamp) -> Timestamp {
        Timestamp::from_millis(arrived.millis().saturating_sub(self.shift_ms))
    }

    /// What the wall clock shows now.
    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.now.millis().saturating_add(self.shift_ms))
    }

    /// Takes in a sample that arrived at `point.arrived`.
    pub fn sample(&mut self, point: &Point, out: &mut Vec<Transition>) {
        let arrived = self.on_axis(point.arrived);
        self.advance_before_input(arrived, out);
        let owner = usize::try_from(point.series.0)
            .ok()
            .and_then(|number| self.by_series.get(number));
        let Some(place) = owner.copied().filter(|place| *place != NO_POINT) else {
            return;
        };
        let Ok(place) = usize::try_from(place) else { return };
        let Some(device) = self.points.get(place).map(|memory| memory.device) else {
            return;
        };
        let seen = self.believed(point, arrived);
        if !point.backfill {
            self.clock_seen(device, &seen, point.sample.time, out);
        }
        let Some(memory) = self.points.get(place) else {
            return;
        };
        if memory.knows(&seen) {
            return;
        }
        let newest = memory.newest().is_none_or(|newest| seen.time >= newest.time);
        let old = point.arrived.millis_since(seen.time) > self.spans.live_age.millis_i64();
        self.touch_device(device);
        if point.backfill || (old && !newest) {
            self.history(place, seen, point.backfill, newest, out);
        } else {
            self.live(place, seen, newest, out);
        }
    }

    /// The event time and quality by which the engine takes a point now.
    #[must_use]
    pub fn taken(&self, point: &Point) -> (Timestamp, Quality) {
        let seen = self.believed(point, self.on_axis(point.arrived));
        (seen.time, seen.quality)
    }

    /// The version of the rules, from 1; it grows with every change of them.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    fn live(&mut self, place: usize, seen: Seen, newest: bool, out: &mut Vec<Transition>) {
        let (lateness, live_age) = (self.spans.lateness, self.spans.live_age);
        let Some(memory) = self.points.get_mut(place) else {
            return;
        };
        let index = memory.insert(seen);
        if newest {
            memory.forget(lateness, live_age);
            memory.settles_at = None;
        }
        let device = memory.device;
        if seen.quality != Quality::Bad(Bad::NoAnswer) {
            let first = memory.fresh.replace(seen.arrived).is_none();
            for index in 0..memory.silence_rules.len() {
                let rule = self
                    .points
                    .get(place)
                    .and_then(|memory| memory.silence_rules.get(index).copied());
                if let Some(rule) = rule {
                    self.silence_over(rule, first, seen.arrived, out);
                }
            }
            self.heard(device, seen.arrived, out);
        }
        self.each_rule(place, |engine, rule| {
            if engine.is_out_of_force(rule) {
                return;
            }
            if newest {
                let (verdict, decides, tags) = engine.judge_newest(rule, place, seen);
                engine.newest_sample(rule, verdict, decides, tags, out);
                engine.note_counter(rule, decides, tags, out);
            } else {
                engine.late_sample(rule, place, seen, index, out);
            }
        });
        if newest {
            self.joint_of_point(place, seen.time, out);
        } else if let Some(memory) = self.points.get_mut(place) {
            // However late it is, it was judged beside the samples that are remembered.
            memory.forget(lateness, live_age);
        }
    }

    fn each_rule(&mut self, place: usize, mut apply: impl FnMut(&mut Self, u32)) {
        let mut index = 0;
        while let Some(rule) = self
            .points
            .get(place)
            .and_then(|memory| memory.rules.get(index).copied())
        {
            apply(self, rule);
            index += 1;
        }
    }

    /// A sample of a clock that lies is taken at its arrival, with doubt: one from the future, or from years ago.
    fn believed(&self, point: &Point, arrived: Timestamp) -> Seen {
        let sample = point.sample;
        let future = sample.time > point.arrived.plus(self.spans.future_tolerance);
        let dead = !point.backfill && point.arrived.millis_since(sample.time) > DEAD_CLOCK.millis_i64();
        let (time, quality) = if future || dead {
            (
                point.arrived,
                sample.quality.worse(Quality::Uncertain(Uncertain::ClockSkew)),
            )
        } else {
            (sample.time, sample.quality)
        };
        let late = point.arrived.millis_since(time) > self.spans.lateness.millis_i64();
        Seen {
            time,
            arrived,
            value: sample.value,
            quality,
            late,
        }
    }

    fn rule(&self, rule: u32) -> Option<&Rule> {
        self.rules.get(usize::try_from(rule).ok()?)
    }

    fn state_of(&self, rule: u32) -> Option<&RuleState> {
        self.states.get(usize::try_from(rule).ok()?)
    }

    fn state_mut(&mut self, rule: u32) -> Option<&mut RuleState> {
        self.states.get_mut(usize::try_from(rule).ok()?)
    }

    fn rare(&self, rule: u32) -> Option<&Rare> {
        self.state_of(rule)?.rare.as_deref()
    }

    fn rare_mut(&mut self, rule: u32) -> Option<&mut Rare> {
        self.state_mut(rule).map(RuleState::rare_mut)
    }

    fn is_out_of_force(&self, rule: u32) -> bool {
        self.state_of(rule).is_some_and(RuleState::is_disabled)
    }

    fn is_active(&self, rule: u32) -> bool {
        self.state_of(rule).is_some_and(|state| state.alarm.is_active())
    }

    /// Whether the rule may raise at that event time.
    fn looks(&self, rule: u32, at: Timestamp) -> bool {
        let Some(found) = self.rule(rule) else {
            return false;
        };
        let due = match found.active {
            Active::Always => true,
            Active::LightingNight => self.daylight.lights_due(at),
            Active::LightingDay => !self.daylight.lights_due(at),
        };
        let sun = Some(&*self.daylight);
        due && (found.schedule.as_ref()).is_none_or(|schedule| schedule.covers(at, sun))
    }

    fn touch_rule(&mut self, rule: u32) {
        if let Some(state) = self.state_mut(rule)
            && !state.dirty
        {
            state.dirty = true;
            self.dirty_rules.push(rule);
        }
    }

    fn touch_device(&mut self, device: usize) {
        if let Some(memory) = self.devices.get_mut(device)
            && !memory.dirty
        {
            memory.dirty = true;
            self.dirty_devices.push(u32::try_from(device).unwrap_or(u32::MAX));
        }
    }

    /// How many rules and devices changed since [`Self::take_changes`].
    #[must_use]
    pub const fn changed(&self) -> usize {
        self.dirty_rules.len() + self.dirty_devices.len()
    }
}
