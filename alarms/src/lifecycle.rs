//! The life cycle of an alarm: one pure, total function over (state, event).
//!
//! Source: `alarms.md` §1.1 and §1.2, after ISA-18.2 and IEC 62682; rows T1 to T6. Shelving, suppression,
//! out of service, latching and re-alarm (T7 to T13) are not built.

use serde::{Deserialize, Serialize};

/// Where an alarm is. The names are those of the API and of `replay`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmState {
    /// The condition is false, and nobody owes an acknowledgement.
    #[default]
    Normal,
    /// The condition is true and nobody has acknowledged it.
    Unacknowledged,
    /// The condition is true; somebody knows.
    Acknowledged,
    /// The condition is over, but nobody has acknowledged that it was.
    ReturnedUnacknowledged,
}

impl AlarmState {
    /// Every state, for tables and tests.
    pub const ALL: [Self; 4] = [
        Self::Normal,
        Self::Unacknowledged,
        Self::Acknowledged,
        Self::ReturnedUnacknowledged,
    ];

    /// Whether the condition is true.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Unacknowledged | Self::Acknowledged)
    }

    /// Whether somebody still has to do with it: everything but normal.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Normal)
    }

    /// Whether an acknowledgement is owed.
    #[must_use]
    pub const fn wants_acknowledgement(self) -> bool {
        matches!(self, Self::Unacknowledged | Self::ReturnedUnacknowledged)
    }

    /// The name in the API, in logs and in `replay`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Unacknowledged => "unacknowledged",
            Self::Acknowledged => "acknowledged",
            Self::ReturnedUnacknowledged => "returned_unacknowledged",
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
    /// A person says: I know.
    Acknowledge,
}

impl AlarmEvent {
    /// Every event, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Raise, Self::Clear, Self::Acknowledge];
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
}

impl Row {
    /// Whether the transition begins a new occurrence.
    #[must_use]
    pub const fn begins_occurrence(self) -> bool {
        matches!(self, Self::T1 | Self::T6)
    }
}

/// The state after `event`, and the row of the table that was taken; none when the event changes nothing.
#[must_use]
pub const fn after(state: AlarmState, event: AlarmEvent) -> (AlarmState, Option<Row>) {
    use AlarmEvent::{Acknowledge, Clear, Raise};
    use AlarmState::{Acknowledged, Normal, ReturnedUnacknowledged, Unacknowledged};
    match (state, event) {
        (Normal, Raise) => (Unacknowledged, Some(Row::T1)),
        (Unacknowledged, Acknowledge) => (Acknowledged, Some(Row::T2)),
        (Unacknowledged, Clear) => (ReturnedUnacknowledged, Some(Row::T3)),
        (Acknowledged, Clear) => (Normal, Some(Row::T4)),
        (ReturnedUnacknowledged, Acknowledge) => (Normal, Some(Row::T5)),
        (ReturnedUnacknowledged, Raise) => (Unacknowledged, Some(Row::T6)),
        (Normal | ReturnedUnacknowledged, Clear)
        | (Normal | Acknowledged, Acknowledge)
        | (Unacknowledged | Acknowledged, Raise) => (state, None),
    }
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
mod tests {
    use super::*;
    use AlarmEvent::{Acknowledge, Clear, Raise};
    use AlarmState::{Acknowledged, Normal, ReturnedUnacknowledged, Unacknowledged};

    /// Written from `alarms.md` §1.2: state, event, state after, row.
    const TABLE: [(AlarmState, AlarmEvent, AlarmState, Option<Row>); 12] = [
        (Normal, Raise, Unacknowledged, Some(Row::T1)),
        (Normal, Clear, Normal, None),
        (Normal, Acknowledge, Normal, None),
        (Unacknowledged, Raise, Unacknowledged, None),
        (Unacknowledged, Clear, ReturnedUnacknowledged, Some(Row::T3)),
        (Unacknowledged, Acknowledge, Acknowledged, Some(Row::T2)),
        (Acknowledged, Raise, Acknowledged, None),
        (Acknowledged, Clear, Normal, Some(Row::T4)),
        (Acknowledged, Acknowledge, Acknowledged, None),
        (ReturnedUnacknowledged, Raise, Unacknowledged, Some(Row::T6)),
        (ReturnedUnacknowledged, Clear, ReturnedUnacknowledged, None),
        (ReturnedUnacknowledged, Acknowledge, Normal, Some(Row::T5)),
    ];

    #[test]
    fn every_pair_of_state_and_event_goes_where_the_table_says() {
        let mut seen = 0;
        for state in AlarmState::ALL {
            for event in AlarmEvent::ALL {
                let (.., to, row) = TABLE
                    .into_iter()
                    .find(|(from, what, ..)| *from == state && *what == event)
                    .unwrap();
                assert_eq!(after(state, event), (to, row), "{state:?} {event:?}");
                seen += 1;
            }
        }
        assert_eq!(seen, TABLE.len());
    }

    #[test]
    fn only_raising_begins_an_occurrence() {
        for (from, event, _, row) in TABLE {
            let grown = occurrence_after(7, row) == 8;
            assert_eq!(grown, event == Raise && !from.is_active(), "{from:?} {event:?}");
        }
    }
}
