//! What the engine says: transitions, with their marks.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use telemetry::{Quality, Timestamp};

use super::RuleState;
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
    /// Its point is being tested.
    Test,
    /// Raised three times within a minute.
    Chattering,
    /// A counter passed the end of its range.
    Rollover,
    /// A counter began again.
    CounterReset,
}

/// A set of [`Tag`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tags(u8);

impl Tags {
    /// None.
    pub const NONE: Self = Self(0);
    const ALL: [Tag; 8] = [
        Tag::Late,
        Tag::Historical,
        Tag::Contradicted,
        Tag::Momentary,
        Tag::Test,
        Tag::Chattering,
        Tag::Rollover,
        Tag::CounterReset,
    ];

    /// One.
    #[must_use]
    pub const fn of(tag: Tag) -> Self {
        Self(match tag {
            Tag::Late => 1,
            Tag::Historical => 2,
            Tag::Contradicted => 4,
            Tag::Momentary => 8,
            Tag::Test => 16,
            Tag::Chattering => 32,
            Tag::Rollover => 64,
            Tag::CounterReset => 128,
        })
    }

    /// Late, or none.
    #[must_use]
    pub const fn late(late: bool) -> Self {
        if late { Self::of(Tag::Late) } else { Self::NONE }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without one.
    #[must_use]
    pub const fn without(self, tag: Tag) -> Self {
        Self(self.0 & !Self::of(tag).0)
    }

    /// Only those of the other.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
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

    /// From the stored form.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
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
    /// Nobody has acknowledged for so long that more people are told.
    Escalated,
    /// It is owed again.
    ReAlarmed,
    /// The condition is over; the latch holds.
    Latched,
    /// A person has let go of the latch.
    Reset,
    /// A person has set it aside for a time.
    Shelved,
    /// It is no longer shelved.
    Unshelved,
    /// Set aside because the alarm of the cause is raised.
    Suppressed,
    /// No longer.
    Unsuppressed,
    /// Its point is under maintenance.
    OutOfService,
    /// No longer.
    InService,
    /// Its point is being tested.
    TestOn,
    /// No longer.
    TestOff,
    /// The device fell silent; an active alarm is held.
    Stale,
    /// It speaks again.
    Fresh,
    /// The newest value is bad.
    SensorFault,
    /// It is good again.
    SensorOk,
    /// Late data extends an occurrence or speaks against it; a counter began again.
    Annotated,
    /// The device's clock lies.
    ClockSkew,
    /// History: an excursion that nobody is paged about. Where `replay` is concerned, part of a digest.
    Recorded,
    /// What history had to tell, at once.
    Digest,
    /// The rule is gone or out of force; its alarm is closed, with reason.
    Closed,
    /// A person asked for what is not allowed.
    Refused,
    /// A recipient is told.
    Notified,
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
            Self::Escalated => "escalated",
            Self::ReAlarmed => "re_alarmed",
            Self::Latched => "latched",
            Self::Reset => "reset",
            Self::Shelved => "shelved",
            Self::Unshelved => "unshelved",
            Self::Suppressed => "suppressed",
            Self::Unsuppressed => "unsuppressed",
            Self::OutOfService => "out_of_service",
            Self::InService => "in_service",
            Self::TestOn => "test_on",
            Self::TestOff => "test_off",
            Self::Stale => "stale",
            Self::Fresh => "fresh",
            Self::SensorFault => "sensor_fault",
            Self::SensorOk => "sensor_ok",
            Self::Annotated => "annotated",
            Self::ClockSkew => "clock_skew",
            Self::Recorded => "recorded",
            Self::Digest => "digest",
            Self::Closed => "closed",
            Self::Refused => "refused",
            Self::Notified => "notified",
        }
    }

    /// The event of that name; none when there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        use serde::de::IntoDeserializer;
        use serde::de::value::{Error, StrDeserializer};
        let text: StrDeserializer<'_, Error> = name.into_deserializer();
        Self::deserialize(text).ok()
    }

    /// Whether it goes into the log. A delay that begins to run is shown, not logged.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        !matches!(self, Self::PendingOn | Self::PendingOff)
    }

    /// Whether it may come more than once in an occurrence.
    #[must_use]
    pub const fn may_repeat(self) -> bool {
        !matches!(self, Self::Raised | Self::Cleared | Self::Closed)
    }
}

/// One thing that happened to one rule, or to one device.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// Its number, from 1, without gaps over the engine's life.
    pub seq: u64,
    /// When it happened, on the engine's time.
    pub at: Timestamp,
    /// What.
    pub event: EventKind,
    /// Place in [`super::Engine::rules`]; beyond the end for what happens to a device or to nobody.
    pub rule: u32,
    /// Which occurrence; 0 for a rule that never raised.
    pub occurrence: u32,
    /// Event time at which the violation began, or its end for `cleared` and `pending_off`.
    pub since: Timestamp,
    /// The deciding value; none for silence.
    pub value: Option<f64>,
    /// Its quality.
    pub quality: Quality,
    /// The state after it, as people see it.
    pub state: AlarmState,
    /// Marks.
    pub tags: Tags,
    /// Whether people are told; each recipient then follows as a transition of its own, `notified`.
    pub page: bool,
    /// What only some have.
    pub extra: Option<Box<Extra>>,
    /// Everything about the rule after it.
    pub after: RuleState,
}

/// No rule.
pub const NO_RULE: u32 = u32::MAX;

/// What only some transitions have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    /// `notified`, `digest`: who is told.
    pub to: Option<Arc<str>>,
    /// `notified`: of what; `refused`, `suppressed`, `closed` and what a person did: why.
    pub reason: Option<Arc<str>>,
    /// `notified`: the stable key, unique by occurrence, transition, step and recipient.
    pub key: Option<Arc<str>>,
    /// `notified`, `escalated`: which time, for what may come more than once in an occurrence, from 1; else 0.
    pub step: u32,
    /// Who did it.
    pub by: Option<Arc<str>>,
    /// Who agreed to it.
    pub second: Option<Arc<str>>,
    /// `shelved`, `out_of_service`, `test_on`: until when.
    pub until: Option<Timestamp>,
    /// `clock_skew`: what the clock said.
    pub device_time: Option<Timestamp>,
    /// The gateway's and a group's alarms: the points behind it. Test mode: the point.
    pub points: Vec<Arc<str>>,
    /// How many alarms of its group are active after it.
    pub active: Option<u32>,
    /// `digest`: what history had to tell.
    pub items: Vec<DigestItem>,
    /// Version of the rules, from the second on.
    pub version: Option<u32>,
}

/// One line of a digest.
#[derive(Clone, Debug, PartialEq)]
pub struct DigestItem {
    /// Place of the rule.
    pub rule: u32,
    /// Event time at which the first excursion began.
    pub since: Timestamp,
    /// The worst value.
    pub worst: f64,
}
