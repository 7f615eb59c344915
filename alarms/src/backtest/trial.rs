//! One set of rules over one stretch of history.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use telemetry::{Bad, Point, Quality, Sample, Timestamp};

use super::occurrences::{OCCURRENCES_MAX, Occurrence, Occurrences, TooMany};
use super::told::{Called, Told};
use super::{Act, ActKind, Reading, RuleSet};
use crate::engine::{Acknowledgement, Engine, Operator, Spans, Transition};
use crate::health::{Health, HealthReport, standing};
use crate::rules::condition::FloodLimits;
use crate::rules::{Daylight, Rule, Schedule};
use crate::settings::AlarmSettings;
use crate::telling::Telling;

/// What both sets of rules are tried under.
#[derive(Clone)]
pub struct Setting {
    /// From then on it counts.
    pub from: Timestamp,
    /// The settings of the alarms.
    pub alarms: Arc<AlarmSettings>,
    /// Who hears of what.
    pub telling: Arc<Telling>,
    /// The sun over the county.
    pub daylight: Arc<dyn Daylight>,
    /// When a call wakes people.
    pub night: Schedule,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setting")
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

/// A trial that runs.
#[derive(Debug)]
pub struct Trial {
    engine: Engine,
    from: Timestamp,
    places: FxHashMap<Arc<str>, usize>,
    occurrences: Occurrences,
    told: Told,
    health: Health,
    acts: u64,
    out: Vec<Transition>,
}

/// What came of one trial.
#[derive(Debug, Default)]
pub struct Part {
    occurrences: BTreeMap<Arc<str>, Vec<Occurrence>>,
    called: Vec<Called>,
    health: Health,
    standing: u64,
    acts: u64,
}

/// What came of one set of rules.
#[derive(Debug)]
pub struct Outcome {
    /// The rules.
    pub set: RuleSet,
    /// Their places in it.
    places: FxHashMap<Arc<str>, usize>,
    /// By rule, in order: what stood at the beginning or was raised since.
    pub occurrences: BTreeMap<Arc<str>, Vec<Occurrence>>,
    /// Who was called, in order of their names.
    pub called: Vec<Called>,
    /// How the alarm system was.
    pub health: HealthReport,
    /// Share of the stretch in a flood, 0 to 1.
    pub flood_share: f64,
    /// Rules that were raised three times within a minute.
    pub chattering: Vec<Arc<str>>,
    /// How many of the recorded acts found something to act on.
    pub acts: u64,
}

impl Part {
    /// Takes in what came of the trial of other rules of the same set.
    ///
    /// # Errors
    /// [`TooMany`] when both together raise more than is held.
    pub fn absorb(&mut self, other: Self) -> Result<(), TooMany> {
        self.occurrences.extend(other.occurrences);
        if self.occurrences.values().map(Vec::len).sum::<usize>() > OCCURRENCES_MAX {
            return Err(TooMany);
        }
        for called in other.called {
            match self.called.iter_mut().find(|known| known.to == called.to) {
                Some(known) => {
                    known.calls += called.calls;
                    known.escalations += called.escalations;
                    known.at_night += called.at_night;
                }
                None => self.called.push(called),
            }
        }
        self.called.sort_by(|a, b| a.to.cmp(&b.to));
        self.health.absorb(other.health);
        self.standing += other.standing;
        self.acts += other.acts;
        Ok(())
    }
}

impl Outcome {
    /// Of what came of all rules of `set` in the stretch.
    #[must_use]
    pub fn of(set: RuleSet, part: Part, (from, to): (Timestamp, Timestamp)) -> Self {
        let limits = FloodLimits::default();
        let health = part.health.report_with(part.standing, limits);
        let intervals = to.millis_since(from) as f64 / limits.interval.millis_i64() as f64;
        let places = (set.rules.iter().enumerate())
            .map(|(place, rule)| (Arc::clone(&rule.id), place))
            .collect();
        Self {
            set,
            places,
            occurrences: part.occurrences,
            called: part.called,
            flood_share: (health.flood_windows as f64 / intervals.max(1.0)).min(1.0),
            health,
            chattering: part.health.chattering().cloned().collect(),
            acts: part.acts,
        }
    }

    /// The rule of that name.
    #[must_use]
    pub fn rule(&self, rule: &str) -> Option<&Rule> {
        self.places.get(rule).and_then(|place| self.set.rules.get(*place))
    }

    /// The device that a rule is shown with.
    #[must_use]
    pub fn device_of(&self, rule: &Rule) -> Option<&Arc<str>> {
        self.set
            .plant
            .devices
            .get(rule.shown_at)
            .map(|device| &device.name)
    }

    /// The occurrences of a rule, in order.
    #[must_use]
    pub fn of_rule(&self, rule: &str) -> &[Occurrence] {
        self.occurrences.get(rule).map_or(&[], Vec::as_slice)
    }
}

impl Trial {
    /// Rules that begin to run at `start`, not after the first reading.
    #[must_use]
    pub fn new(set: RuleSet, setting: &Setting, start: Timestamp) -> Self {
        let places = (set.rules.iter().enumerate())
            .map(|(place, rule)| (Arc::clone(&rule.id), place))
            .collect();
        let engine = Engine::new(
            set.plant,
            set.rules,
            Spans::from(&*setting.alarms),
            Arc::clone(&setting.daylight),
            Arc::clone(&setting.telling),
            start,
        );
        Self {
            engine,
            from: setting.from,
            places,
            occurrences: Occurrences::since(setting.from),
            told: Told::new(Arc::clone(&setting.alarms), setting.night.clone()),
            health: Health::default(),
            acts: 0,
            out: Vec::new(),
        }
    }

    /// Judges `readings` and does `acts`, both in order of time and neither before what was given before.
    ///
    /// # Errors
    /// [`TooMany`] when the rules raise more than is held.
    pub fn take(&mut self, readings: &[Reading], acts: &[Act]) -> Result<(), TooMany> {
        let mut acts = acts.iter().peekable();
        for reading in readings {
            while let Some(act) = acts.next_if(|act| act.at < reading.time) {
                self.act(act)?;
            }
            self.judge(reading)?;
        }
        acts.try_for_each(|act| self.act(act))
    }

    /// Lets the time pass until `to` and says what came of it all.
    ///
    /// # Errors
    /// [`TooMany`] when the rules raise more than is held.
    pub fn end(mut self, to: Timestamp) -> Result<Part, TooMany> {
        self.engine.advance(to, &mut self.out);
        self.note()?;
        Ok(Part {
            occurrences: self.occurrences.all(self.engine.rules()),
            called: self.told.all(),
            standing: standing(&self.engine),
            health: self.health,
            acts: self.acts,
        })
    }

    /// As the server does with a message: its device was heard, then its value is judged.
    fn judge(&mut self, reading: &Reading) -> Result<(), TooMany> {
        let time = reading.time;
        if reading.quality != Quality::Bad(Bad::NoAnswer) {
            let device = usize::try_from(reading.device).unwrap_or(usize::MAX);
            self.engine.hear(device, time, &mut self.out);
        }
        let point = Point {
            series: reading.series,
            sample: Sample {
                time,
                value: reading.value,
                quality: reading.quality,
            },
            arrived: time,
            backfill: false,
        };
        self.engine.sample(&point, &mut self.out);
        if !self.out.is_empty() {
            self.note()?;
        }
        self.occurrences.judged(reading.series, &self.engine);
        Ok(())
    }

    fn act(&mut self, act: &Act) -> Result<(), TooMany> {
        self.engine.advance_before_input(act.at, &mut self.out);
        let Some(place) = self.places.get(&*act.rule).copied() else {
            return self.note();
        };
        let done = match act.what {
            ActKind::Acknowledge => {
                let occurrence = self.engine.state(place).map_or(0, |state| state.occurrence);
                let acknowledgement = Acknowledgement {
                    by: act.by.clone(),
                    remark: "".into(),
                    at: act.at,
                };
                self.engine
                    .acknowledge(place, occurrence, acknowledgement, None, &mut self.out)
            }
            ActKind::Reset => {
                let operator = Operator {
                    by: &act.by,
                    reason: None,
                    second: None,
                };
                self.engine.reset(place, operator, &mut self.out)
            }
        };
        // A refusal only says that these rules had raised nothing there.
        self.acts += u64::from(done.is_ok());
        self.note()
    }

    fn note(&mut self) -> Result<(), TooMany> {
        for transition in self.out.drain(..) {
            let place = usize::try_from(transition.rule).unwrap_or(usize::MAX);
            let Some(rule): Option<&Rule> = self.engine.rules().get(place) else {
                continue;
            };
            self.occurrences.take(rule, &transition)?;
            if transition.at < self.from {
                continue;
            }
            self.health.take(&self.engine, &transition);
            if let Some((reached, escalated)) = self.told.take(rule, &transition) {
                self.occurrences.called(transition.rule, &reached, escalated);
            }
        }
        Ok(())
    }
}
