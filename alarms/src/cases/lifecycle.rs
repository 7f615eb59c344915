//! The life cycle of a case: one pure, total function over (state, event).
//!
//! Source: `domain.md` §5, the stages of GB/T 30428.8 from 案卷建立 to 结案, with 返工, 挂账, cancellation and merging.

use serde::{Deserialize, Serialize};

/// Where a case is. The names are those of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseState {
    /// 立案: written down, nobody's work yet.
    Filed,
    /// 派遣: an organisation is to do it.
    Dispatched,
    /// 处置: they are at it.
    Handling,
    /// 处置反馈: they say that it is done.
    Handled,
    /// 核查: telemetry and a person agree that it is.
    Verified,
    /// 挂账: put off with the approval of a second person; its clock stands still.
    Suspended,
    /// 结案: over.
    Closed,
    /// 作废: there was nothing to do; over.
    Cancelled,
    /// 并案: another case goes on for it; over.
    Merged,
}

impl CaseState {
    /// Every state, for tables and tests.
    pub const ALL: [Self; 9] = [
        Self::Filed,
        Self::Dispatched,
        Self::Handling,
        Self::Handled,
        Self::Verified,
        Self::Suspended,
        Self::Closed,
        Self::Cancelled,
        Self::Merged,
    ];

    /// Whether somebody has still to do with it.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed | Self::Cancelled | Self::Merged)
    }

    /// Whether the work itself is done, as far as anybody has said.
    #[must_use]
    pub const fn is_handled(self) -> bool {
        matches!(self, Self::Handled | Self::Verified | Self::Closed)
    }

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filed => "filed",
            Self::Dispatched => "dispatched",
            Self::Handling => "handling",
            Self::Handled => "handled",
            Self::Verified => "verified",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
            Self::Merged => "merged",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What people can do with a case. The names are those of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaseEvent {
    /// It is given to an organisation, or to another one.
    Dispatch,
    /// They begin.
    Start,
    /// They say that it is done.
    Handled,
    /// Telemetry is normal, and a person has looked.
    Verify,
    /// 返工: it is not done; it goes back to them.
    Rework,
    /// Somebody asks to put it off.
    AskSuspension,
    /// Another person approves of that: 挂账.
    Suspend,
    /// That was refused, or is not wanted any more.
    DeclineSuspension,
    /// It is taken up again; it goes back to those who had it.
    Resume,
    /// 作废.
    Cancel,
    /// 并案, into another case.
    Merge,
    /// 结案.
    Close,
}

impl CaseEvent {
    /// Every event, for tables and tests.
    pub const ALL: [Self; 12] = [
        Self::Dispatch,
        Self::Start,
        Self::Handled,
        Self::Verify,
        Self::Rework,
        Self::AskSuspension,
        Self::Suspend,
        Self::DeclineSuspension,
        Self::Resume,
        Self::Cancel,
        Self::Merge,
        Self::Close,
    ];

    /// The name in the API and in the events of a case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Start => "start",
            Self::Handled => "handled",
            Self::Verify => "verify",
            Self::Rework => "rework",
            Self::AskSuspension => "ask_suspension",
            Self::Suspend => "suspend",
            Self::DeclineSuspension => "decline_suspension",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Merge => "merge",
            Self::Close => "close",
        }
    }
}

/// The state after `event`; none when it is refused in that state.
#[must_use]
pub const fn after(state: CaseState, event: CaseEvent) -> Option<CaseState> {
    use CaseEvent::{
        AskSuspension, Cancel, Close, DeclineSuspension, Dispatch, Handled as Feedback, Merge, Resume,
        Rework, Start, Suspend, Verify,
    };
    use CaseState::{Cancelled, Closed, Dispatched, Filed, Handled, Handling, Merged, Suspended, Verified};
    match (state, event) {
        (Filed | Dispatched | Handling, Dispatch)
        | (Handled | Verified, Rework)
        | (Suspended, Resume)
        | (Dispatched, AskSuspension | DeclineSuspension) => Some(Dispatched),
        (Dispatched, Start) | (Handling, AskSuspension | DeclineSuspension) => Some(Handling),
        (Handling, Feedback) => Some(Handled),
        (Handled, Verify) => Some(Verified),
        (Verified, Close) => Some(Closed),
        (Dispatched | Handling, Suspend) => Some(Suspended),
        (Filed | Dispatched | Handling | Handled | Verified | Suspended, Cancel) => Some(Cancelled),
        (Filed | Dispatched | Handling | Handled | Verified | Suspended, Merge) => Some(Merged),
        (Filed, Start | Feedback | Verify | Rework | AskSuspension | Suspend | DeclineSuspension)
        | (Filed, Resume | Close)
        | (Dispatched, Feedback | Verify | Rework | Resume | Close)
        | (Handling, Start | Verify | Rework | Resume | Close)
        | (Handled | Verified, Dispatch | Start | Feedback | AskSuspension | Suspend)
        | (Handled | Verified, DeclineSuspension | Resume)
        | (Handled, Close)
        | (Verified, Verify)
        | (Suspended, Dispatch | Start | Feedback | Verify | Rework | AskSuspension | Suspend)
        | (Suspended, DeclineSuspension | Close)
        | (Closed | Cancelled | Merged, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: states; columns: events in the order of [`CaseEvent::ALL`]; `-` is refused. Written by hand from
    /// `domain.md` §5.
    const TABLE: [(&str, &str); 9] = [
        //           dis sta han ver rew ask sus dec res can mer clo
        ("filed", "dispatched - - - - - - - - cancelled merged -"),
        (
            "dispatched",
            "dispatched handling - - - dispatched suspended dispatched - cancelled merged -",
        ),
        (
            "handling",
            "dispatched - handled - - handling suspended handling - cancelled merged -",
        ),
        ("handled", "- - - verified dispatched - - - - cancelled merged -"),
        ("verified", "- - - - dispatched - - - - cancelled merged closed"),
        ("suspended", "- - - - - - - - dispatched cancelled merged -"),
        ("closed", "- - - - - - - - - - - -"),
        ("cancelled", "- - - - - - - - - - - -"),
        ("merged", "- - - - - - - - - - - -"),
    ];

    #[test]
    fn every_pair_of_state_and_event_goes_where_the_table_says() {
        assert_eq!(TABLE.len(), CaseState::ALL.len());
        for (name, row) in TABLE {
            let state = CaseState::parse(name).unwrap();
            let cells: Vec<&str> = row.split(' ').collect();
            assert_eq!(cells.len(), CaseEvent::ALL.len(), "{name}");
            for (event, cell) in CaseEvent::ALL.into_iter().zip(cells) {
                let found = after(state, event).map_or("-", CaseState::name);
                assert_eq!(found, cell, "{name}, {}", event.name());
            }
        }
    }

    #[test]
    fn nothing_happens_to_what_is_over_and_from_everywhere_else_an_end_can_be_reached() {
        for state in CaseState::ALL {
            let anything = CaseEvent::ALL.iter().any(|event| after(state, *event).is_some());
            assert_eq!(anything, state.is_open(), "{state:?}");
            assert_eq!(after(state, CaseEvent::Cancel).is_some(), state.is_open());
        }
    }
}
