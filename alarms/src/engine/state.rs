//! What the engine remembers of a rule, and what it says about it.

use serde::{Deserialize, Serialize};
use telemetry::{Quality, Timestamp};

use crate::lifecycle::AlarmState;

/// A mark on a transition or an occurrence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tag {
    /// Found by a sample that came out of order, or long after it was true.
    Late,
    /// History: recorded, nobody is paged.
    Historical,
    /// Good data that came later speaks against it.
    Contradicted,
    /// Over by the time it was found.
    Momentary,
}

/// A set of [`Tag`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(u8);

impl Tags {
    /// None.
    pub const NONE: Self = Self(0);
    const ALL: [Tag; 4] = [Tag::Late, Tag::Historical, Tag::Contradicted, Tag::Momentary];

    /// One.
    #[must_use]
    pub const fn of(tag: Tag) -> Self {
        Self(match tag {
            Tag::Late => 1,
            Tag::Historical => 2,
            Tag::Contradicted => 4,
            Tag::Momentary => 8,
        })
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `tag` is in it.
    #[must_use]
    pub const fn has(self, tag: Tag) -> bool {
        self.0 & Self::of(tag).0 != 0
    }

    /// As a list, in the order of [`Tag`].
    #[must_use]
    pub fn list(self) -> Vec<Tag> {
        Self::ALL.into_iter().filter(|tag| self.has(*tag)).collect()
    }

    /// The stored form.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From the stored form; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }
}

/// What happened. The names are those of `replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The condition is true, its on-delay runs.
    PendingOn,
    /// The condition is over, the off-delay runs.
    PendingOff,
    /// A new occurrence.
    Raised,
    /// The condition is over.
    Cleared,
    /// A person knows.
    Acknowledged,
    /// The device fell silent under an active alarm, which is held.
    Stale,
    /// It speaks again.
    Fresh,
    /// Late data extends an occurrence or speaks against it.
    Annotated,
    /// History: an excursion that nobody is paged about.
    Recorded,
    /// The rule is gone; its alarm is closed, with reason.
    Closed,
}

impl EventKind {
    /// The name in the API, in logs and in `replay`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingOn => "pending_on",
            Self::PendingOff => "pending_off",
            Self::Raised => "raised",
            Self::Cleared => "cleared",
            Self::Acknowledged => "acknowledged",
            Self::Stale => "stale",
            Self::Fresh => "fresh",
            Self::Annotated => "annotated",
            Self::Recorded => "recorded",
            Self::Closed => "closed",
        }
    }

    /// Whether it goes into the log. A delay that begins to run is shown, not logged.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        !matches!(self, Self::PendingOn | Self::PendingOff)
    }
}

/// One thing that happened to one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Its number, from 1, without gaps over the engine's life.
    pub seq: u64,
    /// When it happened, on the engine's time.
    pub at: Timestamp,
    /// What.
    pub event: EventKind,
    /// Place in [`super::Engine::rules`].
    pub rule: u32,
    /// Which occurrence; 0 for a rule that never raised.
    pub occurrence: u32,
    /// Event time at which the violation began, or its end for `cleared` and `pending_off`.
    pub since: Timestamp,
    /// The deciding value; none for silence.
    pub value: Option<f64>,
    /// Its quality.
    pub quality: Quality,
    /// The state after it.
    pub state: AlarmState,
    /// Marks.
    pub tags: Tags,
    /// Whether people are told.
    pub page: bool,
    /// Everything about the rule after it.
    pub after: RuleState,
}

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

/// Everything about a rule that must outlive a restart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// Where in the life cycle.
    pub alarm: AlarmState,
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
    /// Who acknowledged the occurrence.
    pub acknowledged: Option<Acknowledgement>,
    pub(crate) pending: Option<Pending>,
    /// A run of violations in history: first, last, worst value.
    pub(crate) run: Option<(Timestamp, Timestamp, f64)>,
    pub(crate) dirty: bool,
}

impl RuleState {
    /// Which delay runs, and since which event time.
    #[must_use]
    pub fn pending(&self) -> Option<(Side, Timestamp)> {
        self.pending.map(|pending| (pending.side, pending.start))
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_pristine(&self) -> bool {
        self.occurrence == 0 && self.pending.is_none() && self.run.is_none()
    }
}
