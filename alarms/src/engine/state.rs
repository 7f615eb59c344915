//! What the engine remembers of a rule.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use telemetry::{Quality, Timestamp};

use super::event::Tags;
use crate::lifecycle::{AlarmState, Place, Suppressions};

/// Who acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// Name of the person.
    pub by: Box<str>,
    /// What they said; may be empty.
    pub remark: Box<str>,
    /// When, on the engine's time.
    pub at: Timestamp,
}

/// Which delay runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Towards raising.
    On,
    /// Towards clearing.
    Off,
}

/// A running delay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pending {
    pub(crate) side: Side,
    /// Event time of the first sample of the run.
    pub(crate) start: Timestamp,
    /// When it matures by the clock: earliest arrival in the run + delay.
    pub(crate) deadline: Timestamp,
    /// The device fell silent meanwhile.
    pub(crate) frozen: bool,
    /// Its deadline passed while it could not mature.
    pub(crate) waits: bool,
    /// Whether the run was begun by a late sample.
    pub(crate) late: bool,
    /// The good value that began a run towards clearing: what the end cites when the short memory has forgotten it.
    pub(crate) cites: Option<f64>,
}

/// A person set it aside until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Until when, on the engine's time.
    pub until: Timestamp,
    /// Who.
    pub by: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

/// What a condition remembers of earlier samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Memory {
    #[default]
    Nothing,
    /// A value that does not move.
    Still {
        since: Timestamp,
        value: f64,
        samples: u32,
    },
    /// A counter: its last reading, and by how much it grew when.
    Counter {
        last: (Timestamp, f64),
        grown: Vec<(Timestamp, f64)>,
    },
    /// When people were called of late.
    Calls(Vec<Timestamp>),
}

/// A run of violations in history that the next digest tells of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Excursion {
    pub(crate) since: Timestamp,
    pub(crate) worst: f64,
    /// When the digest is due at the latest.
    pub(crate) due_max: Timestamp,
}

/// What few rules have at a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rare {
    pub(crate) shelved: Option<SetAside>,
    /// The alarm for whose sake it is suppressed by design.
    pub(crate) cause: Option<Arc<str>>,
    /// When it is no longer, if nothing is heard till then.
    pub(crate) resumes_at: Option<Timestamp>,
    pub(crate) memory: Memory,
    /// When it was raised the last times.
    pub(crate) raises: Vec<Timestamp>,
    pub(crate) excursion: Option<Excursion>,
    /// When its history has come to rest, if no more comes.
    pub(crate) rests_at: Option<Timestamp>,
    /// The last on-delay that a contrary sample broke: event times of its first sample and of the contrary one.
    pub(crate) broken: Option<(Timestamp, Timestamp)>,
    /// When its re-alarm is due.
    pub(crate) re_alarm_at: Option<Timestamp>,
    /// The rule has been taken out of force by a person.
    pub(crate) disabled: bool,
    /// What a clock that lies said.
    pub(crate) device_time: Option<Timestamp>,
}

/// Everything about a rule that must outlive a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// Where in the life cycle: condition, acknowledgement, latch. [`Self::shown`] is the name that people see.
    pub alarm: AlarmState,
    /// Why it is set aside.
    pub suppressed: Suppressions,
    /// Number of the last occurrence; 0 before the first.
    pub occurrence: u32,
    /// Event time at which the last occurrence began.
    pub since: Timestamp,
    /// Event time at which its end began.
    pub ended: Option<Timestamp>,
    /// When it was raised, on the engine's time.
    pub raised_at: Timestamp,
    /// When it cleared.
    pub returned_at: Option<Timestamp>,
    /// The value that decided last.
    pub value: Option<f64>,
    /// Its quality.
    pub quality: Quality,
    /// The device is silent under it.
    pub stale: bool,
    /// Marks of the occurrence.
    pub tags: Tags,
    /// Number of its last transition.
    pub seq: u64,
    /// Number of the transition that raised the occurrence.
    pub raised_seq: u64,
    /// Number of the transition that called people last: an acknowledgement has to have seen it.
    pub called_seq: u64,
    /// Who acknowledged the occurrence.
    pub acknowledged: Option<Acknowledgement>,
    /// When people were called last for the occurrence.
    pub(crate) called_at: Option<Timestamp>,
    /// Since when nobody has acknowledged: what the escalation counts from.
    pub(crate) owed_since: Option<Timestamp>,
    /// How often they were told something of the occurrence that may come again.
    pub(crate) told: u32,
    /// How many steps of the escalation have been taken since then.
    pub(crate) steps: u32,
    /// The occurrence has to be reset.
    pub(crate) latch: bool,
    pub(crate) pending: Option<Pending>,
    /// A run of violations in history: first, last, worst value.
    pub(crate) run: Option<(Timestamp, Timestamp, f64)>,
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) dirty: bool,
}

impl RuleState {
    /// Where it is in both regions.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place {
            alarm: self.alarm,
            suppressed: self.suppressed,
        }
    }

    /// The state that people see.
    #[must_use]
    pub const fn shown(&self) -> AlarmState {
        self.place().shown()
    }

    /// Which delay runs, and since which event time.
    #[must_use]
    pub fn pending(&self) -> Option<(Side, Timestamp)> {
        self.pending.map(|pending| (pending.side, pending.start))
    }

    /// By whom it is shelved, until when and why.
    #[must_use]
    pub fn shelved(&self) -> Option<&SetAside> {
        self.rare.as_ref()?.shelved.as_ref()
    }

    /// The alarm for whose sake it is suppressed by design.
    #[must_use]
    pub fn cause(&self) -> Option<&Arc<str>> {
        self.rare.as_ref()?.cause.as_ref()
    }

    /// Whether a person has taken the rule out of force.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.disabled)
    }

    /// How many of the escalation's steps have been taken since people were called.
    #[must_use]
    pub const fn escalated(&self) -> u32 {
        self.steps
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_pristine(&self) -> bool {
        self.occurrence == 0
            && self.pending.is_none()
            && self.run.is_none()
            && !self.suppressed.any()
            && self.rare.as_deref().is_none_or(|rare| *rare == Rare::default())
    }

    pub(crate) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}
