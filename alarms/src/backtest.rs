//! Rules tried on stored history: what they would have raised and cleared, and whom they would have woken, beside the
//! rules in force. Pure: readings in order of their time in, occurrences and calls out. The engine is the server's own.
//!
//! When a reading arrived is not stored, so its event time counts as its arrival. Late data and clocks that lie can
//! therefore not be judged: [`RuleSet::new`] leaves the rules on clocks out.
//!
//! Start with [`Trial`], one set of rules over one stretch of history; [`shares()`] cuts the county into what can be tried apart,
//! [`Outcome::of`] puts the parts together, and [`compare()`] says how two outcomes differ.

mod compare;
mod occurrences;
mod shares;
mod summary;
mod told;
mod trial;
mod warm_up;

#[cfg(test)]
pub(crate) mod tests;

use telemetry::{Quality, SeriesId, Timestamp};

use crate::rules::{Condition, Plant, Rule};

pub use compare::{Change, Shift, compare};
pub use occurrences::{OCCURRENCES_MAX, Occurrence, TooMany};
pub use shares::{Share, shares};
pub use summary::{RuleName, RuleRow, rows};
pub use told::Called;
pub use trial::{Outcome, Part, Setting, Trial};
pub use warm_up::warm_up;

/// A reading as it is stored. One of a signal on which no rule looks is wanted, too: its device was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Event time.
    pub time: Timestamp,
    /// In the unit of the signal.
    pub value: f64,
    /// Whose.
    pub series: SeriesId,
    /// Place in [`Plant::devices`].
    pub device: u32,
    /// How far it may be trusted.
    pub quality: Quality,
}

/// What a person did to an alarm, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// When, on the server's time.
    pub at: Timestamp,
    /// To the alarm of which rule.
    pub rule: Box<str>,
    /// Who.
    pub by: Box<str>,
    /// What.
    pub what: ActKind,
}

/// What a person can do that changes who is woken next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// Acknowledge it.
    Acknowledge,
    /// Let go of its latch.
    Reset,
}

/// Rules and what stands behind them.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) plant: Plant,
    pub(crate) rules: Vec<Rule>,
    /// How many rules on devices' clocks were left out.
    pub clock_rules: usize,
}

impl RuleSet {
    /// Of `rules` those that history can judge. That of floods looks at all calls together: the outcome tells of it.
    #[must_use]
    pub fn new(plant: Plant, mut rules: Vec<Rule>) -> Self {
        let all = rules.len();
        rules.retain(|rule| rule.condition != Condition::Clock);
        let clock_rules = all - rules.len();
        rules.retain(|rule| !matches!(rule.condition, Condition::Flood(_)));
        Self {
            plant,
            rules,
            clock_rules,
        }
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules at `places`, of the same plant.
    #[must_use]
    pub fn part(&self, places: &[u32]) -> Self {
        let rule = |place: &u32| self.rules.get(usize::try_from(*place).ok()?).cloned();
        Self {
            plant: self.plant.clone(),
            rules: places.iter().filter_map(rule).collect(),
            clock_rules: 0,
        }
    }
}
