//! A case: what is to be done, for whom, until when, and what became of it.

mod standing;

use serde::{Deserialize, Serialize};
use telemetry::Timestamp;
use telemetry::profile::{Priority, Title};

use super::deadlines::{Amount, Deadlines};
use super::due::{Due, Pause, due};
use super::lifecycle::{CaseEvent, CaseState};
use super::worktime::WorkTime;

pub use standing::Standing;

/// Changes of state that a case remembers; every one is also an event. One more is refused: file another case.
pub const MARKS_MAX: usize = 200;
/// Rules of devices that one case takes in. A merge that would exceed it is refused.
pub const ALARMS_MAX: usize = 50;
/// Notes of alarms among the events of a case. Further ones are counted ([`CaseAlarm::occurrences`]), not noted.
pub const NOTES_MAX: u32 = 500;

/// A case, in the form in which it lies in the state database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Its number, from 1.
    pub id: u64,
    /// What people call it.
    pub title: Title,
    /// Where.
    pub site: Box<str>,
    /// What people call the place.
    pub site_name: Title,
    /// Town or street.
    pub town: Box<str>,
    /// Which device, where it is about one.
    pub device: Option<Box<str>>,
    /// Whose work it is: the organisation that runs the place, until it is dispatched to another.
    pub organisation: Box<str>,
    /// Of the alarm that it was filed for.
    pub priority: Option<Priority>,
    /// Whether that alarm may save a life.
    pub life_safety: bool,
    /// Where in its life.
    pub state: CaseState,
    /// When it was filed; its clock runs from here.
    pub filed_at: Timestamp,
    /// Who filed it.
    pub filed_by: Box<str>,
    /// How long it may take, as it was when it was filed.
    pub allowed: Allowed,
    /// When it is due.
    pub due: Due,
    /// What changed its state, in order.
    pub marks: Vec<Mark>,
    /// Who asks to put it off; none when nobody does, or when it was decided.
    pub asked: Option<Asked>,
    /// The alarms that it takes in.
    pub alarms: Vec<CaseAlarm>,
    /// How many notes of alarms are among its events.
    pub notes: u32,
    /// Which case goes on for it.
    pub merged_into: Option<u64>,
}

/// How long a case may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    /// Name of the row of the table of deadlines.
    pub row: Box<str>,
    /// Name and version of the table.
    pub table: Box<str>,
    /// From filing to 处置反馈.
    pub handle: Amount,
    /// From there to 结案.
    pub verify: Amount,
}

impl Allowed {
    /// What the table allows for alarms of a rule, by its code; none only for a table that was not read from a file.
    #[must_use]
    pub fn of(table: &Deadlines, code: Option<&str>) -> Option<Self> {
        let row = table.row(code)?;
        Some(Self {
            row: row.id.clone(),
            table: format!("{} v{}", table.id, table.version).into(),
            handle: row.handle,
            verify: table.verify_within,
        })
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// What.
    pub event: CaseEvent,
    /// When.
    pub at: Timestamp,
}

/// Who asks to put a case off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Their name: somebody else must approve.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub remark: Box<str>,
}

/// The alarms of one rule of a device, as far as a case knows of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseAlarm {
    /// `DEVICE/RULE-ID`, `DEVICE/SIGNAL.fault` or `DEVICE.clock`.
    pub rule: Box<str>,
    /// The last occurrence.
    pub occurrence: u32,
    /// How many occurrences it took in.
    pub occurrences: u32,
    /// Whether the cause stands, as far as the log of the alarms says.
    pub active: bool,
    /// When the cause went away last; none while it stands.
    pub returned_at: Option<Timestamp>,
    /// Whether somebody has acknowledged the last occurrence.
    pub acknowledged: bool,
    /// The rule is gone from the registry: nothing will be heard of it any more.
    pub gone: bool,
}

impl Case {
    /// Puts a change of state down, and computes anew when it is due.
    pub(super) fn put(&mut self, state: CaseState, event: CaseEvent, at: Timestamp, time: &WorkTime) {
        self.state = state;
        self.marks.push(Mark { event, at });
        self.compute_due(time);
    }

    /// Computes anew when it is due. The same again, unless the calendar has learnt a year since.
    pub fn compute_due(&mut self, time: &WorkTime) {
        let allowed = (self.allowed.handle, self.allowed.verify);
        self.due = due(time, self.filed_at, allowed, &self.pauses(Timestamp::MAX));
    }

    /// From when on it is overdue, as it stands: its work is not done in time, or it is not closed in time. None when
    /// it is over, suspended, or nobody knows.
    #[must_use]
    pub fn overdue_from(&self) -> Option<Timestamp> {
        if !self.state.is_open() || self.state == CaseState::Suspended {
            return None;
        }
        let handle = self.due.handle.filter(|_| !self.state.is_handled());
        match (handle, self.due.close) {
            (Some(handle), Some(close)) => Some(handle.min(close)),
            (handle, close) => handle.or(close),
        }
    }

    /// When it was closed, cancelled or merged.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        let last = self.marks.last()?;
        (!self.state.is_open()).then_some(last.at)
    }

    /// The times before `until` in which its clock stands.
    fn pauses(&self, until: Timestamp) -> Vec<Pause> {
        let mut pauses: Vec<Pause> = Vec::new();
        for mark in self.marks.iter().filter(|mark| mark.at < until) {
            let open = pauses.last_mut().filter(|(_, end)| end.is_none());
            match (mark.event, open) {
                (CaseEvent::Suspend, None) => pauses.push((mark.at, None)),
                // Whoever ends a suspended case ends its pause: what is over is not put off.
                (CaseEvent::Resume | CaseEvent::Cancel | CaseEvent::Merge, Some(pause)) => {
                    pause.1 = Some(mark.at);
                }
                _ => {}
            }
        }
        pauses
    }
}
