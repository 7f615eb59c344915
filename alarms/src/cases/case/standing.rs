//! How a case stood at an instant: what the figures ask. Pure.

use telemetry::Timestamp;

use super::super::due::{Due, due};
use super::super::lifecycle::{CaseEvent, CaseState, after};
use super::super::worktime::WorkTime;
use super::Case;

/// How a case stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Where in its life.
    pub state: CaseState,
    /// When it was due.
    pub due: Due,
    /// When its work was said to be done, if that still held.
    pub handled_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Each 处置反馈.
    pub feedback: Vec<Timestamp>,
    /// Each 返工.
    pub reworked: Vec<Timestamp>,
}

impl Case {
    /// How it stood just before `at`, whatever happened since.
    #[must_use]
    pub fn standing(&self, at: Timestamp, time: &WorkTime) -> Standing {
        let mut standing = Standing {
            state: CaseState::Filed,
            due: due(
                time,
                self.filed_at,
                (self.allowed.handle, self.allowed.verify),
                &self.pauses(at),
            ),
            handled_at: None,
            closed_at: None,
            feedback: Vec::new(),
            reworked: Vec::new(),
        };
        for mark in self.marks.iter().filter(|mark| mark.at < at) {
            standing.state = after(standing.state, mark.event).unwrap_or(standing.state);
            match mark.event {
                CaseEvent::Handled => {
                    standing.feedback.push(mark.at);
                    standing.handled_at = Some(mark.at);
                }
                CaseEvent::Rework => {
                    standing.reworked.push(mark.at);
                    standing.handled_at = None;
                }
                CaseEvent::Close => standing.closed_at = Some(mark.at),
                CaseEvent::Dispatch
                | CaseEvent::Start
                | CaseEvent::Verify
                | CaseEvent::AskSuspension
                | CaseEvent::Suspend
                | CaseEvent::DeclineSuspension
                | CaseEvent::Resume
                | CaseEvent::Cancel
                | CaseEvent::Merge => {}
            }
        }
        standing
    }
}
