//! One thing that happened to an alarm, as far as the health of the alarm system depends on it; and what counts as a
//! call. Pure.
//!
//! `replay` makes these of the engine's transitions, the figures of the rows of the log: counted by the same rules.

use telemetry::Timestamp;
use telemetry::profile::Priority;

use crate::engine::{EventKind, Tag, Tags, Transition};
use crate::lifecycle::AlarmState;
use crate::rules::{Condition, Rule};

/// One thing that happened to an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Its number in the log.
    pub seq: u64,
    /// When, on the engine's time.
    pub at: Timestamp,
    /// Which rule, by its place in the list of whoever tells of it.
    pub rule: u32,
    /// Which occurrence.
    pub occurrence: u32,
    /// What.
    pub event: EventKind,
    /// Whether people were told.
    pub page: bool,
    /// Marks.
    pub tags: Tags,
    /// The state after it, as people see it.
    pub state: AlarmState,
    /// How much the rule mattered then.
    pub priority: Priority,
    /// Whether it may save a life.
    pub life_safety: bool,
    /// Whether it is the alarm about a flood of alarms, which is none of them.
    pub flood: bool,
    /// When the occurrence was raised.
    pub raised_at: Timestamp,
    /// Whether somebody had acknowledged the occurrence by then.
    pub acknowledged: bool,
    /// For what sets an alarm aside or takes its rule away: by whom, why, until when.
    pub act: Option<Box<Act>>,
}

/// By whom, why and until when an alarm was set aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Act {
    /// Who did it.
    pub by: Option<Box<str>>,
    /// Why; for maintenance the permit, for a suppression by design the alarm of the cause.
    pub reason: Option<Box<str>>,
    /// Another person who agreed.
    pub second: Option<Box<str>>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// What a happening is to the counting of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A call 报警呼叫: people were told that something is to be done.
    Call,
    /// It would be one, but is left out on purpose.
    Left(Left),
    /// No call.
    Nothing,
}

/// Why something that would count is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Left {
    /// Its point was being tested.
    Test,
    /// History: nobody is paged.
    Historical,
    /// The alarm of the cause was raised.
    ByDesign,
    /// A person had set it aside for a time.
    Shelved,
    /// Its point was under maintenance.
    OutOfService,
}

impl Left {
    /// The reason as a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Historical => "historical",
            Self::ByDesign => "suppressed_by_design",
            Self::Shelved => "shelved",
            Self::OutOfService => "out_of_service",
        }
    }
}

impl Happening {
    /// A transition of the rule at `place` of the engine's rules.
    #[must_use]
    pub fn of(place: u32, rule: &Rule, transition: &Transition) -> Self {
        Self {
            seq: transition.seq,
            at: transition.at,
            rule: place,
            occurrence: transition.occurrence,
            event: transition.event,
            page: transition.page,
            tags: transition.tags,
            state: transition.state,
            priority: rule.priority,
            life_safety: rule.life_safety,
            flood: matches!(rule.condition, Condition::Flood(_)),
            raised_at: transition.after.raised_at,
            acknowledged: transition.after.acknowledged.is_some(),
            act: Act::of(transition).map(Box::new),
        }
    }

    /// Whether people were called: rows T1, T6, T7, T10 and T12 of the table, where they were told. What was a test,
    /// history or set aside is left out. Source: `alarms.md` §1.3.
    #[must_use]
    pub const fn counted(&self) -> Counted {
        if self.flood {
            return Counted::Nothing;
        }
        match self.event {
            EventKind::Recorded => Counted::Left(Left::Historical),
            EventKind::Raised
            | EventKind::ReAlarmed
            | EventKind::Unshelved
            | EventKind::Unsuppressed
            | EventKind::InService => self.told(),
            EventKind::PendingOn
            | EventKind::PendingOff
            | EventKind::Cleared
            | EventKind::Acknowledged
            | EventKind::Escalated
            | EventKind::Latched
            | EventKind::Reset
            | EventKind::Shelved
            | EventKind::Suppressed
            | EventKind::OutOfService
            | EventKind::TestOn
            | EventKind::TestOff
            | EventKind::Stale
            | EventKind::Fresh
            | EventKind::SensorFault
            | EventKind::SensorOk
            | EventKind::Annotated
            | EventKind::ClockSkew
            | EventKind::Digest
            | EventKind::Closed
            | EventKind::Refused
            | EventKind::Notified => Counted::Nothing,
        }
    }

    const fn told(&self) -> Counted {
        match (self.left(), self.event) {
            (Some(Left::Test), _) if self.page => Counted::Left(Left::Test),
            (None, _) if self.page => Counted::Call,
            // Nobody is told that one reason to set it aside is over while another holds.
            (Some(left), EventKind::Raised | EventKind::ReAlarmed) => Counted::Left(left),
            _ => Counted::Nothing,
        }
    }

    /// Why it is left out; none where it counts.
    #[must_use]
    pub const fn left(&self) -> Option<Left> {
        if self.tags.has(Tag::Test) {
            return Some(Left::Test);
        }
        if self.tags.has(Tag::Historical) {
            return Some(Left::Historical);
        }
        match self.state {
            AlarmState::SuppressedByDesign => Some(Left::ByDesign),
            AlarmState::Shelved => Some(Left::Shelved),
            AlarmState::OutOfService => Some(Left::OutOfService),
            AlarmState::Normal
            | AlarmState::Unacknowledged
            | AlarmState::Acknowledged
            | AlarmState::ReturnedUnacknowledged
            | AlarmState::LatchedUnacknowledged
            | AlarmState::LatchedAcknowledged => None,
        }
    }

    /// Whether it is a call.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.counted() == Counted::Call
    }

    /// Whether it begins an occurrence that counts for chatter. One that a person has set aside goes on chattering.
    #[must_use]
    pub const fn is_raise(&self) -> bool {
        let left = matches!(self.left(), Some(Left::Test | Left::Historical | Left::ByDesign));
        matches!(self.event, EventKind::Raised) && !self.flood && !left
    }
}

impl Act {
    /// What a transition says of it; none for what sets nothing aside.
    #[must_use]
    pub fn of(transition: &Transition) -> Option<Self> {
        if !Self::is_told_by(transition.event) {
            return None;
        }
        let extra = transition.extra.as_deref();
        let text = |text: Option<&str>| text.map(Box::from);
        Some(Self {
            by: text(extra.and_then(|extra| extra.by.as_deref())),
            reason: text(extra.and_then(|extra| extra.reason.as_deref())),
            second: text(extra.and_then(|extra| extra.second.as_deref())),
            until: extra.and_then(|extra| extra.until),
        })
    }

    /// Whether an event sets an alarm aside, or takes its rule away.
    #[must_use]
    pub const fn is_told_by(event: EventKind) -> bool {
        matches!(
            event,
            EventKind::Shelved | EventKind::Suppressed | EventKind::OutOfService | EventKind::Closed
        )
    }
}
