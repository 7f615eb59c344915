//! The life cycle of an alarm: one pure, total function over (where it is, what happens).
//!
//! Where an alarm is has two independent regions: [`AlarmState`] (condition, acknowledgement, latch) and
//! [`Suppressions`] (shelved, suppressed by design, out of service). The name that people see is derived from both.
//!
//! Source: `alarms.md` §1.1 and §1.2, after ISA-18.2 and IEC 62682; rows T1 to T13.

use serde::{Deserialize, Serialize};

/// Where an alarm is, as people and `replay` name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// The condition is false, and nobody owes an acknowledgement. 正常.
    #[default]
    Normal,
    /// The condition is true and nobody has acknowledged it. 未确认.
    Unacknowledged,
    /// The condition is true; somebody knows. 已确认.
    Acknowledged,
    /// The condition is over, but nobody has acknowledged that it was. 已恢复未确认.
    ReturnedUnacknowledged,
    /// The condition is over, the latch holds, nobody has acknowledged. 锁存未确认.
    LatchedUnacknowledged,
    /// The condition is over, the latch holds until a reset. 锁存已确认.
    LatchedAcknowledged,
    /// Set aside by a person for a time. 搁置.
    Shelved,
    /// Set aside because the alarm that names the cause is raised. 设计抑制.
    SuppressedByDesign,
    /// The point is under maintenance by a permit. 停用.
    OutOfService,
}

impl AlarmState {
    /// The states of the first region: what condition, acknowledgement and latch can be.
    pub const INNER: [Self; 6] = [
        Self::Normal,
        Self::Unacknowledged,
        Self::Acknowledged,
        Self::ReturnedUnacknowledged,
        Self::LatchedUnacknowledged,
        Self::LatchedAcknowledged,
    ];

    /// Whether the condition is true; of a suppressed alarm this says nothing.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Unacknowledged | Self::Acknowledged)
    }

    /// Whether somebody still has to do with it: everything but normal.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Normal)
    }

    /// Whether the latch holds it.
    #[must_use]
    pub const fn is_latched(self) -> bool {
        matches!(self, Self::LatchedUnacknowledged | Self::LatchedAcknowledged)
    }

    /// Whether an acknowledgement is owed.
    #[must_use]
    pub const fn wants_acknowledgement(self) -> bool {
        matches!(
            self,
            Self::Unacknowledged | Self::ReturnedUnacknowledged | Self::LatchedUnacknowledged
        )
    }

    /// The name in the API, in logs and in `replay`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Unacknowledged => "unacknowledged",
            Self::Acknowledged => "acknowledged",
            Self::ReturnedUnacknowledged => "returned_unacknowledged",
            Self::LatchedUnacknowledged => "latched_unacknowledged",
            Self::LatchedAcknowledged => "latched_acknowledged",
            Self::Shelved => "shelved",
            Self::SuppressedByDesign => "suppressed_by_design",
            Self::OutOfService => "out_of_service",
        }
    }
}

/// Why an alarm is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suppression {
    /// By a person, for a time.
    Shelved,
    /// By logic: the alarm of the cause is raised.
    ByDesign,
    /// By a permit: the point is under maintenance.
    OutOfService,
}

impl Suppression {
    /// Every one, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Shelved, Self::ByDesign, Self::OutOfService];

    const fn bit(self) -> u8 {
        match self {
            Self::Shelved => 1,
            Self::ByDesign => 2,
            Self::OutOfService => 4,
        }
    }
}

/// Every reason for which an alarm is set aside at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Suppressions(u8);

impl Suppressions {
    /// None: people are told.
    pub const NONE: Self = Self(0);

    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.0 != 0
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn has(self, suppression: Suppression) -> bool {
        self.0 & suppression.bit() != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, suppression: Suppression) -> Self {
        Self(self.0 | suppression.bit())
    }

    /// Without it.
    #[must_use]
    pub const fn without(self, suppression: Suppression) -> Self {
        Self(self.0 & !suppression.bit())
    }
}

/// Where an alarm is: both regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Condition, acknowledgement and latch: one of [`AlarmState::INNER`].
    pub alarm: AlarmState,
    /// Why it is set aside.
    pub suppressed: Suppressions,
}

impl Place {
    /// The one name of both regions. Of several suppressions the strongest is shown: a permit, a person, logic.
    #[must_use]
    pub const fn shown(self) -> AlarmState {
        if self.suppressed.has(Suppression::OutOfService) {
            AlarmState::OutOfService
        } else if self.suppressed.has(Suppression::Shelved) {
            AlarmState::Shelved
        } else if self.suppressed.has(Suppression::ByDesign) {
            AlarmState::SuppressedByDesign
        } else {
            self.alarm
        }
    }
}

/// What can happen to an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlarmEvent {
    /// The condition has been true for the on-delay.
    Raise,
    /// The condition has been false for the off-delay.
    Clear,
    /// The same, of an occurrence that latches.
    Latch,
    /// A person says: I know.
    Acknowledge,
    /// A person lets go of the latch.
    Reset,
    /// It has been active for the re-alarm time.
    ReAlarm,
    /// It is set aside.
    Suppress(Suppression),
    /// One reason to set it aside is over.
    Resume(Suppression),
    /// Its rule or point is gone.
    Close,
}

impl AlarmEvent {
    /// Every event, for tables and tests.
    pub const ALL: [Self; 13] = [
        Self::Raise,
        Self::Clear,
        Self::Latch,
        Self::Acknowledge,
        Self::Reset,
        Self::ReAlarm,
        Self::Suppress(Suppression::Shelved),
        Self::Suppress(Suppression::ByDesign),
        Self::Suppress(Suppression::OutOfService),
        Self::Resume(Suppression::Shelved),
        Self::Resume(Suppression::ByDesign),
        Self::Resume(Suppression::OutOfService),
        Self::Close,
    ];
}

/// A row of the table of transitions in `alarms.md` §1.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Row {
    /// Normal → unacknowledged, a new occurrence.
    T1,
    /// Unacknowledged → acknowledged.
    T2,
    /// Unacknowledged → returned, unacknowledged.
    T3,
    /// Acknowledged → normal.
    T4,
    /// Returned, unacknowledged → normal.
    T5,
    /// Returned, unacknowledged → unacknowledged, a new occurrence.
    T6,
    /// Acknowledged → unacknowledged: it has been active for too long.
    T7,
    /// Active → latched.
    T8,
    /// Latched → acknowledged, or → normal by a reset.
    T9,
    /// Latched → unacknowledged: the condition is true again, in the same occurrence.
    T10,
    /// Set aside.
    T11,
    /// No longer set aside.
    T12,
    /// Its rule or point is gone.
    T13,
}

impl Row {
    /// Whether the transition begins a new occurrence.
    #[must_use]
    pub const fn begins_occurrence(self) -> bool {
        matches!(self, Self::T1 | Self::T6)
    }

    /// Whether people are called, where nothing sets the alarm aside. Source: `alarms.md` §1.3.
    #[must_use]
    pub const fn annunciates(self) -> bool {
        matches!(self, Self::T1 | Self::T6 | Self::T7 | Self::T10)
    }
}

/// Where an alarm is after `event`, and the row of the table that was taken; none when the event changes nothing.
#[must_use]
pub const fn after(place: Place, event: AlarmEvent) -> (Place, Option<Row>) {
    match event {
        AlarmEvent::Suppress(suppression) => suppress(place, suppression),
        AlarmEvent::Resume(suppression) => resume(place, suppression),
        AlarmEvent::Close => close(place),
        AlarmEvent::Raise
        | AlarmEvent::Clear
        | AlarmEvent::Latch
        | AlarmEvent::Acknowledge
        | AlarmEvent::Reset
        | AlarmEvent::ReAlarm => {
            let (alarm, row) = inner(place.alarm, event);
            let suppressed = place.suppressed;
            (Place { alarm, suppressed }, row)
        }
    }
}

/// The first region. The three names of the other region never stand in it, and stay as they are.
const fn inner(state: AlarmState, event: AlarmEvent) -> (AlarmState, Option<Row>) {
    use AlarmEvent::{Acknowledge, Clear, Latch, Raise, ReAlarm, Reset};
    use AlarmState::{
        Acknowledged, LatchedAcknowledged, LatchedUnacknowledged, Normal, ReturnedUnacknowledged,
        Unacknowledged,
    };
    match (state, event) {
        (Normal, Raise) => (Unacknowledged, Some(Row::T1)),
        (Unacknowledged, Acknowledge) => (Acknowledged, Some(Row::T2)),
        (Unacknowledged, Clear) => (ReturnedUnacknowledged, Some(Row::T3)),
        (Acknowledged, Clear) => (Normal, Some(Row::T4)),
        (ReturnedUnacknowledged, Acknowledge) => (Normal, Some(Row::T5)),
        (ReturnedUnacknowledged, Raise) => (Unacknowledged, Some(Row::T6)),
        (Acknowledged, ReAlarm) => (Unacknowledged, Some(Row::T7)),
        (Unacknowledged, Latch) => (LatchedUnacknowledged, Some(Row::T8)),
        (Acknowledged, Latch) => (LatchedAcknowledged, Some(Row::T8)),
        (LatchedUnacknowledged, Acknowledge) => (LatchedAcknowledged, Some(Row::T9)),
        (LatchedAcknowledged, Reset) => (Normal, Some(Row::T9)),
        (LatchedUnacknowledged | LatchedAcknowledged, Raise) => (Unacknowledged, Some(Row::T10)),
        (
            Normal | ReturnedUnacknowledged | LatchedUnacknowledged | LatchedAcknowledged,
            Clear | Latch | ReAlarm,
        )
        | (Normal | Acknowledged | LatchedAcknowledged, Acknowledge)
        | (Unacknowledged | Acknowledged, Raise)
        | (Unacknowledged, ReAlarm)
        | (Normal | Unacknowledged | Acknowledged | ReturnedUnacknowledged | LatchedUnacknowledged, Reset)
        | (AlarmState::Shelved | AlarmState::SuppressedByDesign | AlarmState::OutOfService, _)
        | (_, AlarmEvent::Suppress(_) | AlarmEvent::Resume(_) | AlarmEvent::Close) => (state, None),
    }
}

const fn suppress(place: Place, suppression: Suppression) -> (Place, Option<Row>) {
    if place.suppressed.has(suppression) {
        return (place, None);
    }
    let suppressed = place.suppressed.with(suppression);
    (Place { suppressed, ..place }, Some(Row::T11))
}

/// When the last reason is over the alarm is computed anew: what is active is owed again and told; what is over is
/// normal. A latch goes on holding.
const fn resume(place: Place, suppression: Suppression) -> (Place, Option<Row>) {
    if !place.suppressed.has(suppression) {
        return (place, None);
    }
    let suppressed = place.suppressed.without(suppression);
    let alarm = match place.alarm {
        state if suppressed.any() => state,
        AlarmState::Unacknowledged | AlarmState::Acknowledged => AlarmState::Unacknowledged,
        AlarmState::LatchedUnacknowledged => AlarmState::LatchedUnacknowledged,
        AlarmState::LatchedAcknowledged => AlarmState::LatchedAcknowledged,
        AlarmState::Normal
        | AlarmState::ReturnedUnacknowledged
        | AlarmState::Shelved
        | AlarmState::SuppressedByDesign
        | AlarmState::OutOfService => AlarmState::Normal,
    };
    (Place { alarm, suppressed }, Some(Row::T12))
}

const fn close(place: Place) -> (Place, Option<Row>) {
    let closed = Place {
        alarm: AlarmState::Normal,
        suppressed: Suppressions::NONE,
    };
    let open = place.alarm.is_open() || place.suppressed.any();
    (closed, if open { Some(Row::T13) } else { None })
}

/// The number of the occurrence after a transition: grows by one where one begins.
#[must_use]
pub const fn occurrence_after(occurrence: u32, row: Option<Row>) -> u32 {
    match row {
        Some(row) if row.begins_occurrence() => occurrence.saturating_add(1),
        Some(_) | None => occurrence,
    }
}

#[cfg(test)]
mod tests;
